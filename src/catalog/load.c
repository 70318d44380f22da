/*
 * load.c
 *		Reading one router, with its shards and maps, from the _shard tables.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/columns.h"
#include "catalog/internal.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

static const struct
{
	const char *name;
	Strategy	strategy;
}			Strategies[] = {
	{"hash", STRATEGY_HASH},
	{"consistent-hash", STRATEGY_CONSISTENT_HASH},
	{"range", STRATEGY_RANGE},
	{"tenant", STRATEGY_TENANT}
};

bool
StrategyByName(const char *name, Strategy *strategy)
{
	for (int i = 0; i < lengthof(Strategies); i++)
	{
		if (strcmp(name, Strategies[i].name) == 0)
		{
			*strategy = Strategies[i].strategy;
			return true;
		}
	}
	return false;
}

static int *
IntArrayColumn(CatalogScan *scan, HeapTuple tuple, int attnum, int *n)
{
	bool		isnull;
	Datum		value = CatalogColumn(scan, tuple, attnum, &isnull);
	ArrayType  *array;
	int		   *result;

	*n = 0;
	if (isnull)
		return NULL;
	array = DatumGetArrayTypeP(value);
	if (ARR_HASNULL(array) || ARR_ELEMTYPE(array) != INT4OID || ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("_shard.router holds a list of members that is not a plain array of integers")));
	*n = ARR_DIMS(array)[0];
	result = palloc(sizeof(int) * *n);
	memcpy(result, ARR_DATA_PTR(array), sizeof(int) * *n);
	return result;
}

/*
 * The xid of the router's last change.  A row that is frozen is older than
 * every snapshot.
 */
static TransactionId
LastFlip(HeapTuple tuple)
{
	TransactionId xmin = HeapTupleHeaderGetXmin(tuple->t_data);

	return TransactionIdIsNormal(xmin) ? xmin : InvalidTransactionId;
}

static Router *
LoadRow(const char *name)
{
	Datum		key = CStringGetTextDatum(name);
	CatalogScan scan = CatalogScanBegin("router", 1, &key);
	HeapTuple	tuple = CatalogScanNext(&scan);
	Router	   *router = NULL;

	if (HeapTupleIsValid(tuple))
	{
		char	   *strategy = CatalogTextColumn(&scan, tuple, Anum_router_strategy);
		bool		no_frontier;
		Datum		frontier;

		router = palloc0(sizeof(Router));
		router->name = pstrdup(name);
		if (!StrategyByName(strategy, &router->strategy))
			elog(ERROR, "router \"%s\" has the unknown strategy \"%s\"", name, strategy);
		router->hash_name = CatalogTextColumn(&scan, tuple, Anum_router_hash_function);
		if (!HashFunctionByName(router->hash_name, &router->hash))
			elog(ERROR, "router \"%s\" has the unknown hash function \"%s\"", name, router->hash_name);
		router->virtual_nodes =
			DatumGetInt32(CatalogColumn(&scan, tuple, Anum_router_virtual_nodes, NULL));
		router->partition_key = CatalogTextListColumn(&scan, tuple, Anum_router_partition_key);
		router->default_shard =
			DatumGetInt32(CatalogColumn(&scan, tuple, Anum_router_default_shard, NULL));
		router->members = IntArrayColumn(&scan, tuple, Anum_router_members, &router->nmembers);
		router->next_members =
			IntArrayColumn(&scan, tuple, Anum_router_next_members, &router->nnext_members);
		router->migrating = router->next_members != NULL;
		frontier = CatalogColumn(&scan, tuple, Anum_router_frontier, &no_frontier);
		router->frontier = no_frontier ? 0 : (uint64) DatumGetInt64(frontier);
		router->retry = RetryRead(DatumGetJsonbP(CatalogColumn(&scan, tuple, Anum_router_retry, NULL)));
		router->enable_metrics =
			DatumGetBool(CatalogColumn(&scan, tuple, Anum_router_enable_metrics, NULL));
		router->track_access =
			DatumGetBool(CatalogColumn(&scan, tuple, Anum_router_track_access, NULL));
		router->flip_xid = LastFlip(tuple);
		if (router->strategy == STRATEGY_RANGE)
			RangesLoad(router, &scan, tuple);
	}
	CatalogScanEnd(&scan);
	return router;
}

static int
CompareShards(const void *a, const void *b)
{
	return ((const RouterShard *) a)->index - ((const RouterShard *) b)->index;
}

