/*
 * position.h
 *		Where the pipeline stands, as committed: _shard.pipeline and
 *		_shard.lake_table.  All functions need a transaction and use SPI by
 *		themselves.
 */
#ifndef SHARD_PIPELINE_POSITION_H
#define SHARD_PIPELINE_POSITION_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "lake/iceberg/iceberg.h"
#include "nodes/pg_list.h"

/* A place in the history of a server. */
typedef struct Position
{
	uint64		system;			/* system identifier */
	Oid			database;
	TimeLineID	timeline;
	int64		generation;		/* of the slot, counted up when it is made */
	XLogRecPtr	lsn;
} Position;

/* A table of the lake, from _shard.lake_table. */
typedef struct RegisteredTable
{
	Oid			relation;
	char	   *namespace;
	char	   *name;
	char	   *events_name;
	bool		synced;
	int64		generation;
	char	   *problem;		/* why the pipeline leaves it out, or NULL */
	char	   *snapshot;		/* text of a pg_snapshot, or NULL */
	XLogRecPtr	snapshot_lsn;
} RegisteredTable;

/* This server's identity; generation and lsn are left 0. */
extern void PositionHere(Position *position);

/* False if nothing was ever stored. */
extern bool PositionRead(Position *position);
extern void PositionWrite(const Position *position);

/* Does a stored position belong to this server, its slot confirmed up to that? */
extern bool PositionFits(const Position *stored, XLogRecPtr confirmed);

/* Start a new generation: store it, and mark every table as not synced. */
extern void PositionNewGeneration(Position *position, XLogRecPtr lsn);

/* Of RegisteredTable *, in the current memory context. */
extern List *RegisteredTables(void);

/* A table has reached a position in a flush. */
extern void RegisteredSetPosition(Oid relation, const Position *position);

/* Its state equals the heap as this snapshot sees it; NULL: compare it again. */
extern void RegisteredSetSynced(Oid relation, const Position *position,
								const char *snapshot, XLogRecPtr snapshot_lsn);

/* The position as entries of a snapshot's summary. */
extern IcebergKeyValue *PositionSummary(const Position *position, int *n);

#endif							/* SHARD_PIPELINE_POSITION_H */
