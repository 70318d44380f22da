/*
 * plan.c
 *		Planning the scan of one foreign table, and making plans of paths.
 *
 * In GetForeignRelSize the source is opened and every condition goes to the
 * engine or stays here; in GetForeignPlan the statement is written, with
 * placeholders for what is known only at run time: the files, and the values of
 * parameters.  Upper relations (upper.c) extend the LakeRel of the table.
 */
#include "postgres.h"

#include <math.h>

#include "access/stratnum.h"
#include "access/sysattr.h"
#include "base/compat.h"
#include "fdw/deparse.h"
#include "fdw/estimate.h"
#include "fdw/plan.h"
#include "fdw/prune.h"
#include "fdw/shippable.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

/* ---- relations ---- */

/*
 * May a condition be evaluated by the engine, in the order that it likes?
 * Not one that could tell what another, of a security barrier, hides.
 */
static bool
CondShippable(LakeRel *lake, RestrictInfo *rinfo)
{
	const char *obstacle = NULL;

	if (!restriction_is_securely_promotable(rinfo, lake->base))
		obstacle = "condition behind a security barrier";
	else if (ExprShippable(lake->tables, rinfo->clause, false, &obstacle))
		return true;
	lake->obstacles = lappend(lake->obstacles, psprintf("filter: %s", obstacle));
	return false;
}

static void
ClassifyConds(LakeRel *lake)
{
	ListCell   *lc;

	foreach(lc, lake->base->baserestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (rinfo->pseudoconstant)
			continue;
		lake->prune_clauses = lappend(lake->prune_clauses, rinfo->clause);
		if (CondShippable(lake, rinfo))
			lake->remote_conds = lappend(lake->remote_conds, rinfo);
		else
			lake->local_conds = lappend(lake->local_conds, rinfo);
	}
}

static void
CollectColumns(LakeRel *lake)
{
	Index		relid = lake->base->relid;
	ListCell   *lc;

	pull_varattnos((Node *) lake->base->reltarget->exprs, relid, &lake->columns);
	foreach(lc, lake->local_conds)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, lc)->clause, relid, &lake->columns);
}

/*
 * Rows of the table and of its files that constants leave over.
 */
static void
EstimateRows(PlannerInfo *root, LakeRel *lake)
{
	DeparseContext *cx = DeparseBegin(lake->tables);
	List	   *rules = PruneRules(cx, linitial(cx->sources), lake->base->relid, lake->prune_clauses);
	SourceScan *scan;
	LakeCondition *conditions;
	int			n;

	conditions = PruneConditions(lake->source, rules, PruneConstants(cx->params), &n);
	scan = SourcePlanScan(lake->source, conditions, n);
	lake->source_rows = scan->rows;
	lake->base->tuples = scan->rows;
	if (scan->files > 0)
		lake->base->tuples *= (double) (scan->files + scan->files_pruned) / scan->files;
	set_baserel_size_estimates(root, lake->base);
	lake->base->rows = clamp_row_est(Min(lake->base->rows, lake->source_rows));
}

/*
 * What the engine costs, and how many rows it returns for PostgreSQL to filter.
 */
static void
EstimateCosts(PlannerInfo *root, LakeRel *lake)
{
	int			columns = bms_num_members(lake->columns) + list_length(lake->remote_conds);
	double		remote;

	remote = clauselist_selectivity(root, lake->remote_conds, lake->base->relid, JOIN_INNER, NULL);
	lake->rows = clamp_row_est(Max(Min(lake->base->tuples * remote, lake->source_rows), lake->base->rows));
	lake->startup = ROUND_TRIP_COST;
	lake->total = lake->startup +
		lake->source_rows * Max(columns, 1) * cpu_operator_cost * ENGINE_VALUE_FACTOR;
}

void
LakeGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	LakeRel    *lake = palloc0(sizeof(LakeRel));

	lake->base = rel;
	lake->source = SourceOpenToPlan(relid);
	lake->tables = list_make1(MakeDeparseTable(rel->relid, lake->source));
	rel->fdw_private = lake;
	ClassifyConds(lake);
	CollectColumns(lake);
	EstimateRows(root, lake);
	EstimateCosts(root, lake);
}

void
LakeGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	LakeRel    *lake = rel->fdw_private;
	QualCost	local;
	Cost		per_row;

	cost_qual_eval(&local, lake->local_conds, root);
	per_row = cpu_tuple_cost + local.per_tuple + rel->reltarget->cost.per_tuple;
	add_path(rel, (Path *)
			 CreateForeignScanPath(root, rel, rel->rows,
								   lake->startup + local.startup,
								   lake->total + local.startup + lake->rows * per_row,
								   NIL, rel->lateral_relids, NIL));
}

