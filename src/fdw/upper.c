/*
 * upper.c
 *		What the engine computes above a scan: groups, DISTINCT, order, LIMIT.
 *
 * Each step is offered only if all below it was: a filter that PostgreSQL
 * evaluates itself keeps everything above it here, too.  Where an expression over
 * aggregates cannot be shipped, the aggregates are and PostgreSQL computes the
 * expression from them.
 */
#include "postgres.h"

#include <math.h>

#include "base/compat.h"
#include "fdw/deparse.h"
#include "fdw/plan.h"
#include "fdw/shippable.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* What grouping costs the engine per row, relative to an operator. */
#define ENGINE_GROUP_FACTOR 0.2

/* What it costs to end a statement before its last row. */
#define CUT_OFF_COST 20.0

/* ---- grouping ---- */

static bool
Stays(LakeRel *lake, const char *what, const char *obstacle)
{
	lake->obstacles = lappend(lake->obstacles, psprintf("%s: %s", what, obstacle));
	return false;
}

/*
 * Add a grouping column to what the engine returns.
 */
static bool
AddGroupColumn(LakeRel *input, LakeRel *grouped, SortGroupClause *clause, Expr *expr, Index ref)
{
	TargetEntry *tle;
	const char *obstacle = "grouping by a constant";
	DeparseContext *cx = DeparseBegin(input->tables);

	if (IsRuntimeConstant(expr) || !OutputShippable(input->tables, expr, &obstacle))
		return Stays(input, "grouping", obstacle);
	if (!IsDefaultEquality(clause->eqop, exprType((Node *) expr)))
		return Stays(input, "grouping", "equality of its own");
	cx->aggregates = true;
	if (!DeparseGroupKey(cx, expr))
		return Stays(input, "grouping", cx->obstacle);
	tle = makeTargetEntry(expr, list_length(grouped->tlist) + 1, NULL, false);
	tle->ressortgroupref = ref;
	grouped->tlist = lappend(grouped->tlist, tle);
	grouped->group_positions = lappend_int(grouped->group_positions, tle->resno);
	return true;
}

/*
 * Add the aggregates of an expression.  Columns outside of them are grouped by,
 * or part of an expression that is, and so there already.
 */
static bool
AddAggregates(LakeRel *input, LakeRel *grouped, Node *expr)
{
	List	   *parts = pull_var_clause(expr, PVC_INCLUDE_AGGREGATES | PVC_INCLUDE_PLACEHOLDERS);
	ListCell   *lc;

	foreach(lc, parts)
	{
		Expr	   *part = lfirst(lc);
		const char *obstacle = "expression of an unknown kind";

		if (IsA(part, Var))
			continue;
		if (!IsA(part, Aggref) || !OutputShippable(input->tables, part, &obstacle))
			return Stays(input, "aggregation", obstacle);
		grouped->tlist = add_to_flat_tlist(grouped->tlist, list_make1(part));
	}
	return true;
}

/*
 * Collect the columns and aggregates of a grouped relation's target.
 */
static bool
AddTargets(LakeRel *input, LakeRel *grouped, PathTarget *target, List *clauses)
{
	int			i = 0;
	ListCell   *lc;

	foreach(lc, target->exprs)
	{
		Expr	   *expr = lfirst(lc);
		Index		ref = get_pathtarget_sortgroupref(target, i);
		SortGroupClause *clause = ref ? get_sortgroupref_clause_noerr(ref, clauses) : NULL;

		i++;
		if (clause != NULL)
		{
			if (!AddGroupColumn(input, grouped, clause, expr, ref))
				return false;
		}
		else if (!AddAggregates(input, grouped, (Node *) expr))
			return false;
	}
	return true;
}

/*
 * Does the target hold every grouping expression?  If one was left out, the
 * engine would group by fewer.
 */
static bool
AllGrouped(LakeRel *input, LakeRel *grouped, List *clauses)
{
	if (list_length(grouped->group_positions) >= list_length(clauses))
		return true;
	return Stays(input, "grouping", "expression that is not in the result");
}

