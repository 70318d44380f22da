/*
 * transform.c
 *		Partition transforms of values in single-value serialization.
 */
#include "lake/iceberg/transform.h"

#include <stdio.h>

static const struct
{
	const char *name;
	TransformKind kind;
}			plain[] = {
	{"identity", TRANSFORM_IDENTITY},
	{"year", TRANSFORM_YEAR},
	{"month", TRANSFORM_MONTH},
	{"day", TRANSFORM_DAY},
	{"hour", TRANSFORM_HOUR},
	{"void", TRANSFORM_VOID},
};

bool
IcebergParseTransform(const char *text, IcebergTransform *transform)
{
	int			end = 0;

	transform->width = 0;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
	{
		if (strcmp(text, plain[i].name) == 0)
		{
			transform->kind = plain[i].kind;
			return true;
		}
	}
	if (sscanf(text, "bucket[%d]%n", &transform->width, &end) == 1 && end > 0)
		transform->kind = TRANSFORM_BUCKET;
	else if (sscanf(text, "truncate[%d]%n", &transform->width, &end) == 1 && end > 0)
		transform->kind = TRANSFORM_TRUNCATE;
	return end > 0 && text[end] == '\0' && transform->width > 0;
}

bool
IcebergTransformFits(const IcebergTransform *transform, LakeType type)
{
	bool		timestamp = type.kind == LAKE_TIMESTAMP || type.kind == LAKE_TIMESTAMPTZ;

	switch (transform->kind)
	{
		case TRANSFORM_IDENTITY:
		case TRANSFORM_VOID:
			return type.kind != LAKE_JSON;
		case TRANSFORM_BUCKET:
			return type.kind != LAKE_BOOLEAN && type.kind != LAKE_FLOAT &&
				type.kind != LAKE_DOUBLE && type.kind != LAKE_JSON;
		case TRANSFORM_TRUNCATE:
			return type.kind == LAKE_INT || type.kind == LAKE_LONG || type.kind == LAKE_DECIMAL ||
				type.kind == LAKE_STRING || type.kind == LAKE_BINARY;
		case TRANSFORM_YEAR:
		case TRANSFORM_MONTH:
		case TRANSFORM_DAY:
			return timestamp || type.kind == LAKE_DATE;
		case TRANSFORM_HOUR:
			return timestamp;
	}
	return false;
}

LakeType
IcebergTransformType(const IcebergTransform *transform, LakeType source)
{
	LakeType	type = {LAKE_INT, 0, 0};

	switch (transform->kind)
	{
		case TRANSFORM_IDENTITY:
		case TRANSFORM_TRUNCATE:
		case TRANSFORM_VOID:
			return source;
		case TRANSFORM_DAY:
			type.kind = LAKE_DATE;
			return type;
		default:
			return type;
	}
}

/* ---- values ---- */

static int64
SignedValue(IcebergBytes bytes)
{
	uint64		value = 0;

	for (int i = bytes.len - 1; i >= 0; i--)
		value = (value << 8) | (unsigned char) bytes.data[i];
	return bytes.len == 4 ? (int64) (int32) value : (int64) value;
}

static IcebergBytes
IntegerBytes(int64 value, int len)
{
	char	   *data = mem_alloc(8);

	for (int i = 0; i < len; i++)
		data[i] = (char) ((uint64) value >> (8 * i));
	return (IcebergBytes) {data, len};
}

static int128
DecimalValue(IcebergBytes bytes)
{
	int128		value = (bytes.data[0] & 0x80) != 0 ? -1 : 0;

	for (int i = 0; i < bytes.len; i++)
		value = value * 256 + (unsigned char) bytes.data[i];
	return value;
}

static uint32
Hash(LakeType type, IcebergBytes value)
{
	switch (type.kind)
	{
		case LAKE_INT:
		case LAKE_LONG:
		case LAKE_DATE:
		case LAKE_TIME:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return Murmur3Int64(SignedValue(value));
		default:
			return Murmur3(value.data, value.len);
	}
}

static IcebergBytes
Truncate(LakeType type, IcebergBytes value, int width)
{
	int			len = 0;

	if (type.kind == LAKE_INT || type.kind == LAKE_LONG)
		return IntegerBytes(TransformTruncate(SignedValue(value), width), value.len);
	if (type.kind == LAKE_DECIMAL)
	{
		int128		decimal = DecimalValue(value);

		decimal -= (decimal % width + width) % width;
		return IcebergSerializeValue(type, &decimal, sizeof(decimal));
	}
	if (type.kind == LAKE_BINARY)
		return (IcebergBytes) {value.data, value.len < width ? value.len : width};

	/* code points: bytes that do not continue one begin it */
	for (int points = 0; len < value.len; len++)
		if (((unsigned char) value.data[len] & 0xc0) != 0x80 && points++ == width)
			break;
	return (IcebergBytes) {value.data, len};
}

IcebergBytes
IcebergApplyTransform(const IcebergTransform *transform, LakeType type, IcebergBytes value)
{
	IcebergBytes null = {NULL, 0};

	if (value.data == NULL)
		return null;
	switch (transform->kind)
	{
		case TRANSFORM_IDENTITY:
			return value;
		case TRANSFORM_VOID:
			return null;
		case TRANSFORM_BUCKET:
			return IntegerBytes(TransformBucket(Hash(type, value), transform->width), 4);
		case TRANSFORM_TRUNCATE:
			return Truncate(type, value, transform->width);
		default:
			return IntegerBytes(type.kind == LAKE_DATE ?
								TransformDays(transform->kind, (int32) SignedValue(value)) :
								TransformMicros(transform->kind, SignedValue(value)), 4);
	}
}
