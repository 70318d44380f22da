/* sources: src/engine/numeric.c */
/*
 * test_numeric.c
 *		Arithmetic of numerics: the expected texts are what PostgreSQL prints.
 */
#include "tap.h"

#include "engine/numeric.h"

static Number
parse(const char *text)
{
	Number		n;

	if (!NumberParse(text, strlen(text), &n))
		diag("cannot read %s", text);
	return n;
}

static const char *
print(const Number *n)
{
	static char text[2 * NUMERIC_TEXT];

	text[NumberPrint(n, text)] = '\0';
	return text;
}

static const char *const operations[][7] = {
	/* a, b, a + b, a - b, a * b, a / b, a % b */
	{"1", "3", "4", "-2", "3", "0.33333333333333333333", "1"},
	{"-7", "2", "-5", "-9", "-14", "-3.5000000000000000", "-1"},
	{"0.00", "5.5", "5.50", "-5.50", "0.000", "0.00000000000000000000", "0.00"},
	{"99999999999999999999.99", "0.0001", "99999999999999999999.9901", "99999999999999999999.9899",
	"9999999999999999.999999", "999999999999999999999900.0000", "0.0000"},
	{"123456789012345678901234567890", "987654321.123456789", "123456789012345678902222222211.123456789",
		"123456789012345678900246913568.876543211", "121932631140070110864197532086297820577.501905210",
	"124999998857812500186.738279914", "729165346.974537246"},
	{"-0.000000000123", "45678901234567890", "45678901234567889.999999999877", "-45678901234567890.000000000123",
	"-5618504.851851850470", "-0.00000000000000000000000000269270925253602034", "-0.000000000123"},
	{"10000", "10000", "20000", "0", "100000000", "1.00000000000000000000", "0"},
	{"5", "-0.0003", "4.9997", "5.0003", "-0.0015", "-16666.666666666667", "0.0002"},
	{"12345.678900", "-12345.6789", "0.000000", "24691.357800", "-152415787.5019052100", "-1.00000000000000000000",
	"0.000000"},
	{"1000000000000000000000000000000", "7", "1000000000000000000000000000007", "999999999999999999999999999993",
	"7000000000000000000000000000000", "142857142857142857142857142857", "1"},
	{"0.5", "0.25", "0.75", "0.25", "0.125", "2.0000000000000000", "0.00"},
	{"9999.9999", "9999", "19998.9999", "0.9999", "99989999.0001", "1.00010000000000000000", "0.9999"},
};

static const struct
{
	const char *value;
	int			scale;
	const char *rounded;
	const char *truncated;
}			roundings[] = {
	{"1.005", 2, "1.01", "1.00"},
	{"-1.005", 2, "-1.01", "-1.00"},
	{"9999.9995", 3, "10000.000", "9999.999"},
	{"12345", -2, "12300", "12300"},
	{"12350", -2, "12400", "12300"},
	{"5", -1, "10", "0"},
	{"4", -1, "0", "0"},
	{"0.00049", 3, "0.000", "0.000"},
	{"-0.5", 0, "-1", "0"},
	{"99999999.5", 0, "100000000", "99999999"},
	{"1.5", 10, "1.5000000000", "1.5000000000"},
};

static const char *const wholes[][3] = {
	/* a, ceil, floor */
	{"1.2", "2", "1"}, {"-1.2", "-1", "-2"}, {"3", "3", "3"}, {"-0.5", "0", "-1"}, {"0.5", "1", "0"},
	{"9999.0001", "10000", "9999"}, {"-9999.9999", "-9999", "-10000"}, {"0", "0", "0"},
};

/* In ascending order. */
static const char *const sorted[] = {
	"-100000", "-10000.5", "-10000", "-9999.99999", "-1.5", "-1.4999", "-1", "-0.00001", "0", "0.00000001", "0.0001",
	"0.5", "0.50001", "1", "9999", "10000", "10000.0001", "123456789012345678901234567890"
};

static void
check_operation(const char *const *row)
{
	Number		a = parse(row[0]);
	Number		b = parse(row[1]);
	Number		r;

	ok(NumberAdd(&a, &b, false, &r), "%s + %s", row[0], row[1]);
	is_str(print(&r), row[2], "%s + %s", row[0], row[1]);
	ok(NumberAdd(&a, &b, true, &r), "%s - %s", row[0], row[1]);
	is_str(print(&r), row[3], "%s - %s", row[0], row[1]);
	ok(NumberMultiply(&a, &b, &r), "%s * %s", row[0], row[1]);
	is_str(print(&r), row[4], "%s * %s", row[0], row[1]);
	ok(NumberDivide(&a, &b, &r), "%s / %s", row[0], row[1]);
	is_str(print(&r), row[5], "%s / %s", row[0], row[1]);
	ok(NumberModulo(&a, &b, &r), "%s %% %s", row[0], row[1]);
	is_str(print(&r), row[6], "%s %% %s", row[0], row[1]);
}

static int
compare_keys(const Number *a, const Number *b)
{
	unsigned char x[2 * NUMERIC_GROUPS + 16];
	unsigned char y[2 * NUMERIC_GROUPS + 16];
	size_t		m = NumberKey(a, x);
	size_t		n = NumberKey(b, y);
	int			order = memcmp(x, y, m < n ? m : n);

	return order != 0 ? order : (m > n) - (m < n);
}

static int
sign(int n)
{
	return (n > 0) - (n < 0);
}

int
main(void)
{
	static const char *const refused[] = {"", "NaN", "Infinity", "1e5", "1.2.3", "12a", "1,5"};
	Number		n;

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		check_operation(operations[i]);
	for (size_t i = 0; i < sizeof(roundings) / sizeof(roundings[0]); i++)
	{
		n = parse(roundings[i].value);
		ok(NumberRound(&n, roundings[i].scale), "round(%s)", roundings[i].value);
		is_str(print(&n), roundings[i].rounded, "round(%s, %d)", roundings[i].value, roundings[i].scale);
		n = parse(roundings[i].value);
		NumberTruncate(&n, roundings[i].scale);
		is_str(print(&n), roundings[i].truncated, "trunc(%s, %d)", roundings[i].value, roundings[i].scale);
	}
	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++)
		for (int floor = 0; floor < 2; floor++)
		{
			n = parse(wholes[i][0]);
			ok(NumberCeiling(&n, floor == 1), "ceil or floor of %s", wholes[i][0]);
			is_str(print(&n), wholes[i][1 + floor], "%s(%s)", floor ? "floor" : "ceil", wholes[i][0]);
		}
	for (size_t i = 0; i < sizeof(sorted) / sizeof(sorted[0]); i++)
		for (size_t j = 0; j < sizeof(sorted) / sizeof(sorted[0]); j++)
		{
			Number		a = parse(sorted[i]);
			Number		b = parse(sorted[j]);
			int			order = (i > j) - (i < j);

			is_int(sign(NumberCompare(&a, &b)), order, "%s against %s", sorted[i], sorted[j]);
			is_int(sign(compare_keys(&a, &b)), order, "keys of %s and %s", sorted[i], sorted[j]);
		}
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		ok(!NumberParse(refused[i], strlen(refused[i]), &n), "\"%s\" is no number", refused[i]);
	return done_testing();
}
