/*
 * range_alter.h
 *		New ranges for a router of strategy range.
 */
#ifndef SHARD_TABLE_RANGE_ALTER_H
#define SHARD_TABLE_RANGE_ALTER_H

#include "postgres.h"
#include "table/range_split.h"

#define KEEP_DEFAULT_SHARD PG_INT32_MIN

/*
 * Change ranges (NULL = as they are) and default shard; 0, or the id of the
 * migration that does it.
 */
extern int64 RangesAlter(const char *router, Jsonb *ranges, int default_shard);

/* Within a DdlScope: refuse while a migration is unfinished; lock; apply. */
extern void RangesRefuseMigrating(const char *router);
extern void RangesLock(const char *router);
extern void RangesApply(const RangeTarget *target);

#endif							/* SHARD_TABLE_RANGE_ALTER_H */
