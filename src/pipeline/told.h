/*
 * told.h
 *		Events of comparisons that the event log has and the state has not.
 */
#ifndef SHARD_PIPELINE_TOLD_H
#define SHARD_PIPELINE_TOLD_H

#include "postgres.h"
#include "client/engine.h"
#include "lake/lake.h"
#include "pipeline/layout.h"

/* Summary entry of both tables: the comparisons whose events it has, as a list of their ids. */
#define TOLD_NOTE "shard.resync"

/*
 * Ids, divided by commas, of the comparisons that wrote events and not the state;
 * NULL if there are none.
 */
extern const char *ToldPending(const LakeTable *events, const LakeTable *state);

/* What begins the ids of a comparison's events, after "resync-"; unlike those pending. */
extern char *ToldId(const char *pending, int64 generation, Oid relation, XLogRecPtr lsn);

/*
 * Engine relation pipeline_known: the rows of pipeline_lake as they are after
 * those events.  types: of the layout's columns in pipeline_lake.  of_part:
 * " WHERE ..." over the events' columns c<attnum> for those of the rows that
 * pipeline_lake has, or "".
 */
extern void ToldApply(EngineConn *conn, LakeTable *events, const char *pending,
					  const TableLayout *layout, char *const *types, const char *of_part);

#endif							/* SHARD_PIPELINE_TOLD_H */
