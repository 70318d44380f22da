/*
 * deparse.c
 *		Expressions of PostgreSQL as engine SQL.
 *
 * A column is written as f<field id>, never by its name: the engine folds the
 * case of names.  What has no column in it and is the same for the whole
 * execution (a parameter, now(), the result of a subquery) becomes a
 * placeholder, filled with a literal when the statement runs.  Everything else
 * has to be on the allow-list (shippable.c).
 *
 * Numerics need more than the list: the engine's decimals have at most 38
 * digits, and show as many decimals as their type has, so that the shape of
 * each intermediate result is computed here.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "fdw/deparse.h"
#include "fdw/literal.h"
#include "fdw/shippable.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

/* A sum of up to 10^12 such values has at most 38 digits. */
#define MAX_SUMMED_DIGITS 26

/*
 * Put after a column of bytes, so that no comparison with it reaches the files'
 * Bloom filters: DuckDB 1.5 looks in them for other hashes than it wrote.
 */
#define BLOB_GUARD " || CAST('' AS BLOB)"

static bool NumericShape(DeparseContext *cx, Expr *expr, DecimalShape *shape);

/* ---- the statement ---- */

DeparseContext *
DeparseBegin(LakeSource *source)
{
	DeparseContext *cx = palloc0(sizeof(DeparseContext));

	cx->source = source;
	initStringInfo(&cx->buf);
	return cx;
}

void
DeparseText(DeparseContext *cx, const char *text)
{
	appendStringInfoString(&cx->buf, text);
}

static void
EndFragment(DeparseContext *cx)
{
	if (cx->buf.len == 0)
		return;
	cx->fragments = lappend(cx->fragments, makeString(pstrdup(cx->buf.data)));
	resetStringInfo(&cx->buf);
}

static void
AppendMark(DeparseContext *cx, int mark)
{
	EndFragment(cx);
	cx->fragments = lappend(cx->fragments, makeInteger(mark));
}

void
DeparseSource(DeparseContext *cx)
{
	AppendMark(cx, FRAGMENT_SOURCE);
}

List *
DeparseEnd(DeparseContext *cx)
{
	EndFragment(cx);
	return cx->fragments;
}

int
DeparseParam(DeparseContext *cx, Expr *expr)
{
	int			i = 0;
	ListCell   *lc;

	foreach(lc, cx->params)
	{
		if (equal(lfirst(lc), expr))
			return i;
		i++;
	}
	cx->params = lappend(cx->params, expr);
	return i;
}

static bool
Obstacle(DeparseContext *cx, const char *reason)
{
	cx->obstacle = reason;
	return false;
}

/* ---- constants ---- */

/*
 * Finds what cannot be computed before the scan: columns, aggregates, and
 * nodes that only mean something inside another one.
 */
static bool
NotConstantWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Const:
		case T_Param:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_SQLValueFunction:
		case T_ArrayExpr:
		case T_List:
			return expression_tree_walker(node, NotConstantWalker, context);
		default:
			return true;
	}
}

bool
IsRuntimeConstant(Expr *expr)
{
	return !NotConstantWalker((Node *) expr, NULL) && !contain_volatile_functions((Node *) expr);
}

/* Its sign would be lost where it is more than something to compare with. */
static bool
IsNegativeZero(Const *value)
{
	Oid			base = getBaseType(value->consttype);
	float8		number;

	if (value->constisnull || (base != FLOAT4OID && base != FLOAT8OID))
		return false;
	number = base == FLOAT4OID ? DatumGetFloat4(value->constvalue) : DatumGetFloat8(value->constvalue);
	return number == 0 && signbit(number);
}

static bool
DeparseConst(DeparseContext *cx, Const *value)
{
	if (EngineTypeName(value->consttype) == NULL)
		return Obstacle(cx, psprintf("type %s", format_type_be(value->consttype)));
	if (IsNegativeZero(value))
		return Obstacle(cx, "negative zero");
	if (!AppendLiteral(&cx->buf, value->consttype, value->constvalue, value->constisnull))
		return Obstacle(cx, "a value that the engine cannot hold");
	return true;
}

/*
 * A placeholder.  Numeric ones are not sent: only their value would say whether
 * the engine can hold them.
 */
static bool
DeparsePlaceholder(DeparseContext *cx, Expr *expr)
{
	Oid			typid = exprType((Node *) expr);

	if (EngineTypeName(typid) == NULL || getBaseType(typid) == NUMERICOID)
		return Obstacle(cx, psprintf("parameter of type %s", format_type_be(typid)));
	AppendMark(cx, DeparseParam(cx, expr));
	return true;
}

