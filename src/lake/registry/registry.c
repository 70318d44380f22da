/*
 * registry.c
 *		iceberg_tables and the trash queue.
 *
 * Reading goes to the table directly: it happens for every lake query, under
 * any user, and the foreign table's privileges are what counts.  Changes are
 * SQL as the table's owner, with the statement that JDBC catalogs use, so that
 * they and we exclude each other.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "base/compat.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lake/internal.h"
#include "lake/registry/registry.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Columns of iceberg_tables. */
#define COL_CATALOG 1
#define COL_NAMESPACE 2
#define COL_NAME 3
#define COL_LOCATION 4

/* The schema that the extension was created in; InvalidOid if it is not there. */
static Oid
ExtensionSchema(void)
{
	Relation	relation = table_open(ExtensionRelationId, AccessShareLock);
	Oid			schema = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("shard"));
	scan = systable_beginscan(relation, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return schema;
}

Oid
RegistryTable(void)
{
	return RegistryTableOid(false);
}

Oid
RegistryTableOid(bool missing_ok)
{
	Oid			schema = ExtensionSchema();
	Oid			relation = OidIsValid(schema) ? get_relname_relid("iceberg_tables", schema) : InvalidOid;

	if (!OidIsValid(relation) && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table iceberg_tables of extension shard does not exist"),
				 errhint("Run CREATE EXTENSION shard in this database.")));
	return relation;
}

