/*
 * value.c
 *		Single-value serializations: how manifests hold column bounds.
 *
 * Numbers are little-endian, decimals and UUIDs big-endian.  A bound may have
 * the width of a narrower type that its column had when the file was written
 * (int before long, float before double).
 */
#include "lake/iceberg/iceberg.h"

#include <math.h>

static uint64
LittleEndianValue(IcebergBytes bytes)
{
	uint64		value = 0;

	for (int i = bytes.len - 1; i >= 0; i--)
		value = (value << 8) | (unsigned char) bytes.data[i];
	return value;
}

static int64
IntegerValue(IcebergBytes bytes)
{
	uint64		value = LittleEndianValue(bytes);

	return bytes.len == 4 ? (int64) (int32) (uint32) value : (int64) value;
}

static double
FloatValue(IcebergBytes bytes)
{
	uint64		bits = LittleEndianValue(bytes);

	if (bytes.len == 4)
	{
		uint32		bits4 = (uint32) bits;
		float		value;

		memcpy(&value, &bits4, 4);
		return value;
	}
	else
	{
		double		value;

		memcpy(&value, &bits, 8);
		return value;
	}
}

static int128
DecimalValue(IcebergBytes bytes)
{
	int128		value = (bytes.data[0] & 0x80) != 0 ? -1 : 0;

	for (int i = 0; i < bytes.len; i++)
		value = (int128) (((unsigned __int128) value << 8) | (unsigned char) bytes.data[i]);
	return value;
}

bool
IcebergBytesValid(LakeType type, IcebergBytes bytes)
{
	if (bytes.data == NULL)
		return false;
	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			return bytes.len == 1;
		case LAKE_INT:
		case LAKE_DATE:
		case LAKE_FLOAT:
			return bytes.len == 4;
		case LAKE_LONG:
		case LAKE_DOUBLE:
			return bytes.len == 4 || bytes.len == 8;
		case LAKE_TIME:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return bytes.len == 8;
		case LAKE_DECIMAL:
			return bytes.len >= 1 && bytes.len <= 16;
		case LAKE_UUID:
			return bytes.len == 16;
		case LAKE_STRING:
		case LAKE_BINARY:
			return true;
		case LAKE_JSON:
		case LAKE_NESTED:
			return false;
	}
	return false;
}

bool
IcebergBytesNaN(LakeType type, IcebergBytes bytes)
{
	return (type.kind == LAKE_FLOAT || type.kind == LAKE_DOUBLE) &&
		IcebergBytesValid(type, bytes) && isnan(FloatValue(bytes));
}

#define COMPARE(a, b) ((a) < (b) ? -1 : (a) > (b) ? 1 : 0)

/* NaN is above every number and equal to itself, as in PostgreSQL. */
static int
CompareFloats(double a, double b)
{
	if (isnan(a) || isnan(b))
		return COMPARE(isnan(a) ? 1 : 0, isnan(b) ? 1 : 0);
	return COMPARE(a, b);
}

static int
CompareStrings(IcebergBytes a, IcebergBytes b)
{
	int			common = a.len < b.len ? a.len : b.len;
	int			order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	return order != 0 ? order : COMPARE(a.len, b.len);
}

int
IcebergCompareBytes(LakeType type, IcebergBytes a, IcebergBytes b)
{
	if (!IcebergBytesValid(type, a) || !IcebergBytesValid(type, b))
		shard_fail(FAIL_CORRUPT, "a column bound has a wrong length");
	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			return COMPARE(a.data[0] != 0, b.data[0] != 0);
		case LAKE_INT:
		case LAKE_LONG:
		case LAKE_DATE:
		case LAKE_TIME:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return COMPARE(IntegerValue(a), IntegerValue(b));
		case LAKE_FLOAT:
		case LAKE_DOUBLE:
			return CompareFloats(FloatValue(a), FloatValue(b));
		case LAKE_DECIMAL:
			return COMPARE(DecimalValue(a), DecimalValue(b));
		case LAKE_UUID:
		case LAKE_STRING:
		case LAKE_BINARY:
		case LAKE_JSON:
		case LAKE_NESTED:
			return CompareStrings(a, b);
	}
	shard_fail(FAIL_INTERNAL, "unknown value type %d", (int) type.kind);
}

/* The shortest two's complement that holds a decimal, most significant byte first. */
static IcebergBytes
SerializeDecimal(int128 value)
{
	unsigned char *data = mem_alloc(16);
	IcebergBytes bytes = {(char *) data, 16};

	for (int i = 15; i >= 0; i--)
	{
		data[i] = (unsigned char) value;
		value >>= 8;
	}
	while (bytes.len > 1 &&
		   ((bytes.data[0] == 0 && (bytes.data[1] & 0x80) == 0) ||
			((unsigned char) bytes.data[0] == 0xff && (bytes.data[1] & 0x80) != 0)))
	{
		bytes.data++;
		bytes.len--;
	}
	return bytes;
}

/*
 * From the form that a wire chunk holds: fixed widths there are little-endian
 * on every machine that PostgreSQL's binary packages for this are built for.
 */
IcebergBytes
IcebergSerializeValue(LakeType type, const void *value, size_t len)
{
	IcebergBytes bytes;
	char	   *copy;
	int			width = LakeKindWidth(type.kind);

	if (type.kind == LAKE_DECIMAL)
	{
		int128		decimal;

		memcpy(&decimal, value, 16);
		return SerializeDecimal(decimal);
	}
	if (width == 0)
		width = (int) len;
	copy = mem_alloc(width + 1);
	memcpy(copy, value, width);
	copy[width] = '\0';
	bytes.data = copy;
	bytes.len = width;
	return bytes;
}
