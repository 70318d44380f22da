/*
 * shards.c
 *		All leaves of a table, and all leaves of a shard.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/twophase.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/lmgr.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/range_layout.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Statements over all shards that must find room in the lock table at once. */
#define STATEMENTS_AT_ONCE 4

/*
 * A statement without a partition key locks every leaf and every index of it.
 * Refuse what would leave too little room in the shared lock table, whose size
 * is max_locks_per_transaction for each possible transaction.
 */
void
CheckLockTable(const char *router, int nshards, int nindexes, bool toast)
{
	int64		transactions = MaxBackends + max_prepared_xacts;
	int64		locks = (int64) (nshards + 1) * (1 + nindexes) + (toast ? 2 * nshards : 0);
	int64		needed = (locks * STATEMENTS_AT_ONCE + transactions - 1) / transactions;

	if (needed <= max_locks_per_xact)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("max_locks_per_transaction is too low for %d shards of router \"%s\"",
					nshards, router),
			 errdetail("A statement over all shards of a table with %d indexes takes %lld locks.",
					   nindexes, (long long) locks),
			 errhint("Set max_locks_per_transaction to at least %lld and restart the server.",
					 (long long) needed)));
}

/*
 * Any leaf of a parent, as a template for others; InvalidOid if it has none.
 */
Oid
AnyLeaf(Oid parent)
{
	List	   *leaves = find_inheritance_children(parent, AccessShareLock);

	return leaves != NIL ? linitial_oid(leaves) : InvalidOid;
}

/*
 * The shards of a router, copied so that they survive further catalog calls;
 * List of RouterShard *.
 */
static List *
CopyShards(const char *router)
{
	const Router *entry = CatalogRouter(router, false);
	List	   *shards = NIL;

	for (int i = 0; i < entry->nshards; i++)
	{
		RouterShard *shard = palloc(sizeof(RouterShard));

		*shard = entry->shards[i];
		shard->name = pstrdup(shard->name);
		shard->schema = pstrdup(shard->schema);
		if (shard->server != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("shard \"%s\" of router \"%s\" is on server \"%s\"",
							shard->name, router, shard->server),
					 errhint("Tables can be kept on shards of this server only.")));
		shards = lappend(shards, shard);
	}
	return shards;
}

/*
 * Does the router have tables partitioned by range?
 */
static bool
IsRange(const char *router)
{
	return CatalogRouter(router, false)->strategy == STRATEGY_RANGE;
}

void
CreateLeaves(Oid parent, const char *router, Oid template)
{
	ListCell   *lc;

	if (IsRange(router))
	{
		RangeLayoutCreate(parent, router, template);
		return;
	}

	foreach(lc, CopyShards(router))
		LeafCreate(parent, lfirst(lc), template);
}

/*
 * The shards to which keys are routed, now or when a migration has ended.
 */
static List *
ShardsInUse(const char *router)
{
	const Router *entry = CatalogRouter(router, false);
	List	   *indexes = NIL;

	for (int i = 0; i < entry->nmembers; i++)
		indexes = lappend_int(indexes, entry->members[i]);
	for (int i = 0; i < entry->nnext_members; i++)
		indexes = list_append_unique_int(indexes, entry->next_members[i]);
	return indexes;
}

static void
CheckRangesPresent(Oid parent, const char *router_name)
{
	const Router *router = CatalogRouter(router_name, false);
	RangeLayout *layout = RangeLayoutRead(parent);
	RangeSet   *all;
	RangeBound	after = {-1, 0};
	Range		piece;

	router = CatalogRouter(router_name, false);
	all = CatalogAllRanges(router, router->ranges, router->default_shard, true);
	if (!OidIsValid(layout->default_leaf))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("table \"%s\" needs its default leaf in shard %d of router \"%s\"",
						get_rel_name(parent), router->default_shard, router_name),
				 errhint("To get rid of the leaves, drop the table itself, or put it together with shard.undistribute_table().")));
	if (RangeLayoutDiffers(layout, all, &after, &piece))
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("table \"%s\" needs its leaf for range %s in shard %d of router \"%s\"",
						get_rel_name(parent), RangeText(layout->order, &piece), piece.shard,
						router_name),
				 errhint("To change ranges, use shard.alter_router(); to get rid of the leaves, drop the table itself, or put it together with shard.undistribute_table().")));
}

/*
 * Refuse to go on if a leaf was dropped or detached by hand: its rows would be
 * lost, and its keys have nowhere to go.
 */
void
CheckLeavesPresent(Oid parent, const char *router)
{
	ListCell   *lc;

	if (IsRange(router))
	{
		CheckRangesPresent(parent, router);
		return;
	}
	foreach(lc, ShardsInUse(router))
	{
		int			shard = lfirst_int(lc);

		if (!OidIsValid(CatalogLeaf(parent, shard)))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("table \"%s\" needs its leaf in shard %d of router \"%s\"",
							get_rel_name(parent), shard, router),
					 errhint("To get rid of the leaves, drop the table itself, or put it together with shard.undistribute_table(); to get rid of a shard, use shard.remove_shard().")));
	}
}

