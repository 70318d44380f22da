/*
 * settings.h
 *		All settings (GUCs) of the extension, in one place.
 */
#ifndef SHARD_SETTINGS_H
#define SHARD_SETTINGS_H

#include "postgres.h"

extern char *AsOf;					/* shard.as_of; "" = now */
extern bool AdoptLake;					/* shard.adopt_lake */
extern int	DecodingMemory;			/* kB; shard.decoding_memory */
extern int	EngineMemoryLimit;		/* kB; shard.engine_memory_limit */
extern int	EngineThreads;			/* shard.engine_threads, 0 = all cores */
extern int	EngineMaxQueries;		/* shard.engine_max_queries, queries in flight */
extern bool CacheEnabled;				/* shard.cache_enabled */
extern int	CacheMaxSize;			/* shard.cache_max_size, results */
extern int	CacheMemory;			/* kB; shard.cache_memory */
extern int	CacheTtl;				/* ms; shard.cache_ttl */
extern bool CompactionEnabled;			/* shard.compaction */
extern double CompactionDeletedShare;	/* shard.compaction_deleted_share */
extern int	CompactionMinFiles;		/* shard.compaction_min_files */
extern int	CompactionTargetSize;	/* kB; shard.compaction_target_size */
extern int	FileCacheSize;			/* kB; shard.file_cache_size */
extern int	FlushInterval;			/* ms; shard.flush_interval */
extern int	FlushRows;				/* shard.flush_rows */
extern int	FlushBytes;				/* kB; shard.flush_bytes */
extern int	IdempotencyRetention;	/* s; shard.idempotency_retention */
extern int	MaintenanceInterval;	/* ms; shard.maintenance_interval */
extern int	MaxWalKeep;				/* MB; shard.max_wal_keep, 0 = no limit */
extern int	MetadataVersions;		/* shard.metadata_versions */
extern int	OrphanMinAge;			/* s; shard.orphan_min_age */
extern int	OrphanRetention;		/* min; shard.orphan_retention */
extern int	SnapshotRetention;		/* min; shard.snapshot_retention */
extern int	PipelineMaxRetries;		/* shard.pipeline_max_retries */
extern int	QueryTimeout;			/* ms; shard.query_timeout, 0 = none */
extern int	RangeMoveRows;			/* shard.range_move_rows, changing leaves under one lock */
extern int	MigrationMaxLag;		/* MB; shard.migration_max_lag, 0 = no limit */
extern int	MigrationNoticeInterval;	/* ms; shard.migration_notice_interval, 0 = none */
extern int	MigrationLockTimeout;	/* ms; shard.migration_lock_timeout */
extern char *StoreCaFile;			/* shard.store_ca_file; "" = the system's */
extern char *StoreCredentials;		/* shard.store_credentials; "" = none */
extern int	StoreMaxRetries;		/* shard.store_max_retries */
extern int	StoreTimeout;			/* ms; shard.store_timeout */
extern char *Warehouse;				/* shard.warehouse; "" = shard/warehouse in the data directory */
extern int	WatchedKeys;			/* shard.watched_keys */
extern int	WatchedShards;			/* shard.watched_shards */
extern int	Freshness;				/* shard.freshness: a FreshnessKind */
extern char *ShardPoint;			/* shard.point, for tests: see points.h */

/* How new what a query reads from the lake has to be. */
typedef enum FreshnessKind
{
	FRESHNESS_FLUSHED,			/* as the pipeline last left it */
	FRESHNESS_LATEST			/* with all that committed before the query */
} FreshnessKind;

/* Set only for the command of shard.forward and the like. */
extern char *CurrentShardIndex;
extern char *CurrentShardName;
extern char *CurrentPartitionKey;

/* Is shard.warehouse a directory of this machine, other than the default one? */
extern bool WarehouseIsDirectory(void);

extern void SettingsInit(void);

#endif							/* SHARD_SETTINGS_H */
