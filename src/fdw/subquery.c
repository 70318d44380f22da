/*
 * subquery.c
 *		Subqueries over lake tables alone, in statements that the engine does not
 *		run whole.
 *
 * INSERT ... SELECT, a join of a local table with a view that groups lake tables,
 * a query sorted by a collation that the engine does not have: the subquery is
 * planned as one statement of the engine's, and PostgreSQL does the rest.
 *
 * Before planning, such a subquery gets an OFFSET 0, which keeps the planner from
 * pulling it up and from moving conditions into it; a path of ours then takes the
 * place of its own.  The plan's range table gets the subquery's relations, so that
 * permissions are checked as ever.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/pg_type.h"
#include "fdw/deparse.h"
#include "fdw/plan.h"
#include "fdw/whole.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteManip.h"

#define SUBQUERY_STARTUP_COST 100.0

static set_rel_pathlist_hook_type previous_hook = NULL;
static List *fenced_queries = NIL;	/* of Query *: of the statement being planned */

static const CustomPathMethods path_methods;

/* ---- which subqueries ---- */

/*
 * Is a condition of the outer query one of this subquery alone?  Then it is
 * better moved into it.
 */
static bool
IsRestricted(Query *query, Index varno)
{
	List	   *quals = query->jointree->quals == NULL ? NIL :
		make_ands_implicit((Expr *) query->jointree->quals);
	PlannerInfo root = {.type = T_PlannerInfo,.parse = query};
	ListCell   *lc;

	foreach(lc, quals)
	{
		Relids		varnos = pull_varnos(&root, lfirst(lc));

		if (bms_membership(varnos) == BMS_SINGLETON && bms_is_member(varno, varnos))
			return true;
	}
	return false;
}

/*
 * Would the planner make it part of the outer query?
 */
static bool
IsPulledUp(Query *query)
{
	return query->setOperations == NULL && !query->hasAggs && !query->hasWindowFuncs && query->groupClause == NIL &&
		query->groupingSets == NIL && query->havingQual == NULL && query->sortClause == NIL &&
		query->distinctClause == NIL && query->limitOffset == NULL && query->limitCount == NULL &&
		query->cteList == NIL;
}

static Node *
MakeZero(void)
{
	return (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0), false, FLOAT8PASSBYVAL);
}

static bool
IsZero(Node *node)
{
	return node != NULL && IsA(node, Const) && !((Const *) node)->constisnull &&
		((Const *) node)->consttype == INT8OID && DatumGetInt64(((Const *) node)->constvalue) == 0;
}

static bool
RunsWhole(Query *query)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	WholeStatement statement;
	Query	   *prepared;
	const char *obstacle;

	root->glob = makeNode(PlannerGlobal);
	root->parse = query;
	return WriteWhole(root, query, &statement, &prepared, &obstacle);
}

/*
 * Is a subquery of FROM one that the engine shall run?
 */
static bool
ShallRunWhole(Query *query, RangeTblEntry *rte, Index varno)
{
	Survey		survey = {NIL, NIL, 0, false};
	bool		pulled;

	if (rte->rtekind != RTE_SUBQUERY || rte->lateral || rte->security_barrier || rte->securityQuals != NIL ||
		rte->subquery->commandType != CMD_SELECT || rte->subquery->hasModifyingCTE)
		return false;
	if (IsZero(rte->subquery->limitOffset))
		pulled = false;
	else
		pulled = IsPulledUp(rte->subquery);
	(void) SurveyWalker((Node *) rte->subquery, &survey);
	if (survey.others || survey.tables == 0)
		return false;
	if (pulled && (query->commandType == CMD_SELECT || survey.tables == 1) && !rte->subquery->hasSubLinks)
		return false;
	return !IsPlainScan(rte->subquery) && (query->commandType != CMD_SELECT || !IsRestricted(query, varno)) &&
		RunsWhole(rte->subquery);
}

/*
 * Subqueries that stand in FROM, not those of set operations.
 */
static void
CollectItems(Node *item, Bitmapset **varnos)
{
	ListCell   *lc;

	if (item == NULL)
		return;
	if (IsA(item, RangeTblRef))
		*varnos = bms_add_member(*varnos, ((RangeTblRef *) item)->rtindex);
	else if (IsA(item, JoinExpr))
	{
		CollectItems(((JoinExpr *) item)->larg, varnos);
		CollectItems(((JoinExpr *) item)->rarg, varnos);
	}
	else
		foreach(lc, castNode(FromExpr, item)->fromlist)
			CollectItems(lfirst(lc), varnos);
}

List *
FenceSubqueries(Query *query)
{
	Bitmapset  *varnos = NULL;
	List	   *fenced = NIL;
	int			varno = -1;

	if (query->jointree == NULL || query->rowMarks != NIL || query->setOperations != NULL)
		return NIL;
	CollectItems((Node *) query->jointree, &varnos);
	while ((varno = bms_next_member(varnos, varno)) >= 0)
	{
		RangeTblEntry *rte = list_nth_node(RangeTblEntry, query->rtable, varno - 1);

		if (!ShallRunWhole(query, rte, varno))
			continue;
		if (rte->subquery->limitOffset == NULL)
			rte->subquery->limitOffset = MakeZero();
		fenced = lappend(fenced, rte->subquery);
	}
	return fenced;
}

/* ---- order ---- */