static void
LoadShards(Router *router)
{
	Datum		key = CStringGetTextDatum(router->name);
	CatalogScan scan = CatalogScanBegin("shard", 1, &key);
	HeapTuple	tuple;

	router->shards = palloc(sizeof(RouterShard) * MAX_SHARDS);
	while (HeapTupleIsValid(tuple = CatalogScanNext(&scan)) && router->nshards < MAX_SHARDS)
	{
		RouterShard *shard = &router->shards[router->nshards++];

		shard->index = DatumGetInt32(CatalogColumn(&scan, tuple, Anum_shard_index, NULL));
		shard->name = CatalogTextColumn(&scan, tuple, Anum_shard_name);
		shard->state = CatalogTextColumn(&scan, tuple, Anum_shard_state);
		shard->server = CatalogTextColumn(&scan, tuple, Anum_shard_server);
		shard->schema = CatalogTextColumn(&scan, tuple, Anum_shard_schema_name);
		shard->weight = DatumGetFloat8(CatalogColumn(&scan, tuple, Anum_shard_weight, NULL));
	}
	CatalogScanEnd(&scan);
	router->shards = repalloc(router->shards, sizeof(RouterShard) * Max(router->nshards, 1));
	qsort(router->shards, router->nshards, sizeof(RouterShard), CompareShards);
}

/*
 * Is there a row of the router in a table whose primary key begins with it?
 */
static bool
HasRow(const char *table, const char *router)
{
	Datum		key = CStringGetTextDatum(router);
	CatalogScan scan = CatalogScanBegin(table, 1, &key);
	bool		found = HeapTupleIsValid(CatalogScanNext(&scan));

	CatalogScanEnd(&scan);
	return found;
}

/*
 * Are all rows of the router there?  Each table of a restore is filled at once,
 * so that one row of it tells of all.
 */
static bool
IsComplete(const Router *router)
{
	Datum		key = CStringGetTextDatum(router->name);
	CatalogScan scan = CatalogScanBegin("router_ready", 1, &key);
	HeapTuple	tuple = CatalogScanNext(&scan);
	bool		complete = HeapTupleIsValid(tuple) && router->nshards > 0;

	if (complete && DatumGetBool(CatalogColumn(&scan, tuple, Anum_router_ready_pinned, NULL)))
		complete = router->has_pins;
	if (complete && DatumGetBool(CatalogColumn(&scan, tuple, Anum_router_ready_next_pinned, NULL)))
		complete = router->has_next_pins;
	CatalogScanEnd(&scan);
	return complete;
}

const RouterShard *
RouterShardByIndex(const Router *router, int shard_index)
{
	RouterShard key = {.index = shard_index};

	return bsearch(&key, router->shards, router->nshards, sizeof(RouterShard), CompareShards);
}

/*
 * The map over the given members, with the weights of their shards.  A member
 * without a shard, which a migration may be about to write, counts once.
 */
RouterMap *
RouterBuildMap(const Router *router, int nmembers, const int *members)
{
	double	   *weights = palloc(sizeof(double) * Max(nmembers, 1));
	MapDefinition def;
	RouterMap  *map;

	for (int i = 0; i < nmembers; i++)
	{
		const RouterShard *shard = RouterShardByIndex(router, members[i]);

		weights[i] = shard != NULL ? shard->weight : 1.0;
	}
	def.strategy = router->strategy;
	def.hash = router->hash;
	def.virtual_nodes = router->virtual_nodes;
	def.nmembers = nmembers;
	def.members = members;
	def.weights = weights;
	map = MapBuild(&def);
	pfree(weights);
	return map;
}

/*
 * A router of which not all rows are restored yet is none.
 */
Router *
RouterLoad(const char *name)
{
	Router	   *router = LoadRow(name);

	if (router == NULL)
		return NULL;
	LoadShards(router);
	router->counters = palloc0(sizeof(CounterHandle));
	router->counters->name = router->name;
	CountersTrack(router->counters, router->track_access);
	router->has_pins = HasRow("pin", name);
	router->has_next_pins = HasRow("next_pin", name);
	if (!IsComplete(router))
		return NULL;
	if (router->strategy == STRATEGY_RANGE)
		return router;
	router->map = RouterBuildMap(router, router->nmembers, router->members);
	if (router->migrating)
		router->next_map = RouterBuildMap(router, router->nnext_members, router->next_members);
	return router;
}

static int
CompareNames(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/*
 * Names of all routers, ordered; List of char *.
 */
List *
RouterNames(void)
{
	CatalogScan scan = CatalogScanBegin("router", 0, NULL);
	List	   *names = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = CatalogScanNext(&scan)))
		names = lappend(names, CatalogTextColumn(&scan, tuple, Anum_router_name));
	CatalogScanEnd(&scan);
	list_sort(names, CompareNames);
	return names;
}
