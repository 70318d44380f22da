/*
 * ddl_guard.c
 *		Commands on sharded tables and their leaves that would go wrong later.
 *
 * Looked at before they run.  On a leaf: what would take it away from its shard
 * or from the pipeline (another name, schema, owner or replica identity, no
 * WAL), since a leaf is its parent's in all these.  On a sharded table: leaves
 * that are nobody's shard, a concurrent detach (which commits before anybody
 * could refuse it), and what PostgreSQL refuses without a word on what to do
 * instead.
 *
 * What a drop takes along is known only while it runs: a leaf that goes while its
 * parent stays is refused at the end of the command, by DdlGuardDropped().
 *
 * Only tables in _shard.sharded_table are guarded.  A dump is restored with all
 * tables made, and leaves attached, before that has rows.
 *
 * Names follow: leaves that have their parent's name, and the names of columns
 * of the partition key in our catalog.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "table/key.h"
#include "table/parts.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type previous_utility = NULL;
static object_access_hook_type previous_access = NULL;

/* A partition that this command dropped, and its parent. */
typedef struct DroppedLeaf
{
	char	   *name;
	Oid			parent;
} DroppedLeaf;

/* In TopTransactionContext. */
static List *DroppedLeaves = NIL;

static void
RefuseOnLeaf(Oid leaf, Oid parent, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot %s %s", what, QualifiedName(leaf)),
			 errdetail("It is the part of table %s in a shard.", QualifiedName(parent)),
			 errhint("Use the command on the table itself, which passes it on.")));
}

static void
RefuseOnTable(Oid relid, const char *what, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot %s sharded table %s", what, QualifiedName(relid)),
			 errhint("%s", hint)));
}

/* ---- leaves ---- */

static Oid
RoleOf(RoleSpec *role)
{
	return get_rolespec_oid(role, true);
}

static bool
OwnerIs(Oid relid, Oid role)
{
	Relation	rel = table_open(relid, AccessShareLock);
	bool		same = rel->rd_rel->relowner == role;

	table_close(rel, NoLock);
	return same;
}

/*
 * Would a replica identity be another one than the leaf has?  An index of the
 * leaf is let pass: a dump has the same for the table.
 */
static bool
ChangesIdentity(Oid leaf, ReplicaIdentityStmt *statement)
{
	Relation	rel = table_open(leaf, AccessShareLock);
	char		identity = rel->rd_rel->relreplident;

	table_close(rel, NoLock);
	return statement->identity_type != REPLICA_IDENTITY_INDEX &&
		statement->identity_type != identity;
}

static void
CheckLeafCommand(Oid leaf, Oid parent, AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_SetUnLogged:
			RefuseOnLeaf(leaf, parent, "make unlogged");
			break;
		case AT_ChangeOwner:
			if (!OwnerIs(parent, RoleOf(command->newowner)))
				RefuseOnLeaf(leaf, parent, "change owner of");
			break;
		case AT_ReplicaIdentity:
			if (ChangesIdentity(leaf, (ReplicaIdentityStmt *) command->def))
				RefuseOnLeaf(leaf, parent, "change replica identity of");
			break;
		case AT_DisableRowSecurity:
		case AT_NoForceRowSecurity:
			RefuseOnLeaf(leaf, parent, "disable row security of");
			break;
		default:
			break;
	}
}

/* ---- sharded tables ---- */

static bool
IsKeyColumn(Oid relid, const char *column)
{
	AttrNumber	attnum = column != NULL ? get_attnum(relid, column) : InvalidAttrNumber;
	ShardedTable *table = CatalogShardedTable(relid);
	Bitmapset  *attnums;

	if (attnum <= 0)
		return false;
	if (KeyIsExpression(relid, &attnums))
		return bms_is_member(attnum, attnums);
	return table->key_attnum == attnum;
}

/*
 * Unique constraints must have the key, if that is a column, and can be on the
 * leaves only, if it is an expression.  columns: of char *.
 */
static void
CheckUnique(Oid relid, List *columns)
{
	Bitmapset  *attnums;
	ListCell   *lc;

	if (KeyIsExpression(relid, &attnums))
		RefuseOnTable(relid, "add a unique constraint to",
					  "Its partition key is an expression: add the constraint to the table of each shard, under one name; new shards will have it, too.");
	foreach(lc, columns)
		if (IsKeyColumn(relid, lfirst(lc)))
			return;
	RefuseOnTable(relid, "add a unique constraint without the partition key to",
				  "Add the partition key's column to the constraint: it could only hold within each shard otherwise.");
}

static void
CheckConstraint(Oid relid, Constraint *constraint)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if ((constraint->contype != CONSTR_UNIQUE && constraint->contype != CONSTR_PRIMARY) ||
		constraint->indexname != NULL)
		return;
	foreach(lc, constraint->keys)
		columns = lappend(columns, strVal(lfirst(lc)));
	CheckUnique(relid, columns);
}

