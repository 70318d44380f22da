/*
 * register.c
 *		Which sharded tables are in the lake: _shard.lake_table, their lake
 *		tables, and the foreign tables that show them.
 *
 * Called with the rights of the extension's owner: by table/, which has checked
 * the user's right to the table, and by the worker.
 */
#include "postgres.h"

#include "access/htup_details.h"
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
#include "pipeline/message.h"
#include "pipeline/lake_options.h"
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
#include "utils/syscache.h"

#define EVENTS_SUFFIX "_events"

/* Longest time to wait for queries on a foreign table that gets a column. */
#define FOREIGN_LOCK_TIMEOUT "2s"

PG_FUNCTION_INFO_V1(shard_lake_notes);
PG_FUNCTION_INFO_V1(shard_lake_register);
PG_FUNCTION_INFO_V1(shard_lake_unregister);
PG_FUNCTION_INFO_V1(shard_on_table_change);
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

char *
RegisterForeignName(const char *namespace, const char *name)
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

/* A part of a foreign table's option "table": quoted where it has to be. */
static char *
OptionPart(const char *name)
{
	StringInfoData quoted;

	if (strpbrk(name, ".\"") == NULL)
		return pstrdup(name);
	initStringInfo(&quoted);
	appendStringInfoChar(&quoted, '"');
	for (const char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(&quoted, '"');
		appendStringInfoChar(&quoted, *p);
	}
	appendStringInfoChar(&quoted, '"');
	return quoted.data;
}

char *
RegisterTableOption(const char *namespace, const char *name)
{
	return quote_literal_cstr(psprintf("%s.%s", OptionPart(namespace), OptionPart(name)));
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
		get_relname_relid(RegisterForeignName(namespace, name), schema) : InvalidOid;

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
	char	   *foreign = RegisterForeignName(namespace, name);
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
					 RegisterTableOption(namespace, name));
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
					 quote_identifier(RegisterForeignName(namespace, name))));
}

/*
 * The field that a field has become, NULL if the column is gone.  In a state the
 * newest field of a column counts; false if this one was not that before.
 */
static bool
Successor(const TableLayout *layout, bool events, const IcebergSchema *before,
		  const IcebergSchema *after, const IcebergField *field, const IcebergField **new)
{
	AttrNumber	attnum = field->id % COLUMN_GENERATION;

	*new = IcebergFieldById(after, field->id);
	if (events)
		return true;
	*new = LayoutColumnByAttnum(layout, attnum) == NULL ? NULL : SchemaColumn(after, 0, attnum);
	return SchemaColumn(before, 0, attnum) == field;
}

/*
 * Columns that the lake's table has lost, and those that have another name now;
 * these by way of names that nobody has, as two may have changed theirs.
 */
static void
FollowNames(Oid relation, const char *table, const TableLayout *layout, bool events,
			const IcebergSchema *before, const IcebergSchema *after)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < before->nfields; i++)
		{
			const IcebergField *old = &before->fields[i];
			const IcebergField *new;
			char	   *passing = psprintf("_shard_%d", old->id);
			const char *from = pass == 0 ? old->name : passing;

			if (!Successor(layout, events, before, after, old, &new) ||
				get_attnum(relation, from) == InvalidAttrNumber ||
				(new != NULL && strcmp(new->name, old->name) == 0))
				continue;
			if (new != NULL)
				Run(psprintf("ALTER FOREIGN TABLE %s RENAME COLUMN %s TO %s", table,
							 quote_identifier(from), quote_identifier(pass == 0 ? passing : new->name)));
			else if (pass == 0)
				Run(psprintf("ALTER FOREIGN TABLE %s DROP COLUMN %s", table, quote_identifier(from)));
			CommandCounterIncrement();
		}
}

/*
 * A field that was wider than its column is now stays so: its earlier values may
 * need it.
 */
static bool
IsWider(const IcebergField *field, const LayoutColumn *col)
{
	LakeType	type = col->codec.type;

	return field->primitive && col->codec.nested == NULL &&
		(field->type.kind != type.kind ||
		 (type.kind == LAKE_DECIMAL && field->type.precision != type.precision));
}

/*
 * Earlier events keep the values that a column of another type had.  A type, in
 * which these can be read like its values of now.
 */
