/*
 * whole.h
 *		Queries over lake tables alone, which the engine runs as one statement.
 */
#ifndef SHARD_FDW_WHOLE_H
#define SHARD_FDW_WHOLE_H

#include "postgres.h"
#include "nodes/extensible.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

extern void WholeInit(void);

/* Plan a query as if the engine could not run it whole. */
extern PlannedStmt *PlanLocally(Query *query, ParamListInfo params);

extern const CustomScanMethods WholeScanMethods;

#endif							/* SHARD_FDW_WHOLE_H */
