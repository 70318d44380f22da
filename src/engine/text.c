/*
 * text.c
 *		Rendering of values that have no column type of their own on the wire.
 */
#include "engine/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/fail.h"

#define MAX_DEPTH 64

void
TextAppend(Text *text, const char *data, size_t len)
{
	if (text->len + len + 1 > text->allocated)
	{
		size_t		size = text->allocated > 0 ? text->allocated : 256;

		while (size < text->len + len + 1)
			size *= 2;
		text->data = text->data ? mem_realloc(text->data, size) : mem_alloc(size);
		text->allocated = size;
	}
	memcpy(text->data + text->len, data, len);
	text->len += len;
}

void
TextPrintf(Text *text, const char *fmt,...)
{
	char		buf[128];
	va_list		args;
	int			n;

	va_start(args, fmt);
	n = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	TextAppend(text, buf, n < (int) sizeof(buf) ? n : (int) sizeof(buf) - 1);
}

/* ---- types ---- */

static TypeNode *BuildNode(duckdb_logical_type type, int depth);

/*
 * Build a child from a logical type that is ours to destroy.
 */
static TypeNode *
BuildOwned(duckdb_logical_type type, int depth)
{
	TypeNode   *node = BuildNode(type, depth);

	duckdb_destroy_logical_type(&type);
	return node;
}

static char *
CopyName(char *name)
{
	char	   *copy = mem_strdup(name != NULL ? name : "");

	duckdb_free(name);
	return copy;
}

static void
AllocateChildren(TypeNode *node, uint64 n)
{
	node->nchildren = (int) n;
	node->children = mem_alloc0(sizeof(TypeNode *) * (n > 0 ? n : 1));
	node->names = mem_alloc0(sizeof(char *) * (n > 0 ? n : 1));
}

static void
BuildEnum(TypeNode *node, duckdb_logical_type type)
{
	node->internal = duckdb_enum_internal_type(type);
	node->nlabels = (int) duckdb_enum_dictionary_size(type);
	node->names = mem_alloc0(sizeof(char *) * (node->nlabels > 0 ? node->nlabels : 1));
	for (int i = 0; i < node->nlabels; i++)
		node->names[i] = CopyName(duckdb_enum_dictionary_value(type, i));
}

static TypeNode *
BuildNode(duckdb_logical_type type, int depth)
{
	TypeNode   *node = mem_alloc0(sizeof(TypeNode));

	if (depth > MAX_DEPTH)
		Fail("54001", "a value is nested more than %d levels deep", MAX_DEPTH);
	node->id = duckdb_get_type_id(type);
	switch (node->id)
	{
		case DUCKDB_TYPE_DECIMAL:
			node->internal = duckdb_decimal_internal_type(type);
			node->precision = duckdb_decimal_width(type);
			node->scale = duckdb_decimal_scale(type);
			break;
		case DUCKDB_TYPE_ENUM:
			BuildEnum(node, type);
			break;
		case DUCKDB_TYPE_LIST:
			AllocateChildren(node, 1);
			node->children[0] = BuildOwned(duckdb_list_type_child_type(type), depth + 1);
			break;
		case DUCKDB_TYPE_ARRAY:
			AllocateChildren(node, 1);
			node->array_size = duckdb_array_type_array_size(type);
			node->children[0] = BuildOwned(duckdb_array_type_child_type(type), depth + 1);
			break;
		case DUCKDB_TYPE_MAP:
			AllocateChildren(node, 2);
			node->children[0] = BuildOwned(duckdb_map_type_key_type(type), depth + 1);
			node->children[1] = BuildOwned(duckdb_map_type_value_type(type), depth + 1);
			break;
		case DUCKDB_TYPE_STRUCT:
			AllocateChildren(node, duckdb_struct_type_child_count(type));
			for (int i = 0; i < node->nchildren; i++)
			{
				node->children[i] = BuildOwned(duckdb_struct_type_child_type(type, i), depth + 1);
				node->names[i] = CopyName(duckdb_struct_type_child_name(type, i));
			}
			break;
		case DUCKDB_TYPE_UNION:
			AllocateChildren(node, duckdb_union_type_member_count(type));
			for (int i = 0; i < node->nchildren; i++)
			{
				node->children[i] = BuildOwned(duckdb_union_type_member_type(type, i), depth + 1);
				node->names[i] = CopyName(duckdb_union_type_member_name(type, i));
			}
			break;
		default:
			break;
	}
	return node;
}

