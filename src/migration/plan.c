/*
 * plan.c
 *		Planning: which keys move, how much that is, how long it takes.
 *
 * Adding and removing a shard change the members of the map, and the strategy
 * says which keys move.  Where keys are named, or chosen by size (rebalance.c),
 * the members stay and the keys are pinned as they move.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "migration/args.h"
#include "migration/plan.h"
#include "migration/planning.h"
#include "migration/sql.h"
#include "table/table.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(shard_plan_add_shard);
PG_FUNCTION_INFO_V1(shard_plan_remove_shard);
PG_FUNCTION_INFO_V1(shard_plan_rebalance);
PG_FUNCTION_INFO_V1(shard_plan_isolate);
PG_FUNCTION_INFO_V1(shard_plan_ranges);
PG_FUNCTION_INFO_V1(shard_plan);

/* ---- what all plans need ---- */

void
PlanRefuseRange(const Router *router)
{
	if (router->strategy == STRATEGY_RANGE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("keys of router \"%s\" of strategy \"range\" cannot be moved this way",
						router->name),
				 errhint("Change its ranges with shard.alter_router(), after shard.add_shard() if they need one more shard.")));
}

/*
 * A key that the unfinished migration of a router moves: one of the wanted ones
 * if any are wanted.
 */
static char *
KeyInMotion(int64 migration, List *wanted)
{
	char	   *key = NULL;

	SqlBegin();
	if (SQL_RUN("SELECT v.partition_key FROM _shard.migration m JOIN _shard.plan_movement v"
				"   ON v.plan_id OPERATOR(pg_catalog.=) m.plan_id"
				" WHERE m.migration_id OPERATOR(pg_catalog.=) $1"
				"   AND ($3 OR v.partition_key OPERATOR(pg_catalog.=) ANY ($2))"
				" ORDER BY v.place LIMIT 1",
				SQL_INT8(migration), SQL_TEXTS(wanted), SQL_BOOL(wanted == NIL)) > 0)
		key = SqlText(0, 1);
	SqlEnd();
	return key;
}

static void
CheckNotMigrating(const Router *router, List *wanted)
{
	char	   *key;
	int64		id = 0;

	SqlBegin();
	if (SQL_RUN("SELECT migration_id FROM _shard.migration"
				" WHERE router OPERATOR(pg_catalog.=) $1 AND unfinished",
				SQL_TEXT(router->name)) > 0)
		id = SqlInt8(0, 1);
	SqlEnd();
	if (id == 0 && !router->migrating)
		return;
	key = KeyInMotion(id, wanted);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 key != NULL ? errmsg("partition key \"%s\" is already migrating", key) :
			 errmsg("router \"%s\" is already migrating", router->name),
			 errdetail("Migration " INT64_FORMAT " of router \"%s\" is not finished.", id, router->name),
			 errhint("Wait with shard.wait_migration(" INT64_FORMAT "), or end it with shard.cancel_migration() or shard.resume_migration().", id)));
}

/*
 * The router, if a plan for it can be made now.
 */
static const Router *
RouterToPlan(const char *name, List *keys)
{
	const Router *router = CatalogRouter(name, false);

	CheckNotMigrating(router, keys);
	return router;
}

static int *
CopyMembers(const Router *router, int room)
{
	int		   *members = palloc(sizeof(int) * (router->nmembers + room));

	memcpy(members, router->members, sizeof(int) * router->nmembers);
	return members;
}

/*
 * A plan for a router of strategy range, which moves no keys by itself.
 */
