-- Sizes and balance of shards.

SELECT shard.create_router('mo', 'hash', 4, partition_key => '{k}', max_entities_per_shard => 100, track_access => false);
CREATE TABLE mo_orders (k text, id bigint, v text, PRIMARY KEY (k, id));
CREATE TABLE mo_items (k text, item int, PRIMARY KEY (k, item));
SELECT shard.distribute_table('mo_orders', 'mo', lake => false);
SELECT shard.distribute_table('mo_items', 'mo', lake => false);

-- Empty shards are in balance.
SELECT * FROM shard.shard_stats('mo') ORDER BY shard_index;
SELECT * FROM shard.analyze_balance('mo');

-- Rows are counted over all tables, before any ANALYZE.
INSERT INTO mo_orders SELECT 'key-' || i, i, 'v' FROM generate_series(1, 1000) i;
INSERT INTO mo_items SELECT 'key-' || i, 1 FROM generate_series(1, 500) i;
DELETE FROM mo_orders WHERE id > 900;
SELECT sum(entity_count), bool_or(estimated), min(bytes) > 0 AS has_bytes FROM shard.shard_stats('mo');
SELECT s.shard_index, s.entity_count = (SELECT count(*) FROM mo_orders WHERE shard.route('mo', k) = s.shard_index)
    + (SELECT count(*) FROM mo_items WHERE shard.route('mo', k) = s.shard_index) AS same
    FROM shard.shard_stats('mo') s ORDER BY 1;
VACUUM ANALYZE mo_orders, mo_items;
SELECT sum(entity_count), bool_and(estimated) FROM shard.shard_stats('mo', exact => false);
SELECT is_balanced, imbalance_ratio < 0.3 AS small, hot_shards, cold_shards, avg_entity_count, avg_bytes > 0 AS bytes
    FROM shard.analyze_balance('mo');
SELECT is_balanced FROM shard.analyze_balance('mo', threshold => 0);

-- One full shard, three others that lack rows.
INSERT INTO mo_items SELECT 'key-1', i FROM generate_series(2, 4000) i;
SELECT is_balanced, hot_shards = ARRAY[shard.route('mo', 'key-1')] AS hot, cardinality(cold_shards) AS cold,
    avg_entity_count FROM shard.analyze_balance('mo');
SELECT round(imbalance_ratio::numeric, 4) = round(
    (SELECT max(abs(entity_count - 1349.75)) / 1349.75 FROM shard.shard_stats('mo')), 4) AS ratio
    FROM shard.analyze_balance('mo');

SELECT * FROM shard.shard_stats('mo_none');
SELECT * FROM shard.analyze_balance('mo_none');

SELECT shard_index, entity_utilization = (SELECT entity_count / 100.0 FROM shard.shard_stats('mo') s
        WHERE s.shard_index = u.shard_index) AS same, byte_utilization IS NULL AS no_limit
    FROM shard.utilization('mo') u;

-- Hints: too many rows in every shard, so a split needs a new one.
SELECT priority, type, source_shard, target_shard, reason, entities_to_move, estimated_duration > '0' AS takes_time
    FROM shard.rebalance_hints('mo') WHERE type = 'split';
SELECT shard.alter_router('mo', max_entities_per_shard => 3000, min_entities_per_shard => 350);
SELECT priority, type, source_shard, target_shard, reason, entities_to_move FROM shard.rebalance_hints('mo');
SELECT shard.alter_router('mo', max_entities_per_shard => 0, min_entities_per_shard => 0, max_bytes_per_shard => 200000);
SELECT priority, type, source_shard, target_shard IS NOT NULL AS has_target FROM shard.rebalance_hints('mo');
SELECT shard.alter_router('mo', track_metadata => false);
SELECT * FROM shard.rebalance_hints('mo');
SELECT * FROM shard.utilization('mo');
SELECT * FROM shard.rebalance_hints('mo_none');
DROP TABLE mo_orders, mo_items;

