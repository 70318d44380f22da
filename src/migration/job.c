/*
 * job.c
 *		The journal of migrations: reading a job and moving its state on.
 *
 * A job is a row of _shard.migration.  While a worker is at it, the worker's
 * session holds an advisory lock of a class of its own; what the row says about
 * running workers could be outdated after a crash, the lock cannot.
 *
 * Requests of users stand in a table of their own: a worker that holds the
 * locks of a cut-over must never wait for somebody's uncommitted request.
 */
#include "postgres.h"

#include "commands/async.h"
#include "migration/job.h"
#include "migration/sql.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/json.h"

/* Fourth field of the advisory lock's tag: not one that SQL functions use. */
#define JOB_LOCK_CLASS 0x5348

static PlanType
PlanTypeByName(const char *name)
{
	static const char *const names[] = {
		[PLAN_ADD_SHARD] = "add_shard", [PLAN_REMOVE_SHARD] = "remove_shard",
		[PLAN_REBALANCE] = "rebalance", [PLAN_ISOLATE] = "isolate",
		[PLAN_RANGES] = "ranges"
	};

	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(names[i], name) == 0)
			return i;
	elog(ERROR, "unknown type \"%s\" of a plan", name);
}

bool
PlanKeepsMembers(const MigrationPlan *plan)
{
	return plan->nmembers == plan->nnext &&
		memcmp(plan->members, plan->next_members, sizeof(int) * plan->nnext) == 0;
}

MigrationPlan *
PlanRead(int64 id)
{
	MigrationPlan *plan = palloc0(sizeof(MigrationPlan));

	SqlBegin();
	if (SQL_RUN("SELECT type, router, COALESCE(shard_index, -1), shard_name, server, members, next_members,"
				"   warnings, evacuate, EXISTS (SELECT FROM _shard.plan_pin n"
				"     WHERE n.plan_id OPERATOR(pg_catalog.=) p.plan_id), ranges, default_shard"
				" FROM _shard.plan p WHERE plan_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("plan " INT64_FORMAT " does not exist", id),
				 errhint("Make one with shard.plan_add_shard(), shard.plan_remove_shard() or shard.plan_rebalance().")));
	plan->id = id;
	plan->type = SqlText(0, 1);
	plan->router = SqlText(0, 2);
	plan->shard_index = SqlInt4(0, 3);
	plan->shard_name = SqlText(0, 4);
	plan->server = SqlText(0, 5);
	plan->members = SqlInts(0, 6, &plan->nmembers);
	plan->next_members = SqlInts(0, 7, &plan->nnext);
	plan->warnings = SqlTexts(0, 8);
	plan->evacuate = SqlBool(0, 9);
	plan->has_pins = SqlBool(0, 10);
	plan->ranges = SqlText(0, 11);
	plan->default_shard = SqlInt4(0, 12);
	plan->kind = PlanTypeByName(plan->type);
	SqlEnd();
	return plan;
}

