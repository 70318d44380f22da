/*
 * scope.c
 *		Which shards a migration concerns: those that it locks, and those that it
 *		reads.
 *
 * A flip locks the leaves that rows leave or enter, no others; and a batch that
 * moves the keys of one shard has no reason to read the other fifty.  On a ring
 * a shard that joins takes from all, and one that leaves gives to all; modulo a
 * number of shards nearly every key moves; and where only pins change, the
 * plan's movements name both ends.
 */
#include "postgres.h"

#include "migration/scope.h"
#include "migration/sql.h"

static List *
AddInts(List *list, const int *values, int n)
{
	for (int i = 0; i < n; i++)
		list = list_append_unique_int(list, values[i]);
	return list;
}

/*
 * A column of the plan's movements, each value once.  The list must not grow in
 * the memory of the query.
 */
static List *
Ends(const MigrationPlan *plan, List *list, const char *query)
{
	int		   *ends = palloc(sizeof(int) * MAX_SHARDS);
	int			n;

	SqlBegin();
	n = Min(SQL_RUN(query, SQL_INT8(plan->id)), MAX_SHARDS);
	for (int i = 0; i < n; i++)
		ends[i] = SqlInt4(i, 1);
	SqlEnd();
	return AddInts(list, ends, n);
}

static List *
FromShards(const MigrationPlan *plan, List *list)
{
	return Ends(plan, list, "SELECT DISTINCT from_shard FROM _shard.plan_movement"
				" WHERE plan_id OPERATOR(pg_catalog.=) $1 ORDER BY from_shard");
}

static List *
ToShards(const MigrationPlan *plan, List *list)
{
	return Ends(plan, list, "SELECT DISTINCT to_shard FROM _shard.plan_movement"
				" WHERE plan_id OPERATOR(pg_catalog.=) $1 ORDER BY to_shard");
}

/*
 * Do only keys that the plan names move?
 */
static bool
MovesPinsOnly(const MigrationPlan *plan)
{
	return plan->kind != PLAN_REMOVE_SHARD && PlanKeepsMembers(plan);
}

static List *
AllShards(const MigrationPlan *plan)
{
	List	   *shards = AddInts(NIL, plan->members, plan->nmembers);

	shards = AddInts(shards, plan->next_members, plan->nnext);
	if (plan->shard_index >= 0)
		shards = list_append_unique_int(shards, plan->shard_index);
	return shards;
}

List *
ScopeShards(const MigrationPlan *plan)
{
	List	   *shards;

	if (!MovesPinsOnly(plan))
		return AllShards(plan);
	shards = plan->shard_index >= 0 ? list_make1_int(plan->shard_index) : NIL;
	return ToShards(plan, FromShards(plan, shards));
}

List *
ScopeSources(const MigrationPlan *plan, Strategy strategy, bool forward)
{
	bool		scattered = strategy == STRATEGY_HASH && !PlanKeepsMembers(plan);
	List	   *sources;

	if (MovesPinsOnly(plan))
		return forward ? FromShards(plan, NIL) : ToShards(plan, NIL);
	if (!scattered && (plan->kind == PLAN_REMOVE_SHARD) == forward)
		sources = list_make1_int(plan->shard_index);
	else
	{
		sources = AllShards(plan);
		if (!scattered)
			sources = list_delete_int(sources, plan->shard_index);
	}
	return plan->evacuate && forward ? list_delete_int(sources, plan->shard_index) : sources;
}