RouterShard *
FindShard(const char *router, int shard_index)
{
	ListCell   *lc;

	foreach(lc, CopyShards(router))
	{
		RouterShard *shard = lfirst(lc);

		if (shard->index == shard_index)
			return shard;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("router \"%s\" has no shard %d", router, shard_index)));
}

static int
IndexCount(Oid relid)
{
	Relation	rel = table_open(relid, ShareUpdateExclusiveLock);
	int			count = list_length(RelationGetIndexList(rel));

	table_close(rel, NoLock);
	return count;
}

static void
CreateShardLeaf(Oid parent, const RouterShard *shard, int nshards, const char *router)
{
	Oid			sibling = AnyLeaf(parent);
	Oid			template = OidIsValid(sibling) ? sibling : parent;
	Oid			leaf;
	Bitmapset  *key;

	/* under strategy range a new shard has no keys yet, and so no leaves */
	if (IsRange(router) || OidIsValid(CatalogLeaf(parent, shard->index)))
		return;
	CheckLockTable(router, nshards, IndexCount(template), false);
	leaf = LeafCreate(parent, shard, template);
	if (KeyIsExpression(parent, &key))
		DdlRunAll(UniqueOthers(template, QualifiedName(leaf), shard->schema));
	if (OidIsValid(sibling))
		LeafCluster(parent, leaf, ClusterIndex(sibling));
}

void
TableCreateShard(const char *router, int shard_index)
{
	DdlScope	scope;
	RouterShard *shard;
	ListCell   *lc;

	LockRouter(router, ExclusiveLock);
	DdlBegin(&scope);
	shard = FindShard(router, shard_index);
	foreach(lc, CatalogRouterParents(router))
		CreateShardLeaf(lfirst_oid(lc), shard, CatalogRouter(router, false)->nshards, router);
	DdlEnd(&scope);
}

static void
DropLeaf(Oid parent, Oid leaf, int shard_index)
{
	char	   *name = QualifiedName(leaf);

	LockRelationOid(leaf, AccessExclusiveLock);
	if (DdlTexts(psprintf("SELECT 'row' FROM %s LIMIT 1", name), InvalidOid, 0) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("shard %d still has rows of table %s", shard_index, QualifiedName(parent)),
				 errhint("Move its keys to other shards first, with shard.remove_shard().")));
	/* detached first: foreign keys to the parent refer to each of its leaves */
	DdlRunf("ALTER TABLE %s DETACH PARTITION %s", QualifiedName(parent), name);
	DdlRunf("DROP TABLE %s", name);
}

static void
DropShardLeaves(Oid parent, int shard_index)
{
	ListCell   *lc;

	LockRelationOid(parent, AccessExclusiveLock);
	foreach(lc, CatalogLeaves(parent, shard_index))
		DropLeaf(parent, lfirst_oid(lc), shard_index);
}

void
TableDropShard(const char *router, int shard_index)
{
	DdlScope	scope;
	ListCell   *lc;

	LockRouter(router, ExclusiveLock);
	DdlBegin(&scope);
	foreach(lc, CatalogRouterParents(router))
		DropShardLeaves(lfirst_oid(lc), shard_index);
	DropEmptySchemas(router);
	DdlEnd(&scope);
}

PG_FUNCTION_INFO_V1(shard_create_shard);

/*
 * _shard.create_shard(router text, shard_index int)
 */
Datum
shard_create_shard(PG_FUNCTION_ARGS)
{
	TableCreateShard(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(shard_drop_shard);

/*
 * _shard.drop_shard(router text, shard_index int)
 */
Datum
shard_drop_shard(PG_FUNCTION_ARGS)
{
	TableDropShard(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1));
	PG_RETURN_VOID();
}

/*
 * Drop those schemas of a router's shards in which nothing is left.
 */
void
DropEmptySchemas(const char *router)
{
	const Router *entry = CatalogRouter(router, true);
	List	   *schemas = NIL;
	ListCell   *lc;

	if (entry == NULL)
		return;
	for (int i = 0; i < entry->nshards; i++)
		schemas = lappend(schemas, pstrdup(entry->shards[i].schema));
	foreach(lc, schemas)
	{
		Oid			schema = get_namespace_oid(lfirst(lc), true);

		if (OidIsValid(schema) &&
			DdlTexts("SELECT 'object' FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass "
					 "AND refobjid = $1 LIMIT 1", schema, 0) == NIL)
			DdlRunf("DROP SCHEMA %s", quote_identifier(lfirst(lc)));
	}
}
