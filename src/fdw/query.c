/*
 * query.c
 *		Whole queries as engine SQL.
 *
 * A query tree after rewriting, level by level.  Tables get the aliases t1, t2,
 * ..., common table expressions w1, w2, ..., and the columns of all but foreign
 * tables are c1, c2, ... by position: PostgreSQL's names can differ in case alone.
 * FROM is written first, since it says what the columns are, and put after the
 * select list.  On the way down the tree of joins go the conditions that hold for
 * every row that counts: by them files are left out.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "fdw/deparse.h"
#include "fdw/prune.h"
#include "fdw/shippable.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_coerce.h"
#include "utils/lsyscache.h"

static bool DeparseFrom(DeparseContext *cx, Node *item, List *quals);

/* ---- FROM ---- */

static DeparseRel *
AddRel(DeparseContext *cx, Index varno, List *forms)
{
	DeparseRel *rel = palloc0(sizeof(DeparseRel));

	rel->number = ++cx->numbers;
	rel->forms = forms;
	cx->scope->rels[varno - 1] = rel;
	return rel;
}

/*
 * The same table may occur often: it is opened once.
 */
static LakeSource *
OpenOnce(DeparseContext *cx, Oid relid)
{
	ListCell   *lc;

	foreach(lc, cx->sources)
	{
		DeparseRel *rel = lfirst(lc);

		if (rel->source->relid == relid)
			return rel->source;
	}
	return SourceOpenToPlan(relid);
}

static bool
DeparseTableItem(DeparseContext *cx, RangeTblEntry *rte, Index varno, List *quals)
{
	DeparseRel *rel;

	if (rte->tablesample != NULL)
		return Obstacle(cx, "TABLESAMPLE");
	if (rte->inh && has_subclass(rte->relid))
		return Obstacle(cx, "table with children");
	rel = DeparseAddSource(cx, OpenOnce(cx, rte->relid));
	cx->scope->rels[varno - 1] = rel;
	rel->prune = PruneRules(cx, rel, varno, quals);
	DeparseSource(cx, rel);
	return true;
}

static bool
DeparseSubqueryItem(DeparseContext *cx, RangeTblEntry *rte, Index varno)
{
	List	   *forms;

	DeparseText(cx, rte->lateral ? "LATERAL (" : "(");
	cx->trim = true;
	cx->used = UsedColumns(cx->scope->query, varno);
	if (!DeparseQuery(cx, rte->subquery, false, &forms))
		return false;
	DeparsePrintf(cx, ") AS t%d", AddRel(cx, varno, forms)->number);
	return true;
}

static bool
DeparseCteItem(DeparseContext *cx, RangeTblEntry *rte, Index varno)
{
	DeparseScope *scope = cx->scope;
	ListCell   *cte;
	ListCell   *rel;

	for (Index up = 0; up < rte->ctelevelsup && scope != NULL; up++)
		scope = scope->outer;
	if (scope == NULL || scope->query == NULL || rte->self_reference)
		return Obstacle(cx, "recursive query");
	forboth(cte, scope->query->cteList, rel, scope->ctes)
	{
		DeparseRel *written = lfirst(rel);

		if (strcmp(lfirst_node(CommonTableExpr, cte)->ctename, rte->ctename) != 0)
			continue;
		DeparsePrintf(cx, "w%d AS t%d", written->number, AddRel(cx, varno, written->forms)->number);
		return true;
	}
	return Obstacle(cx, "common table expression of an unknown kind");
}

static bool
DeparseRow(DeparseContext *cx, List *values, List *forms)
{
	ListCell   *lc;
	ListCell   *form;

	DeparseText(cx, "(");
	forboth(lc, values, form, forms)
	{
		DeparseText(cx, foreach_current_index(lc) > 0 ? ", " : "");
		if (!DeparseAlternative(cx, lfirst(lc), lfirst(form)))
			return false;
	}
	DeparseText(cx, ")");
	return true;
}

