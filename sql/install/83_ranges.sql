-- Migrations that change the ranges of a router; started by shard.alter_router().

CREATE FUNCTION _shard.plan_ranges(router text, ranges jsonb, default_shard int, rows bigint) RETURNS bigint
    LANGUAGE c VOLATILE STRICT
    AS 'MODULE_PATHNAME', 'shard_plan_ranges';
COMMENT ON FUNCTION _shard.plan_ranges(text, jsonb, int, bigint) IS 'plan other ranges for a router of strategy range';

CREATE FUNCTION _shard.change_ranges(router text, ranges jsonb, default_shard int, rows bigint) RETURNS bigint
    LANGUAGE sql VOLATILE STRICT
    AS 'SELECT shard.execute_plan(_shard.plan_ranges($1, $2, $3, $4))';
COMMENT ON FUNCTION _shard.change_ranges(text, jsonb, int, bigint) IS
    'change the ranges of a router of strategy range in a background worker; returns the migration''s id';

REVOKE ALL ON FUNCTION _shard.plan_ranges(text, jsonb, int, bigint), _shard.change_ranges(text, jsonb, int, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.plan_ranges(text, jsonb, int, bigint), _shard.change_ranges(text, jsonb, int, bigint) TO shard_admin;
