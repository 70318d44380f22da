/*
 * distribute.c
 *		shard.distribute_table() and shard.undistribute_table().
 *
 * Both make a new table under the name of an old one, see definition.c:
 *	1. look at the table and wait for the pipeline, holding no lock and no xid;
 *	2. lock the router against flips, the table and the tables that foreign keys
 *	   tie to it, and refuse whatever could not be kept;
 *	3. read the definition, set the old table aside into a schema of its own,
 *	   where it keeps the names of all that hangs on it;
 *	4. make the new table (and its leaves), move the rows, add the rest;
 *	5. drop the old table, RESTRICT: nothing may depend on it any more.
 * It is one transaction: an error at any step leaves everything as it was.
 *
 * Locks: ACCESS EXCLUSIVE on the table and on tables that reference it, SHARE ROW
 * EXCLUSIVE on tables that it references, all taken at the start so that a long
 * move of rows cannot end in a deadlock.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/table.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define PIPELINE_TIMEOUT "30 s"

/* The table as it is set aside, and the new one. */
typedef struct Rebuild
{
	TableDefinition *def;
	char	   *aside;			/* schema of the old table */
	char	   *cluster;		/* index by which it is clustered, or NULL */
	Oid			new_relid;
} Rebuild;

/* ---- before anything is locked ---- */

static void
CheckIsolation(const char *function)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run in a transaction of isolation level REPEATABLE READ or SERIALIZABLE",
						function),
				 errhint("Use READ COMMITTED: the function has to see every row that is committed when it gets its locks.")));
}

/*
 * Refuse users who do not own the table.
 */
static void
CheckOwner(Oid relid, Oid user)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	ReleaseSysCache(tuple);
	if (!RelationOwnedBy(relid, user))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
}

static void
CheckNotSharded(Oid relid)
{
	char	   *router = CatalogRouterOfParent(relid);

	if (router != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("table \"%s\" is distributed by router \"%s\" already",
						get_rel_name(relid), router),
				 errhint("Put it together first: SELECT shard.undistribute_table(%s).",
						 quote_literal_cstr(QualifiedName(relid)))));
}

/*
 * Ask the pipeline whether it will see what we write; warn if not.
 */
static void
AwaitPipeline(void)
{
	DdlScope	scope;
	List	   *reasons;

	DdlBegin(&scope);
	reasons = DdlTexts("SELECT _shard.pipeline_ready('" PIPELINE_TIMEOUT "')", InvalidOid, 0);
	if (reasons != NIL)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lake does not follow the table's changes yet"),
				 errdetail("%s", (char *) linitial(reasons)),
				 errhint("Routing works all the same; the lake catches up as soon as the pipeline runs, see shard.pipeline_status.")));
	DdlEnd(&scope);
}

/* ---- locks ---- */

static void
LockAllTables(List *relids, LOCKMODE mode)
{
	ListCell   *lc;

	list_sort(relids, list_oid_cmp);
	foreach(lc, relids)
		LockRelationOid(lfirst_oid(lc), mode);
}

/*
 * Lock the tables that foreign keys tie to a table.
 */
static void
LockRelatedTables(Oid relid)
{
	LockAllTables(DdlOids("SELECT DISTINCT conrelid FROM pg_constraint "
						  "WHERE contype = 'f' AND confrelid = $1 AND conrelid <> $1", relid),
				  AccessExclusiveLock);
	LockAllTables(DdlOids("SELECT DISTINCT confrelid FROM pg_constraint "
						  "WHERE contype = 'f' AND conrelid = $1 AND confrelid <> $1", relid),
				  ShareRowExclusiveLock);
}

static void
RefuseWhileMigrating(const char *router)
{
	if (CatalogRouter(router, false)->migrating)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("keys of router \"%s\" are being migrated", router),
				 errhint("Wait for the migration to end, see shard.migrations.")));
}

/*
 * Keep the router's map as it is until we commit, and make our commit a change
 * of the router's row, so that snapshots from before it do not see an empty
 * table but are refused or renewed like those from before a flip.
 */
static void
HoldRouter(const char *router)
{
	LockRouter(router, ShareLock);
	DdlRunf("UPDATE _shard.router SET name = name WHERE name = %s", quote_literal_cstr(router));
	CatalogForget();
	RefuseWhileMigrating(router);
}

