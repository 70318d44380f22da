/*
 * scalar.h
 *		What functions over vectors share: their arguments, NULL, registration.
 */
#ifndef SHARD_ENGINE_SCALAR_H
#define SHARD_ENGINE_SCALAR_H

#include "base/portable.h"
#include "duckdb.h"

#define SCALAR_MAX_ARGS 4

/* The vectors of a call. */
typedef struct ScalarCall
{
	duckdb_function_info info;
	uint64		n;				/* rows */
	int			nargs;
	void	   *args[SCALAR_MAX_ARGS];
	uint64_t   *validity[SCALAR_MAX_ARGS];	/* NULL = none is null */
	duckdb_vector output;
	void	   *out;
} ScalarCall;

extern void ScalarBegin(ScalarCall *call, duckdb_function_info info, duckdb_data_chunk input,
						duckdb_vector output);

/* Is an argument of a row NULL?  The result then is, too. */
extern bool ScalarNull(ScalarCall *call, uint64 row);

/* Have the statement end with an error "SQLSTATE:message". */
extern void ScalarFail(ScalarCall *call, const char *error);

/* A function to register; types end at DUCKDB_TYPE_INVALID. */
typedef struct ScalarFunction
{
	const char *name;
	duckdb_scalar_function_t function;
	duckdb_type result;
	duckdb_type args[SCALAR_MAX_ARGS];
} ScalarFunction;

extern void ScalarRegister(duckdb_connection con, const ScalarFunction *functions, int n);

#endif							/* SHARD_ENGINE_SCALAR_H */
