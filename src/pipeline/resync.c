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

#include <unistd.h>

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "base/points.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pipeline/changes.h"
#include "pipeline/files.h"
#include "pipeline/fold.h"
#include "pipeline/layout.h"
#include "pipeline/register.h"
#include "pipeline/resync.h"
#include "pipeline/schema.h"
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
	IcebergSchema *state_schema;
	IcebergSchema *events_schema;
	IcebergSchema *next_state;
	IcebergSchema *next_events;
	int64		rows;
	const char *unfit;			/* column with a value that the lake cannot hold, or NULL */
} Resync;

/* ---- snapshots as text ---- */

static char *
SnapshotText(Snapshot snapshot)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%u:%u:", snapshot->xmin, snapshot->xmax);
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		appendStringInfo(&text, "%s%u", i > 0 ? "," : "", snapshot->xip[i]);
	return text.data;
}

static void
ParseSnapshot(const char *text, ChangeFilter *filter)
{
	int			max = 1;
	char	   *end;

	for (const char *p = text; *p != '\0'; p++)
		max += *p == ',';
	filter->xip = palloc(max * sizeof(TransactionId));
	filter->nxip = 0;
	filter->xmin = strtoul(text, &end, 10);
	filter->xmax = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
	while ((*end == ':' || *end == ',') && end[1] != '\0')
		filter->xip[filter->nxip++] = strtoul(end + 1, &end, 10);
}

static void
SetFilter(Oid relation, const char *snapshot, XLogRecPtr lsn)
{
	ChangeFilter filter = {.parent = relation,.lsn = lsn};

	ParseSnapshot(snapshot, &filter);
	ChangesSetFilter(&filter);
}

void
ResyncRestoreFilters(const Position *position)
{
	ListCell   *lc;

	StartTransactionCommand();
	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		if (table->snapshot != NULL && table->snapshot_lsn > position->lsn)
			SetFilter(table->relation, table->snapshot, table->snapshot_lsn);
	}
	CommitTransactionCommand();
}

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

static void
MakeHeapTable(const Resync *resync)
{
	StringInfoData sql;
	char		type[64];

	initStringInfo(&sql);
	appendStringInfoString(&sql, "CREATE OR REPLACE TEMP TABLE pipeline_heap (shard INTEGER, key VARCHAR");
	for (int i = 0; i < resync->layout->ncols; i++)
		appendStringInfo(&sql, ", f%d %s", resync->layout->cols[i].attnum,
						 LakeTypeEngineName(resync->layout->cols[i].codec.type, type, sizeof(type)));
	appendStringInfoChar(&sql, ')');
	(void) EngineRun(resync->conn, sql.data);
}

