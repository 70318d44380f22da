/*
 * worker.c
 *		The background worker that carries a migration out, step by step.
 *
 * Each step is one transaction, chosen anew from what the journal and the
 * router's row say: so it does not matter what ended the worker before.  Steps:
 *
 *	 initializing	a new shard's row, schema and leaves, and the router's next
 *					members and pins; one flip
 *	 replaying		batches, until the frontier has gone all the way; under
 *					strategy range steps of ranges.c
 *	 flushing		wait until the lake has everything from before the last flip;
 *					a shard that leaves is dropped
 *
 * On the way back the frontier goes down again, then a new shard is dropped.
 * An error rolls one step back; it is tried again after a pause, until it has
 * failed JOB_MAX_FAILURES times in a row.  A lock that was not to be had is no
 * failure, however often.  Requests of users are looked at between steps, and
 * while a step waits for its locks.
 *
 * Memory: a step's in the transaction's; what batches share in Run.context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/points.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "migration/batch.h"
#include "migration/evacuate.h"
#include "migration/gate.h"
#include "migration/guard.h"
#include "migration/job.h"
#include "migration/plan.h"
#include "migration/progress.h"
#include "migration/ranges.h"
#include "migration/scope.h"
#include "migration/shape.h"
#include "migration/sql.h"
#include "migration/worker.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "table/table.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define GATE_PAUSE 200			/* ms */
#define FIRST_RETRY_PAUSE 200	/* ms; doubles */
#define FLUSH_PATIENCE "60 s"

/* For locks that nobody else queues behind. */
#define LOCK_TIMEOUT "10s"

typedef enum StepResult
{
	STEP_NEXT,					/* commit; there is more to do */
	STEP_BLOCKED,				/* roll back; locks were not to be had */
	STEP_WAIT,					/* commit, and wait a little */
	STEP_END					/* commit, and end the worker */
} StepResult;

static Run run;

/* What the log has been told that the worker waits for; empty = nothing. */
static char waits_for[96];

/*
 * Has something happened that can be undone, or gone on with?
 */
static bool
HasBegun(const MigrationJob *job)
{
	return strcmp(job->phase, "initializing") != 0;
}

/*
 * Tell the log once what we wait for.
 */
static void
LogWaiting(const MigrationJob *job, const char *what)
{
	if (strncmp(waits_for, what, sizeof(waits_for) - 1) == 0)
		return;
	strlcpy(waits_for, what, sizeof(waits_for));
	JobLog(job->id, job->phase, "waits for %s", what);
}

/* ---- initializing ---- */

/*
 * The locks for a change of the router's shards.
 */
static bool
LockForShape(const MigrationJob *job)
{
	int			attempts;

	return BatchLock(&run, job, ScopeShards(job->plan), NULL, NULL, &attempts);
}

static void
CheckMembers(const MigrationJob *job, const Router *router)
{
	const MigrationPlan *plan = job->plan;

	if (router->migrating || router->nmembers != plan->nmembers ||
		memcmp(router->members, plan->members, sizeof(int) * plan->nmembers) != 0 ||
		PlanStaleKey(plan) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("router \"%s\" has changed since plan " INT64_FORMAT " was made",
						job->router, plan->id)));
}

static StepResult
Initialize(const MigrationJob *job)
{
	ProgressPhase("initializing");
	CheckMembers(job, CatalogRouter(job->router, false));
	SHARD_POINT("migration-before-initialize");
	if (!LockForShape(job))
		return STEP_BLOCKED;
	ShapeBegin(job);
	JobPhase(job->id, ShapeMoves(job->plan) || job->plan->ranges != NULL ? "replaying" : "flushing");
	SHARD_POINT("migration-before-initialize-commit");
	return STEP_NEXT;
}

/* ---- batches ---- */

static void
LogBatch(const MigrationJob *job, const BatchReport *report)
{
	JobLog(job->id, "cutover",
		   "%s " INT64_FORMAT " keys with " INT64_FORMAT " rows (" INT64_FORMAT " from the lake, "
		   INT64_FORMAT " changes from the source, " INT64_FORMAT " of them under the lock), locked for %.1f ms",
		   job->direction > 0 ? "moved" : "moved back", report->keys, report->rows,
		   report->from_lake, report->from_source + report->under_lock, report->under_lock,
		   (GetCurrentTimestamp() - report->locked) / 1000.0);
}

