/*
 * expr.c
 *		Expressions of PostgreSQL as engine SQL.
 *
 * Functions and operators have to be on the allow-list (shippable.c).  A char(n)
 * is a text without its trailing blanks in the engine, so that comparing,
 * grouping and joining are those of PostgreSQL; where blanks count, they are
 * put back.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "base/compat.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "client/engine.h"
#include "fdw/deparse.h"
#include "fdw/keys.h"
#include "fdw/regex.h"
#include "fdw/shippable.h"
#include "fdw/simplify.h"
#include "fdw/times.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

static Oid
TypeOf(Expr *expr)
{
	return getBaseType(exprType((Node *) expr));
}

/* ---- forms ---- */

static bool
VarForm(DeparseContext *cx, Var *var, ValueForm *form)
{
	DeparseScope *scope;
	DeparseScope *inner = cx->scope;
	DeparseRel *rel = DeparseRelOf(cx, var, &scope);
	SourceColumn *column;
	bool		ok;

	if (rel == NULL)
		return Obstacle(cx, "column of another table");
	if (var->varattno <= 0)
		return Obstacle(cx, "a whole row or system column");
	if (rel->aliases != NIL && var->varattno <= list_length(rel->aliases))
	{
		cx->scope = scope;
		ok = FormOf(cx, list_nth(rel->aliases, var->varattno - 1), form);
		cx->scope = inner;
		return ok;
	}
	if (rel->source == NULL)
	{
		if (var->varattno > list_length(rel->forms))
			return Obstacle(cx, "a whole row or system column");
		*form = *(ValueForm *) list_nth(rel->forms, var->varattno - 1);
		return true;
	}
	column = SourceColumnOf(rel->source, var->varattno);
	form->rel = rel;
	form->attnum = var->varattno;
	form->opaque = column->as_text || EngineTypeName(column->typid) == NULL;
	if (getBaseType(column->typid) == NUMERICOID)
	{
		form->shape = (DecimalShape) {column->type.precision, column->type.scale};
		if (column->type.kind != LAKE_DECIMAL)
			form->kind = NUMERIC_TEXT;

		/* What has no precision is kept as PostgreSQL writes it. */
		if (cx->whole && column->as_text)
			form->opaque = false;
	}
	else if (getBaseType(column->typid) == BPCHAROID && column->typmod > (int32) VARHDRSZ)
		form->width = column->typmod - VARHDRSZ;
	return true;
}

static List *
CaseResults(CaseExpr *expr)
{
	List	   *results = NIL;
	ListCell   *lc;

	if (expr->defresult != NULL)
		results = list_make1(expr->defresult);
	foreach(lc, expr->args)
		results = lappend(results, lfirst_node(CaseWhen, lc)->result);
	return results;
}

static bool
MinMaxForm(DeparseContext *cx, MinMaxExpr *expr, ValueForm *form)
{
	return AlternativesForm(cx, expr->args, form) &&
		(form->kind == NUMERIC_FIXED || Obstacle(cx, "numerics of different scales"));
}

static List *
AggregateArguments(Aggref *agg)
{
	List	   *args = NIL;
	ListCell   *lc;

	foreach(lc, agg->args)
		args = lappend(args, lfirst_node(TargetEntry, lc)->expr);
	return args;
}

