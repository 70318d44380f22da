/*
 * counters.h
 *		Counters of routers and shards in shared memory.
 *
 * A router has a slot, found by database and name, and each of its shards has
 * one in a common pool.  Counters are atomic: every backend adds to the same
 * ones, and nothing is lost or sampled.
 *
 * Both are bounded: COUNTER_ROUTERS routers, shard.watched_shards shards in all
 * databases.  When no slot is free, those of dropped databases are given up.  If
 * that does not help, a further router is not counted (which is logged once),
 * and a further shard adds to its router's "rest": totals stay right, but the
 * shard itself shows none.
 *
 * Without shared_preload_libraries there are no counters, and counting does
 * nothing.
 */
#ifndef SHARD_COUNTERS_H
#define SHARD_COUNTERS_H

#include "postgres.h"
#include "base/window.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

#define COUNTER_ROUTERS 256
#define COUNTER_SHARDS_MAX 1024	/* of one router */
#define COUNTER_NAME_MAX 48

typedef enum AccessKind
{
	ACCESS_READ,
	ACCESS_WRITE,
	ACCESS_KINDS
} AccessKind;

typedef struct ShardCounters
{
	uint32		owner;			/* id of the router, 0 = free */
	pg_atomic_uint64 routed;
	pg_atomic_uint64 forwarded;
	pg_atomic_uint64 forward_us;	/* time that these took in all */
	pg_atomic_uint64 errors;
	pg_atomic_uint64 accesses[ACCESS_KINDS];
	pg_atomic_uint64 window[ACCESS_KINDS][WINDOW_BUCKETS];	/* stamp << 32 | count */
} ShardCounters;

typedef struct RouterCounters
{
	uint32		id;				/* never used twice; 0 = free */
	Oid			database;
	char		name[COUNTER_NAME_MAX];
	bool		track_access;	/* for the pipeline, which cannot read the catalog */
	TimestampTz since;			/* when counting began */
	uint16		shard_at[COUNTER_SHARDS_MAX];	/* slot in the pool + 1, 0 = none */
	ShardCounters rest;			/* what no shard's slot has */
} RouterCounters;

typedef struct CounterShared
{
	LWLock		lock;			/* of slots: who has which */
	uint32		last_id;
	bool		full_logged;
	bool		pool_full;		/* no shard's slot is free */
	bool		busy;			/* slots are being changed */
	int			nshards;		/* size of the pool */
	RouterCounters routers[COUNTER_ROUTERS];
	ShardCounters shards[FLEXIBLE_ARRAY_MEMBER];
} CounterShared;

/* A router's counters as a backend remembers them; begins zeroed but for name. */
typedef struct CounterHandle
{
	const char *name;
	RouterCounters *slot;
	uint32		id;
	bool		refused;		/* there was no slot */
	TimestampTz looked_at;		/* by CountersFind() */
} CounterHandle;

/* NULL without preloading. */
extern CounterShared *Counters;

/* Register shared memory, and the file that carries counters over a restart. */
extern void CountersInit(void);

/* The slot of a handle's router in this database, made if need be; or NULL. */
extern RouterCounters *CountersAttach(CounterHandle *handle);

/* The same, but never made: for who cannot know whether the router exists. */
extern RouterCounters *CountersFind(CounterHandle *handle);

/* Tell the pipeline whether to count accesses. */
extern void CountersTrack(CounterHandle *handle, bool track_access);

/* Add to a shard's counters; shard_index -1: to none in particular. */
extern void CountRouting(CounterHandle *handle, int shard_index);
extern void CountForward(CounterHandle *handle, int shard_index, int64 microseconds, bool failed);
extern void CountAccess(CounterHandle *handle, int shard_index, AccessKind kind, uint32 n);

/* Accesses within a window; the caller holds Counters->lock. */
extern uint64 CounterWindow(const ShardCounters *shard, AccessKind kind, const WindowRange *range);

/*
 * Visit the counters of a router: each shard that has some, then the rest with
 * shard_index -1.  False if nothing was counted yet.
 */
typedef void (*CounterVisit) (void *arg, int shard_index, const ShardCounters *shard);
extern bool CountersVisit(const char *router, CounterVisit visit, void *arg, TimestampTz *since);

/* The id of a router's slot in this database, or 0; *track: count accesses? */
extern uint32 CountersId(const char *router, bool *track);

/* Begin anew: one router of this database, or (NULL) all of it. */
extern void CountersReset(const char *router);

/*
 * When the transaction commits: forget a router that was dropped or is new.
 */
extern void CountersForgetAtCommit(const char *router);

/* counters_file.c: at server start and clean stop */
extern void CountersLoad(void);
extern void CountersSave(int code, Datum arg);

#endif							/* SHARD_COUNTERS_H */
