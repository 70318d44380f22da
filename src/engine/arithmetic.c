/*
 * arithmetic.c
 *		SQL functions that compute as PostgreSQL does where DuckDB does not.
 *
 * They run on DuckDB's threads, below its C++ frames: no error may be raised by
 * Fail() here, only handed to DuckDB.
 */
#include "engine/arithmetic.h"

#include <math.h>

#include "engine/fail.h"
#include "engine/numeric.h"

#define INT4_RANGE "22003:integer out of range"
#define INT8_RANGE "22003:bigint out of range"
#define OVERFLOW_ERROR "22003:value out of range: overflow"
#define UNDERFLOW_ERROR "22003:value out of range: underflow"
#define ZERO_ERROR "22012:division by zero"
#define DIGITS_ERROR "0A000:numeric of too many digits, or NaN"

/* The vectors of a call; a row with a NULL among its arguments is NULL. */
typedef struct Rows
{
	uint64		n;
	duckdb_vector output;
	void	   *out;
	void	   *args[2];
	uint64_t   *validity[2];
} Rows;

static void
RowsInit(Rows *rows, duckdb_data_chunk input, duckdb_vector output)
{
	rows->n = duckdb_data_chunk_get_size(input);
	rows->output = output;
	rows->out = duckdb_vector_get_data(output);
	for (idx_t i = 0; i < 2; i++)
	{
		duckdb_vector vector = i < duckdb_data_chunk_get_column_count(input) ?
			duckdb_data_chunk_get_vector(input, i) : NULL;

		rows->args[i] = vector ? duckdb_vector_get_data(vector) : NULL;
		rows->validity[i] = vector ? duckdb_vector_get_validity(vector) : NULL;
	}
}

static bool
IsNull(Rows *rows, uint64 row)
{
	for (int i = 0; i < 2; i++)
	{
		if (rows->validity[i] == NULL || (rows->validity[i][row / 64] >> (row % 64) & 1))
			continue;
		duckdb_vector_ensure_validity_writable(rows->output);
		duckdb_validity_set_row_invalid(duckdb_vector_get_validity(rows->output), row);
		return true;
	}
	return false;
}

/* ---- numbers of fixed width ---- */

/* Each gives the error of one row, or NULL. */
#define INTEGER_FUNCTIONS(name, type, range) \
static const char *add_##name(type a, type b, type *r) \
{ return __builtin_add_overflow(a, b, r) ? range : NULL; } \
static const char *sub_##name(type a, type b, type *r) \
{ return __builtin_sub_overflow(a, b, r) ? range : NULL; } \
static const char *mul_##name(type a, type b, type *r) \
{ return __builtin_mul_overflow(a, b, r) ? range : NULL; } \
static const char *div_##name(type a, type b, type *r) \
{ \
	if (b == 0) \
		return ZERO_ERROR; \
	if (b == -1) \
		return __builtin_sub_overflow((type) 0, a, r) ? range : NULL; \
	*r = a / b; \
	return NULL; \
} \
static const char *mod_##name(type a, type b, type *r) \
{ \
	if (b == 0) \
		return ZERO_ERROR; \
	*r = b == -1 ? 0 : a % b; \
	return NULL; \
}

#define FLOAT_FUNCTIONS(name, type) \
static const char *add_##name(type a, type b, type *r) \
{ *r = a + b; return isinf(*r) && !isinf(a) && !isinf(b) ? OVERFLOW_ERROR : NULL; } \
static const char *sub_##name(type a, type b, type *r) \
{ *r = a - b; return isinf(*r) && !isinf(a) && !isinf(b) ? OVERFLOW_ERROR : NULL; } \
static const char *mul_##name(type a, type b, type *r) \
{ \
	*r = a * b; \
	if (isinf(*r) && !isinf(a) && !isinf(b)) \
		return OVERFLOW_ERROR; \
	return *r == 0 && a != 0 && b != 0 ? UNDERFLOW_ERROR : NULL; \
} \
static const char *div_##name(type a, type b, type *r) \
{ \
	if (b == 0 && !isnan(a)) \
		return ZERO_ERROR; \
	*r = a / b; \
	if (isinf(*r) && !isinf(a)) \
		return OVERFLOW_ERROR; \
	return *r == 0 && a != 0 && !isinf(b) ? UNDERFLOW_ERROR : NULL; \
}

#define APPLY(function, type) \
static void \
Apply_##function(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) \
{ \
	Rows		rows; \
\
	RowsInit(&rows, input, output); \
	for (uint64 i = 0; i < rows.n; i++) \
	{ \
		const char *error; \
\
		if (IsNull(&rows, i)) \
			continue; \
		error = function(((type *) rows.args[0])[i], ((type *) rows.args[1])[i], &((type *) rows.out)[i]); \
		if (error != NULL) \
		{ \
			duckdb_scalar_function_set_error(info, error); \
			return; \
		} \
	} \
}

INTEGER_FUNCTIONS(int4, int32, INT4_RANGE)
INTEGER_FUNCTIONS(int8, int64, INT8_RANGE)
FLOAT_FUNCTIONS(float4, float)
FLOAT_FUNCTIONS(float8, double)

