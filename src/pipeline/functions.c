/*
 * functions.c
 *		SQL functions that wait for the pipeline or report on it.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pipeline/decode.h"
#include "pipeline/wal_guard.h"
#include "pipeline/wait.h"
#include "pipeline/worker.h"
#include "replication/message.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

PG_FUNCTION_INFO_V1(shard_flush);
PG_FUNCTION_INFO_V1(shard_pipeline_ready);
PG_FUNCTION_INFO_V1(shard_pipeline_status);
PG_FUNCTION_INFO_V1(shard_pipeline_wake);
PG_FUNCTION_INFO_V1(shard_pipeline_look);

static TimestampTz
Deadline(Interval *timeout)
{
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   IntervalPGetDatum(timeout)));
}

/*
 * A flush does not bring tables up to date that the pipeline leaves out: say so.
 */
static void
WarnOfTablesLeftOut(void)
{
	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute("SELECT relation, lake_problem FROM shard.tables"
					" WHERE lake_problem IS NOT NULL", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read shard.tables");
	for (uint64 i = 0; i < SPI_processed; i++)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pipeline leaves out table %s: its lake table is out of date",
						SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1)),
				 errdetail_internal("%s", SPI_getvalue(SPI_tuptable->vals[i],
													   SPI_tuptable->tupdesc, 2)),
				 errhint("See shard.dead_letters; shard.replay_dead_letters() takes the table in again.")));
	PopActiveSnapshot();
	SPI_finish();
}

/*
 * shard.flush(timeout interval) returns pg_lsn
 */
Datum
shard_flush(PG_FUNCTION_ARGS)
{
	XLogRecPtr	lsn = PipelineFlush(Deadline(PG_GETARG_INTERVAL_P(0)));

	WarnOfTablesLeftOut();
	PG_RETURN_LSN(lsn);
}

/*
 * _shard.pipeline_ready(timeout interval) returns text
 *
 * NULL when the worker's slot is there: it then sees everything written from
 * now on, even if the worker happens to be between two tries.
 */
Datum
shard_pipeline_ready(PG_FUNCTION_ARGS)
{
	TimestampTz deadline = Deadline(PG_GETARG_INTERVAL_P(0));
	char	   *reason = PipelineWaitReady((int) TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
																				 deadline));

	if (reason == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(reason));
}

/* ---- status ---- */

#define STATUS_COLUMNS 24

typedef struct StatusRow
{
	int			n;
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS];
} StatusRow;

static void
Put(StatusRow *row, Datum value)
{
	row->values[row->n++] = value;
}

static void
PutNull(StatusRow *row)
{
	row->nulls[row->n++] = true;
}

static void
PutText(StatusRow *row, const char *text)
{
	if (text == NULL || text[0] == '\0')
		PutNull(row);
	else
		Put(row, CStringGetTextDatum(text));
}

static void
PutLsn(StatusRow *row, XLogRecPtr lsn)
{
	if (XLogRecPtrIsInvalid(lsn))
		PutNull(row);
	else
		Put(row, LSNGetDatum(lsn));
}

static void
PutTime(StatusRow *row, TimestampTz time)
{
	if (time == 0)
		PutNull(row);
	else
		Put(row, TimestampTzGetDatum(time));
}

static void
PutState(StatusRow *row, const PipelineEntry *entry, bool found)
{
	char	   *hint = NULL;
	char	   *problem;
	const char *server_hint;
	const char *state;

	if (StatusServerProblem(&server_hint) != NULL)
		state = "blocked";
	else if (!found)
		state = "stopped";
	else
		state = StatusPhaseName(entry->phase);

	if (found && entry->phase == PIPELINE_RUNNING && strcmp(state, "running") == 0)
		problem = pstrdup(entry->reason);
	else if (found && entry->reason[0] != '\0' && strcmp(state, "blocked") != 0)
	{
		problem = pstrdup(entry->reason);
		hint = pstrdup(entry->hint);
	}
	else
		problem = StatusProblem(entry, found, &hint);
	PutText(row, state);
	PutText(row, problem);
	PutText(row, hint);
}

/*
 * _shard.pipeline_status(): one row, for this database.
 */
Datum
shard_pipeline_status(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	StatusRow	row = {0};
	PipelineEntry entry;
	bool		found;
	char		slot[NAMEDATALEN];
	XLogRecPtr	current = RecoveryInProgress() ? InvalidXLogRecPtr : GetXLogInsertRecPtr();
	int64		kept = WalKept(MyDatabaseId);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(&entry, 0, sizeof(entry));
	found = StatusGet(MyDatabaseId, &entry);
	SlotName(MyDatabaseId, slot);

	PutText(&row, slot);
	if (entry.pid != 0)
		Put(&row, Int32GetDatum(entry.pid));
	else
		PutNull(&row);
	PutState(&row, &entry, found);
	PutLsn(&row, entry.read_lsn);
	PutLsn(&row, entry.flushed_lsn);
	PutLsn(&row, entry.confirmed_lsn);
	PutLsn(&row, current);
	if (entry.flushed_lsn != 0 && current != 0)
		Put(&row, Int64GetDatum((int64) (current > entry.flushed_lsn ? current - entry.flushed_lsn : 0)));
	else
		PutNull(&row);
	Put(&row, Int64GetDatum(entry.buffered_rows));
	Put(&row, Int64GetDatum(entry.rows));
	Put(&row, Int64GetDatum(entry.events));
	Put(&row, Int64GetDatum(entry.flushes));
	Put(&row, Int64GetDatum(entry.resyncs));
	Put(&row, Int64GetDatum(entry.retries));
	PutTime(&row, entry.last_flush_at);
	if (entry.last_flush_at != 0)
		Put(&row, Float8GetDatum(entry.last_flush_ms));
	else
		PutNull(&row);
	PutText(&row, entry.last_error);
	PutTime(&row, entry.last_error_at);
	Put(&row, Int64GetDatum(entry.emitted));
	Put(&row, Int64GetDatum(entry.repeated));
	Put(&row, Int64GetDatum(kept));
	PutText(&row, WalWarning(kept));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), row.values, row.nulls)));
}

/*
 * _shard.pipeline_wake(): at commit, let the launcher look for this extension.
 */
Datum
shard_pipeline_wake(PG_FUNCTION_ARGS)
{
	WakeLauncherAtCommit();
	PG_RETURN_VOID();
}

/*
 * _shard.pipeline_look(): at commit, let the worker look for tables.
 */
Datum
shard_pipeline_look(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	WakeWorkerAtCommit();
	PG_RETURN_POINTER(NULL);
}
