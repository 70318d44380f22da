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

/* All tables of this database's lake, of RegistryName *. */
typedef struct RegistryName
{
	char	   *namespace;
	char	   *name;
	char	   *location;		/* of its metadata, or NULL */
} RegistryName;

extern List *RegistryTables(void);

/* Names of the tables in a namespace, of char *, sorted. */
extern List *RegistryNames(const char *namespace);

/* ERROR 42P07 if it exists. */
extern void RegistryInsert(const char *namespace, const char *name, const char *location);

/* Compare and swap; false if the pointer is not "old" any more. */
extern bool RegistrySwap(const char *namespace, const char *name, const char *old, const char *new);

/*
 * Keep others from moving a table's pointer until this transaction ends; to be
 * followed by looking it up again.  Writers may still lose the race where the
 * catalog knows no locks.
 */
extern void RegistryLock(const char *namespace, const char *name);

extern bool RegistryDelete(const char *namespace, const char *name);

/* The lake tables of a sharded table; false if it has none.  events may be NULL. */
extern bool RegistryRelation(Oid relation, char **namespace, char **name, char **events);

/* What begins a queued entry that is a table to be dropped from a REST catalog: UUID/NS/NAME. */
#define TRASH_REST "rest:"

/* Queue files or (trees) directories for removal once nobody can need them. */
extern void RegistryTrash(const List *paths, bool trees);

/* The files that are queued so, as a set of paths (see LakePathSet()). */
extern struct HTAB *RegistryTrashed(void);

#endif							/* SHARD_LAKE_REGISTRY_H */
