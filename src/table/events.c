/*
 * events.c
 *		What happens when somebody drops or alters a sharded table.
 *
 * Two event triggers follow commands on sharded tables: a dropped table leaves
 * our catalog, the lake and the shards' schemas; a leaf that was dropped or
 * detached by hand is an error; owner and replica identity of a parent, which
 * PostgreSQL does not pass on, reach the leaves.
 *
 * A utility hook watches what CASCADE takes along.  Sharded tables depend on
 * their router's operator classes, so DROP EXTENSION, DROP OPERATOR FAMILY and
 * the like fail; with CASCADE they would drop the tables, which nobody means.
 * So would a function that a partition key calls.  It also refuses to rename an
 * enum's values that are part of a key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_partitioned_table.h"
#include "commands/event_trigger.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_type.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/table.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* A sharded parent and its operator class, before a command. */
typedef struct Use
{
	Oid			parent;
	Oid			opclass;
	char	   *name;
} Use;

static ProcessUtility_hook_type prev_utility_hook = NULL;

/* ---- event triggers ---- */

static void
RequireEventTrigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by an event trigger")));
}

static void
ForgetDroppedTables(void)
{
	List	   *routers;
	ListCell   *lc;

	routers = DdlTexts("SELECT DISTINCT t.router FROM _shard.sharded_table t "
					   "JOIN pg_event_trigger_dropped_objects() o ON o.objid = t.relation "
					   "WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0", InvalidOid, 0);
	foreach(lc, DdlOids("SELECT t.relation::oid FROM _shard.sharded_table t "
						"JOIN pg_event_trigger_dropped_objects() o ON o.objid = t.relation "
						"WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0", InvalidOid))
		ForgetTable(lfirst_oid(lc));
	foreach(lc, routers)
		DropEmptySchemas(lfirst(lc));
}

static void
CheckTables(List *parents)
{
	ListCell   *lc;

	foreach(lc, parents)
	{
		char	   *router = CatalogRouterOfParent(lfirst_oid(lc));

		if (router != NULL && CatalogRouter(router, true) != NULL)
			CheckLeavesPresent(lfirst_oid(lc), router);
	}
}

PG_FUNCTION_INFO_V1(shard_on_sql_drop);

Datum
shard_on_sql_drop(PG_FUNCTION_ARGS)
{
	DdlScope	scope;

	RequireEventTrigger(fcinfo);
	/* dropped tables are in our catalog still, but no sharded tables any more */
	if (DdlIsOurs() || !CatalogExtensionExists())
		PG_RETURN_NULL();
	DdlGuardDropped();
	DdlBegin(&scope);
	ForgetDroppedTables();
	CheckTables(DdlOids("SELECT DISTINCT t.relation::oid FROM _shard.sharded_table t "
						"JOIN _shard.shard s ON s.router = t.router "
						"JOIN pg_event_trigger_dropped_objects() o ON o.schema_name = s.schema_name "
						"WHERE o.classid = 'pg_class'::regclass AND o.objsubid = 0 ORDER BY 1", InvalidOid));
	DdlEnd(&scope);
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(shard_on_ddl_end);

/*
 * Only the altered tables may be opened here: others may be locked by a session
 * that waits for us, as when pg_restore works in parallel.
 */
Datum
shard_on_ddl_end(PG_FUNCTION_ARGS)
{
	DdlScope	scope;
	List	   *parents;
	ListCell   *lc;

	RequireEventTrigger(fcinfo);
	if (DdlIsOurs() || !CatalogExtensionExists())
		PG_RETURN_NULL();
	DdlBegin(&scope);
	parents = DdlOids("SELECT DISTINCT t.relation::oid FROM _shard.sharded_table t "
					  "JOIN pg_event_trigger_ddl_commands() c ON c.objid = t.relation "
					  "WHERE c.classid = 'pg_class'::regclass", InvalidOid);
	CheckTables(parents);
	foreach(lc, parents)
		LeafSync(lfirst_oid(lc));
	DdlEnd(&scope);
	PG_RETURN_NULL();
}

/* ---- CASCADE ---- */

static Oid
OperatorClassOf(Oid parent)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(parent));
	bool		isnull;
	oidvector  *classes;
	Oid			result;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	classes = (oidvector *) DatumGetPointer(SysCacheGetAttr(PARTRELID, tuple,
															Anum_pg_partitioned_table_partclass,
															&isnull));
	result = classes->values[0];
	ReleaseSysCache(tuple);
	return result;
}

