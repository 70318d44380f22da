/*
 * resync.c
 *		Compares a table with its state in the lake and writes the differences.
 *
 * Needed where the changes do not tell the whole story: a table that had rows
 * before its slot, a new or lost slot, a restored or copied database, a TRUNCATE
 * of one leaf, a column added with a default.  An empty state makes it the
 * initial load.
 *
 * The leaves are read under one snapshot, which is stored with the result:
 * transactions that it saw are skipped when they are decoded later, those that
 * it did not see are applied.  So no lock beyond ACCESS SHARE is needed, and no
 * slot of its own.  Differences become events whose _event_id begins with
 * "resync-"; between two positions they stand for the events that are unknown.
 *
 * Everything is one transaction a table; memory: a context per table.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "base/points.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "lake/io/io.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pipeline/changes.h"
#include "pipeline/files.h"
#include "pipeline/fold.h"
#include "pipeline/inherit.h"
#include "pipeline/layout.h"
#include "pipeline/letters.h"
#include "pipeline/register.h"
#include "pipeline/resync.h"
#include "pipeline/schema.h"
#include "pipeline/told.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#define MAX_ATTEMPTS 5

typedef struct Resync
{
	EngineConn *conn;
	const RegisteredTable *table;
	const Position *position;
	TableLayout *layout;
	Snapshot	snapshot;
	XLogRecPtr	snapshot_lsn;
	LakeTable  *state;
	LakeTable  *events;
	LakeTable  *from_state;		/* another server's, of which they are to be copies, or NULL */
	LakeTable  *from_events;
	IcebergSchema *state_schema;
	IcebergSchema *events_schema;
	IcebergSchema *next_state;
	IcebergSchema *next_events;
	const char *pending;		/* comparisons that the event log alone has; see told.h */
	char	   *id;				/* of this one, in its events' ids */
	char	   *note;			/* what both tables have afterwards, or NULL */
	const char *news;			/* relation of the differences that make events */
	int64		rows;
	int64		bytes;			/* of these rows in the engine */
	int			heap_tables;	/* pipeline_heap_0 and so on, that they are in */
	int64		table_bytes;	/* in the last of these */
	int64		table_rows;
	int			parts;			/* of the differences: pipeline_diff_0 and so on */
	bool		busy;			/* somebody else has a lock on the table */
} Resync;

/* ---- the heap ---- */

static WireChunk *
HeapChunk(const TableLayout *layout)
{
	LakeType   *types = palloc((layout->ncols + 2) * sizeof(LakeType));

	types[0] = (LakeType) {LAKE_INT, 0, 0};
	types[1] = (LakeType) {LAKE_STRING, 0, 0};
	for (int i = 0; i < layout->ncols; i++)
		types[i + 2] = layout->cols[i].codec.type;
	return ChunkCreate(types, layout->ncols + 2);
}

/*
 * Begin a table for rows of the heap.  No table gets more than the engine can
 * sort and write within its memory limit.
 */
