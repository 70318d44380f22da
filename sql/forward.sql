-- Commands on one shard and on all.

SELECT shard.create_router('fw', 'hash', 4, partition_key => '{k}', retry => '{"max_retries": 2, "retry_delay_ms": 1}');
CREATE TABLE fw_orders (k text, id bigint, v text, PRIMARY KEY (k, id));
SELECT shard.distribute_table('fw_orders', 'fw', lake => false);
INSERT INTO fw_orders SELECT 'key-' || i % 10, i, 'v' || i FROM generate_series(1, 100) i;

-- An unqualified name is the shard's own table.
SELECT * FROM shard.forward('fw', 'key-1', 'SELECT count(*), min(k), max(k) FROM fw_orders');
SELECT * FROM shard.forward('fw', 'key-1', 'SELECT count(*), min(k), max(k) FROM public.fw_orders');
SELECT * FROM shard.forward('fw', 'key-1', 'SELECT id, v FROM fw_orders WHERE k = $1 AND id < $2 ORDER BY id', 'key-1', '30');
SELECT * FROM shard.forward('fw', 'key-1', 'SELECT $1 AS untyped, $2::date + 1 AS typed, $3 IS NULL AS none', 'text', '2024-02-28', NULL);
SELECT * FROM shard.forward('fw', 'key-1', 'SELECT current_setting(''shard.shard_index'') AS i, current_setting(''shard.shard_name'') AS name,
    current_setting(''shard.partition_key'') AS key');
SELECT current_setting('shard.shard_index') = '' AS restored, current_setting('search_path');
SELECT * FROM shard.forward('fw', 'key-1', 'SELECT 1 WHERE false');

-- Commands that change, with and without rows.
SELECT * FROM shard.forward('fw', 'key-1', 'INSERT INTO fw_orders VALUES ($1, $2, $3) RETURNING *', 'key-1', '1000', 'new');
SELECT * FROM shard.forward('fw', 'key-1', 'UPDATE fw_orders SET v = $1 WHERE id >= $2', 'newer', '1000');
SELECT * FROM shard.forward('fw', 'key-1', 'CREATE TABLE fw_own AS SELECT 1 AS one; INSERT INTO fw_own VALUES (2), (3)');
SELECT count(*) FROM fw_shard_2.fw_own;
SELECT * FROM shard.forward('fw', 'key-1', 'DROP TABLE fw_own');
SELECT k, id, v FROM fw_orders WHERE id = 1000;

-- Errors come as they are, after the settings are back.
SELECT shard.forward('fw', 'key-1', 'SELECT 1 / (1 - length($1))', 'x');
SELECT shard.forward('fw', 'key-1', 'SELECT $1', 'x', 'y');
SELECT shard.forward('fw', 'key-1', 'SELECT $2', 'x');
SELECT shard.forward('fw', 'key-1', 'SELECT $1 + 1', 'x');
SELECT shard.forward('fw', 'key-1', 'INSERT INTO fw_orders VALUES (''key-2'', 1, '''')');
SELECT shard.forward('fw', 'key-1', 'COMMIT');
SELECT shard.forward('fw', 'key-1', 'COPY fw_orders TO stdout');
SELECT shard.forward('fw', '', 'SELECT 1');
SELECT shard.forward('fw', NULL, 'SELECT 1');
SELECT shard.forward('fw_none', 'key-1', 'SELECT 1');
SELECT current_setting('shard.shard_index') = '' AS restored, current_setting('search_path');

-- Retries: as often as configured, each in a transaction of its own.
CREATE SEQUENCE fw_attempts;
CREATE FUNCTION fw_fail(state text, times int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('public.fw_attempts') <= times THEN
        RAISE EXCEPTION 'attempt failed' USING ERRCODE = state;
    END IF;
    RETURN 'done';
END$$;
SELECT shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''40001'', 2) AS answer');
SELECT last_value FROM fw_attempts;
SELECT setval('fw_attempts', 1, false);
SELECT shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''40P01'', 5)');
SELECT last_value FROM fw_attempts;
SELECT setval('fw_attempts', 1, false);
SELECT shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''23505'', 1)');
SELECT last_value FROM fw_attempts;
SELECT shard.alter_router('fw', retry => '{"max_retries": 5, "retry_delay_ms": 0, "retry_on": ["23"]}');
SELECT setval('fw_attempts', 1, false);
SELECT shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''23505'', 1) AS answer');
SELECT setval('fw_attempts', 1, false);
SELECT shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''40001'', 1) AS answer');
SELECT shard.alter_router('fw', retry => '{"retry_on": ["4000"]}');
SELECT shard.alter_router('fw', retry => '{"retry_on": "40"}');
SELECT shard.alter_router('fw', retry => '{"timeout_ms": -1}');
-- A snapshot of the whole transaction sees the same conflict again.
SELECT shard.alter_router('fw', retry => '{"max_retries": 3, "retry_delay_ms": 0}');
SELECT setval('fw_attempts', 1, false);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''40001'', 1) AS answer');
ROLLBACK;
SELECT last_value FROM fw_attempts;

-- Bounded time.
SELECT shard.alter_router('fw', retry => '{"timeout_ms": 50}');
SELECT shard.forward('fw', 'key-1', 'SELECT pg_sleep(600)');
SELECT error FROM shard.scatter_gather('fw', 'SELECT pg_sleep(600) WHERE current_setting(''shard.shard_index'') = ''3''') WHERE shard_index = 3;
SELECT shard.alter_router('fw', retry => '{"max_retries": 1000, "retry_delay_ms": 10, "timeout_ms": 200}');
SELECT setval('fw_attempts', 1, false);
DO $$
BEGIN
    PERFORM shard.forward('fw', 'key-1', 'SELECT public.fw_fail(''55P03'', 100000)');
EXCEPTION WHEN lock_not_available THEN
    RAISE NOTICE 'gave up';
END$$;
SELECT last_value < 1000 AS bounded FROM fw_attempts;
SELECT shard.alter_router('fw', retry => '{}');

-- All shards: one that fails does not hide the others, nor undo them.
SELECT shard_index, shard_name, result, error FROM shard.scatter_gather('fw', 'SELECT count(*) FROM fw_orders');
SELECT shard_index, result ->> 'id' AS id FROM shard.scatter_gather('fw', 'SELECT id FROM fw_orders WHERE id BETWEEN 10 AND 13');
SELECT * FROM shard.scatter_gather('fw', 'SELECT 12 / (current_setting(''shard.shard_index'')::int - 2) AS n');
SELECT * FROM shard.scatter_gather('fw', 'WITH gone AS (DELETE FROM fw_orders WHERE id <= 4 RETURNING id)
    SELECT sum(id / (current_setting(''shard.shard_index'')::int - 2)) IS NOT NULL AS deleted FROM gone');
SELECT current_setting('shard.shard_index') = '' AS restored;
SELECT id, shard.route('fw', k) FROM fw_orders WHERE id <= 4 ORDER BY id;
SELECT shard.scatter_gather('fw', NULL);
SELECT shard.scatter_gather('fw_none', 'SELECT 1');

-- With the caller's privileges.
CREATE ROLE fw_app IN ROLE shard_reader;
SET ROLE fw_app;
SELECT shard.forward('fw', 'key-1', 'SELECT count(*) FROM fw_orders');
SELECT shard.forward('fw', 'key-1', 'SELECT current_user AS me');
RESET ROLE;
GRANT SELECT ON fw_orders TO fw_app;
SET ROLE fw_app;
-- a right on the table is enough: its rows in the shard
SELECT shard.forward('fw', 'key-1', 'SELECT count(DISTINCT k) FROM fw_orders');
SELECT shard.forward('fw', 'key-1', 'SELECT count(DISTINCT k) FROM public.fw_orders');
RESET ROLE;
GRANT SELECT ON fw_shard_2.fw_orders TO fw_app;
SET ROLE fw_app;
SELECT shard.forward('fw', 'key-1', 'SELECT count(DISTINCT k) FROM fw_orders');
RESET ROLE;
DROP OWNED BY fw_app;
DROP ROLE fw_app;
DROP FUNCTION fw_fail;
DROP SEQUENCE fw_attempts;
DROP TABLE fw_orders;
SELECT shard.drop_router('fw');
