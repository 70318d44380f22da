/*
 * interface.c
 *		SQL functions that start, wait for and steer migrations.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "migration/args.h"
#include "migration/execute.h"
#include "migration/job.h"
#include "migration/plan.h"
#include "migration/progress.h"
#include "migration/sql.h"
#include "migration/worker.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(shard_execute_plan);
PG_FUNCTION_INFO_V1(shard_add_shard);
PG_FUNCTION_INFO_V1(shard_remove_shard);
PG_FUNCTION_INFO_V1(shard_rebalance);
PG_FUNCTION_INFO_V1(shard_isolate);
PG_FUNCTION_INFO_V1(shard_wait_migration);
PG_FUNCTION_INFO_V1(shard_cancel_migration);
PG_FUNCTION_INFO_V1(shard_pause_migration);
PG_FUNCTION_INFO_V1(shard_resume_migration);
PG_FUNCTION_INFO_V1(shard_migration_status);
PG_FUNCTION_INFO_V1(shard_is_migrating);
PG_FUNCTION_INFO_V1(shard_require_plan);

#define WAIT_PAUSE 20			/* ms */

/*
 * An interval in microseconds, its months of 30 days.
 */
static double
IntervalUs(const Interval *interval)
{
	return interval->time +
		((double) interval->month * DAYS_PER_MONTH + interval->day) * USECS_PER_DAY;
}

/* ---- starting ---- */

/*
 * Read batch_size, timeout, rollback_on_failure and start_at, from argument
 * number n on.
 */
static ExecuteOptions
ReadOptions(FunctionCallInfo fcinfo, int n)
{
	ExecuteOptions options;

	options.batch_size = PG_ARGISNULL(n) ? 100 : PG_GETARG_INT32(n);
	if (options.batch_size < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch_size must be at least 1, not %d", options.batch_size)));
	if (!PG_ARGISNULL(n + 1) && IntervalUs(PG_GETARG_INTERVAL_P(n + 1)) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must be greater than zero"),
				 errhint("Leave it out for none.")));
	options.timeout = PG_ARGISNULL(n + 1) ? SQL_NULL(INTERVALOID) :
		(SqlArg) {INTERVALOID, PG_GETARG_DATUM(n + 1), false};
	options.rollback_on_failure = PG_ARGISNULL(n + 2) || PG_GETARG_BOOL(n + 2);
	options.start_at = PG_ARGISNULL(n + 3) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(n + 3);
	return options;
}

Datum
shard_execute_plan(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 1);

	ArgRefuseNull(fcinfo, 0, "the plan's id");
	PG_RETURN_INT64(MigrationExecute(PG_GETARG_INT64(0), &options));
}

/*
 * add_shard(router, shard_name, server, rebalance, partition_keys, options ...)
 */
Datum
shard_add_shard(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 5);

	ArgRefuseNull(fcinfo, 0, "the router's name");
	RequirePreloaded();
	PG_RETURN_INT64(MigrationExecute(PlanAddShard(ArgText(fcinfo, 0), ArgText(fcinfo, 1), ArgText(fcinfo, 2),
										 PG_ARGISNULL(3) || PG_GETARG_BOOL(3), ArgKeys(fcinfo, 4)),
							&options));
}

/*
 * remove_shard(router, shard_index, options ..., evacuate)
 */
Datum
shard_remove_shard(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 2);

	ArgRefuseNull(fcinfo, 0, "the router's name");
	ArgRefuseNull(fcinfo, 1, "shard_index");
	RequirePreloaded();
	PG_RETURN_INT64(MigrationExecute(PlanRemoveShard(ArgText(fcinfo, 0), PG_GETARG_INT32(1),
											!PG_ARGISNULL(6) && PG_GETARG_BOOL(6)), &options));
}

/*
 * rebalance(router, partition_keys, target_shards, threshold, options ...)
 */
Datum
shard_rebalance(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 4);
	ChosenKeys	chosen = {ArgKeys(fcinfo, 1), ArgShards(fcinfo, 2)};

	ArgRefuseNull(fcinfo, 0, "the router's name");
	RequirePreloaded();
	PG_RETURN_INT64(MigrationExecute(PlanRebalance(ArgText(fcinfo, 0), ArgThreshold(fcinfo, 3), &chosen),
							&options));
}

/*
 * isolate(router, key, shard_name, options ...)
 */
Datum
shard_isolate(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 3);

	ArgRefuseNull(fcinfo, 0, "the router's name");
	ArgRefuseNull(fcinfo, 1, "the key");
	RequirePreloaded();
	PG_RETURN_INT64(MigrationExecute(PlanIsolate(ArgText(fcinfo, 0), ArgText(fcinfo, 1), ArgText(fcinfo, 2)),
							&options));
}

/* ---- waiting ---- */

