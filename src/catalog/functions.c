/*
 * functions.c
 *		SQL functions that ask a router: route, shard_info, distribution.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "base/compat.h"
#include "catalog/internal.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(shard_route);
PG_FUNCTION_INFO_V1(shard_info);
PG_FUNCTION_INFO_V1(shard_key_position);
PG_FUNCTION_INFO_V1(shard_key_shard);
PG_FUNCTION_INFO_V1(shard_distribution);

static void
RequireKey(text *key)
{
	if (VARSIZE_ANY_EXHDR(key) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty"),
				 errhint("Give a key of at least one character.")));
}

/*
 * The shard of a key that somebody asked for, which is counted.
 */
static int
Route(const Router *router, text *key)
{
	int			shard_index;

	RequireKey(key);
	shard_index = CatalogRoute(router, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	if (router->enable_metrics)
		CountRouting(router->counters, shard_index);
	return shard_index;
}

Datum
shard_route(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_INT32(Route(CatalogRouter(name, false), PG_GETARG_TEXT_PP(1)));
}

static Datum
TextOrNull(const char *value, bool *isnull)
{
	*isnull = value == NULL;
	return value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

Datum
shard_info(PG_FUNCTION_ARGS)
{
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	int			shard_index = Route(router, PG_GETARG_TEXT_PP(1));
	const RouterShard *shard = RouterShardByIndex(router, shard_index);
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (shard == NULL)
		elog(ERROR, "router \"%s\" has no shard %d", router->name, shard_index);
	values[0] = Int32GetDatum(shard_index);
	values[1] = CStringGetTextDatum(shard->name);
	values[2] = TextOrNull(shard->server, &nulls[2]);
	values[3] = CStringGetTextDatum(shard->schema);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

/*
 * Position of a key in hash space, as migrations see it.
 */
Datum
shard_key_position(PG_FUNCTION_ARGS)
{
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	text	   *key = PG_GETARG_TEXT_PP(1);

	PG_RETURN_INT64((int64) CatalogKeyPosition(router, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)));
}

/*
 * The shard of a key that a table holds.
 */
Datum
shard_key_shard(PG_FUNCTION_ARGS)
{
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	text	   *key = PG_GETARG_TEXT_PP(1);

	PG_RETURN_INT32(CatalogRoute(router, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)));
}

/* ---- distribution ---- */

/*
 * Count where the keys key-1, key-2, ... go: similar keys, as real ones are.
 */
static void
SampleKeys(const Router *router, int sample_size, int64 *counts)
{
	for (int i = 1; i <= sample_size; i++)
	{
		char		key[32];
		int			len = snprintf(key, sizeof(key), "key-%d", i);

		CHECK_FOR_INTERRUPTS();
		counts[MapRouteFrontier(router->map, router->next_map, router->frontier, key, len)]++;
	}
}

/*
 * Rows of a table in the shards, as the planner's statistics have them.
 */
static void
CountRows(const Router *router, Oid parent, int64 *counts)
{
	for (int i = 0; i < router->nmembers; i++)
	{
		ListCell   *lc;

		foreach(lc, CatalogLeaves(parent, router->members[i]))
		{
			HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

			if (!HeapTupleIsValid(tuple))
				continue;
			counts[router->members[i]] += Max(((Form_pg_class) GETSTRUCT(tuple))->reltuples, 0);
			ReleaseSysCache(tuple);
		}
	}
}

/*
 * Invented keys say nothing about ranges: count the rows of the tables, or, if
 * there are none, the ranges.  Returns what was counted.
 */
static int64
SampleRanges(const char *name, int64 *counts)
{
	const Router *router;
	int64		sum = 0;
	ListCell   *lc;

	foreach(lc, CatalogShardedTables(name))
		CountRows(CatalogRouter(name, false), ((ShardedTable *) lfirst(lc))->relid, counts);
	router = CatalogRouter(name, false);
	for (int i = 0; i < router->nmembers; i++)
		sum += counts[router->members[i]];
	if (sum == 0)
		for (int i = 0; i < router->ranges->nranges; i++, sum++)
			counts[router->ranges->ranges[i].shard]++;
	return sum;
}

static Datum
SharesAsJson(const Router *router, const int64 *counts, int64 sample_size)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < router->nmembers; i++)
		appendStringInfo(&buf, "%s\"%d\": %.6f", i > 0 ? ", " : "", router->members[i],
						 (double) counts[router->members[i]] / sample_size);
	appendStringInfoChar(&buf, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}

Datum
shard_distribution(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	const Router *router = CatalogRouter(name, false);
	int64		sample_size = PG_GETARG_INT32(1);
	int64		counts[MAX_SHARDS] = {0};
	double		mean = 1.0 / router->nmembers;
	double		squares = 0;
	double		min_share = 1;
	double		max_share = 0;
	double		variation;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (sample_size < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("sample_size %d is not positive", (int) sample_size)));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (router->ranges != NULL)
	{
		sample_size = SampleRanges(name, counts);
		router = CatalogRouter(name, false);
	}
	else
		SampleKeys(router, (int) sample_size, counts);
	for (int i = 0; i < router->nmembers; i++)
	{
		double		share = (double) counts[router->members[i]] / sample_size;

		squares += (share - mean) * (share - mean);
		min_share = Min(min_share, share);
		max_share = Max(max_share, share);
	}
	variation = sqrt(squares / router->nmembers) / mean;
	values[0] = Float8GetDatum(variation);
	values[1] = Float8GetDatum(min_share);
	values[2] = Float8GetDatum(max_share);
	values[3] = Float8GetDatum(Max(0, 1 - variation));
	values[4] = SharesAsJson(router, counts, sample_size);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
