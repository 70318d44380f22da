-- More pins than a session remembers: pinned keys go where they are pinned,
-- others where they would go without pins; weights.
SELECT shard.create_router(jsonb_build_object('name', 'pm', 'strategy', 'tenant', 'shard_count', 8,
	'pins', (SELECT jsonb_object_agg('tenant-' || i, i % 8) FROM generate_series(1, 20000) i)));
SELECT shard.create_router('pm_plain', 'tenant', 8);
SELECT count(*) AS pins FROM _shard.pin WHERE router = 'pm';
SELECT count(*) FILTER (WHERE shard.route('pm', 'tenant-' || i) <> i % 8) AS wrong FROM generate_series(1, 20000) i;
SELECT count(*) FILTER (WHERE shard.route('pm', 'other-' || i) <> shard.route('pm_plain', 'other-' || i)) AS wrong
	FROM generate_series(1, 5000) i;
CREATE TABLE pm_t (id text PRIMARY KEY, v int);
INSERT INTO pm_t SELECT CASE WHEN i % 2 = 0 THEN 'tenant-' ELSE 'other-' END || i, i FROM generate_series(1, 20000) i;
SELECT shard.distribute_table('pm_t', 'pm', lake => false);
SELECT count(*) FROM shard.verify_placement('pm');
SELECT count(*) FILTER (WHERE tableoid::regclass::text <> format('pm_shard_%s.pm_t', v % 8)) AS wrong FROM pm_t WHERE v % 2 = 0;
SELECT shard.pin('pm', 'late', 3);
INSERT INTO pm_t VALUES ('late', 1) RETURNING tableoid::regclass;
SELECT shard.unpin('pm', 'late');
DROP TABLE pm_t;
SELECT shard.drop_router('pm'), shard.drop_router('pm_plain');

SELECT shard.create_router('pm', 'consistent-hash', 3, weights => '{1,2,1}');
SELECT weight FROM shard.shards WHERE router = 'pm' ORDER BY shard_index;
SELECT abs((shares ->> '1')::float8 - 0.5) < 0.05 AS half FROM shard.distribution('pm');
SELECT shard.alter_router('pm', weights => '{1,1,2}');
SELECT abs((shares ->> '2')::float8 - 0.5) < 0.05 AS half FROM shard.distribution('pm');
CREATE TABLE pm_t (id text PRIMARY KEY);
SELECT shard.distribute_table('pm_t', 'pm', lake => false);
SELECT shard.alter_router('pm', weights => '{2,1,1}');
INSERT INTO pm_t VALUES ('a');
SELECT shard.alter_router('pm', weights => '{1,1,1}');
SELECT shard.alter_router('pm', weights => '{1,1}');
SELECT shard.alter_router('pm', weights => '{1,1,0}');
SELECT shard.create_router('pm_bad', weights => '{1,1,1}', shard_count => 3);
DROP TABLE pm_t;
SELECT shard.alter_router('pm', weights => '{1,1,1e9}');
SELECT shard.drop_router('pm');
