-- What an application does with sharded tables, and what a DBA does to them.
SET client_min_messages = warning;
CREATE SCHEMA st;
SELECT shard.create_router('st', 'hash', 3, '{customer}');

-- Every type of key; the same key goes to the same shard in each.
CREATE TABLE st.by_text (k text PRIMARY KEY);
CREATE TABLE st.by_varchar (k varchar(40) PRIMARY KEY);
CREATE TABLE st.by_int2 (k smallint PRIMARY KEY);
CREATE TABLE st.by_int4 (k integer PRIMARY KEY);
CREATE TABLE st.by_int8 (k bigint PRIMARY KEY);
CREATE TABLE st.by_uuid (k uuid PRIMARY KEY);
CREATE DOMAIN st.name AS text CHECK (VALUE <> '');
CREATE TABLE st.by_domain (k st.name PRIMARY KEY);
INSERT INTO st.by_text SELECT i::text FROM generate_series(1, 50) i;
INSERT INTO st.by_int4 SELECT i FROM generate_series(1, 50) i;
SELECT shard.distribute_table('st.by_' || t, 'st', '{k}', false)
FROM unnest(ARRAY['text', 'varchar', 'int2', 'int4', 'int8', 'uuid', 'domain']) t;
INSERT INTO st.by_varchar SELECT i::text FROM generate_series(1, 50) i;
INSERT INTO st.by_int2 SELECT i FROM generate_series(1, 50) i;
INSERT INTO st.by_int8 SELECT i FROM generate_series(1, 50) i;
INSERT INTO st.by_domain SELECT i::text FROM generate_series(1, 50) i;
INSERT INTO st.by_uuid SELECT ('00000000-0000-0000-0000-0000000000' || lpad(i::text, 2, '0'))::uuid FROM generate_series(1, 50) i;
WITH placed(t, k, leaf) AS (
    SELECT 'text', k, tableoid FROM st.by_text
    UNION ALL SELECT 'varchar', k, tableoid FROM st.by_varchar
    UNION ALL SELECT 'int2', k::text, tableoid FROM st.by_int2
    UNION ALL SELECT 'int4', k::text, tableoid FROM st.by_int4
    UNION ALL SELECT 'int8', k::text, tableoid FROM st.by_int8
    UNION ALL SELECT 'uuid', k::text, tableoid FROM st.by_uuid
    UNION ALL SELECT 'domain', k::text, tableoid FROM st.by_domain)
SELECT t, count(*), count(*) FILTER (WHERE n.nspname = 'st_shard_' || shard.route('st', k)) AS right_place,
    count(DISTINCT leaf) AS leaves
FROM placed JOIN pg_class c ON c.oid = leaf JOIN pg_namespace n ON n.oid = c.relnamespace GROUP BY 1 ORDER BY 1;
SELECT * FROM shard.verify_placement('st');
EXPLAIN (COSTS OFF) SELECT * FROM st.by_int8 WHERE k = 7;
EXPLAIN (COSTS OFF) SELECT * FROM st.by_int8 WHERE k = 7::smallint;
SELECT k FROM st.by_uuid WHERE k = '00000000-0000-0000-0000-000000000031';
DROP TABLE st.by_text, st.by_varchar, st.by_int2, st.by_int4, st.by_int8, st.by_uuid, st.by_domain;

-- Co-located tables with foreign keys; the referenced one first, then the other way round.
CREATE TABLE st.customers (customer text PRIMARY KEY, name text);
CREATE TABLE st.orders (customer text, id bigint, boss bigint, amount int NOT NULL DEFAULT 1, PRIMARY KEY (customer, id),
    CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES st.customers ON DELETE CASCADE,
    CONSTRAINT orders_boss FOREIGN KEY (customer, boss) REFERENCES st.orders);
INSERT INTO st.customers SELECT 'c' || i, i FROM generate_series(1, 30) i;
INSERT INTO st.orders SELECT 'c' || i, j, CASE WHEN j > 1 THEN 1 END, i * j FROM generate_series(1, 30) i, generate_series(1, 3) j;
SELECT shard.distribute_table('st.customers', 'st', lake => false);
SELECT shard.distribute_table('st.orders', 'st', lake => false);
SELECT shard.undistribute_table('st.customers');
SELECT shard.undistribute_table('st.orders');
SELECT shard.distribute_table('st.orders', 'st', lake => false);
SELECT shard.distribute_table('st.customers', 'st', lake => false);
SELECT relation, router, partition_key, lake, shards FROM shard.tables ORDER BY relation::text;
SELECT conname, conrelid::regclass, confrelid::regclass, convalidated, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'st'::regnamespace AND contype = 'f' AND conparentid = 0 ORDER BY 1;
INSERT INTO st.orders VALUES ('c99', 1);
INSERT INTO st.orders VALUES ('c1', 9, 8);
DELETE FROM st.orders WHERE customer = 'c1' AND id = 1;
DELETE FROM st.customers WHERE customer = 'c2';
SELECT count(*) FROM st.orders WHERE customer = 'c2';
UPDATE st.customers SET customer = 'x' WHERE customer = 'c3';