static void
BeginHeapTable(Resync *resync)
{
	char	   *name = psprintf("pipeline_heap_%d", resync->heap_tables++);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OR REPLACE TEMP TABLE %s (shard INTEGER, key VARCHAR", name);
	for (int i = 0; i < resync->layout->ncols; i++)
		appendStringInfo(&sql, ", f%d %s", resync->layout->cols[i].attnum,
						 LayoutEngineType(&resync->layout->cols[i]));
	appendStringInfoChar(&sql, ')');
	(void) EngineRun(resync->conn, sql.data);
	EngineAppendBegin(resync->conn, name);
	resync->table_bytes = resync->table_rows = 0;
}

static void
SendHeapChunk(Resync *resync, WireChunk *chunk)
{
	int64		bytes = ChunkBytes(chunk) + (int64) chunk->nrows * chunk->ncols * 16;

	if (resync->table_rows > 0 &&
		resync->table_bytes + bytes > ChangesPortionFor(resync->table_bytes / resync->table_rows))
	{
		(void) EngineAppendEnd(resync->conn);
		BeginHeapTable(resync);
	}
	EngineAppend(resync->conn, chunk);
	resync->table_rows += chunk->nrows;
	resync->table_bytes += bytes;
	resync->bytes += bytes;
	ChunkReset(chunk);
}

/*
 * A value that the lake cannot hold is null there, and makes a letter; in the
 * key it keeps the row out.
 */
static bool
CheckHeapRow(const Resync *resync, const AttrNumber *attnums, TupleTableSlot *slot)
{
	TableLayout *layout = resync->layout;
	bool		usable = true;

	for (int i = 0; i < layout->ncols; i++)
	{
		int			at = attnums[i] - 1;

		if (ValueAlwaysFits(&layout->cols[i].codec) || slot->tts_isnull[at] ||
			ValueFits(&layout->cols[i].codec, slot->tts_values[at]))
			continue;
		LettersNote(layout, attnums, i, slot->tts_values, slot->tts_isnull, resync->snapshot_lsn, 0);
		usable &= !layout->cols[i].is_key || layout->whole_row;
	}
	return usable;
}

static void
PutHeapRow(Resync *resync, WireChunk *chunk, const AttrNumber *attnums, int shard,
		   TupleTableSlot *slot)
{
	TableLayout *layout = resync->layout;

	slot_getallattrs(slot);
	if (!CheckHeapRow(resync, attnums, slot))
		return;
	ChunkPutFixed(chunk, 0, &shard);
	ChangesPutKeyText(chunk, 1, layout, attnums, slot->tts_values, slot->tts_isnull);
	for (int i = 0; i < layout->ncols; i++)
	{
		int			at = attnums[i] - 1;
		ValueCodec *codec = &layout->cols[i].codec;

		if (slot->tts_isnull[at] || !ValueFits(codec, slot->tts_values[at]))
			ChunkPutNull(chunk, i + 2);
		else
			ValuePut(codec, chunk, i + 2, slot->tts_values[at], false);
	}
	chunk->nrows++;
}

static void
LoadLeaf(Resync *resync, Oid leaf, WireChunk *chunk)
{
	Relation	rel = table_open(leaf, NoLock);
	AttrNumber *attnums = LayoutLeafColumns(resync->layout, rel);
	int32		shard = LayoutLeafShard(leaf);
	TableScanDesc scan = table_beginscan(rel, resync->snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	MemoryContext row = AllocSetContextCreate(CurrentMemoryContext, "shard resync row",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		PutHeapRow(resync, chunk, attnums, shard, slot);
		resync->rows++;
		if (ChunkIsFull(chunk))
			SendHeapChunk(resync, chunk);
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(rel, NoLock);
}

/* A view of tables whose names end in numbers from 0. */
static void
MakeView(const Resync *resync, const char *name, int ntables)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < ntables; i++)
		appendStringInfo(&sql, "%sSELECT * FROM %s_%d", i > 0 ? " UNION ALL " : "", name, i);
	EngineRunF(resync->conn, "CREATE OR REPLACE TEMP VIEW %s AS %s", name, sql.data);
}

static void
LoadHeap(Resync *resync, List *leaves)
{
	WireChunk  *chunk = HeapChunk(resync->layout);
	ListCell   *lc;

	BeginHeapTable(resync);
	foreach(lc, leaves)
		LoadLeaf(resync, lfirst_oid(lc), chunk);
	if (chunk->nrows > 0)
		SendHeapChunk(resync, chunk);
	(void) EngineAppendEnd(resync->conn);
	ChunkFree(chunk);
	MakeView(resync, "pipeline_heap", resync->heap_tables);
}

static int64
RowBytes(const Resync *resync)
{
	return resync->bytes / Max(resync->rows, 1);
}

/* ---- the lake ---- */

static LakeTable *
StateBefore(const Resync *resync)
{
	return resync->from_state != NULL ? resync->from_state : resync->state;
}

/*
 * The type to compare a column in: that of the lake if it is the wider one, for
 * it can have values that the column had before it became narrower.
 */
static char *
ComparedType(const Resync *resync, const LayoutColumn *col)
{
	const IcebergField *field = SchemaColumn(resync->state_schema, 0, col->attnum);

	return field != NULL && SchemaHolds(resync->state_schema, col) ? LakeFieldEngineType(field) :
		LayoutEngineType(col);
}

/*
 * Into how many parts to divide heap and lake, by a hash of the key, so that the
 * engine can compare each within its memory limit.
 */
static int
CountParts(const Resync *resync)
{
	int64		rows = 0;
	ListCell   *lc;

	foreach(lc, LakeDataFiles(StateBefore(resync)))
		rows += ((const IcebergFile *) lfirst(lc))->record_count;
	return (int) Max(resync->heap_tables,
					 rows * RowBytes(resync) / ChangesPortionFor(RowBytes(resync)) + 1);
}

/*
 * " WHERE ..." for the rows of a part; the key in the types to compare it in.
 * Columns are named by a prefix and their number.
 */
static char *
OfPart(const Resync *resync, int part, const char *prefix)
{
	const TableLayout *layout = resync->layout;
	StringInfoData sql;
	int			nkeys = layout->whole_row ? layout->ncols : layout->nkeys;

	if (resync->parts == 1)
		return "";
	initStringInfo(&sql);
	appendStringInfoString(&sql, " WHERE hash(");
	for (int i = 0; i < nkeys; i++)
	{
		const LayoutColumn *col = &layout->cols[layout->whole_row ? i : layout->keys[i]];

		appendStringInfo(&sql, "%sCAST(%s%d AS %s)", i > 0 ? ", " : "", prefix, col->attnum,
						 ComparedType(resync, col));
	}
	appendStringInfo(&sql, ") %% %d = %d", resync->parts, part);
	return sql.data;
}

/*
 * The state's rows of one part, with the layout's columns and their places.
 */
static void
LoadLake(const Resync *resync, int part)
{
	LakeScan   *scan = LakeScanPlan(StateBefore(resync), -1, NULL, 0);
	StringInfoData cols;
	AttrNumber *attnums = palloc(Max(resync->layout->ncols, 1) * sizeof(AttrNumber));

	initStringInfo(&cols);
	for (int i = 0; i < resync->layout->ncols; i++)
	{
		const LayoutColumn *col = &resync->layout->cols[i];

		attnums[i] = col->attnum;
		appendStringInfo(&cols, ", CAST(f%d AS %s) AS f%d", col->attnum,
						 ComparedType(resync, col), col->attnum);
	}
	EngineRunScan(resync->conn,
				  psprintf("CREATE OR REPLACE TEMP TABLE pipeline_lake AS SELECT _file, _pos%s FROM %s%s",
						   cols.data, FoldScanSql(scan, resync->state_schema, resync->layout,
												  attnums, resync->layout->ncols, true),
						   OfPart(resync, part, "f")),
				  scan);
}

/* ---- differences ---- */

static char *
ColumnList(const TableLayout *layout, const char *format, const char *separator)
{
	TableLayout whole = *layout;

	whole.nkeys = layout->ncols;
	whole.keys = palloc(Max(layout->ncols, 1) * sizeof(int));
	for (int i = 0; i < layout->ncols; i++)
		whole.keys[i] = i;
	return FoldKeyList(&whole, format, separator);
}

/* Partition key of a row of the lake. */
static char *
LakeKeyText(const TableLayout *layout)
{
	char	   *text;

	if (layout->expression == NULL)
		return psprintf("CAST(l.f%d AS VARCHAR)", layout->cols[layout->partition[0]].attnum);
	text = LayoutKeySql(layout->expression, "l.f");
	return text != NULL ? text : "NULL::VARCHAR";
}

/*
 * Relation <result>_<part> with the differences of the heap's part to a relation
 * of the lake's: verb, shard, key, the row, and the place of the row that it
 * replaces.
 */
static void
Compare(const Resync *resync, int part, const char *result, const char *lake)
{
	const TableLayout *layout = resync->layout;
	char	   *heap = psprintf("(SELECT * FROM pipeline_heap%s)", OfPart(resync, part, "f"));

	if (layout->whole_row)
		EngineRunF(resync->conn,
				   "CREATE OR REPLACE TEMP TABLE %s_%d AS"
				   " SELECT %d AS verb, NULL::INTEGER AS shard, NULL::VARCHAR AS key, *"
				   " FROM (SELECT %s FROM %s EXCEPT ALL SELECT %s FROM %s)"
				   " UNION ALL SELECT %d, NULL, NULL, *"
				   " FROM (SELECT %s FROM %s EXCEPT ALL SELECT %s FROM %s)",
				   result, part, CHANGE_CREATED, ColumnList(layout, "f#", ", "), heap,
				   ColumnList(layout, "f#", ", "), lake, CHANGE_DELETED, ColumnList(layout, "f#", ", "),
				   lake, ColumnList(layout, "f#", ", "), heap);
	else
		EngineRunF(resync->conn,
				   "CREATE OR REPLACE TEMP TABLE %s_%d AS SELECT"
				   " CASE WHEN l._file IS NULL THEN %d WHEN h.shard IS NULL THEN %d ELSE %d END AS verb,"
				   " h.shard, CASE WHEN h.shard IS NULL THEN %s ELSE h.key END AS key, l._file, l._pos, %s"
				   " FROM %s AS h FULL JOIN %s AS l ON %s"
				   " WHERE l._file IS NULL OR h.shard IS NULL OR %s",
				   result, part, CHANGE_CREATED, CHANGE_DELETED, CHANGE_UPDATED, LakeKeyText(layout),
				   ColumnList(layout, "CASE WHEN h.shard IS NULL THEN l.f# ELSE h.f# END AS f#", ", "),
				   heap, lake, FoldKeyList(layout, "h.f# = l.f#", " AND "),
				   ColumnList(layout, "h.f# IS DISTINCT FROM l.f#", " OR "));
}

/*
 * With nothing in the lake everything is new.
 */
static void
TakeAll(const Resync *resync, int part)
{
	EngineRunF(resync->conn,
			   "CREATE OR REPLACE TEMP VIEW pipeline_diff_%d AS SELECT %d AS verb,"
			   " NULL::VARCHAR AS _file, NULL::BIGINT AS _pos, * FROM pipeline_heap_%d",
			   part, CHANGE_CREATED, part);
}

static char **
ComparedTypes(const Resync *resync)
{
	char	  **types = palloc(Max(resync->layout->ncols, 1) * sizeof(char *));

	for (int i = 0; i < resync->layout->ncols; i++)
		types[i] = ComparedType(resync, &resync->layout->cols[i]);
	return types;
}

/*
 * The part's differences to the lake as it is after the events that its log alone
 * has.
 */
static void
FindNews(const Resync *resync, int part)
{
	ToldApply(resync->conn, resync->events, resync->pending, resync->layout, ComparedTypes(resync),
			  OfPart(resync, part, "c"));
	Compare(resync, part, "pipeline_news", "pipeline_known");
	EngineRunF(resync->conn, "DROP TABLE pipeline_known");
}

/*
 * Relation pipeline_diff, and the one of which events are to be made: the same, but
 * for events that are there already.
 */
static void
FindDifferences(Resync *resync, bool empty)
{
	resync->parts = empty ? resync->heap_tables : CountParts(resync);
	resync->news = resync->pending == NULL ? "pipeline_diff" : "pipeline_news";
	for (int part = 0; part < resync->parts; part++)
	{
		if (empty)
		{
			TakeAll(resync, part);
			continue;
		}
		LoadLake(resync, part);
		Compare(resync, part, "pipeline_diff", "pipeline_lake");
		if (resync->pending != NULL)
			FindNews(resync, part);
		EngineRunF(resync->conn, "DROP TABLE pipeline_lake");
	}
	MakeView(resync, "pipeline_diff", resync->parts);
	if (resync->pending != NULL)
		MakeView(resync, "pipeline_news", resync->parts);
}

/* ---- writing ---- */

static char *
CastColumns(const Resync *resync, const IcebergSchema *schema, int offset)
{
	StringInfoData cols;

	initStringInfo(&cols);
	for (int i = 0; i < resync->layout->ncols; i++)
	{
		int			attnum = resync->layout->cols[i].attnum;
		const IcebergField *field = SchemaColumn(schema, offset, attnum);

		appendStringInfo(&cols, "%sCAST(f%d AS %s) AS f%d", i > 0 ? ", " : "", attnum,
						 LakeFieldEngineType(field), field->id);
	}
	return cols.data;
}

/* "name" or, of one of the tables that it is a view of, "name_<i>" */
static char *
Portion(const char *name, int portion)
{
	return portion < 0 ? pstrdup(name) : psprintf("%s_%d", name, portion);
}

/*
 * Their _lsn is just before the position that the pipeline has reached: behind
 * all changes written so far, before all that are still to be decoded.  Their
 * numbers go on from those written so far.
 */
static char *
EventsQuery(const Resync *resync, int portion, int64 written)
{
	return psprintf("SELECT 'resync-%s-' || nth AS f%d,"
					" CASE verb WHEN %d THEN 'created' WHEN %d THEN 'updated' ELSE 'deleted' END AS f%d,"
					" now() AS f%d, " UINT64_FORMAT "::BIGINT AS f%d, nth AS f%d, shard AS f%d,"
					" key AS f%d, NULL::VARCHAR AS f%d, %s"
					" FROM (SELECT " INT64_FORMAT " + row_number() OVER () AS nth, * FROM %s)",
					resync->id, EVENT_ID,
					CHANGE_CREATED, CHANGE_UPDATED, EVENT_VERB, EVENT_TS,
					(uint64) resync->position->lsn - 1, EVENT_LSN, EVENT_SEQ, EVENT_SHARD, EVENT_KEY,
					EVENT_OLD_KEY, CastColumns(resync, resync->events_schema, EVENT_COLUMNS),
					written, Portion(resync->news, portion));
}

static List *
WriteEventFiles(const Resync *resync)
{
	bool		at_once = FilesAtOnce(resync->events, resync->parts, RowBytes(resync));
	List	   *files = NIL;
	int64		written = 0;

	for (int i = 0; i < (at_once ? 1 : resync->parts); i++)
	{
		int			portion = at_once ? -1 : i;
		int64		rows = EngineInt(resync->conn, "SELECT count(*) FROM %s",
									 Portion(resync->news, portion));

		files = list_concat(files, FilesWriteData(resync->conn, resync->events, resync->events_schema,
												  EventsQuery(resync, portion, written), rows,
												  RowBytes(resync), false));
		written += rows;
	}
	return files;
}

/* What a change of either table says of the comparisons whose events it has. */
static void
PutNote(const Resync *resync, LakeChange *change)
{
	if (resync->note == NULL)
		return;
	change->summary = palloc(sizeof(IcebergKeyValue));
	change->summary[0] = (IcebergKeyValue) {TOLD_NOTE, resync->note};
	change->nsummary = 1;
}

static bool
WriteEvents(const Resync *resync, int64 count, LakeGroup *group)
{
	LakeChange	change = {.operation = "append",.new_schema = resync->next_events,.group = group};

	if (resync->from_events != NULL)
		change.added = InheritRows(resync->conn, resync->from_events, resync->events);
	change.added = list_concat(change.added, WriteEventFiles(resync));
	if (change.added == NIL && change.new_schema == NULL)
		return true;
	if (count > 0)
		PutNote(resync, &change);
	return LakeCommit(resync->events, &change) != NULL;
}

/* From all rows of the heap, or from the differences. */
static List *
WriteStateFiles(const Resync *resync, bool from_heap)
{
	int			portions = from_heap ? resync->heap_tables : resync->parts;
	bool		at_once = FilesAtOnce(resync->state, portions, RowBytes(resync));
	List	   *files = NIL;

	for (int i = 0; i < (at_once ? 1 : portions); i++)
	{
		char	   *query = psprintf("%s%s",
									 Portion(from_heap ? "pipeline_heap" : "pipeline_diff", at_once ? -1 : i),
									 from_heap ? "" : psprintf(" WHERE verb <> %d", CHANGE_DELETED));
		int64		rows = EngineInt(resync->conn, "SELECT count(*) FROM %s", query);

		files = list_concat(files, FilesWriteData(resync->conn, resync->state, resync->state_schema,
												  psprintf("SELECT %s FROM %s",
														   CastColumns(resync, resync->state_schema, 0),
														   query),
												  rows, RowBytes(resync), true));
	}
	return files;
}

static bool
WriteState(const Resync *resync, bool empty, LakeGroup *group)
{
	LakeChange	change = {.new_schema = resync->next_state,.group = group};
	bool		rewrite = resync->from_state != NULL || (resync->layout->whole_row && !empty);
	List	   *deletes = NIL;

	change.added = WriteStateFiles(resync, rewrite);
	if (!empty && !rewrite)
	{
		EngineRunF(resync->conn, "CREATE OR REPLACE TEMP TABLE pipeline_gone AS"
				   " SELECT _file, _pos FROM pipeline_diff WHERE _file IS NOT NULL");
		deletes = FilesWriteDeletes(resync->conn, resync->state, "pipeline_gone", NIL);
		change.added = list_concat(change.added, deletes);
		EngineRunF(resync->conn, "DROP TABLE pipeline_gone");
	}
	change.remove_all = rewrite;
	change.operation = rewrite || deletes != NIL ? "overwrite" : "append";
	PutNote(resync, &change);
	if (change.added == NIL && !change.remove_all && change.new_schema == NULL && change.nsummary == 0)
		return true;
	return LakeCommit(resync->state, &change) != NULL;
}

static void
FitSchemas(Resync *resync)
{
	for (int i = 0; i < 2; i++)
	{
		bool		events = i == 1;
		LakeTable  *table = events ? resync->events : resync->state;
		const IcebergSchema *current = IcebergCurrentSchema(table->metadata);
		SchemaFit	fit = SchemaFitLayout(table->metadata, current, resync->layout, events);
		IcebergSchema *write = SchemaRestrict(fit.next != NULL ? fit.next : current,
											  resync->layout, events);

		*(events ? &resync->events_schema : &resync->state_schema) = write;
		*(events ? &resync->next_events : &resync->next_state) = fit.next;
	}
}

static void
DropScratch(const Resync *resync, bool empty)
{
	EngineRunF(resync->conn, "DROP VIEW pipeline_diff");
	for (int i = 0; i < resync->parts; i++)
		EngineRunF(resync->conn, "DROP %s pipeline_diff_%d", empty ? "VIEW" : "TABLE", i);
	if (resync->pending != NULL)
	{
		EngineRunF(resync->conn, "DROP VIEW pipeline_news");
		for (int i = 0; i < resync->parts; i++)
			EngineRunF(resync->conn, "DROP TABLE pipeline_news_%d", i);
	}
	EngineRunF(resync->conn, "DROP VIEW pipeline_heap");
	for (int i = 0; i < resync->heap_tables; i++)
		EngineRunF(resync->conn, "DROP TABLE pipeline_heap_%d", i);
}

/*
 * Only a catalog outside, which commits before the database does, can have the
 * one table without the other.
 */
static void
FindPending(Resync *resync)
{
	bool		can = LakeByRest() && resync->from_state == NULL;

	resync->pending = can ? ToldPending(resync->events, resync->state) : NULL;
	resync->id = ToldId(resync->pending, resync->position->generation, resync->table->relation,
						resync->snapshot_lsn);
}

/* What both tables have to note after this comparison, which made so many events. */
static char *
Note(const Resync *resync, int64 events)
{
	if (!LakeByRest() || resync->from_state != NULL)
		return NULL;
	if (resync->pending == NULL)
		return events > 0 ? resync->id : NULL;
	return events > 0 ? psprintf("%s,%s", resync->pending, resync->id) : pstrdup(resync->pending);
}

static bool
Write(const Resync *resync, int64 count, bool empty)
{
	LakeGroup  *group = LakeGroupBegin();

	if (!WriteEvents(resync, count, group))
		return false;
	SHARD_POINT("resync-between-commits");
	return WriteState(resync, empty, group) && LakeGroupCommit(group);
}

/*
 * Compare and write; false if somebody else's commit came first.
 */
static bool
CompareAndWrite(Resync *resync, List *leaves)
{
	LakeScan   *scan = LakeScanPlan(StateBefore(resync), -1, NULL, 0);
	bool		empty;
	int64		count;
	int64		differences;
	bool		done = true;

	FindPending(resync);
	empty = scan->files == NIL && resync->pending == NULL;
	LoadHeap(resync, leaves);
	FindDifferences(resync, empty);
	count = EngineInt(resync->conn, "SELECT count(*) FROM %s", resync->news);
	differences = EngineInt(resync->conn, "SELECT count(*) FROM pipeline_diff");
	resync->note = Note(resync, count);
	if (differences > 0 || resync->note != NULL || resync->from_state != NULL ||
		resync->next_state != NULL || resync->next_events != NULL)
		done = Write(resync, count, empty);
	DropScratch(resync, empty);
	if (done)
		ereport(LOG,
				(errmsg("lake table \"%s.%s\" compared with its heap: " INT64_FORMAT " rows, "
						INT64_FORMAT " differences",
						resync->table->namespace, resync->table->name, resync->rows, differences)));
	return done;
}

/* ---- whose files ---- */

static bool
OpenTables(Resync *resync)
{
	resync->state = LakeOpen(resync->table->namespace, resync->table->name, false);
	resync->events = LakeOpen(resync->table->namespace, resync->table->events_name, false);
	return InheritOpen(&resync->state) && InheritOpen(&resync->events);
}

/*
 * Lake tables of our own, to which the other server's are copied.
 */
static void
MakeCopies(Resync *resync)
{
	resync->from_state = resync->state;
	resync->from_events = resync->events;
	RegisterCopy(resync->table, resync->layout, resync->from_state->metadata,
				 resync->from_events->metadata);
	resync->state = LakeOpen(resync->table->namespace, resync->table->name, false);
	resync->events = LakeOpen(resync->table->namespace, resync->table->events_name, false);
	ereport(LOG,
			(errmsg("lake tables \"%s.%s\" and \"%s.%s\" are copied from those of another server",
					resync->table->namespace, resync->table->name,
					resync->table->namespace, resync->table->events_name)));
}

/*
 * Does an error tell of files that are there but out of reach for now: no
 * connection, no permission, no resources, a cancel?  Then nothing begins anew.
 */
static bool
IsPassing(const ErrorData *error)
{
	int			class = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return class == ERRCODE_CONNECTION_EXCEPTION ||
		class == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION ||
		class == ERRCODE_INSUFFICIENT_RESOURCES || class == ERRCODE_OPERATOR_INTERVENTION ||
		class == ERRCODE_FDW_ERROR || class == ERRCODE_TRANSACTION_ROLLBACK ||
		error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ||
		error->sqlerrcode == ERRCODE_IO_ERROR;
}

/*
 * Open the lake tables.  In a copied database, on a promoted standby or after a
 * restore they are those of the original, which removes files as it likes: they
 * are copied, or taken over.  The catalog can also name files that are not there:
 * then the tables begin anew.
 */
static void
OpenOrBeginAnew(Resync *resync)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool usable = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		usable = OpenTables(resync);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (IsPassing(error))
			ReThrowError(error);
		ereport(LOG,
				(errmsg("lake table \"%s.%s\" cannot be read: %s",
						resync->table->namespace, resync->table->name, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (usable)
	{
		if (!LakeOwns(resync->state->metadata) || !LakeOwns(resync->events->metadata))
			MakeCopies(resync);
		return;
	}

	ereport(LOG,
			(errmsg("lake tables \"%s.%s\" and \"%s.%s\" begin anew, without the events so far",
					resync->table->namespace, resync->table->name,
					resync->table->namespace, resync->table->events_name),
			 errdetail("Not all of their files are there.")));
	RegisterAnew(resync->table, resync->layout);
	resync->state = LakeOpen(resync->table->namespace, resync->table->name, false);
	resync->events = LakeOpen(resync->table->namespace, resync->table->events_name, false);
}

/* ---- one table ---- */

/*
 * Lock a table and its leaves without waiting: somebody who alters it, and may
 * take his time, must not hold up the other tables.
 */
static bool
LockTable(Oid relation, List **leaves)
{
	ListCell   *lc;

	if (!ConditionalLockRelationOid(relation, AccessShareLock))
		return false;
	*leaves = find_inheritance_children(relation, NoLock);
	foreach(lc, *leaves)
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
			return false;
	return true;
}

static bool
ResyncTable(Resync *resync)
{
	Oid			relation = resync->table->relation;
	Relation	parent;
	List	   *leaves;
	char	   *text;

	resync->busy = !LockTable(relation, &leaves);
	if (resync->busy)
		return true;
	parent = try_relation_open(relation, NoLock);
	if (parent == NULL)
		return true;			/* dropped; whoever did it takes it off the list */
	if (!LayoutIsRouted(parent))
	{
		RegisterProblem(relation, "the relation is not a sharded table any more");
		relation_close(parent, AccessShareLock);
		return true;
	}
	resync->layout = RegisterLayout(relation);
	OpenOrBeginAnew(resync);
	FitSchemas(resync);

	/* First the snapshot, then a position that is behind all that it saw. */
	resync->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	resync->snapshot_lsn = GetXLogInsertRecPtr();
	text = ResyncSnapshotText(resync->snapshot);
	PushActiveSnapshot(resync->snapshot);
	if (!CompareAndWrite(resync, leaves))
		return false;
	PopActiveSnapshot();
	UnregisterSnapshot(resync->snapshot);
	LettersForgetCompared(relation);
	LettersWrite(relation, resync->position);
	if (resync->next_state != NULL)
		RegisterColumns(resync->table, resync->layout,
						IcebergCurrentSchema(resync->state->metadata), resync->next_state, false);
	if (resync->next_events != NULL)
		RegisterColumns(resync->table, resync->layout,
						IcebergCurrentSchema(resync->events->metadata), resync->next_events, true);
	RegisteredSetSynced(relation, resync->position, text, resync->snapshot_lsn);
	relation_close(parent, AccessShareLock);
	SHARD_POINT("pipeline-resync-before-commit");
	return true;
}

/*
 * In a transaction of its own, again if somebody else commits in between; false
 * if the table is locked.
 */
static bool
ResyncOne(EngineConn *conn, const RegisteredTable *table, const Position *position)
{
	for (int attempt = 1;; attempt++)
	{
		Resync		resync = {.conn = conn,.table = table,.position = position};
		MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard resync",
													  ALLOCSET_DEFAULT_SIZES);
		bool		done;

		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		LettersReset();
		LettersAtHand(table->relation);
		done = ResyncTable(&resync);
		LettersAtHand(InvalidOid);
		if (done)
			CommitTransactionCommand();
		else
			AbortCurrentTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextDelete(context);
		if (done)
			return !resync.busy;
		if (attempt == MAX_ATTEMPTS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("lake table \"%s.%s\" changed %d times while it was compared",
							table->namespace, table->name, attempt)));
	}
}

static bool
IsDue(const RegisteredTable *table, const Position *position)
{
	return table->problem == NULL &&
		(!table->synced || table->generation != position->generation);
}

/*
 * The tables that are due, in TopMemoryContext.
 */
static List *
DueTables(const Position *position, MemoryContext context)
{
	List	   *due = NIL;
	List	   *tables;
	ListCell   *lc;

	StartTransactionCommand();
	MemoryContextSwitchTo(context);
	tables = RegisteredTables();
	foreach(lc, tables)
		if (IsDue(lfirst(lc), position))
			due = lappend(due, lfirst(lc));
	CommitTransactionCommand();
	return due;
}

bool
ResyncNeeded(const Position *position)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard resync list",
												  ALLOCSET_SMALL_SIZES);
	bool		needed = DueTables(position, context) != NIL;

	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	return needed;
}

/*
 * Filters come from the catalog again, as it was committed.
 */
int
ResyncTables(EngineConn *conn, const Position *position, bool *busy)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard resync list",
												  ALLOCSET_SMALL_SIZES);
	List	   *due = DueTables(position, context);
	int			n = list_length(due);
	ListCell   *lc;

	*busy = false;
	foreach(lc, due)
	{
		if (ResyncOne(conn, lfirst(lc), position))
			continue;
		*busy = true;
		n--;
	}
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	if (n > 0)
		ResyncRestoreFilters(position);
	return n;
}