/* ---- sorting ---- */

static bool
MemberSortable(LakeRel *lake, PathKey *pathkey, EquivalenceMember *em, Expr *expr)
{
	EquivalenceClass *ec = pathkey->pk_eclass;
	bool		byte_order;
	const char *obstacle;

	if (!IsDefaultSortOperator(PathKeyOperator(pathkey, em->em_datatype), em->em_datatype))
		return false;
	if (!ExprSortable(expr, ec->ec_collation, &byte_order) || !byte_order)
		return false;
	if (lake->grouped)
		return tlist_member(expr, lake->tlist) != NULL;
	return !IsRuntimeConstant(expr) && ExprShippable(lake->tables, expr, false, &obstacle);
}

Expr *
SortExpression(LakeRel *lake, PathKey *pathkey, bool *descending)
{
	EquivalenceClass *ec = pathkey->pk_eclass;
	ListCell   *lc;

	if (ec->ec_has_volatile)
		return NULL;
	*descending = PathKeyDescending(pathkey);
	foreach(lc, ec->ec_members)
	{
		EquivalenceMember *em = lfirst_node(EquivalenceMember, lc);

		if (!em->em_is_const && !em->em_is_child &&
			bms_is_subset(em->em_relids, lake->base->relids) &&
			MemberSortable(lake, pathkey, em, em->em_expr))
			return em->em_expr;
	}
	return NULL;
}

/* ---- the statement ---- */

static void
MustDeparse(DeparseContext *cx, Expr *expr)
{
	if (!DeparseExpr(cx, expr))
		elog(ERROR, "expression cannot be shipped: %s", cx->obstacle);
}

static void
DeparseConds(DeparseContext *cx, const char *keyword, List *exprs)
{
	ListCell   *lc;

	foreach(lc, exprs)
	{
		DeparseText(cx, foreach_current_index(lc) == 0 ? keyword : " AND ");
		MustDeparse(cx, lfirst(lc));
	}
}

static void
DeparseSort(DeparseContext *cx, LakeRel *lake, List *pathkeys)
{
	ListCell   *lc;

	foreach(lc, pathkeys)
	{
		PathKey    *pathkey = lfirst_node(PathKey, lc);
		bool		descending;
		Expr	   *expr = SortExpression(lake, pathkey, &descending);

		DeparseText(cx, foreach_current_index(lc) == 0 ? " ORDER BY " : ", ");
		if (!DeparseSortKey(cx, expr, pathkey->pk_eclass->ec_collation))
			elog(ERROR, "expression cannot be shipped: %s", cx->obstacle);
		DeparseText(cx, descending ? " DESC" : " ASC");
		DeparseText(cx, pathkey->pk_nulls_first ? " NULLS FIRST" : " NULLS LAST");
	}
}

List *
PlanOutput(int slot, Oid typid, int32 typmod)
{
	return list_make3_int(slot, (int) typid, typmod);
}

/*
 * The table's columns that the query needs, as the engine's result.
 */
static List *
DeparseTableColumns(DeparseContext *cx, LakeRel *lake)
{
	List	   *outputs = NIL;
	bool		whole_row = bms_is_member(-FirstLowInvalidHeapAttributeNumber, lake->columns);

	for (AttrNumber attnum = 1; attnum <= lake->source->natts; attnum++)
	{
		SourceColumn *column = &lake->source->columns[attnum - 1];

		if (column->state == COLUMN_DROPPED ||
			(!whole_row && !bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, lake->columns)))
			continue;
		DeparseText(cx, outputs == NIL ? "" : ", ");
		DeparseColumn(cx, linitial(cx->sources), attnum);
		outputs = lappend(outputs, PlanOutput(attnum, column->typid, column->typmod));
	}
	if (outputs == NIL)
		DeparseText(cx, "NULL");
	return outputs;
}

static List *
DeparseTargets(DeparseContext *cx, LakeRel *lake)
{
	List	   *outputs = NIL;
	ListCell   *lc;

	foreach(lc, lake->tlist)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		ValueForm	form;

		DeparseText(cx, outputs == NIL ? "" : ", ");
		if (!DeparseResult(cx, tle->expr, false, &form))
			elog(ERROR, "expression cannot be shipped: %s", cx->obstacle);
		outputs = lappend(outputs, PlanOutput(tle->resno, exprType((Node *) tle->expr),
											  exprTypmod((Node *) tle->expr)));
	}
	if (outputs == NIL)
		DeparseText(cx, "NULL");
	return outputs;
}

