/*
 * explain.c
 *		What EXPLAIN tells of a scan.
 *
 * Without ANALYZE the files are those that constants leave over.  The engine's
 * SQL is shown with $n for the values of parameters and the table's name for its
 * files, which may be thousands.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/settings.h"
#include "fdw/deparse.h"
#include "fdw/plan.h"
#include "fdw/scan.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static List *
Part(LakeRun *run, PlanPart part)
{
	return list_nth(run->private, part);
}

/*
 * LIMIT or OFFSET: a number if it is known, else a placeholder.
 */
static void
ShowLimit(LakeRun *run, StringInfo sql, const char *keyword, int param)
{
	Const	   *value;

	if (param < 0)
		return;
	value = list_nth(run->exprs, param);
	if (IsA(value, Const) && !value->constisnull)
		appendStringInfo(sql, " %s " INT64_FORMAT, keyword, DatumGetInt64(value->constvalue));
	else
		appendStringInfo(sql, " %s $%d", keyword, param + 1);
}

static char *
ShownStatement(LakeRun *run)
{
	StringInfoData sql;
	List	   *limits = Part(run, PLAN_LIMIT);
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, Part(run, PLAN_STATEMENT))
	{
		Node	   *fragment = lfirst(lc);

		if (IsA(fragment, String))
			appendStringInfoString(&sql, strVal(fragment));
		else if (FragmentIsSource(intVal(fragment)))
			appendStringInfoString(&sql, quote_identifier(run->sources[FragmentSourceIndex(intVal(fragment))].source->title));
		else
			appendStringInfo(&sql, "$%d", intVal(fragment) + 1);
	}
	ShowLimit(run, &sql, "LIMIT", linitial_int(limits));
	ShowLimit(run, &sql, "OFFSET", lsecond_int(limits));
	return sql.data;
}

/*
 * The files that the statement would read, as far as constants tell.
 */
static void
ExpectedFiles(LakeRun *run, int *files, int *pruned)
{
	*files = *pruned = 0;
	for (int i = 0; i < run->nsources; i++)
	{
		RunSource  *source = &run->sources[i];
		LakeCondition *conditions;
		SourceScan *scan;
		int			n;

		conditions = PruneConditions(source->source, list_nth(source->plan, SOURCE_PRUNE),
									 PruneConstants(run->exprs), &n);
		scan = SourcePlanScan(source->source, conditions, n);
		*files += scan->files;
		*pruned += scan->files_pruned;
	}
}

static void
ExplainFiles(LakeRun *run, ExplainState *es)
{
	int			files;
	int			pruned;

	if (es->analyze && run->statements > 0)
	{
		if (CacheEnabled)
			ExplainPropertyBool("Cache Hit", run->cached == run->statements, es);
		ExplainPropertyInteger("Files Scanned", NULL, run->files, es);
		ExplainPropertyInteger("Files Pruned", NULL, run->files_pruned, es);
		ExplainPropertyInteger("Rows Scanned", NULL, run->rows, es);
		ExplainPropertyInteger("Bytes Scanned", NULL, run->bytes, es);
		return;
	}
	ExpectedFiles(run, &files, &pruned);
	ExplainPropertyInteger("Files", NULL, files, es);
	ExplainPropertyInteger("Files Pruned", NULL, pruned, es);
}

/*
 * The tables, each once, and the snapshot of a single one.
 */
static void
ExplainSources(LakeRun *run, ExplainState *es)
{
	List	   *titles = NIL;
	LakeTable  *table;
	const IcebergSnapshot *snapshot = NULL;

	for (int i = 0; i < run->nsources; i++)
	{
		char	   *title = run->sources[i].source->title;
		bool		known = false;
		ListCell   *lc;

		foreach(lc, titles)
			known = known || strcmp(lfirst(lc), title) == 0;
		if (!known)
			titles = lappend(titles, title);
	}
	if (list_length(titles) > 1)
		ExplainPropertyList("Lake Tables", titles, es);
	if (list_length(titles) != 1)
		return;
	ExplainPropertyText("Lake Table", linitial(titles), es);
	table = run->sources[0].source->table;
	if (table != NULL)
		snapshot = table->as_of != NULL ? table->as_of :
			IcebergSnapshotById(table->metadata, table->metadata->current_snapshot_id);
	if (snapshot != NULL)
		ExplainPropertyInteger("Snapshot", NULL, snapshot->snapshot_id, es);
}

void
ExplainRun(LakeRun *run, ExplainState *es)
{
	List	   *obstacles = NIL;
	ListCell   *lc;

	RunOpenSources(run);
	ExplainSources(run, es);
	ExplainFiles(run, es);
	foreach(lc, Part(run, PLAN_OBSTACLES))
		obstacles = lappend(obstacles, strVal(lfirst(lc)));
	if (obstacles != NIL)
		ExplainPropertyList("Not Shipped", obstacles, es);
	if (es->verbose)
		ExplainPropertyText("Engine SQL", ShownStatement(run), es);
}

void
LakeExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ExplainRun(node->fdw_state, es);
}