/* ---- columns ---- */

void
DeparseColumn(DeparseContext *cx, AttrNumber attnum)
{
	SourceColumn *column = SourceColumnOf(cx->source, attnum);
	char		type[64];

	cx->attnums = list_append_unique_int(cx->attnums, attnum);
	if (column->as_text || memcmp(&column->type, &column->stored, sizeof(LakeType)) == 0)
		appendStringInfo(&cx->buf, "f%d", column->field_id);
	else
		appendStringInfo(&cx->buf, "CAST(f%d AS %s)", column->field_id,
						 LakeTypeEngineName(column->type, type, sizeof(type)));
}

static bool
DeparseVar(DeparseContext *cx, Var *var)
{
	SourceColumn *column;

	if (var->varattno <= 0 || var->varlevelsup > 0)
		return Obstacle(cx, "a whole row or system column");
	column = SourceColumnOf(cx->source, var->varattno);
	if (column->as_text || EngineTypeName(column->typid) == NULL)
		return Obstacle(cx, psprintf("type %s", format_type_be(column->typid)));
	if (column->type.kind == LAKE_BINARY)
		DeparseText(cx, "(");
	DeparseColumn(cx, var->varattno);
	if (column->type.kind == LAKE_BINARY)
		DeparseText(cx, BLOB_GUARD ")");
	return true;
}

/*
 * IS NULL can be asked of any column, whatever its type means to the engine.
 */
static bool
DeparseAnyColumn(DeparseContext *cx, Expr *expr)
{
	Var		   *var = (Var *) expr;

	if (!IsA(expr, Var) || var->varattno <= 0 || var->varlevelsup > 0)
		return DeparseExpr(cx, expr);
	DeparseColumn(cx, var->varattno);
	return true;
}

/* ---- shapes of numerics ---- */

/*
 * One decimal type for both; false if it would have too many digits.
 */
static bool
CommonShape(DecimalShape a, DecimalShape b, DecimalShape *common)
{
	common->scale = Max(a.scale, b.scale);
	common->precision = Max(a.precision - a.scale, b.precision - b.scale) + common->scale;
	return common->precision <= MAX_DECIMAL_DIGITS;
}

/*
 * The shape of alternatives, of which one becomes the result: their scales must
 * be the same, since PostgreSQL shows each with its own.
 */
static bool
AlternativesShape(DeparseContext *cx, List *exprs, DecimalShape *shape)
{
	ListCell   *lc;

	shape->precision = 0;
	shape->scale = 0;
	foreach(lc, exprs)
	{
		DecimalShape one;

		if (!NumericShape(cx, lfirst(lc), &one))
			return false;
		if (one.precision == 0)
			continue;
		if (shape->precision > 0 && one.scale != shape->scale)
			return false;
		shape->scale = one.scale;
		shape->precision = Max(shape->precision, one.precision);
	}
	return true;
}

static bool
TypmodShape(Expr *typmod, DecimalShape *shape)
{
	int32		value;

	if (!IsA(typmod, Const) || ((Const *) typmod)->constisnull)
		return false;
	value = DatumGetInt32(((Const *) typmod)->constvalue) - VARHDRSZ;
	shape->precision = (value >> 16) & 0xffff;
	shape->scale = value & 0x7ff;
	return value >= 0 && shape->scale <= shape->precision && shape->precision <= MAX_DECIMAL_DIGITS;
}

static bool
FunctionShape(DeparseContext *cx, Oid function, List *args, DecimalShape *shape)
{
	DecimalShape a;
	DecimalShape b;

	switch (function)
	{
		case F_NUMERIC_INT2:
			*shape = (DecimalShape) {5, 0};
			return true;
		case F_NUMERIC_INT4:
			*shape = (DecimalShape) {10, 0};
			return true;
		case F_NUMERIC_INT8:
			*shape = (DecimalShape) {19, 0};
			return true;
		case F_EXTRACT_TEXT_DATE:
		case F_EXTRACT_TEXT_TIMESTAMP:
			*shape = (DecimalShape) {7, 0};
			return true;
		case F_NUMERIC_UMINUS:
		case F_NUMERIC_ABS:
		case F_ABS_NUMERIC:
			return NumericShape(cx, linitial(args), shape);
		case F_NUMERIC_NUMERIC_INT4:
			return TypmodShape(lsecond(args), shape);
		case F_NUMERIC_ADD:
		case F_NUMERIC_SUB:
			if (!NumericShape(cx, linitial(args), &a) || !NumericShape(cx, lsecond(args), &b) ||
				!CommonShape(a, b, shape))
				return false;
			shape->precision++;
			return shape->precision <= MAX_DECIMAL_DIGITS;
		case F_NUMERIC_MUL:
			if (!NumericShape(cx, linitial(args), &a) || !NumericShape(cx, lsecond(args), &b))
				return false;
			shape->precision = a.precision + b.precision;
			shape->scale = a.scale + b.scale;
			return shape->precision <= MAX_DECIMAL_DIGITS;
		default:
			return false;
	}
}

