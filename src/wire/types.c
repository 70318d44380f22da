/*
 * types.c
 *		Names and widths of the value types.
 */
#include "wire/types.h"

#include <stdio.h>

typedef struct LakeKindName
{
	LakeKind	kind;
	const char *engine;
	const char *iceberg;
} LakeKindName;

static const LakeKindName kind_names[] = {
	{LAKE_BOOLEAN, "BOOLEAN", "boolean"},
	{LAKE_INT, "INTEGER", "int"},
	{LAKE_LONG, "BIGINT", "long"},
	{LAKE_FLOAT, "FLOAT", "float"},
	{LAKE_DOUBLE, "DOUBLE", "double"},
	{LAKE_DATE, "DATE", "date"},
	{LAKE_TIME, "TIME", "time"},
	{LAKE_TIMESTAMP, "TIMESTAMP", "timestamp"},
	{LAKE_TIMESTAMPTZ, "TIMESTAMPTZ", "timestamptz"},
	{LAKE_STRING, "VARCHAR", "string"},
	{LAKE_BINARY, "BLOB", "binary"},
	{LAKE_UUID, "UUID", "uuid"},
	{LAKE_JSON, "VARCHAR", "string"},
};

#define NKINDS ((int) (sizeof(kind_names) / sizeof(kind_names[0])))

static const LakeKindName *
KindName(LakeKind kind)
{
	for (int i = 0; i < NKINDS; i++)
		if (kind_names[i].kind == kind)
			return &kind_names[i];
	shard_fail(FAIL_CORRUPT, "unknown value type %d", (int) kind);
}

const char *
LakeTypeEngineName(LakeType type, char *buf, size_t size)
{
	if (type.kind == LAKE_DECIMAL)
		snprintf(buf, size, "DECIMAL(%d,%d)", type.precision, type.scale);
	else
		snprintf(buf, size, "%s", KindName(type.kind)->engine);
	return buf;
}

const char *
LakeTypeIcebergName(LakeType type, char *buf, size_t size)
{
	if (type.kind == LAKE_DECIMAL)
		snprintf(buf, size, "decimal(%d, %d)", type.precision, type.scale);
	else
		snprintf(buf, size, "%s", KindName(type.kind)->iceberg);
	return buf;
}

bool
LakeTypeFromIcebergName(const char *name, LakeType *type)
{
	int			end = 0;

	memset(type, 0, sizeof(*type));
	for (int i = 0; i < NKINDS; i++)
	{
		if (strcmp(kind_names[i].iceberg, name) == 0)
		{
			type->kind = kind_names[i].kind;
			return true;
		}
	}
	if (sscanf(name, "decimal(%d,%d)%n", &type->precision, &type->scale, &end) == 2 &&
		name[end] == '\0' && type->precision >= 1 && type->precision <= 38 &&
		type->scale >= 0 && type->scale <= type->precision)
	{
		type->kind = LAKE_DECIMAL;
		return true;
	}
	return false;
}
