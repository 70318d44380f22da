/*
 * scalar.c
 *		What functions over vectors share: their arguments, NULL, registration.
 */
#include "engine/scalar.h"

#include "engine/fail.h"

void
ScalarBegin(ScalarCall *call, duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	call->info = info;
	call->n = duckdb_data_chunk_get_size(input);
	call->nargs = (int) duckdb_data_chunk_get_column_count(input);
	call->output = output;
	call->out = duckdb_vector_get_data(output);
	for (int i = 0; i < call->nargs; i++)
	{
		duckdb_vector vector = duckdb_data_chunk_get_vector(input, i);

		call->args[i] = duckdb_vector_get_data(vector);
		call->validity[i] = duckdb_vector_get_validity(vector);
	}
}

bool
ScalarNull(ScalarCall *call, uint64 row)
{
	for (int i = 0; i < call->nargs; i++)
	{
		if (call->validity[i] == NULL || (call->validity[i][row / 64] >> (row % 64) & 1))
			continue;
		duckdb_vector_ensure_validity_writable(call->output);
		duckdb_validity_set_row_invalid(duckdb_vector_get_validity(call->output), row);
		return true;
	}
	return false;
}

void
ScalarFail(ScalarCall *call, const char *error)
{
	duckdb_scalar_function_set_error(call->info, error);
}

static duckdb_state
RegisterOne(duckdb_connection con, const ScalarFunction *function)
{
	duckdb_scalar_function f = duckdb_create_scalar_function();
	duckdb_logical_type result = duckdb_create_logical_type(function->result);
	duckdb_state state;

	duckdb_scalar_function_set_name(f, function->name);
	for (int i = 0; i < SCALAR_MAX_ARGS && function->args[i] != DUCKDB_TYPE_INVALID; i++)
	{
		duckdb_logical_type type = duckdb_create_logical_type(function->args[i]);

		duckdb_scalar_function_add_parameter(f, type);
		duckdb_destroy_logical_type(&type);
	}
	duckdb_scalar_function_set_return_type(f, result);
	duckdb_scalar_function_set_function(f, function->function);
	state = duckdb_register_scalar_function(con, f);
	duckdb_destroy_logical_type(&result);
	duckdb_destroy_scalar_function(&f);
	return state;
}

void
ScalarRegister(duckdb_connection con, const ScalarFunction *functions, int n)
{
	for (int i = 0; i < n; i++)
		if (RegisterOne(con, &functions[i]) == DuckDBError)
			Fail("58000", "could not register the function %s", functions[i].name);
}
