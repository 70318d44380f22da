/*
 * scan.c
 *		Which files a query has to read, and which delete files apply to them.
 *
 * A position delete file applies to the data files that are not younger than
 * it: sequence number at most its own.  Which of them it is about follows from
 * the data file that it references, or from the bounds of its file_path column
 * and, then, equal partitions.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "miscadmin.h"
#include "wire/path_key.h"

/* The column file_path of position delete files. */
#define DELETE_FILE_PATH 2147483546

static bool
IsLive(const IcebergFile *file)
{
	return file->status != 2;
}

/* ---- delete files ---- */

/* The path by which delete files know a data file. */
static const char *
WrittenPath(const IcebergFile *file)
{
	return file->written_path != NULL ? file->written_path : file->path;
}

/* What precedes the part of a path that counts: scheme and host. */
static size_t
RootLength(const char *path, size_t len)
{
	size_t		keylen;

	PathKey(path, len, &keylen);
	return len - keylen;
}

/* Path bounds of a position delete file as C strings' bytes; data NULL = unknown. */
static void
PathBounds(const IcebergFile *file, IcebergBytes *lower, IcebergBytes *upper)
{
	const IcebergColumnStats *stats = IcebergStatsOf(file, DELETE_FILE_PATH);

	lower->data = upper->data = NULL;
	lower->len = upper->len = 0;
	if (file->referenced_data_file != NULL)
	{
		lower->data = upper->data = file->referenced_data_file;
		lower->len = upper->len = (int) strlen(file->referenced_data_file);
	}
	else if (stats != NULL)
	{
		*lower = stats->lower;
		*upper = stats->upper;
	}
}

/* Does a bound begin with the same scheme and host as a path? */
static bool
SameRoot(IcebergBytes bound, const char *path)
{
	size_t		root = RootLength(path, strlen(path));

	return RootLength(bound.data, bound.len) == root && memcmp(bound.data, path, root) == 0;
}

/*
 * Make bound and path comparable where the program that wrote the deletes wrote
 * paths in another form than the one that wrote the manifest.  What is left of
 * a bound that was cut off within scheme or host tells nothing.
 */
static void
Loosen(IcebergBytes *bound)
{
	size_t		len;
	const char *key = PathKey(bound->data, bound->len, &len);

	if (bound->data[0] != '/' && (key == bound->data || len == 0))
		bound->data = NULL;
	else
		*bound = (IcebergBytes) {key, (int) len};
}

/*
 * *loose: the delete file may name the data file in another form than the
 * manifest.  That of its bounds is no proof: there are writers whose bounds have
 * one form and whose rows the other.
 */
static bool
DeletesFrom(const IcebergFile *delete, const IcebergFile *file, bool *loose)
{
	static const LakeType string = {LAKE_STRING, 0, 0};
	const char *name = WrittenPath(file);
	IcebergBytes path = {name, (int) strlen(name)};
	IcebergBytes lower;
	IcebergBytes upper;

	if (delete->sequence_number < file->sequence_number)
		return false;
	PathBounds(delete, &lower, &upper);
	*loose = lower.data == NULL || upper.data == NULL || !SameRoot(lower, name) ||
		!SameRoot(upper, name);
	if (*loose)
	{
		Loosen(&path);
		if (lower.data != NULL)
			Loosen(&lower);
		if (upper.data != NULL)
			Loosen(&upper);
	}
	if (lower.data != NULL && path.data != NULL && IcebergCompareBytes(string, path, lower) < 0)
		return false;
	if (upper.data != NULL && path.data != NULL && IcebergCompareBytes(string, path, upper) > 0)
		return false;
	/* equal bounds name the file: its partition need not be looked at */
	if (lower.data != NULL && upper.data != NULL && IcebergCompareBytes(string, lower, upper) == 0)
		return true;
	return LakeSamePartition(delete, file);
}

/* Is a spec without any field that still divides? */
static bool
IsUnpartitioned(const IcebergSpec *spec)
{
	for (int i = 0; spec != NULL && i < spec->nfields; i++)
		if (strcmp(spec->fields[i].transform, "void") != 0)
			return false;
	return spec != NULL;
}

