/*
 * commit.c
 *		A new snapshot of a lake table.
 *
 * Order of durability: manifests, manifest list, metadata file, their
 * directory; only then the pointer in iceberg_tables moves, in the caller's
 * transaction.  Whatever was written is removed again if that transaction
 * aborts or somebody else's commit came first.
 *
 * Manifests of the parent snapshot are carried over as they are.  Those that
 * lose a file are written anew, together with others of their kind, and many
 * small ones are merged, so that the cost of a commit follows what it changes.
 *
 * What a writer said of itself in a snapshot's summary (entries that begin with
 * "shard.", the position among them) goes on to the next snapshot unless that
 * says something else, so that compaction does not lose it.
 */
#include "postgres.h"

#include "base/points.h"
#include "common/hashfn.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "lake/registry/rest.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Manifests beyond this size are not merged again. */
#define MERGE_TARGET_BYTES (8 * 1024 * 1024)
#define MERGE_MIN_COUNT 100

/* Entries of a manifest that is written anew. */
#define MANIFEST_ENTRIES 10000

#define WRITER_PREFIX "shard."

/* Files and rows that a commit adds or removes, or that a table has. */
typedef struct Totals
{
	int64		files[3];		/* by IcebergContent */
	int64		rows[3];
	int64		bytes;
} Totals;

/* Entries of one kind of manifests: of one partition spec, and data or deletes. */
typedef struct Rewritten
{
	int			spec_id;
	int			content;
	List	   *entries;		/* of IcebergFile * */
} Rewritten;

typedef struct Commit
{
	LakeTable  *table;
	const LakeChange *change;
	const IcebergMetadata *base;
	IcebergMetadata next;		/* shallow copy of base, then changed */
	const IcebergSchema *schema;	/* current after this commit */
	char	   *directory;
	char	   *unique;			/* in the names of its files */
	int			nwritten;		/* manifests so far, for their names */
	int64		snapshot_id;
	int64		sequence_number;
	int64		now_ms;
	List	   *manifests;		/* of IcebergManifest *: the new snapshot's */
	List	   *paths;			/* written, to be removed after a lost race */
	List	   *trash;			/* paths that nobody needs after this commit */
	HTAB	   *removed;		/* paths to be removed and not found yet; NULL = none */
	List	   *rewritten;		/* of Rewritten *: entries of manifests that lose files */
	Totals		added;
	Totals		deleted;
	Totals		before;
} Commit;

/* ---- settings ---- */

int64
LakePropertyInt(const IcebergMetadata *metadata, const char *key, int64 otherwise)
{
	const char *text = IcebergProperty(metadata, key);
	char	   *end;
	int64		value;

	if (text == NULL)
		return otherwise;
	errno = 0;
	value = strtoll(text, &end, 10);
	return errno != 0 || end == text || *end != '\0' || value < 0 ? otherwise : value;
}

static bool
PropertyIsTrue(const IcebergMetadata *metadata, const char *key)
{
	const char *text = IcebergProperty(metadata, key);

	return text != NULL && pg_strcasecmp(text, "true") == 0;
}

/* ---- the set of removed files ---- */

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

void
LakePathSetControl(HASHCTL *ctl, Size entrysize)
{
	memset(ctl, 0, sizeof(*ctl));
	ctl->keysize = sizeof(char *);
	ctl->entrysize = entrysize;
	ctl->hash = PathHash;
	ctl->match = PathMatch;
	ctl->hcxt = CurrentMemoryContext;
}

