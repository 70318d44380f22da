/*
 * sublink.c
 *		Subqueries inside expressions as engine SQL.
 *
 * A subquery is written once, when its form or its text is first asked for, and
 * kept: writing it gives names to its tables.
 */
#include "postgres.h"

#include "fdw/deparse.h"
#include "fdw/shippable.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

typedef struct WrittenLink
{
	SubLink    *link;
	List	   *fragments;
	List	   *forms;			/* of ValueForm * */
} WrittenLink;

/*
 * EXISTS asks for rows, not for what is in them.
 */
static Query *
WithoutColumns(Query *query)
{
	Query	   *copy;

	if (query->setOperations != NULL || query->groupClause != NIL || query->groupingSets != NIL || query->hasAggs ||
		query->hasWindowFuncs || query->distinctClause != NIL || query->sortClause != NIL || query->hasTargetSRFs)
		return query;
	copy = palloc(sizeof(Query));
	memcpy(copy, query, sizeof(Query));
	copy->targetList = NIL;
	return copy;
}

static WrittenLink *
Write(DeparseContext *cx, SubLink *link)
{
	WrittenLink *written;
	List	   *diverted;
	bool		ok;
	ListCell   *lc;

	foreach(lc, cx->sublinks)
	{
		written = lfirst(lc);
		if (written->link == link)
			return written;
	}
	written = palloc0(sizeof(WrittenLink));
	written->link = link;
	diverted = DeparseDivert(cx);
	ok = DeparseQuery(cx, link->subLinkType == EXISTS_SUBLINK ? WithoutColumns(castNode(Query, link->subselect))
					  : castNode(Query, link->subselect), false, &written->forms);
	written->fragments = DeparseTake(cx, diverted);
	if (!ok)
		return NULL;
	cx->sublinks = lappend(cx->sublinks, written);
	return written;
}

bool
SubLinkForm(DeparseContext *cx, SubLink *link, ValueForm *form)
{
	WrittenLink *written;

	memset(form, 0, sizeof(*form));
	if (link->subLinkType != EXPR_SUBLINK)
		return true;
	written = Write(cx, link);
	if (written == NULL)
		return false;
	*form = *(ValueForm *) linitial(written->forms);
	return true;
}

/* ---- tests of a subquery's rows ---- */

bool
DeparseSubLinkParam(DeparseContext *cx, Param *param)
{
	if (param->paramkind != PARAM_SUBLINK || cx->tested == NULL)
		return Obstacle(cx, "parameter of an unknown kind");
	DeparsePrintf(cx, "t%d.c%d", cx->tested->number, param->paramid);
	return true;
}

bool
SubLinkParamForm(DeparseContext *cx, Param *param, ValueForm *form)
{
	if (cx->tested == NULL || param->paramid > list_length(cx->tested->forms))
		return Obstacle(cx, "parameter of an unknown kind");
	*form = *(ValueForm *) list_nth(cx->tested->forms, param->paramid - 1);
	if (form->opaque)
		return Obstacle(cx, "type that the engine does not know");
	return true;
}

/*
 * The engine's operator for one of PostgreSQL's; NULL if it is not a plain
 * comparison.
 */
static const char *
PlainComparison(DeparseContext *cx, OpExpr *test)
{
	static const char *const operators[] = {"=", "<>", "<", "<=", ">", ">="};
	Oid			function = get_opcode(test->opno);
	const FunctionRule *rule = FunctionRuleOf(function);
	ValueForm	left;
	ValueForm	right;
	DecimalShape common;
	char		sql[16];

	switch (function)
	{
		case F_NUMERIC_EQ:
		case F_NUMERIC_NE:
		case F_NUMERIC_LT:
		case F_NUMERIC_LE:
		case F_NUMERIC_GT:
		case F_NUMERIC_GE:
			if (!FormOf(cx, linitial(test->args), &left) || !FormOf(cx, lsecond(test->args), &right) ||
				left.kind == NUMERIC_TEXT || right.kind == NUMERIC_TEXT ||
				!CommonShape(left.shape, right.shape, &common))
				return NULL;
			return function == F_NUMERIC_EQ ? "=" : function == F_NUMERIC_NE ? "<>"
				: function == F_NUMERIC_LT ? "<" : function == F_NUMERIC_LE ? "<="
				: function == F_NUMERIC_GT ? ">" : ">=";
		default:
			break;
	}
	if (rule == NULL || rule->sql == NULL || !CollationByteEqual(test->inputcollid) ||
		((rule->needs & NEED_BYTE_ORDER) && !CollationByteOrder(test->inputcollid)))
		return NULL;
	for (int i = 0; i < lengthof(operators); i++)
	{
		snprintf(sql, sizeof(sql), "(%%1 %s %%2)", operators[i]);
		if (strcmp(rule->sql, sql) == 0)
			return operators[i];
	}
	return NULL;
}

/*
 * x = ANY (SELECT ...) and x <> ALL (SELECT ...): what is compared with x may
 * be an expression over the subquery's column.
 */
static bool
DeparseTest(DeparseContext *cx, SubLink *link)
{
	OpExpr	   *test = (OpExpr *) link->testexpr;
	DeparseRel *outer = cx->tested;
	DeparseRel *rel = palloc0(sizeof(DeparseRel));
	WrittenLink *written;
	const char *operator;
	bool		ok;

	if (test == NULL || !IsA(test, OpExpr))
		return Obstacle(cx, "comparison of rows with a subquery");
	written = Write(cx, link);
	if (written == NULL)
		return false;
	rel->number = ++cx->numbers;
	rel->forms = written->forms;
	cx->tested = rel;
	operator = PlainComparison(cx, test);
	cx->tested = outer;
	if (operator == NULL)
		return Obstacle(cx, psprintf("operator %s with a subquery", format_operator(test->opno)));
	DeparseText(cx, "(");
	if (!DeparseExpr(cx, linitial(test->args)))
		return false;
	DeparsePrintf(cx, " %s %s (SELECT ", operator, link->subLinkType == ANY_SUBLINK ? "ANY" : "ALL");
	cx->tested = rel;
	ok = DeparseExpr(cx, lsecond(test->args));
	cx->tested = outer;
	DeparseText(cx, " FROM (");
	DeparsePut(cx, list_copy(written->fragments));
	DeparsePrintf(cx, ") AS t%d))", rel->number);
	return ok;
}

bool
DeparseSubLink(DeparseContext *cx, SubLink *link)
{
	WrittenLink *written;

	switch (link->subLinkType)
	{
		case EXISTS_SUBLINK:
		case EXPR_SUBLINK:
			written = Write(cx, link);
			if (written == NULL)
				return false;
			DeparseText(cx, link->subLinkType == EXISTS_SUBLINK ? "EXISTS (" : "(");
			DeparsePut(cx, list_copy(written->fragments));
			DeparseText(cx, ")");
			return true;
		case ANY_SUBLINK:
		case ALL_SUBLINK:
			return DeparseTest(cx, link);
		default:
			return Obstacle(cx, "subquery that makes an array or a row");
	}
}
