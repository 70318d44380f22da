/*
 * changes.c
 *		Collects decoded changes as column chunks and hands them to the engine.
 *
 * Called from the output plugin's callbacks, inside a transaction that reads
 * the catalogs by a historic snapshot: nothing here uses SPI.  Talking to the
 * engine is allowed there, so that a transaction of any size needs a bounded
 * amount of memory.  Buffers live in batch_context, one a batch; what a single
 * row needs while it is put into a chunk lives in row_context.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/transam.h"
#include "base/hot_keys.h"
#include "base/settings.h"
#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "pipeline/changes.h"
#include "pipeline/letters.h"
#include "pipeline/schema.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* Bytes of full chunks kept here before they are sent; of all chunks. */
#define PUSH_BYTES (8 * 1024 * 1024)
#define MOST_UNSENT_BYTES (4 * PUSH_BYTES)

/* Limits of what goes to one table of the engine, in bytes. */
#define LEAST_PORTION (1024 * 1024)
#define LARGEST_PORTION (256 * 1024 * 1024)
#define WIDE_PORTION (16 * 1024 * 1024)
#define PORTION_OF_MEMORY 8

static MemoryContext batch_context = NULL;
static MemoryContext row_context = NULL;
static ChangeBatch *batch = NULL;
static int64 unsent_bytes = 0;
static ChangeSegment *sending = NULL;	/* whose append is open in the engine */
static int	spare_shift = 0;		/* halvings of a portion */
static HTAB *filters = NULL;
static List *left_out = NIL;	/* of Oid: tables whose changes are not kept */

/*
 * End the append that is open, and raise what went wrong with it.
 */
static void
EndSending(void)
{
	ChangeSegment *segment = sending;

	if (segment == NULL)
		return;
	sending = NULL;
	LettersAtHand(segment->table->parent);
	(void) EngineAppendEnd(batch->conn);
	LettersAtHand(InvalidOid);
}

EngineConn *
ChangesConnection(void)
{
	(void) ChangesBatch();
	EndSending();
	if (batch->conn == NULL)
		batch->conn = EngineAcquireKept();
	return batch->conn;
}

ChangeBatch *
ChangesBatch(void)
{
	if (batch == NULL)
	{
		MemoryContext old;

		if (batch_context == NULL)
		{
			batch_context = AllocSetContextCreate(TopMemoryContext, "shard pipeline batch",
												  ALLOCSET_DEFAULT_SIZES);
			row_context = AllocSetContextCreate(TopMemoryContext, "shard pipeline row",
												ALLOCSET_DEFAULT_SIZES);
		}
		old = MemoryContextSwitchTo(batch_context);
		batch = palloc0(sizeof(ChangeBatch));
		batch->next_n = 1;
		MemoryContextSwitchTo(old);
	}
	return batch;
}

int64
ChangesPortion(void)
{
	int64		bytes = (int64) EngineMemoryLimit * 1024 / PORTION_OF_MEMORY;

	return Max(Min(bytes, LARGEST_PORTION) >> spare_shift, LEAST_PORTION);
}

int64
ChangesPortionFor(int64 row_bytes)
{
	int64		wide = Min(ChangesPortion() / 2, WIDE_PORTION);

	return row_bytes * CHUNK_ROWS > wide ? wide : ChangesPortion();
}

void
ChangesSpare(int failures)
{
	spare_shift = Min(failures, 16);
}

/*
 * Forget the batch.  Its tables in the engine are dropped, the connection kept
 * for the next one.
 */
void
ChangesReset(void)
{
	EngineConn *conn;
	ListCell   *lc,
			   *lc2;

	if (batch == NULL)
		return;
	EndSending();
	conn = batch->conn;
	foreach(lc, batch->tables)
	{
		foreach(lc2, ((TableChanges *) lfirst(lc))->segments)
		{
			ChangeSegment *segment = lfirst(lc2);

			if (segment->created)
				EngineRun(conn, psprintf("DROP TABLE %s", segment->name));
		}
	}
	LettersReset();
	batch = NULL;
	sending = NULL;
	unsent_bytes = 0;
	MemoryContextReset(batch_context);
	LayoutForgetChanges();
	ChangesBatch()->conn = conn;
}

/* ---- filters ---- */

