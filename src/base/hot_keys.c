/*
 * hot_keys.c
 *		Sketches of the most accessed keys, by time: see hot_keys.h.
 *
 * Each access goes into the sketches of the present second, minute and hour,
 * under the lock of the key's partition.  A sketch is emptied when its bucket's
 * time comes again.
 */
#include "postgres.h"

#include "base/hot_keys.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"

typedef struct HotKeyPartition
{
	LWLock		lock;
	bool		busy;			/* it is being changed */
	uint32		stamps[WINDOW_BUCKETS];
} HotKeyPartition;

typedef struct HotKeyShared
{
	uint32		capacity;		/* of a sketch */
	Size		sketch_size;
	HotKeyPartition partitions[HOT_KEY_PARTITIONS];
	/* followed by the sketches, by partition and bucket */
} HotKeyShared;

#define HEADER_SIZE MAXALIGN(sizeof(HotKeyShared))

static HotKeyShared *shared = NULL;

static uint32
Capacity(void)
{
	return Max(WatchedKeys / HOT_KEY_PARTITIONS, 1);
}

static Size
SharedSize(void)
{
	return HEADER_SIZE + SketchSize(Capacity()) * HOT_KEY_PARTITIONS * WINDOW_BUCKETS;
}

static Sketch *
SketchAt(int partition, int bucket)
{
	return (Sketch *) ((char *) shared + HEADER_SIZE +
					   shared->sketch_size * (partition * WINDOW_BUCKETS + bucket));
}

void
HotKeysInitLocks(void)
{
	int			tranche = LWLockNewTrancheId();

	for (int i = 0; i < HOT_KEY_PARTITIONS; i++)
		LWLockInitialize(&shared->partitions[i].lock, tranche);
}

static void
InitShared(void *piece)
{
	shared = piece;
	shared->capacity = Capacity();
	shared->sketch_size = SketchSize(shared->capacity);
	for (int i = 0; i < HOT_KEY_PARTITIONS; i++)
		for (int j = 0; j < WINDOW_BUCKETS; j++)
			SketchInit(SketchAt(i, j), shared->capacity);
	HotKeysInitLocks();
}

void
HotKeysInit(void)
{
	ShmemRegister("shard hot keys", SharedSize(), (void **) &shared, InitShared);
}

void *
HotKeysMemory(Size *size)
{
	*size = SharedSize();
	return shared;
}

bool
HotKeysAreWhole(void)
{
	for (int i = 0; i < HOT_KEY_PARTITIONS; i++)
		if (shared->partitions[i].busy)
			return false;
	return true;
}

/*
 * Who is killed in between leaves the partition marked as busy.
 */
static void
LockPartition(int partition)
{
	LWLockAcquire(&shared->partitions[partition].lock, LW_EXCLUSIVE);
	shared->partitions[partition].busy = true;
}

static void
ReleasePartition(int partition)
{
	shared->partitions[partition].busy = false;
	LWLockRelease(&shared->partitions[partition].lock);
}

/*
 * The sketch for the present bucket of a level; the lock is held.
 */
static Sketch *
PresentSketch(int partition, const WindowLevel *level, int64 second)
{
	uint32		stamp = WindowStamp(level, second);
	int			bucket = WindowBucket(level, stamp);
	uint32	   *present = &shared->partitions[partition].stamps[bucket];

	if (*present != stamp)
	{
		SketchReset(SketchAt(partition, bucket));
		*present = stamp;
	}
	return SketchAt(partition, bucket);
}

uint64
HotKeysHash(uint32 owner, const char *key, size_t len)
{
	return hash_bytes_extended((const unsigned char *) key, (int) len, owner);
}

int
HotKeysPartition(uint64 hash)
{
	return (int) ((hash >> 32) % HOT_KEY_PARTITIONS);
}

uint32
HotKeysCapacity(void)
{
	return shared == NULL ? 0 : shared->capacity;
}

void
HotKeysAddCounted(int partition, const SketchKey *keys, const uint64 *counts, uint32 n,
				  uint64 rest, uint64 total)
{
	int64		second = GetCurrentTimestamp() / USECS_PER_SEC;

	LockPartition(partition);
	for (int i = 0; i < WINDOW_LEVELS; i++)
		SketchAddCounted(PresentSketch(partition, &WindowLevels[i], second), keys, counts, n, rest, total);
	ReleasePartition(partition);
}

