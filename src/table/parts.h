/*
 * parts.h
 *		What the files of the table folder share with each other only.
 */
#ifndef SHARD_TABLE_PARTS_H
#define SHARD_TABLE_PARTS_H

#include "postgres.h"
#include "catalog/catalog.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* ---- ddl.c: commands of our own, as superuser, with pinned settings ---- */

typedef struct DdlScope
{
	Oid			user;
	int			sec_context;
	int			nest;
	int			outer;
} DdlScope;

extern void DdlBegin(DdlScope *scope);
extern void DdlEnd(DdlScope *scope);
extern bool DdlIsOurs(void);
extern void DdlForget(void);
extern void DdlRun(const char *command);
extern void DdlRunf(const char *format,...) pg_attribute_printf(1, 2);
extern void DdlRunAll(List *commands);
extern List *DdlTexts(const char *query, Oid relid, int number);
extern List *DdlOids(const char *query, Oid relid);

/* Column options that users set; servers may keep others of their own there. */
#define ATTRIBUTE_OPTIONS "WHERE option_name IN ('n_distinct', 'n_distinct_inherited')"
#define HAS_ATTRIBUTE_OPTIONS \
	"AND EXISTS (SELECT FROM pg_options_to_table(attoptions) " ATTRIBUTE_OPTIONS ") "

/* ---- definition.c: a table's definition as commands ---- */

typedef struct TableDefinition
{
	Oid			relid;
	Oid			owner;
	char	   *schema;
	char	   *name;
	char	   *qualified;		/* quoted */
	char	   *tablespace;		/* quoted, or NULL for the database's */
	List	   *detach;			/* commands before the table is set aside */
	List	   *before_rows;	/* on the new table, before it has rows */
	List	   *after_rows;
} TableDefinition;

extern TableDefinition *DefinitionRead(Oid relid);
extern List *DefinitionSequenceValues(Oid relid, const char *schema);
extern char *QualifiedName(Oid relid);

/* acl.c: privileges, copied as they are */
extern void AclCopyTable(Oid from, Oid to);
extern void AclReset(Oid relid);

/* ---- check.c: what cannot be kept is refused, before anything changes ---- */

extern void CheckKind(Relation rel);
extern AttrNumber CheckKey(Relation rel, List *columns);
extern void CheckIdentity(Relation rel);
extern void CheckKept(Oid relid, AttrNumber key);
extern void CheckDependents(Oid relid, const char *action);
extern void CheckLeavesPlain(Oid parent);
extern void WarnOfPublications(Oid relid);
extern const char *KeyClass(Oid type);

/* ---- leaf.c: schemas and leaves of shards ---- */

extern Oid	LeafCreate(Oid parent, const RouterShard *shard, Oid template);
extern void LeafSync(Oid parent);
extern void LeafCluster(Oid parent, Oid leaf, const char *index);
extern char *ClusterIndex(Oid relid);
extern char *StorageOptions(Oid template);
extern char *AccessMethodClause(Oid relid);

/* ---- shards.c: all leaves of a shard, all leaves of a table ---- */

extern void CreateLeaves(Oid parent, const char *router, Oid template);
extern Oid	AnyLeaf(Oid parent);
extern void CheckLeavesPresent(Oid parent, const char *router);
extern void DropEmptySchemas(const char *router);
extern void CheckLockTable(const char *router, int nshards, int nindexes, bool toast);

/* ---- move.c: rows from the old table into the new one ---- */

extern uint64 MoveIntoLeaves(Oid from, Oid parent);
extern uint64 MoveFromLeaves(Oid parent, Oid to);

/* distribute.c */
extern void ForgetTable(Oid relid);

/* flip.c */
extern void LockRouter(const char *router, LOCKMODE mode);

/* events.c */
extern void EventsInit(void);

/* origin.c */
extern void OriginInit(void);

#endif							/* SHARD_TABLE_PARTS_H */
