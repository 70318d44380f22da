/*
 * files.c
 *		Has the engine write Parquet files, and describes them for the manifest.
 *
 * The engine's COPY flushes neither the file nor its directory, so each file is
 * synced here before anybody points to it.
 */
#include "postgres.h"

#include "base/points.h"
#include "lib/stringinfo.h"
#include "pipeline/files.h"
#include "utils/builtins.h"

/* Rows of a data file; more make another one. */
#define FILE_ROWS (2 * 1024 * 1024)

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
							   EngineQuoteLiteral(EnginePath(path)), options);
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

static IcebergFile *
WriteOne(EngineConn *conn, const LakeTable *table, const IcebergSchema *schema,
		 const char *query)
{
	char	   *path = LakeNewDataFile(table, ".parquet");
	CopyStats	stats;
	IcebergFile *file;

	SHARD_POINT("pipeline-before-file");
	RunCopy(conn, psprintf("SELECT %s FROM (%s)", LakeCopyColumns(schema), query), path,
			LakeCopyOptions(schema), &stats);
	SHARD_POINT("pipeline-after-file");
	LakeSyncFile(path);
	file = LakeFileFromCopyStats(schema, path, stats.count, stats.size, stats.columns);
	return file;
}

List *
FilesWriteData(EngineConn *conn, const LakeTable *table, const IcebergSchema *schema,
			   const char *query, int64 nrows, bool sorted)
{
	List	   *files = NIL;

	if (nrows == 0)
		return NIL;
	if (nrows <= FILE_ROWS + FILE_ROWS / 4)
		files = list_make1(WriteOne(conn, table, schema, query));
	else
	{
		EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE pipeline_rows AS %s", query);
		for (int64 from = 0; from < nrows; from += FILE_ROWS)
			files = lappend(files,
							WriteOne(conn, table, schema,
									 psprintf("SELECT * FROM pipeline_rows WHERE rowid >= " INT64_FORMAT
											  " AND rowid < " INT64_FORMAT, from, from + FILE_ROWS)));
		EngineRunF(conn, "DROP TABLE pipeline_rows");
	}
	if (sorted && table->metadata->default_sort_order_id > 0)
	{
		ListCell   *lc;

		foreach(lc, files)
			((IcebergFile *) lfirst(lc))->sort_order_id = table->metadata->default_sort_order_id;
	}
	return files;
}

IcebergFile *
FilesWriteDeletes(EngineConn *conn, const LakeTable *table, const char *relation)
{
	char	   *path;
	CopyStats	copy;

	if (EngineInt(conn, "SELECT count(*) FROM %s", relation) == 0)
		return NULL;
	path = LakeNewDataFile(table, "-deletes.parquet");
	SHARD_POINT("pipeline-before-delete-file");
	RunCopy(conn, psprintf("SELECT _file AS file_path, _pos AS pos FROM %s ORDER BY 1, 2", relation),
			path, LakeDeleteCopyOptions(), &copy);
	SHARD_POINT("pipeline-after-delete-file");
	LakeSyncFile(path);

	return LakeDeleteFileFromCopyStats(path, copy.count, copy.size, copy.columns);
}
