/*
 * worker.c
 *		The background worker that carries a migration out, step by step.
 *
 * Each step is one transaction, chosen anew from what the journal and the
 * router's row say: so it does not matter what ended the worker before.  Steps:
 *
 *	 initializing	the shard's row, schema and leaves, and the router's next
 *					members; one flip
 *	 replaying		batches, until the frontier has gone all the way
 *	 flushing		wait until the lake has everything from before the last flip
 *
 * On the way back the frontier goes down again, then the new shard is dropped.
 * An error rolls one step back; it is tried again after a pause, until it has
 * failed JOB_MAX_FAILURES times in a row.
 *
 * Memory: a step's in the transaction's; what batches share in Run.context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/points.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "migration/batch.h"
#include "migration/guard.h"
#include "migration/job.h"
#include "migration/progress.h"
#include "migration/sql.h"
#include "migration/worker.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "table/table.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define FIRST_RETRY_PAUSE 200	/* ms; doubles */
#define FLUSH_PATIENCE "60 s"

typedef enum StepResult
{
	STEP_NEXT,					/* commit; there is more to do */
	STEP_BLOCKED,				/* roll back; locks were not to be had */
	STEP_END					/* commit, and end the worker */
} StepResult;

static Run run;

/* ---- initializing ---- */

static bool
LockForShard(const MigrationJob *job, const Router *router, int *attempts)
{
	List	   *shards = BatchShards(router->members, router->nmembers,
									 job->plan->next_members, job->plan->nnext);

	return BatchLock(&run, job->router, list_append_unique_int(shards, job->plan->shard_index),
					 job->id, NULL, NULL, attempts);
}

static bool
SameInts(const int *a, int na, const int *b, int nb)
{
	return na == nb && memcmp(a, b, sizeof(int) * na) == 0;
}

/*
 * Add the shard's row.  Its state keeps it from being taken for a full member.
 */
static void
InsertShard(const MigrationJob *job, bool joining)
{
	SQL_RUN("INSERT INTO _shard.shard (router, shard_index, shard_name, state, server, schema_name)"
			" VALUES ($1, $2, $3, $4, $5, $1 OPERATOR(pg_catalog.||) '_shard_' OPERATOR(pg_catalog.||) $2)",
			SQL_TEXT(job->router), SQL_INT4(job->plan->shard_index),
			SQL_TEXT(job->plan->shard_name), SQL_TEXT(joining ? "joining" : "active"),
			SQL_TEXT(job->plan->server));
}

static StepResult
Initialize(const MigrationJob *job)
{
	const Router *router = CatalogRouter(job->router, false);
	bool		moves = !SameInts(job->plan->members, job->plan->nmembers,
								  job->plan->next_members, job->plan->nnext);
	int			attempts;

	ProgressPhase("initializing");
	if (router->migrating ||
		!SameInts(router->members, router->nmembers, job->plan->members, job->plan->nmembers))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("router \"%s\" has changed since plan " INT64_FORMAT " was made",
						job->router, job->plan->id)));
	SHARD_POINT("migration-before-initialize");
	if (!LockForShard(job, router, &attempts))
		return STEP_BLOCKED;
	SqlBegin();
	InsertShard(job, moves);
	CommandCounterIncrement();
	CatalogForget();
	TableCreateShard(job->router, job->plan->shard_index);
	SHARD_POINT("migration-shard-created");
	if (moves)
		SQL_RUN("UPDATE _shard.router SET next_members = $2, frontier = 0"
				" WHERE name OPERATOR(pg_catalog.=) $1",
				SQL_TEXT(job->router), SQL_INTS(job->plan->next_members, job->plan->nnext));
	SqlEnd();
	TableInvalidateRouter(job->router);
	JobLog(job->id, "initializing", "created shard %d, \"%s\"",
		   job->plan->shard_index, job->plan->shard_name);
	JobPhase(job->id, moves ? "replaying" : "flushing");
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
DoBatch(const MigrationJob *job, const Router *router)
{
	BatchReport report = {0};
	BatchResult result = BatchRun(&run, job, router, &report);

	if (result == BATCH_BLOCKED)
	{
		run.blocked = true;
		return STEP_BLOCKED;
	}
	LogBatch(job, &report);
	if (result == BATCH_LAST && job->direction > 0)
		JobPhase(job->id, "flushing");
	return STEP_NEXT;
}

/*
 * After a batch that did not get its locks: wait for them with empty hands,
 * so that the next batch is not in vain.
 */
