/*
 * input_nested.h
 *		Nested values of the wire into DuckDB's vectors.
 */
#ifndef SHARD_ENGINE_INPUT_NESTED_H
#define SHARD_ENGINE_INPUT_NESTED_H

#include "duckdb.h"
#include "engine/text.h"

/*
 * Put a value in the form that client/nested.h describes into row of a vector;
 * fails (08P01) on bytes that are not one.
 */
extern void InputNested(duckdb_vector vector, uint64 row, const TypeNode *type,
						const char *data, size_t len);
extern void InputNestedNull(duckdb_vector vector, uint64 row, const TypeNode *type);

#endif							/* SHARD_ENGINE_INPUT_NESTED_H */
