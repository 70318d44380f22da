/*
 * shippable.c
 *		The allow-list: what the engine answers exactly as PostgreSQL does.
 *
 * Functions and operators (by their function) are known by OID: all of them
 * belong to PostgreSQL itself, so that their OIDs are the same in every
 * database, and no function that a user made can be taken for one.  What is
 * not listed is evaluated by PostgreSQL.  Numerics are in numeric.c, dates and
 * times in times.c.  Absent on
 * purpose, because the answers differ: casts between text and anything, int2 arithmetic (the engine computes it in
 * int4).  Functions named shard_... are the engine's own, and do what PostgreSQL
 * does (engine/functions.h).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "base/compat.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "fdw/shippable.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#define COMPARE(eq, ne, lt, le, gt, ge, needs) \
	{eq, "(%1 = %2)", needs}, {ne, "(%1 <> %2)", needs}, \
	{lt, "(%1 < %2)", needs}, {le, "(%1 <= %2)", needs}, \
	{gt, "(%1 > %2)", needs}, {ge, "(%1 >= %2)", needs}
#define COMPARE_OF(prefix, needs) \
	COMPARE(prefix##EQ, prefix##NE, prefix##LT, prefix##LE, prefix##GT, prefix##GE, needs)
#define COMPARE_FLOATS(prefix) \
	{prefix##EQ, "(CAST(%1 AS DOUBLE) = CAST(%2 AS DOUBLE))", 0}, \
	{prefix##NE, "(CAST(%1 AS DOUBLE) <> CAST(%2 AS DOUBLE))", 0}, \
	{prefix##LT, "(CAST(%1 AS DOUBLE) < CAST(%2 AS DOUBLE))", 0}, \
	{prefix##LE, "(CAST(%1 AS DOUBLE) <= CAST(%2 AS DOUBLE))", 0}, \
	{prefix##GT, "(CAST(%1 AS DOUBLE) > CAST(%2 AS DOUBLE))", 0}, \
	{prefix##GE, "(CAST(%1 AS DOUBLE) >= CAST(%2 AS DOUBLE))", 0}
#define ARITHMETIC(prefix, type) \
	{prefix##PL, "(%1 + %2)", 0, "shard_add_" type "(%1, %2)"}, \
	{prefix##MI, "(%1 - %2)", 0, "shard_sub_" type "(%1, %2)"}, \
	{prefix##MUL, "(%1 * %2)", 0, "shard_mul_" type "(%1, %2)"}, \
	{prefix##DIV, "(%1 // %2)", NEED_DIVISOR, "shard_div_" type "(%1, %2)"}
#define FLOAT_ARITHMETIC(prefix, type) \
	{prefix##PL, "shard_add_" type "(%1, %2)", 0}, \
	{prefix##MI, "shard_sub_" type "(%1, %2)", 0}, \
	{prefix##MUL, "shard_mul_" type "(%1, %2)", 0}, \
	{prefix##DIV, "shard_div_" type "(%1, %2)", NEED_WHOLE}

static FunctionRule function_rules[] = {
	COMPARE_OF(F_BOOL, 0),
	COMPARE_OF(F_INT2, 0),
	COMPARE_OF(F_INT4, 0),
	COMPARE_OF(F_INT8, 0),
	COMPARE_OF(F_INT24, 0),
	COMPARE_OF(F_INT28, 0),
	COMPARE_OF(F_INT42, 0),
	COMPARE_OF(F_INT48, 0),
	COMPARE_OF(F_INT82, 0),
	COMPARE_OF(F_INT84, 0),
	COMPARE_OF(F_FLOAT4, 0),
	COMPARE_OF(F_FLOAT8, 0),
	COMPARE_FLOATS(F_FLOAT48),
	COMPARE_FLOATS(F_FLOAT84),
	COMPARE_OF(F_BPCHAR, 0),
	COMPARE_OF(F_DATE_, 0),
	COMPARE(F_DATE_EQ_TIMESTAMP, F_DATE_NE_TIMESTAMP, F_DATE_LT_TIMESTAMP, F_DATE_LE_TIMESTAMP,
			F_DATE_GT_TIMESTAMP, F_DATE_GE_TIMESTAMP, NEED_WHOLE),
	COMPARE(F_TIMESTAMP_EQ_DATE, F_TIMESTAMP_NE_DATE, F_TIMESTAMP_LT_DATE, F_TIMESTAMP_LE_DATE,
			F_TIMESTAMP_GT_DATE, F_TIMESTAMP_GE_DATE, NEED_WHOLE),
	COMPARE_OF(F_TIME_, 0),
	COMPARE_OF(F_TIMESTAMP_, 0),
	COMPARE_OF(F_TIMESTAMPTZ_, 0),
	COMPARE_OF(F_UUID_, 0),
	COMPARE_OF(F_BYTEA, 0),
	COMPARE(F_TEXTEQ, F_TEXTNE, F_TEXT_LT, F_TEXT_LE, F_TEXT_GT, F_TEXT_GE, 0),

	ARITHMETIC(F_INT4, "int4"),
	ARITHMETIC(F_INT8, "int8"),
	ARITHMETIC(F_INT24, "int4"),
	ARITHMETIC(F_INT42, "int4"),
	ARITHMETIC(F_INT28, "int8"),
	ARITHMETIC(F_INT82, "int8"),
	ARITHMETIC(F_INT48, "int8"),
	ARITHMETIC(F_INT84, "int8"),
	{F_INT4MOD, "(%1 % %2)", NEED_DIVISOR, "shard_mod_int4(%1, %2)"},
	{F_INT8MOD, "(%1 % %2)", NEED_DIVISOR, "shard_mod_int8(%1, %2)"},
	{F_MOD_INT4_INT4, "(%1 % %2)", NEED_DIVISOR, "shard_mod_int4(%1, %2)"},
	{F_MOD_INT8_INT8, "(%1 % %2)", NEED_DIVISOR, "shard_mod_int8(%1, %2)"},
	FLOAT_ARITHMETIC(F_FLOAT8, "float8"),
	FLOAT_ARITHMETIC(F_FLOAT48, "float8"),
	FLOAT_ARITHMETIC(F_FLOAT84, "float8"),
	FLOAT_ARITHMETIC(F_FLOAT4, "float4"),
	{F_FLOAT8UM, "(- %1)", 0},
	{F_FLOAT4UM, "(- %1)", 0},
	{F_ABS_FLOAT8, "abs(%1)", 0},
	{F_FLOAT8ABS, "abs(%1)", 0},
	{F_ABS_FLOAT4, "abs(%1)", 0},
	{F_INT4UM, "(- %1)", 0},
	{F_INT8UM, "(- %1)", 0},
	{F_ABS_INT4, "abs(%1)", 0},
	{F_INT4ABS, "abs(%1)", 0},
	{F_ABS_INT8, "abs(%1)", 0},
	{F_INT8ABS, "abs(%1)", 0},

	{F_INT4_INT2, "%1", 0},
	{F_INT8_INT2, "CAST(%1 AS BIGINT)", 0},
	{F_INT8_INT4, "CAST(%1 AS BIGINT)", 0},
	/* beside a constant, DuckDB would cast that instead, and notice no overflow */
	{F_INT4_INT8, "shard_add_int4(CAST(%1 AS INTEGER), 0)", 0},
	{F_FLOAT8_INT2, "CAST(%1 AS DOUBLE)", 0},
	{F_FLOAT8_INT4, "CAST(%1 AS DOUBLE)", 0},
	{F_FLOAT8_INT8, "CAST(%1 AS DOUBLE)", 0},
	{F_FLOAT8_FLOAT4, "CAST(%1 AS DOUBLE)", 0},
	{F_INT4_BOOL, "CAST(%1 AS INTEGER)", 0},
	{F_BOOL_INT4, "CAST(%1 AS BOOLEAN)", 0},
	{F_TIMESTAMP_DATE, "CAST(%1 AS TIMESTAMP)", NEED_WHOLE},
	{F_DATE_TIMESTAMP, "(CASE WHEN isinf(%1) THEN CASE WHEN %1 > make_timestamp(0) THEN DATE 'infinity' "
		"ELSE DATE '-infinity' END ELSE CAST(%1 AS DATE) END)", 0},

	{F_TEXT_BPCHAR, "%1", 0},
	{F_BPCHARLIKE, "(rpad(%1, %w, ' ') LIKE %2 ESCAPE '\\')", NEED_PATTERN | NEED_CHARACTERS | NEED_BLANKS,
	"(rpad(%1, %w, ' ') LIKE %2)"},
	{F_BPCHARNLIKE, "(NOT (rpad(%1, %w, ' ') LIKE %2 ESCAPE '\\'))", NEED_PATTERN | NEED_CHARACTERS | NEED_BLANKS,
	"(NOT (rpad(%1, %w, ' ') LIKE %2))"},
	{F_LENGTH_BPCHAR, "CAST(length(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_CHAR_LENGTH_BPCHAR, "CAST(length(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_CHARACTER_LENGTH_BPCHAR, "CAST(length(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_LENGTH_TEXT, "CAST(length(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_CHAR_LENGTH_TEXT, "CAST(length(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_CHARACTER_LENGTH_TEXT, "CAST(length(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_TEXTCAT, "(%1 || %2)", 0},
	{F_SUBSTR_TEXT_INT4, "substring(%1, %2)", NEED_POSITION | NEED_CHARACTERS},
	{F_SUBSTR_TEXT_INT4_INT4, "substring(%1, %2, %3)", NEED_POSITION | NEED_CHARACTERS},
	{F_SUBSTRING_TEXT_INT4, "substring(%1, %2)", NEED_POSITION | NEED_CHARACTERS},
	{F_SUBSTRING_TEXT_INT4_INT4, "substring(%1, %2, %3)", NEED_POSITION | NEED_CHARACTERS},
	{F_STARTS_WITH, "starts_with(%1, %2)", NEED_TEXT},
	{F_STRPOS, "CAST(strpos(%1, %2) AS INTEGER)", NEED_TEXT | NEED_CHARACTERS},
	{F_POSITION_TEXT_TEXT, "CAST(strpos(%1, %2) AS INTEGER)", NEED_TEXT | NEED_CHARACTERS},
	{F_REPLACE, "replace(%1, %2, %3)", NEED_TEXT},
	{F_BTRIM_TEXT, "trim(%1, ' ')", 0},
	{F_LTRIM_TEXT, "ltrim(%1, ' ')", 0},
	{F_RTRIM_TEXT, "rtrim(%1, ' ')", 0},
	{F_TEXTLIKE, "(%1 LIKE %2 ESCAPE '\\')", NEED_PATTERN | NEED_CHARACTERS,
	"(%1 LIKE %2)"},
	{F_LIKE_TEXT_TEXT, "(%1 LIKE %2 ESCAPE '\\')", NEED_PATTERN | NEED_CHARACTERS,
	"(%1 LIKE %2)"},
	{F_TEXTNLIKE, "(NOT (%1 LIKE %2 ESCAPE '\\'))", NEED_PATTERN | NEED_CHARACTERS,
	"(NOT (%1 LIKE %2))"},
	{F_NOTLIKE_TEXT_TEXT, "(NOT (%1 LIKE %2 ESCAPE '\\'))", NEED_PATTERN | NEED_CHARACTERS,
	"(NOT (%1 LIKE %2))"},

	{F_UPPER_TEXT, "shard_upper(%1, %c)", NEED_LOCALE},
	{F_LOWER_TEXT, "shard_lower(%1, %c)", NEED_LOCALE},
	{F_INITCAP, "shard_initcap(%1, %c)", NEED_LOCALE},
	{F_TEXTICLIKE, "(shard_lower(%1, %c) LIKE %p ESCAPE '\\')", NEED_LOCALE | NEED_PATTERN | NEED_LOWER | NEED_CHARACTERS,
	"(shard_lower(%1, %c) LIKE %p)"},
	{F_TEXTICNLIKE, "(NOT (shard_lower(%1, %c) LIKE %p ESCAPE '\\'))", NEED_LOCALE | NEED_PATTERN | NEED_LOWER | NEED_CHARACTERS,
	"(NOT (shard_lower(%1, %c) LIKE %p))"},
	{F_TEXTREGEXEQ, "regexp_matches(%1, %r, 's')", NEED_REGEX | NEED_CHARACTERS},
	{F_TEXTREGEXNE, "(NOT regexp_matches(%1, %r, 's'))", NEED_REGEX | NEED_CHARACTERS},
	{F_TEXTICREGEXEQ, "regexp_matches(%1, %r, 's')", NEED_REGEX | NEED_CHARACTERS},
	{F_TEXTICREGEXNE, "(NOT regexp_matches(%1, %r, 's'))", NEED_REGEX | NEED_CHARACTERS},
	{F_REVERSE, "shard_reverse(%1)", NEED_CHARACTERS},
	{F_LEFT, "left(%1, %2)", NEED_COUNT | NEED_CHARACTERS},
	{F_RIGHT, "right(%1, %2)", NEED_COUNT | NEED_CHARACTERS},
	{F_OCTET_LENGTH_TEXT, "CAST(strlen(%1) AS INTEGER)", NEED_CHARACTERS},
	{F_MD5_TEXT, "md5(%1)", NEED_CHARACTERS},

	{F_SQRT_FLOAT8, "shard_sqrt(%1)", 0},
	{F_DSQRT, "shard_sqrt(%1)", 0},
	{F_CBRT, "shard_cbrt(%1)", 0},
	{F_DCBRT, "shard_cbrt(%1)", 0},
	{F_EXP_FLOAT8, "shard_exp(%1)", 0},
	{F_LN_FLOAT8, "shard_ln(%1)", 0},
	{F_LOG_FLOAT8, "shard_log10(%1)", 0},
	{F_LOG10_FLOAT8, "shard_log10(%1)", 0},
	{F_ROUND_FLOAT8, "shard_round(%1)", 0},
	{F_CEIL_FLOAT8, "shard_ceil(%1)", 0},
	{F_CEILING_FLOAT8, "shard_ceil(%1)", 0},
	{F_FLOOR_FLOAT8, "shard_floor(%1)", 0},
	{F_TRUNC_FLOAT8, "shard_trunc(%1)", 0},
	{F_SIGN_FLOAT8, "shard_sign(%1)", 0},
	{F_INT4_FLOAT8, "shard_float8_int4(%1)", 0},
	{F_INT4_FLOAT4, "shard_float8_int4(CAST(%1 AS DOUBLE))", 0},
	{F_INT8_FLOAT8, "shard_float8_int8(%1)", 0},
	{F_INT8_FLOAT4, "shard_float8_int8(CAST(%1 AS DOUBLE))", 0},
	{F_FLOAT4_FLOAT8, "shard_float8_float4(%1)", 0},
};

/*
 * The value of most fields is NULL for an infinite date in both systems, but
 * its year is infinity in PostgreSQL alone, which counts 1 BC as -1, too.
 */
static const FieldRule extract_rules[] = {
	{"year", true, true, 7, 0, false, false, "(CASE WHEN year(%2) > 0 THEN year(%2) ELSE year(%2) - 1 END)"},
	{"month", true, false, 2, 0, false, false, "month(%2)"},
	{"quarter", true, false, 1, 0, false, false, "quarter(%2)"},
	{"week", true, false, 2, 0, false, false, "week(%2)"},
	{"day", true, false, 2, 0, false, false, "day(%2)"},
	{"doy", true, false, 3, 0, false, false, "dayofyear(%2)"},
	{"dow", true, false, 1, 0, false, false, "dayofweek(%2)"},
	{"isodow", true, false, 1, 0, false, false, "isodow(%2)"},
	{"hour", false, false, 2, 0, false, false, "hour(%2)"},
	{"minute", false, false, 2, 0, false, false, "minute(%2)"},
	{"second", false, false, 8, 6, false, false, "CAST(microsecond(%2) AS DECIMAL(18,0)) * CAST('0.000001' AS DECIMAL(7,6))"},
	{"epoch", false, true, 26, 6, true, false, "CAST(epoch_us(%2) AS DECIMAL(19,0)) * CAST('0.000001' AS DECIMAL(7,6))"},
};

/*
 * Infinite timestamps apart: DuckDB rewrites comparisons of a truncated timestamp,
 * and of one cast to date, as ranges, which is wrong for infinity.
 */
#define TRUNC_RULE(field, of_day) \
	{field, true, false, 0, 0, false, of_day, "(CASE WHEN isinf(%2) THEN %2 ELSE date_trunc('" field "', %2) END)"}

static const FieldRule trunc_rules[] = {
	TRUNC_RULE("year", true),
	TRUNC_RULE("quarter", true),
	TRUNC_RULE("month", true),
	TRUNC_RULE("week", true),
	TRUNC_RULE("day", true),
	TRUNC_RULE("hour", false),
	TRUNC_RULE("minute", false),
	TRUNC_RULE("second", false),
};

#define MINIMUM(function, byte_order) {function, AGGREGATE_PLAIN, "min(%a)", NULL, byte_order}
#define MAXIMUM(function, byte_order) {function, AGGREGATE_PLAIN, "max(%a)", NULL, byte_order}

#define VARIANCE(prefix, kind, float_sql) \
	{prefix##_INT2, AGGREGATE_VARIANCE, kind, NULL, false}, \
	{prefix##_INT4, AGGREGATE_VARIANCE, kind, NULL, false}, \
	{prefix##_INT8, AGGREGATE_VARIANCE, kind, NULL, false}, \
	{prefix##_NUMERIC, AGGREGATE_VARIANCE, kind, NULL, false}, \
	{prefix##_FLOAT4, AGGREGATE_FLOAT_VARIANCE, float_sql, NULL, false}, \
	{prefix##_FLOAT8, AGGREGATE_FLOAT_VARIANCE, float_sql, NULL, false}

static AggregateRule aggregate_rules[] = {
	{F_COUNT_, AGGREGATE_PLAIN, "count(*)", "BIGINT", false},
	{F_COUNT_ANY, AGGREGATE_PLAIN, "count(%a)", "BIGINT", false},
	{F_SUM_INT2, AGGREGATE_PLAIN, "sum(%a)", "BIGINT", false},
	{F_SUM_INT4, AGGREGATE_PLAIN, "sum(%a)", "BIGINT", false},
	{F_SUM_INT8, AGGREGATE_PLAIN, "sum(%a)", "DECIMAL(38,0)", false},
	{F_SUM_NUMERIC, AGGREGATE_DECIMAL, NULL, NULL, false},
	{F_SUM_FLOAT8, AGGREGATE_FLOAT_SUM, "sum(%a)", NULL, false},
	{F_AVG_INT2, AGGREGATE_AVERAGE, NULL, NULL, false},
	{F_AVG_INT4, AGGREGATE_AVERAGE, NULL, NULL, false},
	{F_AVG_INT8, AGGREGATE_AVERAGE, NULL, NULL, false},
	{F_AVG_NUMERIC, AGGREGATE_AVERAGE, NULL, NULL, false},
	{F_AVG_FLOAT4, AGGREGATE_FLOAT_SUM, "avg(%a)", NULL, false},
	{F_AVG_FLOAT8, AGGREGATE_FLOAT_SUM, "avg(%a)", NULL, false},
	{F_BOOL_AND, AGGREGATE_PLAIN, "bool_and(%a)", NULL, false},
	{F_EVERY, AGGREGATE_PLAIN, "bool_and(%a)", NULL, false},
	{F_BOOL_OR, AGGREGATE_PLAIN, "bool_or(%a)", NULL, false},
	MINIMUM(F_MIN_INT2, false), MAXIMUM(F_MAX_INT2, false),
	MINIMUM(F_MIN_INT4, false), MAXIMUM(F_MAX_INT4, false),
	MINIMUM(F_MIN_INT8, false), MAXIMUM(F_MAX_INT8, false),
	MINIMUM(F_MIN_FLOAT4, false), MAXIMUM(F_MAX_FLOAT4, false),
	MINIMUM(F_MIN_FLOAT8, false), MAXIMUM(F_MAX_FLOAT8, false),
	MINIMUM(F_MIN_NUMERIC, false), MAXIMUM(F_MAX_NUMERIC, false),
	MINIMUM(F_MIN_DATE, false), MAXIMUM(F_MAX_DATE, false),
	MINIMUM(F_MIN_TIME, false), MAXIMUM(F_MAX_TIME, false),
	MINIMUM(F_MIN_TIMESTAMP, false), MAXIMUM(F_MAX_TIMESTAMP, false),
	MINIMUM(F_MIN_TIMESTAMPTZ, false), MAXIMUM(F_MAX_TIMESTAMPTZ, false),
	MINIMUM(F_MIN_TEXT, true), MAXIMUM(F_MAX_TEXT, true),
	MINIMUM(F_MIN_BPCHAR, true), MAXIMUM(F_MAX_BPCHAR, true),
	{F_BIT_AND_INT4, AGGREGATE_PLAIN, "bit_and(%a)", NULL, false},
	{F_BIT_AND_INT8, AGGREGATE_PLAIN, "bit_and(%a)", NULL, false},
	{F_BIT_OR_INT4, AGGREGATE_PLAIN, "bit_or(%a)", NULL, false},
	{F_BIT_OR_INT8, AGGREGATE_PLAIN, "bit_or(%a)", NULL, false},
	{F_STRING_AGG_TEXT_TEXT, AGGREGATE_ORDERED, "string_agg(%a, %b%o)", NULL, false},
	{F_ARRAY_AGG_ANYNONARRAY, AGGREGATE_ORDERED, "list(%a%o)", NULL, false},
	VARIANCE(F_VAR_SAMP, "1", "2:var_samp"),
	VARIANCE(F_VARIANCE, "1", "2:var_samp"),
	VARIANCE(F_VAR_POP, "0", "1:var_pop"),
	VARIANCE(F_STDDEV_SAMP, "3", "2:stddev_samp"),
	VARIANCE(F_STDDEV, "3", "2:stddev_samp"),
	VARIANCE(F_STDDEV_POP, "2", "1:stddev_pop"),
	{F_REGR_COUNT, AGGREGATE_PLAIN, "regr_count(%a, %b)", "BIGINT", false},
	{F_REGR_AVGX, AGGREGATE_PAIRS, "{regr_avgx(%a, %b)}", NULL, false},
	{F_REGR_AVGY, AGGREGATE_PAIRS, "{regr_avgy(%a, %b)}", NULL, false},
	{F_REGR_SXX, AGGREGATE_PAIRS, "{regr_sxx(%a, %b)}", NULL, false},
	{F_REGR_SYY, AGGREGATE_PAIRS, "{regr_syy(%a, %b)}", NULL, false},
	{F_REGR_SXY, AGGREGATE_PAIRS, "{regr_sxy(%a, %b)}", NULL, false},
	{F_COVAR_POP, AGGREGATE_PAIRS, "{covar_pop(%a, %b)}", NULL, false},
	{F_COVAR_SAMP, AGGREGATE_PAIRS, "{covar_samp(%a, %b)}", NULL, false},
	{F_REGR_SLOPE, AGGREGATE_PAIRS, "({regr_sxy(%a, %b)} / nullif({regr_sxx(%a, %b)}, 0))", NULL, false},
	{F_REGR_INTERCEPT, AGGREGATE_PAIRS, "({regr_avgy(%a, %b)} - {regr_avgx(%a, %b)} * "
	"({regr_sxy(%a, %b)} / nullif({regr_sxx(%a, %b)}, 0)))", NULL, false},
	{F_REGR_R2, AGGREGATE_PAIRS, "(CASE WHEN {regr_sxx(%a, %b)} = 0 THEN NULL WHEN {regr_syy(%a, %b)} = 0 THEN "
	"CAST(1 AS DOUBLE) ELSE {regr_sxy(%a, %b)} * {regr_sxy(%a, %b)} / ({regr_sxx(%a, %b)} * {regr_syy(%a, %b)}) END)",
	NULL, false},
	{F_CORR, AGGREGATE_PAIRS, "(CASE WHEN {regr_sxx(%a, %b)} = 0 OR {regr_syy(%a, %b)} = 0 THEN NULL ELSE "
	"{regr_sxy(%a, %b)} / sqrt({regr_sxx(%a, %b)} * {regr_syy(%a, %b)}) END)", NULL, false},
};

static bool lists_ready = false;

static int
CompareFunctionRules(const void *a, const void *b)
{
	Oid			x = ((const FunctionRule *) a)->function;
	Oid			y = ((const FunctionRule *) b)->function;

	return x < y ? -1 : x > y;
}

static int
CompareAggregateRules(const void *a, const void *b)
{
	Oid			x = ((const AggregateRule *) a)->function;
	Oid			y = ((const AggregateRule *) b)->function;

	return x < y ? -1 : x > y;
}

static bool
OrdersText(Oid function)
{
	return function == F_TEXT_LT || function == F_TEXT_LE || function == F_TEXT_GT || function == F_TEXT_GE ||
		function == F_BPCHARLT || function == F_BPCHARLE || function == F_BPCHARGT || function == F_BPCHARGE;
}

/*
 * Put the lists in order for searching; once per process.
 */
static void
PrepareLists(void)
{
	if (lists_ready)
		return;
	for (int i = 0; i < lengthof(function_rules); i++)
		if (OrdersText(function_rules[i].function))
			function_rules[i].needs |= NEED_BYTE_ORDER;
	qsort(function_rules, lengthof(function_rules), sizeof(FunctionRule), CompareFunctionRules);
	qsort(aggregate_rules, lengthof(aggregate_rules), sizeof(AggregateRule), CompareAggregateRules);
	lists_ready = true;
}

const FunctionRule *
FunctionRuleOf(Oid function)
{
	FunctionRule key = {function};
	const FunctionRule *rule;

	PrepareLists();
	rule = bsearch(&key, function_rules, lengthof(function_rules), sizeof(FunctionRule), CompareFunctionRules);

	/* in SQL_ASCII, a character is a byte */
	if (rule != NULL && (rule->needs & NEED_CHARACTERS) != 0 && GetDatabaseEncoding() != PG_UTF8)
		return NULL;
	return rule;
}

const AggregateRule *
AggregateRuleOf(Oid function)
{
	AggregateRule key = {function};

	PrepareLists();
	return bsearch(&key, aggregate_rules, lengthof(aggregate_rules), sizeof(AggregateRule), CompareAggregateRules);
}

const FieldRule *
ExtractRuleOf(const char *field, bool is_date)
{
	for (int i = 0; i < lengthof(extract_rules); i++)
		if (pg_strcasecmp(extract_rules[i].field, field) == 0 && (extract_rules[i].of_date || !is_date))
			return &extract_rules[i];
	return NULL;
}

const FieldRule *
TruncRuleOf(const char *field)
{
	for (int i = 0; i < lengthof(trunc_rules); i++)
		if (pg_strcasecmp(trunc_rules[i].field, field) == 0)
			return &trunc_rules[i];
	return NULL;
}

/* ---- collations ---- */

static bool
NamesByteOrder(const char *locale)
{
	return strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0 ||
		pg_strcasecmp(locale, "C.UTF-8") == 0 || pg_strcasecmp(locale, "C.UTF8") == 0;
}

static char *
TextAttribute(int cache, HeapTuple tuple, AttrNumber attnum)
{
	bool		isnull;
	Datum		value = SysCacheGetAttr(cache, tuple, attnum, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/*
 * Is the database's own collation one of byte order?
 */
static bool
DatabaseByteOrder(void)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	Form_pg_database form;
	char	   *locale = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for database %u", MyDatabaseId);
	form = (Form_pg_database) GETSTRUCT(tuple);
	if (form->datlocprovider != COLLPROVIDER_ICU)
		locale = TextAttribute(DATABASEOID, tuple, Anum_pg_database_datcollate);
	ReleaseSysCache(tuple);
	return locale != NULL && NamesByteOrder(locale);
}

char *
CollationLocale(Oid collation)
{
	bool		of_database = collation == DEFAULT_COLLATION_OID;
	HeapTuple	tuple;
	char	   *locale = NULL;

	if (!OidIsValid(collation) || GetDatabaseEncoding() != PG_UTF8)
		return NULL;
	tuple = of_database ? SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId))
		: SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	if (of_database && ((Form_pg_database) GETSTRUCT(tuple))->datlocprovider == COLLPROVIDER_LIBC)
		locale = TextAttribute(DATABASEOID, tuple, Anum_pg_database_datctype);
	else if (!of_database && ((Form_pg_collation) GETSTRUCT(tuple))->collprovider == COLLPROVIDER_LIBC)
		locale = TextAttribute(COLLOID, tuple, Anum_pg_collation_collctype);
	ReleaseSysCache(tuple);
	return locale;
}

bool
CollationByteOrder(Oid collation)
{
	HeapTuple	tuple;
	Form_pg_collation form;
	char	   *locale = NULL;

	if (!OidIsValid(collation) || GetDatabaseEncoding() != PG_UTF8)
		return false;
	if (collation == DEFAULT_COLLATION_OID)
		return DatabaseByteOrder();
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	if (form->collprovider == COLLPROVIDER_LIBC && form->collisdeterministic)
		locale = TextAttribute(COLLOID, tuple, Anum_pg_collation_collcollate);
	ReleaseSysCache(tuple);
	return locale != NULL && NamesByteOrder(locale);
}

bool
CollationByteEqual(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

bool
IsDefaultSortOperator(Oid op, Oid typid)
{
	TypeCacheEntry *type = lookup_type_cache(typid, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);

	return op == type->lt_opr || op == type->gt_opr;
}

bool
IsDescendingOperator(Oid op, Oid typid)
{
	return op == lookup_type_cache(typid, TYPECACHE_GT_OPR)->gt_opr;
}

bool
IsDefaultEquality(Oid op, Oid typid)
{
	return op == lookup_type_cache(typid, TYPECACHE_EQ_OPR)->eq_opr;
}