static StepResult
AwaitLocks(const MigrationJob *job, const Router *router)
{
	int			attempts;

	if (BatchLock(&run, job->router,
				  BatchShards(router->members, router->nmembers,
							  router->next_members, router->nnext_members),
				  job->id, NULL, NULL, &attempts))
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
	JobLog(job->id, "complete", "complete");
	JobEnd(job->id, "complete", false, false, NULL);
	SHARD_POINT("migration-before-complete");
	return STEP_END;
}

/* ---- the way back ---- */

static bool
ShardExists(const Router *router, int shard_index)
{
	for (int i = 0; i < router->nshards; i++)
		if (router->shards[i].index == shard_index)
			return true;
	return false;
}

/*
 * Everything is back: drop the shard that was to join, and end.
 */
static StepResult
DropShard(const MigrationJob *job, const Router *router)
{
	int			attempts;

	SHARD_POINT("migration-before-drop");
	if (ShardExists(router, job->plan->shard_index) && strcmp(job->plan->type, "add_shard") == 0 &&
		strcmp(job->phase, "initializing") != 0)
	{
		if (!LockForShard(job, router, &attempts))
			return STEP_BLOCKED;
		TableDropShard(job->router, job->plan->shard_index);
		SqlBegin();
		SQL_RUN("DELETE FROM _shard.shard WHERE router OPERATOR(pg_catalog.=) $1"
				" AND shard_index OPERATOR(pg_catalog.=) $2",
				SQL_TEXT(job->router), SQL_INT4(job->plan->shard_index));
		SqlEnd();
		TableInvalidateRouter(job->router);
	}
	JobLog(job->id, job->phase, "rolled back");
	JobEnd(job->id, job->error != NULL ? "failed" : "cancelled", false, true, job->error);
	SHARD_POINT("migration-before-rolled-back");
	return STEP_END;
}

/* ---- choosing ---- */

static StepResult
OnRequest(const MigrationJob *job)
{
	if (strcmp(job->requested, "pause") == 0)
	{
		JobLog(job->id, job->phase, "paused");
		JobEnd(job->id, "paused", true, false, job->error);
		return STEP_END;
	}
	if (job->rollback_on_failure && strcmp(job->phase, "initializing") != 0)
	{
		JobLog(job->id, job->phase, "cancelled: what was moved goes back");
		JobTurnBack(job->id, NULL);
		return STEP_NEXT;
	}
	JobLog(job->id, job->phase, "cancelled");
	JobEnd(job->id, "cancelled", strcmp(job->phase, "initializing") != 0, false, NULL);
	return STEP_END;
}

/*
 * Give up: turn back, or stay as it is.
 */
static StepResult
GiveUp(const MigrationJob *job, const char *error)
{
	JobLog(job->id, job->phase, "failed: %s", error);
	if (job->direction > 0 && job->rollback_on_failure)
	{
		JobTurnBack(job->id, error);
		return STEP_NEXT;
	}
	JobEnd(job->id, "failed", strcmp(job->phase, "initializing") != 0 || job->direction < 0,
		   false, error);
	return STEP_END;
}

static StepResult
TimedOut(const MigrationJob *job)
{
	return GiveUp(job, psprintf("migration timeout in phase %s, " INT64_FORMAT " of " INT64_FORMAT " keys done",
								job->phase, job->keys_done, job->keys_total));
}

static StepResult
Step(int64 id)
{
	MigrationJob *job = JobRead(id);
	const Router *router;

	if (job == NULL || !job->unfinished ||
		(strcmp(job->state, "pending") != 0 && strcmp(job->state, "running") != 0))
		return STEP_END;
	if (job->requested && job->direction > 0 && strcmp(job->phase, "flushing") != 0)
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
		strcmp(job->phase, "flushing") != 0)
		return TimedOut(job);

	router = CatalogRouter(job->router, false);
	if (strcmp(job->phase, "flushing") == 0 && job->direction > 0)
		return Finish(job);
	if (router->migrating)
		return run.blocked ? AwaitLocks(job, router) : DoBatch(job, router);
	if (job->direction < 0)
		return DropShard(job, router);
	return Initialize(job);
}

/* ---- transactions and errors ---- */

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
		return result;
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
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
		result = AfterError(id, error->message);
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
	SetConfigOption("lock_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
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
	} while (result != STEP_END);
	ProgressOver();
	proc_exit(0);
}
