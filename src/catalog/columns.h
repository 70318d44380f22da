/*
 * columns.h
 *		Column numbers of the _shard tables, as sql/install/20_catalog.sql
 *		declares them.
 */
#ifndef SHARD_CATALOG_COLUMNS_H
#define SHARD_CATALOG_COLUMNS_H

enum
{
	Anum_router_name = 1,
	Anum_router_strategy,
	Anum_router_hash_function,
	Anum_router_virtual_nodes,
	Anum_router_partition_key,
	Anum_router_fallback_key,
	Anum_router_strict,
	Anum_router_partition_key_fn,
	Anum_router_key_type,
	Anum_router_ranges,
	Anum_router_comparator,
	Anum_router_default_shard,
	Anum_router_shard_name_prefix,
	Anum_router_max_entities_per_shard,
	Anum_router_max_bytes_per_shard,
	Anum_router_min_entities_per_shard,
	Anum_router_retry,
	Anum_router_enable_metrics,
	Anum_router_track_access,
	Anum_router_track_metadata,
	Anum_router_members,
	Anum_router_next_members,
	Anum_router_frontier
};

enum
{
	Anum_shard_router = 1,
	Anum_shard_index,
	Anum_shard_name,
	Anum_shard_state,
	Anum_shard_server,
	Anum_shard_schema_name,
	Anum_shard_weight
};

enum
{
	Anum_pin_router = 1,
	Anum_pin_key,
	Anum_pin_shard_index
};

enum
{
	Anum_router_ready_router = 1,
	Anum_router_ready_pinned,
	Anum_router_ready_next_pinned
};

enum
{
	Anum_sharded_table_relation = 1,
	Anum_sharded_table_router,
	Anum_sharded_table_partition_key,
	Anum_sharded_table_lake
};

#endif							/* SHARD_CATALOG_COLUMNS_H */
