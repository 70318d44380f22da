/*
 * motion_guard.c
 *		Commands that must not come in between a migration, or between a shard
 *		and its schema.
 *
 * A batch holds weak locks on the tables of its router for as long as it copies
 * rows.  ALTER TABLE would queue behind it with ACCESS EXCLUSIVE, and everybody
 * else behind ALTER TABLE.  So it is refused at once, with the hint to pause the
 * migration, while a worker is at it; between batches of a paused migration a
 * table may change as it likes, since the next batch begins anew.
 *
 * A shard's schema is found by its name, so it keeps its name.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
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
 * The table that a command is about to change in a way that a batch would meet.
 */
static RangeVar *
ChangedTable(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_AlterTableStmt:
			return castNode(AlterTableStmt, statement)->relation;
		case T_RenameStmt:
			return castNode(RenameStmt, statement)->relation;
		case T_AlterObjectSchemaStmt:
			return castNode(AlterObjectSchemaStmt, statement)->relation;
		case T_IndexStmt:
			return castNode(IndexStmt, statement)->relation;
		case T_CreateTrigStmt:
			return castNode(CreateTrigStmt, statement)->relation;
		default:
			return NULL;
	}
}

/*
 * Refuse to change a table of a router in motion, or a part of one.
 */
static void
CheckTable(RangeVar *name)
{
	Oid			relid = RangeVarGetRelid(name, NoLock, true);
	const Router *router;
	int64		migration;

	if (OidIsValid(relid) && get_rel_relispartition(relid))
		relid = get_partition_parent(relid, true);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;
	router = CatalogRouterForParent(relid);
	if (router == NULL || !router->migrating)
		return;
	migration = Ask("SELECT migration_id FROM _shard.migration WHERE router OPERATOR(pg_catalog.=) $1"
					" AND unfinished AND state OPERATOR(pg_catalog.=) 'running'", router->name);
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
		RangeVar   *table = ChangedTable(node);
		bool		renames_schema = IsA(node, RenameStmt) &&
			castNode(RenameStmt, node)->renameType == OBJECT_SCHEMA;

		if ((table != NULL || renames_schema) && CatalogExtensionExists())
		{
			if (renames_schema)
				CheckSchemaName(castNode(RenameStmt, node));
			else
				CheckTable(table);
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