-- INSERT, RETURNING, ON CONFLICT, UPDATE of the key, COPY.
INSERT INTO st.orders (customer, id, amount) VALUES ('c1', 10, 5), ('c4', 10, 6), ('c5', 10, 7)
RETURNING *, tableoid::regclass::text = 'st_shard_' || shard.route('st', customer) || '.orders' AS placed;
INSERT INTO st.orders (customer, id, amount) VALUES ('c1', 10, 50) ON CONFLICT (customer, id) DO UPDATE SET amount = orders.amount + EXCLUDED.amount RETURNING amount;
INSERT INTO st.orders (customer, id) VALUES ('c1', 10) ON CONFLICT DO NOTHING;
INSERT INTO st.orders (customer, id) VALUES ('c1', 10);
UPDATE st.orders SET customer = 'c6' WHERE id = 10 AND customer IN ('c1', 'c4', 'c5') AND amount = 55
RETURNING customer, id, tableoid::regclass::text = 'st_shard_' || shard.route('st', customer) || '.orders' AS placed;
COPY st.orders (customer, id, amount) FROM stdin;
c7	11	1
c8	11	2
\.
COPY (SELECT customer, amount FROM st.orders WHERE id = 11 ORDER BY 1) TO stdout;
MERGE INTO st.orders o USING (VALUES ('c7', 11, 100), ('c8', 12, 200)) v (customer, id, amount) ON o.customer = v.customer AND o.id = v.id
WHEN MATCHED THEN UPDATE SET amount = v.amount WHEN NOT MATCHED THEN INSERT VALUES (v.customer, v.id, NULL, v.amount);
SELECT customer, id, amount FROM st.orders WHERE id IN (11, 12) ORDER BY 1, 2;
SELECT * FROM shard.verify_placement('st');
-- A row in the wrong leaf is found by nobody but by verify_placement.
INSERT INTO st_shard_0.orders (customer, id) SELECT customer, 77 FROM st.customers WHERE shard.route('st', customer) = 1 ORDER BY 1 LIMIT 1;

-- Joins and aggregates run shard by shard.
SET enable_partitionwise_join = on;
SET enable_partitionwise_aggregate = on;
SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; SET enable_memoize = off; SET enable_seqscan = off; SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT c.name, o.amount FROM st.customers c JOIN st.orders o USING (customer) WHERE o.id = 1;
RESET ALL;
SET client_min_messages = warning;
SELECT count(*), sum(o.amount) FROM st.customers c JOIN st.orders o USING (customer);
-- Prepared statements, custom and generic.
PREPARE by_key(text) AS SELECT count(*), min(amount) FROM st.orders WHERE customer = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE by_key('c7');
EXECUTE by_key('c8');
SET plan_cache_mode = force_custom_plan;
EXECUTE by_key('c7');
RESET plan_cache_mode;

