/*
 * map.c
 *		A router's map: from a key to the index of its shard.
 *
 * Pure: a map knows its strategy and members and nothing of tables, pins or
 * transactions.  It is built once and never changes; a router in motion has
 * two maps and a frontier between them.
 */
#include "router/map.h"

#include "router/ring.h"

struct RouterMap
{
	Strategy	strategy;
	HashFunction hash;
	int			nmembers;
	int		   *members;		/* for hash */
	Ring		ring;			/* for consistent-hash and tenant */
};

static bool
OnRing(Strategy strategy)
{
	return strategy == STRATEGY_CONSISTENT_HASH || strategy == STRATEGY_TENANT;
}

static void
CheckDefinition(const MapDefinition *def)
{
	if (def->nmembers < 1 || def->nmembers > MAX_SHARDS)
		shard_fail(FAIL_INVALID, "a router has 1 to %d shards, not %d", MAX_SHARDS, def->nmembers);
	for (int i = 0; i < def->nmembers; i++)
		if (def->members[i] < 0 || def->members[i] >= MAX_SHARDS)
			shard_fail(FAIL_INVALID, "shard index %d is not between 0 and %d",
					   def->members[i], MAX_SHARDS - 1);
	if (def->strategy == STRATEGY_RANGE)
		shard_fail(FAIL_UNSUPPORTED, "routing by ranges is not supported yet");
	if (OnRing(def->strategy) && def->virtual_nodes < 1)
		shard_fail(FAIL_INVALID, "a ring needs virtual nodes, not %d", def->virtual_nodes);
}

RouterMap *
MapBuild(const MapDefinition *def)
{
	RouterMap  *map;

	CheckDefinition(def);
	map = mem_alloc0(sizeof(RouterMap));
	map->strategy = def->strategy;
	map->hash = def->hash;
	map->nmembers = def->nmembers;
	map->members = mem_alloc(sizeof(int) * def->nmembers);
	memcpy(map->members, def->members, sizeof(int) * def->nmembers);
	if (OnRing(def->strategy))
		RingBuild(&map->ring, def);
	return map;
}

void
MapFree(RouterMap *map)
{
	if (map->ring.points != NULL)
		mem_free(map->ring.points);
	mem_free(map->members);
	mem_free(map);
}

size_t
MapMemory(const RouterMap *map)
{
	return sizeof(RouterMap) + sizeof(int) * map->nmembers +
		sizeof(uint64) * map->ring.npoints;
}

static int
RouteHash(const RouterMap *map, uint64 hash)
{
	if (OnRing(map->strategy))
		return RingLookup(&map->ring, HashPosition(map->hash, hash));
	return map->members[hash % map->nmembers];
}

int
MapRoute(const RouterMap *map, const char *key, size_t len)
{
	return RouteHash(map, KeyHash(map->hash, key, len));
}

/*
 * Both maps are of one router, so they hash alike.
 */
int
MapRouteFrontier(const RouterMap *current, const RouterMap *next,
				 uint64 frontier, const char *key, size_t len)
{
	uint64		hash = KeyHash(current->hash, key, len);

	if (next != NULL && HashPosition(current->hash, hash) < frontier)
		return RouteHash(next, hash);
	return RouteHash(current, hash);
}