typedef struct Outcome
{
	bool		exists;
	bool		over;
	char	   *state;
	int64		keys_done,
				keys_total;
	Datum		values[7];
	bool		nulls[7];
} Outcome;

/*
 * Look at a migration with fresh eyes.
 */
static Outcome
LookAt(int64 id)
{
	Outcome		outcome = {0};
	SqlArg		arg = SQL_INT8(id);
	char	   *error;

	SqlBegin();
	if (SqlRunFresh("SELECT state, keys_done, keys_total, events_replayed, entities_moved, buffered_writes,"
					"   (EXTRACT(epoch FROM COALESCE(finished_at, pg_catalog.clock_timestamp())"
					"     OPERATOR(pg_catalog.-) COALESCE(started_at, created_at))"
					"     OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8,"
					"   rolled_back, error"
					" FROM _shard.migration WHERE migration_id OPERATOR(pg_catalog.=) $1", 1, &arg) > 0)
	{
		outcome.exists = true;
		outcome.state = SqlText(0, 1);
		outcome.keys_done = SqlInt8(0, 2);
		outcome.keys_total = SqlInt8(0, 3);
		outcome.over = strcmp(outcome.state, "pending") != 0 && strcmp(outcome.state, "running") != 0;
		for (int i = 0; i < 4; i++)
			outcome.values[i + 1] = Int64GetDatum(SqlInt8(0, 4 + i));
		outcome.values[5] = BoolGetDatum(SqlBool(0, 8));
		error = SqlText(0, 9);
	}
	else
		error = NULL;
	SqlEnd();
	if (error == NULL && outcome.over && strcmp(outcome.state, "complete") != 0)
		error = outcome.state;
	outcome.nulls[6] = error == NULL;
	if (error != NULL)
		outcome.values[6] = CStringGetTextDatum(error);
	outcome.values[0] = BoolGetDatum(outcome.exists && strcmp(outcome.state, "complete") == 0);
	return outcome;
}

static Outcome
MustSee(int64 id)
{
	Outcome		outcome = LookAt(id);

	if (!outcome.exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("migration " INT64_FORMAT " does not exist", id)));
	return outcome;
}

/*
 * A migration that this very transaction makes has no worker before it commits.
 */
static void
CheckCommitted(int64 id)
{
	bool		ours;

	SqlBegin();
	ours = SQL_RUN("SELECT FROM _shard.migration WHERE migration_id OPERATOR(pg_catalog.=) $1"
				   " AND xmin::pg_catalog.text OPERATOR(pg_catalog.=) $2",
				   SQL_INT8(id),
				   SQL_TEXT(psprintf("%u", GetCurrentTransactionIdIfAny()))) > 0;
	SqlEnd();
	if (ours)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " starts when this transaction commits", id),
				 errhint("Wait for it in a statement of its own, after COMMIT.")));
}

static int64
IntervalMs(const Interval *interval)
{
	return (int64) Max(0.0, Min(1e15, IntervalUs(interval) / 1000.0));
}

/*
 * Now and then, while we wait: how far it is, and what it waits for.
 */
static void
TellProgress(int64 id, TimestampTz *told)
{
	SqlArg		arg = SQL_INT8(id);
	char	   *progress = NULL;

	if (MigrationNoticeInterval == 0 ||
		!TimestampDifferenceExceeds(*told, GetCurrentTimestamp(), MigrationNoticeInterval))
		return;
	*told = GetCurrentTimestamp();
	SqlBegin();
	if (SqlRunFresh("SELECT pg_catalog.format('migration %s, %s: %s of %s keys, %s of %s rows%s%s', migration_id,"
					"   CASE WHEN rolling_back THEN 'rolling back' ELSE phase END,"
					"   keys_done, keys_total, events_done, events_total,"
					"   ', about ' OPERATOR(pg_catalog.||)"
					"     pg_catalog.date_trunc('second', remaining)::pg_catalog.text OPERATOR(pg_catalog.||) ' left',"
					"   ', waiting for ' OPERATOR(pg_catalog.||) waiting_for)"
					" FROM shard.migration_progress WHERE migration_id OPERATOR(pg_catalog.=) $1", 1, &arg) > 0)
		progress = SqlText(0, 1);
	SqlEnd();
	if (progress != NULL)
		ereport(NOTICE, (errmsg("%s", progress)));
}

Datum
shard_wait_migration(PG_FUNCTION_ARGS)
{
	TimestampTz began = GetCurrentTimestamp();
	TimestampTz told = began;
	int64		patience = PG_ARGISNULL(1) ? PG_INT64_MAX : IntervalMs(PG_GETARG_INTERVAL_P(1));
	TupleDesc	desc;
	Outcome		outcome;
	int64		id;

	ArgRefuseNull(fcinfo, 0, "the migration's id");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	id = PG_GETARG_INT64(0);
	CheckCommitted(id);
	for (;;)
	{
		outcome = MustSee(id);
		TellProgress(id, &told);
		if (outcome.over || (GetCurrentTimestamp() - began) / 1000 >= patience)
			break;
		WorkerWait(WAIT_PAUSE);
	}
	if (!outcome.over)
	{
		outcome.values[6] =
			CStringGetTextDatum(psprintf("still %s: " INT64_FORMAT " of " INT64_FORMAT " keys done",
										 outcome.state, outcome.keys_done, outcome.keys_total));
		outcome.nulls[6] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc),
													  outcome.values, outcome.nulls)));
}

