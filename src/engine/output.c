/*
 * output.c
 *		Conversion of result vectors to columns of a wire chunk.
 *
 * Vectors whose layout is the wire's are referenced, not copied: the only copy
 * is the one into the frame.  The others are converted into a scratch area that
 * lives as long as the request.
 */
#include "engine/output.h"

#include "engine/fail.h"

typedef struct OutputColumn
{
	TypeNode   *type;
	bool		in_place;		/* layout of the vector is that of the wire */
	uint8	   *valid;			/* CHUNK_ROWS */
	void	   *values;			/* CHUNK_ROWS * 16 */
	uint32	   *offsets;		/* CHUNK_ROWS + 1 */
	Text		bytes;
} OutputColumn;

struct Output
{
	WireChunk	view;
	OutputColumn *columns;
};

/*
 * The type in which a column travels.
 */
static LakeType
WireType(const TypeNode *type, bool *in_place)
{
	*in_place = true;
	switch (type->id)
	{
		case DUCKDB_TYPE_BOOLEAN:
			return (LakeType) {LAKE_BOOLEAN};
		case DUCKDB_TYPE_INTEGER:
			return (LakeType) {LAKE_INT};
		case DUCKDB_TYPE_BIGINT:
			return (LakeType) {LAKE_LONG};
		case DUCKDB_TYPE_FLOAT:
			return (LakeType) {LAKE_FLOAT};
		case DUCKDB_TYPE_DOUBLE:
			return (LakeType) {LAKE_DOUBLE};
		case DUCKDB_TYPE_DATE:
			return (LakeType) {LAKE_DATE};
		case DUCKDB_TYPE_TIME:
			return (LakeType) {LAKE_TIME};
		case DUCKDB_TYPE_TIMESTAMP:
			return (LakeType) {LAKE_TIMESTAMP};
		case DUCKDB_TYPE_TIMESTAMP_TZ:
			return (LakeType) {LAKE_TIMESTAMPTZ};
		case DUCKDB_TYPE_DECIMAL:
			*in_place = type->internal == DUCKDB_TYPE_HUGEINT;
			return (LakeType) {LAKE_DECIMAL, type->precision, type->scale};
		default:
			break;
	}
	*in_place = false;
	switch (type->id)
	{
		case DUCKDB_TYPE_TINYINT:
		case DUCKDB_TYPE_SMALLINT:
		case DUCKDB_TYPE_UTINYINT:
		case DUCKDB_TYPE_USMALLINT:
			return (LakeType) {LAKE_INT};
		case DUCKDB_TYPE_UINTEGER:
			return (LakeType) {LAKE_LONG};
		case DUCKDB_TYPE_UBIGINT:
			return (LakeType) {LAKE_DECIMAL, 20, 0};
		case DUCKDB_TYPE_HUGEINT:
		case DUCKDB_TYPE_UHUGEINT:
			return (LakeType) {LAKE_DECIMAL, 38, 0};
		case DUCKDB_TYPE_TIME_NS:
			return (LakeType) {LAKE_TIME};
		case DUCKDB_TYPE_TIMESTAMP_S:
		case DUCKDB_TYPE_TIMESTAMP_MS:
		case DUCKDB_TYPE_TIMESTAMP_NS:
			return (LakeType) {LAKE_TIMESTAMP};
		case DUCKDB_TYPE_UUID:
			return (LakeType) {LAKE_UUID};
		case DUCKDB_TYPE_BLOB:
			return (LakeType) {LAKE_BINARY};
		case DUCKDB_TYPE_LIST:
		case DUCKDB_TYPE_ARRAY:
		case DUCKDB_TYPE_MAP:
		case DUCKDB_TYPE_STRUCT:
		case DUCKDB_TYPE_UNION:
			return (LakeType) {LAKE_JSON};
		case DUCKDB_TYPE_VARCHAR:
		case DUCKDB_TYPE_ENUM:
		case DUCKDB_TYPE_INTERVAL:
		case DUCKDB_TYPE_BIT:
		case DUCKDB_TYPE_TIME_TZ:
		case DUCKDB_TYPE_SQLNULL:
			return (LakeType) {LAKE_STRING};
		default:
			Fail("0A000", "the engine's result has a column of a type that is not supported (%d)",
				 (int) type->id);
	}
}

