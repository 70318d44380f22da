/*
 * range_layout.c
 *		The leaves of a table under a router of strategy range.
 *
 * A leaf's range is its partition bound, its shard the schema that it is in.
 * Ranges are changed in pg_class: detaching and attaching again would check
 * foreign keys to the table, and look at every row for what we know.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "partitioning/partdesc.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/range_layout.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* ---- reading ---- */

static PartitionBoundSpec *
ReadBoundSpec(Oid leaf)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(leaf));
	Datum		bound;
	bool		isnull;
	PartitionBoundSpec *spec;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", leaf);
	bound = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &isnull);
	if (isnull)
		elog(ERROR, "relation %u is not a partition", leaf);
	spec = stringToNode(TextDatumGetCString(bound));
	ReleaseSysCache(tuple);
	return spec;
}

/*
 * A partition bound as a bound of the router's; by way of its text, for the
 * column may be of another type of integer, or a domain.
 */
static RangeBound
FromDatum(KeyOrder *order, KeyOrder *column, List *datums)
{
	PartitionRangeDatum *datum = linitial_node(PartitionRangeDatum, datums);

	if (datum->kind != PARTITION_RANGE_DATUM_VALUE)
		return (RangeBound) {datum->kind == PARTITION_RANGE_DATUM_MINVALUE ? -1 : 1, 0};
	return (RangeBound) {0, KeyOrderRead(order, KeyOrderText(column,
															 castNode(Const, datum->value)->constvalue))};
}

static int
CompareLeaves(const void *a, const void *b, void *arg)
{
	const RangeOrder *order = arg;

	return RangeCompare(order, &((const RangeLeaf *) a)->range.start,
						&((const RangeLeaf *) b)->range.start);
}

static Oid
KeyType(Oid parent)
{
	Relation	rel = relation_open(parent, NoLock);
	Oid			type = getBaseType(get_partition_col_typid(RelationGetPartitionKey(rel), 0));

	relation_close(rel, NoLock);
	return type;
}

RangeLayout *
RangeLayoutRead(Oid parent)
{
	RangeLayout *layout = palloc0(sizeof(RangeLayout));
	const Router *router = CatalogRouterForParent(parent);
	List	   *children = find_inheritance_children(parent, AccessShareLock);
	KeyOrder   *column = KeyOrderCreate(KeyType(parent));
	RangeOrder	order;
	ListCell   *lc;

	if (router == NULL || router->order == NULL)
		elog(ERROR, "table %u is not of a router of strategy range", parent);
	layout->parent = parent;
	layout->router = pstrdup(router->name);
	layout->order = KeyOrderCreate(router->order->type);
	layout->leaves = palloc(sizeof(RangeLeaf) * Max(list_length(children), 1));
	layout->default_shard = -1;
	foreach(lc, children)
	{
		PartitionBoundSpec *spec = ReadBoundSpec(lfirst_oid(lc));
		RangeLeaf  *leaf;

		if (spec->is_default)
		{
			layout->default_leaf = lfirst_oid(lc);
			layout->default_shard = CatalogLeafShard(lfirst_oid(lc));
			continue;
		}
		leaf = &layout->leaves[layout->nleaves++];
		leaf->oid = lfirst_oid(lc);
		leaf->range.start = FromDatum(layout->order, column, spec->lowerdatums);
		leaf->range.end = FromDatum(layout->order, column, spec->upperdatums);
		leaf->range.shard = CatalogLeafShard(lfirst_oid(lc));
	}
	order = KeyOrderRange(layout->order);
	qsort_arg(layout->leaves, layout->nleaves, sizeof(RangeLeaf), CompareLeaves, &order);
	return layout;
}

static RangeBound
Lesser(const RangeOrder *order, RangeBound a, RangeBound b)
{
	return RangeCompare(order, &a, &b) <= 0 ? a : b;
}

const RangeLeaf *
RangeLeafAbove(const RangeLayout *layout, const RangeBound *bound, RangeBound *end)
{
	RangeOrder	order = KeyOrderRange(layout->order);

	for (int i = 0; i < layout->nleaves; i++)
	{
		const RangeLeaf *leaf = &layout->leaves[i];

		if (RangeCompare(&order, &leaf->range.start, bound) > 0)
		{
			*end = leaf->range.start;
			return NULL;
		}
		if (RangeCompare(&order, &leaf->range.end, bound) > 0)
		{
			*end = leaf->range.end;
			return leaf;
		}
	}
	*end = (RangeBound) {1, 0};
	return NULL;
}

