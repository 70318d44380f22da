/*
 * codec.h
 *		Compression of the blocks of Avro files.
 */
#ifndef SHARD_ICEBERG_CODEC_H
#define SHARD_ICEBERG_CODEC_H

#include "base/portable.h"

typedef enum AvroCodec
{
	CODEC_NULL, CODEC_DEFLATE, CODEC_SNAPPY, CODEC_ZSTANDARD
} AvroCodec;

/* By its name in avro.codec; NULL is none.  FAIL_UNSUPPORTED if it is unknown. */
extern AvroCodec CodecByName(const char *name);

/*
 * Unpack a block; the result is in the current memory context (the block itself
 * without a codec).  FAIL_CORRUPT if it cannot be, or is larger than 512 MB.
 */
extern const char *CodecUnpack(AvroCodec codec, const char *data, size_t len, size_t *unpacked);

#endif							/* SHARD_ICEBERG_CODEC_H */
