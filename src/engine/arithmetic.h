/*
 * arithmetic.h
 *		SQL functions that compute as PostgreSQL does where DuckDB does not.
 *
 *		shard_add_<type>, shard_sub_<type>, shard_mul_<type>, shard_div_<type> for
 *		int4, int8, float4, float8; shard_mod_int4, shard_mod_int8
 *			raise 22003 and 22012; DuckDB looks into none of them, and so keeps
 *			their errors
 *		shard_num_add, _sub, _mul, _div, _mod (VARCHAR, VARCHAR) -> VARCHAR
 *		shard_num_neg, _abs, _ceil, _floor (VARCHAR) -> VARCHAR
 *		shard_num_round, _trunc, _rescale (VARCHAR, INTEGER) -> VARCHAR
 *		shard_num_cmp(VARCHAR, VARCHAR) -> INTEGER
 *		shard_num_key(VARCHAR) -> BLOB, to sort by
 *			numerics in their text form: see numeric.h
 */
#ifndef SHARD_ENGINE_ARITHMETIC_H
#define SHARD_ENGINE_ARITHMETIC_H

#include "duckdb.h"

extern void RegisterArithmetic(duckdb_connection con);

#endif							/* SHARD_ENGINE_ARITHMETIC_H */
