/*
 * router_ddl.c
 *		Creating, altering and dropping routers.
 *
 * A router is a row of _shard.router, the rows of its shards, and (but for
 * strategy range) its operator family.  Everything is checked before anything is written, and errors name
 * the value and what is allowed.  The schemas of the shards come with the first
 * table that is distributed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "catalog/retry.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "router/ring.h"
#include "table/key.h"
#include "table/opclass.h"
#include "table/parts.h"
#include "table/range_alter.h"
#include "table/range_check.h"
#include "table/router_ddl.h"
#include "table/weights.h"
#include "table/table.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(shard_create_router);
PG_FUNCTION_INFO_V1(shard_alter_router);
PG_FUNCTION_INFO_V1(shard_drop_router);

#define VIRTUAL_NODES_MAX 10000

/* Arguments of shard.create_router(), in their order. */
enum
{
	Arg_name,
	Arg_strategy,
	Arg_shard_count,
	Arg_partition_key,
	Arg_fallback_key,
	Arg_strict,
	Arg_partition_key_fn,
	Arg_key_type,
	Arg_ranges,
	Arg_comparator,
	Arg_default_shard,
	Arg_virtual_nodes,
	Arg_hash_function,
	Arg_shard_name_prefix,
	Arg_max_entities,
	Arg_max_bytes,
	Arg_min_entities,
	Arg_retry,
	Arg_enable_metrics,
	Arg_track_access,
	Arg_track_metadata,
	NARGS,
	Arg_weights = NARGS			/* not a column of _shard.router */
};

static const char *const ArgNames[NARGS] = {
	"name", "strategy", "shard_count", "partition_key", "fallback_key", "strict",
	"partition_key_fn", "key_type", "ranges", "comparator", "default_shard", "virtual_nodes",
	"hash_function", "shard_name_prefix", "max_entities_per_shard", "max_bytes_per_shard",
	"min_entities_per_shard", "retry", "enable_metrics", "track_access", "track_metadata"
};

static const bool ArgRequired[NARGS] = {
	[Arg_name] = true, [Arg_strategy] = true, [Arg_partition_key] = true, [Arg_strict] = true,
	[Arg_key_type] = true, [Arg_default_shard] = true, [Arg_virtual_nodes] = true,
	[Arg_hash_function] = true, [Arg_shard_name_prefix] = true, [Arg_retry] = true,
	[Arg_enable_metrics] = true, [Arg_track_access] = true, [Arg_track_metadata] = true
};

void
RouterExecute(const char *command, int nargs, Oid *types, Datum *values, const char *nulls,
			  int expected)
{
	int			rc = SPI_execute_with_args(command, nargs, types, values, nulls, false, 0);

	if (rc != expected)
		elog(ERROR, "\"%s\" failed: %s", command, SPI_result_code_string(rc));
}

void
RouterNotePins(const char *router)
{
	RouterExecute("UPDATE _shard.router_ready AS r SET pinned = p.pinned, next_pinned = p.next_pinned"
				  " FROM (SELECT EXISTS (SELECT FROM _shard.pin WHERE router = $1) AS pinned,"
				  "   EXISTS (SELECT FROM _shard.next_pin WHERE router = $1) AS next_pinned) AS p"
				  " WHERE router = $1 AND (r.pinned, r.next_pinned) IS DISTINCT FROM (p.pinned, p.next_pinned)",
				  1, (Oid[]) {TEXTOID}, (Datum[]) {CStringGetTextDatum(router)}, NULL, SPI_OK_UPDATE);
}

/* ---- checks ---- */

static void
CheckRequired(FunctionCallInfo fcinfo)
{
	for (int i = 0; i < NARGS; i++)
		if (ArgRequired[i] && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", ArgNames[i])));
}

static void
CheckName(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("router name \"\" is empty")));
	if (strlen(name) > ROUTER_NAME_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("router name \"%s\" is too long", name),
				 errdetail("It has %d bytes; at most %d are allowed, because schemas and operator classes are named after it.",
						   (int) strlen(name), ROUTER_NAME_MAX)));
	if (strncmp(name, "pg_", 3) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("unacceptable router name \"%s\"", name),
				 errdetail("Its shards' schemas would be named after it, and the prefix \"pg_\" is reserved for system schemas.")));
	if (CatalogRouter(name, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("router \"%s\" already exists", name)));
}