static int64
StoreRangesPlan(const char *name, PlanRow *row, const char *ranges, int default_shard, int64 rows)
{
	Planning   *planning = PlanningBegin(name, row, KeyCountsCreate(), -1);

	planning->rows = rows;

	SqlBegin();
	SQL_RUN("UPDATE _shard.plan SET ranges = $2::pg_catalog.jsonb, default_shard = $3"
			" WHERE plan_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(planning->plan), SQL_TEXT(ranges), SQL_INT4(default_shard));
	SqlEnd();
	return PlanningEnd(planning);
}

int64
PlanRanges(const char *name, const char *ranges, int default_shard, int64 rows)
{
	const Router *router = RouterToPlan(name, NIL);
	PlanRow		row = {.type = "ranges", .shard_index = -1};

	row.next = CopyMembers(router, 0);
	row.nnext = router->nmembers;
	return StoreRangesPlan(name, &row, ranges, default_shard, rows);
}

/*
 * One key of a plan by which the map changes: does it move?
 */
static void
PlanKey(void *arg, const KeyCount *count)
{
	Planning   *planning = arg;
	uint64		position;
	int			before,
				after;

	PlanningTotal(planning, count);
	KeyMovesLookup(planning->moves, count->key, count->len, &position, &before, &after);
	if (before != after)
		PlanningMove(planning, count, before, after);
}

/* ---- one more shard ---- */

/*
 * A shard's index that is free: the least above those of all shards.
 */
static int
FreeShardIndex(const Router *router)
{
	int			index = 0;

	for (int i = 0; i < router->nshards; i++)
		index = Max(index, router->shards[i].index + 1);
	if (index >= MAX_SHARDS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("router \"%s\" has the most shards that a router can have, %d",
						router->name, MAX_SHARDS)));
	return index;
}

static char *
NewShardName(const Router *router, const char *wanted, int index)
{
	char	   *name;
	char	   *prefix;

	if (wanted == NULL)
	{
		SqlBegin();
		if (SQL_RUN("SELECT shard_name_prefix FROM _shard.router WHERE name OPERATOR(pg_catalog.=) $1",
					SQL_TEXT(router->name)) == 0)
			elog(ERROR, "router \"%s\" has disappeared", router->name);
		prefix = SqlText(0, 1);
		SqlEnd();
		name = psprintf("%s%d", prefix, index);
	}
	else
		name = pstrdup(wanted);
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a shard's name must not be empty")));
	for (int i = 0; i < router->nshards; i++)
		if (strcmp(router->shards[i].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("router \"%s\" already has a shard \"%s\"", router->name, name)));
	return name;
}

static void
CheckServer(const char *server)
{
	if (server != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("shards on other servers are not supported yet"),
				 errhint("Leave server out: the shard is then made in this server.")));
}

int64
PlanAddShard(const char *router_name, const char *shard_name, const char *server, bool rebalance,
			 List *keys)
{
	const Router *router = RouterToPlan(router_name, keys);
	bool		joins_map = rebalance && keys == NIL;
	PlanRow		row = {.type = "add_shard"};
	ChosenKeys	chosen = {.keys = keys};
	int		   *next = CopyMembers(router, 1);
	KeyCounts  *counts;
	Planning   *planning;

	CheckServer(server);
	if (keys != NIL)
		PlanRefuseRange(router);
	row.shard_index = FreeShardIndex(router);
	row.shard_name = NewShardName(router, shard_name, row.shard_index);
	row.nnext = router->nmembers + (joins_map ? 1 : 0);
	row.next = next;
	next[router->nmembers] = row.shard_index;
	if (router->strategy == STRATEGY_RANGE)
	{
		row.nnext = router->nmembers + 1;
		return StoreRangesPlan(router_name, &row, TableRangesWithout(router_name, -1, -1),
							   router->default_shard, 0);
	}
	counts = rebalance || keys != NIL ? PlanningCount(router_name) : KeyCountsCreate();
	planning = PlanningBegin(router_name, &row, counts, -1);
	if (keys == NIL)
		KeyCountsVisit(counts, PlanKey, planning);
	else
	{
		chosen.targets = list_make1_int(row.shard_index);
		RebalanceChosen(planning, router_name, &chosen);
	}
	return PlanningEnd(planning);
}

/* ---- one less ---- */

