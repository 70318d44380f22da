/*
 * expire.c
 *		Which snapshots a table keeps, and which files nobody needs without the
 *		others.
 *
 * A table that is flushed every second has 86,400 snapshots a day, each some
 * 700 bytes of metadata that every commit writes again.  So history is thinned
 * with its age: the newest hundred are all kept, then one a minute for an hour,
 * then one an hour for shard.snapshot_retention (5 days) or what the table's
 * property history.expire.max-snapshot-age-ms says: fewer than 300.  Tags and branches keep theirs.  It is done for fifty or more at a time,
 * so that the work is spread thin over the commits.
 */
#include "postgres.h"

#include "base/settings.h"
#include "lake/internal.h"
#include "lake/io/io.h"

#define KEPT_WHOLE 100
#define BATCH 50
#define MINUTE_MS ((int64) 60 * 1000)
#define HOUR_MS (60 * MINUTE_MS)

/* ---- which snapshots ---- */

static bool
IsReferenced(const IcebergMetadata *metadata, int64 snapshot_id)
{
	if (snapshot_id == metadata->current_snapshot_id)
		return true;
	for (int i = 0; i < metadata->nrefs; i++)
		if (metadata->refs[i].snapshot_id == snapshot_id)
			return true;
	return false;
}

int64
LakeSnapshotRetention(const IcebergMetadata *metadata)
{
	return LakePropertyInt(metadata, "history.expire.max-snapshot-age-ms",
						   (int64) SnapshotRetention * MINUTE_MS);
}

/* The stretch of time of which one snapshot is kept. */
static int64
Stretch(int64 timestamp_ms, int64 age_ms)
{
	return age_ms <= HOUR_MS ? timestamp_ms / MINUTE_MS : timestamp_ms / HOUR_MS;
}

/*
 * Mark the snapshots to be kept, which are in the order of their commits.
 * Returns the number of the others.
 */
int
LakeMarkKeptSnapshots(const IcebergMetadata *metadata, int64 now_ms, bool *keep)
{
	int64		max_age = LakeSnapshotRetention(metadata);
	int64		min_kept = LakePropertyInt(metadata, "history.expire.min-snapshots-to-keep", 1);
	int64		whole = LakePropertyInt(metadata, "shard.snapshots-kept-whole", KEPT_WHOLE);
	int64		stretch = -1;
	int			dropped = 0;

	for (int i = metadata->nsnapshots - 1; i >= 0; i--)
	{
		const IcebergSnapshot *snapshot = &metadata->snapshots[i];
		int64		age = now_ms - snapshot->timestamp_ms;
		int			newer = metadata->nsnapshots - 1 - i;
		int64		this_stretch = Stretch(snapshot->timestamp_ms, age);

		keep[i] = newer < min_kept || IsReferenced(metadata, snapshot->snapshot_id);
		if (age <= max_age && (newer < whole || this_stretch != stretch))
		{
			keep[i] = true;
			stretch = this_stretch;
		}
		dropped += !keep[i];
	}
	return dropped;
}

/* ---- which files ---- */

static void
AddPath(HTAB *set, const char *path)
{
	hash_search(set, &path, HASH_ENTER, NULL);
}

static void
RemovePath(HTAB *set, const char *path)
{
	hash_search(set, &path, HASH_REMOVE, NULL);
}

/* Lists of manifests, each by its path, and the manifests by theirs. */
typedef struct Reachable
{
	HTAB	   *lists;
	HTAB	   *seen;			/* paths of manifests */
	List	   *manifests;		/* of const IcebergManifest *, each once */
} Reachable;

static void
AddManifest(Reachable *reachable, const IcebergManifest *manifest)
{
	bool		found;

	hash_search(reachable->seen, &manifest->path, HASH_ENTER, &found);
	if (!found)
		reachable->manifests = lappend(reachable->manifests, (void *) manifest);
}

/* What a snapshot consists of; false if its list is not there any more. */
static bool
AddSnapshot(Reachable *reachable, const IcebergMetadata *metadata, const IcebergSnapshot *snapshot)
{
	const IcebergManifest *manifests;
	int			n;

	if (snapshot->manifest_list == NULL || !LakeFileExists(snapshot->manifest_list))
		return false;
	AddPath(reachable->lists, snapshot->manifest_list);
	manifests = LakeCachedManifestList(metadata, snapshot->manifest_list, &n);
	for (int i = 0; i < n; i++)
		AddManifest(reachable, &manifests[i]);
	return true;
}

static void
InitReachable(Reachable *reachable)
{
	reachable->lists = LakePathSet();
	reachable->seen = LakePathSet();
	reachable->manifests = NIL;
}

static void
ForEachLiveFile(const IcebergMetadata *metadata, const IcebergManifest *manifest, HTAB *set,
				void (*action) (HTAB *set, const char *path))
{
	int			n;
	const IcebergFile *files = LakeCachedManifest(metadata, manifest, &n);

	for (int i = 0; i < n; i++)
		if (files[i].status != 2)
			action(set, files[i].path);
}

static List *
AppendSet(List *list, HTAB *set)
{
	HASH_SEQ_STATUS status;
	char	  **path;

	hash_seq_init(&status, set);
	while ((path = hash_seq_search(&status)) != NULL)
		list = lappend(list, *path);
	return list;
}

/*
 * Files that only dropped snapshots reach: their lists, manifests that no kept
 * snapshot has, and files that are live in such manifests and in no kept one.
 */
