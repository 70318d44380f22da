/*
 * orphans.c
 *		Files in a lake table's directory that belong to nothing: left by a
 *		server that died while it wrote, or by another engine.
 *
 * A file is an orphan if no snapshot, log or statistics entry of the table's
 * current metadata reaches it and it does not wait in the queue of files to be
 * removed.  Two things could look like one and are not:
 * - A file of a transaction that has not committed yet.  Every transaction that
 *   writes lake files holds a lock (LakeLockAsWriter); after listing the
 *   directory we wait for those that hold it then, as CREATE INDEX CONCURRENTLY
 *   does, and only then read the metadata.  Later ones make files that are not
 *   in the list.  Other engines do not know that lock: that is what the age is
 *   for.
 * - A file that only a pointer reaches which an older snapshot of this database
 *   still sees.  So files are removed at once only if no such snapshot is left,
 *   else they join the queue, which waits for them.
 * Metadata files of a REST catalog's tables are the catalog's own.
 */
#include "postgres.h"

#include "base/points.h"
#include "lake/iceberg/json.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

/* How long to wait for other transactions before files are queued instead. */
#define PATIENCE_MS 1000
#define POLL_MS 10

/* The form in which paths are compared: without a scheme. */
static char *
Comparable(const char *uri)
{
	return LakeStoreOf(uri) == &LakeLocalStore ? LakeLocalPath(uri) : pstrdup(LakePlace(uri));
}

static void
AddTo(HTAB *set, const char *uri)
{
	char	   *path = Comparable(uri);

	hash_search(set, &path, HASH_ENTER, NULL);
}

static bool
IsIn(HTAB *set, const char *path)
{
	bool		found;

	hash_search(set, &path, HASH_FIND, &found);
	return found;
}

/* ---- what is reachable ---- */

static void
AddManifests(HTAB *set, HTAB *manifests_seen, const IcebergMetadata *metadata,
			 const IcebergSnapshot *snapshot)
{
	const IcebergManifest *manifests;
	int			n;

	AddTo(set, snapshot->manifest_list);
	manifests = LakeCachedManifestList(metadata, snapshot->manifest_list, &n);
	for (int i = 0; i < n; i++)
	{
		const IcebergFile *files;
		int			nfiles;
		bool		seen;

		hash_search(manifests_seen, &manifests[i].path, HASH_ENTER, &seen);
		if (seen)
			continue;
		CHECK_FOR_INTERRUPTS();
		AddTo(set, manifests[i].path);
		files = LakeCachedManifest(metadata, &manifests[i], &nfiles);
		for (int j = 0; j < nfiles; j++)
			if (files[j].status != 2)
				AddTo(set, files[j].path);
	}
}

static void
AddStatistics(HTAB *set, const Json *array)
{
	for (int i = 0; JsonIs(array, JSON_ARRAY) && i < JsonSize(array); i++)
	{
		const char *path = JsonStringValue(JsonGet(JsonAt(array, i), "statistics-path"));

		if (path != NULL)
			AddTo(set, path);
	}
}

/* Everything that the table's metadata leads to, as comparable paths. */
static HTAB *
ReachableFiles(const LakeTable *table)
{
	const IcebergMetadata *metadata = table->metadata;
	HTAB	   *set = LakePathSet();
	HTAB	   *manifests_seen = LakePathSet();

	AddTo(set, table->metadata_location);
	for (int i = 0; i < metadata->nmetadata_log; i++)
		AddTo(set, metadata->metadata_log[i].metadata_file);
	for (int i = 0; i < metadata->nsnapshots; i++)
		if (metadata->snapshots[i].manifest_list != NULL)
			AddManifests(set, manifests_seen, metadata, &metadata->snapshots[i]);
	AddStatistics(set, JsonGet(metadata->json, "statistics"));
	AddStatistics(set, JsonGet(metadata->json, "partition-statistics"));
	return set;
}

/* Files that wait in the queue, as comparable paths. */
static HTAB *
QueuedFiles(void)
{
	HTAB	   *set = LakePathSet();
	HASH_SEQ_STATUS status;
	char	  **path;

	hash_seq_init(&status, RegistryTrashed());
	while ((path = hash_seq_search(&status)) != NULL)
		if (strncmp(*path, TRASH_REST, strlen(TRASH_REST)) != 0)
			AddTo(set, *path);
	return set;
}

/* ---- others ---- */

/*
 * Wait a little for transactions whose snapshots may see an older pointer than
 * the current one; false if some are left.
 */
static bool
OthersAreDone(void)
{
	VirtualTransactionId *others;
	int			n;
	int			done = 0;

	others = GetCurrentVirtualXIDs(InvalidTransactionId, true, false,
								   PROC_IS_AUTOVACUUM | PROC_IN_VACUUM, &n);
	for (int waited = 0; done < n; waited += POLL_MS)
	{
		if (VirtualXactLock(others[done], false))
		{
			done++;
			continue;
		}
		if (waited >= PATIENCE_MS)
			return false;
		(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS, PG_WAIT_EXTENSION);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

/* ---- the whole ---- */

/* Does a REST catalog write, and remove, the file? */
static bool
IsOfCatalog(const LakeTable *table, const char *uri)
{
	return table->access != 0 && strstr(uri, ".metadata.json") != NULL;
}

static List *
OldFiles(const LakeTable *table, int64 before_ms, LakeOrphans *result)
{
	List	   *old = NIL;
	ListCell   *lc;

	foreach(lc, LakeListFiles(LakeCanonical(table->metadata->location)))
	{
		LakeFileInfo *file = (LakeFileInfo *) lfirst(lc);

		if (IsOfCatalog(table, file->uri))
			continue;
		if (file->modified_ms < before_ms)
			old = lappend(old, file);
		else
			result->young++;
	}
	return old;
}

static void
Remove(const List *orphans, const List *paths, LakeOrphans *result)
{
	ListCell   *lc;

	if (OthersAreDone())
		result->files = LakeRemoveFiles(paths);
	else
	{
		RegistryTrash(paths, false);
		result->queued = list_length(paths);
	}
	foreach(lc, orphans)
		result->bytes += ((LakeFileInfo *) lfirst(lc))->size;
}

void
LakeRemoveOrphans(const LakeTable *table, int64 older_than_ms, LakeOrphans *result)
{
	List	   *old;
	List	   *orphans = NIL;
	List	   *paths = NIL;
	LakeTable  *now;
	HTAB	   *reachable;
	HTAB	   *queued;
	ListCell   *lc;

	LakeRequireOwner(table);
	memset(result, 0, sizeof(*result));
	old = OldFiles(table, LakeNowMs() - older_than_ms, result);
	if (old == NIL)
		return;
	LakeWaitForWriters();

	PushActiveSnapshot(GetLatestSnapshot());
	now = LakeOpen(table->namespace, table->name, true);
	if (now != NULL && strcmp(now->metadata->table_uuid, table->metadata->table_uuid) == 0)
	{
		reachable = ReachableFiles(now);
		queued = QueuedFiles();
		foreach(lc, old)
		{
			LakeFileInfo *file = (LakeFileInfo *) lfirst(lc);
			char	   *path = Comparable(file->uri);

			if (IsIn(reachable, path) || IsIn(queued, path))
				continue;
			orphans = lappend(orphans, file);
			paths = lappend(paths, file->uri);
		}
	}
	SHARD_POINT("orphans-before-remove");
	if (orphans != NIL)
		Remove(orphans, paths, result);
	PopActiveSnapshot();
	SHARD_POINT("orphans-after-remove");
}
