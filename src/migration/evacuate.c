/*
 * evacuate.c
 *		Removing a shard whose tables cannot be read: its keys come from the lake.
 *
 * The shard's leaves are dropped first, whatever is left of them: a key whose
 * leaf is gone cannot be written, so that what the lake has of it once the
 * pipeline has come to that moment is all there is.  Then batches move the keys
 * as always, but for the shard that leaves the lake takes the place of the
 * source; with each batch its keys can be written again, where they belong.
 *
 * There is no way back.  What the lake does not have is lost, and told: tables
 * that are not in it, and changes that the pipeline could not write.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/pg_type_d.h"
#include "migration/evacuate.h"
#include "migration/guard.h"
#include "migration/lake_side.h"
#include "migration/planning.h"
#include "migration/sql.h"
#include "table/table.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"

#define PATIENCE "60 s"

#define SQL_LSN(v) ((SqlArg) {LSNOID, LSNGetDatum(v), false})

void
EvacuateFence(const MigrationJob *job)
{
	XLogRecPtr	needed;

	TableDiscardLeaves(job->router, job->plan->shard_index);
	needed = GetXLogInsertRecPtr();
	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET needed_lsn = $2 WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(job->id), SQL_LSN(needed));
	SqlEnd();
	JobLog(job->id, "initializing", "shard %d is closed: its keys can be written again when they have moved",
		   job->plan->shard_index);
}

bool
EvacuateMustWait(const MigrationJob *job)
{
	bool		waits;

	if (!job->plan->evacuate || job->direction < 0)
		return false;
	SqlBegin();
	waits = SQL_RUN("SELECT FROM _shard.migration WHERE migration_id OPERATOR(pg_catalog.=) $1"
					" AND lake_lsn IS NULL", SQL_INT8(job->id)) > 0;
	SqlEnd();
	return waits;
}

/* ---- waiting ---- */

typedef struct Waiting
{
	const MigrationJob *job;
	char	   *reached;
} Waiting;

static void
Flush(void *arg)
{
	Waiting    *waiting = arg;

	SqlBegin();
	if (SQL_RUN("SELECT shard.flush($1::pg_catalog.interval)::pg_catalog.text", SQL_TEXT(PATIENCE)) > 0)
		waiting->reached = SqlText(0, 1);
	SqlEnd();
}

/*
 * How far the lake is, and how far it must be, as text.
 */
static void
Positions(const MigrationJob *job, char **lake, char **needed)
{
	SqlBegin();
	(void) SQL_RUN("SELECT (SELECT flushed_lsn::pg_catalog.text FROM _shard.pipeline_status()),"
				   "   needed_lsn::pg_catalog.text FROM _shard.migration"
				   " WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(job->id));
	*lake = SqlText(0, 1);
	*needed = SqlText(0, 2);
	SqlEnd();
}

static void
WaitForLake(const MigrationJob *job)
{
	Waiting		waiting = {job, NULL};
	char	   *error = RunGuarded(Flush, &waiting);
	char	   *lake,
			   *needed;

	Positions(job, &lake, &needed);
	if (error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lake has come to %s, and the keys of shard %d need it at %s: %s",
						lake ? lake : "nothing", job->plan->shard_index, needed, error)));
	JobLog(job->id, "replaying", "the lake has all up to %s; %s was needed", waiting.reached, needed);
	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET lake_lsn = $2::pg_catalog.pg_lsn"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(job->id), SQL_TEXT(waiting.reached));
	SqlEnd();
}

/* ---- what the lake has ---- */

/*
 * Say which tables' rows the lake lacks.
 */
static void
LogLosses(const MigrationJob *job, const ShardedTable *table)
{
	char	   *problem = NULL;

	if (!table->lake)
	{
		JobLog(job->id, "replaying", "table \"%s\" is not in the lake: its rows in shard %d are lost",
			   get_rel_name(table->relid), job->plan->shard_index);
		return;
	}
	SqlBegin();
	if (SQL_RUN("SELECT problem FROM _shard.lake_table WHERE relation::pg_catalog.oid::pg_catalog.int8"
				" OPERATOR(pg_catalog.=) $1", SQL_INT8((int64) table->relid)) > 0)
		problem = SqlText(0, 1);
	SqlEnd();
	if (problem != NULL)
		JobLog(job->id, "replaying", "the lake of table \"%s\" lacks what was written since the pipeline left it out: %s",
			   get_rel_name(table->relid), problem);
}

static void
CountTableInLake(KeyCounts *counts, Oid relid)
{
	Relation	parent = table_open(relid, AccessShareLock);

	if (!CountInLake(counts, parent))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lake of table \"%s\" cannot be read", RelationGetRelationName(parent))));
	table_close(parent, NoLock);
}

static void
PlanKey(void *arg, const KeyCount *count)
{
	Planning   *planning = arg;
	uint64		position;
	int			before,
				after;

	KeyMovesLookup(planning->moves, count->key, count->len, &position, &before, &after);
	if (before == planning->only_from)
		PlanningMove(planning, count, before, after);
}

/*
 * The plan was made while the shard could still be written: what it says of the
 * shard's keys is replaced by what the lake has now.
 */
static void
PlanAnew(const MigrationJob *job)
{
	KeyCounts  *counts = KeyCountsCreate();
	Planning   *planning = PlanningReopen(job->plan);
	ListCell   *lc;

	foreach(lc, CatalogShardedTables(job->router))
	{
		ShardedTable *table = lfirst(lc);

		LogLosses(job, table);
		if (table->lake)
			CountTableInLake(counts, table->relid);
	}
	KeyCountsVisit(counts, PlanKey, planning);
	PlanningWrite(planning);
	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET (keys_total, events_total) ="
			"   (SELECT pg_catalog.count(*), COALESCE(pg_catalog.sum(entities), 0) FROM _shard.plan_movement"
			"    WHERE plan_id OPERATOR(pg_catalog.=) $2)"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(job->id), SQL_INT8(job->plan->id));
	SqlEnd();
}

void
EvacuateAwaitLake(const MigrationJob *job)
{
	WaitForLake(job);
	PlanAnew(job);
}