/*
 * VALUES: each column is one of the values in it.
 */
static bool
DeparseValuesItem(DeparseContext *cx, RangeTblEntry *rte, Index varno)
{
	List	   *forms = NIL;
	int			ncolumns = list_length(linitial(rte->values_lists));
	DeparseRel *rel;
	ListCell   *lc;

	for (int i = 0; i < ncolumns; i++)
	{
		ValueForm  *form = palloc0(sizeof(ValueForm));
		List	   *values = NIL;
		Oid			type = getBaseType(exprType(list_nth(linitial(rte->values_lists), i)));

		foreach(lc, rte->values_lists)
			values = lappend(values, list_nth(lfirst(lc), i));
		if (EngineTypeName(type) == NULL || type == BPCHAROID)
			return Obstacle(cx, "VALUES of a type that the engine does not know");
		if (type == NUMERICOID && !AlternativesForm(cx, values, form))
			return false;
		if (form->kind == NUMERIC_MIXED)
			form->kind = NUMERIC_TEXT;
		forms = lappend(forms, form);
	}
	DeparseText(cx, "(VALUES ");
	foreach(lc, rte->values_lists)
	{
		DeparseText(cx, foreach_current_index(lc) > 0 ? ", " : "");
		if (!DeparseRow(cx, lfirst(lc), forms))
			return false;
	}
	rel = AddRel(cx, varno, forms);
	DeparsePrintf(cx, ") AS t%d(", rel->number);
	for (int i = 1; i <= ncolumns; i++)
		DeparsePrintf(cx, "%sc%d", i > 1 ? ", " : "", i);
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseRangeTable(DeparseContext *cx, Index varno, List *quals)
{
	RangeTblEntry *rte = list_nth_node(RangeTblEntry, cx->scope->query->rtable, varno - 1);

	if (rte->securityQuals != NIL || rte->security_barrier)
		return Obstacle(cx, "view with a security barrier");
	switch (rte->rtekind)
	{
		case RTE_RELATION:
			return DeparseTableItem(cx, rte, varno, quals);
		case RTE_SUBQUERY:
			return DeparseSubqueryItem(cx, rte, varno);
		case RTE_CTE:
			return DeparseCteItem(cx, rte, varno);
		case RTE_VALUES:
			return DeparseValuesItem(cx, rte, varno);
		default:
			return Obstacle(cx, "function in FROM");
	}
}

static List *
ImplicitAnds(Node *quals)
{
	return quals == NULL ? NIL : make_ands_implicit((Expr *) quals);
}

static bool
DeparseJoin(DeparseContext *cx, JoinExpr *join, List *quals)
{
	static const char *const keywords[] = {
		[JOIN_INNER] = " INNER JOIN ",
		[JOIN_LEFT] = " LEFT JOIN ",
		[JOIN_FULL] = " FULL JOIN ",
		[JOIN_RIGHT] = " RIGHT JOIN "
	};
	List	   *on = ImplicitAnds(join->quals);
	List	   *both = list_concat_copy(quals, on);
	List	   *left = join->jointype == JOIN_INNER ? both : join->jointype == JOIN_LEFT ? quals
		: join->jointype == JOIN_RIGHT ? on : NIL;
	List	   *right = join->jointype == JOIN_INNER ? both : join->jointype == JOIN_LEFT ? on
		: join->jointype == JOIN_RIGHT ? quals : NIL;

	if (join->jointype > JOIN_RIGHT)
		return Obstacle(cx, "join of an unknown kind");
	DeparseText(cx, "(");
	if (!DeparseFrom(cx, join->larg, left))
		return false;
	DeparseText(cx, keywords[join->jointype]);
	if (!DeparseFrom(cx, join->rarg, right))
		return false;
	DeparseText(cx, " ON ");
	if (join->quals == NULL)
		DeparseText(cx, "TRUE");
	else if (!DeparseExpr(cx, (Expr *) join->quals))
		return false;
	DeparseText(cx, ")");
	if (join->rtindex > 0)
	{
		RangeTblEntry *rte = list_nth_node(RangeTblEntry, cx->scope->query->rtable, join->rtindex - 1);
		DeparseRel *rel = palloc0(sizeof(DeparseRel));

		rel->aliases = rte->joinaliasvars;
		cx->scope->rels[join->rtindex - 1] = rel;
	}
	return true;
}

/*
 * quals: those that every row of the item must satisfy to count.
 */
static bool
DeparseFrom(DeparseContext *cx, Node *item, List *quals)
{
	ListCell   *lc;

	if (IsA(item, RangeTblRef))
		return DeparseRangeTable(cx, ((RangeTblRef *) item)->rtindex, quals);
	if (IsA(item, JoinExpr))
		return DeparseJoin(cx, (JoinExpr *) item, quals);
	foreach(lc, castNode(FromExpr, item)->fromlist)
	{
		DeparseText(cx, foreach_current_index(lc) > 0 ? ", " : "");
		if (!DeparseFrom(cx, lfirst(lc), quals))
			return false;
	}
	return true;
}

/* ---- WITH ---- */

static bool
DeparseWith(DeparseContext *cx, Query *query)
{
	ListCell   *lc;

	if (query->hasRecursive)
		return Obstacle(cx, "recursive query");
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);
		DeparseRel *rel = palloc0(sizeof(DeparseRel));

		if (cte->search_clause != NULL || cte->cycle_clause != NULL)
			return Obstacle(cx, "recursive query");
		rel->number = ++cx->numbers;
		DeparsePrintf(cx, "%sw%d AS %s(", foreach_current_index(lc) > 0 ? ", " : "WITH ", rel->number,
					  cte->ctematerialized == CTEMaterializeNever ? "NOT MATERIALIZED " : "");
		if (!DeparseQuery(cx, castNode(Query, cte->ctequery), false, &rel->forms))
			return false;
		DeparseText(cx, ")");
		cx->scope->ctes = lappend(cx->scope->ctes, rel);
	}
	DeparseText(cx, query->cteList != NIL ? " " : "");
	return true;
}