static bool
NumericForm(DeparseContext *cx, Expr *expr, ValueForm *form)
{
	switch (nodeTag(expr))
	{
		case T_Const:
			if (((Const *) expr)->constisnull)
				return true;
			return NumericValueShape(((Const *) expr)->constvalue, &form->shape) ||
				Obstacle(cx, "a value that the engine cannot hold");
		case T_FuncExpr:
			if (((FuncExpr *) expr)->funcid == F_EXTRACT_TEXT_DATE ||
				((FuncExpr *) expr)->funcid == F_EXTRACT_TEXT_TIMESTAMP ||
				((FuncExpr *) expr)->funcid == F_EXTRACT_TEXT_TIMESTAMPTZ)
				return ExtractShape(((FuncExpr *) expr)->args, &form->shape) ||
					Obstacle(cx, "field of a date that is not on the list");
			return NumericFunctionForm(cx, ((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->args, form);
		case T_OpExpr:
			return NumericFunctionForm(cx, get_opcode(((OpExpr *) expr)->opno), ((OpExpr *) expr)->args, form);
		case T_NullIfExpr:
			return FormOf(cx, linitial(((NullIfExpr *) expr)->args), form);
		case T_CoalesceExpr:
			return AlternativesForm(cx, ((CoalesceExpr *) expr)->args, form);
		case T_MinMaxExpr:
			return MinMaxForm(cx, (MinMaxExpr *) expr, form);
		case T_CaseExpr:
			return AlternativesForm(cx, CaseResults((CaseExpr *) expr), form);
		case T_Aggref:
			return AggregateForm(cx, ((Aggref *) expr)->aggfnoid, AggregateArguments((Aggref *) expr),
								 ((Aggref *) expr)->aggtype, form);
		case T_WindowFunc:
			return AggregateForm(cx, ((WindowFunc *) expr)->winfnoid, ((WindowFunc *) expr)->args,
								 ((WindowFunc *) expr)->wintype, form);
		default:
			return Obstacle(cx, "numeric that the engine cannot compute");
	}
}

/*
 * The width of a char(n), where all alternatives have the same; else it is
 * left unknown.
 */
static bool
BlankedForm(DeparseContext *cx, Expr *expr, ValueForm *form)
{
	List	   *alternatives = NIL;
	ListCell   *lc;

	switch (nodeTag(expr))
	{
		case T_Const:
			if (!((Const *) expr)->constisnull)
				form->width = DatumGetInt32(DirectFunctionCall1(textlen, ((Const *) expr)->constvalue));
			return true;
		case T_Aggref:
			alternatives = AggregateArguments((Aggref *) expr);
			break;
		case T_WindowFunc:
			alternatives = list_make1(linitial(((WindowFunc *) expr)->args));
			break;
		case T_CaseExpr:
			alternatives = CaseResults((CaseExpr *) expr);
			break;
		case T_CoalesceExpr:
			alternatives = ((CoalesceExpr *) expr)->args;
			break;
		default:
			return true;
	}
	foreach(lc, alternatives)
	{
		ValueForm	one;

		if (!FormOf(cx, lfirst(lc), &one))
			return false;
		if (foreach_current_index(lc) > 0 && one.width != form->width)
			one.width = 0;
		form->width = one.width;
		if (one.width == 0)
			break;
	}
	return true;
}

bool
FormOf(DeparseContext *cx, Expr *expr, ValueForm *form)
{
	Oid			type = TypeOf(expr);
	Expr	   *outer = cx->case_arg;
	bool		ok;

	memset(form, 0, sizeof(*form));
	if (IsA(expr, Var))
		return VarForm(cx, (Var *) expr, form);
	if (IsA(expr, SubLink))
		return SubLinkForm(cx, (SubLink *) expr, form);
	if (IsA(expr, Param) && ((Param *) expr)->paramkind == PARAM_SUBLINK)
		return SubLinkParamForm(cx, (Param *) expr, form);
	if (IsA(expr, RelabelType) && TypeOf(((RelabelType *) expr)->arg) == type)
		return FormOf(cx, ((RelabelType *) expr)->arg, form);
	if (IsA(expr, CaseTestExpr) && outer != NULL)
	{
		cx->case_arg = NULL;
		ok = FormOf(cx, outer, form);
		cx->case_arg = outer;
		return ok;
	}
	if (type == BPCHAROID)
		return BlankedForm(cx, expr, form);
	if (type != NUMERICOID)
		return true;
	if (!IsA(expr, Const) && IsRuntimeConstant(expr))
	{
		form->kind = NUMERIC_TEXT;
		return true;
	}
	return NumericForm(cx, expr, form);
}

/* ---- arguments ---- */

bool
ConstArgument(List *args, int n, Const **value)
{
	if (n >= list_length(args))
		return false;
	*value = (Const *) list_nth(args, n);
	return IsA(*value, Const) && !(*value)->constisnull;
}

bool
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

bool
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

/* ---- functions and operators ---- */

static bool
CollationFits(DeparseContext *cx, uint32 needs, Oid collation)
{
	if ((needs & NEED_BYTE_ORDER) && !CollationByteOrder(collation))
		return Obstacle(cx, "text order of a collation other than C");
	return CollationByteEqual(collation) || Obstacle(cx, "nondeterministic collation");
}

/*
 * Are the conditions met under which a function may be shipped?
 */
static bool
NeedsAreMet(DeparseContext *cx, const FunctionRule *rule, List *args, Oid collation)
{
	int64		number;
	char	   *text;
	ValueForm	form;

	if (!CollationFits(cx, rule->needs, collation))
		return false;
	if ((rule->needs & NEED_DIVISOR) && !cx->whole &&
		(!IntArgument(args, 1, &number) || number == 0 || number == -1))
		return Obstacle(cx, "division by something else than a constant");
	if ((rule->needs & NEED_WHOLE) && !cx->whole)
		return Obstacle(cx, psprintf("function %s", format_procedure(rule->function)));
	if ((rule->needs & NEED_POSITION) &&
		(!IntArgument(args, 1, &number) || number < 1 ||
		 (list_length(args) > 2 && (!IntArgument(args, 2, &number) || number < 0))))
		return Obstacle(cx, "position that is not a positive constant");
	if ((rule->needs & NEED_PATTERN) && (!TextArgument(args, 1, &text) || !PatternIsWhole(text)))
		return Obstacle(cx, "pattern that is not a constant");
	if ((rule->needs & NEED_TEXT) && (!TextArgument(args, 1, &text) || text[0] == '\0'))
		return Obstacle(cx, "text that is not a constant");
	if ((rule->needs & NEED_COUNT) && !IntArgument(args, 1, &number))
		return Obstacle(cx, "number of characters that is not a constant");
	if ((rule->needs & NEED_BLANKS) && (!FormOf(cx, linitial(args), &form) || form.width == 0))
		return Obstacle(cx, "character of unknown length");
	return true;
}

bool
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
		else if (p[0] == '%' && p[1] == 'w')
		{
			ValueForm	form;

			p++;
			if (!FormOf(cx, linitial(args), &form))
				return false;
			DeparsePrintf(cx, "%d", form.width);
		}
		else
			appendStringInfoChar(&cx->buf, *p);
	}
	return true;
}

