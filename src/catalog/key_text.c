/*
 * key_text.c
 *		The text form of values in partition keys.
 *
 * A row routes by this text, so it must be the same for ever: whatever
 * DateStyle, TimeZone or extra_float_digits say, and the same for all values
 * that "=" calls equal, because a query's constant finds the shard by its own
 * text.  That leaves out floating point (-0 and 0 are equal), char(n) and
 * citext.  It is what to_jsonb() shows, with times in UTC, so that a row routes
 * alike as a row and as JSON.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/key_text.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

static bool
IsInteger(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
IsText(Oid type)
{
	return type == TEXTOID || type == VARCHAROID;
}

bool
KeyTextSupports(Oid type)
{
	type = getBaseType(type);
	switch (type)
	{
		case BOOLOID:
		case NUMERICOID:
		case UUIDOID:
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
		default:
			return IsInteger(type) || IsText(type) || type_is_enum(type);
	}
}

bool
KeyJsonSupports(Oid type)
{
	switch (getBaseType(type))
	{
		case FLOAT4OID:
		case FLOAT8OID:
		case JSONOID:
		case JSONBOID:
			return true;
		default:
			return KeyTextSupports(type);
	}
}

bool
KeyTextComparable(Oid a, Oid b)
{
	a = getBaseType(a);
	b = getBaseType(b);
	return a == b || (IsInteger(a) && IsInteger(b)) || (IsText(a) && IsText(b));
}

static void
AppendInteger(StringInfo buf, int64 value)
{
	char		digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(buf, digits, pg_lltoa(value, digits));
}

static void
AppendTime(StringInfo buf, Oid type, Datum value)
{
	char		text[MAXDATELEN + 1];
	int			utc = 0;

	appendStringInfoString(buf, JsonEncodeDateTime(text, value, type, &utc));
}

static void
AppendText(StringInfo buf, Datum value)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

	appendBinaryStringInfo(buf, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
	if ((Pointer) text != DatumGetPointer(value))
		pfree(text);
}

void
KeyTextAppend(StringInfo buf, Oid type, Datum value)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			AppendText(buf, value);
			break;
		case INT2OID:
			AppendInteger(buf, DatumGetInt16(value));
			break;
		case INT4OID:
			AppendInteger(buf, DatumGetInt32(value));
			break;
		case INT8OID:
			AppendInteger(buf, DatumGetInt64(value));
			break;
		case BOOLOID:
			appendStringInfoString(buf, DatumGetBool(value) ? "true" : "false");
			break;
		case NUMERICOID:
			appendStringInfoString(buf, numeric_normalize(DatumGetNumeric(value)));
			break;
		case UUIDOID:
			appendStringInfoString(buf, DatumGetCString(DirectFunctionCall1(uuid_out, value)));
			break;
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			AppendTime(buf, type, value);
			break;
		case UNKNOWNOID:
			appendStringInfoString(buf, DatumGetCString(value));
			break;
		default:
			appendStringInfoString(buf, DatumGetCString(DirectFunctionCall1(enum_out, value)));
			break;
	}
}
