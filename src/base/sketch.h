/*
 * sketch.h
 *		The keys that occur most often in a stream, in bounded memory.
 *
 * A Space-Saving summary (Metwally, Agrawal and El Abbadi, 2005) of "capacity"
 * counters.  A key that has no counter takes over the smallest one, and inherits
 * its count as its error.  So for every key that has a counter
 *
 *		count - error <= true number <= count,
 *
 * and for every key that has none, true number <= SketchFloor().  Neither error
 * nor floor exceeds total / capacity, so that a key with more than that part of
 * the stream has a counter.
 *
 * A sketch is one block of memory without pointers: it may lie in shared memory
 * or be copied.  The caller keeps others out while it is used.
 */
#ifndef SHARD_SKETCH_H
#define SHARD_SKETCH_H

#include "base/portable.h"

/* Bytes of a key that are kept; a longer one is known by its hash. */
#define SKETCH_KEY_MAX 93

#define SKETCH_CAPACITY_MAX 16384

typedef struct SketchKey
{
	uint32		owner;			/* keys of different owners are different keys */
	int16		shard;			/* for the caller's use: stays with the key */
	uint64		hash;			/* of key and owner, 64 good bits */
	const char *key;
	size_t		len;
} SketchKey;

typedef struct SketchEntry
{
	uint64		hash;
	uint64		count;
	uint64		error;			/* of count, at most */
	uint32		owner;
	int16		shard;
	uint16		heap_at;		/* its place in the heap */
	uint16		len;			/* of the whole key */
	char		key[SKETCH_KEY_MAX];
} SketchEntry;

typedef struct Sketch
{
	uint32		capacity;
	uint32		used;
	uint32		slots;			/* of the index: a power of two */
	uint64		total;			/* weight of the stream */
	uint64		floor;			/* that keys start with, after others were removed */
	/* followed by entries, heap (least count first) and index */
} Sketch;

extern size_t SketchSize(uint32 capacity);
extern void SketchInit(Sketch *sketch, uint32 capacity);

/* Forget everything. */
extern void SketchReset(Sketch *sketch);

extern void SketchAdd(Sketch *sketch, const SketchKey *key, uint64 n);

/*
 * Add a part of the stream that was counted exactly elsewhere: the numbers of its
 * n most frequent keys, at least as many as there are counters if "rest", the most
 * that any other key occurred in it, is not 0.  total: the part's weight.  The
 * bounds hold as if each key had been added when it came.
 */
extern void SketchAddCounted(Sketch *sketch, const SketchKey *keys, const uint64 *counts, uint32 n,
							 uint64 rest, uint64 total);

/* The most that a key without a counter can have occurred. */
extern uint64 SketchFloor(const Sketch *sketch);

/* Its counters are SketchEntries()[0 .. used - 1], in no order. */
extern const SketchEntry *SketchEntries(const Sketch *sketch);

/* Remove the keys of an owner. */
extern void SketchForget(Sketch *sketch, uint32 owner);

#endif							/* SHARD_SKETCH_H */