void
ChangesSetFilter(const ChangeFilter *filter)
{
	bool		found;
	ChangeFilter *entry;

	if (filters == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(ChangeFilter);
		ctl.hcxt = TopMemoryContext;
		filters = hash_create("shard pipeline filters", 16, &ctl,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(filters, &filter->parent, HASH_ENTER, &found);
	if (found && entry->xip != NULL)
		pfree(entry->xip);
	*entry = *filter;
	entry->xip = MemoryContextAlloc(TopMemoryContext,
									Max(filter->nxip, 1) * sizeof(TransactionId));
	memcpy(entry->xip, filter->xip, filter->nxip * sizeof(TransactionId));
}

/*
 * Filters are of no use for what is decoded behind their position.
 */
void
ChangesDropFilters(XLogRecPtr upto)
{
	HASH_SEQ_STATUS status;
	ChangeFilter *filter;

	if (filters == NULL || hash_get_num_entries(filters) == 0)
		return;
	hash_seq_init(&status, filters);
	while ((filter = hash_seq_search(&status)) != NULL)
	{
		if (filter->lsn > upto)
			continue;
		pfree(filter->xip);
		hash_search(filters, &filter->parent, HASH_REMOVE, NULL);
	}
}

/*
 * Did the snapshot that the table's state was read under see this transaction?
 */
static bool
Filtered(Oid parent, const ChangeTxn *txn)
{
	ChangeFilter *filter;

	if (filters == NULL || hash_get_num_entries(filters) == 0)
		return false;
	filter = hash_search(filters, &parent, HASH_FIND, NULL);
	if (filter == NULL || txn->commit_lsn >= filter->lsn)
		return false;
	if (TransactionIdPrecedes(txn->xid, filter->xmin))
		return true;
	if (TransactionIdFollowsOrEquals(txn->xid, filter->xmax))
		return false;
	for (int i = 0; i < filter->nxip; i++)
		if (filter->xip[i] == txn->xid)
			return false;
	return true;
}

/* ---- tables and segments ---- */

static TableChanges *
FindTable(Oid parent)
{
	ListCell   *lc;
	TableChanges *table;

	foreach(lc, batch->tables)
	{
		table = lfirst(lc);
		if (table->parent == parent)
			return table;
	}
	table = palloc0(sizeof(TableChanges));
	table->parent = parent;
	table->maxxids = 16;
	table->xids = palloc(table->maxxids * sizeof(TransactionId));
	batch->tables = lappend(batch->tables, table);
	return table;
}

static int
MetaTypes(LakeType *types)
{
	static const LakeKind kinds[CHANGE_META_COLUMNS] = {
		LAKE_LONG, LAKE_LONG, LAKE_LONG, LAKE_TIMESTAMPTZ, LAKE_INT, LAKE_INT,
		LAKE_STRING, LAKE_STRING, LAKE_BOOLEAN, LAKE_STRING
	};

	for (int i = 0; i < CHANGE_META_COLUMNS; i++)
		types[i] = (LakeType) {kinds[i], 0, 0};
	return CHANGE_META_COLUMNS;
}

static WireChunk *
MakeChunk(const TableLayout *layout)
{
	LakeType   *types = palloc((CHANGE_META_COLUMNS + layout->ncols + layout->nkeys) *
							   sizeof(LakeType));
	int			n = MetaTypes(types);

	for (int i = 0; i < layout->ncols; i++)
		types[n++] = layout->cols[i].codec.type;
	for (int i = 0; i < layout->nkeys; i++)
		types[n++] = layout->cols[layout->keys[i]].codec.type;
	return ChunkCreate(types, n);
}

char *
ChangesColumnSql(const TableLayout *layout)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "(n BIGINT, lsn BIGINT, seq BIGINT, ts TIMESTAMPTZ, verb INTEGER, "
						   "shard INTEGER, key VARCHAR, un VARCHAR, old BOOLEAN, okey VARCHAR");
	for (int i = 0; i < layout->ncols; i++)
		appendStringInfo(&sql, ", f%d %s", layout->cols[i].attnum,
						 LayoutEngineType(&layout->cols[i]));
	for (int i = 0; i < layout->nkeys; i++)
	{
		LayoutColumn *col = &layout->cols[layout->keys[i]];

		appendStringInfo(&sql, ", o%d %s", col->attnum,
						 LayoutEngineType(col));
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}


/* Bytes of a row in the engine, without its strings, each of which has a length. */
static Size
RowWidth(const WireChunk *chunk)
{
	Size		width = 0;

	for (int i = 0; i < chunk->ncols; i++)
		width += 1 + Max(LakeKindWidth(chunk->cols[i].type.kind), 8);
	return width;
}

static ChangeSegment *
FindSegment(TableLayout *layout)
{
	TableChanges *table = FindTable(layout->parent);
	ChangeSegment *segment;
	List	   *spare = NIL;
	ListCell   *lc;

	foreach(lc, table->segments)
	{
		segment = lfirst(lc);
		if (segment->layout != layout)
			continue;
		if (!segment->closed)
			return segment;
		spare = list_concat(spare, segment->spare);
		segment->spare = NIL;
	}
	segment = palloc0(sizeof(ChangeSegment));
	segment->spare = spare;
	segment->table = table;
	segment->layout = layout;
	segment->name = psprintf("changes_%u_%d", table->parent, list_length(table->segments));
	segment->unchanged_cols = palloc0(Max(layout->ncols, 1) * sizeof(bool));
	table->segments = lappend(table->segments, segment);
	return segment;
}

static void
NoteTransaction(TableChanges *table, TransactionId xid)
{
	if (table->nxids > 0 && table->xids[table->nxids - 1] == xid)
		return;
	if (table->nxids == table->maxxids)
	{
		table->maxxids *= 2;
		table->xids = repalloc_huge(table->xids, table->maxxids * sizeof(TransactionId));
	}
	table->xids[table->nxids++] = xid;
}

static WireChunk *
TakeChunk(ChangeSegment *segment)
{
	WireChunk  *chunk;

	if (segment->spare == NIL)
		return MakeChunk(segment->layout);
	chunk = llast(segment->spare);
	segment->spare = list_delete_last(segment->spare);
	return chunk;
}

/*
 * The transactions of a table that is left out are noted all the same: should it
 * be taken in again with this batch, the comparison must see them.
 */
static bool
IsLeftOut(Oid parent, const ChangeTxn *txn)
{
	MemoryContext old;

	if (!list_member_oid(left_out, parent))
		return false;
	old = MemoryContextSwitchTo(batch_context);
	NoteTransaction(FindTable(parent), txn->xid);
	MemoryContextSwitchTo(old);
	if (batch->rows == 0)
		(void) ChangesCount(64);
	return true;
}

void
ChangesLeaveOut(const List *parents)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	list_free(left_out);
	left_out = list_copy(parents);
	MemoryContextSwitchTo(old);
}

