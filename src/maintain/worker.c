/*
 * worker.c
 *		Maintenance by itself: compaction as it pays, expiry and orphans once a
 *		day, for every table of the database's lake, and removal of files that are
 *		not needed any more.
 *
 * The pipeline's worker starts this one when there have been flushes; it goes
 * once through the tables and ends.  It is a process of its own so that a long
 * compaction does not hold up flushes.  Each job is a transaction; one that fails
 * is noted in _shard.maintenance and does not keep the others from running.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "base/worker.h"
#include "catalog/pg_type.h"
#include "client/engine.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "lake/lake.h"
#include "lake/registry/registry.h"
#include "maintain/compact.h"
#include "maintain/guard.h"
#include "maintain/maintain.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "pipeline/status.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* Compactions of one table in one round. */
#define MOST_COMPACTIONS 8

#define MOST_ATTEMPTS 5

/* While the engine does not answer there is no compaction. */
#define ENGINE_PATIENCE_MS 1000

typedef RegistryName Target;

static PipelineEntry *entry = NULL;

/* ---- attaching ---- */

static void
Detach(int code, Datum arg)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	if (entry->maintenance_pid == MyProcPid)
		entry->maintenance_pid = 0;
	LWLockRelease(&Pipeline->lock);
	ConditionVariableBroadcast(&Pipeline->changed);
}

/* False if another one runs or the database is wanted without. */
static bool
Attach(void)
{
	bool		wanted;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFindOrMake(MyDatabaseId);
	wanted = entry != NULL && entry->hold == 0 && entry->maintenance_pid == 0;
	if (wanted)
		entry->maintenance_pid = MyProcPid;
	LWLockRelease(&Pipeline->lock);
	if (wanted)
		before_shmem_exit(Detach, (Datum) 0);
	return wanted;
}

