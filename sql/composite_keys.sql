-- Partition keys that are expressions: composite keys, fallback keys, key
-- functions.  A row routes as its JSON does, and queries that say what the key
-- is made of visit its shard alone.
SET client_min_messages = warning;
CREATE SCHEMA ck;
CREATE FUNCTION ck.shard_of(t regclass) RETURNS int LANGUAGE sql AS $$
    SELECT substring(relnamespace::regnamespace::text FROM '_(\d+)$')::int FROM pg_class WHERE oid = t $$;
-- The shards that a plan visits: how many scans it has, and how many were removed.
CREATE FUNCTION ck.plan(query text) RETURNS TABLE(line text) LANGUAGE plpgsql AS $$
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        line := regexp_replace(line, 'Index Scan.*on|Bitmap Heap Scan on', 'Seq Scan on');
        IF line ~ 'Seq Scan on|Subplans Removed|One-Time' THEN
            line := trim(regexp_replace(line, '->', ''));
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;
SELECT shard.create_router('ck', 'hash', 4, '{tenant,region}', hash_function => 'xxh3');

-- Composite keys.
CREATE TABLE ck.orders (tenant text NOT NULL, region int NOT NULL, id bigint, note text,
    CONSTRAINT orders_pk PRIMARY KEY (id), CONSTRAINT orders_note UNIQUE (note, tenant, region));
CREATE UNIQUE INDEX orders_upper ON ck.orders (upper(note), id) WHERE id > 5;
CREATE INDEX orders_region ON ck.orders (region);
COMMENT ON CONSTRAINT orders_pk ON ck.orders IS 'the key';
COMMENT ON INDEX ck.orders_upper IS 'an index';
INSERT INTO ck.orders SELECT 't' || i % 7, i % 3, i, 'n' || i FROM generate_series(1, 500) i;
ALTER TABLE ck.orders CLUSTER ON orders_pk;
SET client_min_messages = notice;
SELECT shard.distribute_table('ck.orders', 'ck', lake => false);
SET client_min_messages = warning;
SELECT partition_key FROM shard.tables WHERE relation = 'ck.orders'::regclass;
SELECT pg_get_partkeydef('ck.orders'::regclass);
SELECT count(*), count(DISTINCT tableoid) AS shards,
    bool_and(ck.shard_of(tableoid) = shard.assign('ck', to_jsonb(o))) AS as_json,
    bool_and(ck.shard_of(tableoid) = shard.route('ck', tenant || ':' || region)) AS as_text
FROM ck.orders o;
SELECT * FROM shard.verify_placement('ck');
INSERT INTO ck.orders SELECT 'u' || i % 7, i % 3, 1000 + i FROM generate_series(1, 100) i;
UPDATE ck.orders SET region = region + 1 WHERE tenant = 'u1';
COPY ck.orders FROM stdin;
t:1	5	2000	colon
t	15	2001	\N
\.
SELECT count(*), bool_and(ck.shard_of(tableoid) = shard.assign('ck', to_jsonb(o))) AS as_json FROM ck.orders o;

-- Uniqueness holds within a shard.
SELECT c.relname, i.indisunique, i.indisclustered, obj_description(c.oid, 'pg_class') AS comment,
    (SELECT obj_description(k.oid, 'pg_constraint') FROM pg_constraint k WHERE k.conindid = c.oid) AS constraint_comment
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE indrelid = 'ck_shard_2.orders'::regclass ORDER BY 1;
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'ck.orders'::regclass;
\set VERBOSITY sqlstate
INSERT INTO ck.orders SELECT tenant, region, id FROM ck.orders WHERE id = 7;
INSERT INTO ck.orders SELECT tenant, region, 7000, note FROM ck.orders WHERE id = 7;
\set VERBOSITY default
INSERT INTO ck.orders SELECT * FROM ck.orders WHERE id < 10 ON CONFLICT DO NOTHING;
INSERT INTO ck.orders VALUES ('t1', 1, 7) ON CONFLICT (id) DO NOTHING;

