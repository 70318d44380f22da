/*
 * row_writer.c
 *		Rows written below the executor.
 *
 * Distributing a table and migrating keys move rows that are there already:
 * no trigger may fire for them (ENABLE ALWAYS ones would, under any role), no
 * foreign key may act, no default, identity or generated value may be computed
 * anew.  So rows go through the table access method as they are, and this file
 * does what remains: the indexes.  A unique violation is raised at once, for
 * deferrable constraints too, since no trigger exists that could look again.
 *
 * Appended rows are buffered, and written with their index entries when
 * MAX_ROWS or MAX_BYTES are reached, at an insert or delete and at the end.  Index
 * expressions and predicates are the table owner's code: they run as the owner
 * in a restricted operation, whoever moves the rows.
 *
 * Memory: the writer, its slots and the buffered rows live in the context that
 * was current at RowWriterBegin(); index values in the executor's per-tuple
 * context, reset for each row.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "table/table.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_ROWS	1000
#define MAX_BYTES	(64 * 1024)

struct RowWriter
{
	Relation	leaf;
	EState	   *estate;
	ResultRelInfo *target;
	BulkInsertState bulk;
	MemoryContext context;
	bool		owner_code;		/* an index has expressions or a predicate */
	TupleTableSlot *slots[MAX_ROWS];	/* made on first use */
	int			nrows;
	Size		nbytes;
};

/*
 * Does an index of the table evaluate anything?
 */
static bool
IndexesRunOwnerCode(ResultRelInfo *target)
{
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		IndexInfo  *info = target->ri_IndexRelationInfo[i];

		if (info->ii_Expressions != NIL || info->ii_Predicate != NIL)
			return true;
	}
	return false;
}

RowWriter *
RowWriterBegin(Relation leaf)
{
	RowWriter  *writer = palloc0(sizeof(RowWriter));

	writer->leaf = leaf;
	writer->context = CurrentMemoryContext;
	writer->estate = CreateExecutorState();
	writer->target = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->target, leaf, 1, NULL, 0);
	ExecOpenIndices(writer->target, false);
	writer->owner_code = IndexesRunOwnerCode(writer->target);
	writer->bulk = GetBulkInsertState();
	return writer;
}

/*
 * Does the row belong into a partial index?
 */
static bool
PredicateHolds(RowWriter *writer, IndexInfo *info, ExprContext *econtext)
{
	if (info->ii_Predicate == NIL)
		return true;
	if (info->ii_PredicateState == NULL)
		info->ii_PredicateState = ExecPrepareQual(info->ii_Predicate, writer->estate);
	return ExecQual(info->ii_PredicateState, econtext);
}

static void
InsertIntoIndexes(RowWriter *writer, TupleTableSlot *slot)
{
	ResultRelInfo *target = writer->target;
	ExprContext *econtext = GetPerTupleExprContext(writer->estate);

	econtext->ecxt_scantuple = slot;
	for (int i = 0; i < target->ri_NumIndices; i++)
	{
		Relation	index = target->ri_IndexRelationDescs[i];
		IndexInfo  *info = target->ri_IndexRelationInfo[i];
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		if (index == NULL || !info->ii_ReadyForInserts ||
			!PredicateHolds(writer, info, econtext))
			continue;
		FormIndexDatum(info, slot, writer->estate, values, nulls);
		index_insert(index, values, nulls, &slot->tts_tid, writer->leaf,
					 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO,
					 false, info);
		if (info->ii_ExclusionOps != NULL)
			check_exclusion_constraint(writer->leaf, index, info, &slot->tts_tid,
									   values, nulls, writer->estate, false);
	}
	ResetPerTupleExprContext(writer->estate);
}

/*
 * Index entries of all rows just written, evaluated as the table's owner.
 */
static void
IndexBufferedRows(RowWriter *writer)
{
	Oid			user;
	int			sec_context;
	MemoryContext old;

	if (writer->target->ri_NumIndices == 0)
		return;
	GetUserIdAndSecContext(&user, &sec_context);
	if (writer->owner_code)
		SetUserIdAndSecContext(writer->leaf->rd_rel->relowner,
							   sec_context | SECURITY_RESTRICTED_OPERATION);

	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(writer->estate));
	for (int i = 0; i < writer->nrows; i++)
		InsertIntoIndexes(writer, writer->slots[i]);
	MemoryContextSwitchTo(old);

	SetUserIdAndSecContext(user, sec_context);
}

static void
EmptyBuffer(RowWriter *writer)
{
	ResetPerTupleExprContext(writer->estate);
	for (int i = 0; i < writer->nrows; i++)
		ExecClearTuple(writer->slots[i]);
	writer->nrows = 0;
	writer->nbytes = 0;
}

static void
Flush(RowWriter *writer)
{
	MemoryContext old;

	if (writer->nrows == 0)
		return;

	/* The access method's own leavings go with each batch. */
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(writer->estate));
	table_multi_insert(writer->leaf, writer->slots, writer->nrows,
					   GetCurrentCommandId(true), 0, writer->bulk);
	MemoryContextSwitchTo(old);
	IndexBufferedRows(writer);
	EmptyBuffer(writer);
}

static Size
RowBytes(TupleDesc desc, Datum *values, bool *nulls)
{
	Size		bytes = 0;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (nulls[i] || att->attisdropped)
			continue;
		bytes += att->attlen == -1 ? VARSIZE_ANY(DatumGetPointer(values[i])) : sizeof(Datum);
	}
	return bytes;
}

/*
 * Copy a row into the buffer.
 */
static TupleTableSlot *
BufferRow(RowWriter *writer, Datum *values, bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(writer->leaf);
	TupleTableSlot *slot = writer->slots[writer->nrows];
	MemoryContext old = MemoryContextSwitchTo(writer->context);

	if (slot == NULL)
		slot = writer->slots[writer->nrows] = table_slot_create(writer->leaf, NULL);
	memcpy(slot->tts_values, values, desc->natts * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, desc->natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	ExecMaterializeSlot(slot);
	writer->nrows++;
	MemoryContextSwitchTo(old);
	return slot;
}

void
RowWriterAppend(RowWriter *writer, Datum *values, bool *nulls)
{
	BufferRow(writer, values, nulls);
	writer->nbytes += RowBytes(RelationGetDescr(writer->leaf), values, nulls);
	if (writer->nrows == MAX_ROWS || writer->nbytes >= MAX_BYTES)
		Flush(writer);
}

ItemPointerData
RowWriterInsert(RowWriter *writer, Datum *values, bool *nulls)
{
	TupleTableSlot *slot;
	ItemPointerData place;

	Flush(writer);
	slot = BufferRow(writer, values, nulls);
	table_tuple_insert(writer->leaf, slot, GetCurrentCommandId(true), 0, writer->bulk);
	place = slot->tts_tid;
	IndexBufferedRows(writer);
	EmptyBuffer(writer);
	return place;
}

void
RowWriterDelete(RowWriter *writer, ItemPointer tid)
{
	Flush(writer);
	simple_table_tuple_delete(writer->leaf, tid, NULL);
}

void
RowWriterEnd(RowWriter *writer)
{
	Flush(writer);
	table_finish_bulk_insert(writer->leaf, 0);
	FreeBulkInsertState(writer->bulk);
	ExecCloseIndices(writer->target);
	for (int i = 0; i < MAX_ROWS && writer->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	FreeExecutorState(writer->estate);
	pfree(writer);
}
