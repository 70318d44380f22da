/*
 * motion_guard.c
 *		Commands that must not come in between a migration, or between a shard
 *		and its schema.
 *
 * A batch holds weak locks on the tables of its router for as long as it copies
 * rows.  ALTER TABLE would queue behind it with ACCESS EXCLUSIVE, and everybody
 * else behind ALTER TABLE.  So it is refused at once, with the hint to pause the
 * migration, while a worker is at it; between batches of a paused migration a
 * table may change as it likes, since the next batch begins anew.  TRUNCATE, DROP
 * TABLE and LOCK belong to what applications do: they wait for the batch.
 *
 * A shard's schema is found by its name, so it keeps its name.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "table/parts.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static ProcessUtility_hook_type previous_utility = NULL;

/*
 * The first value of a query with a text parameter, read as superuser; 0 if it
 * has no row.
 */
static int64
Ask(const char *query, const char *parameter)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(parameter);
	Oid			user;
	int			context;
	int64		result = 0;
	bool		isnull;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	if (SPI_execute_with_args(query, 1, &type, &value, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "\"%s\" failed", query);
	if (SPI_processed > 0)
		result = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	SetUserIdAndSecContext(user, context);
	return result;
}

/*
 * The tables or indexes that a DROP names: of a trigger, policy or rule the
 * table is what stands before its own name.
 */
static List *
DroppedFrom(DropStmt *drop)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, drop->objects)
	{
		if (drop->removeType == OBJECT_INDEX)
			names = lappend(names, makeRangeVarFromNameList(lfirst(lc)));
		else if (drop->removeType == OBJECT_TRIGGER || drop->removeType == OBJECT_POLICY ||
				 drop->removeType == OBJECT_RULE)
			names = lappend(names, makeRangeVarFromNameList(list_truncate(list_copy(lfirst(lc)),
																		  list_length(lfirst(lc)) - 1)));
	}
	return names;
}

/*
 * The tables that a VACUUM (FULL) rewrites, as far as it names them.
 */
static List *
RewrittenBy(VacuumStmt *vacuum)
{
	List	   *names = NIL;
	bool		full = false;
	ListCell   *lc;

	foreach(lc, vacuum->options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, "full") == 0)
			full = defGetBoolean(lfirst(lc));
	foreach(lc, full ? vacuum->rels : NIL)
		names = lappend(names, lfirst_node(VacuumRelation, lc)->relation);
	return names;
}

static List *
OneName(RangeVar *name)
{
	return name != NULL ? list_make1(name) : NIL;
}

/*
 * The tables, or indexes, that a command is about to change in a way that a
 * batch would meet.
 */
static List *
ChangedTables(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			return OneName(castNode(AlterTableStmt, statement)->relation);
		case T_RenameStmt:
			return OneName(castNode(RenameStmt, statement)->relation);
		case T_AlterObjectSchemaStmt:
			return OneName(castNode(AlterObjectSchemaStmt, statement)->relation);
		case T_IndexStmt:
			return OneName(castNode(IndexStmt, statement)->relation);
		case T_CreateTrigStmt:
			return OneName(castNode(CreateTrigStmt, statement)->relation);
		case T_CreatePolicyStmt:
			return OneName(castNode(CreatePolicyStmt, statement)->table);
		case T_AlterPolicyStmt:
			return OneName(castNode(AlterPolicyStmt, statement)->table);
		case T_RuleStmt:
			return OneName(castNode(RuleStmt, statement)->relation);
		case T_ClusterStmt:
			return OneName(castNode(ClusterStmt, statement)->relation);
		case T_ReindexStmt:
			return OneName(castNode(ReindexStmt, statement)->relation);
		case T_VacuumStmt:
			return RewrittenBy(castNode(VacuumStmt, statement));
		case T_DropStmt:
			return DroppedFrom(castNode(DropStmt, statement));
		default:
			return NIL;
	}
}

/*
 * The table by that name, or whose index it names, or whose part that is.
 */
static Oid
WholeTable(RangeVar *name)
{
	Oid			relid = name != NULL ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
	char		kind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		relid = IndexGetRelation(relid, true);
	if (OidIsValid(relid) && get_rel_relispartition(relid))
		relid = get_partition_parent(relid, true);
	return relid;
}

/*
 * Refuse to change a table of a router in motion, or a part of one.  In the last
 * phase nothing moves any more; and what the journal says is running has no
 * worker where it has just been restored from a dump.
 */
static void
CheckTable(RangeVar *name)
{
	Oid			relid = WholeTable(name);
	const Router *router;
	int64		migration;

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;
	router = CatalogRouterForParent(relid);
	if (router == NULL)
		return;
	migration = Ask("SELECT m.migration_id FROM _shard.migration m JOIN _shard.migration_status() s"
					"   ON s.migration_id OPERATOR(pg_catalog.=) m.migration_id"
					" WHERE m.router OPERATOR(pg_catalog.=) $1 AND m.unfinished"
					" AND m.state OPERATOR(pg_catalog.=) 'running'"
					" AND (m.phase OPERATOR(pg_catalog.<>) 'flushing' OR m.direction OPERATOR(pg_catalog.<) 0)",
					router->name);
	if (migration == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("table \"%s\" is being migrated", get_rel_name(relid)),
			 errdetail("Migration " INT64_FORMAT " moves keys of router \"%s\".", migration, router->name),
			 errhint("Wait with shard.wait_migration(" INT64_FORMAT "), or stop it for the time being with shard.pause_migration(" INT64_FORMAT ").",
					 migration, migration)));
}

static void
CheckSchemaName(RenameStmt *rename)
{
	if (Ask("SELECT 1::pg_catalog.int8 FROM _shard.shard WHERE schema_name OPERATOR(pg_catalog.=) $1",
			rename->subname) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("schema \"%s\" cannot be renamed: it holds a shard", rename->subname),
			 errhint("A shard's schema is named after its router and its number.")));
}

static void
MotionGuardUtility(PlannedStmt *statement, const char *query_string, bool read_only_tree,
				   ProcessUtilityContext context, ParamListInfo params,
				   QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *node = statement->utilityStmt;

	if (!DdlIsOurs() && IsTransactionState() && !creating_extension)
	{
		List	   *tables = ChangedTables(node);
		ListCell   *lc;
		bool		renames_schema = IsA(node, RenameStmt) &&
			castNode(RenameStmt, node)->renameType == OBJECT_SCHEMA;

		if ((tables != NIL || renames_schema) && CatalogExtensionExists())
		{
			if (renames_schema)
				CheckSchemaName(castNode(RenameStmt, node));
			foreach(lc, tables)
				CheckTable(lfirst(lc));
		}
	}
	(previous_utility ? previous_utility : standard_ProcessUtility)
		(statement, query_string, read_only_tree, context, params, environment, dest, completion);
}

void
MotionGuardInit(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = MotionGuardUtility;
}
