/*
 * stats.h
 *		What the last lake query of this session read.
 */
#ifndef SHARD_FDW_STATS_H
#define SHARD_FDW_STATS_H

#include "fdw/source.h"

/* Tables of this database's lake that are remembered. */
#define STATS_TABLES 64

typedef struct QueryStats
{
	bool		valid;			/* there was a query */
	int			statements;
	int			cached;			/* of these, that the engine had the results of */
	bool		several;		/* tables of different snapshots */
	int			open_scans;
	int64		partitions;
	int64		partitions_pruned;
	int64		files;
	int64		files_pruned;
	int64		bytes;
	int64		rows;			/* in the files that were read */
	int64		returned;		/* by the engine */
	int64		snapshot_id;	/* -1 = none */
	int64		usecs;
	int			ntables;
	Oid			tables[STATS_TABLES];	/* foreign tables */
} QueryStats;

extern void StatsInit(void);

/* Of the last lake query of this session. */
extern const QueryStats *StatsLast(void);

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
