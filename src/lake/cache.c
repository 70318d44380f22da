/*
 * cache.c
 *		Parsed metadata files, manifest lists and manifests of this backend.
 *
 * The files never change once written, so a path is a sufficient key, with the
 * credentials where it is not local.  Each
 * entry owns a memory context below the cache's.  What a caller gets is pinned
 * to the memory context that is current at the call: the pin goes with the
 * context, and only entries without pins are evicted, the least recently used
 * first, when all together take more than CACHE_LIMIT.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lib/ilist.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#define CACHE_LIMIT ((Size) 64 * 1024 * 1024)

typedef struct CacheEntry
{
	dlist_node	link;			/* in lru, most recent first */
	char	   *path;
	MemoryContext context;
	Size		size;
	int			pins;
	IcebergMetadata *metadata;
	IcebergManifest *manifests;
	IcebergFile *files;
	int			n;				/* of manifests or files */
} CacheEntry;

typedef struct CacheSlot
{
	char	   *path;			/* key; the entry's own copy */
	CacheEntry *entry;
} CacheSlot;

static MemoryContext CacheContext = NULL;
static HTAB *cache = NULL;
static dlist_head lru;
static Size cache_size = 0;

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

static void
CacheInit(void)
{
	HASHCTL		ctl = {0};

	if (cache != NULL)
		return;
	if (CacheContext == NULL)
		CacheContext = AllocSetContextCreate(TopMemoryContext, "shard lake cache",
											 ALLOCSET_DEFAULT_SIZES);
	ctl.keysize = sizeof(char *);
	ctl.entrysize = sizeof(CacheSlot);
	ctl.hash = PathHash;
	ctl.match = PathMatch;
	ctl.hcxt = CacheContext;
	dlist_init(&lru);
	cache = hash_create("shard lake cache", 256, &ctl,
						HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static void
Evict(CacheEntry *entry)
{
	hash_search(cache, &entry->path, HASH_REMOVE, NULL);
	dlist_delete(&entry->link);
	cache_size -= entry->size;
	MemoryContextDelete(entry->context);	/* the entry itself lives in it */
}

static void
EvictSurplus(void)
{
	dlist_node *node;

	if (cache_size <= CACHE_LIMIT)
		return;
	node = dlist_is_empty(&lru) ? NULL : dlist_tail_node(&lru);
	while (node != NULL && cache_size > CACHE_LIMIT)
	{
		CacheEntry *entry = dlist_container(CacheEntry, link, node);

		node = dlist_has_prev(&lru, node) ? dlist_prev_node(&lru, node) : NULL;
		if (entry->pins == 0)
			Evict(entry);
	}
}

static void
Unpin(void *arg)
{
	((CacheEntry *) arg)->pins--;
}

static void
Pin(CacheEntry *entry)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));

	callback->func = Unpin;
	callback->arg = entry;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	entry->pins++;
	dlist_move_head(&lru, &entry->link);
}

static CacheEntry *
Find(const char *path)
{
	CacheSlot  *slot;

	CacheInit();
	slot = hash_search(cache, &path, HASH_FIND, NULL);
	return slot == NULL ? NULL : slot->entry;
}

/*
 * A new entry whose context is the current one's child until Keep(): an error
 * while it is filled frees it.
 */
static CacheEntry *
NewEntry(const char *path)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "shard lake file",
												  ALLOCSET_DEFAULT_SIZES);
	CacheEntry *entry = MemoryContextAllocZero(context, sizeof(CacheEntry));

	entry->context = context;
	entry->path = MemoryContextStrdup(context, path);
	return entry;
}

static void
Keep(CacheEntry *entry)
{
	CacheSlot  *slot = hash_search(cache, &entry->path, HASH_ENTER, NULL);

	slot->path = entry->path;
	slot->entry = entry;
	MemoryContextSetParent(entry->context, CacheContext);
	entry->size = MemoryContextMemAllocated(entry->context, true);
	cache_size += entry->size;
	dlist_push_head(&lru, &entry->link);
	Pin(entry);
	EvictSurplus();
}

static const char *
Key(const LakeAccess *access, const char *path)
{
	return LakeIsLocal(path) ? path : psprintf("%s %s", access->identity, path);
}

/* Files that are read with moved paths are others than those with the written ones. */
static const char *
KeyIn(const IcebergMetadata *metadata, const char *path)
{
	const char *key = Key(LakeAccessById(metadata->access), path);

	return metadata->moves_text == NULL ? key : psprintf("%s\n%s", key, metadata->moves_text);
}

static CacheEntry *
AddMetadata(LakeAccess *access, const char *key, const char *text, size_t len)
{
	CacheEntry *entry = NewEntry(key);
	MemoryContext old = MemoryContextSwitchTo(entry->context);

	entry->metadata = IcebergParseMetadata(text, len);
	entry->metadata->access = access->id;
	MemoryContextSwitchTo(old);
	Keep(entry);
	return entry;
}