static char *
LocationOf(Relation relation, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, COL_LOCATION, RelationGetDescr(relation), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static void
KeyInit(ScanKey key, AttrNumber column, const char *value)
{
	ScanKeyEntryInitialize(key, 0, column, BTEqualStrategyNumber, TEXTOID,
						   DEFAULT_COLLATION_OID, F_TEXTEQ, CStringGetTextDatum(value));
}

/*
 * The active snapshot, but with the changes of this transaction so far.
 */
static Snapshot
PushSnapshotForLookup(void)
{
	if (ActiveSnapshotSet())
		PushCopiedSnapshot(GetActiveSnapshot());
	else
		PushCopiedSnapshot(GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
	return GetActiveSnapshot();
}

char *
RegistryLookup(const char *namespace, const char *name)
{
	Relation	relation = table_open(RegistryTable(), AccessShareLock);
	Oid			index = PrimaryKeyIndex(relation);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *location = NULL;

	KeyInit(&keys[0], COL_CATALOG, LAKE_CATALOG);
	KeyInit(&keys[1], COL_NAMESPACE, namespace);
	KeyInit(&keys[2], COL_NAME, name);
	scan = systable_beginscan(relation, index, OidIsValid(index), PushSnapshotForLookup(), 3, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		location = LocationOf(relation, tuple);
	systable_endscan(scan);
	PopActiveSnapshot();
	table_close(relation, AccessShareLock);
	return location;
}

static List *
ScanTables(void)
{
	Relation	relation = table_open(RegistryTable(), AccessShareLock);
	TupleDesc	desc = RelationGetDescr(relation);
	List	   *tables = NIL;
	SysScanDesc scan;
	HeapTuple	tuple;

	scan = systable_beginscan(relation, InvalidOid, false, PushSnapshotForLookup(), 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		RegistryName *entry;
		bool		isnull;

		if (strcmp(TextDatumGetCString(heap_getattr(tuple, COL_CATALOG, desc, &isnull)),
				   LAKE_CATALOG) != 0)
			continue;
		entry = palloc(sizeof(RegistryName));
		entry->namespace = TextDatumGetCString(heap_getattr(tuple, COL_NAMESPACE, desc, &isnull));
		entry->name = TextDatumGetCString(heap_getattr(tuple, COL_NAME, desc, &isnull));
		entry->location = LocationOf(relation, tuple);
		tables = lappend(tables, entry);
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	table_close(relation, AccessShareLock);
	return tables;
}

static int
CompareNames(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List *
RegistryNames(const char *namespace)
{
	Relation	relation = table_open(RegistryTable(), AccessShareLock);
	Oid			index = PrimaryKeyIndex(relation);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *names = NIL;

	KeyInit(&keys[0], COL_CATALOG, LAKE_CATALOG);
	KeyInit(&keys[1], COL_NAMESPACE, namespace);
	scan = systable_beginscan(relation, index, OidIsValid(index), PushSnapshotForLookup(), 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		name = heap_getattr(tuple, COL_NAME, RelationGetDescr(relation), &isnull);

		names = lappend(names, TextDatumGetCString(name));
	}
	systable_endscan(scan);
	PopActiveSnapshot();
	table_close(relation, AccessShareLock);
	list_sort(names, CompareNames);
	return names;
}

/* ---- changes ---- */

typedef struct OwnerScope
{
	Oid			user;
	int			security_context;
	int			guc_level;
	bool		pushed;			/* a snapshot, since there was none */
} OwnerScope;

/*
 * From here to LeaveOwner, act as the owner of iceberg_tables with a fixed
 * search path.  An error restores both by ending the (sub)transaction.
 */
static void
EnterOwner(OwnerScope *scope, Oid relation)
{
	Relation	rel = relation_open(relation, AccessShareLock);
	Oid			owner = rel->rd_rel->relowner;

	relation_close(rel, AccessShareLock);
	scope->pushed = !ActiveSnapshotSet();
	if (scope->pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	GetUserIdAndSecContext(&scope->user, &scope->security_context);
	SetUserIdAndSecContext(owner, scope->security_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

static void
LeaveOwner(OwnerScope *scope)
{
	SPI_finish();
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->security_context);
	if (scope->pushed)
		PopActiveSnapshot();
}

/*
 * Run a statement with text parameters; %s in it stands for iceberg_tables.
 * Returns the number of rows changed.
 */
static uint64
ChangeAsOwner(const char *format, int nargs, const char **args)
{
	Oid			relation = RegistryTable();
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
												   get_rel_name(relation));
	char	   *sql = strstr(format, "%s") == NULL ? pstrdup(format) : psprintf(format, table);
	Oid			types[8];
	Datum		values[8];
	char		nulls[8];
	OwnerScope	scope;
	uint64		processed;

	Assert(nargs <= 8);
	for (int i = 0; i < nargs; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = args[i] == NULL ? 'n' : ' ';
		values[i] = args[i] == NULL ? (Datum) 0 : CStringGetTextDatum(args[i]);
	}
	EnterOwner(&scope, relation);
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0) < 0)
		elog(ERROR, "SPI failed for: %s", sql);
	processed = SPI_processed;
	LeaveOwner(&scope);
	return processed;
}

void
RegistryInsert(const char *namespace, const char *name, const char *location)
{
	const char *args[] = {LAKE_CATALOG, namespace, name, location};

	if (strlen(location) > 1000)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("lake location \"%s\" is longer than 1000 characters", location)));
	if (ChangeAsOwner("INSERT INTO %s (catalog_name, table_namespace, table_name, "
					  "metadata_location, iceberg_type) VALUES ($1, $2, $3, $4, 'TABLE') "
					  "ON CONFLICT DO NOTHING", 4, args) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("lake table \"%s.%s\" already exists", namespace, name)));
}

bool
RegistrySwap(const char *namespace, const char *name, const char *old, const char *new)
{
	const char *args[] = {LAKE_CATALOG, namespace, name, old, new};

	if (strlen(new) > 1000)
		ereport(ERROR,
				(errcode(ERRCODE_STRING_DATA_RIGHT_TRUNCATION),
				 errmsg("lake location \"%s\" is longer than 1000 characters", new)));
	return ChangeAsOwner("UPDATE %s SET metadata_location = $5, previous_metadata_location = $4 "
						 "WHERE catalog_name = $1 AND table_namespace = $2 AND table_name = $3 "
						 "AND metadata_location = $4 "
						 "AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)", 5, args) == 1;
}

void
RegistryLock(const char *namespace, const char *name)
{
	const char *args[] = {LAKE_CATALOG, namespace, name};

	(void) ChangeAsOwner("SELECT FROM %s WHERE catalog_name = $1 AND table_namespace = $2 "
						 "AND table_name = $3 FOR UPDATE", 3, args);
}

bool
RegistryDelete(const char *namespace, const char *name)
{
	const char *args[] = {LAKE_CATALOG, namespace, name};

	return ChangeAsOwner("DELETE FROM %s WHERE catalog_name = $1 AND table_namespace = $2 "
						 "AND table_name = $3", 3, args) == 1;
}

void
RegistryTrash(const List *paths, bool trees)
{
	Oid			types[] = {TEXTARRAYOID, BOOLOID, TEXTOID};
	Datum		values[3];
	Datum	   *elements = palloc(sizeof(Datum) * (list_length(paths) + 1));
	OwnerScope	scope;
	ListCell   *lc;

	if (paths == NIL)
		return;
	foreach(lc, paths)
		elements[foreach_current_index(lc)] = CStringGetTextDatum((char *) lfirst(lc));
	values[0] = PointerGetDatum(construct_array(elements, list_length(paths), TEXTOID, -1, false,
												TYPALIGN_INT));
	values[1] = BoolGetDatum(trees);
	values[2] = CStringGetTextDatum(LakeOwner());
	EnterOwner(&scope, RegistryTable());
	if (SPI_execute_with_args("INSERT INTO _shard.lake_trash (path, is_directory, owner) "
							  "SELECT path, $2, $3 FROM unnest($1) AS path",
							  3, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into _shard.lake_trash");
	LeaveOwner(&scope);
}

HTAB *
RegistryTrashed(void)
{
	MemoryContext caller = CurrentMemoryContext;
	HTAB	   *set = LakePathSet();
	OwnerScope	scope;

	EnterOwner(&scope, RegistryTable());
	if (SPI_execute("SELECT path FROM _shard.lake_trash WHERE NOT is_directory", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.lake_trash");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *path = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[i],
																	 SPI_tuptable->tupdesc, 1));

		hash_search(set, &path, HASH_ENTER, NULL);
	}
	LeaveOwner(&scope);
	return set;
}

bool
RegistryRelation(Oid relation, char **namespace, char **name, char **events)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(relation);
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	bool		found = false;

	EnterOwner(&scope, RegistryTable());
	if (SPI_execute_with_args("SELECT namespace, name, events_name FROM _shard.lake_table WHERE relation = $1",
							  1, &type, &value, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.lake_table");
	if (SPI_processed == 1)
	{
		found = true;
		*namespace = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0],
															  SPI_tuptable->tupdesc, 1));
		*name = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0],
														 SPI_tuptable->tupdesc, 2));
		if (events != NULL)
			*events = MemoryContextStrdup(caller, SPI_getvalue(SPI_tuptable->vals[0],
															   SPI_tuptable->tupdesc, 3));
	}
	LeaveOwner(&scope);
	return found;
}

