/*
 * scan_sql.c
 *		Engine SQL for the rows of a planned scan.
 *
 * One read_parquet() over the files without deletes and one over those with,
 * each with the table's columns by field id, so that a column that was renamed,
 * widened or added later is read right from every file.  file_row_number and
 * filename are read as the virtual columns that they are: asked for by option,
 * they bring DuckDB 1.5 down at a file without field ids.
 */
#include "postgres.h"

#include "lake/internal.h"
#include "lake/io/io.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

/* How paths in manifests and in the engine differ: by what they begin with. */
typedef struct PathPrefix
{
	const char *engine;
	int			engine_len;
	const char *manifest;
	int			manifest_len;
} PathPrefix;

typedef struct ScanFiles
{
	List	   *paths;			/* of char *, in the engine */
	List	   *prefixes;		/* of PathPrefix * */
} ScanFiles;

/*
 * Remember how to come from the engine's path of a file back to the
 * manifest's: cut both where they begin to be the same to their end.
 */
static void
AddPrefix(ScanFiles *files, const char *engine, const char *manifest)
{
	int			e = (int) strlen(engine);
	int			m = (int) strlen(manifest);
	PathPrefix *prefix;
	ListCell   *lc;

	while (e > 0 && m > 0 && engine[e - 1] == manifest[m - 1])
	{
		e--;
		m--;
	}
	foreach(lc, files->prefixes)
	{
		prefix = (PathPrefix *) lfirst(lc);
		if (prefix->engine_len == e && prefix->manifest_len == m &&
			memcmp(prefix->engine, engine, e) == 0 && memcmp(prefix->manifest, manifest, m) == 0)
			return;
	}
	prefix = palloc(sizeof(PathPrefix));
	prefix->engine = engine;
	prefix->engine_len = e;
	prefix->manifest = manifest;
	prefix->manifest_len = m;
	files->prefixes = lappend(files->prefixes, prefix);
}

static void
AddFile(ScanFiles *files, const IcebergFile *file)
{
	char	   *path;

	LakeCheckAccess(file->path);
	path = EnginePath(LakeLocalPath(file->path));
	files->paths = lappend(files->paths, path);
	AddPrefix(files, path, file->path);
}

static void
SplitFiles(const LakeScan *scan, ScanFiles *plain, ScanFiles *with_deletes)
{
	int			next = 0;		/* scan->deletes is in the order of scan->files */
	ListCell   *lc;

	memset(plain, 0, sizeof(*plain));
	memset(with_deletes, 0, sizeof(*with_deletes));
	foreach(lc, scan->files)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);

		if (next < scan->ndeletes && strcmp(scan->deletes[next].data_path, file->path) == 0)
		{
			AddFile(with_deletes, file);
			next++;
		}
		else
			AddFile(plain, file);
	}
}

/* ---- columns ---- */

static const IcebergField *
FieldToRead(const LakeScan *scan, int field_id)
{
	const IcebergField *field = IcebergFieldById(scan->schema, field_id);

	if (field == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("lake table has no column with field id %d", field_id)));
	if (!field->primitive)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of Iceberg type %s cannot be read",
						field->name, field->type_json)));
	return field;
}

/*
 * The value of a column in files that were written before it was added, as an
 * engine literal: null but for format version 3, whose default is JSON.
 */
static char *
DefaultLiteral(const IcebergField *field)
{
	const char *json = field->initial_default_json;
	int			len;

	if (json == NULL)
		return "NULL";
	len = (int) strlen(json);
	if (field->type.kind == LAKE_TIMESTAMPTZ || field->type.kind == LAKE_BINARY ||
		json[0] == '[' || json[0] == '{' || memchr(json, '\\', len) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has an initial default that cannot be read: %s",
						field->name, json)));
	if (json[0] == '"')
		return EngineQuoteLiteral(pnstrdup(json + 1, len - 2));
	return EngineQuoteLiteral(json);
}

static void
AppendSchema(StringInfo sql, const LakeScan *scan, const int *field_ids, int nfields)
{
	char		type[64];

	if (nfields == 0)
		return;
	appendStringInfoString(sql, ", schema = MAP {");
	for (int i = 0; i < nfields; i++)
	{
		const IcebergField *field = FieldToRead(scan, field_ids[i]);

		appendStringInfo(sql, "%s%d: {name: 'f%d', type: '%s', default_value: %s}",
						 i == 0 ? "" : ", ", field->id, field->id,
						 LakeTypeEngineName(field->type, type, sizeof(type)),
						 DefaultLiteral(field));
	}
	appendStringInfoChar(sql, '}');
}

