/*
 * compact.c
 *		Writes small files, and files with many deleted rows, anew: as few,
 *		sorted, without the deleted rows.
 *
 * Phases:
 * 1. Prepare, without any lock: count the deleted rows of each data file by
 *    reading the delete files, choose (choose.c), sort the live rows of the chosen
 *    files into a temporary table of the engine, write it as data files.  Merge
 *    delete files of what is left over.
 * 2. Commit: lock the table's pointer and look at what others have committed
 *    since.  A new delete that hits one of the chosen files is moved to where the
 *    row now is, which the temporary table knows.  If a chosen file is gone
 *    (TRUNCATE, another engine's compaction), all was in vain.
 *
 * A flush that loses the race finds its rows' places again in the new files.  So
 * no delete is lost and no row comes back, and a long compaction neither holds up
 * flushes nor has to be done again because of them.
 */
#include "postgres.h"

#include "base/points.h"
#include "base/settings.h"
#include "lake/io/io.h"
#include "lib/stringinfo.h"
#include "maintain/compact.h"
#include "pipeline/changes.h"
#include "pipeline/files.h"
#include "utils/hsearch.h"
#include "common/hashfn.h"

/* Smallest number of delete files that are merged. */
#define DELETES_MIN_FILES 8

/* Runs of more bytes in all, in target sizes, are not merged in one go. */
#define LARGEST_JOB 8

/* Times that a lost race for the pointer is run again. */
#define MOST_RACES 5

/* What is known of a data file, by its path. */
typedef struct DataEntry
{
	char	   *path;			/* hash key */
	const IcebergFile *file;
	int64		deleted;
	bool		chosen;
} DataEntry;

/* What is known of a delete file. */
typedef struct DeleteEntry
{
	char	   *path;			/* hash key */
	const IcebergFile *file;
	bool		needed;			/* deletes from a file that is not chosen */
	bool		dangling;		/* deletes from files that are chosen or gone, too */
	bool		merged;
} DeleteEntry;

struct Compaction
{
	EngineConn *conn;
	ChooseRules rules;
	LakeTable  *base;			/* as it was when prepared */
	const IcebergSchema *schema;
	HTAB	   *data;			/* of DataEntry */
	HTAB	   *deletes;		/* of DeleteEntry */
	List	   *inputs;			/* of IcebergFile *, chosen */
	List	   *placed;			/* of PlacedFile *, written */
	List	   *new_deletes;	/* of IcebergFile *, merged ones */
	List	   *removed;		/* of char *, paths */
	CompactResult result;
};

/* ---- what there is ---- */

static uint32
PathHash(const void *key, Size keysize)
{
	const char *path = *(char *const *) key;

	return hash_bytes((const unsigned char *) path, (int) strlen(path));
}

static int
PathMatch(const void *a, const void *b, Size keysize)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* A hash table by path, of entries that begin with the path. */
static HTAB *
ByPath(Size entrysize)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(char *);
	ctl.entrysize = entrysize;
	ctl.hash = PathHash;
	ctl.match = PathMatch;
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("shard compaction files", 256, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static void *
EnterFile(HTAB *files, const IcebergFile *file, Size entrysize)
{
	char	   *path = file->path;
	bool		found;
	void	   *entry = hash_search(files, &path, HASH_ENTER, &found);

	memset((char *) entry + sizeof(char *), 0, entrysize - sizeof(char *));
	return entry;
}

/* Which deletes are about which file: rows (delete file, data file, count). */
static void
CountDeleted(Compaction *compaction, const List *deletes)
{
	EngineResult *result;
	WireChunk  *chunk;

	result = EngineExecute(compaction->conn,
						   psprintf("SELECT _delete_file, _file, count(*) FROM %s GROUP BY 1, 2",
									LakeDeletesSql(deletes, true)), NULL, 0);
	while ((chunk = EngineFetch(result)) != NULL)
	{
		for (int row = 0; row < chunk->nrows; row++)
		{
			size_t		len;
			const char *text = ChunkGetBytes(chunk, 0, row, &len);
			char	   *delete_path = pnstrdup(text, len);
			char	   *path;
			DeleteEntry *delete;
			DataEntry  *data;

			text = ChunkGetBytes(chunk, 1, row, &len);
			path = pnstrdup(text, len);
			delete = hash_search(compaction->deletes, &delete_path, HASH_FIND, NULL);
			data = hash_search(compaction->data, &path, HASH_FIND, NULL);
			if (delete == NULL)
				elog(ERROR, "engine read delete file \"%s\" that is not in the table", delete_path);
			if (data != NULL && data->file->sequence_number <= delete->file->sequence_number)
			{
				data->deleted += ChunkGetInt64(chunk, 2, row);
				delete->needed = true;
			}
			else
				delete->dangling = true;
		}
	}
	EngineFinish(result);
}

static void
ReadInventory(Compaction *compaction)
{
	List	   *deletes = LakeDeleteFiles(compaction->base);
	ListCell   *lc;

	compaction->data = ByPath(sizeof(DataEntry));
	compaction->deletes = ByPath(sizeof(DeleteEntry));
	foreach(lc, LakeDataFiles(compaction->base))
		((DataEntry *) EnterFile(compaction->data, lfirst(lc), sizeof(DataEntry)))->file = lfirst(lc);
	foreach(lc, deletes)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);

		if (file->content != ICEBERG_POSITION_DELETES)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot compact lake table \"%s.%s\", which has equality deletes",
							compaction->base->namespace, compaction->base->name),
					 errhint("Compact it with the engine that wrote them.")));
		((DeleteEntry *) EnterFile(compaction->deletes, file, sizeof(DeleteEntry)))->file = file;
	}
	if (deletes != NIL)
		CountDeleted(compaction, deletes);
}

