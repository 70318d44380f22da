/*
 * emitted_log.c
 *		The event logs of routers: _shard.event_log, their lake tables, and the
 *		foreign tables that show them.
 *
 * A log is made by the worker with the first event of its router, and goes with
 * the router.  It has no state table: events stand for themselves.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "lake/lake.h"
#include "miscadmin.h"
#include "pipeline/emitted.h"
#include "pipeline/inherit.h"
#include "pipeline/register.h"
#include "pipeline/schema.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(shard_event_log_drop);

static void
Begin(void)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
End(void)
{
	PopActiveSnapshot();
	SPI_finish();
}

static void
Run(const char *sql, int nargs, Oid *types, Datum *args)
{
	if (SPI_execute_with_args(sql, nargs, types, args, NULL, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
}

static char *
LogName(const char *router)
{
	return psprintf("%s_events", router);
}

IcebergSchema *
EventLogSchema(void)
{
	static const struct
	{
		int			id;
		const char *name;
		LakeKind	kind;
		const char *doc;
	}			fields[] = {
		{EVENT_ID, "_event_id", LAKE_STRING, "the idempotency key, if one was given"},
		{EVENT_VERB, "_verb", LAKE_STRING, "what happened"},
		{EVENT_TS, "_ts", LAKE_TIMESTAMPTZ, "time of the commit"},
		{EVENT_LSN, "_lsn", LAKE_LONG, "WAL position of the commit"},
		{EVENT_SEQ, "_seq", LAKE_LONG, "order within the transaction"},
		{EVENT_SHARD, "_shard", LAKE_INT, "index of the key's shard"},
		{EVENT_KEY, "_key", LAKE_STRING, "partition key"},
		{EVENT_COLUMNS + 1, "store", LAKE_STRING, "what it happened to"},
		{EVENT_COLUMNS + 2, "payload", LAKE_STRING, "JSON"},
	};
	IcebergSchema *schema = palloc0(sizeof(IcebergSchema));

	schema->fields = palloc0(lengthof(fields) * sizeof(IcebergField));
	for (int i = 0; i < lengthof(fields); i++)
		SchemaSetField(&schema->fields[schema->nfields++], fields[i].id, fields[i].name,
					   (LakeType) {fields[i].kind, 0, 0}, fields[i].doc);
	return schema;
}

/* ---- making ---- */

static void
MakeForeignTable(const char *router)
{
	char	   *foreign = RegisterForeignName(EVENT_LOG_NAMESPACE, LogName(router));
	char	   *qualified = psprintf("lake.%s", quote_identifier(foreign));

	if (!OidIsValid(get_foreign_server_oid("lake", true)) ||
		OidIsValid(get_relname_relid(foreign, get_namespace_oid("lake", false))))
		return;
	Run(psprintf("CREATE FOREIGN TABLE %s (_event_id text, _verb text, _ts timestamptz, _lsn bigint,"
				 " _seq bigint, _shard integer, _key text, store text, payload jsonb)"
				 " SERVER lake OPTIONS (\"table\" %s)", qualified,
				 RegisterTableOption(EVENT_LOG_NAMESPACE, LogName(router))),
		0, NULL, NULL);
	Run(psprintf("COMMENT ON FOREIGN TABLE %s IS %s", qualified,
				 quote_literal_cstr(psprintf("events that shard.emit made for router %s", router))),
		0, NULL, NULL);
	Run(psprintf("GRANT SELECT ON %s TO shard_admin, shard_reader", qualified), 0, NULL, NULL);
}

/* False if the router is not there. */
static bool
LockRouter(Datum *router)
{
	static Oid	types[1] = {TEXTOID};

	Run("SELECT FROM _shard.router WHERE name = $1 FOR KEY SHARE", 1, types, router);
	return SPI_processed == 1;
}

/* The generation of the slot under which the log was last opened; -1 = no log. */
static int64
KnownGeneration(Datum *router)
{
	static Oid	types[1] = {TEXTOID};
	bool		isnull;

	Run("SELECT slot_generation FROM _shard.event_log WHERE router = $1", 1, types, router);
	if (SPI_processed == 0)
		return -1;
	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
}

