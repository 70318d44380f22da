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
#include "fdw/deparse.h"
#include "fdw/plan.h"
#include "fdw/scan.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

static List *
Part(LakeScanState *state, PlanPart part)
{
	return list_nth(state->private, part);
}

/*
 * LIMIT or OFFSET: a number if it is known, else a placeholder.
 */
static void
ShowLimit(LakeScanState *state, StringInfo sql, const char *keyword, int param)
{
	Const	   *value;

	if (param < 0)
		return;
	value = list_nth(((ForeignScan *) state->node->ss.ps.plan)->fdw_exprs, param);
	if (IsA(value, Const) && !value->constisnull)
		appendStringInfo(sql, " %s " INT64_FORMAT, keyword, DatumGetInt64(value->constvalue));
	else
		appendStringInfo(sql, " %s $%d", keyword, param + 1);
}

static char *
ShownStatement(LakeScanState *state)
{
	StringInfoData sql;
	List	   *limits = Part(state, PLAN_LIMIT);
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, Part(state, PLAN_STATEMENT))
	{
		Node	   *fragment = lfirst(lc);

		if (IsA(fragment, String))
			appendStringInfoString(&sql, strVal(fragment));
		else if (intVal(fragment) == FRAGMENT_SOURCE)
			appendStringInfoString(&sql, quote_identifier(state->source->title));
		else
			appendStringInfo(&sql, "$%d", intVal(fragment) + 1);
	}
	ShowLimit(state, &sql, "LIMIT", linitial_int(limits));
	ShowLimit(state, &sql, "OFFSET", lsecond_int(limits));
	return sql.data;
}

/*
 * The files that a scan would read, as far as constants tell.
 */
static SourceScan *
ExpectedScan(LakeScanState *state)
{
	ForeignScan *plan = (ForeignScan *) state->node->ss.ps.plan;
	LakeCondition *conditions;
	int			n;

	conditions = PruneConditions(state->source, Part(state, PLAN_PRUNE),
								 PruneConstants(plan->fdw_exprs), &n);
	return SourcePlanScan(state->source, conditions, n);
}

static void
ExplainFiles(LakeScanState *state, ExplainState *es)
{
	SourceScan *expected;

	if (es->analyze && state->files + state->files_pruned > 0)
	{
		ExplainPropertyInteger("Files Scanned", NULL, state->files, es);
		ExplainPropertyInteger("Files Pruned", NULL, state->files_pruned, es);
		ExplainPropertyInteger("Rows Scanned", NULL, state->rows, es);
		ExplainPropertyInteger("Bytes Scanned", NULL, state->bytes, es);
		return;
	}
	expected = ExpectedScan(state);
	ExplainPropertyInteger("Files", NULL, expected->files, es);
	ExplainPropertyInteger("Files Pruned", NULL, expected->files_pruned, es);
}

void
LakeExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	LakeScanState *state = node->fdw_state;
	const IcebergSnapshot *snapshot = NULL;
	List	   *obstacles = NIL;
	ListCell   *lc;

	ScanOpenSource(state);
	ExplainPropertyText("Lake Table", state->source->title, es);
	if (state->source->table != NULL)
		snapshot = IcebergSnapshotById(state->source->table->metadata,
									   state->source->table->metadata->current_snapshot_id);
	if (snapshot != NULL)
		ExplainPropertyInteger("Snapshot", NULL, snapshot->snapshot_id, es);
	ExplainFiles(state, es);
	foreach(lc, Part(state, PLAN_OBSTACLES))
		obstacles = lappend(obstacles, strVal(lfirst(lc)));
	if (obstacles != NIL)
		ExplainPropertyList("Not Shipped", obstacles, es);
	if (es->verbose)
		ExplainPropertyText("Engine SQL", ShownStatement(state), es);
}
