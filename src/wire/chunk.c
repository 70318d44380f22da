/*
 * chunk.c
 *		Building, encoding and decoding of column chunks.
 *
 * Encoded form, every section padded to 16 bytes:
 *		uint32 rows, uint32 columns
 *		per column: uint8 kind, precision, scale, has-validity
 *		per column: the validity bytes if it has them; then the values, or
 *		rows + 1 offsets and the byte area
 * The decoder trusts nothing: the peer may be a crashed or a hostile process.
 */
#include "wire/chunk.h"

#define SECTION_ALIGN(n) (((size_t) (n) + 15) & ~(size_t) 15)
#define MAX_COLUMNS 65535

typedef struct ColumnHeader
{
	uint8		kind;
	uint8		precision;
	uint8		scale;
	uint8		has_valid;
} ColumnHeader;

WireChunk *
ChunkCreate(const LakeType *types, int ncols)
{
	WireChunk  *chunk = mem_alloc0(sizeof(WireChunk));

	chunk->ncols = ncols;
	chunk->cols = mem_alloc0(sizeof(WireColumn) * (ncols > 0 ? ncols : 1));
	for (int i = 0; i < ncols; i++)
	{
		WireColumn *col = &chunk->cols[i];
		int			width = LakeKindWidth(types[i].kind);

		col->type = types[i];
		col->valid = mem_alloc(CHUNK_ROWS);
		if (width > 0)
			col->values = mem_alloc0((size_t) CHUNK_ROWS * width);
		else
		{
			col->offsets = mem_alloc0(sizeof(uint32) * (CHUNK_ROWS + 1));
			col->bytes_allocated = 1024;
			col->bytes = mem_alloc(col->bytes_allocated);
		}
	}
	ChunkReset(chunk);
	return chunk;
}

void
ChunkReset(WireChunk *chunk)
{
	for (int i = 0; i < chunk->ncols; i++)
		memset(chunk->cols[i].valid, 1, CHUNK_ROWS);
	chunk->nrows = 0;
}

void
ChunkFree(WireChunk *chunk)
{
	for (int i = 0; i < chunk->ncols && !chunk->borrowed; i++)
	{
		WireColumn *col = &chunk->cols[i];

		mem_free(col->valid);
		if (col->values != NULL)
			mem_free(col->values);
		else
		{
			mem_free(col->offsets);
			mem_free(col->bytes);
		}
	}
	mem_free(chunk->cols);
	mem_free(chunk);
}

size_t
ChunkBytes(const WireChunk *chunk)
{
	size_t		bytes = 0;

	for (int i = 0; i < chunk->ncols; i++)
		if (chunk->cols[i].offsets != NULL)
			bytes += chunk->cols[i].offsets[chunk->nrows];
	return bytes;
}

bool
ChunkIsFull(const WireChunk *chunk)
{
	return chunk->nrows >= CHUNK_ROWS || ChunkBytes(chunk) >= CHUNK_BYTES;
}

void
ChunkPutNull(WireChunk *chunk, int col)
{
	WireColumn *c = &chunk->cols[col];
	int			width = LakeKindWidth(c->type.kind);

	c->valid[chunk->nrows] = 0;
	if (width > 0)
		memset((char *) c->values + (size_t) chunk->nrows * width, 0, width);
	else
		c->offsets[chunk->nrows + 1] = c->offsets[chunk->nrows];
}

void
ChunkPutFixed(WireChunk *chunk, int col, const void *value)
{
	WireColumn *c = &chunk->cols[col];
	int			width = LakeKindWidth(c->type.kind);

	/* Constant sizes, so that the compiler makes a plain store of each. */
	switch (width)
	{
		case 4:
			memcpy((char *) c->values + (size_t) chunk->nrows * 4, value, 4);
			break;
		case 8:
			memcpy((char *) c->values + (size_t) chunk->nrows * 8, value, 8);
			break;
		case 16:
			memcpy((char *) c->values + (size_t) chunk->nrows * 16, value, 16);
			break;
		default:
			memcpy((char *) c->values + (size_t) chunk->nrows * width, value, width);
			break;
	}
}

/*
 * Make room for len more bytes in a column that holds used bytes.
 */
