/*
 * stats.c
 *		SQL functions over the counters in shared memory, and record_access(),
 *		by which an application adds accesses that are not SQL.
 */
#include "postgres.h"

#include "base/counters.h"
#include "base/hot_keys.h"
#include "catalog/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(shard_counters);
PG_FUNCTION_INFO_V1(shard_accesses);
PG_FUNCTION_INFO_V1(shard_hot_keys);
PG_FUNCTION_INFO_V1(shard_record_access);
PG_FUNCTION_INFO_V1(shard_stat_reset);
PG_FUNCTION_INFO_V1(shard_require_router);

/* What was read from the counters of one shard. */
typedef struct ShardCopy
{
	int			shard_index;	/* -1: of no shard in particular */
	int64		values[6];		/* columns of _shard.counters() */
	int64		window[ACCESS_KINDS];
} ShardCopy;

typedef struct RouterCopy
{
	const WindowRange *range;	/* or NULL */
	int			n;
	ShardCopy	shards[COUNTER_SHARDS_MAX + 1];
	TimestampTz since;
} RouterCopy;

static int64
Read(const pg_atomic_uint64 *counter)
{
	return (int64) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *, counter));
}

/* A CounterVisit: called under a lock, so it only copies. */
static void
CopyShard(void *arg, int shard_index, const ShardCounters *shard)
{
	RouterCopy *copy = arg;
	ShardCopy  *to = &copy->shards[copy->n++];

	to->shard_index = shard_index;
	to->values[0] = Read(&shard->routed);
	to->values[1] = Read(&shard->forwarded);
	to->values[2] = Read(&shard->forward_us);
	to->values[3] = Read(&shard->errors);
	to->values[4] = Read(&shard->accesses[ACCESS_READ]);
	to->values[5] = Read(&shard->accesses[ACCESS_WRITE]);
	for (int kind = 0; copy->range != NULL && kind < ACCESS_KINDS; kind++)
		to->window[kind] = (int64) CounterWindow(shard, kind, copy->range);
}

/*
 * _shard.counters(router text) RETURNS TABLE(shard_index int, routed bigint,
 *		forwarded bigint, forward_us bigint, errors bigint, reads bigint,
 *		writes bigint, since timestamptz)
 */
Datum
shard_counters(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	RouterCopy *copy = palloc0(sizeof(RouterCopy));

	InitMaterializedSRF(fcinfo, 0);
	if (!CountersVisit(text_to_cstring(PG_GETARG_TEXT_PP(0)), CopyShard, copy, &copy->since))
		return (Datum) 0;
	for (int i = 0; i < copy->n; i++)
	{
		const ShardCopy *shard = &copy->shards[i];
		Datum		values[8];
		bool		nulls[8] = {shard->shard_index < 0};

		values[0] = Int32GetDatum(shard->shard_index);
		for (int j = 0; j < 6; j++)
			values[j + 1] = Int64GetDatum(shard->values[j]);
		values[7] = TimestampTzGetDatum(copy->since);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- windows ---- */

static WindowRange
WindowArg(Interval *window)
{
	int64		us = window->time + (window->day + window->month * (int64) DAYS_PER_MONTH) * USECS_PER_DAY;
	int64		seconds = (us + USECS_PER_SEC - 1) / USECS_PER_SEC;

	if (us <= 0 || seconds > WINDOW_LONGEST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window \"%s\" is out of range",
						DatumGetCString(DirectFunctionCall1(interval_out, PointerGetDatum(window)))),
				 errhint("Accesses are known for the last 24 hours: give a longer time than 0 up to that.")));
	return WindowOf(GetCurrentTimestamp() / USECS_PER_SEC, seconds);
}

/*
 * _shard.accesses(router text, accessed_within interval) RETURNS TABLE(
 *		shard_index int, reads bigint, writes bigint)
 */