/*
 * GROUP BY positions of the engine's result.
 */
static void
DeparseGrouping(DeparseContext *cx, LakeRel *lake)
{
	ListCell   *lc;

	foreach(lc, lake->group_positions)
		DeparsePrintf(cx, "%s%d", foreach_current_index(lc) == 0 ? " GROUP BY " : ", ", lfirst_int(lc));
}

static List *
DeparseStatement(DeparseContext *cx, LakeRel *lake, List *sort)
{
	List	   *outputs;

	DeparseText(cx, "SELECT ");
	cx->aggregates = lake->grouped;
	outputs = lake->grouped ? DeparseTargets(cx, lake) : DeparseTableColumns(cx, lake);
	DeparseText(cx, " FROM ");
	DeparseSource(cx, linitial(cx->sources));
	cx->aggregates = false;
	DeparseConds(cx, " WHERE ", extract_actual_clauses(lake->remote_conds, false));
	cx->aggregates = lake->grouped;
	DeparseGrouping(cx, lake);
	DeparseConds(cx, " HAVING ", lake->having_remote);
	DeparseSort(cx, lake, sort);
	return outputs;
}

/* ---- the plan ---- */

/*
 * Conditions of a scan that the engine does not answer.
 */
static List *
LocalClauses(LakeRel *lake, List *scan_clauses)
{
	List	   *local = NIL;
	ListCell   *lc;

	foreach(lc, scan_clauses)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);

		if (!rinfo->pseudoconstant && !list_member_ptr(lake->remote_conds, rinfo))
			local = lappend(local, rinfo->clause);
	}
	return local;
}

static List *
LimitParams(PlannerInfo *root, DeparseContext *cx, bool limited)
{
	Query	   *parse = root->parse;
	int			limit = -1;
	int			offset = -1;

	if (limited && parse->limitCount != NULL)
		limit = DeparseParam(cx, (Expr *) parse->limitCount);
	if (limited && parse->limitOffset != NULL)
		offset = DeparseParam(cx, (Expr *) parse->limitOffset);
	return list_make2_int(limit, offset);
}

/*
 * What the statement takes for granted about the columns that it reads.
 */
static List *
ColumnTypes(LakeSource *source, List *attnums)
{
	List	   *types = NIL;
	ListCell   *lc;

	foreach(lc, attnums)
	{
		SourceColumn *column = SourceColumnOf(source, lfirst_int(lc));

		types = lappend(types, list_make4_int(column->field_id, column->stored.kind,
											  column->stored.precision, column->stored.scale));
	}
	return types;
}

List *
PlanSources(DeparseContext *cx)
{
	List	   *sources = NIL;
	ListCell   *lc;

	foreach(lc, cx->sources)
	{
		DeparseRel *rel = lfirst(lc);

		sources = lappend(sources, list_make5(list_make1_oid(rel->source->relid), rel->attnums,
											  ColumnTypes(rel->source, rel->attnums),
											  rel->finite, rel->prune));
	}
	return sources;
}

static List *
Strings(List *texts)
{
	List	   *strings = NIL;
	ListCell   *lc;

	foreach(lc, texts)
		strings = lappend(strings, makeString(lfirst(lc)));
	return strings;
}

static bool
PathDoes(ForeignPath *path, int what)
{
	return path->fdw_private != NIL && list_nth_int(path->fdw_private, what) != 0;
}

ForeignScan *
LakeGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
				   List *tlist, List *scan_clauses, Plan *outer_plan)
{
	LakeRel    *lake = rel->fdw_private;
	bool		sorted = PathDoes(path, PATH_SORTED);
	DeparseContext *cx;
	DeparseRel *table;
	List	   *outputs;
	List	   *limits;
	List	   *private;
	List	   *local;

	cx = DeparseBegin(lake->tables);
	outputs = DeparseStatement(cx, lake, sorted ? root->sort_pathkeys : NIL);
	table = linitial(cx->sources);
	table->prune = PruneRules(cx, table, lake->base->relid, lake->prune_clauses);
	limits = LimitParams(root, cx, PathDoes(path, PATH_LIMITED));
	local = lake->grouped ? lake->having_local : LocalClauses(lake, scan_clauses);
	private = list_make5(DeparseEnd(cx), PlanSources(cx), outputs, limits, Strings(lake->obstacles));
	return make_foreignscan(tlist, local, lake->grouped ? 0 : lake->base->relid, cx->params, private,
							lake->grouped ? lake->tlist : NIL,
							lake->grouped ? NIL : extract_actual_clauses(lake->remote_conds, false),
							outer_plan);
}