static bool
AddHaving(LakeRel *input, LakeRel *grouped, List *having)
{
	ListCell   *lc;

	foreach(lc, having)
	{
		Expr	   *expr = lfirst(lc);
		const char *obstacle;

		if (ExprShippable(input->tables, expr, true, &obstacle))
		{
			grouped->having_remote = lappend(grouped->having_remote, expr);
			continue;
		}
		(void) Stays(input, "having", obstacle);
		grouped->having_local = lappend(grouped->having_local, expr);
		if (!AddAggregates(input, grouped, (Node *) expr))
			return false;
	}
	return true;
}

/*
 * The engine reads what a plain scan would, and returns one row a group.
 */
static void
EstimateGroups(PlannerInfo *root, LakeRel *input, LakeRel *grouped, List *clauses, double *rows)
{
	double		groups = 1;
	Selectivity local = 1;

	if (clauses != NIL)
		groups = estimate_num_groups(root,
									 get_sortgrouplist_exprs(clauses, root->parse->targetList),
									 input->rows, NULL, NULL);
	grouped->rows = clamp_row_est(groups);
	grouped->source_rows = input->source_rows;
	grouped->startup = input->total + input->rows * cpu_operator_cost * ENGINE_GROUP_FACTOR *
		Max(list_length(grouped->tlist), 1);
	grouped->total = grouped->startup;
	if (grouped->having_local != NIL)
		local = clauselist_selectivity(root, grouped->having_local, 0, JOIN_INNER, NULL);
	*rows = clamp_row_est(grouped->rows * local);
}

static LakeRel *
MakeGrouped(LakeRel *input)
{
	LakeRel    *grouped = palloc0(sizeof(LakeRel));

	grouped->source = input->source;
	grouped->base = input->base;
	grouped->tables = input->tables;
	grouped->remote_conds = input->remote_conds;
	grouped->prune_clauses = input->prune_clauses;
	grouped->grouped = true;
	return grouped;
}

static void
AddUpperPath(PlannerInfo *root, RelOptInfo *rel, PathTarget *target, LakeRel *lake, double rows, List *keys,
			 List *private)
{
	Cost		total = lake->total + lake->rows * cpu_tuple_cost + rows * target->cost.per_tuple;

	add_path(rel, (Path *)
			 CreateForeignUpperPath(root, rel, target, rows, lake->startup + target->cost.startup,
									total + target->cost.startup, keys, private));
}

/*
 * Offer a relation of groups, if all of it can be shipped.
 */
static void
TryGrouping(PlannerInfo *root, LakeRel *input, RelOptInfo *output, PathTarget *target,
			List *clauses, List *having)
{
	LakeRel    *grouped;
	double		rows;

	if (input->local_conds != NIL || input->grouped)
		return;
	grouped = MakeGrouped(input);
	if (!AddTargets(input, grouped, target, clauses) || !AllGrouped(input, grouped, clauses) ||
		!AddHaving(input, grouped, having))
		return;
	grouped->obstacles = list_copy(input->obstacles);
	EstimateGroups(root, input, grouped, clauses, &rows);
	output->fdw_private = grouped;
	output->rows = rows;
	AddUpperPath(root, output, target, grouped, rows, NIL, NIL);
}

static void
GroupedPaths(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, GroupPathExtraData *extra)
{
	LakeRel    *lake = input->fdw_private;
	Query	   *parse = root->parse;

	if (extra->patype == PARTITIONWISE_AGGREGATE_PARTIAL || !IS_SIMPLE_REL(input))
		return;
	if (!parse->hasAggs && parse->groupClause == NIL)
		return;
	if (parse->groupingSets != NIL)
	{
		(void) Stays(lake, "grouping", "grouping sets");
		return;
	}
	TryGrouping(root, lake, output, output->reltarget, parse->groupClause,
				(List *) extra->havingQual);
}

/*
 * SELECT DISTINCT over a plain scan groups by all that it selects.
 */
static void
DistinctPaths(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output)
{
	Query	   *parse = root->parse;

	if (!IS_SIMPLE_REL(input) || parse->hasDistinctOn || parse->hasTargetSRFs || parse->hasWindowFuncs)
		return;
	TryGrouping(root, input->fdw_private, output, root->upper_targets[UPPERREL_DISTINCT],
				parse->distinctClause, NIL);
}

/* ---- order and limit ---- */

/*
 * Can the engine sort a relation's rows as the query wants them?
 */