-- A row without a key belongs nowhere.
ALTER TABLE ck.orders ALTER region DROP NOT NULL;
INSERT INTO ck.orders VALUES ('t1', NULL, 9001);
INSERT INTO ck.orders VALUES ('', 1, 9001);
INSERT INTO ck_shard_0.orders VALUES ('t1', NULL, 9001);
UPDATE ck.orders SET region = NULL WHERE id = 7;
SELECT count(*) FROM ck.orders WHERE region IS NULL;

-- One shard, by constants and by parameters.
SELECT ck.plan($$SELECT * FROM ck.orders WHERE tenant = 't1' AND region = 1$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE region = 1::bigint AND 't1' = tenant AND note > 'n'$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE tenant = 't1' AND region IN (0, 1, 2)$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE (tenant, region) IN (('t1', 1), ('t2', 1))$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE tenant = 't1'$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE tenant = 't1' AND region > 1$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE tenant = 't1' OR region = 1$$);
SELECT ck.plan($$SELECT * FROM ck.orders WHERE tenant = 't1' AND region = NULL$$);
SELECT ck.plan($$UPDATE ck.orders SET note = 'x' WHERE tenant = 't1' AND region = 1$$);
SELECT ck.plan($$DELETE FROM ck.orders WHERE tenant = 't1' AND region = 1$$);
CREATE VIEW ck.view WITH (security_barrier) AS SELECT * FROM ck.orders WHERE id > 0;
SELECT ck.plan($$SELECT * FROM ck.view WHERE tenant = 't1' AND region = 1$$);
SELECT ck.plan($$SELECT * FROM ck.orders a JOIN ck.orders b USING (tenant, region) WHERE tenant = 't1' AND region = 1$$);
SELECT ck.plan($$SELECT * FROM ck.orders a LEFT JOIN ck.orders b ON b.tenant = 't1' AND b.region = 1 AND a.tenant = 't2' AND a.region = 2$$);
SELECT ck.plan($$SELECT * FROM ck.orders a FULL JOIN ck.orders b ON a.id = b.id AND a.tenant = 't1' AND a.region = 1$$);
SELECT ck.plan($$SELECT * FROM ck.orders a WHERE tenant = 't1' AND region = 1 AND NOT EXISTS
    (SELECT FROM ck.orders b WHERE b.tenant = a.tenant AND b.region = a.region AND b.id > a.id)$$);
PREPARE ck_select(text, int) AS SELECT count(*) FROM ck.orders WHERE tenant = $1 AND region = $2;
PREPARE ck_in(text, int, int) AS SELECT count(*) FROM ck.orders WHERE tenant = $1 AND region IN ($2, $3);
PREPARE ck_update(text, int) AS UPDATE ck.orders SET note = note WHERE tenant = $1 AND region = $2;
SET plan_cache_mode = force_generic_plan;
SELECT ck.plan($$EXECUTE ck_select('t1', 1)$$);
SELECT ck.plan($$EXECUTE ck_in('t1', 1, 2)$$);
SELECT ck.plan($$EXECUTE ck_update('t1', 1)$$);
EXECUTE ck_select('t1', 1);
EXECUTE ck_select('', 1);
EXECUTE ck_select(NULL, 1);
EXECUTE ck_in('t1', 1, 2);
RESET plan_cache_mode;
SELECT ck.plan($$EXECUTE ck_select('t1', 1)$$);
EXECUTE ck_select('t1', 1);
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF) SELECT id,
    (SELECT count(*) FROM ck.orders b WHERE b.tenant = a.tenant AND b.region = a.region) FROM ck.orders a
    WHERE tenant = 't3' AND region = 0 AND id = 3;
