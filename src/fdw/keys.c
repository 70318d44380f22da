/*
 * keys.c
 *		Telling the lake which keys a join with a small local table looks for.
 *
 * "lake.k = local.k" of an inner join says nothing to a scan of the lake.  Where
 * the local table's own conditions leave few rows, a condition is added to the
 * query that does: _shard.is_key(lake.k, ARRAY(SELECT k FROM local WHERE ...)),
 * whose array PostgreSQL computes before the scan.  The scan ships it as IN, and
 * leaves out files by it.  The function itself says true to everything: the join
 * still decides, so that nothing depends on the keys being sent.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fdw/keys.h"
#include "fdw/literal.h"
#include "fdw/plan.h"
#include "fdw/shippable.h"
#include "fdw/whole.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

/* Keys that are worth sending, as the planner estimates their number. */
#define FEW_KEYS 1000

PG_FUNCTION_INFO_V1(shard_is_key);

static Oid	key_function = InvalidOid;

Datum
shard_is_key(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(true);
}

bool
IsKeyFunction(Oid function)
{
	return OidIsValid(key_function) && function == key_function;
}

static bool
FindKeyFunction(void)
{
	Oid			types[2] = {ANYELEMENTOID, ANYARRAYOID};

	key_function = LookupFuncName(list_make2(makeString("_shard"), makeString("is_key")), 2, types, true);
	return OidIsValid(key_function);
}

/* ---- what is joined ---- */

/* Tables that are joined by inner joins alone, and the conditions between them. */
typedef struct Joined
{
	Query	   *query;
	Bitmapset  *varnos;
	List	   *quals;
} Joined;

static void
CollectJoined(Joined *joined, Node *item)
{
	ListCell   *lc;

	if (item == NULL)
		return;
	if (IsA(item, RangeTblRef))
		joined->varnos = bms_add_member(joined->varnos, ((RangeTblRef *) item)->rtindex);
	else if (IsA(item, FromExpr))
	{
		foreach(lc, ((FromExpr *) item)->fromlist)
			CollectJoined(joined, lfirst(lc));
		joined->quals = list_concat(joined->quals, make_ands_implicit((Expr *) ((FromExpr *) item)->quals));
	}
	else if (IsA(item, JoinExpr) && ((JoinExpr *) item)->jointype == JOIN_INNER)
	{
		CollectJoined(joined, ((JoinExpr *) item)->larg);
		CollectJoined(joined, ((JoinExpr *) item)->rarg);
		joined->quals = list_concat(joined->quals, make_ands_implicit((Expr *) ((JoinExpr *) item)->quals));
	}
	else if (IsA(item, JoinExpr) && ((JoinExpr *) item)->jointype == JOIN_LEFT)
		CollectJoined(joined, ((JoinExpr *) item)->larg);
}

static RangeTblEntry *
EntryOf(Joined *joined, Node *expr)
{
	Var		   *var = (Var *) expr;

	if (!IsA(expr, Var) || var->varlevelsup > 0 || var->varattno <= 0 ||
		!bms_is_member(var->varno, joined->varnos))
		return NULL;
	return list_nth_node(RangeTblEntry, joined->query->rtable, var->varno - 1);
}

static bool
IsLake(RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE &&
		GetFdwRoutineByRelId(rte->relid)->GetForeignRelSize == LakeGetForeignRelSize;
}

static bool
IsLocal(RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->securityQuals == NIL && rte->tablesample == NULL &&
		(rte->relkind == RELKIND_RELATION || rte->relkind == RELKIND_PARTITIONED_TABLE ||
		 rte->relkind == RELKIND_MATVIEW);
}

/* ---- the subquery ---- */

/*
 * Is a condition one of a single table, that a subquery may repeat?
 */
static bool
IsOwnCondition(PlannerInfo *root, Node *qual, Index varno)
{
	return bms_membership(pull_varnos(root, qual)) == BMS_SINGLETON &&
		bms_is_member(varno, pull_varnos(root, qual)) &&
		!checkExprHasSubLink(qual) && !contain_volatile_functions(qual) && !contain_vars_of_level(qual, 1);
}

/*
 * SELECT column FROM local WHERE its own conditions LIMIT MAX_JOIN_KEYS + 1
 */
