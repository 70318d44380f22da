/*
 * ranges.h
 *		Batches of a migration that changes the ranges of a router.
 */
#ifndef SHARD_MIGRATION_RANGES_H
#define SHARD_MIGRATION_RANGES_H

#include "postgres.h"
#include "migration/batch.h"

/* One step within the worker's transaction; false if it has to be rolled back. */
extern bool RangesBatch(Run *run, const MigrationJob *job);

#endif							/* SHARD_MIGRATION_RANGES_H */
