/*
 * deadline.h
 *		shard.query_timeout.
 */
#ifndef SHARD_FDW_DEADLINE_H
#define SHARD_FDW_DEADLINE_H

#include "postgres.h"

/*
 * Call a function that waits for the engine, and add the time that it took to
 * *spent (microseconds).  Raises 57014 when *spent passes shard.query_timeout.
 */
extern void CallWithDeadline(void (*call) (void *), void *arg, int64 *spent);

#endif							/* SHARD_FDW_DEADLINE_H */
