/*
 * run.c
 *		Running one statement of the engine: its rows into slots.
 *
 * Nothing happens until the first row is asked for.  Then the tables are opened
 * as of the statement's snapshot (once: a rescan sees the same files), the values
 * of parameters are computed, files are pruned by them, and the statement is put
 * together and sent.  Rows come in chunks, converted one row at a time; what a row
 * needs lives until the next chunk.
 *
 * On error the client of the engine closes the connection, and the memory
 * contexts go with the query.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/settings.h"
#include "executor/executor.h"
#include "fdw/deadline.h"
#include "fdw/deparse.h"
#include "fdw/literal.h"
#include "fdw/run.h"
#include "fdw/stats.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static List *
Part(LakeRun *run, PlanPart part)
{
	return list_nth(run->private, part);
}

/* ---- begin ---- */

static void
InitColumns(LakeRun *run)
{
	List	   *outputs = Part(run, PLAN_OUTPUT);
	ListCell   *lc;

	run->columns = palloc0(Max(list_length(outputs), 1) * sizeof(RunColumn));
	foreach(lc, outputs)
	{
		List	   *output = lfirst(lc);
		RunColumn  *column = &run->columns[run->ncolumns++];

		column->slot = list_nth_int(output, OUTPUT_SLOT) - 1;
		column->typid = (Oid) list_nth_int(output, OUTPUT_TYPE);
		column->typmod = list_nth_int(output, OUTPUT_TYPMOD);
	}
}

static void
InitSources(LakeRun *run)
{
	List	   *sources = Part(run, PLAN_SOURCES);
	ListCell   *lc;

	run->sources = palloc0(Max(list_length(sources), 1) * sizeof(RunSource));
	foreach(lc, sources)
		run->sources[run->nsources++].plan = lfirst(lc);
}

LakeRun *
RunBegin(PlanState *ps, List *private, List *exprs, int eflags)
{
	LakeRun    *run = palloc0(sizeof(LakeRun));
	MemoryContext parent = ps->state->es_query_cxt;

	run->ps = ps;
	run->private = private;
	run->exprs = exprs;
	run->params = ExecInitExprList(exprs, ps);
	run->spent = DeadlineSpent(ps->state);
	run->source_cxt = AllocSetContextCreate(parent, "lake source", ALLOCSET_DEFAULT_SIZES);
	run->query_cxt = AllocSetContextCreate(parent, "lake query", ALLOCSET_DEFAULT_SIZES);
	run->chunk_cxt = AllocSetContextCreate(parent, "lake chunk", ALLOCSET_DEFAULT_SIZES);
	InitColumns(run);
	InitSources(run);
	run->counted = !(eflags & EXEC_FLAG_EXPLAIN_ONLY);
	if (run->counted)
		StatsScanBegin();
	return run;
}

/* ---- the tables ---- */

/*
 * Give up a plan that is out of date, so that the next execution makes another:
 * at once, since invalidations of a transaction that fails are dropped.
 */
pg_noreturn static void
RaiseChanged(LakeSource *source)
{
	SharedInvalidationMessage message;

	message.rc.id = SHAREDINVALRELCACHE_ID;
	message.rc.dbId = MyDatabaseId;
	message.rc.relId = source->relid;
	LocalExecuteInvalidationMessage(&message);
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("lake table \"%s\" was changed after the query was planned", source->title),
			 errhint("Run the statement again.")));
}

/*
 * The plan took the types of columns for granted, and that some hold no
 * infinity.  What has been written to the lake since may have changed that.
 */
static void
CheckColumns(RunSource *source)
{
	ListCell   *attnum;
	ListCell   *type;

	forboth(attnum, list_nth(source->plan, SOURCE_COLUMNS), type, list_nth(source->plan, SOURCE_TYPES))
	{
		SourceColumn *column = SourceColumnOf(source->source, lfirst_int(attnum));
		List	   *planned = lfirst(type);

		if (linitial_int(planned) != column->field_id || lsecond_int(planned) != column->stored.kind ||
			lthird_int(planned) != column->stored.precision || lfourth_int(planned) != column->stored.scale)
			RaiseChanged(source->source);
	}
	foreach(attnum, list_nth(source->plan, SOURCE_FINITE))
		if (!SourceColumnFinite(source->source, lfirst_int(attnum)))
			RaiseChanged(source->source);
}

static LakeSource *
OpenOnce(LakeRun *run, Oid relid)
{
	for (int i = 0; i < run->nsources && run->sources[i].source != NULL; i++)
		if (run->sources[i].source->relid == relid)
			return run->sources[i].source;
	return SourceOpen(relid);
}

