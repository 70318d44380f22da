/*
 * aggregate.c
 *		Aggregates and window functions as engine SQL.
 *
 * An average of exact numbers is their sum divided by their count, as PostgreSQL
 * divides.  A sum of floating-point numbers that becomes infinite is an error
 * there; here it is one of ours.  What depends on the order of rows is shipped
 * only with an ORDER BY of its own.
 */
#include "postgres.h"

#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "fdw/aggregate.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

/* A sum of up to 10^12 such values has at most 38 digits. */
#define MAX_SUMMED_DIGITS 26

typedef struct WindowRule
{
	Oid			function;
	const char *sql;			/* %1 ... for arguments */
} WindowRule;

static const WindowRule window_rules[] = {
	{F_ROW_NUMBER, "row_number()"},
	{F_RANK_, "rank()"},
	{F_DENSE_RANK_, "dense_rank()"},
	{F_PERCENT_RANK_, "percent_rank()"},
	{F_CUME_DIST_, "cume_dist()"},
	{F_NTILE, "CAST(ntile(%1)"},
	{F_LAG_ANYELEMENT, "lag(%1)"},
	{F_LAG_ANYELEMENT_INT4, "lag(%1, %2)"},
	{F_LEAD_ANYELEMENT, "lead(%1)"},
	{F_LEAD_ANYELEMENT_INT4, "lead(%1, %2)"},
	{F_FIRST_VALUE, "first_value(%1)"},
	{F_LAST_VALUE, "last_value(%1)"},
};

static const char *
WindowRuleOf(Oid function)
{
	for (int i = 0; i < lengthof(window_rules); i++)
		if (window_rules[i].function == function)
			return window_rules[i].sql;
	return NULL;
}

/* ---- forms ---- */

bool
AggregateForm(DeparseContext *cx, Oid function, List *args, Oid type, ValueForm *form)
{
	Expr	   *arg = args == NIL ? NULL : linitial(args);
	ValueForm	of;

	memset(form, 0, sizeof(*form));
	memset(&of, 0, sizeof(of));
	if (getBaseType(type) != NUMERICOID)
		return true;
	if (arg != NULL && !FormOf(cx, arg, &of))
		return false;
	if (of.opaque)
		return Obstacle(cx, "numeric that is kept as text");
	switch (function)
	{
		case F_SUM_INT8:
			form->shape = (DecimalShape) {38, 0};
			return true;
		case F_SUM_NUMERIC:
			if (of.kind == NUMERIC_TEXT || (!cx->whole && of.shape.precision > MAX_SUMMED_DIGITS))
				return Obstacle(cx, "sum of numerics not known to fit 38 digits");
			form->kind = of.kind == NUMERIC_FIXED ? NUMERIC_FIXED : NUMERIC_TEXT;
			form->shape = (DecimalShape) {38, of.shape.scale};
			return true;
		case F_AVG_NUMERIC:
			if (of.kind == NUMERIC_TEXT || (!cx->whole && of.shape.precision > MAX_SUMMED_DIGITS))
				return Obstacle(cx, "average of numerics not known to fit 38 digits");
			/* FALLTHROUGH */
		case F_AVG_INT2:
		case F_AVG_INT4:
		case F_AVG_INT8:
			form->kind = NUMERIC_TEXT;
			return true;
		case F_VAR_SAMP_INT2:
		case F_VAR_SAMP_INT4:
		case F_VAR_SAMP_INT8:
		case F_VAR_SAMP_NUMERIC:
		case F_VARIANCE_INT2:
		case F_VARIANCE_INT4:
		case F_VARIANCE_INT8:
		case F_VARIANCE_NUMERIC:
		case F_VAR_POP_INT2:
		case F_VAR_POP_INT4:
		case F_VAR_POP_INT8:
		case F_VAR_POP_NUMERIC:
		case F_STDDEV_SAMP_INT2:
		case F_STDDEV_SAMP_INT4:
		case F_STDDEV_SAMP_INT8:
		case F_STDDEV_SAMP_NUMERIC:
		case F_STDDEV_INT2:
		case F_STDDEV_INT4:
		case F_STDDEV_INT8:
		case F_STDDEV_NUMERIC:
		case F_STDDEV_POP_INT2:
		case F_STDDEV_POP_INT4:
		case F_STDDEV_POP_INT8:
		case F_STDDEV_POP_NUMERIC:
			form->kind = NUMERIC_TEXT;
			return VarianceForm(cx, arg, &of);
		case F_MIN_NUMERIC:
		case F_MAX_NUMERIC:
			*form = of;
			return of.kind == NUMERIC_FIXED || Obstacle(cx, "numerics of different scales");
		default:
			if (WindowRuleOf(function) == NULL && function != F_PERCENTILE_DISC_FLOAT8_ANYELEMENT)
				return Obstacle(cx, psprintf("aggregate %s", format_procedure(function)));
			*form = of;
			return of.kind == NUMERIC_FIXED || Obstacle(cx, "numerics of different scales");
	}
}

