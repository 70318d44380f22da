/*
 * aggregate.h
 *		What aggregate.c and statistics.c share: a call being written.
 */
#ifndef SHARD_FDW_AGGREGATE_H
#define SHARD_FDW_AGGREGATE_H

#include "fdw/deparse.h"
#include "fdw/shippable.h"

/* What stands in and around the parentheses of a call. */
typedef struct AggregateCall
{
	List	   *args;			/* of Expr * */
	bool		distinct;
	Aggref	   *agg;			/* NULL for a window function */
	Expr	   *filter;
	WindowClause *window;		/* or NULL */
} AggregateCall;

/*
 * A call: %a is its first argument with DISTINCT, %b the second, %o its order.
 */
extern bool DeparseAggregateCall(DeparseContext *cx, AggregateCall *call, const char *sql);

/* ---- statistics.c ---- */

/* The form of what a variance or standard deviation of exact numbers is computed from. */
extern bool VarianceForm(DeparseContext *cx, Expr *arg, const ValueForm *of);

extern bool DeparseStatistic(DeparseContext *cx, AggregateCall *call, const AggregateRule *rule);

#endif							/* SHARD_FDW_AGGREGATE_H */