Datum
shard_accesses(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	WindowRange range = WindowArg(PG_GETARG_INTERVAL_P(1));
	RouterCopy *copy = palloc0(sizeof(RouterCopy));

	InitMaterializedSRF(fcinfo, 0);
	copy->range = &range;
	if (!CountersVisit(router->name, CopyShard, copy, NULL))
		return (Datum) 0;
	for (int i = 0; i < copy->n; i++)
	{
		const ShardCopy *shard = &copy->shards[i];
		Datum		values[3] = {
			Int32GetDatum(shard->shard_index),
			Int64GetDatum(shard->window[ACCESS_READ]),
			Int64GetDatum(shard->window[ACCESS_WRITE])
		};
		bool		nulls[3] = {shard->shard_index < 0, false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static int
CompareHotKeys(const void *a, const void *b)
{
	const HotKey *x = a;
	const HotKey *y = b;

	if (x->accesses != y->accesses)
		return x->accesses > y->accesses ? -1 : 1;
	return strcmp(x->key, y->key);
}

/*
 * The shard that a key belongs to now.
 */
static int
ShardOfHotKey(const Router *router, const HotKey *key)
{
	return key->cut ? key->shard : CatalogRoute(router, key->key, strlen(key->key));
}

/*
 * A key for showing; one of which only the beginning is known ends with dots.
 */
static Datum
HotKeyText(HotKey *key)
{
	int			len = (int) strlen(key->key);

	if (!key->cut)
		return CStringGetTextDatum(key->key);
	len = pg_mbcliplen(key->key, len, len - 3);
	return CStringGetTextDatum(psprintf("%.*s...", len, key->key));
}

/*
 * shard.hot_keys(router text, n int, "window" interval) RETURNS TABLE(key text,
 *		accesses bigint, shard_index int, at_most bigint)
 */
Datum
shard_hot_keys(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	int			wanted = PG_GETARG_INT32(1);
	WindowRange range = WindowArg(PG_GETARG_INTERVAL_P(2));
	bool		track;
	int			n;
	HotKey	   *keys;

	if (wanted < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("n %d is negative", wanted)));
	InitMaterializedSRF(fcinfo, 0);
	keys = HotKeysCollect(CountersId(router->name, &track), &range, &n);
	if (n > 0)
		qsort(keys, n, sizeof(HotKey), CompareHotKeys);
	for (int i = 0; i < Min(n, wanted); i++)
	{
		Datum		values[4] = {
			HotKeyText(&keys[i]),
			Int64GetDatum((int64) keys[i].accesses),
			Int32GetDatum(ShardOfHotKey(router, &keys[i])),
			Int64GetDatum((int64) keys[i].at_most)
		};
		bool		nulls[4] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- counting and forgetting ---- */

static AccessKind
KindArg(const char *kind)
{
	if (strcmp(kind, "read") == 0)
		return ACCESS_READ;
	if (strcmp(kind, "write") == 0)
		return ACCESS_WRITE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown kind of access \"%s\"", kind),
			 errhint("Valid kinds are read and write.")));
}

/*
 * shard.record_access(router text, key text, kind text) RETURNS void
 */
Datum
shard_record_access(PG_FUNCTION_ARGS)
{
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	text	   *key = PG_GETARG_TEXT_PP(1);
	AccessKind	kind = KindArg(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	int			shard_index;

	if (VARSIZE_ANY_EXHDR(key) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty"),
				 errhint("Give a key of at least one character.")));
	if (!router->track_access || CountersAttach(router->counters) == NULL)
		PG_RETURN_VOID();
	shard_index = CatalogRoute(router, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
	CountAccess(router->counters, shard_index, kind, 1);
	HotKeysAdd(router->counters->id, shard_index, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), 1);
	PG_RETURN_VOID();
}

/*
 * shard.stat_reset(router text DEFAULT NULL) RETURNS void
 */
Datum
shard_stat_reset(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		CountersReset(NULL);
	else
		CountersReset(CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false)->name);
	PG_RETURN_VOID();
}

/*
 * _shard.require_router(name text) RETURNS text
 */
Datum
shard_require_router(PG_FUNCTION_ARGS)
{
	(void) CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}
