/*
 * told.c
 *		Events of comparisons that the event log has and the state has not.
 *
 * A catalog outside that commits one table after the other can be left, by a
 * crash, with the events of a comparison and without the state that they lead to.
 * The next comparison would find the same differences and tell of them again.  So
 * both tables note which comparisons' events they have; what the log alone has is
 * applied to the state's rows before the events are made, not before the state is
 * written.
 */
#include "postgres.h"

#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "pipeline/files.h"
#include "pipeline/fold.h"
#include "pipeline/schema.h"
#include "pipeline/told.h"

const char *
ToldPending(const LakeTable *events, const LakeTable *state)
{
	const char *in_log = LakeNoted(events->metadata, TOLD_NOTE);
	const char *in_state = LakeNoted(state->metadata, TOLD_NOTE);

	return in_log == NULL || (in_state != NULL && strcmp(in_log, in_state) == 0) ? NULL : in_log;
}

char *
ToldId(const char *pending, int64 generation, Oid relation, XLogRecPtr lsn)
{
	char	   *id = psprintf(INT64_FORMAT "-%u-" UINT64_FORMAT, generation, relation, (uint64) lsn);

	while (pending != NULL && strstr(pending, id) != NULL)
		id = psprintf("%s.1", id);
	return id;
}

/* "CASE WHEN <the event is of the first> THEN 0 ... END"; null for all others. */
static char *
ComparisonOf(const char *pending, const char *event_id)
{
	char	   *ids = pstrdup(pending);
	char	   *id;
	int			n = 0;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "CASE");
	while ((id = strsep(&ids, ",")) != NULL)
		appendStringInfo(&sql, " WHEN starts_with(%s, %s) THEN %d", event_id,
						 EngineQuoteLiteral(psprintf("resync-%s-", id)), n++);
	appendStringInfoString(&sql, " END");
	return sql.data;
}

/* The log's files that can have events of comparisons. */
static LakeScan *
ScanOf(LakeTable *events)
{
	static char lower[] = "resync-";
	static char upper[] = "resync.";
	IcebergBytes bounds[2] = {{(void *) lower, sizeof(lower) - 1}, {(void *) upper, sizeof(upper) - 1}};
	LakeCondition conditions[2] = {
		{.field_id = EVENT_ID,.op = LAKE_GE,.nvalues = 1,.values = &bounds[0]},
		{.field_id = EVENT_ID,.op = LAKE_LE,.nvalues = 1,.values = &bounds[1]},
	};

	return LakeScanPlan(events, -1, conditions, lengthof(conditions));
}

/* Relation pipeline_told: the events, in their order (comparison, nth), with the layout's columns. */
static void
Load(EngineConn *conn, LakeTable *events, const char *pending, const TableLayout *layout,
	 char *const *types, const char *of_part)
{
	LakeScan   *scan = ScanOf(events);
	int		   *fields = palloc(sizeof(int) * (layout->ncols + 3));
	int			n = 0;
	StringInfoData cols;

	initStringInfo(&cols);
	fields[n++] = EVENT_ID;
	fields[n++] = EVENT_VERB;
	fields[n++] = EVENT_SEQ;
	for (int i = 0; i < layout->ncols; i++)
	{
		int			attnum = layout->cols[i].attnum;
		const IcebergField *field = SchemaColumn(scan->schema, EVENT_COLUMNS, attnum);

		if (field != NULL)
		{
			fields[n++] = field->id;
			appendStringInfo(&cols, ", TRY_CAST(f%d AS %s) AS c%d", field->id, types[i], attnum);
		}
		else
			appendStringInfo(&cols, ", CAST(NULL AS %s) AS c%d", types[i], attnum);
	}
	EngineRunScan(conn,
				  psprintf("CREATE OR REPLACE TEMP TABLE pipeline_told AS SELECT * FROM ("
						   "SELECT * FROM ("
						   "SELECT %s AS comparison, f%d AS nth, f%d AS verb%s FROM %s)"
						   " WHERE comparison IS NOT NULL)%s",
						   ComparisonOf(pending, psprintf("f%d", EVENT_ID)), EVENT_SEQ, EVENT_VERB,
						   cols.data, LakeScanSql(scan, fields, n, false), of_part),
				  scan);
}

static char *
Columns(const TableLayout *layout, const char *format)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < layout->ncols; i++)
	{
		int			attnum = layout->cols[i].attnum;

		appendStringInfo(&list, "%s", i > 0 ? ", " : "");
		for (const char *p = format; *p != '\0'; p++)
		{
			if (*p == '#')
				appendStringInfo(&list, "%d", attnum);
			else
				appendStringInfoChar(&list, *p);
		}
	}
	return list.data;
}

void
ToldApply(EngineConn *conn, LakeTable *events, const char *pending, const TableLayout *layout,
		  char *const *types, const char *of_part)
{
	Load(conn, events, pending, layout, types, of_part);
	if (layout->whole_row)
		EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE pipeline_known AS"
				   " (SELECT %s FROM pipeline_lake"
				   " UNION ALL SELECT %s FROM pipeline_told WHERE verb <> 'deleted')"
				   " EXCEPT ALL SELECT %s FROM pipeline_told WHERE verb = 'deleted'",
				   Columns(layout, "f#"), Columns(layout, "c# AS f#"), Columns(layout, "c# AS f#"));
	else
		EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE pipeline_known AS"
				   " SELECT l.* FROM pipeline_lake AS l ANTI JOIN pipeline_told AS t ON %s"
				   " UNION ALL SELECT 'told', 0, %s FROM (SELECT * FROM pipeline_told"
				   " QUALIFY row_number() OVER (PARTITION BY %s ORDER BY comparison DESC, nth DESC) = 1)"
				   " WHERE verb <> 'deleted'",
				   FoldKeyList(layout, "l.f# = t.c#", " AND "), Columns(layout, "c# AS f#"),
				   FoldKeyList(layout, "c#", ", "));
	EngineRunF(conn, "DROP TABLE pipeline_told");
}
