/*
 * whole.h
 *		Queries over lake tables alone, which the engine runs as one statement.
 */
#ifndef SHARD_FDW_WHOLE_H
#define SHARD_FDW_WHOLE_H

#include "postgres.h"
#include "nodes/extensible.h"
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

extern void WholeInit(void);

/* Plan a query as if the engine could not run it whole. */
extern PlannedStmt *PlanLocally(Query *query, ParamListInfo params);

extern const CustomScanMethods WholeScanMethods;

/* ---- what whole.c and subquery.c share ---- */

/* What the query trees of all levels hold. */
typedef struct Survey
{
	List	   *rtes;			/* of RangeTblEntry *, to check permissions of */
	List	   *perminfos;		/* of their queries, where PostgreSQL has such */
	int			tables;
	bool		others;			/* relations that are not of the lake */
} Survey;

extern bool SurveyWalker(Node *node, Survey *survey);

/* Is a query the scan of one table? */
extern bool IsPlainScan(Query *query);

/* A statement of the engine's for a query, as a custom scan has it. */
typedef struct WholeStatement
{
	List	   *private;		/* see PlanPart */
	List	   *params;			/* of Expr * */
	List	   *sources;		/* of DeparseRel * */
} WholeStatement;

/*
 * Write a query as one statement; false and the reason if it cannot be shipped.
 * prepared: the query as it was written; its columns are the statement's.
 */
extern bool WriteWhole(PlannerInfo *root, Query *query, WholeStatement *statement, Query **prepared,
					   const char **obstacle);

/* ---- subquery.c ---- */

extern void SubqueryInit(void);

/*
 * Have subqueries of a query that read lake tables alone run whole: what they are
 * then (marked so that nothing is moved out of them or into them), or NIL.
 */
extern List *FenceSubqueries(Query *query);

/* Plan a query with such subqueries. */
extern void SubqueriesBegin(List *fenced, List **before);
extern void SubqueriesEnd(List *before, PlannedStmt *stmt);

/* A query that orders and cuts off what another one selects without order; NULL if there is none. */
extern Query *SplitOrder(Query *query);

#endif							/* SHARD_FDW_WHOLE_H */