-- What is counted.  Routing:
SELECT shard.create_router('mo_count', 'hash', 4, partition_key => '{k}');
CREATE TABLE mo_count (k text, id bigint, v text, PRIMARY KEY (k, id));
SELECT shard.distribute_table('mo_count', 'mo_count', lake => false);
SELECT * FROM shard.metrics('mo_count');
SELECT count(shard.route('mo_count', 'key-' || i)) FROM generate_series(1, 100) i;
SELECT shard_name FROM shard.shard_info('mo_count', 'key-1');
SELECT shard.assign('mo_count', '{"k": "key-1"}');
SELECT count(*) FROM shard.forward('mo_count', 'key-1', 'SELECT 1');
SELECT routing_operations, forward_operations, average_latency_ms > 0 AS took_time, error_count,
    (SELECT sum(value::bigint) FROM jsonb_each_text(shard_distribution)) AS distributed,
    shard_distribution ->> '2' AS second FROM shard.metrics('mo_count');
SELECT count(*) + 3 AS second FROM generate_series(1, 100) i WHERE shard.route('mo_count', 'key-' || i) = 2;
SELECT shard.forward('mo_count', 'key-1', 'SELECT 1/0');
SELECT forward_operations, error_count FROM shard.metrics('mo_count');
SELECT router, routing_operations, forward_operations, error_count, reads, writes FROM shard.stat_routers WHERE router = 'mo_count';
SELECT * FROM shard.metrics('mo_none');

-- Reads and writes of shards, by statements on the parent, on a shard, by COPY.
SELECT shard.stat_reset('mo_count');
INSERT INTO mo_count SELECT 'key-' || i % 10, i, 'v' FROM generate_series(1, 100) i;
SELECT s.shard_index, s.reads, s.writes, s.writes = (SELECT count(*) FROM mo_count WHERE shard.route('mo_count', k) = s.shard_index) AS same
    FROM shard.stat_shards s WHERE router = 'mo_count' ORDER BY 1;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT shard.stat_reset('mo_count');
SELECT count(*) FROM mo_count WHERE k = 'key-1';
SELECT count(*) FROM mo_count_shard_2.mo_count;
PREPARE mo_get(text) AS SELECT count(*) FROM mo_count WHERE k = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE mo_get('key-1');
EXECUTE mo_get('key-2');
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) SELECT FROM mo_count WHERE k = 'key-1' AND id = 1;
SELECT shard_index, reads, writes FROM shard.stat_shards WHERE router = 'mo_count' ORDER BY 1;
SELECT key, accesses, shard_index FROM shard.hot_keys('mo_count', 5, '1 hour');
SELECT shard.stat_reset('mo_count');
BEGIN;
INSERT INTO mo_count VALUES ('key-1', 1000, 'x');
SAVEPOINT a;
INSERT INTO mo_count VALUES ('key-1', 1001, 'x'), ('key-1', 1002, 'x');
ROLLBACK TO a;
INSERT INTO mo_count VALUES ('key-1', 1003, 'x');
SAVEPOINT b;
INSERT INTO mo_count VALUES ('key-1', 1004, 'x');
RELEASE b;
INSERT INTO mo_count VALUES ('key-1', 1005, 'x');
UPDATE mo_count SET v = 'y' WHERE k = 'key-1' AND id > 1003;
UPDATE mo_count SET v = 'y' WHERE k = 'key-1' AND id > 2000;
COMMIT;
-- 6 inserted, 2 updated, 1 statement that only looked
SELECT shard_index, reads, writes FROM shard.stat_shards WHERE router = 'mo_count' AND shard_index = 2;
COPY mo_count FROM stdin;
key-1	3000	x
key-1	3001	x
\.
UPDATE mo_count SET k = 'key-2' WHERE k = 'key-1' AND id = 3000;
DELETE FROM mo_count WHERE k = 'key-1' AND id = 3001;
SELECT shard_index, reads, writes FROM shard.stat_shards WHERE router = 'mo_count' AND shard_index IN (2, 3) ORDER BY 1;

