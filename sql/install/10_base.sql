-- Schemas, roles and what every other fragment builds on.

\echo Use "CREATE EXTENSION shard" to load this file. \quit

CREATE SCHEMA _shard;
CREATE SCHEMA shard;
CREATE SCHEMA lake;

COMMENT ON SCHEMA shard IS 'shard: functions and views for users';
COMMENT ON SCHEMA _shard IS 'shard: catalog tables; not for direct use';
COMMENT ON SCHEMA lake IS 'shard: foreign tables over the lake';

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shard_admin') THEN
        CREATE ROLE shard_admin NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'shard_reader') THEN
        CREATE ROLE shard_reader NOLOGIN;
    END IF;
END
$$;

GRANT USAGE ON SCHEMA shard, lake TO PUBLIC;
GRANT USAGE ON SCHEMA _shard TO PUBLIC;
