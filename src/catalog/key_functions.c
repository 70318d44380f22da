/*
 * key_functions.c
 *		The functions of which partition keys that are expressions consist.
 *
 *	_shard.partition_key(part, ...)				parts joined by ':'
 *	_shard.partition_key_or(fallback, part, ...)	that, or the fallback
 *	_shard.key_object(names, value, ...)		JSON for a partition_key_fn
 *	_shard.probe_key(part, ...)					partition_key() for queries
 *
 * A row whose key is NULL would go to shard 0 without a question, so the first
 * two are not strict and raise an error instead.  They also refuse empty parts:
 * a missing part is not the same as an empty one in a row, but is to JSON
 * things, see shard.extract_partition_key().  A query may well ask for a null or
 * empty key, and gets nothing: hence the fourth, which gives NULL then.
 */
#include "postgres.h"

#include <math.h>

#include "base/compat.h"
#include "catalog/key_text.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(shard_partition_key);
PG_FUNCTION_INFO_V1(shard_partition_key_or);
PG_FUNCTION_INFO_V1(shard_probe_key);
PG_FUNCTION_INFO_V1(shard_key_object);

/* What a call looks up once: the base types of its arguments. */
static const Oid *
ArgumentTypes(FunctionCallInfo fcinfo)
{
	Oid		   *types = fcinfo->flinfo->fn_extra;

	if (likely(types != NULL))
		return types;
	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("parts of a partition key cannot be given as an array")));
	types = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, PG_NARGS() * sizeof(Oid));
	for (int i = 0; i < PG_NARGS(); i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, i);

		if (!OidIsValid(type))
			elog(ERROR, "could not determine the type of argument %d", i + 1);
		types[i] = getBaseType(type);
	}
	fcinfo->flinfo->fn_extra = types;
	return types;
}

static void
RequireSupported(Oid type)
{
	if (type != UNKNOWNOID && !KeyTextSupports(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a value of type %s cannot be part of a partition key",
						format_type_be(type))));
}

/* What is found of a part. */
typedef enum Part
{
	PART_GIVEN,
	PART_NULL,
	PART_EMPTY
} Part;

static Part
AppendPart(StringInfo buf, FunctionCallInfo fcinfo, const Oid *types, int arg)
{
	int			before = buf->len;

	if (PG_ARGISNULL(arg))
		return PART_NULL;
	RequireSupported(types[arg]);
	KeyTextAppend(buf, types[arg], PG_GETARG_DATUM(arg));
	return buf->len > before ? PART_GIVEN : PART_EMPTY;
}

/*
 * Join the arguments from first on; the number of the first part that is null
 * or empty goes to *missing.
 */
static Part
JoinParts(StringInfo buf, FunctionCallInfo fcinfo, int first, int *missing)
{
	const Oid  *types = ArgumentTypes(fcinfo);
	Part		worst = PART_GIVEN;

	for (int i = first; i < PG_NARGS(); i++)
	{
		Part		part;

		if (i > first)
			appendStringInfoChar(buf, ':');
		part = AppendPart(buf, fcinfo, types, i);
		if (part == PART_EMPTY || (part == PART_NULL && worst == PART_GIVEN))
		{
			worst = part;
			*missing = i - first + 1;
		}
		if (worst == PART_EMPTY)
			break;
	}
	return worst;
}

static text *
AsText(const StringInfoData *buf)
{
	return cstring_to_text_with_len(buf->data, buf->len);
}

pg_noreturn static void
RefuseKey(Part part, int number, int nparts, const char *hint)
{
	const char *what = part == PART_NULL ? "null" : "empty";

	ereport(ERROR,
			(errcode(part == PART_NULL ? ERRCODE_NULL_VALUE_NOT_ALLOWED : ERRCODE_CHECK_VIOLATION),
			 nparts > 1 ?
			 errmsg("part %d of the row's partition key is %s", number, what) :
			 errmsg("the row's partition key is %s", what),
			 errdetail("A row without a partition key belongs to no shard."),
			 errhint("%s", hint)));
}

Datum
shard_partition_key(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	int			missing = 0;
	Part		part;

	initStringInfo(&buf);
	part = JoinParts(&buf, fcinfo, 0, &missing);
	if (unlikely(part != PART_GIVEN))
		RefuseKey(part, missing, PG_NARGS(),
				  "Give every column of the partition key a value.");
	PG_RETURN_TEXT_P(AsText(&buf));
}