void
RunOpenSources(LakeRun *run)
{
	MemoryContext old;
	Snapshot	snapshot = run->ps->state->es_snapshot;

	if (run->nsources == 0 || run->sources[run->nsources - 1].source != NULL)
		return;
	old = MemoryContextSwitchTo(run->source_cxt);
	PushActiveSnapshot(snapshot ? snapshot : GetTransactionSnapshot());
	for (int i = 0; i < run->nsources; i++)
	{
		RunSource  *source = &run->sources[i];

		source->source = OpenOnce(run, linitial_oid(list_nth(source->plan, SOURCE_RELATION)));
		CheckColumns(source);
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
}

static void
PlanFiles(LakeRun *run, RunSource *source, const PruneValue *values)
{
	LakeCondition *conditions;
	int			n;

	conditions = PruneConditions(source->source, list_nth(source->plan, SOURCE_PRUNE), values, &n);
	source->scan = SourcePlanScan(source->source, conditions, n);
}

/* ---- the statement ---- */

static PruneValue *
EvaluateParams(LakeRun *run)
{
	ExprContext *econtext = run->ps->ps_ExprContext;
	PruneValue *values = palloc0(Max(list_length(run->params), 1) * sizeof(PruneValue));
	ListCell   *lc;

	foreach(lc, run->params)
	{
		ExprState  *expr = lfirst(lc);
		PruneValue *value = &values[foreach_current_index(lc)];

		value->known = true;
		value->typid = exprType((Node *) expr->expr);
		value->value = ExecEvalExpr(expr, econtext, &value->isnull);
	}
	return values;
}

static bool
AppendValue(StringInfo sql, const PruneValue *value)
{
	Oid			element = get_element_type(value->typid);

	return OidIsValid(element)
		? AppendInList(sql, element, value->value, value->isnull)
		: AppendLiteral(sql, value->typid, value->value, value->isnull);
}

/*
 * A LIMIT or OFFSET that was computed; -1 for none.
 */
static int64
RowCount(const PruneValue *values, int param, int error, const char *clause)
{
	int64		count;

	if (param < 0 || values[param].isnull)
		return -1;
	count = DatumGetInt64(values[param].value);
	if (count < 0)
		ereport(ERROR, (errcode(error), errmsg("%s must not be negative", clause)));
	return count;
}

static void
AppendLimit(LakeRun *run, StringInfo sql, const PruneValue *values)
{
	List	   *limits = Part(run, PLAN_LIMIT);
	int64		limit = RowCount(values, linitial_int(limits),
								 ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT");
	int64		offset = RowCount(values, lsecond_int(limits),
								  ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET");

	if (limit >= 0)
		appendStringInfo(sql, " LIMIT " INT64_FORMAT, limit);
	if (offset > 0)
		appendStringInfo(sql, " OFFSET " INT64_FORMAT, offset);
}

typedef struct SourceSql
{
	RunSource  *source;
	char	   *sql;
} SourceSql;

/*
 * The engine's SQL for a source, whose files are fetched if they are remote.
 */
static void
MakeSourceSql(void *arg)
{
	SourceSql  *made = arg;

	made->sql = SourceScanSql(made->source->scan, list_nth(made->source->plan, SOURCE_COLUMNS));
}

/*
 * False if a value has no literal.
 */
static bool
BuildStatement(LakeRun *run, const PruneValue *values, Oid *typid)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, Part(run, PLAN_STATEMENT))
	{
		Node	   *fragment = lfirst(lc);

		if (IsA(fragment, String))
			appendStringInfoString(&sql, strVal(fragment));
		else if (FragmentIsSource(intVal(fragment)))
		{
			SourceSql	made = {&run->sources[FragmentSourceIndex(intVal(fragment))], NULL};

			CallWithDeadline(MakeSourceSql, &made, run->spent);
			appendStringInfoString(&sql, made.sql);
		}
		else if (!AppendValue(&sql, &values[intVal(fragment)]))
		{
			*typid = values[intVal(fragment)].typid;
			return false;
		}
	}
	AppendLimit(run, &sql, values);
	run->sql = sql.data;
	return true;
}

bool
RunPrepare(LakeRun *run, Oid *typid)
{
	MemoryContext old;
	PruneValue *values;
	bool		ok;

	RunOpenSources(run);
	old = MemoryContextSwitchTo(run->query_cxt);
	values = EvaluateParams(run);
	for (int i = 0; i < run->nsources; i++)
		PlanFiles(run, &run->sources[i], values);
	ok = BuildStatement(run, values, typid);
	MemoryContextSwitchTo(old);
	return ok;
}

/*
 * The deletes of all tables; a file that is read twice is listed twice.
 */
static EngineDeletes *
CollectDeletes(LakeRun *run, int *n)
{
	EngineDeletes *deletes;
	int			total = 0;

	*n = 0;
	for (int i = 0; i < run->nsources; i++)
		if (run->sources[i].scan->lake != NULL)
			total += run->sources[i].scan->lake->ndeletes;
	if (total == 0)
		return NULL;
	deletes = palloc(total * sizeof(EngineDeletes));
	for (int i = 0; i < run->nsources; i++)
	{
		LakeScan   *lake = run->sources[i].scan->lake;

		if (lake == NULL || lake->ndeletes == 0)
			continue;
		memcpy(deletes + *n, lake->deletes, lake->ndeletes * sizeof(EngineDeletes));
		*n += lake->ndeletes;
	}
	return deletes;
}

/*
 * Files of Iceberg tables never change, others may.
 */
static bool
ReadsOnlyLake(LakeRun *run)
{
	for (int i = 0; i < run->nsources; i++)
		if (run->sources[i].scan->lake == NULL)
			return false;
	return true;
}

static void
SendStatement(void *arg)
{
	LakeRun    *run = arg;
	int			ndeletes;
	EngineDeletes *deletes = CollectDeletes(run, &ndeletes);

	elog(DEBUG2, "engine statement: %s", run->sql);
	run->conn = EngineAcquire();
	run->result = CacheEnabled && ReadsOnlyLake(run) ?
		EngineQueryCached(run->conn, run->sql, deletes, ndeletes) :
		EngineQuery(run->conn, run->sql, deletes, ndeletes);
}

/*
 * Count what the statement reads, which is nothing if its result was there.
 */
static void
CountStatement(LakeRun *run)
{
	bool		cached = EngineResultCached(run->result);

	run->statements++;
	run->cached += cached;
	StatsAddStatement(cached);
	for (int i = 0; i < run->nsources; i++)
	{
		SourceScan *scan = run->sources[i].scan;

		StatsAddSource(scan, cached);
		if (cached)
			continue;
		run->files += scan->files;
		run->files_pruned += scan->files_pruned;
		run->bytes += scan->bytes;
		run->rows += scan->rows;
	}
}

/* ---- rows ---- */

/*
 * The engine's types decide how its values are read.
 */
static void
InitCodecs(LakeRun *run)
{
	for (int i = 0; i < run->ncolumns; i++)
	{
		RunColumn  *column = &run->columns[i];

		ValueCodecInitForRead(&column->codec, column->typid, column->typmod, EngineResultType(run->result, i));
	}
}

static void
FetchChunk(void *arg)
{
	LakeRun    *run = arg;

	run->chunk = EngineFetch(run->result);
}

void
RunClose(LakeRun *run)
{
	if (run->result != NULL)
		EngineFinish(run->result);
	if (run->conn != NULL)
		EngineRelease(run->conn);
	run->result = NULL;
	run->conn = NULL;
	run->chunk = NULL;
}

/*
 * The next chunk that has rows; false at the end.
 */
static bool
NextChunk(LakeRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->query_cxt);
	int64		before = *run->spent;

	MemoryContextReset(run->chunk_cxt);
	do
	{
		CallWithDeadline(FetchChunk, run, run->spent);
	} while (run->chunk != NULL && run->chunk->nrows == 0);
	StatsAddTime(*run->spent - before);
	run->row = 0;
	run->at_end = (run->chunk == NULL);
	if (run->at_end)
		RunClose(run);
	else
		StatsAddRows(run->chunk->nrows);
	MemoryContextSwitchTo(old);
	return !run->at_end;
}