static void
CheckTableCommand(Oid relid, AlterTableCmd *command)
{
	switch (command->subtype)
	{
		case AT_SetUnLogged:
			RefuseOnTable(relid, "make unlogged",
						  "The lake follows a table by its WAL; use shard.undistribute_table() first.");
			break;
		case AT_AttachPartition:
			RefuseOnTable(relid, "attach a partition to",
						  "A shard's table is made by shard.add_shard() or shard.alter_router(); rows come by INSERT or COPY.");
			break;
		case AT_DetachPartition:
			RefuseOnTable(relid, "detach a partition of",
						  "To get rid of a shard, use shard.remove_shard(); to get one table again, shard.undistribute_table().");
			break;
		case AT_DropColumn:
			if (IsKeyColumn(relid, command->name))
				RefuseOnTable(relid, psprintf("drop column \"%s\" of", command->name),
							  "It is in the partition key: use shard.undistribute_table() first, and distribute by another key.");
			break;
		case AT_AlterColumnType:
			if (IsKeyColumn(relid, command->name))
				RefuseOnTable(relid, psprintf("change the type of column \"%s\" of", command->name),
							  "It is in the partition key: use shard.undistribute_table() first, and distribute again afterwards.");
			break;
		case AT_SetRelOptions:
		case AT_ClusterOn:
			RefuseOnTable(relid, "set storage parameters or clustering of",
						  "Set them on the table of each shard; new shards take them over. CLUSTER table USING index works.");
			break;
		case AT_AddConstraint:
			CheckConstraint(relid, castNode(Constraint, command->def));
			break;
		default:
			break;
	}
}

static void
CheckIndex(Oid relid, IndexStmt *index)
{
	List	   *columns = NIL;
	ListCell   *lc;

	if (index->concurrent)
		RefuseOnTable(relid, "concurrently create an index on",
					  "Create it with ON ONLY, then concurrently on the table of each shard, and attach these with ALTER INDEX ... ATTACH PARTITION.");
	if (!index->unique || OldIndexFile(index) != InvalidOid)
		return;
	foreach(lc, index->indexParams)
		columns = lappend(columns, castNode(IndexElem, lfirst(lc))->name);
	CheckUnique(relid, columns);
}

static void
CheckNewPartition(CreateStmt *create)
{
	Oid			parent;

	if (create->partbound == NULL || create->inhRelations == NIL)
		return;
	parent = RangeVarGetRelid(linitial(create->inhRelations), NoLock, true);
	if (OidIsValid(parent) && CatalogShardedTable(parent) != NULL)
		RefuseOnTable(parent, "create a partition of",
					  "A shard's table is made by shard.add_shard() or shard.alter_router().");
}

/* ---- drops ---- */

/*
 * The parent must not be opened here: it may be half dropped, or its operator
 * class.
 */
static void
NoteDrop(ObjectAccessType access, Oid class, Oid object, int sub_id, void *arg)
{
	Oid			parent;
	MemoryContext old;
	DroppedLeaf *dropped;

	if (previous_access)
		previous_access(access, class, object, sub_id, arg);
	if (access != OAT_DROP || class != RelationRelationId || sub_id != 0 || DdlIsOurs() ||
		get_rel_relkind(object) != RELKIND_RELATION || !get_rel_relispartition(object) ||
		!CatalogExtensionExists())
		return;
	parent = get_partition_parent(object, true);
	if (!OidIsValid(parent))
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	dropped = palloc(sizeof(DroppedLeaf));
	dropped->name = pstrdup(QualifiedName(object));
	dropped->parent = parent;
	DroppedLeaves = lappend(DroppedLeaves, dropped);
	MemoryContextSwitchTo(old);
}

/*
 * At the end of a command: were leaves dropped, and their parent not?
 */
void
DdlGuardDropped(void)
{
	List	   *leaves = DroppedLeaves;
	ListCell   *lc;

	DroppedLeaves = NIL;
	foreach(lc, leaves)
	{
		DroppedLeaf *dropped = lfirst(lc);

		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(dropped->parent)) &&
			CatalogShardedTable(dropped->parent) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop %s because table %s needs it", dropped->name,
							QualifiedName(dropped->parent)),
					 errdetail("It is the part of the table in a shard; its rows would be lost."),
					 errhint("To get rid of a shard, use shard.remove_shard(); to get rid of the shards' tables, drop the table itself, or put it together with shard.undistribute_table().")));
	}
}

static void
ForgetDrops(XactEvent event, void *arg)
{
	DroppedLeaves = NIL;
}

static void
ForgetSubDrops(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		DroppedLeaves = NIL;
}

/* ---- commands ---- */

/*
 * The table that a command names; its parent too, if it is a leaf.  InvalidOid
 * if it has nothing to do with sharded tables.
 */
static Oid
ShardedRelation(RangeVar *name, Oid *parent)
{
	Oid			relid = name != NULL ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;

	*parent = InvalidOid;
	if (!OidIsValid(relid))
		return InvalidOid;
	if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		return CatalogShardedTable(relid) != NULL ? relid : InvalidOid;
	if (!get_rel_relispartition(relid) || get_rel_relkind(relid) != RELKIND_RELATION)
		return InvalidOid;
	*parent = get_partition_parent(relid, true);
	return OidIsValid(*parent) && CatalogShardedTable(*parent) != NULL ? relid : InvalidOid;
}

