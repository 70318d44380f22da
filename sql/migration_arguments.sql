-- What calls of migrations refuse, and what they say then.

SELECT shard.create_router('ma', 'consistent-hash', 3, partition_key => '{k}');
CREATE TABLE ma_rows (k text, id int, v text, PRIMARY KEY (k, id));
INSERT INTO ma_rows SELECT 'key-' || i % 20, i, 'v' FROM generate_series(1, 200) i;
INSERT INTO ma_rows VALUES ('', 1, 'empty key'), ('', 2, 'empty key');
SELECT shard.distribute_table('ma_rows', 'ma', lake => false);
CREATE TABLE ma_before AS TABLE ma_rows;

SELECT shard.add_shard('ma', timeout => '0');
SELECT shard.add_shard('ma', timeout => '-1 s');
SELECT shard.add_shard('ma', timeout => '1 month -31 days');
SELECT shard.add_shard('ma', batch_size => 0);
SELECT shard.add_shard('ma', partition_keys => '{}');
SELECT shard.add_shard('ma', partition_keys => '{key-1,NULL}');
SELECT shard.add_shard('ma', partition_keys => '{key-1,""}');
SELECT shard.add_shard('ma', shard_name => 'shard-0');
SELECT shard.rebalance('ma', '{}');
SELECT shard.rebalance('ma', '{key-1}', '{99}');
SELECT shard.rebalance('ma', '{key-1,key-2}', '{0,1,2}');
SELECT shard.remove_shard('ma', 99);
\set VERBOSITY terse
SELECT shard.is_migrating('ma_none');
\set VERBOSITY default
SELECT shard.is_migrating('ma');
SELECT * FROM shard.plan_movements(0);
SELECT * FROM shard.plan(0);
SELECT * FROM shard.validate_plan(0);
SELECT shard.execute_plan(0);
SELECT shard.wait_migration(0);
SELECT shard.cancel_migration(0);

-- The empty key is a key like any other to tables and migrations.
SELECT count(*) FROM shard.verify_placement('ma');
SELECT shard_index AS holder FROM shard.shards WHERE router = 'ma'
    AND (schema || '.ma_rows')::regclass = (SELECT DISTINCT tableoid FROM ma_rows WHERE k = '') \gset
SELECT shard.remove_shard('ma', :holder) AS migration \gset
SELECT success, error FROM shard.wait_migration(:migration, '10 min');
SELECT count(*) FROM ma_rows WHERE k = '';
SELECT count(*) FROM shard.verify_placement('ma');
SELECT count(*) FROM (TABLE ma_rows EXCEPT ALL TABLE ma_before) gone_or_new;
SELECT count(*) FROM (TABLE ma_before EXCEPT ALL TABLE ma_rows) gone_or_new;

-- A plan is executed once.
SELECT shard.plan_add_shard('ma') AS plan \gset
SELECT shard.execute_plan(:plan, start_at => now() + '1 hour') AS migration \gset
SELECT shard.is_migrating('ma');
SELECT success, error FROM shard.wait_migration(:migration, '1 ms');
SELECT shard.cancel_migration(:migration);
SELECT success, rolled_back, error FROM shard.wait_migration(:migration, '10 min');
SELECT shard.execute_plan(:plan) AS migration \gset
SELECT success, rolled_back, error FROM shard.wait_migration(:migration, '10 min');
SELECT replace(array_to_string(errors, ','), :'plan', 'N') FROM shard.validate_plan(:plan);

DROP TABLE ma_rows, ma_before;
SELECT shard.drop_router('ma');