/* ---- choosing data files ---- */

/* The first field of the sort order, or NULL. */
static const IcebergField *
FirstSortField(const Compaction *compaction)
{
	const IcebergMetadata *metadata = compaction->base->metadata;

	for (int i = 0; i < metadata->nsort_orders; i++)
	{
		const IcebergSortOrder *order = &metadata->sort_orders[i];

		if (order->order_id == metadata->default_sort_order_id && order->nfields > 0)
			return IcebergFieldById(compaction->schema, order->source_ids[0]);
	}
	return NULL;
}

/* Do the bounds of two files leave open that they have sort keys between each other's? */
static bool
MayOverlap(const IcebergField *field, const IcebergFile *a, const IcebergFile *b)
{
	const IcebergColumnStats *x;
	const IcebergColumnStats *y;

	if (field == NULL || !field->primitive)
		return true;
	x = IcebergStatsOf(a, field->id);
	y = IcebergStatsOf(b, field->id);
	if (x == NULL || y == NULL || x->lower.data == NULL || x->upper.data == NULL ||
		y->lower.data == NULL || y->upper.data == NULL)
		return true;
	return IcebergCompareBytes(field->type, x->lower, y->upper) <= 0 &&
		IcebergCompareBytes(field->type, y->lower, x->upper) <= 0;
}

static void
DescribeFiles(const Compaction *compaction, const List *group, ChooseFile *files)
{
	const IcebergMetadata *metadata = compaction->base->metadata;
	const IcebergField *field = FirstSortField(compaction);
	int64		half = compaction->rules.target_bytes / 2;
	ListCell   *lc;

	foreach(lc, group)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);
		char	   *path = file->path;
		DataEntry  *entry = hash_search(compaction->data, &path, HASH_FIND, NULL);
		ChooseFile *described = &files[foreach_current_index(lc)];
		ListCell   *other;

		described->bytes = file->file_size;
		described->rows = file->record_count;
		described->deleted = entry->deleted;
		described->run = file->file_sequence_number;
		described->outdated = file->spec_id != metadata->default_spec_id ||
			(metadata->default_sort_order_id > 0 &&
			 file->sort_order_id != metadata->default_sort_order_id);

		/* of interest for big files only, of which there are not so many */
		foreach(other, group)
		{
			const IcebergFile *b = (const IcebergFile *) lfirst(other);

			if (described->overlaps || file->file_size < half)
				break;
			described->overlaps = b->file_sequence_number != file->file_sequence_number &&
				b->file_size >= half && MayOverlap(field, file, b);
		}
	}
}

