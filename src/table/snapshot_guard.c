/*
 * snapshot_guard.c
 *		Keeps snapshots from before a change of the map off sharded tables.
 *
 * A query is planned, pruned and routed by the map as it is now: it holds a
 * lock on its tables, so the map cannot change while it runs.  Its snapshot may
 * be older, though: EXECUTE, CREATE TABLE AS, cursors and STABLE functions take
 * theirs before they wait for the lock that a change of the map holds, and under
 * REPEATABLE READ it is as old as the transaction.  Such a query would look for
 * moved rows in their new shard, where its snapshot does not see them yet.
 *
 * So when a query starts whose range table holds a sharded parent, its snapshot
 * must see the last change of the router's map, which is the transaction that
 * wrote the router's row.  If it does not, the query gets a fresh snapshot under
 * READ COMMITTED, and a serialization failure otherwise.  Queries on leaves by
 * name are not checked: nothing is pruned there, and pg_dump reads them under
 * an old snapshot, rightly.
 *
 * ExecutorRun makes the fresh snapshot the active one, too, because that is
 * what parallel workers and functions get.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "base/compat.h"
#include "base/fresh.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "executor/executor.h"
#include "table/snapshot_guard.h"
#include "table/table.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;

static inline bool
MissesChange(const Router *router, Snapshot snapshot)
{
	return TransactionIdIsValid(router->flip_xid) &&
		XidInMVCCSnapshot(router->flip_xid, snapshot) &&
		!TransactionIdIsCurrentTransactionId(router->flip_xid);
}

/*
 * Does this snapshot miss the last change of the parent's router?  A backend
 * that cached the router two billion transactions ago takes its xid for one to
 * come, so before the answer is yes the router is read again.
 */
static bool
MissesChangeOf(Oid parent, Snapshot snapshot)
{
	const Router *router = CatalogRouterForParent(parent);

	if (likely(router == NULL || !MissesChange(router, snapshot)))
		return false;
	CatalogForget();
	router = CatalogRouterForParent(parent);
	return router != NULL && MissesChange(router, snapshot);
}

/*
 * The first sharded parent in the range table of which the snapshot misses a
 * change, or InvalidOid.
 */
static Oid
FirstChangedParent(PlannedStmt *plan, Snapshot snapshot)
{
	ListCell   *lc;

	foreach(lc, plan->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_PARTITIONED_TABLE &&
			MissesChangeOf(rte->relid, snapshot))
			return rte->relid;
	}
	return InvalidOid;
}

static void
CheckSnapshot(QueryDesc *query)
{
	Oid			parent;

	if (query->snapshot == InvalidSnapshot || query->snapshot->snapshot_type != SNAPSHOT_MVCC)
		return;
	parent = FirstChangedParent(query->plannedstmt, query->snapshot);
	if (likely(!OidIsValid(parent)))
		return;
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to sharded table \"%s\" due to a concurrent change of its router",
						get_rel_name(parent)),
				 errdetail("Rows may have moved to another shard after this transaction's snapshot was taken."),
				 errhint("The transaction might succeed if retried.")));
	RefreshSnapshot(query);
}

void
RequireSnapshotOfMap(const Router *router)
{
	if (!IsolationUsesXactSnapshot() || !MissesChange(router, GetTransactionSnapshot()))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not serialize access to the shards of router \"%s\" due to a concurrent change of it",
					router->name),
			 errdetail("Rows may have moved to another shard after this transaction's snapshot was taken."),
			 errhint("The transaction might succeed if retried.")));
}

static void
SnapshotGuardStart(QueryDesc *query, int eflags)
{
	if (!(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		CheckSnapshot(query);
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/*
 * Where the active snapshot is not the query's own, as after a refresh, make it
 * so for the run.  An error takes it off the stack with the rest.
 */
static void
SnapshotGuardRun(EXECUTOR_RUN_PARAMS)
{
	bool		pushed = query->snapshot != InvalidSnapshot &&
		(!ActiveSnapshotSet() || GetActiveSnapshot() != query->snapshot);

	if (pushed)
		PushActiveSnapshot(query->snapshot);
	if (previous_run)
		previous_run(EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(EXECUTOR_RUN_ARGS);
	if (pushed)
		PopActiveSnapshot();
}

void
SnapshotGuardInit(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = SnapshotGuardStart;
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = SnapshotGuardRun;
}
