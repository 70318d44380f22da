-- A table with a lake table is distributed, put together and distributed again.
SET client_min_messages = warning;
SELECT shard.create_router('dl', 'consistent-hash', 4, '{customer}');
CREATE SCHEMA dl;
CREATE TABLE dl.orders (gone int, id bigint GENERATED ALWAYS AS IDENTITY, customer text NOT NULL, amount numeric(10, 2) DEFAULT 1,
    twice numeric(10, 2) GENERATED ALWAYS AS (amount * 2) STORED, PRIMARY KEY (customer, id));
ALTER TABLE dl.orders DROP COLUMN gone;
INSERT INTO dl.orders (customer, amount) SELECT 'c' || i % 50, i FROM generate_series(1, 1000) i;
SELECT shard.distribute_table('dl.orders', 'dl');
SELECT relation, lake, lake_table, lake_events, lake_problem, shards FROM shard.tables;
INSERT INTO dl.orders (customer, amount) VALUES ('c5', 5), ('new', 6);
UPDATE dl.orders SET amount = 0 WHERE customer = 'c7';
DELETE FROM dl.orders WHERE customer = 'c6';
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT _verb, count(*), count(DISTINCT _event_id) FROM lake.dl_orders_events GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM ((SELECT id, customer, amount, twice FROM lake.dl_orders EXCEPT ALL SELECT id, customer, amount, twice FROM dl.orders)
    UNION ALL (SELECT id, customer, amount, twice FROM dl.orders EXCEPT ALL SELECT id, customer, amount, twice FROM lake.dl_orders)) d;

-- A shard more makes no event.
INSERT INTO _shard.shard (router, shard_index, shard_name, state, schema_name) VALUES ('dl', 4, 'shard-4', 'joining', 'dl_shard_4');
SELECT _shard.create_shard('dl', 4);
SELECT _shard.drop_shard('dl', 4);
DELETE FROM _shard.shard WHERE router = 'dl' AND shard_index = 4;

-- Put together: the lake's tables go, and come back.
SELECT shard.undistribute_table('dl.orders');
SELECT count(*), sum(amount) FROM dl.orders;
SELECT relation, lake, lake_table FROM shard.tables;
SELECT foreign_table_schema, foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_name LIKE 'dl%';
INSERT INTO dl.orders (customer, amount) VALUES ('plain', 7);
SELECT shard.distribute_table('dl.orders', 'dl');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT _verb, count(*) FROM lake.dl_orders_events GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM ((SELECT id, customer, amount, twice FROM lake.dl_orders EXCEPT ALL SELECT id, customer, amount, twice FROM dl.orders)
    UNION ALL (SELECT id, customer, amount, twice FROM dl.orders EXCEPT ALL SELECT id, customer, amount, twice FROM lake.dl_orders)) d;

-- In one transaction with its creation, and rolled back.
BEGIN;
CREATE TABLE dl.brief (k int PRIMARY KEY);
INSERT INTO dl.brief SELECT generate_series(1, 10);
SELECT shard.distribute_table('dl.brief', 'dl', '{k}');
INSERT INTO dl.brief VALUES (11);
SELECT lake_table FROM shard.tables ORDER BY 1;
ROLLBACK;
SELECT lake_table FROM shard.tables ORDER BY 1;

-- A value that the lake cannot hold stops this table alone; distributed again without it, the table is back.
CREATE TABLE dl.odd (customer text PRIMARY KEY, amount numeric(10, 2));
CREATE TABLE dl.even (customer text PRIMARY KEY, at timestamptz);
SELECT shard.distribute_table('dl.odd', 'dl', '{customer}');
SELECT shard.distribute_table('dl.even', 'dl', '{customer}');
INSERT INTO dl.odd VALUES ('a', 'NaN'), ('', 1);
INSERT INTO dl.even VALUES ('a', 'infinity');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT relation, lake_problem FROM shard.tables ORDER BY lake_table;
SELECT * FROM lake.dl_even;
SELECT * FROM shard.verify_placement('dl');
SELECT shard.undistribute_table('dl.odd');
UPDATE dl.odd SET amount = 2 WHERE customer = 'a';
SELECT shard.distribute_table('dl.odd', 'dl', '{customer}');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT relation, lake_problem FROM shard.tables ORDER BY lake_table;
SELECT * FROM lake.dl_odd ORDER BY 1;
DROP TABLE dl.odd, dl.even;

DROP TABLE dl.orders;
SELECT relation, lake, lake_table FROM shard.tables;
SELECT foreign_table_schema, foreign_table_name FROM information_schema.foreign_tables WHERE foreign_table_name LIKE 'dl%';
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dl\_%';
DROP SCHEMA dl;
SELECT shard.drop_router('dl');
