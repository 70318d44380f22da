/*
 * shape.c
 *		The shards of a router at the beginning and at the end of a migration.
 *
 * A shard that joins has its row, schema and leaves before the first key moves,
 * in state "joining"; one that leaves has them, in state "leaving", until the
 * last key has gone.  In between the router has two maps and a frontier, and in
 * _shard.next_pin the pins in which they differ.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/points.h"
#include "catalog/catalog.h"
#include "migration/evacuate.h"
#include "migration/shape.h"
#include "migration/sql.h"
#include "table/router_ddl.h"
#include "table/table.h"

bool
ShapeMoves(const MigrationPlan *plan)
{
	if (plan->ranges != NULL)
		return false;			/* ranges.c does it without a second map */
	return plan->kind == PLAN_REMOVE_SHARD || plan->kind == PLAN_REBALANCE || plan->has_pins ||
		!PlanKeepsMembers(plan);
}

/*
 * Add the shard's row, then its schema and leaves.  Its state keeps it from
 * being taken for a full member.
 */
static void
Join(const MigrationJob *job)
{
	MigrationPlan *plan = job->plan;

	SQL_RUN("INSERT INTO _shard.shard (router, shard_index, shard_name, state, server, schema_name, dedicated)"
			" VALUES ($1, $2, $3, $4, $5, $1 OPERATOR(pg_catalog.||) '_shard_' OPERATOR(pg_catalog.||) $2, $6)",
			SQL_TEXT(job->router), SQL_INT4(plan->shard_index), SQL_TEXT(plan->shard_name),
			SQL_TEXT(ShapeMoves(plan) ? "joining" : "active"), SQL_TEXT(plan->server),
			SQL_BOOL(plan->kind == PLAN_ISOLATE));
	CommandCounterIncrement();
	CatalogForget();
	TableCreateShard(job->router, plan->shard_index);
	SHARD_POINT("migration-shard-created");
	JobLog(job->id, "initializing", "created shard %d, \"%s\"", plan->shard_index, plan->shard_name);
}

static void
SetState(const MigrationJob *job, const char *state)
{
	SQL_RUN("UPDATE _shard.shard SET state = $3 WHERE router OPERATOR(pg_catalog.=) $1"
			" AND shard_index OPERATOR(pg_catalog.=) $2",
			SQL_TEXT(job->router), SQL_INT4(job->plan->shard_index), SQL_TEXT(state));
}

/*
 * What will change of the pins: those that the plan makes, and those to a shard
 * that leaves.
 */
static void
WriteNextPins(const MigrationJob *job)
{
	SQL_RUN("INSERT INTO _shard.next_pin (router, key, shard_index)"
			" SELECT $1, partition_key, shard_index FROM _shard.plan_pin"
			" WHERE plan_id OPERATOR(pg_catalog.=) $2",
			SQL_TEXT(job->router), SQL_INT8(job->plan->id));
	if (job->plan->kind == PLAN_REMOVE_SHARD)
		SQL_RUN("INSERT INTO _shard.next_pin (router, key, shard_index)"
				" SELECT router, key, NULL FROM _shard.pin WHERE router OPERATOR(pg_catalog.=) $1"
				" AND shard_index OPERATOR(pg_catalog.=) $2",
				SQL_TEXT(job->router), SQL_INT4(job->plan->shard_index));
	RouterNotePins(job->router);
}

void
ShapeBegin(const MigrationJob *job)
{
	MigrationPlan *plan = job->plan;

	SqlBegin();
	if (PLAN_JOINS(plan))
		Join(job);
	else if (plan->kind == PLAN_REMOVE_SHARD)
		SetState(job, "leaving");
	if (plan->evacuate)
		EvacuateFence(job);
	if (ShapeMoves(plan))
	{
		WriteNextPins(job);
		SQL_RUN("UPDATE _shard.router SET next_members = $2, frontier = 0"
				" WHERE name OPERATOR(pg_catalog.=) $1",
				SQL_TEXT(job->router), SQL_INTS(plan->next_members, plan->nnext));
	}
	SqlEnd();
	TableInvalidateRouter(job->router);
}

static bool
ShardExists(const char *router, int shard_index)
{
	return RouterShardByIndex(CatalogRouter(router, false), shard_index) != NULL;
}

static void
Drop(const MigrationJob *job)
{
	TableDropShard(job->router, job->plan->shard_index);
	SqlBegin();
	SQL_RUN("DELETE FROM _shard.shard WHERE router OPERATOR(pg_catalog.=) $1"
			" AND shard_index OPERATOR(pg_catalog.=) $2",
			SQL_TEXT(job->router), SQL_INT4(job->plan->shard_index));
	SqlEnd();
	TableInvalidateRouter(job->router);
}

bool
ShapeEnd(const MigrationJob *job)
{
	if (job->plan->kind != PLAN_REMOVE_SHARD || !ShardExists(job->router, job->plan->shard_index))
		return false;
	Drop(job);
	JobLog(job->id, "flushing", "dropped shard %d, \"%s\"", job->plan->shard_index,
		   job->plan->shard_name);
	return true;
}

void
ShapeUndo(const MigrationJob *job)
{
	if (PLAN_JOINS(job->plan) && ShardExists(job->router, job->plan->shard_index))
		Drop(job);
}

void
ShapeKeepLeaving(const MigrationJob *job)
{
	SqlBegin();
	SetState(job, "active");
	SqlEnd();
}
