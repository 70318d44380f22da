/*
 * router_ddl.h
 *		What the files that define routers share.
 */
#ifndef SHARD_TABLE_ROUTER_DDL_H
#define SHARD_TABLE_ROUTER_DDL_H

#include "postgres.h"

/* Qualified text form of a function (jsonb) -> text; ERROR if it is another. */
extern char *RouterKeyFunction(Oid function);

/* SPI_execute_with_args with an error for a result that is not expected. */
extern void RouterExecute(const char *command, int nargs, Oid *types, Datum *values,
						  const char *nulls, int expected);

/* After a change of its pins, within SPI: note whether a router has any. */
extern void RouterNotePins(const char *router);

#endif							/* SHARD_TABLE_ROUTER_DDL_H */
