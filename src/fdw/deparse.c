/*
 * deparse.c
 *		Engine SQL being written: its text, its tables, its placeholders.
 *
 * A column is written as f<field id>, never by its name: the engine folds the
 * case of names.  What has no column in it and is the same for the whole
 * execution (a parameter, now(), the result of a subquery) becomes a
 * placeholder, filled with a literal when the statement runs.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fdw/deparse.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/*
 * Put after a column of bytes, so that no comparison with it reaches the files'
 * Bloom filters: DuckDB 1.5 looks in them for other hashes than it wrote.
 */
#define BLOB_GUARD " || CAST('' AS BLOB)"

/* ---- the statement ---- */

DeparseTable *
MakeDeparseTable(Index varno, LakeSource *source)
{
	DeparseTable *table = palloc(sizeof(DeparseTable));

	table->varno = varno;
	table->source = source;
	return table;
}

DeparseContext *
DeparseBegin(List *tables)
{
	DeparseContext *cx = palloc0(sizeof(DeparseContext));
	Index		last = 0;
	ListCell   *lc;

	initStringInfo(&cx->buf);
	if (tables == NIL)
		return cx;
	foreach(lc, tables)
		last = Max(last, ((DeparseTable *) lfirst(lc))->varno);
	cx->scope = palloc0(sizeof(DeparseScope));
	cx->scope->nrels = last;
	cx->scope->rels = palloc0(last * sizeof(DeparseRel *));
	foreach(lc, tables)
	{
		DeparseTable *table = lfirst(lc);
		DeparseRel *rel = DeparseAddSource(cx, table->source);

		cx->scope->rels[table->varno - 1] = rel;
		if (list_length(tables) == 1)
			rel->number = 0;
	}
	return cx;
}

void
DeparseText(DeparseContext *cx, const char *text)
{
	appendStringInfoString(&cx->buf, text);
}

void
DeparsePrintf(DeparseContext *cx, const char *fmt,...)
{
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&cx->buf, fmt, args);
		va_end(args);
		if (needed == 0)
			return;
		enlargeStringInfo(&cx->buf, needed);
	}
}

static void
EndFragment(DeparseContext *cx)
{
	if (cx->buf.len == 0)
		return;
	cx->fragments = lappend(cx->fragments, makeString(pstrdup(cx->buf.data)));
	resetStringInfo(&cx->buf);
}

void
DeparseMark(DeparseContext *cx, int mark)
{
	EndFragment(cx);
	cx->fragments = lappend(cx->fragments, makeInteger(mark));
}

/*
 * The rows of a foreign table, with an alias if columns are written with one.
 */
void
DeparseSource(DeparseContext *cx, DeparseRel *rel)
{
	DeparseMark(cx, FRAGMENT_SOURCE - rel->place);
	if (rel->number > 0)
		DeparsePrintf(cx, " AS t%d", rel->number);
	else
		DeparseText(cx, " AS t");
}

List *
DeparseEnd(DeparseContext *cx)
{
	EndFragment(cx);
	return cx->fragments;
}

List *
DeparseDivert(DeparseContext *cx)
{
	List	   *diverted;

	EndFragment(cx);
	diverted = cx->fragments;
	cx->fragments = NIL;
	return diverted;
}

List *
DeparseTake(DeparseContext *cx, List *diverted)
{
	List	   *taken;

	EndFragment(cx);
	taken = cx->fragments;
	cx->fragments = diverted;
	return taken;
}

void
DeparsePut(DeparseContext *cx, List *fragments)
{
	EndFragment(cx);
	cx->fragments = list_concat(cx->fragments, fragments);
}

bool
Obstacle(DeparseContext *cx, const char *reason)
{
	cx->obstacle = reason;
	return false;
}

/* ---- constants ---- */

/*
 * Finds what cannot be computed before the scan: columns, aggregates, and
 * nodes that only mean something inside another one.
 */