static List *
UnreachableFiles(const IcebergMetadata *metadata, const Reachable *kept, const Reachable *dropped,
				 LakeExpiry *expiry)
{
	HTAB	   *lists = dropped->lists;
	HTAB	   *files = LakePathSet();
	List	   *trash = NIL;
	ListCell   *lc;

	trash = AppendSet(trash, lists);
	foreach(lc, dropped->manifests)
	{
		const IcebergManifest *manifest = (const IcebergManifest *) lfirst(lc);
		bool		found;

		hash_search(kept->seen, &manifest->path, HASH_FIND, &found);
		if (found || !LakeFileExists(manifest->path))
			continue;
		trash = lappend(trash, manifest->path);
		expiry->manifests++;
		ForEachLiveFile(metadata, manifest, files, AddPath);
	}
	foreach(lc, kept->manifests)
	{
		if (hash_get_num_entries(files) == 0)
			break;
		ForEachLiveFile(metadata, (const IcebergManifest *) lfirst(lc), files, RemovePath);
	}
	expiry->manifest_lists = (int) hash_get_num_entries(lists);
	expiry->files = (int) hash_get_num_entries(files);
	return AppendSet(trash, files);
}

/* ---- dropping them ---- */

/*
 * The log tells which snapshot was current when: of a log with gaps, only what
 * comes after the last gap is true.
 */
static void
CutSnapshotLog(IcebergMetadata *metadata)
{
	int			from = 0;

	for (int i = 0; i < metadata->nsnapshot_log; i++)
		if (IcebergSnapshotById(metadata, metadata->snapshot_log[i].snapshot_id) == NULL)
			from = i + 1;
	metadata->snapshot_log += from;
	metadata->nsnapshot_log -= from;
}

static bool
CollectReachable(const IcebergMetadata *metadata, const bool *keep, const List *current,
				 Reachable *kept, Reachable *dropped)
{
	ListCell   *lc;

	InitReachable(kept);
	InitReachable(dropped);
	foreach(lc, current)
		AddManifest(kept, (const IcebergManifest *) lfirst(lc));
	for (int i = 0; i < metadata->nsnapshots; i++)
	{
		const IcebergSnapshot *snapshot = &metadata->snapshots[i];

		if (!keep[i])
			AddSnapshot(dropped, metadata, snapshot);
		else if (snapshot->snapshot_id != metadata->current_snapshot_id &&
				 !AddSnapshot(kept, metadata, snapshot))
			return false;		/* then nothing is sure */
	}
	foreach(lc, kept->manifests)
		if (!LakeFileExists(((const IcebergManifest *) lfirst(lc))->path))
			return false;
	return true;
}

/*
 * Drop the snapshots that are not kept from metadata that are about to be
 * written; current: manifests of the current snapshot.  Returns the files that
 * only they reach.
 */
static List *
DropSnapshots(IcebergMetadata *metadata, const bool *keep, const List *current, LakeExpiry *expiry)
{
	IcebergSnapshot *snapshots;
	Reachable	kept;
	Reachable	dropped;
	List	   *trash;
	int			n = 0;

	if (!CollectReachable(metadata, keep, current, &kept, &dropped))
		return NIL;
	trash = UnreachableFiles(metadata, &kept, &dropped, expiry);
	snapshots = palloc(sizeof(IcebergSnapshot) * metadata->nsnapshots);
	for (int i = 0; i < metadata->nsnapshots; i++)
		if (keep[i])
			snapshots[n++] = metadata->snapshots[i];
	expiry->snapshots = metadata->nsnapshots - n;
	metadata->snapshots = snapshots;
	metadata->nsnapshots = n;
	CutSnapshotLog(metadata);
	return trash;
}

/*
 * Drop snapshots from metadata that are about to be written, if there are
 * enough to be worth it.  current: manifests of the current snapshot.  Returns
 * the files to be removed once the new metadata are committed.
 */
List *
LakeExpireSnapshots(IcebergMetadata *metadata, int64 now_ms, const List *current)
{
	bool	   *keep = palloc0(sizeof(bool) * metadata->nsnapshots);
	LakeExpiry	expiry = {0};

	if (!LakeOwns(metadata) || LakeMarkKeptSnapshots(metadata, now_ms, keep) < BATCH)
		return NIL;
	return DropSnapshots(metadata, keep, current, &expiry);
}

/*
 * The same on request: all before a time, but for the newest retain_last and
 * those that a tag or branch names.
 */
List *
LakeDropSnapshots(IcebergMetadata *metadata, int64 before_ms, int retain_last, LakeExpiry *expiry)
{
	bool	   *keep = palloc0(sizeof(bool) * (metadata->nsnapshots + 1));
	int			dropped = 0;
	List	   *current = NIL;

	for (int i = 0; i < metadata->nsnapshots; i++)
	{
		const IcebergSnapshot *snapshot = &metadata->snapshots[i];

		keep[i] = metadata->nsnapshots - i <= retain_last ||
			snapshot->timestamp_ms >= before_ms ||
			IsReferenced(metadata, snapshot->snapshot_id);
		dropped += !keep[i];
	}
	expiry->kept = metadata->nsnapshots - dropped;
	if (dropped == 0)
		return NIL;
	if (metadata->current_snapshot_id != -1)
	{
		const IcebergManifest *manifests;
		int			n;

		manifests = LakeCachedManifestList(metadata,
										   IcebergSnapshotById(metadata, metadata->current_snapshot_id)->manifest_list,
										   &n);
		for (int i = 0; i < n; i++)
			current = lappend(current, (void *) &manifests[i]);
	}
	return DropSnapshots(metadata, keep, current, expiry);
}
