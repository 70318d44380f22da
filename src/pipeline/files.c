/*
 * files.c
 *		Has the engine write Parquet files, and describes them for the manifest.
 *
 * The engine's COPY flushes neither the file nor its directory, so each file is
 * synced here before anybody points to it.
 */
#include "postgres.h"

#include "base/points.h"
#include "lake/io/io.h"
#include "lib/stringinfo.h"
#include "pipeline/changes.h"
#include "pipeline/files.h"
#include "utils/builtins.h"

/* Rows of a data file; more make another one. */
#define FILE_ROWS (1024 * 1024)

/* Rows of a row group at most, DuckDB's default; bytes that are never too many. */
#define GROUP_ROWS 122880
#define LEAST_GROUP_BYTES (2 * 1024 * 1024)

/* Portions that are sorted together: half of what the engine may use. */
#define PORTIONS_AT_ONCE 4

static char *Format(const char *fmt, va_list args) pg_attribute_printf(1, 0);

static char *
Format(const char *fmt, va_list args)
{
	StringInfoData sql;
	int			needed;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		copy;

		va_copy(copy, args);
		needed = appendStringInfoVA(&sql, fmt, copy);
		va_end(copy);
		if (needed == 0)
			return sql.data;
		enlargeStringInfo(&sql, needed);
	}
}

/*
 * Errors of the engine say which statement it was.
 */
static void
AddStatement(void *arg)
{
	errcontext("engine statement: %s", (const char *) arg);
}

static void
Enter(ErrorContextCallback *callback, char *sql)
{
	callback->callback = AddStatement;
	callback->arg = sql;
	callback->previous = error_context_stack;
	error_context_stack = callback;
}

static void
Leave(const ErrorContextCallback *callback)
{
	error_context_stack = callback->previous;
}

void
EngineRunF(EngineConn *conn, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	ErrorContextCallback callback;

	va_start(args, fmt);
	sql = Format(fmt, args);
	va_end(args);
	Enter(&callback, sql);
	(void) EngineRun(conn, sql);
	Leave(&callback);
}

static int64
IntAt(const WireChunk *chunk, int col, int row)
{
	return ChunkIsNull(chunk, col, row) ? 0 : ChunkGetInt64(chunk, col, row);
}

int64
EngineInt(EngineConn *conn, const char *fmt,...)
{
	va_list		args;
	char	   *sql;
	EngineResult *result;
	WireChunk  *chunk;
	int64		value = 0;
	ErrorContextCallback callback;

	va_start(args, fmt);
	sql = Format(fmt, args);
	va_end(args);
	Enter(&callback, sql);
	result = EngineExecute(conn, sql, NULL, 0);
	chunk = EngineFetch(result);
	if (chunk != NULL && chunk->nrows > 0)
		value = IntAt(chunk, 0, 0);
	EngineFinish(result);
	Leave(&callback);
	return value;
}

void
EngineRunScan(EngineConn *conn, const char *sql, const LakeScan *scan)
{
	EngineResult *result;
	ErrorContextCallback callback;

	Enter(&callback, unconstify(char *, sql));
	result = EngineExecute(conn, sql, scan->deletes, scan->ndeletes);
	while (EngineFetch(result) != NULL)
		;
	EngineFinish(result);
	Leave(&callback);
}

static char *
TextAt(const WireChunk *chunk, int col, int row)
{
	size_t		len;
	const char *s;

	if (ChunkIsNull(chunk, col, row))
		return NULL;
	s = ChunkGetBytes(chunk, col, row, &len);
	return pnstrdup(s, len);
}

/* What a COPY says of the file that it wrote. */
typedef struct CopyStats
{
	int64		count;
	int64		size;
	char	   *columns;		/* as JSON */
} CopyStats;

