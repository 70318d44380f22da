-- Partitions, sort orders and maintenance of lake tables.
SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE SCHEMA lakep;
SET search_path = lakep, public;
SELECT shard.create_router('lakep', 'hash', 3, '{id}');
CREATE TABLE src (id bigint PRIMARY KEY, t timestamptz, ts timestamp, d date, s text, n numeric(10,2), u uuid, b bytea, i int, bo boolean, "Mixed" time);

-- What makes no sense is refused before anything changes.
SELECT shard.distribute_table('src', 'lakep', lake_options => '[]');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partitions": []}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": "id"}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": [1]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["nosuch"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["hour(d)"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["bucket(id)"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["bucket(0, id)"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["bucket(2, bo)"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["day(t)", "day(t)"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["minute(t)"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"sort": ["t downwards"]}');
SELECT shard.distribute_table('src', 'lakep', lake_options => '{"events": {"events": {}}}');
SELECT shard.distribute_table('src', 'lakep', lake => false, lake_options => '{}');
SELECT count(*) FROM shard.tables WHERE router = 'lakep';

SELECT shard.distribute_table('src', 'lakep', lake_options => '{"partition": ["day(t)", "bucket(4, id)"], "sort": ["t", "ID"], "events": {"partition": ["_verb"]}}');
SELECT lake_options FROM shard.tables WHERE router = 'lakep';
INSERT INTO src SELECT g, '2024-01-01 00:00+00'::timestamptz + g * interval '1 hour', '1969-12-31 23:00'::timestamp + g * interval '7 minutes',
    '1969-12-28'::date + g, 'text ' || g, g * 1.01 - 30, md5(g::text)::uuid, decode(md5(g::text), 'hex'), g - 50, g % 2 = 0,
    '00:00'::time + g * interval '1 minute' FROM generate_series(1, 100) g;
INSERT INTO src (id) VALUES (1000);
INSERT INTO src (id, t, ts, d) VALUES (1001, 'infinity', '-infinity', 'infinity');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT content, sum(rows) FROM shard.lake_files('src') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM lake.lakep_src WHERE t >= '2024-01-03 00:00+00' AND t < '2024-01-04 00:00+00';
SELECT partitions_scanned, partitions_pruned, files_scanned = partitions_scanned AS a_file_each FROM shard.last_query_stats();
SELECT count(*) FROM lake.lakep_src WHERE id = 7;
SELECT partitions_scanned, partitions_pruned FROM shard.last_query_stats();
SELECT count(*) FROM lake.lakep_src WHERE t IS NULL;
SELECT partitions_scanned, partitions_pruned FROM shard.last_query_stats();
SELECT id FROM lake.lakep_src WHERE t > '2025-01-01 00:00+00';
SELECT count(*) FROM lake.lakep_src_events WHERE _verb = 'deleted';
SELECT partitions_scanned, partitions_pruned FROM shard.last_query_stats();

-- Deletes go by partition.
UPDATE src SET i = 0 WHERE id IN (5, 6, 7, 8);
DELETE FROM src WHERE id IN (9, 1000);
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT count(*) FROM (TABLE src EXCEPT ALL TABLE lake.lakep_src) d;
SELECT count(*) FROM (TABLE lake.lakep_src EXCEPT ALL TABLE src) d;

-- Every transform, over files that are there and new ones.
SELECT shard.alter_lake_options('src', '{"partition": ["month(ts)", "year(d)", "truncate(6, s)", "bucket(2, u)", "bucket(2, n)", "truncate(5000, n)", "truncate(50, i)", "bo", "bucket(2, b)", "bucket(2, s)", "bucket(2, d)", "bucket(2, ts)", "bucket(2, \"Mixed\")", "truncate(1, b)", "hour(t)"]}');
INSERT INTO src SELECT 2000 + g, '2024-02-01 00:00+00'::timestamptz + g * interval '10 minutes', '1969-12-31 23:00'::timestamp + g * interval '7 minutes',
    '1969-12-28'::date + g, 'text ' || g, g * 1.01 - 30, md5(g::text)::uuid, decode(md5(g::text), 'hex'), g - 10, g % 2 = 0,
    '00:00'::time + g * interval '1 minute' FROM generate_series(1, 20) g;
