/*
 * scan.h
 *		Execution of a scan, and what EXPLAIN tells of it.
 */
#ifndef SHARD_FDW_SCAN_H
#define SHARD_FDW_SCAN_H

#include "postgres.h"
#include "client/engine.h"
#include "client/values.h"
#include "commands/explain.h"
#include "fdw/prune.h"
#include "fdw/source.h"
#include "nodes/execnodes.h"

/* One column of the scan's tuples. */
typedef struct ScanColumn
{
	int			slot;			/* index in the tuple */
	int			first;			/* column of the engine's result */
	Oid			typid;
	int32		typmod;
	bool		average;		/* of the sum in first and the count after it */
	ValueCodec	codec;
} ScanColumn;

typedef struct LakeScanState
{
	ForeignScanState *node;
	List	   *private;		/* ForeignScan.fdw_private */
	List	   *params;			/* of ExprState *, for fdw_exprs */
	int			ncolumns;
	ScanColumn *columns;

	MemoryContext source_cxt;	/* for the whole execution: source */
	MemoryContext query_cxt;	/* for one statement: its text, scan and result */
	MemoryContext chunk_cxt;	/* for the values of one chunk */

	LakeSource *source;
	SourceScan *scan;			/* NULL until the statement is sent */
	char	   *sql;
	EngineConn *conn;
	EngineResult *result;
	WireChunk  *chunk;
	int			row;			/* next one of the chunk */
	bool		at_end;
	bool		counted;		/* among the open scans of stats.c */
	int64		spent;			/* microseconds of waiting for the engine */

	/* Sums over all rescans, for EXPLAIN. */
	int64		files;
	int64		files_pruned;
	int64		bytes;
	int64		rows;
} LakeScanState;

extern void LakeBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *LakeIterateForeignScan(ForeignScanState *node);
extern void LakeReScanForeignScan(ForeignScanState *node);
extern void LakeEndForeignScan(ForeignScanState *node);

/* Open the source as the execution sees it; once. */
extern void ScanOpenSource(LakeScanState *state);

extern void LakeExplainForeignScan(ForeignScanState *node, ExplainState *es);

#endif							/* SHARD_FDW_SCAN_H */
