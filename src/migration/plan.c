/*
 * plan.c
 *		Planning: which keys move, how much that is, how long it takes.
 *
 * A plan is stored and changes nothing.  Its movements are what is known when
 * it is made; keys that come later move all the same.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "catalog/catalog.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "migration/count.h"
#include "migration/guard.h"
#include "migration/job.h"
#include "migration/keys.h"
#include "migration/plan.h"
#include "migration/sql.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(shard_plan_add_shard);
PG_FUNCTION_INFO_V1(shard_plan);
PG_FUNCTION_INFO_V1(shard_validate_plan);

/* Rows of a key above which planning warns of the pause at its cut-over. */
#define WARN_ROWS 100000
#define PAUSE_PER_ROW 0.45e-6	/* seconds under the lock, measured */

/* Until something was measured here: rows and batches a second. */
#define DEFAULT_SPEED 50000.0
#define BATCH_SECONDS 0.05

#define CHUNK 1000				/* movements written by one statement */

typedef struct Planning
{
	int64		plan;
	KeyMoves   *moves;
	int64		total_keys,
				total_rows;
	double		total_bytes;
	int64		keys,
				rows;
	double		bytes;
	int64		to_shard[MAX_SHARDS];	/* keys */
	int64		largest_rows;
	char	   *largest_key;
	/* movements not yet written */
	int			nchunk;
	Datum		places[CHUNK];
	Datum		texts[CHUNK];
	Datum		from[CHUNK];
	Datum		to[CHUNK];
	Datum		entities[CHUNK];
	Datum		sizes[CHUNK];
} Planning;

static SqlArg
ArrayArg(Datum *values, int n, Oid type, Oid array_type)
{
	int16		len;
	bool		byval;
	char		align;

	get_typlenbyvalalign(type, &len, &byval, &align);
	return (SqlArg) {array_type,
		PointerGetDatum(construct_array(values, n, type, len, byval, align)), false};
}

static void
WriteMovements(Planning *planning)
{
	int			n = planning->nchunk;

	if (n == 0)
		return;
	SqlBegin();
	SQL_RUN("INSERT INTO _shard.plan_movement (plan_id, place, partition_key, from_shard, to_shard, entities, bytes)"
			" SELECT $1, * FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
			"   pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7)) AS m",
			SQL_INT8(planning->plan),
			ArrayArg(planning->places, n, INT8OID, INT8ARRAYOID),
			ArrayArg(planning->texts, n, TEXTOID, TEXTARRAYOID),
			ArrayArg(planning->from, n, INT4OID, INT4ARRAYOID),
			ArrayArg(planning->to, n, INT4OID, INT4ARRAYOID),
			ArrayArg(planning->entities, n, INT8OID, INT8ARRAYOID),
			ArrayArg(planning->sizes, n, INT8OID, INT8ARRAYOID));
	SqlEnd();
	for (int i = 0; i < n; i++)
		pfree(DatumGetPointer(planning->texts[i]));
	planning->nchunk = 0;
}

/*
 * One key: does it move?
 */
static void
PlanKey(void *arg, const KeyCount *count)
{
	Planning   *planning = arg;
	uint64		position;
	int			before,
				after,
				i;

	planning->total_keys++;
	planning->total_rows += count->rows;
	planning->total_bytes += count->bytes;
	KeyMovesLookup(planning->moves, count->key, count->len, &position, &before, &after);
	if (before == after)
		return;
	planning->keys++;
	planning->rows += count->rows;
	planning->bytes += count->bytes;
	planning->to_shard[after]++;
	if (count->rows > planning->largest_rows)
	{
		planning->largest_rows = count->rows;
		planning->largest_key = pnstrdup(count->key, count->len);
	}
	i = planning->nchunk++;
	planning->places[i] = Int64GetDatum(PLACE_OF(position));
	planning->texts[i] = PointerGetDatum(cstring_to_text_with_len(count->key, count->len));
	planning->from[i] = Int32GetDatum(before);
	planning->to[i] = Int32GetDatum(after);
	planning->entities[i] = Int64GetDatum(count->rows);
	planning->sizes[i] = Int64GetDatum((int64) count->bytes);
	if (planning->nchunk == CHUNK)
		WriteMovements(planning);
}

/*
 * Rows a second, as batches of this database have shown.
 */
