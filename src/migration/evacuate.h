/*
 * evacuate.h
 *		Removing a shard whose tables cannot be read: its keys come from the lake.
 */
#ifndef SHARD_MIGRATION_EVACUATE_H
#define SHARD_MIGRATION_EVACUATE_H

#include "postgres.h"
#include "migration/job.h"

/* Under the locks of a flip: from now on nobody can write the shard's keys. */
extern void EvacuateFence(const MigrationJob *job);

/*
 * Then, before the first batch: wait until the lake has all that was written
 * before, and plan the shard's keys anew, as the lake has them.
 */
extern bool EvacuateMustWait(const MigrationJob *job);
extern void EvacuateAwaitLake(const MigrationJob *job);

#endif							/* SHARD_MIGRATION_EVACUATE_H */
