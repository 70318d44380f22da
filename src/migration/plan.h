/*
 * plan.h
 *		Making and checking plans.
 */
#ifndef SHARD_MIGRATION_PLAN_H
#define SHARD_MIGRATION_PLAN_H

#include "postgres.h"
#include "migration/job.h"

extern int64 PlanAddShard(const char *router_name, const char *shard_name, const char *server,
						  bool rebalance);

/* Errors and warnings: Lists of char *. */
extern void PlanValidate(const MigrationPlan *plan, List **errors, List **warnings);

#endif							/* SHARD_MIGRATION_PLAN_H */
