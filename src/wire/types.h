/*
 * types.h
 *		The value types that travel between PostgreSQL, the engine and Iceberg.
 *
 * One enumeration serves all three: a LakeType names an Iceberg primitive
 * type, its DuckDB counterpart and its layout in a wire chunk.  What Iceberg
 * has no type for travels as LAKE_STRING in PostgreSQL's text form.
 */
#ifndef SHARD_WIRE_TYPES_H
#define SHARD_WIRE_TYPES_H

#include "base/portable.h"

typedef enum LakeKind
{
	LAKE_BOOLEAN = 1,			/* 1 byte, 0 or 1 */
	LAKE_INT,					/* int32 */
	LAKE_LONG,					/* int64 */
	LAKE_FLOAT,					/* float4 */
	LAKE_DOUBLE,				/* float8 */
	LAKE_DECIMAL,				/* int128, unscaled, little-endian, 16 bytes */
	LAKE_DATE,					/* int32, days since 1970-01-01 */
	LAKE_TIME,					/* int64, microseconds since midnight */
	LAKE_TIMESTAMP,				/* int64, microseconds since 1970-01-01 */
	LAKE_TIMESTAMPTZ,			/* the same, UTC */
	LAKE_STRING,				/* UTF-8 bytes */
	LAKE_BINARY,				/* bytes */
	LAKE_UUID,					/* 16 bytes, big-endian */
	LAKE_JSON,					/* nested value, as JSON text; only in results */
	LAKE_NESTED					/* nested value, as client/nested.h has it; only to be appended */
} LakeKind;

typedef struct LakeType
{
	LakeKind	kind;
	int			precision;		/* LAKE_DECIMAL only, 1..38 */
	int			scale;			/* LAKE_DECIMAL only, 0..precision */
} LakeType;

/* Bytes of one value in a wire chunk; 0 where it varies. */
static inline int
LakeKindWidth(LakeKind kind)
{
	switch (kind)
	{
		case LAKE_BOOLEAN:
			return 1;
		case LAKE_INT:
		case LAKE_FLOAT:
		case LAKE_DATE:
			return 4;
		case LAKE_LONG:
		case LAKE_DOUBLE:
		case LAKE_TIME:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			return 8;
		case LAKE_DECIMAL:
		case LAKE_UUID:
			return 16;
		case LAKE_STRING:
		case LAKE_BINARY:
		case LAKE_JSON:
		case LAKE_NESTED:
			return 0;
	}
	shard_fail(FAIL_CORRUPT, "unknown value type %d", (int) kind);
}

/* DuckDB's name of the type, such as "DECIMAL(12,2)", into buf (>= 32 bytes). */
extern const char *LakeTypeEngineName(LakeType type, char *buf, size_t size);

/* Iceberg's name of the type, such as "decimal(12, 2)", into buf (>= 32 bytes). */
extern const char *LakeTypeIcebergName(LakeType type, char *buf, size_t size);

/* Parse Iceberg's name of a primitive type; false if it is not one we hold. */
extern bool LakeTypeFromIcebergName(const char *name, LakeType *type);

#endif							/* SHARD_WIRE_TYPES_H */
