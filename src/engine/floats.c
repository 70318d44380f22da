/*
 * floats.c
 *		SQL functions of floating-point numbers, and statistics, as PostgreSQL has them.
 *
 * They run on DuckDB's threads, below its C++ frames: no error may be raised by
 * Fail() here, only handed to DuckDB.
 */
#include "engine/floats.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "engine/numeric.h"
#include "engine/scalar.h"

#define OVERFLOW_ERROR "22003:value out of range: overflow"
#define UNDERFLOW_ERROR "22003:value out of range: underflow"
#define INT4_RANGE "22003:integer out of range"
#define INT8_RANGE "22003:bigint out of range"
#define DIGITS_ERROR "0A000:numeric of too many digits, or NaN"

#define VARIANCE_OF_SAMPLE 1
#define VARIANCE_ROOT 2

/* ---- functions of one number ---- */

/* Each gives the error of one row, or NULL. */
typedef const char *(*Function) (double x, double *result);

static const char *
Checked(double result, bool infinite, bool zero)
{
	if (isinf(result) && !infinite)
		return OVERFLOW_ERROR;
	return result == 0 && !zero ? UNDERFLOW_ERROR : NULL;
}

static const char *
Sqrt(double x, double *result)
{
	if (x < 0)
		return "2201F:cannot take square root of a negative number";
	*result = sqrt(x);
	return Checked(*result, isinf(x), x == 0);
}

static const char *
Cbrt(double x, double *result)
{
	*result = cbrt(x);
	return Checked(*result, isinf(x), x == 0);
}

static const char *
Exp(double x, double *result)
{
	*result = isnan(x) ? x : isinf(x) ? (x > 0 ? x : 0) : exp(x);
	return Checked(*result, isinf(x), isinf(x));
}

static const char *
LogarithmError(double x)
{
	if (x == 0)
		return "2201E:cannot take logarithm of zero";
	return x < 0 ? "2201E:cannot take logarithm of a negative number" : NULL;
}

static const char *
Ln(double x, double *result)
{
	const char *error = LogarithmError(x);

	*result = error == NULL ? log(x) : 0;
	return error != NULL ? error : Checked(*result, isinf(x), x == 1);
}

static const char *
Log10(double x, double *result)
{
	const char *error = LogarithmError(x);

	*result = error == NULL ? log10(x) : 0;
	return error != NULL ? error : Checked(*result, isinf(x), x == 1);
}

static const char *
Round(double x, double *result)
{
	*result = rint(x);
	return NULL;
}

static const char *
Ceil(double x, double *result)
{
	*result = ceil(x);
	return NULL;
}

static const char *
Floor(double x, double *result)
{
	*result = floor(x);
	return NULL;
}

static const char *
Trunc(double x, double *result)
{
	*result = x >= 0 ? floor(x) : -floor(-x);
	return NULL;
}

static const char *
Sign(double x, double *result)
{
	*result = x > 0 ? 1 : x < 0 ? -1 : 0;
	return NULL;
}

static void
Apply(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output, Function function)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		const char *error = ScalarNull(&call, i) ? NULL :
			function(((double *) call.args[0])[i], (double *) call.out + i);

		if (error != NULL)
		{
			ScalarFail(&call, error);
			return;
		}
	}
}

#define APPLY(function) \
static void \
Apply##function(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) \
{ \
	Apply(info, input, output, function); \
}

APPLY(Sqrt)
APPLY(Cbrt)
APPLY(Exp)
APPLY(Ln)
APPLY(Log10)
APPLY(Round)
APPLY(Ceil)
APPLY(Floor)
APPLY(Trunc)
APPLY(Sign)

/* ---- casts ---- */

static void
ToInt4(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		double		x;

		if (ScalarNull(&call, i))
			continue;
		x = rint(((double *) call.args[0])[i]);
		if (!(x >= -2147483648.0 && x < 2147483648.0))
		{
			ScalarFail(&call, INT4_RANGE);
			return;
		}
		((int32 *) call.out)[i] = (int32) x;
	}
}

