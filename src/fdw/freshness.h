/*
 * freshness.h
 *		shard.freshness, and warnings of tables that are behind.
 */
#ifndef SHARD_FDW_FRESHNESS_H
#define SHARD_FDW_FRESHNESS_H

extern void FreshnessInit(void);

#endif							/* SHARD_FDW_FRESHNESS_H */
