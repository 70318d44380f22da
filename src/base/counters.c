/*
 * counters.c
 *		Counters of routers and shards in shared memory: see counters.h.
 *
 * Slots are given and taken under Counters->lock; adding needs no lock.  A
 * backend remembers its slot with the id that it had: when the router has been
 * dropped meanwhile the ids differ, and it looks again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/counters.h"
#include "base/hot_keys.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define NO_SHARD 0

CounterShared *Counters = NULL;

/* A router to forget at commit, unless the subtransaction that said so fails. */
typedef struct Forget
{
	int			nest_level;
	char		name[COUNTER_NAME_MAX];
} Forget;

static List *forget = NIL;		/* of Forget * */

/* ---- slots ---- */

static void
ZeroShard(ShardCounters *shard)
{
	pg_atomic_init_u64(&shard->routed, 0);
	pg_atomic_init_u64(&shard->forwarded, 0);
	pg_atomic_init_u64(&shard->forward_us, 0);
	pg_atomic_init_u64(&shard->errors, 0);
	for (int kind = 0; kind < ACCESS_KINDS; kind++)
	{
		pg_atomic_init_u64(&shard->accesses[kind], 0);
		for (int i = 0; i < WINDOW_BUCKETS; i++)
			pg_atomic_init_u64(&shard->window[kind][i], 0);
	}
}

static void
InitShared(void *piece)
{
	CounterShared *shared = piece;

	LWLockInitialize(&shared->lock, LWLockNewTrancheId());
	shared->nshards = WatchedShards;
}

void
CountersInit(void)
{
	ShmemRegister("shard counters",
				  offsetof(CounterShared, shards) + sizeof(ShardCounters) * WatchedShards,
				  (void **) &Counters, InitShared);
	HotKeysInit();
	ShmemAtStart(CountersLoad);
}

/*
 * Who is killed in between leaves slots marked as busy, so that they are not
 * written to the file.
 */
static void
LockSlots(void)
{
	LWLockAcquire(&Counters->lock, LW_EXCLUSIVE);
	Counters->busy = true;
}

static void
ReleaseSlots(void)
{
	Counters->busy = false;
	LWLockRelease(&Counters->lock);
}

static RouterCounters *
FindRouter(Oid database, const char *name)
{
	for (int i = 0; i < COUNTER_ROUTERS; i++)
	{
		RouterCounters *router = &Counters->routers[i];

		if (router->id != 0 && router->database == database && strcmp(router->name, name) == 0)
			return router;
	}
	return NULL;
}

static void
FreeRouter(RouterCounters *router)
{
	for (int i = 0; i < COUNTER_SHARDS_MAX; i++)
	{
		if (router->shard_at[i] != NO_SHARD)
			Counters->shards[router->shard_at[i] - 1].owner = 0;
		router->shard_at[i] = NO_SHARD;
	}
	Counters->pool_full = false;
	HotKeysForget(router->id);
	router->id = 0;
}

/*
 * Databases that no longer exist, by their routers' slots.  Reads the catalog,
 * so the lock must not be held.
 */
