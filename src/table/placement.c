/*
 * placement.c
 *		shard.verify_placement(): rows that are not where their key belongs.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * Add the misplaced keys of a leaf to the result.  shard.route() would count
 * each of them, and refuse the empty key, which a table can hold.
 */
static void
VerifyLeaf(ReturnSetInfo *result, ShardedTable *table, const char *key, Oid leaf)
{
	int			found_in = CatalogLeafShard(leaf);
	char	   *query;

	query = psprintf("SELECT k, n, i FROM (SELECT k, n, _shard.key_shard(%s, k) AS i FROM "
					 "(SELECT %s::text AS k, count(*) AS n FROM ONLY %s GROUP BY 1) keys) routed "
					 "WHERE i <> %d ORDER BY k",
					 quote_literal_cstr(table->router), key, QualifiedName(leaf), found_in);
	if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read %s", QualifiedName(leaf));
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[row];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		values[5] = {
			ObjectIdGetDatum(table->relid),
			SPI_getbinval(tuple, desc, 1, &isnull),
			Int32GetDatum(found_in),
			SPI_getbinval(tuple, desc, 3, &isnull),
			SPI_getbinval(tuple, desc, 2, &isnull)
		};
		bool		nulls[5] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	SPI_freetuptable(SPI_tuptable);
}

PG_FUNCTION_INFO_V1(shard_verify_placement);

/*
 * shard.verify_placement(router text) RETURNS TABLE(relation regclass,
 *		partition_key text, found_in int, belongs_to int, rows bigint)
 */
Datum
shard_verify_placement(PG_FUNCTION_ARGS)
{
	char	   *router = text_to_cstring(PG_GETARG_TEXT_PP(0));
	DdlScope	scope;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	(void) CatalogRouter(router, false);
	DdlBegin(&scope);
	foreach(lc, CatalogShardedTables(router))
	{
		ShardedTable *table = lfirst(lc);
		Relation	parent = table_open(table->relid, AccessShareLock);
		char	   *key = KeyText(parent, table);
		ListCell   *leaf;

		foreach(leaf, find_inheritance_children(table->relid, AccessShareLock))
			VerifyLeaf((ReturnSetInfo *) fcinfo->resultinfo, table, key, lfirst_oid(leaf));
		table_close(parent, NoLock);
	}
	DdlEnd(&scope);
	return (Datum) 0;
}
