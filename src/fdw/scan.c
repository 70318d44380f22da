/*
 * scan.c
 *		Execution: one statement of the engine, its rows into slots.
 *
 * Nothing happens until the first row is asked for.  Then the source is opened
 * as of the statement's snapshot (once: a rescan sees the same files), the
 * values of parameters are computed, files are pruned by them, and the statement
 * is put together and sent.  Rows come in chunks, converted one row at a time;
 * what a row needs lives until the next chunk.
 *
 * On error the client of the engine closes the connection, and the memory
 * contexts go with the query.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "executor/executor.h"
#include "fdw/deadline.h"
#include "fdw/deparse.h"
#include "fdw/literal.h"
#include "fdw/plan.h"
#include "fdw/scan.h"
#include "fdw/stats.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

static List *
Part(LakeScanState *state, PlanPart part)
{
	return list_nth(state->private, part);
}

/* ---- begin ---- */

static void
InitColumns(LakeScanState *state)
{
	List	   *outputs = Part(state, PLAN_OUTPUT);
	int			engine_column = 0;
	ListCell   *lc;

	state->columns = palloc0(Max(list_length(outputs), 1) * sizeof(ScanColumn));
	foreach(lc, outputs)
	{
		List	   *output = lfirst(lc);
		ScanColumn *column = &state->columns[state->ncolumns++];

		column->slot = list_nth_int(output, OUTPUT_SLOT) - 1;
		column->typid = (Oid) list_nth_int(output, OUTPUT_TYPE);
		column->typmod = list_nth_int(output, OUTPUT_TYPMOD);
		column->average = list_nth_int(output, OUTPUT_AVERAGE) != 0;
		column->first = engine_column;
		engine_column += column->average ? 2 : 1;
	}
}

void
LakeBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	LakeScanState *state = palloc0(sizeof(LakeScanState));
	MemoryContext parent = node->ss.ps.state->es_query_cxt;

	node->fdw_state = state;
	state->node = node;
	state->private = plan->fdw_private;
	state->params = ExecInitExprList(plan->fdw_exprs, (PlanState *) node);
	state->source_cxt = AllocSetContextCreate(parent, "lake source", ALLOCSET_DEFAULT_SIZES);
	state->query_cxt = AllocSetContextCreate(parent, "lake query", ALLOCSET_DEFAULT_SIZES);
	state->chunk_cxt = AllocSetContextCreate(parent, "lake chunk", ALLOCSET_DEFAULT_SIZES);
	InitColumns(state);
	state->counted = !(eflags & EXEC_FLAG_EXPLAIN_ONLY);
	if (state->counted)
		StatsScanBegin();
}

/* ---- the statement ---- */

/*
 * Give up a plan that is out of date, so that the next execution makes another:
 * at once, since invalidations of a transaction that fails are dropped.
 */
static void pg_attribute_noreturn()
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
CheckColumns(LakeScanState *state)
{
	ListCell   *attnum;
	ListCell   *type;

	forboth(attnum, Part(state, PLAN_COLUMNS), type, Part(state, PLAN_TYPES))
	{
		SourceColumn *column = SourceColumnOf(state->source, lfirst_int(attnum));
		List	   *planned = lfirst(type);

		if (linitial_int(planned) != column->field_id || lsecond_int(planned) != column->stored.kind ||
			lthird_int(planned) != column->stored.precision || lfourth_int(planned) != column->stored.scale)
			RaiseChanged(state->source);
	}
	foreach(attnum, Part(state, PLAN_FINITE))
		if (!SourceColumnFinite(state->source, lfirst_int(attnum)))
			RaiseChanged(state->source);
}

void
ScanOpenSource(LakeScanState *state)
{
	MemoryContext old;
	Snapshot	snapshot = state->node->ss.ps.state->es_snapshot;

	if (state->source != NULL)
		return;
	old = MemoryContextSwitchTo(state->source_cxt);
	PushActiveSnapshot(snapshot ? snapshot : GetTransactionSnapshot());
	state->source = SourceOpen(linitial_oid(Part(state, PLAN_RELATION)));
	PopActiveSnapshot();
	CheckColumns(state);
	MemoryContextSwitchTo(old);
}

static PruneValue *
EvaluateParams(LakeScanState *state)
{
	ExprContext *econtext = state->node->ss.ps.ps_ExprContext;
	PruneValue *values = palloc0(Max(list_length(state->params), 1) * sizeof(PruneValue));
	ListCell   *lc;

	foreach(lc, state->params)
	{
		ExprState  *expr = lfirst(lc);
		PruneValue *value = &values[foreach_current_index(lc)];

		value->known = true;
		value->typid = exprType((Node *) expr->expr);
		value->value = ExecEvalExpr(expr, econtext, &value->isnull);
	}
	return values;
}

static void
AppendValue(StringInfo sql, const PruneValue *value)
{
	Oid			element = get_element_type(value->typid);
	bool		ok;

	ok = OidIsValid(element)
		? AppendInList(sql, element, value->value, value->isnull)
		: AppendLiteral(sql, value->typid, value->value, value->isnull);
	if (!ok)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("parameter of type %s has a value that the engine cannot hold",
						format_type_be(value->typid))));
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
AppendLimit(LakeScanState *state, StringInfo sql, const PruneValue *values)
{
	List	   *limits = Part(state, PLAN_LIMIT);
	int64		limit = RowCount(values, linitial_int(limits),
								 ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT");
	int64		offset = RowCount(values, lsecond_int(limits),
								  ERRCODE_INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET");

	if (limit >= 0)
		appendStringInfo(sql, " LIMIT " INT64_FORMAT, limit);
	if (offset > 0)
		appendStringInfo(sql, " OFFSET " INT64_FORMAT, offset);
}

static char *
Statement(LakeScanState *state, const PruneValue *values)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, Part(state, PLAN_STATEMENT))
	{
		Node	   *fragment = lfirst(lc);

		if (IsA(fragment, String))
			appendStringInfoString(&sql, strVal(fragment));
		else if (intVal(fragment) == FRAGMENT_SOURCE)
			appendStringInfo(&sql, "%s AS t", SourceScanSql(state->scan, Part(state, PLAN_COLUMNS)));
		else
			AppendValue(&sql, &values[intVal(fragment)]);
	}
	AppendLimit(state, &sql, values);
	return sql.data;
}

