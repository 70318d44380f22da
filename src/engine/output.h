/*
 * output.h
 *		From DuckDB's result chunks to wire chunks.
 */
#ifndef SHARD_ENGINE_OUTPUT_H
#define SHARD_ENGINE_OUTPUT_H

#include "duckdb.h"
#include "engine/text.h"
#include "wire/chunk.h"
#include "wire/frame.h"

typedef struct Output Output;

/* Columns of a result; memory of the request. */
extern Output *OutputCreate(duckdb_result *result);
extern void OutputDescribe(Output *output, duckdb_result *result, FrameBuffer *buf);

/*
 * Append a frame with rows from *row on and advance it; as many rows as a chunk
 * should hold.
 */
extern void OutputRows(Output *output, duckdb_data_chunk chunk, uint64 *row, FrameBuffer *buf);

#endif							/* SHARD_ENGINE_OUTPUT_H */
