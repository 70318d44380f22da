/*
 * statement.h
 *		One statement of DuckDB, from its text to the last chunk of its result.
 */
#ifndef SHARD_ENGINE_STATEMENT_H
#define SHARD_ENGINE_STATEMENT_H

#include "base/portable.h"
#include "duckdb.h"

/* Start zeroed; StatementDestroy() frees whatever is there, also after an error. */
typedef struct Statement
{
	duckdb_extracted_statements extracted;
	duckdb_prepared_statement prepared;
	duckdb_pending_result pending;
	bool		has_result;
	duckdb_result result;
	duckdb_data_chunk chunk;
} Statement;

/*
 * Prepare and start it.  Exactly one statement; with select_only, it must be a
 * SELECT.  Rows are produced while they are fetched.
 */
extern void StatementStart(Statement *statement, duckdb_connection con, const char *sql,
						   bool select_only);

/* The next chunk, valid until the next call; NULL at the end. */
extern duckdb_data_chunk StatementFetch(Statement *statement);

/* Rows that it changed, or -1 if it returns rows. */
extern int64 StatementRowsChanged(Statement *statement);

extern void StatementDestroy(Statement *statement);

#endif							/* SHARD_ENGINE_STATEMENT_H */
