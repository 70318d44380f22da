/*
 * lake_side.h
 *		What planning and moving take from a table's lake.
 *
 * The lake is a copy that may lag behind.  Whatever cannot be had from it comes
 * from the shards: both functions tell so instead of failing.
 */
#ifndef SHARD_MIGRATION_LAKE_SIDE_H
#define SHARD_MIGRATION_LAKE_SIDE_H

#include "postgres.h"
#include "migration/batch.h"
#include "migration/count.h"
#include "migration/match.h"
#include "utils/rel.h"

/* Rows by key; false if the lake has no answer. */
extern bool CountInLake(KeyCounts *counts, Relation parent);

/*
 * Insert the rows of the batch's keys as the lake has them; returns their
 * number.
 */
extern int64 FillFromLake(Match *match, KeyMoves *moves, const MigrationJob *job,
						  const BatchReport *report, Oid parent);

#endif							/* SHARD_MIGRATION_LAKE_SIDE_H */
