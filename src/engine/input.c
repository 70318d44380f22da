/*
 * input.c
 *		Appending of column chunks to a temporary table.
 */
#include "engine/input.h"

#include <stdio.h>

#include "engine/fail.h"
#include "engine/input_nested.h"

/*
 * Raise what went wrong with the appender.
 */
static void
FailAppend(duckdb_appender appender)
{
	duckdb_error_data data = duckdb_appender_error_data(appender);
	bool		no_memory = duckdb_error_data_error_type(data) == DUCKDB_ERROR_OUT_OF_MEMORY;
	char		text[4096];

	snprintf(text, sizeof(text), "%s", duckdb_error_data_message(data));
	duckdb_destroy_error_data(&data);
	if (no_memory || strstr(text, "could not allocate block") != NULL)
		Fail("53200", "%s", text);
	FailWithText(text);
}

void
InputBegin(Input *input, duckdb_connection con, const char *table)
{
	if (duckdb_appender_create_ext(con, "temp", "main", table, &input->appender) == DuckDBError)
	{
		if (input->appender == NULL)
			Fail("42P01", "the engine has no temporary table \"%s\"", table);
		FailAppend(input->appender);
	}
}

static duckdb_logical_type
LogicalType(LakeType type)
{
	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			return duckdb_create_logical_type(DUCKDB_TYPE_BOOLEAN);
		case LAKE_INT:
			return duckdb_create_logical_type(DUCKDB_TYPE_INTEGER);
		case LAKE_LONG:
			return duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
		case LAKE_FLOAT:
			return duckdb_create_logical_type(DUCKDB_TYPE_FLOAT);
		case LAKE_DOUBLE:
			return duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE);
		case LAKE_DECIMAL:
			return duckdb_create_decimal_type(type.precision, type.scale);
		case LAKE_DATE:
			return duckdb_create_logical_type(DUCKDB_TYPE_DATE);
		case LAKE_TIME:
			return duckdb_create_logical_type(DUCKDB_TYPE_TIME);
		case LAKE_TIMESTAMP:
			return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP);
		case LAKE_TIMESTAMPTZ:
			return duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
		case LAKE_STRING:
		case LAKE_JSON:
			return duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
		case LAKE_BINARY:
			return duckdb_create_logical_type(DUCKDB_TYPE_BLOB);
		case LAKE_UUID:
			return duckdb_create_logical_type(DUCKDB_TYPE_UUID);
		case LAKE_NESTED:
			break;
	}
	Fail("08P01", "unknown value type %d", (int) type.kind);
}

static void
CreateChunk(Input *input, const WireChunk *wire)
{
	duckdb_logical_type *types = mem_alloc0(sizeof(duckdb_logical_type) * (wire->ncols + 1));

	if (duckdb_appender_column_count(input->appender) != (uint64) wire->ncols)
		Fail("08P01", "a chunk of %d columns for a table of %d", wire->ncols,
			 (int) duckdb_appender_column_count(input->appender));
	input->columns = mem_alloc0(sizeof(WireColumn) * (wire->ncols + 1));
	input->nested = mem_alloc0(sizeof(TypeNode *) * (wire->ncols + 1));
	for (int i = 0; i < wire->ncols; i++)
	{
		input->columns[i].type = wire->cols[i].type;
		if (wire->cols[i].type.kind == LAKE_NESTED)
		{
			types[i] = duckdb_appender_column_type(input->appender, i);
			input->nested[i] = TypeNodeBuild(types[i]);
		}
		else
			types[i] = LogicalType(wire->cols[i].type);
	}
	input->ncols = wire->ncols;
	input->chunk = duckdb_create_data_chunk(types, wire->ncols);
	for (int i = 0; i < wire->ncols; i++)
		duckdb_destroy_logical_type(&types[i]);
	mem_free(types);
	if (input->chunk == NULL)
		Fail("58000", "could not create a data chunk");
}

/*
 * Narrow 128-bit decimals to the width that DuckDB uses for the precision.
 */
