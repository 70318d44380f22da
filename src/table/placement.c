/*
 * placement.c
 *		shard.verify_placement(): rows that are not where their key belongs.
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "table/parts.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * Add the misplaced keys of a leaf to the result.  Left out is the empty key,
 * which shard.route() refuses.
 */
static void
VerifyLeaf(ReturnSetInfo *result, ShardedTable *table, Oid leaf)
{
	int			found_in = CatalogLeafShard(leaf);
	char	   *column = get_attname(leaf, get_attnum(leaf, linitial(table->partition_key)), false);
	char	   *query;

	query = psprintf("SELECT k, n, i FROM (SELECT k, n, CASE WHEN k <> '' THEN shard.route(%s, k) END AS i FROM "
					 "(SELECT %s::text AS k, count(*) AS n FROM ONLY %s GROUP BY 1) keys) routed "
					 "WHERE i <> %d ORDER BY k",
					 quote_literal_cstr(table->router), quote_identifier(column),
					 QualifiedName(leaf), found_in);
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
		ListCell   *leaf;

		foreach(leaf, find_inheritance_children(table->relid, AccessShareLock))
			VerifyLeaf((ReturnSetInfo *) fcinfo->resultinfo, table, lfirst_oid(leaf));
	}
	DdlEnd(&scope);
	return (Datum) 0;
}