/*
 * What depends on how the collation maps case: %c is its locale, %p a LIKE
 * pattern in lower case, %r a regular expression as the engine reads it.
 */
static bool
DeparseLocalized(DeparseContext *cx, const FunctionRule *rule, const char *sql, List *args, Oid collation)
{
	char	   *locale = CollationLocale(collation);
	char	   *pattern = NULL;

	if ((rule->needs & NEED_LOCALE) && locale == NULL)
		return Obstacle(cx, "case of a collation that is not the C library's");
	if (rule->needs & NEED_REGEX)
	{
		bool		fold = rule->function == F_TEXTICREGEXEQ || rule->function == F_TEXTICREGEXNE;
		char	   *text;

		if (!TextArgument(args, 1, &text) || !RegexForEngine(text, fold, locale, &pattern))
			return Obstacle(cx, "regular expression that the engine may read otherwise");
	}
	else if (rule->needs & NEED_LOWER)
		pattern = TextDatumGetCString(DirectFunctionCall1Coll(lower, collation,
															  ((Const *) lsecond(args))->constvalue));
	for (const char *p = sql; *p != '\0'; p++)
	{
		if (p[0] == '%' && p[1] == '1')
		{
			if (!DeparseExpr(cx, linitial(args)))
				return false;
		}
		else if (p[0] == '%' && p[1] == 'c')
			DeparseText(cx, EngineQuoteLiteral(locale));
		else if (p[0] == '%')
			DeparseText(cx, EngineQuoteLiteral(pattern));
		else
		{
			appendStringInfoChar(&cx->buf, *p);
			continue;
		}
		p++;
	}
	return true;
}

/*
 * DuckDB computes with the other side of a comparison what stands beside a
 * constant (i + 1 > 5 as i > 4), and so does not notice an overflow: then a
 * function that it cannot look into is called.
 */
