/*
 * floats.h
 *		SQL functions of floating-point numbers, and statistics, as PostgreSQL has them.
 *
 *		shard_sqrt, _cbrt, _exp, _ln, _log10, _round, _ceil, _floor, _trunc, _sign
 *			(DOUBLE) -> DOUBLE: raise 22003, 2201E, 2201F
 *		shard_float8_int4, _int8, _float4 (DOUBLE): casts, raise 22003
 *		shard_num_var(count BIGINT, sum VARCHAR, sum of squares VARCHAR, kind INTEGER)
 *			-> VARCHAR: variance of exact numbers; kind 1 = of a sample, 2 = its root
 */
#ifndef SHARD_ENGINE_FLOATS_H
#define SHARD_ENGINE_FLOATS_H

#include "duckdb.h"

extern void RegisterFloats(duckdb_connection con);

#endif							/* SHARD_ENGINE_FLOATS_H */
