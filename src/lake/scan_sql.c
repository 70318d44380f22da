/*
 * scan_sql.c
 *		Engine SQL for the rows of a planned scan.
 *
 * One read_parquet() over the files without deletes and one over those with,
 * each with the table's columns by field id, so that a column that was renamed,
 * widened or added later is read right from every file.  (Where nothing of that
 * has happened to a table of ours, the files are read as they are.)  In tables of other
 * programs, files of different identity partitions are read apart, since their
 * partition columns are constants that the files need not hold; and so are files
 * without field ids, whose columns go by name.  Files that the same equality
 * deletes apply to are read together, too, and left out by an anti-join with those
 * deletes' rows, in which null is equal to null.  file_row_number and
 * filename are read as the virtual columns that they are: asked for by option,
 * they bring DuckDB 1.5 down at a file without field ids.
 */
#include "postgres.h"

#include "lake/internal.h"
#include "lake/io/filecache.h"
#include "lake/io/io.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "wire/frame.h"

/* Wider tables are read by field ids: names are compared each with each. */
#define MAX_PLAIN_COLUMNS 200

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
	bool		plain;			/* our files, all of the table's one schema */
	List	   *equality;		/* of IcebergFile *: the equality deletes that apply to all */
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

static bool
SamePointers(const List *a, const List *b)
{
	ListCell   *x;
	ListCell   *y;

	if (list_length(a) != list_length(b))
		return false;
	forboth(x, a, y, b)
		if (lfirst(x) != lfirst(y))
			return false;
	return true;
}

/* The group that a file belongs to, made if it is the first of it. */
static ScanFiles *
GroupFor(List **groups, const IcebergMetadata *metadata, const IcebergFile *partition,
		 bool with_deletes, List *names, List *equality)
{
	ScanFiles  *group;

	/* from the end: files of one partition mostly come together */
	for (int i = list_length(*groups) - 1; i >= 0; i--)
	{
		group = (ScanFiles *) list_nth(*groups, i);
		if (group->with_deletes == with_deletes && SameNames(group->names, names) &&
			SamePointers(group->equality, equality) && SameConstants(metadata, group->partition, partition))
			return group;
	}
	group = palloc0(sizeof(ScanFiles));
	group->with_deletes = with_deletes;
	group->partition = partition;
	group->names = names;
	group->equality = equality;
	*groups = lappend(*groups, group);
	return group;
}

static List *
NamesOfFile(HTAB *by_name, const char *path)
{
	LakeFileNames *entry = by_name == NULL ? NULL : hash_search(by_name, &path, HASH_FIND, NULL);

	return entry == NULL ? NIL : entry->names;
}

/*
 * Would a name mean a virtual column of the engine's?
 */
static bool
IsVirtualName(const char *name)
{
	static const char *const names[] = {"filename", "file_row_number", "file_index", "rowid"};

	for (int i = 0; i < lengthof(names); i++)
		if (pg_strcasecmp(name, names[i]) == 0)
			return true;
	return false;
}

/*
 * Can the engine read the files as they are?  It plans that quicker than a mapping
 * by field ids, and knows the files' statistics.  It can, if we wrote them all in
 * the only schema that the table has had.
 */
static bool
IsPlain(const LakeScan *scan)
{
	const IcebergMetadata *metadata = scan->table->metadata;
	const IcebergSchema *schema = &metadata->schemas[0];

	if (metadata->nschemas != 1 || schema->nfields > MAX_PLAIN_COLUMNS || schema->schema_id != 0 || scan->schema->schema_id != 0 ||
		IcebergProperty(metadata, "shard.owner") == NULL || IcebergProperty(metadata, NAME_MAPPING) != NULL)
		return false;
	for (int i = 0; i < schema->nfields; i++)
		if (!schema->fields[i].primitive || IsVirtualName(schema->fields[i].name))
			return false;
	return true;
}

