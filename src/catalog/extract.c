/*
 * extract.c
 *		A thing's partition key: what a router's partition_key, fallback_key,
 *		strict and partition_key_fn say about JSON.
 *
 * A part that is absent, null or empty is missing.  Without its key a thing has
 * the fallback key's; without that, too, it is an error under a strict router,
 * and belongs to the default shard else.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/columns.h"
#include "catalog/internal.h"
#include "catalog/pg_proc.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/regproc.h"

PG_FUNCTION_INFO_V1(shard_extract_partition_key);
PG_FUNCTION_INFO_V1(shard_assign);

KeyRule
CatalogKeyRule(const char *router)
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
 * The value at a dotted path into nested objects, or NULL.
 */
static JsonbValue *
ValueAtPath(JsonbContainer *container, const char *path, JsonbValue *buf)
{
	for (;;)
	{
		const char *dot = strchr(path, '.');
		int			len = dot != NULL ? dot - path : strlen(path);
		JsonbValue *value;

		if (!JsonContainerIsObject(container))
			return NULL;
		value = getKeyJsonValueFromContainer(container, path, len, buf);
		if (value == NULL || dot == NULL)
			return value;
		if (value->type != jbvBinary)
			return NULL;
		container = value->val.binary.data;
		path = dot + 1;
	}
}

/*
 * The value of a field: of that very name, or else at that path.
 */
static JsonbValue *
FieldValue(Jsonb *thing, const char *name, JsonbValue *buf)
{
	JsonbValue *value;

	if (!JB_ROOT_IS_OBJECT(thing))
		return NULL;
	value = getKeyJsonValueFromContainer(&thing->root, name, (int) strlen(name), buf);
	return value != NULL ? value : ValueAtPath(&thing->root, name, buf);
}

/*
 * A field of a thing as text, as KeyTextAppend() gives it for a column; NULL if
 * it is absent, null or empty.
 */
static char *
Field(Jsonb *thing, const char *name)
{
	JsonbValue	buf;
	JsonbValue *value = FieldValue(thing, name, &buf);
	char	   *result;

	if (value == NULL || value->type == jbvNull)
		return NULL;
	switch (value->type)
	{
		case jbvString:
			result = pnstrdup(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			result = numeric_normalize(value->val.numeric);
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
	KeyRule		rule = CatalogKeyRule(router);
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
	const Router *router = CatalogRouter(name, false);
	int			shard_index = router->default_shard;

	if (key != NULL)
		shard_index = CatalogRoute(router, key, strlen(key));
	if (router->enable_metrics)
		CountRouting(router->counters, shard_index);
	PG_RETURN_INT32(shard_index);
}
