/*
 * count.h
 *		How many rows each key has, over all tables of a router.
 */
#ifndef SHARD_MIGRATION_COUNT_H
#define SHARD_MIGRATION_COUNT_H

#include "postgres.h"
#include "catalog/catalog.h"

typedef struct KeyCount
{
	const char *key;			/* hash key; not terminated */
	uint32		len;
	uint32		hash;
	char		status;			/* for simplehash */
	int64		rows;
	double		bytes;
} KeyCount;

typedef struct KeyCounts KeyCounts;

/* In the current memory context. */
extern KeyCounts *KeyCountsCreate(void);
extern void KeyCountsAdd(KeyCounts *counts, const char *key, size_t len, int64 rows, double bytes);
extern int64 KeyCountsNumber(const KeyCounts *counts);

/* NULL if the key has no rows. */
extern const KeyCount *KeyCountsFind(KeyCounts *counts, const char *key, size_t len);

typedef void (*KeyCountVisit) (void *arg, const KeyCount *count);
extern void KeyCountsVisit(KeyCounts *counts, KeyCountVisit visit, void *arg);

/* Add all of from to counts. */
extern void KeyCountsMerge(KeyCounts *counts, KeyCounts *from);

/*
 * Count the keys of one table: in its lake, if that is wanted and can be read,
 * else in its shards.
 */
extern void CountTable(KeyCounts *counts, const Router *router, Oid parent, bool use_lake);

#endif							/* SHARD_MIGRATION_COUNT_H */