static void
ChooseInGroup(Compaction *compaction, const List *group)
{
	ChooseFile *files = palloc0(sizeof(ChooseFile) * list_length(group));
	int64		limit = compaction->rules.target_bytes * LARGEST_JOB;
	ListCell   *lc;

	DescribeFiles(compaction, group, files);
	if (ChooseFiles(files, list_length(group), &compaction->rules) == 0)
		return;
	foreach(lc, group)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);
		char	   *path = file->path;

		if (!files[foreach_current_index(lc)].chosen)
			continue;
		/* what does not fit into this job is for the next one */
		if (compaction->rules.mode == CHOOSE_DUE && compaction->inputs != NIL &&
			compaction->result.bytes_before + file->file_size > limit)
			continue;
		((DataEntry *) hash_search(compaction->data, &path, HASH_FIND, NULL))->chosen = true;
		compaction->inputs = lappend(compaction->inputs, (void *) file);
		compaction->result.bytes_before += file->file_size;
		compaction->result.rows += file->record_count;
	}
}

/* Bytes of the chosen files when they are read. */
static int64
InputBytes(const Compaction *compaction)
{
	StringInfoData paths;
	ListCell   *lc;

	initStringInfo(&paths);
	foreach(lc, compaction->inputs)
	{
		const char *path = ((const IcebergFile *) lfirst(lc))->path;
		const LakeAccess *access = LakeAccessOfLake(path);

		LakeCheckAccess(access, path);
		appendStringInfo(&paths, "%s%s", paths.len > 0 ? ", " : "",
						 EngineQuoteLiteral(LakeEnginePath(access, path)));
	}
	return EngineInt(compaction->conn,
					 "SELECT sum(total_uncompressed_size)::BIGINT FROM parquet_metadata([%s])", paths.data);
}

/*
 * The engine sorts narrow rows on disk, however many.  Wide ones it has to hold in
 * larger numbers than a small memory allows: of such files no more are merged at once
 * than it can hold, and none that are large already, unless rows were deleted.
 */
static void
FitIntoMemory(Compaction *compaction)
{
	int64		portion = ChangesPortion();
	int64		bytes;
	double		ratio;
	int64		sum = 0;
	int64		rows = Max(compaction->result.rows, 1);
	bool		deleted = false;
	List	   *chosen = compaction->inputs;
	ListCell   *lc;

	if (chosen == NIL || (bytes = InputBytes(compaction)) <= 2 * portion ||
		bytes / rows * CHUNK_ROWS <= portion / 16)
		return;
	ratio = (double) bytes / Max(compaction->result.bytes_before, 1);
	compaction->inputs = NIL;
	compaction->result.bytes_before = compaction->result.rows = 0;
	foreach(lc, chosen)
	{
		IcebergFile *file = (IcebergFile *) lfirst(lc);
		DataEntry  *entry = hash_search(compaction->data, &file->path, HASH_FIND, NULL);
		int64		size = (int64) (ratio * file->file_size);

		entry->chosen = sum + size <= 2 * portion && (size <= portion || entry->deleted > 0);
		if (!entry->chosen)
			continue;
		sum += size;
		deleted |= entry->deleted > 0;
		compaction->inputs = lappend(compaction->inputs, file);
		compaction->result.bytes_before += file->file_size;
		compaction->result.rows += file->record_count;
	}
	if (list_length(compaction->inputs) != 1 || deleted)
		return;
	((DataEntry *) hash_search(compaction->data, &((IcebergFile *) linitial(compaction->inputs))->path,
							   HASH_FIND, NULL))->chosen = false;
	compaction->inputs = NIL;
	compaction->result.bytes_before = compaction->result.rows = 0;
}

/* ---- writing data files ---- */

/* ORDER BY: the partition, the table's sort order, and where the row was. */
static char *
OrderBy(const Compaction *compaction, const IcebergSpec *spec)
{
	char	   *order = LakeSortColumns(compaction->base->metadata, compaction->schema);

	return psprintf("%s%s%s%s_file, _pos",
					spec->nfields > 0 ? LakePartitionNames(spec) : "", spec->nfields > 0 ? ", " : "",
					order != NULL ? order : "", order != NULL ? ", " : "");
}

static int64
RowsPerFile(const Compaction *compaction, int64 rows)
{
	int64		bytes = Max(compaction->result.bytes_before, 1);
	double		per_byte = (double) Max(compaction->result.rows, 1) / bytes;

	return Max((int64) (per_byte * compaction->rules.target_bytes), 1000);
}

