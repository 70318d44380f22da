/*
 * deparse.h
 *		Engine SQL being written: its text, its tables, its placeholders.
 *
 * The same walk decides whether something can be shipped and writes it, so that
 * the two never differ.  Expressions are in expr.c (numbers of type numeric in
 * numeric.c, aggregates and window functions in aggregate.c), queries in query.c.
 */
#ifndef SHARD_FDW_DEPARSE_H
#define SHARD_FDW_DEPARSE_H

#include "postgres.h"
#include "fdw/literal.h"
#include "fdw/source.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"

/* Stands in a statement for the rows of its first table; -2 for the second, ... */
#define FRAGMENT_SOURCE (-1)
#define FragmentIsSource(n) ((n) < 0)
#define FragmentSourceIndex(n) (-(n) - 1)

/* How a value of type numeric is held in the engine. */
typedef enum NumericKind
{
	NUMERIC_FIXED,				/* a decimal that has the scale that PostgreSQL shows */
	NUMERIC_MIXED,				/* a decimal, its scale to be seen in an expression of its own */
	NUMERIC_TEXT				/* its text, as PostgreSQL writes it */
} NumericKind;

/* How the value of an expression is held in the engine. */
typedef struct ValueForm
{
	bool		opaque;			/* it can be passed on, but means nothing there */
	NumericKind kind;			/* of a numeric */
	DecimalShape shape;			/* unless it is text; precision 0 = NULL */
	int			width;			/* of a char(n), whose value is without its blanks; 0 = unknown */

	/* The column of a foreign table that it is, if it is one, or null: */
	struct DeparseRel *rel;
	AttrNumber	attnum;
} ValueForm;

/* A table of a block of a query that is planned by itself. */
typedef struct DeparseTable
{
	Index		varno;
	LakeSource *source;
} DeparseTable;

/* What a range table entry is in the statement. */
typedef struct DeparseRel
{
	int			number;			/* its alias is t<number>; 0 = needs none */
	List	   *forms;			/* of ValueForm *, if it has columns c1, c2, ... */
	List	   *aliases;		/* of Expr *, if it is a join */

	/* A foreign table: */
	LakeSource *source;
	int			place;			/* among the statement's sources */
	List	   *attnums;		/* columns that the statement reads */
	List	   *finite;			/* columns that it takes to hold no infinity */
	List	   *prune;			/* rules: see prune.h */
} DeparseRel;

/* The tables of one query level. */
typedef struct DeparseScope
{
	struct DeparseScope *outer;
	Query	   *query;			/* NULL for a block that is planned by itself */
	int			nrels;
	DeparseRel **rels;			/* by varno - 1; NULL = not there */
	List	   *ctes;			/* of DeparseRel *, as query->cteList */
	bool		trimmed;		/* of the query's columns, only those in used are needed */
	Bitmapset  *used;
} DeparseScope;

/*
 * A statement being written.  What is known only when it runs is left out: a
 * statement is a list of String (text) and Integer nodes (the index in params of
 * an expression whose value goes there, or a table's rows: see FRAGMENT_SOURCE).
 */
typedef struct DeparseContext
{
	DeparseScope *scope;
	List	   *sources;		/* of DeparseRel * */
	bool		whole;			/* a whole statement, which is run by PostgreSQL if the engine
								 * fails: what may fail there alone can be shipped */
	bool		aggregates;		/* may aggregates stand here? */
	bool		in_aggregate;	/* inside an argument or filter of one, or a subquery whose rows go into
								 * one: computed before the first row of the result */
	StringInfoData buf;			/* text since the last Integer */
	List	   *fragments;
	List	   *params;			/* of Expr * */
	List	   *sublinks;		/* those written already: see sublink.c */
	bool		trim;			/* the next query need not have columns that are not in used */
	Bitmapset  *used;
	DeparseRel *tested;			/* the subquery that Params of a SubLink's test stand for */
	int			numbers;		/* aliases given out */
	Expr	   *case_arg;		/* what CaseTestExpr stands for */
	const char *obstacle;		/* why the last expression cannot be shipped */
} DeparseContext;

/* ---- deparse.c: text ---- */

extern DeparseTable *MakeDeparseTable(Index varno, LakeSource *source);

/* A statement over tables (of DeparseTable *) of one planner block, or over none. */
extern DeparseContext *DeparseBegin(List *tables);
extern void DeparseText(DeparseContext *cx, const char *text);
extern void DeparsePrintf(DeparseContext *cx, const char *fmt,...) pg_attribute_printf(2, 3);
extern void DeparseSource(DeparseContext *cx, DeparseRel *rel);
extern List *DeparseEnd(DeparseContext *cx);	/* the fragments */

/* Write something apart, and put it somewhere later. */
extern List *DeparseDivert(DeparseContext *cx);
extern List *DeparseTake(DeparseContext *cx, List *diverted);
extern void DeparsePut(DeparseContext *cx, List *fragments);

/* Say why it cannot be shipped; false. */
extern bool Obstacle(DeparseContext *cx, const char *reason);

/* ---- deparse.c: tables and columns ---- */

extern DeparseRel *DeparseAddSource(DeparseContext *cx, LakeSource *source);

