/*
 * regex.h
 *		Regular expressions of PostgreSQL as the engine reads them.
 */
#ifndef SHARD_FDW_REGEX_H
#define SHARD_FDW_REGEX_H

#include "postgres.h"

/*
 * Write an expression of PostgreSQL's as one of RE2 that finds something in just
 * the same texts.  fold: letters match in either case; locale: the C library's
 * locale whose letters are meant, or NULL.  False if it is not sure to.
 */
extern bool RegexForEngine(const char *pattern, bool fold, const char *locale, char **result);

#endif							/* SHARD_FDW_REGEX_H */