Datum
shard_partition_key_or(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	int			missing = 0;
	Part		part;

	initStringInfo(&buf);
	part = JoinParts(&buf, fcinfo, 1, &missing);
	if (unlikely(part == PART_EMPTY))
		RefuseKey(part, missing, PG_NARGS() - 1,
				  "Give every column of the partition key a value, or null for the fallback key.");
	if (part == PART_NULL)
	{
		resetStringInfo(&buf);
		part = AppendPart(&buf, fcinfo, ArgumentTypes(fcinfo), 0);
		if (unlikely(part != PART_GIVEN))
			RefuseKey(part, 1, 1,
					  "Give the columns of the partition key, or the fallback key, a value.");
	}
	PG_RETURN_TEXT_P(AsText(&buf));
}

Datum
shard_probe_key(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	int			missing;

	initStringInfo(&buf);
	if (JoinParts(&buf, fcinfo, 0, &missing) != PART_GIVEN)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(AsText(&buf));
}

/* ---- JSON for a partition_key_fn ---- */

static JsonbValue
StringValue(const char *data, int len)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, data);
	value.val.string.len = len;
	return value;
}

static JsonbValue
NumericValue(Numeric numeric)
{
	JsonbValue	value = {.type = jbvNumeric};

	value.val.numeric = numeric;
	return value;
}

/*
 * A floating-point number by its shortest digits; what is no number is a string.
 */
static JsonbValue
FloatValue(Oid type, Datum datum)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];
	double		number = type == FLOAT8OID ? DatumGetFloat8(datum) : DatumGetFloat4(datum);

	if (type == FLOAT8OID)
		double_to_shortest_decimal_buf(number, digits);
	else
		float_to_shortest_decimal_buf(DatumGetFloat4(datum), digits);
	if (isnan(number) || isinf(number))
		return StringValue(pstrdup(digits), strlen(digits));
	return NumericValue(DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(digits),
															ObjectIdGetDatum(InvalidOid),
															Int32GetDatum(-1))));
}

static JsonbValue
NestedValue(Datum datum)
{
	Jsonb	   *json = DatumGetJsonbP(datum);
	JsonbValue	value = {.type = jbvBinary};

	if (JB_ROOT_IS_SCALAR(json))
	{
		(void) JsonbExtractScalar(&json->root, &value);
		return value;
	}
	value.val.binary.data = &json->root;
	value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	return value;
}

/*
 * A value as to_jsonb() shows it, whatever the settings.
 */
static JsonbValue
JsonOf(Oid type, Datum datum)
{
	JsonbValue	value = {0};
	StringInfoData buf;

	switch (type)
	{
		case FLOAT4OID:
		case FLOAT8OID:
			return FloatValue(type, datum);
		case JSONOID:
			return NestedValue(DirectFunctionCall1(jsonb_in,
												   CStringGetDatum(TextDatumGetCString(datum))));
		case JSONBOID:
			return NestedValue(datum);
		case BOOLOID:
			value.type = jbvBool;
			value.val.boolean = DatumGetBool(datum);
			return value;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return NumericValue(int64_to_numeric(type == INT8OID ? DatumGetInt64(datum) :
												 type == INT4OID ? DatumGetInt32(datum) :
												 DatumGetInt16(datum)));
		case NUMERICOID:
			if (numeric_is_nan(DatumGetNumeric(datum)) || numeric_is_inf(DatumGetNumeric(datum)))
				break;
			return NumericValue(DatumGetNumeric(datum));
		default:
			break;
	}
	initStringInfo(&buf);
	KeyTextAppend(&buf, type, datum);
	return StringValue(buf.data, buf.len);
}

static void
PushField(JsonbParseState **state, text *name, bool isnull, Oid type, Datum value)
{
	JsonbValue	key = StringValue(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	JsonbValue	field = {.type = jbvNull};

	(void) pushJsonbValue(state, WJB_KEY, &key);
	if (!isnull && !KeyJsonSupports(type))
		RequireSupported(type);
	if (!isnull)
		field = JsonOf(type, value);
	(void) pushJsonbValue(state, WJB_VALUE, &field);
}

/*
 * _shard.key_object(names text[], VARIADIC "any"): as many values as names.
 */
Datum
shard_key_object(PG_FUNCTION_ARGS)
{
	const Oid  *types = ArgumentTypes(fcinfo);
	JsonbParseState *state = NULL;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &names, &nulls, &n);
	if (n != PG_NARGS() - 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d names are given for %d values", n, PG_NARGS() - 1)));
	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			PushField(&state, DatumGetTextPP(names[i]), PG_ARGISNULL(i + 1), types[i + 1],
					  PG_GETARG_DATUM(i + 1));
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}
