/*
 * buffer.c
 *		A growing byte buffer.
 */
#include "lake/iceberg/buffer.h"

#include <stdarg.h>
#include <stdio.h>

/* palloc() gives no more than this in one piece. */
#define BUFFER_MAX ((size_t) 0x3fffffff)

void
BufferInit(Buffer *buffer)
{
	buffer->allocated = 1024;
	buffer->data = mem_alloc(buffer->allocated);
	buffer->len = 0;
}

char *
BufferReserve(Buffer *buffer, size_t n)
{
	if (n > BUFFER_MAX || buffer->len + n > BUFFER_MAX)
		shard_fail(FAIL_UNSUPPORTED, "lake metadata of more than 1 GB");
	if (buffer->len + n > buffer->allocated)
	{
		size_t		size = buffer->allocated * 2;

		if (size < buffer->len + n)
			size = buffer->len + n;
		if (size > BUFFER_MAX)
			size = BUFFER_MAX;
		buffer->data = mem_realloc(buffer->data, size);
		buffer->allocated = size;
	}
	return buffer->data + buffer->len;
}

void
BufferPut(Buffer *buffer, const void *data, size_t n)
{
	if (n == 0)
		return;
	memcpy(BufferReserve(buffer, n), data, n);
	buffer->len += n;
}

void
BufferPutString(Buffer *buffer, const char *s)
{
	BufferPut(buffer, s, strlen(s));
}

void
BufferPrintf(Buffer *buffer, const char *fmt,...)
{
	va_list		args;
	int			n;

	va_start(args, fmt);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n < 0)
		shard_fail(FAIL_INTERNAL, "cannot format text");
	BufferReserve(buffer, (size_t) n + 1);
	va_start(args, fmt);
	vsnprintf(buffer->data + buffer->len, (size_t) n + 1, fmt, args);
	va_end(args);
	buffer->len += n;
}

void
BufferPutJsonString(Buffer *buffer, const char *s)
{
	BufferPut(buffer, "\"", 1);
	for (; *s != '\0'; s++)
	{
		unsigned char c = (unsigned char) *s;

		if (c == '"' || c == '\\')
			BufferPrintf(buffer, "\\%c", c);
		else if (c < 0x20)
			BufferPrintf(buffer, "\\u%04x", c);
		else
			BufferPut(buffer, s, 1);
	}
	BufferPut(buffer, "\"", 1);
}