static int
CountActive(const Router *router)
{
	int			n = 0;

	for (int i = 0; i < router->nshards; i++)
		if (strcmp(router->shards[i].state, "active") == 0)
			n++;
	return n;
}

static const RouterShard *
ShardToRemove(const Router *router, int shard_index)
{
	const RouterShard *shard = RouterShardByIndex(router, shard_index);

	if (shard == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("router \"%s\" has no shard %d", router->name, shard_index),
				 errhint("View shard.shards lists its shards.")));
	if (CountActive(router) < 2)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("shard %d is the last one of router \"%s\" and cannot be removed",
						shard_index, router->name),
				 errhint("Add another shard first, or turn the router's tables into ordinary ones with shard.undistribute_table().")));
	if (router->nmembers == 1 && router->members[0] == shard_index)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("shard %d is the only one that router \"%s\" maps keys to, and cannot be removed",
						shard_index, router->name),
				 errdetail("Its other shards have pinned keys only."),
				 errhint("Add a shard with shard.add_shard() first.")));
	return shard;
}

static void
RefuseDefaultShard(const Router *router, int shard_index)
{
	if (router->strategy == STRATEGY_RANGE && router->default_shard == shard_index)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("shard %d is the default shard of router \"%s\"", shard_index, router->name),
				 errhint("Choose another one first: SELECT shard.alter_router(%s, default_shard => ...).",
						 quote_literal_cstr(router->name))));
}

/*
 * Tables whose rows of a shard no lake can give back.
 */
static List *
TablesWithoutLake(const char *router)
{
	List	   *warnings = NIL;
	ListCell   *lc;

	foreach(lc, CatalogShardedTables(router))
	{
		ShardedTable *table = lfirst(lc);

		if (table->lake && table->key_attnum == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("shards of table \"%s\", whose partition key is an expression, cannot be evacuated",
							get_rel_name(table->relid)),
					 errhint("Repair the shard and remove it without evacuate.")));
		if (!table->lake)
			warnings = lappend(warnings,
							   psprintf("table \"%s\" is not in the lake: its rows in this shard are lost",
										get_rel_name(table->relid)));
	}
	return warnings;
}

/*
 * Under strategy range the default shard gets the ranges of a shard that leaves.
 */
static int64
PlanRemoveRangeShard(const Router *router, PlanRow *row)
{
	char	   *name = pstrdup(router->name);
	bool		pinned;

	if (row->evacuate)
		PlanRefuseRange(router);
	SqlBegin();
	pinned = SQL_RUN("SELECT FROM _shard.pin WHERE router OPERATOR(pg_catalog.=) $1"
					 " AND shard_index OPERATOR(pg_catalog.=) $2 LIMIT 1",
					 SQL_TEXT(name), SQL_INT4(row->shard_index)) > 0;
	SqlEnd();
	if (pinned)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("keys are pinned to shard %d of router \"%s\"", row->shard_index, name),
				 errhint("Give their shards to ranges of their own with shard.alter_router(), and take the pins away with shard.unpin().")));
	router = CatalogRouter(name, false);
	return StoreRangesPlan(name, row,
						   TableRangesWithout(name, row->shard_index, router->default_shard),
						   router->default_shard, 0);
}

int64
PlanRemoveShard(const char *router_name, int shard_index, bool evacuate)
{
	const Router *router = RouterToPlan(router_name, NIL);
	PlanRow		row = {.type = "remove_shard", .shard_index = shard_index, .evacuate = evacuate};
	int		   *next = palloc(sizeof(int) * router->nmembers);
	KeyCounts  *counts;
	Planning   *planning;

	row.shard_name = pstrdup(ShardToRemove(router, shard_index)->name);
	RefuseDefaultShard(router, shard_index);
	for (int i = 0; i < router->nmembers; i++)
		if (router->members[i] != shard_index)
			next[row.nnext++] = router->members[i];
	row.next = next;
	if (router->strategy == STRATEGY_RANGE)
		return PlanRemoveRangeShard(router, &row);
	counts = PlanningCount(router_name);
	planning = PlanningBegin(router_name, &row, counts, shard_index);
	if (evacuate)
		planning->warnings = TablesWithoutLake(router_name);
	KeyCountsVisit(counts, PlanKey, planning);
	return PlanningEnd(planning);
}

