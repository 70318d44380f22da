/*
 * stats.c
 *		What the last lake query of this session read: shard.last_query_stats().
 *
 * Scans that run at the same time belong to one statement, and add up; a scan
 * that begins while no other is open starts anew.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fdw/stats.h"
#include "fmgr.h"
#include "funcapi.h"

PG_FUNCTION_INFO_V1(shard_last_query_stats);

#define STATS_COLUMNS 11

typedef struct QueryStats
{
	bool		valid;
	int			statements;
	int			cached;			/* of these, that the engine had the results of */
	bool		several;		/* tables of different snapshots */
	int			open_scans;
	int64		partitions;
	int64		partitions_pruned;
	int64		files;
	int64		files_pruned;
	int64		bytes;
	int64		rows;			/* in the files that were read */
	int64		returned;		/* by the engine */
	int64		snapshot_id;	/* -1 = none */
	int64		usecs;
} QueryStats;

static QueryStats last;

/*
 * An error ends every scan without a word.
 */
static void
ForgetScans(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
		last.open_scans = 0;
}

void
StatsInit(void)
{
	RegisterXactCallback(ForgetScans, NULL);
}

void
StatsScanBegin(void)
{
	if (last.open_scans++ > 0)
		return;
	memset(&last, 0, sizeof(last));
	last.open_scans = 1;
	last.snapshot_id = -1;
}

void
StatsScanEnd(void)
{
	if (last.open_scans > 0)
		last.open_scans--;
}

void
StatsAddStatement(bool cached)
{
	last.valid = true;
	last.statements++;
	last.cached += cached;
}

void
StatsAddSource(const SourceScan *scan, bool cached)
{
	if (last.snapshot_id >= 0 && last.snapshot_id != scan->snapshot_id)
		last.several = true;
	last.snapshot_id = scan->snapshot_id;
	if (cached)
		return;
	last.partitions += scan->partitions;
	last.partitions_pruned += scan->partitions_pruned;
	last.files += scan->files;
	last.files_pruned += scan->files_pruned;
	last.bytes += scan->bytes;
	last.rows += scan->rows;
}

void
StatsAddRows(int64 rows)
{
	last.returned += rows;
}

void
StatsAddTime(int64 usecs)
{
	last.usecs += usecs;
}

/*
 * One row; all of it NULL when the session has run no lake query.
 */
Datum
shard_last_query_stats(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[STATS_COLUMNS] = {0};
	bool		nulls[STATS_COLUMNS];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != STATS_COLUMNS)
		elog(ERROR, "unexpected result type");
	memset(nulls, !last.valid, sizeof(nulls));
	values[0] = Int32GetDatum(0);	/* live shards: the lake answers in their place */
	values[1] = Int64GetDatum(last.partitions);
	values[2] = Int64GetDatum(last.partitions_pruned);
	values[3] = Int64GetDatum(last.files);
	values[4] = Int64GetDatum(last.files_pruned);
	values[5] = Int64GetDatum(last.bytes);
	values[6] = Int64GetDatum(last.rows);
	values[7] = Int64GetDatum(last.returned);
	values[8] = BoolGetDatum(last.statements > 0 && last.cached == last.statements);
	values[9] = Int64GetDatum(last.snapshot_id);
	nulls[9] = !last.valid || last.snapshot_id < 0 || last.several;
	values[10] = Float8GetDatum(last.usecs / 1000.0);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