static void
WriteDataFiles(Compaction *compaction)
{
	EngineConn *conn = compaction->conn;
	const IcebergSpec *spec = LakeDefaultSpec(compaction->base->metadata);
	LakeScan   *scan = LakeScanFiles(compaction->base, compaction->inputs);
	int		   *fields = palloc(sizeof(int) * compaction->schema->nfields);
	int64		rows;
	ListCell   *lc;

	for (int i = 0; i < compaction->schema->nfields; i++)
		fields[i] = compaction->schema->fields[i].id;
	EngineRunScan(conn, psprintf("CREATE OR REPLACE TEMP TABLE compact_rows AS"
								 " SELECT *%s%s FROM %s ORDER BY %s",
								 spec->nfields > 0 ? ", " : "",
								 spec->nfields > 0 ?
								 LakePartitionColumns(compaction->base->metadata, spec, compaction->schema) : "",
								 LakeScanSql(scan, fields, compaction->schema->nfields, true),
								 OrderBy(compaction, spec)),
				  scan);
	rows = EngineInt(conn, "SELECT count(*) FROM compact_rows");
	SHARD_POINT("compact-after-sort");
	if (rows > 0)
		compaction->placed = FilesWriteRows(conn, compaction->base, compaction->schema,
											"compact_rows", rows,
											FilesRowBytes(conn, compaction->schema, "compact_rows"),
											RowsPerFile(compaction, rows), true);
	SHARD_POINT("compact-after-files");

	compaction->result.files_before = list_length(compaction->inputs);
	compaction->result.files_after = list_length(compaction->placed);
	compaction->result.deleted_rows = compaction->result.rows - rows;
	compaction->result.rows = rows;
	foreach(lc, compaction->placed)
		compaction->result.bytes_after += ((PlacedFile *) lfirst(lc))->file->file_size;
}

/* ---- delete files ---- */

/* Mark the delete files of one partition that are worth merging. */
static void
ChooseDeletes(Compaction *compaction, const List *group)
{
	ChooseFile *files = palloc0(sizeof(ChooseFile) * list_length(group));
	ChooseRules rules = compaction->rules;
	ListCell   *lc;

	rules.min_files = DELETES_MIN_FILES;
	foreach(lc, group)
	{
		const IcebergFile *file = (const IcebergFile *) lfirst(lc);
		ChooseFile *described = &files[foreach_current_index(lc)];

		described->bytes = file->file_size;
		described->rows = file->record_count;
		described->run = foreach_current_index(lc);
		described->overlaps = true;
	}
	if (ChooseFiles(files, list_length(group), &rules) < 2)
		return;
	foreach(lc, group)
	{
		char	   *path = ((const IcebergFile *) lfirst(lc))->path;

		if (files[foreach_current_index(lc)].chosen)
			((DeleteEntry *) hash_search(compaction->deletes, &path, HASH_FIND, NULL))->merged = true;
	}
}

/* Data files that stay, as an engine relation with a column path. */
static void
ListStaying(Compaction *compaction)
{
	StringInfoData sql;
	HASH_SEQ_STATUS status;
	DataEntry  *entry;
	bool		first = true;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "CREATE OR REPLACE TEMP TABLE compact_staying AS SELECT unnest([");
	hash_seq_init(&status, compaction->data);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->chosen)
			continue;
		appendStringInfo(&sql, "%s%s", first ? "" : ", ", EngineQuoteLiteral(entry->path));
		first = false;
	}
	appendStringInfoString(&sql, "]::VARCHAR[]) AS path");
	EngineRunF(compaction->conn, "%s", sql.data);
}

/*
 * Delete files are needed for the data files that stay.  Those that are not go;
 * many small ones become one.
 */