-- A shard more, a shard less.
INSERT INTO _shard.shard (router, shard_index, shard_name, state, schema_name) VALUES ('st', 3, 'shard-3', 'joining', 'st_shard_3');
ALTER TABLE st.orders REPLICA IDENTITY FULL;
ALTER TABLE st.orders ALTER COLUMN amount SET STATISTICS 33;
ALTER TABLE st_shard_0.orders SET (fillfactor = 55);
CREATE INDEX orders_amount ON st.orders (amount);
SELECT _shard.create_shard('st', 3);
SELECT _shard.create_shard('st', 3);
SELECT inhrelid::regclass, pg_get_expr(relpartbound, c.oid), relreplident, reloptions, (SELECT count(*) FROM pg_index WHERE indrelid = c.oid) AS indexes,
    (SELECT attstattarget FROM pg_attribute WHERE attrelid = c.oid AND attname = 'amount') AS statistics,
    (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f') AS foreign_keys
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'st.orders'::regclass ORDER BY 1;
SELECT _shard.drop_shard('st', 0);
SELECT _shard.create_shard('st', 7);
SELECT _shard.drop_shard('st', 3);
DELETE FROM _shard.shard WHERE router = 'st' AND shard_index = 3;
SELECT count(*) FROM pg_namespace WHERE nspname = 'st_shard_3';
CREATE ROLE st_owner;
GRANT ALL ON SCHEMA st TO st_owner;
ALTER TABLE st.orders OWNER TO st_owner;
SELECT DISTINCT relowner::regrole FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'st.orders'::regclass;

-- Leaves are not for dropping.
DROP TABLE st_shard_0.orders;
DROP SCHEMA st_shard_1 CASCADE;
ALTER TABLE st.orders DETACH PARTITION st_shard_0.orders;
ALTER TABLE st.orders DROP CONSTRAINT orders_boss;
DROP TABLE st_shard_0.orders;
ALTER TABLE st.orders DETACH PARTITION st_shard_0.orders;
ALTER TABLE st.orders ADD CONSTRAINT orders_boss FOREIGN KEY (customer, boss) REFERENCES st.orders;
DROP EXTENSION shard CASCADE;
DROP OPERATOR FAMILY _shard.st USING hash CASCADE;
DROP OPERATOR FAMILY _shard.st USING hash;
SELECT count(*) FROM st.orders;
-- Truncating and renaming the table is fine.
ALTER TABLE st.orders RENAME TO sales;
ALTER TABLE st.sales RENAME COLUMN amount TO price;
INSERT INTO st.sales VALUES ('c9', 100);
SELECT relation FROM shard.tables ORDER BY relation::text;
SELECT shard.undistribute_table('st.sales');
SELECT count(*) FROM st.sales;
SELECT shard.distribute_table('st.sales', 'st', lake => false);
TRUNCATE st.sales;
-- Dropping it leaves nothing behind.
BEGIN;
DROP TABLE st.sales;
SELECT relation FROM shard.tables ORDER BY relation::text;
ROLLBACK;
SELECT relation FROM shard.tables ORDER BY relation::text;
DROP SCHEMA st CASCADE;
SELECT relation FROM shard.tables ORDER BY relation::text;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'st\_shard%';
SELECT shard.drop_router('st');
DROP ROLE st_owner;

-- Tablespaces, and a replica identity by index.
CREATE SCHEMA sp;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE sp_rows LOCATION '';
CREATE TABLESPACE sp_indexes LOCATION '';
CREATE TABLE sp.t (k text PRIMARY KEY USING INDEX TABLESPACE sp_indexes, a int NOT NULL) TABLESPACE sp_rows;
CREATE UNIQUE INDEX t_identity ON sp.t (a, k) TABLESPACE sp_indexes;
CREATE INDEX t_a ON sp.t (a);
ALTER TABLE sp.t REPLICA IDENTITY USING INDEX t_identity;
INSERT INTO sp.t VALUES ('a', 1), ('b', 2), ('c', 3);
CREATE FUNCTION sp.spaces() RETURNS TABLE(name text, space name, replica boolean) LANGUAGE sql AS $$
    SELECT c.oid::regclass::text, s.spcname, coalesce(i.indisreplident, c.relreplident = 'i')
    FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    WHERE c.relnamespace::regnamespace::text ~ '^sp' AND c.relkind IN ('r', 'i', 'p', 'I') ORDER BY 1 $$;
SELECT shard.create_router('sp', 'hash', 2, '{k}');
SELECT shard.distribute_table('sp.t', 'sp', lake => false);
SELECT * FROM sp.spaces();
SELECT shard.undistribute_table('sp.t');
SELECT * FROM sp.spaces();
DROP SCHEMA sp CASCADE;
SELECT shard.drop_router('sp');
DROP TABLESPACE sp_rows;
DROP TABLESPACE sp_indexes;

-- Dropped in a transaction whose snapshot is older than the table.
SELECT shard.create_router('rr', 'hash', 2, '{k}');
CREATE TABLE public.rr (k int PRIMARY KEY);
SELECT shard.distribute_table('public.rr', 'rr', lake => false);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM shard.tables;
DROP TABLE public.rr;
COMMIT;
SELECT count(*) FROM shard.tables;
SELECT shard.drop_router('rr');

-- More shards than the lock table has room for.
SELECT shard.create_router('st_many', 'hash', 1024, '{k}');
CREATE TABLE public.st_many (k int PRIMARY KEY, a int, b int, c int);
DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE 'CREATE INDEX ON public.st_many (a, b)'; END LOOP; END $$;
\set VERBOSITY sqlstate
SELECT shard.distribute_table('public.st_many', 'st_many', lake => false);
\set VERBOSITY default
DROP TABLE public.st_many;
SELECT shard.drop_router('st_many');
