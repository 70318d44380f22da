/*
 * wait.h
 *		Waiting for the pipeline.
 */
#ifndef SHARD_PIPELINE_WAIT_H
#define SHARD_PIPELINE_WAIT_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

/*
 * Wait until everything that has committed is in the lake.  A message of our own
 * in the WAL marks the place, which is returned: everything that committed before
 * this call lies before its end, and that end is a record's end, which the worker
 * reaches exactly.  ERROR 57014 when the deadline is over, 55000 if the pipeline
 * does not run.
 */
extern XLogRecPtr PipelineFlush(TimestampTz deadline);

/*
 * Wait until the worker sees everything that is written from now on; NULL, or
 * the reason why it does not.
 */
extern char *PipelineWaitReady(int timeout_ms);

#endif							/* SHARD_PIPELINE_WAIT_H */
