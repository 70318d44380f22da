/*
 * validate.c
 *		Can a plan be executed now?  Errors prevent it, warnings do not.
 */
#include "postgres.h"

#include <sys/statvfs.h>

#include "access/table.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "funcapi.h"
#include "migration/guard.h"
#include "migration/plan.h"
#include "migration/scope.h"
#include "migration/sql.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(shard_validate_plan);

/* Moved rows are written once to the target and once to the WAL. */
#define SPACE_FACTOR 2

/* WAL that the pipeline may be behind before it is worth a word. */
#define MUCH_LAG (64 * 1024 * 1024)

typedef struct Validation
{
	const MigrationPlan *plan;
	const Router *router;
	List	   *errors;			/* of char * */
	List	   *warnings;
} Validation;

static void
Error(Validation *validation, char *message)
{
	validation->errors = lappend(validation->errors, message);
}

static void
Warn(Validation *validation, char *message)
{
	validation->warnings = lappend(validation->warnings, message);
}

/* ---- is it still what it was? ---- */

/*
 * A key that the unfinished migration of the router moves, and this plan, too.
 */
static char *
KeyInMotion(const MigrationPlan *plan)
{
	char	   *key = NULL;

	SqlBegin();
	if (SQL_RUN("SELECT v.partition_key FROM _shard.plan_movement v"
				" WHERE v.plan_id OPERATOR(pg_catalog.=) $1 AND EXISTS ("
				"   SELECT FROM _shard.migration m JOIN _shard.plan_movement o USING (plan_id)"
				"   WHERE m.router OPERATOR(pg_catalog.=) $2 AND m.unfinished"
				"   AND o.partition_key OPERATOR(pg_catalog.=) v.partition_key)"
				" ORDER BY v.place LIMIT 1", SQL_INT8(plan->id), SQL_TEXT(plan->router)) > 0)
		key = SqlText(0, 1);
	SqlEnd();
	return key;
}

static bool
IsMigrating(const Router *router)
{
	bool		migrating;

	SqlBegin();
	migrating = SQL_RUN("SELECT FROM _shard.migration WHERE router OPERATOR(pg_catalog.=) $1 AND unfinished",
						SQL_TEXT(router->name)) > 0;
	SqlEnd();
	return migrating || router->migrating;
}

static bool
SameMembers(const Router *router, const MigrationPlan *plan)
{
	return router->nmembers == plan->nmembers &&
		memcmp(router->members, plan->members, sizeof(int) * plan->nmembers) == 0;
}

/*
 * A key that is not any more where the plan would pin it from; NULL if there is
 * none.
 */
char *
PlanStaleKey(const MigrationPlan *plan)
{
	const Router *router = CatalogRouter(plan->router, false);
	char	   *stale = NULL;
	uint64		n;

	if (!plan->has_pins)
		return NULL;
	SqlBegin();
	n = SQL_RUN("SELECT partition_key, from_shard FROM _shard.plan_movement"
				" WHERE plan_id OPERATOR(pg_catalog.=) $1 ORDER BY place", SQL_INT8(plan->id));
	for (uint64 i = 0; i < n && stale == NULL; i++)
	{
		char	   *key = SqlText(i, 1);

		if (CatalogRoute(router, key, strlen(key)) != SqlInt4(i, 2))
			stale = key;
		else
			pfree(key);
	}
	SqlEnd();
	return stale;
}

static void
CheckRouter(Validation *validation)
{
	const MigrationPlan *plan = validation->plan;
	char	   *key;

	if (IsMigrating(validation->router))
	{
		key = KeyInMotion(plan);
		Error(validation, key != NULL ?
			  psprintf("partition key \"%s\" is already migrating", key) :
			  psprintf("router \"%s\" is already migrating", plan->router));
	}
	else if (!SameMembers(validation->router, plan))
		Error(validation, psprintf("plan " INT64_FORMAT " is stale: router \"%s\" has other shards now",
								   plan->id, plan->router));
	else if ((key = PlanStaleKey(plan)) != NULL)
		Error(validation, psprintf("plan " INT64_FORMAT " is stale: partition key \"%s\" is in another shard now",
								   plan->id, key));
}

/* ---- the shard that joins or leaves ---- */

/*
 * Where the leaves of the new shard would be made.
 */
