/*
 * resync_filter.c
 *		Which changes are left out after a table was compared: those that the
 *		snapshot of the comparison saw, and all of tables with a problem.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "pipeline/changes.h"
#include "pipeline/position.h"
#include "pipeline/resync.h"
#include "utils/snapshot.h"

char *
ResyncSnapshotText(Snapshot snapshot)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%u:%u:", snapshot->xmin, snapshot->xmax);
	for (uint32 i = 0; i < snapshot->xcnt; i++)
		appendStringInfo(&text, "%s%u", i > 0 ? "," : "", snapshot->xip[i]);
	return text.data;
}

static void
ParseSnapshot(const char *text, ChangeFilter *filter)
{
	int			max = 1;
	char	   *end;

	for (const char *p = text; *p != '\0'; p++)
		max += *p == ',';
	filter->xip = palloc(max * sizeof(TransactionId));
	filter->nxip = 0;
	filter->xmin = strtoul(text, &end, 10);
	filter->xmax = *end == ':' ? strtoul(end + 1, &end, 10) : 0;
	while ((*end == ':' || *end == ',') && end[1] != '\0')
		filter->xip[filter->nxip++] = strtoul(end + 1, &end, 10);
}

static void
SetFilter(Oid relation, const char *snapshot, XLogRecPtr lsn)
{
	ChangeFilter filter = {.parent = relation,.lsn = lsn};

	ParseSnapshot(snapshot, &filter);
	ChangesSetFilter(&filter);
}

void
ResyncRestoreFilters(const Position *position)
{
	ListCell   *lc;

	StartTransactionCommand();
	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		if (table->snapshot != NULL && table->snapshot_lsn > position->lsn)
			SetFilter(table->relation, table->snapshot, table->snapshot_lsn);
	}
	CommitTransactionCommand();
}

void
ResyncRestoreLeftOut(void)
{
	List	   *left_out = NIL;
	ListCell   *lc;

	StartTransactionCommand();
	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		if (table->problem != NULL)
			left_out = lappend_oid(left_out, table->relation);
	}
	ChangesLeaveOut(left_out);
	CommitTransactionCommand();
}