/* ---- windows ---- */

static bool
DeparseSortClauses(DeparseContext *cx, const char *keyword, List *clauses, List *tlist)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *expr = (Expr *) get_sortgroupclause_expr(clause, tlist);

		if (IsA(expr, Const))
			continue;
		DeparseText(cx, keyword);
		if (!DeparseOrderItem(cx, clause, expr))
			return false;
		keyword = ", ";
	}
	return true;
}

bool
DeparseOrderItem(DeparseContext *cx, SortGroupClause *clause, Expr *expr)
{
	bool		descending;

	if (!IsDefaultSortOperator(clause->sortop, exprType((Node *) expr)))
		return Obstacle(cx, "order by an operator of its own");
	descending = IsDescendingOperator(clause->sortop, exprType((Node *) expr));
	if (!DeparseSortKey(cx, expr, exprCollation((Node *) expr)))
		return false;
	DeparseText(cx, descending ? " DESC" : " ASC");
	DeparseText(cx, clause->nulls_first ? " NULLS FIRST" : " NULLS LAST");
	return true;
}

static bool
DeparseBound(DeparseContext *cx, int options, int preceding, int following, int unbounded, int current,
			 Node *offset)
{
	if (options & current)
		DeparseText(cx, "CURRENT ROW");
	else if (options & unbounded)
		DeparseText(cx, (options & preceding) ? "UNBOUNDED PRECEDING" : "UNBOUNDED FOLLOWING");
	else
	{
		if (!IsA(offset, Const) || ((Const *) offset)->constisnull ||
			((Const *) offset)->consttype != INT8OID || DatumGetInt64(((Const *) offset)->constvalue) < 0)
			return Obstacle(cx, "frame of a window that is not constant");
		DeparsePrintf(cx, INT64_FORMAT " %s", DatumGetInt64(((Const *) offset)->constvalue),
					  (options & preceding) ? "PRECEDING" : "FOLLOWING");
	}
	return true;
}

static bool
DeparseFrame(DeparseContext *cx, WindowClause *window)
{
	int			options = window->frameOptions;

	if (!(options & FRAMEOPTION_NONDEFAULT))
		return true;
	if ((options & FRAMEOPTION_RANGE) &&
		(options & (FRAMEOPTION_START_OFFSET | FRAMEOPTION_END_OFFSET)))
		return Obstacle(cx, "frame of a window by the distance of values");
	DeparseText(cx, (options & FRAMEOPTION_RANGE) ? " RANGE BETWEEN "
				: (options & FRAMEOPTION_ROWS) ? " ROWS BETWEEN " : " GROUPS BETWEEN ");
	if (!DeparseBound(cx, options, FRAMEOPTION_START_UNBOUNDED_PRECEDING | FRAMEOPTION_START_OFFSET_PRECEDING,
					  0, FRAMEOPTION_START_UNBOUNDED_PRECEDING | FRAMEOPTION_START_UNBOUNDED_FOLLOWING,
					  FRAMEOPTION_START_CURRENT_ROW, window->startOffset))
		return false;
	DeparseText(cx, " AND ");
	if (!DeparseBound(cx, options, FRAMEOPTION_END_UNBOUNDED_PRECEDING | FRAMEOPTION_END_OFFSET_PRECEDING,
					  0, FRAMEOPTION_END_UNBOUNDED_PRECEDING | FRAMEOPTION_END_UNBOUNDED_FOLLOWING,
					  FRAMEOPTION_END_CURRENT_ROW, window->endOffset))
		return false;
	if (options & FRAMEOPTION_EXCLUDE_CURRENT_ROW)
		DeparseText(cx, " EXCLUDE CURRENT ROW");
	else if (options & FRAMEOPTION_EXCLUDE_GROUP)
		DeparseText(cx, " EXCLUDE GROUP");
	else if (options & FRAMEOPTION_EXCLUDE_TIES)
		DeparseText(cx, " EXCLUDE TIES");
	return true;
}