/* ---- the new table in place of the old one ---- */

static Rebuild *
SetAside(Oid relid, Oid template, bool unique)
{
	Rebuild    *rebuild = palloc0(sizeof(Rebuild));

	rebuild->def = DefinitionRead(relid, unique);
	rebuild->cluster = OidIsValid(template) ? ClusterIndex(template) : NULL;
	rebuild->aside = psprintf("_shard_aside_%u", relid);
	DdlRunAll(rebuild->def->detach);
	DdlRunf("CREATE SCHEMA %s", rebuild->aside);
	DdlRunf("ALTER TABLE %s SET SCHEMA %s", rebuild->def->qualified, rebuild->aside);
	return rebuild;
}

/*
 * CREATE TABLE under the old name; clause is what follows the columns.
 */
static void
CreateNew(Rebuild *rebuild, const char *clause)
{
	TableDefinition *def = rebuild->def;

	DdlRunf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE "
			"INCLUDING COMPRESSION)%s%s%s", def->qualified,
			quote_qualified_identifier(rebuild->aside, def->name), clause,
			def->tablespace ? " TABLESPACE " : "", def->tablespace ? def->tablespace : "");
	rebuild->new_relid = get_relname_relid(def->name, get_namespace_oid(def->schema, false));
	AclReset(rebuild->new_relid);
	DdlRunAll(def->before_rows);
}

static void
CopySequenceAcls(Rebuild *rebuild)
{
	ListCell   *lc;

	foreach(lc, DdlOids("SELECT objid FROM pg_depend WHERE classid = 'pg_class'::regclass "
						"AND refclassid = 'pg_class'::regclass AND refobjid = $1 "
						"AND deptype = 'i' AND refobjsubid > 0", rebuild->def->relid))
		AclCopyTable(lfirst_oid(lc),
					 get_relname_relid(get_rel_name(lfirst_oid(lc)),
									   get_namespace_oid(rebuild->def->schema, false)));
}

/*
 * All that the new table gets after its rows; then the old one goes.
 */
static void
FinishNew(Rebuild *rebuild)
{
	TableDefinition *def = rebuild->def;

	DdlRunAll(def->after_rows);
	DdlRunAll(DefinitionSequenceValues(def->relid, def->schema));
	CopySequenceAcls(rebuild);
	AclCopyTable(def->relid, rebuild->new_relid);
	DdlRunf("DROP TABLE %s", quote_qualified_identifier(rebuild->aside, def->name));
	DdlRunf("DROP SCHEMA %s", rebuild->aside);
}

/* ---- distribute ---- */

/*
 * The columns of the partition key as given; NIL for the router's.
 */
static List *
GivenColumns(ArrayType *given)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *columns = NIL;

	if (given == NULL)
		return NIL;
	deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("partition_key must not contain null")));
		columns = lappend(columns, TextDatumGetCString(elements[i]));
	}
	if (columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition_key {} is empty"),
				 errhint("Name at least one column, or leave partition_key out for that of the router.")));
	return columns;
}

static void
RecordTable(Oid relid, const char *router, List *columns, bool lake, const char *lake_options)
{
	StringInfoData key;
	ListCell   *lc;

	initStringInfo(&key);
	foreach(lc, columns)
		appendStringInfo(&key, "%s%s", key.len > 0 ? ", " : "", quote_literal_cstr(lfirst(lc)));
	DdlRunf("INSERT INTO _shard.sharded_table (relation, router, partition_key, lake, lake_options) "
			"VALUES (%u, %s, ARRAY[%s]::text[], %s, %s::jsonb)",
			relid, quote_literal_cstr(router), key.data, lake ? "true" : "false",
			lake_options != NULL ? quote_literal_cstr(lake_options) : "NULL");
}

static void
ClusterLeaves(Rebuild *rebuild)
{
	ListCell   *lc;

	if (rebuild->cluster == NULL)
		return;
	foreach(lc, find_inheritance_children(rebuild->new_relid, NoLock))
		LeafCluster(rebuild->new_relid, lfirst_oid(lc), rebuild->cluster);
}

/*
 * What the leaves alone get after their rows.
 */
