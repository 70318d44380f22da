/*
 * fold.c
 *		Engine SQL that folds the changes of one table.
 *
 * A change acts on its key after it (columns f) and, where the key changed, on
 * the key before it (columns o).  For each key the last action of the batch
 * decides what the state holds, and the first one whether the lake can have a
 * row of it already: not if that is an INSERT.  A key that is the whole row
 * may stand for several rows; those are counted instead.
 *
 * All names are ours, all values travel in chunks: no text of a user gets into
 * these statements.  Temporary tables are replaced, so that a flush that is
 * tried again starts anew.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "pipeline/files.h"
#include "pipeline/fold.h"
#include "pipeline/schema.h"

/* Keys that files are looked through for one by one, rather than for their range. */
#define MOST_KEY_VALUES 1000

char *
FoldKeyList(const TableLayout *layout, const char *format, const char *separator)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < layout->nkeys; i++)
	{
		const LayoutColumn *col = &layout->cols[layout->keys[i]];

		if (i > 0)
			appendStringInfoString(&list, separator);

		/* The same number as often as the format wants it. */
		for (const char *p = format; *p != '\0'; p++)
		{
			if (*p == '#')
				appendStringInfo(&list, "%d", col->attnum);
			else if (*p == '=' && col->null_key)
				appendStringInfoString(&list, "IS NOT DISTINCT FROM");
			else
				appendStringInfoChar(&list, *p);
		}
	}
	return list.data;
}

/* ---- all changes of the table as one relation ---- */

/*
 * A value of an earlier layout in the type that the column has now.  Widening
 * always works.  A type that changed otherwise is converted by way of text
 * where that gives a value; the comparison that follows such a change takes it
 * from the table.
 */
static char *
Converted(const LayoutColumn *from, const LayoutColumn *to, char prefix)
{
	const char *type = LayoutEngineType(to);

	if (strcmp(LayoutEngineType(from), type) == 0 || LayoutWidens(from, to))
		return psprintf("CAST(%c%d AS %s)", prefix, to->attnum, type);
	return psprintf("TRY_CAST(CAST(%c%d AS VARCHAR) AS %s)", prefix, to->attnum, type);
}

static void
AppendConverted(StringInfo sql, const TableLayout *from, const LayoutColumn *to, char prefix)
{
	const LayoutColumn *col = LayoutColumnByAttnum(from, to->attnum);

	if (col != NULL && (prefix == 'f' || col->is_key))
		appendStringInfo(sql, ", %s AS %c%d", Converted(col, to, prefix), prefix, to->attnum);
	else
		appendStringInfo(sql, ", CAST(NULL AS %s) AS %c%d", LayoutEngineType(to), prefix, to->attnum);
}

/*
 * One segment's rows in the columns of the newest layout.
 */
static char *
SegmentQuery(const ChangeSegment *segment, const TableLayout *layout)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT n, lsn, seq, ts, verb, shard, key, un, old, okey");
	for (int i = 0; i < layout->ncols; i++)
		AppendConverted(&sql, segment->layout, &layout->cols[i], 'f');
	for (int i = 0; i < layout->nkeys; i++)
		AppendConverted(&sql, segment->layout, &layout->cols[layout->keys[i]], 'o');
	appendStringInfo(&sql, " FROM %s", segment->name);
	return sql.data;
}

/*
 * Each segment is a piece; one of an earlier layout is brought to the newest.
 */
static void
MakePieces(Fold *fold)
{
	int64		rows = 0;
	int64		bytes = 0;
	ListCell   *lc;

	foreach(lc, fold->changes->segments)
	{
		ChangeSegment *segment = lfirst(lc);
		FoldPiece  *piece;

		if (!segment->created)
			continue;			/* it is there for its layout alone */
		piece = palloc0(sizeof(FoldPiece));
		piece->own = segment->layout != fold->layout;
		piece->relation = piece->own ?
			psprintf("pipeline_piece_%d", foreach_current_index(lc)) : segment->name;
		piece->rows = segment->rows;
		piece->bytes = segment->bytes;
		piece->first_n = segment->first_n;
		piece->last_n = segment->last_n;
		if (piece->own)
			EngineRunF(fold->conn, "CREATE OR REPLACE TEMP TABLE %s AS %s", piece->relation,
					   SegmentQuery(segment, fold->layout));
		fold->pieces = lappend(fold->pieces, piece);
		rows += piece->rows;
		bytes += piece->bytes;
	}
	fold->row_bytes = bytes / Max(rows, 1);
}

