/*
 * launcher.c
 *		The launcher: keeps one pipeline worker per database that has the
 *		extension, and drops slots that nobody will ever read again.
 *
 * It belongs to no database and reads only pg_database.  Whether a database has
 * the extension can only be seen inside it, so a worker is started in each one
 * once; without the extension it says so and ends.  A worker that failed is
 * started again after a pause that doubles with each failure.  A database that
 * a backend wants to itself (DROP DATABASE, CREATE DATABASE TEMPLATE) is left
 * alone for as long as that backend lives and wants it.
 */
#include "postgres.h"

#include <limits.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "base/compat.h"
#include "base/settings.h"
#include "base/worker.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pipeline/decode.h"
#include "pipeline/wal_guard.h"
#include "pipeline/worker.h"
#include "replication/slot.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define RESCAN_MS 30000
#define DEFAULT_WAREHOUSE "shard/warehouse"	/* below the data directory */
#define FIRST_PAUSE_MS 250
#define LONGEST_PAUSE_MS 60000
#define NO_WORKER_PAUSE_MS 5000

/* Workers that this launcher has started. */
typedef struct Started
{
	Oid			database;
	BackgroundWorkerHandle *handle;
} Started;

static List *started = NIL;

static void
Detach(int code, Datum arg)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	Pipeline->launcher_pid = 0;
	LWLockRelease(&Pipeline->lock);
}

static void
Attach(void)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	Pipeline->launcher_pid = MyProcPid;
	Pipeline->launcher_procno = MyProcNumberCompat;
	LWLockRelease(&Pipeline->lock);
	before_shmem_exit(Detach, (Datum) 0);
}

/*
 * Databases that can have a pipeline, as a list of OIDs in TopMemoryContext.
 */
static List *
ListDatabases(void)
{
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!form->datallowconn || form->datistemplate)
			continue;
		old = MemoryContextSwitchTo(TopMemoryContext);
		databases = lappend_oid(databases, form->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return databases;
}

/*
 * Drop our slots of databases that are gone or closed: they would retain WAL
 * for ever.
 */
static void
DropOrphans(List *databases)
{
	List	   *names = NIL;
	ListCell   *lc;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		char		name[NAMEDATALEN];
		bool		orphan;

		if (!slot->in_use)
			continue;
		SpinLockAcquire(&slot->mutex);
		SlotName(slot->data.database, name);
		orphan = slot->active_pid == 0 && slot->data.persistency == RS_PERSISTENT &&
			strcmp(NameStr(slot->data.plugin), "shard") == 0 &&
			strcmp(NameStr(slot->data.name), name) == 0 &&
			!list_member_oid(databases, slot->data.database);
		SpinLockRelease(&slot->mutex);
		if (orphan)
			names = lappend(names, pstrdup(name));
	}
	LWLockRelease(ReplicationSlotControlLock);

	foreach(lc, names)
	{
		ereport(LOG,
				(errmsg("dropping replication slot \"%s\" of a database that has no pipeline any more",
						(char *) lfirst(lc))));
		ReplicationSlotDrop(lfirst(lc), true);
	}
	list_free_deep(names);
}

/*
 * Forget databases that are gone, and after a rescan request what we know of
 * those without the extension.
 */
static void
RefreshEntries(List *databases)
{
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PIPELINE_DATABASES; i++)
	{
		PipelineEntry *entry = &Pipeline->entries[i];

		if (entry->database == InvalidOid)
			continue;
		if (entry->pid == 0 && !list_member_oid(databases, entry->database))
			entry->database = InvalidOid;
		else if (Pipeline->rescan)
		{
			entry->absent = false;
			entry->start_at = 0;
		}
		if (entry->hold != 0 && BackendPidGetProc(entry->hold) == NULL)
			entry->hold = 0;
	}
	Pipeline->rescan = false;
	LWLockRelease(&Pipeline->lock);
}

/* ---- warehouses of dropped databases ---- */

/* A folder in the default warehouse whose database is gone. */
typedef struct Orphan
{
	Oid			database;
	TimestampTz seen;			/* for the first time */
} Orphan;

static List *orphans = NIL;

/*
 * The databases that have a folder, as a list of OIDs.
 */
static List *
WarehouseFolders(void)
{
	List	   *folders = NIL;
	DIR		   *dir = AllocateDir(DEFAULT_WAREHOUSE);
	struct dirent *entry;

	while (dir != NULL && (entry = ReadDirExtended(dir, DEFAULT_WAREHOUSE, LOG)) != NULL)
	{
		char	   *end;
		unsigned long oid = strtoul(entry->d_name, &end, 10);

		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && *end == '\0' && oid <= OID_MAX)
			folders = lappend_oid(folders, (Oid) oid);
	}
	if (dir != NULL)
		FreeDir(dir);
	return folders;
}

static bool
DatabaseExists(Oid database)
{
	bool		exists;

	StartTransactionCommand();
	exists = SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));
	CommitTransactionCommand();
	return exists;
}

static Orphan *
FindOrphan(Oid database)
{
	ListCell   *lc;
	MemoryContext old;
	Orphan	   *orphan;

	foreach(lc, orphans)
		if (((Orphan *) lfirst(lc))->database == database)
			return lfirst(lc);
	old = MemoryContextSwitchTo(TopMemoryContext);
	orphan = palloc(sizeof(Orphan));
	orphan->database = database;
	orphan->seen = GetCurrentTimestamp();
	orphans = lappend(orphans, orphan);
	MemoryContextSwitchTo(old);
	return orphan;
}

