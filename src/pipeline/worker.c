/*
 * worker.c
 *		The pipeline worker of one database.
 *
 * It opens or makes the slot, brings tables that do not fit the stored position
 * in line with their heap, and then alternates between decoding and flushing:
 * a flush is due when enough rows or bytes are buffered, when the first of them
 * has waited for shard.flush_interval, or when somebody waits in shard.flush().
 * It falls on a transaction's end always, since a transaction is decoded whole.
 *
 * Any error ends the process: a half-used decoding context is not repaired.
 * The launcher starts it again, and it goes on from the committed position.
 * Caches are thrown away at each change between decoding and ordinary work,
 * as both fill them under different snapshots.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "base/compat.h"
#include "base/hot_keys.h"
#include "base/origin.h"
#include "base/points.h"
#include "base/settings.h"
#include "base/worker.h"
#include "commands/extension.h"
#include "lake/lake.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "pipeline/changes.h"
#include "pipeline/decode.h"
#include "pipeline/emitted.h"
#include "pipeline/flush.h"
#include "pipeline/inherit.h"
#include "pipeline/layout.h"
#include "pipeline/letters.h"
#include "pipeline/plugin.h"
#include "pipeline/position.h"
#include "pipeline/register.h"
#include "pipeline/resync.h"
#include "pipeline/worker.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* The slot of an idle database follows the WAL in steps of this. */
#define IDLE_STEP (1024 * 1024)

#define RECORDS_BETWEEN_LOOKS 256
#define SHORTEST_WAIT_MS 5
#define TRASH_INTERVAL_MS 10000
#define IDLE_MAINTENANCE_MS (3600 * 1000)
#define LONGEST_WAIT_MS 200
#define LOCKED_OUT_MS 200

/* Failures in a row after which a slot that misses a table is made anew. */
#define MISSED_TABLE_RETRIES 2

static PipelineEntry *entry = NULL;
static Position position;		/* committed */
static XLogRecPtr reached;		/* nothing before it is missing from the batch */
/*
 * Up to here some tables of a catalog outside have come already, in a flush that
 * the database did not commit: the first flush ends there, too, so that each
 * table can tell whether it has all of it or nothing.
 */
static XLogRecPtr border = InvalidXLogRecPtr;
static bool looking = false;	/* in LookAround() */
static bool locked_out = false; /* a table is due for comparison, and locked */
static TimestampTz locked_out_at;	/* when that was seen */
static int	failures = 0;		/* in a row, before this process */
static bool short_of_memory = false;	/* the engine, at the last of these */

/* ---- status ---- */

static void
Detach(int code, Datum arg)
{
	/* Before anybody is told that this worker is gone. */
	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	if (entry->pid == MyProcPid)
	{
		entry->pid = 0;
		if (entry->phase == PIPELINE_RUNNING || entry->phase == PIPELINE_SYNCING)
			entry->phase = PIPELINE_STOPPED;
	}
	LWLockRelease(&Pipeline->lock);
	ConditionVariableBroadcast(&Pipeline->changed);
	StatusWakeLauncher(false);
}

/*
 * Take the database's entry; false if this worker is not wanted.
 */
static bool
Attach(void)
{
	bool		wanted;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFindOrMake(MyDatabaseId);
	wanted = entry != NULL && entry->hold == 0 && entry->pid == 0;
	if (wanted)
	{
		entry->pid = MyProcPid;
		failures = entry->failures;
		short_of_memory = failures > 0 && entry->last_error_code == ERRCODE_OUT_OF_MEMORY;
		entry->pgprocno = MyProcNumberCompat;
		entry->phase = PIPELINE_STARTING;
		entry->buffered_rows = 0;
	}
	LWLockRelease(&Pipeline->lock);
	if (wanted)
		before_shmem_exit(Detach, (Datum) 0);
	return wanted;
}

static void
SetPhase(PipelinePhase phase, const char *reason)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->phase = phase;
	strlcpy(entry->reason, reason, PIPELINE_MESSAGE);
	entry->hint[0] = '\0';
	LWLockRelease(&Pipeline->lock);
	ConditionVariableBroadcast(&Pipeline->changed);
}