static void
MergeDeletes(Compaction *compaction)
{
	List	   *staying = NIL;
	List	   *merged = NIL;
	HASH_SEQ_STATUS status;
	DeleteEntry *entry;
	ListCell   *lc;

	hash_seq_init(&status, compaction->deletes);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->needed)
			staying = lappend(staying, (void *) entry->file);
		else
			compaction->removed = lappend(compaction->removed, entry->path);
	}
	foreach(lc, LakeGroupByPartition(staying))
		ChooseDeletes(compaction, (List *) lfirst(lc));
	hash_seq_init(&status, compaction->deletes);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->merged)
			continue;
		merged = lappend(merged, (void *) entry->file);
		compaction->removed = lappend(compaction->removed, entry->path);
	}
	compaction->result.deletes_before = list_length(compaction->removed);
	if (merged == NIL)
		return;
	ListStaying(compaction);
	EngineRunF(compaction->conn, "CREATE OR REPLACE TEMP TABLE compact_deletes AS"
			   " SELECT DISTINCT _file, _pos FROM %s WHERE _file IN (SELECT path FROM compact_staying)",
			   LakeDeletesSql(merged, false));
	compaction->new_deletes = FilesWriteDeletes(compaction->conn, compaction->base,
												"compact_deletes", NIL);
	compaction->result.deletes_after = list_length(compaction->new_deletes);
	EngineRunF(compaction->conn, "DROP TABLE compact_deletes");
	EngineRunF(compaction->conn, "DROP TABLE compact_staying");
}

/*
 * Now that data files are chosen: a delete file is needed if it deletes from one
 * that stays.
 */
static void
FindNeededDeletes(Compaction *compaction)
{
	List	   *deletes = NIL;
	HASH_SEQ_STATUS status;
	DeleteEntry *entry;

	if (compaction->inputs == NIL)
		return;
	hash_seq_init(&status, compaction->deletes);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		entry->needed = false;
		deletes = lappend(deletes, (void *) entry->file);
	}
	if (deletes != NIL)
	{
		EngineResult *result;
		WireChunk  *chunk;

		ListStaying(compaction);
		result = EngineExecute(compaction->conn,
							   psprintf("SELECT DISTINCT _delete_file FROM %s"
										" WHERE _file IN (SELECT path FROM compact_staying)",
										LakeDeletesSql(deletes, true)), NULL, 0);
		while ((chunk = EngineFetch(result)) != NULL)
		{
			for (int row = 0; row < chunk->nrows; row++)
			{
				size_t		len;
				const char *text = ChunkGetBytes(chunk, 0, row, &len);
				char	   *path = pnstrdup(text, len);

				entry = hash_search(compaction->deletes, &path, HASH_FIND, NULL);
				if (entry != NULL)
					entry->needed = true;
			}
		}
		EngineFinish(result);
	}
}

/* ---- prepare ---- */

Compaction *
CompactPrepare(EngineConn *conn, const char *namespace, const char *name, ChooseMode mode)
{
	Compaction *compaction = palloc0(sizeof(Compaction));
	ListCell   *lc;

	compaction->conn = conn;
	compaction->rules.mode = mode;
	compaction->rules.target_bytes = (int64) CompactionTargetSize * 1024;
	compaction->rules.min_files = CompactionMinFiles;
	compaction->rules.deleted_share = CompactionDeletedShare;
	compaction->base = LakeOpenLatest(namespace, name);
	if (compaction->base == NULL || compaction->base->metadata->current_snapshot_id == -1)
		return NULL;
	LakeRequireOwner(compaction->base);
	compaction->schema = IcebergCurrentSchema(compaction->base->metadata);
	ReadInventory(compaction);
	foreach(lc, LakeGroupByPartition(LakeDataFiles(compaction->base)))
		ChooseInGroup(compaction, (List *) lfirst(lc));
	FitIntoMemory(compaction);
	FindNeededDeletes(compaction);
	if (compaction->inputs != NIL)
		WriteDataFiles(compaction);
	MergeDeletes(compaction);
	return compaction->inputs == NIL && compaction->removed == NIL ? NULL : compaction;
}

/* ---- commit ---- */

/* Are all files that we want to remove still there? */
static bool
InputsAreThere(const Compaction *compaction, const LakeTable *now, List **new_deletes)
{
	HTAB	   *paths = ByPath(sizeof(char *));
	ListCell   *lc;

	*new_deletes = NIL;
	foreach(lc, LakeDataFiles(now))
	{
		char	   *path = ((const IcebergFile *) lfirst(lc))->path;

		hash_search(paths, &path, HASH_ENTER, NULL);
	}
	foreach(lc, LakeDeleteFiles(now))
	{
		char	   *path = ((const IcebergFile *) lfirst(lc))->path;

		hash_search(paths, &path, HASH_ENTER, NULL);
		if (hash_search(compaction->deletes, &path, HASH_FIND, NULL) == NULL)
			*new_deletes = lappend(*new_deletes, lfirst(lc));
	}
	foreach(lc, compaction->inputs)
		if (hash_search(paths, &((const IcebergFile *) lfirst(lc))->path, HASH_FIND, NULL) == NULL)
			return false;
	foreach(lc, compaction->removed)
	{
		char	   *path = (char *) lfirst(lc);

		if (hash_search(paths, &path, HASH_FIND, NULL) == NULL)
			return false;
	}
	return true;
}