static bool
NotConstantWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Param:
			if (((Param *) node)->paramkind != PARAM_EXTERN && ((Param *) node)->paramkind != PARAM_EXEC)
				return true;
			return false;
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_SQLValueFunction:
		case T_ArrayExpr:
		case T_List:
			return expression_tree_walker(node, NotConstantWalker, context);
		default:
			return true;
	}
}

bool
IsRuntimeConstant(Expr *expr)
{
	return !NotConstantWalker((Node *) expr, NULL) && !contain_volatile_functions((Node *) expr);
}

int
DeparseParam(DeparseContext *cx, Expr *expr)
{
	int			i = 0;
	ListCell   *lc;

	foreach(lc, cx->params)
	{
		if (equal(lfirst(lc), expr))
			return i;
		i++;
	}
	cx->params = lappend(cx->params, expr);
	return i;
}

/* Its sign would be lost where it is more than something to compare with. */
static bool
IsNegativeZero(Const *value)
{
	Oid			base = getBaseType(value->consttype);
	float8		number;

	if (value->constisnull || (base != FLOAT4OID && base != FLOAT8OID))
		return false;
	number = base == FLOAT4OID ? DatumGetFloat4(value->constvalue) : DatumGetFloat8(value->constvalue);
	return number == 0 && signbit(number);
}

bool
DeparseConst(DeparseContext *cx, Const *value)
{
	if (EngineTypeName(value->consttype) == NULL)
		return Obstacle(cx, psprintf("type %s", format_type_be(value->consttype)));
	if (IsNegativeZero(value))
		return Obstacle(cx, "negative zero");
	if (!AppendLiteral(&cx->buf, value->consttype, value->constvalue, value->constisnull))
		return Obstacle(cx, "a value that the engine cannot hold");
	return true;
}

/*
 * A placeholder.  A numeric is sent as text, since only its value says which
 * decimal would hold it, and only where PostgreSQL steps in if none does.
 */
bool
DeparsePlaceholder(DeparseContext *cx, Expr *expr)
{
	Oid			typid = exprType((Node *) expr);
	bool		numeric = getBaseType(typid) == NUMERICOID;

	if (EngineTypeName(typid) == NULL || (numeric && !cx->whole))
		return Obstacle(cx, psprintf("parameter of type %s", format_type_be(typid)));
	if (numeric)
		DeparseText(cx, "CAST(");
	DeparseMark(cx, DeparseParam(cx, expr));
	if (numeric)
		DeparseText(cx, " AS VARCHAR)");
	return true;
}

/* ---- tables and columns ---- */

DeparseRel *
DeparseAddSource(DeparseContext *cx, LakeSource *source)
{
	DeparseRel *rel = palloc0(sizeof(DeparseRel));

	rel->number = ++cx->numbers;
	rel->source = source;
	rel->place = list_length(cx->sources);
	cx->sources = lappend(cx->sources, rel);
	return rel;
}

DeparseRel *
DeparseRelOf(DeparseContext *cx, Var *var, DeparseScope **scope)
{
	DeparseScope *level = cx->scope;

	for (Index up = 0; up < var->varlevelsup && level != NULL; up++)
		level = level->outer;
	if (scope != NULL)
		*scope = level;
	if (level == NULL || var->varno < 1 || var->varno > level->nrels)
		return NULL;
	return level->rels[var->varno - 1];
}

void
DeparseColumn(DeparseContext *cx, DeparseRel *rel, AttrNumber attnum)
{
	SourceColumn *column = SourceColumnOf(rel->source, attnum);
	bool		same = column->as_text || memcmp(&column->type, &column->stored, sizeof(LakeType)) == 0;
	char		type[64];

	rel->attnums = list_append_unique_int(rel->attnums, attnum);
	if (!same)
		DeparseText(cx, "CAST(");
	if (rel->number > 0)
		DeparsePrintf(cx, "t%d.", rel->number);
	DeparsePrintf(cx, "f%d", column->field_id);
	if (!same)
		DeparsePrintf(cx, " AS %s)", LakeTypeEngineName(column->type, type, sizeof(type)));
}

