/*
 * functions.c
 *		Scalar functions in C.
 *
 * They run on DuckDB's threads, below its C++ frames: no error may be raised by
 * Fail() here, only handed to DuckDB.
 */
#include "engine/functions.h"

#include "engine/arithmetic.h"
#include "engine/dates.h"
#include "engine/fail.h"
#include "engine/floats.h"
#include "engine/letters.h"
#include "router/hash.h"
#include "wire/transform.h"

__thread DeleteSet *request_deletes = NULL;

static bool
Valid(uint64_t *validity, uint64 row)
{
	return validity == NULL || (validity[row / 64] >> (row % 64) & 1);
}

static void
SetNull(duckdb_vector output, uint64 row)
{
	duckdb_vector_ensure_validity_writable(output);
	duckdb_validity_set_row_invalid(duckdb_vector_get_validity(output), row);
}

/*
 * The same bytes, or at least surely the same string?  Rows of one file share
 * their name's storage, which makes this the usual case.
 */
static bool
SameStorage(const duckdb_string_t *a, const duckdb_string_t *b)
{
	uint64		x[2];
	uint64		y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

/* ---- shard_live ---- */

static void *
CopyDeletes(void *deletes)
{
	return DeleteSetRetain(deletes);
}

static void
ReleaseDeletes(void *deletes)
{
	DeleteSetRelease(deletes);
}

static void
BindLive(duckdb_bind_info info)
{
	if (request_deletes == NULL)
		return;
	duckdb_scalar_function_set_bind_data(info, DeleteSetRetain(request_deletes), ReleaseDeletes);
	duckdb_scalar_function_set_bind_data_copy(info, CopyDeletes);
}

static inline int64
PageOfRow(int64 row)
{
	return row / DELETE_PAGE_ROWS;
}

/*
 * Rows of one file; they usually follow each other, so the page is kept.
 */
static void
LiveOfFile(const DeleteBitmap *bitmap, const int64 *rows, uint64 n, bool *out)
{
	uint64		end;

	if (bitmap == NULL)
	{
		memset(out, true, n);
		return;
	}
	for (uint64 i = 0; i < n; i = end)
	{
		int64		number = PageOfRow(rows[i]);
		const uint64 *page = DeleteBitmapPage(bitmap, number);

		for (end = i; end < n && PageOfRow(rows[end]) == number; end++)
		{
			uint64		bit = (uint64) rows[end] % DELETE_PAGE_ROWS;

			out[end] = page == NULL || !(page[bit / 64] >> (bit % 64) & 1);
		}
	}
}

static void
PropagateNulls(uint64_t *validity, uint64 n, duckdb_vector output)
{
	for (uint64 i = 0; validity != NULL && i < n; i++)
		if (!Valid(validity, i))
			SetNull(output, i);
}

static void
Live(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	DeleteSet  *deletes = duckdb_scalar_function_get_bind_data(info);
	uint64		n = duckdb_data_chunk_get_size(input);
	duckdb_vector file_vector = duckdb_data_chunk_get_vector(input, 0);
	duckdb_vector row_vector = duckdb_data_chunk_get_vector(input, 1);
	duckdb_string_t *files = duckdb_vector_get_data(file_vector);
	int64	   *rows = duckdb_vector_get_data(row_vector);
	uint64_t   *file_validity = duckdb_vector_get_validity(file_vector);
	bool	   *out = duckdb_vector_get_data(output);
	uint64		end;

	for (uint64 i = 0; i < n; i = end)
	{
		const DeleteBitmap *bitmap = NULL;

		for (end = i + 1; end < n && SameStorage(&files[end], &files[i]);)
			end++;
		if (deletes != NULL && Valid(file_validity, i))
			bitmap = DeleteSetFind(deletes, duckdb_string_t_data(&files[i]),
								   duckdb_string_t_length(files[i]));
		LiveOfFile(bitmap, rows + i, end - i, out + i);
	}
	PropagateNulls(file_validity, n, output);
	PropagateNulls(duckdb_vector_get_validity(row_vector), n, output);
}

/* ---- hashes of keys ---- */

typedef uint64 (*KeyFunction) (HashFunction fn, const char *key, size_t len);

static bool
FindHashFunction(duckdb_string_t *name, HashFunction *fn)
{
	char		copy[32];
	uint32		len = duckdb_string_t_length(*name);

	if (len >= sizeof(copy))
		return false;
	memcpy(copy, duckdb_string_t_data(name), len);
	copy[len] = '\0';
	return HashFunctionByName(copy, fn);
}

static void
ApplyKeyFunction(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output,
				 KeyFunction function)
{
	uint64		n = duckdb_data_chunk_get_size(input);
	duckdb_vector name_vector = duckdb_data_chunk_get_vector(input, 0);
	duckdb_vector key_vector = duckdb_data_chunk_get_vector(input, 1);
	duckdb_string_t *names = duckdb_vector_get_data(name_vector);
	duckdb_string_t *keys = duckdb_vector_get_data(key_vector);
	uint64_t   *name_validity = duckdb_vector_get_validity(name_vector);
	uint64_t   *key_validity = duckdb_vector_get_validity(key_vector);
	uint64	   *out = duckdb_vector_get_data(output);
	const duckdb_string_t *known = NULL;
	HashFunction fn = HASH_FNV1A;

	for (uint64 i = 0; i < n; i++)
	{
		if (!Valid(name_validity, i) || !Valid(key_validity, i))
		{
			SetNull(output, i);
			continue;
		}
		if (known == NULL || !SameStorage(&names[i], known))
		{
			known = &names[i];
			if (!FindHashFunction(&names[i], &fn))
			{
				duckdb_scalar_function_set_error(info, "22023:unknown hash function");
				return;
			}
		}
		out[i] = function(fn, duckdb_string_t_data(&keys[i]), duckdb_string_t_length(keys[i]));
	}
}

static void
ApplyKeyHash(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ApplyKeyFunction(info, input, output, KeyHash);
}

static void
ApplyKeyPosition(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ApplyKeyFunction(info, input, output, KeyPosition);
}

/* ---- partition transforms ---- */

static int32
Int32At(duckdb_vector vector, uint64 row)
{
	return ((int32 *) duckdb_vector_get_data(vector))[row];
}

/* Most significant byte first, as short as it can be, as Iceberg has decimals. */
static uint32
HashOfHugeint(duckdb_hugeint value)
{
	unsigned char bytes[16];
	int			first = 0;

	for (int i = 0; i < 8; i++)
	{
		bytes[i] = (unsigned char) ((uint64) value.upper >> (8 * (7 - i)));
		bytes[8 + i] = (unsigned char) (value.lower >> (8 * (7 - i)));
	}
	while (first < 15 && ((bytes[first] == 0 && bytes[first + 1] < 0x80) ||
						  (bytes[first] == 0xff && bytes[first + 1] >= 0x80)))
		first++;
	return Murmur3(bytes + first, 16 - first);
}

static uint32
HashOfValue(duckdb_type type, void *data, uint64 row)
{
	switch (type)
	{
		case DUCKDB_TYPE_BIGINT:
		case DUCKDB_TYPE_TIME:
		case DUCKDB_TYPE_TIMESTAMP:
		case DUCKDB_TYPE_TIMESTAMP_TZ:
			return Murmur3Int64(((int64 *) data)[row]);
		case DUCKDB_TYPE_DATE:
			return Murmur3Int64(((int32 *) data)[row]);
		case DUCKDB_TYPE_HUGEINT:
			return HashOfHugeint(((duckdb_hugeint *) data)[row]);
		default:
			{
				duckdb_string_t *string = &((duckdb_string_t *) data)[row];

				return Murmur3(duckdb_string_t_data(string), duckdb_string_t_length(*string));
			}
	}
}

static duckdb_type
VectorType(duckdb_vector vector)
{
	duckdb_logical_type logical = duckdb_vector_get_column_type(vector);
	duckdb_type type = duckdb_get_type_id(logical);

	duckdb_destroy_logical_type(&logical);
	return type;
}

/* shard_bucket(value, n) */
static void
ApplyBucket(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	uint64		n = duckdb_data_chunk_get_size(input);
	duckdb_vector values = duckdb_data_chunk_get_vector(input, 0);
	duckdb_vector buckets = duckdb_data_chunk_get_vector(input, 1);
	duckdb_type type = VectorType(values);
	void	   *data = duckdb_vector_get_data(values);
	uint64_t   *validity = duckdb_vector_get_validity(values);
	int32	   *out = duckdb_vector_get_data(output);

	for (uint64 i = 0; i < n; i++)
	{
		if (!Valid(validity, i))
			SetNull(output, i);
		else if (Int32At(buckets, i) > 0)
			out[i] = TransformBucket(HashOfValue(type, data, i), Int32At(buckets, i));
		else
		{
			duckdb_scalar_function_set_error(info, "22023:number of buckets must be positive");
			return;
		}
	}
}

/* shard_time_part(value, kind), kind being a TransformKind */
static void
ApplyTimePart(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	uint64		n = duckdb_data_chunk_get_size(input);
	duckdb_vector values = duckdb_data_chunk_get_vector(input, 0);
	duckdb_vector kinds = duckdb_data_chunk_get_vector(input, 1);
	bool		is_date = VectorType(values) == DUCKDB_TYPE_DATE;
	void	   *data = duckdb_vector_get_data(values);
	uint64_t   *validity = duckdb_vector_get_validity(values);
	int32	   *out = duckdb_vector_get_data(output);

	for (uint64 i = 0; i < n; i++)
	{
		TransformKind kind = (TransformKind) Int32At(kinds, i);

		if (!Valid(validity, i))
			SetNull(output, i);
		else
			out[i] = is_date ? TransformDays(kind, ((int32 *) data)[i]) :
				TransformMicros(kind, ((int64 *) data)[i]);
	}
}

/* shard_truncate_int(value, width) and shard_truncate_long(value, width) */
static void
ApplyTruncate(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	uint64		n = duckdb_data_chunk_get_size(input);
	duckdb_vector values = duckdb_data_chunk_get_vector(input, 0);
	duckdb_vector widths = duckdb_data_chunk_get_vector(input, 1);
	bool		is_int = VectorType(values) == DUCKDB_TYPE_INTEGER;
	void	   *data = duckdb_vector_get_data(values);
	uint64_t   *validity = duckdb_vector_get_validity(values);
	void	   *out = duckdb_vector_get_data(output);

	for (uint64 i = 0; i < n; i++)
	{
		int32		width = Int32At(widths, i);

		if (width < 1)
		{
			duckdb_scalar_function_set_error(info, "22023:width must be positive");
			return;
		}
		if (!Valid(validity, i))
			SetNull(output, i);
		else if (is_int)
			((int32 *) out)[i] = (int32) TransformTruncate(((int32 *) data)[i], width);
		else
			((int64 *) out)[i] = TransformTruncate(((int64 *) data)[i], width);
	}
}

/* ---- registration ---- */

static void
Register(duckdb_connection con, const char *name, duckdb_type first, duckdb_type second,
		 duckdb_type result, duckdb_scalar_function_bind_t bind, duckdb_scalar_function_t function)
{
	duckdb_scalar_function f = duckdb_create_scalar_function();
	duckdb_logical_type types[3] = {duckdb_create_logical_type(first),
	duckdb_create_logical_type(second), duckdb_create_logical_type(result)};
	duckdb_state state;

	duckdb_scalar_function_set_name(f, name);
	duckdb_scalar_function_add_parameter(f, types[0]);
	duckdb_scalar_function_add_parameter(f, types[1]);
	duckdb_scalar_function_set_return_type(f, types[2]);
	if (bind != NULL)
		duckdb_scalar_function_set_bind(f, bind);
	duckdb_scalar_function_set_function(f, function);
	state = duckdb_register_scalar_function(con, f);
	for (int i = 0; i < 3; i++)
		duckdb_destroy_logical_type(&types[i]);
	duckdb_destroy_scalar_function(&f);
	if (state == DuckDBError)
		Fail("58000", "could not register the function %s", name);
}

/* One function (value, INTEGER) -> INTEGER for each of several types of values. */
static void
RegisterForTypes(duckdb_connection con, const char *name, const duckdb_type *types, int ntypes,
				 duckdb_scalar_function_t function)
{
	duckdb_scalar_function_set set = duckdb_create_scalar_function_set(name);
	duckdb_logical_type integer = duckdb_create_logical_type(DUCKDB_TYPE_INTEGER);
	duckdb_state state = DuckDBSuccess;

	for (int i = 0; i < ntypes; i++)
	{
		duckdb_scalar_function f = duckdb_create_scalar_function();
		duckdb_logical_type type = duckdb_create_logical_type(types[i]);

		duckdb_scalar_function_set_name(f, name);
		duckdb_scalar_function_add_parameter(f, type);
		duckdb_scalar_function_add_parameter(f, integer);
		duckdb_scalar_function_set_return_type(f, integer);
		duckdb_scalar_function_set_function(f, function);
		if (duckdb_add_scalar_function_to_set(set, f) == DuckDBError)
			state = DuckDBError;
		duckdb_destroy_logical_type(&type);
		duckdb_destroy_scalar_function(&f);
	}
	if (state != DuckDBError)
		state = duckdb_register_scalar_function_set(con, set);
	duckdb_destroy_logical_type(&integer);
	duckdb_destroy_scalar_function_set(&set);
	if (state == DuckDBError)
		Fail("58000", "could not register the function %s", name);
}

void
RegisterFunctions(duckdb_connection con)
{
	static const duckdb_type bucket_types[] = {DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_DATE,
		DUCKDB_TYPE_TIME, DUCKDB_TYPE_TIMESTAMP, DUCKDB_TYPE_TIMESTAMP_TZ, DUCKDB_TYPE_HUGEINT,
	DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_BLOB};
	static const duckdb_type time_types[] = {DUCKDB_TYPE_DATE, DUCKDB_TYPE_TIMESTAMP,
	DUCKDB_TYPE_TIMESTAMP_TZ};

	Register(con, "shard_live", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_BOOLEAN,
			 BindLive, Live);
	Register(con, "shard_key_hash", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_UBIGINT,
			 NULL, ApplyKeyHash);
	Register(con, "shard_key_position", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR,
			 DUCKDB_TYPE_UBIGINT, NULL, ApplyKeyPosition);
	RegisterForTypes(con, "shard_bucket", bucket_types, sizeof(bucket_types) / sizeof(bucket_types[0]), ApplyBucket);
	RegisterForTypes(con, "shard_time_part", time_types, sizeof(time_types) / sizeof(time_types[0]), ApplyTimePart);
	Register(con, "shard_truncate_int", DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_INTEGER,
			 DUCKDB_TYPE_INTEGER, NULL, ApplyTruncate);
	Register(con, "shard_truncate_long", DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_INTEGER,
			 DUCKDB_TYPE_BIGINT, NULL, ApplyTruncate);
	RegisterArithmetic(con);
	RegisterDates(con);
	RegisterFloats(con);
	RegisterLetters(con);
}
