/*
 * prune.c
 *		From conditions of a query to conditions on the bounds of files.
 *
 * Only what is certain: a condition is passed on if every row for which the
 * clause is true satisfies it in the terms of Iceberg's bounds.  So
 * - ranges of text only under a collation of byte order, equality under any
 *   deterministic one; a LIKE pattern gives the range of its prefix;
 * - of floating-point columns no lower bounds, since PostgreSQL sorts NaN above
 *   everything and the bounds leave it out, and no zero, of which there are two;
 * - a value that the column's type cannot hold gives no condition.
 * Clauses that PostgreSQL itself evaluates prune as well.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "client/values.h"
#include "fdw/keys.h"
#include "fdw/literal.h"
#include "fdw/prune.h"
#include "fdw/shippable.h"
#include "fdw/simplify.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

/* ---- from clauses to rules ---- */

/* The table whose files are pruned. */
typedef struct Pruned
{
	DeparseContext *cx;
	LakeSource *source;
	Index		varno;
} Pruned;

static List *ClausesRules(Pruned *pruned, List *clauses);

/*
 * The column that an expression is, or 0.
 */
static AttrNumber
ColumnOf(Pruned *pruned, Expr *expr)
{
	Var		   *var;
	SourceColumn *column;

	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	var = (Var *) expr;
	if (!IsA(expr, Var) || var->varno != pruned->varno || var->varattno <= 0 ||
		var->varattno > pruned->source->natts || var->varlevelsup > 0)
		return 0;
	column = &pruned->source->columns[var->varattno - 1];
	if (column->state != COLUMN_OK)
		return 0;
	return var->varattno;
}

static bool
IsText(Oid typid)
{
	Oid			base = getBaseType(typid);

	return base == TEXTOID || base == VARCHAROID;
}

static List *
Rule(AttrNumber attnum, LakeOp op, int param)
{
	return list_make3_int(attnum, op, param);
}

/*
 * How an operator compares: a member of its left type's default btree family.
 */
static bool
OperatorMeaning(Oid opno, Oid lefttype, LakeOp *op)
{
	TypeCacheEntry *type = lookup_type_cache(lefttype, TYPECACHE_BTREE_OPFAMILY);

	if (!OidIsValid(type->btree_opf))
		return false;
	switch (get_op_opfamily_strategy(opno, type->btree_opf))
	{
		case BTLessStrategyNumber:
			*op = LAKE_LT;
			return true;
		case BTLessEqualStrategyNumber:
			*op = LAKE_LE;
			return true;
		case BTEqualStrategyNumber:
			*op = LAKE_EQ;
			return true;
		case BTGreaterEqualStrategyNumber:
			*op = LAKE_GE;
			return true;
		case BTGreaterStrategyNumber:
			*op = LAKE_GT;
			return true;
		default:
			return false;
	}
}

/*
 * May the bounds of a column be compared so?
 */
static bool
BoundsAnswer(SourceColumn *column, LakeOp op, Oid collation)
{
	Oid			base = getBaseType(column->typid);

	if (column->as_text || EngineTypeName(base) == NULL)
		return false;
	if (op == LAKE_EQ || op == LAKE_IN)
		return CollationByteEqual(collation);
	if (IsText(base))
		return CollationByteOrder(collation);
	return !((base == FLOAT4OID || base == FLOAT8OID) && (op == LAKE_GT || op == LAKE_GE));
}

static List *
CompareRule(Pruned *pruned, OpExpr *expr)
{
	Oid			opno = expr->opno;
	Expr	   *left;
	Expr	   *right;
	AttrNumber	attnum;
	LakeOp		op;

	if (list_length(expr->args) != 2)
		return NIL;
	left = linitial(expr->args);
	right = lsecond(expr->args);
	if (ColumnOf(pruned, left) == 0)
	{
		Expr	   *swap = left;

		left = right;
		right = swap;
		opno = get_commutator(opno);
	}
	attnum = ColumnOf(pruned, left);
	if (attnum == 0 || !OidIsValid(opno) || !IsRuntimeConstant(right) ||
		!OperatorMeaning(opno, exprType((Node *) left), &op) ||
		!BoundsAnswer(&pruned->source->columns[attnum - 1], op, expr->inputcollid))
		return NIL;
	return Rule(attnum, op, DeparseParam(pruned->cx, right));
}