bool
RangeLayoutDiffers(const RangeLayout *layout, const RangeSet *all, RangeBound *after,
				   Range *piece)
{
	RangeOrder	order = KeyOrderRange(layout->order);

	while (after->infinity <= 0)
	{
		RangeBound	end;
		RangeBound	border;
		const RangeLeaf *leaf = RangeLeafAbove(layout, after, &end);
		int			wanted = RangeShardAbove(all, after);

		if (RangeNextBorder(all, after, &border))
			end = Lesser(&order, end, border);
		*piece = (Range) {*after, end, wanted};
		*after = end;
		if (wanted != (leaf != NULL ? leaf->range.shard : layout->default_shard))
			return true;
	}
	return false;
}

/* ---- creating ---- */

static char *
BoundSql(KeyOrder *order, const RangeBound *bound)
{
	if (bound->infinity != 0)
		return bound->infinity < 0 ? "MINVALUE" : "MAXVALUE";
	return quote_literal_cstr(KeyOrderText(order, bound->value));
}

Oid
RangeLeafMake(const RangeLayout *layout, int shard_index, Oid template)
{
	RouterShard *shard = FindShard(layout->router, shard_index);
	Oid			leaf = LeafMake(layout->parent, shard, template, NULL);
	Bitmapset  *key;

	/* while a table is distributed, its leaves get these after their rows */
	if (KeyIsExpression(layout->parent, &key) && get_rel_relispartition(template))
		DdlRunAll(UniqueOthers(template, QualifiedName(leaf), shard->schema));
	return leaf;
}

void
RangeLeafAttach(const RangeLayout *layout, Oid leaf, const Range *range)
{
	LeafAttach(layout->parent, leaf, psprintf("FOR VALUES FROM (%s) TO (%s)",
											  BoundSql(layout->order, &range->start),
											  BoundSql(layout->order, &range->end)));
}

static void
AddLeaf(const RangeLayout *layout, const Range *range, Oid template)
{
	RangeLeafAttach(layout, RangeLeafMake(layout, range->shard, template), range);
}

/*
 * The leaves for one range as it was given: one, unless keys in it are pinned
 * elsewhere.
 */
static void
AddLeaves(const RangeLayout *layout, const RangeSet *all, Range range, Oid template)
{
	RangeBound	end = range.end;

	while (RangeCompare(&all->order, &range.start, &end) < 0)
	{
		RangeBound	border;

		range.end = end;
		range.shard = RangeShardAbove(all, &range.start);
		if (RangeNextBorder(all, &range.start, &border))
			range.end = Lesser(&all->order, border, end);
		AddLeaf(layout, &range, template);
		range.start = range.end;
	}
}

/*
 * Pinned keys outside of all ranges have leaves, too; the rest of a gap is the
 * default leaf's.
 */
static void
AddGapLeaves(const RangeLayout *layout, const RangeSet *all, Range gap, int default_shard,
			 Oid template)
{
	RangeBound	end = gap.end;

	while (RangeCompare(&all->order, &gap.start, &end) < 0)
	{
		RangeBound	border;

		gap.end = end;
		gap.shard = RangeShardAbove(all, &gap.start);
		if (RangeNextBorder(all, &gap.start, &border))
			gap.end = Lesser(&all->order, border, end);
		if (gap.shard != default_shard)
			AddLeaf(layout, &gap, template);
		gap.start = gap.end;
	}
}

void
RangeLayoutCreate(Oid parent, const char *router_name, Oid template)
{
	RangeLayout layout = {.parent = parent,.router = pstrdup(router_name)};
	const Router *router = CatalogRouter(router_name, false);
	int			default_shard = router->default_shard;
	RangeSet   *ranges;
	RangeSet   *all;

	/* the router's entry may be replaced while leaves are made */
	layout.order = KeyOrderCreate(router->order->type);
	ranges = RangesRead(layout.order, RangesWrite(layout.order, router->ranges));
	all = CatalogAllRanges(router, ranges, default_shard, true);
	for (int i = 0; i <= ranges->nranges; i++)
	{
		Range		gap;

		if (RangeGap(ranges, i, &gap))
			AddGapLeaves(&layout, all, gap, default_shard, template);
		if (i < ranges->nranges)
			AddLeaves(&layout, all, ranges->ranges[i], template);
	}
	LeafAttach(parent, LeafMake(parent, FindShard(router_name, default_shard), template, "default"),
			   "DEFAULT");
}

/* ---- changing ---- */