/* ---- the same shards, other keys ---- */

static void
CountTotal(void *arg, const KeyCount *count)
{
	PlanningTotal(arg, count);
}

int64
PlanRebalance(const char *router_name, double threshold, const ChosenKeys *chosen)
{
	const Router *router = RouterToPlan(router_name, chosen->keys);
	PlanRow		row = {.type = "rebalance", .shard_index = -1};
	KeyCounts  *counts;
	Planning   *planning;

	PlanRefuseRange(router);
	if (!(threshold >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threshold must not be negative")));
	row.next = CopyMembers(router, 0);
	row.nnext = router->nmembers;
	counts = PlanningCount(router_name);
	planning = PlanningBegin(router_name, &row, counts, -1);
	if (chosen->keys != NIL)
		RebalanceChosen(planning, router_name, chosen);
	else
	{
		KeyCountsVisit(counts, CountTotal, planning);
		RebalanceAll(planning, router_name, threshold, chosen->targets);
	}
	return PlanningEnd(planning);
}

/* ---- a shard for one key ---- */

static void
RefuseIsolated(const Router *router, const char *key)
{
	int			shard_index = CatalogRoute(router, key, strlen(key));
	bool		dedicated;

	SqlBegin();
	dedicated = SQL_RUN("SELECT FROM _shard.shard s WHERE router OPERATOR(pg_catalog.=) $1"
						" AND shard_index OPERATOR(pg_catalog.=) $2 AND dedicated AND NOT EXISTS ("
						"   SELECT FROM _shard.pin p WHERE p.router OPERATOR(pg_catalog.=) $1"
						"   AND p.shard_index OPERATOR(pg_catalog.=) $2 AND p.key OPERATOR(pg_catalog.<>) $3)",
						SQL_TEXT(router->name), SQL_INT4(shard_index), SQL_TEXT(key)) > 0;
	SqlEnd();
	if (dedicated)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("partition key \"%s\" is alone in shard %d already", key, shard_index)));
}

/*
 * A shard joins that takes no keys by the strategy, and one key is pinned to it.
 */
