/*
 * frame.c
 *		Writing and reading of frames.
 */
#include "wire/frame.h"

void
FrameBufferReserve(FrameBuffer *buf, size_t more)
{
	size_t		wanted = buf->len + more;
	size_t		size = buf->allocated > 0 ? buf->allocated : 1024;

	if (wanted > FRAME_MAX)
		shard_fail(FAIL_UNSUPPORTED, "message to or from the engine exceeds %zu bytes", FRAME_MAX);
	if (wanted <= buf->allocated)
		return;
	while (size < wanted)
		size = size < FRAME_MAX / 4 ? size * 2 : wanted;
	buf->data = buf->data ? mem_realloc(buf->data, size) : mem_alloc(size);
	buf->allocated = size;
}

static void
PutBytes(FrameBuffer *buf, const void *data, size_t len)
{
	FrameBufferReserve(buf, len);
	if (len > 0)
		memcpy(buf->data + buf->len, data, len);
	buf->len += len;
}

size_t
FrameBegin(FrameBuffer *buf, FrameType type)
{
	size_t		start = buf->len;

	FramePutU32(buf, 0);
	FramePutU8(buf, (uint8) type);
	return start;
}

void
FrameEnd(FrameBuffer *buf, size_t start)
{
	uint32		len = (uint32) (buf->len - start - FRAME_HEADER);

	memcpy(buf->data + start, &len, sizeof(len));
}

void
FramePutU8(FrameBuffer *buf, uint8 value)
{
	PutBytes(buf, &value, sizeof(value));
}

void
FramePutU32(FrameBuffer *buf, uint32 value)
{
	PutBytes(buf, &value, sizeof(value));
}

void
FramePutI64(FrameBuffer *buf, int64 value)
{
	PutBytes(buf, &value, sizeof(value));
}

void
FramePutString(FrameBuffer *buf, const char *s, size_t len)
{
	FramePutU32(buf, (uint32) len);
	PutBytes(buf, s, len);
}

static const char *
Take(FrameReader *reader, size_t len)
{
	const char *p = reader->p;

	if (len > (size_t) (reader->end - reader->p))
		shard_fail(FAIL_CORRUPT, "message ends too early");
	reader->p += len;
	return p;
}

uint8
FrameGetU8(FrameReader *reader)
{
	return (uint8) *Take(reader, 1);
}

uint32
FrameGetU32(FrameReader *reader)
{
	uint32		value;

	memcpy(&value, Take(reader, sizeof(value)), sizeof(value));
	return value;
}

int64
FrameGetI64(FrameReader *reader)
{
	int64		value;

	memcpy(&value, Take(reader, sizeof(value)), sizeof(value));
	return value;
}

char *
FrameGetString(FrameReader *reader)
{
	size_t		len = FrameGetU32(reader);
	const char *data = Take(reader, len);
	char	   *copy;

	if (len > 0 && memchr(data, '\0', len) != NULL)
		shard_fail(FAIL_CORRUPT, "message holds a string with a zero byte");
	copy = mem_alloc(len + 1);
	memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

void
FrameExpectEnd(FrameReader *reader)
{
	if (reader->p != reader->end)
		shard_fail(FAIL_CORRUPT, "message has %zu bytes too many",
				   (size_t) (reader->end - reader->p));
}

uint32
FrameGetCount(FrameReader *reader, size_t min_size)
{
	uint32		n = FrameGetU32(reader);

	if (n > (size_t) (reader->end - reader->p) / min_size)
		shard_fail(FAIL_CORRUPT, "message announces %u items that it cannot hold", n);
	return n;
}

bool
FrameParseHeader(const char *header, size_t *len, FrameType *type)
{
	uint32		value;

	memcpy(&value, header, sizeof(value));
	*len = value;
	*type = (FrameType) (uint8) header[4];
	return value <= FRAME_MAX;
}
