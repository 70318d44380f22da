/*
 * register.h
 *		Sharded tables in the lake: making, evolving and dropping their tables.
 */
#ifndef SHARD_PIPELINE_REGISTER_H
#define SHARD_PIPELINE_REGISTER_H

#include "postgres.h"
#include "lake/iceberg/iceberg.h"
#include "pipeline/layout.h"
#include "pipeline/position.h"

/*
 * Register sharded tables that belong into the lake and are not there, as
 * after a restore; in a transaction.  Returns their number.
 */
extern int	RegisterMissing(void);

/*
 * Give the foreign tables of a registered table the columns of a layout, with
 * the names and types that they have from now on; state and events are the
 * schemas until now.  A foreign table that cannot be altered soon stays as it
 * is, with a warning.
 */
extern void RegisterColumns(const RegisteredTable *table, const TableLayout *layout,
							const IcebergSchema *state, const IcebergSchema *events);

/* Begin the lake tables of a registered table anew; what they held is gone. */
extern void RegisterAnew(const RegisteredTable *table, const TableLayout *layout);

/* A problem that keeps a table out of the pipeline; NULL = none any more. */
extern void RegisterProblem(Oid relation, const char *problem);

/* The problem of a column with a value that the lake cannot hold; warns. */
extern void RegisterUnfit(const RegisteredTable *table, const char *column);

/* The layout that a parent has now, in the current memory context. */
extern TableLayout *RegisterLayout(Oid relation);

#endif							/* SHARD_PIPELINE_REGISTER_H */