static void
RunCopy(EngineConn *conn, const char *query, const char *path, const char *options,
		CopyStats *stats)
{
	char	   *sql = psprintf("COPY (%s) TO %s %s", query,
							   EngineQuoteLiteral(EnginePath(LakeWritePath(path))), options);
	EngineResult *result;
	WireChunk  *chunk;
	ErrorContextCallback callback;

	memset(stats, 0, sizeof(*stats));
	Enter(&callback, sql);
	result = EngineExecute(conn, sql, NULL, 0);
	chunk = EngineFetch(result);
	if (chunk == NULL || chunk->nrows != 1)
		elog(ERROR, "engine did not describe the file that it wrote");
	for (int i = 0; i < EngineResultColumns(result); i++)
	{
		const char *name = EngineResultName(result, i);

		if (strcmp(name, "count") == 0)
			stats->count = IntAt(chunk, i, 0);
		else if (strcmp(name, "file_size_bytes") == 0)
			stats->size = IntAt(chunk, i, 0);
		else if (strcmp(name, "column_statistics") == 0)
			stats->columns = TextAt(chunk, i, 0);
	}
	EngineFinish(result);
	Leave(&callback);
}

/*
 * How many rows the engine gathers before it writes them.  It needs several times
 * as much memory as they take, and so does who reads them.
 */
static int
GroupRows(int64 row_bytes)
{
	int64		rows = Max(ChangesPortion() / 4, LEAST_GROUP_BYTES) / Max(row_bytes, 1);

	return (int) Max(Min(rows, GROUP_ROWS) / CHUNK_ROWS * CHUNK_ROWS, CHUNK_ROWS);
}

static IcebergFile *
WriteOne(EngineConn *conn, const LakeTable *table, const IcebergSchema *schema,
		 const char *query, int64 row_bytes, bool sorted)
{
	char	   *path = LakeNewDataFile(table, ".parquet");
	CopyStats	stats;
	IcebergFile *file;

	SHARD_POINT("pipeline-before-file");
	RunCopy(conn, psprintf("SELECT %s FROM (%s)", LakeCopyColumns(schema), query), path,
			LakeCopyOptions(schema, sorted, GroupRows(row_bytes)), &stats);
	SHARD_POINT("pipeline-after-file");
	LakeSyncFile(path);
	file = LakeFileFromCopyStats(schema, path, stats.count, stats.size, stats.columns);
	file->spec_id = table->metadata->default_spec_id;
	if (sorted && table->metadata->default_sort_order_id > 0)
		file->sort_order_id = table->metadata->default_sort_order_id;
	return file;
}

/* ---- rows that stand in a temporary table, in the order of their rowid ---- */

/* A stretch of rows that belong to one partition. */
typedef struct Stretch
{
	int64		from;
	int64		to;
	int			npartition;
	IcebergPartitionValue *partition;
} Stretch;

static Stretch *
WholeStretch(int64 nrows)
{
	Stretch    *stretch = palloc0(sizeof(Stretch));

	stretch->to = nrows;
	return stretch;
}

/* The stretches of a table whose rows are sorted by their partition columns. */
static List *
FindStretches(EngineConn *conn, const LakeTable *table, const char *relation, int64 nrows)
{
	const IcebergSpec *spec = LakeDefaultSpec(table->metadata);
	List	   *stretches = NIL;
	EngineResult *result;
	WireChunk  *chunk;
	char	   *columns;

	if (spec->nfields == 0)
		return list_make1(WholeStretch(nrows));
	columns = LakePartitionNames(spec);
	result = EngineExecute(conn, psprintf("SELECT min(rowid), max(rowid) + 1, %s FROM %s GROUP BY %s"
										  " ORDER BY 1", columns, relation, columns), NULL, 0);
	while ((chunk = EngineFetch(result)) != NULL)
	{
		for (int row = 0; row < chunk->nrows; row++)
		{
			Stretch    *stretch = palloc0(sizeof(Stretch));

			stretch->from = IntAt(chunk, 0, row);
			stretch->to = IntAt(chunk, 1, row);
			stretch->partition = LakePartitionOfRow(table->metadata, spec, chunk, 2, row);
			stretch->npartition = spec->nfields;
			stretches = lappend(stretches, stretch);
		}
	}
	EngineFinish(result);
	return stretches;
}

