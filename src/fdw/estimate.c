/*
 * estimate.c
 *		How many rows a statement that the engine runs whole returns.
 *
 * PostgreSQL does not plan such a query, but its estimates for conditions and for
 * groups can be asked: for that, a query level gets a PlannerInfo with a relation
 * for each of its tables, whose rows are those of the snapshot.  A join is taken
 * for one along keys: as many rows as its largest table, reduced by the conditions
 * on each of its tables.
 */
#include "postgres.h"

#include "fdw/deparse.h"
#include "fdw/estimate.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/tlist.h"
#include "utils/selfuncs.h"

/* Of conditions and groups that cannot be estimated. */
#define UNKNOWN_SELECTIVITY 0.3333
#define UNKNOWN_GROUPS 200.0

/* One query level, and those around it. */
typedef struct Level
{
	struct Level *outer;
	Query	   *query;
	PlannerInfo *root;
	List	   *sources;		/* of DeparseRel * */
} Level;

static double QueryRows(Level *outer, PlannerGlobal *glob, Query *query, List *sources);

/* ---- what PostgreSQL can estimate ---- */

static bool
IsForeignWalker(Node *node, Level *level)
{
	Var		   *var = (Var *) node;

	if (node == NULL)
		return false;
	if (IsA(node, SubLink) || IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, GroupingFunc) ||
		IsA(node, Query) || IsA(node, PlaceHolderVar))
		return true;
	if (IsA(node, Var))
		return var->varlevelsup > 0 || var->varno < 1 || var->varno >= level->root->simple_rel_array_size ||
			level->root->simple_rel_array[var->varno] == NULL;
	return expression_tree_walker(node, IsForeignWalker, level);
}

/*
 * Is an expression one over the tables of its level alone?
 */
static bool
IsPlain(Level *level, Node *node)
{
	return !IsForeignWalker(node, level);
}

/* ---- FROM ---- */

static double
CteRows(Level *level, RangeTblEntry *rte)
{
	Level	   *owner = level;
	ListCell   *lc;

	for (Index up = 0; up < rte->ctelevelsup && owner != NULL; up++)
		owner = owner->outer;
	if (owner == NULL || rte->self_reference)
		return UNKNOWN_GROUPS;
	foreach(lc, owner->query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return QueryRows(owner, level->root->glob, castNode(Query, cte->ctequery), level->sources);
	}
	return UNKNOWN_GROUPS;
}

static double
TableRows(Level *level, Oid relid)
{
	ListCell   *lc;

	foreach(lc, level->sources)
	{
		DeparseRel *rel = lfirst(lc);

		if (rel->source->relid == relid)
			return SourceTotalRows(rel->source);
	}
	return UNKNOWN_GROUPS;
}

static double
EntryRows(Level *level, RangeTblEntry *rte)
{
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return TableRows(level, rte->relid);
		case RTE_SUBQUERY:
			return QueryRows(level, level->root->glob, rte->subquery, level->sources);
		case RTE_CTE:
			return CteRows(level, rte);
		case RTE_VALUES:
			return list_length(rte->values_lists);
		default:
			return UNKNOWN_GROUPS;
	}
}

static void
AddRelation(Level *level, Index varno)
{
	RangeTblEntry *rte = level->root->simple_rte_array[varno];
	RelOptInfo *rel;

	rte->inh = false;			/* tables with children are not shipped; statistics are of the table alone */
	rel = build_simple_rel(level->root, varno, NULL);
	rel->tuples = rel->rows = clamp_row_est(EntryRows(level, rte));
}

/*
 * Relations of a tree of joins, with its conditions.
 */
static void
AddRelations(Level *level, Node *node, List **quals)
{
	if (node == NULL)
		return;
	if (IsA(node, RangeTblRef))
		AddRelation(level, ((RangeTblRef *) node)->rtindex);
	else if (IsA(node, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) node;

		AddRelations(level, join->larg, quals);
		AddRelations(level, join->rarg, quals);
		if (join->jointype == JOIN_INNER)
			*quals = list_concat(*quals, make_ands_implicit((Expr *) join->quals));
	}
	else
	{
		FromExpr   *from = castNode(FromExpr, node);
		ListCell   *lc;

		foreach(lc, from->fromlist)
			AddRelations(level, lfirst(lc), quals);
		*quals = list_concat(*quals, make_ands_implicit((Expr *) from->quals));
	}
}