Output *
OutputCreate(duckdb_result *result)
{
	Output	   *output = mem_alloc0(sizeof(Output));
	int			ncols = (int) duckdb_column_count(result);

	output->view.ncols = ncols;
	output->view.cols = mem_alloc0(sizeof(WireColumn) * (ncols + 1));
	output->columns = mem_alloc0(sizeof(OutputColumn) * (ncols + 1));
	for (int i = 0; i < ncols; i++)
	{
		OutputColumn *column = &output->columns[i];
		duckdb_logical_type type = duckdb_column_logical_type(result, i);

		column->type = TypeNodeBuild(type);
		duckdb_destroy_logical_type(&type);
		output->view.cols[i].type = WireType(column->type, &column->in_place);
		column->valid = mem_alloc(CHUNK_ROWS);
		if (LakeKindWidth(output->view.cols[i].type.kind) == 0)
			column->offsets = mem_alloc0(sizeof(uint32) * (CHUNK_ROWS + 1));
		else if (!column->in_place)
			column->values = mem_alloc(CHUNK_ROWS * sizeof(int128));
	}
	return output;
}

void
OutputDescribe(Output *output, duckdb_result *result, FrameBuffer *buf)
{
	size_t		start = FrameBegin(buf, FRAME_DESCRIBE);

	FramePutU32(buf, output->view.ncols);
	for (int i = 0; i < output->view.ncols; i++)
	{
		LakeType	type = output->view.cols[i].type;
		const char *name = duckdb_column_name(result, i);

		FramePutU8(buf, type.kind);
		FramePutU8(buf, type.precision);
		FramePutU8(buf, type.scale);
		FramePutString(buf, name, strlen(name));
	}
	FrameEnd(buf, start);
}

/* Rows of a vector that become rows 0 .. n - 1 of a column. */
typedef struct Slice
{
	duckdb_vector vector;
	void	   *data;
	uint64_t   *validity;		/* NULL = none is null */
	uint64		from;
	int			n;
} Slice;

static bool
SliceValid(const Slice *slice, int i)
{
	return slice->validity == NULL ||
		duckdb_validity_row_is_valid(slice->validity, slice->from + i);
}

/*
 * Widen or move fixed-width values; what a null row holds does not matter.
 */
#define CONVERT(out_type, in_type, expr) \
	do { \
		const in_type *in = (const in_type *) slice->data + slice->from; \
		out_type   *out = column->values; \
		for (int i = 0; i < slice->n; i++) \
			out[i] = (expr); \
	} while (0)

static void
CheckHugeint(const OutputColumn *column, const Slice *slice)
{
	const int128 limit = (int128) 10000000000000000000ULL * 10000000000000000000ULL;
	const int128 *values = column->values;

	for (int i = 0; i < slice->n; i++)
		if (SliceValid(slice, i) && (values[i] >= limit || values[i] <= -limit ||
									 (column->type->id == DUCKDB_TYPE_UHUGEINT && values[i] < 0)))
			Fail("22003", "an integer has more than 38 digits");
}

/*
 * Timestamps of other units; the infinities are the same numbers in all.
 */
static void
ConvertTimestamps(OutputColumn *column, const Slice *slice)
{
	const int64 *in = (const int64 *) slice->data + slice->from;
	int64	   *out = column->values;
	int64		factor = column->type->id == DUCKDB_TYPE_TIMESTAMP_S ? 1000000 : 1000;

	for (int i = 0; i < slice->n; i++)
	{
		if (!SliceValid(slice, i) || in[i] == INT64_MAX || in[i] == -INT64_MAX)
			out[i] = in[i];
		else if (column->type->id == DUCKDB_TYPE_TIMESTAMP_NS)
			out[i] = in[i] / 1000 - (in[i] % 1000 < 0);
		else if (__builtin_mul_overflow(in[i], factor, &out[i]))
			Fail("22008", "timestamp out of range");
	}
}