static double
MeasuredSpeed(void)
{
	double		speed = DEFAULT_SPEED;

	SqlBegin();
	if (SQL_RUN("SELECT (pg_catalog.sum(rows) OPERATOR(pg_catalog./)"
				"   pg_catalog.sum(EXTRACT(epoch FROM finished_at OPERATOR(pg_catalog.-) started_at)))::pg_catalog.int8"
				" FROM _shard.migration_batch WHERE rows OPERATOR(pg_catalog.>) $1"
				" HAVING pg_catalog.sum(rows) OPERATOR(pg_catalog.>) 10000"
				" AND pg_catalog.sum(EXTRACT(epoch FROM finished_at OPERATOR(pg_catalog.-) started_at)) OPERATOR(pg_catalog.>) 0",
				SQL_INT8(0)) > 0)
		speed = Max(1.0, (double) SqlInt8(0, 1));
	SqlEnd();
	return speed;
}

static char *
Destinations(const Planning *planning)
{
	StringInfoData json;

	initStringInfo(&json);
	for (int i = 0; i < MAX_SHARDS; i++)
		if (planning->to_shard[i] > 0)
			appendStringInfo(&json, "%s\"%d\": " INT64_FORMAT, json.len > 0 ? ", " : "{",
							 i, planning->to_shard[i]);
	appendStringInfoString(&json, json.len > 0 ? "}" : "{}");
	return json.data;
}

static List *
Warnings(const Planning *planning)
{
	List	   *warnings = NIL;

	if (planning->largest_rows >= WARN_ROWS)
		warnings = lappend(warnings,
						   psprintf("key \"%s\" has " INT64_FORMAT " rows: its cut-over will hold up access to the router's tables for about %.1f s",
									planning->largest_key, planning->largest_rows,
									planning->largest_rows * PAUSE_PER_ROW));
	return warnings;
}

static void
StoreSums(const Planning *planning, int batch_size)
{
	double		seconds = planning->rows / MeasuredSpeed() +
		BATCH_SECONDS * (1 + planning->keys / batch_size);

	SqlBegin();
	SQL_RUN("UPDATE _shard.plan SET keys_to_move = $2, entities_to_move = $3, bytes_to_move = $4,"
			"   total_keys = $5, total_entities = $6, total_bytes = $7,"
			"   estimated_duration = $8 OPERATOR(pg_catalog.*) '1 millisecond'::pg_catalog.interval,"
			"   destinations = $9::pg_catalog.jsonb, warnings = $10"
			" WHERE plan_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(planning->plan), SQL_INT8(planning->keys), SQL_INT8(planning->rows),
			SQL_INT8((int64) planning->bytes), SQL_INT8(planning->total_keys),
			SQL_INT8(planning->total_rows), SQL_INT8((int64) planning->total_bytes),
			SQL_INT8((int64) (seconds * 1000)), SQL_TEXT(Destinations(planning)),
			SQL_TEXTS(Warnings(planning)));
	SqlEnd();
}

static int64
StorePlan(const char *type, const Router *router, int shard_index, const char *shard_name,
		  const int *next, int nnext)
{
	int64		id;

	SqlBegin();
	SQL_RUN("INSERT INTO _shard.plan (type, router, shard_index, shard_name, members, next_members,"
			"   keys_to_move, entities_to_move, bytes_to_move, total_keys, total_entities, total_bytes,"
			"   estimated_duration, destinations, warnings)"
			" VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0, '0', '{}', '{}') RETURNING plan_id",
			SQL_TEXT(type), SQL_TEXT(router->name), SQL_INT4(shard_index), SQL_TEXT(shard_name),
			SQL_INTS(router->members, router->nmembers), SQL_INTS(next, nnext));
	id = SqlInt8(0, 1);
	SqlEnd();
	return id;
}

/*
 * A shard's index that is free: the least above those of all shards.
 */
static int
FreeShardIndex(const Router *router)
{
	int			index = 0;

	for (int i = 0; i < router->nshards; i++)
		index = Max(index, router->shards[i].index + 1);
	if (index >= MAX_SHARDS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("router \"%s\" has the most shards that a router can have, %d",
						router->name, MAX_SHARDS)));
	return index;
}