static void
CheckAlterTable(AlterTableStmt *alter)
{
	Oid			parent;
	Oid			relid = ShardedRelation(alter->relation, &parent);
	ListCell   *lc;

	if (!OidIsValid(relid))
		return;
	foreach(lc, alter->cmds)
	{
		if (OidIsValid(parent))
			CheckLeafCommand(relid, parent, lfirst(lc));
		else
			CheckTableCommand(relid, lfirst(lc));
	}
}

static void
CheckLeafStays(RangeVar *name, const char *what)
{
	Oid			parent;
	Oid			relid = ShardedRelation(name, &parent);

	if (OidIsValid(relid) && OidIsValid(parent))
		RefuseOnLeaf(relid, parent, what);
}

static void
CheckCommand(Node *statement)
{
	Oid			parent;
	Oid			relid;

	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			CheckAlterTable(castNode(AlterTableStmt, statement));
			break;
		case T_AlterObjectSchemaStmt:
			if (castNode(AlterObjectSchemaStmt, statement)->objectType == OBJECT_TABLE)
				CheckLeafStays(castNode(AlterObjectSchemaStmt, statement)->relation,
							   "set the schema of");
			break;
		case T_RenameStmt:
			if (castNode(RenameStmt, statement)->renameType == OBJECT_TABLE)
				CheckLeafStays(castNode(RenameStmt, statement)->relation, "rename");
			break;
		case T_IndexStmt:
			relid = ShardedRelation(castNode(IndexStmt, statement)->relation, &parent);
			if (OidIsValid(relid) && !OidIsValid(parent))
				CheckIndex(relid, castNode(IndexStmt, statement));
			break;
		case T_CreateStmt:
			CheckNewPartition(castNode(CreateStmt, statement));
			break;
		default:
			break;
	}
}

/*
 * The sharded table that a command renames, itself or a column; or InvalidOid.
 */
static Oid
RenamedTable(Node *statement)
{
	Oid			parent;
	Oid			relid;

	if (!IsA(statement, RenameStmt) ||
		(castNode(RenameStmt, statement)->renameType != OBJECT_TABLE &&
		 castNode(RenameStmt, statement)->renameType != OBJECT_COLUMN))
		return InvalidOid;
	relid = ShardedRelation(castNode(RenameStmt, statement)->relation, &parent);
	return OidIsValid(parent) ? InvalidOid : relid;
}

static void
RenameLeaves(Oid parent, const char *before)
{
	const char *after = get_rel_name(parent);
	DdlScope	scope;
	ListCell   *lc;

	DdlBegin(&scope);
	foreach(lc, find_inheritance_children(parent, AccessExclusiveLock))
	{
		Oid			leaf = lfirst_oid(lc);

		if (strcmp(get_rel_name(leaf), before) == 0 &&
			!OidIsValid(get_relname_relid(after, get_rel_namespace(leaf))))
			DdlRunf("ALTER TABLE %s RENAME TO %s", QualifiedName(leaf), quote_identifier(after));
	}
	DdlEnd(&scope);
}

static void
RenameKeyColumn(Oid relid, const char *before, const char *after)
{
	DdlScope	scope;

	DdlBegin(&scope);
	DdlRunf("UPDATE _shard.sharded_table SET partition_key = array_replace(partition_key, %s, %s) "
			"WHERE relation = %u", quote_literal_cstr(before), quote_literal_cstr(after), relid);
	DdlEnd(&scope);
}

/*
 * What follows a renamed table, or a renamed column of its key.
 */
static void
FollowRename(RenameStmt *rename, Oid relid, const char *table)
{
	CommandCounterIncrement();
	if (rename->renameType == OBJECT_TABLE)
		RenameLeaves(relid, table);
	else if (IsKeyColumn(relid, rename->newname))
		RenameKeyColumn(relid, rename->subname, rename->newname);
}

static void
DdlGuardUtility(PlannedStmt *statement, const char *query_string, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *node = statement->utilityStmt;
	Oid			renamed = InvalidOid;
	char	   *before = NULL;

	if ((IsA(node, AlterTableStmt) || IsA(node, AlterObjectSchemaStmt) || IsA(node, RenameStmt) ||
		 IsA(node, IndexStmt) || IsA(node, CreateStmt)) &&
		!DdlIsOurs() && IsTransactionState() && !creating_extension && CatalogExtensionExists())
	{
		CheckCommand(node);
		renamed = RenamedTable(node);
		if (OidIsValid(renamed))
			before = get_rel_name(renamed);
	}
	(previous_utility ? previous_utility : standard_ProcessUtility)
		(statement, query_string, read_only_tree, context, params, environment, dest, completion);
	if (OidIsValid(renamed))
		FollowRename(castNode(RenameStmt, node), renamed, before);
}

void
DdlGuardInit(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = DdlGuardUtility;
	previous_access = object_access_hook;
	object_access_hook = NoteDrop;
	RegisterXactCallback(ForgetDrops, NULL);
	RegisterSubXactCallback(ForgetSubDrops, NULL);
}
