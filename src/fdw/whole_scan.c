/*
 * whole_scan.c
 *		Execution of a statement that the engine runs whole.
 *
 * Some of what is shipped may fail in the engine where PostgreSQL would not: a
 * product of more than 38 digits, a join that DuckDB has no plan for.  And where
 * both fail, PostgreSQL's error is the one to report.  So if the engine declines
 * a statement before its first row, PostgreSQL plans and runs the query by
 * itself, in the time that is left of the statement's.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "fdw/deadline.h"
#include "fdw/scan.h"
#include "fdw/whole.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

typedef struct WholeState
{
	CustomScanState css;
	LakeRun    *run;
	char	   *declined;		/* why PostgreSQL runs the query, or NULL */
	QueryDesc  *local;			/* its execution */
} WholeState;

/* ---- by PostgreSQL ---- */

static void
StartLocally(WholeState *state)
{
	CustomScan *plan = (CustomScan *) state->css.ss.ps.plan;
	EState	   *estate = state->css.ss.ps.state;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	int64	   *before;
	PlannedStmt *stmt = PlanLocally(copyObject(linitial_node(Query, list_nth(plan->custom_private, PLAN_QUERY))),
									estate->es_param_list_info);

	state->local = CreateQueryDesc(stmt, estate->es_sourceText ? estate->es_sourceText : "",
								   estate->es_snapshot, InvalidSnapshot, None_Receiver,
								   estate->es_param_list_info, NULL, 0);
	before = DeadlineShare(state->run->spent);
	PG_TRY();
	{
		ExecutorStart(state->local, 0);
	}
	PG_FINALLY();
	{
		(void) DeadlineShare(before);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

static void
NextLocally(WholeState *state, TupleTableSlot *slot)
{
	EState	   *estate = state->local->estate;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	TupleTableSlot *inner;
	int			natts = slot->tts_tupleDescriptor->natts;

	ResetPerTupleExprContext(estate);
	inner = ExecProcNode(state->local->planstate);
	if (!TupIsNull(inner) && estate->es_junkFilter != NULL)
		inner = ExecFilterJunk(estate->es_junkFilter, inner);
	MemoryContextSwitchTo(old);
	ExecClearTuple(slot);
	if (TupIsNull(inner))
		return;
	slot_getallattrs(inner);
	memcpy(slot->tts_values, inner->tts_values, natts * sizeof(Datum));
	memcpy(slot->tts_isnull, inner->tts_isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(slot);
}

static void
EndLocally(WholeState *state)
{
	if (state->local == NULL)
		return;
	ExecutorFinish(state->local);
	ExecutorEnd(state->local);
	FreeQueryDesc(state->local);
	state->local = NULL;
}

/* ---- by the engine ---- */

/*
 * Is an error one of the statement itself, not of the engine's state, of the
 * files, or a cancel?
 */
static bool
IsDeclined(int sqlstate)
{
	int			class = ERRCODE_TO_CATEGORY(sqlstate);

	return class == ERRCODE_DATA_EXCEPTION || class == ERRCODE_FEATURE_NOT_SUPPORTED ||
		class == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION || class == ERRCODE_INTERNAL_ERROR ||
		class == ERRCODE_CARDINALITY_VIOLATION;
}

/*
 * The statement is sent, and its first rows read, here: the errors that are
 * caught are those that the engine reports, after which its connection is fit
 * for the next request.
 */
static void
StartInEngine(WholeState *state)
{
	LakeRun    *run = state->run;
	EState	   *estate = state->css.ss.ps.state;
	MemoryContext old = CurrentMemoryContext;
	Oid			typid;

	if (!RunPrepare(run, &typid))
	{
		state->declined = MemoryContextStrdup(estate->es_query_cxt,
											  psprintf("a parameter of type %s", format_type_be(typid)));
		return;
	}
	PG_TRY();
	{
		RunSend(run);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (!IsDeclined(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(estate->es_query_cxt);
		error = CopyErrorData();
		FlushErrorState();
		state->declined = error->message;
		ereport(DEBUG1, (errmsg_internal("the engine declined the query: %s", error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (state->declined != NULL)
		RunClose(run);
}

static TupleTableSlot *
NextRow(ScanState *node)
{
	WholeState *state = (WholeState *) node;
	TupleTableSlot *slot = node->ss_ScanTupleSlot;

	if (state->run->sql == NULL && state->declined == NULL)
		StartInEngine(state);
	if (state->declined != NULL && state->local == NULL)
		StartLocally(state);
	if (state->local != NULL)
		NextLocally(state, slot);
	else
		RunNext(state->run, slot);
	return slot;
}

/* ---- callbacks ---- */

static bool
Recheck(ScanState *node, TupleTableSlot *slot)
{
	return true;
}

static void
BeginWholeScan(CustomScanState *node, EState *estate, int eflags)
{
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;

	((WholeState *) node)->run = RunBegin(&node->ss.ps, plan->custom_private, plan->custom_exprs, eflags);
}

static TupleTableSlot *
ExecWholeScan(CustomScanState *node)
{
	return ExecScan(&node->ss, NextRow, Recheck);
}

static void
EndWholeScan(CustomScanState *node)
{
	EndLocally((WholeState *) node);
	RunEnd(((WholeState *) node)->run);
}

static void
ReScanWholeScan(CustomScanState *node)
{
	WholeState *state = (WholeState *) node;

	EndLocally(state);
	RunRescan(state->run);
	ExecScanReScan(&node->ss);
}

static void
ExplainWholeScan(CustomScanState *node, List *ancestors, ExplainState *es)
{
	WholeState *state = (WholeState *) node;

	ExplainRun(state->run, es);
	if (state->declined != NULL)
		ExplainPropertyText("Run By PostgreSQL", state->declined, es);
}

static const CustomExecMethods exec_methods = {
	.CustomName = "LakeQuery",
	.BeginCustomScan = BeginWholeScan,
	.ExecCustomScan = ExecWholeScan,
	.EndCustomScan = EndWholeScan,
	.ReScanCustomScan = ReScanWholeScan,
	.ExplainCustomScan = ExplainWholeScan,
};

static Node *
CreateWholeState(CustomScan *plan)
{
	WholeState *state = palloc0(sizeof(WholeState));

	NodeSetTag(state, T_CustomScanState);
	state->css.methods = &exec_methods;
	return (Node *) state;
}

const CustomScanMethods WholeScanMethods = {
	.CustomName = "LakeQuery",
	.CreateCustomScanState = CreateWholeState,
};