void
RunSend(LakeRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->query_cxt);
	int64		before = *run->spent;

	CallWithDeadline(SendStatement, run, run->spent);
	StatsAddTime(*run->spent - before);
	CountStatement(run);
	InitCodecs(run);
	MemoryContextSwitchTo(old);
	(void) NextChunk(run);
}

static void
FillSlot(LakeRun *run, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(run->chunk_cxt);
	int			row = run->row++;

	for (int i = 0; i < run->ncolumns; i++)
	{
		RunColumn  *column = &run->columns[i];

		slot->tts_values[column->slot] = ValueGet(&column->codec, run->chunk, i, row,
												  &slot->tts_isnull[column->slot]);
	}
	MemoryContextSwitchTo(old);
}

void
RunNext(LakeRun *run, TupleTableSlot *slot)
{
	ExecClearTuple(slot);
	if (run->at_end || (run->row >= run->chunk->nrows && !NextChunk(run)))
		return;
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	FillSlot(run, slot);
	ExecStoreVirtualTuple(slot);
}

void
RunRescan(LakeRun *run)
{
	RunClose(run);
	MemoryContextReset(run->chunk_cxt);
	MemoryContextReset(run->query_cxt);
	for (int i = 0; i < run->nsources; i++)
		run->sources[i].scan = NULL;
	run->sql = NULL;
	run->at_end = false;
}

void
RunEnd(LakeRun *run)
{
	RunClose(run);
	if (run->counted)
		StatsScanEnd();
}