MigrationJob *
JobRead(int64 id)
{
	MigrationJob *job = palloc0(sizeof(MigrationJob));
	int64		plan_id = 0;
	uint64		n;

	SqlBegin();
	n = SQL_RUN("SELECT plan_id, router, state, phase, unfinished, direction,"
				"   (SELECT r.request FROM _shard.migration_request r"
				"    WHERE r.migration_id OPERATOR(pg_catalog.=) m.migration_id),"
				"   batch_size, rollback_on_failure, start_at,"
				"   resumed_at OPERATOR(pg_catalog.+) timeout, failures, keys_done, keys_total, error,"
				"   entities_moved, events_total, turned_back"
				" FROM _shard.migration m WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id));
	if (n > 0)
	{
		plan_id = SqlInt8(0, 1);
		job->id = id;
		job->router = SqlText(0, 2);
		job->state = SqlText(0, 3);
		job->phase = SqlText(0, 4);
		job->unfinished = SqlBool(0, 5);
		job->direction = SqlInt4(0, 6);
		job->requested = SqlText(0, 7);
		job->batch_size = SqlInt4(0, 8);
		job->rollback_on_failure = SqlBool(0, 9);
		job->start_at = SqlTime(0, 10);
		job->deadline = SqlTime(0, 11);
		job->failures = SqlInt4(0, 12);
		job->keys_done = SqlInt8(0, 13);
		job->keys_total = SqlInt8(0, 14);
		job->error = SqlText(0, 15);
		job->rows_done = SqlInt8(0, 16);
		job->rows_total = SqlInt8(0, 17);
		job->turned_back = SqlText(0, 18);
	}
	SqlEnd();
	if (n == 0)
		return NULL;
	job->plan = PlanRead(plan_id);
	return job;
}

/*
 * Tell listeners: {"migration": 1, "router": "app", "state": "running"}.
 */
static void
Notify(int64 id, const char *state)
{
	StringInfoData payload;

	if (SQL_RUN("SELECT router FROM _shard.migration WHERE migration_id OPERATOR(pg_catalog.=) $1",
				SQL_INT8(id)) == 0)
		return;
	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"migration\": " INT64_FORMAT ", \"router\": ", id);
	escape_json(&payload, SqlText(0, 1));
	appendStringInfo(&payload, ", \"state\": \"%s\"}", state);
	Async_Notify("shard_migration", payload.data);
}

void
JobLog(int64 id, const char *phase, const char *fmt,...)
{
	StringInfoData message;

	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&message, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	SqlBegin();
	SQL_RUN("INSERT INTO _shard.migration_log (migration_id, phase, message) VALUES ($1, $2, $3)",
			SQL_INT8(id), SQL_TEXT(phase), SQL_TEXT(message.data));
	SqlEnd();
}

void
JobStarted(int64 id)
{
	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET state = 'running', error = turned_back,"
			"   started_at = COALESCE(started_at, pg_catalog.clock_timestamp()),"
			"   resumed_at = pg_catalog.clock_timestamp()"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id));
	Notify(id, "running");
	SqlEnd();
}

void
JobPhase(int64 id, const char *phase)
{
	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET phase = $2, failures = 0, error = turned_back"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id), SQL_TEXT(phase));
	SqlEnd();
}

/*
 * Record a batch, within the transaction that commits it.
 */
void
JobBatch(const MigrationJob *job, const BatchReport *report)
{
	TimestampTz now = GetCurrentTimestamp();
	SqlArg		locked = SQL_INT8(now - report->locked);

	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET failures = 0, error = turned_back,"
			"   keys_done = CASE WHEN $2 OPERATOR(pg_catalog.>) 0"
			"     THEN keys_done OPERATOR(pg_catalog.+) $3"
			"     ELSE GREATEST(keys_done OPERATOR(pg_catalog.-) $3, 0) END,"
			"   events_replayed = events_replayed OPERATOR(pg_catalog.+) $5 OPERATOR(pg_catalog.+) $6,"
			"   entities_moved = CASE WHEN $2 OPERATOR(pg_catalog.>) 0"
			"     THEN entities_moved OPERATOR(pg_catalog.+) $4"
			"     ELSE GREATEST(entities_moved OPERATOR(pg_catalog.-) $4, 0) END,"
			"   buffered_writes = buffered_writes OPERATOR(pg_catalog.+) $7,"
			"   longest_lock = GREATEST(longest_lock,"
			"     $8 OPERATOR(pg_catalog.*) '1 microsecond'::pg_catalog.interval)"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(job->id), SQL_INT4(job->direction), SQL_INT8(report->keys),
			SQL_INT8(report->rows), SQL_INT8(report->from_lake), SQL_INT8(report->from_source),
			SQL_INT8(report->under_lock), locked);
	SQL_RUN("INSERT INTO _shard.migration_batch (migration_id, batch, direction, low, high, keys, rows,"
			"   rows_from_lake, rows_from_source, rows_under_lock, checksum, lock_attempts, locked,"
			"   started_at)"
			" SELECT $1, COALESCE(pg_catalog.max(batch), 0) OPERATOR(pg_catalog.+) 1,"
			"   $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
			"   $12 OPERATOR(pg_catalog.*) '1 microsecond'::pg_catalog.interval, $13"
			" FROM _shard.migration_batch WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(job->id), SQL_INT4(job->direction),
			SQL_INT8(PLACE_OF(report->low)), SQL_INT8(PLACE_OF(report->high)),
			SQL_INT8(report->keys), SQL_INT8(report->rows), SQL_INT8(report->from_lake),
			SQL_INT8(report->from_source), SQL_INT8(report->under_lock),
			SQL_INT8((int64) report->checksum), SQL_INT4(report->lock_attempts), locked,
			SQL_TIME(report->started));
	SqlEnd();
}