static void
SetUpSession(void)
{
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_read_only", "off", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("idle_in_transaction_session_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("row_security", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

/* ---- what happened ---- */

static void
Run(const char *sql, int nargs, Oid *types, Datum *args, const char *nulls)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args(sql, nargs, types, args, nulls, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
	PopActiveSnapshot();
	SPI_finish();
}

static void
NoteCompaction(const Target *target, const CompactResult *result)
{
	Oid			types[7] = {TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		args[7];

	args[0] = CStringGetTextDatum(target->namespace);
	args[1] = CStringGetTextDatum(target->name);
	args[2] = Int64GetDatum(result->files_before);
	args[3] = Int64GetDatum(result->files_after);
	args[4] = Int64GetDatum(result->deletes_before);
	args[5] = Int64GetDatum(result->deletes_after);
	args[6] = Int64GetDatum(result->bytes_after);
	Run("INSERT INTO _shard.maintenance AS m (namespace, name, compactions, compacted_at,"
		" files_merged, files_written, delete_files_merged, delete_files_written, bytes_written)"
		" VALUES ($1, $2, 1, pg_catalog.now(), $3, $4, $5, $6, $7)"
		" ON CONFLICT (namespace, name) DO UPDATE SET compactions = m.compactions + 1,"
		" compacted_at = pg_catalog.now(), files_merged = m.files_merged + $3,"
		" files_written = m.files_written + $4, delete_files_merged = m.delete_files_merged + $5,"
		" delete_files_written = m.delete_files_written + $6, bytes_written = m.bytes_written + $7",
		7, types, args, NULL);
}

static void
NoteCleaning(const Target *target, int64 snapshots, int64 orphans)
{
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		args[4];

	args[0] = CStringGetTextDatum(target->namespace);
	args[1] = CStringGetTextDatum(target->name);
	args[2] = Int64GetDatum(snapshots);
	args[3] = Int64GetDatum(orphans);
	Run("INSERT INTO _shard.maintenance AS m (namespace, name, cleaned_at, snapshots_expired, orphans_removed)"
		" VALUES ($1, $2, pg_catalog.now(), $3, $4)"
		" ON CONFLICT (namespace, name) DO UPDATE SET cleaned_at = pg_catalog.now(),"
		" snapshots_expired = m.snapshots_expired + $3, orphans_removed = m.orphans_removed + $4",
		4, types, args, NULL);
}

static void
NoteError(const Target *target, const char *message)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		args[3];

	args[0] = CStringGetTextDatum(target->namespace);
	args[1] = CStringGetTextDatum(target->name);
	args[2] = CStringGetTextDatum(message);
	Run("INSERT INTO _shard.maintenance AS m (namespace, name, last_error, last_error_at)"
		" VALUES ($1, $2, $3, pg_catalog.now())"
		" ON CONFLICT (namespace, name) DO UPDATE SET last_error = $3, last_error_at = pg_catalog.now()",
		3, types, args, NULL);
}

/* ---- jobs: each in a transaction; true if there may be more of the kind ---- */

typedef bool (*Job) (const Target *target);

static bool
IsOurs(const LakeTable *table)
{
	return table != NULL && LakeOwns(table->metadata);
}

/* One row of _shard.maintenance says that about the table? */
static bool
IsNoted(const Target *target, const char *what, const char *arg)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		args[3];
	bool		noted;

	args[0] = CStringGetTextDatum(target->namespace);
	args[1] = CStringGetTextDatum(target->name);
	args[2] = CStringGetTextDatum(arg);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args(psprintf("SELECT FROM _shard.maintenance WHERE namespace = $1"
									   " AND name = $2 AND %s", what),
							  3, types, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.maintenance");
	noted = SPI_processed == 1;
	PopActiveSnapshot();
	SPI_finish();
	return noted;
}

/* Nothing is to be done until the table changes. */
static void
NoteLook(const Target *target, const char *metadata)
{
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		args[3];

	args[0] = CStringGetTextDatum(target->namespace);
	args[1] = CStringGetTextDatum(target->name);
	args[2] = CStringGetTextDatum(metadata);
	Run("INSERT INTO _shard.maintenance AS m (namespace, name, looked_at_metadata) VALUES ($1, $2, $3)"
		" ON CONFLICT (namespace, name) DO UPDATE SET looked_at_metadata = $3",
		3, types, args, NULL);
}

static bool
CompactOnce(const Target *target, const char *metadata, EngineConn *conn)
{
	for (int attempt = 1; attempt <= MOST_ATTEMPTS; attempt++)
	{
		CompactResult result;
		Compaction *compaction = CompactPrepare(conn, target->namespace, target->name, CHOOSE_DUE);

		if (compaction == NULL)
		{
			NoteLook(target, metadata);
			return false;
		}
		if (CompactCommit(compaction, &result))
		{
			NoteCompaction(target, &result);
			return true;
		}
	}
	return false;
}

static bool
Compact(const Target *target)
{
	const char *metadata = target->location;
	LakeTable  *table;
	EngineConn *conn;
	bool		more;

	/* iceberg_tables says without a look at the table whether it has changed */
	if ((metadata != NULL && IsNoted(target, "looked_at_metadata = $3", metadata)) ||
		!MaintenanceLock(target->namespace, target->name, false))
		return false;
	table = LakeOpenLatest(target->namespace, target->name);
	if (!IsOurs(table))
		return false;
	if (metadata == NULL)
		metadata = table->metadata_location;
	if (target->location == NULL && IsNoted(target, "looked_at_metadata = $3", metadata))
		return false;
	conn = EngineAcquire();
	more = CompactOnce(target, metadata, conn);
	EngineRelease(conn);
	return more;
}

/*
 * Old snapshots of tables that nobody writes any more, and files that belong to
 * nothing.
 */
static bool
Clean(const Target *target)
{
	LakeTable  *table;
	LakeExpiry	expiry;
	LakeOrphans orphans;

	if (IsNoted(target, "cleaned_at > pg_catalog.now() - $3::pg_catalog.interval", "1 day") ||
		!MaintenanceLock(target->namespace, target->name, false))
		return false;
	table = LakeOpenLatest(target->namespace, target->name);
	if (!IsOurs(table))
		return false;
	LakeRemoveOrphans(table, (int64) OrphanRetention * 60 * 1000, &orphans);
	table = LakeOpenLocked(target->namespace, target->name);
	if (table == NULL ||
		LakeExpire(table, -1, 1, &expiry) == NULL)
		return false;
	NoteCleaning(target, expiry.snapshots, orphans.files + orphans.queued);
	return false;
}

/* What earlier jobs, and flushes, have left to be removed. */
static bool
EmptyTrash(const Target *target)
{
	return LakeEmptyTrash() > 0;
}

static void
AfterError(const Target *target, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	HOLD_INTERRUPTS();
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	RESUME_INTERRUPTS();

	StartTransactionCommand();
	if (target != NULL && OidIsValid(get_extension_oid("shard", true)))
		NoteError(target, error->message);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

static bool
RunJob(const Target *target, Job job)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard maintenance",
												  ALLOCSET_DEFAULT_SIZES);
	volatile bool more = false;

	CHECK_FOR_INTERRUPTS();
	PG_TRY();
	{
		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		PushActiveSnapshot(GetTransactionSnapshot());
		more = job(target);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		AfterError(target, context);
		more = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	return more;
}

/* ---- the round ---- */

/* All tables of the lake's catalog, in TopMemoryContext. */
static List *
Targets(void)
{
	List	   *targets = NIL;

	StartTransactionCommand();
	if (OidIsValid(get_extension_oid("shard", true)))
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		targets = RegistryTables();
		MemoryContextSwitchTo(old);
	}
	CommitTransactionCommand();
	return targets;
}

static bool
ExtensionIsThere(void)
{
	bool		there;

	StartTransactionCommand();
	there = OidIsValid(get_extension_oid("shard", true));
	CommitTransactionCommand();
	return there;
}

void
MaintenanceWorkerMain(Datum arg)
{
	WorkerTarget target;
	ListCell   *lc;

	WorkerSetup();
	target = WorkerGetTarget();
	BackgroundWorkerInitializeConnectionByOid(target.database, target.user, 0);
	if (!Attach())
		proc_exit(0);
	SetUpSession();
	foreach(lc, Targets())
	{
		const Target *table = lfirst(lc);

		pgstat_report_activity(STATE_RUNNING, psprintf("maintain %s.%s", table->namespace, table->name));
		for (int i = 0; i < MOST_COMPACTIONS && CompactionEnabled &&
			 EngineAvailable(ENGINE_PATIENCE_MS); i++)
			if (!RunJob(table, Compact))
				break;
		(void) RunJob(table, Clean);
	}
	pgstat_report_activity(STATE_RUNNING, "remove files");
	while (ExtensionIsThere() && RunJob(NULL, EmptyTrash))
		;
	proc_exit(0);
}