static bool
DeparseOver(DeparseContext *cx, WindowClause *window)
{
	List	   *tlist = cx->scope->query->targetList;
	ListCell   *lc;

	DeparseText(cx, " OVER (");
	foreach(lc, window->partitionClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *expr = (Expr *) get_sortgroupclause_expr(clause, tlist);

		DeparseText(cx, foreach_current_index(lc) == 0 ? "PARTITION BY " : ", ");
		if (!IsDefaultEquality(clause->eqop, exprType((Node *) expr)))
			return Obstacle(cx, "equality of its own");
		if (!DeparseGroupKey(cx, expr))
			return false;
	}
	if (!DeparseSortClauses(cx, window->partitionClause != NIL ? " ORDER BY " : "ORDER BY ",
							window->orderClause, tlist) ||
		!DeparseFrame(cx, window))
		return false;
	DeparseText(cx, ")");
	return true;
}

static WindowClause *
WindowOf(DeparseContext *cx, Index winref)
{
	ListCell   *lc;

	foreach(lc, cx->scope->query->windowClause)
		if (lfirst_node(WindowClause, lc)->winref == winref)
			return lfirst(lc);
	return NULL;
}

/* ---- calls ---- */

/*
 * The order of an aggregate's input, if the call has one; DISTINCT sorts in
 * PostgreSQL, too.
 */
static bool
DeparseInnerOrder(DeparseContext *cx, AggregateCall *call)
{
	if (call->agg == NULL)
		return true;
	if (call->agg->aggorder != NIL)
		return DeparseSortClauses(cx, " ORDER BY ", call->agg->aggorder, call->agg->args);
	return DeparseSortClauses(cx, " ORDER BY ", call->agg->aggdistinct, call->agg->args);
}

/*
 * An argument.  PostgreSQL computes it only for rows that pass the filter, the
 * engine for all: what may fail waits for the filter.
 */
static bool
DeparseArgument(DeparseContext *cx, AggregateCall *call, Node *arg)
{
	bool		ok;

	if (call->filter == NULL || IsA(arg, Var) || IsA(arg, Const))
		return DeparseAny(cx, (Expr *) arg);
	if (call->distinct)
		return Obstacle(cx, "distinct expression with a filter");
	DeparseText(cx, "(CASE WHEN ");
	ok = DeparseExpr(cx, call->filter);
	DeparseText(cx, " THEN ");
	ok = ok && DeparseAny(cx, (Expr *) arg);
	DeparseText(cx, " END)");
	return ok;
}

bool
DeparseAggregateCall(DeparseContext *cx, AggregateCall *call, const char *sql)
{
	bool		outer = cx->aggregates;
	bool		inside = cx->in_aggregate;
	bool		ok = true;

	cx->aggregates = call->window != NULL && outer;
	cx->in_aggregate |= call->window == NULL;
	for (const char *p = sql; *p != '\0' && ok; p++)
	{
		if (*p != '%' || strchr("abo", p[1]) == NULL)
		{
			appendStringInfoChar(&cx->buf, *p);
			continue;
		}
		p++;
		if (*p == 'a')
			DeparseText(cx, call->distinct ? "DISTINCT " : "");
		ok = *p == 'o' ? DeparseInnerOrder(cx, call)
			: DeparseArgument(cx, call, *p == 'a' ? linitial(call->args) : lsecond(call->args));
	}
	if (ok && call->filter != NULL)
	{
		DeparseText(cx, " FILTER (WHERE ");
		ok = DeparseExpr(cx, call->filter);
		DeparseText(cx, ")");
	}
	cx->aggregates = outer;
	cx->in_aggregate = inside;
	if (ok && call->window != NULL)
		ok = DeparseOver(cx, call->window);
	return ok;
}

/*
 * Arguments are columns of known types, except where their values do not matter.
 */
static bool
ArgumentsAreKnown(DeparseContext *cx, AggregateCall *call, const AggregateRule *rule)
{
	ListCell   *lc;

	if (rule->function == F_COUNT_ANY && !call->distinct)
		return true;
	foreach(lc, call->args)
	{
		ValueForm	form;

		if (!FormOf(cx, lfirst(lc), &form))
			return false;
		if (form.opaque)
			return Obstacle(cx, "type that the engine does not know");
		if (call->distinct && form.kind != NUMERIC_FIXED)
			return Obstacle(cx, "distinct numerics of different scales");
	}
	return true;
}

/*
 * A sum or average of floating-point numbers, which overflows to an error in
 * PostgreSQL: the engine gives infinity.
 */
