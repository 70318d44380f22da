/*
 * catalog.h
 *		C view of the _shard tables: routers, shards, sharded tables.
 *
 * Router entries are cached per backend and invalidated by any change of a map
 * table (statement triggers, ENABLE ALWAYS) through a relcache invalidation of
 * _shard.router.  A returned entry stays valid until the caller's next catalog
 * call; copy what must live longer.
 */
#ifndef SHARD_CATALOG_H
#define SHARD_CATALOG_H

#include "postgres.h"
#include "access/attnum.h"
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
	int			nshards;
	RouterShard *shards;		/* every row of _shard.shard, by index */
	int			nmembers;
	int		   *members;
	RouterMap  *map;
	bool		migrating;
	int			nnext_members;
	int		   *next_members;
	RouterMap  *next_map;		/* NULL unless migrating */
	uint64		frontier;		/* unless migrating: 0 */
	bool		has_pins;
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

extern void CatalogInit(void);

/* ERROR 42704 (with the known names as hint) or NULL if it does not exist. */
extern const Router *CatalogRouter(const char *name, bool missing_ok);

/* Shard index of a key: pins, frontier, map. */
extern int	CatalogRoute(const Router *router, const char *key, size_t len);

/* Is this key pinned? */
extern bool CatalogPin(const char *router, const char *key, size_t len, int *shard_index);

/* List of ShardedTable *, palloc'd; router NULL = all. */
extern List *CatalogShardedTables(const char *router);

/* The sharded table of which relid is the parent, or NULL; palloc'd. */
extern ShardedTable *CatalogShardedTable(Oid relid);

/* The leaf of a sharded table for a shard, InvalidOid if there is none. */
extern Oid	CatalogLeaf(Oid parent, int shard_index);

/* The shard index of a leaf (its REMAINDER), -1 if it is none. */
extern int	CatalogLeafShard(Oid leaf);

/*
 * Every parent whose partition key uses an operator class of this router, from
 * pg_partitioned_table.partclass (never from our own list); List of Oid.
 */
extern List *CatalogRouterParents(const char *router);

/* Name of the router of a parent found through its operator class, or NULL. */
extern char *CatalogRouterOfParent(Oid parent);

/* Text form of a key value as it is routed. */
extern char *CatalogKeyText(Oid key_type, Datum value);

/* Forget cached maps in this backend now (after changing one ourselves). */
extern void CatalogForget(void);

/* OID of schema _shard / of a table in it / of the extension's schema; cached per transaction. */
extern Oid	CatalogTableOid(const char *name);
extern bool CatalogExtensionExists(void);

#endif							/* SHARD_CATALOG_H */