/*
 * Where a change of this leaf goes; NULL if it is to be skipped.
 */
static ChangeSegment *
Target(Leaf *leaf, ChangeTxn *txn)
{
	ChangeSegment *segment;
	MemoryContext old;

	(void) ChangesBatch();
	txn->seq++;
	if (Filtered(leaf->layout->parent, txn) || IsLeftOut(leaf->layout->parent, txn))
		return NULL;
	LettersAtHand(leaf->layout->parent);
	segment = leaf->changes;
	if (segment != NULL && segment->filling != NULL)
	{
		NoteTransaction(segment->table, txn->xid);
		return segment;
	}
	old = MemoryContextSwitchTo(batch_context);
	segment = FindSegment(leaf->layout);
	NoteTransaction(segment->table, txn->xid);
	if (segment->filling == NULL)
		segment->filling = TakeChunk(segment);
	if (segment->row_width == 0)
		segment->row_width = RowWidth(segment->filling);
	leaf->changes = segment;
	MemoryContextSwitchTo(old);
	return segment;
}

/* ---- sending ---- */

/*
 * Send a segment's full chunks.  The append stays open, so that the engine takes
 * them in while the next ones are filled.
 */
static void
PushSegment(ChangeSegment *segment)
{
	ListCell   *lc;

	if (segment->full == NIL)
		return;
	if (sending != segment)
		(void) ChangesConnection();
	LettersAtHand(segment->table->parent);
	if (!segment->created)
	{
		EngineRun(batch->conn, psprintf("CREATE TEMP TABLE %s %s", segment->name,
										ChangesColumnSql(segment->layout)));
		segment->created = true;
	}
	if (sending != segment)
		EngineAppendBegin(batch->conn, segment->name);
	sending = segment;
	foreach(lc, segment->full)
		EngineAppend(batch->conn, lfirst(lc));
	foreach(lc, segment->full)
		ChunkReset(lfirst(lc));
	segment->spare = list_concat(segment->spare, segment->full);
	list_free(segment->full);
	segment->full = NIL;
}

