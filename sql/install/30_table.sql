-- Sharded tables.

CREATE FUNCTION _shard.lock_for_flip(router text, shard_indexes int[], wait_ms int DEFAULT 0,
    OUT locked boolean, OUT blocker int)
AS 'MODULE_PATHNAME', 'shard_lock_for_flip' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.lock_for_flip(text, int[], int) IS
    'take the locks under which a router''s map may change, waiting at most wait_ms; if they are not to be had, the pid in the way';
REVOKE ALL ON FUNCTION _shard.lock_for_flip(text, int[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.lock_for_flip(text, int[], int) TO shard_admin;
