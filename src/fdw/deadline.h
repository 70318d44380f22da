/*
 * deadline.h
 *		shard.query_timeout.
 */
#ifndef SHARD_FDW_DEADLINE_H
#define SHARD_FDW_DEADLINE_H

#include "postgres.h"
#include "nodes/execnodes.h"

/*
 * Call a function that waits for the engine, and add the time that it took to
 * *spent (microseconds).  Raises 57014 when *spent passes shard.query_timeout.
 */
extern void CallWithDeadline(void (*call) (void *), void *arg, int64 *spent);

/*
 * The time that the statement of an executor's state has spent waiting, in
 * microseconds; it lives as long as the state.  What runs on behalf of another
 * statement shares that one's time: between DeadlineShare(), which returns what
 * was shared before, and the call that puts that back.
 */
extern int64 *DeadlineSpent(EState *estate);
extern int64 *DeadlineShare(int64 *spent);

#endif							/* SHARD_FDW_DEADLINE_H */