static void
MakeView(Fold *fold)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, fold->pieces)
		appendStringInfo(&sql, "%sSELECT * FROM %s", sql.len > 0 ? " UNION ALL " : "",
						 ((FoldPiece *) lfirst(lc))->relation);
	fold->all = "pipeline_all";
	EngineRunF(fold->conn, "CREATE OR REPLACE TEMP VIEW pipeline_all AS %s", sql.data);
}

void
FoldBegin(Fold *fold, EngineConn *conn, const TableChanges *changes)
{
	memset(fold, 0, sizeof(*fold));
	fold->conn = conn;
	fold->changes = changes;
	fold->layout = ((const ChangeSegment *) llast(changes->segments))->layout;
	fold->simple = changes->updates == 0 && changes->deletes == 0;
	MakePieces(fold);
	if (list_length(fold->pieces) == 1)
		fold->all = ((FoldPiece *) linitial(fold->pieces))->relation;
	else if (fold->pieces != NIL)
		MakeView(fold);
}

void
FoldEnd(Fold *fold)
{
	ListCell   *lc;

	EngineRunF(fold->conn, "DROP TABLE IF EXISTS pipeline_fold");
	EngineRunF(fold->conn, "DROP TABLE IF EXISTS pipeline_pairs");
	EngineRunF(fold->conn, "DROP TABLE IF EXISTS pipeline_gone");
	if (list_length(fold->pieces) > 1)
		EngineRunF(fold->conn, "DROP VIEW pipeline_all");
	foreach(lc, fold->pieces)
	{
		FoldPiece  *piece = lfirst(lc);

		if (piece->own)
			EngineRunF(fold->conn, "DROP TABLE %s", piece->relation);
	}
}

/* ---- rows of the lake ---- */

char *
FoldScanSql(const LakeScan *scan, const IcebergSchema *schema, const TableLayout *layout,
			const AttrNumber *attnums, int n, bool positions)
{
	StringInfoData sql;
	int		   *ids = palloc(Max(n, 1) * sizeof(int));
	int			nids = 0;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "(SELECT ");
	for (int i = 0; i < n; i++)
	{
		const IcebergField *field = SchemaColumn(schema, 0, attnums[i]);

		if (field != NULL && IcebergFieldById(scan->schema, field->id) != NULL)
		{
			ids[nids++] = field->id;
			appendStringInfo(&sql, "f%d AS f%d, ", field->id, attnums[i]);
		}
		else
			appendStringInfo(&sql, "CAST(NULL AS %s) AS f%d, ",
							 LayoutEngineType(LayoutColumnByAttnum(layout, attnums[i])), attnums[i]);
	}
	appendStringInfo(&sql, "%s FROM %s)", positions ? "_file, _pos" : "0 AS _none",
					 LakeScanSql(scan, ids, nids, positions));
	return sql.data;
}

/* ---- values that the WAL left out ---- */

/*
 * Rows whose value of a column is open, with the key that the row had before
 * the change, as k columns.
 */
static char *
OpenRows(const Fold *fold, AttrNumber attnum)
{
	return psprintf("(SELECT n, %s FROM %s WHERE contains(un, ',%d,'))",
					FoldKeyList(fold->layout, "CASE WHEN old THEN o# ELSE f# END AS k#", ", "),
					fold->all, attnum);
}

/*
 * Earlier changes that say what a column's value is, or (open, with another key
 * before) lead to where it is known.
 */
static char *
KnownRows(const Fold *fold, AttrNumber attnum)
{
	return psprintf("(SELECT n, %s, coalesce(contains(un, ',%d,'), false) AS open"
					" FROM %s WHERE verb IN (%d, %d)"
					" AND (old OR NOT coalesce(contains(un, ',%d,'), false)))",
					FoldKeyList(fold->layout, "f# AS k#", ", "), attnum,
					fold->all, CHANGE_CREATED, CHANGE_UPDATED, attnum);
}

static int64
CountOpen(const Fold *fold, AttrNumber attnum)
{
	return EngineInt(fold->conn, "SELECT count(*) FROM %s WHERE contains(un, ',%d,')",
					 fold->all, attnum);
}

/*
 * Fill in a column's values in one piece from a query with columns n and value.
 * Updated rows would stay in the engine's memory, whatever its limit; where there
 * are many, a new table takes the place of the old one.
 */