INSERT INTO src (id) VALUES (3000);
UPDATE src SET i = 1 WHERE id IN (15, 2001);
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT DISTINCT partition_spec_id FROM shard.lake_files('src') ORDER BY 1;
SELECT count(*) FROM (TABLE src EXCEPT ALL TABLE lake.lakep_src) d;
SELECT count(*) FROM (TABLE lake.lakep_src EXCEPT ALL TABLE src) d;
-- Each value finds its row by each column that partitions.
CREATE FUNCTION lost(columns text[]) RETURNS TABLE(col text, rows bigint, scanned bigint, pruned_some boolean) LANGUAGE plpgsql AS $$
DECLARE c text; v text; n bigint; pruned bigint;
BEGIN
    FOREACH c IN ARRAY columns LOOP
        rows := 0; scanned := 0; pruned_some := false;
        FOR v IN EXECUTE format('SELECT quote_literal(%I) FROM src WHERE id > 2000 AND %I IS NOT NULL', c, c) LOOP
            EXECUTE format('SELECT count(*) FROM lake.lakep_src WHERE id > 2000 AND %I = %s', c, v) INTO n;
            SELECT partitions_pruned INTO pruned FROM shard.last_query_stats();
            rows := rows + (n > 0)::int; scanned := scanned + 1; pruned_some := pruned_some OR pruned > 0;
            EXECUTE format('SELECT count(*) FROM lake.lakep_src WHERE id > 2000 AND %I >= %s AND %I <= %s', c, v, c, v) INTO n;
            rows := rows - (n = 0)::int;
        END LOOP;
        col := c;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM lost('{id,t,ts,d,s,n,u,b,i,Mixed}');

-- Compaction puts old files into the new partitions.
SELECT lake_table, files_after > 0 AS compacted FROM shard.compact('src', true);
SELECT DISTINCT content, partition_spec_id FROM shard.lake_files('src') ORDER BY 1, 2;
SELECT count(*) FROM (TABLE src EXCEPT ALL TABLE lake.lakep_src) d;
SELECT count(*) FROM (TABLE lake.lakep_src EXCEPT ALL TABLE src) d;
SELECT shard.alter_lake_options('src', NULL);
SELECT lake_table, files_after FROM shard.compact('lake.lakep_src', true);
SELECT count(*) FROM (TABLE src EXCEPT ALL TABLE lake.lakep_src) d;
SELECT lake_options IS NULL AS by_default FROM shard.tables WHERE router = 'lakep';

-- Sorted downwards, nulls at either end.
SELECT shard.alter_lake_options('src', '{"sort": ["i DESC nulls last", "s desc", "n ASC NULLS FIRST", "id"]}');
SELECT lake_table, files_after FROM shard.compact('lake.lakep_src', true);
SELECT f->>'direction' AS direction, f->>'null-order' AS nulls
FROM iceberg_tables, LATERAL (SELECT pg_read_file(metadata_location)::jsonb AS m) x,
    jsonb_array_elements(m->'sort-orders') o, jsonb_array_elements(o->'fields') f
WHERE table_namespace = 'lakep' AND table_name = 'src' AND o->'order-id' = m->'default-sort-order-id';
CREATE TEMP TABLE ordered AS SELECT row_number() OVER () AS nth, * FROM (SELECT i, s, n, id FROM lake.lakep_src LIMIT 1000) x;
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE nth <> expected) AS misplaced
FROM (SELECT nth, row_number() OVER (ORDER BY i DESC NULLS LAST, s COLLATE "C" DESC, n NULLS FIRST, id) AS expected FROM ordered) x;
SELECT shard.alter_lake_options('src', '{"sort": ["i ASC nulls first"]}');
SELECT shard.alter_lake_options('src', '{"sort": ["i DESC nulls last", "s desc nulls first", "n nulls first", "id asc nulls last"]}');
SELECT jsonb_array_length(m->'sort-orders') AS orders
FROM iceberg_tables, LATERAL (SELECT pg_read_file(metadata_location)::jsonb AS m) x
WHERE table_namespace = 'lakep' AND table_name = 'src';

-- Maintenance.
SELECT lake_table, snapshots_removed > 0 AS removed, snapshots_kept FROM shard.expire_snapshots('src', '0 s', 2);
SELECT count(*) FROM shard.lake_snapshots('src');
SELECT shard.expire_snapshots('src', '0 s', 0);
SELECT shard.expire_snapshots('src', '-1 s');
SELECT lake_table, files_removed, files_queued FROM shard.remove_orphan_files('src');
SELECT shard.compact('pg_class');
CREATE ROLE lakep_user;
GRANT USAGE ON SCHEMA lakep TO lakep_user;
SET ROLE lakep_user;
SELECT shard.compact('src');
SELECT shard.alter_lake_options('src', NULL);
RESET ROLE;
GRANT shard_admin TO lakep_user;
SET ROLE lakep_user;
SELECT shard.alter_lake_options('src', NULL);
SELECT lake_table, files_after FROM shard.compact('src');
RESET ROLE;

DROP FUNCTION lost;
SELECT shard.undistribute_table('src');
SELECT shard.drop_router('lakep');
RESET search_path;
DROP SCHEMA lakep CASCADE;
DROP ROLE lakep_user;
