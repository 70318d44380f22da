/*
 * statement.c
 *		Running one statement with a streamed result.
 */
#include "engine/statement.h"

#include <sched.h>
#include <time.h>

#include "engine/fail.h"
#include "wire/frame.h"

/* Looks for more work before this thread sleeps, and how long it does then. */
#define BUSY_LOOKS 20
#define SHORTEST_SLEEP_NS 50000
#define LONGEST_SLEEP_NS 400000

/*
 * Work on the statement until it has a result.  While all that is left of it is
 * in the hands of other threads, DuckDB's own loop would use up a core that
 * these, or the server, have need of.
 */
static void
Work(duckdb_pending_result pending)
{
	struct timespec sleep = {0, SHORTEST_SLEEP_NS};
	duckdb_pending_state state;
	int			looks = 0;

	while ((state = duckdb_pending_execute_task(pending)) != DUCKDB_PENDING_RESULT_READY)
	{
		if (state == DUCKDB_PENDING_ERROR)
			FailWithText(duckdb_pending_error(pending));
		if (state != DUCKDB_PENDING_NO_TASKS_AVAILABLE)
		{
			looks = 0;
			sleep.tv_nsec = SHORTEST_SLEEP_NS;
		}
		else if (looks++ < BUSY_LOOKS)
			sched_yield();
		else
		{
			nanosleep(&sleep, NULL);
			if (sleep.tv_nsec < LONGEST_SLEEP_NS)
				sleep.tv_nsec *= 2;
		}
	}
}

static void
Extract(Statement *statement, duckdb_connection con, const char *sql)
{
	uint64		n = duckdb_extract_statements(con, sql, &statement->extracted);

	if (n == 0)
	{
		const char *error = duckdb_extract_statements_error(statement->extracted);

		if (error != NULL && error[0] != '\0')
			FailWithText(error);
		Fail("42601", "the request holds no statement");
	}
	if (n > 1)
		Fail("42601", "the request holds %d statements instead of one", (int) n);
}

/*
 * Values for the parameters: see ENGINE_FALSE.
 */
static void
Bind(duckdb_prepared_statement prepared)
{
	for (uint64 i = 1; i <= duckdb_nparams(prepared); i++)
		if (duckdb_bind_boolean(prepared, i, false) == DuckDBError)
			FailWithText(duckdb_prepare_error(prepared));
}

void
StatementStart(Statement *statement, duckdb_connection con, const char *sql, bool select_only)
{
	bool		is_select;

	Extract(statement, con, sql);
	if (duckdb_prepare_extracted_statement(con, statement->extracted, 0,
										   &statement->prepared) == DuckDBError)
		FailWithText(duckdb_prepare_error(statement->prepared));
	is_select = duckdb_prepared_statement_type(statement->prepared) == DUCKDB_STATEMENT_TYPE_SELECT;
	if (select_only && !is_select)
		Fail("42501", "only SELECT is allowed in a query of the engine");
	Bind(statement->prepared);

	if ((is_select ? duckdb_pending_prepared_streaming(statement->prepared, &statement->pending)
		 : duckdb_pending_prepared(statement->prepared, &statement->pending)) == DuckDBError)
		FailWithText(duckdb_pending_error(statement->pending));
	Work(statement->pending);
	statement->has_result = true;
	if (duckdb_execute_pending(statement->pending, &statement->result) == DuckDBError)
		FailWithText(duckdb_result_error(&statement->result));
}

duckdb_data_chunk
StatementFetch(Statement *statement)
{
	const char *error;

	if (statement->chunk != NULL)
		duckdb_destroy_data_chunk(&statement->chunk);
	statement->chunk = duckdb_fetch_chunk(statement->result);
	if (statement->chunk == NULL)
	{
		error = duckdb_result_error(&statement->result);
		if (error != NULL && error[0] != '\0')
			FailWithText(error);
	}
	return statement->chunk;
}

int64
StatementRowsChanged(Statement *statement)
{
	if (duckdb_result_return_type(statement->result) != DUCKDB_RESULT_TYPE_CHANGED_ROWS)
		return -1;
	return (int64) duckdb_rows_changed(&statement->result);
}

void
StatementDestroy(Statement *statement)
{
	if (statement->chunk != NULL)
		duckdb_destroy_data_chunk(&statement->chunk);
	if (statement->has_result)
		duckdb_destroy_result(&statement->result);
	if (statement->pending != NULL)
		duckdb_destroy_pending(&statement->pending);
	if (statement->prepared != NULL)
		duckdb_destroy_prepare(&statement->prepared);
	if (statement->extracted != NULL)
		duckdb_destroy_extracted(&statement->extracted);
	memset(statement, 0, sizeof(*statement));
}
