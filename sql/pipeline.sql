-- The pipeline's SQL interface: registration, flush, status.
CREATE SCHEMA pl;
SELECT shard.create_router('pl', 'hash', 3, partition_key => '{k}');
CREATE TABLE pl.notes (k text, id int, body text, at timestamptz, PRIMARY KEY (k, id));
INSERT INTO pl.notes SELECT 'k' || i % 4, i, 'first', 'epoch' FROM generate_series(1, 8) i;
SELECT shard.distribute_table('pl.notes', 'pl');
SELECT namespace, name, events_name, synced, problem FROM _shard.lake_table
WHERE relation = 'pl.notes'::regclass;
\d lake.pl_notes
\d lake.pl_notes_events

SELECT shard.flush() IS NOT NULL AS flushed;
SELECT * FROM lake.pl_notes ORDER BY id;
SELECT _verb, _seq BETWEEN 1 AND 8 AS seq, _shard = shard.route('pl', _key) AS routed, _key, _old_key, k, id, body,
       _ts > now() - interval '1 h' AS recent, _lsn > 0 AS has_lsn
FROM lake.pl_notes_events ORDER BY id;

-- each kind of change
UPDATE pl.notes SET body = 'second' WHERE id = 1;
UPDATE pl.notes SET id = 20 WHERE id = 2;
UPDATE pl.notes SET k = 'k-new' WHERE id = 3;
DELETE FROM pl.notes WHERE id = 4;
INSERT INTO pl.notes VALUES ('k1', 5, 'upserted') ON CONFLICT (k, id) DO UPDATE SET body = excluded.body;
INSERT INTO pl.notes VALUES ('k1', 9, 'in and out');
DELETE FROM pl.notes WHERE id = 9;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT k, id, body FROM lake.pl_notes ORDER BY id;
SELECT _verb, _key, _old_key, k, id, body FROM lake.pl_notes_events
WHERE _verb <> 'created' OR id IN (9, 20) ORDER BY _lsn, _seq, _verb DESC;
SELECT count(*) - count(DISTINCT _event_id) AS doubled FROM lake.pl_notes_events;

-- a rolled back change is none
BEGIN;
DELETE FROM pl.notes;
ROLLBACK;
TRUNCATE pl.notes;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT count(*) FROM lake.pl_notes;
SELECT _verb, count(*) FROM lake.pl_notes_events GROUP BY _verb ORDER BY _verb;

-- status
SELECT slot_name = 'shard_' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS slot,
       worker_pid IS NOT NULL AS worker, state, reason, hint, read_lsn <= current_lsn AS read,
       events_written > 0 AS events, flushes > 0 AS flushes, last_flush_ms > 0 AS ms
FROM shard.pipeline_status;
SELECT count(*) FROM shard.dead_letters;

-- the slot cannot be used by others
SELECT * FROM pg_create_logical_replication_slot('pl_mine', 'shard');

-- no rights, no flush
CREATE ROLE pl_nobody;
SET ROLE pl_nobody;
SELECT shard.flush();
SELECT state FROM shard.pipeline_status;
SELECT _shard.lake_unregister(1);
RESET ROLE;
DROP ROLE pl_nobody;

-- a table can stay out of the lake
CREATE TABLE pl.outside (k text, id int, PRIMARY KEY (k, id));
SELECT shard.distribute_table('pl.outside', 'pl', lake => false);
INSERT INTO pl.outside VALUES ('a', 1);
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT count(*) FROM iceberg_tables WHERE table_namespace = 'pl' AND table_name LIKE 'outside%';

SELECT shard.undistribute_table('pl.notes');
SELECT to_regclass('lake.pl_notes'), to_regclass('lake.pl_notes_events');
SELECT count(*) FROM iceberg_tables WHERE table_namespace = 'pl';
DROP TABLE pl.notes, pl.outside;
SELECT shard.drop_router('pl');
DROP SCHEMA pl;
