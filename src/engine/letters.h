/*
 * letters.h
 *		SQL functions over characters that compute as PostgreSQL does.
 *
 *		shard_upper, shard_lower, shard_initcap (VARCHAR, locale VARCHAR) -> VARCHAR
 *			by the C library's locale, as PostgreSQL's collations of provider libc
 *		shard_reverse(VARCHAR) -> VARCHAR, by code points
 */
#ifndef SHARD_ENGINE_LETTERS_H
#define SHARD_ENGINE_LETTERS_H

#include "duckdb.h"

extern void RegisterLetters(duckdb_connection con);

#endif							/* SHARD_ENGINE_LETTERS_H */