/* ---- SELECT ---- */

/*
 * May rows be compared by a result column?
 */
static bool
Comparable(DeparseContext *cx, SortGroupClause *clause, Expr *expr, const ValueForm *form)
{
	bool		byte_order;

	if (!IsDefaultEquality(clause->eqop, exprType((Node *) expr)) ||
		!ExprSortable(expr, exprCollation((Node *) expr), &byte_order) || form->opaque)
		return Obstacle(cx, "equality of its own");
	if (getBaseType(exprType((Node *) expr)) == NUMERICOID && form->kind != NUMERIC_FIXED)
		return Obstacle(cx, "distinct numerics of different scales");
	return true;
}

static bool
DeparseDistinct(DeparseContext *cx, Query *query)
{
	ListCell   *lc;

	if (query->distinctClause == NIL)
		return true;
	DeparseText(cx, "DISTINCT ");
	if (!query->hasDistinctOn)
		return true;
	foreach(lc, query->distinctClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *expr = (Expr *) get_sortgroupclause_expr(clause, query->targetList);

		DeparseText(cx, foreach_current_index(lc) == 0 ? "ON (" : ", ");
		if (!IsDefaultEquality(clause->eqop, exprType((Node *) expr)))
			return Obstacle(cx, "equality of its own");
		if (!DeparseGroupKey(cx, expr))
			return false;
	}
	DeparseText(cx, ") ");
	return true;
}

/*
 * May a result column be left out?  Without those of an aggregate over all rows,
 * there would be another number of rows.
 */
static bool
IsSuperfluous(DeparseScope *scope, AttrNumber column)
{
	Query	   *query = scope->query;

	if (!scope->trimmed || query->distinctClause != NIL ||
		(query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL))
		return false;
	return !bms_is_member(column, scope->used);
}

