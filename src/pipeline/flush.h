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
} FlushResult;

/* Write the batch to the lake and commit it together with the position. */
extern void FlushBatch(ChangeBatch *batch, const Position *position, FlushResult *result);

#endif							/* SHARD_PIPELINE_FLUSH_H */