static void
FillIn(const Fold *fold, const FoldPiece *piece, AttrNumber attnum, const char *values)
{
	if (list_length(fold->pieces) == 1)
	{
		EngineRunF(fold->conn,
				   "UPDATE %s AS c SET f%d = r.value, un = replace(c.un, ',%d,', ',')"
				   " FROM (%s) AS r WHERE c.n = r.n",
				   piece->relation, attnum, attnum, values);
		return;
	}
	EngineRunF(fold->conn,
			   "CREATE OR REPLACE TEMP TABLE pipeline_filled AS SELECT c.* REPLACE ("
			   "CASE WHEN r.n IS NULL THEN c.f%d ELSE CAST(r.value AS %s) END AS f%d,"
			   " CASE WHEN r.n IS NULL THEN c.un ELSE replace(c.un, ',%d,', ',') END AS un)"
			   " FROM %s AS c LEFT JOIN (%s) AS r ON c.n = r.n",
			   attnum, LayoutEngineType(LayoutColumnByAttnum(fold->layout, attnum)), attnum, attnum,
			   piece->relation, values);
	EngineRunF(fold->conn, "DROP TABLE %s", piece->relation);
	EngineRunF(fold->conn, "ALTER TABLE pipeline_filled RENAME TO %s", piece->relation);
}

/*
 * Take values from the latest earlier change of the same row.  Each round
 * follows one change of key; returns how many values are still open.
 */
static int64
CompleteFromChanges(const Fold *fold, AttrNumber attnum)
{
	int64		open = CountOpen(fold, attnum);
	int64		before;
	ListCell   *lc;

	do
	{
		before = open;
		EngineRunF(fold->conn,
				   "CREATE OR REPLACE TEMP TABLE pipeline_known AS SELECT p.n, h.n AS from_n"
				   " FROM %s AS p ASOF JOIN %s AS h ON %s AND p.n > h.n WHERE NOT h.open",
				   OpenRows(fold, attnum), KnownRows(fold, attnum),
				   FoldKeyList(fold->layout, "p.k# = h.k#", " AND "));
		foreach(lc, fold->pieces)
		{
			const FoldPiece *piece = lfirst(lc);

			if (EngineInt(fold->conn, "SELECT count(*) FROM pipeline_known WHERE n BETWEEN "
						  INT64_FORMAT " AND " INT64_FORMAT, piece->first_n, piece->last_n) > 0)
				FillIn(fold, piece, attnum,
					   psprintf("SELECT k.n, h.f%d AS value FROM pipeline_known AS k JOIN %s AS h"
								" ON h.n = k.from_n WHERE k.n BETWEEN " INT64_FORMAT " AND " INT64_FORMAT,
								attnum, fold->all, piece->first_n, piece->last_n));
		}
		EngineRunF(fold->conn, "DROP TABLE pipeline_known");
		open = CountOpen(fold, attnum);
	} while (open > 0 && open < before);
	return open;
}

/*
 * Take the values of one piece's rows that have no earlier change from the lake.
 */
static void
CompletePiece(const Fold *fold, LakeTable *state, AttrNumber attnum, const FoldPiece *piece)
{
	const TableLayout *layout = fold->layout;
	AttrNumber *attnums = palloc((layout->nkeys + 1) * sizeof(AttrNumber));
	char	   *roots = psprintf("(SELECT * FROM pipeline_roots WHERE n BETWEEN " INT64_FORMAT
								 " AND " INT64_FORMAT ")", piece->first_n, piece->last_n);
	LakeCondition *conditions;
	LakeScan   *scan;
	int			n;

	if (EngineInt(fold->conn, "SELECT count(*) FROM %s", roots) == 0)
		return;
	conditions = FoldBounds(fold->conn, layout, state, roots, &n);
	scan = LakeScanPlan(state, -1, conditions, n);
	for (int i = 0; i < layout->nkeys; i++)
		attnums[i] = layout->cols[layout->keys[i]].attnum;
	attnums[layout->nkeys] = attnum;
	EngineRunScan(fold->conn,
				  psprintf("CREATE OR REPLACE TEMP TABLE pipeline_found AS SELECT r.n, s.f%d AS value"
						   " FROM %s AS s JOIN %s AS r ON %s",
						   attnum, FoldScanSql(scan, scan->schema, layout, attnums, layout->nkeys + 1, false),
						   roots, FoldKeyList(layout, "s.f# = r.k#", " AND ")),
				  scan);
	FillIn(fold, piece, attnum, "SELECT n, value FROM pipeline_found");
	EngineRunF(fold->conn, "DROP TABLE pipeline_found");
}