void
HotKeysAdd(uint32 owner, int shard_index, const char *key, size_t len, uint64 n)
{
	SketchKey	sketch_key = {owner, (int16) shard_index};

	if (shared == NULL || owner == 0)
		return;
	sketch_key.hash = HotKeysHash(owner, key, len);
	sketch_key.key = key;
	sketch_key.len = len;
	HotKeysAddCounted(HotKeysPartition(sketch_key.hash), &sketch_key, &n, 1, 0, n);
}

/* ---- reading ---- */

typedef struct Found
{
	uint64		hash;			/* hash key */
	uint64		errors;			/* of its counts, at most */
	uint64		floors;			/* of the sketches that have it */
	HotKey		key;
} Found;

/*
 * Add one sketch's keys of an owner to what others had.
 */
static void
Collect(HTAB *found, const Sketch *sketch, uint32 owner)
{
	uint64		floor = SketchFloor(sketch);

	for (uint32 i = 0; i < sketch->used; i++)
	{
		const SketchEntry *entry = &SketchEntries(sketch)[i];
		Found	   *at;
		bool		known;

		if (entry->owner != owner)
			continue;
		at = hash_search(found, &entry->hash, HASH_ENTER, &known);
		if (!known)
		{
			int			len = Min(entry->len, SKETCH_KEY_MAX);

			memset((char *) at + sizeof(at->hash), 0, sizeof(Found) - sizeof(at->hash));
			memcpy(at->key.key, entry->key, len);
			at->key.cut = entry->len > SKETCH_KEY_MAX;
		}
		at->key.shard = entry->shard;
		at->key.accesses += entry->count - entry->error;
		at->errors += entry->error;
		at->floors += floor;
	}
}

/*
 * Collect the keys of a partition; returns the sum of its sketches' floors,
 * which is what a key that none of them has can have been accessed at most.
 */
static uint64
CollectPartition(HTAB *found, int partition, uint32 owner, const WindowRange *range)
{
	uint64		floors = 0;

	LWLockAcquire(&shared->partitions[partition].lock, LW_SHARED);
	for (uint32 stamp = range->oldest; stamp <= range->newest; stamp++)
	{
		int			bucket = WindowBucket(range->level, stamp);

		if (shared->partitions[partition].stamps[bucket] != stamp)
			continue;
		floors += SketchFloor(SketchAt(partition, bucket));
		Collect(found, SketchAt(partition, bucket), owner);
	}
	LWLockRelease(&shared->partitions[partition].lock);
	return floors;
}

HotKey *
HotKeysCollect(uint32 owner, const WindowRange *range, int *n)
{
	HotKey	   *keys = NULL;

	*n = 0;
	if (shared == NULL || owner == 0)
		return NULL;
	for (int i = 0; i < HOT_KEY_PARTITIONS; i++)
	{
		HASHCTL		ctl = {.keysize = sizeof(uint64), .entrysize = sizeof(Found), .hcxt = CurrentMemoryContext};
		HTAB	   *found = hash_create("shard hot keys", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		uint64		floors = CollectPartition(found, i, owner, range);
		long		more = hash_get_num_entries(found);
		HASH_SEQ_STATUS status;
		Found	   *at;

		if (more > 0)
			keys = keys == NULL ? palloc(sizeof(HotKey) * more) :
				repalloc_huge(keys, sizeof(HotKey) * (*n + more));
		hash_seq_init(&status, found);
		while ((at = hash_seq_search(&status)) != NULL)
		{
			at->key.at_most = at->key.accesses + at->errors + (floors - at->floors);
			keys[(*n)++] = at->key;
		}
		hash_destroy(found);
	}
	return keys;
}

void
HotKeysForget(uint32 owner)
{
	for (int i = 0; i < HOT_KEY_PARTITIONS; i++)
	{
		LockPartition(i);
		for (int j = 0; j < WINDOW_BUCKETS; j++)
			SketchForget(SketchAt(i, j), owner);
		ReleasePartition(i);
	}
}
