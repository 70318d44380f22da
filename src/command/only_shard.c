/*
 * only_shard.c
 *		Restricting a command to the leaves of one shard.
 *
 * A command for a shard names tables as the application does.  Where a shard has
 * one leaf of each table, under the table's name, and the user may read leaves,
 * putting its schema first in search_path is enough.  Under strategy range it has
 * several, and most users have privileges on the table only; there a command names
 * the table itself, and the planner leaves out the other shards' leaves, as if it
 * had pruned them.  TRUNCATE is not planned, and so refused.
 *
 * Plans are made for the restriction, so none is kept across a change of it.  The
 * queries by which the server keeps foreign keys look at all shards as ever; they
 * are known by their security context.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "command/only_shard.h"
#include "miscadmin.h"
#include "optimizer/paths.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"

static OnlyShard Only = {NULL, InvalidOid};
static set_rel_pathlist_hook_type previous_hook = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

static bool
IsElsewhere(Oid relid)
{
	Oid			parent;
	char	   *router;

	if (!get_rel_relispartition(relid) || get_rel_namespace(relid) == Only.schema)
		return false;
	parent = get_partition_parent(relid, true);
	router = OidIsValid(parent) ? CatalogRouterOfParent(parent) : NULL;
	return router != NULL && strcmp(router, Only.router) == 0;
}

static void
LeaveOut(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (unlikely(Only.router != NULL) && rel->reloptkind == RELOPT_OTHER_MEMBER_REL &&
		rte->rtekind == RTE_RELATION && !InNoForceRLSOperation() && IsElsewhere(rte->relid))
		mark_dummy_rel(rel);
}

OnlyShard
OnlyShardSet(OnlyShard only)
{
	OnlyShard	before = Only;

	if (before.router != NULL || only.router != NULL)
		ResetPlanCache();
	Only = only;
	return before;
}

/*
 * Refuse to empty a table on all shards, when only one is meant.
 */
static void
CheckTruncate(TruncateStmt *truncate)
{
	ListCell   *lc;

	foreach(lc, truncate->relations)
	{
		Oid			relid = RangeVarGetRelid(lfirst(lc), NoLock, true);
		char	   *router = OidIsValid(relid) ? CatalogRouterOfParent(relid) : NULL;

		if (router != NULL && strcmp(router, Only.router) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot truncate table \"%s\" on one shard", get_rel_name(relid)),
					 errhint("Use DELETE, or name the table of the shard.")));
	}
}

static void
OnlyShardUtility(PlannedStmt *statement, const char *query_string, bool read_only_tree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (unlikely(Only.router != NULL) && IsA(statement->utilityStmt, TruncateStmt))
		CheckTruncate(castNode(TruncateStmt, statement->utilityStmt));
	(previous_utility ? previous_utility : standard_ProcessUtility)
		(statement, query_string, read_only_tree, context, params, environment, dest, completion);
}

void
OnlyShardInit(void)
{
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = OnlyShardUtility;
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = LeaveOut;
}
