/*
 * args.h
 *		Reading the arguments that the SQL functions of this folder share.
 */
#ifndef SHARD_MIGRATION_ARGS_H
#define SHARD_MIGRATION_ARGS_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/pg_list.h"

extern void ArgRefuseNull(FunctionCallInfo fcinfo, int n, const char *what);
extern char *ArgText(FunctionCallInfo fcinfo, int n);	/* null = NULL */

/* partition_keys text[] and target_shards int[]; null or empty = NIL. */
extern List *ArgKeys(FunctionCallInfo fcinfo, int n);
extern List *ArgShards(FunctionCallInfo fcinfo, int n);

/* threshold float8; null = the default. */
extern double ArgThreshold(FunctionCallInfo fcinfo, int n);

#endif							/* SHARD_MIGRATION_ARGS_H */