static void
ToInt8(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		double		x;

		if (ScalarNull(&call, i))
			continue;
		x = rint(((double *) call.args[0])[i]);
		if (!(x >= -9223372036854775808.0 && x < 9223372036854775808.0))
		{
			ScalarFail(&call, INT8_RANGE);
			return;
		}
		((int64 *) call.out)[i] = (int64) x;
	}
}

static void
ToFloat4(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		double		x = ((double *) call.args[0])[i];
		const char *error;

		if (ScalarNull(&call, i))
			continue;
		((float *) call.out)[i] = (float) x;
		error = Checked(((float *) call.out)[i], isinf(x), x == 0);
		if (error != NULL)
		{
			ScalarFail(&call, error);
			return;
		}
	}
}

/* ---- variance of exact numbers ---- */

/* A number of n decimal digits, the least significant first. */
typedef struct Digits
{
	int			n;
	unsigned char digits[NUMERIC_TEXT];
} Digits;

/* Multiply by ten and add. */
static bool
Push(Digits *a, int digit)
{
	if (a->n == 0 && digit == 0)
		return true;
	if (a->n >= NUMERIC_TEXT - 1)
		return false;
	memmove(a->digits + 1, a->digits, a->n);
	a->digits[0] = (unsigned char) digit;
	a->n++;
	return true;
}

static bool
NotLess(const Digits *a, const Digits *b)
{
	if (a->n != b->n)
		return a->n > b->n;
	for (int i = a->n - 1; i >= 0; i--)
		if (a->digits[i] != b->digits[i])
			return a->digits[i] > b->digits[i];
	return true;
}

static void
Subtract(Digits *a, const Digits *b)
{
	int			borrow = 0;

	for (int i = 0; i < a->n; i++)
	{
		int			digit = a->digits[i] - borrow - (i < b->n ? b->digits[i] : 0);

		borrow = digit < 0;
		a->digits[i] = (unsigned char) (digit + 10 * borrow);
	}
	while (a->n > 0 && a->digits[a->n - 1] == 0)
		a->n--;
}

static void
AddSmall(Digits *a, int small)
{
	for (int i = 0; small > 0; i++)
	{
		if (i == a->n)
			a->digits[a->n++] = 0;
		small += a->digits[i];
		a->digits[i] = (unsigned char) (small % 10);
		small /= 10;
	}
}

/*
 * Square root, rounded: digit by digit, two digits of the number giving one of
 * the root.  odd is twenty times the root so far plus an odd number, which is
 * taken off as often as it goes.
 */
static bool
SquareRoot(const Number *a, int scale, Number *out)
{
	Digits		rest = {0};
	Digits		odd = {0};
	char		text[NUMERIC_TEXT * 2];
	char		root[NUMERIC_TEXT * 2];
	int			len = (int) NumberPrint(a, text);
	int			whole = 0;
	int			used = 0;

	while (whole < len && text[whole] != '.')
		whole++;
	for (int place = -(whole % 2); place < whole + 2 * (scale + 1); place += 2)
	{
		int			digit = 0;

		if (place == whole)
			root[used++] = '.';
		for (int i = place; i < place + 2; i++)
		{
			int			at = i < whole ? i : i + 1; /* behind the point */

			if (!Push(&rest, i < 0 || at >= len ? 0 : text[at] - '0'))
				return false;
		}
		if (!Push(&odd, 1) || used > NUMERIC_TEXT)
			return false;
		while (NotLess(&rest, &odd))
		{
			Subtract(&rest, &odd);
			AddSmall(&odd, 2);
			digit++;
		}
		odd.digits[0]--;		/* it is odd, so nothing to borrow */
		while (odd.n > 0 && odd.digits[odd.n - 1] == 0)
			odd.n--;
		root[used++] = (char) ('0' + digit);
	}
	return NumberParse(root, used, out) && NumberRound(out, scale);
}