static StepResult
DoBatch(const MigrationJob *job)
{
	BatchReport report = {0};
	BatchResult result = BatchRun(&run, job, CatalogRouter(job->router, false), &report);

	if (result == BATCH_BLOCKED)
	{
		run.blocked = true;
		return STEP_BLOCKED;
	}
	LogBatch(job, &report);
	waits_for[0] = '\0';
	if (result == BATCH_LAST && job->direction > 0)
		JobPhase(job->id, "flushing");
	return STEP_NEXT;
}

/*
 * After a batch that did not get its locks: wait for them with empty hands,
 * so that the next batch is not in vain.
 */
static StepResult
AwaitLocks(const MigrationJob *job)
{
	if (LockForShape(job))
		run.blocked = false;
	return STEP_BLOCKED;
}

/* ---- flushing ---- */

static bool
HasLake(const char *router)
{
	ListCell   *lc;

	foreach(lc, CatalogShardedTables(router))
		if (((ShardedTable *) lfirst(lc))->lake)
			return true;
	return false;
}

static void
Flush(void *arg)
{
	SqlBegin();
	SQL_RUN("SELECT shard.flush($1::pg_catalog.interval)", SQL_TEXT(FLUSH_PATIENCE));
	SqlEnd();
}

/*
 * Wait for the pipeline.  The move itself makes no events: what it must write
 * are the application's changes from before.  If it cannot, they stay in the
 * WAL until it can: no reason for the migration to fail.
 */
static void
FlushLake(const MigrationJob *job)
{
	char	   *error = HasLake(job->router) ? RunGuarded(Flush, NULL) : NULL;

	if (error != NULL)
		JobLog(job->id, "flushing", "the lake lags behind: %s", error);
}

static StepResult
Finish(const MigrationJob *job)
{
	ProgressPhase("flushing");
	SHARD_POINT("migration-before-flush");
	FlushLake(job);
	if (job->plan->kind == PLAN_REMOVE_SHARD)
	{
		SHARD_POINT("migration-before-drop");
		if (!LockForShape(job))
			return STEP_BLOCKED;
		(void) ShapeEnd(job);
	}
	JobLog(job->id, "complete", "complete");
	JobEnd(job->id, "complete", false, false, NULL);
	SHARD_POINT("migration-before-complete");
	return STEP_END;
}

/* ---- the way back ---- */

/*
 * Everything is back: drop the shard that was to join, and end.
 */
static StepResult
Undo(const MigrationJob *job)
{
	SHARD_POINT("migration-before-drop");
	if (PLAN_JOINS(job->plan) && HasBegun(job))
	{
		if (!LockForShape(job))
			return STEP_BLOCKED;
		ShapeUndo(job);
	}
	if (job->plan->ranges != NULL && job->plan->kind == PLAN_REMOVE_SHARD)
		ShapeKeepLeaving(job);
	JobLog(job->id, job->phase, "rolled back");
	JobEnd(job->id, job->turned_back != NULL ? "failed" : "cancelled", false, true, job->turned_back);
	SHARD_POINT("migration-before-rolled-back");
	return STEP_END;
}

/* ---- choosing ---- */

static StepResult
Cancel(const MigrationJob *job)
{
	bool		back = strcmp(job->requested, JOB_BACK) == 0 ||
		(job->rollback_on_failure && strcmp(job->requested, JOB_STAY) != 0);

	if (JobIsFlushing(job))
	{
		JobLog(job->id, job->phase, "cancelled: shard %d stays, without keys", job->plan->shard_index);
		ShapeKeepLeaving(job);
		JobEnd(job->id, "cancelled", false, false, NULL);
		return STEP_END;
	}
	if (back && !job->plan->evacuate && HasBegun(job))
	{
		JobLog(job->id, job->phase, "cancelled: what was moved goes back");
		JobTurnBack(job->id, NULL);
		return STEP_NEXT;
	}
	JobLog(job->id, job->phase, HasBegun(job) ?
		   "cancelled: what was moved stays, shard.resume_migration() goes on" :
		   "cancelled: nothing was changed");
	JobEnd(job->id, "cancelled", HasBegun(job), false, NULL);
	return STEP_END;
}

