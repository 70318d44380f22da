/*
 * literal.c
 *		Values of the metadata as literals of engine SQL.
 */
#include "postgres.h"

#include <math.h>

#include "lake/iceberg/json.h"
#include "lake/internal.h"
#include "lib/stringinfo.h"

static int64
SignedValue(IcebergBytes bytes)
{
	uint64		value = 0;

	for (int i = bytes.len - 1; i >= 0; i--)
		value = (value << 8) | (unsigned char) bytes.data[i];
	return bytes.len == 4 ? (int64) (int32) value : (int64) value;
}

static char *
FloatText(IcebergBytes bytes)
{
	double		value;
	int			digits = 17;

	if (bytes.len == 4)
	{
		float		narrow;

		memcpy(&narrow, bytes.data, 4);
		value = narrow;
		digits = 9;
	}
	else
		memcpy(&value, bytes.data, 8);
	if (isnan(value))
		return "'nan'";
	if (isinf(value))
		return value < 0 ? "'-inf'" : "'inf'";
	return psprintf("'%.*g'", digits, value);
}

/* Digits of an unscaled decimal with its point. */
static char *
DecimalText(IcebergBytes bytes, int scale)
{
	int128		value = (bytes.data[0] & 0x80) != 0 ? -1 : 0;
	bool		negative = value < 0;
	char		digits[64];
	int			at = sizeof(digits) - 1;
	int			n = 0;

	for (int i = 0; i < bytes.len; i++)
		value = (int128) (((uint128) value << 8) | (unsigned char) bytes.data[i]);
	digits[at] = '\0';
	while (value != 0 || n <= scale)
	{
		int			digit = (int) (value % 10);

		if (n == scale && n > 0)
			digits[--at] = '.';
		digits[--at] = (char) ('0' + (digit < 0 ? -digit : digit));
		value /= 10;
		n++;
	}
	return psprintf("'%s%s'", negative ? "-" : "", &digits[at]);
}

/* The form in which the engine reads a blob from text. */
static char *
BlobText(IcebergBytes bytes)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '\'');
	for (int i = 0; i < bytes.len; i++)
		appendStringInfo(&text, "\\x%02X", (unsigned char) bytes.data[i]);
	appendStringInfoChar(&text, '\'');
	return text.data;
}

static char *
UuidText(IcebergBytes bytes)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '\'');
	for (int i = 0; i < bytes.len; i++)
		appendStringInfo(&text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
						 (unsigned char) bytes.data[i]);
	appendStringInfoChar(&text, '\'');
	return text.data;
}

/* The largest number of a type is infinity, its negative the other one; NULL for the rest. */
static char *
InfinityText(int64 value, int64 largest)
{
	return value == largest ? "'infinity'" : value == -largest ? "'-infinity'" : NULL;
}

/* Adding an interval would make the end of a day its begin. */
static char *
TimeText(int64 micros)
{
	int64		seconds = micros / 1000000;

	return psprintf("'%02d:%02d:%02d.%06d'", (int) (seconds / 3600), (int) (seconds / 60 % 60),
					(int) (seconds % 60), (int) (micros % 1000000));
}

char *
LakeLiteral(LakeType type, IcebergBytes value)
{
	char		name[64];
	char	   *text = "NULL";

	LakeTypeEngineName(type, name, sizeof(name));
	if (value.data != NULL && !IcebergBytesValid(type, value))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a partition value of a lake file has a wrong length")));
	if (value.data == NULL)
		return psprintf("CAST(NULL AS %s)", name);
	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			text = value.data[0] != 0 ? "true" : "false";
			break;
		case LAKE_INT:
		case LAKE_LONG:
			text = psprintf("'" INT64_FORMAT "'", SignedValue(value));
			break;
		case LAKE_FLOAT:
		case LAKE_DOUBLE:
			text = FloatText(value);
			break;
		case LAKE_DECIMAL:
			text = DecimalText(value, type.scale);
			break;
		case LAKE_DATE:
			text = InfinityText(SignedValue(value), PG_INT32_MAX);
			if (text == NULL)
				text = psprintf("DATE '1970-01-01' + CAST(" INT64_FORMAT " AS INTEGER)", SignedValue(value));
			break;
		case LAKE_TIME:
			text = TimeText(SignedValue(value));
			break;
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			text = InfinityText(SignedValue(value), PG_INT64_MAX);
			if (text == NULL)
				text = psprintf("make_timestamp(" INT64_FORMAT ")%s", SignedValue(value),
								type.kind == LAKE_TIMESTAMPTZ ? " AT TIME ZONE 'UTC'" : "");
			break;
		case LAKE_STRING:
		case LAKE_JSON:
		case LAKE_NESTED:
			text = EngineQuoteLiteral(pnstrdup(value.data, value.len));
			break;
		case LAKE_BINARY:
			text = BlobText(value);
			break;
		case LAKE_UUID:
			text = UuidText(value);
			break;
	}
	return psprintf("CAST(%s AS %s)", text, name);
}

/* Hexadecimal digits, as Iceberg's JSON has a binary value, as a blob. */
static char *
HexText(const char *hex)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '\'');
	for (; isxdigit((unsigned char) hex[0]) && isxdigit((unsigned char) hex[1]); hex += 2)
		appendStringInfo(&text, "\\x%c%c", hex[0], hex[1]);
	appendStringInfoChar(&text, '\'');
	return text.data;
}

/*
 * The value of a column in files that were written before it was added: null
 * but for format version 3, whose default is JSON.
 */
char *
LakeDefaultLiteral(const IcebergField *field)
{
	const Json *json;

	if (field->initial_default_json == NULL)
		return "NULL";
	json = JsonParse(field->initial_default_json, strlen(field->initial_default_json),
					 "a column's default");
	switch (json->kind)
	{
		case JSON_STRING:
			return field->type.kind == LAKE_BINARY ? HexText(json->text) :
				EngineQuoteLiteral(json->text);
		case JSON_INTEGER:
			return psprintf("'" INT64_FORMAT "'", json->integer);
		case JSON_REAL:
			return EngineQuoteLiteral(json->text);
		case JSON_TRUE:
			return "'true'";
		case JSON_FALSE:
			return "'false'";
		default:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" has an initial default that cannot be read: %s",
							field->name, field->initial_default_json)));
	}
}