static Strategy
CheckStrategy(const char *name)
{
	Strategy	strategy;

	if (!StrategyByName(name, &strategy))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown strategy \"%s\"", name),
				 errhint("Valid strategies are hash, consistent-hash, range and tenant.")));
	return strategy;
}

/*
 * The number of shards: as given, else for strategy range as many as its ranges
 * name (least).
 */
static int
CheckShardCount(FunctionCallInfo fcinfo, int least)
{
	int			count;

	if (PG_ARGISNULL(Arg_shard_count) && least > 0)
		return least;
	if (PG_ARGISNULL(Arg_shard_count))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shard_count is missing"),
				 errhint("Give shard_count, between 1 and %d.", MAX_SHARDS)));
	count = PG_GETARG_INT32(Arg_shard_count);
	if (count < 1 || count > MAX_SHARDS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("shard_count %d is out of range", count),
				 errhint("A router has 1 to %d shards.", MAX_SHARDS)));
	return count;
}

static void
CheckPartitionKey(ArrayType *array)
{
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &nelems);
	if (nelems == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition_key {} is empty"),
				 errhint("Name at least one column, as in partition_key => '{id}'.")));
	for (int i = 0; i < nelems; i++)
		if (nulls[i] || VARSIZE_ANY_EXHDR(DatumGetTextPP(elems[i])) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("partition_key holds a name that is %s", nulls[i] ? "null" : "empty"),
					 errhint("Name columns, as in partition_key => '{tenant_id,region}'.")));
}

static void
CheckHash(const char *name)
{
	HashFunction hash;

	if (!HashFunctionByName(name, &hash))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown hash function \"%s\"", name),
				 errhint("Valid hash functions are fnv1a and xxh3.")));
}

static void
CheckVirtualNodes(int nodes, int shard_count)
{
	if (nodes < 1 || nodes > VIRTUAL_NODES_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("virtual_nodes %d is out of range", nodes),
				 errhint("A shard has 1 to %d virtual nodes.", VIRTUAL_NODES_MAX)));
	if ((int64) nodes * shard_count > RING_MAX_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d shards with %d virtual nodes each make too large a ring",
						shard_count, nodes),
				 errhint("A ring has at most %d virtual nodes in all: take fewer virtual_nodes.",
						 RING_MAX_NODES)));
}

static void
CheckLimit(FunctionCallInfo fcinfo, int arg)
{
	if (!PG_ARGISNULL(arg) && PG_GETARG_INT64(arg) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s " INT64_FORMAT " is not positive", ArgNames[arg], PG_GETARG_INT64(arg))));
}

static void
RefuseForHash(FunctionCallInfo fcinfo, int arg, const char *strategy)
{
	if (!PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is for strategy \"range\" only, not for \"%s\"", ArgNames[arg], strategy)));
}

char *
RouterKeyFunction(Oid function)
{
	Oid		   *args;
	int			nargs;
	Oid			result = get_func_signature(function, &args, &nargs);

	if (nargs != 1 || args[0] != JSONBOID || result != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot give partition keys", format_procedure(function)),
				 errhint("partition_key_fn takes jsonb and returns text.")));
	return format_procedure_qualified(function);
}

/* ---- create ---- */

/*
 * Check all arguments; returns the number of shards, and the ranges in *ranges.
 */
