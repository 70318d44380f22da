/*
 * functions.h
 *		The SQL functions that the engine adds to DuckDB.
 *
 *		shard_live(filename VARCHAR, file_row_number BIGINT) -> BOOLEAN
 *			is the row not deleted, according to the request's deletes?
 *		shard_key_hash(function VARCHAR, key VARCHAR) -> UBIGINT
 *		shard_key_position(function VARCHAR, key VARCHAR) -> UBIGINT
 *			what router/hash.h computes
 */
#ifndef SHARD_ENGINE_FUNCTIONS_H
#define SHARD_ENGINE_FUNCTIONS_H

#include "duckdb.h"
#include "engine/deletes.h"

/* Deletes of the request that this thread is about to bind; may be NULL. */
extern __thread DeleteSet *request_deletes;

extern void RegisterFunctions(duckdb_connection con);

#endif							/* SHARD_ENGINE_FUNCTIONS_H */
