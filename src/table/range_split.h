/*
 * range_split.h
 *		Changing the ranges of a router of strategy range: rows and leaves.
 *
 * A change has two parts.  First the leaves are split where the new ranges say
 * that keys go to different shards: rows move to new leaves in the same shard, in
 * steps of bounded size, and no key's shard changes.  Then whole leaves are given
 * to their new shards at once, which moves no row.  So a change that is given up
 * half-way leaves nothing to undo.
 *
 * All functions run within a DdlScope; those that change something need the
 * locks of a flip.
 */
#ifndef SHARD_TABLE_RANGE_SPLIT_H
#define SHARD_TABLE_RANGE_SPLIT_H

#include "postgres.h"
#include "catalog/catalog.h"

typedef struct RangeTarget
{
	char	   *router;
	RangeSet   *ranges;			/* as they are to be stored */
	RangeSet   *all;			/* with gaps and pins filled in */
	int			default_shard;
} RangeTarget;

/* The target of new ranges (NULL = as they are) and a new default shard. */
extern RangeTarget *RangeTargetCreate(const char *router, Jsonb *ranges, int default_shard);

/* Rows that must move between leaves, of all tables; counts no further than limit. */
extern int64 RangeRowsToMove(const RangeTarget *target, int64 limit);

/*
 * One step of splitting: about max_rows rows, or all rows of one key, change
 * leaves.  NULL if nothing is left to split.  What to move is found without
 * locks; running the step returns how many rows moved.
 */
typedef struct RangeStep RangeStep;
extern RangeStep *RangeStepFind(const RangeTarget *target, int64 max_rows);
extern int64 RangeStepRun(const RangeTarget *target, const RangeStep *step);

/* Give the leaves to their shards and store the ranges. */
extern void RangeFlip(const RangeTarget *target);

#endif							/* SHARD_TABLE_RANGE_SPLIT_H */
