/*
 * map.h
 *		A router's map: key -> shard index, from its strategy and members.
 *
 * A map is immutable once built.  During a migration a router has two, the
 * current and the next one, and a frontier: a key whose position lies below the
 * frontier follows the next map.  Pins are looked up by the caller, first.
 */
#ifndef SHARD_ROUTER_MAP_H
#define SHARD_ROUTER_MAP_H

#include "router/hash.h"

#define MAX_SHARDS 1024

typedef enum Strategy
{
	STRATEGY_HASH = 1,
	STRATEGY_CONSISTENT_HASH,
	STRATEGY_RANGE,
	STRATEGY_TENANT
} Strategy;

typedef struct MapDefinition
{
	Strategy	strategy;
	HashFunction hash;
	int			virtual_nodes;	/* per shard of weight 1 */
	int			nmembers;
	const int  *members;		/* shard indexes; for hash: members[hash % nmembers] */
	const double *weights;		/* per member, or NULL = all 1 */
} MapDefinition;

typedef struct RouterMap RouterMap;

/* In the current memory context (server) or malloc'd. */
extern RouterMap *MapBuild(const MapDefinition *def);
extern void MapFree(RouterMap *map);
extern size_t MapMemory(const RouterMap *map);

/* Shard index of a key. */
extern int	MapRoute(const RouterMap *map, const char *key, size_t len);

/* The same through a frontier; next may be NULL (no migration). */
extern int	MapRouteFrontier(const RouterMap *current, const RouterMap *next,
							 uint64 frontier, const char *key, size_t len);

#endif							/* SHARD_ROUTER_MAP_H */