static void
SetGeneration(Datum router, int64 generation)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		args[2];

	args[0] = router;
	args[1] = Int64GetDatum(generation);
	Run("INSERT INTO _shard.event_log (router, slot_generation) VALUES ($1, $2)"
		" ON CONFLICT (router) DO UPDATE SET slot_generation = $2", 2, types, args);
}

/*
 * The log that is there, NULL if there is none, or its files are gone.  In a
 * copied database, after a restore or promotion it is another one's.
 */
static LakeTable *
OpenExisting(const char *name)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	LakeTable  *volatile found = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		LakeTable  *table = LakeOpen(EVENT_LOG_NAMESPACE, name, true);

		if (table != NULL && InheritOpen(&table))
			found = table;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			error->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
			ReThrowError(error);
		ereport(LOG,
				(errmsg("event log \"%s.%s\" cannot be read: %s",
						EVENT_LOG_NAMESPACE, name, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return found;
}

/*
 * A new log, with the events of another server's log if there is one.
 */
static void
MakeLog(EngineConn *conn, const char *router, const char *name, LakeTable *from)
{
	LakeChange	change = {.operation = "append"};
	LakeTable  *log;
	IcebergKeyValue properties[1] = {{"shard.router", pstrdup(router)}};
	int			order[2] = {EVENT_LSN, EVENT_SEQ};
	LakeShape	shape = {.nsort = 2,.sort = order};

	LakeDrop(EVENT_LOG_NAMESPACE, name);
	log = LakeCreate(EVENT_LOG_NAMESPACE, name, NULL, EventLogSchema(), &shape, properties, 1);
	MakeForeignTable(router);
	if (from != NULL)
		change.added = InheritRows(conn, from, log);
	if (change.added != NIL && LakeCommit(log, &change) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("event log \"%s.%s\" changed while it was made", EVENT_LOG_NAMESPACE, name)));
}

LakeTable *
EventLogOpen(EngineConn *conn, const char *router, const Position *position)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		name = CStringGetTextDatum(router);
	char	   *log = LogName(router);
	bool		there;

	Begin();
	there = LockRouter(&name);
	if (there && KnownGeneration(&name) != position->generation)
	{
		LakeTable  *existing = OpenExisting(log);

		if (existing == NULL || !LakeOwns(existing->metadata))
			MakeLog(conn, router, log, existing);
		SetGeneration(name, position->generation);
	}
	End();
	MemoryContextSwitchTo(caller);
	return there ? LakeOpen(EVENT_LOG_NAMESPACE, log, false) : NULL;
}

/* ---- dropping ---- */

/*
 * _shard.event_log_drop(): a router goes, and with it its event log.
 */
Datum
shard_event_log_drop(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	static Oid	types[1] = {TEXTOID};
	Datum		args[1];
	char	   *router;
	char	   *foreign;
	Oid			user;
	int			sec_context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "not called as a trigger");
	router = SPI_getvalue(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation),
						  SPI_fnumber(RelationGetDescr(trigger->tg_relation), "name"));
	args[0] = CStringGetTextDatum(router);

	/* Who may drop a router need not have rights in our catalog. */
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	Begin();
	Run("DELETE FROM _shard.event_key WHERE router = $1", 1, types, args);
	Run("DELETE FROM _shard.event_log WHERE router = $1", 1, types, args);
	if (SPI_processed > 0)
	{
		foreign = RegisterForeignName(EVENT_LOG_NAMESPACE, LogName(router));
		Run(psprintf("DROP FOREIGN TABLE IF EXISTS lake.%s", quote_identifier(foreign)), 0, NULL, NULL);
		LakeDrop(EVENT_LOG_NAMESPACE, LogName(router));
	}
	End();
	SetUserIdAndSecContext(user, sec_context);
	return PointerGetDatum(NULL);
}
