/*
 * functions.c
 *		Maintenance by hand: shard.compact(), shard.expire_snapshots(),
 *		shard.remove_orphan_files().
 *
 * They work in the caller's transaction.  Event logs come before state tables, as
 * in a flush, so that the two cannot wait for each other.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/settings.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lake/lake.h"
#include "maintain/compact.h"
#include "maintain/guard.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Times that a job is begun again because somebody else's commit came first. */
#define MAX_ATTEMPTS 5

PG_FUNCTION_INFO_V1(shard_compact);
PG_FUNCTION_INFO_V1(shard_expire_snapshots);
PG_FUNCTION_INFO_V1(shard_remove_orphan_files);

/* ---- results ---- */

#define MAX_COLUMNS 10

typedef struct Row
{
	Datum		values[MAX_COLUMNS];
	bool		nulls[MAX_COLUMNS];
	int			n;
} Row;

static void
BeginRow(Row *row, const LakeTable *table)
{
	memset(row, 0, sizeof(*row));
	row->values[row->n++] = CStringGetTextDatum(psprintf("%s.%s", table->namespace, table->name));
}

static void
Put(Row *row, int64 value)
{
	row->values[row->n++] = Int64GetDatum(value);
}

static void
EmitRow(FunctionCallInfo fcinfo, Row *row)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
}

/* The lake tables behind the argument; sets up the result, too. */
static List *
Begin(FunctionCallInfo fcinfo)
{
	List	   *tables = LakeTablesOfRelation(PG_GETARG_OID(0));
	ListCell   *lc;

	PreventCommandDuringRecovery("lake maintenance");
	PreventCommandIfReadOnly("lake maintenance");
	foreach(lc, tables)
		LakeRequireOwner(lfirst(lc));
	InitMaterializedSRF(fcinfo, 0);
	return tables;
}

static void
RaceLost(const LakeTable *table)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("lake table \"%s.%s\" changed while it was worked on",
					table->namespace, table->name),
			 errhint("Try again.")));
}

/* ---- compact ---- */

static Compaction *
CommitOrPrepareAgain(EngineConn *conn, const LakeTable *table, Compaction *compaction,
					 ChooseMode mode, CompactResult *result)
{
	for (int attempt = 1; compaction != NULL; attempt++)
	{
		if (CompactCommit(compaction, result))
			break;
		if (attempt == MAX_ATTEMPTS)
			RaceLost(table);
		compaction = CompactPrepare(conn, table->namespace, table->name, mode);
	}
	return compaction;
}

/*
 * shard.compact(relation regclass, "full" boolean): a row for each lake table.
 * The pointer of each is locked as late as possible, since flushes then wait.
 */
Datum
shard_compact(PG_FUNCTION_ARGS)
{
	ChooseMode	mode = PG_GETARG_BOOL(1) ? CHOOSE_FULL : CHOOSE_ALL;
	List	   *tables = Begin(fcinfo);
	EngineConn *conn;
	ListCell   *lc;

	/* All before files are written, for which the holder of one may wait. */
	foreach(lc, tables)
		(void) MaintenanceLock(((LakeTable *) lfirst(lc))->namespace,
							   ((LakeTable *) lfirst(lc))->name, true);
	conn = EngineAcquire();
	foreach(lc, tables)
	{
		LakeTable  *table = lfirst(lc);
		CompactResult result = {0};
		Row			row;

		CommitOrPrepareAgain(conn, table,
							 CompactPrepare(conn, table->namespace, table->name, mode),
							 mode, &result);
		BeginRow(&row, table);
		Put(&row, result.files_before);
		Put(&row, result.files_after);
		Put(&row, result.deletes_before);
		Put(&row, result.deletes_after);
		Put(&row, result.rows);
		Put(&row, result.deleted_rows);
		Put(&row, result.bytes_before);
		Put(&row, result.bytes_after);
		EmitRow(fcinfo, &row);
	}
	EngineRelease(conn);
	PG_RETURN_VOID();
}

/* ---- expire ---- */

/* An age in milliseconds, as now minus the interval says. */
static int64
IntervalMs(Interval *interval)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
															   TimestampTzGetDatum(now),
															   IntervalPGetDatum(interval)));

	if (then > now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("older_than must not be negative")));
	return (now - then) / 1000;
}

/* A catalog outside knows no locks: somebody else's commit can come first. */
static void
Expire(const LakeTable *table, int64 age, int retain_last, LakeExpiry *expiry)
{
	for (int attempt = 1; attempt <= MAX_ATTEMPTS; attempt++)
	{
		LakeTable  *now = LakeOpenLocked(table->namespace, table->name);

		if (now != NULL && LakeExpire(now, age, retain_last, expiry) != NULL)
			return;
	}
	RaceLost(table);
}

/*
 * shard.expire_snapshots(relation regclass, older_than interval, retain_last int)
 */
Datum
shard_expire_snapshots(PG_FUNCTION_ARGS)
{
	int64		age;
	int			retain_last;
	List	   *tables;
	ListCell   *lc;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	age = PG_ARGISNULL(1) ? -1 : IntervalMs(PG_GETARG_INTERVAL_P(1));
	retain_last = PG_ARGISNULL(2) ? 1 : PG_GETARG_INT32(2);
	if (retain_last < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retain_last must be at least 1")));
	tables = Begin(fcinfo);
	foreach(lc, tables)
	{
		LakeTable  *table = lfirst(lc);
		LakeExpiry	expiry;
		Row			row;

		Expire(table, age, retain_last, &expiry);
		BeginRow(&row, table);
		Put(&row, expiry.snapshots);
		Put(&row, expiry.kept);
		Put(&row, expiry.files);
		Put(&row, expiry.manifests);
		Put(&row, expiry.manifest_lists);
		EmitRow(fcinfo, &row);
	}
	PG_RETURN_VOID();
}

/* ---- orphans ---- */

/*
 * shard.remove_orphan_files(relation regclass, older_than interval)
 */
Datum
shard_remove_orphan_files(PG_FUNCTION_ARGS)
{
	int64		safe = (int64) OrphanMinAge * 1000;
	int64		age;
	List	   *tables;
	ListCell   *lc;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	age = PG_ARGISNULL(1) ? (int64) OrphanRetention * 60 * 1000 : IntervalMs(PG_GETARG_INTERVAL_P(1));
	if (age < safe)
	{
		ereport(NOTICE,
				(errmsg("files younger than %d s are kept", OrphanMinAge),
				 errdetail("Another program may be about to make them part of the table; see shard.orphan_min_age.")));
		age = safe;
	}
	tables = Begin(fcinfo);
	foreach(lc, tables)
	{
		LakeTable  *table = lfirst(lc);
		LakeOrphans orphans;
		Row			row;

		LakeRemoveOrphans(table, age, &orphans);
		BeginRow(&row, table);
		Put(&row, orphans.files);
		Put(&row, orphans.queued);
		Put(&row, orphans.bytes);
		EmitRow(fcinfo, &row);
	}
	PG_RETURN_VOID();
}
