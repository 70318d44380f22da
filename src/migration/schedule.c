/*
 * schedule.c
 *		Rebalancing by schedule.
 *
 * A schedule is a row of _shard.schedule.  When it is due, the launcher starts
 * a short-lived worker, which takes one look at the router and either starts a
 * migration, or writes down why it does not and when it looks again.  Nothing
 * of it lives in memory alone, so it goes on after a restart.
 *
 * Hysteresis: keys move when a shard is beyond the threshold, and then as many
 * as bring all within half of it, so that the next few rows do not start it
 * again.  A limit of bytes an hour cuts the plan short; the rest follows when
 * the hour is over.  When the window closes, a migration of the schedule is
 * paused after its batch, and goes on when the window opens.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "base/shmem.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "commands/trigger.h"
#include "migration/args.h"
#include "migration/execute.h"
#include "migration/guard.h"
#include "migration/plan.h"
#include "migration/progress.h"
#include "migration/schedule.h"
#include "migration/sql.h"
#include "migration/worker.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(shard_schedule_rebalance);
PG_FUNCTION_INFO_V1(shard_schedule_written);

/* How soon to look again when something is in the way. */
#define BUSY_PAUSE INT64CONST(5000000)	/* us */
#define HOUR INT64CONST(3600000000)

/* Keys move until the shards are within this part of the threshold. */
#define HYSTERESIS 0.5

typedef struct Schedule
{
	int64		id;
	char	   *router;
	double		threshold;
	int64		max_bytes;		/* an hour; 0 = any number */
	int			batch_size;
	SqlArg		timeout;
	TimestampTz next_run;
	TimestampTz after;			/* now + every */
	int64		last_migration; /* 0 = none */
	bool		paused;
	bool		in_window;
	bool		has_window;
	TimestampTz window_opens;
	TimestampTz window_closes;
	int64		bytes_this_hour;
	TimestampTz hour_over;
	int64		migration;		/* of the router, unfinished; 0 = none */
	char	   *migration_state;
} Schedule;

/* ---- the row ---- */

/*
 * An interval of its text form, or null.
 */
static SqlArg
IntervalArg(char *text)
{
	if (text == NULL)
		return SQL_NULL(INTERVALOID);
	return (SqlArg) {INTERVALOID,
		DirectFunctionCall3(interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
							Int32GetDatum(-1)), false};
}

static bool
ReadSchedule(Schedule *schedule, int64 id)
{
	bool		found;
	char	   *timeout = NULL;

	memset(schedule, 0, sizeof(*schedule));
	schedule->id = id;
	SqlBegin();
	found = SQL_RUN("SELECT s.router, s.threshold::pg_catalog.text, s.max_bytes_per_hour, s.batch_size,"
					"   s.timeout::pg_catalog.text, s.next_run, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) s.every,"
					"   s.last_migration, s.paused, n.in_window, s.window_start IS NOT NULL,"
					"   n.window_opens, n.window_closes, n.bytes_this_hour, n.hour_over, n.migration_id,"
					"   (SELECT m.state FROM _shard.migration m"
					"    WHERE m.migration_id OPERATOR(pg_catalog.=) n.migration_id)"
					" FROM _shard.schedule s JOIN _shard.schedule_now n USING (schedule_id)"
					" WHERE s.schedule_id OPERATOR(pg_catalog.=) $1 FOR UPDATE OF s", SQL_INT8(id)) > 0;
	if (found)
	{
		schedule->router = SqlText(0, 1);
		schedule->threshold = strtod(SqlText(0, 2), NULL);
		schedule->max_bytes = SqlInt8(0, 3);
		schedule->batch_size = SqlInt4(0, 4);
		timeout = SqlText(0, 5);
		schedule->next_run = SqlTime(0, 6);
		schedule->after = SqlTime(0, 7);
		schedule->last_migration = SqlInt8(0, 8);
		schedule->paused = SqlBool(0, 9);
		schedule->in_window = SqlBool(0, 10);
		schedule->has_window = SqlBool(0, 11);
		schedule->window_opens = SqlTime(0, 12);
		schedule->window_closes = SqlTime(0, 13);
		schedule->bytes_this_hour = SqlInt8(0, 14);
		schedule->hour_over = SqlTime(0, 15);
		schedule->migration = SqlInt8(0, 16);
		schedule->migration_state = SqlText(0, 17);
	}
	SqlEnd();
	schedule->timeout = IntervalArg(timeout);
	return found;
}

/*
 * Write down what the look has led to.  next_run 0: as it is.
 */
