/*
 * last_query.c
 *		shard.last_query_stats(): what the last lake query of this session read.
 *
 * The lake answers in place of the shards.  Those that it answered for are counted:
 * the shards of the routers of all tables that the query was about, since their
 * rows lie side by side in the lake's files.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "fdw/option.h"
#include "fdw/stats.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lake/lake.h"
#include "pipeline/trouble.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(shard_last_query_stats);

#define STATS_COLUMNS 11

/*
 * The router of the sharded table that a foreign table shows, or NULL.
 */
static const Router *
RouterOfForeignTable(Oid relid)
{
	TableOptions *options;
	Oid			parent;

	/* it may have been dropped since */
	if (get_rel_relkind(relid) != RELKIND_FOREIGN_TABLE)
		return NULL;
	options = TableOptionsOf(relid);
	if (options->kind != SOURCE_TABLE || !LakeIsOfDatabase(options->server))
		return NULL;
	parent = RelationOfLakeTable(options->namespace, options->name);
	return OidIsValid(parent) ? CatalogRouterForParent(parent) : NULL;
}

static int
CountShards(const QueryStats *stats)
{
	char	   *routers[STATS_TABLES];
	int			nrouters = 0;
	int			shards = 0;

	for (int i = 0; i < stats->ntables; i++)
	{
		const Router *router = RouterOfForeignTable(stats->tables[i]);
		int			known = 0;

		if (router == NULL)
			continue;
		while (known < nrouters && strcmp(routers[known], router->name) != 0)
			known++;
		if (known < nrouters)
			continue;
		routers[nrouters++] = pstrdup(router->name);
		shards += router->nmembers;
	}
	return shards;
}

/*
 * One row; all of it NULL when the session has run no lake query.
 */
Datum
shard_last_query_stats(PG_FUNCTION_ARGS)
{
	const QueryStats *last = StatsLast();
	TupleDesc	desc;
	Datum		values[STATS_COLUMNS] = {0};
	bool		nulls[STATS_COLUMNS];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != STATS_COLUMNS)
		elog(ERROR, "unexpected result type");
	memset(nulls, !last->valid, sizeof(nulls));
	values[0] = Int32GetDatum(last->valid ? CountShards(last) : 0);
	values[1] = Int64GetDatum(last->partitions);
	values[2] = Int64GetDatum(last->partitions_pruned);
	values[3] = Int64GetDatum(last->files);
	values[4] = Int64GetDatum(last->files_pruned);
	values[5] = Int64GetDatum(last->bytes);
	values[6] = Int64GetDatum(last->rows);
	values[7] = Int64GetDatum(last->returned);
	values[8] = BoolGetDatum(last->statements > 0 && last->cached == last->statements);
	values[9] = Int64GetDatum(last->snapshot_id);
	nulls[9] = !last->valid || last->snapshot_id < 0 || last->several;
	values[10] = Float8GetDatum(last->usecs / 1000.0);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