List *
FilesWriteRows(EngineConn *conn, const LakeTable *table, const IcebergSchema *schema,
			   const char *relation, int64 nrows, int64 row_bytes, int64 rows_per_file,
			   bool sorted)
{
	List	   *files = NIL;
	ListCell   *lc;

	foreach(lc, FindStretches(conn, table, relation, nrows))
	{
		Stretch    *stretch = (Stretch *) lfirst(lc);
		int64		n = stretch->to - stretch->from;
		int64		pieces = Max((n + rows_per_file / 2) / rows_per_file, 1);

		for (int64 i = 0; i < pieces; i++)
		{
			PlacedFile *placed = palloc0(sizeof(PlacedFile));

			placed->from = stretch->from + n * i / pieces;
			placed->to = stretch->from + n * (i + 1) / pieces;
			placed->file = WriteOne(conn, table, schema,
									psprintf("SELECT * FROM %s WHERE rowid >= " INT64_FORMAT
											 " AND rowid < " INT64_FORMAT " ORDER BY rowid",
											 relation, placed->from, placed->to),
									row_bytes, sorted);
			placed->file->npartition = stretch->npartition;
			placed->file->partition = stretch->partition;
			files = lappend(files, placed);
		}
	}
	return files;
}

static List *
FilesOf(List *placed)
{
	List	   *files = NIL;
	ListCell   *lc;

	foreach(lc, placed)
		files = lappend(files, ((PlacedFile *) lfirst(lc))->file);
	return files;
}

/*
 * Each portion of a partitioned table would make a file of each partition, and each
 * portion of any table a file from its first key to its last, so that no file can be
 * pruned by the key.  But rows can be so wide that the engine could not hold the few
 * thousand which it takes at a time, and so many that sorting them all would go
 * through its files on disk again and again.
 */
bool
FilesAtOnce(const LakeTable *table, int portions, int64 row_bytes)
{
	return portions <= 1 ||
		(row_bytes * CHUNK_ROWS <= ChangesPortion() / 2 &&
		 (portions <= PORTIONS_AT_ONCE || LakeDefaultSpec(table->metadata)->nfields > 0));
}

/*
 * Strings as they are, what is nested as text: near enough.
 */
int64
FilesRowBytes(EngineConn *conn, const IcebergSchema *schema, const char *relation)
{
	StringInfoData sum;
	int			width = 0;

	initStringInfo(&sum);
	for (int i = 0; i < schema->nfields; i++)
	{
		const IcebergField *field = &schema->fields[i];

		width += 16;
		if (!field->primitive || LakeKindWidth(field->type.kind) == 0)
			appendStringInfo(&sum, " + coalesce(%s(%s), 0)",
							 field->primitive && field->type.kind == LAKE_BINARY ? "octet_length" : "strlen",
							 field->primitive ? psprintf("f%d", field->id) :
							 psprintf("CAST(f%d AS VARCHAR)", field->id));
	}
	return EngineInt(conn, "SELECT avg(%d%s)::BIGINT FROM %s", width, sum.data, relation);
}

/* The query in the order of the table. */
static char *
InOrder(const LakeTable *table, const IcebergSchema *schema, const char *query)
{
	char	   *order = LakeSortColumns(table->metadata, schema);

	return order == NULL ? pstrdup(query) : psprintf("SELECT * FROM (%s) ORDER BY %s", query, order);
}

List *
FilesWriteData(EngineConn *conn, const LakeTable *table, const IcebergSchema *schema,
			   const char *query, int64 nrows, int64 row_bytes, bool sorted)
{
	const IcebergSpec *spec = LakeDefaultSpec(table->metadata);
	const char *relation = "pipeline_rows";
	List	   *files;

	if (nrows == 0)
		return NIL;
	if (sorted)
		query = InOrder(table, schema, query);
	if (nrows <= FILE_ROWS + FILE_ROWS / 4 && spec->nfields == 0)
		return list_make1(WriteOne(conn, table, schema, query, row_bytes, sorted));
	EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE pipeline_rows AS %s", query);
	if (spec->nfields > 0)
	{
		relation = "pipeline_parts";
		EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE pipeline_parts AS SELECT *, %s"
				   " FROM pipeline_rows ORDER BY %s, rowid",
				   LakePartitionColumns(table->metadata, spec, schema), LakePartitionNames(spec));
	}
	files = FilesOf(FilesWriteRows(conn, table, schema, relation, nrows, row_bytes, FILE_ROWS,
								   sorted));
	EngineRunF(conn, "DROP TABLE IF EXISTS pipeline_parts");
	EngineRunF(conn, "DROP TABLE IF EXISTS pipeline_rows");
	return files;
}