static void
WriteResult(const Schedule *schedule, const char *result, TimestampTz next_run)
{
	SqlBegin();
	SQL_RUN("UPDATE _shard.schedule SET last_run = pg_catalog.clock_timestamp(), last_result = $2,"
			"   next_run = COALESCE($3, next_run)"
			" WHERE schedule_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(schedule->id), SQL_TEXT(result),
			next_run != 0 ? SQL_TIME(next_run) : SQL_NULL(TIMESTAMPTZOID));
	SqlEnd();
}

/* ---- one look ---- */

static void
SetPaused(const Schedule *schedule, bool paused)
{
	SqlBegin();
	SQL_RUN("UPDATE _shard.schedule SET paused = $2 WHERE schedule_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(schedule->id), SQL_BOOL(paused));
	SQL_RUN(paused ? "SELECT shard.pause_migration($1)" : "SELECT shard.resume_migration($1)",
			SQL_INT8(schedule->last_migration));
	SqlEnd();
}

/*
 * The schedule's own migration is not over: mind the window.  Returns when to
 * look again.
 */
static TimestampTz
MindMigration(const Schedule *schedule)
{
	bool		runs = strcmp(schedule->migration_state, "running") == 0 ||
		strcmp(schedule->migration_state, "pending") == 0;

	if (schedule->in_window && schedule->paused)
		SetPaused(schedule, false);
	else if (!schedule->in_window && runs && !schedule->paused)
		SetPaused(schedule, true);
	if (!schedule->in_window)
		return schedule->window_opens;
	if (!runs && !schedule->paused)
		return schedule->after; /* stopped by somebody */
	return schedule->has_window ? Min(schedule->window_closes, GetCurrentTimestamp() + BUSY_PAUSE) :
		GetCurrentTimestamp() + BUSY_PAUSE;
}

static void
StartMigration(const Schedule *schedule, int64 plan, double imbalance, bool cut)
{
	ExecuteOptions options = {
		.batch_size = schedule->batch_size, .timeout = schedule->timeout,
		.rollback_on_failure = true, .start_at = GetCurrentTimestamp()
	};
	int64		migration = MigrationExecute(plan, &options);
	TimestampTz next = cut ? Min(schedule->after, GetCurrentTimestamp() + HOUR) : schedule->after;

	SqlBegin();
	SQL_RUN("INSERT INTO _shard.schedule_migration (schedule_id, migration_id, bytes)"
			" SELECT $1, $2, bytes_to_move FROM _shard.plan WHERE plan_id OPERATOR(pg_catalog.=) $3",
			SQL_INT8(schedule->id), SQL_INT8(migration), SQL_INT8(plan));
	SQL_RUN("UPDATE _shard.schedule SET last_migration = $2, paused = false"
			" WHERE schedule_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(schedule->id), SQL_INT8(migration));
	SqlEnd();
	WriteResult(schedule, psprintf("started migration " INT64_FORMAT ": a shard differed by %.0f %% from the mean%s",
								   migration, imbalance * 100,
								   cut ? "; more is left for the next hour" : ""), next);
}

static void
LookAtBalance(void *arg)
{
	const Schedule *schedule = arg;
	int64		budget = schedule->max_bytes > 0 ? schedule->max_bytes - schedule->bytes_this_hour : 0;
	double		imbalance;
	bool		cut;
	int64		plan = PlanScheduled(schedule->router, schedule->threshold,
									 schedule->threshold * HYSTERESIS, budget, &imbalance, &cut);

	if (plan != 0)
		StartMigration(schedule, plan, imbalance, cut);
	else
		WriteResult(schedule, psprintf("nothing to move: no shard differs by more than %.0f %% from the mean",
									   imbalance * 100), schedule->after);
}

/*
 * Do what is due.  Returns when to look again; 0: the schedule is gone.
 */
static TimestampTz
Look(int64 id)
{
	Schedule	schedule;
	TimestampTz now = GetCurrentTimestamp();
	char	   *error;

	if (!ReadSchedule(&schedule, id))
		return 0;
	if (schedule.migration != 0 && schedule.migration == schedule.last_migration)
		return MindMigration(&schedule);
	if (schedule.next_run > now)
		return schedule.next_run;
	if (!schedule.in_window)
		return schedule.window_opens;
	if (schedule.migration != 0 || CatalogRouter(schedule.router, true) == NULL)
		return now + BUSY_PAUSE;
	if (schedule.max_bytes > 0 && schedule.bytes_this_hour >= schedule.max_bytes)
		return schedule.hour_over;
	error = RunGuarded(LookAtBalance, &schedule);
	if (error != NULL)
		WriteResult(&schedule, psprintf("failed: %s", error), schedule.after);
	return now;
}

/* ---- the worker ---- */

/*
 * Look until there is nothing to do now; the launcher starts another worker
 * when there is.
 */
void
ShardScheduleMain(Datum arg)
{
	WorkerTarget target = WorkerGetTarget();
	TimestampTz next;

	WorkerSetup();
	BackgroundWorkerInitializeConnectionByOid(target.database, target.user, 0);
	SetConfigOption("search_path", "pg_catalog, pg_temp", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit", "on", PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("row_security", "off", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname("shard schedule");
	ProgressAttach(target.id);
	do
	{
		CHECK_FOR_INTERRUPTS();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		next = CatalogExtensionExists() ? Look(SCHEDULE_AS_MIGRATION(target.id)) : 0;
		PopActiveSnapshot();
		CommitTransactionCommand();
	} while (next != 0 && next <= GetCurrentTimestamp());
	if (next != 0)
		ProgressExpect(target.id, next);
	ProgressOver();
	proc_exit(0);
}

void
ScheduleExpectAll(void)
{
	uint64		n;

	SqlBegin();
	n = SqlRunFresh("SELECT schedule_id FROM _shard.schedule ORDER BY schedule_id", 0, NULL);
	for (uint64 i = 0; i < n; i++)
		ProgressExpect(SCHEDULE_AS_MIGRATION(SqlInt8(i, 1)), GetCurrentTimestamp());
	SqlEnd();
}

/* ---- SQL functions ---- */

static void
CheckArguments(FunctionCallInfo fcinfo)
{
	Interval   *every;

	ArgRefuseNull(fcinfo, 0, "the router's name");
	ArgRefuseNull(fcinfo, 1, "the interval");
	every = PG_GETARG_INTERVAL_P(1);
	if (every->time + (every->day + (int64) every->month * DAYS_PER_MONTH) * USECS_PER_DAY < USECS_PER_SEC)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the interval of a schedule must be at least one second")));
	if (PG_ARGISNULL(2) != PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a window needs both window_start and window_end")));
	if (!PG_ARGISNULL(2) && PG_GETARG_TIMEADT(2) == PG_GETARG_TIMEADT(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("window_start and window_end must differ")));
	if (!(ArgThreshold(fcinfo, 4) > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threshold must be greater than 0")));
	if (!PG_ARGISNULL(5) && PG_GETARG_INT64(5) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_bytes_per_hour must be greater than 0")));
	if (!PG_ARGISNULL(6) && PG_GETARG_INT32(6) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch_size must be at least 1, not %d", PG_GETARG_INT32(6))));
}

static SqlArg
ArgAs(FunctionCallInfo fcinfo, int n, Oid type)
{
	return (SqlArg) {type, PG_ARGISNULL(n) ? (Datum) 0 : PG_GETARG_DATUM(n), PG_ARGISNULL(n)};
}

/*
 * schedule_rebalance(router, every, window_start, window_end, threshold,
 *		max_bytes_per_hour, batch_size, timeout, start_at)
 */
Datum
shard_schedule_rebalance(PG_FUNCTION_ARGS)
{
	const Router *router;
	int64		id;

	CheckArguments(fcinfo);
	RequirePreloaded();
	router = CatalogRouter(ArgText(fcinfo, 0), false);
	PlanRefuseRange(router);
	SqlBegin();
	SQL_RUN("DELETE FROM _shard.schedule WHERE router OPERATOR(pg_catalog.=) $1", SQL_TEXT(router->name));
	SQL_RUN("INSERT INTO _shard.schedule (router, every, window_start, window_end, timezone, threshold,"
			"   max_bytes_per_hour, batch_size, timeout, next_run)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, COALESCE($8, 100), $9,"
			"   COALESCE($10, pg_catalog.clock_timestamp())) RETURNING schedule_id",
			SQL_TEXT(router->name), ArgAs(fcinfo, 1, INTERVALOID), ArgAs(fcinfo, 2, TIMEOID),
			ArgAs(fcinfo, 3, TIMEOID), SQL_TEXT(GetConfigOption("TimeZone", false, false)),
			((SqlArg) {FLOAT8OID, Float8GetDatum(ArgThreshold(fcinfo, 4)), false}),
			ArgAs(fcinfo, 5, INT8OID), ArgAs(fcinfo, 6, INT4OID), ArgAs(fcinfo, 7, INTERVALOID),
			ArgAs(fcinfo, 8, TIMESTAMPTZOID));
	id = SqlInt8(0, 1);
	SqlEnd();
	PG_RETURN_INT64(id);
}

/*
 * A schedule was written: have the launcher start its worker after the commit.
 */
Datum
shard_schedule_written(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function _shard.schedule_written() must be called as a trigger")));
	LaunchAtCommit(SCHEDULE_AS_MIGRATION(DatumGetInt64(heap_getattr(trigger->tg_trigtuple, 1,
																	 RelationGetDescr(trigger->tg_relation),
																	 &isnull))),
				   GetCurrentTimestamp());
	return PointerGetDatum(NULL);
}
