/*
 * planning.c
 *		Storing a plan: its row, its movements and pins, its sums.
 *
 * A plan is stored and changes nothing.  Its movements are what is known when
 * it is made; where the map changes, keys that come later move all the same.
 */
#include "postgres.h"

#include "access/xact.h"
#include "migration/guard.h"
#include "migration/planning.h"
#include "migration/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* Rows of a key above which planning warns of the pause at its cut-over. */
#define WARN_ROWS 100000
#define PAUSE_PER_ROW 0.45e-6	/* seconds under the lock, measured */

/* Until something was measured here: rows and batches a second. */
#define DEFAULT_SPEED 50000.0
#define BATCH_SECONDS 0.05
#define USUAL_BATCH 100

/* ---- counting ---- */

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

KeyCounts *
PlanningCount(const char *router)
{
	KeyCounts  *counts = KeyCountsCreate();
	bool		use_lake = FlushBeforePlanning(router);
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(router))
		CountTable(counts, CatalogRouter(router, false), lfirst_oid(lc), use_lake);
	return counts;
}

/* ---- movements ---- */

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

void
PlanningWrite(Planning *planning)
{
	int			n = planning->nchunk;
	SqlArg		keys;

	if (n == 0)
		return;
	SqlBegin();
	keys = ArrayArg(planning->texts, n, TEXTOID, TEXTARRAYOID);
	SQL_RUN("INSERT INTO _shard.plan_movement (plan_id, place, partition_key, from_shard, to_shard, entities, bytes)"
			" SELECT $1, * FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4),"
			"   pg_catalog.unnest($5), pg_catalog.unnest($6), pg_catalog.unnest($7)) AS m",
			SQL_INT8(planning->plan),
			ArrayArg(planning->places, n, INT8OID, INT8ARRAYOID), keys,
			ArrayArg(planning->from, n, INT4OID, INT4ARRAYOID),
			ArrayArg(planning->to, n, INT4OID, INT4ARRAYOID),
			ArrayArg(planning->entities, n, INT8OID, INT8ARRAYOID),
			ArrayArg(planning->sizes, n, INT8OID, INT8ARRAYOID));
	if (planning->pins)
		SQL_RUN("INSERT INTO _shard.plan_pin (plan_id, partition_key, shard_index)"
				" SELECT $1, * FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS p",
				SQL_INT8(planning->plan), keys,
				ArrayArg(planning->to, n, INT4OID, INT4ARRAYOID));
	SqlEnd();
	for (int i = 0; i < n; i++)
		pfree(DatumGetPointer(planning->texts[i]));
	planning->nchunk = 0;
}

void
PlanningMove(Planning *planning, const KeyCount *count, int from, int to)
{
	uint64		position = KeyMovesPosition(planning->moves, count->key, count->len);
	int			i;

	if (planning->max_bytes > 0 && planning->keys > 0 &&
		planning->bytes + count->bytes > planning->max_bytes)
	{
		planning->left_out++;
		return;
	}
	i = planning->nchunk++;
	planning->keys++;
	planning->rows += count->rows;
	planning->bytes += count->bytes;
	planning->to_shard[to]++;
	if (count->rows > planning->largest_rows)
	{
		planning->largest_rows = count->rows;
		planning->largest_key = pnstrdup(count->key, count->len);
	}
	planning->places[i] = Int64GetDatum(PLACE_OF(position));
	planning->texts[i] = PointerGetDatum(cstring_to_text_with_len(count->key, count->len));
	planning->from[i] = Int32GetDatum(from);
	planning->to[i] = Int32GetDatum(to);
	planning->entities[i] = Int64GetDatum(count->rows);
	planning->sizes[i] = Int64GetDatum((int64) count->bytes);
	if (planning->nchunk == MOVEMENT_CHUNK)
		PlanningWrite(planning);
}

void
PlanningPin(Planning *planning, const char *key, size_t len, int shard_index)
{
	SqlBegin();
	SQL_RUN("INSERT INTO _shard.plan_pin (plan_id, partition_key, shard_index) VALUES ($1, $2, $3)",
			SQL_INT8(planning->plan), SQL_TEXT(pnstrdup(key, len)), SQL_INT4(shard_index));
	SqlEnd();
}

void
PlanningTotal(Planning *planning, const KeyCount *count)
{
	planning->total_keys++;
	planning->total_rows += count->rows;
	planning->total_bytes += count->bytes;
}

/* ---- sums ---- */

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
	List	   *warnings = planning->warnings;

	if (planning->largest_rows >= WARN_ROWS)
		warnings = lappend(warnings,
						   psprintf("key \"%s\" has " INT64_FORMAT " rows: its cut-over will hold up access to the router's tables for about %.1f s",
									planning->largest_key, planning->largest_rows,
									planning->largest_rows * PAUSE_PER_ROW));
	return warnings;
}

static void
StoreSums(const Planning *planning)
{
	double		seconds = planning->rows / MeasuredSpeed() +
		BATCH_SECONDS * (1 + planning->keys / USUAL_BATCH);

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

/* ---- the plan ---- */

static int64
StoreRow(const Router *router, const PlanRow *row)
{
	int64		id;

	SqlBegin();
	SQL_RUN("INSERT INTO _shard.plan (type, router, shard_index, shard_name, members, next_members,"
			"   keys_to_move, entities_to_move, bytes_to_move, total_keys, total_entities, total_bytes,"
			"   estimated_duration, destinations, warnings, evacuate)"
			" VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0, '0', '{}', '{}', $7) RETURNING plan_id",
			SQL_TEXT(row->type), SQL_TEXT(router->name),
			row->shard_index >= 0 ? SQL_INT4(row->shard_index) : SQL_NULL(INT4OID),
			SQL_TEXT(row->shard_name), SQL_INTS(router->members, router->nmembers),
			SQL_INTS(row->next, row->nnext), SQL_BOOL(row->evacuate));
	id = SqlInt8(0, 1);
	SqlEnd();
	return id;
}

Planning *
PlanningBegin(const char *router_name, const PlanRow *row, KeyCounts *counts, int leaving)
{
	const Router *router = CatalogRouter(router_name, false);
	Planning   *planning = palloc0(sizeof(Planning));

	planning->counts = counts;
	if (router->strategy != STRATEGY_RANGE)
		planning->moves = KeyMovesCreate(router, row->next, row->nnext, leaving, false);
	planning->plan = StoreRow(router, row);
	return planning;
}

Planning *
PlanningReopen(const MigrationPlan *plan)
{
	Planning   *planning = palloc0(sizeof(Planning));

	planning->plan = plan->id;
	planning->only_from = plan->shard_index;
	planning->moves = KeyMovesCreate(CatalogRouter(plan->router, false), plan->next_members,
									 plan->nnext, plan->shard_index, false);
	SqlBegin();
	SQL_RUN("DELETE FROM _shard.plan_movement WHERE plan_id OPERATOR(pg_catalog.=) $1"
			" AND from_shard OPERATOR(pg_catalog.=) $2",
			SQL_INT8(plan->id), SQL_INT4(plan->shard_index));
	SqlEnd();
	return planning;
}

int64
PlanningEnd(Planning *planning)
{
	PlanningWrite(planning);
	StoreSums(planning);
	return planning->plan;
}
