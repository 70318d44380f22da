/*
 * fuzz.h
 *		What a fuzz target of a pure part needs: one function that reads hostile
 *		bytes.  An error raised by shard_fail() ends that input and is right;
 *		what the sanitizers or libFuzzer find (a wild access, a leak past the
 *		limits, a hang) is wrong.
 *
 * A target is a file fuzz_NAME.c whose first line names its sources, as a unit
 * test's does, and that defines FuzzOne().  Memory of an input is freed after it.
 */
#ifndef SHARD_FUZZ_H
#define SHARD_FUZZ_H

#include "base/portable.h"

/* Read size bytes; data is a copy of its own, so that reads past it are seen. */
extern void FuzzOne(const char *data, size_t size);

/* Once, before the first input; its memory stays.  Optional. */
extern void FuzzInit(void) __attribute__((weak));

/* A file's bytes, or NULL; with a NUL behind. */
extern char *FuzzReadFile(const char *path, size_t *size);

#endif							/* SHARD_FUZZ_H */
