/*
 * layout.c
 *		Layouts of sharded tables and their leaves, cached while decoding.
 *
 * The cache is keyed by leaf.  A relation-cache invalidation of the leaf or of
 * its parent makes the entry invalid; it is built again at the next change.  A
 * layout that turns out the same keeps its identity, so that a batch is split
 * only where a table really changed.  Everything here runs under a historic
 * snapshot: system catalogs only, no SPI.  Layouts live in a context of their
 * own each, below TopMemoryContext, for as long as some leaf or batch uses
 * them; a replaced one is freed at the end of the batch.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "client/nested.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "common/string.h"
#include "partitioning/partdesc.h"
#include "pipeline/layout.h"
#include "router/map.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static HTAB *leaves = NULL;
static List *retired = NIL;		/* layouts to free at the end of the batch */

/*
 * A relation changed, or (InvalidOid) any may have.
 */
static void
ForgetRelation(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	Leaf	   *leaf;

	hash_seq_init(&status, leaves);
	while ((leaf = hash_seq_search(&status)) != NULL)
	{
		if (relid == InvalidOid || relid == leaf->relid ||
			(leaf->layout != NULL &&
			 (relid == leaf->layout->parent || list_member_oid(leaf->layout->composites, relid))))
			leaf->valid = false;
	}
}

void
LayoutInit(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Leaf);
	ctl.hcxt = TopMemoryContext;
	leaves = hash_create("shard pipeline leaves", 256, &ctl,
						 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(ForgetRelation, (Datum) 0);
}

/*
 * The number at the end of the name of a shard's schema; -1 if a relation is in
 * another one.
 */
static int
ShardOfSchema(Oid relid)
{
	char	   *name = get_namespace_name(get_rel_namespace(relid));
	size_t		mark = strlen("_shard_");
	int			shard = -1;
	char	   *digits;

	if (name == NULL || (digits = strrchr(name, '_')) == NULL || digits + 1 - name < mark ||
		strncmp(digits + 1 - mark, "_shard_", mark) != 0 || !isdigit((unsigned char) digits[1]))
		return -1;
	shard = strtoint(digits + 1, &digits, 10);
	return *digits == '\0' && shard < MAX_SHARDS ? shard : -1;
}

/*
 * Tables partitioned by range use PostgreSQL's own operator classes: they are
 * known by where their leaves are, all of them or none.
 */
static bool
IsInShards(Relation parent)
{
	PartitionDesc desc = RelationGetPartitionDesc(parent, true);

	return desc->nparts > 0 && ShardOfSchema(desc->oids[0]) >= 0;
}

bool
LayoutIsRouted(Relation parent)
{
	PartitionKey key;
	Oid			schema;

	if (parent->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	key = RelationGetPartitionKey(parent);
	if (key->strategy == PARTITION_STRATEGY_RANGE)
		return IsInShards(parent);
	schema = get_namespace_oid("_shard", true);
	return key->strategy == PARTITION_STRATEGY_HASH && key->partnatts >= 1 &&
		OidIsValid(schema) && get_func_namespace(key->partsupfunc[0].fn_oid) == schema;
}

/*
 * The shard's index is the remainder in a leaf's partition bound, or, of a leaf
 * that is a range, in the name of its schema.
 */
int
LayoutLeafShard(Oid leaf)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(leaf));
	Datum		bound;
	bool		isnull;
	int			shard = -1;

	if (!HeapTupleIsValid(tuple))
		return -1;
	bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
	if (!isnull)
	{
		PartitionBoundSpec *spec = stringToNode(TextDatumGetCString(bound));

		if (spec->strategy == PARTITION_STRATEGY_HASH)
			shard = spec->remainder;
		else if (spec->strategy == PARTITION_STRATEGY_RANGE)
			shard = ShardOfSchema(leaf);
	}
	ReleaseSysCache(tuple);
	return shard;
}

static int
ColumnByName(const TableLayout *layout, const char *name)
{
	for (int i = 0; i < layout->ncols; i++)
		if (strcmp(layout->cols[i].name, name) == 0)
			return i;
	return -1;
}

LayoutColumn *
LayoutColumnByAttnum(const TableLayout *layout, AttrNumber attnum)
{
	for (int i = 0; i < layout->ncols; i++)
		if (layout->cols[i].attnum == attnum)
			return &layout->cols[i];
	return NULL;
}

static void
FillColumns(TableLayout *layout, TupleDesc desc)
{
	layout->cols = palloc0(Max(desc->natts, 1) * sizeof(LayoutColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		LayoutColumn *col = &layout->cols[layout->ncols];

		if (att->attisdropped || (att->attgenerated != '\0' && att->attgenerated != 's'))
			continue;
		col->attnum = att->attnum;
		col->name = pstrdup(NameStr(att->attname));
		col->typid = att->atttypid;
		col->typmod = att->atttypmod;
		col->typlen = att->attlen;
		col->typbyval = att->attbyval;
		ValueCodecInit(&col->codec, att->atttypid, att->atttypmod);
		if (col->codec.nested != NULL)
			layout->composites = list_concat(layout->composites, NestedRelations(col->codec.nested));
		layout->ncols++;
	}
}

/*
 * Columns that were added with a default which the leaf's old rows have not
 * stored.
 */
static void
FillMissing(TableLayout *layout, TupleDesc desc)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		int			col = att->attisdropped ? -1 : ColumnByName(layout, NameStr(att->attname));

		if (col >= 0)
			layout->cols[col].has_missing = att->atthasmissing;
	}
}

