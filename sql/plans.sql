-- Plans for removing shards and rebalancing: what they say, what is refused, and
-- what is found out before they are executed.

SELECT shard.create_router('pl', 'consistent-hash', 4, partition_key => '{k}');
CREATE TABLE pl_orders (k text, id int, v text, PRIMARY KEY (k, id));
CREATE TABLE pl_keyless (k text NOT NULL, v text);
SELECT shard.distribute_table('pl_orders', 'pl', lake => false);
SELECT shard.distribute_table('pl_keyless', 'pl', lake => false);

-- Six keys, sizes 8, 4, 2, 1, 1 and 1, and where they are.
SELECT count(shard.pin('pl', k, 0)) FROM unnest('{eight,four,two,one,uno,eins}'::text[]) k;
INSERT INTO pl_orders SELECT k, i, 'v' FROM (VALUES ('eight', 8), ('four', 4), ('two', 2), ('one', 1), ('uno', 1), ('eins', 1)) s (k, n),
    generate_series(1, 100 * n) i;

-- A rebalance within 90 % moves what is missing, no more.
SELECT shard.plan_rebalance('pl', 0.9) AS plan \gset
SELECT type, router, shard_index, keys_to_move, entities_to_move, total_keys, total_entities,
    round(moved_ratio::numeric, 2) AS ratio, warnings FROM shard.plan(:plan);
SELECT from_shard, sum(entities) AS entities, count(DISTINCT to_shard) AS targets FROM shard.plan_movements(:plan) GROUP BY 1;
SELECT * FROM shard.validate_plan(:plan);
-- One key is larger than a shard may be.
SELECT shard.plan_rebalance('pl', 0.3) AS impossible \gset
SELECT warnings FROM shard.plan(:impossible);

-- Named keys: one target for all, one for each, or none.
SELECT shard.plan_rebalance('pl', partition_keys => '{one,two}', target_shards => '{3}') AS plan \gset
SELECT partition_key, from_shard, to_shard, entities, bytes > 0 AS bytes FROM shard.plan_movements(:plan);
SELECT destinations FROM shard.plan(:plan);
SELECT shard.plan_rebalance('pl', partition_keys => '{one,two}', target_shards => '{3,2}') AS plan \gset
SELECT partition_key, from_shard, to_shard, entities FROM shard.plan_movements(:plan);
SELECT shard.plan_rebalance('pl', partition_keys => '{two,nobody}') AS plan \gset
SELECT partition_key, to_shard <> from_shard AS moves, entities FROM shard.plan_movements(:plan) ORDER BY 1;
SELECT shard.plan_rebalance('pl', partition_keys => '{one,two}', target_shards => '{1,2,3}');
SELECT shard.plan_rebalance('pl', partition_keys => '{one,one}');
SELECT shard.plan_rebalance('pl', partition_keys => '{one}', target_shards => '{9}');
SELECT shard.plan_rebalance('pl', partition_keys => '{one}', target_shards => '{NULL}');
SELECT shard.plan_rebalance('pl', -1);

-- Removing: the pins to the shard go with it.
SELECT shard.plan_remove_shard('pl', 9);
SELECT shard.plan_remove_shard('pl', NULL);
SELECT shard.plan_remove_shard('pl', 0) AS removal \gset
SELECT type, shard_index, shard_name, keys_to_move, entities_to_move FROM shard.plan(:removal);
SELECT count(*) FILTER (WHERE to_shard = 0) AS stay FROM shard.plan_movements(:removal);
CREATE VIEW pl_view AS SELECT * FROM pl_shard_0.pl_orders;
SELECT valid, regexp_replace(errors::text, '\d+', 'N', 'g') AS errors FROM shard.validate_plan(:removal);
DROP VIEW pl_view;
SELECT valid, errors FROM shard.validate_plan(:removal);

-- Executed: keys move and are pinned; then the other plans are stale.
SELECT shard.execute_plan(:impossible) AS migration \gset
SELECT success, entities_moved, rolled_back, error FROM shard.wait_migration(:migration, '10 min');
SELECT count(*) AS pins FROM _shard.pin WHERE router = 'pl';
SELECT count(*) AS misplaced FROM shard.verify_placement('pl');
SELECT tableoid::regclass IS NOT NULL AS leaf, count(*) FROM pl_orders GROUP BY tableoid ORDER BY 2;
SELECT shard.plan_rebalance('pl', partition_keys => '{one}', target_shards => '{1}') AS one_to_1 \gset
SELECT shard.rebalance('pl', '{one}', ARRAY[2]) AS migration \gset
SELECT success FROM shard.wait_migration(:migration, '10 min');
SELECT shard.route('pl', 'one');
SELECT valid, regexp_replace(errors::text, 'plan \d+', 'plan N') AS errors FROM shard.validate_plan(:one_to_1);

SELECT shard.remove_shard('pl', 0) AS migration \gset
SELECT success, rolled_back, error FROM shard.wait_migration(:migration, '10 min');
SELECT string_agg(shard_index::text, ',' ORDER BY shard_index) AS shards, count(*) FILTER (WHERE state <> 'active') AS others
FROM shard.shards WHERE router = 'pl';
SELECT to_regnamespace('pl_shard_0') IS NULL AS schema_gone;
SELECT count(*) AS rows FROM pl_orders;
SELECT count(*) AS misplaced FROM shard.verify_placement('pl');

-- A shard for chosen keys alone, and its removal.
SELECT shard.add_shard('pl', 'chosen', partition_keys => '{eight}') AS migration \gset
SELECT success, entities_moved FROM shard.wait_migration(:migration, '10 min');
SELECT shard_index, shard_name FROM shard.shards WHERE router = 'pl' AND shard_index = shard.route('pl', 'eight');
SELECT count(*) FROM pl_shard_4.pl_orders;
SELECT shard.remove_shard('pl', 4) AS migration \gset
SELECT success FROM shard.wait_migration(:migration, '10 min');
SELECT shard.route('pl', 'eight') = 4 AS still_there;

-- Not the last one.
SELECT shard.remove_shard('pl', 1) AS migration \gset
SELECT success FROM shard.wait_migration(:migration, '10 min');
SELECT shard.remove_shard('pl', 2) AS migration \gset
SELECT success FROM shard.wait_migration(:migration, '10 min');
SELECT shard.remove_shard('pl', 3);
SELECT count(*) AS rows FROM pl_orders;

-- The schema of a shard keeps its name.
ALTER SCHEMA pl_shard_3 RENAME TO pl_other;

DROP TABLE pl_orders, pl_keyless;
SELECT shard.drop_router('pl');