static bool
DeparseFloatSum(DeparseContext *cx, AggregateCall *call, const char *sql)
{
	/* Twice the same value is not finite only if it is not finite once. */
	if (call->distinct)
		return Obstacle(cx, "sum of distinct floating-point numbers");
	DeparseText(cx, "(CASE WHEN NOT isfinite(");
	if (!DeparseAggregateCall(cx, call, sql))
		return false;
	DeparseText(cx, ") AND ");
	if (!DeparseAggregateCall(cx, call, "bool_and(isfinite(%a))"))
		return false;
	DeparseText(cx, " THEN error('22003:value out of range: overflow') ELSE ");
	if (!DeparseAggregateCall(cx, call, sql))
		return false;
	DeparseText(cx, " END)");
	return true;
}

/*
 * The largest scale among the values of a sum.
 */
static bool
DeparseLargestScale(DeparseContext *cx, AggregateCall *call)
{
	bool		outer = cx->aggregates;
	bool		ok;

	cx->aggregates = false;
	DeparseText(cx, "max(CASE WHEN ");
	ok = DeparseExpr(cx, linitial(call->args));
	DeparseText(cx, " IS NOT NULL THEN CAST(");
	ok = ok && DeparseNumericScale(cx, linitial(call->args));
	DeparseText(cx, " AS INTEGER) END)");
	if (ok && call->filter != NULL)
	{
		DeparseText(cx, " FILTER (WHERE ");
		ok = DeparseExpr(cx, call->filter);
		DeparseText(cx, ")");
	}
	cx->aggregates = outer;
	return ok && (call->window == NULL || DeparseOver(cx, call->window));
}

/*
 * A sum of numerics, as a decimal or (as_text) as PostgreSQL prints it.
 */
static bool
DeparseSum(DeparseContext *cx, AggregateCall *call, bool as_text)
{
	ValueForm	form;

	if (!FormOf(cx, linitial(call->args), &form))
		return false;
	if (getBaseType(exprType(linitial(call->args))) != NUMERICOID)
		form.kind = NUMERIC_FIXED;
	if (form.kind == NUMERIC_FIXED && !as_text)
		return DeparseAggregateCall(cx, call, "sum(%a)");
	DeparseText(cx, form.kind == NUMERIC_MIXED ? "shard_num_rescale(CAST(" : "CAST(");
	if (!DeparseAggregateCall(cx, call, "sum(%a)"))
		return false;
	DeparseText(cx, " AS VARCHAR)");
	if (form.kind == NUMERIC_FIXED)
		return true;
	DeparseText(cx, ", ");
	if (!DeparseLargestScale(cx, call))
		return false;
	DeparseText(cx, ")");
	return true;
}

/*
 * An exact average: divided as PostgreSQL divides.
 */
static bool
DeparseAverage(DeparseContext *cx, AggregateCall *call)
{
	DeparseText(cx, "shard_num_div(");
	if (!DeparseSum(cx, call, true))
		return false;
	DeparseText(cx, ", CAST(nullif(");
	if (!DeparseAggregateCall(cx, call, "count(%a)"))
		return false;
	DeparseText(cx, ", 0) AS VARCHAR))");
	return true;
}

/*
 * What stands in an array comes back by its text.
 */
static bool
ElementShippable(DeparseContext *cx, Expr *expr)
{
	ValueForm	form;

	switch (getBaseType(exprType((Node *) expr)))
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case BOOLOID:
		case TEXTOID:
		case VARCHAROID:
		case UUIDOID:
		case DATEOID:
			return true;
		case NUMERICOID:
			return FormOf(cx, expr, &form) &&
				(form.kind == NUMERIC_FIXED || Obstacle(cx, "array of numerics of different scales"));
		default:
			return Obstacle(cx, psprintf("array of type %s", format_type_be(exprType((Node *) expr))));
	}
}