static void
DropRequest(int64 id)
{
	SQL_RUN("DELETE FROM _shard.migration_request WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(id));
}

void
JobDropRequest(int64 id)
{
	SqlBegin();
	DropRequest(id);
	SqlEnd();
}

bool
JobIsFlushing(const MigrationJob *job)
{
	return job->direction > 0 && strcmp(job->phase, "flushing") == 0;
}

/*
 * On the way back a job can be paused; behind the last batch only a shard that
 * leaves can still be kept, if it has its tables.
 */
bool
JobHeeds(const MigrationJob *job, const char *request)
{
	bool		pause = strcmp(request, JOB_PAUSE) == 0;

	if (job->direction < 0)
		return pause;
	if (JobIsFlushing(job))
		return !pause && job->plan->kind == PLAN_REMOVE_SHARD && !job->plan->evacuate;
	return true;
}

bool
JobIsRequested(const MigrationJob *job)
{
	char	   *request = NULL;

	SqlBegin();
	if (SQL_RUN("SELECT request FROM _shard.migration_request"
				" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(job->id)) > 0)
		request = SqlText(0, 1);
	SqlEnd();
	return request != NULL && JobHeeds(job, request);
}

/*
 * From now on, what was moved goes back.
 */
void
JobTurnBack(int64 id, const char *error)
{
	SqlBegin();
	DropRequest(id);
	SQL_RUN("UPDATE _shard.migration SET direction = -1, failures = 0,"
			"   error = $2, turned_back = $2"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id), SQL_TEXT(error));
	SqlEnd();
}

void
JobEnd(int64 id, const char *state, bool unfinished, bool rolled_back, const char *error)
{
	SqlBegin();
	DropRequest(id);
	SQL_RUN("UPDATE _shard.migration SET state = $2, unfinished = $3, rolled_back = $4,"
			"   phase = CASE WHEN $2 OPERATOR(pg_catalog.=) 'complete' THEN 'complete' ELSE phase END,"
			"   error = $5, failures = 0,"
			"   finished_at = CASE WHEN $2 OPERATOR(pg_catalog.<>) 'paused'"
			"     THEN pg_catalog.clock_timestamp() END"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1",
			SQL_INT8(id), SQL_TEXT(state), SQL_BOOL(unfinished), SQL_BOOL(rolled_back),
			SQL_TEXT(error));
	Notify(id, state);
	SqlEnd();
}

int
JobFailure(int64 id, const char *error)
{
	int			failures = 0;

	SqlBegin();
	SQL_RUN("UPDATE _shard.migration SET error = $2, failures = failures OPERATOR(pg_catalog.+) 1"
			" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id), SQL_TEXT(error));
	if (SQL_RUN("SELECT failures FROM _shard.migration"
				" WHERE migration_id OPERATOR(pg_catalog.=) $1", SQL_INT8(id)) > 0)
		failures = SqlInt4(0, 1);
	SqlEnd();
	return failures;
}

static void
JobLockTag(LOCKTAG *tag, int64 id)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id, JOB_LOCK_CLASS);
}

bool
JobClaim(int64 id)
{
	LOCKTAG		tag;

	JobLockTag(&tag, id);
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

bool
JobIsClaimed(int64 id)
{
	LOCKTAG		tag;

	JobLockTag(&tag, id);
	if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, ShareLock, false);
	return false;
}