static bool
DeparseTargets(DeparseContext *cx, Query *query, bool final, List **forms)
{
	bool		plain = query->groupClause == NIL && query->groupingSets == NIL && !query->hasAggs &&
		query->distinctClause == NIL;
	bool		first = true;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		ValueForm  *form = palloc0(sizeof(ValueForm));

		if (tle->resjunk)
			continue;
		if (IsSuperfluous(cx->scope, list_length(*forms) + 1))
		{
			form->opaque = true;
			*forms = lappend(*forms, form);
			continue;
		}
		DeparseText(cx, first ? "" : ", ");
		first = false;
		if (!(final ? DeparseResult(cx, tle->expr, plain, form) : DeparseOutput(cx, tle->expr, form)))
			return false;
		if (query->distinctClause != NIL && !query->hasDistinctOn &&
			!Comparable(cx, get_sortgroupref_clause(tle->ressortgroupref, query->distinctClause),
						tle->expr, form))
			return false;
		*forms = lappend(*forms, form);
		DeparsePrintf(cx, " AS c%d", list_length(*forms));
	}
	if (first)
		DeparseText(cx, "NULL AS c1");
	return true;
}

static bool
DeparseGroupRef(DeparseContext *cx, Query *query, Index ref)
{
	SortGroupClause *clause = get_sortgroupref_clause(ref, query->groupClause);
	Expr	   *expr = (Expr *) get_sortgroupclause_expr(clause, query->targetList);

	if (!IsDefaultEquality(clause->eqop, exprType((Node *) expr)))
		return Obstacle(cx, "equality of its own");
	return DeparseGroupKey(cx, expr);
}

