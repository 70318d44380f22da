-- Routers of strategy range: routing, tables, pruning, other ranges.
SET client_min_messages = warning;

CREATE SCHEMA rng;
SET search_path = rng;

-- Where keys belong.
SELECT shard.create_router('rng_text', 'range', ranges =>
	'[{"start": "P", "end": "Z", "shard": 2}, {"start": "A", "end": "H", "shard": 0}, {"start": "H", "end": "P", "shard": 1}]');
SELECT k, shard.route('rng_text', k) FROM unnest('{A,Ab,G~,H,Oz,P,Y,Z,a,9,ä,€}'::text[]) k;
SELECT * FROM shard.shard_info('rng_text', 'Kilo');
SELECT shard.assign('rng_text', '{"id": "Quebec"}');
SELECT strategy, shard_count, key_type, ranges, default_shard FROM shard.routers WHERE name = 'rng_text';
SELECT * FROM shard.distribution('rng_text');
SET client_min_messages = notice;
SELECT shard.create_router('rng_gap', 'range', default_shard => 3, ranges =>
	'[{"start": "b", "end": "d", "shard": 0}, {"start": "f", "end": null, "shard": 1}]');
SET client_min_messages = warning;
SELECT shard_count, array_agg(k || shard.route('rng_gap', k)) FROM shard.routers, unnest('{a,b,cz,d,e,f,z}'::text[]) k
	WHERE name = 'rng_gap' GROUP BY 1;

-- Other types of keys.
SELECT shard.create_router('rng_ms', 'range', key_type => 'bigint', ranges =>
	'[{"end": 1704067200000, "shard": 0}, {"start": 1704067200000, "end": "1711929600000", "shard": 1}, {"start": 1711929600000, "shard": 2}]');
SELECT shard.route('rng_ms', k) FROM unnest('{-5,1704067199999,1704067200000,1711929599999,1711929600000}'::text[]) k;
SELECT shard.route('rng_ms', 'soon');
SELECT shard.create_router('rng_day', 'range', key_type => 'date', ranges =>
	'[{"end": "2024-02-01", "shard": 0}, {"start": "1 Feb 2024", "shard": 1}]');
SET DateStyle = 'German';
SELECT ranges, shard.route('rng_day', '31.01.2024'), shard.route('rng_day', 'infinity') FROM shard.routers WHERE name = 'rng_day';
RESET DateStyle;
SET TimeZone = 'Asia/Tokyo';
SELECT shard.create_router('rng_time', 'range', key_type => 'timestamptz', ranges =>
	'[{"end": "2024-01-01", "shard": 0}, {"start": "2024-01-01", "shard": 1}]');
SELECT shard.route('rng_time', '2024-01-01'), shard.route('rng_time', '2023-12-31 14:59:59+00'), ranges
	FROM shard.routers WHERE name = 'rng_time';
SET TimeZone = 'UTC';
SELECT shard.route('rng_time', '2024-01-01'), shard.route('rng_time', '2023-12-31 14:59:59');
SELECT shard.create_router('rng_num', 'range', key_type => 'numeric', ranges => '[{"end": 1.5, "shard": 0}, {"start": 1.50, "shard": 1}]');
SELECT shard.route('rng_num', '1.4999'), shard.route('rng_num', '1.500');
SELECT shard.create_router('rng_uuid', 'range', key_type => 'uuid', ranges =>
	'[{"end": "80000000-0000-0000-0000-000000000000", "shard": 0}, {"start": "80000000-0000-0000-0000-000000000000", "shard": 1}]');
SELECT shard.route('rng_uuid', '7FFFFFFF-ffff-ffff-ffff-ffffffffffff'), shard.route('rng_uuid', 'a0000000-0000-0000-0000-000000000000');

