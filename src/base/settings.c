/*
 * settings.c
 *		Definition of every setting, in alphabetical order.
 */
#include "postgres.h"

#include <limits.h>

#include "base/settings.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/plancache.h"

bool		AdoptLake = false;
bool		CacheEnabled = false;
int			CacheMaxSize = 100;
int			CacheMemory = 64 * 1024;
int			CacheTtl = 60000;
bool		CompactionEnabled = true;
double		CompactionDeletedShare = 0.2;
int			CompactionMinFiles = 8;
int			CompactionTargetSize = 128 * 1024;
int			DecodingMemory = 256 * 1024;
int			EngineMaxQueries = 4;
int			EngineMemoryLimit = 1024 * 1024;
int			EngineThreads = 0;
int			FileCacheSize = 1024 * 1024;
int			FlushBytes = 64 * 1024;
int			FlushInterval = 1000;
int			FlushRows = 500000;
int			Freshness = FRESHNESS_FLUSHED;
int			IdempotencyRetention = 7 * 24 * 3600;
int			MaintenanceInterval = 10000;
int			MaxWalKeep = 32 * 1024;
int			MetadataVersions = 100;
int			MigrationLockTimeout = 100;
int			MigrationMaxLag = 256;
int			MigrationNoticeInterval = 5000;
int			OrphanMinAge = 3600;
int			OrphanRetention = 3 * 24 * 60;
int			PipelineMaxRetries = 10;
int			QueryTimeout = 30000;
int			RangeMoveRows = 10000;
int			SnapshotRetention = 5 * 24 * 60;
int			WatchedKeys = 512;
int			WatchedShards = 2048;
char	   *AsOf = NULL;
char	   *CurrentPartitionKey = NULL;
char	   *CurrentShardIndex = NULL;
char	   *CurrentShardName = NULL;
char	   *ShardPoint = NULL;
char	   *StoreCaFile = NULL;
char	   *StoreCredentials = NULL;
int			StoreMaxRetries = 5;
int			StoreTimeout = 30000;
char	   *Warehouse = NULL;

static const struct config_enum_entry freshness_kinds[] = {
	{"flushed", FRESHNESS_FLUSHED, false},
	{"latest", FRESHNESS_LATEST, false},
	{NULL, 0, false}
};

