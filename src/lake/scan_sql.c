/*
 * scan_sql.c
 *		Engine SQL for the rows of a planned scan.
 *
 * One read_parquet() over the files without deletes and one over those with,
 * each with the table's columns by field id, so that a column that was renamed,
 * widened or added later is read right from every file.  In tables of other
 * programs, files of different identity partitions are read apart, since their
 * partition columns are constants that the files need not hold; and so are files
 * without field ids, whose columns go by name.  file_row_number and
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

/* Files that one read_parquet() reads. */
typedef struct ScanFiles
{
	bool		with_deletes;
	const IcebergFile *partition;	/* has the partition values of all; NULL = no constants */
	List	   *names;			/* without field ids: the columns' names; NIL = by id */
	List	   *paths;			/* of char *, in the engine */
	List	   *prefixes;		/* of PathPrefix * */
} ScanFiles;

/* ---- files ---- */

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

/* The identity partition field over a column; NULL if there is none. */
static const IcebergPartitionField *
IdentityField(const IcebergSpec *spec, int source_id)
{
	for (int i = 0; spec != NULL && i < spec->nfields; i++)
		if (spec->fields[i].source_id == source_id &&
			strcmp(spec->fields[i].transform, "identity") == 0)
			return &spec->fields[i];
	return NULL;
}

static bool
HasIdentity(const IcebergSpec *spec)
{
	for (int i = 0; spec != NULL && i < spec->nfields; i++)
		if (strcmp(spec->fields[i].transform, "identity") == 0)
			return true;
	return false;
}

static IcebergBytes
PartitionValue(const IcebergFile *file, int field_id)
{
	IcebergBytes null = {NULL, 0};

	for (int i = 0; i < file->npartition; i++)
		if (file->partition[i].field_id == field_id)
			return file->partition[i].value;
	return null;
}

static bool
SameValue(IcebergBytes a, IcebergBytes b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool
SameConstants(const IcebergMetadata *metadata, const IcebergFile *a, const IcebergFile *b)
{
	const IcebergSpec *spec;

	if (a == NULL || b == NULL)
		return a == b;
	if (a->spec_id != b->spec_id)
		return false;
	spec = IcebergSpecById(metadata, a->spec_id);
	for (int i = 0; i < spec->nfields; i++)
		if (strcmp(spec->fields[i].transform, "identity") == 0 &&
			!SameValue(PartitionValue(a, spec->fields[i].field_id),
					   PartitionValue(b, spec->fields[i].field_id)))
			return false;
	return true;
}

static bool
SameNames(const List *a, const List *b)
{
	ListCell   *x;
	ListCell   *y;

	if (list_length(a) != list_length(b))
		return false;
	forboth(x, a, y, b)
		if (strcmp((char *) lfirst(x), (char *) lfirst(y)) != 0)
			return false;
	return true;
}

/* The group that a file belongs to, made if it is the first of it. */
static ScanFiles *
GroupFor(List **groups, const IcebergMetadata *metadata, const IcebergFile *partition,
		 bool with_deletes, List *names)
{
	ScanFiles  *group;

	/* from the end: files of one partition mostly come together */
	for (int i = list_length(*groups) - 1; i >= 0; i--)
	{
		group = (ScanFiles *) list_nth(*groups, i);
		if (group->with_deletes == with_deletes && SameNames(group->names, names) &&
			SameConstants(metadata, group->partition, partition))
			return group;
	}
	group = palloc0(sizeof(ScanFiles));
	group->with_deletes = with_deletes;
	group->partition = partition;
	group->names = names;
	*groups = lappend(*groups, group);
	return group;
}

static List *
NamesOfFile(HTAB *by_name, const char *path)
{
	LakeFileNames *entry = by_name == NULL ? NULL : hash_search(by_name, &path, HASH_FIND, NULL);

	return entry == NULL ? NIL : entry->names;
}

/* The groups of a scan's files, of ScanFiles *. */
static List *
GroupFiles(const LakeScan *scan)
{
	const IcebergMetadata *metadata = scan->table->metadata;
	HTAB	   *by_name = LakeFilesByName(scan);
	List	   *groups = NIL;
	int			next = 0;		/* scan->deletes is in the order of scan->files */
	ListCell   *lc;

	foreach(lc, scan->files)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);
		bool		constants = HasIdentity(IcebergSpecById(metadata, file->spec_id));
		bool		with_deletes = next < scan->ndeletes &&
			strcmp(scan->deletes[next].data_path, file->path) == 0;
		ScanFiles  *group;
		char	   *path;

		next += with_deletes;
		LakeCheckAccess(file->path);
		path = EnginePath(LakeLocalPath(file->path));
		group = GroupFor(&groups, metadata, constants ? file : NULL, with_deletes,
						 NamesOfFile(by_name, path));
		group->paths = lappend(group->paths, path);
		AddPrefix(group, path, file->path);
	}
	return groups;
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

