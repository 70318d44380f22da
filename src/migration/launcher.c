/*
 * launcher.c
 *		The migration launcher: starts a worker for every migration that should
 *		have one, and for every schedule that is due.
 *
 * While the server runs, shared memory says which these are (progress.c).
 * After a start of the server, or a crash of one of its processes, shared
 * memory is empty: then a short-lived worker looks into the journal of each
 * database.  The launcher itself belongs to no database and holds nothing.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "catalog/pg_database.h"
#include "migration/progress.h"
#include "migration/schedule.h"
#include "migration/worker.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define LONGEST_SLEEP 60000		/* ms */
#define NO_ROOM_PAUSE 1000		/* ms */

/*
 * OIDs of the databases that can be connected to, in TopMemoryContext.
 */
static List *
Databases(void)
{
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		if (database->datallowconn && !database->datistemplate)
			databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return databases;
}

static bool
DatabaseExists(Oid database)
{
	bool		exists;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	exists = SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));
	CommitTransactionCommand();
	return exists;
}

/*
 * Look into every database once, one after the other.
 */
static void
ScanDatabases(void)
{
	List	   *databases = Databases();
	ListCell   *lc;

	foreach(lc, databases)
	{
		WorkerTarget target = {.database = lfirst_oid(lc)};
		BackgroundWorkerHandle *handle;

		while (!WorkerStart("shard migration scan", "ShardMigrationScanMain", &target,
							MyProcPid, &handle))
			WorkerWait(NO_ROOM_PAUSE);
		(void) WaitForBackgroundWorkerShutdown(handle);
		CHECK_FOR_INTERRUPTS();
	}
	list_free(databases);
}

static void
StartDue(void)
{
	Oid			database;
	int64		migration;

	while (ProgressTakeDue(&database, &migration))
	{
		WorkerTarget target = {.database = database,.id = migration};

		if (!DatabaseExists(database))
			ProgressForget(database);
		else if (migration < 0)
			(void) WorkerStart("shard schedule", "ShardScheduleMain", &target, 0, NULL);
		else
			(void) WorkerStart("shard migration", "ShardMigrationMain", &target, 0, NULL);
	}
}

void
ShardMigrationLauncherMain(Datum arg)
{
	WorkerSetup();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	ProgressLauncher();
	ScanDatabases();
	for (;;)
	{
		long		next;

		StartDue();
		next = ProgressNextDue();
		WorkerWait(next < 0 ? LONGEST_SLEEP : Min(next, LONGEST_SLEEP));
	}
}

/*
 * The short-lived worker: what is unfinished in this database?
 */
void
ShardMigrationScanMain(Datum arg)
{
	WorkerTarget target = WorkerGetTarget();

	WorkerSetup();
	BackgroundWorkerInitializeConnectionByOid(target.database, InvalidOid, 0);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (CatalogExtensionExists())
	{
		(void) LaunchUnfinished();
		ScheduleExpectAll();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	proc_exit(0);
}
