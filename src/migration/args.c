/*
 * args.c
 *		Reading the arguments that the SQL functions of this folder share.
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "migration/args.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define DEFAULT_THRESHOLD 0.3

void
ArgRefuseNull(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", what)));
}

char *
ArgText(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static void
RefuseNullElement(bool isnull, const char *what)
{
	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not contain nulls", what)));
}

List *
ArgKeys(FunctionCallInfo fcinfo, int n)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *keys = NIL;

	if (PG_ARGISNULL(n))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, &count);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition_keys must not be empty"),
				 errhint("Leave it out where the keys are to be chosen.")));
	for (int i = 0; i < count; i++)
	{
		char	   *key;

		RefuseNullElement(nulls[i], "partition_keys");
		key = TextDatumGetCString(elements[i]);
		if (key[0] == '\0')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("partition key '' is empty")));
		keys = lappend(keys, key);
	}
	return keys;
}

List *
ArgShards(FunctionCallInfo fcinfo, int n)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	List	   *shards = NIL;

	if (PG_ARGISNULL(n))
		return NIL;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		RefuseNullElement(nulls[i], "target_shards");
		shards = lappend_int(shards, DatumGetInt32(elements[i]));
	}
	return shards;
}

double
ArgThreshold(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? DEFAULT_THRESHOLD : PG_GETARG_FLOAT8(n);
}