static StepResult
OnRequest(const MigrationJob *job)
{
	if (!JobHeeds(job, job->requested))
	{
		JobLog(job->id, job->phase, strcmp(job->requested, JOB_PAUSE) == 0 ?
			   "is not paused any more: all keys have moved" : job->direction < 0 ?
			   "what was moved is on its way back already" :
			   "is not cancelled any more: all keys have moved");
		JobDropRequest(job->id);
		return STEP_NEXT;
	}
	if (strcmp(job->requested, JOB_PAUSE) != 0)
		return Cancel(job);
	JobLog(job->id, job->phase, "paused");
	JobEnd(job->id, "paused", true, false, job->error);
	return STEP_END;
}

/*
 * Give up: turn back, or stay as it is.  Behind the last batch nothing can go
 * back: it stays unfinished.
 */
static StepResult
GiveUp(const MigrationJob *job, const char *error)
{
	bool		turn_back = job->direction > 0 && job->rollback_on_failure &&
		!job->plan->evacuate && !JobIsFlushing(job);

	JobLog(job->id, job->phase, "failed: %s", error);
	if (turn_back)
	{
		JobTurnBack(job->id, error);
		return STEP_NEXT;
	}
	JobEnd(job->id, "failed", HasBegun(job) || job->direction < 0, false, error);
	return STEP_END;
}

static StepResult
TimedOut(const MigrationJob *job)
{
	return GiveUp(job,
				  psprintf("Migration timeout in phase %s: " INT64_FORMAT " of " INT64_FORMAT " keys, "
						   INT64_FORMAT " of " INT64_FORMAT " rows moved; %s",
						   job->phase, job->keys_done, job->keys_total, job->rows_done, job->rows_total,
						   !HasBegun(job) ? "nothing was changed" :
						   job->rollback_on_failure && !job->plan->evacuate ? "what was moved goes back" :
						   "what was moved stays, shard.resume_migration() goes on"));
}

/*
 * May a batch be written now, or must others follow first?
 */
static bool
PassGate(const MigrationJob *job)
{
	static bool closed = false;
	char	   *behind = GateClosed();

	if (behind != NULL)
	{
		ProgressWaiting(psprintf("the lag of %s", behind), 0);
		if (!closed)
			JobLog(job->id, job->phase, "waits for the lag of %s", behind);
	}
	else if (closed)
		JobLog(job->id, job->phase, "goes on");
	closed = behind != NULL;
	return !closed;
}

static StepResult
Step(int64 id)
{
	MigrationJob *job = JobRead(id);
	bool		migrating,
				ranges;

	if (job == NULL || !job->unfinished ||
		(strcmp(job->state, "pending") != 0 && strcmp(job->state, "running") != 0))
		return STEP_END;
	if (job->requested != NULL)
		return OnRequest(job);
	if (strcmp(job->state, "pending") == 0)
	{
		if (job->direction > 0 && job->start_at > GetCurrentTimestamp())
		{
			ProgressExpect(id, job->start_at);
			return STEP_END;
		}
		JobStarted(id);
		JobLog(id, job->phase, "started");
		return STEP_NEXT;
	}
	if (job->direction > 0 && job->deadline != 0 && job->deadline < GetCurrentTimestamp() &&
		!JobIsFlushing(job))
		return TimedOut(job);

	run.deadline = job->direction > 0 && !JobIsFlushing(job) ? job->deadline : 0;
	migrating = CatalogRouter(job->router, false)->migrating;
	ranges = job->direction > 0 && job->plan->ranges != NULL && HasBegun(job);
	if (JobIsFlushing(job))
		return Finish(job);
	if (migrating && EvacuateMustWait(job))
	{
		ProgressPhase("replaying");
		ProgressWaiting("the lake", 0);
		EvacuateAwaitLake(job);
		return STEP_NEXT;
	}
	if ((migrating || ranges) && !PassGate(job))
		return STEP_WAIT;
	if (migrating)
		return run.blocked ? AwaitLocks(job) : DoBatch(job);
	if (job->direction < 0)
		return Undo(job);
	if (ranges)
		return RangesBatch(&run, job) ? STEP_NEXT : STEP_BLOCKED;
	return Initialize(job);
}