APPLY(add_int4, int32)
APPLY(sub_int4, int32)
APPLY(mul_int4, int32)
APPLY(div_int4, int32)
APPLY(mod_int4, int32)
APPLY(add_int8, int64)
APPLY(sub_int8, int64)
APPLY(mul_int8, int64)
APPLY(div_int8, int64)
APPLY(mod_int8, int64)
APPLY(add_float4, float)
APPLY(sub_float4, float)
APPLY(mul_float4, float)
APPLY(div_float4, float)
APPLY(add_float8, double)
APPLY(sub_float8, double)
APPLY(mul_float8, double)
APPLY(div_float8, double)

/* ---- numerics ---- */

typedef const char *(*NumericFunction) (const Number *a, const Number *b, int32 n, Number *out);

static const char *
Result(bool ok)
{
	return ok ? NULL : DIGITS_ERROR;
}

static const char *
num_add(const Number *a, const Number *b, int32 n, Number *out)
{
	return Result(NumberAdd(a, b, false, out));
}

static const char *
num_sub(const Number *a, const Number *b, int32 n, Number *out)
{
	return Result(NumberAdd(a, b, true, out));
}

static const char *
num_mul(const Number *a, const Number *b, int32 n, Number *out)
{
	return Result(NumberMultiply(a, b, out));
}

static const char *
num_div(const Number *a, const Number *b, int32 n, Number *out)
{
	return b->ngroups == 0 ? ZERO_ERROR : Result(NumberDivide(a, b, out));
}

static const char *
num_mod(const Number *a, const Number *b, int32 n, Number *out)
{
	return b->ngroups == 0 ? ZERO_ERROR : Result(NumberModulo(a, b, out));
}

static const char *
num_neg(const Number *a, const Number *b, int32 n, Number *out)
{
	*out = *a;
	out->negative = !a->negative && a->ngroups > 0;
	return NULL;
}

static const char *
num_abs(const Number *a, const Number *b, int32 n, Number *out)
{
	*out = *a;
	out->negative = false;
	return NULL;
}

static const char *
num_ceil(const Number *a, const Number *b, int32 n, Number *out)
{
	*out = *a;
	return Result(NumberCeiling(out, false));
}

static const char *
num_floor(const Number *a, const Number *b, int32 n, Number *out)
{
	*out = *a;
	return Result(NumberCeiling(out, true));
}

static const char *
num_round(const Number *a, const Number *b, int32 n, Number *out)
{
	*out = *a;
	return n < -1000 || n > 1000 ? DIGITS_ERROR : Result(NumberRound(out, n));
}

static const char *
num_trunc(const Number *a, const Number *b, int32 n, Number *out)
{
	*out = *a;
	if (n < -1000 || n > 1000)
		return DIGITS_ERROR;
	NumberTruncate(out, n);
	return NULL;
}

static bool
ParseAt(Rows *rows, int arg, uint64 row, Number *number)
{
	duckdb_string_t *text = (duckdb_string_t *) rows->args[arg] + row;

	return NumberParse(duckdb_string_t_data(text), duckdb_string_t_length(*text), number);
}

static void
ApplyNumeric(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output,
			 NumericFunction function, bool second_is_number)
{
	Rows		rows;
	Number		a;
	Number		b = {false, 0, 0, 0, {0}};
	Number		result;
	char		text[2 * NUMERIC_TEXT];

	RowsInit(&rows, input, output);
	for (uint64 i = 0; i < rows.n; i++)
	{
		const char *error = DIGITS_ERROR;
		int32		n = 0;

		if (IsNull(&rows, i))
			continue;
		if (rows.args[1] != NULL && !second_is_number)
			n = ((int32 *) rows.args[1])[i];
		if (ParseAt(&rows, 0, i, &a) && (!second_is_number || ParseAt(&rows, 1, i, &b)))
			error = function(&a, &b, n, &result);
		if (error != NULL)
		{
			duckdb_scalar_function_set_error(info, error);
			return;
		}
		duckdb_vector_assign_string_element_len(output, i, text, NumberPrint(&result, text));
	}
}

#define APPLY_NUMERIC(function, second) \
static void \
Apply_##function(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) \
{ \
	ApplyNumeric(info, input, output, function, second); \
}

APPLY_NUMERIC(num_add, true)
APPLY_NUMERIC(num_sub, true)
APPLY_NUMERIC(num_mul, true)
APPLY_NUMERIC(num_div, true)
APPLY_NUMERIC(num_mod, true)
APPLY_NUMERIC(num_neg, false)
APPLY_NUMERIC(num_abs, false)
APPLY_NUMERIC(num_ceil, false)
APPLY_NUMERIC(num_floor, false)
APPLY_NUMERIC(num_round, false)
APPLY_NUMERIC(num_trunc, false)

