/*
 * range_alter.c
 *		New ranges for a router of strategy range: shard.alter_router(), and the
 *		steps of the migration that does the same.
 *
 * Where few rows have to change leaves (shard.range_move_rows), alter_router()
 * does it all in the caller's transaction, under one lock.  Where there are more,
 * it plans a migration, which moves them in steps of that size, each under a
 * lock of its own, and changes the ranges at the end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "catalog/catalog.h"
#include "executor/spi.h"
#include "storage/proc.h"
#include "table/parts.h"
#include "table/range_alter.h"
#include "table/range_check.h"
#include "table/range_split.h"
#include "table/table.h"
#include "utils/builtins.h"

/* How long to queue for the locks if lock_timeout sets no limit. */
#define LOCK_WAIT_MS 10000

/* ---- checks ---- */

static const Router *
RangeRouter(const char *name)
{
	const Router *router = CatalogRouter(name, false);

	if (router->strategy != STRATEGY_RANGE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("router \"%s\" is not of strategy range", name),
				 errhint("Its keys are moved by shard.add_shard(), shard.remove_shard() and shard.rebalance().")));
	return router;
}

void
RangesRefuseMigrating(const char *router)
{
	if (DdlTexts(psprintf("SELECT 'unfinished' FROM _shard.migration WHERE router = %s AND unfinished",
						  quote_literal_cstr(router)), InvalidOid, 0) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("router \"%s\" is migrating", router),
				 errhint("Wait for the migration's end with shard.wait_migration().")));
}

static void
CheckShard(const Router *router, int shard_index)
{
	const RouterShard *shard = RouterShardByIndex(router, shard_index);

	if (shard == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("router \"%s\" has no shard %d", router->name, shard_index),
				 errhint("View shard.shards lists its shards; shard.add_shard() adds one.")));
}

static void
CheckTarget(const Router *router, Jsonb *ranges, int default_shard)
{
	CheckedRanges *checked;

	CheckShard(router, default_shard);
	if (ranges == NULL)
		return;
	checked = RangesCheck(router->order->type, ranges, InvalidOid);
	for (int i = 0; i < checked->set->nranges; i++)
		CheckShard(router, checked->set->ranges[i].shard);
	RangesWarnOfGaps(checked, default_shard);
}

/* ---- doing it at once ---- */

static List *
AllShards(const char *name)
{
	const Router *router = CatalogRouter(name, false);
	List	   *indexes = NIL;

	for (int i = 0; i < router->nshards; i++)
		indexes = lappend_int(indexes, router->shards[i].index);
	return indexes;
}

void
RangesLock(const char *router)
{
	int			blocker = 0;

	if (!TableLockForFlip(router, AllShards(router), LockTimeout > 0 ? LockTimeout : LOCK_WAIT_MS,
						  &blocker))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("could not lock the tables of router \"%s\"", router),
				 blocker != 0 ? errdetail("Process %d is in the way.", blocker) : 0,
				 errhint("Try again when no long transaction uses them.")));
}

/*
 * Move what has to move, under locks that are held already.
 */
void
RangesApply(const RangeTarget *target)
{
	RangeStep  *step;

	while ((step = RangeStepFind(target, PG_INT32_MAX)) != NULL)
		(void) RangeStepRun(target, step);
	RangeFlip(target);
}

/*
 * A migration for what is too much to do at once; its id.
 */
static int64
Migrate(const RangeTarget *target)
{
	KeyOrder   *order = target->ranges->order.arg;
	Jsonb	   *json = RangesWrite(order, target->ranges);
	List	   *id;

	id = DdlTexts(psprintf("SELECT _shard.change_ranges(%s, %s::jsonb, %d, " INT64_FORMAT ")",
						   quote_literal_cstr(target->router),
						   quote_literal_cstr(JsonbToCString(NULL, &json->root, 0)),
						   target->default_shard, RangeRowsToMove(target, PG_INT64_MAX)),
				  InvalidOid, 0);
	return strtoll(linitial(id), NULL, 10);
}

int64
RangesAlter(const char *name, Jsonb *ranges, int default_shard)
{
	const Router *router = RangeRouter(name);
	DdlScope	scope;
	RangeTarget *target;
	int64		migration = 0;

	if (default_shard == KEEP_DEFAULT_SHARD)
		default_shard = router->default_shard;
	CheckTarget(router, ranges, default_shard);
	if (IsolationUsesXactSnapshot() && CatalogRouterParents(name) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("ranges cannot be changed in a transaction of isolation level REPEATABLE READ or SERIALIZABLE"),
				 errhint("Use READ COMMITTED: every row that is committed has to be seen.")));
	DdlBegin(&scope);
	RangesRefuseMigrating(name);
	target = RangeTargetCreate(name, ranges, default_shard);
	if (RangeRowsToMove(target, (int64) RangeMoveRows + 1) > RangeMoveRows)
		migration = Migrate(target);
	else
	{
		RangesLock(name);
		RangesRefuseMigrating(name);
		/* the default shard or pins may have changed before we had the lock */
		RangesApply(RangeTargetCreate(name, ranges, default_shard));
	}
	DdlEnd(&scope);
	return migration;
}

/* ---- steps of a migration ---- */

static void
StoreMembers(const RangesChange *change)
{
	StringInfoData members;
	ListCell   *lc;

	if (change->members == NIL)
		return;
	initStringInfo(&members);
	foreach(lc, change->members)
		appendStringInfo(&members, "%s%d", members.len > 0 ? "," : "", lfirst_int(lc));
	DdlRunf("UPDATE _shard.router SET members = '{%s}' WHERE name = %s", members.data,
			quote_literal_cstr(change->router));
	TableInvalidateRouter(change->router);
}

int64
TableRangesStep(const RangesChange *change)
{
	Jsonb	   *ranges = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															CStringGetDatum(change->ranges)));
	DdlScope	scope;
	RangeTarget *target;
	RangeStep  *step;
	int64		rows = RANGES_BLOCKED;

	DdlBegin(&scope);
	target = RangeTargetCreate(change->router, ranges, change->default_shard);
	step = RangeStepFind(target, RangeMoveRows);
	if (change->lock(change->arg))
	{
		if (step != NULL)
			rows = RangeStepRun(target, step);
		else
		{
			RangeFlip(target);
			StoreMembers(change);
			rows = RANGES_CHANGED;
		}
	}
	DdlEnd(&scope);
	return rows;
}

char *
TableRangesWithout(const char *name, int shard_index, int other)
{
	const Router *router = CatalogRouter(name, false);
	Jsonb	   *json = RangesWrite(router->order, router->ranges);
	RangeSet   *set = RangesRead(router->order, json);

	for (int i = 0; i < set->nranges; i++)
		if (set->ranges[i].shard == shard_index)
			set->ranges[i].shard = other;
	json = RangesWrite(router->order, set);
	return JsonbToCString(NULL, &json->root, 0);
}
