/*
 * whole.c
 *		Planning queries over lake tables alone: the engine runs them whole.
 *
 * The planner hook looks at a query before PostgreSQL plans it.  If all that it
 * reads are lake tables, and all that it does can be shipped, its plan is one
 * custom scan with the statement.  The plan's range table has the relations of
 * every query level, views included, so that the executor checks permissions and
 * cached plans are locked and invalidated as ever.  A scan of one table, with its
 * filter, order and limit, is left to the foreign data wrapper's paths (plan.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "base/compat.h"
#include "catalog/pg_class.h"
#include "fdw/deparse.h"
#include "fdw/estimate.h"
#include "fdw/keys.h"
#include "fdw/plan.h"
#include "fdw/whole.h"
#include "foreign/fdwapi.h"
#include "jit/jit.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "parser/parse_relation.h"
#include "utils/lsyscache.h"

static planner_hook_type previous_hook = NULL;
static bool planning_locally = false;

/* ---- which queries ---- */

bool
IsLakeTable(Oid relid)
{
	return GetFdwRoutineByRelId(relid)->GetForeignRelSize == LakeGetForeignRelSize;
}

/*
 * An entry as the executor needs it.
 */
static RangeTblEntry *
FlatEntry(Query *query, RangeTblEntry *rte, List **perminfos)
{
	RangeTblEntry *flat;

	COMPAT_FLAT_ENTRY(flat, rte);
	FlatEntryPermissions(query, rte, flat, perminfos);
	return flat;
}

static void
SurveyEntry(Survey *survey, Query *query, RangeTblEntry *rte)
{
	if (!OidIsValid(rte->relid))
		return;
	if (rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE && IsLakeTable(rte->relid))
		survey->tables++;
	else if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_VIEW)
		survey->others = true;
	survey->rtes = lappend(survey->rtes, FlatEntry(query, rte, &survey->perminfos));
}

bool
SurveyWalker(Node *node, Survey *survey)
{
	ListCell   *lc;

	if (node == NULL || survey->others)
		return survey->others;
	if (!IsA(node, Query))
		return expression_tree_walker(node, SurveyWalker, survey);
	foreach(lc, ((Query *) node)->rtable)
		SurveyEntry(survey, (Query *) node, lfirst_node(RangeTblEntry, lc));
	return survey->others || query_tree_walker((Query *) node, SurveyWalker, survey, 0);
}

/*
 * Most queries are told apart by having no foreign table, subquery or view.
 */
static bool
MentionsForeignTable(Query *query)
{
	ListCell   *lc;

	if ((query->commandType != CMD_SELECT && query->commandType != CMD_INSERT) || query->utilityStmt != NULL)
		return false;
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_SUBQUERY || rte->rtekind == RTE_CTE ||
			(rte->rtekind == RTE_RELATION && rte->relkind == RELKIND_FOREIGN_TABLE))
			return true;
	}
	return query->hasSubLinks;
}

/*
 * Is every relation of the first level a foreign table or a view?
 */
static bool
MayBeOfTheLake(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && rte->relkind != RELKIND_FOREIGN_TABLE && rte->relkind != RELKIND_VIEW)
			return false;
	}
	return true;
}

bool
IsPlainScan(Query *query)
{
	Node	   *from;

	if (query->setOperations != NULL || query->cteList != NIL || query->hasSubLinks || query->hasWindowFuncs ||
		query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL || query->havingQual != NULL ||
		query->distinctClause != NIL || list_length(query->jointree->fromlist) != 1)
		return false;
	from = linitial(query->jointree->fromlist);
	return IsA(from, RangeTblRef) &&
		list_nth_node(RangeTblEntry, query->rtable, ((RangeTblRef *) from)->rtindex - 1)->rtekind == RTE_RELATION;
}

/* ---- preparing a query tree ---- */

static Node *PrepareMutator(Node *node, PlannerInfo *root);

static Query *
PrepareQuery(PlannerInfo *root, Query *query)
{
	return query_tree_mutator(query, PrepareMutator, root, 0);
}

/*
 * What a subquery that reads nothing selects; NULL if it is not of that kind.
 */
