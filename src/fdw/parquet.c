/*
 * parquet.c
 *		Parquet files read as they are, without a table format over them.
 *
 * What a foreign table with the option "parquet" reads: a file or all files
 * that a pattern matches.  The schema is that of the files, as the engine sees
 * it; columns are found by name.
 */
#include "postgres.h"

#include <glob.h>
#include <sys/stat.h>

#include "client/engine.h"
#include "fdw/parquet.h"
#include "lib/stringinfo.h"
#include "wire/frame.h"

List *
ExpandPattern(const char *pattern)
{
	glob_t		found;
	List	   *files = NIL;
	int			rc = glob(pattern, 0, NULL, &found);

	if (rc == 0)
	{
		for (size_t i = 0; i < found.gl_pathc; i++)
			files = lappend(files, pstrdup(found.gl_pathv[i]));
		globfree(&found);
	}
	else if (rc == GLOB_NOSPACE)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return files;
}

/* "['/a.parquet', '/b.parquet']", in the engine's names */
static char *
FileList(List *files)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	appendStringInfoChar(&list, '[');
	foreach(lc, files)
		appendStringInfo(&list, "%s%s", foreach_current_index(lc) > 0 ? ", " : "",
						 EngineQuoteLiteral(EnginePath(lfirst(lc))));
	appendStringInfoChar(&list, ']');
	return list.data;
}

static IcebergField
FieldFromResult(EngineResult *result, int col)
{
	IcebergField field = {0};
	char		name[64];

	field.id = col + 1;
	field.name = pstrdup(EngineResultName(result, col));
	field.type = EngineResultType(result, col);
	field.primitive = true;
	field.type_json = pstrdup(field.type.kind == LAKE_JSON ? "nested"
							  : LakeTypeIcebergName(field.type, name, sizeof(name)));
	return field;
}

IcebergSchema *
ParquetSchema(List *files)
{
	IcebergSchema *schema = palloc0(sizeof(IcebergSchema));
	EngineConn *conn = EngineAcquire();
	EngineResult *result;

	result = EngineQuery(conn,
						 psprintf("SELECT * FROM read_parquet(%s, hive_partitioning = " ENGINE_FALSE ") LIMIT 0",
								  FileList(files)), NULL, 0);
	schema->nfields = EngineResultColumns(result);
	schema->fields = palloc0(Max(schema->nfields, 1) * sizeof(IcebergField));
	for (int i = 0; i < schema->nfields; i++)
		schema->fields[i] = FieldFromResult(result, i);
	EngineFinish(result);
	EngineRelease(conn);
	return schema;
}

static int64
TotalRows(List *files)
{
	EngineConn *conn = EngineAcquire();
	EngineResult *result;
	WireChunk  *chunk;
	int64		rows = 0;

	result = EngineQuery(conn,
						 psprintf("SELECT CAST(sum(num_rows) AS BIGINT) FROM parquet_file_metadata(%s)",
								  FileList(files)), NULL, 0);
	chunk = EngineFetch(result);
	if (chunk != NULL && chunk->nrows > 0 && !ChunkIsNull(chunk, 0, 0))
		memcpy(&rows, ChunkGetFixed(chunk, 0, 0), sizeof(rows));
	EngineFinish(result);
	EngineRelease(conn);
	return rows;
}

void
ParquetTotals(List *files, int64 *rows, int64 *bytes)
{
	ListCell   *lc;

	*bytes = 0;
	foreach(lc, files)
	{
		struct stat st;

		if (stat(lfirst(lc), &st) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat file \"%s\": %m", (char *) lfirst(lc))));
		*bytes += st.st_size;
	}
	*rows = TotalRows(files);
}

/*
 * A column in the one engine type that its lake type stands for: files have
 * others, too, such as 16-bit integers and nanoseconds.
 */
static void
AppendColumn(StringInfo sql, const IcebergField *field)
{
	char		type[64];
	char	   *name = EngineQuoteIdentifier(field->name);

	if (field->type.kind == LAKE_JSON)
		appendStringInfo(sql, "%s AS f%d", name, field->id);
	else
		appendStringInfo(sql, "CAST(%s AS %s) AS f%d", name,
						 LakeTypeEngineName(field->type, type, sizeof(type)), field->id);
}

char *
ParquetScanSql(List *files, const IcebergSchema *schema, const int *field_ids, int n)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "(SELECT ");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(&sql, i > 0 ? ", " : "");
		AppendColumn(&sql, IcebergFieldById(schema, field_ids[i]));
	}
	appendStringInfo(&sql, " FROM read_parquet(%s, hive_partitioning = " ENGINE_FALSE "))", FileList(files));
	return sql.data;
}