static bool
CanSort(PlannerInfo *root, LakeRel *lake)
{
	ListCell   *lc;

	foreach(lc, root->sort_pathkeys)
	{
		bool		descending;

		if (SortExpression(lake, lfirst(lc), &descending) == NULL)
			return Stays(lake, "order", "an expression or collation of its own");
	}
	return true;
}

/*
 * Everything that stands below order and limit is the engine's.
 */
static bool
WholeIsShipped(LakeRel *lake)
{
	return lake->local_conds == NIL && lake->having_local == NIL;
}

/*
 * Sorting, of which only the first rows may be wanted.
 */
static Cost
SortCost(LakeRel *lake, double wanted)
{
	return lake->rows * log2(Max(Min(lake->rows, wanted), 2)) * cpu_operator_cost * ENGINE_GROUP_FACTOR;
}

static void
OrderedPaths(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output)
{
	LakeRel    *lake = input->fdw_private;
	LakeRel    *ordered;
	PathTarget *target = root->upper_targets[UPPERREL_ORDERED];
	Cost		sort;

	if (root->parse->hasTargetSRFs || lake->input != NULL || !WholeIsShipped(lake) || !CanSort(root, lake))
		return;
	ordered = palloc(sizeof(LakeRel));
	*ordered = *lake;
	ordered->input = input;
	output->fdw_private = ordered;
	sort = SortCost(lake, lake->rows);
	add_path(output, (Path *)
			 CreateForeignUpperPath(root, input, target, input->rows,
									lake->total + sort + target->cost.startup,
									lake->total + sort + target->cost.startup +
									lake->rows * (cpu_tuple_cost + target->cost.per_tuple),
									root->sort_pathkeys, list_make2_int(true, false)));
}

/*
 * Limit and offset must be known when the scan starts.
 */
static bool
LimitShippable(Node *expr)
{
	return expr == NULL || IsRuntimeConstant((Expr *) expr);
}

static void
FinalPaths(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, FinalPathExtraData *extra)
{
	Query	   *parse = root->parse;
	LakeRel    *lake = input->fdw_private;
	bool		sorted = lake->input != NULL;
	PathTarget *target = root->upper_targets[UPPERREL_FINAL];
	double		rows;
	Cost		startup;
	Cost		total;

	if (!extra->limit_needed || parse->commandType != CMD_SELECT || parse->rowMarks != NIL ||
		parse->hasTargetSRFs || parse->limitOption == LIMIT_OPTION_WITH_TIES ||
		!LimitShippable(parse->limitCount) || !LimitShippable(parse->limitOffset))
		return;
	if (sorted)
	{
		input = lake->input;
		lake = input->fdw_private;
	}
	else if (parse->sortClause != NIL && root->sort_pathkeys != NIL)
		return;
	if (!WholeIsShipped(lake))
		return;
	rows = input->rows;
	total = lake->total + rows * (cpu_tuple_cost + target->cost.per_tuple);
	startup = lake->startup;
	if (sorted)
	{
		double		wanted = Max(extra->count_est, 0) + Max(extra->offset_est, 0);

		startup = lake->total + SortCost(lake, wanted > 0 ? wanted : rows);
		total += startup - lake->total;
	}
	adjust_limit_rows_costs(&rows, &startup, &total, extra->offset_est, extra->count_est);

	/* A statement that ends by itself need not be cut off. */
	startup -= CUT_OFF_COST;
	total -= CUT_OFF_COST;
	add_path(output, (Path *)
			 CreateForeignUpperPath(root, input, target, rows, startup + target->cost.startup,
									total + target->cost.startup,
									sorted ? root->sort_pathkeys : NIL,
									list_make2_int(sorted, true)));
}

void
LakeGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input,
						 RelOptInfo *output, void *extra)
{
	/* PostgreSQL tests conditions without columns above a scan, and would not above these */
	if (input->fdw_private == NULL || output->fdw_private != NULL || root->hasPseudoConstantQuals)
		return;
	switch (stage)
	{
		case UPPERREL_GROUP_AGG:
			GroupedPaths(root, input, output, extra);
			break;
		case UPPERREL_DISTINCT:
			DistinctPaths(root, input, output);
			break;
		case UPPERREL_ORDERED:
			OrderedPaths(root, input, output);
			break;
		case UPPERREL_FINAL:
			FinalPaths(root, input, output, extra);
			break;
		default:
			break;
	}
}
