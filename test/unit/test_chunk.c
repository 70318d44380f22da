/* sources: src/wire/chunk.c src/wire/types.c src/wire/frame.c ; libs: */
/*
 * test_chunk.c
 *		Column chunks and frames: what goes in comes out, and nothing that a
 *		hostile peer could send is believed.
 */
#include "tap.h"
#include "wire/chunk.h"
#include "wire/frame.h"

static const LakeType types[] = {
	{LAKE_BOOLEAN}, {LAKE_INT}, {LAKE_LONG}, {LAKE_DOUBLE}, {LAKE_DECIMAL, 38, 10},
	{LAKE_STRING}, {LAKE_UUID}, {LAKE_BINARY},
};

#define NTYPES ((int) (sizeof(types) / sizeof(types[0])))

/*
 * A chunk with some nulls; row i has i in every column.
 */
static WireChunk *
MakeChunk(int nrows)
{
	WireChunk  *chunk = ChunkCreate(types, NTYPES);

	for (int i = 0; i < nrows; i++)
	{
		for (int c = 0; c < NTYPES; c++)
		{
			int			width = LakeKindWidth(types[c].kind);
			char		text[64];
			int128		value = i;
			double		real = i;
			int			len = snprintf(text, sizeof(text), "row %d", i);

			if ((i + c) % 5 == 4 && c > 0)
				ChunkPutNull(chunk, c);
			else if (types[c].kind == LAKE_BOOLEAN)
				ChunkPutFixed(chunk, c, &(uint8) {i % 2});
			else if (types[c].kind == LAKE_DOUBLE)
				ChunkPutFixed(chunk, c, &real);
			else if (width > 0)
				ChunkPutFixed(chunk, c, &value);
			else
				ChunkPutBytes(chunk, c, text, i % 3 == 0 ? 0 : len);
		}
		chunk->nrows++;
	}
	return chunk;
}

static char *
Encode(const WireChunk *chunk, size_t *len)
{
	char	   *data;

	*len = ChunkEncodedSize(chunk);
	data = mem_alloc(*len);
	ChunkEncode(chunk, data);
	return data;
}

static bool
SameValue(const WireChunk *a, const WireChunk *b, int col, int row)
{
	size_t		alen,
				blen;
	const char *abytes,
			   *bbytes;
	int			width = LakeKindWidth(a->cols[col].type.kind);

	if (ChunkIsNull(a, col, row) || ChunkIsNull(b, col, row))
		return ChunkIsNull(a, col, row) && ChunkIsNull(b, col, row);
	if (width > 0)
		return memcmp(ChunkGetFixed(a, col, row), ChunkGetFixed(b, col, row), width) == 0;
	abytes = ChunkGetBytes(a, col, row, &alen);
	bbytes = ChunkGetBytes(b, col, row, &blen);
	return alen == blen && memcmp(abytes, bbytes, alen) == 0;
}

static void
TestRoundTrip(int nrows)
{
	WireChunk  *chunk = MakeChunk(nrows);
	size_t		len;
	char	   *data = Encode(chunk, &len);
	WireChunk  *copy = ChunkDecode(data, len);
	bool		same = copy->nrows == nrows && copy->ncols == NTYPES;

	for (int c = 0; same && c < NTYPES; c++)
		for (int i = 0; same && i < nrows; i++)
			same = SameValue(chunk, copy, c, i);
	ok(same, "%d rows come back as they were", nrows);
	is_int(copy->cols[4].type.scale, 10, "with their types");
	if (nrows > 7)
		is_int(ChunkGetInt64(copy, 2, 7), ChunkIsNull(copy, 2, 7) ? 0 : 7, "integers are read");
	ChunkFree(copy);

	ChunkReset(chunk);
	is_int(chunk->nrows, 0, "an emptied chunk has no rows");
	ok(!ChunkIsNull(chunk, 1, 3), "nor nulls");
	ChunkFree(chunk);
	mem_free(data);
}

static void
TestTruncation(void)
{
	WireChunk  *chunk = MakeChunk(50);
	size_t		len;
	char	   *data = Encode(chunk, &len);
	int			accepted = 0;

	for (size_t n = 0; n < len; n++)
	{
		char	   *part = mem_alloc(n + 1);

		memcpy(part, data, n);
		if (!CATCH_FAIL(ChunkDecode(part, n)))
			accepted++;
		mem_free(part);
	}
	is_int(accepted, 0, "no chunk that is cut short is accepted");
	data = mem_realloc(data, len + 16);
	memset(data + len, 0, 16);
	EXPECT_FAIL_KIND(FAIL_CORRUPT, ChunkDecode(data, len + 16));
	mem_free(data);
	ChunkFree(chunk);
}

/*
 * Read all that a decoded chunk has; valgrind sees a read outside.
 */