/* ---- position deletes ---- */

static IcebergFile *
WriteDeletes(EngineConn *conn, const LakeTable *table, const char *relation)
{
	char	   *path = LakeNewDataFile(table, "-deletes.parquet");
	CopyStats	copy;

	/* By the path's rank: that costs less than half of sorting a million long paths. */
	EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE pipeline_paths AS"
			   " SELECT _file, row_number() OVER (ORDER BY _file) AS rank"
			   " FROM (SELECT DISTINCT _file FROM %s)", relation);
	SHARD_POINT("pipeline-before-delete-file");
	RunCopy(conn, psprintf("SELECT r._file AS file_path, r._pos AS pos FROM %s AS r"
						   " JOIN pipeline_paths AS p ON r._file = p._file ORDER BY p.rank, r._pos", relation),
			path, LakeDeleteCopyOptions(), &copy);
	SHARD_POINT("pipeline-after-delete-file");
	EngineRunF(conn, "DROP TABLE pipeline_paths");
	LakeSyncFile(path);
	return LakeDeleteFileFromCopyStats(path, copy.count, copy.size, copy.columns);
}

/* Put the path of each data file, by its number, into the engine. */
static void
NumberFiles(EngineConn *conn, const List *groups)
{
	StringInfoData sql;
	ListCell   *group;
	bool		first = true;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "CREATE OR REPLACE TEMP TABLE pipeline_groups AS"
						   " SELECT unnest([");
	foreach(group, groups)
	{
		ListCell   *lc;

		foreach(lc, (List *) lfirst(group))
		{
			appendStringInfo(&sql, "%s{'path': %s, 'number': %d}", first ? "" : ", ",
							 EngineQuoteLiteral(((IcebergFile *) lfirst(lc))->path),
							 foreach_current_index(group));
			first = false;
		}
	}
	appendStringInfoString(&sql, "], recursive := true)");
	EngineRunF(conn, "%s", sql.data);
}

/* The numbers of the groups that deletes are about. */
static List *
GroupsHit(EngineConn *conn, const char *relation)
{
	List	   *numbers = NIL;
	EngineResult *result;
	WireChunk  *chunk;

	result = EngineExecute(conn, psprintf("SELECT DISTINCT g.number::BIGINT FROM %s AS r"
										  " JOIN pipeline_groups AS g ON r._file = g.path ORDER BY 1",
										  relation), NULL, 0);
	while ((chunk = EngineFetch(result)) != NULL)
		for (int row = 0; row < chunk->nrows; row++)
			numbers = lappend_int(numbers, (int) IntAt(chunk, 0, row));
	EngineFinish(result);
	return numbers;
}

List *
FilesWriteDeletes(EngineConn *conn, const LakeTable *table, const char *relation,
				  const List *new_files)
{
	List	   *groups;
	List	   *files = NIL;
	ListCell   *lc;

	if (EngineInt(conn, "SELECT count(*) FROM %s", relation) == 0)
		return NIL;
	groups = LakeFilesByPartition(table, new_files);
	if (list_length(groups) == 1)
	{
		IcebergFile *file = WriteDeletes(conn, table, relation);

		LakeCopyPartition(file, (IcebergFile *) linitial((List *) linitial(groups)));
		return list_make1(file);
	}
	NumberFiles(conn, groups);
	foreach(lc, GroupsHit(conn, relation))
	{
		int			number = lfirst_int(lc);
		IcebergFile *file = WriteDeletes(conn, table,
										 psprintf("(SELECT r.* FROM %s AS r JOIN pipeline_groups AS g"
												  " ON r._file = g.path WHERE g.number = %d)",
												  relation, number));

		LakeCopyPartition(file, (IcebergFile *) linitial((List *) list_nth(groups, number)));
		files = lappend(files, file);
	}
	EngineRunF(conn, "DROP TABLE pipeline_groups");
	return files;
}
