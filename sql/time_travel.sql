-- Lake tables as they were: by snapshot, tag, branch and time.
SET client_min_messages = warning;
SELECT shard.create_router('tt', 'hash', 2, '{k}');
CREATE TABLE tt_items (k text PRIMARY KEY, n int, old_name text, gone text);
SELECT shard.distribute_table('tt_items', 'tt');
INSERT INTO tt_items SELECT 'k' || i, i, 'name ' || i, 'gone ' || i FROM generate_series(1, 10) i;
SELECT FROM shard.flush();
SELECT snapshot_id AS first, committed_at AS first_at FROM shard.lake_snapshots('tt_items') WHERE is_current \gset
BEGIN;
UPDATE tt_items SET n = n + 100 WHERE n <= 5;
DELETE FROM tt_items WHERE n = 10;
COMMIT;
SELECT FROM shard.flush();
SELECT snapshot_id AS second FROM shard.lake_snapshots('tt_items') WHERE is_current \gset
BEGIN;
ALTER TABLE tt_items RENAME old_name TO name;
ALTER TABLE tt_items DROP gone;
ALTER TABLE tt_items ADD added int;
INSERT INTO tt_items VALUES ('k11', 11, 'name 11', 7);
COMMIT;
SELECT FROM shard.flush();

-- Now, then, and in between.
SELECT count(*), sum(n), count(name), sum(added) FROM lake.tt_items;
SET shard.as_of = :'first';
SELECT count(*), sum(n), count(name), sum(added) FROM lake.tt_items;
SELECT * FROM lake.tt_items WHERE k = 'k1';
SET shard.as_of = :'second';
SELECT count(*), sum(n), count(name), sum(added) FROM lake.tt_items;
-- A snapshot is one table's.
\set VERBOSITY sqlstate
SELECT count(*) FROM lake.tt_items_events;
\set VERBOSITY default

-- By time: each table as of its own snapshot then.
SET shard.as_of = :'first_at';
SELECT count(*), sum(n) FROM lake.tt_items;
SELECT _verb, count(*) FROM lake.tt_items_events GROUP BY _verb;
-- A prepared statement follows.
PREPARE tt AS SELECT sum(n) FROM lake.tt_items;
EXECUTE tt;
RESET shard.as_of;
EXECUTE tt;
SET shard.as_of = 'main';
EXECUTE tt;
RESET shard.as_of;
-- What is gone or never was.
\set VERBOSITY terse
SET shard.as_of = '1';
SELECT count(*) FROM lake.tt_items;
\set VERBOSITY default
SET shard.as_of = 'no such tag';
SELECT count(*) FROM lake.tt_items;
SET shard.as_of = '1999-01-01';
\set VERBOSITY terse
SELECT count(*) FROM lake.tt_items;
\set VERBOSITY default
RESET shard.as_of;

-- A table option, and both states in one query; the option goes before the setting.
CREATE FOREIGN TABLE tt_then (k text, n int, old_name text, gone text) SERVER lake
    OPTIONS (table 'public.tt_items', as_of :'first');
SELECT * FROM tt_then ORDER BY n LIMIT 2;
SELECT t.n, l.n AS now FROM tt_then t LEFT JOIN lake.tt_items l USING (k) WHERE t.n IN (1, 6, 10) ORDER BY t.n;
SELECT k FROM tt_then EXCEPT SELECT k FROM lake.tt_items;
SET shard.as_of = 'main';
SELECT sum(n) FROM tt_then;
RESET shard.as_of;
SELECT sum(rows) FROM shard.lake_files('tt_then') WHERE content = 'data';
CREATE FOREIGN TABLE tt_parquet (k text) SERVER lake OPTIONS (parquet '/nowhere.parquet', as_of '1');
CREATE FOREIGN TABLE tt_moved (k text) SERVER lake OPTIONS (table 'public.tt_items', location '/nowhere');
CREATE FOREIGN TABLE tt_moved (k text) SERVER lake OPTIONS (metadata_location '/nowhere/m.json', path_map 'a');
CREATE FOREIGN TABLE tt_moved (k text) SERVER lake OPTIONS (metadata_location '/nowhere/m.json', location 'here');

-- The history.
SELECT operation, is_current_ancestor, is_expired, snapshot_id = :first AS first, parent_id IS NULL AS root
FROM shard.lake_history('tt_items') ORDER BY made_current_at, snapshot_id = :second;
SELECT name, type, snapshot_id = (SELECT snapshot_id FROM shard.lake_snapshots('tt_items') WHERE is_current) AS current
FROM shard.lake_refs('tt_items');

-- Expired.
SELECT FROM shard.expire_snapshots('tt_items', '0 s', 1);
SELECT count(*) FROM shard.lake_snapshots('tt_items');
\set VERBOSITY sqlstate
SELECT count(*) FROM tt_then;
SET shard.as_of = :'first_at';
SELECT count(*) FROM lake.tt_items;
\set VERBOSITY default
RESET shard.as_of;
SELECT count(*), sum(n) FROM lake.tt_items;

DEALLOCATE tt;
DROP FOREIGN TABLE tt_then;
DROP TABLE tt_items;
SELECT shard.drop_router('tt');