-- A comparator.
CREATE FUNCTION initial(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(left($1, 1))';
CREATE FUNCTION stamp(text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$SELECT split_part($1, '-', 2)::bigint$$;
SELECT shard.create_router('rng_initial', 'range', partition_key => '{name}', comparator => 'initial(text)', ranges =>
	'[{"end": "H", "shard": 0}, {"start": "H", "end": "P", "shard": 1}, {"start": "P", "shard": 2}]');
SELECT k, shard.route('rng_initial', k) FROM unnest('{alice,Hugo,hugo,peter,Zoe}'::text[]) k;
SELECT shard.create_router('rng_stamp', 'range', key_type => 'bigint', comparator => 'stamp(text)', ranges =>
	'[{"end": 1000, "shard": 0}, {"start": 1000, "shard": 1}]');
SELECT shard.route('rng_stamp', 'ev-999-x'), shard.route('rng_stamp', 'ev-1000-y');

-- What cannot be.
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": "a", "end": "m", "shard": 0}, {"start": "k", "shard": 1}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": "a", "end": "a", "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": "a", "end": "B", "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": 1, "end": 5, "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', key_type => 'int', ranges => '[{"start": true, "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', key_type => 'int', ranges => '[{"end": 5, "shard": 0}, {"start": "six", "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', key_type => 'int', ranges => '[{"end": 99999999999, "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"strat": "a", "shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": "a"}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": "a", "shard": 1.5}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[{"start": "a", "shard": 1024}]');
SELECT shard.create_router('rng_bad', 'range', 2, ranges => '[{"start": "a", "shard": 2}]');
SELECT shard.create_router('rng_bad', 'range', 2, default_shard => 2, ranges => '[{"start": "a", "shard": 1}]');
SELECT shard.create_router('rng_bad', 'range', ranges => '[]');
SELECT shard.create_router('rng_bad', 'range', ranges => '{"start": "a", "shard": 0}');
SELECT shard.create_router('rng_bad', 'range', ranges => '["a"]');
SELECT shard.create_router('rng_bad', 'range', key_type => 'point', ranges => '[{"shard": 0}]');
SELECT shard.create_router('rng_bad', 'range', key_type => 'int', comparator => 'initial(text)', ranges => '[{"shard": 0}]');
ALTER FUNCTION initial(text) STABLE;
SELECT shard.create_router('rng_bad', 'range', comparator => 'initial(text)', ranges => '[{"shard": 0}]');
ALTER FUNCTION initial(text) IMMUTABLE;
SELECT shard.alter_router('rng_text', ranges => '[{"shard": 7}]');
SELECT shard.alter_router('rng_text', default_shard => 7);
SELECT shard.alter_router('rng_text', default_shard => -1);
SELECT shard.create_router('pg_rng', 'range', ranges => '[{"shard": 0}]');

-- Carried elsewhere.
SELECT shard.create_router(jsonb_set(shard.router_definition('rng_ms'), '{name}', '"rng_ms2"'));
SELECT a.ranges = b.ranges AND a.key_type = b.key_type AS same FROM shard.routers a, shard.routers b
	WHERE a.name = 'rng_ms' AND b.name = 'rng_ms2';

-- A table, and a plain one to compare with.
SELECT shard.create_router('rng', 'range', partition_key => '{k}', ranges =>
	'[{"end": "h", "shard": 0}, {"start": "h", "end": "p", "shard": 1}, {"start": "p", "end": "x", "shard": 2}]');
CREATE TABLE t (k text COLLATE "C" PRIMARY KEY, v int, UNIQUE (v, k));
INSERT INTO t SELECT chr(97 + i % 26) || i, i FROM generate_series(1, 1300) i;
CREATE TABLE plain AS TABLE t;
CREATE TABLE child (k text COLLATE "C" REFERENCES t ON UPDATE CASCADE, n int);
INSERT INTO child SELECT k, v FROM t WHERE v % 10 = 0;
SELECT shard.distribute_table('t', 'rng', lake => false);
CREATE VIEW leaves AS SELECT tableoid::regclass AS leaf, count(*), min(k), max(k), array_agg(DISTINCT shard.route('rng', k)) AS shards
	FROM t GROUP BY tableoid ORDER BY tableoid::regclass::text;
CREATE VIEW wrong AS SELECT 'row' AS what, k FROM (TABLE t EXCEPT ALL TABLE plain) a
	UNION ALL SELECT 'lost', k FROM (TABLE plain EXCEPT ALL TABLE t) b
	UNION ALL SELECT 'misplaced', partition_key FROM shard.verify_placement('rng')
	UNION ALL SELECT 'orphan', c.k FROM child c WHERE NOT EXISTS (SELECT FROM t WHERE t.k = c.k);
TABLE leaves;
TABLE wrong;
\d+ t
EXPLAIN (COSTS OFF) SELECT v FROM t WHERE k = 'h5';
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE k >= 'i' AND k < 'o';
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE k BETWEEN 'a' AND 'j' AND v < 3;
PREPARE by_key(text) AS SELECT v FROM t WHERE k = $1;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_key('q16');
EXECUTE by_key('q16');
RESET plan_cache_mode;
INSERT INTO t VALUES ('Upper', 1), ('zz', 2) RETURNING tableoid::regclass;
INSERT INTO t VALUES ('zz', 3) ON CONFLICT (k) DO UPDATE SET v = excluded.v RETURNING tableoid::regclass, v;
INSERT INTO plain VALUES ('Upper', 1), ('zz', 3);
UPDATE t SET k = 'moved' WHERE k = 'Upper' RETURNING tableoid::regclass;
UPDATE plain SET k = 'moved' WHERE k = 'Upper';
INSERT INTO t VALUES (NULL, 1);
TABLE wrong;

-- Split, merged, moved.
SELECT shard.alter_router('rng', ranges =>
	'[{"end": "d", "shard": 0}, {"start": "d", "end": "h", "shard": 2}, {"start": "h", "end": "p", "shard": 1}, {"start": "p", "end": "x", "shard": 2}]');
TABLE leaves;
TABLE wrong;
SELECT shard.alter_router('rng', ranges => '[{"end": "p", "shard": 1}, {"start": "p", "end": "x", "shard": 0}]');
TABLE leaves;
TABLE wrong;
SELECT shard.alter_router('rng', ranges => '[{"end": "c", "shard": 1}, {"start": "c", "end": "f", "shard": 2}, {"start": "f", "shard": 1}]',
	default_shard => 2);
TABLE leaves;
TABLE wrong;
SELECT shard.alter_router('rng', ranges => '[{"start": "m", "end": "n", "shard": 0}]', default_shard => 1);
TABLE leaves;
TABLE wrong;
BEGIN;
SELECT shard.alter_router('rng', ranges => '[{"shard": 2}]');
SELECT DISTINCT shard.route('rng', k), split_part(tableoid::regclass::text, '.', 1) FROM t;
ROLLBACK;
TABLE wrong;
DELETE FROM t WHERE k > 'b' AND k NOT IN (SELECT k FROM child);
DELETE FROM plain WHERE k > 'b' AND k NOT IN (SELECT k FROM child);
UPDATE t SET k = 'n' || k WHERE k LIKE 'a%' AND v % 20 = 0;
UPDATE plain SET k = 'n' || k WHERE k LIKE 'a%' AND v % 20 = 0;
TABLE leaves;
TABLE wrong;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT shard.alter_router('rng', ranges => '[{"shard": 2}]');
ROLLBACK;

-- Pins.
SELECT shard.pin('rng', 'm12', 2);
SELECT shard.pin('rng', 'mine', 2), shard.route('rng', 'mine'), shard.route('rng', 'mine!');
INSERT INTO t VALUES ('mine', 1), ('mine!', 2) RETURNING k, tableoid::regclass::text ~ '_shard_2';
INSERT INTO plain VALUES ('mine', 1), ('mine!', 2);
TABLE wrong;
SELECT shard.unpin('rng', 'mine');
DELETE FROM t WHERE k = 'mine';
DELETE FROM plain WHERE k = 'mine';
SELECT shard.unpin('rng', 'mine'), shard.route('rng', 'mine');
TABLE wrong;
SELECT shard.pin('rng_ms', '0012', 2), shard.route('rng_ms', '12'), shard.route('rng_ms', '+12');
SELECT shard.pin('rng_num', '1', 1);

-- Leaves are not for dropping.
DO $$BEGIN EXECUTE 'DROP TABLE ' || (SELECT leaf FROM leaves LIMIT 1); EXCEPTION WHEN OTHERS THEN RAISE INFO '%', left(SQLERRM, 40); END$$;
DROP EXTENSION shard;

-- A table with a comparator: unique keys hold within leaves.
CREATE TABLE person (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE);
INSERT INTO person SELECT i, chr(97 + i % 26) || i, 'e' || i FROM generate_series(1, 260) i;
CREATE TABLE person_plain AS TABLE person;
SELECT shard.distribute_table('person', 'rng_initial', lake => false);
SELECT tableoid::regclass, count(*), min(name), max(name) FROM person GROUP BY tableoid ORDER BY tableoid::regclass::text;
EXPLAIN (COSTS OFF) SELECT * FROM person WHERE initial(name) = 'B';
EXPLAIN (COSTS OFF) SELECT * FROM person WHERE initial(name) < 'C';
SELECT shard.alter_router('rng_initial', ranges =>
	'[{"end": "C", "shard": 0}, {"start": "C", "end": "S", "shard": 1}, {"start": "S", "shard": 0}]');
SELECT tableoid::regclass, count(*), min(name), max(name) FROM person GROUP BY tableoid ORDER BY tableoid::regclass::text;
SELECT count(*) FROM shard.verify_placement('rng_initial');
SELECT shard.pin('rng_initial', 'bob', 2);
SELECT shard.undistribute_table('person');
\d person
SELECT count(*) FROM (TABLE person EXCEPT ALL TABLE person_plain) d;

-- Columns that do not fit.
CREATE TABLE misfit (k int PRIMARY KEY);
SELECT shard.distribute_table('misfit', 'rng_day', '{k}', false);
CREATE TABLE day (d date NOT NULL, n int, PRIMARY KEY (d, n));
INSERT INTO day SELECT '2024-01-01'::date + i, i FROM generate_series(0, 59) i;
SELECT shard.distribute_table('day', 'rng_day', '{d}', false);
EXPLAIN (COSTS OFF) SELECT count(*) FROM day WHERE d >= '2024-02-10' AND d < '2024-02-12';
SELECT tableoid::regclass, count(*) FROM day GROUP BY 1 ORDER BY 1;

-- A column of a wider type than the router's has keys beyond those that it compares.
SELECT shard.create_router('rng_narrow', 'range', 3, key_type => 'int', ranges =>
	'[{"end": 0, "shard": 0}, {"start": 0, "shard": 1}]');
CREATE TABLE wide (k bigint PRIMARY KEY);
SELECT shard.distribute_table('wide', 'rng_narrow', '{k}', false);
SELECT shard.pin('rng_narrow', '2147483647', 2), shard.pin('rng_narrow', '-2147483648', 1);
SELECT shard.pin('rng_narrow', '2147483648', 2);
INSERT INTO wide VALUES (-3000000000), (-2147483649), (-2147483648), (0), (2147483646), (2147483647), (3000000000);
SELECT k, tableoid::regclass AS leaf, shard.route('rng_narrow', k::text) FROM wide ORDER BY 1;
SELECT count(*) FROM shard.verify_placement('rng_narrow');
-- A change of the map that is refused ends as any other error does.
SELECT shard.pin('rng_narrow', '77', 2) FROM wide LIMIT 1;
SELECT count(*) FROM wide;

DROP VIEW wrong, leaves;
SELECT shard.undistribute_table('t');
SELECT count(*) FROM (TABLE t EXCEPT ALL TABLE plain) d;
DROP TABLE t, child, day, wide;
SELECT shard.drop_router(name) FROM shard.routers WHERE name LIKE 'rng%' ORDER BY name;
SELECT count(*) AS left_over FROM pg_namespace WHERE nspname LIKE 'rng\_%';
DROP SCHEMA rng CASCADE;
