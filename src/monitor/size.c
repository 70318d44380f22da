/*
 * size.c
 *		How many rows and bytes each shard holds: shard.shard_stats().
 *
 * Rows are counted, not estimated, as long as a router's tables are of moderate
 * size: a count reads each leaf once, from an index where its pages are all
 * visible.  A large router's rows are estimated as the planner does, from the
 * last ANALYZE or VACUUM and the present size of the file.
 *
 * A file keeps the room of rows that are gone until VACUUM finds it, so beside
 * the bytes of the files there are live bytes: a leaf's part of its table's
 * bytes by its part of the table's rows.
 *
 * Leaves are found in PostgreSQL's catalogs, any number for a table and shard.
 * Rows are counted as superuser, whatever policies say to the caller, who learns
 * their number only.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Unless asked for, more blocks than these, 2 GB, are not counted. */
#define COUNT_BLOCKS_MAX ((int64) 2 * 1024 * 1024 * 1024 / BLCKSZ)

typedef struct ShardSize
{
	int64		rows;
	int64		bytes;
	double		live_bytes;
	bool		estimated;
} ShardSize;

typedef struct LeafSize
{
	Oid			relid;
	int			shard_index;
	BlockNumber blocks;
	int64		rows;
} LeafSize;

/* To read as superuser, where nothing but our own words is run. */
typedef struct SuperuserScope
{
	Oid			user;
	int			context;
	int			nestlevel;
} SuperuserScope;

static void
SuperuserBegin(SuperuserScope *scope)
{
	GetUserIdAndSecContext(&scope->user, &scope->context);
	scope->nestlevel = NewGUCNestLevel();
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   scope->context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
}

static void
SuperuserEnd(SuperuserScope *scope)
{
	SPI_finish();
	AtEOXact_GUC(true, scope->nestlevel);
	SetUserIdAndSecContext(scope->user, scope->context);
}

/*
 * The leaves of a table that hold rows in this server; List of LeafSize *.
 */
static List *
TableLeaves(Oid parent, int64 *blocks)
{
	List	   *leaves = NIL;
	ListCell   *lc;

	foreach(lc, find_inheritance_children(parent, AccessShareLock))
	{
		LeafSize   *leaf = palloc0(sizeof(LeafSize));
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);

		CHECK_FOR_INTERRUPTS();
		leaf->relid = RelationGetRelid(rel);
		leaf->shard_index = CatalogLeafShard(leaf->relid);
		if (RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind) && leaf->shard_index >= 0)
		{
			leaf->blocks = RelationGetNumberOfBlocks(rel);
			*blocks += leaf->blocks;
			leaves = lappend(leaves, leaf);
		}
		relation_close(rel, NoLock);
	}
	return leaves;
}

/*
 * All leaves of a router; List of Lists, one a table.
 */
static List *
FindLeaves(const char *router, int64 *blocks)
{
	List	   *tables = NIL;
	ListCell   *lc;

	*blocks = 0;
	foreach(lc, CatalogRouterParents(router))
		tables = lappend(tables, TableLeaves(lfirst_oid(lc), blocks));
	return tables;
}

static int64
CountRows(Oid relid)
{
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
												  get_rel_name(relid));
	bool		isnull;
	int64		rows;

	if (SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM ONLY %s", name), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count the rows of %s", name);
	rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return rows;
}

static int64
EstimateRows(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	BlockNumber pages;
	double		rows;
	double		visible;

	estimate_rel_size(rel, NULL, &pages, &rows, &visible);
	table_close(rel, NoLock);
	return (int64) rows;
}

/*
 * Add a table's leaves to the sizes of their shards.
 */
static void
AddLeaves(ShardSize *sizes, List *leaves, bool exact)
{
	int64		bytes = 0;
	int64		rows = 0;
	ListCell   *lc;

	foreach(lc, leaves)
	{
		LeafSize   *leaf = lfirst(lc);
		ShardSize  *size = &sizes[leaf->shard_index];
		int64		leaf_bytes = DatumGetInt64(DirectFunctionCall1(pg_total_relation_size,
																   ObjectIdGetDatum(leaf->relid)));

		CHECK_FOR_INTERRUPTS();
		leaf->rows = exact ? CountRows(leaf->relid) : EstimateRows(leaf->relid);
		size->rows += leaf->rows;
		size->bytes += leaf_bytes;
		size->estimated |= !exact;
		rows += leaf->rows;
		bytes += leaf_bytes;
	}
	foreach(lc, leaves)
	{
		LeafSize   *leaf = lfirst(lc);

		if (rows > 0)
			sizes[leaf->shard_index].live_bytes += (double) bytes * leaf->rows / rows;
	}
}

/*
 * Sizes by shard index, in an array of MAX_SHARDS.
 */
static ShardSize *
MeasureShards(const char *router, bool automatic, bool exact)
{
	ShardSize  *sizes = palloc0(sizeof(ShardSize) * MAX_SHARDS);
	int64		blocks;
	List	   *tables = FindLeaves(router, &blocks);
	ListCell   *lc;
	SuperuserScope scope;

	SuperuserBegin(&scope);
	foreach(lc, tables)
		AddLeaves(sizes, lfirst(lc), automatic ? blocks <= COUNT_BLOCKS_MAX : exact);
	SuperuserEnd(&scope);
	return sizes;
}

PG_FUNCTION_INFO_V1(shard_shard_stats);

/*
 * shard.shard_stats(router text, exact boolean DEFAULT NULL) RETURNS TABLE(
 *		shard_index int, shard_name text, entity_count bigint, bytes bigint,
 *		estimated boolean, state text, live_bytes bigint)
 */
Datum
shard_shard_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const Router *router;
	ShardSize  *sizes;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("router must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	sizes = MeasureShards(router->name, PG_ARGISNULL(1), !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	for (int i = 0; i < router->nshards; i++)
	{
		const RouterShard *shard = &router->shards[i];
		const ShardSize *size = &sizes[shard->index];
		Datum		values[7] = {
			Int32GetDatum(shard->index),
			CStringGetTextDatum(shard->name),
			Int64GetDatum(size->rows),
			Int64GetDatum(size->bytes),
			BoolGetDatum(size->estimated),
			CStringGetTextDatum(shard->state),
			Int64GetDatum((int64) size->live_bytes)
		};
		bool		nulls[7] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(shard_key_entities);

/*
 * Rows of a key in one table; tables whose partition key is an expression are
 * left out.
 */
static int64
KeyRows(const ShardedTable *table, const char *key)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(key);
	bool		isnull;
	int64		rows;
	char	   *query;

	if (table->key_attnum <= 0)
		return 0;
	query = psprintf("SELECT pg_catalog.count(*) FROM %s WHERE %s OPERATOR(pg_catalog.=) $1::%s",
					 quote_qualified_identifier(get_namespace_name(get_rel_namespace(table->relid)),
												get_rel_name(table->relid)),
					 quote_identifier(get_attname(table->relid, table->key_attnum, false)),
					 format_type_be_qualified(table->key_type));
	if (SPI_execute_with_args(query, 1, &type, &value, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not count the rows of a key");
	rows = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return rows;
}

/*
 * _shard.key_entities(router text, key text) RETURNS bigint
 */
Datum
shard_key_entities(PG_FUNCTION_ARGS)
{
	char	   *router = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(1));
	List	   *tables = CatalogShardedTables(router);
	int64		rows = 0;
	SuperuserScope scope;
	ListCell   *lc;

	SuperuserBegin(&scope);
	foreach(lc, tables)
		rows += KeyRows(lfirst(lc), key);
	SuperuserEnd(&scope);
	PG_RETURN_INT64(rows);
}
