/*
 * tables.c
 *		Sharded tables: parents, leaves, and the text form of their keys.
 *
 * Which tables a router has is read from PostgreSQL's own catalogs: a table is
 * the router's if its partition key uses one of the router's operator classes,
 * whether _shard.sharded_table knows of it or not.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "base/compat.h"
#include "catalog/columns.h"
#include "catalog/internal.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_partitioned_table.h"
#include "nodes/parsenodes.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/*
 * Add the column and type by which a parent is partitioned; false if the
 * relation is gone.
 */
static bool
DescribeKey(ShardedTable *table)
{
	Relation	rel = try_relation_open(table->relid, AccessShareLock);
	PartitionKey key;

	if (rel == NULL)
		return false;
	key = RelationGetPartitionKey(rel);
	if (key != NULL)
	{
		table->key_attnum = get_partition_col_attnum(key, 0);
		table->key_type = get_partition_col_typid(key, 0);
	}
	relation_close(rel, AccessShareLock);
	return key != NULL;
}

static ShardedTable *
ReadRow(CatalogScan *scan, HeapTuple tuple)
{
	ShardedTable *table = palloc0(sizeof(ShardedTable));

	table->relid = DatumGetObjectId(CatalogColumn(scan, tuple, Anum_sharded_table_relation, NULL));
	table->router = CatalogTextColumn(scan, tuple, Anum_sharded_table_router);
	table->partition_key = CatalogTextListColumn(scan, tuple, Anum_sharded_table_partition_key);
	table->lake = DatumGetBool(CatalogColumn(scan, tuple, Anum_sharded_table_lake, NULL));
	return table;
}

static int
ByRelation(const ListCell *a, const ListCell *b)
{
	Oid			first = ((ShardedTable *) lfirst(a))->relid;
	Oid			second = ((ShardedTable *) lfirst(b))->relid;

	return first < second ? -1 : first > second;
}

/*
 * Rows of one router or parent, or of all, ordered by table.
 */
static List *
ReadTables(const char *router, Oid relid)
{
	CatalogScan scan = CatalogScanBegin("sharded_table", 0, NULL);
	List	   *rows = NIL;
	List	   *tables = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = CatalogScanNext(&scan)))
		rows = lappend(rows, ReadRow(&scan, tuple));
	CatalogScanEnd(&scan);
	foreach(lc, rows)
	{
		ShardedTable *table = lfirst(lc);

		if ((router == NULL || strcmp(table->router, router) == 0) &&
			(!OidIsValid(relid) || table->relid == relid) && DescribeKey(table))
			tables = lappend(tables, table);
	}
	list_sort(tables, ByRelation);
	return tables;
}

List *
CatalogShardedTables(const char *router)
{
	return ReadTables(router, InvalidOid);
}

ShardedTable *
CatalogShardedTable(Oid relid)
{
	List	   *tables;

	if (!OidIsValid(relid) || !CatalogExtensionExists())
		return NULL;
	tables = ReadTables(NULL, relid);
	return tables != NIL ? linitial(tables) : NULL;
}

/*
 * Under strategy range: the leaves in the shard's schema.
 */
static List *
LeavesInSchema(Relation parent, int shard_index)
{
	const Router *router = CatalogRouterForParent(RelationGetRelid(parent));
	const RouterShard *shard = router != NULL ? RouterShardByIndex(router, shard_index) : NULL;
	Oid			schema = shard != NULL ? get_namespace_oid(shard->schema, true) : InvalidOid;
	PartitionDesc desc = RelationGetPartitionDesc(parent, true);
	List	   *leaves = NIL;

	for (int i = 0; OidIsValid(schema) && i < desc->nparts; i++)
		if (get_rel_namespace(desc->oids[i]) == schema)
			leaves = lappend_oid(leaves, desc->oids[i]);
	return leaves;
}

List *
CatalogLeaves(Oid parent, int shard_index)
{
	Relation	rel = table_open(parent, AccessShareLock);
	List	   *leaves = NIL;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		get_partition_strategy(RelationGetPartitionKey(rel)) == PARTITION_STRATEGY_RANGE)
		leaves = LeavesInSchema(rel, shard_index);
	else
	{
		Oid			leaf = CatalogLeaf(parent, shard_index);

		if (OidIsValid(leaf))
			leaves = list_make1_oid(leaf);
	}
	table_close(rel, AccessShareLock);
	return leaves;
}

