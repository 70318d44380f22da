/*
 * names.c
 *		Columns of files without field ids, by the table's name mapping.
 *
 * A table that was made of existing files (migrated, or by adding files) has
 * the property schema.name-mapping.default, which tells the names that stand
 * for each field id.  Only for such a table the engine is asked which columns
 * its files have.
 */
#include "postgres.h"

#include "lake/iceberg/json.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"

static char *
TextAt(const WireChunk *chunk, int col, int row)
{
	size_t		len;
	const char *text = ChunkGetBytes(chunk, col, row, &len);

	return pnstrdup(text, len);
}

static int64
LongAt(const WireChunk *chunk, int col, int row, int64 null)
{
	int64		value = null;

	if (!ChunkIsNull(chunk, col, row))
		memcpy(&value, ChunkGetFixed(chunk, col, row), sizeof(value));
	return value;
}

/* Names of a file's columns while the engine lists its schema, depth first. */
typedef struct SchemaWalk
{
	LakeFileNames *file;
	bool		has_ids;
	int64		skip;			/* elements below a nested column that are to come */
} SchemaWalk;

static void
WalkElement(SchemaWalk *walk, const WireChunk *chunk, int row)
{
	int64		children = LongAt(chunk, 3, row, 0);

	if (LongAt(chunk, 4, row, 0) == 0)
		return;					/* the root */
	if (walk->skip > 0)
		walk->skip--;
	else
	{
		walk->has_ids |= !ChunkIsNull(chunk, 2, row);
		walk->file->names = lappend(walk->file->names, TextAt(chunk, 1, row));
	}
	walk->skip += children;
}

static void
EndFile(SchemaWalk *walk, HTAB *result)
{
	bool		found;
	LakeFileNames *entry;

	if (walk->file == NULL || walk->has_ids)
		return;
	entry = hash_search(result, &walk->file->path, HASH_ENTER, &found);
	*entry = *walk->file;
}

static char *
SchemaQuery(const LakeScan *scan, const List *files)
{
	LakeAccess *access = LakeAccessById(scan->table->metadata->access);
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT file_name, name, CAST(field_id AS BIGINT), "
						   "CAST(num_children AS BIGINT), CAST(column_id AS BIGINT) "
						   "FROM parquet_schema([");
	foreach(lc, files)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);

		LakeCheckAccess(access, file->path);
		appendStringInfo(&sql, "%s%s", foreach_current_index(lc) == 0 ? "" : ", ",
						 EngineQuoteLiteral(LakeEnginePath(access, file->path)));
	}
	appendStringInfoString(&sql, "]) ORDER BY file_name, column_id");
	return sql.data;
}

/* Those of some files that have no field ids, by engine path. */
static HTAB *
FilesWithoutIds(const LakeScan *scan, const List *files)
{
	HASHCTL		ctl = {0};
	HTAB	   *result;
	SchemaWalk	walk = {0};
	EngineConn *conn;
	EngineResult *rows;
	WireChunk  *chunk;

	LakePathSetControl(&ctl, sizeof(LakeFileNames));
	result = hash_create("shard lake file names", 64, &ctl,
						 HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
	conn = EngineAcquire();
	rows = EngineQuery(conn, SchemaQuery(scan, files), NULL, 0);
	while ((chunk = EngineFetch(rows)) != NULL)
	{
		for (int row = 0; row < chunk->nrows; row++)
		{
			char	   *path = TextAt(chunk, 0, row);

			if (walk.file == NULL || strcmp(walk.file->path, path) != 0)
			{
				EndFile(&walk, result);
				memset(&walk, 0, sizeof(walk));
				walk.file = palloc0(sizeof(LakeFileNames));
				walk.file->path = path;
			}
			WalkElement(&walk, chunk, row);
		}
	}
	EngineFinish(rows);
	EngineRelease(conn);
	EndFile(&walk, result);
	return result;
}

/*
 * A table of others without a name mapping whose files have no ids all the same
 * would seem to hold nothing but null.  One file is asked for, once.
 */
static void
CheckIds(const LakeScan *scan)
{
	static HTAB *checked = NULL;	/* of tables, by location */
	char	   *location = scan->table->metadata->location;
	IcebergFile *file = (IcebergFile *) linitial(scan->files);
	MemoryContext old;
	bool		found;

	old = MemoryContextSwitchTo(TopMemoryContext);
	if (checked == NULL)
		checked = LakePathSet();
	hash_search(checked, &location, HASH_FIND, &found);
	MemoryContextSwitchTo(old);
	if (found)
		return;
	if (hash_get_num_entries(FilesWithoutIds(scan, list_make1(file))) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lake file \"%s\" has no field ids", file->path),
				 errdetail("The table has no property \"%s\", which would say what its columns are.",
						   NAME_MAPPING)));
	location = MemoryContextStrdup(TopMemoryContext, location);
	hash_search(checked, &location, HASH_ENTER, NULL);
}

/*
 * The files of a scan that have no field ids, with their columns' names, by
 * engine path; NULL if the table needs no name mapping.
 */
HTAB *
LakeFilesByName(const LakeScan *scan)
{
	if (scan->files == NIL)
		return NULL;
	if (IcebergProperty(scan->table->metadata, NAME_MAPPING) != NULL)
		return FilesWithoutIds(scan, scan->files);
	if (IcebergProperty(scan->table->metadata, "shard.owner") == NULL)
		CheckIds(scan);
	return NULL;
}

/*
 * The names by which a column is known, of char *.
 */
List *
LakeNamesOfField(const IcebergMetadata *metadata, int field_id)
{
	const char *text = IcebergProperty(metadata, NAME_MAPPING);
	const Json *mapping = JsonParse(text, strlen(text), NAME_MAPPING);
	List	   *result = NIL;

	for (int i = 0; i < JsonSize(mapping); i++)
	{
		const Json *entry = JsonAt(mapping, i);
		const Json *id = JsonGet(entry, "field-id");
		const Json *names = JsonGet(entry, "names");

		if (!JsonIs(id, JSON_INTEGER) || JsonIntegerValue(id) != field_id)
			continue;
		for (int j = 0; j < JsonSize(names); j++)
			if (JsonStringValue(JsonAt(names, j)) != NULL)
				result = lappend(result, pstrdup(JsonStringValue(JsonAt(names, j))));
	}
	return result;
}
