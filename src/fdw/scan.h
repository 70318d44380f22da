/*
 * scan.h
 *		Execution of a foreign table's scan, and what EXPLAIN tells of it.
 */
#ifndef SHARD_FDW_SCAN_H
#define SHARD_FDW_SCAN_H

#include "postgres.h"
#include "base/explain_compat.h"
#include "fdw/run.h"
#include "nodes/execnodes.h"

extern void LakeBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *LakeIterateForeignScan(ForeignScanState *node);
extern void LakeReScanForeignScan(ForeignScanState *node);
extern void LakeEndForeignScan(ForeignScanState *node);
extern void LakeExplainForeignScan(ForeignScanState *node, ExplainState *es);

/* What EXPLAIN says of a statement of the engine. */
extern void ExplainRun(LakeRun *run, ExplainState *es);

#endif							/* SHARD_FDW_SCAN_H */
