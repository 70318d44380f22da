/*
 * used.c
 *		Which columns of a subquery a query makes use of.
 *
 * A view often selects all columns of its table, and what reads it a few.  What
 * is not used is not written, since the engine would have to plan it first.
 */
#include "postgres.h"

#include "fdw/deparse.h"
#include "nodes/nodeFuncs.h"

typedef struct Search
{
	Index		varno;
	Query	   *query;			/* whose range table has it */
	Index		depth;			/* query levels below that */
	Bitmapset  *used;
} Search;

static bool UsedWalker(Node *node, Search *search);

/*
 * A column of a join is an expression over what is joined.
 */
static bool
VisitVar(Var *var, Search *search)
{
	RangeTblEntry *rte;

	if (var->varlevelsup != search->depth || var->varno < 1 || var->varno > list_length(search->query->rtable))
		return false;
	if (var->varno == search->varno)
	{
		if (var->varattno > 0)
			search->used = bms_add_member(search->used, var->varattno);
		return false;
	}
	rte = list_nth_node(RangeTblEntry, search->query->rtable, var->varno - 1);
	if (rte->rtekind == RTE_JOIN && var->varattno > 0 && var->varattno <= list_length(rte->joinaliasvars))
	{
		Index		depth = search->depth;

		search->depth = 0;
		(void) UsedWalker(list_nth(rte->joinaliasvars, var->varattno - 1), search);
		search->depth = depth;
	}
	return false;
}

static bool
UsedWalker(Node *node, Search *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return VisitVar((Var *) node, search);
	if (IsA(node, Query))
	{
		search->depth++;
		(void) query_tree_walker((Query *) node, UsedWalker, search, QTW_IGNORE_JOINALIASES);
		search->depth--;
		return false;
	}
	return expression_tree_walker(node, UsedWalker, search);
}

Bitmapset *
UsedColumns(Query *query, Index varno)
{
	Search		search = {varno, query, 0, NULL};

	(void) query_tree_walker(query, UsedWalker, &search, QTW_IGNORE_JOINALIASES);
	return search.used;
}