static List *
ArrayRule(Pruned *pruned, ScalarArrayOpExpr *expr)
{
	Expr	   *left = linitial(expr->args);
	Expr	   *array = lsecond(expr->args);
	AttrNumber	attnum = ColumnOf(pruned, left);
	LakeOp		op;

	if (attnum == 0 || !expr->useOr || !IsRuntimeConstant(array) ||
		!OperatorMeaning(expr->opno, exprType((Node *) left), &op) || op != LAKE_EQ ||
		!BoundsAnswer(&pruned->source->columns[attnum - 1], LAKE_IN, expr->inputcollid))
		return NIL;
	return Rule(attnum, LAKE_IN, DeparseParam(pruned->cx, array));
}

/*
 * Keys that a join looks for: see keys.c.
 */
static List *
KeyRules(Pruned *pruned, List *args)
{
	AttrNumber	attnum = ColumnOf(pruned, linitial(args));

	if (attnum == 0 || !IsRuntimeConstant(lsecond(args)) ||
		!BoundsAnswer(&pruned->source->columns[attnum - 1], LAKE_IN, exprCollation(linitial(args))))
		return NIL;
	return list_make1(Rule(attnum, LAKE_IN, DeparseParam(pruned->cx, lsecond(args))));
}

static List *
NullRule(Pruned *pruned, NullTest *expr)
{
	AttrNumber	attnum = ColumnOf(pruned, expr->arg);

	if (attnum == 0 || expr->argisrow)
		return NIL;
	return Rule(attnum, expr->nulltesttype == IS_NULL ? LAKE_IS_NULL : LAKE_IS_NOT_NULL, -1);
}

/*
 * A boolean column by itself, or its negation.
 */
static List *
BooleanRule(Pruned *pruned, Expr *expr, bool value)
{
	AttrNumber	attnum = ColumnOf(pruned, expr);

	if (attnum == 0 || pruned->source->columns[attnum - 1].type.kind != LAKE_BOOLEAN)
		return NIL;
	return Rule(attnum, LAKE_EQ, DeparseParam(pruned->cx, (Expr *) makeBoolConst(value, false)));
}

/*
 * The text before the first wildcard of a LIKE pattern; NULL if there is none.
 */
static char *
PatternPrefix(Const *pattern)
{
	StringInfoData prefix;

	if (!IsA(pattern, Const) || pattern->constisnull || pattern->consttype != TEXTOID)
		return NULL;
	initStringInfo(&prefix);
	for (char *p = TextDatumGetCString(pattern->constvalue); *p != '\0' && *p != '%' && *p != '_'; p++)
	{
		if (*p == '\\' && *++p == '\0')
			return NULL;
		appendStringInfoChar(&prefix, *p);
	}
	return prefix.len > 0 ? prefix.data : NULL;
}

/*
 * The least string of more than every one with a prefix: its last byte that can
 * be increased within ASCII; NULL if there is none.
 */
static char *
PrefixEnd(const char *prefix)
{
	char	   *end = pstrdup(prefix);

	for (int i = strlen(end) - 1; i >= 0; i--)
	{
		if ((unsigned char) end[i] >= 0x7f)
			continue;
		end[i]++;
		end[i + 1] = '\0';
		return end;
	}
	return NULL;
}

static int
TextParam(Pruned *pruned, const char *text)
{
	return DeparseParam(pruned->cx, (Expr *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
											   CStringGetTextDatum(text), false, false));
}

/*
 * LIKE compares bytes whatever the collation, so its prefix is a range.
 */
static List *
PatternRules(Pruned *pruned, Oid function, List *args, Oid collation)
{
	AttrNumber	attnum;
	char	   *prefix;
	char	   *end;
	List	   *rules;

	if ((function != F_TEXTLIKE && function != F_LIKE_TEXT_TEXT) || !CollationByteEqual(collation))
		return NIL;
	attnum = ColumnOf(pruned, linitial(args));
	prefix = PatternPrefix(lsecond(args));
	if (attnum == 0 || prefix == NULL || pruned->source->columns[attnum - 1].as_text ||
		!IsText(pruned->source->columns[attnum - 1].typid))
		return NIL;
	rules = list_make1(Rule(attnum, LAKE_GE, TextParam(pruned, prefix)));
	end = PrefixEnd(prefix);
	if (end != NULL)
		rules = lappend(rules, Rule(attnum, LAKE_LT, TextParam(pruned, end)));
	return rules;
}