static Node *
PlainValue(SubLink *link)
{
	Query	   *query = (Query *) link->subselect;
	TargetEntry *tle;

	if (link->subLinkType != EXPR_SUBLINK || query->commandType != CMD_SELECT || query->setOperations != NULL ||
		query->cteList != NIL || query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs ||
		query->jointree->fromlist != NIL || query->jointree->quals != NULL || query->havingQual != NULL ||
		query->groupClause != NIL || query->groupingSets != NIL || query->limitCount != NULL ||
		query->limitOffset != NULL || list_length(query->targetList) != 1)
		return NULL;
	tle = linitial_node(TargetEntry, query->targetList);
	return IsRuntimeConstant(tle->expr) ? (Node *) tle->expr : NULL;
}

static Node *
SubqueriesMutator(Node *node, PlannerInfo *root)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, SubLink) && PlainValue((SubLink *) node) != NULL)
		return eval_const_expressions(root, PlainValue((SubLink *) node));
	if (IsA(node, Query))
		return (Node *) PrepareQuery(root, (Query *) node);
	return expression_tree_mutator(node, SubqueriesMutator, root);
}

static Node *
PrepareExpr(PlannerInfo *root, Node *node)
{
	return eval_const_expressions(root, SubqueriesMutator(node, root));
}

static Node *
PrepareQuals(PlannerInfo *root, Node *quals)
{
	if (quals == NULL)
		return NULL;
	return (Node *) canonicalize_qual((Expr *) PrepareExpr(root, quals), false);
}

/*
 * Compute what is constant, as PostgreSQL's planner does first.
 */
static Node *
PrepareMutator(Node *node, PlannerInfo *root)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
		return (Node *) PrepareQuery(root, (Query *) node);
	if (IsA(node, FromExpr))
	{
		FromExpr   *from = copyObject((FromExpr *) node);
		ListCell   *lc;

		foreach(lc, from->fromlist)
			lfirst(lc) = PrepareMutator(lfirst(lc), root);
		from->quals = PrepareQuals(root, from->quals);
		return (Node *) from;
	}
	if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = copyObject((JoinExpr *) node);

		join->larg = PrepareMutator(join->larg, root);
		join->rarg = PrepareMutator(join->rarg, root);
		join->quals = PrepareQuals(root, join->quals);
		return (Node *) join;
	}
	return PrepareExpr(root, node);
}

/* ---- the plan ---- */

/*
 * A range table entry that no table stands behind, for the names of the result's
 * columns.
 */
static RangeTblEntry *
MakeResultEntry(Query *query)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			names = lappend(names, makeString(pstrdup(tle->resname ? tle->resname : "?column?")));
	}
	rte->rtekind = RTE_VALUES;
	rte->eref = makeAlias("lake_query", names);
	return rte;
}

/*
 * What the executor is told of the result: columns of the made-up entry, as the
 * scan has them and as the plan returns them.
 */
static void
FillTargets(CustomScan *scan, Query *query, Index entry)
{
	AttrNumber	resno = 0;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Oid			type = exprType((Node *) tle->expr);
		int32		typmod = exprTypmod((Node *) tle->expr);
		Oid			collation = exprCollation((Node *) tle->expr);
		TargetEntry *target;

		if (tle->resjunk)
			continue;
		resno++;
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry((Expr *) makeVar(entry, resno, type, typmod, collation, 0),
														  resno, tle->resname, false));
		target = flatCopyTargetEntry(tle);
		target->expr = (Expr *) makeVar(INDEX_VAR, resno, type, typmod, collation, 0);
		target->resno = resno;
		target->ressortgroupref = 0;
		scan->scan.plan.targetlist = lappend(scan->scan.plan.targetlist, target);
	}
}

/*
 * Rows and costs.  The engine reads columns of files; as a rule it has read all
 * before it has the first row.
 */