static const char *
TypeOfBoth(const LayoutColumn *col)
{
	if (col->codec.nested != NULL)
		return "pg_catalog.jsonb";
	switch (col->codec.type.kind)
	{
		case LAKE_INT:
			return "pg_catalog.int4";
		case LAKE_LONG:
			return "pg_catalog.int8";
		case LAKE_STRING:
			return "pg_catalog.text";
		default:
			return format_type_extended(getBaseType(col->typid), col->typmod,
										FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	}
}

static void
FitForeignColumn(Oid relation, const char *table, const LayoutColumn *col, const IcebergField *field,
				 bool events)
{
	const char *name = field->name;
	AttrNumber	attnum = get_attnum(relation, name);
	const char *type = NULL;
	HeapTuple	tuple;
	Form_pg_attribute att;

	if (attnum == InvalidAttrNumber)
	{
		Run(psprintf("ALTER FOREIGN TABLE %s ADD COLUMN %s", table, ColumnSql(col)));
		return;
	}
	if (IsWider(field, col))
		return;
	tuple = SearchSysCacheAttNum(relation, attnum);
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	if (events && getBaseType(att->atttypid) != getBaseType(col->typid))
		type = TypeOfBoth(col);
	else if (att->atttypid != col->typid || att->atttypmod != col->typmod)
		type = format_type_extended(col->typid, col->typmod,
									FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
	if (type != NULL)
		Run(psprintf("ALTER FOREIGN TABLE %s ALTER COLUMN %s TYPE %s", table,
					 quote_identifier(name), type));
	ReleaseSysCache(tuple);
}

static void
FitForeignTable(const char *namespace, const char *name, const TableLayout *layout, int offset,
				const IcebergSchema *before, const IcebergSchema *after)
{
	Oid			relation = ForeignTableOf(namespace, name);
	char	   *table = psprintf("lake.%s", quote_identifier(RegisterForeignName(namespace, name)));

	if (!OidIsValid(relation))
		return;
	FollowNames(relation, table, layout, offset > 0, before, after);
	for (int i = 0; i < layout->ncols; i++)
		FitForeignColumn(relation, table, &layout->cols[i],
						 SchemaColumn(after, offset, layout->cols[i].attnum), offset > 0);
}

/*
 * In a subtransaction, and without waiting long for queries on the foreign
 * tables: they must not hold up the pipeline.
 */
void
RegisterColumns(const RegisteredTable *table, const TableLayout *layout,
				const IcebergSchema *before, const IcebergSchema *after, bool events)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		Begin();
		Run("SET LOCAL lock_timeout = '" FOREIGN_LOCK_TIMEOUT "'");
		FitForeignTable(table->namespace, events ? table->events_name : table->name, layout,
						events ? EVENT_COLUMNS : 0, before, after);
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
				(errmsg("could not give the foreign table of \"%s.%s\" its new columns: %s",
						table->namespace, events ? table->events_name : table->name, error->message),
				 errhint("Alter it by hand, with ALTER FOREIGN TABLE.")));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/* ---- registering ---- */

static void
MakeLakeTables(const char *namespace, const char *name, const char *events_name,
			   const TableLayout *layout, IcebergSchema *state, IcebergSchema *events)
{
	IcebergKeyValue properties[1] = {{"shard.relation",
	quote_qualified_identifier(layout->schema_name, layout->name)}};
	int		   *sort;
	int			nsort = StateSortFields(layout, state, &sort);
	int			by_time[2] = {EVENT_LSN, EVENT_SEQ};
	Jsonb	   *options = LakeOptionsOf(layout->parent);

	(void) LakeCreate(namespace, name, NULL, state,
					  LakeOptionsShape(options, false, state, sort, nsort), properties, 1);
	(void) LakeCreate(namespace, events_name, NULL, events,
					  LakeOptionsShape(options, true, events, by_time, 2), properties, 1);
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

static bool
IsRegistered(const char *namespace, const char *name, const char *events_name)
{
	ListCell   *lc;

	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		if (strcmp(table->namespace, namespace) == 0 &&
			(strcmp(table->name, name) == 0 || strcmp(table->events_name, name) == 0 ||
			 strcmp(table->name, events_name) == 0))
			return true;
	}
	return false;
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

	/* what a transaction that aborted left in a catalog outside */
	if (!IsRegistered(layout->schema_name, layout->name, events_name))
	{
		LakeDropOwned(layout->schema_name, layout->name);
		LakeDropOwned(layout->schema_name, events_name);
	}
	if (LakeOpen(layout->schema_name, layout->name, true) != NULL ||
		LakeOpen(layout->schema_name, events_name, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("the lake has a table \"%s.%s\" or \"%s.%s\" already",
						layout->schema_name, layout->name, layout->schema_name, events_name),
				 errhint("Rename the table, or remove the rows of these tables from iceberg_tables.")));
	MakeLakeTables(layout->schema_name, layout->name, events_name, layout,
				   StateSchema(layout), EventsSchema(layout));
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
	MakeLakeTables(table->namespace, table->name, table->events_name, layout,
				   StateSchema(layout), EventsSchema(layout));
}

void
RegisterCopy(const RegisteredTable *table, const TableLayout *layout,
			 const IcebergMetadata *state, const IcebergMetadata *events)
{
	IcebergSchema state_schema = *IcebergCurrentSchema(state);
	IcebergSchema events_schema = *IcebergCurrentSchema(events);

	LakeDrop(table->namespace, table->name);
	LakeDrop(table->namespace, table->events_name);
	MakeLakeTables(table->namespace, table->name, table->events_name, layout,
				   &state_schema, &events_schema);
}

/*
 * _shard.lake_notes(relation regclass): what one should know before a table goes
 * to the lake.  Numbers that are kept as text cannot be summed up there.
 */
Datum
shard_lake_notes(PG_FUNCTION_ARGS)
{
	Relation	rel = relation_open(PG_GETARG_OID(0), AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool		as_text;

		if (att->attisdropped || getBaseType(att->atttypid) != NUMERICOID)
			continue;
		(void) LakeTypeFromPg(att->atttypid, att->atttypmod, &as_text);
		if (as_text)
			ereport(NOTICE,
					(errmsg("column \"%s\" of table \"%s\" is kept as text in the lake",
							NameStr(att->attname), RelationGetRelationName(rel)),
					 errdetail("A decimal of the lake has at most 38 digits, a fixed number of them after the point."),
					 errhint("Declare it as numeric(precision, scale), with a precision of at most 38, to keep it as a number.")));
	}
	relation_close(rel, AccessShareLock);
	PG_RETURN_VOID();
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
	Begin();
	RunWithArgs("DELETE FROM _shard.dead_letter WHERE relation = $1", 1, types, args, NULL);
	End();
	WakeWorkerAtCommit();
	PG_RETURN_VOID();
}

/* ---- altered tables ---- */

/*
 * Tell the pipeline, in the order of the WAL, that a table looks different from
 * here on: a message that the output plugin reads under the catalog as it is
 * now.
 */
static void
LogLayouts(const char *sql, bool rewritten)
{
	Oid			user;
	int			sec_context;

	/* Who may alter a table need not have rights in our catalog. */
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for altered tables");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LayoutMessage message = {.rewritten = rewritten};

		message.parent = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i],
														SPI_tuptable->tupdesc, 1, &isnull));
		LogTransactional(LAYOUT_MESSAGE_PREFIX, (char *) &message, sizeof(message));
	}
	PopActiveSnapshot();
	SPI_finish();
	SetUserIdAndSecContext(user, sec_context);
}

static void
RequireEventTrigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by an event trigger")));
}

/*
 * _shard.on_table_rewrite(): ALTER TABLE gives rows new values that no change
 * tells of, so the table has to be compared.
 */
Datum
shard_on_table_rewrite(PG_FUNCTION_ARGS)
{
	RequireEventTrigger(fcinfo);
	LogLayouts("SELECT l.relation FROM _shard.lake_table l JOIN pg_catalog.pg_inherits i"
			   " ON i.inhparent = l.relation"
			   " WHERE i.inhrelid = pg_catalog.pg_event_trigger_table_rewrite_oid()", true);
	PG_RETURN_NULL();
}

/*
 * _shard.on_table_change(): columns may have come, gone, or changed their names;
 * of a composite type any table may have columns.
 */
Datum
shard_on_table_change(PG_FUNCTION_ARGS)
{
	RequireEventTrigger(fcinfo);
	LogLayouts("SELECT DISTINCT l.relation FROM _shard.lake_table l,"
			   " pg_catalog.pg_event_trigger_ddl_commands() c"
			   " WHERE c.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.objid = l.relation"
			   " OR c.command_tag = 'ALTER TYPE'", false);
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