/*
 * Rows of a join along keys; of two tables without a condition between them, all
 * pairs.
 */
static double
JoinedRows(Level *level, bool joined)
{
	double		largest = 1;
	double		product = 1;

	for (int i = 1; i < level->root->simple_rel_array_size; i++)
	{
		RelOptInfo *rel = level->root->simple_rel_array[i];

		if (rel == NULL)
			continue;
		largest = Max(largest, rel->rows);
		product *= rel->rows;
	}
	return joined ? largest : product;
}

static double
FromRows(Level *level)
{
	List	   *quals = NIL;
	Selectivity selectivity = 1;
	bool		joined = false;
	ListCell   *lc;

	AddRelations(level, (Node *) level->query->jointree, &quals);
	foreach(lc, quals)
	{
		Node	   *qual = lfirst(lc);

		if (!IsPlain(level, qual))
			selectivity *= UNKNOWN_SELECTIVITY;
		else if (bms_num_members(pull_varnos(level->root, qual)) > 1)
			joined = true;
		else
			selectivity *= clause_selectivity(level->root, qual, 0, JOIN_INNER, NULL);
	}
	return clamp_row_est(JoinedRows(level, joined) * selectivity);
}

/* ---- the rest of a query ---- */

static double
Groups(Level *level, List *clauses, double rows)
{
	List	   *exprs = get_sortgrouplist_exprs(clauses, level->query->targetList);

	if (!IsPlain(level, (Node *) exprs))
		return Min(rows, UNKNOWN_GROUPS);
	return estimate_num_groups(level->root, exprs, rows, NULL, NULL);
}

static double
SetRows(Level *level, Node *node)
{
	SetOperationStmt *op = (SetOperationStmt *) node;
	double		left;

	if (IsA(node, RangeTblRef))
		return EntryRows(level, list_nth_node(RangeTblEntry, level->query->rtable,
											  ((RangeTblRef *) node)->rtindex - 1));
	left = SetRows(level, op->larg);
	if (op->op == SETOP_UNION)
		return left + SetRows(level, op->rarg);
	return op->op == SETOP_INTERSECT ? Min(left, SetRows(level, op->rarg)) : left;
}

static double
SelectRows(Level *level)
{
	Query	   *query = level->query;
	double		rows = FromRows(level);

	if (query->groupingSets != NIL)
		rows = Min(rows, UNKNOWN_GROUPS * list_length(query->groupingSets));
	else if (query->groupClause != NIL)
		rows = Groups(level, query->groupClause, rows);
	else if (query->hasAggs)
		rows = 1;
	if (query->havingQual != NULL)
		rows *= UNKNOWN_SELECTIVITY;
	if (query->distinctClause != NIL)
		rows = Groups(level, query->distinctClause, clamp_row_est(rows));
	return rows;
}

static double
Limited(Query *query, double rows)
{
	Const	   *offset = (Const *) query->limitOffset;
	Const	   *count = (Const *) query->limitCount;

	if (offset != NULL && IsA(offset, Const) && !offset->constisnull)
		rows -= Min(rows, (double) DatumGetInt64(offset->constvalue));
	if (count != NULL && IsA(count, Const) && !count->constisnull)
		rows = Min(rows, (double) DatumGetInt64(count->constvalue));
	return rows;
}

static double
QueryRows(Level *outer, PlannerGlobal *glob, Query *query, List *sources)
{
	Level		level = {outer, query, makeNode(PlannerInfo), sources};
	double		rows;

	level.root->glob = glob;
	level.root->parse = query;
	level.root->query_level = 1;
	level.root->planner_cxt = CurrentMemoryContext;
	setup_simple_rel_arrays(level.root);
	rows = query->setOperations != NULL ? SetRows(&level, query->setOperations) : SelectRows(&level);
	return clamp_row_est(Limited(query, clamp_row_est(rows)));
}

double
EstimateQueryRows(PlannerGlobal *glob, Query *query, List *sources)
{
	return QueryRows(NULL, glob, query, sources);
}