/* ---- steering ---- */

static MigrationJob *
UnfinishedJob(int64 id)
{
	MigrationJob *job = JobRead(id);

	if (job == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("migration " INT64_FORMAT " does not exist", id)));
	if (!job->unfinished)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " is over: %s", id, job->state)));
	return job;
}

static void
Request(int64 id, const char *request)
{
	SqlBegin();
	/* one that came when its migration was just over */
	(void) SqlRun("DELETE FROM _shard.migration_request r USING _shard.migration m"
				  " WHERE m.migration_id OPERATOR(pg_catalog.=) r.migration_id AND NOT m.unfinished",
				  0, NULL);
	SQL_RUN("INSERT INTO _shard.migration_request (migration_id, request) VALUES ($1, $2)"
			" ON CONFLICT (migration_id) DO UPDATE SET request = excluded.request",
			SQL_INT8(id), SQL_TEXT(request));
	SqlEnd();
}

/*
 * Let a worker take a job up again that has stopped.
 */
static void
Reopen(int64 id)
{
	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET state = 'pending', finished_at = NULL, failures = 0"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1"
			" AND state OPERATOR(pg_catalog.=) ANY ('{paused,failed,cancelled}') AND unfinished",
			SQL_INT8(id));
	SqlEnd();
	LaunchAtCommit(id, GetCurrentTimestamp());
}

/*
 * cancel_migration(id bigint, rollback boolean)
 */
Datum
shard_cancel_migration(PG_FUNCTION_ARGS)
{
	MigrationJob *job;
	int64		id;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	id = PG_GETARG_INT64(0);
	job = UnfinishedJob(id);
	if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1) && job->plan->evacuate)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " cannot go back: the shard that it evacuates has no tables any more", id),
				 errhint("Go on with it by shard.resume_migration(" INT64_FORMAT ").", id)));
	Request(id, PG_ARGISNULL(1) ? JOB_CANCEL : PG_GETARG_BOOL(1) ? JOB_BACK : JOB_STAY);
	Reopen(id);
	ProgressWake(id);
	PG_RETURN_VOID();
}

Datum
shard_pause_migration(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);
	MigrationJob *job = UnfinishedJob(id);

	if (strcmp(job->state, "pending") != 0 && strcmp(job->state, "running") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration " INT64_FORMAT " is not running: %s", id, job->state)));
	Request(id, JOB_PAUSE);
	if (strcmp(job->state, "pending") == 0)
		LaunchAtCommit(id, GetCurrentTimestamp());
	ProgressWake(id);
	PG_RETURN_VOID();
}

Datum
shard_resume_migration(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);

	(void) UnfinishedJob(id);
	SqlBegin();
	SQL_RUN("DELETE FROM _shard.migration_request WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(id));
	SqlEnd();
	Reopen(id);
	PG_RETURN_VOID();
}

/* ---- watching ---- */

Datum
shard_is_migrating(PG_FUNCTION_ARGS)
{
	char	   *router = text_to_cstring(PG_GETARG_TEXT_PP(0));
	bool		migrating;

	(void) CatalogRouter(router, false);
	SqlBegin();
	migrating = SQL_RUN("SELECT FROM _shard.migration WHERE router OPERATOR(pg_catalog.=) $1"
						" AND unfinished LIMIT 1", SQL_TEXT(router)) > 0;
	SqlEnd();
	PG_RETURN_BOOL(migrating);
}

/*
 * The id of a plan that exists: for functions in SQL.
 */
Datum
shard_require_plan(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PlanRead(PG_GETARG_INT64(0))->id);
}

Datum
shard_migration_status(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ProgressState *states;
	int			n = ProgressRead(&states);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n; i++)
	{
		ProgressState *s = &states[i];
		Datum		values[7];
		bool		nulls[7] = {0};

		if (s->migration < 0)
			continue;			/* a schedule */
		values[0] = Int64GetDatum(s->migration);
		values[1] = Int32GetDatum(s->pid);
		values[2] = CStringGetTextDatum(s->phase);
		values[3] = Int64GetDatum(s->batch_rows);
		values[4] = Int64GetDatum(s->batch_done);
		values[5] = CStringGetTextDatum(s->waiting_for);
		nulls[5] = s->waiting_for[0] == '\0';
		values[6] = Int32GetDatum(s->blocking_pid);
		nulls[6] = s->blocking_pid == 0;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
