/*
 * functions.c
 *		Scalar functions in C.
 *
 * They run on DuckDB's threads, below its C++ frames: no error may be raised by
 * Fail() here, only handed to DuckDB.
 */
#include "engine/functions.h"

#include "engine/fail.h"
#include "router/hash.h"

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
	return memcmp(a, b, sizeof(duckdb_string_t)) == 0;
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

/*
 * Rows of one file; they usually follow each other, so the page is kept.
 */
static void
LiveOfFile(const DeleteBitmap *bitmap, const int64 *rows, uint64 n, bool *out)
{
	const uint64 *page = NULL;
	int64		number = -1;

	if (bitmap == NULL)
	{
		memset(out, true, n);
		return;
	}
	for (uint64 i = 0; i < n; i++)
	{
		int			bit = (int) (rows[i] & (DELETE_PAGE_ROWS - 1));

		if (rows[i] / DELETE_PAGE_ROWS != number)
		{
			number = rows[i] / DELETE_PAGE_ROWS;
			page = DeleteBitmapPage(bitmap, number);
		}
		out[i] = page == NULL || !(page[bit / 64] >> (bit % 64) & 1);
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

void
RegisterFunctions(duckdb_connection con)
{
	Register(con, "shard_live", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_BOOLEAN,
			 BindLive, Live);
	Register(con, "shard_key_hash", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_UBIGINT,
			 NULL, ApplyKeyHash);
	Register(con, "shard_key_position", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR,
			 DUCKDB_TYPE_UBIGINT, NULL, ApplyKeyPosition);
}
