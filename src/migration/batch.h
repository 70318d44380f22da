/*
 * batch.h
 *		One batch of a migration: an interval of hash space changes its map.
 */
#ifndef SHARD_MIGRATION_BATCH_H
#define SHARD_MIGRATION_BATCH_H

#include "postgres.h"
#include "migration/job.h"
#include "migration/keys.h"

/* What a worker keeps from batch to batch; lost without harm. */
typedef struct Run
{
	MemoryContext context;		/* of the sources */
	List	   *sources;		/* of Source * */
	uint64		window_low,
				window_high;
	bool		has_window;
	int64		rows_limit;		/* of the next batch */
	int64		keys_limit;
	bool		blocked;		/* the last batch did not get its locks */
	TransactionId map_xid;		/* the router's last change, when sources were read */
	int			lock_attempts;	/* in a row without success */
	int			lock_conflicts;	/* errors in a row for want of a lock */
	int			blocker;		/* process that had them at the last attempt; 0 = none known */
	TimestampTz deadline;		/* locks are not waited for beyond it; 0 = none */
} Run;

typedef enum BatchResult
{
	BATCH_DONE,					/* commit, and go on */
	BATCH_LAST,					/* commit; the router follows one map again */
	BATCH_BLOCKED				/* roll back: the locks were not to be had */
} BatchResult;

extern void RunReset(Run *run); /* forget what was read */
extern BatchResult BatchRun(Run *run, const MigrationJob *job, const Router *router,
							BatchReport *report);

/*
 * Take the locks of a flip of this router, politely; false after a while, or
 * when a user asks for something else.
 */
extern bool BatchLock(Run *run, const MigrationJob *job, List *shard_indexes,
					  void (*meanwhile) (void *), void *arg, int *attempts);

/* interval.c */
extern void IntervalChoose(Run *run, const MigrationJob *job, uint64 frontier,
						   BatchReport *report);
extern uint64 IntervalWindow(const MigrationJob *job, uint64 low);
extern List *IntervalKeys(const MigrationJob *job, const BatchReport *report, int limit);

#endif							/* SHARD_MIGRATION_BATCH_H */
