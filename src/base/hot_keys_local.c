/*
 * hot_keys_local.c
 *		Counting keys in this process before they go to shared memory.
 *
 * A process that counts a key for each of a million rows would spend more time on
 * the sketches than on the rows: of keys that occur once each, every one pushes
 * another out of three sketches.  Here each costs one step in a table of exact
 * counts, and only as many as a sketch has counters are handed on, the most
 * frequent ones.  The sketches' bounds hold all the same (sketch.h).
 *
 * The table takes less than 2 MB, made when it is first needed, for good.
 */
#include "postgres.h"

#include "base/hot_keys.h"
#include "utils/memutils.h"

#define SLOTS 16384
#define MOST_KEYS (SLOTS / 2)

typedef struct LocalKey
{
	uint64		hash;
	uint64		count;			/* 0 = free */
	uint32		owner;
	uint32		len;			/* of the whole key */
	int16		shard;
	char		text[SKETCH_KEY_MAX];	/* its beginning */
} LocalKey;

typedef struct LocalKeys
{
	uint32		nkeys;
	uint64		totals[HOT_KEY_PARTITIONS];
	uint16		slots[SLOTS];	/* number of the key + 1, 0 = free */
	LocalKey	keys[MOST_KEYS];

	/* of one partition, while it is handed on */
	uint16		order[MOST_KEYS];
	SketchKey	sketch_keys[SKETCH_CAPACITY_MAX];
	uint64		counts[SKETCH_CAPACITY_MAX];
} LocalKeys;

static LocalKeys *local = NULL;

static LocalKey *
FindOrMake(uint32 owner, uint64 hash, bool *found)
{
	uint32		at = (uint32) hash % SLOTS;

	for (; local->slots[at] != 0; at = (at + 1) % SLOTS)
	{
		LocalKey   *key = &local->keys[local->slots[at] - 1];

		*found = key->hash == hash && key->owner == owner;
		if (*found)
			return key;
	}
	*found = false;
	local->slots[at] = (uint16) ++local->nkeys;
	return &local->keys[local->nkeys - 1];
}

void
HotKeysCount(uint32 owner, int shard_index, const char *key, size_t len)
{
	uint64		hash = HotKeysHash(owner, key, len);
	LocalKey   *entry;
	bool		found;

	if (HotKeysCapacity() == 0 || owner == 0)
		return;
	if (local == NULL)
		local = MemoryContextAllocZero(TopMemoryContext, sizeof(LocalKeys));
	if (local->nkeys == MOST_KEYS)
		HotKeysPublish();
	entry = FindOrMake(owner, hash, &found);
	local->totals[HotKeysPartition(hash)]++;
	entry->shard = (int16) shard_index;
	if (found)
	{
		entry->count++;
		return;
	}
	entry->hash = hash;
	entry->count = 1;
	entry->owner = owner;
	entry->len = (uint32) Min(len, PG_UINT16_MAX);
	memcpy(entry->text, key, Min(len, SKETCH_KEY_MAX));
}

/*
 * Move the n keys with the greatest counts to the front.
 */
static void
SelectGreatest(uint16 *order, int length, int n)
{
	int			from = 0,
				to = length;

	while (to - from > 1)
	{
		uint64		middle = local->keys[order[from + (to - from) / 2]].count;
		int			greater = from,
					less = to;

		/* greater ones before "greater", less ones from "less" on, equal ones between */
		for (int i = from; i < less;)
		{
			uint64		count = local->keys[order[i]].count;
			uint16		moved = order[i];

			if (count > middle)
			{
				order[i++] = order[greater];
				order[greater++] = moved;
			}
			else if (count < middle)
			{
				order[i] = order[--less];
				order[less] = moved;
			}
			else
				i++;
		}
		if (n <= greater)
			to = greater;
		else if (n >= less)
			from = less;
		else
			return;
	}
}

static void
PublishPartition(int partition)
{
	int			length = 0;
	int			n;
	uint64		rest = 0;

	for (uint32 i = 0; i < local->nkeys; i++)
		if (HotKeysPartition(local->keys[i].hash) == partition)
			local->order[length++] = (uint16) i;
	n = Min(length, (int) HotKeysCapacity());
	if (n < length)
		SelectGreatest(local->order, length, n);
	for (int i = n; i < length; i++)
		rest = Max(rest, local->keys[local->order[i]].count);
	for (int i = 0; i < n; i++)
	{
		const LocalKey *key = &local->keys[local->order[i]];

		local->sketch_keys[i] = (SketchKey) {key->owner, key->shard, key->hash, key->text, key->len};
		local->counts[i] = key->count;
	}
	if (n > 0)
		HotKeysAddCounted(partition, local->sketch_keys, local->counts, n, rest, local->totals[partition]);
	local->totals[partition] = 0;
}

void
HotKeysPublish(void)
{
	if (local == NULL || local->nkeys == 0)
		return;
	for (int i = 0; i < HOT_KEY_PARTITIONS; i++)
		PublishPartition(i);
	memset(local->slots, 0, sizeof(local->slots));
	local->nkeys = 0;
}
