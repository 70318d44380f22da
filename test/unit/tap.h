/*
 * tap.h
 *		What a unit test of a pure part needs: checks that print TAP, and the
 *		allocation and error functions that base/portable.h asks a program for.
 *
 * A test is a program: checks in any order, then "return done_testing();".  A
 * plan given first by plan() is checked against what ran.  An error raised by
 * shard_fail() outside EXPECT_FAIL ends the program with a "Bail out!" line.
 */
#ifndef SHARD_TAP_H
#define SHARD_TAP_H

#include <setjmp.h>
#include <stdio.h>

#include "base/portable.h"

extern void plan(int tests);
extern bool ok(bool passed, const char *name,...) __attribute__((format(printf, 2, 3)));
extern bool is_int(long long got, long long expected, const char *name,...)
			__attribute__((format(printf, 3, 4)));
extern bool is_uint(unsigned long long got, unsigned long long expected, const char *name,...)
			__attribute__((format(printf, 3, 4)));
extern bool is_str(const char *got, const char *expected, const char *name,...)
			__attribute__((format(printf, 3, 4)));
extern bool is_mem(const void *got, size_t got_len, const void *expected, size_t expected_len,
				   const char *name,...) __attribute__((format(printf, 5, 6)));
extern void diag(const char *message,...) __attribute__((format(printf, 1, 2)));
extern int	done_testing(void);

/* The last error caught by EXPECT_FAIL: its kind (FAIL_*) and message. */
extern int	tap_fail_kind;
extern char tap_fail_message[1024];

extern jmp_buf tap_fail_target;
extern volatile bool tap_fail_expected;

/*
 * Evaluate an expression and catch shard_fail(): the statement-expression is
 * true if an error was raised.
 */
#define CATCH_FAIL(expr) \
	({ \
		volatile bool failed_ = true; \
		tap_fail_expected = true; \
		if (setjmp(tap_fail_target) == 0) \
		{ \
			(void) (expr); \
			failed_ = false; \
		} \
		tap_fail_expected = false; \
		failed_; \
	})

/* A check: the expression raises an error (of a kind). */
#define EXPECT_FAIL(expr)	ok(CATCH_FAIL(expr), "%s is an error", #expr)
#define EXPECT_FAIL_KIND(kind, expr) \
	ok(CATCH_FAIL(expr) && tap_fail_kind == (kind), "%s is an error of kind %s", #expr, #kind)

#endif							/* SHARD_TAP_H */