static int
CheckDefinition(FunctionCallInfo fcinfo, CheckedRanges **ranges)
{
	char	   *strategy;
	int			shard_count;
	int			default_shard = PG_GETARG_INT32(Arg_default_shard);

	CheckRequired(fcinfo);
	CheckName(text_to_cstring(PG_GETARG_TEXT_PP(Arg_name)));
	strategy = text_to_cstring(PG_GETARG_TEXT_PP(Arg_strategy));
	if (CheckStrategy(strategy) == STRATEGY_RANGE)
	{
		Jsonb	   *json = PG_ARGISNULL(Arg_ranges) ? NULL : PG_GETARG_JSONB_P(Arg_ranges);
		Oid			comparator = PG_ARGISNULL(Arg_comparator) ? InvalidOid : PG_GETARG_OID(Arg_comparator);

		*ranges = RangesCheck(PG_GETARG_OID(Arg_key_type), json, comparator);
		shard_count = CheckShardCount(fcinfo, Max(RangesMaxShard(*ranges), default_shard) + 1);
		RangesCheckShards(*ranges, shard_count);
		RangesWarnOfGaps(*ranges, default_shard);
	}
	else
	{
		shard_count = CheckShardCount(fcinfo, 0);
		RefuseForHash(fcinfo, Arg_ranges, strategy);
		RefuseForHash(fcinfo, Arg_comparator, strategy);
	}
	CheckPartitionKey(PG_GETARG_ARRAYTYPE_P(Arg_partition_key));
	CheckHash(text_to_cstring(PG_GETARG_TEXT_PP(Arg_hash_function)));
	CheckVirtualNodes(PG_GETARG_INT32(Arg_virtual_nodes), shard_count);
	CheckLimit(fcinfo, Arg_max_entities);
	CheckLimit(fcinfo, Arg_max_bytes);
	CheckLimit(fcinfo, Arg_min_entities);
	(void) RetryRead(PG_GETARG_JSONB_P(Arg_retry));
	if (default_shard < 0 || default_shard >= shard_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("default_shard %d is out of range", default_shard),
				 errhint("The shards are numbered 0 to %d.", shard_count - 1)));
	return shard_count;
}

/*
 * The arguments as they are stored: function as text.
 */
static void
StoreRouter(FunctionCallInfo fcinfo, int shard_count, const CheckedRanges *ranges)
{
	static Oid	types[NARGS] = {
		TEXTOID, TEXTOID, INT4OID, TEXTARRAYOID, TEXTOID, BOOLOID, TEXTOID, REGTYPEOID, JSONBOID,
		TEXTOID, INT4OID, INT4OID, TEXTOID, TEXTOID, INT8OID, INT8OID, INT8OID, JSONBOID,
		BOOLOID, BOOLOID, BOOLOID
	};
	Datum		values[NARGS];
	char		nulls[NARGS];

	for (int i = 0; i < NARGS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	if (!PG_ARGISNULL(Arg_partition_key_fn))
		values[Arg_partition_key_fn] =
			CStringGetTextDatum(RouterKeyFunction(PG_GETARG_OID(Arg_partition_key_fn)));
	values[Arg_shard_count] = Int32GetDatum(shard_count);
	nulls[Arg_shard_count] = ' ';
	if (ranges != NULL)
	{
		values[Arg_key_type] = ObjectIdGetDatum(ranges->order->type);
		values[Arg_ranges] = JsonbPGetDatum(RangesWrite(ranges->order, ranges->set));
		if (ranges->comparator != NULL)
			values[Arg_comparator] = CStringGetTextDatum(ranges->comparator);
	}
	RouterExecute("INSERT INTO _shard.router (name, strategy, members, partition_key, fallback_key,"
				  " strict, partition_key_fn, key_type, ranges, comparator, default_shard,"
				  " virtual_nodes, hash_function, shard_name_prefix, max_entities_per_shard,"
				  " max_bytes_per_shard, min_entities_per_shard, retry, enable_metrics,"
				  " track_access, track_metadata)"
				  " VALUES ($1, $2, ARRAY(SELECT pg_catalog.generate_series(0, $3 - 1)), $4, $5, $6,"
				  " $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)",
				  NARGS, types, values, nulls, SPI_OK_INSERT);
	RouterExecute("INSERT INTO _shard.shard (router, shard_index, shard_name, schema_name)"
				  " SELECT $1, i, $3 || i, $1 || '_shard_' || i"
				  " FROM pg_catalog.generate_series(0, $2 - 1) AS i",
				  3, (Oid[]) {TEXTOID, INT4OID, TEXTOID},
				  (Datum[]) {values[Arg_name], values[Arg_shard_count], values[Arg_shard_name_prefix]},
				  NULL, SPI_OK_INSERT);
	RouterExecute("INSERT INTO _shard.router_ready (router) VALUES ($1)", 1, types, values, NULL,
				  SPI_OK_INSERT);
}

static void
RefuseForeignSchemas(const char *router, int shard_count)
{
	for (int i = 0; i < shard_count; i++)
	{
		char	   *schema = psprintf("%s_shard_%d", router, i);

		if (OidIsValid(get_namespace_oid(schema, true)))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_SCHEMA),
					 errmsg("schema \"%s\" already exists", schema),
					 errdetail("Shard %d of router \"%s\" would be this schema.", i, router),
					 errhint("Drop or rename the schema, or choose another name for the router.")));
	}
}

