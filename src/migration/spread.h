/*
 * spread.h
 *		Which keys to move so that every shard comes within a threshold of the
 *		mean, moving as little as can be found.  Pure: no tables, no catalog.
 */
#ifndef SHARD_MIGRATION_SPREAD_H
#define SHARD_MIGRATION_SPREAD_H

#include "base/portable.h"

/* What a shard's load is measured in; the first is what moving costs. */
#define SPREAD_DIMS 2			/* bytes, rows */

typedef struct SpreadKey
{
	double		size[SPREAD_DIMS];
	int			from;			/* number of its shard, from 0 */
	int			to;				/* out: where it goes, or from */
} SpreadKey;

typedef struct SpreadProblem
{
	double		threshold;		/* 0.3: between 0.7 and 1.3 times the mean */
	int			nshards;
	const bool *takes;			/* per shard: may keys come to it? */
	int64		nkeys;
	SpreadKey  *keys;
} SpreadProblem;

typedef struct SpreadResult
{
	double		moved;			/* of the first dimension */
	int64		nmoved;
	double		bound;			/* no plan can move less */
	double		violation;		/* by how many means shards are still outside, in sum */
} SpreadResult;

/* The largest difference of a shard from the mean, as a part of it. */
extern double SpreadImbalance(const SpreadProblem *problem);

extern void SpreadKeys(SpreadProblem *problem, SpreadResult *result);

#endif							/* SHARD_MIGRATION_SPREAD_H */
