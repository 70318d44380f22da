/*
 * shape.h
 *		What a migration does to a router beside moving keys: shards that come
 *		and go, and the two maps that it stands between.
 *
 * The caller holds the locks of a flip of the plan's shards.
 */
#ifndef SHARD_MIGRATION_SHAPE_H
#define SHARD_MIGRATION_SHAPE_H

#include "postgres.h"
#include "migration/job.h"

/* Does anything have to move at all? */
extern bool ShapeMoves(const MigrationPlan *plan);

/* Before the first batch. */
extern void ShapeBegin(const MigrationJob *job);

/* After the last one: drop the shard that has left.  True if there was one. */
extern bool ShapeEnd(const MigrationJob *job);

/* After everything has gone back: drop the shard that was to join. */
extern void ShapeUndo(const MigrationJob *job);

/* The shard that was to leave stays, without keys. */
extern void ShapeKeepLeaving(const MigrationJob *job);

#endif							/* SHARD_MIGRATION_SHAPE_H */