Datum
shard_create_router(PG_FUNCTION_ARGS)
{
	CheckedRanges *ranges = NULL;
	int			shard_count = CheckDefinition(fcinfo, &ranges);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(Arg_name));

	RefuseForeignSchemas(name, shard_count);
	SPI_connect();
	StoreRouter(fcinfo, shard_count, ranges);
	SPI_finish();
	if (ranges == NULL)
		OpclassCreate(name);
	if (!PG_ARGISNULL(Arg_weights))
	{
		CommandCounterIncrement();
		CatalogForget();
		WeightsSet(name, PG_GETARG_ARRAYTYPE_P(Arg_weights));
	}
	CountersReset(name);		/* somebody else of that name is gone */
	PG_RETURN_VOID();
}

/* ---- alter ---- */

/* Arguments of shard.alter_router() beyond those that are columns. */
enum
{
	Alter_ranges = 11,
	Alter_default_shard,
	Alter_weights
};

/*
 * The default shard of a router whose tables have no default leaf: it only takes
 * things without a key.
 */
static void
AlterDefaultShard(const char *name, int shard_index)
{
	if (RouterShardByIndex(CatalogRouter(name, false), shard_index) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("router \"%s\" has no shard %d", name, shard_index),
				 errhint("View shard.shards lists its shards.")));
	SPI_connect();
	RouterExecute("UPDATE _shard.router SET default_shard = $2 WHERE name = $1",
				  2, (Oid[]) {TEXTOID, INT4OID},
				  (Datum[]) {CStringGetTextDatum(name), Int32GetDatum(shard_index)}, NULL,
				  SPI_OK_UPDATE);
	SPI_finish();
}

/*
 * Refuse to change how keys are found while tables are partitioned by an
 * expression that does it the old way.
 */
static void
RefuseKeyChange(const char *router)
{
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(router))
	{
		Bitmapset  *attnums;

		if (KeyIsExpression(lfirst_oid(lc), &attnums))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot change the fallback_key or partition_key_fn of router \"%s\"", router),
					 errdetail("The rows of table \"%s\" are placed by them.", get_rel_name(lfirst_oid(lc))),
					 errhint("Put the table together first with shard.undistribute_table(), or create another router.")));
	}
}

static void
AlterSettings(FunctionCallInfo fcinfo)
{
	static Oid	types[] = {
		TEXTOID, TEXTOID, BOOLOID, TEXTOID, INT8OID, INT8OID, INT8OID, JSONBOID, BOOLOID, BOOLOID,
		BOOLOID
	};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types)];

	for (int i = 0; i < lengthof(types); i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
		if (types[i] == INT8OID && !PG_ARGISNULL(i) && PG_GETARG_INT64(i) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("limit " INT64_FORMAT " is negative", PG_GETARG_INT64(i)),
					 errhint("Give a positive number, or 0 for no limit.")));
	}
	if (!PG_ARGISNULL(3))
		values[3] = CStringGetTextDatum(OidIsValid(PG_GETARG_OID(3)) ?
										RouterKeyFunction(PG_GETARG_OID(3)) : "");
	if (!PG_ARGISNULL(7))
		(void) RetryRead(PG_GETARG_JSONB_P(7));
	SPI_connect();
	RouterExecute("UPDATE _shard.router SET"
				  " fallback_key = NULLIF(COALESCE($2, fallback_key), ''),"
				  " strict = COALESCE($3, strict),"
				  " partition_key_fn = NULLIF(COALESCE($4, partition_key_fn), ''),"
				  " max_entities_per_shard = NULLIF(COALESCE($5, max_entities_per_shard), 0),"
				  " max_bytes_per_shard = NULLIF(COALESCE($6, max_bytes_per_shard), 0),"
				  " min_entities_per_shard = NULLIF(COALESCE($7, min_entities_per_shard), 0),"
				  " retry = COALESCE($8, retry),"
				  " enable_metrics = COALESCE($9, enable_metrics),"
				  " track_access = COALESCE($10, track_access),"
				  " track_metadata = COALESCE($11, track_metadata)"
				  " WHERE name = $1",
				  lengthof(types), types, values, nulls, SPI_OK_UPDATE);
	SPI_finish();
	CommandCounterIncrement();
}