static void
Estimate(Plan *plan, PlannerGlobal *glob, Query *query, List *sources)
{
	ListCell   *lc;

	plan->plan_rows = EstimateQueryRows(glob, query, sources);
	plan->startup_cost = ROUND_TRIP_COST;
	foreach(lc, sources)
	{
		DeparseRel *rel = lfirst(lc);

		plan->startup_cost += SourceTotalRows(rel->source) * Max(list_length(rel->attnums), 1) *
			cpu_operator_cost * ENGINE_VALUE_FACTOR;
	}
	plan->total_cost = plan->startup_cost + plan->plan_rows * cpu_tuple_cost;
	foreach(lc, plan->targetlist)
	{
		Node	   *expr = (Node *) lfirst_node(TargetEntry, lc)->expr;

		plan->plan_width += get_typavgwidth(exprType(expr), exprTypmod(expr));
	}
}

static CustomScan *
MakeScan(WholeStatement *statement, PlannerGlobal *glob, Query *query, Index entry)
{
	CustomScan *scan = makeNode(CustomScan);

	FillTargets(scan, query, entry);
	Estimate(&scan->scan.plan, glob, query, statement->sources);
	scan->custom_exprs = statement->params;
	scan->custom_private = statement->private;
	scan->methods = &WholeScanMethods;
	return scan;
}

static PlannedStmt *
MakeStatement(Query *query, Plan *plan, List *rtable, List *perminfos, PlannerGlobal *glob)
{
	PlannedStmt *stmt = makeNode(PlannedStmt);
	ListCell   *lc;

	stmt->commandType = CMD_SELECT;
	stmt->queryId = query->queryId;
	stmt->canSetTag = query->canSetTag;
	stmt->planTree = plan;
	stmt->rtable = rtable;
	SetPermissionInfos(stmt, perminfos);
	foreach(lc, rtable)
		if (OidIsValid(lfirst_node(RangeTblEntry, lc)->relid))
			stmt->relationOids = lappend_oid(stmt->relationOids, lfirst_node(RangeTblEntry, lc)->relid);
	stmt->relationOids = list_concat(stmt->relationOids, glob->relationOids);
	stmt->invalItems = glob->invalItems;
	stmt->transientPlan = glob->transientPlan;
	stmt->dependsOnRole = glob->dependsOnRole;
	stmt->jitFlags = PGJIT_NONE;
	stmt->stmt_location = query->stmt_location;
	stmt->stmt_len = query->stmt_len;
	return stmt;
}

bool
WriteWhole(PlannerInfo *root, Query *original, WholeStatement *statement, Query **prepared, const char **obstacle)
{
	DeparseContext *cx = DeparseBegin(NIL);
	List	   *outputs = NIL;
	List	   *forms;
	ListCell   *lc;

	*prepared = PrepareQuery(root, copyObject(original));
	cx->whole = true;
	if (!DeparseQuery(cx, *prepared, true, &forms))
	{
		*obstacle = cx->obstacle;
		return false;
	}
	foreach(lc, (*prepared)->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			outputs = lappend(outputs, PlanOutput(list_length(outputs) + 1, exprType((Node *) tle->expr),
												  exprTypmod((Node *) tle->expr)));
	}
	statement->params = cx->params;
	statement->sources = cx->sources;
	statement->private = list_make5(DeparseEnd(cx), PlanSources(cx), outputs, list_make2_int(-1, -1), NIL);
	statement->private = lappend(statement->private, list_make1(copyObject(original)));
	return true;
}

/*
 * A plan with the whole query as one statement; NULL and the reason if it
 * cannot be shipped.
 */
static PlannedStmt *
PlanWhole(Query *original, Survey *survey, int options, ParamListInfo params, const char **obstacle)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	WholeStatement statement;
	Query	   *query;
	Plan	   *plan;

	root->glob = makeNode(PlannerGlobal);
	root->glob->boundParams = params;
	root->parse = original;
	if (!WriteWhole(root, original, &statement, &query, obstacle))
		return NULL;
	survey->rtes = lappend(survey->rtes, MakeResultEntry(query));
	plan = (Plan *) MakeScan(&statement, root->glob, query, list_length(survey->rtes));
	if (options & CURSOR_OPT_SCROLL)
		plan = materialize_finished_plan(plan);
	return MakeStatement(query, plan, survey->rtes, survey->perminfos, root->glob);
}

/* ---- saying why not ---- */

