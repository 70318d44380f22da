-- Partition keys that divide rows or load badly are possible, but not in silence.
CREATE SCHEMA ka;
SELECT shard.create_router('ka', 'hash', 8, '{k}');

-- Few values, once statistics know of them.
CREATE TABLE ka.orders (id int PRIMARY KEY, status text NOT NULL, paid boolean NOT NULL, customer text NOT NULL, region text NOT NULL);
INSERT INTO ka.orders SELECT i, (ARRAY['new', 'sent', 'done'])[1 + i % 3], i % 2 = 0, 'c' || i % 300, 'r' || i % 7 FROM generate_series(1, 3000) i;
ALTER TABLE ka.orders DROP CONSTRAINT orders_pkey;
SELECT shard.distribute_table('ka.orders', 'ka', '{status}', lake => false);
SELECT shard.undistribute_table('ka.orders');
ANALYZE ka.orders;
SELECT shard.distribute_table('ka.orders', 'ka', '{status}', lake => false);
SELECT shard.undistribute_table('ka.orders');
ANALYZE ka.orders;
SELECT shard.distribute_table('ka.orders', 'ka', '{customer}', lake => false);
SELECT shard.undistribute_table('ka.orders');
ANALYZE ka.orders;
SELECT shard.distribute_table('ka.orders', 'ka', '{status,region}', lake => false);
SELECT shard.undistribute_table('ka.orders');
UPDATE ka.orders SET customer = 'big' WHERE id > 900;
ANALYZE ka.orders;
SELECT shard.distribute_table('ka.orders', 'ka', '{customer}', lake => false);
SELECT shard.undistribute_table('ka.orders');
CREATE TABLE ka.flags (paid boolean NOT NULL);
SELECT shard.distribute_table('ka.flags', 'ka', '{paid}', lake => false);

-- Unique within a shard only.
CREATE TABLE ka.items (tenant text NOT NULL, region text NOT NULL, id int PRIMARY KEY, number int UNIQUE, UNIQUE (tenant, number, region));
SELECT shard.distribute_table('ka.items', 'ka', '{tenant,region}', lake => false);
CREATE TABLE ka.lines (tenant text, region text, id int, PRIMARY KEY (region, id, tenant));
SELECT shard.distribute_table('ka.lines', 'ka', '{tenant,region}', lake => false);

-- A key that a foreign key changes.
CREATE TABLE ka.customers (customer text PRIMARY KEY);
CREATE TABLE ka.bills (customer text NOT NULL REFERENCES ka.customers ON UPDATE CASCADE, id int);
SELECT shard.distribute_table('ka.bills', 'ka', '{customer}', lake => false);

-- Null.
CREATE TABLE ka.sales (customer text, id int PRIMARY KEY);
SELECT shard.distribute_table('ka.sales', 'ka', '{customer}', lake => false);

-- Ranges of what only grows.
SELECT shard.create_router('ka_time', 'range', key_type => 'timestamptz', partition_key => '{at}',
    ranges => '[{"start": null, "end": "2024-01-01", "shard": 0}, {"start": "2024-01-01", "end": null, "shard": 1}]');
CREATE TABLE ka.events (at timestamptz NOT NULL, what text);
SELECT shard.distribute_table('ka.events', 'ka_time', lake => false);
SELECT shard.create_router('ka_id', 'range', key_type => 'bigint', partition_key => '{id}',
    ranges => '[{"start": null, "end": 1000, "shard": 0}, {"start": 1000, "end": null, "shard": 1}]');
CREATE TABLE ka.numbers (id bigserial PRIMARY KEY);
SELECT shard.distribute_table('ka.numbers', 'ka_id', lake => false);
CREATE TABLE ka.identities (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
SELECT shard.distribute_table('ka.identities', 'ka_id', lake => false);
CREATE TABLE ka.given (id bigint PRIMARY KEY);
SELECT shard.distribute_table('ka.given', 'ka_id', lake => false);

SET client_min_messages = warning;
DROP SCHEMA ka CASCADE;
SELECT shard.drop_router(r) FROM unnest('{ka,ka_time,ka_id}'::text[]) r;
