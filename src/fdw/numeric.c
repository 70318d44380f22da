/*
 * numeric.c
 *		Expressions of type numeric as engine SQL.
 *
 * A numeric of PostgreSQL has as many digits as it needs and remembers how many
 * decimals it shows.  The engine's decimals have at most 38 digits and the scale
 * of their type.  So the form of each intermediate result is computed here:
 * - FIXED: a decimal whose scale is the one that PostgreSQL shows.  Sums, products
 *   and what is stored are of this form while they fit 38 digits.
 * - MIXED: one of several decimals of different scales (CASE WHEN ... THEN price
 *   ELSE 0 END): a decimal of the largest scale, and an expression for its own.
 * - TEXT: what PostgreSQL would print.  The result of a division, whose scale
 *   depends on its operands' values, of rounding, and of everything above 38
 *   digits; the engine computes on it by functions of ours (engine/numeric.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fdw/deparse.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

typedef enum NumericResult
{
	RESULT_OTHER,				/* not a numeric */
	RESULT_SUM,					/* one digit more than both */
	RESULT_PRODUCT,
	RESULT_SAME,				/* as the first argument */
	RESULT_INTEGER,				/* of as many digits as the rule says */
	RESULT_TEXT
} NumericResult;

typedef struct NumericRule
{
	Oid			function;
	NumericResult result;
	int			digits;
	const char *sql;			/* over decimals; NULL = only over text */
	const char *text_sql;		/* over text */
	bool		may_fail;		/* where PostgreSQL may not: in a whole statement only */
} NumericRule;

#define COMPARE(function, op) \
	{function, RESULT_OTHER, 0, "(%1 " op " %2)", "(shard_num_cmp(%1, %2) " op " 0)"}

static const NumericRule rules[] = {
	COMPARE(F_NUMERIC_EQ, "="),
	COMPARE(F_NUMERIC_NE, "<>"),
	COMPARE(F_NUMERIC_LT, "<"),
	COMPARE(F_NUMERIC_LE, "<="),
	COMPARE(F_NUMERIC_GT, ">"),
	COMPARE(F_NUMERIC_GE, ">="),
	{F_NUMERIC_ADD, RESULT_SUM, 0, "(%1 + %2)", "shard_num_add(%1, %2)"},
	{F_NUMERIC_SUB, RESULT_SUM, 0, "(%1 - %2)", "shard_num_sub(%1, %2)"},
	{F_NUMERIC_MUL, RESULT_PRODUCT, 0, "(%1 * %2)", "shard_num_mul(%1, %2)"},
	{F_NUMERIC_DIV, RESULT_TEXT, 0, NULL, "shard_num_div(%1, %2)", true},
	{F_NUMERIC_MOD, RESULT_TEXT, 0, NULL, "shard_num_mod(%1, %2)", true},
	{F_MOD_NUMERIC_NUMERIC, RESULT_TEXT, 0, NULL, "shard_num_mod(%1, %2)", true},
	{F_NUMERIC_UMINUS, RESULT_SAME, 0, "(- %1)", "shard_num_neg(%1)"},
	{F_NUMERIC_UPLUS, RESULT_SAME, 0, "%1", "%1"},
	{F_NUMERIC_ABS, RESULT_SAME, 0, "abs(%1)", "shard_num_abs(%1)"},
	{F_ABS_NUMERIC, RESULT_SAME, 0, "abs(%1)", "shard_num_abs(%1)"},
	{F_ROUND_NUMERIC_INT4, RESULT_TEXT, 0, NULL, "shard_num_round(%1, %2)"},
	{F_TRUNC_NUMERIC_INT4, RESULT_TEXT, 0, NULL, "shard_num_trunc(%1, %2)"},
	{F_CEIL_NUMERIC, RESULT_TEXT, 0, NULL, "shard_num_ceil(%1)"},
	{F_CEILING_NUMERIC, RESULT_TEXT, 0, NULL, "shard_num_ceil(%1)"},
	{F_FLOOR_NUMERIC, RESULT_TEXT, 0, NULL, "shard_num_floor(%1)"},
	{F_NUMERIC_INT2, RESULT_INTEGER, 5, "CAST(%1 AS DECIMAL(5,0))", "CAST(%1 AS DECIMAL(5,0))"},
	{F_NUMERIC_INT4, RESULT_INTEGER, 10, "CAST(%1 AS DECIMAL(10,0))", "CAST(%1 AS DECIMAL(10,0))"},
	{F_NUMERIC_INT8, RESULT_INTEGER, 19, "CAST(%1 AS DECIMAL(19,0))", "CAST(%1 AS DECIMAL(19,0))"},
	{F_INT4_NUMERIC, RESULT_OTHER, 0, NULL, "CAST(shard_num_round(%1, 0) AS INTEGER)", true},
	{F_INT8_NUMERIC, RESULT_OTHER, 0, NULL, "CAST(shard_num_round(%1, 0) AS BIGINT)", true},
	{F_FLOAT8_NUMERIC, RESULT_OTHER, 0, NULL, "CAST(%1 AS DOUBLE)"},
};