static List *
ClauseRules(Pruned *pruned, Expr *clause)
{
	List	   *rule = NIL;

	switch (nodeTag(clause))
	{
		case T_OpExpr:
			{
				OpExpr	   *expr = SimplifyComparison((OpExpr *) clause);
				List	   *rules = PatternRules(pruned, get_opcode(expr->opno), expr->args, expr->inputcollid);

				if (rules != NIL)
					return rules;
				rule = CompareRule(pruned, expr);
				break;
			}
		case T_FuncExpr:
			if (IsKeyFunction(((FuncExpr *) clause)->funcid))
				return KeyRules(pruned, ((FuncExpr *) clause)->args);
			return PatternRules(pruned, ((FuncExpr *) clause)->funcid, ((FuncExpr *) clause)->args,
								((FuncExpr *) clause)->inputcollid);
		case T_ScalarArrayOpExpr:
			rule = ArrayRule(pruned, (ScalarArrayOpExpr *) clause);
			break;
		case T_NullTest:
			rule = NullRule(pruned, (NullTest *) clause);
			break;
		case T_Var:
			rule = BooleanRule(pruned, clause, true);
			break;
		case T_BoolExpr:
			if (((BoolExpr *) clause)->boolop == NOT_EXPR)
				rule = BooleanRule(pruned, linitial(((BoolExpr *) clause)->args), false);
			else if (((BoolExpr *) clause)->boolop == AND_EXPR)
				return ClausesRules(pruned, ((BoolExpr *) clause)->args);
			break;
		default:
			break;
	}
	return rule == NIL ? NIL : list_make1(rule);
}

static List *
ClausesRules(Pruned *pruned, List *clauses)
{
	List	   *rules = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
		rules = list_concat(rules, ClauseRules(pruned, lfirst(lc)));
	return rules;
}

List *
PruneRules(DeparseContext *cx, DeparseRel *rel, Index varno, List *clauses)
{
	Pruned		pruned = {cx, rel->source, varno};

	if (rel->source->table == NULL)
		return NIL;				/* Parquet files have no manifest to prune by */
	return ClausesRules(&pruned, clauses);
}

/* ---- from rules and values to conditions ---- */

static bool
IntegerValue(Oid typid, Datum value, int64 *number)
{
	switch (typid)
	{
		case INT2OID:
			*number = DatumGetInt16(value);
			return true;
		case INT4OID:
			*number = DatumGetInt32(value);
			return true;
		case INT8OID:
			*number = DatumGetInt64(value);
			return true;
		default:
			return false;
	}
}

static bool
FloatValue(Oid typid, Datum value, float8 *number)
{
	if (typid == FLOAT4OID)
		*number = DatumGetFloat4(value);
	else if (typid == FLOAT8OID)
		*number = DatumGetFloat8(value);
	else
		return false;
	return !isnan(*number) && *number != 0;
}

static bool
DecimalFits(LakeType type, Oid typid, Datum value)
{
	DecimalShape shape;

	return typid == NUMERICOID && NumericValueShape(value, &shape) &&
		shape.scale <= type.scale && shape.precision - shape.scale <= type.precision - type.scale;
}

