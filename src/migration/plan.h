/*
 * plan.h
 *		Making and checking plans.
 */
#ifndef SHARD_MIGRATION_PLAN_H
#define SHARD_MIGRATION_PLAN_H

#include "postgres.h"
#include "catalog/catalog.h"
#include "migration/job.h"

/*
 * Keys that a user names, and where they shall go: one shard for all, one for
 * each, or none, which leaves the choice to the planner.  keys NIL: not named.
 */
typedef struct ChosenKeys
{
	List	   *keys;			/* of char * */
	List	   *targets;		/* of int */
} ChosenKeys;

/* ERROR 0A000 for a router whose keys are not moved one by one. */
extern void PlanRefuseRange(const Router *router);

/* Each returns the id of the stored plan. */
extern int64 PlanAddShard(const char *router, const char *shard_name, const char *server,
						  bool rebalance, List *keys);
extern int64 PlanRemoveShard(const char *router, int shard_index, bool evacuate);
extern int64 PlanRanges(const char *router, const char *ranges, int default_shard, int64 rows);
extern int64 PlanIsolate(const char *router, char *key, const char *shard_name);
extern int64 PlanRebalance(const char *router, double threshold, const ChosenKeys *chosen);

/*
 * The plan that a schedule executes: to the target if a shard is beyond the
 * threshold, of at most max_bytes (0 = any number), but of one key at least.
 * Returns 0 if nothing is to be moved; *imbalance is the largest difference
 * from the mean, as a part of it; *cut that more keys are left to move.
 */
extern int64 PlanScheduled(const char *router, double threshold, double target, int64 max_bytes,
						   double *imbalance, bool *cut);

/* rebalance.c: the movements that bring every shard within the threshold. */
struct Planning;
extern void RebalanceAll(struct Planning *planning, const char *router, double threshold,
						 List *targets);
extern double RebalanceMeasure(struct Planning *planning, const char *router);
extern void RebalanceChosen(struct Planning *planning, const char *router,
							const ChosenKeys *chosen);

/* validate.c: errors and warnings, Lists of char *. */
extern void PlanValidate(const MigrationPlan *plan, List **errors, List **warnings);
extern char *PlanStaleKey(const MigrationPlan *plan);

#endif							/* SHARD_MIGRATION_PLAN_H */
