/*
 * input_nested.c
 *		Decoding of nested values; see input_nested.h.
 *
 * The table's type says what the bytes mean; every length is checked against
 * what is left of them.  A list's child vector grows with each value and may
 * move then, so that pointers into it are fetched again.
 */
#include "engine/input_nested.h"

#include "engine/fail.h"

typedef struct Reader
{
	const char *p;
	size_t		left;
} Reader;

static const char *
Take(Reader *reader, size_t len)
{
	const char *p = reader->p;

	if (len > reader->left)
		Fail("08P01", "a nested value ends too early");
	reader->p += len;
	reader->left -= len;
	return p;
}

static uint32
TakeCount(Reader *reader)
{
	uint32		n;

	memcpy(&n, Take(reader, sizeof(n)), sizeof(n));
	if (n > reader->left)
		Fail("08P01", "a nested value announces %u items that it cannot hold", n);
	return n;
}

static void
SetNull(duckdb_vector vector, uint64 row)
{
	duckdb_vector_ensure_validity_writable(vector);
	duckdb_validity_set_row_invalid(duckdb_vector_get_validity(vector), row);
}

void
InputNestedNull(duckdb_vector vector, uint64 row, const TypeNode *type)
{
	SetNull(vector, row);
	if (type->id == DUCKDB_TYPE_LIST)
		((duckdb_list_entry *) duckdb_vector_get_data(vector))[row] =
			(duckdb_list_entry) {duckdb_list_vector_get_size(vector), 0};
	else if (type->id == DUCKDB_TYPE_STRUCT)
		for (int i = 0; i < type->nchildren; i++)
			InputNestedNull(duckdb_struct_vector_get_child(vector, i), row, type->children[i]);
}

static void
PutDecimal(void *data, uint64 row, const TypeNode *type, const char *bytes)
{
	int128		value;

	memcpy(&value, bytes, sizeof(value));
	switch (type->internal)
	{
		case DUCKDB_TYPE_SMALLINT:
			((int16 *) data)[row] = (int16) value;
			break;
		case DUCKDB_TYPE_INTEGER:
			((int32 *) data)[row] = (int32) value;
			break;
		case DUCKDB_TYPE_BIGINT:
			((int64 *) data)[row] = (int64) value;
			break;
		default:
			memcpy((char *) data + row * sizeof(value), &value, sizeof(value));
			break;
	}
}

static void
PutUuid(duckdb_hugeint *value, const char *bytes)
{
	uint64		halves[2];

	memcpy(halves, bytes, sizeof(halves));
	value->upper = (int64) (__builtin_bswap64(halves[0]) ^ (UINT64_C(1) << 63));
	value->lower = __builtin_bswap64(halves[1]);
}

static void
PutScalar(duckdb_vector vector, uint64 row, const TypeNode *type, Reader *reader)
{
	void	   *data = duckdb_vector_get_data(vector);
	uint32		len;

	switch (type->id)
	{
		case DUCKDB_TYPE_BOOLEAN:
			((uint8 *) data)[row] = *Take(reader, 1) != 0;
			break;
		case DUCKDB_TYPE_INTEGER:
		case DUCKDB_TYPE_FLOAT:
		case DUCKDB_TYPE_DATE:
			memcpy((char *) data + row * 4, Take(reader, 4), 4);
			break;
		case DUCKDB_TYPE_BIGINT:
		case DUCKDB_TYPE_DOUBLE:
		case DUCKDB_TYPE_TIME:
		case DUCKDB_TYPE_TIMESTAMP:
		case DUCKDB_TYPE_TIMESTAMP_TZ:
			memcpy((char *) data + row * 8, Take(reader, 8), 8);
			break;
		case DUCKDB_TYPE_DECIMAL:
			PutDecimal(data, row, type, Take(reader, 16));
			break;
		case DUCKDB_TYPE_UUID:
			PutUuid(&((duckdb_hugeint *) data)[row], Take(reader, 16));
			break;
		case DUCKDB_TYPE_VARCHAR:
		case DUCKDB_TYPE_BLOB:
			len = TakeCount(reader);
			duckdb_vector_assign_string_element_len(vector, row, Take(reader, len), len);
			break;
		default:
			Fail("0A000", "a nested value of a type that is not supported (%d)", (int) type->id);
	}
}

static void PutValue(duckdb_vector vector, uint64 row, const TypeNode *type, Reader *reader);

static void
PutList(duckdb_vector vector, uint64 row, const TypeNode *type, Reader *reader)
{
	uint32		n = TakeCount(reader);
	uint64		offset = duckdb_list_vector_get_size(vector);
	duckdb_vector child;

	if (duckdb_list_vector_reserve(vector, offset + n) == DuckDBError ||
		duckdb_list_vector_set_size(vector, offset + n) == DuckDBError)
		Fail("53200", "no room for a list of %u elements", n);
	((duckdb_list_entry *) duckdb_vector_get_data(vector))[row] = (duckdb_list_entry) {offset, n};
	child = duckdb_list_vector_get_child(vector);
	for (uint32 i = 0; i < n; i++)
		PutValue(child, offset + i, type->children[0], reader);
}

static void
PutValue(duckdb_vector vector, uint64 row, const TypeNode *type, Reader *reader)
{
	if (*Take(reader, 1) == 0)
	{
		InputNestedNull(vector, row, type);
		return;
	}
	if (type->id == DUCKDB_TYPE_LIST)
		PutList(vector, row, type, reader);
	else if (type->id == DUCKDB_TYPE_STRUCT)
		for (int i = 0; i < type->nchildren; i++)
			PutValue(duckdb_struct_vector_get_child(vector, i), row, type->children[i], reader);
	else
		PutScalar(vector, row, type, reader);
}

void
InputNested(duckdb_vector vector, uint64 row, const TypeNode *type, const char *data, size_t len)
{
	Reader		reader = {data, len};

	PutValue(vector, row, type, &reader);
	if (reader.left != 0)
		Fail("08P01", "a nested value has %zu bytes too many", reader.left);
}