/* The groups of a scan's files, of ScanFiles *. */
static List *
GroupFiles(const LakeScan *scan)
{
	const IcebergMetadata *metadata = scan->table->metadata;
	LakeAccess *access = LakeAccessById(metadata->access);
	HTAB	   *by_name = LakeFilesByName(scan);
	bool		plain = IsPlain(scan);
	List	   *groups = NIL;
	int			next = 0;		/* scan->deletes is in the order of scan->files */
	ListCell   *lc;

	foreach(lc, scan->files)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);
		bool		constants = HasIdentity(IcebergSpecById(metadata, file->spec_id));
		bool		with_deletes = next < scan->ndeletes &&
			strcmp(scan->deletes[next].data_path,
				   file->written_path != NULL ? file->written_path : file->path) == 0;
		ScanFiles  *group;
		char	   *path;

		next += with_deletes;
		LakeCheckAccess(access, file->path);
		path = LakeEnginePath(access, file->path);
		group = GroupFor(&groups, metadata, constants ? file : NULL, with_deletes,
						 NamesOfFile(by_name, path), scan->equality == NIL ? NIL :
						 list_nth(scan->equality, foreach_current_index(lc)));
		group->plain = plain;
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

	/* equality deletes may be of a column that is no more */
	for (int i = 0; field == NULL && i < scan->table->metadata->nschemas; i++)
		field = IcebergFieldById(&scan->table->metadata->schemas[i], field_id);
	if (field == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("lake table has no column with field id %d", field_id)));
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
	ListCell   *name;
	ListCell   *there;

	foreach(name, LakeNamesOfField(scan->table->metadata, field->id))
		foreach(there, files->names)
			if (strcmp((char *) lfirst(name), (char *) lfirst(there)) == 0)
				return psprintf("CAST(%s AS %s)", EngineQuoteIdentifier((char *) lfirst(name)),
								LakeFieldEngineType(field));
	return psprintf("CAST(NULL AS %s)", LakeFieldEngineType(field));
}

static void
AppendSchema(StringInfo sql, const LakeScan *scan, const ScanFiles *files, const int *field_ids,
			 int nfields)
{
	int			n = 0;

	if (files->names != NIL || files->plain)
		return;
	for (int i = 0; i < nfields; i++)
	{
		const IcebergField *field = FieldToRead(scan, field_ids[i]);

		if (Constant(scan, files, field) != NULL)
			continue;
		LakeCheckNested(scan->table->metadata, field);
		appendStringInfo(sql, "%s%d: {name: 'f%d', type: %s, default_value: %s}",
						 n++ == 0 ? ", schema = MAP {" : ", ", field->id, field->id,
						 EngineQuoteLiteral(LakeFieldEngineType(field)), LakeDefaultLiteral(field));
	}
	if (n > 0)
		appendStringInfoChar(sql, '}');
}

/*
 * Does the engine see a column of our files in the very type that the field stands for?
 */
static bool
HasOwnType(const IcebergField *field)
{
	switch (field->type.kind)
	{
		case LAKE_BOOLEAN:
		case LAKE_INT:
		case LAKE_LONG:
		case LAKE_FLOAT:
		case LAKE_DOUBLE:
		case LAKE_DECIMAL:
		case LAKE_DATE:
		case LAKE_TIMESTAMP:
		case LAKE_STRING:
			return true;
		default:
			return false;
	}
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
	else if (files->plain && HasOwnType(field))
		appendStringInfo(sql, "%s AS f%d", EngineQuoteIdentifier(LakeNameInFile(scan->schema, field)), field_id);
	else if (files->plain)
		appendStringInfo(sql, "CAST(%s AS %s) AS f%d",
						 EngineQuoteIdentifier(LakeNameInFile(scan->schema, field)),
						 LakeFieldEngineType(field), field_id);
	else
		appendStringInfo(sql, "f%d", field_id);
}

/* The path as in the manifests, from the engine's. */
static void
AppendPath(StringInfo sql, const ScanFiles *files)
{
	ListCell   *lc;

	if (list_length(files->prefixes) == 1 &&
		((PathPrefix *) linitial(files->prefixes))->engine_len == 0 &&
		((PathPrefix *) linitial(files->prefixes))->manifest_len == 0)
	{
		appendStringInfoString(sql, "filename");
		return;
	}

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
	appendStringInfoString(sql, " END");
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
		AppendPath(sql, files);
		appendStringInfoString(sql, " AS _file, file_row_number AS _pos");
	}
	else if (nfields == 0)
		appendStringInfoString(sql, "NULL::BOOLEAN AS _none");
}

/* SELECT ... FROM read_parquet(...), without the rows that positions delete. */
static void
AppendRead(StringInfo sql, const LakeScan *scan, const ScanFiles *files, const int *field_ids,
		   int nfields, bool positions)
{
	ListCell   *lc;

	appendStringInfoString(sql, "SELECT ");
	AppendColumns(sql, scan, files, field_ids, nfields, positions);
	appendStringInfoString(sql, " FROM read_parquet([");
	foreach(lc, files->paths)
		appendStringInfo(sql, "%s%s", foreach_current_index(lc) == 0 ? "" : ", ",
						 EngineQuoteLiteral((char *) lfirst(lc)));
	/* a folder "name=value" in the path of a file is no column */
	appendStringInfo(sql, "], hive_partitioning = %s", scan->in_query ? ENGINE_FALSE : "false");
	AppendSchema(sql, scan, files, field_ids, nfields);
	appendStringInfoChar(sql, ')');
	if (!files->with_deletes)
		return;
	if (scan->tag[0] == '\0')
		appendStringInfoString(sql, " WHERE shard_live(filename, file_row_number)");
	else
		appendStringInfo(sql, " WHERE shard_live(concat(%s, filename), file_row_number)",
						 EngineQuoteLiteral(scan->tag));
}