TypeNode *
TypeNodeBuild(duckdb_logical_type type)
{
	return BuildNode(type, 0);
}

bool
RowIsValid(duckdb_vector vector, uint64 row)
{
	uint64_t   *validity = duckdb_vector_get_validity(vector);

	return validity == NULL || duckdb_validity_row_is_valid(validity, row);
}

/* ---- scalars ---- */

int128
DecimalAt(const TypeNode *type, const void *data, uint64 row)
{
	int128		value;

	switch (type->internal)
	{
		case DUCKDB_TYPE_SMALLINT:
			return ((const int16 *) data)[row];
		case DUCKDB_TYPE_INTEGER:
			return ((const int32 *) data)[row];
		case DUCKDB_TYPE_BIGINT:
			return ((const int64 *) data)[row];
		default:
			memcpy(&value, (const char *) data + row * sizeof(value), sizeof(value));
			return value;
	}
}

const char *
EnumLabel(const TypeNode *type, const void *data, uint64 row)
{
	uint32		index;

	switch (type->internal)
	{
		case DUCKDB_TYPE_UTINYINT:
			index = ((const uint8 *) data)[row];
			break;
		case DUCKDB_TYPE_USMALLINT:
			index = ((const uint16 *) data)[row];
			break;
		default:
			index = ((const uint32 *) data)[row];
			break;
	}
	if (index >= (uint32) type->nlabels)
		Fail("XX000", "enum value %u has no label", index);
	return type->names[index];
}

/*
 * Digits of an integer of 128 bits, with a decimal point.
 */
static void
AppendInt128(Text *text, unsigned __int128 magnitude, bool negative, int scale)
{
	char		digits[48];
	int			n = 0;

	do
	{
		digits[n++] = '0' + (int) (magnitude % 10);
		magnitude /= 10;
	} while (magnitude > 0 || n <= scale);
	if (negative)
		TextAppend(text, "-", 1);
	while (n > 0)
	{
		TextAppend(text, &digits[--n], 1);
		if (n == scale && scale > 0)
			TextAppend(text, ".", 1);
	}
}

static void
AppendSigned128(Text *text, int128 value, int scale)
{
	AppendInt128(text, value < 0 ? -(unsigned __int128) value : (unsigned __int128) value,
				 value < 0, scale);
}

static void
AppendTime(Text *text, int64 usecs)
{
	TextPrintf(text, "%02d:%02d:%02d", (int) (usecs / 3600000000), (int) (usecs / 60000000 % 60),
			   (int) (usecs / 1000000 % 60));
	if (usecs % 1000000 != 0)
		TextPrintf(text, ".%06d", (int) (usecs % 1000000));
}

static void
AppendDate(Text *text, int32 days)
{
	duckdb_date date = {days};
	duckdb_date_struct parts;

	if (!duckdb_is_finite_date(date))
	{
		TextPrintf(text, "%s", days > 0 ? "infinity" : "-infinity");
		return;
	}
	parts = duckdb_from_date(date);
	if (parts.year > 0)
		TextPrintf(text, "%04d-%02d-%02d", parts.year, parts.month, parts.day);
	else
		TextPrintf(text, "%04d-%02d-%02d BC", 1 - parts.year, parts.month, parts.day);
}

static void
AppendTimestamp(Text *text, int64 usecs, bool with_zone)
{
	const int64 day = 86400000000;
	int64		days = usecs / day;
	int64		rest = usecs % day;

	if (usecs == INT64_MAX || usecs == -INT64_MAX)
	{
		TextPrintf(text, "%s", usecs > 0 ? "infinity" : "-infinity");
		return;
	}
	if (rest < 0)
	{
		rest += day;
		days--;
	}
	AppendDate(text, (int32) days);
	TextAppend(text, " ", 1);
	AppendTime(text, rest);
	if (with_zone)
		TextAppend(text, "+00", 3);
}

static void
AppendInterval(Text *text, duckdb_interval interval)
{
	uint64		usecs = interval.micros < 0 ? -(uint64) interval.micros : (uint64) interval.micros;

	TextPrintf(text, "%d mons %d days %s%llu:%02d:%02d.%06d", interval.months, interval.days,
			   interval.micros < 0 ? "-" : "",
			   (unsigned long long) (usecs / 3600000000ULL), (int) (usecs / 60000000 % 60),
			   (int) (usecs / 1000000 % 60), (int) (usecs % 1000000));
}

