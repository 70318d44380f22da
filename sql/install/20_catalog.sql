-- Catalog tables of routers, shards and sharded tables, and the functions that
-- route.  The C code reads the tables by index like catalogs, hence COLLATE "C";
-- columns.h numbers their columns.

CREATE TABLE _shard.router (
    name text COLLATE "C" PRIMARY KEY,
    strategy text NOT NULL,
    hash_function text NOT NULL,
    virtual_nodes int NOT NULL,
    partition_key text[] NOT NULL,
    fallback_key text,
    strict boolean NOT NULL,
    partition_key_fn text,                -- text form of the regprocedure
    key_type regtype NOT NULL,
    ranges jsonb,
    comparator text,                      -- text form of the regprocedure
    default_shard int NOT NULL,
    shard_name_prefix text NOT NULL,
    max_entities_per_shard bigint,
    max_bytes_per_shard bigint,
    min_entities_per_shard bigint,
    retry jsonb NOT NULL,
    enable_metrics boolean NOT NULL,
    track_access boolean NOT NULL,
    track_metadata boolean NOT NULL,
    members int[] NOT NULL,               -- shard indexes of the current map, in its order
    next_members int[],                   -- those of the map that a migration leads to
    frontier bigint,                      -- unsigned bits; positions below it follow next_members
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CHECK ((next_members IS NULL) = (frontier IS NULL))
);

CREATE TABLE _shard.shard (
    router text COLLATE "C" NOT NULL REFERENCES _shard.router ON DELETE CASCADE ON UPDATE CASCADE,
    shard_index int NOT NULL CHECK (shard_index BETWEEN 0 AND 1023),
    shard_name text NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'joining', 'leaving')),
    server text,                          -- null: this server
    schema_name text NOT NULL,
    weight float8 NOT NULL DEFAULT 1 CHECK (weight > 0),
    PRIMARY KEY (router, shard_index),
    UNIQUE (router, shard_name)
);

CREATE TABLE _shard.pin (
    router text COLLATE "C" NOT NULL REFERENCES _shard.router ON DELETE CASCADE ON UPDATE CASCADE,
    key text COLLATE "C" NOT NULL,
    shard_index int NOT NULL,
    PRIMARY KEY (router, key)
);

CREATE TABLE _shard.sharded_table (
    relation regclass PRIMARY KEY,        -- the partitioned parent
    router text COLLATE "C" NOT NULL REFERENCES _shard.router ON UPDATE CASCADE,
    partition_key text[] NOT NULL,
    lake boolean NOT NULL,
    distributed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

SELECT pg_catalog.pg_extension_config_dump('_shard.router', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.shard', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.pin', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.sharded_table', '');

-- Every change of a map reaches every backend.

CREATE FUNCTION _shard.map_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'shard_map_changed';
COMMENT ON FUNCTION _shard.map_changed() IS 'shard: makes every backend read a changed map again';
REVOKE ALL ON FUNCTION _shard.map_changed() FROM PUBLIC;

CREATE TRIGGER map_changed_insert AFTER INSERT ON _shard.router REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_update AFTER UPDATE ON _shard.router REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_delete AFTER DELETE ON _shard.router REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_truncate AFTER TRUNCATE ON _shard.router
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
ALTER TABLE _shard.router ENABLE ALWAYS TRIGGER map_changed_insert, ENABLE ALWAYS TRIGGER map_changed_update,
    ENABLE ALWAYS TRIGGER map_changed_delete, ENABLE ALWAYS TRIGGER map_changed_truncate;

CREATE TRIGGER map_changed_insert AFTER INSERT ON _shard.shard REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_update AFTER UPDATE ON _shard.shard REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_delete AFTER DELETE ON _shard.shard REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_truncate AFTER TRUNCATE ON _shard.shard
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
ALTER TABLE _shard.shard ENABLE ALWAYS TRIGGER map_changed_insert, ENABLE ALWAYS TRIGGER map_changed_update,
    ENABLE ALWAYS TRIGGER map_changed_delete, ENABLE ALWAYS TRIGGER map_changed_truncate;

CREATE TRIGGER map_changed_insert AFTER INSERT ON _shard.pin REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_update AFTER UPDATE ON _shard.pin REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_delete AFTER DELETE ON _shard.pin REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_truncate AFTER TRUNCATE ON _shard.pin
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
ALTER TABLE _shard.pin ENABLE ALWAYS TRIGGER map_changed_insert, ENABLE ALWAYS TRIGGER map_changed_update,
    ENABLE ALWAYS TRIGGER map_changed_delete, ENABLE ALWAYS TRIGGER map_changed_truncate;

