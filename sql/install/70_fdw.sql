-- Foreign data wrapper over the lake.

CREATE FUNCTION _shard.lake_fdw_handler() RETURNS fdw_handler
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'shard_lake_fdw_handler';
COMMENT ON FUNCTION _shard.lake_fdw_handler() IS 'shard: callbacks of the foreign data wrapper shard_lake';

CREATE FUNCTION _shard.lake_fdw_validator(options text[], catalog oid) RETURNS void
    LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'shard_lake_fdw_validator';
COMMENT ON FUNCTION _shard.lake_fdw_validator(text[], oid) IS 'shard: checks options of the foreign data wrapper shard_lake';

CREATE FOREIGN DATA WRAPPER shard_lake
    HANDLER _shard.lake_fdw_handler VALIDATOR _shard.lake_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER shard_lake IS 'shard: Iceberg tables and Parquet files, read by the engine';

CREATE SERVER lake FOREIGN DATA WRAPPER shard_lake;
COMMENT ON SERVER lake IS 'shard: the lake of this database';
-- Whoever may make foreign tables on the server may read every table of the lake.
GRANT USAGE ON FOREIGN SERVER lake TO shard_admin;

CREATE FUNCTION shard.last_query_stats(
    OUT shards_queried int,
    OUT partitions_scanned bigint,
    OUT partitions_pruned bigint,
    OUT files_scanned bigint,
    OUT files_pruned bigint,
    OUT bytes_scanned bigint,
    OUT rows_scanned bigint,
    OUT total_rows bigint,
    OUT cache_hit boolean,
    OUT snapshot_id bigint,
    OUT duration_ms double precision
) LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'shard_last_query_stats';
COMMENT ON FUNCTION shard.last_query_stats() IS
    'What the last lake query of this session read: files, bytes and rows scanned, rows that the engine returned (total_rows), time spent waiting for it; NULLs if there was none. shards_queried are the shards of the tables that it was about';
REVOKE ALL ON FUNCTION shard.last_query_stats() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.last_query_stats() TO shard_reader, shard_admin;

CREATE FUNCTION _shard.is_key(key anyelement, keys anyarray) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE COST 0.01 AS 'MODULE_PATHNAME', 'shard_is_key';
COMMENT ON FUNCTION _shard.is_key(anyelement, anyarray) IS
    'shard: always true; tells a scan of the lake which keys a join looks for';

CREATE FUNCTION _shard.zone_rules(zone text) RETURNS text
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_zone_rules';
COMMENT ON FUNCTION _shard.zone_rules(text) IS
    'shard: the offsets of a time zone (NULL: of the session), for the engine';