/* The chunk that is being filled is to be sent with the next ones. */
static void
SetAside(ChangeSegment *segment)
{
	MemoryContext old = MemoryContextSwitchTo(batch_context);

	segment->full = lappend(segment->full, segment->filling);
	segment->filling = NULL;
	segment->strings = 0;
	MemoryContextSwitchTo(old);
}

static void
PushFull(void)
{
	MemoryContext old = MemoryContextSwitchTo(batch_context);
	ListCell   *lc,
			   *lc2;

	foreach(lc, batch->tables)
		foreach(lc2, ((TableChanges *) lfirst(lc))->segments)
			PushSegment(lfirst(lc2));
	LettersAtHand(InvalidOid);
	unsent_bytes = 0;
	MemoryContextSwitchTo(old);
}

void
ChangesPush(ChangeBatch *b)
{
	ListCell   *lc,
			   *lc2;

	Assert(b == batch);
	HotKeysPublish();
	foreach(lc, batch->tables)
	{
		foreach(lc2, ((TableChanges *) lfirst(lc))->segments)
		{
			ChangeSegment *segment = lfirst(lc2);

			if (segment->filling != NULL && segment->filling->nrows > 0)
				SetAside(segment);
		}
	}
	PushFull();
	(void) ChangesConnection();
}

int64
ChangesCount(Size bytes)
{
	(void) ChangesBatch();
	if (batch->rows++ == 0)
		batch->first_at = GetCurrentTimestamp();
	batch->bytes += bytes;
	return batch->next_n++;
}

/*
 * Close a segment that has become large, so that what comes after it goes to
 * another table of the engine.
 */
static void
CloseSegment(ChangeSegment *segment)
{
	segment->closed = true;
	if (segment->filling != NULL)
		SetAside(segment);
	PushFull();
}

/*
 * bytes are what the WAL has of the row.  What it takes here and in the engine
 * can be much more: values that are kept apart or compressed.
 */
static void
EndRow(ChangeSegment *segment, Size bytes)
{
	WireChunk  *chunk = segment->filling;
	Size		strings;
	Size		values;

	chunk->nrows++;
	strings = ChunkBytes(chunk);
	values = strings - segment->strings;
	unsent_bytes += segment->row_width + values;
	values += segment->absent;
	segment->strings = strings;
	segment->absent = 0;
	if (segment->rows++ == 0)
		segment->first_n = batch->next_n;
	segment->last_n = batch->next_n;
	segment->bytes += segment->row_width + values;
	(void) ChangesCount(Max(bytes, values));
	LettersAtHand(InvalidOid);
	if (segment->bytes >= ChangesPortionFor(segment->bytes / segment->rows))
		CloseSegment(segment);
	else if (chunk->nrows >= CHUNK_ROWS || strings >= CHUNK_BYTES)
	{
		SetAside(segment);
		if (sending == NULL || sending == segment)
		{
			MemoryContext old = MemoryContextSwitchTo(batch_context);

			PushSegment(segment);
			LettersAtHand(InvalidOid);
			MemoryContextSwitchTo(old);
		}
		if (unsent_bytes > PUSH_BYTES)
			PushFull();
	}
	else if (unsent_bytes > MOST_UNSENT_BYTES)
		ChangesPush(batch);
}

/* ---- rows ---- */

/* A tuple, deformed; per column of the leaf. */
typedef struct Row
{
	int			size;
	Datum	   *values;
	bool	   *nulls;
} Row;

static Row	new_row;
static Row	old_row;

static void
Deform(Row *row, Relation rel, HeapTuple tuple)
{
	TupleDesc	desc = RelationGetDescr(rel);

	if (desc->natts > row->size)
	{
		row->size = desc->natts + 16;
		row->values = MemoryContextAlloc(TopMemoryContext, row->size * sizeof(Datum));
		row->nulls = MemoryContextAlloc(TopMemoryContext, row->size * sizeof(bool));
	}
	heap_deform_tuple(tuple, desc, row->values, row->nulls);
}

