/*
 * pins.c
 *		Which keys are pinned, and which will be when a migration has passed
 *		them: looked up on demand, remembered in a cache of fixed size.
 *
 * A router may have a million pins, so they are not loaded with it.  Each slot
 * of the cache remembers one key, pinned or not; another key that falls into
 * the slot takes its place.  Keys too long for a slot are looked up each time.
 */
#include "postgres.h"

#include "catalog/columns.h"
#include "catalog/internal.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define NSLOTS			4096
#define SLOT_KEY_MAX	64
#define NOT_PINNED		(-1)

/* What a slot is about: the table that was asked. */
typedef enum PinTable
{
	PIN_NOW,
	PIN_NEXT
} PinTable;

static const char *const TableNames[] = {"pin", "next_pin"};

typedef struct PinSlot
{
	uint64		generation;		/* 0: empty */
	PinTable	table;
	int			shard_index;
	int			len;
	char		router[ROUTER_NAME_MAX + 1];
	char		key[SLOT_KEY_MAX];
} PinSlot;

static PinSlot *Slots = NULL;
static uint64 PinGeneration = 1;

/*
 * Empties the cache; called from an invalidation callback.
 */
void
PinsForget(void)
{
	PinGeneration++;
}

static int
LookUp(PinTable table, const char *router, const char *key, size_t len)
{
	Datum		keys[2] = {CStringGetTextDatum(router),
	PointerGetDatum(cstring_to_text_with_len(key, len))};
	CatalogScan scan = CatalogScanBegin(TableNames[table], 2, keys);
	HeapTuple	tuple = CatalogScanNext(&scan);
	int			shard_index = NOT_PINNED;

	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = CatalogColumn(&scan, tuple, Anum_pin_shard_index, &isnull);

		shard_index = isnull ? PIN_REMOVED : DatumGetInt32(value);
	}
	CatalogScanEnd(&scan);
	pfree(DatumGetPointer(keys[0]));
	pfree(DatumGetPointer(keys[1]));
	return shard_index;
}

static PinSlot *
SlotOf(PinTable table, const char *router, const char *key, size_t len)
{
	uint64		hash = KeyHash(HASH_XXH3, key, len) ^ KeyHash(HASH_FNV1A, router, strlen(router));

	if (Slots == NULL)
		Slots = MemoryContextAllocZero(AllocSetContextCreate(CacheMemoryContext, "shard pins",
															 ALLOCSET_DEFAULT_SIZES),
									   sizeof(PinSlot) * NSLOTS);
	return &Slots[(hash + table) % NSLOTS];
}

static void
Remember(PinSlot *slot, uint64 generation, PinTable table, const char *router,
		 const char *key, size_t len, int shard_index)
{
	slot->generation = generation;
	slot->table = table;
	slot->shard_index = shard_index;
	slot->len = (int) len;
	strlcpy(slot->router, router, sizeof(slot->router));
	memcpy(slot->key, key, len);
}

static bool
Ask(PinTable table, const char *router, const char *key, size_t len, int *shard_index)
{
	uint64		generation = PinGeneration;

	if (len > SLOT_KEY_MAX)
		*shard_index = LookUp(table, router, key, len);
	else
	{
		PinSlot    *slot = SlotOf(table, router, key, len);

		if (slot->generation == generation && slot->table == table && slot->len == (int) len &&
			memcmp(slot->key, key, len) == 0 && strcmp(slot->router, router) == 0)
			*shard_index = slot->shard_index;
		else
		{
			*shard_index = LookUp(table, router, key, len);
			Remember(slot, generation, table, router, key, len, *shard_index);
		}
	}
	return *shard_index != NOT_PINNED;
}

bool
CatalogPin(const char *router, const char *key, size_t len, int *shard_index)
{
	return Ask(PIN_NOW, router, key, len, shard_index);
}

bool
CatalogNextPin(const char *router, const char *key, size_t len, int *shard_index)
{
	return Ask(PIN_NEXT, router, key, len, shard_index);
}