static void
CompleteFromLake(const Fold *fold, LakeTable *state, AttrNumber attnum)
{
	ListCell   *lc;

	EngineRunF(fold->conn,
			   "CREATE OR REPLACE TEMP TABLE pipeline_roots AS SELECT p.n, %s"
			   " FROM %s AS p ASOF LEFT JOIN %s AS h ON %s AND p.n > h.n WHERE h.n IS NULL",
			   FoldKeyList(fold->layout, "p.k#", ", "), OpenRows(fold, attnum), KnownRows(fold, attnum),
			   FoldKeyList(fold->layout, "p.k# = h.k#", " AND "));
	foreach(lc, fold->pieces)
		CompletePiece(fold, state, attnum, lfirst(lc));
	EngineRunF(fold->conn, "DROP TABLE pipeline_roots");
}

static bool
CompleteColumn(const Fold *fold, LakeTable *state, AttrNumber attnum)
{
	if (CompleteFromChanges(fold, attnum) == 0)
		return true;
	if (!SchemaHolds(IcebergCurrentSchema(state->metadata),
					 LayoutColumnByAttnum(fold->layout, attnum)))
		return false;
	CompleteFromLake(fold, state, attnum);
	return CompleteFromChanges(fold, attnum) == 0;
}

bool
FoldComplete(Fold *fold, LakeTable *state)
{
	bool		complete = true;
	ListCell   *lc;

	for (int i = 0; i < fold->layout->ncols; i++)
	{
		AttrNumber	attnum = fold->layout->cols[i].attnum;
		bool		open = false;

		foreach(lc, fold->changes->segments)
		{
			ChangeSegment *segment = lfirst(lc);

			for (int j = 0; j < segment->layout->ncols; j++)
				open |= segment->unchanged_cols[j] && segment->layout->cols[j].attnum == attnum;
		}
		if (open && !CompleteColumn(fold, state, attnum))
			complete = false;
	}
	return complete;
}

/* ---- folding ---- */

/*
 * The last action on a key is kept as 2 n + 1 if it puts a row and 2 n if it
 * removes one, so that of one change that does both to (what the engine takes
 * for) the same key, the row stays.  Each change puts one row at most: if there
 * are as many rows as changes, each of them is the last one of its key.
 */
static void
FoldByKey(Fold *fold)
{
	EngineRunF(fold->conn,
			   "CREATE OR REPLACE TEMP TABLE pipeline_fold AS"
			   " SELECT %s, max(act) AS last, min(2 * act + CAST(fresh AS INTEGER)) %% 2 = 1 AS fresh FROM ("
			   "SELECT %s, 2 * n + CASE verb WHEN %d THEN 0 ELSE 1 END AS act, verb = %d AS fresh"
			   " FROM %s WHERE verb <> %d AND n > " INT64_FORMAT
			   " UNION ALL SELECT %s, 2 * n, false FROM %s WHERE verb = %d AND old AND n > " INT64_FORMAT
			   ") GROUP BY %s",
			   FoldKeyList(fold->layout, "k#", ", "),
			   FoldKeyList(fold->layout, "f# AS k#", ", "), CHANGE_DELETED, CHANGE_CREATED,
			   fold->all, CHANGE_TRUNCATED, fold->changes->truncated_at,
			   FoldKeyList(fold->layout, "o#", ", "), fold->all, CHANGE_UPDATED,
			   fold->changes->truncated_at,
			   FoldKeyList(fold->layout, "k#", ", "));
	fold->state_rows = EngineInt(fold->conn,
								 "SELECT count(*) FROM pipeline_fold WHERE last %% 2 = 1");
	fold->removed_keys = EngineInt(fold->conn,
								   "SELECT count(*) FROM pipeline_fold WHERE NOT fresh");
	fold->all_last = fold->state_rows == fold->events;
}

/*
 * Where the whole row is the key, equal rows are counted; if they are many, in
 * parts, each of which the engine can hold.
 */
static void
FoldByCount(Fold *fold)
{
	char	   *keys = FoldKeyList(fold->layout, "k#", ", ");
	char	   *before = FoldKeyList(fold->layout, "o#", ", ");

	fold->parts = list_length(fold->pieces);
	for (int part = 0; part < fold->parts; part++)
		EngineRunF(fold->conn,
				   "%s SELECT %d AS part, %s, sum(d)::BIGINT AS net FROM ("
				   "SELECT %s, CASE verb WHEN %d THEN -1 ELSE 1 END AS d FROM %s"
				   " WHERE (verb IN (%d, %d) OR (verb = %d AND old)) AND n > " INT64_FORMAT
				   " UNION ALL SELECT %s, -1 FROM %s WHERE verb = %d AND old AND n > " INT64_FORMAT
				   ")%s GROUP BY %s HAVING sum(d) <> 0",
				   part == 0 ? "CREATE OR REPLACE TEMP TABLE pipeline_fold AS" : "INSERT INTO pipeline_fold",
				   part, keys,
				   FoldKeyList(fold->layout, "f# AS k#", ", "), CHANGE_DELETED, fold->all,
				   CHANGE_CREATED, CHANGE_DELETED, CHANGE_UPDATED, fold->changes->truncated_at,
				   before, fold->all, CHANGE_UPDATED, fold->changes->truncated_at,
				   fold->parts == 1 ? "" : psprintf(" WHERE hash(%s) %% %d = %d", keys, fold->parts, part),
				   keys);
	fold->state_rows = EngineInt(fold->conn,
								 "SELECT sum(net)::BIGINT FROM pipeline_fold WHERE net > 0");
	fold->removed_keys = EngineInt(fold->conn,
								   "SELECT count(*) FROM pipeline_fold WHERE net < 0");
}