static void
RemoveOrphan(Orphan *orphan)
{
	char		path[MAXPGPATH];

	snprintf(path, sizeof(path), "%s/%u", DEFAULT_WAREHOUSE, orphan->database);
	ereport(LOG,
			(errmsg("removing the lake of database %u, which was dropped", orphan->database)));
	if (!rmtree(path, true))
		ereport(WARNING,
				(errmsg("some files of \"%s\" could not be removed", path)));
	orphans = list_delete_ptr(orphans, orphan);
	pfree(orphan);
}

/*
 * DROP DATABASE leaves the database's folder in the default warehouse.  It goes
 * when it has been without a database for as long as any other orphan is kept: a
 * copy of the database may still read it.  Other warehouses may be shared with
 * other servers, and are left alone.
 */
static void
RemoveOrphans(void)
{
	static TimestampTz last = 0;
	List	   *folders;
	List	   *gone = NIL;
	ListCell   *lc;

	if (RecoveryInProgress() ||
		!TimestampDifferenceExceeds(last, GetCurrentTimestamp(), Min(OrphanMinAge * 1000L, RESCAN_MS)))
		return;
	last = GetCurrentTimestamp();
	foreach(lc, folders = WarehouseFolders())
		if (!DatabaseExists(lfirst_oid(lc)))
			gone = lappend(gone, FindOrphan(lfirst_oid(lc)));
	foreach(lc, gone)
		if (TimestampDifferenceExceeds(((Orphan *) lfirst(lc))->seen, GetCurrentTimestamp(),
									   Min(OrphanMinAge, INT_MAX / 1000) * 1000))
			RemoveOrphan(lfirst(lc));
	list_free(gone);
	list_free(folders);
}

static Started *
FindStarted(Oid database)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = lfirst(lc);

		if (s->database == database)
			return s;
	}
	return NULL;
}

static long
PauseMs(int failures)
{
	int			shift = Min(Max(failures - 1, 0), 8);

	return Min((long) FIRST_PAUSE_MS << shift, LONGEST_PAUSE_MS);
}

/*
 * Take note of workers that have ended.
 */
static void
Reap(void)
{
	ListCell   *lc;

	foreach(lc, started)
	{
		Started    *s = lfirst(lc);
		pid_t		pid;
		PipelineEntry *entry;

		if (GetBackgroundWorkerPid(s->handle, &pid) != BGWH_STOPPED)
			continue;
		LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
		entry = StatusFind(s->database);
		if (entry != NULL)
		{
			entry->pid = 0;
			if (!entry->absent && entry->hold == 0)
			{
				entry->failures++;
				entry->retries++;
				entry->phase = entry->failures > PipelineMaxRetries ?
					PIPELINE_FAILED : PIPELINE_RETRYING;
				entry->start_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
															  PauseMs(entry->failures));
			}
			else
				entry->phase = PIPELINE_STOPPED;
		}
		LWLockRelease(&Pipeline->lock);
		ConditionVariableBroadcast(&Pipeline->changed);
		pfree(s->handle);
		pfree(s);
		started = foreach_delete_current(started, lc);
	}
}

static void
NoteNoWorker(Oid database)
{
	PipelineEntry *entry;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFind(database);
	if (entry != NULL)
	{
		strlcpy(entry->reason, "no free background worker", PIPELINE_MESSAGE);
		strlcpy(entry->hint, "Increase max_worker_processes and restart the server.",
				PIPELINE_MESSAGE);
		entry->start_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NO_WORKER_PAUSE_MS);
	}
	LWLockRelease(&Pipeline->lock);
	ConditionVariableBroadcast(&Pipeline->changed);
}

/*
 * Start a database's worker if it is due; else lower *wait_ms to when it will
 * be.
 */
static void
StartIfDue(Oid database, long *wait_ms)
{
	PipelineEntry *entry;
	bool		due;
	TimestampTz now = GetCurrentTimestamp();
	WorkerTarget target = {.database = database};
	MemoryContext old;
	Started    *s;

	if (FindStarted(database) != NULL)
		return;
	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFindOrMake(database);
	due = entry != NULL && !entry->absent && entry->pid == 0 && entry->hold == 0;
	if (due && entry->start_at > now)
	{
		*wait_ms = Min(*wait_ms, TimestampDifferenceMilliseconds(now, entry->start_at) + 1);
		due = false;
	}
	LWLockRelease(&Pipeline->lock);
	if (!due)
		return;

	old = MemoryContextSwitchTo(TopMemoryContext);
	s = palloc(sizeof(Started));
	s->database = database;
	if (WorkerStart(WORKER_NAME, "PipelineWorkerMain", &target, MyProcPid, &s->handle))
		started = lappend(started, s);
	else
	{
		pfree(s);
		NoteNoWorker(database);
		*wait_ms = Min(*wait_ms, NO_WORKER_PAUSE_MS);
	}
	MemoryContextSwitchTo(old);
}

static long
Round(void)
{
	long		wait_ms = RESCAN_MS;
	const char *hint;
	List	   *databases;
	ListCell   *lc;

	Reap();
	WalGuard();					/* before a worker is started on a slot that must go */
	databases = ListDatabases();
	RefreshEntries(databases);
	if (StatusServerProblem(&hint) == NULL)
	{
		foreach(lc, databases)
			StartIfDue(lfirst_oid(lc), &wait_ms);
	}
	DropOrphans(databases);
	RemoveOrphans();
	list_free(databases);
	return wait_ms;
}

void
PipelineLauncherMain(Datum arg)
{
	WorkerSetup();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	Attach();
	for (;;)
	{
		TimestampTz next = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), Round());
		long		left;

		/* Whatever wakes it up early asks for a whole round. */
		while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next)) > 0 &&
			   !WorkerWait(Min(left, WAL_GUARD_MS)))
			WalGuard();
	}
}
