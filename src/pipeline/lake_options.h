/*
 * lake_options.h
 *		How a sharded table's lake tables are partitioned and sorted, as the user
 *		says it: {"partition": ["day(created_at)", "bucket(16, id)"],
 *		"sort": ["created_at"], "events": {"partition": ["day(_ts)"]}}.
 */
#ifndef SHARD_PIPELINE_LAKE_OPTIONS_H
#define SHARD_PIPELINE_LAKE_OPTIONS_H

#include "postgres.h"
#include "lake/lake.h"
#include "utils/jsonb.h"

/* The options of a sharded table as they are stored; NULL if it has none. */
extern Jsonb *LakeOptionsOf(Oid relation);

/*
 * The shape of the state table or (events) of the event log with a schema.
 * Without a sort order among the options, the given fields are it.  ERROR 22023,
 * 42703 or 42804 for options that make no sense.
 */
extern LakeShape *LakeOptionsShape(Jsonb *options, bool events, const IcebergSchema *schema,
								   const int *sort, int nsort);

#endif							/* SHARD_PIPELINE_LAKE_OPTIONS_H */
