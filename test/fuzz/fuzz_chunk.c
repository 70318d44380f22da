/* sources: src/wire/ ; libs: */
/*
 * fuzz_chunk.c
 *		Column chunks and frames from the socket: every value of what is taken
 *		is touched.
 */
#include "fuzz.h"
#include "wire/chunk.h"
#include "wire/frame.h"

static volatile unsigned char seen;

static void
Touch(const void *data, size_t size)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < size; i++)
		seen ^= p[i];
}

static void
TouchValue(const WireChunk *chunk, int col, int row)
{
	LakeKind	kind = chunk->cols[col].type.kind;
	size_t		len;

	if (ChunkIsNull(chunk, col, row))
		return;
	if (LakeKindWidth(kind) > 0)
		Touch(ChunkGetFixed(chunk, col, row), LakeKindWidth(kind));
	else
	{
		const char *value = ChunkGetBytes(chunk, col, row, &len);

		Touch(value, len);
	}
}

static void
ReadChunk(const char *data, size_t size)
{
	WireChunk  *chunk = ChunkDecode(data, size);

	for (int col = 0; col < chunk->ncols; col++)
		for (int row = 0; row < chunk->nrows; row++)
			TouchValue(chunk, col, row);
}

static void
ReadFrame(const char *data, size_t size)
{
	FrameReader reader = {data, data + size};

	while (reader.p < reader.end)
	{
		char	   *text = FrameGetString(&reader);
		uint32		n = FrameGetCount(&reader, 1);

		Touch(text, strlen(text));
		for (uint32 i = 0; i < n; i++)
			FrameGetU8(&reader);
		FrameGetI64(&reader);
	}
	FrameExpectEnd(&reader);
}

void
FuzzOne(const char *data, size_t size)
{
	/* The first 8 bytes choose, so that the rest is aligned as in a buffer. */
	if (size < 8)
		return;
	if (data[0] & 1)
		ReadFrame(data + 8, size - 8);
	else
		ReadChunk(data + 8, size - 8);
}