static void
Apply_num_cmp(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	Rows		rows;
	Number		a;
	Number		b;

	RowsInit(&rows, input, output);
	for (uint64 i = 0; i < rows.n; i++)
	{
		if (IsNull(&rows, i))
			continue;
		if (!ParseAt(&rows, 0, i, &a) || !ParseAt(&rows, 1, i, &b))
		{
			duckdb_scalar_function_set_error(info, DIGITS_ERROR);
			return;
		}
		((int32 *) rows.out)[i] = NumberCompare(&a, &b);
	}
}

static void
Apply_num_key(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	Rows		rows;
	Number		a;
	unsigned char key[2 * NUMERIC_GROUPS + 16];

	RowsInit(&rows, input, output);
	for (uint64 i = 0; i < rows.n; i++)
	{
		if (IsNull(&rows, i))
			continue;
		if (!ParseAt(&rows, 0, i, &a))
		{
			duckdb_scalar_function_set_error(info, DIGITS_ERROR);
			return;
		}
		duckdb_vector_assign_string_element_len(output, i, (char *) key, NumberKey(&a, key));
	}
}

/* ---- registration ---- */

typedef struct Function
{
	const char *name;
	duckdb_type first;
	duckdb_type second;			/* INVALID = none */
	duckdb_type result;
	duckdb_scalar_function_t function;
} Function;

#define FIXED(op, name, type) \
	{"shard_" #op "_" #name, type, type, type, Apply_##op##_##name}
#define NUMERIC(name, second) \
	{"shard_" #name, DUCKDB_TYPE_VARCHAR, second, DUCKDB_TYPE_VARCHAR, Apply_##name}

static const Function functions[] = {
	FIXED(add, int4, DUCKDB_TYPE_INTEGER),
	FIXED(sub, int4, DUCKDB_TYPE_INTEGER),
	FIXED(mul, int4, DUCKDB_TYPE_INTEGER),
	FIXED(div, int4, DUCKDB_TYPE_INTEGER),
	FIXED(mod, int4, DUCKDB_TYPE_INTEGER),
	FIXED(add, int8, DUCKDB_TYPE_BIGINT),
	FIXED(sub, int8, DUCKDB_TYPE_BIGINT),
	FIXED(mul, int8, DUCKDB_TYPE_BIGINT),
	FIXED(div, int8, DUCKDB_TYPE_BIGINT),
	FIXED(mod, int8, DUCKDB_TYPE_BIGINT),
	FIXED(add, float4, DUCKDB_TYPE_FLOAT),
	FIXED(sub, float4, DUCKDB_TYPE_FLOAT),
	FIXED(mul, float4, DUCKDB_TYPE_FLOAT),
	FIXED(div, float4, DUCKDB_TYPE_FLOAT),
	FIXED(add, float8, DUCKDB_TYPE_DOUBLE),
	FIXED(sub, float8, DUCKDB_TYPE_DOUBLE),
	FIXED(mul, float8, DUCKDB_TYPE_DOUBLE),
	FIXED(div, float8, DUCKDB_TYPE_DOUBLE),
	NUMERIC(num_add, DUCKDB_TYPE_VARCHAR),
	NUMERIC(num_sub, DUCKDB_TYPE_VARCHAR),
	NUMERIC(num_mul, DUCKDB_TYPE_VARCHAR),
	NUMERIC(num_div, DUCKDB_TYPE_VARCHAR),
	NUMERIC(num_mod, DUCKDB_TYPE_VARCHAR),
	NUMERIC(num_neg, DUCKDB_TYPE_INVALID),
	NUMERIC(num_abs, DUCKDB_TYPE_INVALID),
	NUMERIC(num_ceil, DUCKDB_TYPE_INVALID),
	NUMERIC(num_floor, DUCKDB_TYPE_INVALID),
	NUMERIC(num_round, DUCKDB_TYPE_INTEGER),
	NUMERIC(num_trunc, DUCKDB_TYPE_INTEGER),
	{"shard_num_rescale", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_VARCHAR, Apply_num_round},
	{"shard_num_cmp", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INTEGER, Apply_num_cmp},
	{"shard_num_key", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INVALID, DUCKDB_TYPE_BLOB, Apply_num_key},
};

static void
AddParameter(duckdb_scalar_function f, duckdb_type id)
{
	duckdb_logical_type type = duckdb_create_logical_type(id);

	duckdb_scalar_function_add_parameter(f, type);
	duckdb_destroy_logical_type(&type);
}

static void
Register(duckdb_connection con, const Function *function)
{
	duckdb_scalar_function f = duckdb_create_scalar_function();
	duckdb_logical_type result = duckdb_create_logical_type(function->result);
	duckdb_state state;

	duckdb_scalar_function_set_name(f, function->name);
	AddParameter(f, function->first);
	if (function->second != DUCKDB_TYPE_INVALID)
		AddParameter(f, function->second);
	duckdb_scalar_function_set_return_type(f, result);
	duckdb_scalar_function_set_function(f, function->function);
	state = duckdb_register_scalar_function(con, f);
	duckdb_destroy_logical_type(&result);
	duckdb_destroy_scalar_function(&f);
	if (state == DuckDBError)
		Fail("58000", "could not register the function %s", function->name);
}

void
RegisterArithmetic(duckdb_connection con)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		Register(con, &functions[i]);
}
