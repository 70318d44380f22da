/*
 * portable.h
 *		What the pure parts need to compile both inside the server and
 *		stand-alone (unit tests, shard_engine).
 *
 * Pure parts (router/, wire/, lake/iceberg/) allocate with mem_alloc() and
 * report errors with shard_fail().  Inside the server these are palloc() and
 * ereport(ERROR); built with -DSHARD_STANDALONE they are malloc() and a
 * handler that the program supplies, which must not return (exit or longjmp).
 */
#ifndef SHARD_PORTABLE_H
#define SHARD_PORTABLE_H

#ifndef SHARD_STANDALONE

#include "postgres.h"

#define mem_alloc(n)		palloc(n)
#define mem_alloc0(n)		palloc0(n)
#define mem_realloc(p, n)	repalloc((p), (n))
#define mem_strdup(s)		pstrdup(s)
#define mem_free(p)			pfree(p)

/* Raise an error: FAIL_* gives the SQLSTATE class. */
#define shard_fail(kind, ...) \
	ereport(ERROR, (errcode(kind), errmsg_internal(__VA_ARGS__)))

#define FAIL_CORRUPT		ERRCODE_DATA_CORRUPTED
#define FAIL_INVALID		ERRCODE_INVALID_PARAMETER_VALUE
#define FAIL_UNSUPPORTED	ERRCODE_FEATURE_NOT_SUPPORTED
#define FAIL_INTERNAL		ERRCODE_INTERNAL_ERROR

#else

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int8_t int8;
typedef int16_t int16;
typedef int32_t int32;
typedef int64_t int64;
typedef uint8_t uint8;
typedef uint16_t uint16;
typedef uint32_t uint32;
typedef uint64_t uint64;
typedef __int128 int128;

#define FAIL_CORRUPT		1
#define FAIL_INVALID		2
#define FAIL_UNSUPPORTED	3
#define FAIL_INTERNAL		4

extern void shard_fail(int kind, const char *fmt,...)
			__attribute__((noreturn, format(printf, 2, 3)));
extern void *mem_alloc(size_t n);
extern void *mem_alloc0(size_t n);
extern void *mem_realloc(void *p, size_t n);
extern char *mem_strdup(const char *s);
extern void mem_free(void *p);

#endif

#endif							/* SHARD_PORTABLE_H */