/*
 * The columns that identify a row in the WAL of a leaf, in index order.
 */
static void
FillKey(TableLayout *layout, Relation leaf)
{
	Oid			index = InvalidOid;

	layout->keys = palloc(Max(layout->ncols, 1) * sizeof(int));
	if (leaf->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
	{
		(void) RelationGetIndexList(leaf);
		index = leaf->rd_pkindex;
	}
	else
		index = RelationGetReplicaIndex(leaf);

	if (OidIsValid(index))
	{
		Relation	rel = RelationIdGetRelation(index);

		if (!RelationIsValid(rel))
			elog(ERROR, "could not open index with OID %u", index);
		for (int i = 0; i < rel->rd_index->indnkeyatts; i++)
		{
			AttrNumber	attnum = rel->rd_index->indkey.values[i];
			int			col = -1;

			if (attnum > 0)
				col = ColumnByName(layout,
								   NameStr(TupleDescAttr(RelationGetDescr(leaf), attnum - 1)->attname));
			if (col < 0)
				elog(ERROR, "key column %d of relation \"%s\" is not in its parent",
					 attnum, RelationGetRelationName(leaf));
			layout->keys[layout->nkeys++] = col;
			layout->cols[col].is_key = true;
		}
		RelationClose(rel);
		return;
	}

	/* No key: the row itself, of which UPDATE and DELETE then log all. */
	layout->whole_row = true;
	for (int i = 0; i < layout->ncols; i++)
	{
		layout->keys[layout->nkeys++] = i;
		layout->cols[i].is_key = true;
	}
}

/*
 * Unique constraints of a table whose partition key is an expression hold within
 * a shard.  What they identify a row by among all shards is their columns and
 * those of the partition key; the leaves log whole rows then, see table/leaf.c.
 */
static void
AddToKey(TableLayout *layout, int col, bool may_be_null)
{
	if (layout->cols[col].is_key)
		return;
	layout->cols[col].is_key = true;
	layout->cols[col].null_key = may_be_null;
	layout->keys[layout->nkeys++] = col;
}

static void
FillPartitionColumn(TableLayout *layout, Relation parent, AttrNumber attnum)
{
	int			col = LayoutColumnByAttnum(layout, attnum) - layout->cols;

	if (!layout->cols[col].is_key)
		layout->key_logged = false;
	layout->partition[layout->npartition++] = col;
	if (layout->expression != NULL)
		AddToKey(layout, col, !TupleDescAttr(RelationGetDescr(parent), attnum - 1)->attnotnull);
}

static void
FillPartitionKey(TableLayout *layout, Relation parent, bool whole_rows)
{
	PartitionKey key = RelationGetPartitionKey(parent);
	Bitmapset  *attnums;
	int			attnum = -1;

	layout->partition = palloc(Max(layout->ncols, 1) * sizeof(int));
	layout->nindexed = layout->nkeys;
	layout->expression = LayoutKeyBuild(parent, &attnums);
	if (layout->expression == NULL)
		FillPartitionColumn(layout, parent, key->partattrs[0]);
	layout->key_logged = true;
	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
		FillPartitionColumn(layout, parent, attnum);
	layout->key_logged |= whole_rows;
}

TableLayout *
LayoutBuild(Relation leaf, Relation parent)
{
	TableLayout *layout = palloc0(sizeof(TableLayout));

	layout->context = CurrentMemoryContext;
	layout->parent = RelationGetRelid(parent);
	layout->owner = parent->rd_rel->relowner;
	layout->schema_name = get_namespace_name(RelationGetNamespace(parent));
	layout->name = pstrdup(RelationGetRelationName(parent));
	FillColumns(layout, RelationGetDescr(parent));
	FillMissing(layout, RelationGetDescr(leaf));
	FillKey(layout, leaf);
	FillPartitionKey(layout, parent, leaf->rd_rel->relreplident == REPLICA_IDENTITY_FULL);
	return layout;
}

AttrNumber *
LayoutLeafColumns(const TableLayout *layout, Relation leaf)
{
	TupleDesc	desc = RelationGetDescr(leaf);
	AttrNumber *attnums = palloc0(Max(layout->ncols, 1) * sizeof(AttrNumber));

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		int			col;

		if (att->attisdropped)
			continue;
		col = ColumnByName(layout, NameStr(att->attname));
		if (col >= 0)
			attnums[col] = att->attnum;
	}
	for (int i = 0; i < layout->ncols; i++)
		if (attnums[i] == 0)
			elog(ERROR, "relation \"%s\" lacks column \"%s\" of its parent",
				 RelationGetRelationName(leaf), layout->cols[i].name);
	return attnums;
}