static bool
NoteInScan(Plan *plan, String *note)
{
	ForeignScan *scan = (ForeignScan *) plan;

	if (plan == NULL)
		return false;
	if (IsA(plan, ForeignScan) && OidIsValid(scan->fs_server) &&
		GetFdwRoutineByServerId(scan->fs_server)->GetForeignRelSize == LakeGetForeignRelSize)
	{
		ListCell   *cell = list_nth_cell(scan->fdw_private, PLAN_OBSTACLES);

		lfirst(cell) = lappend(lfirst(cell), note);
		return true;
	}
	if (IsA(plan, SubqueryScan) && NoteInScan(((SubqueryScan *) plan)->subplan, note))
		return true;
	if (IsA(plan, Append))
	{
		ListCell   *lc;

		foreach(lc, ((Append *) plan)->appendplans)
			if (NoteInScan(lfirst(lc), note))
				return true;
	}
	return NoteInScan(plan->lefttree, note) || NoteInScan(plan->righttree, note);
}

/*
 * Let EXPLAIN say why a query over lake tables alone is not shipped whole: at
 * the first scan of the plan.
 */
static void
Note(PlannedStmt *stmt, const char *obstacle)
{
	String	   *note = makeString(psprintf("whole query: %s", obstacle));
	ListCell   *lc;

	if (NoteInScan(stmt->planTree, note))
		return;
	foreach(lc, stmt->subplans)
		if (NoteInScan(lfirst(lc), note))
			return;
}

/* ---- the hook ---- */

static PlannedStmt *
CallNext(Query *query, const char *text, int options, ParamListInfo params)
{
	return previous_hook ? previous_hook(query, text, options, params)
		: standard_planner(query, text, options, params);
}

/*
 * Plan a statement some of whose subqueries may run in the engine whole.
 */
static PlannedStmt *
PlanAround(Query *query, const char *text, int options, ParamListInfo params)
{
	List	   *fenced = FenceSubqueries(query);
	PlannedStmt *volatile stmt = NULL;
	List	   *before;

	if (fenced == NIL)
		return CallNext(query, text, options, params);
	SubqueriesBegin(fenced, &before);
	PG_TRY();
	{
		stmt = CallNext(query, text, options, params);
	}
	PG_FINALLY();
	{
		SubqueriesEnd(before, stmt);
	}
	PG_END_TRY();
	return stmt;
}

/*
 * A query over lake tables alone.
 */
static PlannedStmt *
PlanLake(Query *query, Survey *survey, const char *text, int options, ParamListInfo params)
{
	const char *obstacle = NULL;
	PlannedStmt *stmt = PlanWhole(query, survey, options, params, &obstacle);
	Query	   *split;

	if (stmt != NULL)
		return stmt;
	split = SplitOrder(query);
	if (split != NULL && FenceSubqueries(split) != NIL)
		return PlanAround(split, text, options, params);
	stmt = CallNext(query, text, options, params);
	Note(stmt, obstacle);
	return stmt;
}

static PlannedStmt *
PlanHook(Query *query, const char *text, int options, ParamListInfo params)
{
	Survey		survey = {NIL, NIL, 0, false};

	if (planning_locally || !MentionsForeignTable(query))
		return CallNext(query, text, options, params);
	if (query->commandType != CMD_SELECT)
		return PlanAround(query, text, options, params);
	if (!MayBeOfTheLake(query))
	{
		AddJoinKeys(query, params);
		return PlanAround(query, text, options, params);
	}
	if (IsPlainScan(query))
		return CallNext(query, text, options, params);
	(void) SurveyWalker((Node *) query, &survey);
	if (survey.tables == 0 && !survey.others)
		return CallNext(query, text, options, params);
	if (survey.others)
		return PlanAround(query, text, options, params);
	return PlanLake(query, &survey, text, options, params);
}

PlannedStmt *
PlanLocally(Query *query, ParamListInfo params)
{
	PlannedStmt *volatile stmt = NULL;
	bool		outer = planning_locally;

	planning_locally = true;
	PG_TRY();
	{
		stmt = planner(query, "", 0, params);
	}
	PG_FINALLY();
	{
		planning_locally = outer;
	}
	PG_END_TRY();
	return stmt;
}

void
WholeInit(void)
{
	RegisterCustomScanMethods(&WholeScanMethods);
	previous_hook = planner_hook;
	planner_hook = PlanHook;
	SubqueryInit();
}