static bool
IsUnchanged(const LayoutColumn *col, Datum value, bool isnull)
{
	return !isnull && col->typlen == -1 && VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value));
}

/*
 * Fill in from the old row what the WAL left out of the new one because it
 * had not changed.
 */
static void
CompleteFromOld(const Leaf *leaf)
{
	for (int i = 0; i < leaf->layout->ncols; i++)
	{
		int			at = leaf->attnums[i] - 1;

		if (IsUnchanged(&leaf->layout->cols[i], new_row.values[at], new_row.nulls[at]) &&
			!old_row.nulls[at])
			new_row.values[at] = old_row.values[at];
	}
}

static bool
KeyDiffers(const Leaf *leaf)
{
	for (int i = 0; i < leaf->layout->nkeys; i++)
	{
		const LayoutColumn *col = &leaf->layout->cols[leaf->layout->keys[i]];
		int			at = leaf->attnums[leaf->layout->keys[i]] - 1;

		if (new_row.nulls[at] != old_row.nulls[at])
			return true;
		if (!new_row.nulls[at] && new_row.values[at] != old_row.values[at] &&
			!datum_image_eq(new_row.values[at], old_row.values[at], col->typbyval, col->typlen))
			return true;
	}
	return false;
}

static void
PutLong(WireChunk *chunk, int col, int64 value)
{
	ChunkPutFixed(chunk, col, &value);
}

static void
PutInt(WireChunk *chunk, int col, int32 value)
{
	ChunkPutFixed(chunk, col, &value);
}

/*
 * Text of a partition key that is a column, until the next call; NULL if there is
 * none.
 */
static char *
KeyPart(const LayoutColumn *col, Datum value, bool isnull, size_t *len)
{
	static char digits[MAXINT8LEN + 1];
	char	   *text;

	if (isnull || IsUnchanged(col, value, false))
		return NULL;
	if (col->typid == TEXTOID || col->typid == VARCHAROID)
	{
		struct varlena *v = PG_DETOAST_DATUM_PACKED(value);

		*len = VARSIZE_ANY_EXHDR(v);
		return VARDATA_ANY(v);
	}
	switch (col->typid)
	{
		case INT2OID:
			*len = pg_ltoa(DatumGetInt16(value), digits);
			return digits;
		case INT4OID:
			*len = pg_ltoa(DatumGetInt32(value), digits);
			return digits;
		case INT8OID:
			*len = pg_lltoa(DatumGetInt64(value), digits);
			return digits;
	}
	text = CatalogKeyText(col->typid, value);
	*len = strlen(text);
	return text;
}

/*
 * Text of a partition key that is an expression; NULL if a column that it reads
 * is not in the WAL.
 */
static const char *
ExpressionText(const TableLayout *layout, const AttrNumber *attnums, const Datum *values,
			   const bool *nulls, size_t *len)
{
	LayoutKeyBegin(layout->expression);
	for (int i = 0; i < layout->npartition; i++)
	{
		const LayoutColumn *col = &layout->cols[layout->partition[i]];
		int			at = attnums[layout->partition[i]] - 1;

		if (IsUnchanged(col, values[at], nulls[at]))
			return NULL;
		if (!nulls[at])
			LayoutKeySet(layout->expression, col->attnum, values[at]);
	}
	return LayoutKeyText(layout->expression, len);
}

void
ChangesPutKeyText(WireChunk *chunk, int col, const TableLayout *layout,
				  const AttrNumber *attnums, const Datum *values, const bool *nulls)
{
	int			at = attnums[layout->partition[0]] - 1;
	size_t		len;
	const char *text;

	if (layout->expression != NULL)
		text = ExpressionText(layout, attnums, values, nulls, &len);
	else
		text = KeyPart(&layout->cols[layout->partition[0]], values[at], nulls[at], &len);
	if (text != NULL)
		ChunkPutBytes(chunk, col, text, len);
	else
		ChunkPutNull(chunk, col);
}

/*
 * Note which values the WAL does not have.
 */
