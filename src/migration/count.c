/*
 * count.c
 *		Counting rows by key, for planning.
 *
 * The lake answers it without touching the shards: one grouped query of the
 * engine over one column.  A table that is not in the lake, or not yet, is
 * counted in its leaves, below the executor: planning must see every row,
 * whatever policies say to the one who plans.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/storage.h"
#include "common/hashfn.h"
#include "migration/count.h"
#include "migration/guard.h"
#include "migration/keys.h"
#include "migration/lake_side.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define SH_PREFIX counts
#define SH_ELEMENT_TYPE KeyCount
#define SH_KEY_TYPE const char *
#define SH_SCOPE static inline
#define SH_DECLARE
#include "lib/simplehash.h"

/* The key that is looked for: keys have a length, and may hold any byte. */
typedef struct Probe
{
	const char *key;
	uint32		len;
	uint32		hash;
} Probe;

struct KeyCounts
{
	counts_hash *table;
	MemoryContext keys;
	Probe		probe;
};

static inline uint32
HashOfProbe(counts_hash *table)
{
	return ((Probe *) table->private_data)->hash;
}

/*
 * simplehash compares pointers of stored keys with the probe's; the length of a
 * stored key stands before its bytes.
 */
static inline bool
EqualsProbe(counts_hash *table, const char *stored)
{
	Probe	   *probe = table->private_data;
	uint32		len;

	memcpy(&len, stored - sizeof(len), sizeof(len));
	return len == probe->len && memcmp(stored, probe->key, len) == 0;
}

#define SH_PREFIX counts
#define SH_ELEMENT_TYPE KeyCount
#define SH_KEY_TYPE const char *
#define SH_KEY key
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_HASH_KEY(tb, key) HashOfProbe(tb)
#define SH_EQUAL(tb, a, b) EqualsProbe(tb, a)
#define SH_SCOPE static inline
#define SH_DEFINE
#include "lib/simplehash.h"

KeyCounts *
KeyCountsCreate(void)
{
	KeyCounts  *counts = palloc0(sizeof(KeyCounts));

	counts->keys = AllocSetContextCreate(CurrentMemoryContext, "shard migration keys",
										 ALLOCSET_DEFAULT_SIZES);
	counts->table = counts_create(CurrentMemoryContext, 1024, &counts->probe);
	return counts;
}

static const char *
StoreKey(KeyCounts *counts, const char *key, uint32 len)
{
	char	   *stored = MemoryContextAlloc(counts->keys, sizeof(len) + len + 1);

	memcpy(stored, &len, sizeof(len));
	memcpy(stored + sizeof(len), key, len);
	stored[sizeof(len) + len] = '\0';
	return stored + sizeof(len);
}

/*
 * Make a key the one that is looked for: its bytes, length and hash.
 */
static void
SetProbe(KeyCounts *counts, const char *key, size_t len)
{
	counts->probe.key = key;
	counts->probe.len = len;
	counts->probe.hash = hash_bytes((const unsigned char *) key, len);
}

void
KeyCountsAdd(KeyCounts *counts, const char *key, size_t len, int64 rows, double bytes)
{
	KeyCount   *count;
	bool		found;

	SetProbe(counts, key, len);
	count = counts_insert(counts->table, key, &found);
	if (!found)
	{
		count->key = StoreKey(counts, key, len);
		count->len = len;
		count->rows = 0;
		count->bytes = 0;
	}
	count->rows += rows;
	count->bytes += bytes;
}

const KeyCount *
KeyCountsFind(KeyCounts *counts, const char *key, size_t len)
{
	SetProbe(counts, key, len);
	return counts_lookup(counts->table, key);
}

int64
KeyCountsNumber(const KeyCounts *counts)
{
	return counts->table->members;
}

void
KeyCountsVisit(KeyCounts *counts, KeyCountVisit visit, void *arg)
{
	counts_iterator it;
	KeyCount   *count;

	counts_start_iterate(counts->table, &it);
	while ((count = counts_iterate(counts->table, &it)) != NULL)
		visit(arg, count);
}

/*
 * Count the rows of one leaf by key.
 */
static void
CountLeaf(KeyCounts *counts, Relation parent, Oid leaf_oid, double row_bytes)
{
	Relation	leaf = table_open(leaf_oid, AccessShareLock);
	KeyReader  *reader = KeyReaderCreate(parent, leaf);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(leaf, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(leaf, NULL);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "shard migration row",
													  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(row_context);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		HeapTuple	tuple = ExecFetchSlotHeapTuple(slot, false, NULL);
		size_t		len;
		const char *key = KeyReaderText(reader, tuple, RelationGetDescr(leaf), &len);

		KeyCountsAdd(counts, key, len, 1, row_bytes);
		MemoryContextReset(row_context);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(row_context);
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	KeyReaderFree(reader);
	table_close(leaf, NoLock);
}

typedef struct LeafSize
{
	Oid			leaf;
	double		bytes;
} LeafSize;

/*
 * Bytes of a leaf's heap and TOAST data.
 */
static void
LeafBytes(void *arg)
{
	LeafSize   *size = arg;
	Relation	leaf = table_open(size->leaf, AccessShareLock);
	double		bytes = (double) RelationGetNumberOfBlocks(leaf) * BLCKSZ;

	if (OidIsValid(leaf->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(leaf->rd_rel->reltoastrelid, AccessShareLock);

		bytes += (double) RelationGetNumberOfBlocks(toast) * BLCKSZ;
		table_close(toast, AccessShareLock);
	}
	table_close(leaf, NoLock);
	size->bytes = bytes;
}

typedef struct Spread
{
	KeyCounts  *to;
	double		row_bytes;
} Spread;

static void
AddWithBytes(void *arg, const KeyCount *count)
{
	Spread	   *spread = arg;

	KeyCountsAdd(spread->to, count->key, count->len, count->rows, count->rows * spread->row_bytes);
}

void
KeyCountsMerge(KeyCounts *counts, KeyCounts *from)
{
	Spread		spread = {counts, 0};

	KeyCountsVisit(from, AddWithBytes, &spread);
}

static void
SumRows(void *arg, const KeyCount *count)
{
	*(int64 *) arg += count->rows;
}

void
CountTable(KeyCounts *counts, const Router *router, Oid parent_oid, bool use_lake)
{
	KeyCounts  *own = KeyCountsCreate();
	int			nshards = router->nshards;
	int		   *shards = palloc(sizeof(int) * Max(nshards, 1));
	double		bytes = 0;
	int64		rows = 0;
	Spread		spread = {counts, 0};
	Relation	parent;
	bool		from_lake;

	for (int i = 0; i < nshards; i++)
		shards[i] = router->shards[i].index;
	parent = table_open(parent_oid, AccessShareLock);
	from_lake = use_lake && CountInLake(own, parent);
	for (int i = 0; i < nshards; i++)
	{
		ListCell   *lc;

		foreach(lc, CatalogLeaves(parent_oid, shards[i]))
		{
			LeafSize	size = {.leaf = lfirst_oid(lc)};

			/* a leaf that cannot be read has keys in the lake all the same */
			if (RunGuarded(LeafBytes, &size) == NULL)
				bytes += size.bytes;
			if (!from_lake)
				CountLeaf(own, parent, size.leaf, 0);
		}
	}
	table_close(parent, NoLock);
	KeyCountsVisit(own, SumRows, &rows);
	spread.row_bytes = rows > 0 ? bytes / rows : 0;
	KeyCountsVisit(own, AddWithBytes, &spread);
}
