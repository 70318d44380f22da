/*
 * move.c
 *		The rows of a table that is being distributed, or put together again.
 *
 * Rows are read under a snapshot taken after the table was locked (that of the
 * calling statement is older, and would miss what was committed while we waited)
 * and written below the executor, see row_writer.c.  They carry no replication
 * origin: rows of a table that is being distributed reach the lake as created
 * events.  Where a row goes is asked of the partition key's hash function, as
 * PostgreSQL does when it routes a row.
 *
 * Memory: one row at a time in a context that is reset for each.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "partitioning/partbounds.h"
#include "table/parts.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Where the rows of one source table go. */
typedef struct Target
{
	Relation	parent;			/* NULL: plain holds all rows */
	RowWriter  *plain;
	Relation	leaves[MAX_SHARDS];
	RowWriter  *writers[MAX_SHARDS];
} Target;

static RowWriter *
OpenLeaf(Target *target, int shard)
{
	Oid			leaf = CatalogLeaf(RelationGetRelid(target->parent), shard);

	if (!OidIsValid(leaf))
		elog(ERROR, "table \"%s\" has no leaf for shard %d",
			 RelationGetRelationName(target->parent), shard);
	target->leaves[shard] = table_open(leaf, RowExclusiveLock);
	return RowWriterBegin(target->leaves[shard]);
}

/*
 * The writer for a row in the parent's column order.
 */
static RowWriter *
WriterFor(Target *target, Datum *values, bool *nulls, MemoryContext context)
{
	PartitionKey key;
	AttrNumber	column;
	int			shard;

	if (target->parent == NULL)
		return target->plain;
	key = RelationGetPartitionKey(target->parent);
	column = get_partition_col_attnum(key, 0) - 1;
	shard = compute_partition_hash_value(key->partnatts, key->partsupfunc, key->partcollation,
										 &values[column], &nulls[column]) % MAX_SHARDS;
	if (target->writers[shard] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		target->writers[shard] = OpenLeaf(target, shard);
		MemoryContextSwitchTo(old);
	}
	return target->writers[shard];
}

/*
 * Copy every row of a table; columns go by name.
 */
static uint64
CopyRows(Relation from, TupleDesc to, Target *target)
{
	TupleConversionMap *map = convert_tuples_by_name(RelationGetDescr(from), to);
	TupleTableSlot *slot = table_slot_create(from, NULL);
	TupleTableSlot *converted = map ? MakeSingleTupleTableSlot(to, &TTSOpsVirtual) : slot;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(from, snapshot, 0, NULL);
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext row = AllocSetContextCreate(outer, "shard row being moved", ALLOCSET_DEFAULT_SIZES);
	uint64		rows = 0;

	MemoryContextSwitchTo(row);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		if (map)
			execute_attr_map_slot(map->attrMap, slot, converted);
		RowWriterAppend(WriterFor(target, converted->tts_values, converted->tts_isnull, outer),
						converted->tts_values, converted->tts_isnull);
		MemoryContextReset(row);
		rows++;
	}
	MemoryContextSwitchTo(outer);

	MemoryContextDelete(row);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	if (map)
		ExecDropSingleTupleTableSlot(converted);
	ExecDropSingleTupleTableSlot(slot);
	return rows;
}

uint64
MoveIntoLeaves(Oid from, Oid parent)
{
	Relation	source = table_open(from, AccessExclusiveLock);
	Target	   *target = palloc0(sizeof(Target));
	uint64		rows;

	target->parent = table_open(parent, RowExclusiveLock);
	rows = CopyRows(source, RelationGetDescr(target->parent), target);
	for (int i = 0; i < MAX_SHARDS; i++)
	{
		if (target->writers[i] == NULL)
			continue;
		RowWriterEnd(target->writers[i]);
		table_close(target->leaves[i], NoLock);
	}
	table_close(target->parent, NoLock);
	table_close(source, NoLock);
	pfree(target);
	CommandCounterIncrement();
	return rows;
}

uint64
MoveFromLeaves(Oid parent, Oid to)
{
	Relation	plain = table_open(to, AccessExclusiveLock);
	Target	   *target = palloc0(sizeof(Target));
	uint64		rows = 0;
	ListCell   *lc;

	target->plain = RowWriterBegin(plain);
	foreach(lc, find_inheritance_children(parent, AccessExclusiveLock))
	{
		Relation	leaf = table_open(lfirst_oid(lc), NoLock);

		rows += CopyRows(leaf, RelationGetDescr(plain), target);
		table_close(leaf, NoLock);
	}
	RowWriterEnd(target->plain);
	table_close(plain, NoLock);
	pfree(target);
	CommandCounterIncrement();
	return rows;
}