static void
CheckNewShard(Validation *validation)
{
	const MigrationPlan *plan = validation->plan;
	const Router *router = validation->router;
	Oid			schema = get_namespace_oid(psprintf("%s_shard_%d", plan->router, plan->shard_index), true);
	ListCell   *lc;

	for (int i = 0; i < router->nshards; i++)
		if (router->shards[i].index == plan->shard_index ||
			strcmp(router->shards[i].name, plan->shard_name) == 0)
		{
			Error(validation, psprintf("router \"%s\" already has a shard %d, \"%s\"", plan->router,
									   router->shards[i].index, router->shards[i].name));
			return;
		}
	foreach(lc, CatalogRouterParents(plan->router))
		if (OidIsValid(schema) && OidIsValid(get_relname_relid(get_rel_name(lfirst_oid(lc)), schema)))
			Error(validation, psprintf("shard %d is not empty: \"%s.%s\" exists", plan->shard_index,
									   get_namespace_name(schema), get_rel_name(lfirst_oid(lc))));
}

/*
 * Read the first and the last page of a leaf: its file is there.
 */
static void
TouchLeaf(void *arg)
{
	Relation	rel = table_open(*(Oid *) arg, AccessShareLock);
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);

	if (nblocks > 0)
	{
		ReleaseBuffer(ReadBuffer(rel, 0));
		ReleaseBuffer(ReadBuffer(rel, nblocks - 1));
	}
	table_close(rel, AccessShareLock);
}

static void
CheckLeavingLeaf(Validation *validation, Oid parent)
{
	int			shard_index = validation->plan->shard_index;
	Oid			leaf = CatalogLeaf(parent, shard_index);
	char	   *error = OidIsValid(leaf) ? RunGuarded(TouchLeaf, &leaf) : pstrdup("its table is gone");

	if (error != NULL)
		Error(validation, psprintf("shard %d of table \"%s\" is not reachable: %s; shard.remove_shard(..., evacuate => true) rebuilds its keys from the lake",
								   shard_index, get_rel_name(parent), error));
}

/*
 * What would keep a leaf from being dropped in the end.
 */
static void
CheckDependents(Validation *validation, Oid leaf)
{
	char	   *view = NULL;

	if (!OidIsValid(leaf))
		return;
	SqlBegin();
	if (SQL_RUN("SELECT pg_catalog.format('%s', r.ev_class::pg_catalog.regclass)"
				" FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) d.objid"
				" WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
				" AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"
				" AND d.refobjid::pg_catalog.int8 OPERATOR(pg_catalog.=) $1 ORDER BY 1 LIMIT 1",
				SQL_INT8((int64) leaf)) > 0)
		view = SqlText(0, 1);
	SqlEnd();
	if (view != NULL)
		Error(validation, psprintf("view \"%s\" depends on the shard's table \"%s.%s\": drop it first", view,
								   get_namespace_name(get_rel_namespace(leaf)), get_rel_name(leaf)));
}

static void
CheckLeavingShard(Validation *validation)
{
	const MigrationPlan *plan = validation->plan;
	ListCell   *lc;

	if (RouterShardByIndex(validation->router, plan->shard_index) == NULL)
	{
		Error(validation, psprintf("plan " INT64_FORMAT " is stale: router \"%s\" has no shard %d any more",
								   plan->id, plan->router, plan->shard_index));
		return;
	}
	foreach(lc, CatalogRouterParents(plan->router))
	{
		if (!plan->evacuate)
			CheckLeavingLeaf(validation, lfirst_oid(lc));
		CheckDependents(validation, CatalogLeaf(lfirst_oid(lc), plan->shard_index));
	}
}

/*
 * Every target has a leaf of every table.
 */
static void
CheckTargets(Validation *validation)
{
	const MigrationPlan *plan = validation->plan;
	List	   *shards = ScopeShards(plan);
	ListCell   *lc,
			   *lc2;

	foreach(lc, shards)
	{
		int			index = lfirst_int(lc);

		if (index == plan->shard_index)
			continue;
		if (RouterShardByIndex(validation->router, index) == NULL)
			Error(validation, psprintf("plan " INT64_FORMAT " is stale: router \"%s\" has no shard %d any more",
									   plan->id, plan->router, index));
		else
			foreach(lc2, CatalogRouterParents(plan->router))
				if (!OidIsValid(CatalogLeaf(lfirst_oid(lc2), index)))
					Error(validation, psprintf("shard %d of table \"%s\" is not reachable: its table is gone",
											   index, get_rel_name(lfirst_oid(lc2))));
	}
}