static void
FinishLeaves(Rebuild *rebuild)
{
	ListCell   *lc;

	foreach(lc, find_inheritance_children(rebuild->new_relid, NoLock))
		DdlRunAll(UniqueOthers(rebuild->def->relid, QualifiedName(lfirst_oid(lc)),
							   get_namespace_name(get_rel_namespace(lfirst_oid(lc)))));
}

static void
Analyze(const Rebuild *rebuild, uint64 rows)
{
	if (rows > 0)
		DdlRunf("ANALYZE %s", rebuild->def->qualified);
}

static void
CheckRoom(Relation rel, const char *router)
{
	const Router *entry = CatalogRouter(router, false);
	int			leaves = entry->ranges != NULL ? entry->ranges->nranges + 1 : entry->nshards;

	CheckLockTable(router, leaves, list_length(RelationGetIndexList(rel)),
				   OidIsValid(rel->rd_rel->reltoastrelid));
}

/*
 * The unique constraints that will hold within a shard only; NULL if there are
 * none.  Lives as long as the transaction.
 */
static char *
NamesWithinShard(Oid relid, const TableKey *key)
{
	StringInfoData names;
	ListCell   *lc;

	if (key->column != 0)
		return NULL;
	initStringInfo(&names);
	foreach(lc, UniqueWithinShard(relid, relid, key->attnums, false))
		appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "", (char *) lfirst(lc));
	return names.len > 0 ? MemoryContextStrdup(TopTransactionContext, names.data) : NULL;
}

/*
 * Everything from the locks on; within a DdlScope.  Returns what the user is to
 * be told of unique constraints.
 */
static char *
Distribute(Oid relid, Oid user, const char *router, List *columns, bool lake,
		   const char *lake_options)
{
	Relation	rel;
	TableKey   *key;
	Rebuild    *rebuild;
	uint64		rows;
	char	   *within;

	HoldRouter(router);
	rel = table_open(relid, AccessExclusiveLock);
	CheckOwner(relid, user);
	CheckTableNotInUse(rel, "distribute");
	CheckNotSharded(relid);
	CheckKind(rel);
	key = KeyOfTable(rel, router, columns);
	LockRelatedTables(relid);
	CheckKept(relid, key->column);
	if (lake)
		CheckIdentity(rel);
	CheckDependents(relid, "distribute");
	CheckRoom(rel, router);
	WarnOfPublications(relid);
	AdviseOnKey(rel, key, CatalogRouter(router, false));
	within = NamesWithinShard(relid, key);
	table_close(rel, NoLock);

	rebuild = SetAside(relid, relid, key->column != 0);
	CreateNew(rebuild, key->clause);
	CreateLeaves(rebuild->new_relid, router, relid);
	RecordTable(rebuild->new_relid, router, key->columns, lake, lake_options);
	if (lake)
		DdlRunf("SELECT _shard.lake_register(%u::regclass)", rebuild->new_relid);
	rows = MoveIntoLeaves(relid, rebuild->new_relid);
	if (key->column == 0)
		FinishLeaves(rebuild);
	FinishNew(rebuild);
	LeafSync(rebuild->new_relid);
	ClusterLeaves(rebuild);
	Analyze(rebuild, rows);
	return within;
}

/*
 * Before the scope of our own commands, in which notices are silent.
 */
