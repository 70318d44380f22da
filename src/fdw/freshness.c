/*
 * freshness.c
 *		How new the rows are that a query gets from the lake.
 *
 * All tables of a query are read as its snapshot sees iceberg_tables, and the
 * pipeline commits all tables of a flush in one transaction: so they show one
 * point of the pipeline.  With shard.freshness = latest, a query waits before it
 * starts until the pipeline has written what is committed, and then takes a
 * snapshot that sees it; its local tables are read under the same one.  A
 * transaction that keeps its first snapshot cannot have that.
 *
 * When the pipeline leaves out a table for a fault, the rows are old for longer
 * than anybody expects: the query says so, or fails if it is to be the latest.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/fresh.h"
#include "base/settings.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "fdw/freshness.h"
#include "fdw/option.h"
#include "fdw/plan.h"
#include "lake/lake.h"
#include "pipeline/trouble.h"
#include "pipeline/wait.h"
#include "utils/timestamp.h"

/* A wait without a limit. */
#define A_CENTURY_MS (INT64CONST(100) * 365 * 24 * 3600 * 1000)

static ExecutorStart_hook_type previous_start = NULL;

/*
 * The tables of this database's lake that a plan reads, of TableOptions *, each
 * once.
 */
static List *
LakeTables(PlannedStmt *plan)
{
	List	   *seen = NIL;
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);
		TableOptions *options;

		if (rte->rtekind != RTE_RELATION || rte->relkind != RELKIND_FOREIGN_TABLE ||
			list_member_oid(seen, rte->relid) || !IsLakeTable(rte->relid))
			continue;
		seen = lappend_oid(seen, rte->relid);
		options = TableOptionsOf(rte->relid);
		if (options->kind == SOURCE_TABLE && LakeIsOfDatabase(options->server) &&
			options->as_of == NULL && AsOf[0] == '\0')
			tables = lappend(tables, options);
	}
	return tables;
}

/*
 * Is any of them of this database's making, not another program's?
 */
static bool
AnyOwned(List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		TableOptions *options = lfirst(lc);
		LakeTable  *table = LakeOpenFrom(options->server, options->namespace, options->name, true);

		if (table != NULL && LakeOwns(table->metadata))
			return true;
	}
	return false;
}

/* ---- latest ---- */

static void
WaitContext(void *arg)
{
	errcontext("waiting for the lake, since shard.freshness is \"latest\"");
}

static void
RefuseTroubled(List *tables)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		TableOptions *options = lfirst(lc);
		char	   *problem = TroubleOfTable(options->namespace, options->name);

		if (problem != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("lake table \"%s.%s\" is out of date", options->namespace, options->name),
					 errdetail("The pipeline leaves it out: %s", problem),
					 errhint("See shard.dead_letters; shard.replay_dead_letters() takes the table in again. "
							 "Set shard.freshness to \"flushed\" to read it as it is.")));
	}
}

static void
WaitForLatest(QueryDesc *query, List *tables)
{
	ErrorContextCallback context = {error_context_stack, WaitContext, NULL};
	int64		timeout = QueryTimeout > 0 ? QueryTimeout : A_CENTURY_MS;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a transaction that keeps its snapshot cannot read the latest rows of the lake"),
				 errhint("Run the query under READ COMMITTED, or call shard.flush() before the transaction "
						 "and set shard.freshness to \"flushed\".")));
	error_context_stack = &context;
	(void) PipelineFlush(GetCurrentTimestamp() + timeout * 1000);
	error_context_stack = context.previous;
	RefuseTroubled(tables);
	RefreshSnapshot(query);
}

/* ---- flushed ---- */

static void
WarnOfTrouble(List *tables)
{
	char	   *problem;
	ListCell   *lc;

	problem = TroubleOfPipeline();
	if (problem != NULL && AnyOwned(tables))
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the pipeline does not run: the lake is out of date"),
				 errdetail("%s", problem),
				 errhint("See the view shard.pipeline_status.")));
	foreach(lc, tables)
	{
		TableOptions *options = lfirst(lc);

		problem = TroubleOfTable(options->namespace, options->name);
		if (problem != NULL)
			ereport(WARNING,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("lake table \"%s.%s\" is out of date", options->namespace, options->name),
					 errdetail("The pipeline leaves it out: %s", problem),
					 errhint("See shard.dead_letters; shard.replay_dead_letters() takes the table in again.")));
	}
}

/*
 * Permissions are checked by the standard start, between the two.
 */
static void
FreshnessStart(QueryDesc *query, int eflags)
{
	List	   *tables = NIL;

	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY) && query->snapshot != InvalidSnapshot &&
		query->snapshot->snapshot_type == SNAPSHOT_MVCC)
		tables = LakeTables(query->plannedstmt);
	if (Freshness == FRESHNESS_LATEST && AnyOwned(tables))
		WaitForLatest(query, tables);
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if (tables != NIL && Freshness == FRESHNESS_FLUSHED)
		WarnOfTrouble(tables);
}

void
FreshnessInit(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = FreshnessStart;
}