static bool
TimestampFits(Datum value)
{
	Timestamp	ts = DatumGetTimestamp(value);

	return TIMESTAMP_NOT_FINITE(ts) ||
		ts < PG_INT64_MAX - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

/* PostgreSQL's type whose values a lake type holds one to one */
static Oid
ExactType(LakeKind kind)
{
	switch (kind)
	{
		case LAKE_BOOLEAN:
			return BOOLOID;
		case LAKE_INT:
			return INT4OID;
		case LAKE_LONG:
			return INT8OID;
		case LAKE_FLOAT:
			return FLOAT4OID;
		case LAKE_DOUBLE:
			return FLOAT8OID;
		case LAKE_DECIMAL:
			return NUMERICOID;
		case LAKE_DATE:
			return DATEOID;
		case LAKE_TIME:
			return TIMEOID;
		case LAKE_TIMESTAMP:
			return TIMESTAMPOID;
		case LAKE_TIMESTAMPTZ:
			return TIMESTAMPTZOID;
		case LAKE_STRING:
			return TEXTOID;
		case LAKE_BINARY:
			return BYTEAOID;
		case LAKE_UUID:
			return UUIDOID;
		default:
			return InvalidOid;
	}
}

/*
 * The same value in the type of the stored column; false if it has none there.
 */
static bool
ConvertValue(LakeType type, Oid typid, Datum value, Datum *converted)
{
	int64		integer;
	float8		number;

	*converted = value;
	switch (type.kind)
	{
		case LAKE_INT:
			if (!IntegerValue(typid, value, &integer) || integer < PG_INT32_MIN || integer > PG_INT32_MAX)
				return false;
			*converted = Int32GetDatum((int32) integer);
			return true;
		case LAKE_LONG:
			if (!IntegerValue(typid, value, &integer))
				return false;
			*converted = Int64GetDatum(integer);
			return true;
		case LAKE_FLOAT:
			if (!FloatValue(typid, value, &number) || (float8) (float4) number != number)
				return false;
			*converted = Float4GetDatum((float4) number);
			return true;
		case LAKE_DOUBLE:
			if (!FloatValue(typid, value, &number))
				return false;
			*converted = Float8GetDatum(number);
			return true;
		case LAKE_DECIMAL:
			return DecimalFits(type, typid, value);
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return typid == ExactType(type.kind) && TimestampFits(value);
		case LAKE_STRING:
			return IsText(typid);
		default:
			return typid == ExactType(type.kind);
	}
}

/*
 * Iceberg's serialization of a value; false if the column cannot hold it.
 */
static bool
Serialize(LakeType type, Oid typid, Datum value, IcebergBytes *bytes)
{
	WireChunk  *chunk;
	ValueCodec	codec;
	size_t		len;
	const void *data;
	int32		typmod = -1;

	if (!ConvertValue(type, getBaseType(typid), value, &value))
		return false;
	if (type.kind == LAKE_DECIMAL)
		typmod = ((type.precision << 16) | type.scale) + VARHDRSZ;
	ValueCodecInit(&codec, ExactType(type.kind), typmod);
	chunk = ChunkCreate(&type, 1);
	ValuePut(&codec, chunk, 0, value, false);
	chunk->nrows = 1;
	len = LakeKindWidth(type.kind);
	data = len > 0 ? ChunkGetFixed(chunk, 0, 0) : ChunkGetBytes(chunk, 0, 0, &len);
	*bytes = IcebergSerializeValue(type, data, len);
	ChunkFree(chunk);
	return true;
}

/*
 * Values of an array; false if the column cannot hold one of them, since a
 * condition must not say less than the clause.
 */
static bool
SerializeArray(LakeType type, const PruneValue *array, LakeCondition *condition)
{
	Oid			element = get_element_type(array->typid);
	int16		len;
	bool		byval;
	char		align;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	get_typlenbyvalalign(element, &len, &byval, &align);
	deconstruct_array(DatumGetArrayTypeP(array->value), element, len, byval, align, &values, &nulls, &n);
	if (n > MAX_JOIN_KEYS)
		return false;			/* not worth it; and keys of a join are not all there */
	condition->nvalues = 0;
	condition->values = palloc0(Max(n, 1) * sizeof(IcebergBytes));
	for (int i = 0; i < n; i++)
		if (!nulls[i] && !Serialize(type, element, values[i], &condition->values[condition->nvalues++]))
			return false;
	return condition->nvalues > 0;
}

static bool
FillCondition(LakeSource *source, List *rule, const PruneValue *values, LakeCondition *condition)
{
	SourceColumn *column = SourceColumnOf(source, linitial_int(rule));
	int			param = lthird_int(rule);
	const PruneValue *value;

	memset(condition, 0, sizeof(*condition));
	condition->field_id = column->field_id;
	condition->op = lsecond_int(rule);
	if (param < 0)
		return true;
	value = &values[param];
	if (!value->known || value->isnull)
		return false;
	if (condition->op == LAKE_IN)
		return SerializeArray(column->stored, value, condition);
	condition->nvalues = 1;
	condition->values = palloc0(sizeof(IcebergBytes));
	return Serialize(column->stored, value->typid, value->value, &condition->values[0]);
}

LakeCondition *
PruneConditions(LakeSource *source, List *rules, const PruneValue *values, int *n)
{
	LakeCondition *conditions = palloc0(Max(list_length(rules), 1) * sizeof(LakeCondition));
	ListCell   *lc;

	*n = 0;
	foreach(lc, rules)
		if (FillCondition(source, lfirst(lc), values, &conditions[*n]))
			(*n)++;
	return conditions;
}

PruneValue *
PruneConstants(List *params)
{
	PruneValue *values = palloc0(Max(list_length(params), 1) * sizeof(PruneValue));
	ListCell   *lc;

	foreach(lc, params)
	{
		Const	   *value = lfirst(lc);

		if (!IsA(value, Const))
			continue;
		values[foreach_current_index(lc)] = (PruneValue) {
			true, value->constisnull, value->consttype, value->constvalue
		};
	}
	return values;
}
