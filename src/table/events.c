/*
 * events.c
 *		What happens when somebody drops or alters a sharded table.
 *
 * Two event triggers follow commands on sharded tables: a dropped table leaves
 * our catalog, the lake and the shards' schemas; a leaf that was dropped or
 * detached by hand is an error; owner and replica identity of a parent, which
 * PostgreSQL does not pass on, reach the leaves.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/event_trigger.h"
#include "fmgr.h"
#include "table/parts.h"
#include "table/table.h"

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

Datum
shard_on_ddl_end(PG_FUNCTION_ARGS)
{
	DdlScope	scope;
	List	   *parents;
	ListCell   *lc;

	RequireEventTrigger(fcinfo);
	if (DdlIsOurs() || CatalogShardedTables(NULL) == NIL)
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

static void
EventsAtXactEnd(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		DdlForget();
}

static void
EventsAtSubXactEnd(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		DdlForget();
}

void
EventsInit(void)
{
	RegisterXactCallback(EventsAtXactEnd, NULL);
	RegisterSubXactCallback(EventsAtSubXactEnd, NULL);
}
