-- Routers: known answers, routing in every key type, pins, and what PostgreSQL
-- does with a sharded table by itself.

-- FNV-1a of these keys is published or follows from its definition:
-- a 0xe40c292c, b 0xe70c2de5, c 0xe60c2c52, foobar 0xbf9cf968,
-- customer-123 0x2cdf62e4, grün 0x6058a537, 日本語 0x805f5ce7
SELECT shard.create_router('rt', shard_count => 16, partition_key => '{k}');
SELECT key, shard.route('rt', key), expected
FROM (VALUES ('a', x'e40c292c'::bigint % 16), ('b', x'e70c2de5'::bigint % 16), ('c', x'e60c2c52'::bigint % 16),
    ('foobar', x'bf9cf968'::bigint % 16), ('customer-123', x'2cdf62e4'::bigint % 16),
    ('grün', x'6058a537'::bigint % 16), ('日本語', x'805f5ce7'::bigint % 16)) AS known(key, expected);
SELECT * FROM shard.shard_info('rt', 'customer-123');

-- XXH3: abc 0x78af5f94892f3950, hello 10760762337991515389
SELECT shard.create_router('rt_x', shard_count => 10, hash_function => 'xxh3');
SELECT key, shard.route('rt_x', key), expected
FROM (VALUES ('abc', 8696274497037089104 % 10), ('hello', 10760762337991515389 % 10)) AS known(key, expected);

-- A ring: even enough, and every key has the same place each time.
SELECT shard.create_router('rt_ring', 'consistent-hash', 4, virtual_nodes => 150);
SELECT coefficient_of_variation <= 0.05 AS even, min_share > 0.2 AS smallest, max_share < 0.3 AS largest,
    balance_score > 0.95 AS balanced, (SELECT count(*) FROM jsonb_object_keys(shares)) AS shards
FROM shard.distribution('rt_ring');
SELECT shard.route('rt_ring', 'customer-123') = (shard.shard_info('rt_ring', 'customer-123')).shard_index AS same;
SELECT count(DISTINCT shard.route('rt_ring', 'key-' || i)) FROM generate_series(1, 100) AS i;

SELECT name, strategy, shard_count, partition_key, hash_function, virtual_nodes, migrating
FROM shard.routers WHERE name LIKE 'rt%' ORDER BY name;
SELECT * FROM shard.shards WHERE router = 'rt_ring' ORDER BY shard_index;

-- The same key goes to the same shard whatever its type.
SELECT n, bool_and(_shard.rt_hash(n::text, 0) = h) AS alike
FROM (SELECT i AS n, unnest(ARRAY[_shard.rt_hash(i::smallint, 0), _shard.rt_hash(i, 0), _shard.rt_hash(i::bigint, 0)]) AS h
    FROM unnest(ARRAY[0, 1, -1, 42, 32767, -32768]) AS i) AS hashes