/* "CASE WHEN rowid < 1000 THEN <value of the first new file> ..." */
static char *
ByPlace(const Compaction *compaction, bool path)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "CASE");
	foreach(lc, compaction->placed)
	{
		const PlacedFile *placed = (const PlacedFile *) lfirst(lc);

		appendStringInfo(&sql, " WHEN c.rowid < " INT64_FORMAT " THEN ", placed->to);
		if (path)
			appendStringInfoString(&sql, EngineQuoteLiteral(placed->file->path));
		else
			appendStringInfo(&sql, "c.rowid - " INT64_FORMAT, placed->from);
	}
	appendStringInfoString(&sql, " END");
	return sql.data;
}

/* Delete files with what others have deleted from our inputs in the meantime. */
static List *
MoveDeletes(const Compaction *compaction, const LakeTable *now, const List *new_deletes)
{
	List	   *files = NIL;
	List	   *moved;
	ListCell   *lc;

	if (new_deletes == NIL || compaction->placed == NIL)
		return NIL;
	foreach(lc, compaction->placed)
		files = lappend(files, ((PlacedFile *) lfirst(lc))->file);
	EngineRunF(compaction->conn,
			   "CREATE OR REPLACE TEMP TABLE compact_moved AS SELECT DISTINCT %s AS _file, %s AS _pos"
			   " FROM compact_rows AS c SEMI JOIN %s AS d ON c._file = d._file AND c._pos = d._pos",
			   ByPlace(compaction, true), ByPlace(compaction, false),
			   LakeDeletesSql(new_deletes, false));
	moved = FilesWriteDeletes(compaction->conn, now, "compact_moved", files);
	EngineRunF(compaction->conn, "DROP TABLE compact_moved");
	return moved;
}

/* One attempt; *lost: somebody else's commit came between looking and ours. */
static bool
TryCommit(Compaction *compaction, int *moved_files, bool *lost)
{
	LakeChange	change = {.operation = "replace"};
	LakeTable  *now;
	List	   *new_deletes;
	List	   *moved;
	ListCell   *lc;

	*lost = false;
	SHARD_POINT("compact-before-lock");
	now = LakeOpenLocked(compaction->base->namespace, compaction->base->name);
	if (now == NULL ||
		strcmp(now->metadata->table_uuid, compaction->base->metadata->table_uuid) != 0 ||
		now->metadata->current_schema_id != compaction->base->metadata->current_schema_id ||
		now->metadata->default_spec_id != compaction->base->metadata->default_spec_id ||
		!InputsAreThere(compaction, now, &new_deletes))
		return false;
	moved = MoveDeletes(compaction, now, new_deletes);
	SHARD_POINT("compact-before-commit");

	foreach(lc, compaction->placed)
		change.added = lappend(change.added, ((PlacedFile *) lfirst(lc))->file);
	change.added = list_concat(change.added, compaction->new_deletes);
	change.added = list_concat(change.added, moved);
	change.removed = list_copy(compaction->removed);
	foreach(lc, compaction->inputs)
		change.removed = lappend(change.removed, ((IcebergFile *) lfirst(lc))->path);
	*moved_files = list_length(moved);
	*lost = LakeCommit(now, &change) == NULL;
	return !*lost;
}

/*
 * Where the catalog knows no locks, flushes may come first several times; what
 * was written stays good as long as the inputs are there.
 */
bool
CompactCommit(Compaction *compaction, CompactResult *result)
{
	bool		lost = true;
	bool		done = false;
	int			moved = 0;

	for (int attempt = 1; lost && attempt <= MOST_RACES; attempt++)
		done = TryCommit(compaction, &moved, &lost);
	if (!done)
		return false;
	if (compaction->inputs != NIL)
		EngineRunF(compaction->conn, "DROP TABLE IF EXISTS compact_rows");
	SHARD_POINT("compact-after-swap");
	compaction->result.deletes_after += moved;
	*result = compaction->result;
	return true;
}