static void
PlanFiles(LakeScanState *state, const PruneValue *values)
{
	LakeCondition *conditions;
	int			n;

	conditions = PruneConditions(state->source, Part(state, PLAN_PRUNE), values, &n);
	state->scan = SourcePlanScan(state->source, conditions, n);
	state->files += state->scan->files;
	state->files_pruned += state->scan->files_pruned;
	state->bytes += state->scan->bytes;
	state->rows += state->scan->rows;
	StatsAddSource(state->scan);
}

static void
SendStatement(void *arg)
{
	LakeScanState *state = arg;
	LakeScan   *lake = state->scan->lake;

	state->conn = EngineAcquire();
	state->result = EngineQuery(state->conn, state->sql, lake ? lake->deletes : NULL, lake ? lake->ndeletes : 0);
}

/*
 * The engine's types decide how its values are read.
 */
static void
InitCodecs(LakeScanState *state)
{
	for (int i = 0; i < state->ncolumns; i++)
	{
		ScanColumn *column = &state->columns[i];

		ValueCodecInitForRead(&column->codec, column->typid, column->typmod,
							  EngineResultType(state->result, column->first));
	}
}

static void
StartQuery(LakeScanState *state)
{
	MemoryContext old;
	PruneValue *values;
	int64		before = state->spent;

	ScanOpenSource(state);
	old = MemoryContextSwitchTo(state->query_cxt);
	values = EvaluateParams(state);
	PlanFiles(state, values);
	state->sql = Statement(state, values);
	CallWithDeadline(SendStatement, state, &state->spent);
	StatsAddTime(state->spent - before);
	InitCodecs(state);
	MemoryContextSwitchTo(old);
}

/* ---- rows ---- */

static void
FetchChunk(void *arg)
{
	LakeScanState *state = arg;

	state->chunk = EngineFetch(state->result);
}

static void
CloseQuery(LakeScanState *state)
{
	if (state->result != NULL)
		EngineFinish(state->result);
	if (state->conn != NULL)
		EngineRelease(state->conn);
	state->result = NULL;
	state->conn = NULL;
	state->chunk = NULL;
}

/*
 * The next chunk that has rows; false at the end.
 */
static bool
NextChunk(LakeScanState *state)
{
	MemoryContext old = MemoryContextSwitchTo(state->query_cxt);
	int64		before = state->spent;

	MemoryContextReset(state->chunk_cxt);
	do
	{
		CallWithDeadline(FetchChunk, state, &state->spent);
	} while (state->chunk != NULL && state->chunk->nrows == 0);
	StatsAddTime(state->spent - before);
	state->row = 0;
	state->at_end = (state->chunk == NULL);
	if (state->at_end)
		CloseQuery(state);
	else
		StatsAddRows(state->chunk->nrows);
	MemoryContextSwitchTo(old);
	return !state->at_end;
}

/*
 * An exact average: PostgreSQL divides as its own aggregate does.
 */
static Datum
Average(ScanColumn *column, WireChunk *chunk, int row, bool *isnull)
{
	Datum		sum = ValueGet(&column->codec, chunk, column->first, row, isnull);
	int64		count;

	if (*isnull)
		return (Datum) 0;
	memcpy(&count, ChunkGetFixed(chunk, column->first + 1, row), sizeof(count));
	return DirectFunctionCall2(numeric_div, sum, NumericGetDatum(int64_to_numeric(count)));
}

static void
FillSlot(LakeScanState *state, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(state->chunk_cxt);
	int			row = state->row++;

	for (int i = 0; i < state->ncolumns; i++)
	{
		ScanColumn *column = &state->columns[i];
		Datum	   *value = &slot->tts_values[column->slot];
		bool	   *isnull = &slot->tts_isnull[column->slot];

		*value = column->average
			? Average(column, state->chunk, row, isnull)
			: ValueGet(&column->codec, state->chunk, column->first, row, isnull);
	}
	MemoryContextSwitchTo(old);
}

TupleTableSlot *
LakeIterateForeignScan(ForeignScanState *node)
{
	LakeScanState *state = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	if (state->scan == NULL)
		StartQuery(state);
	if (state->at_end)
		return slot;
	if ((state->chunk == NULL || state->row >= state->chunk->nrows) && !NextChunk(state))
		return slot;
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	FillSlot(state, slot);
	return ExecStoreVirtualTuple(slot);
}

void
LakeReScanForeignScan(ForeignScanState *node)
{
	LakeScanState *state = node->fdw_state;

	CloseQuery(state);
	MemoryContextReset(state->chunk_cxt);
	MemoryContextReset(state->query_cxt);
	state->scan = NULL;
	state->sql = NULL;
	state->at_end = false;
}

void
LakeEndForeignScan(ForeignScanState *node)
{
	LakeScanState *state = node->fdw_state;

	if (state == NULL)
		return;
	CloseQuery(state);
	if (state->counted)
		StatsScanEnd();
}
