/*
 * sketch.c
 *		Space-Saving summaries: see sketch.h.
 *
 * Counters are found by an open-addressing index over the keys' hashes, the
 * smallest one is on top of a heap.  Both hold numbers of entries.  A key's
 * identity is its owner and its 64-bit hash; the bytes are for showing it.
 */
#ifndef SHARD_STANDALONE
#include "postgres.h"
#endif

#include "base/sketch.h"

#define NOTHING 0xffff

static inline SketchEntry *
Entries(const Sketch *sketch)
{
	return (SketchEntry *) ((char *) sketch + sizeof(Sketch));
}

static inline uint16 *
Heap(const Sketch *sketch)
{
	return (uint16 *) (Entries(sketch) + sketch->capacity);
}

static inline uint16 *
IndexOf(const Sketch *sketch)
{
	return Heap(sketch) + sketch->capacity;
}

static uint32
IndexSlots(uint32 capacity)
{
	uint32		slots = 4;

	while (slots < 2 * capacity)
		slots *= 2;
	return slots;
}

size_t
SketchSize(uint32 capacity)
{
	size_t		size = sizeof(Sketch) + capacity * (sizeof(SketchEntry) + sizeof(uint16)) +
		IndexSlots(capacity) * sizeof(uint16);

	return (size + 63) & ~(size_t) 63;
}

void
SketchInit(Sketch *sketch, uint32 capacity)
{
	sketch->capacity = capacity;
	sketch->slots = IndexSlots(capacity);
	SketchReset(sketch);
}

void
SketchReset(Sketch *sketch)
{
	sketch->used = 0;
	sketch->total = 0;
	sketch->floor = 0;
	memset(IndexOf(sketch), 0xff, sketch->slots * sizeof(uint16));
}

const SketchEntry *
SketchEntries(const Sketch *sketch)
{
	return Entries(sketch);
}

uint64
SketchFloor(const Sketch *sketch)
{
	if (sketch->used < sketch->capacity)
		return sketch->floor;
	return Entries(sketch)[Heap(sketch)[0]].count;
}

/* ---- index ---- */

/*
 * The index slot that holds the key, or the free one where it belongs.
 */
static inline uint32
IndexSlot(const Sketch *sketch, uint32 owner, uint64 hash)
{
	const uint16 *index = IndexOf(sketch);
	const SketchEntry *entries = Entries(sketch);
	uint32		mask = sketch->slots - 1;
	uint32		at = (uint32) hash & mask;

	while (index[at] != NOTHING &&
		   (entries[index[at]].hash != hash || entries[index[at]].owner != owner))
		at = (at + 1) & mask;
	return at;
}

/*
 * Free a slot, and move up what was displaced by it.
 */
static void
IndexRemove(Sketch *sketch, uint32 hole)
{
	uint16	   *index = IndexOf(sketch);
	const SketchEntry *entries = Entries(sketch);
	uint32		mask = sketch->slots - 1;
	uint32		at = hole;

	for (;;)
	{
		uint32		home;

		at = (at + 1) & mask;
		if (index[at] == NOTHING)
			break;
		home = (uint32) entries[index[at]].hash & mask;
		if (((at - home) & mask) >= ((at - hole) & mask))
		{
			index[hole] = index[at];
			hole = at;
		}
	}
	index[hole] = NOTHING;
}

/* ---- heap ---- */

static inline void
HeapPut(const Sketch *sketch, uint32 at, uint16 number)
{
	Heap(sketch)[at] = number;
	Entries(sketch)[number].heap_at = (uint16) at;
}

/*
 * An entry's count has grown: let it sink.
 */
static void
HeapSink(Sketch *sketch, uint16 number)
{
	const uint16 *heap = Heap(sketch);
	const SketchEntry *entries = Entries(sketch);
	uint64		count = entries[number].count;
	uint32		at = entries[number].heap_at;

	for (;;)
	{
		uint32		child = 2 * at + 1;

		if (child >= sketch->used)
			break;
		if (child + 1 < sketch->used && entries[heap[child + 1]].count < entries[heap[child]].count)
			child++;
		if (entries[heap[child]].count >= count)
			break;
		HeapPut(sketch, at, heap[child]);
		at = child;
	}
	HeapPut(sketch, at, number);
}

/*
 * A new entry, at the end of the heap, may be smaller than others.
 */
