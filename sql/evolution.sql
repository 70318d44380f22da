-- Sharded tables that are altered: the lake follows in the order of the WAL.
CREATE SCHEMA evo;
SELECT shard.create_router('evo', 'hash', 3, partition_key => '{k}');
CREATE TABLE evo.t (k text, id int, a int, b text, n numeric(10,2), PRIMARY KEY (k, id));
INSERT INTO evo.t SELECT 'k' || i, i, i, 'b' || i, i FROM generate_series(1, 20) i;
SELECT shard.distribute_table('evo.t', 'evo');
CREATE FUNCTION evo.differences(OUT missing bigint, OUT extra bigint, OUT problem text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT count(*) FROM (SELECT * FROM evo.t EXCEPT ALL SELECT * FROM lake.evo_t) d' INTO missing;
    EXECUTE 'SELECT count(*) FROM (SELECT * FROM lake.evo_t EXCEPT ALL SELECT * FROM evo.t) d' INTO extra;
    SELECT lake_problem INTO problem FROM shard.tables WHERE relation = 'evo.t'::regclass;
END $$;
CREATE VIEW evo.lake_columns AS
    SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS state
    FROM pg_attribute WHERE attrelid = 'lake.evo_t'::regclass AND attnum > 0 AND NOT attisdropped;
CREATE VIEW evo.event_columns AS
    SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) AS events
    FROM pg_attribute WHERE attrelid = 'lake.evo_t_events'::regclass AND attnum > 8 AND NOT attisdropped;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();

-- without a change of a row: add, add with a default, rename, drop
ALTER TABLE evo.t ADD COLUMN c int;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
ALTER TABLE evo.t ADD COLUMN d text DEFAULT 'default', ADD COLUMN e int DEFAULT 7;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
SELECT * FROM lake.evo_t WHERE id < 3 ORDER BY id;
ALTER TABLE evo.t RENAME COLUMN b TO "B b";
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
ALTER TABLE evo.t DROP COLUMN c;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
TABLE evo.lake_columns;

-- widen
ALTER TABLE evo.t ALTER COLUMN a TYPE bigint, ALTER COLUMN n TYPE numeric(20,2);
INSERT INTO evo.t VALUES ('k30', 30, 9223372036854775807, 'new', 123456789012345678.99);
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
TABLE evo.lake_columns;

-- another type: the state goes on, the event log keeps both
ALTER TABLE evo.t ALTER COLUMN a TYPE text USING 'x' || a, ALTER COLUMN e DROP DEFAULT, ALTER COLUMN e TYPE date USING date '2000-01-01' + e;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
TABLE evo.lake_columns;
TABLE evo.event_columns;
ALTER TABLE evo.t ALTER COLUMN n TYPE numeric(30,5);
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
SELECT a, n, e FROM lake.evo_t WHERE id IN (1, 30) ORDER BY id;

-- names change places
ALTER TABLE evo.t RENAME a TO tmp;
ALTER TABLE evo.t RENAME d TO a;
ALTER TABLE evo.t RENAME tmp TO d;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
TABLE evo.lake_columns;

-- all in one transaction, between changes; and what is rolled back
BEGIN;
UPDATE evo.t SET "B b" = 'before' WHERE id < 5;
ALTER TABLE evo.t ALTER COLUMN d TYPE int USING length(d::text);
INSERT INTO evo.t (k, id, d) VALUES ('z', 99, 5);
ALTER TABLE evo.t RENAME d TO b;
ALTER TABLE evo.t RENAME "B b" TO d;
DELETE FROM evo.t WHERE id = 7;
ALTER TABLE evo.t ADD COLUMN f int DEFAULT 1;
UPDATE evo.t SET f = 2 WHERE id = 8;
SAVEPOINT s;
ALTER TABLE evo.t DROP COLUMN f;
ROLLBACK TO s;
COMMIT;
BEGIN;
ALTER TABLE evo.t DROP COLUMN f;
ROLLBACK;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
TABLE evo.lake_columns;

-- a dropped name comes again, with another type
ALTER TABLE evo.t DROP COLUMN f;
ALTER TABLE evo.t ADD COLUMN f uuid;
UPDATE evo.t SET f = '00000000-0000-0000-0000-000000000001' WHERE id = 1;
SELECT shard.flush() AS flushed \gset
SELECT * FROM evo.differences();
TABLE evo.event_columns;
SELECT count(*) - count(DISTINCT _event_id) AS doubled FROM lake.evo_t_events;

-- files from before are still read as they were
SELECT count(DISTINCT snapshot_id) > 5 AS history FROM shard.lake_snapshots('lake.evo_t');
SELECT shard.undistribute_table('evo.t');

-- the same with partitions and compaction
CREATE TYPE evo.place AS (a int, b text[]);
CREATE TABLE evo.parts (k text, id int, a int, ints int[], place evo.place, day date, PRIMARY KEY (k, id));
SELECT shard.distribute_table('evo.parts', 'evo', lake_options => '{"partition": ["bucket(4, k)", "month(day)"]}');
INSERT INTO evo.parts SELECT 'k' || i % 7, i, i, ARRAY[i, NULL], row(i, ARRAY['x'])::evo.place, date '2024-01-01' + i % 60
FROM generate_series(1, 500) i;
SELECT shard.flush() AS flushed \gset
ALTER TABLE evo.parts DROP COLUMN a;
ALTER TABLE evo.parts ADD COLUMN c text DEFAULT 'x';
ALTER TABLE evo.parts RENAME ints TO intz;
ALTER TYPE evo.place ADD ATTRIBUTE z int;
UPDATE evo.parts SET place.z = 5 WHERE id < 100;
DELETE FROM evo.parts WHERE id % 9 = 0;
SELECT shard.flush() AS flushed \gset
SELECT rows FROM shard.compact('lake.evo_parts');
SELECT count(*) FROM (TABLE evo.parts EXCEPT ALL TABLE lake.evo_parts) d;
ALTER TABLE evo.parts ALTER COLUMN day TYPE text;
UPDATE evo.parts SET c = 'y' WHERE id < 50;
SELECT shard.flush() AS flushed \gset
SELECT count(*) FROM (TABLE evo.parts EXCEPT ALL TABLE lake.evo_parts) d;
ALTER TABLE evo.parts DROP COLUMN day;
UPDATE evo.parts SET c = 'z' WHERE id < 50;
SELECT shard.flush() AS flushed \gset
SELECT rows FROM shard.compact('lake.evo_parts');
SELECT count(*) FROM (TABLE evo.parts EXCEPT ALL TABLE lake.evo_parts) d;
SELECT count(*) FROM (TABLE lake.evo_parts EXCEPT ALL TABLE evo.parts) d;
SELECT state, last_error FROM shard.pipeline_status;
SELECT shard.undistribute_table('evo.parts');
SELECT shard.drop_router('evo');
\set VERBOSITY terse
DROP SCHEMA evo CASCADE;
