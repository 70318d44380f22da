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

#include "lake/internal.h"
#include "lake/io/io.h"
#include "miscadmin.h"

/* The column file_path of position delete files. */
#define DELETE_FILE_PATH 2147483546

static bool
IsLive(const IcebergFile *file)
{
	return file->status != 2;
}

/* ---- delete files ---- */

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

static bool
SamePartition(const IcebergFile *a, const IcebergFile *b)
{
	if (a->spec_id != b->spec_id || a->npartition != b->npartition)
		return false;
	for (int i = 0; i < a->npartition; i++)
	{
		const IcebergPartitionValue *x = &a->partition[i];
		const IcebergPartitionValue *y = &b->partition[i];

		if (x->field_id != y->field_id || (x->value.data == NULL) != (y->value.data == NULL))
			return false;
		if (x->value.data != NULL &&
			(x->value.len != y->value.len || memcmp(x->value.data, y->value.data, x->value.len) != 0))
			return false;
	}
	return true;
}

static bool
DeletesFrom(const IcebergFile *delete, const IcebergFile *file)
{
	static const LakeType string = {LAKE_STRING, 0, 0};
	IcebergBytes path = {file->path, (int) strlen(file->path)};
	IcebergBytes lower;
	IcebergBytes upper;

	if (delete->sequence_number < file->sequence_number)
		return false;
	PathBounds(delete, &lower, &upper);
	if (lower.data != NULL && IcebergCompareBytes(string, path, lower) < 0)
		return false;
	if (upper.data != NULL && IcebergCompareBytes(string, path, upper) > 0)
		return false;
	/* equal bounds name the file: its partition need not be looked at */
	if (lower.data != NULL && upper.data != NULL && IcebergCompareBytes(string, lower, upper) == 0)
		return true;
	return SamePartition(delete, file);
}

static bool
EqualityDeletesFrom(const IcebergFile *delete, const IcebergFile *file, const IcebergMetadata *metadata)
{
	const IcebergSpec *spec = IcebergSpecById(metadata, delete->spec_id);

	if (delete->sequence_number <= file->sequence_number)
		return false;
	return (spec != NULL && spec->nfields == 0) || SamePartition(delete, file);
}

static void
RefuseDelete(const LakeScan *scan, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("lake table \"%s\" has %s, which cannot be read",
					scan->table->name != NULL ? scan->table->name : scan->table->metadata->location,
					what),
			 errhint("Compact the table with the engine that wrote them.")));
}

/* The engine's list of position delete files for a data file; false if there are none. */
static bool
CollectDeletes(LakeScan *scan, const IcebergFile *file, const List *deletes, EngineDeletes *result)
{
	ListCell   *lc;
	int			n = 0;

	result->delete_files = NULL;
	foreach(lc, deletes)
	{
		const IcebergFile *delete = (const IcebergFile *) lfirst(lc);

		if (delete->content == ICEBERG_EQUALITY_DELETES)
		{
			if (EqualityDeletesFrom(delete, file, scan->table->metadata))
				RefuseDelete(scan, "equality deletes");
			continue;
		}
		if (!DeletesFrom(delete, file))
			continue;
		if (pg_strcasecmp(delete->format, "parquet") != 0)
			RefuseDelete(scan, pg_strcasecmp(delete->format, "puffin") == 0 ?
						 "deletion vectors" : "position deletes in another format than Parquet");
		if (n == 0)
			result->delete_files = palloc(sizeof(char *) * list_length(deletes));
		LakeCheckAccess(delete->path);
		result->delete_files[n++] = EnginePath(LakeLocalPath(delete->path));
	}
	if (n == 0)
		return false;
	LakeCheckAccess(file->path);
	result->data_file = EnginePath(LakeLocalPath(file->path));
	result->data_path = file->path;
	result->ndelete_files = n;
	return true;
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

static void
AddDataFiles(LakeScan *scan, const IcebergManifest *manifests, int n,
			 const LakeCondition *conditions, int nconditions)
{
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
			if (!IsLive(&files[j]))
				continue;
			if (LakeFileMayMatch(&files[j], scan->schema, conditions, nconditions))
				KeepFile(scan, &files[j]);
			else
				scan->files_pruned++;
		}
	}
}

static void
AddDeletes(LakeScan *scan, const List *deletes)
{
	ListCell   *lc;

	if (deletes == NIL || scan->files == NIL)
		return;
	scan->deletes = palloc0(sizeof(EngineDeletes) * list_length(scan->files));
	foreach(lc, scan->files)
		if (CollectDeletes(scan, (const IcebergFile *) lfirst(lc), deletes,
						   &scan->deletes[scan->ndeletes]))
			scan->ndeletes++;
}

static const IcebergSnapshot *
SnapshotToScan(const LakeTable *table, int64 snapshot_id)
{
	const IcebergSnapshot *snapshot;

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
	scan->snapshot_id = -1;
	scan->schema = IcebergCurrentSchema(metadata);
	if (snapshot == NULL)
		return scan;
	scan->snapshot_id = snapshot->snapshot_id;
	if (snapshot_id != -1 && IcebergSchemaById(metadata, snapshot->schema_id) != NULL)
		scan->schema = IcebergSchemaById(metadata, snapshot->schema_id);

	manifests = LakeCachedManifestList(snapshot->manifest_list, metadata->format_version, &n);
	AddDataFiles(scan, manifests, n, conditions, nconditions);
	AddDeletes(scan, LiveDeletes(metadata, manifests, n));
	return scan;
}