/*
 * What a row keeps of its key when its partition key changes, as conditions;
 * NULL if nothing is left.
 */
static char *
RestOfKey(const TableLayout *layout, const char *format, const char *separator)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < layout->nkeys; i++)
	{
		bool		partition = i >= layout->nindexed;
		TableLayout one = *layout;

		/* An index that does not contain the partition key is all kept. */
		for (int j = 0; j < layout->npartition && layout->nindexed == layout->nkeys; j++)
			partition |= layout->partition[j] == layout->keys[i];
		if (partition)
			continue;
		one.keys = &layout->keys[i];
		one.nkeys = 1;
		if (list.len > 0)
			appendStringInfoString(&list, separator);
		appendStringInfoString(&list, FoldKeyList(&one, format, ""));
	}
	return list.len > 0 && !layout->whole_row ? list.data : NULL;
}

/* Did this update change more of the key than the partition key? */
static char *
BecameAnother(const TableLayout *layout)
{
	char	   *differs = RestOfKey(layout, "o# IS DISTINCT FROM f#", " OR ");

	return differs != NULL ? psprintf("(verb = %d AND old AND (%s))", CHANGE_UPDATED, differs) :
		psprintf("(verb = %d AND old)", CHANGE_UPDATED);
}

/*
 * An update of the partition key that takes a row to another shard arrives as
 * DELETE and INSERT.  They are one event if no other DELETE or INSERT of the
 * transaction has the same rest of the primary key.
 */
static void
FindPairs(Fold *fold)
{
	char	   *rest = RestOfKey(fold->layout, "f#", ", ");

	if (rest == NULL || fold->changes->inserts == 0 || fold->changes->deletes == 0)
		return;
	EngineRunF(fold->conn,
			   "CREATE OR REPLACE TEMP TABLE pipeline_pairs AS SELECT"
			   " max(n) FILTER (verb = %d) AS deleted_n, max(n) FILTER (verb = %d) AS created_n,"
			   " max(key) FILTER (verb = %d) AS old_key"
			   " FROM %s WHERE verb IN (%d, %d) AND lsn IN (SELECT lsn FROM %s WHERE verb = %d)"
			   " GROUP BY lsn, %s"
			   " HAVING count(*) = 2 AND count(*) FILTER (verb = %d) = 1"
			   " AND max(n) FILTER (verb = %d) < max(n) FILTER (verb = %d)"
			   " AND min(shard) <> max(shard)",
			   CHANGE_DELETED, CHANGE_CREATED, CHANGE_DELETED,
			   fold->all, CHANGE_CREATED, CHANGE_DELETED, fold->all, CHANGE_DELETED,
			   rest, CHANGE_DELETED, CHANGE_DELETED, CHANGE_CREATED);
	fold->moved = EngineInt(fold->conn, "SELECT count(*) FROM pipeline_pairs") > 0;
}

void
FoldRun(Fold *fold)
{
	if (fold->all == NULL)
		return;
	fold->events = EngineInt(fold->conn, "SELECT count(*) FROM %s", fold->all);
	if (fold->simple)
	{
		fold->state_rows = fold->changes->truncates == 0 ? fold->events :
			EngineInt(fold->conn, "SELECT count(*) FROM %s WHERE verb = %d AND n > " INT64_FORMAT,
					  fold->all, CHANGE_CREATED, fold->changes->truncated_at);
		return;
	}
	if (fold->layout->whole_row)
		FoldByCount(fold);
	else
		FoldByKey(fold);
	FindPairs(fold);
	if (fold->changes->key_changes > 0)
		fold->events += EngineInt(fold->conn, "SELECT count(*) FROM %s WHERE %s", fold->all,
								  BecameAnother(fold->layout));
	if (fold->moved)
		fold->events -= EngineInt(fold->conn, "SELECT count(*) FROM pipeline_pairs");

	/* Nothing before a TRUNCATE of the whole table is left to be removed. */
	if (fold->changes->truncated_at > 0)
		fold->removed_keys = 0;
}

