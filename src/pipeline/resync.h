/*
 * resync.h
 *		Bringing a table's state in line with its heap.
 */
#ifndef SHARD_PIPELINE_RESYNC_H
#define SHARD_PIPELINE_RESYNC_H

#include "postgres.h"
#include "client/engine.h"
#include "pipeline/position.h"
#include "utils/snapshot.h"

/*
 * Compare every table that needs it with its heap and write the differences;
 * the batch must be empty.  Returns the number of tables.  Tables that somebody
 * has locked are left for later: then *busy.
 */
extern int	ResyncTables(EngineConn *conn, const Position *position, bool *busy);

/* Is there a table that needs it? */
extern bool ResyncNeeded(const Position *position);

/* ---- resync_filter.c ---- */

/* A snapshot as the catalog keeps it. */
extern char *ResyncSnapshotText(Snapshot snapshot);

/* Take filters of tables read under a snapshot from the catalog, after a restart. */
extern void ResyncRestoreFilters(const Position *position);

/* Tell changes.c which tables have a problem that keeps them out. */
extern void ResyncRestoreLeftOut(void);

#endif							/* SHARD_PIPELINE_RESYNC_H */
