-- Commands on one shard of a router whose shards have several leaves: they see
-- all leaves of the shard, and no others.
SELECT shard.create_router('rgf', 'range', shard_count => 3, key_type => 'int', ranges =>
	'[{"end": 100, "shard": 0}, {"start": 100, "end": 200, "shard": 1}, {"start": 200, "shard": 0}]');
CREATE TABLE rgf_t (id int PRIMARY KEY, v int);
INSERT INTO rgf_t SELECT i, i FROM generate_series(1, 400) i;
SELECT shard.distribute_table('rgf_t', 'rgf', lake => false);
SELECT * FROM shard.scatter_gather('rgf', 'SELECT count(*), min(id), max(id) FROM rgf_t') ORDER BY 1;
SELECT * FROM shard.forward('rgf', '150', 'SELECT current_setting(''shard.shard_name'') AS shard, count(*) FROM rgf_t WHERE id = $1::int', '150');
SELECT * FROM shard.forward('rgf', '150', 'SELECT count(*) FROM rgf_t WHERE id = 50');
SELECT count(*) FROM shard.forward('rgf', '50', 'UPDATE rgf_t SET v = -1 WHERE id BETWEEN 90 AND 250 RETURNING id');
SELECT v, count(*) FROM rgf_t WHERE v < 0 GROUP BY 1;
SELECT * FROM shard.forward('rgf', '150', 'DELETE FROM rgf_t WHERE id IN (50, 150) RETURNING id');
-- Plans are not kept from shard to shard.
CREATE FUNCTION rgf_count() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM rgf_t); END';
SELECT rgf_count();
SELECT shard_index, result FROM shard.scatter_gather('rgf', 'SELECT rgf_count()') ORDER BY 1;
SELECT * FROM shard.forward('rgf', '150', 'SELECT 1 / 0');
SELECT rgf_count();
DROP FUNCTION rgf_count;
DROP TABLE rgf_t;
-- Foreign keys are kept over all shards.
CREATE TABLE rgf_one (id int PRIMARY KEY);
CREATE TABLE rgf_many (id int PRIMARY KEY, one int REFERENCES rgf_one);
CREATE TABLE rgf_parts (id int PRIMARY KEY, one int REFERENCES rgf_one ON DELETE CASCADE);
INSERT INTO rgf_one VALUES (10), (20), (150);
INSERT INTO rgf_many VALUES (150, 10);
INSERT INTO rgf_parts VALUES (150, 20), (50, 20);
SELECT shard.distribute_table(t, 'rgf', lake => false) FROM unnest('{rgf_one,rgf_many,rgf_parts}'::regclass[]) t;
SELECT * FROM shard.forward('rgf', '50', 'INSERT INTO rgf_many VALUES (50, 150)');
SELECT error FROM shard.scatter_gather('rgf', 'DELETE FROM rgf_one WHERE id = 10') WHERE shard_index = 0;
SELECT * FROM shard.forward('rgf', '20', 'DELETE FROM rgf_one WHERE id = 20');
SELECT * FROM rgf_many ORDER BY 1;
SELECT * FROM rgf_parts;
DROP TABLE rgf_one, rgf_many, rgf_parts;
SELECT shard.drop_router('rgf');
