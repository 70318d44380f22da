/*
 * input.h
 *		From wire chunks to DuckDB's data chunks, for appending.
 */
#ifndef SHARD_ENGINE_INPUT_H
#define SHARD_ENGINE_INPUT_H

#include "duckdb.h"
#include "engine/text.h"
#include "wire/chunk.h"

typedef struct Input
{
	duckdb_appender appender;
	duckdb_data_chunk chunk;	/* of the first chunk's types, reused */
	WireColumn *columns;		/* their types only */
	int			ncols;
	TypeNode  **nested;			/* per column: its type if it is nested, else NULL */
} Input;

extern void InputBegin(Input *input, duckdb_connection con, const char *table);
extern void InputChunk(Input *input, const WireChunk *chunk);
extern void InputFinish(Input *input);	/* makes the rows visible */
extern void InputDestroy(Input *input); /* on error, too */

#endif							/* SHARD_ENGINE_INPUT_H */
