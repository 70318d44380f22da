-- Comparing tables with the lake by hand.

CREATE FUNCTION shard.resync(relation regclass DEFAULT NULL) RETURNS void
    AS 'MODULE_PATHNAME', 'shard_resync' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION shard.resync(regclass) IS
    'have a table (or all) compared with the lake when this transaction commits, and the differences written as events';
REVOKE ALL ON FUNCTION shard.resync(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.resync(regclass) TO shard_admin;
