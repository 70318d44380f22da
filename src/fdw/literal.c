/*
 * literal.c
 *		Values of PostgreSQL as literals of engine SQL.
 *
 * Each literal spells its type, and is exact: floating point by its shortest
 * digits that read back the same, timestamps by their microseconds, decimals
 * with their own precision and scale.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "client/engine.h"
#include "common/shortest_dec.h"
#include "datatype/timestamp.h"
#include "fdw/literal.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define EPOCH_USECS ((int64) EPOCH_DAYS * USECS_PER_DAY)

const char *
EngineTypeName(Oid typid)
{
	switch (getBaseType(typid))
	{
		case BOOLOID:
			return "BOOLEAN";
		case INT2OID:
		case INT4OID:
			return "INTEGER";
		case INT8OID:
			return "BIGINT";
		case FLOAT4OID:
			return "FLOAT";
		case FLOAT8OID:
			return "DOUBLE";
		case NUMERICOID:
			return "DECIMAL";
		case DATEOID:
			return "DATE";
		case TIMEOID:
			return "TIME";
		case TIMESTAMPOID:
			return "TIMESTAMP";
		case TIMESTAMPTZOID:
			return "TIMESTAMPTZ";
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return "VARCHAR";
		case UUIDOID:
			return "UUID";
		case BYTEAOID:
			return "BLOB";
		default:
			return NULL;
	}
}

bool
NumericValueShape(Datum value, DecimalShape *shape)
{
	Numeric		num = DatumGetNumeric(value);
	char	   *text;
	char	   *p;
	bool		fraction = false;
	int			whole_digits = 0;

	if (numeric_is_nan(num) || numeric_is_inf(num))
		return false;
	shape->scale = 0;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(num)));
	for (p = text; *p != '\0'; p++)
	{
		if (*p == '.')
			fraction = true;
		else if (*p >= '0' && *p <= '9' && fraction)
			shape->scale++;
		else if (*p >= '0' && *p <= '9' && (whole_digits > 0 || *p != '0'))
			whole_digits++;
	}
	shape->precision = Max(whole_digits + shape->scale, 1);
	pfree(text);
	return shape->precision <= MAX_DECIMAL_DIGITS;
}

static bool
AppendNumeric(StringInfo buf, Datum value)
{
	DecimalShape shape;
	char	   *text;

	if (!NumericValueShape(value, &shape))
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, value));
	appendStringInfo(buf, "CAST('%s' AS DECIMAL(%d,%d))", text, shape.precision, shape.scale);
	return true;
}

static void
AppendText(StringInfo buf, Datum value)
{
	char	   *string = TextDatumGetCString(value);

	appendStringInfoString(buf, EngineQuoteLiteral(pg_server_to_any(string, strlen(string), PG_UTF8)));
}

static void
AppendBytes(StringInfo buf, Datum value)
{
	bytea	   *bytes = DatumGetByteaPP(value);
	const unsigned char *data = (unsigned char *) VARDATA_ANY(bytes);

	appendStringInfoString(buf, "unhex('");
	for (int i = 0; i < VARSIZE_ANY_EXHDR(bytes); i++)
		appendStringInfo(buf, "%02X", data[i]);
	appendStringInfoString(buf, "')");
}

static void
AppendDate(StringInfo buf, DateADT date)
{
	if (DATE_NOT_FINITE(date))
		appendStringInfo(buf, "CAST('%sinfinity' AS DATE)", DATE_IS_NOBEGIN(date) ? "-" : "");
	else
		appendStringInfo(buf, "(DATE '1970-01-01' + CAST(%d AS INTEGER))", date + EPOCH_DAYS);
}

/*
 * The engine counts microseconds from 1970, and so ends some decades earlier.
 */
static bool
AppendTimestamp(StringInfo buf, Timestamp ts, bool with_zone)
{
	const char *zone = with_zone ? "tz" : "";

	if (TIMESTAMP_NOT_FINITE(ts))
	{
		appendStringInfo(buf, "CAST('%sinfinity' AS TIMESTAMP%s)", TIMESTAMP_IS_NOBEGIN(ts) ? "-" : "", zone);
		return true;
	}
	if (ts >= PG_INT64_MAX - EPOCH_USECS)
		return false;
	appendStringInfo(buf, "make_timestamp%s(CAST('" INT64_FORMAT "' AS BIGINT))", zone, ts + EPOCH_USECS);
	return true;
}