static void
DefineMaintenanceSettings(void)
{
	DefineCustomBoolVariable("shard.compaction",
							 "Merges small lake files, and those with many deleted rows, by itself.",
							 NULL, &CompactionEnabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomRealVariable("shard.compaction_deleted_share",
							 "Share of deleted rows from which a lake file is written anew.",
							 NULL, &CompactionDeletedShare, 0.2, 0.01, 1,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.compaction_min_files",
							"Number of small lake files from which they are merged.",
							NULL, &CompactionMinFiles, 8, 2, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.compaction_target_size",
							"Size that compaction gives to lake files.",
							NULL, &CompactionTargetSize, 128 * 1024, 1024, INT_MAX / 16,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.maintenance_interval",
							"Time between looks at lake tables that may need maintenance.",
							NULL, &MaintenanceInterval, 10000, 100, 24 * 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.metadata_versions",
							"Former metadata files that a lake table keeps.",
							"The table property write.metadata.previous-versions-max outranks it.",
							&MetadataVersions, 100, 1, 100000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.orphan_min_age",
							"Age below which a file in a lake table's directory is never an orphan.",
							NULL, &OrphanMinAge, 3600, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.orphan_retention",
							"Age from which orphans in the lake are removed.",
							NULL, &OrphanRetention, 3 * 24 * 60, 60, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.snapshot_retention",
							"Age from which snapshots of lake tables are removed.",
							"The table property history.expire.max-snapshot-age-ms outranks it.",
							&SnapshotRetention, 5 * 24 * 60, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MIN, NULL, NULL, NULL);
}

static void
DefineCacheSettings(void)
{
	DefineCustomBoolVariable("shard.cache_enabled",
							 "Keeps results of lake queries for those who ask the same of the same snapshots.",
							 NULL, &CacheEnabled, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.cache_max_size",
							"Number of results that are kept.",
							NULL, &CacheMaxSize, 100, 0, 100000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.cache_memory",
							"Memory of the results that are kept; one may take an eighth of it.",
							NULL, &CacheMemory, 64 * 1024, 64, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.cache_ttl",
							"Age up to which a kept result is given.",
							NULL, &CacheTtl, 60000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
}

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
	DefineCustomIntVariable("shard.decoding_memory",
							"Memory for transactions that are being decoded; larger ones spill to disk.",
							"It takes the place of logical_decoding_work_mem in the pipeline's worker, from its next start.",
							&DecodingMemory, 256 * 1024, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
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

bool
WarehouseIsDirectory(void)
{
	return Warehouse[0] != '\0' && strstr(Warehouse, "://") == NULL;
}

/* Plans were made for the columns and files of another state. */
static void
AssignAsOf(const char *value, void *extra)
{
	if (AsOf != NULL && strcmp(AsOf, value) != 0)
		ResetPlanCache();
}

/*
 * A source of credentials: none, the environment, or a file.
 */
static bool
CheckStoreCredentials(char **value, void **extra, GucSource source)
{
	if ((*value)[0] == '\0' || strcmp(*value, "environment") == 0 || is_absolute_path(*value))
		return true;
	GUC_check_errdetail("It is \"environment\" or the absolute path of a file.");
	return false;
}

static void
DefineStoreSettings(void)
{
	DefineCustomStringVariable("shard.store_ca_file",
							   "File of certificates by which object stores and catalogs are known; empty for the system's.",
							   NULL, &StoreCaFile, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.store_credentials",
							   "Where credentials for object stores are that no user mapping has.",
							   "Empty, \"environment\" (AWS_ACCESS_KEY_ID and so on), or a file like AWS's credentials.",
							   &StoreCredentials, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, CheckStoreCredentials, NULL, NULL);
	DefineCustomIntVariable("shard.store_max_retries",
							"Attempts after the first at a request that an object store or catalog did not answer.",
							NULL, &StoreMaxRetries, 5, 0, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.store_timeout",
							"Time without any progress after which an attempt at a request is given up.",
							NULL, &StoreTimeout, 30000, 100, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
}

/*
 * Define all settings and reserve the prefix.
 */
void
SettingsInit(void)
{
	/* A library that is loaded later must not define one for the postmaster. */
	GucContext	fixed_context = process_shared_preload_libraries_in_progress ?
		PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomBoolVariable("shard.adopt_lake",
							 "Takes over the lake of the server that this one is a copy of.",
							 "Only if that server will not run again: afterwards this one removes files of the lake.",
							 &AdoptLake, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCacheSettings();
	DefineEngineSettings();
	DefineMaintenanceSettings();
	DefineCustomIntVariable("shard.file_cache_size",
							"Local copies of remote lake files that are kept.",
							NULL, &FileCacheSize, 1024 * 1024, 1024, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefinePipelineSettings();
	DefineCustomEnumVariable("shard.freshness",
							 "How new the rows are that a query reads from the lake.",
							 "With \"latest\", it waits until all that committed before is there.",
							 &Freshness, FRESHNESS_FLUSHED, freshness_kinds,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.idempotency_retention",
							"How long an idempotency key of shard.emit is remembered.",
							NULL, &IdempotencyRetention, 7 * 24 * 3600, 1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.max_wal_keep",
							"WAL that the pipeline's slot may keep before it is given up; 0 = any.",
							"The pipeline then begins with a new slot and compares all tables with the lake.",
							&MaxWalKeep, 32 * 1024, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.migration_lock_timeout",
							"Longest time that a migration queues for its locks, and so delays a writer.",
							NULL, &MigrationLockTimeout, 100, 1, 60000,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.migration_max_lag",
							"WAL that standbys and the pipeline may be behind before a migration waits for them; 0 = any.",
							NULL, &MigrationMaxLag, 256, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("shard.migration_notice_interval",
							"How often shard.wait_migration() tells of the progress; 0 = never.",
							NULL, &MigrationNoticeInterval, 5000, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
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
	DefineCustomStringVariable("shard.as_of",
							   "Queries read lake tables as of this snapshot, branch, tag or time.",
							   "Empty: as they are now.",
							   &AsOf, "",
							   PGC_USERSET, 0, NULL, AssignAsOf, NULL);
	DefineCustomIntVariable("shard.query_timeout",
							"Longest run time of a lake query; 0 sets no limit.",
							NULL, &QueryTimeout, 30000, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.range_move_rows",
							"Rows that change leaves under one lock when ranges change.",
							"shard.alter_router() moves so many itself; more are moved by a migration, in steps of so many.",
							&RangeMoveRows, 10000, 1, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.shard_index",
							   "Index of the shard that the current command was forwarded to.",
							   NULL, &CurrentShardIndex, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("shard.shard_name",
							   "Name of the shard that the current command was forwarded to.",
							   NULL, &CurrentShardName, "",
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineStoreSettings();
	DefineCustomStringVariable("shard.warehouse",
							   "Directory or s3:// prefix of new lake tables; empty for shard/warehouse in the data directory.",
							   NULL, &Warehouse, "",
							   fixed_context, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.watched_keys",
							"Counters for the keys accessed most, per second, minute and hour.",
							"They are shared by all routers of the server.",
							&WatchedKeys, 512, 4, 4 * 4096,
							fixed_context, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("shard.watched_shards",
							"Number of shards, of all databases, that are counted separately.",
							NULL, &WatchedShards, 2048, 1, 65534,
							fixed_context, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("shard");
}