/* The range table entry of a Var, and the level that it belongs to. */
extern DeparseRel *DeparseRelOf(DeparseContext *cx, Var *var, DeparseScope **scope);

/* Append a foreign table's column, whatever its type means to the engine. */
extern void DeparseColumn(DeparseContext *cx, DeparseRel *rel, AttrNumber attnum);
extern bool DeparseVar(DeparseContext *cx, Var *var);

/* Append an expression of any type, to be passed on or asked for being NULL. */
extern bool DeparseAny(DeparseContext *cx, Expr *expr);

/* Is an expression, be it through subqueries, a column that holds no infinity?  Checked again at run time. */
extern bool TakeAsFinite(DeparseContext *cx, Expr *expr);

/* ---- deparse.c: constants ---- */

/* An expression that is the same for the whole execution, so that its value can be sent. */
extern bool IsRuntimeConstant(Expr *expr);

/* Index in cx->params of an expression without columns. */
extern int	DeparseParam(DeparseContext *cx, Expr *expr);
extern void DeparseMark(DeparseContext *cx, int mark);
extern bool DeparseConst(DeparseContext *cx, Const *value);
extern bool DeparsePlaceholder(DeparseContext *cx, Expr *expr);

/* ---- expr.c ---- */

/* Append an expression; false if it cannot be shipped (cx is then of no use). */
extern bool DeparseExpr(DeparseContext *cx, Expr *expr);

/* How its value is held; false if it cannot be shipped. */
extern bool FormOf(DeparseContext *cx, Expr *expr, ValueForm *form);

/* Append a result column in a form that an outer query can read, or PostgreSQL. */
extern bool DeparseOutput(DeparseContext *cx, Expr *expr, ValueForm *form);
extern bool DeparseResult(DeparseContext *cx, Expr *expr, bool plain, ValueForm *form);

/* Append what rows are sorted by; what they are grouped by or compared for equality. */
extern bool DeparseSortKey(DeparseContext *cx, Expr *expr, Oid collation);
extern bool DeparseGroupKey(DeparseContext *cx, Expr *expr);

/* Write SQL with arguments in place of %1, %2, ... */
extern bool DeparseTemplate(DeparseContext *cx, const char *sql, List *args);
extern bool DeparseList(DeparseContext *cx, List *exprs, const char *separator);

/* Can it be shipped in a block of its own?  If not, *obstacle says why. */
extern bool ExprShippable(List *tables, Expr *expr, bool aggregates, const char **obstacle);
extern bool OutputShippable(List *tables, Expr *expr, const char **obstacle);

/* May rows be grouped, made distinct or sorted by it in the engine? */
extern bool ExprSortable(Expr *expr, Oid collation, bool *byte_order);

/* A constant argument that is not NULL. */
extern bool ConstArgument(List *args, int n, Const **value);
extern bool IntArgument(List *args, int n, int64 *number);
extern bool TextArgument(List *args, int n, char **result);

/* ---- numeric.c ---- */

/* Is a function one of numerics, of which this file knows? */
extern bool IsNumericFunction(Oid function);
extern bool NumericFunctionForm(DeparseContext *cx, Oid function, List *args, ValueForm *form);
extern bool DeparseNumericFunction(DeparseContext *cx, Oid function, List *args);

/* The form of one of several alternatives. */
extern bool AlternativesForm(DeparseContext *cx, List *exprs, ValueForm *form);

/* Append an alternative in the form of all of them. */
extern bool DeparseAlternative(DeparseContext *cx, Expr *expr, const ValueForm *form);

/* Append a numeric as text; as a decimal of its largest scale; its scale. */
extern bool DeparseNumericText(DeparseContext *cx, Expr *expr);
extern bool DeparseNumericScale(DeparseContext *cx, Expr *expr);
extern bool CommonShape(DecimalShape a, DecimalShape b, DecimalShape *common);

/* ---- aggregate.c ---- */

extern bool AggregateForm(DeparseContext *cx, Oid function, List *args, Oid type, ValueForm *form);
extern bool DeparseAggregate(DeparseContext *cx, Aggref *agg);
extern bool DeparseWindowFunc(DeparseContext *cx, WindowFunc *func);

/* Append "expression ASC NULLS LAST" and the like. */
extern bool DeparseOrderItem(DeparseContext *cx, SortGroupClause *clause, Expr *expr);

/* ---- query.c ---- */

/*
 * Append a query, and say what forms its columns c1, c2, ... have; final: they
 * are PostgreSQL's to read.  It needs parentheses inside of anything else.
 */
extern bool DeparseQuery(DeparseContext *cx, Query *query, bool final, List **forms);

/* ---- used.c ---- */

/* Numbers of the columns of a range table entry that a query makes use of. */
extern Bitmapset *UsedColumns(Query *query, Index varno);

/* ---- sublink.c ---- */

extern bool DeparseSubLink(DeparseContext *cx, SubLink *link);
extern bool SubLinkForm(DeparseContext *cx, SubLink *link, ValueForm *form);
extern bool DeparseSubLinkParam(DeparseContext *cx, Param *param);
extern bool SubLinkParamForm(DeparseContext *cx, Param *param, ValueForm *form);

#endif							/* SHARD_FDW_DEPARSE_H */
