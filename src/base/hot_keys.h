/*
 * hot_keys.h
 *		The keys that are accessed most, in shared memory.
 *
 * Keys are divided by hash into HOT_KEY_PARTITIONS parts, each with a lock of
 * its own and one sketch (sketch.h) for every bucket of time (window.h), of
 * shard.watched_keys / HOT_KEY_PARTITIONS counters.  All routers of the server
 * share them.  With n counters, a key with more than 1/n of a bucket's accesses
 * is never missed.
 */
#ifndef SHARD_HOT_KEYS_H
#define SHARD_HOT_KEYS_H

#include "postgres.h"
#include "base/sketch.h"
#include "base/window.h"
#include "storage/lwlock.h"

#define HOT_KEY_PARTITIONS 4

typedef struct HotKey
{
	char		key[SKETCH_KEY_MAX + 1];
	bool		cut;			/* only the key's beginning is known */
	int			shard;			/* when it was last counted anew */
	uint64		accesses;		/* that many for sure */
	uint64		at_most;
} HotKey;

extern void HotKeysInit(void);

/* Count accesses to a key of a router, by the id of the router's counters. */
extern void HotKeysAdd(uint32 owner, int shard_index, const char *key, size_t len, uint64 n);

/*
 * For a process that counts many: the same, but counted here first and handed to
 * the others by HotKeysPublish(), or when the keys have become many.
 */
extern void HotKeysCount(uint32 owner, int shard_index, const char *key, size_t len);
extern void HotKeysPublish(void);

/* As HotKeysAdd(), of keys of one partition; counts as SketchAddCounted() has them. */
extern void HotKeysAddCounted(int partition, const SketchKey *keys, const uint64 *counts, uint32 n,
							  uint64 rest, uint64 total);
extern uint64 HotKeysHash(uint32 owner, const char *key, size_t len);
extern int	HotKeysPartition(uint64 hash);
extern uint32 HotKeysCapacity(void);	/* counters of a sketch; 0 without shared memory */

/* What is known of a router's keys in a window: *n of them, in no order. */
extern HotKey *HotKeysCollect(uint32 owner, const WindowRange *range, int *n);

extern void HotKeysForget(uint32 owner);

/* counters_file.c */
extern void *HotKeysMemory(Size *size);
extern void HotKeysInitLocks(void);
extern bool HotKeysAreWhole(void);

#endif							/* SHARD_HOT_KEYS_H */
