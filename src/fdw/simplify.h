/*
 * simplify.h
 *		Conditions in a form that the engine and the files' bounds make more of.
 */
#ifndef SHARD_FDW_SIMPLIFY_H
#define SHARD_FDW_SIMPLIFY_H

#include "postgres.h"
#include "nodes/primnodes.h"

/*
 * A comparison of a date with a constant timestamp (date '1998-12-01' - interval
 * '90 days') as one with a date; any other expression as it is.
 */
extern OpExpr *SimplifyComparison(OpExpr *expr);

#endif							/* SHARD_FDW_SIMPLIFY_H */
