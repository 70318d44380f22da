/*
 * settings.c
 *		Definition of every setting, in alphabetical order.
 */
#include "postgres.h"

#include <limits.h>

#include "base/settings.h"
#include "miscadmin.h"
#include "utils/guc.h"

int			EngineMaxQueries = 4;
int			EngineMemoryLimit = 1024 * 1024;
int			EngineThreads = 0;
int			FlushBytes = 64 * 1024;
int			FlushInterval = 1000;
int			FlushRows = 500000;
int			MigrationLockTimeout = 100;
int			PipelineMaxRetries = 10;
int			QueryTimeout = 30000;
char	   *CurrentPartitionKey = NULL;
char	   *CurrentShardIndex = NULL;
char	   *CurrentShardName = NULL;
char	   *ShardPoint = NULL;
char	   *Warehouse = NULL;

static void
DefineEngineSettings(void)
{
	DefineCustomIntVariable("shard.engine_max_queries",
							"Queries that the engine runs at the same time; others wait.",
							NULL, &EngineMaxQueries, 4, 1, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.engine_memory_limit",
							"Memory that the engine may use in all; beyond it, it spills to disk.",
							NULL, &EngineMemoryLimit, 1024 * 1024, 64 * 1024, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.engine_threads",
							"Threads of the engine; 0 takes one per core.",
							NULL, &EngineThreads, 0, 0, 1024,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

static void
DefinePipelineSettings(void)
{
	DefineCustomIntVariable("shard.flush_bytes",
							"Volume of buffered changes after which the pipeline writes to the lake.",
							NULL, &FlushBytes, 64 * 1024, 64, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.flush_interval",
							"Longest time that a committed change waits for its way to the lake.",
							NULL, &FlushInterval, 1000, 10, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.flush_rows",
							"Number of buffered changes after which the pipeline writes to the lake.",
							NULL, &FlushRows, 500000, 1, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
}

/*
 * Define all settings and reserve the prefix.
 */
void
SettingsInit(void)
{
	/* A library that is loaded later must not define one for the postmaster. */
	GucContext	warehouse_context = process_shared_preload_libraries_in_progress ?
		PGC_POSTMASTER : PGC_SIGHUP;

	DefineEngineSettings();
	DefinePipelineSettings();
	DefineCustomIntVariable("shard.migration_lock_timeout",
							"Longest time that a migration queues for its locks, and so delays a writer.",
							NULL, &MigrationLockTimeout, 100, 1, 60000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.partition_key",
							   "Partition key that the current command was forwarded for.",
							   NULL, &CurrentPartitionKey, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.pipeline_max_retries",
							"Attempts at writing one batch to the lake before the pipeline reports failure.",
							NULL, &PipelineMaxRetries, 10, 0, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.point",
							   "For tests: what happens at a named point of the code.",
							   "NAME:error, NAME:kill or NAME:wait, separated by commas.",
							   &ShardPoint, "",
							   PGC_SUSET, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.query_timeout",
							"Longest run time of a lake query; 0 sets no limit.",
							NULL, &QueryTimeout, 30000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.shard_index",
							   "Index of the shard that the current command was forwarded to.",
							   NULL, &CurrentShardIndex, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.shard_name",
							   "Name of the shard that the current command was forwarded to.",
							   NULL, &CurrentShardName, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.warehouse",
							   "Directory of new lake tables; empty for shard/warehouse in the data directory.",
							   NULL, &Warehouse, "",
							   warehouse_context, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("shard");
}
