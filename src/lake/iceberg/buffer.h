/*
 * buffer.h
 *		A growing byte buffer for the writers of this folder.
 */
#ifndef SHARD_ICEBERG_BUFFER_H
#define SHARD_ICEBERG_BUFFER_H

#include "base/portable.h"

typedef struct Buffer
{
	char	   *data;
	size_t		len;
	size_t		allocated;
} Buffer;

extern void BufferInit(Buffer *buffer);
extern char *BufferReserve(Buffer *buffer, size_t n);	/* room for n more; len unchanged */
extern void BufferPut(Buffer *buffer, const void *data, size_t n);
extern void BufferPutString(Buffer *buffer, const char *s);
extern void BufferPrintf(Buffer *buffer, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));

/* JSON string with its quotes. */
extern void BufferPutJsonString(Buffer *buffer, const char *s);

#endif							/* SHARD_ICEBERG_BUFFER_H */
