/*
 * plan.h
 *		What the planning steps of one query block share.
 */
#ifndef SHARD_FDW_PLAN_H
#define SHARD_FDW_PLAN_H

#include "postgres.h"
#include "fdw/deparse.h"
#include "fdw/source.h"
#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"

/*
 * Kept in RelOptInfo.fdw_private: of a foreign table, and of the upper
 * relations (grouped, distinct, ordered) that the engine computes from it.
 */
typedef struct LakeRel
{
	LakeSource *source;
	RelOptInfo *base;			/* the foreign table */
	List	   *tables;			/* of DeparseTable *: what is read */

	/* What the engine filters by, and what PostgreSQL does after it. */
	List	   *remote_conds;	/* of RestrictInfo *; of the foreign table */
	List	   *local_conds;	/* the same */
	List	   *prune_clauses;	/* of Expr * */
	Bitmapset  *columns;		/* of the foreign table, offset as in pull_varattnos */

	/* Grouping; DISTINCT is grouping without aggregates. */
	bool		grouped;
	List	   *tlist;			/* what the engine returns */
	List	   *group_positions;	/* 1-based, in tlist */
	List	   *having_remote;	/* of Expr * */
	List	   *having_local;	/* the same */

	/* An ordered relation: what is ordered. */
	RelOptInfo *input;

	/* Estimates. */
	double		source_rows;	/* that the engine reads */
	double		rows;			/* that it returns */
	Cost		startup;
	Cost		total;

	List	   *obstacles;		/* of char *: why something stays local */
} LakeRel;

/* What a path does beyond its relation: ForeignPath.fdw_private. */
#define PATH_SORTED			0
#define PATH_LIMITED		1

/* What a scan does: ForeignScan.fdw_private and CustomScan.custom_private. */
typedef enum PlanPart
{
	PLAN_STATEMENT,				/* fragments: see deparse.h */
	PLAN_SOURCES,				/* a list a table: see SourcePart */
	PLAN_OUTPUT,				/* an integer list a result column: see OutputPart */
	PLAN_LIMIT,					/* indexes in the expressions of limit and offset, or -1 */
	PLAN_OBSTACLES,				/* of String */
	PLAN_QUERY					/* of a whole statement alone: the Query that it answers */
} PlanPart;

typedef enum SourcePart
{
	SOURCE_RELATION,			/* OID of the foreign table */
	SOURCE_COLUMNS,				/* that the statement reads: attnums */
	SOURCE_TYPES,				/* their types as planned: see run.c */
	SOURCE_FINITE,				/* columns that are taken to hold no infinity */
	SOURCE_PRUNE				/* rules: see prune.h */
} SourcePart;

/* One column of the scan's tuples. */
typedef enum OutputPart
{
	OUTPUT_SLOT,				/* its number, from 1 */
	OUTPUT_TYPE,				/* an OID in an integer */
	OUTPUT_TYPMOD
} OutputPart;

/* Is a foreign table one of this wrapper? */
extern bool IsLakeTable(Oid relid);

extern List *PlanOutput(int slot, Oid typid, int32 typmod);
extern List *PlanSources(DeparseContext *cx);

extern void LakeGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern void LakeGetForeignPaths(PlannerInfo *root, RelOptInfo *rel, Oid relid);
extern ForeignScan *LakeGetForeignPlan(PlannerInfo *root, RelOptInfo *rel, Oid relid,
									   ForeignPath *path, List *tlist, List *scan_clauses,
									   Plan *outer_plan);
extern void LakeGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
									 RelOptInfo *input, RelOptInfo *output, void *extra);

/*
 * The expression of a pathkey that the engine can sort a relation's rows by;
 * NULL if there is none.  *descending as the engine sees it.
 */
extern Expr *SortExpression(LakeRel *lake, PathKey *pathkey, bool *descending);

#endif							/* SHARD_FDW_PLAN_H */
