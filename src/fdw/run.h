/*
 * run.h
 *		Running one statement of the engine: what a scan of a foreign table and a
 *		whole statement share.
 */
#ifndef SHARD_FDW_RUN_H
#define SHARD_FDW_RUN_H

#include "postgres.h"
#include "client/engine.h"
#include "client/values.h"
#include "fdw/plan.h"
#include "fdw/prune.h"
#include "fdw/source.h"
#include "nodes/execnodes.h"

/* One column of the tuples. */
typedef struct RunColumn
{
	int			slot;			/* index in the tuple */
	Oid			typid;
	int32		typmod;
	ValueCodec	codec;
} RunColumn;

/* One table of the statement. */
typedef struct RunSource
{
	List	   *plan;			/* see SourcePart */
	LakeSource *source;			/* as the execution sees it; NULL = not opened yet */
	SourceScan *scan;			/* NULL until the statement is put together */
} RunSource;

typedef struct LakeRun
{
	PlanState  *ps;
	List	   *private;		/* see PlanPart */
	List	   *exprs;			/* of Expr *: the parameters */
	List	   *params;			/* of ExprState * */
	int			ncolumns;
	RunColumn  *columns;
	int			nsources;
	RunSource  *sources;

	MemoryContext source_cxt;	/* for the whole execution: sources */
	MemoryContext query_cxt;	/* for one statement: its text, scans and result */
	MemoryContext chunk_cxt;	/* for the values of one chunk */

	char	   *sql;			/* NULL until it is put together */
	EngineConn *conn;
	EngineResult *result;
	WireChunk  *chunk;
	int			row;			/* next one of the chunk */
	bool		at_end;
	bool		counted;		/* among the open scans of stats.c */
	int64	   *spent;			/* microseconds that the statement has waited for the engine */

	/* Sums over all rescans, for EXPLAIN. */
	int			statements;		/* that were sent */
	int			cached;			/* of these, whose results the engine had */
	int64		files;
	int64		files_pruned;
	int64		bytes;
	int64		rows;
} LakeRun;

extern LakeRun *RunBegin(PlanState *ps, List *private, List *exprs, int eflags);

/* Open the tables as the execution sees them; once. */
extern void RunOpenSources(LakeRun *run);

/*
 * Compute parameters, choose files, put the statement together.  False if the
 * engine cannot hold a parameter's value, whose type *typid then is.
 */
extern bool RunPrepare(LakeRun *run, Oid *typid);

/* Send the statement, and get the first rows. */
extern void RunSend(LakeRun *run);

/* The next row into a slot, which stays empty at the end. */
extern void RunNext(LakeRun *run, TupleTableSlot *slot);
extern void RunRescan(LakeRun *run);
extern void RunClose(LakeRun *run);
extern void RunEnd(LakeRun *run);

#endif							/* SHARD_FDW_RUN_H */