const IcebergMetadata *
LakeCachedMetadata(LakeAccess *access, const char *location)
{
	CacheEntry *entry;

	LakeCheckAccess(access, location);
	entry = Find(Key(access, location));
	if (entry == NULL)
	{
		size_t		len;
		char	   *text = LakeReadFile(access, location, &len);

		entry = AddMetadata(access, Key(access, location), text, len);
		pfree(text);
	}
	else
		Pin(entry);
	if (entry->metadata == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lake file \"%s\" is not a metadata file", location)));
	return entry->metadata;
}

const IcebergMetadata *
LakeCachedMovedMetadata(LakeAccess *access, const char *location, const char *moved_to,
						const char *path_map)
{
	char	   *moves = psprintf("%s\n%s", moved_to == NULL ? "" : moved_to,
								 path_map == NULL ? "" : path_map);
	char	   *key = psprintf("%s\n%s", Key(access, location), moves);
	CacheEntry *entry;

	LakeCheckAccess(access, location);
	entry = Find(key);
	if (entry == NULL)
	{
		MemoryContext old;
		size_t		len;
		char	   *text = LakeReadFile(access, location, &len);

		entry = AddMetadata(access, key, text, len);
		old = MemoryContextSwitchTo(entry->context);
		LakeSetMoves(entry->metadata, moved_to, path_map);
		entry->metadata->moves_text = pstrdup(moves);
		MemoryContextSwitchTo(old);
		pfree(text);
	}
	else
		Pin(entry);
	return entry->metadata;
}

/*
 * Take in a metadata file that was just written, for the next to open it.
 */
void
LakeCacheMetadata(const char *location, const char *text, size_t len)
{
	LakeCacheMetadataOf(LakeAccessOfLake(location), location, text, len);
}

void
LakeCacheMetadataOf(LakeAccess *access, const char *location, const char *text, size_t len)
{
	if (Find(Key(access, location)) == NULL)
		AddMetadata(access, Key(access, location), text, len);
}

const IcebergManifest *
LakeCachedManifestList(const IcebergMetadata *metadata, const char *path, int *n)
{
	LakeAccess *access = LakeAccessById(metadata->access);
	const char *key = KeyIn(metadata, path);
	CacheEntry *entry;

	LakeCheckAccess(access, path);
	entry = Find(key);
	if (entry == NULL)
	{
		MemoryContext old;
		size_t		len;
		char	   *data;

		entry = NewEntry(key);
		old = MemoryContextSwitchTo(entry->context);
		data = LakeReadFile(access, path, &len);
		entry->n = IcebergReadManifestList(data, len, metadata->format_version, &entry->manifests);
		for (int i = 0; i < entry->n; i++)
			entry->manifests[i].path = LakeMoved(metadata, entry->manifests[i].path);
		MemoryContextSwitchTo(old);
		Keep(entry);
	}
	else
		Pin(entry);
	if (entry->manifests == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lake file \"%s\" is not a manifest list", path)));
	*n = entry->n;
	return entry->manifests;
}

/*
 * Some writers tell a wrong length.  A manifest that is cut off between two blocks
 * reads well but has fewer files than the list says.
 */
static void
CheckComplete(const IcebergManifest *manifest, size_t len, int nfiles)
{
	if (len >= (size_t) Max(manifest->length, 0))
		return;
	if (manifest->added_files >= 0 && manifest->existing_files >= 0 &&
		manifest->deleted_files >= 0 && nfiles ==
		(int64) manifest->added_files + manifest->existing_files + manifest->deleted_files)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("manifest \"%s\" has %zu bytes instead of %lld",
					manifest->path, len, (long long) manifest->length)));
}

static void
MoveFile(const IcebergMetadata *metadata, IcebergFile *file)
{
	char	   *path = LakeMoved(metadata, file->path);

	if (path == file->path)
		return;
	file->written_path = file->path;
	file->path = path;
}

const IcebergFile *
LakeCachedManifest(const IcebergMetadata *metadata, const IcebergManifest *manifest, int *n)
{
	LakeAccess *access = LakeAccessById(metadata->access);
	const char *key = KeyIn(metadata, manifest->path);
	CacheEntry *entry;

	LakeCheckAccess(access, manifest->path);
	entry = Find(key);
	if (entry == NULL)
	{
		MemoryContext old;
		size_t		len;
		char	   *data;

		entry = NewEntry(key);
		old = MemoryContextSwitchTo(entry->context);
		data = LakeReadFile(access, manifest->path, &len);
		entry->n = IcebergReadManifest(data, len, metadata, manifest, &entry->files);
		CheckComplete(manifest, len, entry->n);
		for (int i = 0; i < entry->n && metadata->nmoves > 0; i++)
			MoveFile(metadata, &entry->files[i]);
		MemoryContextSwitchTo(old);
		Keep(entry);
	}
	else
		Pin(entry);
	if (entry->files == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lake file \"%s\" is not a manifest", manifest->path)));
	*n = entry->n;
	return entry->files;
}