static void
FreeDroppedDatabases(void)
{
	Oid			dropped[COUNTER_ROUTERS];
	int			n = 0;

	if (!IsTransactionState())
		return;
	for (int i = 0; i < COUNTER_ROUTERS; i++)
	{
		Oid			database = Counters->routers[i].database;

		if (Counters->routers[i].id != 0 && database != MyDatabaseId &&
			!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
			dropped[n++] = database;
	}
	LockSlots();
	for (int i = 0; i < COUNTER_ROUTERS; i++)
		for (int j = 0; j < n; j++)
			if (Counters->routers[i].id != 0 && Counters->routers[i].database == dropped[j])
				FreeRouter(&Counters->routers[i]);
	ReleaseSlots();
}

/*
 * The router's slot, made if there is room; the lock is held.
 */
static RouterCounters *
FindOrMakeRouter(const char *name)
{
	RouterCounters *router = FindRouter(MyDatabaseId, name);

	for (int i = 0; router == NULL && i < COUNTER_ROUTERS; i++)
	{
		if (Counters->routers[i].id != 0)
			continue;
		router = &Counters->routers[i];
		memset(router, 0, sizeof(*router));
		ZeroShard(&router->rest);
		router->database = MyDatabaseId;
		strlcpy(router->name, name, COUNTER_NAME_MAX);
		router->track_access = true;
		router->since = GetCurrentTimestamp();
		pg_write_barrier();
		router->id = ++Counters->last_id;
	}
	return router;
}

static void
LogFull(void)
{
	if (Counters->full_logged)
		return;
	Counters->full_logged = true;
	ereport(LOG,
			(errmsg("no room for the counters of another router of shard"),
			 errdetail("At most %d routers are counted in all databases of a server.", COUNTER_ROUTERS)));
}

static RouterCounters *
MakeRouter(const char *name)
{
	RouterCounters *router = NULL;

	for (int attempt = 0; router == NULL && attempt < 2; attempt++)
	{
		if (attempt > 0)
			FreeDroppedDatabases();
		LockSlots();
		router = FindOrMakeRouter(name);
		ReleaseSlots();
	}
	if (router == NULL)
		LogFull();
	return router;
}

RouterCounters *
CountersAttach(CounterHandle *handle)
{
	if (likely(handle->slot != NULL && handle->slot->id == handle->id))
		return handle->slot;
	if (Counters == NULL || handle->refused)
		return NULL;
	handle->slot = MakeRouter(handle->name);
	handle->refused = handle->slot == NULL;
	handle->id = handle->slot != NULL ? handle->slot->id : 0;
	return handle->slot;
}

RouterCounters *
CountersFind(CounterHandle *handle)
{
	TimestampTz now;

	if (likely(handle->slot != NULL && handle->slot->id == handle->id))
		return handle->slot;
	now = GetCurrentTimestamp();
	if (Counters == NULL || now < handle->looked_at + USECS_PER_SEC)
		return NULL;
	handle->looked_at = now;
	LWLockAcquire(&Counters->lock, LW_SHARED);
	handle->slot = FindRouter(MyDatabaseId, handle->name);
	handle->id = handle->slot != NULL ? handle->slot->id : 0;
	LWLockRelease(&Counters->lock);
	return handle->slot;
}

void
CountersTrack(CounterHandle *handle, bool track_access)
{
	RouterCounters *router = CountersAttach(handle);

	if (router != NULL)
		router->track_access = track_access;
}

/*
 * Give a shard its slot of the pool; NO_SHARD if none is free, or if the router
 * was dropped in the meantime.
 */
static uint16
MakeShard(const CounterHandle *handle, int shard_index)
{
	RouterCounters *router = handle->slot;
	uint16		at = NO_SHARD;

	LockSlots();
	if (router->id == handle->id)
		at = router->shard_at[shard_index];
	for (int i = 0; at == NO_SHARD && router->id == handle->id && i < Counters->nshards; i++)
	{
		ShardCounters *shard = &Counters->shards[i];

		if (shard->owner != 0)
			continue;
		ZeroShard(shard);
		shard->owner = router->id;
		pg_write_barrier();
		router->shard_at[shard_index] = at = i + 1;
	}
	if (at == NO_SHARD && router->id == handle->id)
		Counters->pool_full = true;
	ReleaseSlots();
	return at;
}

/*
 * A shard's counters.  Its slot's number is read once: who drops the router
 * takes it away at any time, and what is then still counted is lost with it.
 */
static ShardCounters *
ShardOf(const CounterHandle *handle, int shard_index)
{
	uint16		at = NO_SHARD;

	if (shard_index >= 0 && shard_index < COUNTER_SHARDS_MAX)
	{
		at = ((volatile uint16 *) handle->slot->shard_at)[shard_index];
		if (unlikely(at == NO_SHARD) && !Counters->pool_full)
			at = MakeShard(handle, shard_index);
	}
	return at == NO_SHARD ? &handle->slot->rest : &Counters->shards[at - 1];
}

/* ---- counting ---- */

void
CountRouting(CounterHandle *handle, int shard_index)
{
	RouterCounters *router = CountersAttach(handle);

	if (router != NULL)
		pg_atomic_fetch_add_u64(&ShardOf(handle, shard_index)->routed, 1);
}

void
CountForward(CounterHandle *handle, int shard_index, int64 microseconds, bool failed)
{
	RouterCounters *router = CountersAttach(handle);
	ShardCounters *shard;

	if (router == NULL)
		return;
	shard = ShardOf(handle, shard_index);
	pg_atomic_fetch_add_u64(&shard->forwarded, 1);
	pg_atomic_fetch_add_u64(&shard->forward_us, Max(microseconds, 0));
	if (failed)
		pg_atomic_fetch_add_u64(&shard->errors, 1);
}

/*
 * Add to a bucket, which begins anew if it is of another time.  A late comer
 * adds to the time that is there now.
 */
static void
AddToBucket(pg_atomic_uint64 *bucket, uint32 stamp, uint32 n)
{
	uint64		old = pg_atomic_read_u64(bucket);
	uint64		new;

	do
	{
		uint64		count = (uint32) (old >> 32) == stamp ? (uint32) old : 0;

		new = (uint64) stamp << 32 | Min(count + n, PG_UINT32_MAX);
	} while (!pg_atomic_compare_exchange_u64(bucket, &old, new));
}

void
CountAccess(CounterHandle *handle, int shard_index, AccessKind kind, uint32 n)
{
	RouterCounters *router = CountersAttach(handle);
	int64		second;
	ShardCounters *shard;

	if (router == NULL)
		return;
	second = GetCurrentTimestamp() / USECS_PER_SEC;
	shard = ShardOf(handle, shard_index);
	pg_atomic_fetch_add_u64(&shard->accesses[kind], n);
	for (int i = 0; i < WINDOW_LEVELS; i++)
	{
		uint32		stamp = WindowStamp(&WindowLevels[i], second);

		AddToBucket(&shard->window[kind][WindowBucket(&WindowLevels[i], stamp)], stamp, n);
	}
}

/* ---- reading ---- */

uint64
CounterWindow(const ShardCounters *shard, AccessKind kind, const WindowRange *range)
{
	uint64		sum = 0;

	for (uint32 stamp = range->oldest; stamp <= range->newest; stamp++)
	{
		const pg_atomic_uint64 *bucket = &shard->window[kind][WindowBucket(range->level, stamp)];
		uint64		value = pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, bucket));

		if ((uint32) (value >> 32) == stamp)
			sum += (uint32) value;
	}
	return sum;
}

