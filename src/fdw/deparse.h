/*
 * deparse.h
 *		Expressions of PostgreSQL as engine SQL.
 *
 * The same walk decides whether an expression can be shipped and writes it, so
 * that the two never differ.
 */
#ifndef SHARD_FDW_DEPARSE_H
#define SHARD_FDW_DEPARSE_H

#include "postgres.h"
#include "fdw/source.h"
#include "lib/stringinfo.h"
#include "nodes/pathnodes.h"

/* Stands in a statement for the rows of the source. */
#define FRAGMENT_SOURCE (-1)

/*
 * A statement being written.  What is known only when it runs is left out: a
 * statement is a list of String (text) and Integer nodes (the index in params of
 * an expression whose value goes there, or FRAGMENT_SOURCE).
 */
typedef struct DeparseContext
{
	LakeSource *source;
	bool		aggregates;		/* may aggregates stand here? */
	StringInfoData buf;			/* text since the last Integer */
	List	   *fragments;
	List	   *params;			/* of Expr * */
	List	   *attnums;		/* columns that the statement reads */
	List	   *finite;			/* columns that it takes to hold no infinity */
	Expr	   *case_arg;		/* what CaseTestExpr stands for */
	const char *obstacle;		/* why the last expression cannot be shipped */
} DeparseContext;

extern DeparseContext *DeparseBegin(LakeSource *source);
extern void DeparseText(DeparseContext *cx, const char *text);
extern void DeparseSource(DeparseContext *cx);
extern List *DeparseEnd(DeparseContext *cx);	/* the fragments */

/* Append a column, whatever its type means to the engine. */
extern void DeparseColumn(DeparseContext *cx, AttrNumber attnum);

/* Append an expression; false if it cannot be shipped (cx is then of no use). */
extern bool DeparseExpr(DeparseContext *cx, Expr *expr);

/* Index in cx->params of an expression without columns. */
extern int	DeparseParam(DeparseContext *cx, Expr *expr);

/* Append a result column's expressions; an average is two of them. */
extern bool DeparseOutput(DeparseContext *cx, Expr *expr);
extern bool IsAverage(Expr *expr);

/* Can it be shipped?  If not, *obstacle says why. */
extern bool ExprShippable(LakeSource *source, Expr *expr, bool aggregates, const char **obstacle);
extern bool OutputShippable(LakeSource *source, Expr *expr, const char **obstacle);

/* An expression that is the same for the whole execution, so that its value can be sent. */
extern bool IsRuntimeConstant(Expr *expr);

/* May rows be grouped, made distinct or sorted by it in the engine? */
extern bool ExprSortable(Expr *expr, Oid collation, bool *byte_order);

#endif							/* SHARD_FDW_DEPARSE_H */