static bool
NeedsChecked(List *args)
{
	ListCell   *lc;

	foreach(lc, args)
		if (IsRuntimeConstant(lfirst(lc)))
			return true;
	return false;
}

/*
 * Keys that a join looks for: see keys.c.  Too many are not all there.
 */
static bool
DeparseKeys(DeparseContext *cx, Expr *key, Expr *keys)
{
	FuncExpr   *count;
	Expr	   *many;

	if (!IsRuntimeConstant(keys))
		return Obstacle(cx, "keys of a join that are not known");
	count = makeFuncExpr(F_CARDINALITY, INT4OID, list_make1(copyObject(keys)), InvalidOid, InvalidOid,
						 COERCE_EXPLICIT_CALL);
	many = make_opclause(Int4LessOperator, BOOLOID, false,
						 (Expr *) makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
											Int32GetDatum(MAX_JOIN_KEYS), false, true),
						 (Expr *) count, InvalidOid, InvalidOid);
	set_opfuncid((OpExpr *) many);
	DeparseText(cx, "(");
	DeparseMark(cx, DeparseParam(cx, many));
	DeparseText(cx, " OR ");
	if (!DeparseExpr(cx, key))
		return false;
	DeparseText(cx, " IN ");
	DeparseMark(cx, DeparseParam(cx, keys));
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseCall(DeparseContext *cx, Oid function, List *args, Oid collation)
{
	const FunctionRule *rule;
	int64		number;
	char	   *pattern;
	bool		checked;

	if (IsNumericFunction(function))
		return DeparseNumericFunction(cx, function, args);
	if (IsTimeFunction(function))
		return DeparseTimeFunction(cx, function, args);
	if (IsKeyFunction(function))
		return DeparseKeys(cx, linitial(args), lsecond(args));
	rule = FunctionRuleOf(function);
	if (rule == NULL)
		return Obstacle(cx, psprintf("function %s", format_procedure(function)));
	if (!NeedsAreMet(cx, rule, args, collation))
		return false;
	if (rule->needs & NEED_PATTERN)
		checked = TextArgument(args, 1, &pattern) && strchr(pattern, '\\') == NULL;
	else if (rule->needs & NEED_DIVISOR)
		checked = !IntArgument(args, 1, &number) || number == 0 || number == -1;
	else
		checked = rule->checked_sql != NULL && NeedsChecked(args);
	if (rule->needs & (NEED_LOCALE | NEED_REGEX))
		return DeparseLocalized(cx, rule, checked ? rule->checked_sql : rule->sql, args, collation);
	return DeparseTemplate(cx, checked ? rule->checked_sql : rule->sql, args);
}

/*
 * Equality of two expressions as an operator has it, for IS DISTINCT FROM and
 * NULLIF; the function must be an equality of the list.
 */
static bool
EqualityShippable(DeparseContext *cx, Oid function, List *args, Oid collation)
{
	const FunctionRule *rule = FunctionRuleOf(function);
	ValueForm	left;
	ValueForm	right;
	DecimalShape common;

	if (function == F_NUMERIC_EQ)
		return FormOf(cx, linitial(args), &left) && FormOf(cx, lsecond(args), &right) &&
			((left.kind == NUMERIC_FIXED && right.kind == NUMERIC_FIXED &&
			  CommonShape(left.shape, right.shape, &common)) ||
			 Obstacle(cx, "numeric not known to fit 38 digits"));
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
	ValueForm	form;
	DecimalShape one;
	DecimalShape common;
	Datum		value;
	bool		isnull;

	if (!FormOf(cx, left, &form) || form.kind == NUMERIC_TEXT)
		return false;
	while (array_iterate(iterator, &value, &isnull))
		if (!isnull && (!NumericValueShape(value, &one) || !CommonShape(form.shape, one, &common)))
			return false;
	return true;
}

/*
 * Is an operator an equality that the engine's "=" is, for both its types?
 */