/*
 * The first byte counts the padding bits at the front of the second.
 */
static void
AppendBits(Text *text, duckdb_string_t value)
{
	const uint8 *bytes = (const uint8 *) duckdb_string_t_data(&value);
	uint32		nbits = (duckdb_string_t_length(value) - 1) * 8;

	for (uint32 i = bytes[0]; i < nbits; i++)
		TextAppend(text, bytes[1 + i / 8] >> (7 - i % 8) & 1 ? "1" : "0", 1);
}

static void
AppendTimeTz(Text *text, duckdb_time_tz value)
{
	duckdb_time_tz_struct parts = duckdb_from_time_tz(value);
	int32		offset = parts.offset < 0 ? -parts.offset : parts.offset;

	TextPrintf(text, "%02d:%02d:%02d.%06d%c%02d:%02d:%02d", parts.time.hour, parts.time.min,
			   parts.time.sec, parts.time.micros, parts.offset < 0 ? '-' : '+',
			   offset / 3600, offset / 60 % 60, offset % 60);
}

void
AppendScalarText(Text *text, const TypeNode *type, const void *data, uint64 row)
{
	switch (type->id)
	{
		case DUCKDB_TYPE_INTERVAL:
			AppendInterval(text, ((const duckdb_interval *) data)[row]);
			return;
		case DUCKDB_TYPE_BIT:
			AppendBits(text, ((const duckdb_string_t *) data)[row]);
			return;
		case DUCKDB_TYPE_TIME_TZ:
			AppendTimeTz(text, ((const duckdb_time_tz *) data)[row]);
			return;
		default:
			Fail("0A000", "the engine's result has a column of a type that is not supported (%d)",
				 (int) type->id);
	}
}

/* ---- JSON ---- */

static void
AppendJsonString(Text *text, const char *data, size_t len)
{
	size_t		plain = 0;

	TextAppend(text, "\"", 1);
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) data[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		TextAppend(text, data + plain, i - plain);
		plain = i + 1;
		if (c == '"' || c == '\\')
			TextPrintf(text, "\\%c", c);
		else
			TextPrintf(text, "\\u%04x", c);
	}
	TextAppend(text, data + plain, len - plain);
	TextAppend(text, "\"", 1);
}

/*
 * As few digits as read back as the same value, and at most as many as the type
 * may need.  JSON has no number that is not finite.
 */
static void
AppendJsonDouble(Text *text, double value, bool single)
{
	char		buf[32];
	int			most = single ? 9 : 17;

	if (isfinite(value))
	{
		for (int digits = single ? 6 : 15; digits <= most; digits++)
		{
			snprintf(buf, sizeof(buf), "%.*g", digits, value);
			if (single ? strtof(buf, NULL) == (float) value : strtod(buf, NULL) == value)
				break;
		}
		TextPrintf(text, "%s", buf);
	}
	else if (isnan(value))
		TextPrintf(text, "\"NaN\"");
	else
		TextPrintf(text, "\"%sInfinity\"", value < 0 ? "-" : "");
}

/*
 * Numbers and booleans; false if the type is neither.
 */
