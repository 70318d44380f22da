/*
 * inherit.h
 *		Lake tables that another server or database wrote.
 */
#ifndef SHARD_PIPELINE_INHERIT_H
#define SHARD_PIPELINE_INHERIT_H

#include "postgres.h"
#include "client/engine.h"
#include "lake/lake.h"

/*
 * Let the engine read lake tables wherever they are; before the worker uses its
 * connection.
 */
extern void InheritPrepare(void);

/*
 * Are the files of a lake table there?  If they belong to somebody else it is
 * taken over where shard.adopt_lake says so, and *table is the adopted one; else
 * LakeOwns() stays false and the caller has to copy.  ERROR where that cannot be
 * done.
 */
extern bool InheritOpen(LakeTable **table);

/*
 * Copy all rows of a lake table to files of another one, which has the same
 * fields; for the caller to commit.
 */
extern List *InheritRows(EngineConn *conn, LakeTable *from, const LakeTable *to);

#endif							/* SHARD_PIPELINE_INHERIT_H */