Query *
SplitOrder(Query *query)
{
	Query	   *outer = makeNode(Query);
	Query	   *inner;
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	List	   *names = NIL;
	ListCell   *lc;

	if (query->sortClause == NIL || query->hasDistinctOn || query->setOperations != NULL || query->rowMarks != NIL ||
		query->hasTargetSRFs || checkExprHasSubLink(query->limitCount) || checkExprHasSubLink(query->limitOffset))
		return NULL;
	inner = copyObject(query);
	outer->commandType = CMD_SELECT;
	outer->queryId = query->queryId;
	outer->canSetTag = query->canSetTag;
	outer->stmt_location = query->stmt_location;
	outer->stmt_len = query->stmt_len;
	outer->sortClause = inner->sortClause;
	outer->limitOffset = inner->limitOffset;
	outer->limitCount = inner->limitCount;
	outer->limitOption = inner->limitOption;
	inner->sortClause = NIL;
	inner->limitOffset = MakeZero();
	inner->limitCount = NULL;
	inner->limitOption = LIMIT_OPTION_COUNT;
	foreach(lc, inner->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *target = flatCopyTargetEntry(tle);

		target->expr = (Expr *) makeVar(1, tle->resno, exprType((Node *) tle->expr), exprTypmod((Node *) tle->expr),
										exprCollation((Node *) tle->expr), 0);
		outer->targetList = lappend(outer->targetList, target);
		names = lappend(names, makeString(pstrdup(tle->resname ? tle->resname : "?column?")));
		tle->resjunk = false;
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = inner;
	rte->eref = makeAlias("lake_query", names);
	rte->inFromCl = true;
	ref->rtindex = 1;
	outer->rtable = list_make1(rte);
	outer->jointree = makeFromExpr(list_make1(ref), NULL);
	return outer;
}

/* ---- the path ---- */

static bool
IsFenced(PlannerInfo *root, RangeTblEntry *rte)
{
	ListCell   *lc;

	if (rte->rtekind != RTE_SUBQUERY || root->query_level != 1 || !IsZero(rte->subquery->limitOffset))
		return false;
	foreach(lc, fenced_queries)
		if (lfirst(lc) == rte->subquery || equal(lfirst(lc), rte->subquery))
			return true;
	return false;
}

static void
AddSubqueryPath(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	CustomPath *path;
	WholeStatement statement;
	Query	   *prepared;
	const char *obstacle;

	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	if (fenced_queries == NIL || rel->reloptkind != RELOPT_BASEREL || !IsFenced(root, rte) || IS_DUMMY_REL(rel) ||
		!WriteWhole(root, rte->subquery, &statement, &prepared, &obstacle))
		return;
	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = rel;
	path->path.pathtarget = rel->reltarget;
	path->path.rows = rel->rows;
	path->path.startup_cost = SUBQUERY_STARTUP_COST;
	path->path.total_cost = SUBQUERY_STARTUP_COST + rel->rows * cpu_tuple_cost;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_private = list_make2(statement.private, statement.params);
	path->custom_private = lappend(path->custom_private, prepared->targetList);
	path->methods = &path_methods;
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	add_path(rel, (Path *) path);
}

static Plan *
PlanSubquery(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *custom_plans)
{
	CustomScan *scan = makeNode(CustomScan);
	AttrNumber	resno = 0;
	ListCell   *lc;

	foreach(lc, (List *) lthird(path->custom_private))
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Var		   *var;

		if (tle->resjunk)
			continue;
		resno++;
		var = makeVar(rel->relid, resno, exprType((Node *) tle->expr), exprTypmod((Node *) tle->expr),
					  exprCollation((Node *) tle->expr), 0);
		scan->custom_scan_tlist = lappend(scan->custom_scan_tlist,
										  makeTargetEntry((Expr *) var, resno, tle->resname, false));
	}
	scan->scan.plan.targetlist = tlist;
	scan->scan.plan.qual = extract_actual_clauses(clauses, false);
	scan->flags = path->flags;
	scan->custom_private = linitial(path->custom_private);
	scan->custom_exprs = lsecond(path->custom_private);
	scan->custom_relids = bms_copy(rel->relids);
	scan->methods = &WholeScanMethods;
	return (Plan *) scan;
}

static const CustomPathMethods path_methods = {
	.CustomName = "LakeQuery",
	.PlanCustomPath = PlanSubquery,
};

/* ---- around planning ---- */

void
SubqueriesBegin(List *fenced, List **before)
{
	*before = fenced_queries;

	/* the planner works on the query tree itself */
	fenced_queries = copyObject(fenced);
}

/*
 * What the subqueries read belongs to the plan: for permissions, locks and
 * invalidations.
 */
void
SubqueriesEnd(List *before, PlannedStmt *stmt)
{
	List	   *fenced = fenced_queries;
	Survey		survey = {NIL, NIL, 0, false};
	ListCell   *lc;

	fenced_queries = before;
	if (stmt == NULL)
		return;
	survey.perminfos = PermissionInfos(stmt);
	foreach(lc, fenced)
		(void) SurveyWalker(lfirst(lc), &survey);
	stmt->rtable = list_concat(stmt->rtable, survey.rtes);
	SetPermissionInfos(stmt, survey.perminfos);
	foreach(lc, survey.rtes)
		if (OidIsValid(lfirst_node(RangeTblEntry, lc)->relid))
			stmt->relationOids = lappend_oid(stmt->relationOids, lfirst_node(RangeTblEntry, lc)->relid);
}

void
SubqueryInit(void)
{
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = AddSubqueryPath;
}