static void
NoteTypes(Oid relid)
{
	SPI_connect();
	if (SPI_execute(psprintf("SELECT _shard.lake_notes(%u::pg_catalog.oid::pg_catalog.regclass)", relid),
					false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the types of a table");
	SPI_finish();
}

PG_FUNCTION_INFO_V1(shard_distribute_table);

/*
 * shard.distribute_table(relation regclass, router text, partition_key text[],
 *		lake boolean, lake_options jsonb)
 */
Datum
shard_distribute_table(PG_FUNCTION_ARGS)
{
	Oid			relid;
	char	   *router;
	List	   *columns;
	bool		lake = PG_ARGISNULL(3) ? true : PG_GETARG_BOOL(3);
	char	   *lake_options = NULL;
	DdlScope	scope;
	Relation	rel;
	char	   *within;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation and router must not be null")));
	relid = PG_GETARG_OID(0);
	router = text_to_cstring(PG_GETARG_TEXT_PP(1));
	columns = GivenColumns(PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(4))
		lake_options = JsonbToCString(NULL, &PG_GETARG_JSONB_P(4)->root, 0);
	if (lake_options != NULL && !lake)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lake_options need a lake")));
	RequirePreloaded();
	CheckIsolation("shard.distribute_table()");
	(void) CatalogRouter(router, false);
	CheckOwner(relid, GetUserId());
	CheckNotSharded(relid);
	rel = relation_open(relid, AccessShareLock);
	CheckKind(rel);
	(void) KeyOfTable(rel, router, columns);
	if (lake)
		CheckIdentity(rel);
	relation_close(rel, AccessShareLock);
	if (lake)
	{
		AwaitPipeline();
		NoteTypes(relid);
	}

	DdlBegin(&scope);
	within = Distribute(relid, scope.user, router, columns, lake, lake_options);
	DdlEnd(&scope);
	if (within != NULL)
		ereport(NOTICE,
				(errmsg("values are unique within each shard only: %s", within),
				 errdetail("The partition key is an expression, and not all of its columns are in the unique constraint."),
				 errhint("Where values must be unique among all shards, add these columns, or use a single column as partition key.")));
	PG_RETURN_VOID();
}

/* ---- undistribute ---- */

/*
 * Take a table out of our catalog and the lake; it may be dropped already.
 */
void
ForgetTable(Oid relid)
{
	List	   *lake = DdlTexts("DELETE FROM _shard.sharded_table WHERE relation = $1 "
								"RETURNING CASE WHEN lake THEN 'lake' END", relid, 0);

	if (lake != NIL)
		DdlRunf("SELECT _shard.lake_unregister(%u)", relid);
}

/*
 * Let the table have the unique constraints that its leaves have.
 */
static void
TakeUniqueFrom(Oid leaf, TableDefinition *def)
{
	def->before_rows = list_concat(def->before_rows, UniquePrimaryKey(leaf, def->qualified, def->schema));
	def->after_rows = list_concat(UniqueOthers(leaf, def->qualified, def->schema),
								  def->after_rows);
}

static void
Undistribute(Oid relid, Oid user, const char *router)
{
	Relation	rel;
	Oid			leaf;
	Bitmapset  *key;
	bool		on_leaves = KeyIsExpression(relid, &key);
	char	   *clause;
	Rebuild    *rebuild;
	uint64		rows;

	HoldRouter(router);
	rel = table_open(relid, AccessExclusiveLock);
	CheckOwner(relid, user);
	CheckTableNotInUse(rel, "undistribute");
	table_close(rel, NoLock);
	(void) find_inheritance_children(relid, AccessExclusiveLock);
	LockRelatedTables(relid);
	CheckDependents(relid, "undistribute");
	CheckLeavesPlain(relid, on_leaves);

	leaf = on_leaves ? UniqueTemplate(relid) : AnyLeaf(relid);
	clause = !OidIsValid(leaf) ? "" :
		psprintf("%s%s", AccessMethodClause(leaf), StorageOptions(leaf));
	ForgetTable(relid);
	rebuild = SetAside(relid, leaf, true);
	if (on_leaves && OidIsValid(leaf))
		TakeUniqueFrom(leaf, rebuild->def);
	CreateNew(rebuild, clause);
	rows = MoveFromLeaves(relid, rebuild->new_relid);
	FinishNew(rebuild);
	if (rebuild->cluster != NULL)
		DdlRunf("ALTER TABLE %s CLUSTER ON %s", rebuild->def->qualified,
				quote_identifier(rebuild->cluster));
	DropEmptySchemas(router);
	Analyze(rebuild, rows);
}

PG_FUNCTION_INFO_V1(shard_undistribute_table);

/*
 * shard.undistribute_table(relation regclass)
 */
Datum
shard_undistribute_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *router;
	DdlScope	scope;

	CheckIsolation("shard.undistribute_table()");
	CheckOwner(relid, GetUserId());
	router = CatalogRouterOfParent(relid);
	if (router == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("table \"%s\" is not distributed", get_rel_name(relid)),
				 errhint("View shard.tables lists the distributed tables.")));
	router = pstrdup(router);

	DdlBegin(&scope);
	Undistribute(relid, scope.user, router);
	DdlEnd(&scope);
	PG_RETURN_VOID();
}