static void
GrowBytes(WireColumn *col, size_t used, size_t len)
{
	size_t		wanted = used + len;
	size_t		size = col->bytes_allocated;

	if (wanted > (size_t) INT32_MAX / 2)
		shard_fail(FAIL_UNSUPPORTED, "values of one chunk exceed %d bytes", INT32_MAX / 2);
	while (size < wanted)
		size *= 2;
	if (size > (size_t) INT32_MAX / 2)
		size = (size_t) INT32_MAX / 2;
	col->bytes = mem_realloc(col->bytes, size);
	col->bytes_allocated = size;
}

void
ChunkPutBytes(WireChunk *chunk, int col, const char *data, size_t len)
{
	WireColumn *c = &chunk->cols[col];
	size_t		used = c->offsets[chunk->nrows];

	if (used + len > c->bytes_allocated)
		GrowBytes(c, used, len);
	memcpy(c->bytes + used, data, len);
	c->offsets[chunk->nrows + 1] = (uint32) (used + len);
}

bool
ChunkIsNull(const WireChunk *chunk, int col, int row)
{
	const WireColumn *c = &chunk->cols[col];

	return c->valid != NULL && !c->valid[row];
}

const void *
ChunkGetFixed(const WireChunk *chunk, int col, int row)
{
	const WireColumn *c = &chunk->cols[col];

	return (const char *) c->values + (size_t) row * LakeKindWidth(c->type.kind);
}

const char *
ChunkGetBytes(const WireChunk *chunk, int col, int row, size_t *len)
{
	const WireColumn *c = &chunk->cols[col];

	*len = c->offsets[row + 1] - c->offsets[row];
	return c->bytes + c->offsets[row];
}