/* ---- queries ---- */

static void
AppendColumns(StringInfo sql, const TableLayout *layout, const IcebergSchema *schema, int offset,
			  const char *format)
{
	for (int i = 0; i < layout->ncols; i++)
	{
		int			attnum = layout->cols[i].attnum;
		const IcebergField *field = SchemaColumn(schema, offset, attnum);
		char	   *value;

		/* A format without a number has a value of its own: of a column out of the key. */
		if (strcmp(format, "o") == 0)
			value = layout->cols[i].is_key ? psprintf("o%d", attnum) : "NULL";
		else
			value = psprintf("%s%d", format, attnum);
		appendStringInfo(sql, ", CAST(%s AS %s) AS f%d", value, LakeFieldEngineType(field), field->id);
	}
}

int
FoldPortions(const Fold *fold, bool events)
{
	return fold->layout->whole_row && !fold->simple && !events ? fold->parts : list_length(fold->pieces);
}

/* The relation with a portion of the changes. */
static const char *
Portion(const Fold *fold, int portion)
{
	return portion < 0 ? fold->all : ((const FoldPiece *) list_nth(fold->pieces, portion))->relation;
}

/* Spares the engine a table of all keys where few are asked for. */
static char *
OfPiece(const FoldPiece *piece)
{
	return psprintf(" AND last BETWEEN " INT64_FORMAT " AND " INT64_FORMAT,
					2 * piece->first_n, 2 * piece->last_n + 1);
}

char *
FoldStateQuery(const Fold *fold, const IcebergSchema *schema, int portion)
{
	const TableLayout *layout = fold->layout;
	StringInfoData cols,
				sql;

	initStringInfo(&cols);
	initStringInfo(&sql);
	if (fold->simple)
	{
		AppendColumns(&cols, layout, schema, 0, "f");
		appendStringInfo(&sql, "SELECT %s FROM %s WHERE verb = %d AND n > " INT64_FORMAT,
						 cols.data + 2, Portion(fold, portion), CHANGE_CREATED,
						 fold->changes->truncated_at);
	}
	else if (layout->whole_row)
	{
		AppendColumns(&cols, layout, schema, 0, "k");
		appendStringInfo(&sql, "SELECT %s FROM (SELECT *, unnest(range(net)) FROM pipeline_fold"
						 " WHERE net > 0%s)", cols.data + 2,
						 portion < 0 ? "" : psprintf(" AND part = %d", portion));
	}
	else
	{
		AppendColumns(&cols, layout, schema, 0, "f");
		appendStringInfo(&sql, "SELECT %s FROM %s", cols.data + 2, Portion(fold, portion));
		if (!fold->all_last)
			appendStringInfo(&sql, " WHERE n IN"
							 " (SELECT last // 2 FROM pipeline_fold WHERE last %% 2 = 1%s)",
							 portion < 0 ? "" : OfPiece(list_nth(fold->pieces, portion)));
	}
	return sql.data;
}

static char *
EventId(TimeLineID timeline, const char *suffix)
{
	return psprintf("concat('%u-', lsn, '-', seq%s)", timeline, suffix);
}