/* ---- equality deletes ---- */

static bool
SameIds(const IcebergFile *a, const IcebergFile *b)
{
	return a->nequality_ids == b->nequality_ids &&
		memcmp(a->equality_ids, b->equality_ids, sizeof(int) * a->nequality_ids) == 0;
}

/* The fields asked for and those by which rows are deleted, each once. */
static int *
WithEqualityFields(const ScanFiles *files, const int *field_ids, int nfields, int *n)
{
	int			room = nfields;
	int		   *result;
	ListCell   *lc;

	foreach(lc, files->equality)
		room += ((const IcebergFile *) lfirst(lc))->nequality_ids;
	result = palloc(sizeof(int) * (room + 1));
	*n = 0;
	for (int i = 0; i < nfields; i++)
		result[(*n)++] = field_ids[i];
	foreach(lc, files->equality)
	{
		const IcebergFile *delete = (const IcebergFile *) lfirst(lc);

		for (int i = 0; i < delete->nequality_ids; i++)
		{
			int			j = 0;

			while (j < *n && result[j] != delete->equality_ids[i])
				j++;
			if (j == *n)
				result[(*n)++] = delete->equality_ids[i];
		}
	}
	return result;
}

/* The rows of some delete files by the same fields, each of its partition's constants. */
static void
AppendEqualityRows(StringInfo sql, const LakeScan *scan, List *deletes)
{
	const IcebergFile *first = (const IcebergFile *) linitial(deletes);
	const IcebergMetadata *metadata = scan->table->metadata;
	LakeAccess *access = LakeAccessById(metadata->access);
	List	   *groups = NIL;
	ListCell   *lc;

	foreach(lc, deletes)
	{
		const IcebergFile *delete = (const IcebergFile *) lfirst(lc);
		bool		constants = HasIdentity(IcebergSpecById(metadata, delete->spec_id));
		ScanFiles  *group = GroupFor(&groups, metadata, constants ? delete : NULL, false, NIL, NIL);

		group->paths = lappend(group->paths, LakeEnginePath(access, delete->path));
	}
	foreach(lc, groups)
	{
		appendStringInfoString(sql, foreach_current_index(lc) == 0 ? "" : " UNION ALL ");
		AppendRead(sql, scan, (const ScanFiles *) lfirst(lc), first->equality_ids,
				   first->nequality_ids, false);
	}
}

/* Conditions that leave out what equality deletes delete: one for each set of fields. */
static void
AppendEquality(StringInfo sql, const LakeScan *scan, List *deletes)
{
	bool		first = true;

	while (deletes != NIL)
	{
		const IcebergFile *like = (const IcebergFile *) linitial(deletes);
		List	   *same = NIL;
		List	   *others = NIL;
		ListCell   *lc;

		foreach(lc, deletes)
		{
			if (SameIds(like, (const IcebergFile *) lfirst(lc)))
				same = lappend(same, lfirst(lc));
			else
				others = lappend(others, lfirst(lc));
		}
		if (like->nequality_ids == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("equality deletes \"%s\" are not by any column", like->path)));
		appendStringInfoString(sql, first ? " WHERE NOT EXISTS (SELECT 1 FROM (" :
							   " AND NOT EXISTS (SELECT 1 FROM (");
		AppendEqualityRows(sql, scan, same);
		appendStringInfoString(sql, ") AS d WHERE ");
		for (int i = 0; i < like->nequality_ids; i++)
			appendStringInfo(sql, "%sd.f%d IS NOT DISTINCT FROM t.f%d", i == 0 ? "" : " AND ",
							 like->equality_ids[i], like->equality_ids[i]);
		appendStringInfoChar(sql, ')');
		deletes = others;
		first = false;
	}
}

