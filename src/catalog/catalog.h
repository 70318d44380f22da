/*
 * catalog.h
 *		C view of the _shard tables: routers, shards, sharded tables.
 *
 * Router entries are cached per backend and invalidated by any change of a map
 * table (statement triggers, ENABLE ALWAYS) through a relcache invalidation of
 * _shard.router.  A returned entry stays in memory until the end of the
 * transaction, but says what was true when it was returned: after a change of
 * the map, ask again.
 */
#ifndef SHARD_CATALOG_H
#define SHARD_CATALOG_H

#include "postgres.h"
#include "access/attnum.h"
#include "base/counters.h"
#include "catalog/key_order.h"
#include "catalog/retry.h"
#include "nodes/pg_list.h"
#include "router/map.h"

/* The most bytes of a router's name: its objects are named after it. */
#define ROUTER_NAME_MAX 40

typedef struct RouterShard
{
	int			index;
	char	   *name;
	char	   *state;			/* active, joining, leaving */
	char	   *server;			/* NULL = here */
	char	   *schema;
	double		weight;
} RouterShard;

typedef struct Router
{
	char	   *name;
	Strategy	strategy;
	HashFunction hash;
	char	   *hash_name;
	int			virtual_nodes;
	List	   *partition_key;	/* of char * */
	int			default_shard;
	int			nshards;
	RouterShard *shards;		/* every row of _shard.shard, by index */
	int			nmembers;
	int		   *members;
	RouterMap  *map;			/* NULL for strategy range */
	KeyOrder   *order;			/* for strategy range, else NULL: ... */
	RangeSet   *ranges;			/* its ranges, values of order->type */
	char	   *comparator;		/* function applied to keys first, or NULL */
	bool		migrating;
	int			nnext_members;
	int		   *next_members;
	RouterMap  *next_map;		/* NULL unless migrating */
	uint64		frontier;		/* unless migrating: 0 */
	bool		has_pins;
	bool		has_next_pins;	/* a migration changes some */
	RetryConfig retry;			/* of forwarded commands */
	bool		enable_metrics;
	bool		track_access;
	CounterHandle *counters;	/* where they are counted */
	TransactionId flip_xid;		/* xmin of the router's row: its last change */
} Router;

typedef struct ShardedTable
{
	Oid			relid;			/* the partitioned parent */
	char	   *router;
	List	   *partition_key;	/* of char * : column names */
	AttrNumber	key_attnum;		/* of the parent; 0 for expressions */
	Oid			key_type;
	bool		lake;
} ShardedTable;

/* How a router finds the key of a thing or a row. */
typedef struct KeyRule
{
	List	   *fields;			/* of char * */
	char	   *fallback;		/* or NULL */
	char	   *function;		/* text form of a regprocedure, or NULL */
	bool		strict;
} KeyRule;

extern void CatalogInit(void);

/* ERROR 42704 (with the known names as hint) or NULL if it does not exist. */
extern const Router *CatalogRouter(const char *name, bool missing_ok);

/* The rule of a router that exists, palloc'd. */
extern KeyRule CatalogKeyRule(const char *router);

/* Names of all routers, ordered; List of char *. */
extern List *RouterNames(void);

extern bool StrategyByName(const char *name, Strategy *strategy);

/* The shard of that index, or NULL. */
extern const RouterShard *RouterShardByIndex(const Router *router, int shard_index);

/* A map of this router over other members, with the weights of their shards. */
extern RouterMap *RouterBuildMap(const Router *router, int nmembers, const int *members);

/* Shard index of a key, in the database's encoding: pins, frontier, map. */
extern int	CatalogRoute(const Router *router, const char *key, size_t len);

/* The same as if the key were not pinned. */
extern int	CatalogRouteUnpinned(const Router *router, const char *key, size_t len);

/* A key as pins have it: under strategy range equal keys are one key. */
extern const char *CatalogKeyPinned(const Router *router, const char *key, size_t *len);

/*
 * For strategy range: where every key belongs, the default shard's included;
 * palloc'd.  Pinned keys have ranges of their own if pins is true (not where
 * there is a comparator, which pins do not go through).
 */
extern RangeSet *CatalogAllRanges(const Router *router, const RangeSet *ranges,
								  int default_shard, bool pins);

/* Hash and position of a key, in the database's encoding, as routing sees them. */
extern uint64 CatalogKeyHash(const Router *router, const char *key, size_t len);
extern uint64 CatalogKeyPosition(const Router *router, const char *key, size_t len);

/* Is this key pinned? */
extern bool CatalogPin(const char *router, const char *key, size_t len, int *shard_index);

/*
 * Does the running migration change this key's pin?  To *shard_index, or to
 * none, which is PIN_REMOVED.
 */
#define PIN_REMOVED (-2)
extern bool CatalogNextPin(const char *router, const char *key, size_t len, int *shard_index);

/* List of ShardedTable *, palloc'd; router NULL = all. */
extern List *CatalogShardedTables(const char *router);

/* The sharded table of which relid is the parent, or NULL; palloc'd. */
extern ShardedTable *CatalogShardedTable(Oid relid);

/* The (first) leaf of a sharded table for a shard, InvalidOid if there is none. */
extern Oid	CatalogLeaf(Oid parent, int shard_index);

/*
 * All of them: under strategy range a shard has a leaf for each of its ranges;
 * List of Oid.
 */
extern List *CatalogLeaves(Oid parent, int shard_index);

/*
 * The shard index of a leaf, -1 if it is none: its REMAINDER, or under strategy
 * range the shard in whose schema it is.
 */
extern int	CatalogLeafShard(Oid leaf);

/*
 * Every parent whose partition key uses an operator class of this router, from
 * pg_partitioned_table.partclass (never from our own list); List of Oid.  NULL:
 * of every router.  Tables of strategy range use PostgreSQL's own operator
 * classes and are partitioned right whatever we know: they are found in our list.
 */
extern List *CatalogRouterParents(const char *router);

/* Name of the router of a parent, or NULL. */
extern char *CatalogRouterOfParent(Oid parent);

/*
 * The router of a partitioned table; NULL if it is none of a router, or if the
 * router's row is not there (missing).  Fast.
 */
extern const Router *CatalogRouterForParent(Oid parent);

/*
 * The router that a hash function _shard.<router>_hash belongs to; NULL if its
 * row is not there, which is so while a database is restored.  Fast.
 */
extern const Router *CatalogRouterForFunction(Oid function);

/* Name of that router, whether its row is there or not; NULL or ERROR if the function is none. */
extern char *CatalogRouterNameOfFunction(Oid function, bool missing_ok);

/* Text form of a key value as it is routed. */
extern char *CatalogKeyText(Oid key_type, Datum value);

/*
 * Tell every backend that a router's map changed, and plans over its tables;
 * NULL: of every router.  Changes of the map tables by SQL do it by themselves.
 */
extern void CatalogInvalidateRouter(const char *router);

/* Forget cached maps in this backend now (after changing one ourselves). */
extern void CatalogForget(void);

/* OID of a table in schema _shard, InvalidOid if there is none. */
extern Oid	CatalogTableOid(const char *name);
extern bool CatalogExtensionExists(void);

#endif							/* SHARD_CATALOG_H */
