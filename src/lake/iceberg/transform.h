/*
 * transform.h
 *		Iceberg's partition transforms.
 *
 * Source: Apache Iceberg table specification, "Partition Transforms" and
 * Appendix B.  Pure.
 */
#ifndef SHARD_ICEBERG_TRANSFORM_H
#define SHARD_ICEBERG_TRANSFORM_H

#include "lake/iceberg/iceberg.h"
#include "wire/transform.h"

typedef struct IcebergTransform
{
	TransformKind kind;
	int			width;			/* of bucket and truncate */
} IcebergTransform;

/* "bucket[16]", "truncate[4]", "day", ...; false for what we do not know. */
extern bool IcebergParseTransform(const char *text, IcebergTransform *transform);

/* Can a transform be applied to a type? */
extern bool IcebergTransformFits(const IcebergTransform *transform, LakeType type);

/* The type of a transform's results over a source type. */
extern LakeType IcebergTransformType(const IcebergTransform *transform, LakeType source);

/*
 * The transform of a value in single-value serialization; null stays null
 * (data NULL).  The value must be valid for its type.
 */
extern IcebergBytes IcebergApplyTransform(const IcebergTransform *transform, LakeType type,
										  IcebergBytes value);

#endif							/* SHARD_ICEBERG_TRANSFORM_H */
