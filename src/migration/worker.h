/*
 * worker.h
 *		The background worker of a migration, and who starts it.
 */
#ifndef SHARD_MIGRATION_WORKER_H
#define SHARD_MIGRATION_WORKER_H

#include "postgres.h"
#include "utils/timestamp.h"

extern void LaunchInit(void);

/* Have a worker started for a migration when this transaction commits. */
extern void LaunchAtCommit(int64 migration, TimestampTz due);

extern PGDLLEXPORT void ShardMigrationMain(Datum arg);
extern PGDLLEXPORT void ShardMigrationLauncherMain(Datum arg);
extern PGDLLEXPORT void ShardMigrationScanMain(Datum arg);

/* Tell the launcher of every unfinished migration of this database. */
extern int	LaunchUnfinished(void);

#endif							/* SHARD_MIGRATION_WORKER_H */
