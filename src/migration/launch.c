/*
 * launch.c
 *		Asking for migration workers: when the transaction that made a migration
 *		commits, and for whatever the journal says is unfinished.
 *
 * The launcher starts them (launcher.c).  That it cannot at once is no error:
 * the journal has the job, and shared memory has it among those to be started.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/worker.h"
#include "fmgr.h"
#include "migration/job.h"
#include "migration/progress.h"
#include "migration/sql.h"
#include "migration/worker.h"
#include "miscadmin.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(shard_resume_migrations);

typedef struct Pending
{
	int64		migration;
	TimestampTz due;
	int			level;			/* of transaction nesting */
} Pending;

static List *pending = NIL;		/* of Pending *, in TopMemoryContext */

void
LaunchAtCommit(int64 migration, TimestampTz due)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	Pending    *p = palloc(sizeof(Pending));

	p->migration = migration;
	p->due = due;
	p->level = GetCurrentTransactionNestLevel();
	pending = lappend(pending, p);
	MemoryContextSwitchTo(old);
}

static void
AtXactEnd(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (pending == NIL ||
		(event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE))
		return;
	if (event == XACT_EVENT_COMMIT)
		foreach(lc, pending)
		{
			Pending    *p = lfirst(lc);

			ProgressExpect(p->migration, p->due);
		}
	list_free_deep(pending);
	pending = NIL;
}

static void
AtSubXactEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, pending)
	{
		Pending    *p = lfirst(lc);

		if (p->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			p->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			pending = foreach_delete_current(pending, lc);
			pfree(p);
		}
	}
}

void
LaunchInit(void)
{
	RegisterXactCallback(AtXactEnd, NULL);
	RegisterSubXactCallback(AtSubXactEnd, NULL);
	if (process_shared_preload_libraries_in_progress)
		WorkerRegisterStatic("shard migration launcher", "ShardMigrationLauncherMain", 5);
}

int
LaunchUnfinished(void)
{
	int			n,
				expected = 0;

	SqlBegin();
	n = SqlRunFresh("SELECT migration_id, start_at FROM _shard.migration"
					" WHERE unfinished AND state OPERATOR(pg_catalog.=) ANY ('{pending,running}')"
					" ORDER BY migration_id", 0, NULL);
	for (int i = 0; i < n; i++)
	{
		int64		id = SqlInt8(i, 1);

		if (JobIsClaimed(id))
			continue;
		ProgressExpect(id, SqlTime(i, 2));
		expected++;
	}
	SqlEnd();
	return expected;
}

Datum
shard_resume_migrations(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(LaunchUnfinished());
}