static void
PutDecimals(const WireColumn *col, int nrows, void *data)
{
	for (int i = 0; i < nrows; i++)
	{
		int128		value;

		memcpy(&value, (const char *) col->values + (size_t) i * sizeof(value), sizeof(value));
		if (col->type.precision <= 4)
			((int16 *) data)[i] = (int16) value;
		else if (col->type.precision <= 9)
			((int32 *) data)[i] = (int32) value;
		else if (col->type.precision <= 18)
			((int64 *) data)[i] = (int64) value;
		else
			memcpy((char *) data + (size_t) i * sizeof(value), &value, sizeof(value));
	}
}

static void
PutUuids(const WireColumn *col, int nrows, duckdb_hugeint *data)
{
	for (int i = 0; i < nrows; i++)
	{
		uint64		halves[2];

		memcpy(halves, (const char *) col->values + (size_t) i * sizeof(halves), sizeof(halves));
		data[i].upper = (int64) (__builtin_bswap64(halves[0]) ^ (UINT64_C(1) << 63));
		data[i].lower = __builtin_bswap64(halves[1]);
	}
}

static void
PutStrings(const WireColumn *col, int nrows, duckdb_vector vector)
{
	for (int i = 0; i < nrows; i++)
		if (col->valid == NULL || col->valid[i])
			duckdb_vector_assign_string_element_len(vector, i, col->bytes + col->offsets[i],
													col->offsets[i + 1] - col->offsets[i]);
}

static void
PutNestedColumn(const WireColumn *col, int nrows, duckdb_vector vector, const TypeNode *type)
{
	for (int i = 0; i < nrows; i++)
	{
		if (col->valid == NULL || col->valid[i])
			InputNested(vector, i, type, col->bytes + col->offsets[i],
						col->offsets[i + 1] - col->offsets[i]);
		else
			InputNestedNull(vector, i, type);
	}
}

static void
PutColumn(const WireColumn *col, int nrows, duckdb_vector vector)
{
	int			width = LakeKindWidth(col->type.kind);
	void	   *data = duckdb_vector_get_data(vector);

	if (col->type.kind == LAKE_DECIMAL)
		PutDecimals(col, nrows, data);
	else if (col->type.kind == LAKE_UUID)
		PutUuids(col, nrows, data);
	else if (col->type.kind == LAKE_BOOLEAN)
		for (int i = 0; i < nrows; i++)
			((uint8 *) data)[i] = ((uint8 *) col->values)[i] != 0;
	else if (width > 0)
		memcpy(data, col->values, (size_t) nrows * width);
	else
		PutStrings(col, nrows, vector);

	if (col->valid != NULL)
	{
		uint64_t   *validity;

		duckdb_vector_ensure_validity_writable(vector);
		validity = duckdb_vector_get_validity(vector);
		for (int i = 0; i < nrows; i++)
			if (!col->valid[i])
				duckdb_validity_set_row_invalid(validity, i);
	}
}

void
InputChunk(Input *input, const WireChunk *wire)
{
	if (input->chunk == NULL)
		CreateChunk(input, wire);
	if (wire->ncols != input->ncols)
		Fail("08P01", "a chunk of %d columns after one of %d", wire->ncols, input->ncols);
	for (int i = 0; i < wire->ncols; i++)
	{
		LakeType	type = wire->cols[i].type;
		LakeType	first = input->columns[i].type;

		if (type.kind != first.kind || type.precision != first.precision ||
			type.scale != first.scale)
			Fail("08P01", "the type of column %d changes between chunks", i + 1);
	}
	duckdb_data_chunk_reset(input->chunk);
	duckdb_data_chunk_set_size(input->chunk, wire->nrows);
	for (int i = 0; i < wire->ncols; i++)
	{
		duckdb_vector vector = duckdb_data_chunk_get_vector(input->chunk, i);

		if (input->nested[i] != NULL)
			PutNestedColumn(&wire->cols[i], wire->nrows, vector, input->nested[i]);
		else
			PutColumn(&wire->cols[i], wire->nrows, vector);
	}
	if (duckdb_append_data_chunk(input->appender, input->chunk) == DuckDBError)
		FailAppend(input->appender);
}

void
InputFinish(Input *input)
{
	if (duckdb_appender_close(input->appender) == DuckDBError)
		FailAppend(input->appender);
}

void
InputDestroy(Input *input)
{
	if (input->chunk != NULL)
		duckdb_destroy_data_chunk(&input->chunk);
	if (input->appender != NULL)
		duckdb_appender_destroy(&input->appender);
	memset(input, 0, sizeof(*input));
}
