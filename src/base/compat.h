/*
 * compat.h
 *		Differences between PostgreSQL 15 to 18, in one place.
 */
#ifndef SHARD_COMPAT_H
#define SHARD_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "shard needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Functions that do not return. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

/* Which file a relation has at the moment; files as the WAL names them. */
#if PG_VERSION_NUM >= 160000
#define RelationGetFileNumber(rel)	((rel)->rd_locator.relNumber)
#define CompatFileLocator RelFileLocator
#define FileLocatorNumber(file) ((file).relNumber)
#define FileLocatorDatabase(file) ((file).dbOid)
#else
#define RelationGetFileNumber(rel)	((rel)->rd_node.relNode)
#define CompatFileLocator RelFileNode
#define FileLocatorNumber(file) ((file).relNode)
#define FileLocatorDatabase(file) ((file).dbNode)
#endif

/* A new, empty file; rebuilding the indexes of a table, needs catalog/index.h. */
#if PG_VERSION_NUM >= 160000
#define RelationSetNewRelfilenode(rel, persistence) RelationSetNewRelfilenumber(rel, persistence)
#endif
#if PG_VERSION_NUM >= 170000
#define CompatReindexRelation(relid, flags) \
	((void) reindex_relation(NULL, relid, flags, &(ReindexParams) {0}))
#else
#define CompatReindexRelation(relid, flags) \
	((void) reindex_relation(relid, flags, &(ReindexParams) {0}))
#endif

/* The process of a virtual transaction, or NULL; needs storage/procarray.h. */
#if PG_VERSION_NUM >= 170000
#define VirtualTransactionProc(vxid) ProcNumberGetProc((vxid).procNumber)
#else
#define VirtualTransactionProc(vxid) BackendIdGetProc((vxid).backendId)
#endif

/* The comparison of two rows, numbered as the strategies of a B-tree are; reverse(text). */
#if PG_VERSION_NUM >= 180000
#define RowComparison(expr) ((int) (expr)->cmptype)
#define F_REVERSE F_REVERSE_TEXT
#else
#define RowComparison(expr) ((int) (expr)->rctype)
#endif

/* May a role do this with a function?  Needs utils/acl.h and catalog/pg_proc.h. */
#if PG_VERSION_NUM >= 160000
#define FunctionAclCheck(function, role, mode) \
	object_aclcheck(ProcedureRelationId, function, role, mode)
#else
#define FunctionAclCheck(function, role, mode) pg_proc_aclcheck(function, role, mode)
#endif

/* Does a collation compare bytes?  Needs utils/pg_locale.h. */
#if PG_VERSION_NUM >= 180000
#define CollationIsC(collation) (pg_newlocale_from_collation(collation)->collate_is_c)
#else
#define CollationIsC(collation) lc_collate_is_c(collation)
#endif

/* Paths of foreign tables; restrictions of a path itself are of joins only. */
#if PG_VERSION_NUM >= 180000
#define CreateForeignScanPath(root, rel, rows, startup, total, keys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, 0, startup, total, keys, outer, NULL, NIL, private)
#define CreateForeignUpperPath(root, rel, target, rows, startup, total, keys, private) \
	create_foreign_upper_path(root, rel, target, rows, 0, startup, total, keys, NULL, NIL, private)
#elif PG_VERSION_NUM >= 170000
#define CreateForeignScanPath(root, rel, rows, startup, total, keys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, keys, outer, NULL, NIL, private)
#define CreateForeignUpperPath(root, rel, target, rows, startup, total, keys, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, keys, NULL, NIL, private)
#else
#define CreateForeignScanPath(root, rel, rows, startup, total, keys, outer, private) \
	create_foreignscan_path(root, rel, NULL, rows, startup, total, keys, outer, NULL, private)
#define CreateForeignUpperPath(root, rel, target, rows, startup, total, keys, private) \
	create_foreign_upper_path(root, rel, target, rows, startup, total, keys, NULL, private)
#endif

/* The sort operator of a pathkey for a type, and whether it sorts downwards. */
#if PG_VERSION_NUM >= 180000
#define PathKeyOperator(key, type) \
	get_opfamily_member_for_cmptype((key)->pk_opfamily, type, type, (key)->pk_cmptype)
#define PathKeyDescending(key) ((key)->pk_cmptype == COMPARE_GT)
#else
#define PathKeyOperator(key, type) \
	get_opfamily_member((key)->pk_opfamily, type, type, (key)->pk_strategy)
#define PathKeyDescending(key) ((key)->pk_strategy == BTGreaterStrategyNumber)
#endif

/* The index whose file a CREATE INDEX statement takes over, in ALTER TABLE. */
#if PG_VERSION_NUM >= 160000
#define OldIndexFile(index) ((index)->oldNumber)
#else
#define OldIndexFile(index) ((index)->oldNode)
#endif

/* Attributes by their names; every one must be there.  Needs access/attmap.h. */
#if PG_VERSION_NUM >= 160000
#define AttributesByName(to, from) build_attrmap_by_name((to), (from), false)
#else
#define AttributesByName(to, from) build_attrmap_by_name((to), (from))
#endif

