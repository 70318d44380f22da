/*
 * handler.c
 *		The foreign data wrapper's table of callbacks.
 *
 * Those for writing are absent, so that INSERT, UPDATE and DELETE are errors:
 * the lake follows the sharded tables.
 */
#include "postgres.h"

#include "fdw/analyze.h"
#include "fdw/fdw.h"
#include "fdw/import.h"
#include "fdw/plan.h"
#include "fdw/scan.h"
#include "fdw/stats.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"

PG_FUNCTION_INFO_V1(shard_lake_fdw_handler);

static int
LakeIsForeignRelUpdatable(Relation rel)
{
	return 0;
}

Datum
shard_lake_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = LakeGetForeignRelSize;
	routine->GetForeignPaths = LakeGetForeignPaths;
	routine->GetForeignPlan = LakeGetForeignPlan;
	routine->GetForeignUpperPaths = LakeGetForeignUpperPaths;
	routine->BeginForeignScan = LakeBeginForeignScan;
	routine->IterateForeignScan = LakeIterateForeignScan;
	routine->ReScanForeignScan = LakeReScanForeignScan;
	routine->EndForeignScan = LakeEndForeignScan;
	routine->ExplainForeignScan = LakeExplainForeignScan;
	routine->IsForeignRelUpdatable = LakeIsForeignRelUpdatable;
	routine->AnalyzeForeignTable = LakeAnalyzeForeignTable;
	routine->ImportForeignSchema = LakeImportForeignSchema;
	PG_RETURN_POINTER(routine);
}