static bool
EqualityDeletesFrom(const IcebergFile *delete, const IcebergFile *file, const IcebergMetadata *metadata)
{
	if (delete->sequence_number <= file->sequence_number)
		return false;
	return IsUnpartitioned(IcebergSpecById(metadata, delete->spec_id)) ||
		LakeSamePartition(delete, file);
}

static bool
IsVector(const IcebergFile *delete)
{
	return pg_strcasecmp(delete->format, "puffin") == 0;
}

static void
CheckDeleteFormat(const IcebergFile *delete)
{
	if (pg_strcasecmp(delete->format, "parquet") == 0 ||
		(IsVector(delete) && delete->content == ICEBERG_POSITION_DELETES))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("lake file \"%s\" holds deletes in format %s, which cannot be read",
					delete->path, delete->format),
			 errhint("Compact the table with the engine that wrote them.")));
}

/* A delete file as the engine is told of it. */
static char *
EngineName(LakeScan *scan, const IcebergFile *delete)
{
	LakeAccess *access = LakeAccessById(scan->table->metadata->access);
	char	   *path;

	CheckDeleteFormat(delete);
	LakeCheckAccess(access, delete->path);
	path = LakeEnginePath(access, delete->path);
	if (!LakeIsLocal(delete->path))
		scan->remote_deletes = list_append_unique_ptr(scan->remote_deletes, (void *) delete);
	if (!IsVector(delete))
		return path;
	if (delete->content_offset < 0 || delete->content_size < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a deletion vector in \"%s\" has no place", delete->path)));
	return psprintf("dv:" INT64_FORMAT ":" INT64_FORMAT ":" INT64_FORMAT ":%s",
					delete->content_offset, delete->content_size, delete->record_count, path);
}

/*
 * The position deletes that apply to a data file, of IcebergFile *.  A deletion
 * vector stands for all others.
 */
static List *
PositionDeletesOf(const IcebergMetadata *metadata, const IcebergFile *file, const List *deletes,
				  bool *loose)
{
	List	   *result = NIL;
	ListCell   *lc;

	*loose = IcebergProperty(metadata, "shard.owner") == NULL;
	foreach(lc, deletes)
	{
		const IcebergFile *delete = (const IcebergFile *) lfirst(lc);
		bool		other_form;

		if (delete->content != ICEBERG_POSITION_DELETES || !DeletesFrom(delete, file, &other_form))
			continue;
		if (IsVector(delete))
			return list_make1((void *) delete);
		*loose |= other_form;
		result = lappend(result, (void *) delete);
	}
	return result;
}

/* The engine's list of position delete files for a data file; false if there are none. */
static bool
CollectDeletes(LakeScan *scan, const IcebergFile *file, const List *deletes, EngineDeletes *result)
{
	LakeAccess *access = LakeAccessById(scan->table->metadata->access);
	List	   *applying = PositionDeletesOf(scan->table->metadata, file, deletes,
											 &result->loose_paths);
	ListCell   *lc;

	if (applying == NIL)
		return false;
	LakeCheckAccess(access, file->path);
	result->data_file = psprintf("%s%s", scan->tag, LakeEnginePath(access, file->path));
	result->data_path = WrittenPath(file);
	result->ndelete_files = 0;
	result->delete_files = palloc(sizeof(char *) * list_length(applying));
	foreach(lc, applying)
		result->delete_files[result->ndelete_files++] = EngineName(scan, lfirst(lc));
	return true;
}

/* The equality deletes that apply to a data file, of IcebergFile *. */
static List *
EqualityDeletesOf(LakeScan *scan, const IcebergFile *file, const List *deletes)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, deletes)
	{
		IcebergFile *delete = (IcebergFile *) lfirst(lc);

		if (!EqualityDeletesFrom(delete, file, scan->table->metadata))
			continue;
		CheckDeleteFormat(delete);
		LakeCheckAccess(LakeAccessById(scan->table->metadata->access), delete->path);
		if (!LakeIsLocal(delete->path))
			scan->remote_deletes = list_append_unique_ptr(scan->remote_deletes, delete);
		result = lappend(result, delete);
	}
	return result;
}

/* ---- files ---- */

