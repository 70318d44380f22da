-- Migrations that give one key a shard of its own.

CREATE FUNCTION shard.plan_isolate(router text, key text, shard_name text DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'shard_plan_isolate';
COMMENT ON FUNCTION shard.plan_isolate(text, text, text) IS
    'plan a shard for one key alone; returns the plan''s id';

CREATE FUNCTION shard.isolate(router text, key text, shard_name text DEFAULT NULL,
        batch_size int DEFAULT 100, timeout interval DEFAULT NULL,
        rollback_on_failure boolean DEFAULT true, start_at timestamptz DEFAULT pg_catalog.now())
    RETURNS bigint
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'shard_isolate';
COMMENT ON FUNCTION shard.isolate(text, text, text, int, interval, boolean, timestamptz) IS
    'make a shard for one key alone, pin the key to it and move its rows there, in a background worker; returns the migration''s id';

REVOKE ALL ON FUNCTION
    shard.plan_isolate(text, text, text),
    shard.isolate(text, text, text, int, interval, boolean, timestamptz)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    shard.plan_isolate(text, text, text),
    shard.isolate(text, text, text, int, interval, boolean, timestamptz)
    TO shard_admin;