/* The path as in the manifests, from the engine's. */
static void
AppendFileColumn(StringInfo sql, const ScanFiles *files)
{
	ListCell   *lc;

	appendStringInfoString(sql, "CASE");
	foreach(lc, files->prefixes)
	{
		PathPrefix *prefix = (PathPrefix *) lfirst(lc);

		if (prefix->engine_len == 0 && prefix->manifest_len == 0)
			appendStringInfoString(sql, " WHEN true THEN filename");
		else
			appendStringInfo(sql, " WHEN starts_with(filename, %s) THEN %s || substr(filename, %d)",
							 EngineQuoteLiteral(pnstrdup(prefix->engine, prefix->engine_len)),
							 EngineQuoteLiteral(pnstrdup(prefix->manifest, prefix->manifest_len)),
							 pg_mbstrlen_with_len(prefix->engine, prefix->engine_len) + 1);
	}
	appendStringInfoString(sql, " END AS _file");
}

static void
AppendColumns(StringInfo sql, const ScanFiles *files, const int *field_ids, int nfields,
			  bool positions)
{
	for (int i = 0; i < nfields; i++)
		appendStringInfo(sql, "%sf%d", i == 0 ? "" : ", ", field_ids[i]);
	if (positions)
	{
		if (nfields > 0)
			appendStringInfoString(sql, ", ");
		if (list_length(files->prefixes) == 1 &&
			((PathPrefix *) linitial(files->prefixes))->engine_len == 0 &&
			((PathPrefix *) linitial(files->prefixes))->manifest_len == 0)
			appendStringInfoString(sql, "filename AS _file");
		else
			AppendFileColumn(sql, files);
		appendStringInfoString(sql, ", file_row_number AS _pos");
	}
	else if (nfields == 0)
		appendStringInfoString(sql, "NULL::BOOLEAN AS _none");
}

static void
AppendBranch(StringInfo sql, const LakeScan *scan, const ScanFiles *files, const int *field_ids,
			 int nfields, bool positions, bool with_deletes)
{
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT ");
	AppendColumns(sql, files, field_ids, nfields, positions);
	appendStringInfoString(sql, " FROM read_parquet([");
	foreach(lc, files->paths)
		appendStringInfo(sql, "%s%s", foreach_current_index(lc) == 0 ? "" : ", ",
						 EngineQuoteLiteral((char *) lfirst(lc)));
	appendStringInfoChar(sql, ']');
	AppendSchema(sql, scan, field_ids, nfields);
	appendStringInfoChar(sql, ')');
	if (with_deletes)
		appendStringInfoString(sql, " WHERE shard_live(filename, file_row_number)");
}

static void
AppendNoRows(StringInfo sql, const LakeScan *scan, const int *field_ids, int nfields,
			 bool positions)
{
	char		type[64];

	appendStringInfoString(sql, "SELECT ");
	for (int i = 0; i < nfields; i++)
		appendStringInfo(sql, "%sNULL::%s AS f%d", i == 0 ? "" : ", ",
						 LakeTypeEngineName(FieldToRead(scan, field_ids[i])->type, type, sizeof(type)),
						 field_ids[i]);
	if (positions)
		appendStringInfo(sql, "%sNULL::VARCHAR AS _file, NULL::BIGINT AS _pos",
						 nfields == 0 ? "" : ", ");
	else if (nfields == 0)
		appendStringInfoString(sql, "NULL::BOOLEAN AS _none");
	appendStringInfoString(sql, " WHERE false");
}

char *
LakeScanSql(const LakeScan *scan, const int *field_ids, int nfields, bool positions)
{
	StringInfoData sql;
	ScanFiles	plain;
	ScanFiles	with_deletes;

	SplitFiles(scan, &plain, &with_deletes);
	initStringInfo(&sql);
	appendStringInfoChar(&sql, '(');
	if (plain.paths == NIL && with_deletes.paths == NIL)
		AppendNoRows(&sql, scan, field_ids, nfields, positions);
	if (plain.paths != NIL)
		AppendBranch(&sql, scan, &plain, field_ids, nfields, positions, false);
	if (plain.paths != NIL && with_deletes.paths != NIL)
		appendStringInfoString(&sql, " UNION ALL ");
	if (with_deletes.paths != NIL)
		AppendBranch(&sql, scan, &with_deletes, field_ids, nfields, positions, true);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}
