/*
 * register.c
 *		Which sharded tables are in the lake: _shard.lake_table, their lake
 *		tables, and the foreign tables that show them.
 *
 * Called with the rights of the extension's owner: by table/, which has checked
 * the user's right to the table, and by the worker.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pipeline/register.h"
#include "pipeline/schema.h"
#include "pipeline/worker.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#define EVENTS_SUFFIX "_events"

/* Longest time to wait for queries on a foreign table that gets a column. */
#define FOREIGN_LOCK_TIMEOUT "2s"

PG_FUNCTION_INFO_V1(shard_lake_register);
PG_FUNCTION_INFO_V1(shard_lake_unregister);
PG_FUNCTION_INFO_V1(shard_on_table_rewrite);

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
Run(const char *sql)
{
	if (SPI_execute(sql, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
}

static void
RunWithArgs(const char *sql, int nargs, Oid *types, Datum *args, const char *nulls)
{
	if (SPI_execute_with_args(sql, nargs, types, args, nulls, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
}

void
RegisterProblem(Oid relation, const char *problem)
{
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		args[2];

	args[0] = ObjectIdGetDatum(relation);
	args[1] = problem != NULL ? CStringGetTextDatum(problem) : (Datum) 0;
	Begin();
	RunWithArgs("UPDATE _shard.lake_table SET problem = $2, synced = false WHERE relation = $1",
				2, types, args, problem != NULL ? "  " : " n");
	End();
}

void
RegisterUnfit(const RegisteredTable *table, const char *column)
{
	RegisterProblem(table->relation,
					psprintf("column \"%s\" has a value that the lake cannot hold", column));
	ereport(WARNING,
			(errmsg("table \"%s.%s\" is left out of the pipeline", table->namespace, table->name),
			 errdetail("Column \"%s\" has a value that the lake cannot hold.", column),
			 errhint("Use numeric without precision for NaN, keep timestamps before the year 290000, "
					 "and distribute the table again.")));
}

TableLayout *
RegisterLayout(Oid relation)
{
	List	   *leaves = find_inheritance_children(relation, AccessShareLock);
	Relation	parent = relation_open(relation, AccessShareLock);
	Relation	leaf;
	TableLayout *layout;

	if (leaves == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no shards", RelationGetRelationName(parent))));
	leaf = relation_open(linitial_oid(leaves), NoLock);
	layout = LayoutBuild(leaf, parent);
	relation_close(leaf, NoLock);
	relation_close(parent, NoLock);
	return layout;
}

/* ---- foreign tables ---- */

/*
 * Name of the foreign table of a lake table, in schema lake; a long name is cut
 * such that the two of a table differ.
 */
static char *
ForeignName(const char *namespace, const char *name)
{
	char	   *foreign = strcmp(namespace, "public") == 0 ? pstrdup(name) :
		psprintf("%s_%s", namespace, name);
	size_t		len = strlen(foreign);
	size_t		suffix = strlen(EVENTS_SUFFIX);

	if (len < NAMEDATALEN)
		return foreign;
	if (strcmp(foreign + len - suffix, EVENTS_SUFFIX) == 0)
		return psprintf("%.*s%s", pg_mbcliplen(foreign, len - suffix, NAMEDATALEN - 1 - suffix),
						foreign, EVENTS_SUFFIX);
	return pnstrdup(foreign, pg_mbcliplen(foreign, len, NAMEDATALEN - 1));
}

static char *
ColumnSql(const LayoutColumn *col)
{
	return psprintf("%s %s", quote_identifier(col->name),
					format_type_extended(col->typid, col->typmod,
										 FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
}

static Oid
ForeignTableOf(const char *namespace, const char *name)
{
	Oid			schema = get_namespace_oid("lake", true);
	Oid			relation = OidIsValid(schema) ?
		get_relname_relid(ForeignName(namespace, name), schema) : InvalidOid;

	if (OidIsValid(relation) && get_rel_relkind(relation) != RELKIND_FOREIGN_TABLE)
		return InvalidOid;
	return relation;
}

/*
 * A relation of that name that is there already stays: it was restored, or is
 * the user's own.
 */
static void
MakeForeignTable(const char *namespace, const char *name, const TableLayout *layout, bool events)
{
	char	   *foreign = ForeignName(namespace, name);
	char	   *qualified = psprintf("lake.%s", quote_identifier(foreign));
	char	   *described = psprintf(events ? "events of table %s" : "rows of table %s as they are in the lake",
									 quote_qualified_identifier(layout->schema_name, layout->name));
	StringInfoData sql;

	if (!OidIsValid(get_foreign_server_oid("lake", true)) ||
		OidIsValid(get_relname_relid(foreign, get_namespace_oid("lake", false))))
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s (", qualified);
	if (events)
		appendStringInfoString(&sql, "_event_id text, _verb text, _ts timestamptz, _lsn bigint, "
							   "_seq bigint, _shard integer, _key text, _old_key text");
	for (int i = 0; i < layout->ncols; i++)
		appendStringInfo(&sql, "%s%s", i > 0 || events ? ", " : "", ColumnSql(&layout->cols[i]));
	appendStringInfo(&sql, ") SERVER lake OPTIONS (\"table\" %s)",
					 quote_literal_cstr(psprintf("%s.%s", namespace, name)));
	Run(sql.data);
	Run(psprintf("COMMENT ON FOREIGN TABLE %s IS %s", qualified, quote_literal_cstr(described)));
	Run(psprintf("ALTER FOREIGN TABLE %s OWNER TO %s", qualified,
				 quote_identifier(GetUserNameFromId(layout->owner, false))));
}

static void
DropForeignTable(const char *namespace, const char *name)
{
	Oid			relation = ForeignTableOf(namespace, name);

	if (OidIsValid(relation))
		Run(psprintf("DROP FOREIGN TABLE lake.%s CASCADE",
					 quote_identifier(ForeignName(namespace, name))));
}

/*
 * Bring one column of a foreign table up to a column of the layout, whose field
 * id is given.
 */
static void
FitForeignColumn(Oid relation, const char *table, const LayoutColumn *col, int id,
				 const IcebergSchema *before)
{
	const IcebergField *field = IcebergFieldById(before, id);
	const IcebergField *namesake = IcebergFieldByName(before, col->name);
	AttrNumber	attnum;

	/* The name belonged to a column that was dropped. */
	if (namesake != NULL && namesake->id != id &&
		get_attnum(relation, col->name) != InvalidAttrNumber)
		Run(psprintf("ALTER FOREIGN TABLE %s RENAME COLUMN %s TO %s", table,
					 quote_identifier(col->name),
					 quote_identifier(psprintf("%s_%d", col->name, namesake->id))));
	attnum = get_attnum(relation, col->name);
	if (attnum == InvalidAttrNumber && field != NULL &&
		get_attnum(relation, field->name) != InvalidAttrNumber)
	{
		Run(psprintf("ALTER FOREIGN TABLE %s RENAME COLUMN %s TO %s", table,
					 quote_identifier(field->name), quote_identifier(col->name)));
		attnum = get_attnum(relation, col->name);
	}
	if (attnum == InvalidAttrNumber)
		Run(psprintf("ALTER FOREIGN TABLE %s ADD COLUMN %s", table, ColumnSql(col)));
	else if (get_atttype(relation, attnum) != col->typid)
		Run(psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s TYPE %s", table,
					 quote_identifier(col->name),
					 format_type_extended(col->typid, col->typmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY)));
}

static void
FitForeignTable(const char *namespace, const char *name, const TableLayout *layout, int offset,
				const IcebergSchema *before)
{
	Oid			relation = ForeignTableOf(namespace, name);
	char	   *table = psprintf("lake.%s", quote_identifier(ForeignName(namespace, name)));

	for (int i = 0; OidIsValid(relation) && i < layout->ncols; i++)
		FitForeignColumn(relation, table, &layout->cols[i],
						 offset + layout->cols[i].attnum, before);
}

/*
 * In a subtransaction, and without waiting long for queries on the foreign
 * tables: they must not hold up the pipeline.
 */
void
RegisterColumns(const RegisteredTable *table, const TableLayout *layout,
				const IcebergSchema *state, const IcebergSchema *events)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		Begin();
		Run("SET LOCAL lock_timeout = '" FOREIGN_LOCK_TIMEOUT "'");
		FitForeignTable(table->namespace, table->name, layout, 0, state);
		FitForeignTable(table->namespace, table->events_name, layout, EVENT_COLUMNS, events);
		Run("SET LOCAL lock_timeout = 0");
		End();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		ereport(WARNING,
				(errmsg("could not give the foreign tables of \"%s.%s\" their new columns: %s",
						table->namespace, table->name, error->message),
				 errhint("Alter them by hand: ALTER FOREIGN TABLE ... ADD COLUMN.")));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* ---- registering ---- */

static void
MakeLakeTables(const char *namespace, const char *name, const char *events_name,
			   const TableLayout *layout)
{
	IcebergKeyValue properties[1] = {{"shard.relation",
	quote_qualified_identifier(layout->schema_name, layout->name)}};
	int		   *sort;
	int			nsort = StateSortFields(layout, &sort);
	int			by_time[2] = {EVENT_LSN, EVENT_SEQ};

	(void) LakeCreate(namespace, name, NULL, StateSchema(layout), sort, nsort,
					  properties, 1);
	(void) LakeCreate(namespace, events_name, NULL, EventsSchema(layout), by_time, 2,
					  properties, 1);
}

static void
Record(const TableLayout *layout, const char *events_name, bool synced, const Position *position)
{
	Oid			types[9] = {OIDOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID, INT8OID, INT4OID, INT8OID, PG_LSNOID};
	Datum		args[9];

	args[0] = ObjectIdGetDatum(layout->parent);
	args[1] = CStringGetTextDatum(layout->schema_name);
	args[2] = CStringGetTextDatum(layout->name);
	args[3] = CStringGetTextDatum(events_name);
	args[4] = BoolGetDatum(synced);
	args[5] = Int64GetDatum((int64) position->system);
	args[6] = Int32GetDatum((int32) position->timeline);
	args[7] = Int64GetDatum(position->generation);
	args[8] = LSNGetDatum(position->lsn);
	RunWithArgs("INSERT INTO _shard.lake_table (relation, namespace, name, events_name, synced,"
				" system_identifier, timeline, slot_generation, lsn)"
				" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
				9, types, args, NULL);
}

static char *
EventsName(const char *name)
{
	return psprintf("%s%s", name, EVENTS_SUFFIX);
}

/*
 * Make a table's place in the lake.  synced: it is empty, and the pipeline sees
 * what will be written into it.
 */
static void
Register(Oid relation, bool synced, const Position *position)
{
	TableLayout *layout = RegisterLayout(relation);
	char	   *events_name = EventsName(layout->name);

	if (LakeOpen(layout->schema_name, layout->name, true) != NULL ||
		LakeOpen(layout->schema_name, events_name, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("the lake has a table \"%s.%s\" or \"%s.%s\" already",
						layout->schema_name, layout->name, layout->schema_name, events_name),
				 errhint("Rename the table, or remove the rows of these tables from iceberg_tables.")));
	MakeLakeTables(layout->schema_name, layout->name, events_name, layout);
	Record(layout, events_name, synced, position);
	MakeForeignTable(layout->schema_name, layout->name, layout, false);
	MakeForeignTable(layout->schema_name, events_name, layout, true);
	CacheInvalidateRelcacheByRelid(relation);
}

void
RegisterAnew(const RegisteredTable *table, const TableLayout *layout)
{
	LakeDrop(table->namespace, table->name);
	LakeDrop(table->namespace, table->events_name);
	MakeLakeTables(table->namespace, table->name, table->events_name, layout);
}

/*
 * _shard.lake_register(relation regclass)
 */
Datum
shard_lake_register(PG_FUNCTION_ARGS)
{
	Oid			relation = PG_GETARG_OID(0);
	PipelineEntry entry;
	Position	position;
	bool		ready = StatusGet(MyDatabaseId, &entry) && entry.ready;

	PositionHere(&position);
	position.generation = ready ? entry.generation : 0;
	position.lsn = ready ? entry.flushed_lsn : InvalidXLogRecPtr;
	Begin();
	Register(relation, ready, &position);
	End();
	WakeWorkerAtCommit();
	PG_RETURN_VOID();
}

/*
 * _shard.lake_unregister(relation oid); the relation may be gone.
 */
Datum
shard_lake_unregister(PG_FUNCTION_ARGS)
{
	Oid			relation = PG_GETARG_OID(0);
	Oid			types[1] = {OIDOID};
	Datum		args[1] = {ObjectIdGetDatum(relation)};
	ListCell   *lc;

	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		if (table->relation != relation)
			continue;
		Begin();
		DropForeignTable(table->namespace, table->name);
		DropForeignTable(table->namespace, table->events_name);
		RunWithArgs("DELETE FROM _shard.lake_table WHERE relation = $1", 1, types, args, NULL);
		End();
		LakeDrop(table->namespace, table->name);
		LakeDrop(table->namespace, table->events_name);
	}
	WakeWorkerAtCommit();
	PG_RETURN_VOID();
}

/* ---- rewritten tables ---- */

/*
 * _shard.on_table_rewrite(): ALTER TABLE gives rows new values that no change
 * tells of, so the table has to be compared.  The command holds the lock that
 * keeps a comparison from running until it commits.  The newest snapshot, as
 * the pipeline updates the row with every flush.
 */
Datum
shard_on_table_rewrite(PG_FUNCTION_ARGS)
{
	SPIPlanPtr	plan;
	Oid			user;
	int			sec_context;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by an event trigger")));

	/* Who may alter a table need not have rights in our catalog. */
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	plan = SPI_prepare("UPDATE _shard.lake_table SET synced = false WHERE synced AND relation ="
					   " (SELECT inhparent FROM pg_catalog.pg_inherits"
					   " WHERE inhrelid = pg_catalog.pg_event_trigger_table_rewrite_oid())",
					   0, NULL);
	if (plan == NULL ||
		SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(), InvalidSnapshot,
							 false, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not mark a rewritten table");
	if (SPI_processed > 0)
		WakeWorkerAtCommit();
	SPI_finish();
	SetUserIdAndSecContext(user, sec_context);
	PG_RETURN_NULL();
}

/* ---- after a restore ---- */

/*
 * Sharded tables that should be in the lake and are not, of which the relation
 * exists.
 */
static List *
MissingTables(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *missing = NIL;

	Begin();
	Run("SELECT t.relation::pg_catalog.oid FROM _shard.sharded_table t"
		" JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.relation"
		" WHERE t.lake AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = t.relation)"
		" AND NOT EXISTS (SELECT FROM _shard.lake_table l WHERE l.relation = t.relation)");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Oid			relation = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
															  SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContext spi = MemoryContextSwitchTo(caller);

		missing = lappend_oid(missing, relation);
		MemoryContextSwitchTo(spi);
	}
	End();
	return missing;
}

int
RegisterMissing(void)
{
	List	   *missing = MissingTables();
	Position	position;
	ListCell   *lc;

	PositionHere(&position);
	foreach(lc, missing)
	{
		Begin();
		Register(lfirst_oid(lc), false, &position);
		End();
	}
	return list_length(missing);
}