/*
 * Types whose text form the engine reads exactly.
 */
static void
AppendByText(StringInfo buf, Oid typid, Datum value)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(typid, &output, &varlena);
	appendStringInfo(buf, "CAST('%s' AS %s)", OidOutputFunctionCall(output, value), EngineTypeName(typid));
}

/*
 * Negative zero is sent as zero: it equals it, but the engine would not find it
 * by a Bloom filter.
 */
static void
AppendFloat(StringInfo buf, float8 value, bool single)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (value == 0)
		value = 0;
	if (isnan(value) || isinf(value))
		strlcpy(digits, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity", sizeof(digits));
	else if (single)
		float_to_shortest_decimal_buf((float4) value, digits);
	else
		double_to_shortest_decimal_buf(value, digits);
	appendStringInfo(buf, "CAST('%s' AS %s)", digits, single ? "FLOAT" : "DOUBLE");
}

bool
AppendLiteral(StringInfo buf, Oid typid, Datum value, bool isnull)
{
	Oid			base = getBaseType(typid);

	if (isnull)
	{
		if (base == NUMERICOID)
			appendStringInfoString(buf, "NULL");
		else
			appendStringInfo(buf, "CAST(NULL AS %s)", EngineTypeName(base));
		return true;
	}
	switch (base)
	{
		case BOOLOID:
			appendStringInfoString(buf, DatumGetBool(value) ? "TRUE" : "FALSE");
			return true;
		case INT2OID:
			appendStringInfo(buf, "CAST(%d AS INTEGER)", DatumGetInt16(value));
			return true;
		case INT4OID:
			appendStringInfo(buf, "CAST(%d AS INTEGER)", DatumGetInt32(value));
			return true;
		case INT8OID:
			appendStringInfo(buf, "CAST('" INT64_FORMAT "' AS BIGINT)", DatumGetInt64(value));
			return true;
		case FLOAT4OID:
			AppendFloat(buf, DatumGetFloat4(value), true);
			return true;
		case FLOAT8OID:
			AppendFloat(buf, DatumGetFloat8(value), false);
			return true;
		case NUMERICOID:
			return AppendNumeric(buf, value);
		case DATEOID:
			AppendDate(buf, DatumGetDateADT(value));
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return AppendTimestamp(buf, DatumGetTimestamp(value), base == TIMESTAMPTZOID);
		case TIMEOID:
		case UUIDOID:
			AppendByText(buf, base, value);
			return true;
		case BPCHAROID:

			/* without its blanks: see expr.c */
			AppendText(buf, DirectFunctionCall1(rtrim1, value));
			return true;
		case TEXTOID:
		case VARCHAROID:
			AppendText(buf, value);
			return true;
		case BYTEAOID:
			AppendBytes(buf, value);
			return true;
		default:
			return false;
	}
}

bool
AppendInList(StringInfo buf, Oid element, Datum array, bool isnull)
{
	int16		len;
	bool		byval;
	char		align;
	Datum	   *values;
	bool	   *nulls;
	int			n;
	int			start = buf->len;

	if (isnull)
	{
		appendStringInfo(buf, "(CAST(NULL AS %s))", EngineTypeName(element));
		return true;
	}
	get_typlenbyvalalign(element, &len, &byval, &align);
	deconstruct_array(DatumGetArrayTypeP(array), element, len, byval, align, &values, &nulls, &n);
	if (n == 0)
	{
		appendStringInfo(buf, "(SELECT CAST(NULL AS %s) WHERE false)", EngineTypeName(element));
		return true;
	}
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(buf, i == 0 ? "(" : ", ");
		if (!AppendLiteral(buf, element, values[i], nulls[i]))
		{
			buf->len = start;
			buf->data[start] = '\0';
			return false;
		}
	}
	appendStringInfoChar(buf, ')');
	return true;
}
