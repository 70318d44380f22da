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
    dedicated boolean NOT NULL DEFAULT false,     -- made for keys of its own: rebalancing leaves it alone
    PRIMARY KEY (router, shard_index),
    UNIQUE (router, shard_name)
);

CREATE TABLE _shard.pin (
    router text COLLATE "C" NOT NULL REFERENCES _shard.router ON DELETE CASCADE ON UPDATE CASCADE,
    key text COLLATE "C" NOT NULL,
    shard_index int NOT NULL,
    PRIMARY KEY (router, key)
);

-- What a migration changes of the pins: a key below the frontier follows the row
-- here, if it has one, and no pin if that says null.  The last batch makes it a pin.
CREATE TABLE _shard.next_pin (
    router text COLLATE "C" NOT NULL REFERENCES _shard.router ON DELETE CASCADE ON UPDATE CASCADE,
    key text COLLATE "C" NOT NULL,
    shard_index int,
    PRIMARY KEY (router, key)
);

CREATE TABLE _shard.sharded_table (
    relation regclass PRIMARY KEY,        -- the partitioned parent
    router text COLLATE "C" NOT NULL REFERENCES _shard.router ON UPDATE CASCADE,
    partition_key text[] NOT NULL,
    lake boolean NOT NULL,
    lake_options jsonb,                   -- partitions and sort order of its lake tables
    distributed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- A router is there when its row here is, and its shards, and its pins if it has
-- any: while a database is restored these tables are filled one by one, and a map
-- without its pins would call rows misplaced that are not.  The foreign keys, three
-- of them over columns that stay null, make pg_dump write this table last.
CREATE TABLE _shard.router_ready (
    router text COLLATE "C" PRIMARY KEY REFERENCES _shard.router ON DELETE CASCADE ON UPDATE CASCADE,
    pinned boolean NOT NULL DEFAULT false,    -- are there pins?
    next_pinned boolean NOT NULL DEFAULT false,   -- does a migration change some?
    no_shard int CHECK (no_shard IS NULL),
    no_pin text COLLATE "C" CHECK (no_pin IS NULL),
    no_next_pin text COLLATE "C" CHECK (no_next_pin IS NULL),
    FOREIGN KEY (router, no_shard) REFERENCES _shard.shard,
    FOREIGN KEY (router, no_pin) REFERENCES _shard.pin,
    FOREIGN KEY (router, no_next_pin) REFERENCES _shard.next_pin
);

SELECT pg_catalog.pg_extension_config_dump('_shard.router', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.router_ready', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.shard', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.pin', '');
SELECT pg_catalog.pg_extension_config_dump('_shard.next_pin', '');
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

CREATE TRIGGER map_changed_insert AFTER INSERT ON _shard.next_pin REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_update AFTER UPDATE ON _shard.next_pin REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_delete AFTER DELETE ON _shard.next_pin REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_truncate AFTER TRUNCATE ON _shard.next_pin
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
ALTER TABLE _shard.next_pin ENABLE ALWAYS TRIGGER map_changed_insert, ENABLE ALWAYS TRIGGER map_changed_update,
    ENABLE ALWAYS TRIGGER map_changed_delete, ENABLE ALWAYS TRIGGER map_changed_truncate;

CREATE TRIGGER map_changed_insert AFTER INSERT ON _shard.router_ready REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_update AFTER UPDATE ON _shard.router_ready REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_delete AFTER DELETE ON _shard.router_ready REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
CREATE TRIGGER map_changed_truncate AFTER TRUNCATE ON _shard.router_ready
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.map_changed();
ALTER TABLE _shard.router_ready ENABLE ALWAYS TRIGGER map_changed_insert, ENABLE ALWAYS TRIGGER map_changed_update,
    ENABLE ALWAYS TRIGGER map_changed_delete, ENABLE ALWAYS TRIGGER map_changed_truncate;

CREATE FUNCTION _shard.tables_changed() RETURNS trigger
    LANGUAGE c AS 'MODULE_PATHNAME', 'shard_tables_changed';
COMMENT ON FUNCTION _shard.tables_changed() IS 'shard: makes every backend look again whether a table is distributed';
REVOKE ALL ON FUNCTION _shard.tables_changed() FROM PUBLIC;
CREATE TRIGGER tables_changed AFTER INSERT OR UPDATE OR DELETE ON _shard.sharded_table
    FOR EACH ROW EXECUTE FUNCTION _shard.tables_changed();
ALTER TABLE _shard.sharded_table ENABLE ALWAYS TRIGGER tables_changed;

-- Routers.

CREATE FUNCTION shard.create_router(
    name text,
    strategy text DEFAULT 'hash',
    shard_count int DEFAULT NULL,
    partition_key text[] DEFAULT '{id}',
    fallback_key text DEFAULT NULL,
    strict boolean DEFAULT true,
    partition_key_fn regprocedure DEFAULT NULL,
    key_type regtype DEFAULT 'text',
    ranges jsonb DEFAULT NULL,
    comparator regprocedure DEFAULT NULL,
    default_shard int DEFAULT 0,
    virtual_nodes int DEFAULT 150,
    hash_function text DEFAULT 'fnv1a',
    shard_name_prefix text DEFAULT 'shard-',
    max_entities_per_shard bigint DEFAULT NULL,
    max_bytes_per_shard bigint DEFAULT NULL,
    min_entities_per_shard bigint DEFAULT NULL,
    retry jsonb DEFAULT '{"max_retries": 3, "retry_delay_ms": 100, "backoff": 2}',
    enable_metrics boolean DEFAULT true,
    track_access boolean DEFAULT true,
    track_metadata boolean DEFAULT true,
    weights float8[] DEFAULT NULL
) RETURNS void
    LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_create_router';
COMMENT ON FUNCTION shard.create_router(text, text, int, text[], text, boolean, regprocedure, regtype, jsonb,
    regprocedure, int, int, text, text, bigint, bigint, bigint, jsonb, boolean, boolean, boolean, float8[])
    IS 'creates a router: a named mapping from partition keys to shards';

CREATE FUNCTION shard.create_router(definition jsonb) RETURNS void
    LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_create_router_json';
COMMENT ON FUNCTION shard.create_router(jsonb)
    IS 'creates a router from a definition, such as shard.router_definition() gives';

CREATE FUNCTION shard.router_definition(name text) RETURNS jsonb
    LANGUAGE c STABLE STRICT SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_router_definition';
COMMENT ON FUNCTION shard.router_definition(text)
    IS 'a router with its shards and pins as JSON, from which shard.create_router() makes the same router elsewhere';

CREATE FUNCTION shard.alter_router(
    name text,
    fallback_key text DEFAULT NULL,
    strict boolean DEFAULT NULL,
    partition_key_fn regprocedure DEFAULT NULL,
    max_entities_per_shard bigint DEFAULT NULL,
    max_bytes_per_shard bigint DEFAULT NULL,
    min_entities_per_shard bigint DEFAULT NULL,
    retry jsonb DEFAULT NULL,
    enable_metrics boolean DEFAULT NULL,
    track_access boolean DEFAULT NULL,
    track_metadata boolean DEFAULT NULL,
    ranges jsonb DEFAULT NULL,
    default_shard int DEFAULT NULL,
    weights float8[] DEFAULT NULL
) RETURNS bigint
    LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_alter_router';
COMMENT ON FUNCTION shard.alter_router(text, text, boolean, regprocedure, bigint, bigint, bigint, jsonb, boolean,
    boolean, boolean, jsonb, int, float8[])
    IS 'changes settings of a router, and its ranges; null leaves one as it is, '''' or 0 takes it away; returns the id of the migration that moves rows, if there are too many to move at once';

CREATE FUNCTION shard.drop_router(name text) RETURNS void
    LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_drop_router';
COMMENT ON FUNCTION shard.drop_router(text) IS 'drops a router that has no sharded tables, and its empty shards';

CREATE FUNCTION shard.pin(router text, key text, shard_index int) RETURNS void
    LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_pin';
COMMENT ON FUNCTION shard.pin(text, text, int)
    IS 'assigns a key to a shard, whatever the strategy says; refused while rows of the key are in another shard';

CREATE FUNCTION shard.unpin(router text, key text) RETURNS void
    LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'shard_unpin';
COMMENT ON FUNCTION shard.unpin(text, text)
    IS 'lets the strategy decide about a key again; refused while rows of the key would then be in the wrong shard';

-- Asking a router.

CREATE FUNCTION shard.route(router text, key text) RETURNS int
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_route';
COMMENT ON FUNCTION shard.route(text, text) IS 'index of the shard that a partition key belongs to';

CREATE FUNCTION shard.shard_info(router text, key text,
    OUT shard_index int, OUT shard_name text, OUT server text, OUT schema text)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_info';
COMMENT ON FUNCTION shard.shard_info(text, text) IS 'the shard that a partition key belongs to';

CREATE FUNCTION shard.distribution(router text, sample_size int DEFAULT 100000,
    OUT coefficient_of_variation float8, OUT min_share float8, OUT max_share float8,
    OUT balance_score float8, OUT shares jsonb)
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_distribution';
COMMENT ON FUNCTION shard.distribution(text, int)
    IS 'how evenly a router spreads sample keys: shares of its shards; a balance_score of 1 is perfectly even';

CREATE FUNCTION shard.extract_partition_key(router text, thing jsonb) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_extract_partition_key';
COMMENT ON FUNCTION shard.extract_partition_key(text, jsonb)
    IS 'the partition key of a thing by the router''s rules; parts of a composite key are joined by a colon';

CREATE FUNCTION shard.assign(router text, thing jsonb) RETURNS int
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_assign';
COMMENT ON FUNCTION shard.assign(text, jsonb) IS 'index of the shard that a thing belongs to';

-- Of these consist partition keys that are expressions, see src/table/key.c.  Every user runs them.

CREATE FUNCTION _shard.partition_key(VARIADIC "any") RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_partition_key';
COMMENT ON FUNCTION _shard.partition_key(VARIADIC "any")
    IS 'shard: partition key of a row, its parts joined by a colon; an error if a part is null or empty';

CREATE FUNCTION _shard.partition_key_or(fallback "any", VARIADIC "any") RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_partition_key_or';
COMMENT ON FUNCTION _shard.partition_key_or("any", VARIADIC "any")
    IS 'shard: partition key of a row, its parts joined by a colon, or the fallback if a part is null';

CREATE FUNCTION _shard.probe_key(VARIADIC "any") RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_probe_key';
COMMENT ON FUNCTION _shard.probe_key(VARIADIC "any")
    IS 'shard: partition key that a query asks for; null if no row can have it';

CREATE FUNCTION _shard.key_object(names text[], VARIADIC "any") RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_key_object';
COMMENT ON FUNCTION _shard.key_object(text[], VARIADIC "any")
    IS 'shard: columns of a row as JSON, the same under all settings, for a partition_key_fn';

CREATE FUNCTION _shard.key_shard(router text, key text) RETURNS int
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_key_shard';
COMMENT ON FUNCTION _shard.key_shard(text, text)
    IS 'index of the shard of a key that stands in a table: shard.route() without counting, for the empty key as well';

CREATE FUNCTION _shard.key_position(router text, key text) RETURNS bigint
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'shard_key_position';
COMMENT ON FUNCTION _shard.key_position(text, text)
    IS 'shard: position of a key in hash space, the bits of an unsigned number';

CREATE VIEW shard.routers AS
    SELECT r.name, r.strategy, pg_catalog.cardinality(r.members) AS shard_count, r.partition_key,
        r.hash_function, r.virtual_nodes, r.fallback_key, r.strict, r.partition_key_fn, r.key_type,
        r.ranges, r.comparator, r.default_shard, r.shard_name_prefix, r.max_entities_per_shard,
        r.max_bytes_per_shard, r.min_entities_per_shard, r.retry, r.enable_metrics, r.track_access,
        r.track_metadata, r.next_members IS NOT NULL AS migrating, r.created_at
    FROM _shard.router AS r;
COMMENT ON VIEW shard.routers IS 'routers: named mappings from partition keys to shards';
COMMENT ON COLUMN shard.routers.shard_count IS 'shards that the current map uses';
COMMENT ON COLUMN shard.routers.migrating IS 'keys are on their way to another map';

CREATE VIEW shard.shards AS
    SELECT s.router, s.shard_index, s.shard_name, s.state, s.server, s.schema_name AS schema, s.weight
    FROM _shard.shard AS s;
COMMENT ON VIEW shard.shards IS 'shards of all routers';
COMMENT ON COLUMN shard.shards.state IS 'active, joining or leaving';
COMMENT ON COLUMN shard.shards.server IS 'foreign server that holds the shard; null for this server';
COMMENT ON COLUMN shard.shards.weight IS 'share of keys on a ring, relative to the other shards';

REVOKE ALL ON FUNCTION
    shard.create_router(text, text, int, text[], text, boolean, regprocedure, regtype, jsonb, regprocedure, int, int,
        text, text, bigint, bigint, bigint, jsonb, boolean, boolean, boolean, float8[]),
    shard.create_router(jsonb), shard.router_definition(text),
    shard.alter_router(text, text, boolean, regprocedure, bigint, bigint, bigint, jsonb, boolean, boolean, boolean, jsonb, int, float8[]),
    shard.drop_router(text), shard.pin(text, text, int), shard.unpin(text, text), shard.route(text, text), shard.shard_info(text, text), shard.distribution(text, int),
    shard.extract_partition_key(text, jsonb), shard.assign(text, jsonb), _shard.key_position(text, text), _shard.key_shard(text, text)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    shard.create_router(text, text, int, text[], text, boolean, regprocedure, regtype, jsonb, regprocedure, int, int,
        text, text, bigint, bigint, bigint, jsonb, boolean, boolean, boolean, float8[]),
    shard.create_router(jsonb), shard.router_definition(text),
    shard.alter_router(text, text, boolean, regprocedure, bigint, bigint, bigint, jsonb, boolean, boolean, boolean, jsonb, int, float8[]),
    shard.drop_router(text), shard.pin(text, text, int), shard.unpin(text, text)
    TO shard_admin;
GRANT EXECUTE ON FUNCTION
    shard.route(text, text), shard.shard_info(text, text), shard.distribution(text, int),
    shard.extract_partition_key(text, jsonb), shard.assign(text, jsonb), _shard.key_position(text, text), _shard.key_shard(text, text)
    TO shard_reader, shard_admin;
GRANT SELECT ON shard.routers, shard.shards TO shard_reader, shard_admin;
GRANT SELECT, INSERT, UPDATE, DELETE ON _shard.router, _shard.router_ready, _shard.shard, _shard.pin, _shard.next_pin,
        _shard.sharded_table
    TO shard_admin;