static bool
AppendJsonNumber(Text *text, const TypeNode *type, const void *data, uint64 row)
{
	switch (type->id)
	{
		case DUCKDB_TYPE_BOOLEAN:
			TextPrintf(text, "%s", ((const uint8 *) data)[row] ? "true" : "false");
			return true;
		case DUCKDB_TYPE_TINYINT:
			TextPrintf(text, "%d", ((const int8 *) data)[row]);
			return true;
		case DUCKDB_TYPE_SMALLINT:
			TextPrintf(text, "%d", ((const int16 *) data)[row]);
			return true;
		case DUCKDB_TYPE_INTEGER:
			TextPrintf(text, "%d", ((const int32 *) data)[row]);
			return true;
		case DUCKDB_TYPE_BIGINT:
			TextPrintf(text, "%lld", (long long) ((const int64 *) data)[row]);
			return true;
		case DUCKDB_TYPE_UTINYINT:
			TextPrintf(text, "%u", ((const uint8 *) data)[row]);
			return true;
		case DUCKDB_TYPE_USMALLINT:
			TextPrintf(text, "%u", ((const uint16 *) data)[row]);
			return true;
		case DUCKDB_TYPE_UINTEGER:
			TextPrintf(text, "%u", ((const uint32 *) data)[row]);
			return true;
		case DUCKDB_TYPE_UBIGINT:
			TextPrintf(text, "%llu", (unsigned long long) ((const uint64 *) data)[row]);
			return true;
		case DUCKDB_TYPE_FLOAT:
			AppendJsonDouble(text, ((const float *) data)[row], true);
			return true;
		case DUCKDB_TYPE_DOUBLE:
			AppendJsonDouble(text, ((const double *) data)[row], false);
			return true;
		case DUCKDB_TYPE_DECIMAL:
			AppendSigned128(text, DecimalAt(type, data, row), type->scale);
			return true;
		case DUCKDB_TYPE_HUGEINT:
		case DUCKDB_TYPE_UHUGEINT:
			{
				int128		value;

				memcpy(&value, (const char *) data + row * sizeof(value), sizeof(value));
				if (type->id == DUCKDB_TYPE_HUGEINT)
					AppendSigned128(text, value, 0);
				else
					AppendInt128(text, (unsigned __int128) value, false, 0);
				return true;
			}
		default:
			return false;
	}
}

static void
AppendUuid(Text *text, duckdb_hugeint value)
{
	uint64		upper = (uint64) value.upper ^ (UINT64_C(1) << 63);

	TextPrintf(text, "\"%08x-%04x-%04x-%04x-%012llx\"", (uint32) (upper >> 32),
			   (uint32) (upper >> 16 & 0xffff), (uint32) (upper & 0xffff),
			   (uint32) (value.lower >> 48),
			   (unsigned long long) (value.lower & 0xffffffffffffULL));
}

static void
AppendJsonBlob(Text *text, const uint8 *bytes, uint32 len)
{
	TextPrintf(text, "\"\\\\x");
	for (uint32 i = 0; i < len; i++)
		TextPrintf(text, "%02x", bytes[i]);
	TextAppend(text, "\"", 1);
}

/*
 * Everything that becomes a JSON string.
 */
static void
AppendJsonText(Text *text, const TypeNode *type, const void *data, uint64 row)
{
	duckdb_string_t string;

	switch (type->id)
	{
		case DUCKDB_TYPE_VARCHAR:
			string = ((const duckdb_string_t *) data)[row];
			AppendJsonString(text, duckdb_string_t_data(&string), duckdb_string_t_length(string));
			return;
		case DUCKDB_TYPE_BLOB:
			string = ((const duckdb_string_t *) data)[row];
			AppendJsonBlob(text, (const uint8 *) duckdb_string_t_data(&string),
						   duckdb_string_t_length(string));
			return;
		case DUCKDB_TYPE_ENUM:
			{
				const char *label = EnumLabel(type, data, row);

				AppendJsonString(text, label, strlen(label));
				return;
			}
		case DUCKDB_TYPE_UUID:
			AppendUuid(text, ((const duckdb_hugeint *) data)[row]);
			return;
		default:
			break;
	}
	TextAppend(text, "\"", 1);
	switch (type->id)
	{
		case DUCKDB_TYPE_DATE:
			AppendDate(text, ((const int32 *) data)[row]);
			break;
		case DUCKDB_TYPE_TIME:
			AppendTime(text, ((const int64 *) data)[row]);
			break;
		case DUCKDB_TYPE_TIME_NS:
			AppendTime(text, ((const int64 *) data)[row] / 1000);
			break;
		case DUCKDB_TYPE_TIMESTAMP:
		case DUCKDB_TYPE_TIMESTAMP_TZ:
			AppendTimestamp(text, ((const int64 *) data)[row], type->id == DUCKDB_TYPE_TIMESTAMP_TZ);
			break;
		case DUCKDB_TYPE_TIMESTAMP_S:
			AppendTimestamp(text, ((const int64 *) data)[row] * 1000000, false);
			break;
		case DUCKDB_TYPE_TIMESTAMP_MS:
			AppendTimestamp(text, ((const int64 *) data)[row] * 1000, false);
			break;
		case DUCKDB_TYPE_TIMESTAMP_NS:
			AppendTimestamp(text, ((const int64 *) data)[row] / 1000, false);
			break;
		default:
			AppendScalarText(text, type, data, row);
			break;
	}
	TextAppend(text, "\"", 1);
}

