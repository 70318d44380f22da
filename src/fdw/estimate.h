/*
 * estimate.h
 *		Estimates for statements that the engine runs whole.
 */
#ifndef SHARD_FDW_ESTIMATE_H
#define SHARD_FDW_ESTIMATE_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"

/* A round trip to the engine, in the planner's units. */
#define ROUND_TRIP_COST 100.0
/* What the engine spends on one value of one row, relative to an operator. */
#define ENGINE_VALUE_FACTOR 0.05

/*
 * Rows that a query returns, which must be a copy of the planner's own; sources:
 * a DeparseRel * for each of its tables.
 */
extern double EstimateQueryRows(PlannerGlobal *glob, Query *query, List *sources);

#endif							/* SHARD_FDW_ESTIMATE_H */