static void
SetReady(bool ready)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->ready = ready;
	entry->generation = position.generation;
	LWLockRelease(&Pipeline->lock);
	ConditionVariableBroadcast(&Pipeline->changed);
}

static void
RecordError(ErrorData *error)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	strlcpy(entry->last_error, error->message, PIPELINE_MESSAGE);
	entry->last_error_at = GetCurrentTimestamp();
	entry->last_error_code = error->sqlerrcode;
	strlcpy(entry->reason, error->message, PIPELINE_MESSAGE);
	strlcpy(entry->hint, error->hint != NULL ? error->hint : "", PIPELINE_MESSAGE);
	entry->phase = PIPELINE_RETRYING;
	LWLockRelease(&Pipeline->lock);
}

/*
 * Is this error the table's own?  If the engine lacks memory although it has got
 * less and less to do at once, and nobody else uses it, the table's rows need more.
 */
static bool
IsFaultOfTable(const ErrorData *error)
{
	return LettersIsFaultOfTable(error->sqlerrcode) ||
		(error->sqlerrcode == ERRCODE_OUT_OF_MEMORY && EngineIsIdle());
}

/*
 * After too many tries, a fault that is of one table alone must not stop the
 * others any longer: its changes become a dead letter, and the table is left
 * out.  A fault of the store, the disk or the engine is tried again for ever.
 */
static void
IsolateTable(const ErrorData *error)
{
	Oid			relation = LettersTableAtHand();

	if (failures < PipelineMaxRetries || !OidIsValid(relation))
		return;
	AbortCurrentTransaction();
	InvalidateSystemCaches();
	StartTransactionCommand();
	if (!IsFaultOfTable(error))
	{
		AbortCurrentTransaction();
		return;
	}
	LettersWriteFault(relation, &position, error);
	CommitTransactionCommand();
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->failures = 0;
	LWLockRelease(&Pipeline->lock);
}

static void
ReportProgress(void)
{
	static int64 rows_reported = 0;
	ChangeBatch *batch = ChangesBatch();
	int64		rows = PluginRows();
	bool		waited_for;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->read_lsn = reached;
	entry->buffered_rows = batch->rows;
	entry->rows += rows - rows_reported;
	rows_reported = rows;
	/* Tables that were just registered may have rows that are no changes. */
	if (batch->rows == 0 && !entry->look && !looking && !locked_out)
		entry->flushed_lsn = reached;
	waited_for = entry->requested_lsn != InvalidXLogRecPtr &&
		entry->requested_lsn <= entry->flushed_lsn;
	if (waited_for)
		entry->requested_lsn = InvalidXLogRecPtr;
	LWLockRelease(&Pipeline->lock);
	if (waited_for)
		ConditionVariableBroadcast(&Pipeline->changed);
}

/* ---- start ---- */