static bool
DeparseGroupRefs(DeparseContext *cx, Query *query, List *refs)
{
	ListCell   *lc;

	DeparseText(cx, "(");
	foreach(lc, refs)
	{
		DeparseText(cx, foreach_current_index(lc) > 0 ? ", " : "");
		if (!DeparseGroupRef(cx, query, lfirst_int(lc)))
			return false;
	}
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseGroupingSet(DeparseContext *cx, Query *query, GroupingSet *set)
{
	ListCell   *lc;

	switch (set->kind)
	{
		case GROUPING_SET_EMPTY:
			DeparseText(cx, "()");
			return true;
		case GROUPING_SET_SIMPLE:
			return DeparseGroupRefs(cx, query, set->content);
		case GROUPING_SET_ROLLUP:
			DeparseText(cx, "ROLLUP (");
			break;
		case GROUPING_SET_CUBE:
			DeparseText(cx, "CUBE (");
			break;
		case GROUPING_SET_SETS:
			DeparseText(cx, "GROUPING SETS (");
			break;
	}
	foreach(lc, set->content)
	{
		DeparseText(cx, foreach_current_index(lc) > 0 ? ", " : "");
		if (!DeparseGroupingSet(cx, query, lfirst_node(GroupingSet, lc)))
			return false;
	}
	DeparseText(cx, ")");
	return true;
}

static bool
DeparseGroupBy(DeparseContext *cx, Query *query)
{
	ListCell   *lc;

	if (query->groupDistinct && query->groupingSets != NIL)
		return Obstacle(cx, "GROUP BY DISTINCT");
	foreach(lc, query->groupingSets)
	{
		DeparseText(cx, foreach_current_index(lc) == 0 ? " GROUP BY " : ", ");
		if (!DeparseGroupingSet(cx, query, lfirst_node(GroupingSet, lc)))
			return false;
	}
	if (query->groupingSets != NIL)
		return true;
	foreach(lc, query->groupClause)
	{
		DeparseText(cx, foreach_current_index(lc) == 0 ? " GROUP BY " : ", ");
		if (!DeparseGroupRef(cx, query, lfirst_node(SortGroupClause, lc)->tleSortGroupRef))
			return false;
	}
	return true;
}

/*
 * What is constant gives no order, and means a position if it is a number.
 */
static bool
DeparseOrderBy(DeparseContext *cx, Query *query)
{
	const char *separator = " ORDER BY ";
	ListCell   *lc;

	foreach(lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Expr	   *expr = (Expr *) get_sortgroupclause_expr(clause, query->targetList);

		if (IsRuntimeConstant(expr))
			continue;
		DeparseText(cx, separator);
		separator = ", ";
		if (!DeparseOrderItem(cx, clause, expr))
			return false;
	}
	return true;
}

static bool
DeparseCount(DeparseContext *cx, const char *keyword, Node *count)
{
	Const	   *value = (Const *) count;

	if (count == NULL || (IsA(count, Const) && value->constisnull))
		return true;
	if (IsA(count, Const) && DatumGetInt64(value->constvalue) == 0 && strcmp(keyword, " OFFSET ") == 0)
		return true;
	DeparseText(cx, keyword);
	if (!IsA(count, Const))
		return DeparseExpr(cx, (Expr *) count);
	if (DatumGetInt64(value->constvalue) < 0)
		return Obstacle(cx, "negative LIMIT");
	DeparsePrintf(cx, INT64_FORMAT, DatumGetInt64(value->constvalue));
	return true;
}

static bool
DeparseLimit(DeparseContext *cx, Query *query)
{
	if (query->limitOption == LIMIT_OPTION_WITH_TIES)
		return Obstacle(cx, "WITH TIES");
	return DeparseCount(cx, " LIMIT ", query->limitCount) &&
		DeparseCount(cx, " OFFSET ", query->limitOffset);
}

static bool
DeparseSelect(DeparseContext *cx, Query *query, bool final, List **forms)
{
	List	   *diverted = DeparseDivert(cx);
	List	   *from;
	bool		inside = cx->in_aggregate;
	bool		ok;

	cx->aggregates = false;
	cx->in_aggregate |= query->hasAggs || query->groupClause != NIL || query->groupingSets != NIL;
	ok = DeparseFrom(cx, (Node *) query->jointree, ImplicitAnds(query->jointree->quals));
	cx->in_aggregate = inside;
	from = DeparseTake(cx, diverted);
	if (!ok)
		return false;
	DeparseText(cx, "SELECT ");
	cx->aggregates = true;
	if (!DeparseDistinct(cx, query) || !DeparseTargets(cx, query, final, forms))
		return false;
	cx->aggregates = false;
	if (from != NIL)
		DeparseText(cx, " FROM ");
	DeparsePut(cx, from);
	if (query->jointree->quals != NULL)
	{
		DeparseText(cx, " WHERE ");
		if (!DeparseExpr(cx, (Expr *) query->jointree->quals))
			return false;
	}
	if (!DeparseGroupBy(cx, query))
		return false;
	cx->aggregates = true;
	if (query->havingQual != NULL)
	{
		DeparseText(cx, " HAVING ");
		if (!DeparseExpr(cx, (Expr *) query->havingQual))
			return false;
	}
	return DeparseOrderBy(cx, query) && DeparseLimit(cx, query);
}

/* ---- set operations ---- */

/*
 * A leaf's columns in the types of the whole operation.
 */
static bool
DeparseCoerced(DeparseContext *cx, SetOperationStmt *op, Index varno, Query *leaf, List **forms)
{
	List	   *diverted = DeparseDivert(cx);
	List	   *inner;
	DeparseRel *rel;
	bool		ok = DeparseQuery(cx, leaf, false, forms);
	ListCell   *lc;
	AttrNumber	attnum = 0;

	inner = DeparseTake(cx, diverted);
	if (!ok)
		return false;
	rel = AddRel(cx, varno, *forms);
	*forms = NIL;
	DeparseText(cx, "SELECT ");
	foreach(lc, leaf->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		ValueForm  *form = palloc0(sizeof(ValueForm));
		Node	   *column;

		if (tle->resjunk)
			continue;
		column = (Node *) makeVar(varno, ++attnum, exprType((Node *) tle->expr),
								  exprTypmod((Node *) tle->expr), exprCollation((Node *) tle->expr), 0);
		column = coerce_to_common_type(NULL, column, list_nth_oid(op->colTypes, attnum - 1),
									   "UNION/INTERSECT/EXCEPT");
		DeparseText(cx, attnum > 1 ? ", " : "");
		if (!DeparseOutput(cx, (Expr *) column, form))
			return false;
		DeparsePrintf(cx, " AS c%d", attnum);
		*forms = lappend(*forms, form);
	}
	DeparseText(cx, " FROM (");
	DeparsePut(cx, inner);
	DeparsePrintf(cx, ") AS t%d", rel->number);
	return true;
}

static bool
TypesFit(SetOperationStmt *op, List *targets)
{
	ListCell   *type = list_head(op->colTypes);
	ListCell   *lc;

	foreach(lc, targets)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		if (exprType((Node *) tle->expr) != lfirst_oid(type))
			return false;
		type = lnext(op->colTypes, type);
	}
	return true;
}

