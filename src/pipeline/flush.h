/*
 * flush.h
 *		From a batch of changes to a committed lake snapshot.
 */
#ifndef SHARD_PIPELINE_FLUSH_H
#define SHARD_PIPELINE_FLUSH_H

#include "postgres.h"
#include "pipeline/changes.h"
#include "pipeline/position.h"

typedef struct FlushResult
{
	bool		committed;		/* the position, too */
	bool		resync;			/* tables are left that must be compared */
	int64		events;
	int64		emitted;		/* of these, by shard.emit() */
	int64		repeated;		/* emitted ones left out */
} FlushResult;

/* Write the batch to the lake and commit it together with the position. */
extern void FlushBatch(ChangeBatch *batch, const Position *position, FlushResult *result);

/*
 * The furthest position that a table of the lake has reached beyond the committed
 * one, which only a catalog outside makes possible; InvalidXLogRecPtr if none
 * has.  Needs a transaction.
 */
extern XLogRecPtr FlushReached(const Position *position);

#endif							/* SHARD_PIPELINE_FLUSH_H */
