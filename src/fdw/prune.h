/*
 * prune.h
 *		From conditions of a query to conditions on the bounds of files.
 */
#ifndef SHARD_FDW_PRUNE_H
#define SHARD_FDW_PRUNE_H

#include "postgres.h"
#include "fdw/deparse.h"
#include "fdw/source.h"

/*
 * What of a list of ANDed clauses a table's files can be pruned by: a list of
 * integer lists (column, LakeOp, index in cx->params of the value or -1).
 */
extern List *PruneRules(DeparseContext *cx, DeparseRel *rel, Index varno, List *clauses);

/* Values of cx->params at run time; not known ones are left out. */
typedef struct PruneValue
{
	bool		known;
	bool		isnull;
	Oid			typid;
	Datum		value;
} PruneValue;

extern LakeCondition *PruneConditions(LakeSource *source, List *rules,
									  const PruneValue *values, int *n);

/* Values of those params that are constants. */
extern PruneValue *PruneConstants(List *params);

#endif							/* SHARD_FDW_PRUNE_H */
