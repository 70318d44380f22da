/*
 * codec.c
 *		Compression of the blocks of Avro files.
 *
 * No library's state may be lost to an error, so memory is not allocated while
 * one holds any.
 */
#include "lake/iceberg/codec.h"

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "lake/iceberg/buffer.h"

#define MAX_UNPACKED 0x20000000

static void
Corrupt(void)
{
	shard_fail(FAIL_CORRUPT, "corrupt Avro data: block does not decompress");
}

static const char *
Inflate(const char *data, size_t len, size_t *unpacked)
{
	z_stream	stream = {0};
	Buffer		out;
	int			rc = Z_OK;

	BufferInit(&out);
	BufferReserve(&out, len > 0x8000000 ? len : len * 4 + 4096);
	stream.next_in = (Bytef *) data;
	stream.avail_in = (uInt) len;
	if (inflateInit2(&stream, -15) != Z_OK)
		shard_fail(FAIL_INTERNAL, "out of memory for decompression");
	while (rc == Z_OK)
	{
		size_t		room = out.allocated - out.len;

		if (room == 0)
		{
			if (out.allocated >= MAX_UNPACKED)
				break;
			BufferReserve(&out, out.allocated);
			room = out.allocated - out.len;
		}
		stream.next_out = (Bytef *) (out.data + out.len);
		stream.avail_out = (uInt) room;
		rc = inflate(&stream, Z_NO_FLUSH);
		out.len += room - stream.avail_out;
		if (rc == Z_BUF_ERROR && stream.avail_out == 0)
			rc = Z_OK;
	}
	inflateEnd(&stream);
	if (rc != Z_STREAM_END)
		Corrupt();
	*unpacked = out.len;
	return out.data;
}

/* Snappy's own format, and the CRC-32 of what was packed, big-endian. */
static const char *
Unsnap(const char *data, size_t len, size_t *unpacked)
{
	const unsigned char *check = (const unsigned char *) data + len - 4;
	char	   *out;

	if (len < 4 || snappy_uncompressed_length(data, len - 4, unpacked) != SNAPPY_OK ||
		*unpacked > MAX_UNPACKED)
		Corrupt();
	out = mem_alloc(*unpacked + 1);
	if (snappy_uncompress(data, len - 4, out, unpacked) != SNAPPY_OK)
		Corrupt();
	if (crc32(0, (const Bytef *) out, (uInt) *unpacked) !=
		(((uLong) check[0] << 24) | ((uLong) check[1] << 16) | ((uLong) check[2] << 8) | check[3]))
		shard_fail(FAIL_CORRUPT, "corrupt Avro data: block has a wrong checksum");
	return out;
}

/* The size is not always known beforehand: then it is tried. */
static const char *
Unzstd(const char *data, size_t len, size_t *unpacked)
{
	unsigned long long known = ZSTD_getFrameContentSize(data, len);
	size_t		room = len * 4 + 4096;

	if (known == ZSTD_CONTENTSIZE_ERROR)
		Corrupt();
	if (known != ZSTD_CONTENTSIZE_UNKNOWN)
	{
		if (known > MAX_UNPACKED)
			Corrupt();
		room = (size_t) known + 1;
	}
	for (; room <= MAX_UNPACKED * 2UL; room *= 4)
	{
		char	   *out = mem_alloc(room);

		*unpacked = ZSTD_decompress(out, room, data, len);
		if (!ZSTD_isError(*unpacked))
			return out;
		mem_free(out);
		if (ZSTD_getErrorCode(*unpacked) != ZSTD_error_dstSize_tooSmall)
			break;
	}
	Corrupt();
	return NULL;
}

AvroCodec
CodecByName(const char *name)
{
	if (name == NULL || strcmp(name, "null") == 0)
		return CODEC_NULL;
	if (strcmp(name, "deflate") == 0)
		return CODEC_DEFLATE;
	if (strcmp(name, "snappy") == 0)
		return CODEC_SNAPPY;
	if (strcmp(name, "zstandard") == 0)
		return CODEC_ZSTANDARD;
	shard_fail(FAIL_UNSUPPORTED, "Avro file is compressed by \"%s\", which is not supported", name);
	return CODEC_NULL;
}

const char *
CodecUnpack(AvroCodec codec, const char *data, size_t len, size_t *unpacked)
{
	switch (codec)
	{
		case CODEC_NULL:
			break;
		case CODEC_DEFLATE:
			return Inflate(data, len, unpacked);
		case CODEC_SNAPPY:
			return Unsnap(data, len, unpacked);
		case CODEC_ZSTANDARD:
			return Unzstd(data, len, unpacked);
	}
	*unpacked = len;
	return data;
}