/*
 * Can the same column of both sides be one?  It takes on a form that holds both.
 */
static bool
MergeForms(DeparseContext *cx, SetOperationStmt *op, int column, ValueForm *left, const ValueForm *right)
{
	Oid			type = getBaseType(list_nth_oid(op->colTypes, column));
	Oid			collation = list_nth_oid(op->colCollations, column);
	bool		all = op->op == SETOP_UNION && op->all;

	if (left->opaque != right->opaque || (left->opaque && !all))
		return Obstacle(cx, "set operation over a type that the engine does not know");
	if (!all && !CollationByteEqual(collation))
		return Obstacle(cx, "nondeterministic collation");
	if (left->width != right->width)
		left->width = 0;
	left->rel = NULL;
	if (type != NUMERICOID)
		return true;
	if (left->kind != right->kind || left->shape.scale != right->shape.scale ||
		(left->kind == NUMERIC_TEXT && !all))
		return Obstacle(cx, "set operation over numerics of different scales");
	left->shape.precision = Max(left->shape.precision, right->shape.precision);
	return true;
}

static bool
DeparseSetItem(DeparseContext *cx, Query *query, SetOperationStmt *parent, Node *node, List **forms)
{
	static const char *const keywords[] = {
		[SETOP_UNION] = ") UNION ",
		[SETOP_INTERSECT] = ") INTERSECT ",
		[SETOP_EXCEPT] = ") EXCEPT "
	};
	SetOperationStmt *op = (SetOperationStmt *) node;
	List	   *right;
	ListCell   *l;
	ListCell   *r;

	*forms = NIL;
	if (IsA(node, RangeTblRef))
	{
		Index		varno = ((RangeTblRef *) node)->rtindex;
		Query	   *leaf = list_nth_node(RangeTblEntry, query->rtable, varno - 1)->subquery;

		return TypesFit(parent, leaf->targetList) ? DeparseQuery(cx, leaf, false, forms)
			: DeparseCoerced(cx, parent, varno, leaf, forms);
	}
	if (op->op == SETOP_NONE)
		return Obstacle(cx, "set operation of an unknown kind");
	DeparseText(cx, "(");
	if (!DeparseSetItem(cx, query, op, op->larg, forms))
		return false;
	DeparseText(cx, keywords[op->op]);
	DeparseText(cx, op->all ? "ALL (" : "(");
	if (!DeparseSetItem(cx, query, op, op->rarg, &right))
		return false;
	DeparseText(cx, ")");
	forboth(l, *forms, r, right)
		if (!MergeForms(cx, op, foreach_current_index(l), lfirst(l), lfirst(r)))
			return false;
	return true;
}

