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
 * Give the foreign table of a registered table, or of its event log, the columns
 * of a layout, with the names and types that they have from now on; before and
 * after are the lake table's schemas.  A foreign table that cannot be altered
 * soon stays as it is, with a warning.
 */
extern void RegisterColumns(const RegisteredTable *table, const TableLayout *layout,
							const IcebergSchema *before, const IcebergSchema *after, bool events);

/* Begin the lake tables of a registered table anew; what they held is gone. */
extern void RegisterAnew(const RegisteredTable *table, const TableLayout *layout);

/*
 * The same, with the schemas of tables that are another server's, for what is
 * copied from them.
 */
extern void RegisterCopy(const RegisteredTable *table, const TableLayout *layout,
						 const IcebergMetadata *state, const IcebergMetadata *events);

/* A problem that keeps a table out of the pipeline; NULL = none any more. */
extern void RegisterProblem(Oid relation, const char *problem);

/*
 * Name of the foreign table of a lake table, in schema lake; a long name is cut
 * such that the two of a table differ.
 */
extern char *RegisterForeignName(const char *namespace, const char *name);

/* Its option "table", as a literal. */
extern char *RegisterTableOption(const char *namespace, const char *name);

/* The layout that a parent has now, in the current memory context. */
extern TableLayout *RegisterLayout(Oid relation);

#endif							/* SHARD_PIPELINE_REGISTER_H */