static PartitionRangeDatum *
ToDatum(PartitionKey key, KeyOrder *order, const RangeBound *bound)
{
	PartitionRangeDatum *datum = makeNode(PartitionRangeDatum);
	Oid			input;
	Oid			ioparam;
	Datum		value;

	datum->location = -1;
	datum->kind = bound->infinity < 0 ? PARTITION_RANGE_DATUM_MINVALUE :
		bound->infinity > 0 ? PARTITION_RANGE_DATUM_MAXVALUE : PARTITION_RANGE_DATUM_VALUE;
	if (bound->infinity != 0)
		return datum;
	getTypeInputInfo(key->parttypid[0], &input, &ioparam);
	value = OidInputFunctionCall(input, KeyOrderText(order, bound->value), ioparam,
								 key->parttypmod[0]);
	datum->value = (Node *) makeConst(key->parttypid[0], key->parttypmod[0], key->parttypcoll[0],
									  key->parttyplen[0], value, false, key->parttypbyval[0]);
	return datum;
}

static void
StoreBound(Oid leaf, PartitionBoundSpec *spec)
{
	Relation	rel = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(leaf));
	Datum		values[Natts_pg_class] = {0};
	bool		nulls[Natts_pg_class] = {false};
	bool		replace[Natts_pg_class] = {false};

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", leaf);
	values[Anum_pg_class_relpartbound - 1] = CStringGetTextDatum(nodeToString(spec));
	replace[Anum_pg_class_relpartbound - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(rel), values, nulls, replace);
	CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(rel, RowExclusiveLock);
}

void
RangeLeafSetRange(const RangeLayout *layout, Oid leaf, const Range *range)
{
	Relation	parent = relation_open(layout->parent, NoLock);
	PartitionKey key = RelationGetPartitionKey(parent);
	PartitionBoundSpec *spec = ReadBoundSpec(leaf);

	spec->lowerdatums = list_make1(ToDatum(key, layout->order, &range->start));
	spec->upperdatums = list_make1(ToDatum(key, layout->order, &range->end));
	StoreBound(leaf, spec);
	CacheInvalidateRelcache(parent);
	CacheInvalidateRelcacheByRelid(leaf);
	if (OidIsValid(layout->default_leaf))
		CacheInvalidateRelcacheByRelid(layout->default_leaf);
	relation_close(parent, NoLock);
	CommandCounterIncrement();
}

/*
 * A name like that of a relation which is free in both schemas.
 */
static char *
FreeInBoth(const char *from, const char *to, const char *name)
{
	for (int i = 2;; i++)
	{
		char		number[16];
		char	   *candidate;

		snprintf(number, sizeof(number), "%d", i);
		candidate = makeObjectName(name, NULL, number);
		if (!OidIsValid(get_relname_relid(candidate, get_namespace_oid(from, false))) &&
			!OidIsValid(get_relname_relid(candidate, get_namespace_oid(to, false))))
			return candidate;
		pfree(candidate);
	}
}

/*
 * Rename a leaf's indexes whose names are taken in the schema to which it goes.
 */
static void
RenameIndexes(Oid leaf, const char *from, const char *to)
{
	Relation	rel = relation_open(leaf, NoLock);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	relation_close(rel, NoLock);
	foreach(lc, indexes)
	{
		char	   *name = get_rel_name(lfirst_oid(lc));

		if (OidIsValid(get_relname_relid(name, get_namespace_oid(to, false))))
			DdlRunf("ALTER INDEX %s RENAME TO %s", quote_qualified_identifier(from, name),
					quote_identifier(FreeInBoth(from, to, name)));
	}
}

/*
 * Its rows stay where they are on disk: only names change.
 */
void
RangeLeafGive(Oid parent, Oid leaf, const char *router, int shard_index)
{
	char	   *from = get_namespace_name(get_rel_namespace(leaf));
	char	   *to = FindShard(router, shard_index)->schema;

	if (strcmp(from, to) == 0)
		return;
	LeafSchemaCreate(to);
	RenameIndexes(leaf, from, to);
	if (OidIsValid(get_relname_relid(get_rel_name(leaf), get_namespace_oid(to, false))))
	{
		DdlRunf("ALTER TABLE %s RENAME TO %s", QualifiedName(leaf),
				quote_identifier(FreeInBoth(from, to, get_rel_name(parent))));
		CommandCounterIncrement();
	}
	DdlRunf("ALTER TABLE %s SET SCHEMA %s", QualifiedName(leaf), quote_identifier(to));
	CommandCounterIncrement();
}