static char *
NewShardName(const Router *router, const char *wanted, int index)
{
	char	   *name;

	if (wanted == NULL)
	{
		SqlBegin();
		if (SQL_RUN("SELECT shard_name_prefix FROM _shard.router WHERE name OPERATOR(pg_catalog.=) $1",
					SQL_TEXT(router->name)) == 0)
			elog(ERROR, "router \"%s\" has disappeared", router->name);
		name = psprintf("%s%d", SqlText(0, 1), index);
		SqlEnd();
	}
	else
		name = pstrdup(wanted);
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a shard's name must not be empty")));
	for (int i = 0; i < router->nshards; i++)
		if (strcmp(router->shards[i].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("router \"%s\" already has a shard \"%s\"", router->name, name)));
	return name;
}

static void
CheckNotMigrating(const Router *router)
{
	char	   *key = NULL;
	int64		id = 0;

	SqlBegin();
	if (SQL_RUN("SELECT m.migration_id, (SELECT v.partition_key FROM _shard.plan_movement v"
				"   WHERE v.plan_id OPERATOR(pg_catalog.=) m.plan_id ORDER BY v.place LIMIT 1)"
				" FROM _shard.migration m WHERE m.router OPERATOR(pg_catalog.=) $1 AND m.unfinished",
				SQL_TEXT(router->name)) > 0)
	{
		id = SqlInt8(0, 1);
		key = SqlText(0, 2);
	}
	SqlEnd();
	if (id == 0 && !router->migrating)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 key != NULL ? errmsg("partition key \"%s\" is already migrating", key) :
			 errmsg("router \"%s\" is already migrating", router->name),
			 errdetail("Migration " INT64_FORMAT " of router \"%s\" is not finished.", id, router->name),
			 errhint("Wait with shard.wait_migration(" INT64_FORMAT "), or end it with shard.cancel_migration() or shard.resume_migration().", id)));
}

static void
CheckServer(const char *server)
{
	if (server != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("shards on other servers are not supported yet"),
				 errhint("Leave server out: the shard is then made in this server.")));
}

static bool
HasLake(const char *router)
{
	ListCell   *lc;

	foreach(lc, CatalogShardedTables(router))
		if (((ShardedTable *) lfirst(lc))->lake)
			return true;
	return false;
}

static void
Flush(void *arg)
{
	SqlBegin();
	SQL_RUN("SELECT shard.flush($1::pg_catalog.interval)", SQL_TEXT("10 s"));
	SqlEnd();
}

/*
 * Bring the lake up to date, so that planning there sees every key; false if
 * it cannot be.
 */
static bool
FlushBeforePlanning(const char *router)
{
	char	   *error;

	if (!HasLake(router))
		return false;
	error = RunGuarded(Flush, NULL);
	if (error != NULL)
		ereport(DEBUG1, (errmsg_internal("keys are counted in the shards: %s", error)));
	return error == NULL;
}

int64
PlanAddShard(const char *router_name, const char *shard_name, const char *server, bool rebalance)
{
	const Router *router = CatalogRouter(router_name, false);
	Planning   *planning = palloc0(sizeof(Planning));
	KeyCounts  *counts = KeyCountsCreate();
	int			index,
			   *next;
	int			nnext;
	bool		use_lake;
	ListCell   *lc;

	CheckServer(server);
	if (router->strategy == STRATEGY_RANGE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("adding a shard to a router of strategy \"range\" is not supported yet")));
	CheckNotMigrating(router);
	use_lake = FlushBeforePlanning(router_name);

	router = CatalogRouter(router_name, false);
	index = FreeShardIndex(router);
	nnext = router->nmembers + (rebalance ? 1 : 0);
	next = palloc(sizeof(int) * (router->nmembers + 1));
	memcpy(next, router->members, sizeof(int) * router->nmembers);
	next[router->nmembers] = index;
	planning->moves = KeyMovesCreate(router, router->members, router->nmembers, next, nnext);
	planning->plan = StorePlan("add_shard", router, index, NewShardName(router, shard_name, index),
							   next, nnext);
	if (rebalance)
		foreach(lc, CatalogRouterParents(router_name))
			CountTable(counts, CatalogRouter(router_name, false), lfirst_oid(lc), use_lake);
	KeyCountsVisit(counts, PlanKey, planning);
	WriteMovements(planning);
	StoreSums(planning, 100);
	return planning->plan;
}