-- Writes of keys come from the WAL; accesses that are not SQL are recorded.
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT shard.stat_reset('mo_count');
INSERT INTO mo_count SELECT 'key-5', i, 'v' FROM generate_series(5001, 5020) i;
INSERT INTO mo_count VALUES ('key-6', 5001, 'v');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT count(shard.record_access('mo_count', 'key-7', 'read')) FROM generate_series(1, 1500);
SELECT shard.record_access('mo_count', 'key-7', 'write');
SELECT shard.record_access('mo_count', repeat('long', 100), 'read');
SELECT left(key, 12) AS key, accesses, accesses <= at_most AS bounded FROM shard.hot_keys('mo_count', 10, '1 hour');
SELECT count(*) FROM shard.hot_keys('mo_count', 2, '1 hour');
SELECT shard_index = shard.route('mo_count', 'key-7') AS right_one, shard_name, reads, writes
    FROM shard.hot_shards('mo_count', 1000, '1 hour');
SELECT count(*) FROM shard.hot_shards('mo_count', 100000, '1 hour');
SELECT type, source_shard = shard.route('mo_count', 'key-7') AS source, target_shard <> source_shard AS elsewhere, reason, entities_to_move
    FROM shard.rebalance_hints('mo_count');
SELECT shard.record_access('mo_count', 'key-7', 'look');
SELECT shard.record_access('mo_count', '', 'read');
SELECT * FROM shard.hot_keys('mo_count', 10, '0 s');
SELECT * FROM shard.hot_shards('mo_count', 10, '2 days');

-- Switched off.
SELECT shard.alter_router('mo_count', enable_metrics => false, track_access => false);
SELECT shard.stat_reset('mo_count');
SELECT shard.route('mo_count', 'key-1');
INSERT INTO mo_count VALUES ('key-8', 1, 'v');
SELECT count(*) FROM mo_count WHERE k = 'key-8' AND id = 1;
SELECT shard.record_access('mo_count', 'key-8', 'read');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT routing_operations, reads, writes FROM shard.stat_routers WHERE router = 'mo_count';
SELECT * FROM shard.hot_keys('mo_count', 10, '1 hour');
SELECT shard.alter_router('mo_count', enable_metrics => true, track_access => true);
SELECT shard.route('mo_count', 'key-1');
SELECT routing_operations FROM shard.stat_routers WHERE router = 'mo_count';

-- A router of the same name begins anew, unless the drop is rolled back.
DROP TABLE mo_count;
BEGIN;
SAVEPOINT before;
SELECT shard.drop_router('mo_count');
ROLLBACK TO before;
COMMIT;
SELECT routing_operations FROM shard.metrics('mo_count');
SELECT shard.drop_router('mo_count');
SELECT shard.create_router('mo_count', 'hash', 4, partition_key => '{k}');
SELECT routing_operations FROM shard.metrics('mo_count');

-- Who may look.
CREATE ROLE mo_reader IN ROLE shard_reader;
CREATE ROLE mo_nobody;
SET ROLE mo_reader;
SELECT routing_operations FROM shard.metrics('mo_count');
SELECT count(*) FROM shard.stat_shards WHERE router = 'mo_count';
SELECT count(*) FROM shard.shard_stats('mo_count');
SELECT is_balanced FROM shard.analyze_balance('mo_count');
SELECT * FROM shard.rebalance_hints('mo_count');
SELECT * FROM shard.hot_shards('mo_count');
SELECT shard.stat_reset();
SET ROLE mo_nobody;
SELECT shard.hot_keys('mo_count');
RESET ROLE;
DROP ROLE mo_reader, mo_nobody;
SELECT shard.drop_router('mo_count');
SELECT shard.drop_router('mo');
