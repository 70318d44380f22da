/*
 * stats.h
 *		What the last lake query of this session read.
 */
#ifndef SHARD_FDW_STATS_H
#define SHARD_FDW_STATS_H

#include "fdw/source.h"

extern void StatsInit(void);

/* A scan begins and ends; scans of one statement add up. */
extern void StatsScanBegin(void);
extern void StatsScanEnd(void);

/* A scan has sent its statement to the engine, which may have had the result. */
extern void StatsAddStatement(bool cached);

/* A table that the statement is about; nothing of it was read if cached. */
extern void StatsAddSource(const SourceScan *scan, bool cached);

/* It has got rows for it, or waited. */
extern void StatsAddRows(int64 rows);
extern void StatsAddTime(int64 usecs);

#endif							/* SHARD_FDW_STATS_H */
