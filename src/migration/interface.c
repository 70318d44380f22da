/*
 * interface.c
 *		SQL functions that start, wait for and steer migrations.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/shmem.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "fmgr.h"
#include "funcapi.h"
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
PG_FUNCTION_INFO_V1(shard_wait_migration);
PG_FUNCTION_INFO_V1(shard_cancel_migration);
PG_FUNCTION_INFO_V1(shard_pause_migration);
PG_FUNCTION_INFO_V1(shard_resume_migration);
PG_FUNCTION_INFO_V1(shard_migration_status);

#define WAIT_PAUSE 20			/* ms */

/* ---- starting ---- */

typedef struct ExecuteOptions
{
	int			batch_size;
	SqlArg		timeout;
	bool		rollback_on_failure;
	TimestampTz start_at;
} ExecuteOptions;

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
	options.timeout = PG_ARGISNULL(n + 1) ? SQL_NULL(INTERVALOID) :
		(SqlArg) {INTERVALOID, PG_GETARG_DATUM(n + 1), false};
	options.rollback_on_failure = PG_ARGISNULL(n + 2) || PG_GETARG_BOOL(n + 2);
	options.start_at = PG_ARGISNULL(n + 3) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(n + 3);
	return options;
}

static char *
JoinLines(List *lines)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, lines)
		appendStringInfo(&text, "%s%s", text.len > 0 ? "\n" : "", (char *) lfirst(lc));
	return text.data;
}

static void
CheckPlan(const MigrationPlan *plan)
{
	List	   *errors,
			   *warnings;
	ListCell   *lc;
	char	   *key = NULL;

	SqlBegin();
	if (SQL_RUN("SELECT v.partition_key FROM _shard.plan_movement v"
				" WHERE v.plan_id OPERATOR(pg_catalog.=) $1 AND EXISTS ("
				"   SELECT FROM _shard.migration m JOIN _shard.plan_movement o USING (plan_id)"
				"   WHERE m.router OPERATOR(pg_catalog.=) $2 AND m.unfinished"
				"   AND o.partition_key OPERATOR(pg_catalog.=) v.partition_key)"
				" ORDER BY v.place LIMIT 1", SQL_INT8(plan->id), SQL_TEXT(plan->router)) > 0)
		key = SqlText(0, 1);
	SqlEnd();
	if (key != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("partition key \"%s\" is already migrating", key),
				 errhint("See shard.migration_progress; wait with shard.wait_migration().")));
	PlanValidate(plan, &errors, &warnings);
	if (errors != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("plan " INT64_FORMAT " cannot be executed", plan->id),
				 errdetail("%s", JoinLines(errors)),
				 errhint("Make a new plan.")));
	foreach(lc, warnings)
		ereport(NOTICE, (errmsg("%s", (char *) lfirst(lc))));
}

static int64
Execute(int64 plan_id, const ExecuteOptions *options)
{
	MigrationPlan *plan;
	int64		id;

	RequirePreloaded();
	plan = PlanRead(plan_id);
	CheckPlan(plan);
	SqlBegin();
	SQL_RUN("INSERT INTO _shard.migration (plan_id, router, batch_size, timeout, rollback_on_failure,"
			"   start_at, keys_total, events_total)"
			" SELECT plan_id, router, $2, $3, $4, $5, keys_to_move, entities_to_move"
			" FROM _shard.plan WHERE plan_id OPERATOR(pg_catalog.=) $1 RETURNING migration_id",
			SQL_INT8(plan_id), SQL_INT4(options->batch_size), options->timeout,
			SQL_BOOL(options->rollback_on_failure), SQL_TIME(options->start_at));
	id = SqlInt8(0, 1);
	SqlEnd();
	JobLog(id, "initializing", "%s for router \"%s\" by plan " INT64_FORMAT,
		   plan->type, plan->router, plan->id);
	LaunchAtCommit(id, options->start_at);
	return id;
}

static void
RefuseNull(FunctionCallInfo fcinfo, int n, const char *what)
{
	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", what)));
}

Datum
shard_execute_plan(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 1);

	RefuseNull(fcinfo, 0, "the plan's id");
	PG_RETURN_INT64(Execute(PG_GETARG_INT64(0), &options));
}

/*
 * add_shard(router, shard_name, server, rebalance, partition_keys, options ...)
 */
Datum
shard_add_shard(PG_FUNCTION_ARGS)
{
	ExecuteOptions options = ReadOptions(fcinfo, 5);
	char	   *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *server = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));

	RefuseNull(fcinfo, 0, "the router's name");
	if (!PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("moving chosen partition keys only is not supported yet"),
				 errhint("Leave partition_keys out: the router's strategy then says which keys move.")));
	RequirePreloaded();
	PG_RETURN_INT64(Execute(PlanAddShard(text_to_cstring(PG_GETARG_TEXT_PP(0)), name, server,
										 PG_ARGISNULL(3) || PG_GETARG_BOOL(3)), &options));
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
		outcome.nulls[6] = error == NULL;
	}
	else
		error = NULL;
	SqlEnd();
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
IntervalMs(Interval *interval)
{
	double		ms = interval->time / 1000.0 +
		((double) interval->month * DAYS_PER_MONTH + interval->day) * 86400000.0;

	return ms < 0 ? 0 : ms > 1e15 ? (int64) 1e15 : (int64) ms;
}

Datum
shard_wait_migration(PG_FUNCTION_ARGS)
{
	TimestampTz began = GetCurrentTimestamp();
	int64		patience = PG_ARGISNULL(1) ? PG_INT64_MAX : IntervalMs(PG_GETARG_INTERVAL_P(1));
	TupleDesc	desc;
	Outcome		outcome;
	int64		id;

	RefuseNull(fcinfo, 0, "the migration's id");
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	id = PG_GETARG_INT64(0);
	CheckCommitted(id);
	for (;;)
	{
		outcome = MustSee(id);
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

Datum
shard_cancel_migration(PG_FUNCTION_ARGS)
{
	int64		id = PG_GETARG_INT64(0);

	(void) UnfinishedJob(id);
	Request(id, "cancel");
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
	Request(id, "pause");
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
