/*
 * restore.c
 *		Loading shards while the router's row is not there yet.
 *
 * pg_restore brings operator classes, leaves and their rows in an order of its
 * own, and often loads large leaves before the rows of _shard.router.  A row
 * that is loaded into a leaf by name was in that leaf when it was dumped, so
 * the leaf's partition constraint is taken to hold.  Every other question to
 * the hash function is an error then, for there is no map to answer it by:
 * routing through the parent would scatter rows.
 *
 * What is a load of a leaf by name: COPY leaf FROM, and INSERT INTO leaf whose
 * range table holds no partitioned table.  The trust lasts while that statement
 * itself runs; it is taken away for every statement nested in it (triggers,
 * functions), whether these are being planned, started or run, and for pruning
 * within the statement there is nothing to prune.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "table/restore.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

/* The target of the load that runs now; the parent, too, may be one. */
static Oid	LoadTarget = InvalidOid;

static planner_hook_type previous_planner = NULL;
static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

int
RestoreTrustedShard(const char *router)
{
	if (OidIsValid(LoadTarget))
	{
		int			shard_index = CatalogLeafShard(LoadTarget);

		if (shard_index >= 0 &&
			strcmp(CatalogRouterOfParent(get_partition_parent(LoadTarget, false)), router) == 0)
			return shard_index;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("router \"%s\" has no map", router),
			 errdetail("Its rows in schema _shard are not all there, as is so while a database is restored."),
			 errhint("Restore the rows of schema _shard first; until then rows can be loaded only into the shards' tables by name.")));
}

/*
 * Run a call with another load target, and put the old one back whatever
 * happens.
 */
#define WITH_LOAD_TARGET(target, call) \
	do { \
		Oid			saved_ = LoadTarget; \
		LoadTarget = (target); \
		PG_TRY(); \
		{ \
			call; \
		} \
		PG_FINALLY(); \
		{ \
			LoadTarget = saved_; \
		} \
		PG_END_TRY(); \
	} while (0)

static PlannedStmt *
RestorePlanner(Query *parse, const char *query_string, int options, ParamListInfo params)
{
	PlannedStmt *volatile plan = NULL;

	if (likely(!OidIsValid(LoadTarget)))
		return previous_planner(parse, query_string, options, params);
	WITH_LOAD_TARGET(InvalidOid, plan = previous_planner(parse, query_string, options, params));
	return plan;
}

static void
RestoreExecutorStart(QueryDesc *query, int eflags)
{
	if (likely(!OidIsValid(LoadTarget)))
		previous_start(query, eflags);
	else
		WITH_LOAD_TARGET(InvalidOid, previous_start(query, eflags));
}

/*
 * The target of a plain INSERT; InvalidOid for every other plan.
 */
static Oid
InsertTarget(PlannedStmt *plan)
{
	ListCell   *lc;
	Oid			target = InvalidOid;

	if (plan->commandType != CMD_INSERT || list_length(plan->resultRelations) != 1)
		return InvalidOid;
	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_PARTITIONED_TABLE)
			return InvalidOid;
	}
	target = rt_fetch(linitial_int(plan->resultRelations), plan->rtable)->relid;
	return get_rel_relispartition(target) ? target : InvalidOid;
}

static void
RestoreExecutorRun(EXECUTOR_RUN_PARAMS)
{
	Oid			target = InsertTarget(query->plannedstmt);

	if (likely(!OidIsValid(LoadTarget) && !OidIsValid(target)))
		previous_run(EXECUTOR_RUN_ARGS);
	else
		WITH_LOAD_TARGET(target, previous_run(EXECUTOR_RUN_ARGS));
}

/*
 * The target of COPY ... FROM, locked as COPY itself will lock it; InvalidOid
 * for every other command.
 */
static Oid
CopyTarget(Node *statement)
{
	CopyStmt   *copy = (CopyStmt *) statement;

	if (!IsA(statement, CopyStmt) || !copy->is_from || copy->relation == NULL ||
		RecoveryInProgress())
		return InvalidOid;
	return RangeVarGetRelid(copy->relation, RowExclusiveLock, true);
}

static void
RestoreUtility(PlannedStmt *statement, const char *query_string, bool read_only_tree,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	Oid			target = CopyTarget(statement->utilityStmt);

	if (likely(!OidIsValid(LoadTarget) && !OidIsValid(target)))
		previous_utility(statement, query_string, read_only_tree, context, params, environment,
						 dest, completion);
	else
		WITH_LOAD_TARGET(target, previous_utility(statement, query_string, read_only_tree, context,
												  params, environment, dest, completion));
}

void
RestoreInit(void)
{
	previous_planner = planner_hook ? planner_hook : standard_planner;
	planner_hook = RestorePlanner;
	previous_start = ExecutorStart_hook ? ExecutorStart_hook : standard_ExecutorStart;
	ExecutorStart_hook = RestoreExecutorStart;
	previous_run = ExecutorRun_hook ? ExecutorRun_hook : standard_ExecutorRun;
	ExecutorRun_hook = RestoreExecutorRun;
	previous_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = RestoreUtility;
}