/* The partition value that a column has in all files of a group; NULL if none. */
static char *
Constant(const LakeScan *scan, const ScanFiles *files, const IcebergField *field)
{
	const IcebergPartitionField *identity;

	if (files->partition == NULL)
		return NULL;
	identity = IdentityField(IcebergSpecById(scan->table->metadata, files->partition->spec_id),
							 field->id);
	if (identity == NULL)
		return NULL;
	return LakeLiteral(field->type, PartitionValue(files->partition, identity->field_id));
}

/* A column of files without field ids: the first of its names that they have. */
static char *
ByName(const LakeScan *scan, const ScanFiles *files, const IcebergField *field)
{
	IcebergBytes null = {NULL, 0};
	char		type[64];
	ListCell   *name;
	ListCell   *there;

	foreach(name, LakeNamesOfField(scan->table->metadata, field->id))
		foreach(there, files->names)
			if (strcmp((char *) lfirst(name), (char *) lfirst(there)) == 0)
				return psprintf("CAST(%s AS %s)", EngineQuoteIdentifier((char *) lfirst(name)),
								LakeTypeEngineName(field->type, type, sizeof(type)));
	return LakeLiteral(field->type, null);
}

static void
AppendSchema(StringInfo sql, const LakeScan *scan, const ScanFiles *files, const int *field_ids,
			 int nfields)
{
	char		type[64];
	int			n = 0;

	if (files->names != NIL)
		return;
	for (int i = 0; i < nfields; i++)
	{
		const IcebergField *field = FieldToRead(scan, field_ids[i]);

		if (Constant(scan, files, field) != NULL)
			continue;
		appendStringInfo(sql, "%s%d: {name: 'f%d', type: '%s', default_value: %s}",
						 n++ == 0 ? ", schema = MAP {" : ", ", field->id, field->id,
						 LakeTypeEngineName(field->type, type, sizeof(type)),
						 LakeDefaultLiteral(field));
	}
	if (n > 0)
		appendStringInfoChar(sql, '}');
}

/* One column of a group's SELECT list. */
static void
AppendColumn(StringInfo sql, const LakeScan *scan, const ScanFiles *files, int field_id)
{
	const IcebergField *field = FieldToRead(scan, field_id);
	char	   *constant = Constant(scan, files, field);

	if (constant != NULL)
		appendStringInfo(sql, "%s AS f%d", constant, field_id);
	else if (files->names != NIL)
		appendStringInfo(sql, "%s AS f%d", ByName(scan, files, field), field_id);
	else
		appendStringInfo(sql, "f%d", field_id);
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
AppendColumns(StringInfo sql, const LakeScan *scan, const ScanFiles *files,
			  const int *field_ids, int nfields, bool positions)
{
	for (int i = 0; i < nfields; i++)
	{
		appendStringInfoString(sql, i == 0 ? "" : ", ");
		AppendColumn(sql, scan, files, field_ids[i]);
	}
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
AppendGroup(StringInfo sql, const LakeScan *scan, const ScanFiles *files, const int *field_ids,
			int nfields, bool positions)
{
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT ");
	AppendColumns(sql, scan, files, field_ids, nfields, positions);
	appendStringInfoString(sql, " FROM read_parquet([");
	foreach(lc, files->paths)
		appendStringInfo(sql, "%s%s", foreach_current_index(lc) == 0 ? "" : ", ",
						 EngineQuoteLiteral((char *) lfirst(lc)));
	appendStringInfoChar(sql, ']');
	AppendSchema(sql, scan, files, field_ids, nfields);
	appendStringInfoChar(sql, ')');
	if (files->with_deletes)
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
	List	   *groups = GroupFiles(scan);
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoChar(&sql, '(');
	if (groups == NIL)
		AppendNoRows(&sql, scan, field_ids, nfields, positions);
	foreach(lc, groups)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&sql, " UNION ALL ");
		AppendGroup(&sql, scan, (const ScanFiles *) lfirst(lc), field_ids, nfields, positions);
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}