static void
PutUnchanged(ChangeSegment *segment, int col, const Leaf *leaf, const Row *row)
{
	StringInfoData list = {0};

	for (int i = 0; row != NULL && i < leaf->layout->ncols; i++)
	{
		int			at = leaf->attnums[i] - 1;

		if (!IsUnchanged(&leaf->layout->cols[i], row->values[at], row->nulls[at]))
			continue;
		if (list.data == NULL)
		{
			initStringInfo(&list);
			appendStringInfoChar(&list, ',');
		}
		appendStringInfo(&list, "%d,", leaf->layout->cols[i].attnum);
		segment->unchanged_cols[i] = true;
		segment->unchanged++;
		segment->absent += toast_raw_datum_size(row->values[at]);
	}
	if (list.data == NULL)
		ChunkPutNull(segment->filling, col);
	else
		ChunkPutBytes(segment->filling, col, list.data, list.len);
}

/*
 * Put the key of a row as it was before the change, of which the WAL may have a
 * part only.
 */
static void
PutOldKey(WireChunk *chunk, int col, const Leaf *leaf)
{
	if (leaf->layout->key_logged)
		ChangesPutKeyText(chunk, col, leaf->layout, leaf->attnums, old_row.values, old_row.nulls);
	else
		ChunkPutNull(chunk, col);
}

/*
 * Count a write to the key that has just been put into the chunk.
 */
static void
CountWrite(Leaf *leaf, const WireChunk *chunk, int shard)
{
	RouterCounters *router = CountersFind(&leaf->counters);
	const char *key;
	size_t		len;

	if (router == NULL || !router->track_access || ChunkIsNull(chunk, 6, chunk->nrows))
		return;
	key = ChunkGetBytes(chunk, 6, chunk->nrows, &len);
	HotKeysCount(leaf->counters.id, shard, key, len);
}

static void
PutMeta(ChangeSegment *segment, Leaf *leaf, const ChangeTxn *txn, int verb, int shard,
		const Row *row, bool key_changed)
{
	WireChunk  *chunk = segment->filling;
	uint8		old = key_changed ? 1 : 0;

	/* An Iceberg time counts from 1970, PostgreSQL's from 2000. */
	int64		ts = txn->commit_time +
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	PutLong(chunk, 0, batch->next_n);
	PutLong(chunk, 1, (int64) txn->commit_lsn);
	PutLong(chunk, 2, txn->seq);
	PutLong(chunk, 3, ts);
	PutInt(chunk, 4, verb);
	if (shard >= 0)
		PutInt(chunk, 5, shard);
	else
		ChunkPutNull(chunk, 5);
	if (verb == CHANGE_DELETED && row != NULL)
		PutOldKey(chunk, 6, leaf);
	else if (row != NULL)
		ChangesPutKeyText(chunk, 6, leaf->layout, leaf->attnums, row->values, row->nulls);
	else
		ChunkPutNull(chunk, 6);
	CountWrite(leaf, chunk, shard);
	PutUnchanged(segment, 7, leaf, verb == CHANGE_DELETED ? NULL : row);
	ChunkPutFixed(chunk, 8, &old);
	if (key_changed)
		PutOldKey(chunk, 9, leaf);
	else
		ChunkPutNull(chunk, 9);
}

/* The null of a value that the lake cannot hold is told of by a letter. */
static void
PutColumn(ChangeSegment *segment, int at_chunk, LayoutColumn *col, AttrNumber attnum, const Row *row)
{
	WireChunk  *chunk = segment->filling;

	if (row == NULL || row->nulls[attnum - 1] ||
		IsUnchanged(col, row->values[attnum - 1], false) ||
		!ValueFits(&col->codec, row->values[attnum - 1]))
		ChunkPutNull(chunk, at_chunk);
	else
		ValuePut(&col->codec, chunk, at_chunk, row->values[attnum - 1], false);
}

/*
 * Write letters about a row's values that the lake cannot hold.  Returns false
 * if one of them is in the key, without which the row cannot be told from
 * others.
 */
static bool
CheckRow(const Leaf *leaf, const ChangeTxn *txn, const Row *row)
{
	bool		usable = true;

	for (int i = 0; i < leaf->layout->ncols; i++)
	{
		LayoutColumn *col = &leaf->layout->cols[i];
		int			at = leaf->attnums[i] - 1;

		if (ValueAlwaysFits(&col->codec) || row->nulls[at] ||
			IsUnchanged(col, row->values[at], false) || ValueFits(&col->codec, row->values[at]))
			continue;
		LettersNote(leaf->layout, leaf->attnums, i, row->values, row->nulls, txn->commit_lsn, txn->seq);
		usable &= !col->is_key;
	}
	return usable;
}

