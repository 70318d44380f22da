/*
 * triggers.c
 *		What happens when a map table changes: every backend forgets its maps
 *		and the plans over the tables they route.
 *
 * The triggers on _shard.router, _shard.shard and _shard.pin are statement
 * triggers, ENABLE ALWAYS, with transition tables that name the routers that
 * changed.  A change of a shard or a pin also touches the router's row, because
 * that row's xmin is how a query tells whether its snapshot sees the last
 * change of the map.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/columns.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(shard_map_changed);
PG_FUNCTION_INFO_V1(shard_tables_changed);

static bool
ListHasName(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/*
 * Add the names in a transition table's first column, the router in all three
 * tables.
 */
static List *
AddNames(List *names, TupleDesc desc, Tuplestorestate *rows)
{
	TupleTableSlot *slot;

	if (rows == NULL)
		return names;
	slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		bool		isnull;
		Datum		value = slot_getattr(slot, 1, &isnull);
		char	   *name = text_to_cstring(DatumGetTextPP(value));

		if (ListHasName(names, name))
			pfree(name);
		else
			names = lappend(names, name);
	}
	ExecDropSingleTupleTableSlot(slot);
	return names;
}

static void
InvalidateParents(const char *router)
{
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(router))
		CacheInvalidateRelcacheByRelid(lfirst_oid(lc));
}

void
CatalogInvalidateRouter(const char *router)
{
	Oid			relid = CatalogTableOid("router");

	if (OidIsValid(relid))
		CacheInvalidateRelcacheByRelid(relid);
	InvalidateParents(router);
}

/*
 * Give the router's row a new version, so that its xmin is of this change.
 */
static void
TouchRouter(const char *router)
{
	Oid			type = TEXTOID;
	Datum		name = CStringGetTextDatum(router);

	if (SPI_execute_with_args("UPDATE _shard.router SET name = name WHERE name = $1",
							  1, &type, &name, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not touch router \"%s\"", router);
}

static int
CompareNames(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

Datum
shard_map_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	List	   *names = NIL;
	ListCell   *lc;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function _shard.map_changed() must be called as a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
	{
		CatalogInvalidateRouter(NULL);
		return PointerGetDatum(NULL);
	}
	names = AddNames(names, RelationGetDescr(trigger->tg_relation), trigger->tg_oldtable);
	names = AddNames(names, RelationGetDescr(trigger->tg_relation), trigger->tg_newtable);
	foreach(lc, names)
		CatalogInvalidateRouter(lfirst(lc));
	if (names != NIL && strcmp(RelationGetRelationName(trigger->tg_relation), "router") != 0)
	{
		/* in one order, or two of these (of a parallel restore) could deadlock */
		list_sort(names, CompareNames);
		SPI_connect();
		foreach(lc, names)
			TouchRouter(lfirst(lc));
		SPI_finish();
	}
	return PointerGetDatum(NULL);
}

/*
 * Row trigger of _shard.sharded_table: sessions that know the table as no
 * router's, or as a router's, look again.
 */
Datum
shard_tables_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		isnull;
	Oid			relid;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function _shard.tables_changed() must be called as a trigger")));
	relid = DatumGetObjectId(heap_getattr(trigger->tg_trigtuple, Anum_sharded_table_relation,
										  RelationGetDescr(trigger->tg_relation), &isnull));
	if (!isnull && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		CacheInvalidateRelcacheByRelid(relid);
	return PointerGetDatum(NULL);
}