static Query *
MakeKeyQuery(Joined *joined, Var *column)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	RangeTblEntry *rte = list_nth_node(RangeTblEntry, joined->query->rtable, column->varno - 1);
	Query	   *query = makeNode(Query);
	RangeTblRef *ref = makeNode(RangeTblRef);
	NullTest   *known = makeNode(NullTest);
	RangeTblEntry *copy = copyObject(rte);
	Var		   *key = copyObject(column);
	List	   *quals = NIL;
	ListCell   *lc;

	root->parse = joined->query;
	root->glob = makeNode(PlannerGlobal);
	key->varno = 1;
	foreach(lc, joined->quals)
	{
		Node	   *qual;

		if (!IsOwnCondition(root, lfirst(lc), column->varno))
			continue;
		qual = copyObject(lfirst(lc));
		ChangeVarNodes(qual, column->varno, 1, 0);
		quals = lappend(quals, qual);
	}
	known->arg = (Expr *) copyObject(key);
	known->nulltesttype = IS_NOT_NULL;
	known->location = -1;
	quals = lappend(quals, known);
	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(copy);
	FlatEntryPermissions(joined->query, rte, copy, &query->rteperminfos);
	ref->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(ref), (Node *) make_ands_explicit(quals));
	query->targetList = list_make1(makeTargetEntry((Expr *) key, 1, pstrdup("key"), false));
	query->limitCount = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
										   Int64GetDatum(MAX_JOIN_KEYS + 1), false, FLOAT8PASSBYVAL);
	query->limitOption = LIMIT_OPTION_COUNT;
	return query;
}

static bool
FewKeys(Query *query, ParamListInfo params)
{
	Query	   *counted = copyObject(query);

	counted->limitCount = NULL;
	return PlanLocally(counted, params)->planTree->plan_rows <= FEW_KEYS;
}

/*
 * The condition, or NULL if it would not be worth it.
 */
static Node *
KeyCondition(Joined *joined, Var *lake, Var *local, ParamListInfo params)
{
	Query	   *query = MakeKeyQuery(joined, local);
	SubLink    *link;
	FuncExpr   *call;

	if (!FewKeys(query, params))
		return NULL;
	link = makeNode(SubLink);
	link->subLinkType = ARRAY_SUBLINK;
	link->subselect = (Node *) query;
	link->location = -1;
	call = makeFuncExpr(key_function, BOOLOID, list_make2(copyObject(lake), link), InvalidOid,
						lake->varcollid, COERCE_EXPLICIT_CALL);
	return (Node *) call;
}

static bool
AnyForeign(Joined *joined)
{
	int			varno = -1;

	while ((varno = bms_next_member(joined->varnos, varno)) >= 0)
		if (list_nth_node(RangeTblEntry, joined->query->rtable, varno - 1)->relkind == RELKIND_FOREIGN_TABLE)
			return true;
	return false;
}

/*
 * An equality between a column of the lake and one of a local table, of one
 * type that can be sent.
 */
static Node *
ConditionFor(Joined *joined, Node *qual, ParamListInfo params)
{
	OpExpr	   *expr = (OpExpr *) qual;
	RangeTblEntry *left;
	RangeTblEntry *right;
	Oid			type;

	if (!IsA(qual, OpExpr) || list_length(expr->args) != 2)
		return NULL;
	left = EntryOf(joined, linitial(expr->args));
	right = EntryOf(joined, lsecond(expr->args));
	if (left == NULL || right == NULL)
		return NULL;
	type = exprType(linitial(expr->args));
	if (exprType(lsecond(expr->args)) != type || !IsDefaultEquality(expr->opno, type) ||
		!CollationByteEqual(expr->inputcollid) || EngineTypeName(type) == NULL || type == NUMERICOID ||
		type == BPCHAROID || !OidIsValid(get_array_type(type)))
		return NULL;
	if (IsLake(left) && IsLocal(right))
		return KeyCondition(joined, linitial(expr->args), lsecond(expr->args), params);
	if (IsLake(right) && IsLocal(left))
		return KeyCondition(joined, lsecond(expr->args), linitial(expr->args), params);
	return NULL;
}

void
AddJoinKeys(Query *query, ParamListInfo params)
{
	Joined		joined = {query, NULL, NIL};
	List	   *added = NIL;
	ListCell   *lc;

	if (query->commandType != CMD_SELECT || query->rowMarks != NIL || query->setOperations != NULL ||
		query->hasRowSecurity || query->jointree == NULL)
		return;
	CollectJoined(&joined, (Node *) query->jointree);
	if (bms_num_members(joined.varnos) < 2 || !AnyForeign(&joined) || !FindKeyFunction())
		return;
	foreach(lc, joined.quals)
	{
		Node	   *condition = ConditionFor(&joined, lfirst(lc), params);

		if (condition != NULL)
			added = lappend(added, condition);
	}
	if (added == NIL)
		return;
	query->hasSubLinks = true;
	query->jointree->quals = (Node *)
		make_ands_explicit(list_concat(make_ands_implicit((Expr *) query->jointree->quals), added));
}