/*
 * Add one change: the row as it is after it (before it, if deleted), and the
 * key before it if that was another.
 */
static void
PutChange(ChangeSegment *segment, Leaf *leaf, const ChangeTxn *txn, int verb,
		  const Row *row, bool key_changed, Size bytes)
{
	TableLayout *layout = segment->layout;
	MemoryContext old = MemoryContextSwitchTo(row_context);
	int			at = CHANGE_META_COLUMNS;

	if (row != NULL && !layout->whole_row &&
		(!CheckRow(leaf, txn, row) || (key_changed && !CheckRow(leaf, txn, &old_row))))
	{
		segment->table->lost = true;
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
		(void) ChangesCount(64);
		return;
	}
	if (row != NULL && layout->whole_row)
		(void) CheckRow(leaf, txn, row);
	PutMeta(segment, leaf, txn, verb, leaf->shard, row, key_changed);
	for (int i = 0; i < layout->ncols; i++)
		PutColumn(segment, at++, &layout->cols[i], leaf->attnums[i], row);
	for (int i = 0; i < layout->nkeys; i++)
	{
		int			col = layout->keys[i];

		PutColumn(segment, at++, &layout->cols[col], leaf->attnums[col],
				  key_changed ? &old_row : NULL);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(row_context);
	EndRow(segment, bytes + 64);
}

void
ChangesInsert(Leaf *leaf, Relation rel, ChangeTxn *txn, HeapTuple tuple)
{
	ChangeSegment *segment = Target(leaf, txn);

	if (segment == NULL)
		return;
	segment->table->inserts++;
	Deform(&new_row, rel, tuple);
	PutChange(segment, leaf, txn, CHANGE_CREATED, &new_row, false, tuple->t_len);
}

void
ChangesUpdate(Leaf *leaf, Relation rel, ChangeTxn *txn, HeapTuple oldtuple, HeapTuple tuple)
{
	ChangeSegment *segment = Target(leaf, txn);
	bool		key_changed = false;

	if (segment == NULL)
		return;
	segment->table->updates++;
	Deform(&new_row, rel, tuple);
	if (oldtuple != NULL)
	{
		Deform(&old_row, rel, oldtuple);
		CompleteFromOld(leaf);
		key_changed = KeyDiffers(leaf);
	}
	else if (leaf->layout->whole_row)
		segment->table->lost = true;
	if (key_changed)
		segment->table->key_changes++;
	PutChange(segment, leaf, txn, CHANGE_UPDATED, &new_row, key_changed, tuple->t_len);
}

void
ChangesDelete(Leaf *leaf, Relation rel, ChangeTxn *txn, HeapTuple oldtuple)
{
	ChangeSegment *segment = Target(leaf, txn);

	if (segment == NULL)
		return;
	segment->table->deletes++;
	if (oldtuple == NULL)
	{
		segment->table->lost = true;
		PutChange(segment, leaf, txn, CHANGE_DELETED, NULL, false, 0);
		return;
	}
	Deform(&old_row, rel, oldtuple);
	PutChange(segment, leaf, txn, CHANGE_DELETED, &old_row, false, oldtuple->t_len);
}

void
ChangesTruncate(Leaf *leaf, ChangeTxn *txn, bool whole)
{
	ChangeSegment *segment = Target(leaf, txn);
	int			shard = leaf->shard;

	if (segment == NULL)
		return;
	segment->table->truncates++;
	if (whole)
	{
		segment->table->truncated_at = batch->next_n;
		leaf->shard = -1;
	}
	else
		segment->table->lost = true;
	PutChange(segment, leaf, txn, CHANGE_TRUNCATED, NULL, false, 0);
	leaf->shard = shard;
}

void
ChangesNoteLayout(Leaf *leaf, const ChangeTxn *txn, bool rewritten)
{
	ChangeSegment *segment;
	MemoryContext old;

	(void) ChangesBatch();
	if (Filtered(leaf->layout->parent, txn) || IsLeftOut(leaf->layout->parent, txn))
		return;
	old = MemoryContextSwitchTo(batch_context);
	segment = FindSegment(leaf->layout);
	NoteTransaction(segment->table, txn->xid);
	segment->table->lost |= rewritten;
	MemoryContextSwitchTo(old);
	(void) ChangesCount(64);
}