static bool
DeparseRule(DeparseContext *cx, AggregateCall *call, const AggregateRule *rule)
{
	if (!ArgumentsAreKnown(cx, call, rule))
		return false;
	switch (rule->kind)
	{
		case AGGREGATE_AVERAGE:
			return DeparseAverage(cx, call);
		case AGGREGATE_DECIMAL:
			return DeparseSum(cx, call, false);
		case AGGREGATE_FLOAT_SUM:
			return DeparseFloatSum(cx, call, rule->sql);
		case AGGREGATE_VARIANCE:
		case AGGREGATE_FLOAT_VARIANCE:
		case AGGREGATE_PAIRS:
			return DeparseStatistic(cx, call, rule);
		case AGGREGATE_ORDERED:
			if (call->window != NULL ||
				(call->agg->aggorder == NIL && call->agg->aggdistinct == NIL))
				return Obstacle(cx, "aggregate of rows in no order");
			if (rule->function == F_ARRAY_AGG_ANYNONARRAY)
			{
				if (!ElementShippable(cx, linitial(call->args)))
					return false;
				break;
			}
			if (!IsA(lsecond(call->args), Const) || ((Const *) lsecond(call->args))->constisnull)
				return Obstacle(cx, "delimiter that is not a constant");
			/* FALLTHROUGH */
		default:
			break;
	}
	if (rule->type != NULL)
		DeparseText(cx, "CAST(");
	if (!DeparseAggregateCall(cx, call, rule->sql))
		return false;
	if (rule->type != NULL)
		DeparsePrintf(cx, " AS %s)", rule->type);
	return true;
}

/* ---- aggregates ---- */

static bool
CollationFits(DeparseContext *cx, const AggregateRule *rule, Oid collation)
{
	if (rule->byte_order && !CollationByteOrder(collation))
		return Obstacle(cx, "text order of a collation other than C");
	return CollationByteEqual(collation) || Obstacle(cx, "nondeterministic collation");
}

static bool
AggregateShippable(DeparseContext *cx, Aggref *agg, const AggregateRule *rule)
{
	ListCell   *lc;

	if (rule == NULL)
		return Obstacle(cx, psprintf("aggregate %s", format_procedure(agg->aggfnoid)));
	if (agg->aggsplit != AGGSPLIT_SIMPLE || agg->agglevelsup > 0 || agg->aggvariadic)
		return Obstacle(cx, "aggregate computed in parts or of an outer query");
	foreach(lc, agg->aggdistinct)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *arg = (Expr *) get_sortgroupclause_expr(clause, agg->args);

		if (!IsDefaultEquality(clause->eqop, exprType((Node *) arg)))
			return Obstacle(cx, "DISTINCT by an operator of its own");
	}
	return CollationFits(cx, rule, agg->inputcollid);
}

static List *
Arguments(Aggref *agg)
{
	List	   *args = NIL;
	ListCell   *lc;

	foreach(lc, agg->args)
		if (!lfirst_node(TargetEntry, lc)->resjunk)
			args = lappend(args, lfirst_node(TargetEntry, lc)->expr);
	return args;
}

/*
 * The value at a place among the sorted ones: place is "floor" or "ceil".
 */
static bool
DeparseElement(DeparseContext *cx, AggregateCall *call, float8 fraction, const char *place)
{
	DeparseText(cx, "list_extract(list_sort(");
	if (!DeparseAggregateCall(cx, call, "list(%a)"))
		return false;
	DeparsePrintf(cx, ", 'ASC', 'NULLS LAST'), CAST(%s(CAST('%.17g' AS DOUBLE) * (", place, fraction);
	if (!DeparseAggregateCall(cx, call, "count(%a)"))
		return false;
	DeparseText(cx, " - 1)) AS BIGINT) + 1)");
	return true;
}

/*
 * percentile_cont: DuckDB interpolates by another formula, which gives other
 * last digits.
 */
static bool
DeparseInterpolated(DeparseContext *cx, AggregateCall *call, float8 fraction)
{
	StringInfoData position;
	List	   *diverted = DeparseDivert(cx);
	List	   *count;

	if (!DeparseAggregateCall(cx, call, "count(%a)"))
		return false;
	count = DeparseTake(cx, diverted);
	initStringInfo(&position);
	appendStringInfo(&position, "CAST('%.17g' AS DOUBLE) * (", fraction);
	DeparsePrintf(cx, "(CASE WHEN %s", position.data);
	DeparsePut(cx, list_copy(count));
	DeparsePrintf(cx, " - 1) = floor(%s", position.data);
	DeparsePut(cx, list_copy(count));
	DeparseText(cx, " - 1)) THEN ");
	if (!DeparseElement(cx, call, fraction, "floor"))
		return false;
	DeparseText(cx, " ELSE ");
	if (!DeparseElement(cx, call, fraction, "floor"))
		return false;
	DeparsePrintf(cx, " + (%s", position.data);
	DeparsePut(cx, list_copy(count));
	DeparsePrintf(cx, " - 1) - floor(%s", position.data);
	DeparsePut(cx, list_copy(count));
	DeparseText(cx, " - 1))) * (");
	if (!DeparseElement(cx, call, fraction, "ceil"))
		return false;
	DeparseText(cx, " - ");
	if (!DeparseElement(cx, call, fraction, "floor"))
		return false;
	DeparseText(cx, ") END)");
	return true;
}

