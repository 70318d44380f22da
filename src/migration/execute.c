/*
 * execute.c
 *		Making a migration of a plan: the last check, and the row in the journal.
 */
#include "postgres.h"

#include "base/shmem.h"
#include "lib/stringinfo.h"
#include "migration/execute.h"
#include "migration/job.h"
#include "migration/plan.h"
#include "migration/worker.h"

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

/*
 * That a key is in motion is an error of its own.
 */
static void
RefuseInMotion(List *errors)
{
	ListCell   *lc;

	foreach(lc, errors)
	{
		char	   *error = lfirst(lc);

		if (strncmp(error, "partition key ", strlen("partition key ")) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("%s", error),
					 errhint("See shard.migration_progress; wait with shard.wait_migration().")));
	}
}

static void
CheckPlan(const MigrationPlan *plan)
{
	List	   *errors,
			   *warnings;
	ListCell   *lc;

	PlanValidate(plan, &errors, &warnings);
	RefuseInMotion(errors);
	if (errors != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("plan " INT64_FORMAT " cannot be executed", plan->id),
				 errdetail("%s", JoinLines(errors)),
				 errhint("Make a new plan.")));
	foreach(lc, warnings)
		ereport(NOTICE, (errmsg("%s", (char *) lfirst(lc))));
}

int64
MigrationExecute(int64 plan_id, const ExecuteOptions *options)
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