/* ---- transactions and errors ---- */

/*
 * In a transaction of its own: who holds the locks that a step did not get.
 */
static void
LogBlocked(int64 id)
{
	MigrationJob *job;

	if (run.blocker == 0)
		return;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	job = CatalogExtensionExists() ? JobRead(id) : NULL;
	if (job != NULL)
		LogWaiting(job, psprintf("locks on the tables, which process %d holds", run.blocker));
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static StepResult
StepInTransaction(int64 id)
{
	StepResult	result = STEP_END;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (CatalogExtensionExists())
		result = Step(id);
	if (result == STEP_BLOCKED)
	{
		AbortCurrentTransaction();
		RunReset(&run);
		LogBlocked(id);
		return result;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	run.lock_conflicts = 0;
	return result;
}

/*
 * After an error: write it down, and decide whether to try again.
 */
static StepResult
AfterError(int64 id, const char *message)
{
	MigrationJob *job;
	StepResult	result = STEP_NEXT;
	int			failures = 0;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	job = CatalogExtensionExists() ? JobRead(id) : NULL;
	if (job == NULL)
		result = STEP_END;
	else
	{
		failures = JobFailure(id, message);
		if (failures >= JOB_MAX_FAILURES)
			result = GiveUp(job, message);
		else
			JobLog(id, job->phase, "error, will be tried again: %s", message);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (result == STEP_NEXT && failures > 0)
		WorkerWait((long) FIRST_RETRY_PAUSE << Min(failures, 6));
	return result;
}

/*
 * Somebody held a lock that a step needed, beside those of the cut-over, or we
 * were the victim of a deadlock: try again, a little later each time.
 */
static bool
IsLockConflict(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

static StepResult
AfterLockConflict(void)
{
	run.lock_conflicts = Min(run.lock_conflicts + 1, 5);
	ProgressWaiting("a lock; the server's log has the command", 0);
	WorkerWait((long) FIRST_RETRY_PAUSE << run.lock_conflicts);
	return STEP_NEXT;
}

static StepResult
GuardedStep(int64 id, MemoryContext context)
{
	volatile StepResult result = STEP_END;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		result = StepInTransaction(id);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		HOLD_INTERRUPTS();
		EmitErrorReport();
		FlushErrorState();
		AbortCurrentTransaction();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	if (error != NULL)
	{
		RunReset(&run);
		result = IsLockConflict(error) ? AfterLockConflict() : AfterError(id, error->message);
		FreeErrorData(error);
	}
	return result;
}

static void
ConfigureWorker(void)
{
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("deadlock_timeout", "10ms", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("statement_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("row_security", "off", PGC_SUSET, PGC_S_OVERRIDE);
}

void
ShardMigrationMain(Datum arg)
{
	WorkerTarget target = WorkerGetTarget();
	StepResult	result;

	WorkerSetup();
	BackgroundWorkerInitializeConnectionByOid(target.database, target.user, 0);
	ConfigureWorker();
	pgstat_report_appname("shard migration");

	StartTransactionCommand();
	if (!JobClaim(target.id))
		proc_exit(0);
	CommitTransactionCommand();
	ProgressAttach(target.id);
	SHARD_POINT("migration-start");
	RunReset(&run);
	do
	{
		MemoryContextSwitchTo(TopMemoryContext);
		CHECK_FOR_INTERRUPTS();
		result = GuardedStep(target.id, TopMemoryContext);
		if (result == STEP_WAIT)
			WorkerWait(GATE_PAUSE);
	} while (result != STEP_END);
	ProgressOver();
	proc_exit(0);
}