/*
 * (n * sum2 - sum * sum) / (n * n), or / (n * (n - 1)) of a sample.
 */
static bool
Variance(const Number *n, const Number *sum, const Number *sum2, int kind, Number *out)
{
	Number		one = {false, 0, 1, 0, {1}};
	Number		zero = {false, 0, 0, 0, {0}};
	Number		scaled;
	Number		square;
	Number		numerator;
	Number		less;
	Number		divisor;

	if (!NumberMultiply(sum, sum, &square) || !NumberMultiply(n, sum2, &scaled) ||
		!NumberAdd(&scaled, &square, true, &numerator) || !NumberAdd(n, &one, true, &less) ||
		!NumberMultiply(n, (kind & VARIANCE_OF_SAMPLE) ? &less : n, &divisor))
		return false;
	if (NumberCompare(&numerator, &zero) <= 0)
	{
		*out = zero;
		return true;
	}
	if (!NumberDivide(&numerator, &divisor, out))
		return false;
	if (kind & VARIANCE_ROOT)
	{
		Number		variance = *out;

		return SquareRoot(&variance, variance.scale, out);
	}
	return true;
}

static bool
ParseAt(ScalarCall *call, int arg, uint64 row, Number *number)
{
	duckdb_string_t *text = (duckdb_string_t *) call->args[arg] + row;

	return NumberParse(duckdb_string_t_data(text), duckdb_string_t_length(*text), number);
}

static void
NumVar(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;
	Number		n;
	Number		sum;
	Number		sum2;
	Number		result;
	char		text[NUMERIC_TEXT * 2];

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		int64		count = ((int64 *) call.args[0])[i];
		int32		kind = ((int32 *) call.args[3])[i];

		if (ScalarNull(&call, i))
			continue;
		if (count <= (kind & VARIANCE_OF_SAMPLE))
		{
			duckdb_vector_ensure_validity_writable(output);
			duckdb_validity_set_row_invalid(duckdb_vector_get_validity(output), i);
			continue;
		}
		snprintf(text, sizeof(text), "%lld", (long long) count);
		if (!NumberParse(text, strlen(text), &n) || !ParseAt(&call, 1, i, &sum) ||
			!ParseAt(&call, 2, i, &sum2) || !Variance(&n, &sum, &sum2, kind, &result))
		{
			ScalarFail(&call, DIGITS_ERROR);
			return;
		}
		duckdb_vector_assign_string_element_len(output, i, text, NumberPrint(&result, text));
	}
}

/* ---- registration ---- */

#define UNARY(name, function) {"shard_" name, Apply##function, DUCKDB_TYPE_DOUBLE, {DUCKDB_TYPE_DOUBLE}}

static const ScalarFunction functions[] = {
	UNARY("sqrt", Sqrt),
	UNARY("cbrt", Cbrt),
	UNARY("exp", Exp),
	UNARY("ln", Ln),
	UNARY("log10", Log10),
	UNARY("round", Round),
	UNARY("ceil", Ceil),
	UNARY("floor", Floor),
	UNARY("trunc", Trunc),
	UNARY("sign", Sign),
	{"shard_float8_int4", ToInt4, DUCKDB_TYPE_INTEGER, {DUCKDB_TYPE_DOUBLE}},
	{"shard_float8_int8", ToInt8, DUCKDB_TYPE_BIGINT, {DUCKDB_TYPE_DOUBLE}},
	{"shard_float8_float4", ToFloat4, DUCKDB_TYPE_FLOAT, {DUCKDB_TYPE_DOUBLE}},
	{"shard_num_var", NumVar, DUCKDB_TYPE_VARCHAR, {DUCKDB_TYPE_BIGINT, DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INTEGER}},
};

void
RegisterFloats(duckdb_connection con)
{
	ScalarRegister(con, functions, sizeof(functions) / sizeof(functions[0]));
}