/*
 * DuckDB keeps a UUID as a signed integer with the top bit flipped, so that it
 * sorts; the wire has its bytes in order.
 */
static void
ConvertUuids(OutputColumn *column, const Slice *slice)
{
	const duckdb_hugeint *in = (const duckdb_hugeint *) slice->data + slice->from;
	uint64	   *out = column->values;

	for (int i = 0; i < slice->n; i++)
	{
		out[2 * i] = __builtin_bswap64((uint64) in[i].upper ^ (UINT64_C(1) << 63));
		out[2 * i + 1] = __builtin_bswap64(in[i].lower);
	}
}

static void
ConvertFixed(OutputColumn *column, const Slice *slice)
{
	switch (column->type->id)
	{
		case DUCKDB_TYPE_TINYINT:
			CONVERT(int32, int8, in[i]);
			return;
		case DUCKDB_TYPE_SMALLINT:
			CONVERT(int32, int16, in[i]);
			return;
		case DUCKDB_TYPE_UTINYINT:
			CONVERT(int32, uint8, in[i]);
			return;
		case DUCKDB_TYPE_USMALLINT:
			CONVERT(int32, uint16, in[i]);
			return;
		case DUCKDB_TYPE_UINTEGER:
			CONVERT(int64, uint32, in[i]);
			return;
		case DUCKDB_TYPE_UBIGINT:
			CONVERT(int128, uint64, in[i]);
			return;
		case DUCKDB_TYPE_HUGEINT:
		case DUCKDB_TYPE_UHUGEINT:
			memcpy(column->values, (const char *) slice->data + slice->from * sizeof(int128),
				   slice->n * sizeof(int128));
			CheckHugeint(column, slice);
			return;
		case DUCKDB_TYPE_DECIMAL:
			for (int i = 0; i < slice->n; i++)
				((int128 *) column->values)[i] =
					DecimalAt(column->type, slice->data, slice->from + i);
			return;
		case DUCKDB_TYPE_TIME_NS:
			CONVERT(int64, int64, in[i] / 1000);
			return;
		case DUCKDB_TYPE_UUID:
			ConvertUuids(column, slice);
			return;
		default:
			ConvertTimestamps(column, slice);
			return;
	}
}

/*
 * Text or JSON of a row that is not null.
 */
static void
AppendValue(OutputColumn *column, const Slice *slice, uint64 row)
{
	duckdb_string_t *string;
	const char *label;

	switch (column->type->id)
	{
		case DUCKDB_TYPE_VARCHAR:
		case DUCKDB_TYPE_BLOB:
			string = (duckdb_string_t *) slice->data + row;
			TextAppend(&column->bytes, duckdb_string_t_data(string), duckdb_string_t_length(*string));
			return;
		case DUCKDB_TYPE_ENUM:
			label = EnumLabel(column->type, slice->data, row);
			TextAppend(&column->bytes, label, strlen(label));
			return;
		case DUCKDB_TYPE_LIST:
		case DUCKDB_TYPE_ARRAY:
		case DUCKDB_TYPE_MAP:
		case DUCKDB_TYPE_STRUCT:
		case DUCKDB_TYPE_UNION:
			AppendJson(&column->bytes, column->type, slice->vector, row);
			return;
		default:
			AppendScalarText(&column->bytes, column->type, slice->data, row);
			return;
	}
}

static void
ConvertVariable(OutputColumn *column, const Slice *slice)
{
	column->bytes.len = 0;
	for (int i = 0; i < slice->n; i++)
	{
		if (column->type->id != DUCKDB_TYPE_SQLNULL && SliceValid(slice, i))
			AppendValue(column, slice, slice->from + i);
		if (column->bytes.len > FRAME_MAX)
			Fail("54000", "the rows of a chunk exceed %zu bytes", FRAME_MAX);
		column->offsets[i + 1] = (uint32) column->bytes.len;
	}
}