static bool
AggregateShape(DeparseContext *cx, Aggref *agg, DecimalShape *shape)
{
	Expr	   *arg = agg->args == NIL ? NULL : linitial_node(TargetEntry, agg->args)->expr;

	switch (agg->aggfnoid)
	{
		case F_SUM_INT8:
			*shape = (DecimalShape) {38, 0};
			return true;
		case F_SUM_NUMERIC:
			if (!NumericShape(cx, arg, shape) || shape->precision > MAX_SUMMED_DIGITS)
				return false;
			shape->precision = 38;
			return true;
		case F_MIN_NUMERIC:
		case F_MAX_NUMERIC:
			return NumericShape(cx, arg, shape);
		default:
			return false;
	}
}

static List *
CaseResults(CaseExpr *expr)
{
	List	   *results = list_make1(expr->defresult);
	ListCell   *lc;

	foreach(lc, expr->args)
		results = lappend(results, lfirst_node(CaseWhen, lc)->result);
	return results;
}

/*
 * Digits of a numeric expression in the engine; precision 0 for NULL.
 */
static bool
NumericShape(DeparseContext *cx, Expr *expr, DecimalShape *shape)
{
	if (expr == NULL || getBaseType(exprType((Node *) expr)) != NUMERICOID)
		return false;
	switch (nodeTag(expr))
	{
		case T_Var:
			{
				LakeType	type = SourceColumnOf(cx->source, ((Var *) expr)->varattno)->type;

				*shape = (DecimalShape) {type.precision, type.scale};
				return type.kind == LAKE_DECIMAL;
			}
		case T_Const:
			if (((Const *) expr)->constisnull)
			{
				*shape = (DecimalShape) {0, 0};
				return true;
			}
			return NumericValueShape(((Const *) expr)->constvalue, shape);
		case T_RelabelType:
			return NumericShape(cx, ((RelabelType *) expr)->arg, shape);
		case T_FuncExpr:
			return FunctionShape(cx, ((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->args, shape);
		case T_OpExpr:
			return FunctionShape(cx, get_opcode(((OpExpr *) expr)->opno), ((OpExpr *) expr)->args, shape);
		case T_NullIfExpr:
			return NumericShape(cx, linitial(((NullIfExpr *) expr)->args), shape);
		case T_CoalesceExpr:
			return AlternativesShape(cx, ((CoalesceExpr *) expr)->args, shape);
		case T_MinMaxExpr:
			return AlternativesShape(cx, ((MinMaxExpr *) expr)->args, shape);
		case T_CaseExpr:
			return AlternativesShape(cx, CaseResults((CaseExpr *) expr), shape);
		case T_Aggref:
			return AggregateShape(cx, (Aggref *) expr, shape);
		default:
			return false;
	}
}

/* ---- functions and operators ---- */

static bool
ConstArgument(List *args, int n, Const **value)
{
	*value = (Const *) list_nth(args, n);
	return IsA(*value, Const) && !(*value)->constisnull;
}

static bool
IntArgument(List *args, int n, int64 *number)
{
	Const	   *value;

	if (!ConstArgument(args, n, &value))
		return false;
	switch (value->consttype)
	{
		case INT2OID:
			*number = DatumGetInt16(value->constvalue);
			return true;
		case INT4OID:
			*number = DatumGetInt32(value->constvalue);
			return true;
		case INT8OID:
			*number = DatumGetInt64(value->constvalue);
			return true;
		default:
			return false;
	}
}

static bool
TextArgument(List *args, int n, char **result)
{
	Const	   *value;

	if (!ConstArgument(args, n, &value) || value->consttype != TEXTOID)
		return false;
	*result = TextDatumGetCString(value->constvalue);
	return true;
}

/*
 * A LIKE pattern must not end within an escape; PostgreSQL says so only for
 * strings that reach it.
 */
static bool
PatternIsWhole(const char *pattern)
{
	for (; *pattern != '\0'; pattern++)
		if (*pattern == '\\' && *++pattern == '\0')
			return false;
	return true;
}

static bool
PairFits(DeparseContext *cx, Expr *left, Expr *right)
{
	DecimalShape a;
	DecimalShape b;
	DecimalShape common;

	return NumericShape(cx, left, &a) && NumericShape(cx, right, &b) && CommonShape(a, b, &common);
}

/*
 * Are the conditions met under which a function may be shipped?
 */
static bool
NeedsAreMet(DeparseContext *cx, const FunctionRule *rule, List *args, Oid collation)
{
	int64		number;
	char	   *text;
	DecimalShape shape;

	if ((rule->needs & NEED_BYTE_ORDER) && !CollationByteOrder(collation))
		return Obstacle(cx, "text order of a collation other than C");
	if (!CollationByteEqual(collation))
		return Obstacle(cx, "nondeterministic collation");
	if ((rule->needs & NEED_DIVISOR) && (!IntArgument(args, 1, &number) || number == 0 || number == -1))
		return Obstacle(cx, "division by something else than a constant");
	if ((rule->needs & NEED_POSITION) &&
		(!IntArgument(args, 1, &number) || number < 1 ||
		 (list_length(args) > 2 && (!IntArgument(args, 2, &number) || number < 0))))
		return Obstacle(cx, "position that is not a positive constant");
	if ((rule->needs & NEED_PATTERN) && (!TextArgument(args, 1, &text) || !PatternIsWhole(text)))
		return Obstacle(cx, "pattern that is not a constant");
	if ((rule->needs & NEED_TEXT) && (!TextArgument(args, 1, &text) || text[0] == '\0'))
		return Obstacle(cx, "text that is not a constant");
	if ((rule->needs & NEED_DECIMAL_PAIR) && !PairFits(cx, linitial(args), lsecond(args)))
		return Obstacle(cx, "numeric not known to fit 38 digits");
	if ((rule->needs & NEED_DECIMAL_RESULT) && !FunctionShape(cx, rule->function, args, &shape))
		return Obstacle(cx, "numeric not known to fit 38 digits");
	return true;
}

/*
 * Write a rule's SQL, arguments in place of %1, %2, ...
 */
static bool
DeparseTemplate(DeparseContext *cx, const char *sql, List *args)
{
	for (const char *p = sql; *p != '\0'; p++)
	{
		if (p[0] == '%' && p[1] >= '1' && p[1] <= '9')
		{
			int			n = *++p - '1';

			if (n >= list_length(args) || !DeparseExpr(cx, list_nth(args, n)))
				return false;
		}
		else
			appendStringInfoChar(&cx->buf, *p);
	}
	return true;
}

/*
 * Is an expression a column without infinities?  That is checked again when the
 * statement runs.
 */
static bool
TakeAsFinite(DeparseContext *cx, Expr *expr)
{
	Var		   *var = (Var *) expr;

	if (!IsA(expr, Var) || var->varattno <= 0 || var->varlevelsup > 0 ||
		!SourceColumnFinite(cx->source, var->varattno))
		return Obstacle(cx, "field of a date that may be infinite");
	cx->finite = list_append_unique_int(cx->finite, var->varattno);
	return true;
}

/*
 * extract(), date_part() and date_trunc().
 */
static bool
DeparseField(DeparseContext *cx, Oid function, List *args)
{
	char	   *field;
	const FieldRule *rule = NULL;

	if (TextArgument(args, 0, &field))
		rule = function == F_DATE_TRUNC_TEXT_TIMESTAMP ? TruncRuleOf(field)
			: ExtractRuleOf(field, function == F_EXTRACT_TEXT_DATE);
	if (rule == NULL)
		return Obstacle(cx, "field of a date that is not on the list");
	if (rule->finite && !TakeAsFinite(cx, lsecond(args)))
		return false;
	if (rule->digits == 0)
		return DeparseTemplate(cx, rule->sql, args);
	DeparseText(cx, "CAST(");
	if (!DeparseTemplate(cx, rule->sql, args))
		return false;
	if (function == F_DATE_PART_TEXT_TIMESTAMP)
		DeparseText(cx, " AS DOUBLE)");
	else
		appendStringInfo(&cx->buf, " AS DECIMAL(%d,0))", rule->digits);
	return true;
}

/*
 * A numeric cast to a precision: rounds half away from zero in both systems.
 */
static bool
DeparseNumericCast(DeparseContext *cx, List *args)
{
	DecimalShape from;
	DecimalShape to;

	if (!NumericShape(cx, linitial(args), &from) || !TypmodShape(lsecond(args), &to) || from.precision == 0)
		return Obstacle(cx, "numeric not known to fit 38 digits");
	DeparseText(cx, "CAST(");
	if (!DeparseExpr(cx, linitial(args)))
		return false;
	appendStringInfo(&cx->buf, " AS DECIMAL(%d,%d))", to.precision, to.scale);
	return true;
}

static bool
DeparseCall(DeparseContext *cx, Oid function, List *args, Oid collation)
{
	const FunctionRule *rule;

	if (function == F_NUMERIC_NUMERIC_INT4)
		return DeparseNumericCast(cx, args);
	rule = FunctionRuleOf(function);
	if (rule == NULL)
		return Obstacle(cx, psprintf("function %s", format_procedure(function)));
	if (!NeedsAreMet(cx, rule, args, collation))
		return false;
	if (rule->needs & NEED_FIELD)
		return DeparseField(cx, function, args);
	return DeparseTemplate(cx, rule->sql, args);
}

/*
 * Equality of two expressions as an operator has it, for IS DISTINCT FROM and
 * NULLIF; the function must be an equality of the list.
 */
static bool
EqualityShippable(DeparseContext *cx, Oid function, List *args, Oid collation)
{
	const FunctionRule *rule = FunctionRuleOf(function);

	if (rule == NULL || rule->sql == NULL || strstr(rule->sql, "=") == NULL ||
		strpbrk(rule->sql, "<>") != NULL)
		return Obstacle(cx, psprintf("function %s", format_procedure(function)));
	return NeedsAreMet(cx, rule, args, collation);
}

static bool
DeparseDistinct(DeparseContext *cx, DistinctExpr *expr)
{
	if (!EqualityShippable(cx, get_opcode(expr->opno), expr->args, expr->inputcollid))
		return false;
	return DeparseTemplate(cx, "(%1 IS DISTINCT FROM %2)", expr->args);
}

static bool
DeparseNullIf(DeparseContext *cx, NullIfExpr *expr)
{
	if (!EqualityShippable(cx, get_opcode(expr->opno), expr->args, expr->inputcollid))
		return false;
	return DeparseTemplate(cx, "(CASE WHEN %1 = %2 THEN NULL ELSE %1 END)", expr->args);
}

/* ---- IN ---- */

static bool
ArrayElementsFit(DeparseContext *cx, Expr *left, Const *array)
{
	ArrayType  *values = DatumGetArrayTypeP(array->constvalue);
	ArrayIterator iterator = array_create_iterator(values, 0, NULL);
	DecimalShape shape;
	DecimalShape one;
	DecimalShape common;
	Datum		value;
	bool		isnull;

	if (!NumericShape(cx, left, &shape))
		return false;
	while (array_iterate(iterator, &value, &isnull))
		if (!isnull && (!NumericValueShape(value, &one) || !CommonShape(shape, one, &common)))
			return false;
	return true;
}

/*
 * Is an operator an equality that the engine's "=" is, for both its types?
 */
static bool
IsPlainEquality(Oid opno)
{
	const FunctionRule *rule = OidIsValid(opno) ? FunctionRuleOf(get_opcode(opno)) : NULL;

	return rule != NULL && rule->sql != NULL && strcmp(rule->sql, "(%1 = %2)") == 0;
}

/*
 * x = ANY (array) and x <> ALL (array).
 */
static bool
DeparseArrayOp(DeparseContext *cx, ScalarArrayOpExpr *expr)
{
	Expr	   *left = linitial(expr->args);
	Expr	   *array = lsecond(expr->args);
	Oid			element = get_element_type(exprType((Node *) array));
	Oid			equality = expr->useOr ? expr->opno : get_negator(expr->opno);

	if (!OidIsValid(element) || EngineTypeName(element) == NULL || !IsPlainEquality(equality))
		return Obstacle(cx, psprintf("operator %s with an array", format_operator(expr->opno)));
	if (!CollationByteEqual(expr->inputcollid))
		return Obstacle(cx, "nondeterministic collation");
	if (getBaseType(element) == NUMERICOID &&
		(!IsA(array, Const) || ((Const *) array)->constisnull || !ArrayElementsFit(cx, left, (Const *) array)))
		return Obstacle(cx, "numeric not known to fit 38 digits");
	DeparseText(cx, expr->useOr ? "(" : "(NOT ");
	if (!DeparseExpr(cx, left))
		return false;
	DeparseText(cx, " IN ");
	if (IsA(array, Const))
	{
		Const	   *value = (Const *) array;

		if (!AppendInList(&cx->buf, element, value->constvalue, value->constisnull))
			return Obstacle(cx, "a value that the engine cannot hold");
	}
	else if (IsRuntimeConstant(array))
		AppendMark(cx, DeparseParam(cx, array));
	else
		return Obstacle(cx, "array made of columns");
	DeparseText(cx, ")");
	return true;
}

/* ---- other expressions ---- */

static bool
DeparseList(DeparseContext *cx, List *exprs, const char *separator)
{
	ListCell   *lc;

	foreach(lc, exprs)
	{
		if (foreach_current_index(lc) > 0)
			DeparseText(cx, separator);
		if (!DeparseExpr(cx, lfirst(lc)))
			return false;
	}
	return true;
}

static bool
DeparseBool(DeparseContext *cx, BoolExpr *expr)
{
	DeparseText(cx, expr->boolop == NOT_EXPR ? "(NOT " : "(");
	if (!DeparseList(cx, expr->args, expr->boolop == AND_EXPR ? " AND " : " OR "))
		return false;
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseNullTest(DeparseContext *cx, NullTest *expr)
{
	if (expr->argisrow)
		return Obstacle(cx, "IS NULL of a row");
	DeparseText(cx, "(");
	if (!DeparseAnyColumn(cx, expr->arg))
		return false;
	DeparseText(cx, expr->nulltesttype == IS_NULL ? " IS NULL)" : " IS NOT NULL)");
	return true;
}

static bool
DeparseBooleanTest(DeparseContext *cx, BooleanTest *expr)
{
	static const char *const tests[] = {
		[IS_TRUE] = " IS NOT DISTINCT FROM TRUE)",
		[IS_NOT_TRUE] = " IS DISTINCT FROM TRUE)",
		[IS_FALSE] = " IS NOT DISTINCT FROM FALSE)",
		[IS_NOT_FALSE] = " IS DISTINCT FROM FALSE)",
		[IS_UNKNOWN] = " IS NULL)",
		[IS_NOT_UNKNOWN] = " IS NOT NULL)"
	};

	DeparseText(cx, "(");
	if (!DeparseExpr(cx, expr->arg))
		return false;
	DeparseText(cx, tests[expr->booltesttype]);
	return true;
}

/*
 * Where PostgreSQL's type is no more than another name of the same values.
 */
static bool
DeparseRelabel(DeparseContext *cx, RelabelType *expr)
{
	const char *from = EngineTypeName(exprType((Node *) expr->arg));
	const char *to = EngineTypeName(expr->resulttype);

	if (from == NULL || to == NULL || strcmp(from, to) != 0)
		return Obstacle(cx, psprintf("cast to %s", format_type_be(expr->resulttype)));
	return DeparseExpr(cx, expr->arg);
}

/*
 * Are the alternatives of one engine type, so that none is converted?
 */
static bool
AlternativesFit(DeparseContext *cx, List *exprs, Oid result)
{
	DecimalShape shape;

	if (EngineTypeName(result) == NULL)
		return Obstacle(cx, psprintf("type %s", format_type_be(result)));
	if (getBaseType(result) == NUMERICOID && !AlternativesShape(cx, exprs, &shape))
		return Obstacle(cx, "numerics of different scales");
	return true;
}

static bool
DeparseCase(DeparseContext *cx, CaseExpr *expr)
{
	Expr	   *outer = cx->case_arg;
	ListCell   *lc;

	if (!AlternativesFit(cx, CaseResults(expr), expr->casetype))
		return false;
	DeparseText(cx, "(CASE");
	foreach(lc, expr->args)
	{
		CaseWhen   *when = lfirst_node(CaseWhen, lc);
		bool		ok;

		DeparseText(cx, " WHEN ");
		cx->case_arg = expr->arg ? expr->arg : outer;
		ok = DeparseExpr(cx, when->expr);
		cx->case_arg = outer;
		DeparseText(cx, " THEN ");
		if (!ok || !DeparseExpr(cx, when->result))
			return false;
	}
	DeparseText(cx, " ELSE ");
	if (expr->defresult == NULL)
		DeparseText(cx, "NULL");
	else if (!DeparseExpr(cx, expr->defresult))
		return false;
	DeparseText(cx, " END)");
	return true;
}

static bool
DeparseCaseTest(DeparseContext *cx)
{
	Expr	   *arg = cx->case_arg;
	bool		ok;

	if (arg == NULL)
		return Obstacle(cx, "expression of an unknown kind");
	cx->case_arg = NULL;
	ok = DeparseExpr(cx, arg);
	cx->case_arg = arg;
	return ok;
}

static bool
DeparseCoalesce(DeparseContext *cx, CoalesceExpr *expr)
{
	if (!AlternativesFit(cx, expr->args, expr->coalescetype))
		return false;
	DeparseText(cx, "COALESCE(");
	if (!DeparseList(cx, expr->args, ", "))
		return false;
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseMinMax(DeparseContext *cx, MinMaxExpr *expr)
{
	if (!AlternativesFit(cx, expr->args, expr->minmaxtype))
		return false;
	if (OidIsValid(expr->inputcollid) && !CollationByteOrder(expr->inputcollid))
		return Obstacle(cx, "text order of a collation other than C");
	DeparseText(cx, expr->op == IS_GREATEST ? "greatest(" : "least(");
	if (!DeparseList(cx, expr->args, ", "))
		return false;
	DeparseText(cx, ")");
	return true;
}

/* ---- aggregates ---- */

static bool
AggregateShippable(DeparseContext *cx, Aggref *agg, const AggregateRule *rule)
{
	ListCell   *lc;

	if (rule == NULL)
		return Obstacle(cx, psprintf("aggregate %s", format_procedure(agg->aggfnoid)));
	if (agg->aggsplit != AGGSPLIT_SIMPLE || agg->aggkind != AGGKIND_NORMAL || agg->agglevelsup > 0 ||
		agg->aggvariadic)
		return Obstacle(cx, "aggregate computed in parts");
	if (agg->aggorder != NIL)
		return Obstacle(cx, "ORDER BY inside an aggregate");
	if (rule->byte_order && !CollationByteOrder(agg->inputcollid))
		return Obstacle(cx, "text order of a collation other than C");
	if (!CollationByteEqual(agg->inputcollid))
		return Obstacle(cx, "nondeterministic collation");
	foreach(lc, agg->aggdistinct)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *arg = get_sortgroupclause_expr(clause, agg->args) ?
			(Expr *) get_sortgroupclause_expr(clause, agg->args) : NULL;

		if (arg == NULL || !IsDefaultEquality(clause->eqop, exprType((Node *) arg)))
			return Obstacle(cx, "DISTINCT by an operator of its own");
	}
	return true;
}

/*
 * A call, %a being what stands inside its parentheses; with its FILTER.
 */
static bool
DeparseAggregateCall(DeparseContext *cx, Aggref *agg, const char *sql)
{
	bool		outer = cx->aggregates;
	bool		ok = true;

	cx->aggregates = false;
	for (const char *p = sql; *p != '\0' && ok; p++)
	{
		if (p[0] == '%' && p[1] == 'a')
		{
			p++;
			DeparseText(cx, agg->aggdistinct != NIL ? "DISTINCT " : "");
			ok = DeparseExpr(cx, linitial_node(TargetEntry, agg->args)->expr);
		}
		else
			appendStringInfoChar(&cx->buf, *p);
	}
	if (ok && agg->aggfilter != NULL)
	{
		DeparseText(cx, " FILTER (WHERE ");
		ok = DeparseExpr(cx, agg->aggfilter);
		DeparseText(cx, ")");
	}
	cx->aggregates = outer;
	return ok;
}

/*
 * A sum or average of floating-point numbers, which overflows to an error in
 * PostgreSQL: the engine gives infinity.
 */
static bool
DeparseFloatSum(DeparseContext *cx, Aggref *agg, const char *sql)
{
	DeparseText(cx, "(CASE WHEN NOT isfinite(");
	if (!DeparseAggregateCall(cx, agg, sql))
		return false;
	DeparseText(cx, ") AND ");
	if (!DeparseAggregateCall(cx, agg, "bool_and(isfinite(%a))"))
		return false;
	DeparseText(cx, " THEN error('22003:value out of range: overflow') ELSE ");
	if (!DeparseAggregateCall(cx, agg, sql))
		return false;
	DeparseText(cx, " END)");
	return true;
}

static bool
DeparseAggregate(DeparseContext *cx, Aggref *agg)
{
	const AggregateRule *rule = AggregateRuleOf(agg->aggfnoid);
	DecimalShape shape;

	if (!cx->aggregates)
		return Obstacle(cx, "aggregate");
	if (!AggregateShippable(cx, agg, rule))
		return false;
	if (getBaseType(agg->aggtype) == NUMERICOID && !AggregateShape(cx, agg, &shape))
		return Obstacle(cx, "numeric that the engine cannot compute");
	if (rule->kind == AGGREGATE_AVERAGE)
		return Obstacle(cx, "average inside an expression");
	if (rule->kind == AGGREGATE_FLOAT_SUM)
	{
		/* Twice the same value is not finite only if it is not finite once. */
		if (agg->aggdistinct != NIL)
			return Obstacle(cx, "sum of distinct floating-point numbers");
		return DeparseFloatSum(cx, agg, rule->sql);
	}
	if (rule->type != NULL)
		DeparseText(cx, "CAST(");
	if (!DeparseAggregateCall(cx, agg, rule->sql))
		return false;
	if (rule->type != NULL)
		appendStringInfo(&cx->buf, " AS %s)", rule->type);
	return true;
}

bool
IsAverage(Expr *expr)
{
	const AggregateRule *rule;

	if (!IsA(expr, Aggref))
		return false;
	rule = AggregateRuleOf(((Aggref *) expr)->aggfnoid);
	return rule != NULL && rule->kind == AGGREGATE_AVERAGE;
}

/*
 * An exact average: sum and count, to be divided by PostgreSQL.
 */
static bool
DeparseAverage(DeparseContext *cx, Aggref *agg)
{
	const AggregateRule *rule = AggregateRuleOf(agg->aggfnoid);
	DecimalShape shape = {0, 0};

	if (!AggregateShippable(cx, agg, rule))
		return false;
	if (agg->aggfnoid == F_AVG_NUMERIC &&
		(!NumericShape(cx, linitial_node(TargetEntry, agg->args)->expr, &shape) ||
		 shape.precision > MAX_SUMMED_DIGITS))
		return Obstacle(cx, "numeric that the engine cannot compute");
	DeparseText(cx, "CAST(");
	if (!DeparseAggregateCall(cx, agg, "sum(%a)"))
		return false;
	appendStringInfo(&cx->buf, " AS DECIMAL(38,%d)), ", shape.scale);
	return DeparseAggregateCall(cx, agg, "count(%a)");
}

bool
DeparseOutput(DeparseContext *cx, Expr *expr)
{
	if (IsAverage(expr))
		return DeparseAverage(cx, (Aggref *) expr);
	return DeparseExpr(cx, expr);
}

/* ---- entry ---- */

bool
DeparseExpr(DeparseContext *cx, Expr *expr)
{
	if (expr == NULL)
		return Obstacle(cx, "expression of an unknown kind");
	if (IsA(expr, Const))
		return DeparseConst(cx, (Const *) expr);
	if (IsRuntimeConstant(expr))
		return DeparsePlaceholder(cx, expr);
	switch (nodeTag(expr))
	{
		case T_Var:
			return DeparseVar(cx, (Var *) expr);
		case T_FuncExpr:
			return DeparseCall(cx, ((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->args,
							   ((FuncExpr *) expr)->inputcollid);
		case T_OpExpr:
			return DeparseCall(cx, get_opcode(((OpExpr *) expr)->opno), ((OpExpr *) expr)->args,
							   ((OpExpr *) expr)->inputcollid);
		case T_DistinctExpr:
			return DeparseDistinct(cx, (DistinctExpr *) expr);
		case T_NullIfExpr:
			return DeparseNullIf(cx, (NullIfExpr *) expr);
		case T_ScalarArrayOpExpr:
			return DeparseArrayOp(cx, (ScalarArrayOpExpr *) expr);
		case T_BoolExpr:
			return DeparseBool(cx, (BoolExpr *) expr);
		case T_NullTest:
			return DeparseNullTest(cx, (NullTest *) expr);
		case T_BooleanTest:
			return DeparseBooleanTest(cx, (BooleanTest *) expr);
		case T_RelabelType:
			return DeparseRelabel(cx, (RelabelType *) expr);
		case T_CaseExpr:
			return DeparseCase(cx, (CaseExpr *) expr);
		case T_CaseTestExpr:
			return DeparseCaseTest(cx);
		case T_CoalesceExpr:
			return DeparseCoalesce(cx, (CoalesceExpr *) expr);
		case T_MinMaxExpr:
			return DeparseMinMax(cx, (MinMaxExpr *) expr);
		case T_Aggref:
			return DeparseAggregate(cx, (Aggref *) expr);
		default:
			return Obstacle(cx, "expression of an unknown kind");
	}
}

bool
ExprShippable(LakeSource *source, Expr *expr, bool aggregates, const char **obstacle)
{
	DeparseContext *cx = DeparseBegin(source);

	cx->aggregates = aggregates;
	if (DeparseExpr(cx, expr))
		return true;
	*obstacle = cx->obstacle;
	return false;
}

bool
OutputShippable(LakeSource *source, Expr *expr, const char **obstacle)
{
	DeparseContext *cx = DeparseBegin(source);

	cx->aggregates = true;
	if (DeparseOutput(cx, expr))
		return true;
	*obstacle = cx->obstacle;
	return false;
}

bool
ExprSortable(Expr *expr, Oid collation, bool *byte_order)
{
	*byte_order = !OidIsValid(collation) || CollationByteOrder(collation);
	return EngineTypeName(exprType((Node *) expr)) != NULL && CollationByteEqual(collation);
}
