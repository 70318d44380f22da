/*
 * functions.c
 *		SQL functions that ask a router: route, shard_info, distribution,
 *		extract_partition_key, assign.
 */
#include "postgres.h"

#include <math.h>

#include "base/compat.h"
#include "catalog/columns.h"
#include "catalog/internal.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/regproc.h"

PG_FUNCTION_INFO_V1(shard_route);
PG_FUNCTION_INFO_V1(shard_info);
PG_FUNCTION_INFO_V1(shard_key_position);
PG_FUNCTION_INFO_V1(shard_distribution);
PG_FUNCTION_INFO_V1(shard_extract_partition_key);
PG_FUNCTION_INFO_V1(shard_assign);

static void
RequireKey(text *key)
{
	if (VARSIZE_ANY_EXHDR(key) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty"),
				 errhint("Give a key of at least one character.")));
}

static int
Route(const Router *router, text *key)
{
	RequireKey(key);
	return CatalogRoute(router, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key));
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

static Datum
SharesAsJson(const Router *router, const int64 *counts, int sample_size)
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
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	int			sample_size = PG_GETARG_INT32(1);
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
				 errmsg("sample_size %d is not positive", sample_size)));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	SampleKeys(router, sample_size, counts);
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

/* ---- a thing's partition key ---- */

/* How a router finds the key of a thing. */
typedef struct KeyRule
{
	List	   *fields;			/* of char * */
	char	   *fallback;		/* or NULL */
	char	   *function;		/* or NULL */
	bool		strict;
} KeyRule;

static KeyRule
ReadKeyRule(const char *router)
{
	Datum		key = CStringGetTextDatum(router);
	CatalogScan scan = CatalogScanBegin("router", 1, &key);
	HeapTuple	tuple = CatalogScanNext(&scan);
	KeyRule		rule;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "router \"%s\" is gone", router);
	rule.fields = CatalogTextListColumn(&scan, tuple, Anum_router_partition_key);
	rule.fallback = CatalogTextColumn(&scan, tuple, Anum_router_fallback_key);
	rule.function = CatalogTextColumn(&scan, tuple, Anum_router_partition_key_fn);
	rule.strict = DatumGetBool(CatalogColumn(&scan, tuple, Anum_router_strict, NULL));
	CatalogScanEnd(&scan);
	return rule;
}

/*
 * A field of a thing as text; NULL if it is absent, null or empty.
 */
static char *
Field(Jsonb *thing, const char *name)
{
	JsonbValue	buf;
	JsonbValue *value = NULL;
	char	   *result;

	if (JB_ROOT_IS_OBJECT(thing))
		value = getKeyJsonValueFromContainer(&thing->root, name, (int) strlen(name), &buf);
	if (value == NULL || value->type == jbvNull)
		return NULL;
	switch (value->type)
	{
		case jbvString:
			result = pnstrdup(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			result = DatumGetCString(DirectFunctionCall1(numeric_out,
														 NumericGetDatum(value->val.numeric)));
			break;
		case jbvBool:
			result = pstrdup(value->val.boolean ? "true" : "false");
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("field \"%s\" is an object or an array and cannot be a partition key",
							name)));
	}
	return result[0] != '\0' ? result : NULL;
}

static char *
CallKeyFunction(const char *function, Jsonb *thing)
{
	LOCAL_FCINFO(call, 1);
	Oid			oid = DatumGetObjectId(DirectFunctionCall1(regprocedurein,
														   CStringGetDatum(function)));
	FmgrInfo	flinfo;
	Datum		result;

	if (FunctionAclCheck(oid, GetUserId(), ACL_EXECUTE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, function);
	fmgr_info(oid, &flinfo);
	InitFunctionCallInfoData(*call, &flinfo, 1, InvalidOid, NULL, NULL);
	call->args[0].value = JsonbPGetDatum(thing);
	call->args[0].isnull = false;
	result = FunctionCallInvoke(call);
	return call->isnull ? NULL : TextDatumGetCString(result);
}

/*
 * The fields' values joined by ':'; NULL if one is missing, whose name is then
 * put into *missing.
 */
static char *
JoinFields(Jsonb *thing, List *fields, char **missing)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, fields)
	{
		char	   *value = Field(thing, lfirst(lc));

		if (value == NULL)
		{
			*missing = lfirst(lc);
			return NULL;
		}
		if (foreach_current_index(lc) > 0)
			appendStringInfoChar(&buf, ':');
		appendStringInfoString(&buf, value);
	}
	return buf.data;
}

/*
 * The key of a thing by the router's rule; NULL only if the router is not
 * strict and the thing has none.
 */
static char *
ExtractKey(const char *router, Jsonb *thing)
{
	KeyRule		rule = ReadKeyRule(router);
	char	   *missing = NULL;
	char	   *key;

	if (rule.function != NULL)
	{
		key = CallKeyFunction(rule.function, thing);
		missing = rule.function;
	}
	else
		key = JoinFields(thing, rule.fields, &missing);
	if ((key == NULL || key[0] == '\0') && rule.fallback != NULL)
		key = Field(thing, rule.fallback);
	if (key != NULL && key[0] != '\0')
		return key;
	if (rule.strict)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 rule.function != NULL ?
				 errmsg("function %s gives no partition key for this thing", missing) :
				 errmsg("partition key field \"%s\" is missing, null or empty", missing),
				 rule.fallback != NULL ?
				 errdetail("The fallback key \"%s\" is missing, too.", rule.fallback) : 0,
				 errhint("Give the field, or a router with a fallback_key or with strict => false.")));
	return NULL;
}

Datum
shard_extract_partition_key(PG_FUNCTION_ARGS)
{
	const Router *router = CatalogRouter(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	char	   *key = ExtractKey(router->name, PG_GETARG_JSONB_P(1));

	if (key == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(key));
}

/*
 * Shard of a thing.  One without a key goes to the router's default shard, if
 * the router is not strict.
 */
Datum
shard_assign(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = ExtractKey(CatalogRouter(name, false)->name, PG_GETARG_JSONB_P(1));

	if (key == NULL)
		PG_RETURN_INT32(CatalogRouter(name, false)->default_shard);
	PG_RETURN_INT32(CatalogRoute(CatalogRouter(name, false), key, strlen(key)));
}