static bool
LayoutEqual(const TableLayout *a, const TableLayout *b)
{
	if (a->parent != b->parent || a->ncols != b->ncols || a->nkeys != b->nkeys ||
		a->whole_row != b->whole_row || a->nindexed != b->nindexed ||
		a->key_logged != b->key_logged || a->npartition != b->npartition ||
		strcmp(a->name, b->name) != 0 || strcmp(a->schema_name, b->schema_name) != 0)
		return false;
	for (int i = 0; i < a->ncols; i++)
	{
		const LayoutColumn *x = &a->cols[i];
		const LayoutColumn *y = &b->cols[i];

		if (x->attnum != y->attnum || x->typid != y->typid || x->typmod != y->typmod ||
			x->null_key != y->null_key || strcmp(x->name, y->name) != 0 ||
			(x->codec.nested != NULL &&
			 strcmp(ValueEngineType(&x->codec), ValueEngineType(&y->codec)) != 0))
			return false;
	}
	return memcmp(a->keys, b->keys, a->nkeys * sizeof(int)) == 0 &&
		memcmp(a->partition, b->partition, a->npartition * sizeof(int)) == 0;
}

/*
 * A layout equal to this one that another leaf uses already, or NULL.
 */
static TableLayout *
SharedLayout(const TableLayout *layout)
{
	HASH_SEQ_STATUS status;
	Leaf	   *leaf;

	hash_seq_init(&status, leaves);
	while ((leaf = hash_seq_search(&status)) != NULL)
	{
		if (leaf->layout != NULL && LayoutEqual(leaf->layout, layout))
		{
			TableLayout *found = leaf->layout;

			hash_seq_term(&status);
			return found;
		}
	}
	return NULL;
}

static void
SetLayout(Leaf *leaf, Relation rel, Relation parent)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard table layout",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TableLayout *built = LayoutBuild(rel, parent);
	TableLayout *known = SharedLayout(built);

	MemoryContextSwitchTo(TopMemoryContext);
	if (known != NULL)
		MemoryContextDelete(context);
	else
		known = built;
	if (leaf->layout != known)
	{
		if (leaf->layout != NULL)
			retired = list_append_unique_ptr(retired, leaf->layout);
		leaf->layout = known;
		leaf->changes = NULL;
	}
	if (leaf->attnums != NULL)
		pfree(leaf->attnums);
	leaf->attnums = LayoutLeafColumns(known, rel);
	MemoryContextSwitchTo(old);
}

/*
 * The router of a leaf, by the schema that the leaf is in: <router>_shard_<n>.
 */
static void
SetRouter(Leaf *leaf, Relation rel)
{
	char	   *schema = get_namespace_name(RelationGetNamespace(rel));
	size_t		len = schema != NULL ? strlen(schema) : 0;

	while (len > 0 && isdigit((unsigned char) schema[len - 1]))
		len--;
	memset(&leaf->counters, 0, sizeof(leaf->counters));
	leaf->router[0] = '\0';
	if (len > strlen("_shard_") && strncmp(schema + len - strlen("_shard_"), "_shard_", strlen("_shard_")) == 0)
		strlcpy(leaf->router, schema, len - strlen("_shard_") + 1);
	leaf->counters.name = leaf->router;
}

static void
BuildLeaf(Leaf *leaf, Relation rel)
{
	Relation	parent;

	/* First, so that an invalidation in the middle is not lost. */
	leaf->valid = true;
	leaf->wanted = false;
	if (rel->rd_rel->relispartition && rel->rd_rel->relkind == RELKIND_RELATION)
	{
		parent = RelationIdGetRelation(get_partition_parent(RelationGetRelid(rel), false));
		if (RelationIsValid(parent))
		{
			if (LayoutIsRouted(parent))
			{
				SetLayout(leaf, rel, parent);
				SetRouter(leaf, rel);
				leaf->shard = LayoutLeafShard(RelationGetRelid(rel));
				leaf->wanted = true;
			}
			RelationClose(parent);
		}
	}
}

Leaf *
LayoutLeaf(Relation rel)
{
	static Leaf *leaf = NULL;	/* the last one; entries are never removed */
	Oid			relid = RelationGetRelid(rel);
	bool		found;

	if (leaf == NULL || leaf->relid != relid)
	{
		leaf = hash_search(leaves, &relid, HASH_ENTER, &found);
		if (!found)
			memset((char *) leaf + sizeof(Oid), 0, sizeof(Leaf) - sizeof(Oid));
	}
	if (!leaf->valid)
		BuildLeaf(leaf, rel);
	return leaf;
}

void
LayoutForgetChanges(void)
{
	HASH_SEQ_STATUS status;
	Leaf	   *leaf;
	ListCell   *lc;

	hash_seq_init(&status, leaves);
	while ((leaf = hash_seq_search(&status)) != NULL)
	{
		leaf->changes = NULL;
		if (leaf->layout != NULL && list_member_ptr(retired, leaf->layout))
			retired = list_delete_ptr(retired, leaf->layout);
	}
	foreach(lc, retired)
		MemoryContextDelete(((TableLayout *) lfirst(lc))->context);
	list_free(retired);
	retired = NIL;
}