static void
Override(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * Settings of the database or the role must not change how this worker works.
 */
static void
SetUpSession(void)
{
	Override("synchronous_commit", "on");
	Override("search_path", "pg_catalog, pg_temp");
	Override("default_transaction_isolation", "read committed");
	Override("default_transaction_read_only", "off");
	Override("row_security", "off");
	Override("statement_timeout", "0");
	Override("lock_timeout", "0");
	Override("deadlock_timeout", "100ms");	/* this worker can start again, users cannot */
	Override("idle_in_transaction_session_timeout", "0");
	Override("DateStyle", "ISO, YMD");
	Override("IntervalStyle", "postgres");
	Override("TimeZone", "UTC");
	Override("extra_float_digits", "1");
	Override("bytea_output", "hex");
	Override("logical_decoding_work_mem", psprintf("%dkB", DecodingMemory));

	/* Our own commits need not be decoded. */
	replorigin_session_origin = SHARD_MOVE_ORIGIN;
}

static bool
ExtensionThere(void)
{
	bool		there;

	StartTransactionCommand();
	there = OidIsValid(get_extension_oid("shard", true));
	CommitTransactionCommand();
	return there;
}

/*
 * There is no extension (any more): leave nothing behind.
 */
static void
Leave(void)
{
	SlotDrop();
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->absent = true;
	entry->ready = false;
	entry->phase = PIPELINE_STOPPED;
	entry->failures = 0;
	entry->reason[0] = entry->hint[0] = entry->last_error[0] = '\0';
	LWLockRelease(&Pipeline->lock);
	proc_exit(0);
}

/*
 * A new slot begins a new generation of positions.  The generation is committed
 * while the slot would still vanish with this process: so a slot that stays has
 * its generation stored, always.
 */
static void
OpenNewSlot(void)
{
	XLogRecPtr	start;

	SetPhase(PIPELINE_STARTING, "waiting for running transactions before the slot can be made");
	SlotDrop();
	start = SlotMake();
	StartTransactionCommand();
	PositionNewGeneration(&position, start);
	CommitTransactionCommand();
	SHARD_POINT("pipeline-before-slot-kept");
	SlotKeep();
	SHARD_POINT("pipeline-after-slot-kept");
	ereport(LOG,
			(errmsg("pipeline of database %u starts with a new slot at %X/%X",
					MyDatabaseId, LSN_FORMAT_ARGS(start))));
}

/*
 * Has decoding failed again and again since a table's creation is unknown to it?
 * PostgreSQL misses one that commits while the slot's first snapshot is built,
 * and then cannot read what a transaction from before the slot was ready writes
 * to that table.  No retry mends that; a new slot and a comparison do.
 */
static bool
SlotMissesTable(void)
{
	const char *error = "could not map filen";	/* …ode, or …umber in later versions */

	return failures >= MISSED_TABLE_RETRIES &&
		strncmp(entry->last_error, error, strlen(error)) == 0;
}

static void
OpenSlot(void)
{
	XLogRecPtr	confirmed;
	SlotState	state = SlotLook(&confirmed);
	bool		stored;
	char		name[NAMEDATALEN];

	if (state == SLOT_FOREIGN)
	{
		SlotName(MyDatabaseId, name);
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("replication slot \"%s\" is not one of this extension", name),
				 errhint("Drop it with pg_drop_replication_slot.")));
	}
	StartTransactionCommand();
	stored = PositionRead(&position);
	CommitTransactionCommand();
	if (state == SLOT_USABLE && stored && PositionFits(&position, confirmed) && !SlotMissesTable())
		SlotAcquire();
	else
	{
		SetReady(false);
		OpenNewSlot();
	}
	DecodeBegin(position.lsn);
	reached = position.lsn;
	SetReady(true);
}

/* ---- flushing ---- */

static void
NoteFlush(const FlushResult *result, TimestampTz begin)
{
	TimestampTz now = GetCurrentTimestamp();

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->events += result->events;
	entry->emitted += result->emitted;
	entry->repeated += result->repeated;
	entry->flushes++;
	entry->failures = 0;
	entry->confirmed_lsn = position.lsn;
	entry->buffered_rows = 0;
	entry->last_flush_at = now;
	entry->last_flush_ms = (now - begin) / 1000.0;
	LWLockRelease(&Pipeline->lock);
}

static void
Confirm(void)
{
	SHARD_POINT("pipeline-before-confirm");
	DecodeConfirm(position.lsn);
	SHARD_POINT("pipeline-after-confirm");
}

/*
 * Bring tables that do not fit the position in line with their heap.
 */
static void
Resync(void)
{
	int			tables;

	StartTransactionCommand();
	(void) RegisterMissing();
	CommitTransactionCommand();
	locked_out = false;
	if (!ResyncNeeded(&position))
	{
		SetPhase(PIPELINE_RUNNING, "");
		return;
	}
	SetPhase(PIPELINE_SYNCING, "comparing tables with the lake");
	tables = ResyncTables(ChangesConnection(), &position, &locked_out);
	locked_out_at = GetCurrentTimestamp();
	ResyncRestoreLeftOut();
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->resyncs += tables;
	LWLockRelease(&Pipeline->lock);
	SetPhase(PIPELINE_RUNNING, locked_out ? "the comparison of a table with the lake waits for its lock" : "");
}