bool
CountersVisit(const char *name, CounterVisit visit, void *arg, TimestampTz *since)
{
	RouterCounters *router;

	if (Counters == NULL)
		return false;
	LWLockAcquire(&Counters->lock, LW_SHARED);
	router = FindRouter(MyDatabaseId, name);
	if (router != NULL)
	{
		if (since != NULL)
			*since = router->since;
		for (int i = 0; i < COUNTER_SHARDS_MAX; i++)
			if (router->shard_at[i] != NO_SHARD)
				visit(arg, i, &Counters->shards[router->shard_at[i] - 1]);
		visit(arg, -1, &router->rest);
	}
	LWLockRelease(&Counters->lock);
	return router != NULL;
}

uint32
CountersId(const char *name, bool *track)
{
	RouterCounters *router;
	uint32		id = 0;

	if (Counters == NULL)
		return 0;
	LWLockAcquire(&Counters->lock, LW_SHARED);
	router = FindRouter(MyDatabaseId, name);
	if (router != NULL)
	{
		id = router->id;
		*track = router->track_access;
	}
	LWLockRelease(&Counters->lock);
	return id;
}

/* ---- beginning anew ---- */

static void
ResetRouter(RouterCounters *router)
{
	for (int i = 0; i < COUNTER_SHARDS_MAX; i++)
		if (router->shard_at[i] != NO_SHARD)
			ZeroShard(&Counters->shards[router->shard_at[i] - 1]);
	ZeroShard(&router->rest);
	router->since = GetCurrentTimestamp();
	HotKeysForget(router->id);
}

void
CountersReset(const char *name)
{
	if (Counters == NULL)
		return;
	LockSlots();
	for (int i = 0; i < COUNTER_ROUTERS; i++)
	{
		RouterCounters *router = &Counters->routers[i];

		if (router->id != 0 && router->database == MyDatabaseId &&
			(name == NULL || strcmp(router->name, name) == 0))
			ResetRouter(router);
	}
	ReleaseSlots();
}

static void
TransactionEnds(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (forget == NIL || event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT ||
		event == XACT_EVENT_PRE_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT)
	{
		LockSlots();
		foreach(lc, forget)
		{
			RouterCounters *router = FindRouter(MyDatabaseId, ((Forget *) lfirst(lc))->name);

			if (router != NULL)
				FreeRouter(router);
		}
		ReleaseSlots();
	}
	list_free_deep(forget);
	forget = NIL;
}

static void
SubtransactionEnds(SubXactEvent event, SubTransactionId my_subid, SubTransactionId parent_subid,
				   void *arg)
{
	int			nest_level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, forget)
	{
		Forget	   *entry = lfirst(lc);

		if (entry->nest_level < nest_level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			entry->nest_level = nest_level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
		{
			forget = foreach_delete_current(forget, lc);
			pfree(entry);
		}
	}
}

void
CountersForgetAtCommit(const char *name)
{
	static bool registered = false;
	Forget	   *entry;
	MemoryContext old;

	if (Counters == NULL)
		return;
	if (!registered)
	{
		RegisterXactCallback(TransactionEnds, NULL);
		RegisterSubXactCallback(SubtransactionEnds, NULL);
	}
	registered = true;
	old = MemoryContextSwitchTo(TopMemoryContext);
	entry = palloc(sizeof(Forget));
	entry->nest_level = GetCurrentTransactionNestLevel();
	strlcpy(entry->name, name, COUNTER_NAME_MAX);
	forget = lappend(forget, entry);
	MemoryContextSwitchTo(old);
}