static void
HeapRise(Sketch *sketch, uint16 number)
{
	const uint16 *heap = Heap(sketch);
	const SketchEntry *entries = Entries(sketch);
	uint64		count = entries[number].count;
	uint32		at = entries[number].heap_at;

	while (at > 0 && entries[heap[(at - 1) / 2]].count > count)
	{
		HeapPut(sketch, at, heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	HeapPut(sketch, at, number);
}

/* ---- counting ---- */

static void
SetKey(SketchEntry *entry, const SketchKey *key)
{
	entry->hash = key->hash;
	entry->owner = key->owner;
	entry->shard = key->shard;
	entry->len = key->len < 0xffff ? (uint16) key->len : 0xffff;
	memcpy(entry->key, key->key, key->len < SKETCH_KEY_MAX ? key->len : SKETCH_KEY_MAX);
}

static SketchEntry *
AddEntry(Sketch *sketch, uint32 slot, const SketchKey *key, uint64 n)
{
	uint16		number = (uint16) sketch->used++;
	SketchEntry *entry = &Entries(sketch)[number];

	SetKey(entry, key);
	entry->count = sketch->floor + n;
	entry->error = sketch->floor;
	IndexOf(sketch)[slot] = number;
	HeapPut(sketch, number, number);
	HeapRise(sketch, number);
	return entry;
}

/*
 * Give the smallest counter to a new key.
 */
static SketchEntry *
ReplaceEntry(Sketch *sketch, const SketchKey *key, uint64 n)
{
	uint16		number = Heap(sketch)[0];
	SketchEntry *entry = &Entries(sketch)[number];

	IndexRemove(sketch, IndexSlot(sketch, entry->owner, entry->hash));
	SetKey(entry, key);
	entry->error = entry->count;
	entry->count += n;
	IndexOf(sketch)[IndexSlot(sketch, key->owner, key->hash)] = number;
	HeapSink(sketch, number);
	return entry;
}

/*
 * Returns the key's counter.
 */
static SketchEntry *
Count(Sketch *sketch, const SketchKey *key, uint64 n)
{
	uint32		slot = IndexSlot(sketch, key->owner, key->hash);
	uint16		number = IndexOf(sketch)[slot];

	if (number != NOTHING)
	{
		Entries(sketch)[number].count += n;
		HeapSink(sketch, number);
		return &Entries(sketch)[number];
	}
	if (sketch->used < sketch->capacity)
		return AddEntry(sketch, slot, key, n);
	return ReplaceEntry(sketch, key, n);
}

void
SketchAdd(Sketch *sketch, const SketchKey *key, uint64 n)
{
	sketch->total += n;
	(void) Count(sketch, key, n);
}

/*
 * Any key may have occurred "rest" times, so all counters and the floor grow by
 * that as by an error; of the keys that were counted it is known better.  Errors
 * stay below total / capacity, since at least capacity keys occurred "rest" times
 * or more.
 */
void
SketchAddCounted(Sketch *sketch, const SketchKey *keys, const uint64 *counts, uint32 n,
				 uint64 rest, uint64 total)
{
	SketchEntry *entries = Entries(sketch);

	sketch->total += total;
	sketch->floor += rest;
	for (uint32 i = 0; rest > 0 && i < sketch->used; i++)
	{
		entries[i].count += rest;
		entries[i].error += rest;
	}
	for (uint32 i = 0; i < n; i++)
		Count(sketch, &keys[i], counts[i] - rest)->error -= rest;
}

/*
 * What is left is packed together and its index and heap built anew.  A key that
 * comes in later may be one that had to go before: it starts at the floor.
 */
void
SketchForget(Sketch *sketch, uint32 owner)
{
	SketchEntry *entries = Entries(sketch);
	uint64		floor = SketchFloor(sketch);
	uint32		kept = 0;

	for (uint32 i = 0; i < sketch->used; i++)
	{
		if (entries[i].owner == owner)
			continue;
		if (kept != i)
			entries[kept] = entries[i];
		kept++;
	}
	if (kept == sketch->used)
		return;
	memset(IndexOf(sketch), 0xff, sketch->slots * sizeof(uint16));
	sketch->floor = floor;
	sketch->used = 0;
	for (uint32 i = 0; i < kept; i++)
	{
		IndexOf(sketch)[IndexSlot(sketch, entries[i].owner, entries[i].hash)] = (uint16) i;
		sketch->used++;
		HeapPut(sketch, i, (uint16) i);
		HeapRise(sketch, (uint16) i);
	}
}
