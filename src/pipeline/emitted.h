/*
 * emitted.h
 *		Custom events (shard.emit) of one batch, and the event logs of routers.
 *
 * In the engine they are the temporary table "emitted"; in the lake one table
 * a router, without state: namespace EVENT_LOG_NAMESPACE, <router>_events.
 */
#ifndef SHARD_PIPELINE_EMITTED_H
#define SHARD_PIPELINE_EMITTED_H

#include "postgres.h"
#include "lake/lake.h"
#include "pipeline/changes.h"
#include "pipeline/flush.h"
#include "pipeline/position.h"

/* From the output plugin: a message with our prefix. */
extern void EmittedAdd(ChangeTxn *txn, const char *data, Size size);

/* Of this batch, in the engine or not. */
extern int64 EmittedRows(void);

/* Send what is still here to the engine. */
extern void EmittedPush(void);

/*
 * Write the batch's events to the logs of their routers, in the current
 * transaction, together with the group if there is one; false if somebody else's
 * commit came first.  Adds to the counts in result.
 */
extern bool EmittedFlush(EngineConn *conn, const Position *position, LakeGroup *group,
						 FlushResult *result);

/* Forget the batch. */
extern void EmittedReset(void);

/* ---- emitted_log.c ---- */

/*
 * The log of a router, made if it is not there; NULL if there is no such router.
 * Keeps the router from being dropped until the transaction ends.
 */
extern LakeTable *EventLogOpen(EngineConn *conn, const char *router, const Position *position);

/* Schema of the logs. */
extern IcebergSchema *EventLogSchema(void);

#endif							/* SHARD_PIPELINE_EMITTED_H */