/*
 * With nothing to flush, follow the WAL from time to time so that the server
 * can recycle it.  Each step writes a little WAL itself, so steps are large.
 */
static void
FollowIdle(void)
{
	if (DecodePosition() < position.lsn + IDLE_STEP)
		return;
	InvalidateSystemCaches();
	position.lsn = DecodePosition();
	StartTransactionCommand();
	PositionWrite(&position);
	CommitTransactionCommand();
	Confirm();
	ChangesDropFilters(position.lsn);
	InvalidateSystemCaches();
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->confirmed_lsn = position.lsn;
	entry->failures = 0;
	LWLockRelease(&Pipeline->lock);
}

static void
Flush(void)
{
	TimestampTz begin = GetCurrentTimestamp();
	Position	next = position;
	FlushResult result;

	pgstat_report_activity(STATE_RUNNING, "flush");
	SHARD_POINT("pipeline-after-decode");
	next.lsn = DecodePosition();
	InvalidateSystemCaches();
	FlushBatch(ChangesBatch(), &next, &result);
	if (result.committed)
	{
		position = next;
		Confirm();
		ChangesDropFilters(position.lsn);
	}
	EmittedReset();
	ChangesReset();
	NoteFlush(&result, begin);
	if (!result.committed)
		FollowIdle();			/* or tables left out would hold up the slot */
	if (result.resync)
		Resync();
	InvalidateSystemCaches();
	ReportProgress();
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Tables were registered or dropped, or the extension was.
 */
static void
LookAround(void)
{
	bool		look;

	/* A flush that a crash cut short comes first: a comparison would tell its events again. */
	if (border != InvalidXLogRecPtr)
		return;
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	if (locked_out && TimestampDifferenceExceeds(locked_out_at, GetCurrentTimestamp(), LOCKED_OUT_MS))
		entry->look = true;
	look = looking = entry->look;
	entry->look = false;
	LWLockRelease(&Pipeline->lock);
	if (!look)
		return;
	InvalidateSystemCaches();
	if (!ExtensionThere())
	{
		ReplicationSlotRelease();
		Leave();
	}
	if (ChangesBatch()->rows > 0)
		Flush();
	Resync();
	looking = false;
	InvalidateSystemCaches();
}

/*
 * Now and then, remove lake files that nobody needs any more.  Costs a
 * transaction without writes when there are none.
 */
static void
EmptyTrash(void)
{
	static TimestampTz last = 0;

	if (!TimestampDifferenceExceeds(last, GetCurrentTimestamp(), TRASH_INTERVAL_MS))
		return;
	last = GetCurrentTimestamp();
	InvalidateSystemCaches();
	StartTransactionCommand();
	(void) LakeEmptyTrash();
	CommitTransactionCommand();
	InvalidateSystemCaches();
}

/*
 * Now and then after flushes, and once in an hour, have the lake's tables looked
 * at, by another process so that flushes need not wait.
 */
static void
StartMaintenance(void)
{
	static TimestampTz last = 0;
	static int64 flushes = 0;
	static BackgroundWorkerHandle *handle = NULL;
	WorkerTarget target = {.database = MyDatabaseId};
	MemoryContext old;
	pid_t		pid;
	bool		due;

	if (!TimestampDifferenceExceeds(last, GetCurrentTimestamp(), MaintenanceInterval))
		return;
	LWLockAcquire(&Pipeline->lock, LW_SHARED);
	due = entry->maintenance_pid == 0 && entry->hold == 0 &&
		(entry->flushes != flushes ||
		 TimestampDifferenceExceeds(last, GetCurrentTimestamp(), IDLE_MAINTENANCE_MS));
	flushes = due ? entry->flushes : flushes;
	LWLockRelease(&Pipeline->lock);
	if (!due || (handle != NULL && GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED))
		return;
	if (handle != NULL)
		pfree(handle);
	handle = NULL;
	old = MemoryContextSwitchTo(TopMemoryContext);
	if (!WorkerStart("shard maintenance", "MaintenanceWorkerMain", &target, MyProcPid, &handle))
		handle = NULL;			/* no free worker: later */
	MemoryContextSwitchTo(old);
	last = GetCurrentTimestamp();
}

/* ---- main loop ---- */

static bool
FlushRequested(void)
{
	XLogRecPtr	requested;

	LWLockAcquire(&Pipeline->lock, LW_SHARED);
	requested = entry->requested_lsn;
	LWLockRelease(&Pipeline->lock);
	return requested != InvalidXLogRecPtr && requested <= reached;
}

static bool
IsFull(const ChangeBatch *batch)
{
	return batch->rows >= FlushRows || batch->bytes >= (int64) FlushBytes * 1024;
}

/*
 * Must a flush fall just here?
 */
static bool
AtBorder(void)
{
	return border != InvalidXLogRecPtr && DecodePosition() >= border;
}

static bool
FlushDue(void)
{
	ChangeBatch *batch = ChangesBatch();
	bool		at_border = AtBorder();

	if (at_border)
		border = InvalidXLogRecPtr;
	if (batch->rows == 0)
		return false;
	return at_border || IsFull(batch) || FlushRequested() ||
		TimestampDifferenceExceeds(batch->first_at, GetCurrentTimestamp(), FlushInterval);
}

/*
 * Decode some records; false when there are no more for now.
 */
static bool
DecodeSome(void)
{
	XLogRecPtr	end = GetFlushRecPtr(NULL);

	for (int i = 0; i < RECORDS_BETWEEN_LOOKS; i++)
	{
		if (!DecodeNext())
		{
			/* Whatever ended before this has been seen. */
			reached = Max(Max(reached, end), DecodePosition());
			return false;
		}
		reached = Max(reached, DecodePosition());
		if (IsFull(ChangesBatch()) || AtBorder())
			break;
	}
	return true;
}

static long
WaitMs(void)
{
	ChangeBatch *batch = ChangesBatch();
	long		ms = LONGEST_WAIT_MS;

	if (batch->rows > 0)
		ms = FlushInterval - TimestampDifferenceMilliseconds(batch->first_at, GetCurrentTimestamp());
	return Max(Min(ms, Min(LONGEST_WAIT_MS, FlushInterval / 4)), SHORTEST_WAIT_MS);
}

static void
Loop(void)
{
	for (;;)
	{
		bool		more;

		SHARD_POINT("pipeline-pause");
		more = DecodeSome();
		ReportProgress();
		if (FlushDue())
			Flush();
		else if (!more)
		{
			HotKeysPublish();
			if (ChangesBatch()->rows == 0)
				FollowIdle();
			WorkerWait(WaitMs());
		}
		LookAround();
		EmptyTrash();
		StartMaintenance();
		CHECK_FOR_INTERRUPTS();
	}
}

/* Tables may be due for comparison, once the first flush is done. */
static void
LookLater(void)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry->look = true;
	LWLockRelease(&Pipeline->lock);
	SetPhase(PIPELINE_RUNNING, "");
}

static void
RunPipeline(void)
{
	SetUpSession();
	if (!ExtensionThere())
		Leave();
	PluginEnable();
	LayoutInit();
	ChangesSpare(short_of_memory ? failures : 0);
	OpenSlot();
	InheritPrepare();
	ResyncRestoreFilters(&position);
	ResyncRestoreLeftOut();
	StartTransactionCommand();
	border = FlushReached(&position);
	CommitTransactionCommand();
	if (border == InvalidXLogRecPtr)
		Resync();
	else
		LookLater();
	InvalidateSystemCaches();
	pgstat_report_activity(STATE_IDLE, NULL);
	Loop();
}

void
PipelineWorkerMain(Datum arg)
{
	WorkerTarget target;

	WorkerSetup();
	target = WorkerGetTarget();
	BackgroundWorkerInitializeConnectionByOid(target.database, target.user, 0);
	if (!Attach())
		proc_exit(0);

	PG_TRY();
	{
		RunPipeline();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		EmitErrorReport();
		MemoryContextSwitchTo(TopMemoryContext);
		error = CopyErrorData();
		LWLockReleaseAll();
		RecordError(error);
		FlushErrorState();
		IsolateTable(error);
		proc_exit(1);
	}
	PG_END_TRY();
}
