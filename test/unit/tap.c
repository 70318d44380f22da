/*
 * tap.c
 *		Checks that print TAP, and stand-alone mem_*() and shard_fail().
 */
#include <inttypes.h>
#include <stdarg.h>

#include "tap.h"

int			tap_fail_kind;
char		tap_fail_message[1024];
jmp_buf		tap_fail_target;
volatile bool tap_fail_expected;

static int	planned = -1;
static int	executed;
static int	failed;

void
plan(int tests)
{
	planned = tests;
	printf("1..%d\n", tests);
}

static bool
report(bool passed, const char *name, va_list args)
{
	printf("%sok %d - ", passed ? "" : "not ", ++executed);
	vprintf(name, args);
	putchar('\n');
	if (!passed)
		failed++;
	fflush(stdout);
	return passed;
}

#define REPORT(passed) \
	do { \
		va_list		args; \
		va_start(args, name); \
		report(passed, name, args); \
		va_end(args); \
	} while (0)

bool
ok(bool passed, const char *name,...)
{
	REPORT(passed);
	return passed;
}

bool
is_int(long long got, long long expected, const char *name,...)
{
	REPORT(got == expected);
	if (got != expected)
		diag("got %lld, expected %lld", got, expected);
	return got == expected;
}

bool
is_uint(unsigned long long got, unsigned long long expected, const char *name,...)
{
	REPORT(got == expected);
	if (got != expected)
		diag("got %llu (0x%llx), expected %llu (0x%llx)", got, got, expected, expected);
	return got == expected;
}

bool
is_str(const char *got, const char *expected, const char *name,...)
{
	bool		same = (got == NULL || expected == NULL) ? got == expected : strcmp(got, expected) == 0;

	REPORT(same);
	if (!same)
		diag("got \"%s\", expected \"%s\"", got ? got : "(null)", expected ? expected : "(null)");
	return same;
}

/*
 * Print at most the first 64 bytes in hex.
 */
static void
diag_hex(const char *label, const unsigned char *data, size_t len)
{
	printf("# %s %zu bytes:", label, len);
	for (size_t i = 0; i < len && i < 64; i++)
		printf(" %02x", data[i]);
	printf(len > 64 ? " ...\n" : "\n");
}

bool
is_mem(const void *got, size_t got_len, const void *expected, size_t expected_len,
	   const char *name,...)
{
	bool		same = got_len == expected_len &&
		(got_len == 0 || memcmp(got, expected, got_len) == 0);

	REPORT(same);
	if (!same)
	{
		diag_hex("got", got, got_len);
		diag_hex("expected", expected, expected_len);
	}
	return same;
}

void
diag(const char *message,...)
{
	va_list		args;

	printf("# ");
	va_start(args, message);
	vprintf(message, args);
	va_end(args);
	putchar('\n');
}

int
done_testing(void)
{
	if (planned < 0)
		printf("1..%d\n", executed);
	else if (planned != executed)
	{
		diag("planned %d tests but ran %d", planned, executed);
		return 1;
	}
	return failed == 0 && executed > 0 ? 0 : 1;
}

void
shard_fail(int kind, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	vsnprintf(tap_fail_message, sizeof(tap_fail_message), fmt, args);
	va_end(args);
	tap_fail_kind = kind;
	if (tap_fail_expected)
		longjmp(tap_fail_target, 1);
	printf("Bail out! unexpected error: %s\n", tap_fail_message);
	fflush(stdout);
	exit(2);
}

static void *
checked(void *p)
{
	if (p == NULL)
	{
		printf("Bail out! out of memory\n");
		exit(2);
	}
	return p;
}

void *
mem_alloc(size_t n)
{
	return checked(malloc(n > 0 ? n : 1));
}

void *
mem_alloc0(size_t n)
{
	return checked(calloc(1, n > 0 ? n : 1));
}

void *
mem_realloc(void *p, size_t n)
{
	return checked(realloc(p, n > 0 ? n : 1));
}

char *
mem_strdup(const char *s)
{
	return checked(strdup(s));
}

void
mem_free(void *p)
{
	free(p);
}