static List *
LiveDeletes(const IcebergMetadata *metadata, const IcebergManifest *manifests, int n)
{
	List	   *deletes = NIL;

	for (int i = 0; i < n; i++)
	{
		const IcebergFile *files;
		int			nfiles;

		if (manifests[i].content == 0 ||
			(manifests[i].added_files == 0 && manifests[i].existing_files == 0))
			continue;
		files = LakeCachedManifest(metadata, &manifests[i], &nfiles);
		for (int j = 0; j < nfiles; j++)
			if (IsLive(&files[j]))
				deletes = lappend(deletes, (void *) &files[j]);
	}
	return deletes;
}

static void
KeepFile(LakeScan *scan, const IcebergFile *file)
{
	if (pg_strcasecmp(file->format, "parquet") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lake file \"%s\" is in format %s, which cannot be read",
						file->path, file->format)));
	scan->files = lappend(scan->files, (void *) file);
	scan->bytes += file->file_size;
	scan->rows += file->record_count;
}

/* Of which partitions files are kept. */
typedef struct SeenPartition
{
	uint64		hash;			/* key: of spec and values */
	bool		kept;
} SeenPartition;

static HTAB *
PartitionSet(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(uint64);
	ctl.entrysize = sizeof(SeenPartition);
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("shard lake partitions", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static uint64
PartitionHash(const IcebergFile *file)
{
	uint64		hash = (uint64) file->spec_id;

	for (int i = 0; i < file->npartition; i++)
	{
		IcebergBytes value = file->partition[i].value;

		hash = hash_combine64(hash, value.data == NULL ? 0 :
							  hash_bytes_extended((const unsigned char *) value.data, value.len, 1));
	}
	return hash;
}

static void
NotePartition(HTAB *seen, const IcebergFile *file, bool kept)
{
	uint64		hash = PartitionHash(file);
	bool		found;
	SeenPartition *partition = hash_search(seen, &hash, HASH_ENTER, &found);

	partition->kept = kept || (found && partition->kept);
}

static void
CountPartitions(LakeScan *scan, HTAB *seen)
{
	HASH_SEQ_STATUS status;
	SeenPartition *partition;

	hash_seq_init(&status, seen);
	while ((partition = hash_seq_search(&status)) != NULL)
	{
		scan->partitions += partition->kept;
		scan->partitions_pruned += !partition->kept;
	}
}

static void
AddDataFiles(LakeScan *scan, const IcebergManifest *manifests, int n,
			 const LakeCondition *conditions, int nconditions)
{
	List	   *projections = LakeProjectConditions(scan->table->metadata, scan->schema,
													conditions, nconditions);
	HTAB	   *seen = PartitionSet();

	for (int i = 0; i < n; i++)
	{
		const IcebergFile *files;
		int			nfiles;

		if (manifests[i].content != 0 ||
			(manifests[i].added_files == 0 && manifests[i].existing_files == 0))
			continue;
		CHECK_FOR_INTERRUPTS();
		files = LakeCachedManifest(scan->table->metadata, &manifests[i], &nfiles);
		for (int j = 0; j < nfiles; j++)
		{
			bool		keep;

			if (!IsLive(&files[j]))
				continue;
			keep = LakePartitionMayMatch(&files[j], projections) &&
				LakeFileMayMatch(&files[j], scan->schema, conditions, nconditions);
			if (keep)
				KeepFile(scan, &files[j]);
			else
				scan->files_pruned++;
			NotePartition(seen, &files[j], keep);
		}
	}
	CountPartitions(scan, seen);
	hash_destroy(seen);
}

static List *
OfContent(const List *deletes, IcebergContent content)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, deletes)
		if (((const IcebergFile *) lfirst(lc))->content == content)
			result = lappend(result, lfirst(lc));
	return result;
}

static void
AddDeletes(LakeScan *scan, const List *deletes)
{
	List	   *positions = OfContent(deletes, ICEBERG_POSITION_DELETES);
	List	   *equalities = OfContent(deletes, ICEBERG_EQUALITY_DELETES);
	ListCell   *lc;

	if (deletes == NIL || scan->files == NIL)
		return;
	scan->deletes = palloc0(sizeof(EngineDeletes) * list_length(scan->files));
	foreach(lc, scan->files)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (CollectDeletes(scan, file, positions, &scan->deletes[scan->ndeletes]))
			scan->ndeletes++;
		if (equalities != NIL)
			scan->equality = lappend(scan->equality, EqualityDeletesOf(scan, file, equalities));
	}
}