/*
 * percentile_cont and percentile_disc of a constant fraction.
 */
static bool
DeparsePercentile(DeparseContext *cx, Aggref *agg, AggregateCall *call)
{
	bool		disc = agg->aggfnoid == F_PERCENTILE_DISC_FLOAT8_ANYELEMENT;
	SortGroupClause *order = linitial_node(SortGroupClause, agg->aggorder);
	Expr	   *arg = linitial(call->args);
	Const	   *fraction;
	float8		value;
	bool		byte_order;

	if (agg->aggfnoid != F_PERCENTILE_CONT_FLOAT8_FLOAT8 && !disc)
		return Obstacle(cx, psprintf("aggregate %s", format_procedure(agg->aggfnoid)));
	fraction = linitial(agg->aggdirectargs);
	if (!IsA(fraction, Const) || fraction->constisnull)
		return Obstacle(cx, "fraction that is not a constant");
	value = DatumGetFloat8(fraction->constvalue);
	if (!(value >= 0 && value <= 1) || IsDescendingOperator(order->sortop, exprType((Node *) arg)) ||
		!IsDefaultSortOperator(order->sortop, exprType((Node *) arg)) ||
		!ExprSortable(arg, exprCollation((Node *) arg), &byte_order) || !byte_order)
		return Obstacle(cx, "percentile in an order of its own");
	if (getBaseType(exprType((Node *) arg)) == BYTEAOID)
		return Obstacle(cx, "percentile of a type of its own");
	if (disc)
		return DeparseAggregateCall(cx, call, psprintf("quantile_disc(%%a, %.17g)", value));
	return DeparseInterpolated(cx, call, value);
}

bool
DeparseAggregate(DeparseContext *cx, Aggref *agg)
{
	const AggregateRule *rule = AggregateRuleOf(agg->aggfnoid);
	AggregateCall call = {Arguments(agg), agg->aggdistinct != NIL, agg, agg->aggfilter, NULL};
	ValueForm	form;

	if (!cx->aggregates)
		return Obstacle(cx, "aggregate");
	if (!AggregateForm(cx, agg->aggfnoid, call.args, agg->aggtype, &form))
		return false;
	if (AGGKIND_IS_ORDERED_SET(agg->aggkind) && agg->agglevelsup == 0 && agg->aggsplit == AGGSPLIT_SIMPLE)
		return DeparsePercentile(cx, agg, &call);
	return AggregateShippable(cx, agg, rule) && DeparseRule(cx, &call, rule);
}

/* ---- window functions ---- */

static bool
DeparsePureWindow(DeparseContext *cx, WindowFunc *func, WindowClause *window, const char *sql)
{
	ListCell   *lc;

	foreach(lc, func->args)
	{
		ValueForm	form;

		if (!FormOf(cx, lfirst(lc), &form))
			return false;
		if (form.opaque || form.kind == NUMERIC_MIXED)
			return Obstacle(cx, "type that the engine does not know");
	}
	if (!DeparseTemplate(cx, sql, func->args) || !DeparseOver(cx, window))
		return false;
	if (func->winfnoid == F_NTILE)
		DeparseText(cx, " AS INTEGER)");
	return true;
}

bool
DeparseWindowFunc(DeparseContext *cx, WindowFunc *func)
{
	const char *sql = WindowRuleOf(func->winfnoid);
	const AggregateRule *rule = AggregateRuleOf(func->winfnoid);
	AggregateCall call = {func->args, false, NULL, func->aggfilter, NULL};
	ValueForm	form;

	if (cx->scope == NULL || cx->scope->query == NULL)
		return Obstacle(cx, "window function");
	call.window = WindowOf(cx, func->winref);
	if (call.window == NULL)
		return Obstacle(cx, "window function of an outer query");
	if (!AggregateForm(cx, func->winfnoid, func->args, func->wintype, &form))
		return false;
	if (sql != NULL)
		return DeparsePureWindow(cx, func, call.window, sql);
	if (rule == NULL)
		return Obstacle(cx, psprintf("function %s", format_procedure(func->winfnoid)));
	return CollationFits(cx, rule, func->inputcollid) && DeparseRule(cx, &call, rule);
}