static List *
Uses(void)
{
	List	   *uses = NIL;
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(NULL))
	{
		Use		   *use = palloc(sizeof(Use));

		use->parent = lfirst_oid(lc);
		use->opclass = OperatorClassOf(use->parent);
		use->name = pstrdup(QualifiedName(use->parent));
		uses = lappend(uses, use);
	}
	return uses;
}

/*
 * Does a command name tables, or what tables are in?
 */
static bool
DropsTables(Node *statement)
{
	DropStmt   *drop = (DropStmt *) statement;

	return !IsA(statement, DropStmt) || drop->removeType == OBJECT_TABLE ||
		drop->removeType == OBJECT_SCHEMA;
}

/*
 * Refuse a command that dropped a sharded table together with its operator
 * class, or with a function that its partition key calls: it was taken along.
 */
static void
RefuseTakenAlong(List *uses, bool drops_tables)
{
	ListCell   *lc;

	foreach(lc, uses)
	{
		Use		   *use = lfirst(lc);

		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(use->parent)) ||
			(drops_tables && SearchSysCacheExists1(CLAOID, ObjectIdGetDatum(use->opclass))))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop what table %s is distributed by", use->name),
				 errdetail("The table and its rows would be dropped, too."),
				 errhint("Put the table together first with shard.undistribute_table(), or drop it.")));
	}
}

static bool
Cascades(Node *statement)
{
	if (IsA(statement, DropStmt))
		return castNode(DropStmt, statement)->behavior == DROP_CASCADE;
	if (IsA(statement, DropOwnedStmt))
		return castNode(DropOwnedStmt, statement)->behavior == DROP_CASCADE;
	return false;
}

/*
 * Refuse to rename a value of an enum that is part of a partition key: rows
 * route by the text of its values.
 */
static void
RefuseRenamedKey(AlterEnumStmt *statement)
{
	Oid			type;
	ListCell   *lc;

	if (statement->oldVal == NULL)
		return;
	type = typenameTypeId(NULL, makeTypeNameFromNameList(statement->typeName));
	foreach(lc, CatalogRouterParents(NULL))
	{
		Bitmapset  *attnums;
		int			attnum = -1;

		(void) KeyIsExpression(lfirst_oid(lc), &attnums);
		while ((attnum = bms_next_member(attnums, attnum)) >= 0)
			if (getBaseType(get_atttype(lfirst_oid(lc), attnum)) == type)
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot rename values of type %s", format_type_be(type)),
						 errdetail("Table %s is distributed by them.", QualifiedName(lfirst_oid(lc))),
						 errhint("Add a new value instead, or put the table together first with shard.undistribute_table().")));
	}
}

static void
WatchCascade(PlannedStmt *statement, const char *text, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			 DestReceiver *receiver, QueryCompletion *completion)
{
	List	   *uses = NIL;

	if (IsA(statement->utilityStmt, AlterEnumStmt) && IsTransactionState() && CatalogExtensionExists())
		RefuseRenamedKey((AlterEnumStmt *) statement->utilityStmt);
	if (Cascades(statement->utilityStmt) && IsTransactionState() && CatalogExtensionExists())
		uses = Uses();
	(prev_utility_hook ? prev_utility_hook : standard_ProcessUtility)
		(statement, text, read_only_tree, context, params, environment, receiver, completion);
	if (uses != NIL)
	{
		CommandCounterIncrement();
		RefuseTakenAlong(uses, DropsTables(statement->utilityStmt));
	}
}

/* ---- set-up ---- */

static void
EventsAtXactEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		DdlForget(InvalidSubTransactionId);
}

static void
EventsAtSubXactEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		DdlForget(mine);
}

void
EventsInit(void)
{
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = WatchCascade;
	RegisterXactCallback(EventsAtXactEnd, NULL);
	RegisterSubXactCallback(EventsAtSubXactEnd, NULL);
}
