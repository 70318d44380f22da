/*
 * range.h
 *		Half-open ranges of keys, and the shards that they belong to.
 *
 * Values are opaque: an order given by the caller compares them, so that the
 * same code serves every type of key.  A set owns its array of ranges, not what
 * the values may point to.
 */
#ifndef SHARD_ROUTER_RANGE_H
#define SHARD_ROUTER_RANGE_H

#include "base/portable.h"

typedef uintptr_t RangeValue;

typedef struct RangeOrder
{
	int			(*compare) (RangeValue a, RangeValue b, void *arg);	/* as strcmp() */
	void	   *arg;
} RangeOrder;

typedef struct RangeBound
{
	int			infinity;		/* -1 below every value, 1 above, 0: value */
	RangeValue	value;
} RangeBound;

/* start <= key < end */
typedef struct Range
{
	RangeBound	start;
	RangeBound	end;
	int			shard;
} Range;

typedef struct RangeSet
{
	RangeOrder	order;
	int			nranges;
	Range	   *ranges;
} RangeSet;

extern int	RangeCompare(const RangeOrder *order, const RangeBound *a, const RangeBound *b);

/* Bring a set's ranges into order, by their starts. */
extern void RangeSort(RangeSet *set);

/* Of a sorted set: the first range that overlaps the one after it, or -1. */
extern int	RangeOverlap(const RangeSet *set);

/* Of a sorted set without overlaps: the range that holds a value, or -1. */
extern int	RangeSearch(const RangeSet *set, RangeValue value);

/*
 * Of a sorted set without overlaps: is there a gap before range i?  i may be the
 * number of ranges: after the last one.
 */
extern bool RangeGap(const RangeSet *set, int i, Range *gap);

/* The set of one range, of all keys. */
extern RangeSet *RangeAll(RangeOrder order, int shard);

/*
 * A set whose ranges cover all keys, with the ranges of another one (sorted,
 * without overlaps) laid over it; neighbours of one shard become one range.
 */
extern RangeSet *RangeOverlay(const RangeSet *base, const RangeSet *over);

/*
 * Of a set that covers all keys: the next border above a bound, at which the
 * shard changes.  False if there is none.
 */
extern bool RangeNextBorder(const RangeSet *set, const RangeBound *after, RangeBound *border);

/* Of a set that covers all keys: the shard of the keys just above a bound. */
extern int	RangeShardAbove(const RangeSet *set, const RangeBound *bound);

#endif							/* SHARD_ROUTER_RANGE_H */
