/*
 * scan.c
 *		Execution of a foreign table's scan.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fdw/scan.h"
#include "utils/builtins.h"

void
LakeBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;

	node->fdw_state = RunBegin(&node->ss.ps, plan->fdw_private, plan->fdw_exprs, eflags);
}

TupleTableSlot *
LakeIterateForeignScan(ForeignScanState *node)
{
	LakeRun    *run = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	Oid			typid;

	if (run->sql == NULL)
	{
		if (!RunPrepare(run, &typid))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("parameter of type %s has a value that the engine cannot hold",
							format_type_be(typid))));
		RunSend(run);
	}
	RunNext(run, slot);
	return slot;
}

void
LakeReScanForeignScan(ForeignScanState *node)
{
	RunRescan(node->fdw_state);
}

void
LakeEndForeignScan(ForeignScanState *node)
{
	if (node->fdw_state != NULL)
		RunEnd(node->fdw_state);
}