/*
 * A set operation is sorted by its columns.
 */
static bool
DeparseSetOrder(DeparseContext *cx, Query *query, List *forms)
{
	ListCell   *lc;

	foreach(lc, query->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, query->targetList);
		Oid			type = exprType((Node *) tle->expr);
		ValueForm  *form = list_nth(forms, tle->resno - 1);
		bool		byte_order;

		if (form->opaque || !IsDefaultSortOperator(clause->sortop, type) ||
			(getBaseType(type) == NUMERICOID && form->kind != NUMERIC_FIXED) ||
			!ExprSortable(tle->expr, exprCollation((Node *) tle->expr), &byte_order) || !byte_order)
			return Obstacle(cx, "order of a collation or type of its own");
		DeparsePrintf(cx, "%s%d%s%s", foreach_current_index(lc) == 0 ? " ORDER BY " : ", ", tle->resno,
					  IsDescendingOperator(clause->sortop, type) ? " DESC" : " ASC",
					  clause->nulls_first ? " NULLS FIRST" : " NULLS LAST");
	}
	return true;
}

static bool
DeparseSetQuery(DeparseContext *cx, Query *query, bool final, List **forms)
{
	ListCell   *lc;

	if (!DeparseSetItem(cx, query, NULL, query->setOperations, forms))
		return false;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (final && getBaseType(exprType((Node *) tle->expr)) == BPCHAROID &&
			exprTypmod((Node *) tle->expr) < 0)
			return Obstacle(cx, "character of unknown length");
	}
	return DeparseSetOrder(cx, query, *forms) && DeparseLimit(cx, query);
}

/* ---- entry ---- */

static bool
QueryIsKnown(DeparseContext *cx, Query *query)
{
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL || query->hasModifyingCTE)
		return Obstacle(cx, "command that is not a SELECT");
	if (query->rowMarks != NIL || query->hasForUpdate)
		return Obstacle(cx, "locking of rows");
	if (query->hasRowSecurity)
		return Obstacle(cx, "row-level security");
	if (query->hasTargetSRFs)
		return Obstacle(cx, "function that returns rows");
	return true;
}

static void
EnterScope(DeparseContext *cx, DeparseScope *scope, Query *query)
{
	memset(scope, 0, sizeof(*scope));
	scope->outer = cx->scope;
	scope->query = query;
	scope->trimmed = cx->trim;
	scope->used = cx->used;
	cx->trim = false;
	scope->nrels = list_length(query->rtable);
	scope->rels = palloc0(Max(scope->nrels, 1) * sizeof(DeparseRel *));
#if PG_VERSION_NUM >= 180000
	for (int i = 0; i < scope->nrels; i++)
	{
		RangeTblEntry *rte = list_nth_node(RangeTblEntry, query->rtable, i);

		if (rte->rtekind != RTE_GROUP)
			continue;
		scope->rels[i] = palloc0(sizeof(DeparseRel));
		scope->rels[i]->aliases = rte->groupexprs;
	}
#endif
	cx->scope = scope;
}

bool
DeparseQuery(DeparseContext *cx, Query *query, bool final, List **forms)
{
	DeparseScope *scope = palloc(sizeof(DeparseScope));
	bool		aggregates = cx->aggregates;
	Expr	   *case_arg = cx->case_arg;
	DeparseRel *tested = cx->tested;
	bool		ok;

	*forms = NIL;
	if (!QueryIsKnown(cx, query))
		return false;			/* cx is of no use any more */
	EnterScope(cx, scope, query);
	cx->case_arg = NULL;
	cx->tested = NULL;
	ok = DeparseWith(cx, query) &&
		(query->setOperations != NULL ? DeparseSetQuery(cx, query, final, forms)
		 : DeparseSelect(cx, query, final, forms));
	cx->scope = scope->outer;
	cx->aggregates = aggregates;
	cx->case_arg = case_arg;
	cx->tested = tested;
	return ok;
}