HTAB *
LakePathSet(void)
{
	HASHCTL		ctl;

	LakePathSetControl(&ctl, sizeof(char *));
	return hash_create("shard lake paths", 256, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static void
CollectRemoved(Commit *commit)
{
	ListCell   *lc;

	if (commit->change->removed == NIL)
		return;
	commit->removed = LakePathSet();
	foreach(lc, commit->change->removed)
	{
		char	   *path = (char *) lfirst(lc);

		hash_search(commit->removed, &path, HASH_ENTER, NULL);
	}
}

/* Is the file to be removed?  If so, it is found now. */
static bool
TakeRemoved(Commit *commit, const IcebergFile *file)
{
	bool		found;

	if (commit->change->remove_all)
		return true;
	if (commit->removed == NULL)
		return false;
	hash_search(commit->removed, &file->path, HASH_REMOVE, &found);
	return found;
}

static bool
IsRemoved(const Commit *commit, const IcebergFile *file)
{
	bool		found = false;

	if (commit->change->remove_all)
		return true;
	if (commit->removed != NULL)
		hash_search(commit->removed, &file->path, HASH_FIND, &found);
	return found;
}

/* ---- manifests ---- */

static void
CountFile(Totals *totals, const IcebergFile *file)
{
	totals->files[file->content]++;
	totals->rows[file->content] += file->record_count;
	totals->bytes += file->file_size;
}

static void
DescribeEntries(IcebergManifest *manifest, IcebergFile *const *files, int n, int64 new_sequence)
{
	manifest->min_sequence_number = new_sequence;
	for (int i = 0; i < n; i++)
	{
		int64		rows = files[i]->record_count;

		if (files[i]->status == 2)
		{
			manifest->deleted_files++;
			manifest->deleted_rows += rows;
			continue;
		}
		if (files[i]->status == 1)
		{
			manifest->added_files++;
			manifest->added_rows += rows;
		}
		else
		{
			manifest->existing_files++;
			manifest->existing_rows += rows;
		}
		if (files[i]->sequence_number != -1)
			manifest->min_sequence_number = Min(manifest->min_sequence_number,
												files[i]->sequence_number);
	}
}

static void
WidenSummary(IcebergPartitionSummary *summary, LakeType type, IcebergBytes value)
{
	bool		is_float = type.kind == LAKE_FLOAT || type.kind == LAKE_DOUBLE;

	if (is_float && summary->contains_nan == -1)
		summary->contains_nan = 0;
	if (value.data == NULL)
		summary->contains_null = true;
	else if (is_float && IcebergBytesNaN(type, value))
		summary->contains_nan = 1;
	else
	{
		if (summary->lower.data == NULL || IcebergCompareBytes(type, value, summary->lower) < 0)
			summary->lower = value;
		if (summary->upper.data == NULL || IcebergCompareBytes(type, value, summary->upper) > 0)
			summary->upper = value;
	}
}

static IcebergBytes
PartitionValueOf(const IcebergFile *file, int field_id)
{
	IcebergBytes null = {NULL, 0};

	for (int i = 0; i < file->npartition; i++)
		if (file->partition[i].field_id == field_id)
			return file->partition[i].value;
	return null;
}

/* What the partitions of a manifest's files are, for the manifest list. */
static void
SummarizePartitions(const Commit *commit, IcebergManifest *manifest, const IcebergSpec *spec,
					IcebergFile *const *files, int n)
{
	manifest->npartitions = spec->nfields;
	manifest->partitions = palloc0(sizeof(IcebergPartitionSummary) * (spec->nfields + 1));
	for (int i = 0; i < spec->nfields; i++)
	{
		LakeType	type = IcebergPartitionType(&spec->fields[i], &commit->next);

		manifest->partitions[i].contains_nan = -1;
		for (int j = 0; j < n; j++)
			WidenSummary(&manifest->partitions[i], type,
						 PartitionValueOf(files[j], spec->fields[i].field_id));
	}
}

static void
WriteCommitFile(Commit *commit, const char *path, const char *data, size_t len)
{
	commit->paths = lappend(commit->paths, (void *) path);
	LakeWriteFile(path, data, len);
}

static void
WriteManifest(Commit *commit, IcebergFile *const *files, int n, int spec_id, int content)
{
	const IcebergSpec *spec = IcebergSpecById(commit->base, spec_id);
	IcebergManifest *manifest = palloc0(sizeof(IcebergManifest));
	char	   *data;
	size_t		len;

	if (spec == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lake table has no partition spec %d", spec_id)));
	data = IcebergWriteManifest((const IcebergFile *const *) files, n, &commit->next,
								commit->schema, spec, content, &len);
	manifest->path = psprintf("%s/%s-m%d.avro", commit->directory, commit->unique, commit->nwritten++);
	manifest->length = (int64) len;
	manifest->spec_id = spec_id;
	manifest->content = content;
	manifest->sequence_number = commit->sequence_number;
	manifest->added_snapshot_id = commit->snapshot_id;
	DescribeEntries(manifest, files, n, commit->sequence_number);
	SummarizePartitions(commit, manifest, spec, files, n);
	WriteCommitFile(commit, manifest->path, data, len);
	commit->manifests = lappend(commit->manifests, manifest);
	pfree(data);
}

/* A copy of a live entry, as existing or deleted. */
static IcebergFile *
EntryWithStatus(const IcebergFile *file, int status, int64 snapshot_id)
{
	IcebergFile *copy = palloc(sizeof(IcebergFile));

	*copy = *file;
	copy->status = status;
	copy->snapshot_id = snapshot_id;
	return copy;
}

static bool
HoldsRemoved(const Commit *commit, const IcebergFile *files, int n)
{
	for (int i = 0; i < n; i++)
		if (files[i].status != 2 && IsRemoved(commit, &files[i]))
			return true;
	return false;
}

static Rewritten *
RewrittenOf(Commit *commit, const IcebergManifest *manifest)
{
	Rewritten  *kind;
	ListCell   *lc;

	foreach(lc, commit->rewritten)
	{
		kind = (Rewritten *) lfirst(lc);
		if (kind->spec_id == manifest->spec_id && kind->content == manifest->content)
			return kind;
	}
	kind = palloc0(sizeof(Rewritten));
	kind->spec_id = manifest->spec_id;
	kind->content = manifest->content;
	commit->rewritten = lappend(commit->rewritten, kind);
	return kind;
}

/* Write the manifests that take the place of those that lost files. */
static void
WriteRewritten(Commit *commit)
{
	ListCell   *lc;

	foreach(lc, commit->rewritten)
	{
		const Rewritten *kind = (const Rewritten *) lfirst(lc);
		IcebergFile **entries = palloc(sizeof(IcebergFile *) * MANIFEST_ENTRIES);
		int			n = 0;
		ListCell   *entry;

		foreach(entry, kind->entries)
		{
			entries[n++] = (IcebergFile *) lfirst(entry);
			if (n < MANIFEST_ENTRIES)
				continue;
			WriteManifest(commit, entries, n, kind->spec_id, kind->content);
			n = 0;
		}
		if (n > 0)
			WriteManifest(commit, entries, n, kind->spec_id, kind->content);
		pfree(entries);
	}
}

/*
 * Carry a manifest of the parent snapshot over: as it is, or, if it loses files,
 * as entries to be written anew.
 */
static void
CarryOver(Commit *commit, const IcebergManifest *manifest)
{
	bool		removes = commit->change->remove_all ||
		(commit->removed != NULL && hash_get_num_entries(commit->removed) > 0);
	const IcebergFile *files;
	Rewritten  *kind;
	int			nfiles;

	if (manifest->added_files == 0 && manifest->existing_files == 0)
		return;					/* only tells of earlier deletions */
	if (removes)
		files = LakeCachedManifest(commit->base, manifest, &nfiles);
	if (!removes || !HoldsRemoved(commit, files, nfiles))
	{
		commit->manifests = lappend(commit->manifests, (void *) manifest);
		return;
	}
	kind = RewrittenOf(commit, manifest);
	for (int i = 0; i < nfiles; i++)
	{
		IcebergFile *entry;

		if (files[i].status == 2)
			continue;
		if (TakeRemoved(commit, &files[i]))
		{
			CountFile(&commit->deleted, &files[i]);
			entry = EntryWithStatus(&files[i], 2, commit->snapshot_id);
		}
		else
			entry = EntryWithStatus(&files[i], 0, files[i].snapshot_id);
		kind->entries = lappend(kind->entries, entry);
	}
}

/* Worth merging: small, and not the one that tells what this snapshot deletes. */
static bool
IsSmall(const Commit *commit, const IcebergManifest *manifest)
{
	return manifest->length < MERGE_TARGET_BYTES &&
		manifest->added_snapshot_id != commit->snapshot_id;
}

static bool
SameKind(const IcebergManifest *a, const IcebergManifest *b)
{
	return a->spec_id == b->spec_id && a->content == b->content;
}

/* Write the live entries of the manifests of a list as one manifest. */
static void
MergeManifests(Commit *commit, const List *manifests)
{
	const IcebergManifest *first = (const IcebergManifest *) linitial(manifests);
	IcebergFile **entries = palloc(sizeof(IcebergFile *) * 64);
	int			allocated = 64;
	int			n = 0;
	ListCell   *lc;

	foreach(lc, manifests)
	{
		int			nfiles;
		const IcebergFile *files = LakeCachedManifest(commit->base, lfirst(lc), &nfiles);

		for (int i = 0; i < nfiles; i++)
		{
			if (files[i].status == 2)
				continue;
			if (n == allocated)
			{
				allocated *= 2;
				entries = repalloc_huge(entries, sizeof(IcebergFile *) * allocated);
			}
			entries[n++] = EntryWithStatus(&files[i], 0, files[i].snapshot_id);
		}
	}
	WriteManifest(commit, entries, n, first->spec_id, first->content);
}

/* The small manifests of a list that are of the same kind as the given one. */
static List *
SmallOfKind(const Commit *commit, const List *manifests, const IcebergManifest *kind)
{
	List	   *small = NIL;
	ListCell   *lc;

	foreach(lc, manifests)
		if (IsSmall(commit, lfirst(lc)) && SameKind(lfirst(lc), kind))
			small = lappend(small, lfirst(lc));
	return small;
}

/*
 * Where there are many small manifests of one kind, make one of them.
 */
static void
MergeSmallManifests(Commit *commit)
{
	int64		min_count = Max(2, LakePropertyInt(commit->base, "commit.manifest.min-count-to-merge",
											   MERGE_MIN_COUNT));
	List	   *rest = commit->manifests;

	if (list_length(rest) < min_count)
		return;
	commit->manifests = NIL;
	while (rest != NIL)
	{
		List	   *small = SmallOfKind(commit, rest, (IcebergManifest *) linitial(rest));

		if (list_length(small) >= min_count)
		{
			MergeManifests(commit, small);
			rest = list_difference_ptr(rest, small);
		}
		else
		{
			commit->manifests = lappend(commit->manifests, linitial(rest));
			rest = list_delete_first(rest);
		}
	}
}

/* ---- added files ---- */

static int
CompareSpecs(const ListCell *a, const ListCell *b)
{
	return ((const IcebergFile *) lfirst(a))->spec_id - ((const IcebergFile *) lfirst(b))->spec_id;
}

/* One manifest for each partition spec. */
static void
WriteAdded(Commit *commit, bool deletes)
{
	List	   *files = NIL;
	IcebergFile **entries;
	ListCell   *lc;
	int			n = 0;

	foreach(lc, commit->change->added)
		if ((((IcebergFile *) lfirst(lc))->content != ICEBERG_DATA) == deletes)
			files = lappend(files, lfirst(lc));
	if (files == NIL)
		return;
	list_sort(files, CompareSpecs);
	entries = palloc(sizeof(IcebergFile *) * list_length(files));
	foreach(lc, files)
	{
		IcebergFile *file = (IcebergFile *) lfirst(lc);

		if (n > 0 && entries[n - 1]->spec_id != file->spec_id)
		{
			WriteManifest(commit, entries, n, entries[0]->spec_id, deletes ? 1 : 0);
			n = 0;
		}
		entries[n] = EntryWithStatus(file, 1, commit->snapshot_id);
		entries[n]->sequence_number = -1;
		entries[n]->file_sequence_number = -1;
		CountFile(&commit->added, file);
		n++;
	}
	WriteManifest(commit, entries, n, entries[0]->spec_id, deletes ? 1 : 0);
}

/* ---- snapshot ---- */

static void
CountAll(Commit *commit, const IcebergManifest *manifests, int n)
{
	for (int i = 0; i < n; i++)
	{
		int			nfiles;
		const IcebergFile *files = LakeCachedManifest(commit->base, &manifests[i], &nfiles);

		for (int j = 0; j < nfiles; j++)
			if (files[j].status != 2)
				CountFile(&commit->before, &files[j]);
	}
}

static bool
SummaryTotal(const IcebergSnapshot *snapshot, const char *key, int64 *value)
{
	const char *text = IcebergSummaryValue(snapshot, key);

	if (text == NULL)
		return false;
	*value = strtoll(text, NULL, 10);
	return true;
}

/* What the table holds before this commit: from the parent's summary, or counted. */
static void
CountBefore(Commit *commit, const IcebergSnapshot *parent, const IcebergManifest *manifests, int n)
{
	Totals	   *before = &commit->before;
	int64		deletes;

	if (parent == NULL)
		return;
	if (SummaryTotal(parent, "total-data-files", &before->files[ICEBERG_DATA]) &&
		SummaryTotal(parent, "total-records", &before->rows[ICEBERG_DATA]) &&
		SummaryTotal(parent, "total-files-size", &before->bytes) &&
		SummaryTotal(parent, "total-delete-files", &deletes) &&
		SummaryTotal(parent, "total-position-deletes", &before->rows[ICEBERG_POSITION_DELETES]) &&
		SummaryTotal(parent, "total-equality-deletes", &before->rows[ICEBERG_EQUALITY_DELETES]))
	{
		before->files[ICEBERG_POSITION_DELETES] = deletes;
		return;
	}
	memset(before, 0, sizeof(*before));
	CountAll(commit, manifests, n);
}

typedef struct Summary
{
	IcebergKeyValue *entries;
	int			n;
	int			allocated;
} Summary;

static void
PutSummary(Summary *summary, const char *key, char *value)
{
	if (summary->n == summary->allocated)
	{
		summary->allocated *= 2;
		summary->entries = repalloc(summary->entries, sizeof(IcebergKeyValue) * summary->allocated);
	}
	summary->entries[summary->n].key = pstrdup(key);
	summary->entries[summary->n++].value = value;
}

static void
PutCount(Summary *summary, const char *key, int64 value)
{
	if (value != 0)
		PutSummary(summary, key, psprintf(INT64_FORMAT, value));
}

static void
PutTotal(Summary *summary, const char *key, int64 value)
{
	PutSummary(summary, key, psprintf(INT64_FORMAT, Max(value, 0)));
}

static int64
DeleteFiles(const Totals *totals)
{
	return totals->files[ICEBERG_POSITION_DELETES] + totals->files[ICEBERG_EQUALITY_DELETES];
}

/* How many partitions files are added to or removed from. */
static int
ChangedPartitions(const Commit *commit)
{
	List	   *files = list_copy(commit->change->added);
	ListCell   *lc;

	foreach(lc, commit->rewritten)
	{
		ListCell   *entry;

		foreach(entry, ((const Rewritten *) lfirst(lc))->entries)
			if (((const IcebergFile *) lfirst(entry))->status == 2)
				files = lappend(files, lfirst(entry));
	}
	return list_length(LakeGroupByPartition(files));
}

/* What the writer said of itself in the parent's summary and not in this one. */
static void
PutInherited(Summary *summary, const IcebergSnapshot *parent)
{
	for (int i = 0; i < parent->nsummary; i++)
	{
		const IcebergKeyValue *entry = &parent->summary[i];
		bool		known = strncmp(entry->key, WRITER_PREFIX, strlen(WRITER_PREFIX)) != 0;

		for (int j = 0; j < summary->n && !known; j++)
			known = strcmp(summary->entries[j].key, entry->key) == 0;
		if (!known)
			PutSummary(summary, entry->key, entry->value);
	}
}

static void
BuildSummary(const Commit *commit, const IcebergSnapshot *parent, IcebergSnapshot *snapshot)
{
	const Totals *added = &commit->added;
	const Totals *deleted = &commit->deleted;
	const Totals *before = &commit->before;
	Summary		summary = {palloc(sizeof(IcebergKeyValue) * 32), 0, 32};

	PutSummary(&summary, "operation", pstrdup(commit->change->operation));
	for (int i = 0; i < commit->change->nsummary; i++)
		PutSummary(&summary, commit->change->summary[i].key, commit->change->summary[i].value);
	if (parent != NULL)
		PutInherited(&summary, parent);
	PutCount(&summary, "added-data-files", added->files[ICEBERG_DATA]);
	PutCount(&summary, "added-records", added->rows[ICEBERG_DATA]);
	PutCount(&summary, "added-delete-files", DeleteFiles(added));
	PutCount(&summary, "added-position-delete-files", added->files[ICEBERG_POSITION_DELETES]);
	PutCount(&summary, "added-position-deletes", added->rows[ICEBERG_POSITION_DELETES]);
	PutCount(&summary, "added-files-size", added->bytes);
	PutCount(&summary, "deleted-data-files", deleted->files[ICEBERG_DATA]);
	PutCount(&summary, "deleted-records", deleted->rows[ICEBERG_DATA]);
	PutCount(&summary, "removed-delete-files", DeleteFiles(deleted));
	PutCount(&summary, "removed-position-delete-files", deleted->files[ICEBERG_POSITION_DELETES]);
	PutCount(&summary, "removed-position-deletes", deleted->rows[ICEBERG_POSITION_DELETES]);
	PutCount(&summary, "removed-equality-deletes", deleted->rows[ICEBERG_EQUALITY_DELETES]);
	PutCount(&summary, "removed-files-size", deleted->bytes);
	PutSummary(&summary, "changed-partition-count", psprintf("%d", ChangedPartitions(commit)));
	PutTotal(&summary, "total-records",
			 before->rows[0] + added->rows[0] - deleted->rows[0]);
	PutTotal(&summary, "total-files-size", before->bytes + added->bytes - deleted->bytes);
	PutTotal(&summary, "total-data-files",
			 before->files[0] + added->files[0] - deleted->files[0]);
	PutTotal(&summary, "total-delete-files",
			 DeleteFiles(before) + DeleteFiles(added) - DeleteFiles(deleted));
	PutTotal(&summary, "total-position-deletes",
			 before->rows[1] + added->rows[1] - deleted->rows[1]);
	PutTotal(&summary, "total-equality-deletes",
			 before->rows[2] + added->rows[2] - deleted->rows[2]);
	snapshot->summary = summary.entries;
	snapshot->nsummary = summary.n;
}

static int64
NewSnapshotId(const IcebergMetadata *metadata)
{
	uint64		id;

	do
	{
		if (!pg_strong_random(&id, sizeof(id)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		id &= PG_INT64_MAX;
	} while (id == 0 || IcebergSnapshotById(metadata, (int64) id) != NULL);
	return (int64) id;
}

static char *
WriteManifestList(Commit *commit, int64 parent_id)
{
	int			n = list_length(commit->manifests);
	IcebergManifest *manifests = palloc(sizeof(IcebergManifest) * (n + 1));
	char	   *path = psprintf("%s/snap-" INT64_FORMAT ".avro", commit->directory,
								commit->snapshot_id);
	char	   *data;
	size_t		len;
	ListCell   *lc;

	foreach(lc, commit->manifests)
		manifests[foreach_current_index(lc)] = *(IcebergManifest *) lfirst(lc);
	data = IcebergWriteManifestList(manifests, n, commit->snapshot_id, parent_id,
									commit->sequence_number, &len);
	WriteCommitFile(commit, path, data, len);
	return path;
}

/* One more element at the end of an array of the metadata, which is copied. */
#define APPEND(array, n, element) \
	do { \
		void *old_ = (array); \
		(array) = palloc(sizeof(*(array)) * ((n) + 1)); \
		if ((n) > 0) \
			memcpy((array), old_, sizeof(*(array)) * (n)); \
		(array)[(n)++] = (element); \
	} while (0)

static void
AddSnapshot(Commit *commit)
{
	const IcebergMetadata *base = commit->base;
	const IcebergSnapshot *parent = base->current_snapshot_id == -1 ? NULL :
		IcebergSnapshotById(base, base->current_snapshot_id);
	IcebergSnapshot snapshot = {0};
	IcebergSnapshotLog log;
	const IcebergManifest *manifests = NULL;
	int			n = 0;

	if (parent != NULL)
		manifests = LakeCachedManifestList(base, parent->manifest_list, &n);
	CountBefore(commit, parent, manifests, n);
	for (int i = 0; i < n; i++)
		CarryOver(commit, &manifests[i]);
	WriteRewritten(commit);
	if (commit->removed != NULL && hash_get_num_entries(commit->removed) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("a file that was to be removed from lake table \"%s.%s\" is not part of it any more",
						commit->table->namespace, commit->table->name)));
	MergeSmallManifests(commit);
	WriteAdded(commit, false);
	WriteAdded(commit, true);

	snapshot.snapshot_id = commit->snapshot_id;
	snapshot.parent_id = parent == NULL ? -1 : parent->snapshot_id;
	snapshot.sequence_number = commit->sequence_number;
	snapshot.timestamp_ms = commit->now_ms;
	snapshot.schema_id = commit->schema->schema_id;
	snapshot.manifest_list = WriteManifestList(commit, snapshot.parent_id);
	BuildSummary(commit, parent, &snapshot);

	log.timestamp_ms = commit->now_ms;
	log.snapshot_id = snapshot.snapshot_id;
	APPEND(commit->next.snapshots, commit->next.nsnapshots, snapshot);
	APPEND(commit->next.snapshot_log, commit->next.nsnapshot_log, log);
	commit->next.current_snapshot_id = snapshot.snapshot_id;
	commit->next.last_sequence_number = commit->sequence_number;
	commit->trash = LakeExpireSnapshots(&commit->next, commit->now_ms, commit->manifests);
}

/* ---- schema ---- */

static void
EvolveSchema(Commit *commit)
{
	IcebergSchema schema = *commit->change->new_schema;

	schema.json = NULL;
	schema.schema_id = 0;
	for (int i = 0; i < commit->base->nschemas; i++)
		schema.schema_id = Max(schema.schema_id, commit->base->schemas[i].schema_id + 1);
	for (int i = 0; i < schema.nfields; i++)
		commit->next.last_column_id = Max(commit->next.last_column_id,
										  LakeFieldMaxId(&schema.fields[i]));
	APPEND(commit->next.schemas, commit->next.nschemas, schema);
	commit->next.current_schema_id = schema.schema_id;
	commit->schema = IcebergCurrentSchema(&commit->next);
}

/* ---- metadata file ---- */

/* The number at the begin of a metadata file's name. */
static int
MetadataVersion(const LakeTable *table)
{
	const char *name = strrchr(table->metadata_location, '/');
	char	   *end;
	long		version;

	name = name == NULL ? table->metadata_location : name + 1;
	version = strtol(name, &end, 10);
	if (end == name || *end != '-' || version < 0 || version > 100000000)
		return table->metadata->nmetadata_log;
	return (int) version;
}

/*
 * Append the file we come from to the log, and cut the log; what falls out may
 * go, if the table's properties say so and the file is of our writing.
 */
static void
LogPreviousFile(Commit *commit)
{
	IcebergMetadata *next = &commit->next;
	IcebergMetadataLog log = {commit->base->last_updated_ms, commit->table->metadata_location};
	int64		max = LakePropertyInt(commit->base, "write.metadata.previous-versions-max",
								  MetadataVersions);
	bool		remove = PropertyIsTrue(commit->base, "write.metadata.delete-after-commit.enabled") &&
		LakeOwns(commit->base);

	APPEND(next->metadata_log, next->nmetadata_log, log);
	while (next->nmetadata_log > Max(max, 1))
	{
		if (remove)
			commit->trash = lappend(commit->trash, next->metadata_log[0].metadata_file);
		next->metadata_log++;
		next->nmetadata_log--;
	}
}

static void
RemoveWritten(const Commit *commit)
{
	ListCell   *lc;

	foreach(lc, commit->paths)
		LakeRemoveWritten((const char *) lfirst(lc));
}

static void
BeginCommit(Commit *commit, LakeTable *table, const LakeChange *change)
{
	memset(commit, 0, sizeof(*commit));
	commit->table = table;
	commit->change = change;
	commit->base = table->metadata;
	if (table->name == NULL)
		elog(ERROR, "lake table without a name cannot be changed");
	commit->next = *table->metadata;
	commit->schema = IcebergCurrentSchema(commit->base);
	commit->directory = LakeMetadataDirectory(commit->base);
	commit->unique = LakeUniqueName(20);
	commit->snapshot_id = NewSnapshotId(commit->base);
	commit->sequence_number = commit->base->last_sequence_number + 1;
	commit->now_ms = Max(LakeNowMs(), commit->base->last_updated_ms);
}

/*
 * The same by a REST catalog, which writes the metadata file: now, or together
 * with others.
 */
static LakeTable *
PublishRest(Commit *commit)
{
	RestChange *change = RestPrepare(commit->table, &commit->next);
	LakeTable  *now = commit->table;

	if (change != NULL && commit->change->group != NULL)
	{
		LakeGroupAdd(commit->change->group, change, commit->paths, commit->trash);
		return now;
	}
	if (change != NULL)
		now = RestCommit(change);
	if (now == NULL)
		RemoveWritten(commit);
	else
		RegistryTrash(commit->trash, false);
	return now;
}

/*
 * Write the metadata file and move the pointer; NULL if somebody else's commit
 * came first.
 */
static LakeTable *
Publish(Commit *commit)
{
	LakeTable  *table = commit->table;
	char	   *path;
	char	   *text;
	size_t		len;

	commit->next.last_updated_ms = commit->now_ms;
	if (table->access != 0)
		return PublishRest(commit);
	LogPreviousFile(commit);
	text = IcebergWriteMetadata(&commit->next, &len);
	path = psprintf("%s/%05d-%.12s.metadata.json", commit->directory, MetadataVersion(table) + 1,
					commit->unique);
	WriteCommitFile(commit, path, text, len);
	LakeSyncDirectory(commit->directory);
	if (!RegistrySwap(table->namespace, table->name, table->metadata_location, path))
	{
		RemoveWritten(commit);
		return NULL;
	}
	RegistryTrash(commit->trash, false);
	LakeCacheMetadata(path, text, len);
	pfree(text);
	return LakeOpen(table->namespace, table->name, false);
}

LakeTable *
LakeCommit(LakeTable *table, const LakeChange *change)
{
	Commit		commit;

	if (LakeIsCommitted(table, change))
		return table;
	BeginCommit(&commit, table, change);
	CollectRemoved(&commit);
	if (change->new_schema != NULL)
		EvolveSchema(&commit);
	if (change->added != NIL || change->removed != NIL || change->remove_all ||
		change->nsummary > 0)
		AddSnapshot(&commit);
	return Publish(&commit);
}

LakeTable *
LakeReshape(LakeTable *table, const LakeShape *shape)
{
	LakeChange	none = {0};
	Commit		commit;

	BeginCommit(&commit, table, &none);
	LakeSetShape(&commit.next, shape);
	if (commit.next.default_spec_id == commit.base->default_spec_id &&
		commit.next.default_sort_order_id == commit.base->default_sort_order_id)
		return table;
	return Publish(&commit);
}

LakeTable *
LakeAdopt(LakeTable *table)
{
	LakeChange	none = {0};
	Commit		commit;
	IcebergKeyValue *properties;

	if (LakeOwns(table->metadata))
		return table;
	BeginCommit(&commit, table, &none);
	properties = palloc((commit.next.nproperties + 1) * sizeof(IcebergKeyValue));
	properties[0] = (IcebergKeyValue) {"shard.owner", LakeOwner()};
	commit.next.nproperties = 1;
	for (int i = 0; i < commit.base->nproperties; i++)
		if (strcmp(commit.base->properties[i].key, "shard.owner") != 0)
			properties[commit.next.nproperties++] = commit.base->properties[i];
	commit.next.properties = properties;
	return Publish(&commit);
}

LakeTable *
LakeExpire(LakeTable *table, int64 older_than_ms, int retain_last, LakeExpiry *expiry)
{
	LakeChange	none = {0};
	Commit		commit;

	LakeRequireOwner(table);
	memset(expiry, 0, sizeof(*expiry));
	BeginCommit(&commit, table, &none);
	if (older_than_ms < 0)
		older_than_ms = LakeSnapshotRetention(commit.base);
	commit.trash = LakeDropSnapshots(&commit.next, commit.now_ms - older_than_ms, retain_last,
									 expiry);
	if (expiry->snapshots == 0)
		return table;
	SHARD_POINT("expire-before-swap");
	table = Publish(&commit);
	SHARD_POINT("expire-after-swap");
	return table;
}
