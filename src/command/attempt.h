/*
 * attempt.h
 *		Running a command on a shard: once or more, in bounded time, as somebody
 *		who wants an answer or an error but not the end of the transaction.
 */
#ifndef SHARD_COMMAND_ATTEMPT_H
#define SHARD_COMMAND_ATTEMPT_H

#include "postgres.h"
#include "catalog/catalog.h"
#include "utils/timestamp.h"

typedef struct ShardCommand
{
	const char *router;
	const char *text;
	const char *key;			/* partition key, or NULL: shard_index says where */
	size_t		key_len;
	int			shard_index;	/* where it is run; set by each attempt that has a key */
	int			nargs;
	char	  **args;			/* texts; NULL = null */
	TimestampTz started;		/* the router's timeout begins here */

	/* result */
	List	   *rows;			/* of Datum * (jsonb), in the caller's context */
	int			retries;
	ErrorData  *error;			/* of the last attempt, or NULL */
	bool		timed_out;		/* the router's time limit was the error */
} ShardCommand;

/*
 * Run the command with the caller's privileges, each attempt in a
 * subtransaction of its own.  Rows and an error are left in *command.  Raised,
 * not left there, are errors that end a query: cancel and shutdown.
 */
extern void CommandRun(ShardCommand *command);

#endif							/* SHARD_COMMAND_ATTEMPT_H */
