/*
 * simplify.c
 *		Conditions in a form that the engine and the files' bounds make more of.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "datatype/timestamp.h"
#include "fdw/simplify.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/*
 * How "date op ts" reads as "date op day", the day on which ts falls; 0 if it
 * cannot.
 */
static int
StrategyForDay(int strategy, bool midnight)
{
	switch (strategy)
	{
		case BTLessStrategyNumber:
			return midnight ? BTLessStrategyNumber : BTLessEqualStrategyNumber;
		case BTGreaterEqualStrategyNumber:
			return midnight ? BTGreaterEqualStrategyNumber : BTGreaterStrategyNumber;
		case BTLessEqualStrategyNumber:
		case BTGreaterStrategyNumber:
			return strategy;
		case BTEqualStrategyNumber:
			return midnight ? strategy : 0;
		default:
			return 0;
	}
}

OpExpr *
SimplifyComparison(OpExpr *expr)
{
	Oid			opno = expr->opno;
	Oid			family;
	Expr	   *left;
	Const	   *right;
	Timestamp	ts;
	DateADT		day;
	int			strategy;

	if (list_length(expr->args) != 2)
		return expr;
	left = linitial(expr->args);
	right = lsecond(expr->args);
	if (IsA(left, Const))
	{
		left = lsecond(expr->args);
		right = linitial(expr->args);
		opno = get_commutator(opno);
	}
	if (!OidIsValid(opno) || !IsA(right, Const) || right->constisnull || right->consttype != TIMESTAMPOID ||
		exprType((Node *) left) != DATEOID)
		return expr;
	ts = DatumGetTimestamp(right->constvalue);
	family = lookup_type_cache(DATEOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	if (TIMESTAMP_NOT_FINITE(ts))
		return expr;
	day = (DateADT) (ts >= 0 ? ts / USECS_PER_DAY : -((-ts + USECS_PER_DAY - 1) / USECS_PER_DAY));
	strategy = StrategyForDay(get_op_opfamily_strategy(opno, family), ts == (Timestamp) day * USECS_PER_DAY);
	if (strategy == 0)
		return expr;
	return (OpExpr *) make_opclause(get_opfamily_member(family, DATEOID, DATEOID, strategy), BOOLOID, false,
									left, (Expr *) makeConst(DATEOID, -1, InvalidOid, sizeof(DateADT),
															 DateADTGetDatum(day), false, true),
									InvalidOid, InvalidOid);
}