/* ---- tables, space, pipeline ---- */

static bool
HasPrimaryKey(Oid parent)
{
	Relation	rel = table_open(parent, AccessShareLock);
	bool		has;

	(void) RelationGetIndexList(rel);
	has = OidIsValid(rel->rd_pkindex);
	table_close(rel, NoLock);
	return has;
}

static void
CheckTables(Validation *validation)
{
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(validation->plan->router))
	{
		Oid			parent = lfirst_oid(lc);

		if (get_rel_persistence(parent) == RELPERSISTENCE_UNLOGGED)
			Warn(validation, psprintf("table \"%s\" is unlogged: cut-overs read its shards in full under the lock",
									  get_rel_name(parent)));
		if (!HasPrimaryKey(parent))
			Warn(validation, psprintf("table \"%s\" has no primary key: its rows are told apart by their whole content",
									  get_rel_name(parent)));
	}
}

static void
CheckSpace(Validation *validation)
{
	struct statvfs fs;
	double		needed;
	int64		bytes;

	SqlBegin();
	(void) SQL_RUN("SELECT bytes_to_move FROM _shard.plan WHERE plan_id OPERATOR(pg_catalog.=) $1",
				   SQL_INT8(validation->plan->id));
	bytes = SqlInt8(0, 1);
	SqlEnd();
	needed = (double) bytes * SPACE_FACTOR;
	if (statvfs(DataDir, &fs) == 0 && needed > (double) fs.f_bavail * fs.f_frsize)
		Error(validation, psprintf("disk space is missing: the move needs about %.0f MB, %.0f MB are free",
								   needed / 1048576, (double) fs.f_bavail * fs.f_frsize / 1048576));
}

static bool
HasLake(const char *router)
{
	ListCell   *lc;

	foreach(lc, CatalogShardedTables(router))
		if (((ShardedTable *) lfirst(lc))->lake)
			return true;
	return false;
}

static void
CheckPipeline(Validation *validation)
{
	char	   *state = NULL;
	int64		lag = 0;

	if (!HasLake(validation->plan->router))
		return;
	SqlBegin();
	if (SQL_RUN("SELECT state, lag_bytes FROM _shard.pipeline_status() WHERE $1", SQL_BOOL(true)) > 0)
	{
		state = SqlText(0, 1);
		lag = SqlInt8(0, 2);
	}
	SqlEnd();
	if (state != NULL && strcmp(state, "running") != 0)
		Warn(validation, psprintf("the pipeline is %s: rows are copied from the shards, not from the lake", state));
	else if (lag > MUCH_LAG)
		Warn(validation, psprintf("the pipeline lags behind by " INT64_FORMAT " MB", lag / (1024 * 1024)));
}

/* ---- the whole ---- */

void
PlanValidate(const MigrationPlan *plan, List **errors, List **warnings)
{
	Validation	validation = {.plan = plan, .router = CatalogRouter(plan->router, true)};

	validation.warnings = list_copy(plan->warnings);
	if (!ShardPreloaded())
		Error(&validation, pstrdup("\"shard\" is not in shared_preload_libraries"));
	if (validation.router == NULL)
		Error(&validation, psprintf("router \"%s\" does not exist any more", plan->router));
	else
	{
		CheckRouter(&validation);
		if (validation.errors == NIL && PLAN_JOINS(plan))
			CheckNewShard(&validation);
		/* under strategy range leaves come and go with ranges */
		if (validation.errors == NIL && plan->kind == PLAN_REMOVE_SHARD && plan->ranges == NULL)
			CheckLeavingShard(&validation);
		if (validation.errors == NIL && plan->ranges == NULL)
			CheckTargets(&validation);
		CheckTables(&validation);
		CheckSpace(&validation);
		CheckPipeline(&validation);
	}
	*errors = validation.errors;
	*warnings = validation.warnings;
}

Datum
shard_validate_plan(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	List	   *errors,
			   *warnings;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PlanValidate(PlanRead(PG_GETARG_INT64(0)), &errors, &warnings);
	values[0] = BoolGetDatum(errors == NIL);
	values[1] = SqlTextsArg(errors).value;
	values[2] = SqlTextsArg(warnings).value;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
