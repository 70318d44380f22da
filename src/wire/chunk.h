/*
 * chunk.h
 *		Columns of up to CHUNK_ROWS rows, as they travel on the socket.
 *
 * A column is a validity byte per row and, for fixed-width types, an array of
 * values; for strings and bytes n + 1 offsets into a byte area.  Both sides run
 * on one machine, so integers have the machine's byte order.
 */
#ifndef SHARD_WIRE_CHUNK_H
#define SHARD_WIRE_CHUNK_H

#include "wire/types.h"

#define CHUNK_ROWS 2048

/* Bytes of strings after which ChunkIsFull() says so, whatever the row count. */
#define CHUNK_BYTES (8 * 1024 * 1024)

typedef struct WireColumn
{
	LakeType	type;
	uint8	   *valid;			/* one byte a row, 1 = not null; NULL = none is null */
	void	   *values;			/* fixed width: nrows * LakeKindWidth() */
	uint32	   *offsets;		/* variable width: nrows + 1 */
	char	   *bytes;			/* variable width */
	size_t		bytes_allocated;	/* builder only */
} WireColumn;

typedef struct WireChunk
{
	int			nrows;
	int			ncols;
	WireColumn *cols;
	bool		borrowed;		/* columns point into memory of somebody else */
} WireChunk;

/* A chunk to fill: room for CHUNK_ROWS rows of the given types. */
extern WireChunk *ChunkCreate(const LakeType *types, int ncols);
extern void ChunkReset(WireChunk *chunk);	/* empty it, keep its memory */
extern void ChunkFree(WireChunk *chunk);

/* Bytes of strings in it. */
extern size_t ChunkBytes(const WireChunk *chunk);

/* Send it and reset it before the next row? */
extern bool ChunkIsFull(const WireChunk *chunk);

/*
 * Set row chunk->nrows of a column; the caller increments nrows after the last
 * column.  Fixed width: value points to LakeKindWidth() bytes.
 */
extern void ChunkPutNull(WireChunk *chunk, int col);
extern void ChunkPutFixed(WireChunk *chunk, int col, const void *value);
extern void ChunkPutBytes(WireChunk *chunk, int col, const char *data, size_t len);

/* Fixed-width values may be unaligned for int128: copy, do not dereference. */
extern bool ChunkIsNull(const WireChunk *chunk, int col, int row);
extern const void *ChunkGetFixed(const WireChunk *chunk, int col, int row);
extern const char *ChunkGetBytes(const WireChunk *chunk, int col, int row, size_t *len);

/* An integer column of any width; of a decimal without scale the low 64 bits. */
extern int64 ChunkGetInt64(const WireChunk *chunk, int col, int row);

/*
 * Encoded form: ChunkEncodedSize() bytes; decoding checks every length and
 * count, and fails (FAIL_CORRUPT) on what does not fit.  data must be aligned to
 * 8 bytes.
 */
extern size_t ChunkEncodedSize(const WireChunk *chunk);
extern void ChunkEncode(const WireChunk *chunk, char *out);
extern WireChunk *ChunkDecode(const char *data, size_t len);	/* points into data */

#endif							/* SHARD_WIRE_CHUNK_H */