static void
AppendGroup(StringInfo sql, const LakeScan *scan, const ScanFiles *files, const int *field_ids,
			int nfields, bool positions)
{
	int			nread;
	int		   *read;

	if (files->equality == NIL)
	{
		AppendRead(sql, scan, files, field_ids, nfields, positions);
		return;
	}
	read = WithEqualityFields(files, field_ids, nfields, &nread);
	appendStringInfoString(sql, "SELECT ");
	for (int i = 0; i < nfields; i++)
		appendStringInfo(sql, "%sf%d", i == 0 ? "" : ", ", field_ids[i]);
	if (positions)
		appendStringInfo(sql, "%s_file, _pos", nfields == 0 ? "" : ", ");
	else if (nfields == 0)
		appendStringInfoString(sql, "NULL::BOOLEAN AS _none");
	appendStringInfoString(sql, " FROM (");
	AppendRead(sql, scan, files, read, nread, positions);
	appendStringInfoString(sql, ") AS t");
	AppendEquality(sql, scan, files->equality);
}

static void
AppendNoRows(StringInfo sql, const LakeScan *scan, const int *field_ids, int nfields,
			 bool positions)
{
	appendStringInfoString(sql, "SELECT ");
	for (int i = 0; i < nfields; i++)
		appendStringInfo(sql, "%sNULL::%s AS f%d", i == 0 ? "" : ", ",
						 LakeFieldEngineType(FieldToRead(scan, field_ids[i])), field_ids[i]);
	if (positions)
		appendStringInfo(sql, "%sNULL::VARCHAR AS _file, NULL::BIGINT AS _pos",
						 nfields == 0 ? "" : ", ");
	else if (nfields == 0)
		appendStringInfoString(sql, "NULL::BOOLEAN AS _none");
	appendStringInfoString(sql, " WHERE false");
}

/* ---- remote files ---- */

static int
AddWant(CacheWant *wants, int n, const IcebergFile *file, const int *field_ids, int nfields)
{
	if (LakeIsLocal(file->path))
		return n;
	wants[n] = (CacheWant) {file->path, file->file_size, field_ids, nfields};
	return n + 1;
}

/*
 * Bring here what the engine will read: these columns of the data files, and the
 * delete files.
 */
static void
FetchRemote(const LakeScan *scan, const int *field_ids, int nfields)
{
	CacheWant  *wants = palloc(sizeof(CacheWant) * (list_length(scan->files) +
													list_length(scan->remote_deletes) + 1));
	/* not only the columns asked for may be needed then */
	bool		whole = IcebergProperty(scan->table->metadata, NAME_MAPPING) != NULL ||
		scan->equality != NIL;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, scan->files)
		n = AddWant(wants, n, (const IcebergFile *) lfirst(lc), whole ? NULL : field_ids, nfields);
	foreach(lc, scan->remote_deletes)
		n = AddWant(wants, n, (const IcebergFile *) lfirst(lc), NULL, 0);
	if (n > 0)
		FileCacheFetch(LakeAccessById(scan->table->metadata->access), wants, n);
	pfree(wants);
}

char *
LakeScanSql(const LakeScan *scan, const int *field_ids, int nfields, bool positions)
{
	List	   *groups;
	StringInfoData sql;
	ListCell   *lc;

	FetchRemote(scan, field_ids, nfields);
	groups = GroupFiles(scan);
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

/* Bring delete files of this database's lake here. */
static void
FetchDeletes(const List *delete_files)
{
	CacheWant  *wants = palloc(sizeof(CacheWant) * (list_length(delete_files) + 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, delete_files)
		n = AddWant(wants, n, (const IcebergFile *) lfirst(lc), NULL, 0);
	if (n > 0)
		FileCacheFetch(LakeAccessOfLake(wants[0].uri), wants, n);
	pfree(wants);
}

char *
LakeDeletesSql(const List *delete_files, bool names)
{
	ScanFiles	files = {0};
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	FetchDeletes(delete_files);
	foreach(lc, delete_files)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);
		char	   *path;

		LakeCheckAccess(LakeAccessOfLake(file->path), file->path);
		path = LakeEnginePath(LakeAccessOfLake(file->path), file->path);
		files.paths = lappend(files.paths, path);
		AddPrefix(&files, path, file->path);
	}
	if (files.paths == NIL)
		return "(SELECT NULL::VARCHAR AS _file, NULL::BIGINT AS _pos, NULL::VARCHAR AS _delete_file WHERE false)";
	appendStringInfoString(&sql, "(SELECT file_path AS _file, pos AS _pos");
	if (names)
	{
		appendStringInfoString(&sql, ", ");
		AppendPath(&sql, &files);
		appendStringInfoString(&sql, " AS _delete_file");
	}
	appendStringInfoString(&sql, " FROM read_parquet([");
	foreach(lc, files.paths)
		appendStringInfo(&sql, "%s%s", foreach_current_index(lc) == 0 ? "" : ", ",
						 EngineQuoteLiteral((char *) lfirst(lc)));
	appendStringInfoString(&sql, "], hive_partitioning = false))");
	return sql.data;
}
