-- Migrations: plans, one more shard, what progress and the journal tell, and
-- what is refused.

-- Nothing to plan for.
\set VERBOSITY terse
SELECT shard.plan_add_shard('mg_none');
\set VERBOSITY default
SELECT shard.plan(0);
SELECT shard.validate_plan(0);
SELECT shard.execute_plan(0);
SELECT shard.wait_migration(0);
SELECT shard.cancel_migration(0);
SELECT shard.plan_add_shard(NULL);

SELECT shard.create_router('mg', 'consistent-hash', 4, partition_key => '{k}');
CREATE TABLE mg_orders (k text, id bigint, note text, total numeric(10,2),
    tax numeric GENERATED ALWAYS AS (total * 0.2) STORED, n bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (k, id), UNIQUE (k, note));
ALTER TABLE mg_orders DROP COLUMN n;
ALTER TABLE mg_orders ADD COLUMN added text DEFAULT 'before';
CREATE TABLE mg_items (k varchar(20) NOT NULL, id bigint, item int, FOREIGN KEY (k, id) REFERENCES mg_orders ON DELETE CASCADE);
INSERT INTO mg_orders (k, id, note, total)
    SELECT 'key-' || i % 100, i, 'note ' || i, i / 7.0 FROM generate_series(1, 1000) i;
-- without a primary key, and each row twice
INSERT INTO mg_items SELECT k, id, id % 3 FROM mg_orders, generate_series(1, 2);
SELECT shard.distribute_table('mg_orders', 'mg', lake => false);
SELECT shard.distribute_table('mg_items', 'mg', lake => false);
ALTER TABLE mg_orders ADD COLUMN later int DEFAULT 7;

