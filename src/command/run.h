/*
 * run.h
 *		A command's text, run by SPI with text arguments; its result as jsonb.
 */
#ifndef SHARD_COMMAND_RUN_H
#define SHARD_COMMAND_RUN_H

#include "postgres.h"
#include "nodes/pg_list.h"

/*
 * Run in the present search_path and snapshot rules of a VOLATILE function.
 * Arguments are $1, $2, ... of the types that the command gives them, as
 * literals in quotes are.  Returns rows as Datum pointers to jsonb in the given
 * context; a command that returns none gives {"rows": n}.
 */
extern List *RunText(const char *text, int nargs, char **args, MemoryContext result);

#endif							/* SHARD_COMMAND_RUN_H */