static const IcebergSnapshot *
SnapshotToScan(const LakeTable *table, int64 snapshot_id)
{
	const IcebergSnapshot *snapshot;

	if (snapshot_id == -1 && table->as_of != NULL)
		snapshot_id = table->as_of->snapshot_id;
	if (snapshot_id == -1 && table->metadata->current_snapshot_id == -1)
		return NULL;
	snapshot = IcebergSnapshotById(table->metadata, snapshot_id == -1 ?
								   table->metadata->current_snapshot_id : snapshot_id);
	if (snapshot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("lake table \"%s\" has no snapshot " INT64_FORMAT,
						table->name != NULL ? table->name : table->metadata->location,
						snapshot_id),
				 errhint("See shard.lake_snapshots() for those that are kept.")));
	if (snapshot->manifest_list == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("snapshot " INT64_FORMAT " has no manifest list", snapshot->snapshot_id)));
	return snapshot;
}

LakeScan *
LakeScanPlan(LakeTable *table, int64 snapshot_id, const LakeCondition *conditions, int nconditions)
{
	const IcebergMetadata *metadata = table->metadata;
	const IcebergSnapshot *snapshot = SnapshotToScan(table, snapshot_id);
	LakeScan   *scan = palloc0(sizeof(LakeScan));
	const IcebergManifest *manifests;
	int			n;

	scan->table = table;
	scan->tag = "";
	scan->snapshot_id = -1;
	scan->schema = table->schema != NULL ? table->schema : IcebergCurrentSchema(metadata);
	if (table->as_of != NULL)
		scan->tag = psprintf(INT64_FORMAT ":", table->as_of->snapshot_id);
	if (snapshot == NULL)
		return scan;
	scan->snapshot_id = snapshot->snapshot_id;
	if (snapshot_id != -1 && IcebergSchemaById(metadata, snapshot->schema_id) != NULL)
		scan->schema = IcebergSchemaById(metadata, snapshot->schema_id);

	manifests = LakeCachedManifestList(metadata, snapshot->manifest_list, &n);
	AddDataFiles(scan, manifests, n, conditions, nconditions);
	AddDeletes(scan, LiveDeletes(metadata, manifests, n));
	return scan;
}

int64
LakeTableRows(const LakeTable *table)
{
	const IcebergSnapshot *snapshot = SnapshotToScan(table, -1);
	const char *total;
	const char *deleted;

	if (snapshot == NULL)
		return 0;
	total = IcebergSummaryValue(snapshot, "total-records");
	deleted = IcebergSummaryValue(snapshot, "total-position-deletes");
	if (total == NULL)
		return LakeScanPlan(unconstify(LakeTable *, table), -1, NULL, 0)->rows;
	return Max(strtoll(total, NULL, 10) - (deleted == NULL ? 0 : strtoll(deleted, NULL, 10)), 0);
}

bool
LakeFilesAreThere(LakeTable *table)
{
	LakeScan   *scan = LakeScanPlan(table, -1, NULL, 0);
	ListCell   *lc;

	foreach(lc, scan->files)
		if (!LakeFileExists(((IcebergFile *) lfirst(lc))->path))
			return false;
	foreach(lc, LakeDeleteFiles(table))
		if (!LakeFileExists(((IcebergFile *) lfirst(lc))->path))
			return false;
	return true;
}

List *
LakeDeleteFiles(const LakeTable *table)
{
	const IcebergSnapshot *snapshot = SnapshotToScan(table, -1);
	const IcebergManifest *manifests;
	int			n;

	if (snapshot == NULL)
		return NIL;
	manifests = LakeCachedManifestList(table->metadata, snapshot->manifest_list, &n);
	return LiveDeletes(table->metadata, manifests, n);
}

List *
LakeDataFiles(const LakeTable *table)
{
	return LakeScanPlan(unconstify(LakeTable *, table), -1, NULL, 0)->files;
}

LakeScan *
LakeScanFiles(LakeTable *table, const List *files)
{
	LakeScan   *scan = palloc0(sizeof(LakeScan));
	ListCell   *lc;

	scan->table = table;
	scan->tag = "";
	scan->snapshot_id = table->metadata->current_snapshot_id;
	scan->schema = IcebergCurrentSchema(table->metadata);
	foreach(lc, files)
		KeepFile(scan, (const IcebergFile *) lfirst(lc));
	AddDeletes(scan, LakeDeleteFiles(table));
	return scan;
}
