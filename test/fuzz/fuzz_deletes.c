/* sources: src/engine/roaring.c src/wire/path_key.c src/lake/iceberg/codec.c src/lake/iceberg/buffer.c ; libs: -lz -lzstd -lsnappy */
/*
 * fuzz_deletes.c
 *		Deletion vectors with a checksum made right, so that what is behind it is
 *		reached; and blocks of every codec.
 */
#include <zlib.h>

#include "engine/roaring.h"
#include "fuzz.h"
#include "lake/iceberg/codec.h"
#include "wire/path_key.h"

static bool
Tell(void *arg, int64 row)
{
	int64	   *left = arg;

	return row >= 0 && --*left > 0;
}

static void
PutBig(char *at, unsigned long value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (char) (value >> (24 - 8 * i));
}

static void
ReadVector(const char *data, size_t size)
{
	char	   *blob = mem_alloc(size + 12);
	int64		left = 1000000;

	PutBig(blob, size + 4);
	memcpy(blob + 4, "\xd1\xd3\x39\x64", 4);
	memcpy(blob + 8, data, size);
	PutBig(blob + 8 + size, crc32(0, (const Bytef *) blob + 4, (uInt) size + 4));
	(void) DeletionVectorRead(blob, size + 12, Tell, &left);
	(void) DeletionVectorRead(data, size, Tell, &left);
}

void
FuzzOne(const char *data, size_t size)
{
	size_t		unpacked;

	if (size == 0)
		return;
	(void) PathKey(data, size, &unpacked);
	switch (data[0] & 3)
	{
		case 0:
			ReadVector(data + 1, size - 1);
			break;
		case 1:
			(void) CodecUnpack(CODEC_DEFLATE, data + 1, size - 1, &unpacked);
			break;
		case 2:
			(void) CodecUnpack(CODEC_SNAPPY, data + 1, size - 1, &unpacked);
			break;
		default:
			(void) CodecUnpack(CODEC_ZSTANDARD, data + 1, size - 1, &unpacked);
	}
}
