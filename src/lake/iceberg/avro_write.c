/*
 * avro_write.c
 *		Writer of Avro object containers, compressed by deflate; see avro.h.
 */
#include "lake/iceberg/avro.h"

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>
#include <zlib.h>

/* Records are gathered until their block has this size. */
#define BLOCK_SIZE 65536

void
AvroPutLong(Buffer *buffer, int64 value)
{
	uint64		rest = ((uint64) value << 1) ^ (uint64) (value >> 63);
	char		bytes[10];
	int			n = 0;

	while (rest >= 0x80)
	{
		bytes[n++] = (char) (rest | 0x80);
		rest >>= 7;
	}
	bytes[n++] = (char) rest;
	BufferPut(buffer, bytes, n);
}

void
AvroPutBytes(Buffer *buffer, const void *data, size_t len)
{
	AvroPutLong(buffer, (int64) len);
	BufferPut(buffer, data, len);
}

void
AvroPutString(Buffer *buffer, const char *s)
{
	AvroPutBytes(buffer, s, strlen(s));
}

/*
 * Write the header.  The end mark of blocks only has to be unlikely in the
 * data: a hash of the header, which holds our schema and keys, will do.
 */
void
AvroBegin(AvroWriter *writer, const char *schema, const IcebergKeyValue *meta, int nmeta)
{
	XXH128_hash_t hash;

	BufferInit(&writer->out);
	BufferInit(&writer->block);
	writer->nrecords = 0;
	BufferPut(&writer->out, "Obj\1", 4);
	AvroPutLong(&writer->out, nmeta + 2);
	AvroPutString(&writer->out, "avro.schema");
	AvroPutString(&writer->out, schema);
	AvroPutString(&writer->out, "avro.codec");
	AvroPutString(&writer->out, "deflate");
	for (int i = 0; i < nmeta; i++)
	{
		AvroPutString(&writer->out, meta[i].key);
		AvroPutString(&writer->out, meta[i].value);
	}
	AvroPutLong(&writer->out, 0);
	hash = XXH3_128bits(writer->out.data, writer->out.len);
	memcpy(writer->sync, &hash, 16);
	BufferPut(&writer->out, writer->sync, 16);
}

static void
FlushBlock(AvroWriter *writer)
{
	z_stream	stream = {0};
	Buffer		packed;
	size_t		room;
	int			rc;

	if (writer->nrecords == 0)
		return;
	BufferInit(&packed);
	room = compressBound(writer->block.len) + 64;
	BufferReserve(&packed, room);
	if (deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		shard_fail(FAIL_INTERNAL, "out of memory for compression");
	stream.next_in = (Bytef *) writer->block.data;
	stream.avail_in = (uInt) writer->block.len;
	stream.next_out = (Bytef *) packed.data;
	stream.avail_out = (uInt) room;
	rc = deflate(&stream, Z_FINISH);
	packed.len = room - stream.avail_out;
	deflateEnd(&stream);
	if (rc != Z_STREAM_END)
		shard_fail(FAIL_INTERNAL, "compression failed");

	AvroPutLong(&writer->out, writer->nrecords);
	AvroPutBytes(&writer->out, packed.data, packed.len);
	BufferPut(&writer->out, writer->sync, 16);
	mem_free(packed.data);
	writer->block.len = 0;
	writer->nrecords = 0;
}

Buffer *
AvroRecord(AvroWriter *writer)
{
	if (writer->block.len >= BLOCK_SIZE)
		FlushBlock(writer);
	writer->nrecords++;
	return &writer->block;
}

char *
AvroEnd(AvroWriter *writer, size_t *len)
{
	FlushBlock(writer);
	mem_free(writer->block.data);
	*len = writer->out.len;
	return writer->out.data;
}
