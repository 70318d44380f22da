/*
 * scope.h
 *		Which shards a migration concerns.
 */
#ifndef SHARD_MIGRATION_SCOPE_H
#define SHARD_MIGRATION_SCOPE_H

#include "postgres.h"
#include "migration/job.h"
#include "router/map.h"

/* Indexes of the shards whose leaves rows may leave or enter; List of int. */
extern List *ScopeShards(const MigrationPlan *plan);

/* Those that rows may leave, forward or on the way back. */
extern List *ScopeSources(const MigrationPlan *plan, Strategy strategy, bool forward);

#endif							/* SHARD_MIGRATION_SCOPE_H */
