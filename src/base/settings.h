/*
 * settings.h
 *		All settings (GUCs) of the extension, in one place.
 */
#ifndef SHARD_SETTINGS_H
#define SHARD_SETTINGS_H

#include "postgres.h"

extern int	EngineMemoryLimit;		/* kB; shard.engine_memory_limit */
extern int	EngineThreads;			/* shard.engine_threads, 0 = all cores */
extern int	EngineMaxQueries;		/* shard.engine_max_queries, queries in flight */
extern int	FlushInterval;			/* ms; shard.flush_interval */
extern int	FlushRows;				/* shard.flush_rows */
extern int	FlushBytes;				/* kB; shard.flush_bytes */
extern int	PipelineMaxRetries;		/* shard.pipeline_max_retries */
extern int	QueryTimeout;			/* ms; shard.query_timeout, 0 = none */
extern int	MigrationLockTimeout;	/* ms; shard.migration_lock_timeout */
extern char *Warehouse;				/* shard.warehouse; "" = shard/warehouse in the data directory */
extern char *ShardPoint;			/* shard.point, for tests: see points.h */

/* Set only for the command of shard.forward and the like. */
extern char *CurrentShardIndex;
extern char *CurrentShardName;
extern char *CurrentPartitionKey;

extern void SettingsInit(void);

#endif							/* SHARD_SETTINGS_H */