static void
AppendJsonElements(Text *text, const TypeNode *child, duckdb_vector vector, uint64 offset, uint64 n)
{
	TextAppend(text, "[", 1);
	for (uint64 i = 0; i < n; i++)
	{
		if (i > 0)
			TextAppend(text, ", ", 2);
		AppendJson(text, child, vector, offset + i);
	}
	TextAppend(text, "]", 1);
}

static void
AppendJsonMember(Text *text, bool first, const char *name, const TypeNode *type,
				 duckdb_vector vector, uint64 row)
{
	if (!first)
		TextAppend(text, ", ", 2);
	AppendJsonString(text, name, strlen(name));
	TextAppend(text, ": ", 2);
	AppendJson(text, type, vector, row);
}

/*
 * A key that is no string becomes one: its JSON text, in quotes.
 */
static void
AppendJsonKey(Text *text, const TypeNode *type, duckdb_vector vector, uint64 row)
{
	Text		key = {NULL, 0, 0};

	AppendJson(&key, type, vector, row);
	if (key.len > 0 && key.data[0] == '"')
		TextAppend(text, key.data, key.len);
	else
		AppendJsonString(text, key.data, key.len);
	mem_free(key.data);
}

/*
 * A map is a list of structs of key and value.
 */
static void
AppendJsonMap(Text *text, const TypeNode *type, duckdb_vector vector, uint64 row)
{
	duckdb_list_entry entry = ((duckdb_list_entry *) duckdb_vector_get_data(vector))[row];
	duckdb_vector entries = duckdb_list_vector_get_child(vector);
	duckdb_vector keys = duckdb_struct_vector_get_child(entries, 0);
	duckdb_vector values = duckdb_struct_vector_get_child(entries, 1);

	TextAppend(text, "{", 1);
	for (uint64 i = entry.offset; i < entry.offset + entry.length; i++)
	{
		if (i > entry.offset)
			TextAppend(text, ", ", 2);
		AppendJsonKey(text, type->children[0], keys, i);
		TextAppend(text, ": ", 2);
		AppendJson(text, type->children[1], values, i);
	}
	TextAppend(text, "}", 1);
}

/*
 * A union is a struct of tag and members; its value is the member's.
 */
static void
AppendJsonUnion(Text *text, const TypeNode *type, duckdb_vector vector, uint64 row)
{
	duckdb_vector tags = duckdb_struct_vector_get_child(vector, 0);
	uint8		tag = ((uint8 *) duckdb_vector_get_data(tags))[row];

	if (tag >= type->nchildren)
		Fail("XX000", "union value has unknown tag %d", tag);
	AppendJson(text, type->children[tag], duckdb_struct_vector_get_child(vector, tag + 1), row);
}

void
AppendJson(Text *text, const TypeNode *type, duckdb_vector vector, uint64 row)
{
	void	   *data = duckdb_vector_get_data(vector);
	duckdb_list_entry entry;

	if (type->id == DUCKDB_TYPE_SQLNULL || !RowIsValid(vector, row))
	{
		TextAppend(text, "null", 4);
		return;
	}
	switch (type->id)
	{
		case DUCKDB_TYPE_LIST:
			entry = ((duckdb_list_entry *) data)[row];
			AppendJsonElements(text, type->children[0], duckdb_list_vector_get_child(vector),
							   entry.offset, entry.length);
			return;
		case DUCKDB_TYPE_ARRAY:
			AppendJsonElements(text, type->children[0], duckdb_array_vector_get_child(vector),
							   row * type->array_size, type->array_size);
			return;
		case DUCKDB_TYPE_MAP:
			AppendJsonMap(text, type, vector, row);
			return;
		case DUCKDB_TYPE_STRUCT:
			TextAppend(text, "{", 1);
			for (int i = 0; i < type->nchildren; i++)
				AppendJsonMember(text, i == 0, type->names[i], type->children[i],
								 duckdb_struct_vector_get_child(vector, i), row);
			TextAppend(text, "}", 1);
			return;
		case DUCKDB_TYPE_UNION:
			AppendJsonUnion(text, type, vector, row);
			return;
		default:
			if (!AppendJsonNumber(text, type, data, row))
				AppendJsonText(text, type, data, row);
			return;
	}
}