static char *
TextArgOrNull(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

Datum
shard_plan_add_shard(PG_FUNCTION_ARGS)
{
	char	   *router = TextArgOrNull(fcinfo, 0);

	if (router == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the router's name must not be null")));
	PG_RETURN_INT64(PlanAddShard(router, TextArgOrNull(fcinfo, 1), TextArgOrNull(fcinfo, 2),
								 PG_ARGISNULL(3) || PG_GETARG_BOOL(3)));
}

/*
 * The first row of the last statement, as the function's composite result.
 */
static Datum
RowAsResult(FunctionCallInfo fcinfo)
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	HeapTuple	row;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values = palloc(sizeof(Datum) * desc->natts);
	nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, values, nulls);
	row = heap_form_tuple(BlessTupleDesc(desc), values, nulls);
	return HeapTupleGetDatum(SPI_copytuple(row));
}

Datum
shard_plan(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	Datum		result;

	(void) PlanRead(id);
	SqlBegin();
	SQL_RUN("SELECT type, router, shard_index, shard_name, keys_to_move, entities_to_move, bytes_to_move,"
			"   total_keys, total_entities, total_bytes,"
			"   CASE WHEN total_entities OPERATOR(pg_catalog.>) 0"
			"     THEN entities_to_move::pg_catalog.float8 OPERATOR(pg_catalog./) total_entities::pg_catalog.float8"
			"     ELSE 0 END,"
			"   estimated_duration, destinations, warnings, created_at"
			" FROM _shard.plan WHERE plan_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id));
	result = RowAsResult(fcinfo);
	SqlEnd();
	PG_RETURN_DATUM(result);
}

/* ---- validation ---- */

static bool
SameMembers(const Router *router, const MigrationPlan *plan)
{
	return router->nmembers == plan->nmembers &&
		memcmp(router->members, plan->members, sizeof(int) * plan->nmembers) == 0;
}

static bool
IsMigrating(const char *router)
{
	bool		migrating;

	SqlBegin();
	migrating = SQL_RUN("SELECT FROM _shard.migration WHERE router OPERATOR(pg_catalog.=) $1 AND unfinished",
						SQL_TEXT(router)) > 0;
	SqlEnd();
	return migrating;
}

static List *
TableWarnings(const char *router)
{
	List	   *warnings = NIL;
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(router))
	{
		Oid			parent = lfirst_oid(lc);

		if (get_rel_persistence(parent) == RELPERSISTENCE_UNLOGGED)
			warnings = lappend(warnings,
							   psprintf("table \"%s\" is unlogged: cut-overs read its shards in full under the lock",
										get_rel_name(parent)));
	}
	return warnings;
}

void
PlanValidate(const MigrationPlan *plan, List **errors, List **warnings)
{
	const Router *router = CatalogRouter(plan->router, true);

	*errors = NIL;
	*warnings = list_copy(plan->warnings);
	if (router == NULL)
	{
		*errors = lappend(*errors, psprintf("router \"%s\" does not exist any more", plan->router));
		return;
	}
	if (!ShardPreloaded())
		*errors = lappend(*errors, pstrdup("\"shard\" is not in shared_preload_libraries"));
	if (router->migrating || IsMigrating(plan->router))
		*errors = lappend(*errors, psprintf("router \"%s\" is already migrating", plan->router));
	else if (!SameMembers(router, plan))
		*errors = lappend(*errors, psprintf("plan " INT64_FORMAT " is stale: router \"%s\" has other shards now",
											plan->id, plan->router));
	for (int i = 0; i < router->nshards; i++)
		if (strcmp(plan->type, "add_shard") == 0 &&
			(router->shards[i].index == plan->shard_index ||
			 strcmp(router->shards[i].name, plan->shard_name) == 0) &&
			!router->migrating && !IsMigrating(plan->router))
		{
			*errors = lappend(*errors, psprintf("router \"%s\" already has a shard %d, \"%s\"",
												plan->router, router->shards[i].index,
												router->shards[i].name));
			break;
		}
	*warnings = list_concat(*warnings, TableWarnings(plan->router));
}

Datum
shard_validate_plan(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	List	   *errors,
			   *warnings;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PlanValidate(PlanRead(PG_GETARG_INT64(0)), &errors, &warnings);
	values[0] = BoolGetDatum(errors == NIL);
	values[1] = SqlTextsArg(errors).value;
	values[2] = SqlTextsArg(warnings).value;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