int64
PlanIsolate(const char *router_name, char *key, const char *shard_name)
{
	List	   *keys = list_make1(key);
	const Router *router = RouterToPlan(router_name, keys);
	PlanRow		row = {.type = "isolate"};
	ChosenKeys	chosen = {.keys = keys};
	KeyCounts  *counts;
	Planning   *planning;

	if (key[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty")));
	PlanRefuseRange(router);
	RefuseIsolated(router, key);
	router = CatalogRouter(router_name, false);
	row.shard_index = FreeShardIndex(router);
	row.shard_name = NewShardName(router, shard_name, row.shard_index);
	row.next = CopyMembers(router, 0);
	row.nnext = router->nmembers;
	chosen.targets = list_make1_int(row.shard_index);
	counts = PlanningCount(router_name);
	planning = PlanningBegin(router_name, &row, counts, -1);
	RebalanceChosen(planning, router_name, &chosen);
	return PlanningEnd(planning);
}

int64
PlanScheduled(const char *router_name, double threshold, double target, int64 max_bytes,
			  double *imbalance, bool *cut)
{
	const Router *router = RouterToPlan(router_name, NIL);
	PlanRow		row = {.type = "rebalance", .shard_index = -1};
	Planning   *planning;
	int64		id;

	row.next = CopyMembers(router, 0);
	row.nnext = router->nmembers;
	planning = PlanningBegin(router_name, &row, PlanningCount(router_name), -1);
	planning->max_bytes = max_bytes;
	KeyCountsVisit(planning->counts, CountTotal, planning);
	*imbalance = RebalanceMeasure(planning, router_name);
	if (*imbalance > threshold)
		RebalanceAll(planning, router_name, target, NIL);
	id = PlanningEnd(planning);
	*cut = planning->left_out > 0;
	if (planning->keys > 0)
		return id;
	SqlBegin();
	SQL_RUN("DELETE FROM _shard.plan WHERE plan_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id));
	SqlEnd();
	return 0;
}

/* ---- SQL functions ---- */

static char *
RouterArg(FunctionCallInfo fcinfo)
{
	ArgRefuseNull(fcinfo, 0, "the router's name");
	return ArgText(fcinfo, 0);
}

/*
 * _shard.plan_add_shard(router, shard_name, server, rebalance, partition_keys)
 */
Datum
shard_plan_add_shard(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PlanAddShard(RouterArg(fcinfo), ArgText(fcinfo, 1), ArgText(fcinfo, 2),
								 PG_ARGISNULL(3) || PG_GETARG_BOOL(3), ArgKeys(fcinfo, 4)));
}

/*
 * shard.plan_remove_shard(router, shard_index, evacuate)
 */
Datum
shard_plan_remove_shard(PG_FUNCTION_ARGS)
{
	char	   *router = RouterArg(fcinfo);

	ArgRefuseNull(fcinfo, 1, "shard_index");
	PG_RETURN_INT64(PlanRemoveShard(router, PG_GETARG_INT32(1),
									!PG_ARGISNULL(2) && PG_GETARG_BOOL(2)));
}

/*
 * shard.plan_rebalance(router, threshold, partition_keys, target_shards)
 */
Datum
shard_plan_rebalance(PG_FUNCTION_ARGS)
{
	ChosenKeys	chosen = {ArgKeys(fcinfo, 2), ArgShards(fcinfo, 3)};

	PG_RETURN_INT64(PlanRebalance(RouterArg(fcinfo), ArgThreshold(fcinfo, 1), &chosen));
}

/*
 * shard.plan_isolate(router, key, shard_name)
 */
Datum
shard_plan_isolate(PG_FUNCTION_ARGS)
{
	char	   *router = RouterArg(fcinfo);

	ArgRefuseNull(fcinfo, 1, "the key");
	PG_RETURN_INT64(PlanIsolate(router, ArgText(fcinfo, 1), ArgText(fcinfo, 2)));
}

/*
 * _shard.plan_ranges(router, ranges, default_shard, rows)
 */
Datum
shard_plan_ranges(PG_FUNCTION_ARGS)
{
	Jsonb	   *ranges = PG_GETARG_JSONB_P(1);

	PG_RETURN_INT64(PlanRanges(ArgText(fcinfo, 0), JsonbToCString(NULL, &ranges->root, 0),
							   PG_GETARG_INT32(2), PG_GETARG_INT64(3)));
}

/*
 * The first row of the last statement, as the function's composite result.
 */
static Datum
RowAsResult(FunctionCallInfo fcinfo)
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	HeapTuple	row;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values = palloc(sizeof(Datum) * desc->natts);
	nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
	row = heap_form_tuple(BlessTupleDesc(desc), values, nulls);
	return HeapTupleGetDatum(SPI_copytuple(row));
}

Datum
shard_plan(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	Datum		result;

	(void) PlanRead(id);
	SqlBegin();
	SQL_RUN("SELECT type, router, shard_index, shard_name, keys_to_move, entities_to_move, bytes_to_move,"
			"   total_keys, total_entities, total_bytes,"
			"   CASE WHEN total_bytes OPERATOR(pg_catalog.>) 0"
			"     THEN bytes_to_move::pg_catalog.float8 OPERATOR(pg_catalog./) total_bytes::pg_catalog.float8"
			"     ELSE 0 END,"
			"   estimated_duration, destinations, warnings, created_at"
			" FROM _shard.plan WHERE plan_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id));
	result = RowAsResult(fcinfo);
	SqlEnd();
	PG_RETURN_DATUM(result);
}