static const NumericRule *
RuleOf(Oid function)
{
	for (int i = 0; i < lengthof(rules); i++)
		if (rules[i].function == function)
			return &rules[i];
	return NULL;
}

bool
IsNumericFunction(Oid function)
{
	return function == F_NUMERIC_NUMERIC_INT4 || RuleOf(function) != NULL;
}

static bool
IsNumeric(Expr *expr)
{
	return getBaseType(exprType((Node *) expr)) == NUMERICOID;
}

/* ---- forms ---- */

/*
 * One decimal type for both; false if it would have too many digits.
 */
bool
CommonShape(DecimalShape a, DecimalShape b, DecimalShape *common)
{
	common->scale = Max(a.scale, b.scale);
	common->precision = Max(a.precision - a.scale, b.precision - b.scale) + common->scale;
	return common->precision <= MAX_DECIMAL_DIGITS;
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
HasForms(DeparseContext *cx, List *args, ValueForm *forms)
{
	ListCell   *lc;

	foreach(lc, args)
	{
		ValueForm  *form = &forms[foreach_current_index(lc)];

		memset(form, 0, sizeof(ValueForm));
		if (IsNumeric(lfirst(lc)) && !FormOf(cx, lfirst(lc), form))
			return false;
		if (form->opaque)
			return Obstacle(cx, "numeric that is kept as text");
	}
	return true;
}

/*
 * Are all numerics among the arguments decimals of their own scale?
 */
static bool
AllFixed(List *args, const ValueForm *forms)
{
	ListCell   *lc;

	foreach(lc, args)
		if (IsNumeric(lfirst(lc)) && forms[foreach_current_index(lc)].kind != NUMERIC_FIXED)
			return false;
	return true;
}

/*
 * Digits of a result over decimals; false if they are too many, or could be.
 */
static bool
ResultShape(DeparseContext *cx, const NumericRule *rule, const ValueForm *args, DecimalShape *shape)
{
	switch (rule->result)
	{
		case RESULT_SUM:
			if (!CommonShape(args[0].shape, args[1].shape, shape))
				return false;
			shape->precision++;
			return shape->precision <= MAX_DECIMAL_DIGITS;
		case RESULT_PRODUCT:
			shape->precision = args[0].shape.precision + args[1].shape.precision;
			shape->scale = args[0].shape.scale + args[1].shape.scale;
			if (!cx->whole)
				return shape->precision <= MAX_DECIMAL_DIGITS;
			/* The engine says so if a value has more. */
			shape->precision = Min(shape->precision, MAX_DECIMAL_DIGITS);
			return shape->scale < MAX_DECIMAL_DIGITS;
		case RESULT_SAME:
			*shape = args[0].shape;
			return true;
		case RESULT_INTEGER:
			*shape = (DecimalShape) {rule->digits, 0};
			return true;
		default:
			return false;
	}
}

bool
NumericFunctionForm(DeparseContext *cx, Oid function, List *args, ValueForm *form)
{
	const NumericRule *rule = RuleOf(function);
	ValueForm	forms[2];

	memset(form, 0, sizeof(*form));
	if (function == F_NUMERIC_NUMERIC_INT4)
		return TypmodShape(lsecond(args), &form->shape) ||
			Obstacle(cx, "numeric not known to fit 38 digits");
	if (rule == NULL || list_length(args) > 2)
		return Obstacle(cx, "numeric that the engine cannot compute");
	if (rule->may_fail && !cx->whole)
		return Obstacle(cx, "numeric division");
	if (!HasForms(cx, args, forms))
		return false;
	if (rule->result == RESULT_OTHER)
		return true;
	form->kind = AllFixed(args, forms) && ResultShape(cx, rule, forms, &form->shape)
		? NUMERIC_FIXED : NUMERIC_TEXT;
	return true;
}

bool
AlternativesForm(DeparseContext *cx, List *exprs, ValueForm *form)
{
	ListCell   *lc;

	memset(form, 0, sizeof(*form));
	foreach(lc, exprs)
	{
		ValueForm	one;
		DecimalShape common;

		if (lfirst(lc) == NULL)
			continue;
		if (!FormOf(cx, lfirst(lc), &one))
			return false;
		if (one.opaque)
			return Obstacle(cx, "numeric that is kept as text");
		if (one.kind == NUMERIC_TEXT || form->kind == NUMERIC_TEXT)
		{
			form->kind = NUMERIC_TEXT;
			continue;
		}
		if (one.shape.precision == 0)
			continue;
		if (form->shape.precision == 0)
		{
			*form = one;
			continue;
		}
		if (one.kind == NUMERIC_MIXED || one.shape.scale != form->shape.scale)
			form->kind = NUMERIC_MIXED;
		if (CommonShape(one.shape, form->shape, &common))
			form->shape = common;
		else
			form->kind = NUMERIC_TEXT;
	}
	return true;
}

/* ---- writing ---- */

bool
DeparseNumericScale(DeparseContext *cx, Expr *expr)
{
	ValueForm	form;
	ListCell   *lc;

	if (!FormOf(cx, expr, &form))
		return false;
	if (form.kind == NUMERIC_FIXED)
	{
		DeparsePrintf(cx, "%d", form.shape.scale);
		return true;
	}
	if (IsA(expr, RelabelType))
		return DeparseNumericScale(cx, ((RelabelType *) expr)->arg);
	if (IsA(expr, CaseExpr))
	{
		CaseExpr   *cases = (CaseExpr *) expr;
		Expr	   *outer = cx->case_arg;

		DeparseText(cx, "(CASE");
		foreach(lc, cases->args)
		{
			CaseWhen   *when = lfirst_node(CaseWhen, lc);
			bool		ok;

			DeparseText(cx, " WHEN ");
			cx->case_arg = cases->arg ? cases->arg : outer;
			ok = DeparseExpr(cx, when->expr);
			cx->case_arg = outer;
			DeparseText(cx, " THEN ");
			if (!ok || !DeparseNumericScale(cx, when->result))
				return false;
		}
		DeparseText(cx, " ELSE ");
		if (cases->defresult == NULL)
			DeparseText(cx, "0");
		else if (!DeparseNumericScale(cx, cases->defresult))
			return false;
		DeparseText(cx, " END)");
		return true;
	}
	if (IsA(expr, CoalesceExpr))
	{
		DeparseText(cx, "(CASE");
		foreach(lc, ((CoalesceExpr *) expr)->args)
		{
			DeparseText(cx, " WHEN ");
			if (!DeparseExpr(cx, lfirst(lc)))
				return false;
			DeparseText(cx, " IS NOT NULL THEN ");
			if (!DeparseNumericScale(cx, lfirst(lc)))
				return false;
		}
		DeparseText(cx, " ELSE 0 END)");
		return true;
	}
	return Obstacle(cx, "numerics of different scales");
}

bool
DeparseNumericText(DeparseContext *cx, Expr *expr)
{
	ValueForm	form;

	if (!FormOf(cx, expr, &form))
		return false;
	if (form.kind == NUMERIC_TEXT)
		return DeparseExpr(cx, expr);
	DeparseText(cx, form.kind == NUMERIC_MIXED ? "shard_num_rescale(CAST(" : "CAST(");
	if (!DeparseExpr(cx, expr))
		return false;
	DeparseText(cx, " AS VARCHAR)");
	if (form.kind == NUMERIC_FIXED)
		return true;
	DeparseText(cx, ", ");
	if (!DeparseNumericScale(cx, expr))
		return false;
	DeparseText(cx, ")");
	return true;
}

bool
DeparseAlternative(DeparseContext *cx, Expr *expr, const ValueForm *form)
{
	if (!IsNumeric(expr) || form->kind == NUMERIC_FIXED)
		return DeparseExpr(cx, expr);
	if (form->kind == NUMERIC_TEXT)
		return DeparseNumericText(cx, expr);
	DeparseText(cx, "CAST(");
	if (!DeparseExpr(cx, expr))
		return false;
	DeparsePrintf(cx, " AS DECIMAL(%d,%d))", form->shape.precision, form->shape.scale);
	return true;
}

/*
 * Write a rule's SQL over text.
 */
static bool
DeparseTextTemplate(DeparseContext *cx, const char *sql, List *args)
{
	for (const char *p = sql; *p != '\0'; p++)
	{
		if (p[0] == '%' && p[1] >= '1' && p[1] <= '9')
		{
			Expr	   *arg = list_nth(args, *++p - '1');

			if (!(IsNumeric(arg) ? DeparseNumericText(cx, arg) : DeparseExpr(cx, arg)))
				return false;
		}
		else
			appendStringInfoChar(&cx->buf, *p);
	}
	return true;
}

/*
 * A numeric cast to a precision rounds half away from zero in both systems.
 */
static bool
DeparseTypmodCast(DeparseContext *cx, List *args)
{
	ValueForm	from;
	DecimalShape to;
	Expr	   *arg = linitial(args);

	if (!FormOf(cx, arg, &from) || !TypmodShape(lsecond(args), &to))
		return Obstacle(cx, "numeric not known to fit 38 digits");
	DeparseText(cx, "CAST(");
	if (from.kind == NUMERIC_TEXT)
	{
		DeparseText(cx, "shard_num_round(");
		if (!DeparseExpr(cx, arg))
			return false;
		DeparsePrintf(cx, ", %d)", to.scale);
	}
	else if (!DeparseExpr(cx, arg))
		return false;
	DeparsePrintf(cx, " AS DECIMAL(%d,%d))", to.precision, to.scale);
	return true;
}

/*
 * Can two numerics be compared as decimals?  A parameter can, if PostgreSQL
 * steps in for a value with too many digits.
 */
static bool
ComparesAsDecimals(DeparseContext *cx, List *args, const ValueForm *forms)
{
	DecimalShape common;

	if (forms[0].kind != NUMERIC_TEXT && forms[1].kind != NUMERIC_TEXT)
		return CommonShape(forms[0].shape, forms[1].shape, &common);
	return false;
}

/*
 * "column op parameter" in a whole statement.
 */
static bool
DeparseWithParameter(DeparseContext *cx, const NumericRule *rule, List *args, const ValueForm *forms,
					 bool *done)
{
	int			param = forms[0].kind == NUMERIC_TEXT ? 0 : 1;
	Expr	   *expr = list_nth(args, param);

	*done = false;
	if (!cx->whole || forms[1 - param].kind == NUMERIC_TEXT || IsA(expr, Const) || !IsRuntimeConstant(expr))
		return true;
	*done = true;
	for (const char *p = rule->sql; *p != '\0'; p++)
	{
		if (p[0] != '%')
			appendStringInfoChar(&cx->buf, *p);
		else if (*++p - '1' == param)
			DeparseMark(cx, DeparseParam(cx, expr));
		else if (!DeparseExpr(cx, list_nth(args, 1 - param)))
			return false;
	}
	return true;
}

static bool
DeparseComparison(DeparseContext *cx, const NumericRule *rule, List *args, const ValueForm *forms)
{
	bool		done;

	if (ComparesAsDecimals(cx, args, forms))
		return DeparseTemplate(cx, rule->sql, args);
	if (!DeparseWithParameter(cx, rule, args, forms, &done))
		return false;
	return done || DeparseTextTemplate(cx, rule->text_sql, args);
}

/*
 * Would DuckDB compute with 64 bits what needs more?  It does where both sides
 * have up to 18 digits, and gives up when a result has more.  Inside an aggregate
 * of a whole statement that is the quicker way, and PostgreSQL steps in.
 */
static bool
NeedsWider(DeparseContext *cx, const NumericRule *rule, const ValueForm *forms, const ValueForm *result)
{
	return (rule->result == RESULT_SUM || rule->result == RESULT_PRODUCT) &&
		result->shape.precision > MAX_INT64_DIGITS && forms[0].shape.precision <= MAX_INT64_DIGITS &&
		forms[1].shape.precision <= MAX_INT64_DIGITS && !(cx->whole && cx->in_aggregate);
}

/*
 * The first operand with so many digits that the engine takes 128 bits.
 */
static bool
DeparseWider(DeparseContext *cx, const NumericRule *rule, List *args, const ValueForm *forms,
			 const ValueForm *result)
{
	DeparseText(cx, "CAST(");
	for (const char *p = rule->sql; *p != '\0'; p++)
	{
		int			n;

		if (*p != '%')
		{
			appendStringInfoChar(&cx->buf, *p);
			continue;
		}
		n = *++p - '1';
		DeparseText(cx, n == 0 ? "CAST(" : "");
		if (!DeparseExpr(cx, list_nth(args, n)))
			return false;
		if (n == 0)
			DeparsePrintf(cx, " AS DECIMAL(%d,%d))", MAX_INT64_DIGITS + 1, forms[0].shape.scale);
	}
	DeparsePrintf(cx, " AS DECIMAL(%d,%d))", result->shape.precision, result->shape.scale);
	return true;
}

bool
DeparseNumericFunction(DeparseContext *cx, Oid function, List *args)
{
	const NumericRule *rule = RuleOf(function);
	ValueForm	forms[2];
	ValueForm	form;

	if (!NumericFunctionForm(cx, function, args, &form))
		return false;
	if (function == F_NUMERIC_NUMERIC_INT4)
		return DeparseTypmodCast(cx, args);
	if (!HasForms(cx, args, forms))
		return false;
	if (rule->result == RESULT_OTHER && rule->sql != NULL)
		return DeparseComparison(cx, rule, args, forms);
	if (rule->result == RESULT_OTHER || form.kind == NUMERIC_TEXT)
		return DeparseTextTemplate(cx, rule->text_sql, args);
	if (NeedsWider(cx, rule, forms, &form))
		return DeparseWider(cx, rule, args, forms, &form);
	return DeparseTemplate(cx, rule->sql, args);
}