static bool
IsPlainEquality(Oid opno)
{
	Oid			function = OidIsValid(opno) ? get_opcode(opno) : InvalidOid;
	const FunctionRule *rule = OidIsValid(function) ? FunctionRuleOf(function) : NULL;

	return function == F_NUMERIC_EQ ||
		(rule != NULL && rule->sql != NULL && strcmp(rule->sql, "(%1 = %2)") == 0);
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
	if (IsA(array, Const) && !((Const *) array)->constisnull && !IsA(left, Var) &&
		ArrayGetNItems(ARR_NDIM(DatumGetArrayTypeP(((Const *) array)->constvalue)),
					   ARR_DIMS(DatumGetArrayTypeP(((Const *) array)->constvalue))) == 0)
		return Obstacle(cx, "empty array beside an expression that may fail");
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
		DeparseMark(cx, DeparseParam(cx, array));
	else if (IsA(array, ArrayExpr) && !((ArrayExpr *) array)->multidims &&
			 ((ArrayExpr *) array)->elements != NIL)
	{
		DeparseText(cx, "(");
		if (!DeparseList(cx, ((ArrayExpr *) array)->elements, ", "))
			return false;
		DeparseText(cx, ")");
	}
	else
		return Obstacle(cx, "array made of columns");
	DeparseText(cx, ")");
	return true;
}

/* ---- other expressions ---- */

bool
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

/*
 * (a, b) < (x, y): by the first column in which they differ.
 */
static bool
DeparseRowCompare(DeparseContext *cx, RowCompareExpr *expr)
{
	int			n = list_length(expr->opnos);

	for (int i = 0; i < n; i++)
	{
		Oid			opno = list_nth_oid(expr->opnos, i);
		Oid			collation = list_nth_oid(expr->inputcollids, i);
		List	   *args = list_make2(list_nth(expr->largs, i), list_nth(expr->rargs, i));
		Oid			left = exprType(linitial(args));
		Oid			right = exprType(lsecond(args));
		bool		last = i == n - 1;
		Oid			family = list_nth_oid(expr->opfamilies, i);
		int			strategy = RowComparison(expr);
		Oid			strict;
		Oid			equal = get_opfamily_member(family, left, right, BTEqualStrategyNumber);

		if (strategy == BTLessEqualStrategyNumber)
			strategy = BTLessStrategyNumber;
		else if (strategy == BTGreaterEqualStrategyNumber)
			strategy = BTGreaterStrategyNumber;
		strict = last ? opno : get_opfamily_member(family, left, right, strategy);
		if (!OidIsValid(strict) || !OidIsValid(equal))
			return Obstacle(cx, "comparison of rows");
		DeparseText(cx, "(");
		if (!DeparseCall(cx, get_opcode(strict), args, collation))
			return false;
		if (last)
			break;
		DeparseText(cx, " OR (");
		if (!DeparseCall(cx, get_opcode(equal), args, collation))
			return false;
		DeparseText(cx, " AND ");
	}
	DeparseText(cx, ")");
	for (int i = 1; i < n; i++)
		DeparseText(cx, "))");
	return true;
}

static bool
DeparseNullTest(DeparseContext *cx, NullTest *expr)
{
	if (expr->argisrow)
		return Obstacle(cx, "IS NULL of a row");
	DeparseText(cx, "(");
	if (!DeparseAny(cx, expr->arg))
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
	Oid			from_type = TypeOf(expr->arg);
	Oid			to_type = getBaseType(expr->resulttype);
	const char *from = EngineTypeName(from_type);
	const char *to = EngineTypeName(to_type);
	bool		strip = to_type == BPCHAROID && from_type != BPCHAROID;

	if (from == NULL || to == NULL || strcmp(from, to) != 0 ||
		(from_type == BPCHAROID && to_type != BPCHAROID))
		return Obstacle(cx, psprintf("cast to %s", format_type_be(expr->resulttype)));
	DeparseText(cx, strip ? "rtrim(" : "");
	if (!DeparseExpr(cx, expr->arg))
		return false;
	DeparseText(cx, strip ? ", ' ')" : "");
	return true;
}

/*
 * Are the alternatives of one engine type, so that none is converted?  In a
 * form that can be any of them.
 */