Oid
CatalogLeaf(Oid parent, int shard_index)
{
	Relation	rel = table_open(parent, AccessShareLock);
	Oid			leaf = InvalidOid;

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
		get_partition_strategy(RelationGetPartitionKey(rel)) == PARTITION_STRATEGY_HASH)
	{
		PartitionDesc desc = RelationGetPartitionDesc(rel, true);

		if (desc->nparts > 0 && desc->boundinfo->nindexes == MAX_SHARDS &&
			shard_index >= 0 && shard_index < MAX_SHARDS &&
			desc->boundinfo->indexes[shard_index] >= 0)
			leaf = desc->oids[desc->boundinfo->indexes[shard_index]];
	}
	else if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		List	   *leaves = LeavesInSchema(rel, shard_index);

		leaf = leaves != NIL ? linitial_oid(leaves) : InvalidOid;
	}
	table_close(rel, AccessShareLock);
	return leaf;
}

/*
 * The remainder in a leaf's partition bound, if its modulus is ours.
 */
static int
BoundRemainder(Oid leaf)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(leaf));
	int			remainder = -1;
	bool		isnull;
	Datum		bound;

	if (!HeapTupleIsValid(tuple))
		return -1;
	bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
	if (!isnull)
	{
		PartitionBoundSpec *spec = stringToNode(TextDatumGetCString(bound));

		if (spec->strategy == PARTITION_STRATEGY_HASH && spec->modulus == MAX_SHARDS)
			remainder = spec->remainder;
	}
	ReleaseSysCache(tuple);
	return remainder;
}

/*
 * The shard of a router in whose schema a relation is.
 */
static int
ShardBySchema(const Router *router, Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	for (int i = 0; schema != NULL && i < router->nshards; i++)
		if (strcmp(router->shards[i].schema, schema) == 0)
			return router->shards[i].index;
	return -1;
}

int
CatalogLeafShard(Oid leaf)
{
	const Router *router;
	Oid			parent;

	if (!get_rel_relispartition(leaf))
		return -1;
	parent = get_partition_parent(leaf, true);
	if (!OidIsValid(parent) || CatalogRouterOfParent(parent) == NULL)
		return -1;
	router = CatalogRouterForParent(parent);
	if (router != NULL && router->strategy == STRATEGY_RANGE)
		return ShardBySchema(router, leaf);
	return BoundRemainder(leaf);
}

/*
 * The router of a table that is partitioned by ranges, from our list.
 */
char *
RouterOfRangeTable(Oid relid)
{
	Oid			list = CatalogTableOid("sharded_table");
	Relation	rel;
	CatalogScan scan;
	ScanKeyData key;
	HeapTuple	tuple;
	char	   *router = NULL;

	if (!OidIsValid(list))
		return NULL;
	rel = table_open(list, AccessShareLock);
	ScanKeyInit(&key, Anum_sharded_table_relation, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan.rel = rel;
	scan.scan = systable_beginscan(rel, PrimaryKeyIndex(rel), true, NULL, 1, &key);
	tuple = CatalogScanNext(&scan);
	if (HeapTupleIsValid(tuple))
		router = CatalogTextColumn(&scan, tuple, Anum_sharded_table_router);
	CatalogScanEnd(&scan);
	return router;
}

List *
CatalogRouterParents(const char *router)
{
	Relation	rel = table_open(PartitionedRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *candidates = NIL;
	List	   *parents = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		candidates = lappend_oid(candidates,
								 ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partrelid);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	foreach(lc, candidates)
	{
		char	   *name = CatalogRouterOfParent(lfirst_oid(lc));

		if (name != NULL && (router == NULL || strcmp(name, router) == 0))
			parents = lappend_oid(parents, lfirst_oid(lc));
	}
	list_sort(parents, list_oid_cmp);	/* locked in this order by everybody */
	return parents;
}

char *
CatalogKeyText(Oid key_type, Datum value)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(key_type, &output, &is_varlena);
	return OidOutputFunctionCall(output, value);
}
