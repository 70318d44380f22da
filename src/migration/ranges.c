/*
 * ranges.c
 *		Batches of a migration that changes the ranges of a router.
 *
 * Every batch moves rows between leaves of one shard, until the leaves are split
 * where the new ranges divide them; the last one gives leaves to other shards
 * and stores the ranges (table/range_split.h).  Before that nothing has
 * changed that a rollback would have to undo.
 */
#include "postgres.h"

#include "base/points.h"
#include "migration/progress.h"
#include "migration/ranges.h"
#include "table/table.h"

typedef struct Locking
{
	Run		   *run;
	const MigrationJob *job;
	BatchReport *report;
} Locking;

static List *
AllShards(const char *name)
{
	const Router *router = CatalogRouter(name, false);
	List	   *shards = NIL;

	for (int i = 0; i < router->nshards; i++)
		shards = lappend_int(shards, router->shards[i].index);
	return shards;
}

static bool
Lock(void *arg)
{
	Locking    *locking = arg;
	const MigrationJob *job = locking->job;

	if (!BatchLock(locking->run, job, AllShards(job->router), NULL, NULL,
				   &locking->report->lock_attempts))
		return false;
	locking->report->locked = GetCurrentTimestamp();
	return true;
}

static List *
NextMembers(const MigrationPlan *plan)
{
	List	   *members = NIL;

	for (int i = 0; i < plan->nnext; i++)
		members = lappend_int(members, plan->next_members[i]);
	return members;
}

bool
RangesBatch(Run *run, const MigrationJob *job)
{
	BatchReport report = {.started = GetCurrentTimestamp()};
	Locking		locking = {run, job, &report};
	RangesChange change = {
		.router = job->router,
		.ranges = job->plan->ranges,
		.default_shard = job->plan->default_shard,
		.members = NextMembers(job->plan),
		.lock = Lock,
		.arg = &locking
	};
	int64		rows;

	ProgressPhase("replaying");
	SHARD_POINT("migration-before-ranges");
	rows = TableRangesStep(&change);
	if (rows == RANGES_BLOCKED)
		return false;
	if (rows == RANGES_CHANGED)
	{
		JobLog(job->id, "cutover", "ranges changed, locked for %.1f ms",
			   (GetCurrentTimestamp() - report.locked) / 1000.0);
		JobPhase(job->id, "flushing");
	}
	else
	{
		report.rows = report.from_source = rows;
		JobBatch(job, &report);
		JobLog(job->id, "replaying", INT64_FORMAT " rows changed leaves, locked for %.1f ms", rows,
			   (GetCurrentTimestamp() - report.locked) / 1000.0);
	}
	SHARD_POINT("migration-before-ranges-commit");
	return true;
}