static void
PutHeapRow(Resync *resync, WireChunk *chunk, const AttrNumber *attnums, int shard,
		   TupleTableSlot *slot)
{
	TableLayout *layout = resync->layout;

	slot_getallattrs(slot);
	ChunkPutFixed(chunk, 0, &shard);
	ChangesPutKeyText(chunk, 1, layout, attnums, slot->tts_values, slot->tts_isnull);
	for (int i = 0; i < layout->ncols; i++)
	{
		int			at = attnums[i] - 1;

		if (!slot->tts_isnull[at] && !ValueFits(&layout->cols[i].codec, slot->tts_values[at]))
			resync->unfit = layout->cols[i].name;
		if (slot->tts_isnull[at] || resync->unfit != NULL)
			ChunkPutNull(chunk, i + 2);
		else
			ValuePut(&layout->cols[i].codec, chunk, i + 2, slot->tts_values[at], false);
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
		{
			EngineAppend(resync->conn, chunk);
			ChunkReset(chunk);
		}
		MemoryContextReset(row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(rel, NoLock);
}

static void
LoadHeap(Resync *resync, List *leaves)
{
	WireChunk  *chunk = HeapChunk(resync->layout);
	ListCell   *lc;

	MakeHeapTable(resync);
	EngineAppendBegin(resync->conn, "pipeline_heap");
	foreach(lc, leaves)
		LoadLeaf(resync, lfirst_oid(lc), chunk);
	if (chunk->nrows > 0)
		EngineAppend(resync->conn, chunk);
	(void) EngineAppendEnd(resync->conn);
	ChunkFree(chunk);
}

/* ---- the lake ---- */

/*
 * The state's rows with the layout's columns and their places.
 */
static void
LoadLake(const Resync *resync)
{
	const IcebergSchema *schema = IcebergCurrentSchema(resync->state->metadata);
	LakeScan   *scan = LakeScanPlan(resync->state, -1, NULL, 0);
	int		   *fields = palloc(Max(resync->layout->ncols, 1) * sizeof(int));
	int			nfields = 0;
	StringInfoData cols;
	char		type[64];

	initStringInfo(&cols);
	for (int i = 0; i < resync->layout->ncols; i++)
	{
		LayoutColumn *col = &resync->layout->cols[i];

		LakeTypeEngineName(col->codec.type, type, sizeof(type));
		if (IcebergFieldById(schema, col->attnum) != NULL)
		{
			fields[nfields++] = col->attnum;
			appendStringInfo(&cols, ", CAST(f%d AS %s) AS f%d", col->attnum, type, col->attnum);
		}
		else
			appendStringInfo(&cols, ", CAST(NULL AS %s) AS f%d", type, col->attnum);
	}
	EngineRunScan(resync->conn,
				  psprintf("CREATE OR REPLACE TEMP TABLE pipeline_lake AS SELECT _file, _pos%s FROM %s",
						   cols.data, LakeScanSql(scan, fields, nfields, true)),
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
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < layout->npartition; i++)
		appendStringInfo(&text, "%sCAST(l.f%d AS VARCHAR)", i > 0 ? " || ':' || " : "",
						 layout->cols[layout->partition[i]].attnum);
	return text.len > 0 ? text.data : "NULL::VARCHAR";
}

/*
 * Relation pipeline_diff: verb, shard, key, the row, and the place of the row
 * that it replaces.
 */
static void
Compare(const Resync *resync)
{
	const TableLayout *layout = resync->layout;

	if (layout->whole_row)
		EngineRunF(resync->conn,
				   "CREATE OR REPLACE TEMP TABLE pipeline_diff AS"
				   " SELECT %d AS verb, NULL::INTEGER AS shard, NULL::VARCHAR AS key, *"
				   " FROM (SELECT %s FROM pipeline_heap EXCEPT ALL SELECT %s FROM pipeline_lake)"
				   " UNION ALL SELECT %d, NULL, NULL, *"
				   " FROM (SELECT %s FROM pipeline_lake EXCEPT ALL SELECT %s FROM pipeline_heap)",
				   CHANGE_CREATED, ColumnList(layout, "f#", ", "), ColumnList(layout, "f#", ", "),
				   CHANGE_DELETED, ColumnList(layout, "f#", ", "), ColumnList(layout, "f#", ", "));
	else
		EngineRunF(resync->conn,
				   "CREATE OR REPLACE TEMP TABLE pipeline_diff AS SELECT"
				   " CASE WHEN l._file IS NULL THEN %d WHEN h.shard IS NULL THEN %d ELSE %d END AS verb,"
				   " h.shard, CASE WHEN h.shard IS NULL THEN %s ELSE h.key END AS key, l._file, l._pos, %s"
				   " FROM pipeline_heap AS h FULL JOIN pipeline_lake AS l ON %s"
				   " WHERE l._file IS NULL OR h.shard IS NULL OR %s",
				   CHANGE_CREATED, CHANGE_DELETED, CHANGE_UPDATED, LakeKeyText(layout),
				   ColumnList(layout, "CASE WHEN h.shard IS NULL THEN l.f# ELSE h.f# END AS f#", ", "),
				   FoldKeyList(layout, "h.f# = l.f#", " AND "),
				   ColumnList(layout, "h.f# IS DISTINCT FROM l.f#", " OR "));
}

/*
 * With nothing in the lake everything is new.
 */
static void
TakeAll(const Resync *resync)
{
	EngineRunF(resync->conn,
			   "CREATE OR REPLACE TEMP VIEW pipeline_diff AS SELECT %d AS verb,"
			   " NULL::VARCHAR AS _file, NULL::BIGINT AS _pos, * FROM pipeline_heap",
			   CHANGE_CREATED);
}

/* ---- writing ---- */

static char *
CastColumns(const Resync *resync, const IcebergSchema *schema, int offset)
{
	StringInfoData cols;
	char		type[64];

	initStringInfo(&cols);
	for (int i = 0; i < resync->layout->ncols; i++)
	{
		int			attnum = resync->layout->cols[i].attnum;
		const IcebergField *field = IcebergFieldById(schema, offset + attnum);

		appendStringInfo(&cols, "%sCAST(f%d AS %s) AS f%d", i > 0 ? ", " : "", attnum,
						 LakeTypeEngineName(field->type, type, sizeof(type)), offset + attnum);
	}
	return cols.data;
}

static char *
Sorted(const Resync *resync, char *query)
{
	StringInfoData sql;
	int		   *fields;
	int			n = StateSortFields(resync->layout, &fields);

	initStringInfo(&sql);
	appendStringInfoString(&sql, query);
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, "%s f%d", i == 0 ? " ORDER BY" : ",", fields[i]);
	return sql.data;
}

/*
 * Their _lsn is just before the position that the pipeline has reached: behind
 * all changes written so far, before all that are still to be decoded.
 */
static char *
EventsQuery(const Resync *resync)
{
	return psprintf("SELECT 'resync-" INT64_FORMAT "-%u-" UINT64_FORMAT "-' || nth AS f%d,"
					" CASE verb WHEN %d THEN 'created' WHEN %d THEN 'updated' ELSE 'deleted' END AS f%d,"
					" now() AS f%d, " UINT64_FORMAT "::BIGINT AS f%d, nth AS f%d, shard AS f%d,"
					" key AS f%d, NULL::VARCHAR AS f%d, %s"
					" FROM (SELECT row_number() OVER () AS nth, * FROM pipeline_diff)",
					resync->position->generation, resync->table->relation,
					(uint64) resync->snapshot_lsn, EVENT_ID,
					CHANGE_CREATED, CHANGE_UPDATED, EVENT_VERB, EVENT_TS,
					(uint64) resync->position->lsn - 1, EVENT_LSN, EVENT_SEQ, EVENT_SHARD, EVENT_KEY,
					EVENT_OLD_KEY, CastColumns(resync, resync->events_schema, EVENT_COLUMNS));
}

static bool
WriteEvents(const Resync *resync, int64 count)
{
	LakeChange	change = {.operation = "append",.new_schema = resync->next_events};

	change.added = FilesWriteData(resync->conn, resync->events, resync->events_schema,
								  EventsQuery(resync), count, false);
	if (change.added == NIL && change.new_schema == NULL)
		return true;
	return LakeCommit(resync->events, &change) != NULL;
}

static bool
WriteState(const Resync *resync, bool empty)
{
	LakeChange	change = {.new_schema = resync->next_state};
	bool		rewrite = resync->layout->whole_row && !empty;
	const char *from = rewrite ? "pipeline_heap" : "pipeline_diff";
	const char *where = rewrite ? "" : psprintf(" WHERE verb <> %d", CHANGE_DELETED);
	int64		rows = EngineInt(resync->conn, "SELECT count(*) FROM %s%s", from, where);
	IcebergFile *deletes = NULL;

	change.added = FilesWriteData(resync->conn, resync->state, resync->state_schema,
								  Sorted(resync, psprintf("SELECT %s FROM %s%s",
														  CastColumns(resync, resync->state_schema, 0),
														  from, where)),
								  rows, true);
	if (!empty && !rewrite)
	{
		EngineRunF(resync->conn, "CREATE OR REPLACE TEMP TABLE pipeline_gone AS"
				   " SELECT _file, _pos FROM pipeline_diff WHERE _file IS NOT NULL");
		deletes = FilesWriteDeletes(resync->conn, resync->state, "pipeline_gone");
		if (deletes != NULL)
			change.added = lappend(change.added, deletes);
		EngineRunF(resync->conn, "DROP TABLE pipeline_gone");
	}
	change.remove_all = rewrite;
	change.operation = rewrite || deletes != NULL ? "overwrite" : "append";
	if (change.added == NIL && !change.remove_all && change.new_schema == NULL)
		return true;
	return LakeCommit(resync->state, &change) != NULL;
}

static bool
FitSchemas(Resync *resync)
{
	IcebergSchema *wanted[2] = {StateSchema(resync->layout), EventsSchema(resync->layout)};
	LakeTable  *tables[2] = {resync->state, resync->events};
	IcebergSchema *write[2];
	IcebergSchema *next[2];

	for (int i = 0; i < 2; i++)
	{
		bool		added;
		char	   *column;
		SchemaFit	fit = SchemaFitLayout(IcebergCurrentSchema(tables[i]->metadata), wanted[i],
										  &next[i], &added, &column);

		if (fit == SCHEMA_CONFLICT)
		{
			RegisterProblem(resync->table->relation,
							psprintf("the type of column \"%s\" changed in a way that the lake cannot follow",
									 column));
			return false;
		}
		write[i] = SchemaRestrict(next[i], wanted[i]);
		if (fit == SCHEMA_SAME)
			next[i] = NULL;
	}
	resync->state_schema = write[0];
	resync->events_schema = write[1];
	resync->next_state = next[0];
	resync->next_events = next[1];
	return true;
}

static void
DropScratch(const Resync *resync, bool empty)
{
	EngineRunF(resync->conn, "DROP %s IF EXISTS pipeline_diff", empty ? "VIEW" : "TABLE");
	EngineRunF(resync->conn, "DROP TABLE IF EXISTS pipeline_lake");
	EngineRunF(resync->conn, "DROP TABLE IF EXISTS pipeline_heap");
}

/*
 * Compare and write; false if somebody else's commit came first.
 */
static bool
CompareAndWrite(Resync *resync, List *leaves)
{
	LakeScan   *scan = LakeScanPlan(resync->state, -1, NULL, 0);
	bool		empty = scan->files == NIL;
	int64		count;
	bool		done = true;

	LoadHeap(resync, leaves);
	if (resync->unfit != NULL)
	{
		EngineRunF(resync->conn, "DROP TABLE pipeline_heap");
		return true;
	}
	if (empty)
		TakeAll(resync);
	else
	{
		LoadLake(resync);
		Compare(resync);
	}
	count = EngineInt(resync->conn, "SELECT count(*) FROM pipeline_diff");
	if (count > 0 || resync->next_state != NULL || resync->next_events != NULL)
		done = WriteEvents(resync, count) && WriteState(resync, empty);
	DropScratch(resync, empty);
	if (done)
		ereport(LOG,
				(errmsg("lake table \"%s.%s\" compared with its heap: " INT64_FORMAT " rows, "
						INT64_FORMAT " differences",
						resync->table->namespace, resync->table->name, resync->rows, count)));
	return done;
}

/* ---- whose files ---- */

static bool
FilesAreThere(LakeTable *table)
{
	LakeScan   *scan = LakeScanPlan(table, -1, NULL, 0);
	ListCell   *lc;

	foreach(lc, scan->files)
		if (access(EnginePath(((IcebergFile *) lfirst(lc))->path), R_OK) != 0)
			return false;
	for (int i = 0; i < scan->ndeletes; i++)
		for (int j = 0; j < scan->deletes[i].ndelete_files; j++)
			if (access(scan->deletes[i].delete_files[j], R_OK) != 0)
				return false;
	return true;
}

static bool
OpenTables(Resync *resync)
{
	resync->state = LakeOpen(resync->table->namespace, resync->table->name, false);
	resync->events = LakeOpen(resync->table->namespace, resync->table->events_name, false);
	return LakeOwns(resync->state->metadata) && LakeOwns(resync->events->metadata) &&
		FilesAreThere(resync->state) && FilesAreThere(resync->events);
}

/*
 * Open the lake tables.  In a copied database they are those of the original,
 * which removes files as it likes; on a promoted standby or after a restore the
 * catalog can name files that are not there.  Both begin anew.
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
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(LOG,
				(errmsg("lake table \"%s.%s\" cannot be read: %s",
						resync->table->namespace, resync->table->name, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (usable)
		return;

	ereport(LOG,
			(errmsg("lake tables \"%s.%s\" and \"%s.%s\" begin anew, without the events so far",
					resync->table->namespace, resync->table->name,
					resync->table->namespace, resync->table->events_name),
			 errdetail("Their files belong to another database, or are not there.")));
	RegisterAnew(resync->table, resync->layout);
	resync->state = LakeOpen(resync->table->namespace, resync->table->name, false);
	resync->events = LakeOpen(resync->table->namespace, resync->table->events_name, false);
}

/* ---- one table ---- */

static bool
ResyncTable(Resync *resync)
{
	Oid			relation = resync->table->relation;
	Relation	parent = try_relation_open(relation, AccessShareLock);
	List	   *leaves;
	char	   *text;

	if (parent == NULL)
		return true;			/* dropped; whoever did it takes it off the list */
	if (!LayoutIsRouted(parent))
	{
		RegisterProblem(relation, "the relation is not a sharded table any more");
		relation_close(parent, AccessShareLock);
		return true;
	}
	leaves = find_inheritance_children(relation, AccessShareLock);
	resync->layout = RegisterLayout(relation);
	OpenOrBeginAnew(resync);
	if (!FitSchemas(resync))
	{
		relation_close(parent, AccessShareLock);
		return true;
	}

	/* First the snapshot, then a position that is behind all that it saw. */
	resync->snapshot = RegisterSnapshot(GetTransactionSnapshot());
	resync->snapshot_lsn = GetXLogInsertRecPtr();
	text = SnapshotText(resync->snapshot);
	PushActiveSnapshot(resync->snapshot);
	if (!CompareAndWrite(resync, leaves))
		return false;
	PopActiveSnapshot();
	UnregisterSnapshot(resync->snapshot);
	if (resync->unfit != NULL)
	{
		RegisterUnfit(resync->table, resync->unfit);
		relation_close(parent, AccessShareLock);
		return true;
	}
	if (resync->next_state != NULL)
		RegisterColumns(resync->table, resync->layout,
						IcebergCurrentSchema(resync->state->metadata),
						IcebergCurrentSchema(resync->events->metadata));
	RegisteredSetSynced(relation, resync->position, text, resync->snapshot_lsn);
	relation_close(parent, AccessShareLock);
	SHARD_POINT("pipeline-resync-before-commit");
	return true;
}

/*
 * In a transaction of its own, again if somebody else commits in between.
 */
static void
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
		done = ResyncTable(&resync);
		if (done)
			CommitTransactionCommand();
		else
			AbortCurrentTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextDelete(context);
		if (done)
			return;
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
ResyncTables(EngineConn *conn, const Position *position)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard resync list",
												  ALLOCSET_SMALL_SIZES);
	List	   *due = DueTables(position, context);
	int			n = list_length(due);
	ListCell   *lc;

	foreach(lc, due)
		ResyncOne(conn, lfirst(lc), position);
	MemoryContextSwitchTo(TopMemoryContext);
	MemoryContextDelete(context);
	if (n > 0)
		ResyncRestoreFilters(position);
	return n;
}