/*
 * Is the column one whose values mean something to the engine?
 */
static bool
ColumnIsKnown(DeparseContext *cx, SourceColumn *column)
{
	/* a numeric without precision is kept as PostgreSQL writes it */
	if (EngineTypeName(column->typid) == NULL ||
		(column->as_text && !(cx->whole && getBaseType(column->typid) == NUMERICOID)))
		return Obstacle(cx, psprintf("type %s", format_type_be(column->typid)));
	return true;
}

static bool
DeparseSourceVar(DeparseContext *cx, DeparseRel *rel, Var *var)
{
	SourceColumn *column = SourceColumnOf(rel->source, var->varattno);
	bool		blob = column->type.kind == LAKE_BINARY;
	bool		blanks = getBaseType(column->typid) == BPCHAROID;

	if (!ColumnIsKnown(cx, column))
		return false;
	DeparseText(cx, blob ? "(" : blanks ? "rtrim(" : "");
	DeparseColumn(cx, rel, var->varattno);
	DeparseText(cx, blob ? BLOB_GUARD ")" : blanks ? ", ' ')" : "");
	return true;
}

/*
 * A column of a join is an expression over what is joined.
 */
static bool
DeparseAliased(DeparseContext *cx, DeparseRel *rel, DeparseScope *scope, Var *var,
			   bool (*deparse) (DeparseContext *, Expr *))
{
	DeparseScope *inner = cx->scope;
	bool		ok;

	if (var->varattno > list_length(rel->aliases))
		return Obstacle(cx, "a whole row or system column");
	cx->scope = scope;
	ok = deparse(cx, list_nth(rel->aliases, var->varattno - 1));
	cx->scope = inner;
	return ok;
}

bool
DeparseVar(DeparseContext *cx, Var *var)
{
	DeparseScope *scope;
	DeparseRel *rel = DeparseRelOf(cx, var, &scope);

	if (rel == NULL)
		return Obstacle(cx, "column of another table");
	if (var->varattno <= 0)
		return Obstacle(cx, "a whole row or system column");
	if (rel->source != NULL)
		return DeparseSourceVar(cx, rel, var);
	if (rel->aliases != NIL)
		return DeparseAliased(cx, rel, scope, var, DeparseExpr);
	if (var->varattno > list_length(rel->forms))
		return Obstacle(cx, "a whole row or system column");
	if (((ValueForm *) list_nth(rel->forms, var->varattno - 1))->opaque)
		return Obstacle(cx, psprintf("type %s", format_type_be(var->vartype)));
	DeparsePrintf(cx, "t%d.c%d", rel->number, var->varattno);
	return true;
}

bool
DeparseAny(DeparseContext *cx, Expr *expr)
{
	Var		   *var = (Var *) expr;
	DeparseScope *scope;
	DeparseRel *rel;

	if (!IsA(expr, Var) || var->varattno <= 0)
		return DeparseExpr(cx, expr);
	rel = DeparseRelOf(cx, var, &scope);
	if (rel != NULL && rel->source != NULL)
		DeparseColumn(cx, rel, var->varattno);
	else if (rel != NULL && rel->aliases != NIL)
		return DeparseAliased(cx, rel, scope, var, DeparseAny);
	else if (rel != NULL && var->varattno <= list_length(rel->forms))
		DeparsePrintf(cx, "t%d.c%d", rel->number, var->varattno);
	else
		return DeparseVar(cx, var);
	return true;
}

bool
TakeAsFinite(DeparseContext *cx, Expr *expr)
{
	Var		   *var = (Var *) expr;
	ValueForm	form;

	if (!IsA(expr, Var) || var->varattno <= 0 || !FormOf(cx, expr, &form) || form.rel == NULL ||
		!SourceColumnFinite(form.rel->source, form.attnum))
		return false;
	form.rel->finite = list_append_unique_int(form.rel->finite, form.attnum);
	return true;
}
