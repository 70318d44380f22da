/*
 * fresh.c
 *		A fresh snapshot for a query that is about to start.
 *
 * The hook of ExecutorRun in table/snapshot_guard.c makes it the active one, too.
 */
#include "postgres.h"

#include "base/fresh.h"
#include "utils/snapmgr.h"

void
RefreshSnapshot(QueryDesc *query)
{
	Snapshot	fresh = GetTransactionSnapshot();

	fresh->curcid = query->snapshot->curcid;
	fresh = RegisterSnapshot(fresh);
	UnregisterSnapshot(query->snapshot);
	query->snapshot = fresh;
}