static bool
AlternativesFit(DeparseContext *cx, List *exprs, Oid result, ValueForm *form)
{
	memset(form, 0, sizeof(*form));
	if (EngineTypeName(result) == NULL)
		return Obstacle(cx, psprintf("type %s", format_type_be(result)));
	return getBaseType(result) != NUMERICOID || AlternativesForm(cx, exprs, form);
}

static bool
DeparseCase(DeparseContext *cx, CaseExpr *expr)
{
	Expr	   *outer = cx->case_arg;
	ValueForm	form;
	ListCell   *lc;

	if (!AlternativesFit(cx, CaseResults(expr), expr->casetype, &form))
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
		if (!ok || !DeparseAlternative(cx, when->result, &form))
			return false;
	}
	DeparseText(cx, " ELSE ");
	if (expr->defresult == NULL)
		DeparseText(cx, "NULL");
	else if (!DeparseAlternative(cx, expr->defresult, &form))
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
	ValueForm	form;
	ListCell   *lc;

	if (!AlternativesFit(cx, expr->args, expr->coalescetype, &form))
		return false;
	DeparseText(cx, "COALESCE(");
	foreach(lc, expr->args)
	{
		DeparseText(cx, foreach_current_index(lc) > 0 ? ", " : "");
		if (!DeparseAlternative(cx, lfirst(lc), &form))
			return false;
	}
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseMinMax(DeparseContext *cx, MinMaxExpr *expr)
{
	ValueForm	form;

	if (EngineTypeName(expr->minmaxtype) == NULL)
		return Obstacle(cx, psprintf("type %s", format_type_be(expr->minmaxtype)));
	if (getBaseType(expr->minmaxtype) == NUMERICOID && !MinMaxForm(cx, expr, &form))
		return false;
	if (OidIsValid(expr->inputcollid) && !CollationByteOrder(expr->inputcollid))
		return Obstacle(cx, "text order of a collation other than C");
	DeparseText(cx, expr->op == IS_GREATEST ? "greatest(" : "least(");
	if (!DeparseList(cx, expr->args, ", "))
		return false;
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseGrouping(DeparseContext *cx, GroupingFunc *expr)
{
	if (!cx->aggregates || expr->agglevelsup > 0)
		return Obstacle(cx, "GROUPING of an outer query");
	DeparseText(cx, "CAST(GROUPING(");
	if (!DeparseList(cx, expr->args, ", "))
		return false;
	DeparseText(cx, ") AS INTEGER)");
	return true;
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
		case T_Param:
			return DeparseSubLinkParam(cx, (Param *) expr);
		case T_Var:
			return DeparseVar(cx, (Var *) expr);
		case T_FuncExpr:
			return DeparseCall(cx, ((FuncExpr *) expr)->funcid, ((FuncExpr *) expr)->args,
							   ((FuncExpr *) expr)->inputcollid);
		case T_OpExpr:
			expr = (Expr *) SimplifyComparison((OpExpr *) expr);
			return DeparseCall(cx, get_opcode(((OpExpr *) expr)->opno), ((OpExpr *) expr)->args,
							   ((OpExpr *) expr)->inputcollid);
		case T_DistinctExpr:
			return DeparseDistinct(cx, (DistinctExpr *) expr);
		case T_NullIfExpr:
			return DeparseNullIf(cx, (NullIfExpr *) expr);
		case T_RowCompareExpr:
			return DeparseRowCompare(cx, (RowCompareExpr *) expr);
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
		case T_GroupingFunc:
			return DeparseGrouping(cx, (GroupingFunc *) expr);
		case T_WindowFunc:
			return DeparseWindowFunc(cx, (WindowFunc *) expr);
		case T_SubLink:
			return DeparseSubLink(cx, (SubLink *) expr);
		default:
			return Obstacle(cx, "expression of an unknown kind");
	}
}

/*
 * What leaves a query: a numeric of mixed scales as text.
 */
bool
DeparseOutput(DeparseContext *cx, Expr *expr, ValueForm *form)
{
	if (!FormOf(cx, expr, form))
		return false;
	if (form->opaque)
		return DeparseAny(cx, expr);
	if (TypeOf(expr) == NUMERICOID && form->kind == NUMERIC_MIXED)
	{
		form->kind = NUMERIC_TEXT;
		return DeparseNumericText(cx, expr);
	}
	if (TypeOf(expr) == NUMERICOID && form->kind == NUMERIC_FIXED && form->shape.precision == 0)
	{
		DeparseText(cx, "CAST(NULL AS DECIMAL(1,0))");
		return true;
	}
	return DeparseExpr(cx, expr);
}

