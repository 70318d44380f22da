/*
 * range_check.h
 *		The ranges of a router as they are given, before they are stored.
 */
#ifndef SHARD_TABLE_RANGE_CHECK_H
#define SHARD_TABLE_RANGE_CHECK_H

#include "postgres.h"
#include "catalog/key_order.h"

typedef struct CheckedRanges
{
	KeyOrder   *order;
	RangeSet   *set;
	char	   *comparator;		/* its qualified signature, or NULL */
} CheckedRanges;

/* ERROR if these cannot be a router's; json may be NULL, which is one, too. */
extern CheckedRanges *RangesCheck(Oid key_type, Jsonb *json, Oid comparator);

extern int	RangesMaxShard(const CheckedRanges *ranges);

/* ERROR 22023 if a range names a shard that is not below the number of shards. */
extern void RangesCheckShards(const CheckedRanges *ranges, int shard_count);

/* Say which keys no range holds. */
extern void RangesWarnOfGaps(const CheckedRanges *ranges, int default_shard);

#endif							/* SHARD_TABLE_RANGE_CHECK_H */
