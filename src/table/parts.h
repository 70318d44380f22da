/*
 * parts.h
 *		What the files of the table folder share with each other only.
 */
#ifndef SHARD_TABLE_PARTS_H
#define SHARD_TABLE_PARTS_H

#include "postgres.h"
#include "catalog/catalog.h"
#include "nodes/bitmapset.h"
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
extern void DdlForget(SubTransactionId aborted);
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

extern TableDefinition *DefinitionRead(Oid relid, bool unique);
extern List *DefinitionSequenceValues(Oid relid, const char *schema);
extern char *QualifiedName(Oid relid);

/* acl.c: privileges, copied as they are */
extern void AclCopyTable(Oid from, Oid to);
extern void AclReset(Oid relid);

/* ---- check.c: what cannot be kept is refused, before anything changes ---- */

extern void CheckKind(Relation rel);
extern void CheckIdentity(Relation rel);
extern void CheckKept(Oid relid, AttrNumber key);
extern void CheckDependents(Oid relid, const char *action);
extern void CheckLeavesPlain(Oid parent, bool unique);
extern void WarnOfPublications(Oid relid);

/* ---- unique.c: unique constraints that only leaves can have ---- */

extern List *UniquePrimaryKey(Oid template, const char *target, const char *schema);
extern List *UniqueOthers(Oid template, const char *target, const char *schema);
extern Oid	UniqueTemplate(Oid parent);
extern void UniqueCheckNames(Oid template, const char *schema);
extern List *UniqueWithinShard(Oid relid, Oid parent, const Bitmapset *attnums, bool primary_only);

/* ---- leaf.c: schemas and leaves of shards ---- */

extern Oid	LeafCreate(Oid parent, const RouterShard *shard, Oid template);
extern Oid	LeafMake(Oid parent, const RouterShard *shard, Oid template, const char *suffix);
extern void LeafAttach(Oid parent, Oid leaf, const char *bound);
extern void LeafSchemaCreate(const char *schema);
extern char *LeafFreeName(const char *schema, const char *table, const char *suffix);
extern void LeafSync(Oid parent);
extern void LeafCluster(Oid parent, Oid leaf, const char *index);
extern char *ClusterIndex(Oid relid);
extern char *StorageOptions(Oid template);
extern char *AccessMethodClause(Oid relid);

/* ---- shards.c: all leaves of a shard, all leaves of a table ---- */

extern void CreateLeaves(Oid parent, const char *router, Oid template);
extern RouterShard *FindShard(const char *router, int shard_index);
extern Oid	AnyLeaf(Oid parent);
extern void CheckLeavesPresent(Oid parent, const char *router);
extern void DropEmptySchemas(const char *router);
extern void CheckLockTable(const char *router, int nshards, int nindexes, bool toast);

/* ---- move.c: rows from the old table into the new one ---- */

extern uint64 MoveIntoLeaves(Oid from, Oid parent);
extern uint64 MoveFromLeaves(Oid parent, Oid to);

/* distribute.c */
extern void ForgetTable(Oid relid);

/* events.c */
extern void EventsInit(void);

/* motion_guard.c */
extern void MotionGuardInit(void);

/* ddl_guard.c */
extern void DdlGuardDropped(void);
extern void DdlGuardInit(void);

/* row_security.c */
extern void RowSecuritySync(Oid leaf, bool enabled, bool forced);
extern void RowSecurityInit(void);

/* origin.c */
extern void OriginInit(void);

#endif							/* SHARD_TABLE_PARTS_H */
