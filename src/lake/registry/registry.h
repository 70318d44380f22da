/*
 * registry.h
 *		The catalog of lake tables: iceberg_tables, as a JDBC catalog of other
 *		Iceberg engines sees it too, and the queue of files to be removed.
 */
#ifndef SHARD_LAKE_REGISTRY_H
#define SHARD_LAKE_REGISTRY_H

#include "postgres.h"
#include "nodes/pg_list.h"

/* The catalog_name under which our tables stand. */
#define LAKE_CATALOG "lake"

extern void RegistryInit(void);

/* iceberg_tables; ERROR 42P01 or, with missing_ok, InvalidOid without the extension. */
extern Oid RegistryTable(void);
extern Oid RegistryTableOid(bool missing_ok);

/* A table's pointer as the active snapshot sees it, own changes included; NULL if none. */
extern char *RegistryLookup(const char *namespace, const char *name);

/* ERROR 42P07 if it exists. */
extern void RegistryInsert(const char *namespace, const char *name, const char *location);

/* Compare and swap; false if the pointer is not "old" any more. */
extern bool RegistrySwap(const char *namespace, const char *name, const char *old, const char *new);

extern bool RegistryDelete(const char *namespace, const char *name);

/* The state table of a sharded table; false if it has none. */
extern bool RegistryRelation(Oid relation, char **namespace, char **name);

/* Queue files or (trees) directories for removal once nobody can need them. */
extern void RegistryTrash(const List *paths, bool trees);

#endif							/* SHARD_LAKE_REGISTRY_H */