int64
ChunkGetInt64(const WireChunk *chunk, int col, int row)
{
	const WireColumn *c = &chunk->cols[col];
	const void *value;
	int32		narrow;
	int64		wide;

	if (c->type.kind != LAKE_INT && c->type.kind != LAKE_LONG && c->type.kind != LAKE_DECIMAL)
		shard_fail(FAIL_INTERNAL, "column %d is not an integer", col + 1);
	value = ChunkGetFixed(chunk, col, row);
	if (c->type.kind == LAKE_INT)
	{
		memcpy(&narrow, value, sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, value, sizeof(wide));
	return wide;
}

/*
 * Must the validity bytes of a column travel?
 */
static bool
HasNulls(const WireChunk *chunk, const WireColumn *col)
{
	return col->valid != NULL && memchr(col->valid, 0, chunk->nrows) != NULL;
}

static size_t
HeaderSize(int ncols)
{
	return SECTION_ALIGN(2 * sizeof(uint32) + sizeof(ColumnHeader) * (size_t) ncols);
}

size_t
ChunkEncodedSize(const WireChunk *chunk)
{
	size_t		size = HeaderSize(chunk->ncols);

	for (int i = 0; i < chunk->ncols; i++)
	{
		const WireColumn *col = &chunk->cols[i];
		int			width = LakeKindWidth(col->type.kind);

		if (HasNulls(chunk, col))
			size += SECTION_ALIGN(chunk->nrows);
		if (width > 0)
			size += SECTION_ALIGN((size_t) chunk->nrows * width);
		else
			size += SECTION_ALIGN(sizeof(uint32) * (chunk->nrows + 1)) +
				SECTION_ALIGN(col->offsets[chunk->nrows]);
	}
	return size;
}

/*
 * Append one section with its padding.
 */
static char *
PutSection(char *out, const void *data, size_t len)
{
	if (len > 0)
		memcpy(out, data, len);
	memset(out + len, 0, SECTION_ALIGN(len) - len);
	return out + SECTION_ALIGN(len);
}

void
ChunkEncode(const WireChunk *chunk, char *out)
{
	uint32		counts[2] = {(uint32) chunk->nrows, (uint32) chunk->ncols};
	char	   *p = out;

	memset(out, 0, HeaderSize(chunk->ncols));
	memcpy(p, counts, sizeof(counts));
	p += sizeof(counts);
	for (int i = 0; i < chunk->ncols; i++, p += sizeof(ColumnHeader))
	{
		const WireColumn *col = &chunk->cols[i];
		ColumnHeader header = {(uint8) col->type.kind, (uint8) col->type.precision,
		(uint8) col->type.scale, HasNulls(chunk, col)};

		memcpy(p, &header, sizeof(header));
	}

	p = out + HeaderSize(chunk->ncols);
	for (int i = 0; i < chunk->ncols; i++)
	{
		const WireColumn *col = &chunk->cols[i];
		int			width = LakeKindWidth(col->type.kind);

		if (HasNulls(chunk, col))
			p = PutSection(p, col->valid, chunk->nrows);
		if (width > 0)
			p = PutSection(p, col->values, (size_t) chunk->nrows * width);
		else
		{
			p = PutSection(p, col->offsets, sizeof(uint32) * (chunk->nrows + 1));
			p = PutSection(p, col->bytes, col->offsets[chunk->nrows]);
		}
	}
}

/* What is left of an encoded chunk. */
typedef struct Reader
{
	const char *p;
	size_t		left;
} Reader;

static void *
TakeSection(Reader *reader, size_t len)
{
	void	   *section = (void *) reader->p;
	size_t		padded = SECTION_ALIGN(len);

	if (padded < len || padded > reader->left)
		shard_fail(FAIL_CORRUPT, "column chunk ends too early");
	reader->p += padded;
	reader->left -= padded;
	return section;
}

static void
CheckType(LakeType type)
{
	if (type.kind < LAKE_BOOLEAN || type.kind > LAKE_NESTED)
		shard_fail(FAIL_CORRUPT, "column chunk has unknown value type %d", (int) type.kind);
	if (type.kind == LAKE_DECIMAL &&
		(type.precision < 1 || type.precision > 38 || type.scale > type.precision))
		shard_fail(FAIL_CORRUPT, "column chunk has invalid type decimal(%d, %d)",
				   type.precision, type.scale);
}

static void
DecodeBytes(WireColumn *col, int nrows, Reader *reader)
{
	uint32		len;

	col->offsets = TakeSection(reader, sizeof(uint32) * (nrows + 1));
	if (col->offsets[0] != 0)
		shard_fail(FAIL_CORRUPT, "column chunk has invalid offsets");
	for (int i = 0; i < nrows; i++)
		if (col->offsets[i + 1] < col->offsets[i])
			shard_fail(FAIL_CORRUPT, "column chunk has invalid offsets");
	len = col->offsets[nrows];
	col->bytes = TakeSection(reader, len);
}

WireChunk *
ChunkDecode(const char *data, size_t len)
{
	Reader		reader = {data, len};
	uint32		counts[2];
	WireChunk  *chunk;
	const char *headers;

	if (len < sizeof(counts))
		shard_fail(FAIL_CORRUPT, "column chunk ends too early");
	memcpy(counts, data, sizeof(counts));
	if (counts[0] > CHUNK_ROWS || counts[1] > MAX_COLUMNS)
		shard_fail(FAIL_CORRUPT, "column chunk of %u rows and %u columns is too large",
				   counts[0], counts[1]);
	headers = (char *) TakeSection(&reader, sizeof(counts) + sizeof(ColumnHeader) * counts[1]) +
		sizeof(counts);

	chunk = mem_alloc0(sizeof(WireChunk));
	chunk->borrowed = true;
	chunk->nrows = counts[0];
	chunk->ncols = counts[1];
	chunk->cols = mem_alloc0(sizeof(WireColumn) * (counts[1] > 0 ? counts[1] : 1));
	for (int i = 0; i < chunk->ncols; i++)
	{
		WireColumn *col = &chunk->cols[i];
		ColumnHeader header;
		int			width;

		memcpy(&header, headers + sizeof(header) * i, sizeof(header));
		col->type = (LakeType) {header.kind, header.precision, header.scale};
		CheckType(col->type);
		width = LakeKindWidth(col->type.kind);
		if (header.has_valid)
			col->valid = TakeSection(&reader, chunk->nrows);
		if (width > 0)
			col->values = TakeSection(&reader, (size_t) chunk->nrows * width);
		else
			DecodeBytes(col, chunk->nrows, &reader);
	}
	if (reader.left != 0)
		shard_fail(FAIL_CORRUPT, "column chunk has %zu bytes too many", reader.left);
	return chunk;
}
