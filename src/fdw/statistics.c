/*
 * statistics.c
 *		Variances, correlations and regressions as engine SQL.
 *
 * Of exact numbers they are exact: computed, as PostgreSQL does, from the sums of
 * the values and of their squares.  Of floating-point numbers the engine adds in
 * another order, so that the last digits can differ.  DuckDB makes errors of
 * infinity and NaN: PostgreSQL's NaN is written where there is one, and a
 * regression over such numbers is declined.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fdw/aggregate.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

/* Squares of so many digits can be added up 10^12 times in 38. */
#define MAX_SQUARED_DIGITS 13

/*
 * Write a template in which {...} is a call of an aggregate: see
 * DeparseAggregateCall().
 */
static bool
DeparseCalls(DeparseContext *cx, AggregateCall *call, const char *sql)
{
	while (*sql != '\0')
	{
		const char *end;

		if (*sql != '{')
		{
			appendStringInfoChar(&cx->buf, *sql++);
			continue;
		}
		end = strchr(sql, '}');
		if (!DeparseAggregateCall(cx, call, pnstrdup(sql + 1, end - sql - 1)))
			return false;
		sql = end + 1;
	}
	return true;
}

/* ---- exact numbers ---- */

bool
VarianceForm(DeparseContext *cx, Expr *arg, const ValueForm *of)
{
	Oid			type = getBaseType(exprType((Node *) arg));

	if (type == NUMERICOID &&
		(of->kind != NUMERIC_FIXED || of->shape.scale > MAX_DECIMAL_DIGITS / 2 ||
		 (!cx->whole && of->shape.precision > MAX_SQUARED_DIGITS)))
		return Obstacle(cx, "squares of numerics not known to fit 38 digits");
	if (type == INT8OID && !cx->whole)
		return Obstacle(cx, "squares of bigint");
	return true;
}

/*
 * A value in a type in which its square fits.
 */
static char *
WideType(DeparseContext *cx, Expr *arg)
{
	ValueForm	form;

	if (getBaseType(exprType((Node *) arg)) != NUMERICOID)
		return pstrdup("HUGEINT");
	if (!FormOf(cx, arg, &form))
		return NULL;
	return psprintf("DECIMAL(%d,%d)", MAX_DECIMAL_DIGITS, form.shape.scale);
}

static bool
DeparseVariance(DeparseContext *cx, AggregateCall *call, const char *kind)
{
	char	   *type = WideType(cx, linitial(call->args));

	if (type == NULL)
		return false;
	if (call->distinct)
		return Obstacle(cx, "variance of distinct numbers");
	return DeparseCalls(cx, call, psprintf("shard_num_var({count(%%a)}, CAST({sum(CAST(%%a AS %s))} AS VARCHAR), "
										   "CAST({sum(CAST(%%a AS %s) * CAST(%%a AS %s))} AS VARCHAR), %s)",
										   type, type, type, kind));
}

/* ---- floating point ---- */

/*
 * sql: of one argument, the number of values that it needs before a colon.
 */
static bool
DeparseFloatVariance(DeparseContext *cx, AggregateCall *call, const char *sql)
{
	const char *function = strchr(sql, ':') + 1;

	if (call->distinct)
		return Obstacle(cx, "variance of distinct numbers");
	return DeparseCalls(cx, call, psprintf("(CASE WHEN {count(%%a)} < %c THEN NULL "
										   "WHEN NOT {bool_and(isfinite(%%a))} THEN CAST('NaN' AS DOUBLE) "
										   "ELSE {%s(CASE WHEN isfinite(%%a) THEN CAST(%%a AS DOUBLE) END)} END)",
										   sql[0], function));
}

/*
 * sql: over {}, what to compute from pairs of finite numbers.
 */
static bool
DeparsePairs(DeparseContext *cx, AggregateCall *call, const char *sql)
{
	if (call->distinct)
		return Obstacle(cx, "statistics of distinct pairs");
	if (!cx->whole)
		return Obstacle(cx, "statistics of pairs of numbers");
	return DeparseCalls(cx, call, psprintf("(CASE WHEN NOT {bool_and(CASE WHEN %%a IS NOT NULL AND %%b IS NOT NULL "
										   "THEN isfinite(%%a) AND isfinite(%%b) END)} "
										   "THEN error('0A000:statistics of numbers that are not finite') ELSE %s END)",
										   sql));
}

bool
DeparseStatistic(DeparseContext *cx, AggregateCall *call, const AggregateRule *rule)
{
	switch (rule->kind)
	{
		case AGGREGATE_VARIANCE:
			return DeparseVariance(cx, call, rule->sql);
		case AGGREGATE_FLOAT_VARIANCE:
			return DeparseFloatVariance(cx, call, rule->sql);
		default:
			return DeparsePairs(cx, call, rule->sql);
	}
}