GROUP BY n ORDER BY n;
SELECT _shard.rt_hash(n::text, 0) = _shard.rt_hash(n, 0) AS alike
FROM unnest(ARRAY[9223372036854775807, -9223372036854775808]) AS n;
SELECT _shard.rt_hash(u::text, 0) = _shard.rt_hash(u, 0) AS alike
FROM unnest(ARRAY['00000000-0000-0000-0000-000000000000', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11']::uuid[]) AS u;
-- what PostgreSQL adds makes it the shard's index
SELECT _shard.rt_hash('customer-123'::text, 0) + 5305509591434766563 = shard.route('rt', 'customer-123') AS index;
-- a compressed and an out-of-line key
SELECT length(k), _shard.rt_hash(k, 0) + 5305509591434766563 = shard.route('rt', k) AS alike
FROM (VALUES (repeat('x', 100000)), ('x')) AS long(k);
SELECT _shard.rt_hash('k' COLLATE "C", 0) = _shard.rt_hash('k' COLLATE "default", 0) AS alike;
CREATE COLLATION rt_nd (provider = icu, locale = 'und', deterministic = false);
SELECT _shard.rt_hash('k' COLLATE rt_nd, 0);
DROP COLLATION rt_nd;

-- Tables.
CREATE TABLE rt_text (k text PRIMARY KEY, v int);
CREATE TABLE rt_int (k bigint, id int, v int, PRIMARY KEY (k, id));
CREATE TABLE rt_small (k smallint PRIMARY KEY);
CREATE TABLE rt_uuid (k uuid PRIMARY KEY, v int);
INSERT INTO rt_text SELECT 'k' || i, i FROM generate_series(1, 500) AS i;
SELECT shard.distribute_table('rt_text', 'rt', lake => false);
SELECT shard.distribute_table('rt_int', 'rt', lake => false);
SELECT shard.distribute_table('rt_small', 'rt', lake => false);
SELECT shard.distribute_table('rt_uuid', 'rt', lake => false);
INSERT INTO rt_int SELECT i % 50, i, i FROM generate_series(1, 1000) AS i;
INSERT INTO rt_small SELECT i FROM generate_series(1, 50) AS i;
INSERT INTO rt_uuid SELECT md5(i::text)::uuid, i FROM generate_series(1, 100) AS i;
SELECT count(*), bool_and(tableoid::regclass::text = 'rt_shard_' || shard.route('rt', k) || '.rt_text') AS placed FROM rt_text;
SELECT count(*), bool_and(tableoid::regclass::text = 'rt_shard_' || shard.route('rt', k::text) || '.rt_int') AS placed FROM rt_int;
SELECT count(*), bool_and(tableoid::regclass::text = 'rt_shard_' || shard.route('rt', k::text) || '.rt_small') AS placed FROM rt_small;
SELECT count(*), bool_and(tableoid::regclass::text = 'rt_shard_' || shard.route('rt', k::text) || '.rt_uuid') AS placed FROM rt_uuid;

-- A key prunes, in every type that compares with it; at run time, too.
EXPLAIN (COSTS OFF) SELECT v FROM rt_text WHERE k = 'customer-123';
EXPLAIN (COSTS OFF) SELECT v FROM rt_text WHERE k = 'customer-123'::varchar;
EXPLAIN (COSTS OFF) SELECT v FROM rt_text WHERE k IN ('a', 'b');
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT v FROM rt_int WHERE k = 7;
EXPLAIN (COSTS OFF) SELECT v FROM rt_int WHERE k = 7::smallint;
EXPLAIN (COSTS OFF) SELECT k FROM rt_small WHERE k = 7;
EXPLAIN (COSTS OFF) SELECT k FROM rt_small WHERE k = 7::bigint;
EXPLAIN (COSTS OFF) SELECT v FROM rt_uuid WHERE k = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
SET plan_cache_mode = force_generic_plan;
PREPARE rt_generic(text) AS SELECT v FROM rt_text WHERE k = $1;
CREATE FUNCTION rt_subplans() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXPLAIN (COSTS OFF) EXECUTE rt_generic('k77') LOOP
        IF line ~ 'Removed|Append' THEN RETURN NEXT line; END IF;
    END LOOP;
END $$;
SELECT * FROM rt_subplans();
EXECUTE rt_generic('k77');
RESET plan_cache_mode;
RESET enable_bitmapscan;

-- Writing: primary key, ON CONFLICT, RETURNING, COPY, a change of the key.
INSERT INTO rt_text VALUES ('k1', 0);
INSERT INTO rt_text AS t VALUES ('k1', 100), ('new', 1)
    ON CONFLICT (k) DO UPDATE SET v = t.v + excluded.v RETURNING k, v;
INSERT INTO rt_text VALUES ('k1', 100) ON CONFLICT DO NOTHING RETURNING k;
COPY rt_text FROM stdin;
copied	1
kopiert	2
\.
UPDATE rt_text SET k = 'moved' WHERE k = 'copied'
    RETURNING k, tableoid::regclass::text = 'rt_shard_' || shard.route('rt', 'moved') || '.rt_text' AS placed;
DELETE FROM rt_text WHERE k IN ('moved', 'kopiert', 'new') RETURNING k;
-- a leaf takes only its own keys
SELECT shard.route('rt', 'a');
INSERT INTO rt_shard_5.rt_text VALUES ('a', 1);

-- Tables of one router are joined shard by shard, and grouped so.
SELECT shard.create_router('rt_two', shard_count => 2, partition_key => '{k}');
CREATE TABLE rt_left (k text PRIMARY KEY, v int);
CREATE TABLE rt_right (k text PRIMARY KEY, w int);
SELECT shard.distribute_table('rt_left', 'rt_two', lake => false);
SELECT shard.distribute_table('rt_right', 'rt_two', lake => false);
INSERT INTO rt_left SELECT 'k' || i, i FROM generate_series(1, 300) AS i;
INSERT INTO rt_right SELECT 'k' || i, i FROM generate_series(1, 300) AS i;
ANALYZE rt_left, rt_right;
SET enable_partitionwise_join = on;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT count(*) FROM rt_left JOIN rt_right USING (k);
SELECT count(*), sum(v - w) FROM rt_left JOIN rt_right USING (k);
SELECT count(*) FROM (SELECT k, count(*) FROM rt_left GROUP BY k) AS g;
RESET enable_partitionwise_join;
RESET enable_partitionwise_aggregate;
-- joins with other tables hash by the type's ordinary hash
CREATE TABLE rt_plain AS SELECT k FROM rt_left;
ANALYZE rt_plain;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM rt_left JOIN rt_plain USING (k);
RESET enable_mergejoin;
RESET enable_nestloop;
-- foreign keys, both ways
ALTER TABLE rt_right ADD FOREIGN KEY (k) REFERENCES rt_left;
INSERT INTO rt_right VALUES ('nobody', 1);
DELETE FROM rt_left WHERE k = 'k1';

-- Pins: a key's shard changes, prepared statements follow.
PREPARE rt_find(text) AS SELECT tableoid::regclass, v FROM rt_left WHERE k = $1;
SELECT shard.route('rt_two', 'a'), shard.route('rt_two', 'b');
EXECUTE rt_find('a');
SELECT shard.pin('rt_two', 'a', 1);
SELECT shard.route('rt_two', 'a');
INSERT INTO rt_left VALUES ('a', -1);
EXECUTE rt_find('a');
EXECUTE rt_find('k2');
-- rows do not move by themselves
SELECT shard.unpin('rt_two', 'a');
SELECT shard.pin('rt_two', 'a', 0);
SELECT shard.pin('rt_two', 'a', 1);
DELETE FROM rt_left WHERE k = 'a';
SELECT shard.unpin('rt_two', 'a');
SELECT shard.route('rt_two', 'a');
SELECT shard.unpin('rt_two', 'a');
-- a pin that is rolled back
BEGIN;
SELECT shard.pin('rt_two', 'a', 1);
SELECT shard.route('rt_two', 'a');
SAVEPOINT s;
SELECT shard.pin('rt_two', 'b', 0);
SELECT shard.route('rt_two', 'b');
ROLLBACK TO s;
SELECT shard.route('rt_two', 'a'), shard.route('rt_two', 'b');
ROLLBACK;
SELECT shard.route('rt_two', 'a'), shard.route('rt_two', 'b');
-- keys of other types
SELECT shard.route('rt', '7') AS shard_of_7 \gset
SELECT shard.pin('rt', '7', (:shard_of_7 + 1) % 16);
SELECT shard.pin('rt', 'seven', (shard.route('rt', 'seven') + 1) % 16);
SELECT shard.unpin('rt', 'seven');
-- more keys than the cache of pins has slots
INSERT INTO _shard.pin SELECT 'rt_ring', 'pinned-' || i, i % 4 FROM generate_series(1, 10000) AS i;
SELECT count(*) FROM generate_series(1, 10000) AS i WHERE shard.route('rt_ring', 'pinned-' || i) <> i % 4;
SELECT count(*) FROM generate_series(1, 10000) AS i WHERE shard.route('rt_ring', 'pinned-' || i) <> i % 4;
SELECT shard.route('rt_ring', repeat('long', 100)) AS before \gset
INSERT INTO _shard.pin VALUES ('rt_ring', repeat('long', 100), (:before + 1) % 4);
SELECT shard.route('rt_ring', repeat('long', 100)) = (:before + 1) % 4 AS pinned;
DELETE FROM _shard.pin WHERE router = 'rt_ring';
SELECT shard.route('rt_ring', repeat('long', 100)) = :before AS unpinned;

-- Between two maps: keys below the frontier follow the next one.
SELECT count(*) FILTER (WHERE shard.route('rt_ring', 'key-' || i) = 4) FROM generate_series(1, 1000) AS i;
BEGIN;
INSERT INTO _shard.shard (router, shard_index, shard_name, schema_name) VALUES ('rt_ring', 4, 'shard-4', 'rt_ring_shard_4');
UPDATE _shard.router SET next_members = '{0,1,2,3,4}', frontier = 0 WHERE name = 'rt_ring';
CREATE TEMP TABLE rt_progress AS SELECT 0 AS step, array_agg(shard.route('rt_ring', 'key-' || i)) AS shards FROM generate_series(1, 1000) AS i;
UPDATE _shard.router SET frontier = 9223372036854775807 WHERE name = 'rt_ring';
INSERT INTO rt_progress SELECT 1, array_agg(shard.route('rt_ring', 'key-' || i)) FROM generate_series(1, 1000) AS i;
UPDATE _shard.router SET frontier = -1 WHERE name = 'rt_ring';
INSERT INTO rt_progress SELECT 2, array_agg(shard.route('rt_ring', 'key-' || i)) FROM generate_series(1, 1000) AS i;
SELECT step, cardinality(array_positions(shards, 4)) BETWEEN step * 60 AND step * 140 AS moved FROM rt_progress ORDER BY step;
SELECT count(*) FILTER (WHERE a <> b AND b <> 4) AS elsewhere, count(*) FILTER (WHERE a = 4 AND b <> 4) AS back
FROM rt_progress AS p JOIN rt_progress AS q ON q.step = p.step + 1, unnest(p.shards, q.shards) AS u(a, b);
ROLLBACK;

-- Things and their keys.
SELECT shard.create_router('rt_composite', shard_count => 4, partition_key => '{tenantId,region}');
SELECT shard.extract_partition_key('rt_composite', '{"tenantId": "t1", "region": "eu", "x": 1}');
SELECT shard.extract_partition_key('rt_composite', '{"tenantId": 17, "region": true}');
SELECT shard.assign('rt_composite', '{"tenantId": "t1", "region": "eu"}') = shard.route('rt_composite', 't1:eu') AS same;
SELECT shard.extract_partition_key('rt_composite', '{"tenantId": "t1"}');
SELECT shard.extract_partition_key('rt_composite', '{"tenantId": "t1", "region": null}');
SELECT shard.extract_partition_key('rt_composite', '{"tenantId": "t1", "region": ""}');
SELECT shard.extract_partition_key('rt_composite', '{"tenantId": {"a": 1}, "region": "eu"}');
SELECT shard.extract_partition_key('rt_composite', '[1]');
SELECT shard.create_router('rt_fallback', shard_count => 4, partition_key => '{customerId}', fallback_key => '$id', strict => false, default_shard => 2);
SELECT shard.extract_partition_key('rt_fallback', '{"customerId": "c", "$id": "x"}');
SELECT shard.extract_partition_key('rt_fallback', '{"$id": "x"}');
SELECT shard.extract_partition_key('rt_fallback', '{}') IS NULL AS none, shard.assign('rt_fallback', '{}');
CREATE FUNCTION rt_key(thing jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$SELECT COALESCE(thing->>'orderId', thing->>'$id')$$;
SELECT shard.create_router('rt_fn', shard_count => 4, partition_key_fn => 'rt_key(jsonb)');
SELECT shard.extract_partition_key('rt_fn', '{"orderId": "o1", "$id": "i1"}'), shard.extract_partition_key('rt_fn', '{"$id": "i1"}');
SELECT shard.extract_partition_key('rt_fn', '{}');
SELECT shard.alter_router('rt_fn', strict => false, max_entities_per_shard => 1000, retry => '{"max_retries": 5}');
SELECT strict, max_entities_per_shard, retry, partition_key_fn FROM shard.routers WHERE name = 'rt_fn';
SELECT shard.alter_router('rt_fn', max_entities_per_shard => 0, partition_key_fn => 0::regprocedure);
SELECT strict, max_entities_per_shard, partition_key_fn FROM shard.routers WHERE name = 'rt_fn';

-- The tenant strategy: hashed, and any tenant pinned to a shard of its own.
SELECT shard.create_router('rt_tenant', 'tenant', 3);
SELECT shard.pin('rt_tenant', 'acme', 2);
SELECT shard.route('rt_tenant', 'acme');

-- A router carried elsewhere routes alike.
SELECT jsonb_pretty(shard.router_definition('rt_tenant'));
SELECT shard.create_router(shard.router_definition('rt_tenant') || '{"name": "rt_carried"}');
SELECT count(*) FROM generate_series(1, 1000) AS i WHERE shard.route('rt_tenant', 'k' || i) <> shard.route('rt_carried', 'k' || i);
SELECT shard.route('rt_carried', 'acme');
SELECT shard.create_router('{"name": "rt_json", "strategy": "hash", "shard_count": 2, "partition_key": ["a", "b"], "shard_name_prefix": "part"}'::jsonb);
SELECT shard_name, schema FROM shard.shards WHERE router = 'rt_json' ORDER BY shard_index;

-- Bad input.
SELECT shard.create_router('rt_bad', 'modulo', 4);
SELECT shard.create_router('rt_bad', shard_count => 0);
SELECT shard.create_router('rt_bad', shard_count => 2000);
SELECT shard.create_router('rt_bad');
SELECT shard.create_router('rt', shard_count => 4);
SELECT shard.create_router('', shard_count => 4);
SELECT shard.create_router(NULL, shard_count => 4);
SELECT shard.create_router(repeat('r', 41), shard_count => 4);
SELECT shard.create_router('rt_bad', 'consistent-hash', 4, virtual_nodes => 0);
SELECT shard.create_router('rt_bad', 'consistent-hash', 4, virtual_nodes => 1000000);
SELECT shard.create_router('rt_bad', 'consistent-hash', 1000, virtual_nodes => 1000);
SELECT shard.create_router('rt_bad', shard_count => 4, hash_function => 'md5');
SELECT shard.create_router('rt_bad', shard_count => 4, partition_key => '{}');
SELECT shard.create_router('rt_bad', shard_count => 4, partition_key => '{a,""}');
SELECT shard.create_router('rt_bad', shard_count => 4, partition_key => '{a,NULL}');
SELECT shard.create_router('rt_bad', shard_count => 4, default_shard => 4);
SELECT shard.create_router('rt_bad', shard_count => 4, retry => '{"retries": 1}');
SELECT shard.create_router('rt_bad', shard_count => 4, retry => '{"max_retries": -1}');
SELECT shard.create_router('rt_bad', shard_count => 4, max_bytes_per_shard => 0);
SELECT shard.create_router('rt_bad', shard_count => 4, partition_key_fn => 'lower(text)');
SELECT shard.create_router('rt_bad', 'range', 4);
SELECT shard.create_router('rt_bad', shard_count => 4, ranges => '[]');
SELECT shard.create_router('{"name": "rt_bad", "shard_count": 2, "shards_count": 3}'::jsonb);
SELECT shard.create_router('{"name": "rt_bad", "shard_count": 2, "members": [0, 7]}'::jsonb);
SELECT shard.create_router('{"shard_count": 2}'::jsonb);
CREATE SCHEMA rt_taken_shard_1;
SELECT shard.create_router('rt_taken', shard_count => 4);
DROP SCHEMA rt_taken_shard_1;
SELECT shard.route('rt_nowhere', 'a');
SELECT shard.route('rt', '');
SELECT shard.pin('rt', '', 1);
SELECT shard.pin('rt', 'a', 16);
SELECT shard.pin('rt', 'a', -1);
SELECT shard.distribution('rt', 0);
SELECT shard.drop_router('rt_nowhere');
SELECT shard.alter_router('rt_nowhere', strict => true);
SELECT shard.router_definition('rt_nowhere');

-- CASCADE does not take sharded tables along.
\set VERBOSITY terse
DROP OPERATOR FAMILY _shard.rt_two USING hash;
DROP OPERATOR FAMILY _shard.rt_two USING hash CASCADE;
DROP OPERATOR CLASS _shard.rt_two_text USING hash CASCADE;
DROP FUNCTION _shard.rt_two_hash(text, bigint) CASCADE;
DROP EXTENSION shard;
DROP EXTENSION shard CASCADE;
\set VERBOSITY default
SELECT shard.drop_router('rt_two');

-- Who may do what.
CREATE ROLE rt_reader IN ROLE shard_reader;
CREATE ROLE rt_admin IN ROLE shard_admin;
CREATE ROLE rt_nobody;
SET ROLE rt_nobody;
SELECT shard.route('rt', 'a');
SELECT count(*) FROM shard.routers;
RESET ROLE;
SET ROLE rt_reader;
SELECT shard.route('rt', 'a');
SELECT count(*) > 0 AS reads FROM shard.routers;
SELECT shard.create_router('rt_mine', shard_count => 2);
SELECT * FROM _shard.pin;
RESET ROLE;
SET ROLE rt_admin;
SELECT shard.create_router('rt_mine', shard_count => 2);
SELECT shard.pin('rt_mine', 'a', 1);
SELECT shard.route('rt_mine', 'a');
SELECT shard.drop_router('rt_mine');
CREATE FUNCTION _shard.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
RESET ROLE;
DROP ROLE rt_reader, rt_admin, rt_nobody;

DROP TABLE rt_text, rt_int, rt_small, rt_uuid, rt_right, rt_left, rt_plain;
DROP FUNCTION rt_subplans, rt_key;
SELECT shard.drop_router(name) FROM (SELECT name FROM shard.routers WHERE name LIKE 'rt%' ORDER BY name) AS r;
SELECT count(*) AS left_over FROM pg_opfamily WHERE opfname ~ '^rt_';
SELECT count(*) AS left_over FROM pg_proc WHERE proname ~ '^rt_';
SELECT count(*) AS left_over FROM pg_namespace WHERE nspname ~ '^rt_';