char *
FoldEventsQuery(const Fold *fold, const IcebergSchema *schema, TimeLineID timeline, int portion)
{
	const TableLayout *layout = fold->layout;
	const char *changes = Portion(fold, portion);
	bool		key_changes = fold->changes->key_changes > 0;
	char	   *another = key_changes ? BecameAnother(layout) : "false";
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s AS f%d, CASE", EventId(timeline, ""), EVENT_ID);
	if (fold->moved)
		appendStringInfoString(&sql, " WHEN created_n IS NOT NULL THEN 'updated'");
	if (key_changes)
		appendStringInfo(&sql, " WHEN %s THEN 'created'", another);
	appendStringInfo(&sql, " WHEN verb = %d THEN 'created' WHEN verb = %d THEN 'updated'"
					 " WHEN verb = %d THEN 'deleted' ELSE 'truncated' END AS f%d,"
					 " ts AS f%d, lsn AS f%d, seq AS f%d, shard AS f%d, key AS f%d, ",
					 CHANGE_CREATED, CHANGE_UPDATED, CHANGE_DELETED, EVENT_VERB,
					 EVENT_TS, EVENT_LSN, EVENT_SEQ, EVENT_SHARD, EVENT_KEY);
	if (key_changes && fold->moved)
		appendStringInfo(&sql, "CASE WHEN old AND NOT %s THEN okey ELSE old_key END", another);
	else if (key_changes)
		appendStringInfo(&sql, "CASE WHEN old AND NOT %s THEN okey END", another);
	else
		appendStringInfoString(&sql, fold->moved ? "old_key" : "NULL::VARCHAR");
	appendStringInfo(&sql, " AS f%d", EVENT_OLD_KEY);
	AppendColumns(&sql, layout, schema, EVENT_COLUMNS, "f");
	if (key_changes)
		appendStringInfoString(&sql, ", 2 * n + 1 AS act");
	appendStringInfo(&sql, " FROM %s", changes);
	if (fold->moved)
		appendStringInfoString(&sql, " LEFT JOIN pipeline_pairs ON n = created_n"
							   " WHERE n NOT IN (SELECT deleted_n FROM pipeline_pairs)");
	if (!key_changes)
	{
		if (fold->moved)
			appendStringInfoString(&sql, " ORDER BY n");
		return sql.data;
	}

	/* A row that became another one: its former self was deleted. */
	appendStringInfo(&sql, " UNION ALL SELECT %s, 'deleted', ts, lsn, seq, shard, okey, NULL",
					 EventId(timeline, ", '-old'"));
	AppendColumns(&sql, layout, schema, EVENT_COLUMNS, "o");
	appendStringInfo(&sql, ", 2 * n FROM %s WHERE %s", changes, another);
	return psprintf("SELECT * EXCLUDE (act) FROM (%s) ORDER BY act", sql.data);
}

/* ---- positions ---- */

static IcebergBytes
BoundAt(const WireChunk *chunk, int col, int row, LakeType type)
{
	size_t		len;
	const char *value;

	if (LakeKindWidth(type.kind) == 0)
		value = ChunkGetBytes(chunk, col, row, &len);
	else
	{
		len = LakeKindWidth(type.kind);
		value = ChunkGetFixed(chunk, col, row);
	}
	return IcebergSerializeValue(type, value, len);
}

static bool
Prunable(const LayoutColumn *col)
{
	switch (col->codec.type.kind)
	{
		case LAKE_FLOAT:
		case LAKE_DOUBLE:
		case LAKE_BOOLEAN:
		case LAKE_JSON:
		case LAKE_NESTED:
			return false;
		default:
			return true;
	}
}

static const LayoutColumn *
ColumnOfField(const TableLayout *layout, const IcebergSchema *schema, int field_id)
{
	for (int i = 0; i < layout->nkeys; i++)
	{
		const LayoutColumn *col = &layout->cols[layout->keys[i]];
		const IcebergField *field = SchemaColumn(schema, 0, col->attnum);

		if (field != NULL && field->id == field_id)
			return col;
	}
	elog(ERROR, "no key column has field id %d", field_id);
}

/* The values of a key column as a condition; false if they are too many. */
static bool
KeyValues(EngineConn *conn, const LayoutColumn *col, const char *relation, int field_id,
		  LakeCondition *condition)
{
	EngineResult *result;
	WireChunk  *chunk;
	int			n = 0;

	condition->field_id = field_id;
	condition->op = LAKE_IN;
	condition->nvalues = 0;
	condition->values = palloc(MOST_KEY_VALUES * sizeof(IcebergBytes));
	result = EngineExecute(conn, psprintf("SELECT DISTINCT k%d FROM %s LIMIT %d", col->attnum, relation,
										  MOST_KEY_VALUES + 1), NULL, 0);
	while ((chunk = EngineFetch(result)) != NULL)
		for (int row = 0; row < chunk->nrows; row++, n++)
			if (n < MOST_KEY_VALUES && !ChunkIsNull(chunk, 0, row))
				condition->values[condition->nvalues++] = BoundAt(chunk, 0, row, col->codec.type);
	EngineFinish(result);
	return n <= MOST_KEY_VALUES && condition->nvalues == n;
}