-- Nothing is lost by it: the same as a plain table answers.
CREATE TABLE ck.plain AS SELECT * FROM ck.orders;
CREATE FUNCTION ck.same(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE same boolean;
BEGIN
    EXECUTE format('SELECT NOT EXISTS (((%1$s) EXCEPT ALL (%2$s)) UNION ALL ((%2$s) EXCEPT ALL (%1$s)))',
        query, replace(query, 'ck.orders', 'ck.plain')) INTO same;
    RETURN same;
END $$;
SELECT query FROM unnest(ARRAY[
    $$SELECT * FROM ck.orders WHERE tenant = 't1' AND region = 1$$,
    $$SELECT * FROM ck.orders WHERE tenant = 't1' AND region IN (0, 1, 2, NULL)$$,
    $$SELECT * FROM ck.orders WHERE (tenant, region) IN (('t1', 1), ('t2', 1)) OR id = 3$$,
    $$SELECT * FROM ck.orders WHERE tenant IN ('t1', 't:1') AND region = 5 OR (tenant = 't' AND region = 15)$$,
    $$SELECT a.id, b.id FROM ck.orders a LEFT JOIN ck.orders b ON b.tenant = 't1' AND b.region = 1 AND a.tenant = 't2' AND a.region = 2$$,
    $$SELECT a.id, b.id FROM ck.orders a LEFT JOIN ck.orders b ON a.tenant = b.tenant AND a.region = b.region WHERE a.tenant = 't2' AND a.region = 2$$,
    $$SELECT a.id, b.id FROM ck.orders a LEFT JOIN ck.orders b ON a.id = b.id AND b.tenant = 't2' AND b.region = 2 WHERE b.id IS NULL$$,
    $$SELECT a.id, b.id FROM ck.orders a FULL JOIN ck.orders b ON a.id = b.id AND a.tenant = 't2' AND a.region = 2 AND b.tenant = 't2'$$,
    $$SELECT id FROM ck.orders a WHERE EXISTS (SELECT FROM ck.orders b WHERE b.tenant = a.tenant AND b.region = a.region AND b.tenant = 't1' AND b.region = 2 AND b.id > a.id)$$,
    $$SELECT id FROM ck.orders a WHERE tenant = 't1' AND region = 1 AND NOT EXISTS (SELECT FROM ck.orders b WHERE b.tenant = a.tenant AND b.region = a.region AND b.id > a.id)$$,
    $$SELECT id FROM ck.orders WHERE id NOT IN (SELECT id FROM ck.orders WHERE tenant = 't1' AND region = 1)$$,
    $$SELECT sum(id), max(id), min(id) FROM ck.orders WHERE tenant = 't1' AND region = 1$$,
    $$SELECT a.id FROM ck.orders a JOIN (SELECT tenant, max(region) AS region FROM ck.orders GROUP BY 1) b ON a.tenant = b.tenant AND a.region = b.region WHERE b.tenant = 't4'$$,
    $$SELECT id FROM ck.orders WHERE tenant = 't1' AND region = 1 UNION ALL SELECT id FROM ck.orders WHERE tenant = 't2' AND region = 2$$
]) query WHERE NOT ck.same(query);
-- Row-level security is part of what is known of the rows.
CREATE ROLE ck_user;
GRANT USAGE ON SCHEMA ck TO ck_user;
GRANT SELECT ON ck.orders TO ck_user;
ALTER TABLE ck.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON ck.orders USING (tenant = current_setting('ck.tenant'));
SET ck.tenant = 't1';
SET ROLE ck_user;
SELECT ck.plan($$SELECT * FROM ck.orders WHERE region = 1$$);
SELECT count(*) FROM ck.orders WHERE region = 1;
RESET ROLE;
DROP VIEW ck.view;
ALTER TABLE ck.orders DISABLE ROW LEVEL SECURITY;
DROP POLICY own ON ck.orders;

-- Put together again, all constraints are the table's.
UPDATE ck.orders SET id = id + 100000 WHERE id < 10 AND note IS NULL;
SELECT shard.undistribute_table('ck.orders');
SELECT pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = 'ck.orders'::regclass ORDER BY 1;
SELECT pg_get_indexdef(indexrelid), indisclustered, obj_description(indexrelid, 'pg_class') FROM pg_index WHERE indrelid = 'ck.orders'::regclass ORDER BY 1;
SELECT count(*) FROM pg_namespace WHERE nspname ~ '^ck_shard';

-- What cannot be kept.
ALTER TABLE ck.orders ALTER region SET NOT NULL;
CREATE TABLE ck.items (id bigint REFERENCES ck.orders);
SELECT shard.distribute_table('ck.orders', 'ck', lake => false);
DROP TABLE ck.items;
ALTER TABLE ck.orders REPLICA IDENTITY USING INDEX orders_pk;
SELECT shard.distribute_table('ck.orders', 'ck', lake => false);
ALTER TABLE ck.orders REPLICA IDENTITY DEFAULT, ALTER region DROP NOT NULL;
SELECT shard.distribute_table('ck.orders', 'ck', lake => false);
INSERT INTO ck.orders VALUES ('', 1, -1);
ALTER TABLE ck.orders ALTER region SET NOT NULL;
SELECT shard.distribute_table('ck.orders', 'ck', lake => false);
DROP TABLE ck.orders;

-- Every type has one text, whatever the settings, and it is that of the JSON.
CREATE TYPE ck.mood AS ENUM ('sad', 'ok');
CREATE DOMAIN ck.code AS varchar(10);
SELECT shard.create_router('ck_types', 'hash', 8, '{b,i2,i8,n,u,d,t,ts,tz,e,c}', hash_function => 'xxh3');
CREATE TABLE ck.types (b bool NOT NULL, i2 smallint NOT NULL, i8 bigint NOT NULL, n numeric NOT NULL, u uuid NOT NULL, d date NOT NULL,
    t time NOT NULL, ts timestamp NOT NULL, tz timestamptz NOT NULL, e ck.mood NOT NULL, c ck.code NOT NULL, id int);
SELECT shard.distribute_table('ck.types', 'ck_types', lake => false);
SET TimeZone = 'UTC';
INSERT INTO ck.types SELECT i % 2 = 0, i, i * 10000000000, i / 4.0, md5(i::text)::uuid, '2024-02-28'::date + i, '12:00'::time + i * interval '1 s',
    '2024-01-01'::timestamp + i * interval '1.25 s', '2024-06-01'::timestamptz + i * interval '1 h', (ARRAY['sad', 'ok'])[1 + i % 2]::ck.mood, 'c' || i, i
FROM generate_series(1, 100) i;
INSERT INTO ck.types SELECT b, i2, i8, 1.500, u, 'infinity', t, '-infinity', 'infinity', e, c, -id FROM ck.types WHERE id <= 3;
SELECT count(*), bool_and(ck.shard_of(tableoid) = shard.assign('ck_types', to_jsonb(r))) FROM ck.types r;
SELECT _shard.partition_key(b, i2, i8, n, u, d, t, ts, tz, e, c) FROM ck.types WHERE id IN (3, -3) ORDER BY id;
SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET extra_float_digits = -5; SET IntervalStyle = 'sql_standard';
SELECT _shard.partition_key(b, i2, i8, n, u, d, t, ts, tz, e, c) FROM ck.types WHERE id = 3;
SELECT * FROM shard.verify_placement('ck_types');
RESET DateStyle; RESET extra_float_digits; RESET IntervalStyle; SET TimeZone = 'UTC';
SELECT ck.plan($$SELECT * FROM ck.types WHERE NOT b AND i2 = 3 AND i8 = 30000000000 AND n = 0.75000 AND u = md5('3')::uuid AND d = '2024-03-02' AND t = '12:00:03'
    AND ts = '2024-01-01 00:00:03.75' AND tz = '2024-06-01 05:00+02' AND e = 'ok' AND c = 'c3'$$);
SELECT id FROM ck.types WHERE NOT b AND i2 = 3 AND i8 = 30000000000 AND n = 0.75000 AND u = md5('3')::uuid AND d = '2024-03-02' AND t = '12:00:03'
    AND ts = '2024-01-01 00:00:03.75' AND tz = '2024-06-01 05:00+02' AND e = 'ok' AND c = 'c3';
SELECT _shard.partition_key(1.5::float8);
SELECT _shard.partition_key('a'::char(3));

\set VERBOSITY terse
ALTER TYPE ck.mood RENAME VALUE 'ok' TO 'fine';
ALTER TYPE ck.mood ADD VALUE 'great';
\set VERBOSITY default

-- Fallback keys.
SELECT shard.create_router('ck_fallback', 'consistent-hash', 4, '{customer}', fallback_key => 'id', hash_function => 'xxh3');
CREATE TABLE ck.sales (customer text, id int PRIMARY KEY);
INSERT INTO ck.sales SELECT CASE WHEN i % 3 > 0 THEN 'c' || i % 7 END, i FROM generate_series(1, 200) i;
SELECT shard.distribute_table('ck.sales', 'ck_fallback', lake => false);
SELECT count(*), bool_and(ck.shard_of(tableoid) = shard.assign('ck_fallback', to_jsonb(s))) FROM ck.sales s;
INSERT INTO ck.sales VALUES ('', 1);
SELECT ck.plan($$SELECT * FROM ck.sales WHERE customer = 'c1'$$);
SELECT ck.plan($$SELECT * FROM ck.sales WHERE customer IS NULL AND id = 3$$);
SELECT ck.plan($$SELECT * FROM ck.sales WHERE customer = 'c1' AND id = 3$$);
SELECT ck.plan($$SELECT * FROM ck.sales WHERE id = 3$$);
SELECT (SELECT count(*) FROM ck.sales WHERE customer = 'c1'), (SELECT count(*) FROM ck.sales WHERE customer IS NULL AND id = 3);
SELECT shard.alter_router('ck_fallback', fallback_key => 'number');
-- The condition above is not about the missing side of an outer join.
SELECT v, s.* FROM (VALUES (1)) v(v) LEFT JOIN ck.sales s ON s.id = 4 WHERE s.customer IS NULL;
-- Where the key cannot be null, no fallback is needed, and uniqueness is global.
CREATE TABLE ck.bills (customer text, id int, PRIMARY KEY (customer, id));
SELECT shard.distribute_table('ck.bills', 'ck_fallback', lake => false);
SELECT pg_get_partkeydef('ck.bills'::regclass), pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'ck.bills'::regclass;
CREATE TABLE ck.no_fallback (customer text, number int);
SELECT shard.distribute_table('ck.no_fallback', 'ck_fallback', lake => false);

-- Key functions.
CREATE FUNCTION ck.key(thing jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN CASE thing ->> 'type' WHEN 'item' THEN thing ->> 'parent' ELSE thing ->> 'id' END;
END $$;
SELECT shard.create_router('ck_fn', 'hash', 4, partition_key_fn => 'ck.key(jsonb)', hash_function => 'xxh3');
CREATE TABLE ck.things (type text NOT NULL, parent bigint, id bigint PRIMARY KEY, body jsonb, weight float8, tags text[]);
SELECT shard.distribute_table('ck.things', 'ck_fn', '{type,parent,id}', lake => false);
ALTER FUNCTION ck.key IMMUTABLE;
SELECT shard.distribute_table('ck.things', 'ck_fn', lake => false);
SELECT shard.distribute_table('ck.things', 'ck_fn', '{type,parent,id,body,weight}', lake => false);
INSERT INTO ck.things SELECT CASE WHEN i % 3 > 0 THEN 'item' ELSE 'order' END, i - i % 3, i, to_jsonb(i), i / 8.0 FROM generate_series(0, 200) i;
SELECT count(*), bool_and(ck.shard_of(tableoid) = shard.assign('ck_fn', to_jsonb(t))) FROM ck.things t;
SELECT _shard.key_object('{a,b,c,d,e,f}', 1.5::float8, '{"x": [1, null]}'::jsonb, true, NULL::int, '2024-01-01'::date, 'infinity'::float4)
    = to_jsonb(r) FROM (SELECT 1.5::float8 AS a, '{"x": [1, null]}'::jsonb AS b, true AS c, NULL::int AS d, '2024-01-01'::date AS e, 'infinity'::float4 AS f) r;
INSERT INTO ck.things VALUES ('item', NULL, 500);
SELECT ck.plan($$SELECT * FROM ck.things WHERE type = 'item' AND parent = 3 AND id = 4 AND body = '4' AND weight = 0.5$$);
SELECT shard.undistribute_table('ck.things');
SELECT shard.distribute_table('ck.things', 'ck_fn', '{type,parent,id}', lake => false);
SELECT ck.plan($$SELECT * FROM ck.things WHERE type = 'item' AND parent = 3 AND id = 4$$);
SELECT id FROM ck.things WHERE type = 'item' AND parent = 3 AND id = 4;
SELECT ck.plan($$SELECT * FROM ck.things WHERE type = 'item' AND parent = 3$$);
\set VERBOSITY terse
DROP FUNCTION ck.key CASCADE;
\set VERBOSITY default

-- A long list with nulls prunes to all of its keys.
CREATE TABLE ck.listed (a int NOT NULL, b int NOT NULL);
INSERT INTO ck.listed SELECT i, 1 FROM generate_series(1, 30) i;
SELECT shard.distribute_table('ck.listed', 'ck', '{a,b}', lake => false);
SELECT format('SELECT count(*) FROM ck.listed WHERE b = 1 AND a IN (%s, %s)',
              (SELECT string_agg('NULL', ', ') FROM generate_series(1, 127)),
              (SELECT string_agg(i::text, ', ') FROM generate_series(1, 30) i)) AS query \gset
:query;

-- Rows for which a comparator gives null are in the default leaf, and found there.
CREATE FUNCTION ck.letter(key text) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT CASE WHEN key ~ '^[a-z]' THEN upper(left(key, 1)) END $$;
SELECT shard.create_router('ck_letter', 'range', 3, comparator => 'ck.letter(text)', default_shard => 2,
    ranges => '[{"end": "M", "shard": 0}, {"start": "M", "shard": 1}]');
CREATE TABLE ck.letters (id text NOT NULL, n int);
INSERT INTO ck.letters SELECT c || i, i FROM unnest('{a,z,7}'::text[]) c, generate_series(1, 3) i;
SELECT shard.distribute_table('ck.letters', 'ck_letter', lake => false);
SELECT tableoid::regclass AS leaf, min(id), count(*) FROM ck.letters GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM ck.letters WHERE id = '71';
SELECT ck.plan($$SELECT * FROM ck.letters WHERE id = '71'$$);
SELECT ck.plan($$SELECT * FROM ck.letters WHERE id = 'a1'$$);
SELECT id FROM ck.letters WHERE id IN ('a1', '72', 'z9') ORDER BY 1;
SET plan_cache_mode = force_generic_plan;
PREPARE ck_letters(text) AS SELECT id FROM ck.letters WHERE id = $1;
EXECUTE ck_letters('72');
EXECUTE ck_letters('z3');
EXECUTE ck_letters(NULL);
RESET plan_cache_mode;
DEALLOCATE ck_letters;

-- JSON: nested fields, numbers.
SELECT shard.create_router('ck_json', 'hash', 4, '{customer.id,region}');
SELECT shard.extract_partition_key('ck_json', '{"customer": {"id": 5.00}, "region": "eu"}');
SELECT shard.extract_partition_key('ck_json', '{"customer.id": "dotted", "customer": {"id": 5}, "region": true}');
SELECT shard.extract_partition_key('ck_json', '{"customer": {"name": 5}, "region": "eu"}');
SELECT shard.extract_partition_key('ck_json', '{"customer": 5, "region": "eu"}');

DROP TABLE ck.types, ck.sales, ck.bills, ck.no_fallback, ck.things, ck.listed, ck.letters;
SELECT shard.drop_router(r) FROM unnest('{ck,ck_types,ck_fallback,ck_fn,ck_json,ck_letter}'::text[]) r;
DROP SCHEMA ck CASCADE;
DROP ROLE ck_user;
