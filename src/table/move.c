/*
 * move.c
 *		The rows of a table that is being distributed, or put together again.
 *
 * Rows are read under a snapshot taken after the table was locked (that of the
 * calling statement is older, and would miss what was committed while we waited)
 * and written below the executor, see row_writer.c.  They carry no replication
 * origin: rows of a table that is being distributed reach the lake as created
 * events.  Where a row goes is decided as PostgreSQL does when it routes a row.
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
#include "partitioning/partdesc.h"
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
	EState	   *estate;
	List	   *expression;		/* of one ExprState, or NIL */
	RowWriter  *plain;
	int			nparts;			/* of the parent's partition descriptor */
	Relation   *leaves;
	RowWriter **writers;
} Target;

static RowWriter *
OpenLeaf(Target *target, PartitionDesc desc, int part)
{
	target->leaves[part] = table_open(desc->oids[part], RowExclusiveLock);
	return RowWriterBegin(target->leaves[part]);
}

/*
 * The partition key of a row in the parent's column order.  An expression runs
 * as the table's owner, whoever moves the rows: it may call a function that the
 * owner has chosen.
 */
static Datum
KeyOfRow(Target *target, TupleTableSlot *slot, bool *isnull)
{
	PartitionKey key = RelationGetPartitionKey(target->parent);
	ExprContext *econtext;
	Oid			user;
	int			sec_context;
	Datum		value;

	if (target->expression == NIL)
		return slot_getattr(slot, get_partition_col_attnum(key, 0), isnull);
	econtext = GetPerTupleExprContext(target->estate);
	ResetExprContext(econtext);
	econtext->ecxt_scantuple = slot;
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(target->parent->rd_rel->relowner,
						   sec_context | SECURITY_RESTRICTED_OPERATION);
	value = ExecEvalExprSwitchContext(linitial(target->expression), econtext, isnull);
	SetUserIdAndSecContext(user, sec_context);
	return value;
}

/*
 * The partition for a key, as PostgreSQL chooses it when it routes a row.
 */
static int
PartitionOfKey(PartitionKey key, PartitionDesc desc, Datum value, bool isnull)
{
	PartitionBoundInfo bounds = desc->boundinfo;
	bool		equal;
	int			part;

	if (key->strategy == PARTITION_STRATEGY_HASH)
		return bounds->indexes[compute_partition_hash_value(key->partnatts, key->partsupfunc,
															key->partcollation, &value, &isnull) %
							   bounds->nindexes];
	part = isnull ? -1 :
		bounds->indexes[partition_range_datum_bsearch(key->partsupfunc, key->partcollation, bounds,
													  1, &value, &equal) + 1];
	return part < 0 ? bounds->default_index : part;
}

/*
 * The writer for a row in the parent's column order.
 */
static RowWriter *
WriterFor(Target *target, TupleTableSlot *slot, MemoryContext context)
{
	PartitionDesc desc;
	Datum		value;
	bool		isnull;
	int			part;

	if (target->parent == NULL)
		return target->plain;
	desc = RelationGetPartitionDesc(target->parent, true);
	value = KeyOfRow(target, slot, &isnull);
	part = PartitionOfKey(RelationGetPartitionKey(target->parent), desc, value, isnull);
	if (part < 0)
		elog(ERROR, "table \"%s\" has no leaf for a row", RelationGetRelationName(target->parent));
	if (target->writers[part] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		target->writers[part] = OpenLeaf(target, desc, part);
		MemoryContextSwitchTo(old);
	}
	return target->writers[part];
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
		RowWriterAppend(WriterFor(target, converted, outer),
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
	target->estate = CreateExecutorState();
	target->expression = ExecPrepareExprList(get_partition_exprs(RelationGetPartitionKey(target->parent)),
											 target->estate);
	target->nparts = RelationGetPartitionDesc(target->parent, true)->nparts;
	target->leaves = palloc0(sizeof(Relation) * target->nparts);
	target->writers = palloc0(sizeof(RowWriter *) * target->nparts);
	rows = CopyRows(source, RelationGetDescr(target->parent), target);
	for (int i = 0; i < target->nparts; i++)
	{
		if (target->writers[i] == NULL)
			continue;
		RowWriterEnd(target->writers[i]);
		table_close(target->leaves[i], NoLock);
	}
	FreeExecutorState(target->estate);
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