-- Triggers and policies have no say in a move.
CREATE FUNCTION mg_refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'a trigger fired'; END$$;
CREATE TRIGGER mg_refuse BEFORE INSERT OR UPDATE OR DELETE ON mg_orders FOR EACH ROW EXECUTE FUNCTION mg_refuse();
ALTER TABLE mg_orders ENABLE ALWAYS TRIGGER mg_refuse;
ALTER TABLE mg_orders ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mg_nothing ON mg_orders USING (false);
-- nor have expressions of the table's owner the worker's rights
CREATE FUNCTION mg_whoami(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN RAISE EXCEPTION 'runs as a superuser'; END IF;
    RETURN $1;
END$$;
CREATE ROLE mg_owner;
GRANT CREATE, USAGE ON SCHEMA public TO mg_owner;
CREATE TABLE mg_owned (k text NOT NULL, v text);
ALTER TABLE mg_owned OWNER TO mg_owner;
SET ROLE mg_owner;
CREATE INDEX ON mg_owned (mg_whoami(v));
RESET ROLE;
SELECT shard.distribute_table('mg_owned', 'mg', lake => false);
SET ROLE mg_owner;
INSERT INTO mg_owned SELECT 'key-' || i, 'v' FROM generate_series(1, 100) i;
RESET ROLE;

CREATE TABLE mg_orders_before AS TABLE mg_orders;
CREATE TABLE mg_items_before AS TABLE mg_items;
CREATE TABLE mg_placed AS SELECT 'key-' || i AS k, shard.route('mg', 'key-' || i) AS shard FROM generate_series(0, 100) i;

SELECT shard.plan_add_shard('mg', 'shard-2');
SELECT shard.plan_add_shard('mg', '');
SELECT shard.plan_add_shard('mg', server => 'elsewhere');
SELECT shard.add_shard('mg', partition_keys => '{a,NULL}');
SELECT shard.add_shard('mg', partition_keys => '{a,b,a}');
SELECT shard.add_shard('mg', batch_size => 0);

SELECT shard.plan_add_shard('mg', 'new one') AS plan \gset
SELECT type, router, shard_index, shard_name, keys_to_move BETWEEN 10 AND 35 AS keys, total_keys,
    entities_to_move BETWEEN 300 AND 1000 AS entities, total_entities, bytes_to_move > 0 AS bytes,
    moved_ratio BETWEEN 0.1 AND 0.35 AS ratio, estimated_duration > '0' AS duration, warnings
FROM shard.plan(:plan);
SELECT count(*) = (SELECT keys_to_move FROM shard.plan(:plan)) AS keys, sum(entities) = (SELECT entities_to_move FROM shard.plan(:plan)) AS entities,
    bool_and(to_shard = 4) AS all_to_4, bool_and(from_shard = shard.route('mg', partition_key)) AS from_where_they_are
FROM shard.plan_movements(:plan);
SELECT * FROM shard.validate_plan(:plan);

-- A plan changes nothing, and a migration starts when its transaction commits.
BEGIN;
SELECT shard.execute_plan(:plan) AS undone \gset
SELECT shard.wait_migration(:undone);
ROLLBACK;
SELECT count(*) FROM shard.shards WHERE router = 'mg';

SELECT shard.execute_plan(:plan, batch_size => 5) AS migration \gset
SELECT success, events_replayed = entities_moved AS all_replayed, entities_moved = (SELECT entities_to_move FROM shard.plan(:plan)) AS all_moved,
    buffered_writes, duration_ms >= 0 AS duration, rolled_back, error
FROM shard.wait_migration(:migration, '10 min');
SELECT state, phase, keys_done = keys_total AS keys, events_done = events_total AS events, elapsed > '0' AS elapsed,
    waiting_for, blocking_pid
FROM shard.migration_progress WHERE migration_id = :migration;
SELECT type, router, shard_index, shard_name, state, rolled_back, error, batch_size, timeout, rollback_on_failure,
    started_at <= finished_at AS times
FROM shard.migrations WHERE migration_id = :migration;
SELECT phase, count(*) > 0 AS logged FROM shard.migration_log WHERE migration_id = :migration GROUP BY phase ORDER BY phase;

-- Only keys of the new shard have moved, with their rows as they were.
SELECT shard_index, shard_name, state FROM shard.shards WHERE router = 'mg' ORDER BY shard_index;
SELECT count(*) = (SELECT keys_to_move FROM shard.plan(:plan)) AS as_planned, bool_and(shard.route('mg', k) = 4) AS all_to_4
FROM mg_placed WHERE shard.route('mg', k) <> shard;
SELECT count(*) FROM shard.verify_placement('mg');
SELECT count(*) FROM (TABLE mg_orders EXCEPT ALL TABLE mg_orders_before) d;
SELECT count(*) FROM (TABLE mg_orders_before EXCEPT ALL TABLE mg_orders) d;
SELECT count(*) FROM (TABLE mg_items EXCEPT ALL TABLE mg_items_before) d;
SELECT count(*) FROM (TABLE mg_items_before EXCEPT ALL TABLE mg_items) d;
SELECT count(*) > 0 AS rows, count(*) = count(DISTINCT k) AS unique FROM mg_shard_4.mg_owned;

-- Keys, unique constraints and foreign keys are in force there.
ALTER TABLE mg_orders DISABLE TRIGGER mg_refuse;
SELECT k, id FROM mg_shard_4.mg_orders ORDER BY id LIMIT 1 \gset
INSERT INTO mg_orders (k, id, note) VALUES (:'k', :id, 'twice');
INSERT INTO mg_orders (k, id, note) VALUES (:'k', 0, 'note ' || :id);
INSERT INTO mg_items VALUES (:'k', 0, 0);
DELETE FROM mg_orders WHERE k = :'k' AND id = :id;
SELECT count(*) FROM mg_items WHERE k = :'k' AND id = :id;

-- The plan is stale now, the migration is over.
SELECT valid, regexp_replace(errors::text, '\d+', 'N', 'g') AS errors FROM shard.validate_plan(:plan);
DO $$
DECLARE
    message text;
BEGIN
    PERFORM shard.execute_plan((SELECT max(plan_id) FROM shard.migrations WHERE router = 'mg'));
EXCEPTION WHEN object_not_in_prerequisite_state THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
    RAISE NOTICE '%', regexp_replace(message, '\d+', 'N');
END$$;

-- One at a time on a router: while one waits for its time, the next is refused.
SELECT shard.add_shard('mg', start_at => 'infinity') AS waiting \gset
SELECT shard.is_migrating('mg');
SELECT state, waiting_for FROM shard.migration_progress WHERE migration_id = :waiting;
SELECT success, regexp_replace(error, '\d+', 'N', 'g') AS error FROM shard.wait_migration(:waiting, '0 s');
DO $$
DECLARE
    message text;
    state text;
BEGIN
    PERFORM shard.add_shard('mg');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, state = RETURNED_SQLSTATE;
    RAISE NOTICE '% %', state, regexp_replace(message, '"key-\d+"', '"key-N"');
END$$;
SELECT shard.pause_migration(:waiting);
SELECT success, regexp_replace(error, '\d+', 'N', 'g') AS error FROM shard.wait_migration(:waiting, '10 min');
SELECT state, waiting_for FROM shard.migration_progress WHERE migration_id = :waiting;
SELECT shard.cancel_migration(:waiting);
SELECT success, rolled_back, error FROM shard.wait_migration(:waiting, '10 min');
SELECT shard.is_migrating('mg');

-- A shard alone, without keys: they come when the shards are rebalanced.
SELECT shard.add_shard('mg', 'empty', rebalance => false) AS alone \gset
SELECT success, entities_moved FROM shard.wait_migration(:alone, '10 min');
SELECT shard_index, shard_name, state FROM shard.shards WHERE router = 'mg' ORDER BY shard_index;
SELECT count(*) FROM mg_shard_5.mg_orders;

-- Readers may look, administrators may act.
CREATE ROLE mg_reader IN ROLE shard_reader;
CREATE ROLE mg_admin IN ROLE shard_admin;
SET ROLE mg_reader;
SELECT count(*) > 0 AS visible FROM shard.migrations WHERE router = 'mg';
SELECT count(*) > 0 AS visible FROM shard.migration_progress WHERE router = 'mg';
SELECT shard.add_shard('mg');
SET ROLE mg_admin;
SELECT shard.add_shard('mg', 'by an administrator') AS migration \gset
SELECT success FROM shard.wait_migration(:migration, '10 min');
RESET ROLE;
SELECT created_by FROM shard.migrations WHERE migration_id = :migration;
SELECT count(*) FROM shard.verify_placement('mg');

DROP TABLE mg_items, mg_orders, mg_owned, mg_items_before, mg_orders_before, mg_placed;
SELECT shard.drop_router('mg');
SELECT count(*) FROM shard.migrations WHERE router = 'mg';
DROP FUNCTION mg_refuse(), mg_whoami(text);
REVOKE ALL ON SCHEMA public FROM mg_owner;
DROP ROLE mg_owner, mg_reader, mg_admin;