/*
 * Change ranges and default shard; the id of the migration that moves keys, or 0.
 */
static int64
AlterRanges(FunctionCallInfo fcinfo, const char *name)
{
	bool		keep_ranges = PG_ARGISNULL(Alter_ranges);
	bool		keep_default = PG_ARGISNULL(Alter_default_shard);

	if (keep_ranges && keep_default)
		return 0;
	if (CatalogRouter(name, false)->strategy != STRATEGY_RANGE && keep_ranges)
	{
		AlterDefaultShard(name, PG_GETARG_INT32(Alter_default_shard));
		return 0;
	}
	return RangesAlter(name, keep_ranges ? NULL : PG_GETARG_JSONB_P(Alter_ranges),
					   keep_default ? KEEP_DEFAULT_SHARD : PG_GETARG_INT32(Alter_default_shard));
}

/*
 * Change settings, and under strategy range where keys belong.  A null argument
 * leaves things as they are; '' or 0 takes a value away.  Returns the id of the
 * migration that moves keys, null if there is none.
 */
Datum
shard_alter_router(PG_FUNCTION_ARGS)
{
	char	   *name;
	int64		migration;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("name must not be null")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) CatalogRouter(name, false);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(3))
		RefuseKeyChange(name);
	AlterSettings(fcinfo);
	migration = AlterRanges(fcinfo, name);
	if (!PG_ARGISNULL(Alter_weights))
		WeightsSet(name, PG_GETARG_ARRAYTYPE_P(Alter_weights));
	if (migration == 0)
		PG_RETURN_NULL();
	PG_RETURN_INT64(migration);
}

/* ---- drop ---- */

static void
RefuseTables(const char *router)
{
	List	   *parents = CatalogRouterParents(router);
	StringInfoData names;
	ListCell   *lc;

	if (parents == NIL)
		return;
	initStringInfo(&names);
	foreach(lc, parents)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 quote_qualified_identifier(get_namespace_name(get_rel_namespace(lfirst_oid(lc))),
													get_rel_name(lfirst_oid(lc))));
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("router \"%s\" still has sharded tables", router),
			 errdetail("Distributed by it: %s.", names.data),
			 errhint("Turn them into ordinary tables with shard.undistribute_table(), or drop them, first.")));
}

/*
 * Drop the schemas of the shards, as the caller.  One that holds something is
 * an error.
 */
static void
DropSchemas(List *schemas)
{
	ListCell   *lc;

	foreach(lc, schemas)
		RouterExecute(psprintf("DROP SCHEMA IF EXISTS %s RESTRICT", quote_identifier(lfirst(lc))),
					  0, NULL, NULL, NULL, SPI_OK_UTILITY);
}

Datum
shard_drop_router(PG_FUNCTION_ARGS)
{
	Datum		name = PG_GETARG_DATUM(0);
	const Router *router = CatalogRouter(TextDatumGetCString(name), false);
	char	   *router_name = pstrdup(router->name);
	bool		has_family = router->strategy != STRATEGY_RANGE;
	List	   *schemas = NIL;

	LockRouter(router_name, ExclusiveLock);
	RefuseTables(router_name);
	for (int i = 0; i < router->nshards; i++)
		if (OidIsValid(get_namespace_oid(router->shards[i].schema, true)))
			schemas = lappend(schemas, pstrdup(router->shards[i].schema));
	SPI_connect();
	DropSchemas(schemas);
	RouterExecute("DELETE FROM _shard.router WHERE name = $1", 1, (Oid[]) {TEXTOID}, &name, NULL,
				  SPI_OK_DELETE);
	SPI_finish();
	CountersForgetAtCommit(router_name);
	if (has_family)
		OpclassDrop(router_name);
	PG_RETURN_VOID();
}