/* A wait event set that lives until it is freed, in TopMemoryContext. */
#if PG_VERSION_NUM >= 170000
#define CompatCreateWaitEventSet(nevents) CreateWaitEventSet(NULL, (nevents))
#else
#define CompatCreateWaitEventSet(nevents) CreateWaitEventSet(TopMemoryContext, (nevents))
#endif

/* The index of a table's primary key, if it is checked at once. */
#if PG_VERSION_NUM >= 180000
#define PrimaryKeyIndex(rel) RelationGetPrimaryKeyIndex((rel), false)
#else
#define PrimaryKeyIndex(rel) RelationGetPrimaryKeyIndex(rel)
#endif

/* Does a role own a relation?  Needs utils/acl.h and catalog/pg_class.h. */
#if PG_VERSION_NUM >= 160000
#define RelationOwnedBy(relid, role) object_ownercheck(RelationRelationId, (relid), (role))
#else
#define RelationOwnedBy(relid, role) pg_class_ownercheck((relid), (role))
#endif

/* A change's tuple in the reorder buffer; this process's number, needs storage/proc.h. */
#if PG_VERSION_NUM >= 170000
#define ChangeTuple(t)		(t)
#define MyProcNumberCompat	MyProcNumber
#else
#define ChangeTuple(t)		((t) != NULL ? &(t)->tuple : NULL)
#define MyProcNumberCompat	(MyProc->pgprocno)
#endif

/* Has the server given up a slot's WAL? */
#if PG_VERSION_NUM >= 160000
#define SlotIsInvalidated(slot) ((slot)->data.invalidated != RS_INVAL_NONE)
#else
#define SlotIsInvalidated(slot) ((slot)->data.invalidated_at != InvalidXLogRecPtr)
#endif

/* Create a logical slot that lives until it is released. */
#if PG_VERSION_NUM >= 170000
#define CreateEphemeralSlot(name) \
	ReplicationSlotCreate((name), true, RS_EPHEMERAL, false, false, false)
#else
#define CreateEphemeralSlot(name) \
	ReplicationSlotCreate((name), true, RS_EPHEMERAL, false)
#endif
#if PG_VERSION_NUM >= 180000
#define AcquireSlot(name)	ReplicationSlotAcquire((name), false, true)
#else
#define AcquireSlot(name)	ReplicationSlotAcquire((name), false)
#endif

/* What an ExecutorRun hook takes, and passes on. */
#if PG_VERSION_NUM >= 180000
#define EXECUTOR_RUN_PARAMS QueryDesc *query, ScanDirection direction, uint64 count
#define EXECUTOR_RUN_ARGS	query, direction, count
#else
#define EXECUTOR_RUN_PARAMS \
	QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define EXECUTOR_RUN_ARGS	query, direction, count, execute_once
#endif

/* An empty logical message outside of the transaction; its place in the WAL. */
#if PG_VERSION_NUM >= 170000
#define LogMarker(prefix)	LogLogicalMessage((prefix), "", 0, false, false)
#else
#define LogMarker(prefix)	LogLogicalMessage((prefix), "", 0, false)
#endif

/*
 * A range table entry as an executable plan has it: without what only planning
 * needs.  From 16 on, permissions to check are kept beside the range table.
 * Needs nodes/parsenodes.h and parser/parse_relation.h.
 */
#define COMPAT_FLAT_ENTRY(flat, rte) \
	do { \
		(flat) = makeNode(RangeTblEntry); \
		memcpy((flat), (rte), sizeof(RangeTblEntry)); \
		(flat)->tablesample = NULL; \
		(flat)->subquery = NULL; \
		(flat)->joinaliasvars = NIL; \
		(flat)->functions = NIL; \
		(flat)->values_lists = NIL; \
		(flat)->securityQuals = NIL; \
	} while (0)
#if PG_VERSION_NUM >= 160000
#define FlatEntryPermissions(query, rte, flat, perminfos) \
	do { \
		if ((rte)->perminfoindex > 0) \
		{ \
			*(perminfos) = lappend(*(perminfos), \
								   copyObject(getRTEPermissionInfo((query)->rteperminfos, (rte)))); \
			(flat)->perminfoindex = list_length(*(perminfos)); \
		} \
	} while (0)
#define SetPermissionInfos(stmt, infos) ((stmt)->permInfos = (infos))
#define PermissionInfos(stmt) ((stmt)->permInfos)
#else
#define FlatEntryPermissions(query, rte, flat, perminfos) ((void) (query))
#define SetPermissionInfos(stmt, infos) ((void) (infos))
#define PermissionInfos(stmt) NIL
#endif

/* A variable that no outer join can turn null; the relations below a jointree node. */
#if PG_VERSION_NUM >= 160000
#define VarIsPlain(var)		((var)->varnullingrels == NULL)
#define RelidsInJointree(node) get_relids_in_jointree((node), false, false)
#else
#define VarIsPlain(var)		true
#define RelidsInJointree(node) get_relids_in_jointree((node), false)
#endif

#endif							/* SHARD_COMPAT_H */