static uint64
ReadAll(const WireChunk *chunk)
{
	uint64		sum = 0;

	for (int c = 0; c < chunk->ncols; c++)
		for (int i = 0; i < chunk->nrows; i++)
		{
			int			width = LakeKindWidth(chunk->cols[c].type.kind);
			size_t		len = width;
			const char *p;

			if (ChunkIsNull(chunk, c, i))
				continue;
			p = width > 0 ? ChunkGetFixed(chunk, c, i) : ChunkGetBytes(chunk, c, i, &len);
			for (size_t j = 0; j < len; j++)
				sum += (uint8) p[j];
		}
	return sum;
}

static void
TestDamage(void)
{
	WireChunk  *chunk = MakeChunk(20);
	size_t		len;
	char	   *data = Encode(chunk, &len);
	char	   *damaged = mem_alloc(len);
	uint32		state = 12345;
	volatile int refused = 0;
	volatile uint64 sum = 0;

	for (int i = 0; i < 4000; i++)
	{
		WireChunk  *volatile copy = NULL;

		memcpy(damaged, data, len);
		for (int j = 0; j <= i % 3; j++)
		{
			size_t		at;

			state = state * 1103515245 + 12345;
			/* Headers and offsets matter most, so hit the front more often. */
			at = (state >> 8) % (i % 2 ? len : 200);
			state = state * 1103515245 + 12345;
			damaged[at] = (char) (state >> 16);
		}
		if (CATCH_FAIL(copy = ChunkDecode(damaged, len)))
			refused++;
		else
			sum += ReadAll(copy);
	}
	ok(refused > 0, "of 4,000 damaged chunks %d are refused, the others are read within bounds", refused);
	mem_free(damaged);
	mem_free(data);
	ChunkFree(chunk);
}

static void
TestHostileCounts(void)
{
	uint32		header[16] = {0};

	header[0] = CHUNK_ROWS + 1;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, ChunkDecode((char *) header, sizeof(header)));
	header[0] = 1;
	header[1] = 0xffffffff;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, ChunkDecode((char *) header, sizeof(header)));
	header[1] = 1;
	header[2] = 99;				/* kind */
	EXPECT_FAIL_KIND(FAIL_CORRUPT, ChunkDecode((char *) header, sizeof(header)));
	header[2] = LAKE_DECIMAL | 39 << 8;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, ChunkDecode((char *) header, sizeof(header)));
}

static void
TestFullness(void)
{
	WireChunk  *chunk = ChunkCreate(&(LakeType) {LAKE_STRING}, 1);
	char	   *large = mem_alloc0(CHUNK_BYTES);

	ok(!ChunkIsFull(chunk), "an empty chunk is not full");
	ChunkPutBytes(chunk, 0, large, CHUNK_BYTES);
	chunk->nrows++;
	ok(ChunkIsFull(chunk), "one of many bytes is");
	ChunkReset(chunk);
	for (int i = 0; i < CHUNK_ROWS; i++)
	{
		ChunkPutNull(chunk, 0);
		chunk->nrows++;
	}
	ok(ChunkIsFull(chunk), "one of %d rows is", CHUNK_ROWS);
	mem_free(large);
	ChunkFree(chunk);
}

static void
TestFrames(void)
{
	FrameBuffer buf = {NULL, 0, 0};
	FrameReader reader;
	FrameType	type;
	size_t		start,
				len;
	char	   *text;

	start = FrameBegin(&buf, FRAME_QUERY);
	FramePutU8(&buf, 200);
	FramePutU32(&buf, 4000000000U);
	FramePutI64(&buf, -5);
	FramePutString(&buf, "text", 4);
	FramePutString(&buf, "a\0b", 3);
	FrameEnd(&buf, start);

	ok(FrameParseHeader(buf.data, &len, &type), "a header is read");
	is_int(len, buf.len - FRAME_HEADER, "with its length");
	is_int(type, FRAME_QUERY, "and type");
	reader = (FrameReader) {buf.data + FRAME_HEADER, buf.data + buf.len};
	is_int(FrameGetU8(&reader), 200, "uint8");
	is_int(FrameGetU32(&reader), 4000000000U, "uint32");
	is_int(FrameGetI64(&reader), -5, "int64");
	text = FrameGetString(&reader);
	is_str(text, "text", "string");
	mem_free(text);
	EXPECT_FAIL_KIND(FAIL_CORRUPT, FrameGetString(&reader));

	reader = (FrameReader) {"\xff\xff\xff\xff", NULL};
	reader.end = reader.p + 4;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, FrameGetString(&reader));
	reader.p = reader.end - 4;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, FrameGetCount(&reader, 4));
	reader.p = reader.end - 4;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, FrameGetI64(&reader));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, FrameExpectEnd(&reader));
	ok(!FrameParseHeader("\xff\xff\xff\xffQ", &len, &type), "a length beyond reason is refused");
	mem_free(buf.data);
}

int
main(void)
{
	TestRoundTrip(0);
	TestRoundTrip(1);
	TestRoundTrip(1000);
	TestRoundTrip(CHUNK_ROWS);
	TestTruncation();
	TestDamage();
	TestHostileCounts();
	TestFullness();
	TestFrames();
	return done_testing();
}
