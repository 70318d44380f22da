/*
 * transform.h
 *		The arithmetic of Iceberg's partition transforms, which the engine (for
 *		rows) and the lake (for pruning) must do alike.
 */
#ifndef SHARD_WIRE_TRANSFORM_H
#define SHARD_WIRE_TRANSFORM_H

#include "base/portable.h"

typedef enum TransformKind
{
	TRANSFORM_IDENTITY = 0,
	TRANSFORM_BUCKET,
	TRANSFORM_TRUNCATE,
	TRANSFORM_YEAR,
	TRANSFORM_MONTH,
	TRANSFORM_DAY,
	TRANSFORM_HOUR,
	TRANSFORM_VOID
} TransformKind;

/* 32-bit Murmur3 (x86 variant), seed 0, as of bytes. */
extern uint32 Murmur3(const void *data, size_t len);

/* The same of an integer, as of its 8 bytes, little-endian. */
extern uint32 Murmur3Int64(int64 value);

/* The bucket of a hash among n. */
extern int32 TransformBucket(uint32 hash, int32 n);

/* The greatest multiple of width that is not above the value; wraps at the type's end. */
extern int64 TransformTruncate(int64 value, int64 width);

/*
 * Year, month, day or hour since 1970 of a time in microseconds, or, but for
 * the hour, of a date in days.  What is beyond 32 bits stops at their ends.
 */
extern int32 TransformMicros(TransformKind kind, int64 micros);
extern int32 TransformDays(TransformKind kind, int32 days);

#endif							/* SHARD_WIRE_TRANSFORM_H */
