/*
 * wait.c
 *		Waiting for the pipeline: until it has written what is committed, and
 *		until it sees what will be written.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "base/compat.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pipeline/status.h"
#include "pipeline/wait.h"
#include "replication/message.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

/*
 * Sleep until the pipelines' state changes; false when the deadline is over.
 */
static bool
SleepUntil(TimestampTz deadline)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	if (left <= 0)
		return false;
	(void) ConditionVariableTimedSleep(&Pipeline->changed, Min(left, 1000), PG_WAIT_EXTENSION);
	return true;
}

static void
NotRunning(const PipelineEntry *entry, bool found)
{
	char	   *hint;
	char	   *problem = StatusProblem(entry, found, &hint);

	if (problem == NULL)
		problem = pstrdup("the worker failed again and again");
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the pipeline is not running"),
			 errdetail_internal("%s%s", "Reason: ", problem),
			 hint != NULL ? errhint("%s", hint) :
			 errhint("See the view shard.pipeline_status and the server's log.")));
}

/*
 * Ask for everything before lsn, and say where the lake is.
 */
static XLogRecPtr
RequestFlush(XLogRecPtr lsn, PipelineEntry *copy, bool *found)
{
	PipelineEntry *entry;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFind(MyDatabaseId);
	*found = entry != NULL;
	if (entry != NULL)
	{
		if (entry->flushed_lsn < lsn && entry->requested_lsn < lsn)
			entry->requested_lsn = lsn;
		*copy = *entry;
	}
	LWLockRelease(&Pipeline->lock);
	StatusWakeWorker(MyDatabaseId);
	return *found ? copy->flushed_lsn : InvalidXLogRecPtr;
}

XLogRecPtr
PipelineFlush(TimestampTz deadline)
{
	const char *hint;
	XLogRecPtr	lsn;
	PipelineEntry entry;
	bool		found = false;

	memset(&entry, 0, sizeof(entry));
	if (StatusServerProblem(&hint) != NULL)
		NotRunning(&entry, false);

	lsn = LogMarker("shard");
	XLogFlush(lsn);

	ConditionVariablePrepareToSleep(&Pipeline->changed);
	while (RequestFlush(lsn, &entry, &found) < lsn)
	{
		if (found && (entry.absent || entry.phase == PIPELINE_FAILED))
			NotRunning(&entry, found);
		if (!SleepUntil(deadline))
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("timeout while waiting for the pipeline"),
					 found && entry.reason[0] != '\0' ?
					 errdetail_internal("%s%s", "Reason: ", entry.reason) : 0,
					 errhint("The changes are not lost; see the view shard.pipeline_status.")));
	}
	ConditionVariableCancelSleep();
	return lsn;
}

/*
 * Who keeps a slot from being made: the oldest transaction that writes.
 */
static char *
OldestTransaction(void)
{
	char	   *who = "";
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute("SELECT who FROM (SELECT pg_catalog.format('prepared transaction \"%s\"', gid) AS who,"
					" pg_catalog.age(transaction) AS age FROM pg_catalog.pg_prepared_xacts"
					" UNION ALL SELECT pg_catalog.format('the transaction of process %s', pid),"
					" pg_catalog.age(backend_xid) FROM pg_catalog.pg_stat_activity"
					" WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid()) w"
					" ORDER BY age DESC LIMIT 1", true, 1) == SPI_OK_SELECT && SPI_processed == 1)
		who = MemoryContextStrdup(caller, psprintf("; the oldest is %s",
												   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)));
	PopActiveSnapshot();
	SPI_finish();
	return who;
}

char *
PipelineWaitReady(int timeout_ms)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	const char *hint;
	char	   *reason = NULL;
	PipelineEntry entry;
	bool		found;

	memset(&entry, 0, sizeof(entry));
	if (StatusServerProblem(&hint) != NULL)
		return StatusProblem(&entry, false, &reason);
	found = StatusGet(MyDatabaseId, &entry);
	if (found && entry.ready)
		return NULL;

	StatusWakeLauncher(false);
	ConditionVariablePrepareToSleep(&Pipeline->changed);
	for (;;)
	{
		found = StatusGet(MyDatabaseId, &entry);
		if (found && entry.ready)
			break;
		reason = NULL;
		if (found && entry.phase == PIPELINE_FAILED)
			break;
		if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		{
			reason = pstrdup("the worker is starting, and waits for this transaction, which has made changes already");
			break;
		}
		if (!SleepUntil(deadline))
			break;
	}
	ConditionVariableCancelSleep();
	if (found && entry.ready)
		return NULL;
	if (reason == NULL)
	{
		char	   *ignored;

		reason = StatusProblem(&entry, found, &ignored);
	}
	if (found && entry.phase == PIPELINE_STARTING)
		reason = psprintf("%s%s", reason, OldestTransaction());
	return reason;
}
