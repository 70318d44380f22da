/*
 * stats.c
 *		What the last lake query of this session read; shown by monitor/last_query.c.
 *
 * Scans that run at the same time belong to one statement, and add up; a scan
 * that begins while no other is open starts anew.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fdw/stats.h"

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

static void
AddTable(Oid relid)
{
	for (int i = 0; i < last.ntables; i++)
		if (last.tables[i] == relid)
			return;
	if (last.ntables < STATS_TABLES)
		last.tables[last.ntables++] = relid;
}

void
StatsAddSource(const SourceScan *scan, bool cached)
{
	if (last.snapshot_id >= 0 && last.snapshot_id != scan->snapshot_id)
		last.several = true;
	last.snapshot_id = scan->snapshot_id;
	if (cached)
		return;
	AddTable(scan->source->relid);
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

const QueryStats *
StatsLast(void)
{
	return &last;
}