/*
 * Tables of the pipeline that a catalog outside holds: a list of ours, since that
 * catalog may hold any number of others.
 */
static List *
RegisteredNames(void)
{
	MemoryContext caller = CurrentMemoryContext;
	OwnerScope	scope;
	List	   *tables = NIL;

	EnterOwner(&scope, RegistryTable());
	if (SPI_execute("SELECT namespace, name FROM _shard.lake_table UNION ALL "
					"SELECT namespace, events_name FROM _shard.lake_table UNION ALL "
					"SELECT '" EVENT_LOG_NAMESPACE "', router || '_events' FROM _shard.event_log",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.lake_table");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		RegistryName *entry = MemoryContextAllocZero(caller, sizeof(RegistryName));
		MemoryContext old;

		entry->namespace = MemoryContextStrdup(caller, SPI_getvalue(row, SPI_tuptable->tupdesc, 1));
		entry->name = MemoryContextStrdup(caller, SPI_getvalue(row, SPI_tuptable->tupdesc, 2));
		old = MemoryContextSwitchTo(caller);
		tables = lappend(tables, entry);
		MemoryContextSwitchTo(old);
	}
	LeaveOwner(&scope);
	return tables;
}

List *
RegistryTables(void)
{
	return LakeByRest() ? RegisteredNames() : ScanTables();
}
