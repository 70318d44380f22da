/*
 * fail.h
 *		Errors and memory of a request.
 *
 * An error leaves the request by longjmp to the session's loop, which sends it
 * to the backend.  Never raise one inside a callback of DuckDB: its C++ frames
 * must not be jumped over.  What a request allocates with mem_alloc() is freed
 * at its end.
 */
#ifndef SHARD_ENGINE_FAIL_H
#define SHARD_ENGINE_FAIL_H

#include <setjmp.h>

#include "base/portable.h"

typedef struct Failure
{
	char		sqlstate[6];
	char		message[2048];
	char		detail[4096];
} Failure;

/* Of this thread. */
extern __thread jmp_buf *fail_target;
extern __thread Failure failure;

extern void Fail(const char *sqlstate, const char *fmt,...)
			__attribute__((noreturn, format(printf, 2, 3)));

/* Raise an error text of DuckDB, with the SQLSTATE that fits it. */
extern void FailWithText(const char *text) __attribute__((noreturn));

/* Raise what was caught once more. */
extern void FailAgain(void) __attribute__((noreturn));

/*
 * Between these, mem_alloc() belongs to the request.  A pause ends with the
 * next begin, and what the request has stays its own.
 */
extern void RequestMemoryBegin(void);
extern void RequestMemoryPause(void);
extern void RequestMemoryEnd(void);

/* A line for the server's log; level is LOG, WARNING or ERROR. */
extern void LogLine(const char *level, const char *fmt,...)
			__attribute__((format(printf, 2, 3)));

#endif							/* SHARD_ENGINE_FAIL_H */