/*
 * What goes to PostgreSQL: a char(n) has its blanks again.  plain: the
 * expression need not be the one that rows are grouped by.
 */
bool
DeparseResult(DeparseContext *cx, Expr *expr, bool plain, ValueForm *form)
{
	if (TypeOf(expr) != BPCHAROID)
		return DeparseOutput(cx, expr, form);
	if (!FormOf(cx, expr, form))
		return false;
	if (form->opaque || exprTypmod((Node *) expr) >= 0)
		return plain ? DeparseAny(cx, expr) : DeparseExpr(cx, expr);
	if (form->width == 0)
		return Obstacle(cx, "character of unknown length");
	DeparseText(cx, "rpad(");
	if (!DeparseExpr(cx, expr))
		return false;
	DeparsePrintf(cx, ", %d, ' ')", form->width);
	return true;
}

/*
 * DuckDB returns what it sorts by as it stands in its sort key, where zero has no
 * sign: such a column is sorted by an expression.  DISTINCT allows none.
 */
static bool
LosesSign(DeparseContext *cx, Expr *expr)
{
	Oid			type = TypeOf(expr);

	return (type == FLOAT8OID || type == FLOAT4OID) &&
		(cx->scope == NULL || cx->scope->query == NULL || cx->scope->query->distinctClause == NIL);
}

bool
DeparseSortKey(DeparseContext *cx, Expr *expr, Oid collation)
{
	ValueForm	form;
	bool		byte_order;

	if (!ExprSortable(expr, collation, &byte_order) || !byte_order)
		return Obstacle(cx, "order of a collation or type of its own");
	if (!FormOf(cx, expr, &form))
		return false;
	if (LosesSign(cx, expr))
		return DeparseTemplate(cx, TypeOf(expr) == FLOAT8OID ? "shard_add_float8(%1, CAST(0 AS DOUBLE))"
							   : "shard_add_float4(%1, CAST(0 AS FLOAT))", list_make1(expr));
	if (TypeOf(expr) != NUMERICOID || form.kind != NUMERIC_TEXT)
		return DeparseExpr(cx, expr);
	DeparseText(cx, "shard_num_key(");
	if (!DeparseExpr(cx, expr))
		return false;
	DeparseText(cx, ")");
	return true;
}

bool
DeparseGroupKey(DeparseContext *cx, Expr *expr)
{
	ValueForm	form;
	bool		byte_order;

	if (!ExprSortable(expr, exprCollation((Node *) expr), &byte_order))
		return Obstacle(cx, "equality of its own");
	if (!FormOf(cx, expr, &form))
		return false;
	if (TypeOf(expr) == NUMERICOID && form.kind != NUMERIC_FIXED)
		return Obstacle(cx, "grouping by a numeric of many scales");
	return DeparseExpr(cx, expr);
}

bool
ExprShippable(List *tables, Expr *expr, bool aggregates, const char **obstacle)
{
	DeparseContext *cx = DeparseBegin(tables);

	cx->aggregates = aggregates;
	if (DeparseExpr(cx, expr))
		return true;
	*obstacle = cx->obstacle;
	return false;
}

bool
OutputShippable(List *tables, Expr *expr, const char **obstacle)
{
	DeparseContext *cx = DeparseBegin(tables);
	ValueForm	form;

	cx->aggregates = true;
	if (DeparseResult(cx, expr, false, &form) && !form.opaque)
		return true;
	*obstacle = cx->obstacle != NULL ? cx->obstacle : "type that the engine does not know";
	return false;
}

bool
ExprSortable(Expr *expr, Oid collation, bool *byte_order)
{
	*byte_order = !OidIsValid(collation) || CollationByteOrder(collation);
	return EngineTypeName(exprType((Node *) expr)) != NULL && CollationByteEqual(collation);
}
