-- The engine: what is known of it, and direct queries for maintenance and tests.

CREATE FUNCTION _shard.engine_state(OUT starts bigint, OUT pid bigint, OUT uptime_ms bigint,
        OUT connections bigint, OUT running bigint, OUT queued bigint, OUT max_queries bigint,
        OUT threads bigint, OUT memory_used bigint, OUT memory_limit bigint, OUT spilled bigint,
        OUT caches bigint, OUT generation bigint, OUT version text)
    RETURNS record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'shard_engine_state';
REVOKE ALL ON FUNCTION _shard.engine_state() FROM PUBLIC;
COMMENT ON FUNCTION _shard.engine_state() IS
    'state of the engine as it reports it; all null but starts if it does not answer';

CREATE FUNCTION _shard.engine_query(sql text, data_file text DEFAULT NULL,
        delete_files text[] DEFAULT NULL, iceberg_path text DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'shard_engine_query';
REVOKE ALL ON FUNCTION _shard.engine_query(text, text, text[], text) FROM PUBLIC;
COMMENT ON FUNCTION _shard.engine_query(text, text, text[], text) IS
    'for diagnosis, superusers only: run one SELECT in the engine; a row is its values separated by |';

CREATE FUNCTION _shard.engine_read(sql text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'shard_engine_read';
REVOKE ALL ON FUNCTION _shard.engine_read(text) FROM PUBLIC;
COMMENT ON FUNCTION _shard.engine_read(text) IS
    'for diagnosis, superusers only: run one SELECT in the engine; the result has the types of the column definition list';

CREATE FUNCTION _shard.engine_literal(value anyelement)
    RETURNS text
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'shard_engine_literal';
REVOKE ALL ON FUNCTION _shard.engine_literal(anyelement) FROM PUBLIC;
COMMENT ON FUNCTION _shard.engine_literal(anyelement) IS
    'for diagnosis: a value as a literal of the engine''s SQL; null if the engine has no such value';

CREATE FUNCTION _shard.engine_execute(sql text)
    RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'shard_engine_execute';
REVOKE ALL ON FUNCTION _shard.engine_execute(text) FROM PUBLIC;
COMMENT ON FUNCTION _shard.engine_execute(text) IS
    'for diagnosis, superusers only: run any one statement in the engine; returns the rows that it changed';

CREATE FUNCTION _shard.engine_export(query text, path text)
    RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'shard_engine_export';
REVOKE ALL ON FUNCTION _shard.engine_export(text, text) FROM PUBLIC;
COMMENT ON FUNCTION _shard.engine_export(text, text) IS
    'for diagnosis, superusers only: write the result of a query to a Parquet file; returns the number of rows';

CREATE VIEW shard.engine_status AS
    SELECT s.pid::pg_catalog.int4 AS pid,
        s.version,
        s.uptime_ms OPERATOR(pg_catalog.*) '1 ms'::pg_catalog.interval AS uptime,
        greatest(s.starts OPERATOR(pg_catalog.-) 1, 0) AS restarts,
        s.connections::pg_catalog.int4 AS connections,
        s.running::pg_catalog.int4 AS queries_running,
        s.queued::pg_catalog.int4 AS queries_queued,
        s.max_queries::pg_catalog.int4 AS max_queries,
        s.threads::pg_catalog.int4 AS threads,
        s.memory_used OPERATOR(pg_catalog.+) s.caches AS memory_used,
        s.memory_limit,
        s.spilled
    FROM _shard.engine_state() s;
COMMENT ON VIEW shard.engine_status IS 'the engine: one row; pid is null while it does not answer';
COMMENT ON COLUMN shard.engine_status.pid IS 'process shard_engine';
COMMENT ON COLUMN shard.engine_status.version IS 'version of DuckDB';
COMMENT ON COLUMN shard.engine_status.uptime IS 'time since it was started';
COMMENT ON COLUMN shard.engine_status.restarts IS 'how often it was started again since the server was';
COMMENT ON COLUMN shard.engine_status.connections IS 'connections of backends and workers';
COMMENT ON COLUMN shard.engine_status.queries_running IS 'queries that run now';
COMMENT ON COLUMN shard.engine_status.queries_queued IS 'queries that wait because max_queries run';
COMMENT ON COLUMN shard.engine_status.max_queries IS 'setting shard.engine_max_queries';
COMMENT ON COLUMN shard.engine_status.threads IS 'threads that run queries';
COMMENT ON COLUMN shard.engine_status.memory_used IS 'bytes in use';
COMMENT ON COLUMN shard.engine_status.memory_limit IS 'setting shard.engine_memory_limit, in bytes';
COMMENT ON COLUMN shard.engine_status.spilled IS 'bytes in temporary files';
GRANT EXECUTE ON FUNCTION _shard.engine_state() TO shard_reader, shard_admin;
GRANT SELECT ON shard.engine_status TO shard_reader, shard_admin;