static void
ConvertValidity(OutputColumn *column, WireColumn *wire, const Slice *slice)
{
	wire->valid = NULL;
	if (column->type->id == DUCKDB_TYPE_SQLNULL)
	{
		memset(column->valid, 0, slice->n);
		wire->valid = column->valid;
	}
	else if (slice->validity != NULL)
	{
		for (int i = 0; i < slice->n; i++)
		{
			uint64		row = slice->from + i;

			column->valid[i] = slice->validity[row / 64] >> (row % 64) & 1;
		}
		wire->valid = column->valid;
	}
}

static void
ConvertColumn(OutputColumn *column, WireColumn *wire, const Slice *slice)
{
	int			width = LakeKindWidth(wire->type.kind);

	ConvertValidity(column, wire, slice);
	if (column->in_place)
		wire->values = (char *) slice->data + slice->from * width;
	else if (width > 0)
	{
		ConvertFixed(column, slice);
		wire->values = column->values;
	}
	else
	{
		ConvertVariable(column, slice);
		wire->offsets = column->offsets;
		wire->bytes = column->bytes.data;
	}
}

/*
 * How many rows from row on fit into CHUNK_BYTES of strings; at least one.
 */
static int
RowsThatFit(Output *output, duckdb_data_chunk chunk, uint64 row)
{
	uint64		size = duckdb_data_chunk_get_size(chunk);
	int			n = (int) (size - row < CHUNK_ROWS ? size - row : CHUNK_ROWS);
	uint64		total = 0;

	for (int i = 0; i < n; i++)
	{
		for (int c = 0; c < output->view.ncols; c++)
		{
			duckdb_vector vector;

			if (output->columns[c].type->id != DUCKDB_TYPE_VARCHAR &&
				output->columns[c].type->id != DUCKDB_TYPE_BLOB)
				continue;
			vector = duckdb_data_chunk_get_vector(chunk, c);
			if (RowIsValid(vector, row + i))
				total += duckdb_string_t_length(((duckdb_string_t *)
												 duckdb_vector_get_data(vector))[row + i]);
		}
		if (total > CHUNK_BYTES)
			return i > 0 ? i : 1;
	}
	return n;
}

/*
 * May the strings of a chunk add up to more than CHUNK_BYTES?  Looks at one
 * column after the other, which is fast.
 */
static bool
IsLarge(Output *output, duckdb_data_chunk chunk)
{
	uint64		size = duckdb_data_chunk_get_size(chunk);
	uint64		total = 0;

	for (int c = 0; c < output->view.ncols; c++)
	{
		duckdb_vector vector;
		duckdb_string_t *strings;
		uint64_t   *validity;

		if (output->columns[c].type->id != DUCKDB_TYPE_VARCHAR &&
			output->columns[c].type->id != DUCKDB_TYPE_BLOB)
			continue;
		vector = duckdb_data_chunk_get_vector(chunk, c);
		strings = duckdb_vector_get_data(vector);
		validity = duckdb_vector_get_validity(vector);
		for (uint64 i = 0; i < size; i++)
			if (validity == NULL || validity[i / 64] >> (i % 64) & 1)
				total += strings[i].value.inlined.length;
	}
	return total > CHUNK_BYTES;
}

void
OutputRows(Output *output, duckdb_data_chunk chunk, uint64 *row, FrameBuffer *buf)
{
	uint64		size = duckdb_data_chunk_get_size(chunk);
	int			n = (int) (size - *row);
	size_t		start;
	size_t		len;

	if (n > CHUNK_ROWS || IsLarge(output, chunk))
		n = RowsThatFit(output, chunk, *row);
	output->view.nrows = n;
	for (int c = 0; c < output->view.ncols; c++)
	{
		duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, c);
		Slice		slice = {vector, duckdb_vector_get_data(vector),
			duckdb_vector_get_validity(vector), *row, n};

		ConvertColumn(&output->columns[c], &output->view.cols[c], &slice);
	}
	start = FrameBegin(buf, FRAME_CHUNK);
	len = ChunkEncodedSize(&output->view);
	FrameBufferReserve(buf, len);
	ChunkEncode(&output->view, buf->data + buf->len);
	buf->len += len;
	FrameEnd(buf, start);
	*row += n;
}
