-- A shard for one key alone.
CREATE SCHEMA iso;
SET search_path = iso;
SELECT shard.create_router('isl', 'tenant', 4, partition_key => '{tenant}');
CREATE TABLE invoice (tenant text NOT NULL, id int, v text, PRIMARY KEY (tenant, id));
CREATE TABLE line (tenant text, id int, n int, FOREIGN KEY (tenant, id) REFERENCES invoice, PRIMARY KEY (tenant, id, n));
INSERT INTO invoice SELECT 't' || i % 20, i, 'x' FROM generate_series(1, 600) i;
INSERT INTO line SELECT tenant, id, n FROM invoice, generate_series(1, 2) n;
CREATE TABLE plain AS TABLE invoice;
SELECT shard.distribute_table('invoice', 'isl', lake => false);
SELECT shard.distribute_table('line', 'isl', lake => false);
CREATE TABLE before AS SELECT DISTINCT tenant, shard.route('isl', tenant) AS shard FROM invoice;

SELECT p.type, p.shard_name, p.keys_to_move, p.entities_to_move, p.destinations
	FROM shard.plan(shard.plan_isolate('isl', 't7', 'home of t7')) p;
SELECT shard.isolate('isl', 't7', 'home of t7') AS id \gset
SELECT success, entities_moved, error FROM shard.wait_migration(:id);
SELECT shard_index, shard_name, schema, state FROM shard.shards WHERE router = 'isl' ORDER BY 1;
SELECT DISTINCT tenant FROM isl_shard_4.invoice;
SELECT count(*) FROM isl_shard_4.line;
-- Nobody else moved, nothing is lost, and new keys go elsewhere.
SELECT tenant, shard.route('isl', tenant) FROM before WHERE shard <> shard.route('isl', tenant);
SELECT count(*) FROM (TABLE invoice EXCEPT ALL TABLE plain) d;
SELECT count(*) FROM shard.verify_placement('isl');
SELECT count(*) FILTER (WHERE shard.route('isl', 'new' || i) = 4) AS in_it FROM generate_series(1, 2000) i;
SELECT shard.isolate('isl', 't7');
SELECT shard.isolate('isl', '');
SELECT shard.isolate('isl', NULL);
SELECT shard.isolate('isl', 't8', 'home of t7');
-- A key without rows, in advance.
SELECT shard.isolate('isl', 'newcomer') AS id \gset
SELECT success, entities_moved, error FROM shard.wait_migration(:id);
INSERT INTO invoice VALUES ('newcomer', 1, 'y') RETURNING tableoid::regclass;
-- Back again.
SELECT shard.remove_shard('isl', 4) AS id \gset
SELECT success, error FROM shard.wait_migration(:id);
SELECT shard.route('isl', 't7') = shard AS as_before FROM before WHERE tenant = 't7';
DROP TABLE line, invoice;
SELECT shard.drop_router('isl');
DROP SCHEMA iso CASCADE;