LakeCondition *
FoldBounds(EngineConn *conn, const TableLayout *layout, const LakeTable *state,
		   const char *relation, int *n)
{
	const IcebergSchema *schema = IcebergCurrentSchema(state->metadata);
	LakeCondition *conditions = palloc0(3 * Max(layout->nkeys, 1) * sizeof(LakeCondition));
	bool	   *few = palloc0(2 * Max(layout->nkeys, 1) * sizeof(bool));	/* values, by estimate */
	int			nbounds;
	EngineResult *result;
	WireChunk  *chunk;

	*n = 0;
	if (layout->whole_row)
		return conditions;		/* nulls among the keys */
	result = EngineExecute(conn, psprintf("SELECT %s FROM %s",
										  FoldKeyList(layout, "min(k#), max(k#), approx_count_distinct(k#)", ", "),
										  relation),
						   NULL, 0);
	chunk = EngineFetch(result);
	for (int i = 0; chunk != NULL && i < 3 * layout->nkeys; i++)
	{
		const LayoutColumn *col = &layout->cols[layout->keys[i / 3]];
		const IcebergField *field = SchemaColumn(schema, 0, col->attnum);
		LakeCondition *condition = &conditions[*n];

		/* Of a column that is being widened the files' bounds have another type. */
		if (field == NULL || strcmp(LakeFieldEngineType(field), LayoutEngineType(col)) != 0 ||
			col->null_key || !Prunable(col) || i % 3 == 2 || ChunkIsNull(chunk, i, 0))
			continue;
		few[*n] = i % 3 == 0 && ChunkGetInt64(chunk, i + 2, 0) <= 2 * MOST_KEY_VALUES;
		condition->field_id = field->id;
		condition->op = i % 3 == 0 ? LAKE_GE : LAKE_LE;
		condition->nvalues = 1;
		condition->values = palloc(sizeof(IcebergBytes));
		condition->values[0] = BoundAt(chunk, i, 0, col->codec.type);
		(*n)++;
	}
	EngineFinish(result);

	/* Few keys: files between the least and the greatest that hold none of them. */
	nbounds = *n;
	for (int i = 0; i < nbounds; i++)
		if (few[i] &&
			KeyValues(conn, ColumnOfField(layout, schema, conditions[i].field_id), relation,
					  conditions[i].field_id, &conditions[*n]))
			(*n)++;
	return conditions;
}

/* Hash of a row's key, in the types of the changes, of which pipeline_fold has parts. */
static char *
KeyHash(const TableLayout *layout)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < layout->nkeys; i++)
	{
		const LayoutColumn *col = &layout->cols[layout->keys[i]];

		appendStringInfo(&sql, "%sCAST(f%d AS %s)", i > 0 ? ", " : "hash(", col->attnum,
						 LayoutEngineType(col));
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/*
 * Of equal rows as many go as were deleted, whichever; where the whole row is the
 * key they are compared a part after the other.
 */
static char *
RemovedQuery(const Fold *fold, const char *scan, int part)
{
	const TableLayout *layout = fold->layout;

	if (!layout->whole_row)
		return psprintf("SELECT s._file, s._pos FROM %s AS s"
						" SEMI JOIN (SELECT * FROM pipeline_fold WHERE NOT fresh) AS d ON %s",
						scan, FoldKeyList(layout, "s.f# = d.k#", " AND "));
	if (fold->parts > 1)
		scan = psprintf("(SELECT * FROM %s WHERE %s %% %d = %d)", scan, KeyHash(layout), fold->parts, part);
	return psprintf("SELECT _file, _pos FROM (SELECT s._file, s._pos, d.net,"
					" row_number() OVER (PARTITION BY d.id ORDER BY s._file, s._pos) AS nth"
					" FROM %s AS s JOIN (SELECT *, rowid AS id FROM pipeline_fold"
					" WHERE part = %d AND net < 0) AS d ON %s)"
					" WHERE nth <= -net",
					scan, part, FoldKeyList(layout, "s.f# IS NOT DISTINCT FROM d.k#", " AND "));
}

char *
FoldFindRemoved(const Fold *fold, LakeTable *state)
{
	const TableLayout *layout = fold->layout;
	AttrNumber *attnums = palloc(Max(layout->nkeys, 1) * sizeof(AttrNumber));
	LakeCondition *conditions;
	LakeScan   *scan;
	int			n;

	if (fold->removed_keys == 0)
		return NULL;
	conditions = FoldBounds(fold->conn, layout, state,
							"(SELECT * FROM pipeline_fold WHERE NOT fresh)", &n);
	scan = LakeScanPlan(state, -1, conditions, n);
	if (scan->files == NIL)
		return NULL;
	for (int i = 0; i < layout->nkeys; i++)
		attnums[i] = layout->cols[layout->keys[i]].attnum;
	for (int part = 0; part < Max(fold->parts, 1); part++)
		EngineRunScan(fold->conn,
					  psprintf("%s %s", part == 0 ? "CREATE OR REPLACE TEMP TABLE pipeline_gone AS" :
							   "INSERT INTO pipeline_gone",
							   RemovedQuery(fold, FoldScanSql(scan, scan->schema, layout,
															  attnums, layout->nkeys, true), part)),
					  scan);
	return "pipeline_gone";
}
