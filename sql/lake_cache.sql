-- Results of lake queries that are kept: never old ones, and only for those who
-- may read the tables.
SET shard.query_timeout = '2min';
SELECT shard.create_router('lc', 'hash', 2, '{k}');
CREATE TABLE lc_orders (k text, id bigint, total numeric(10,2), at timestamptz, PRIMARY KEY (k, id));
CREATE TABLE lc_items (k text, id bigint, n int, PRIMARY KEY (k, id));
SELECT shard.distribute_table('lc_orders', 'lc'), shard.distribute_table('lc_items', 'lc');
INSERT INTO lc_orders SELECT 'key-' || i % 7, i, i * 1.25, '2026-01-01 00:00+00'::timestamptz + i * interval '1 hour' FROM generate_series(1, 500) i;
INSERT INTO lc_items SELECT 'key-' || i % 7, i, i % 5 FROM generate_series(1, 500) i;
SELECT shard.flush() IS NOT NULL AS flushed;

CREATE VIEW lc_stats AS
SELECT shards_queried, files_scanned > 0 AS files, bytes_scanned > 0 AS bytes, rows_scanned, total_rows, cache_hit,
       snapshot_id IS NOT NULL AS snapshot, duration_ms >= 0 AS duration
FROM shard.last_query_stats();

-- Off by default: nothing is kept, nothing is given.
SHOW shard.cache_enabled;
SELECT count(*), sum(total) FROM lake.lc_orders;
SELECT count(*), sum(total) FROM lake.lc_orders;
TABLE lc_stats;

-- On: the second time, nothing is read.
SET shard.cache_enabled = on;
SELECT count(*), sum(total) FROM lake.lc_orders;
TABLE lc_stats;
SELECT count(*), sum(total) FROM lake.lc_orders;
TABLE lc_stats;
SELECT k, count(*) FROM lake.lc_orders GROUP BY k HAVING count(*) > 71 ORDER BY k;
SELECT k, count(*) FROM lake.lc_orders GROUP BY k HAVING count(*) > 71 ORDER BY k;
TABLE lc_stats;

-- Joins, and scans of several columns and many rows.
SELECT i.n, sum(o.total) FROM lake.lc_orders o JOIN lake.lc_items i USING (k, id) GROUP BY i.n ORDER BY i.n;
TABLE lc_stats;
SELECT i.n, sum(o.total) FROM lake.lc_orders o JOIN lake.lc_items i USING (k, id) GROUP BY i.n ORDER BY i.n;
TABLE lc_stats;
SELECT count(*) FROM (TABLE lake.lc_orders EXCEPT ALL TABLE lc_orders) d;
SELECT count(*) FROM (SELECT id, total, at FROM lake.lc_orders WHERE at IS NOT NULL AND id <> 0 OFFSET 0) o JOIN lc_orders l USING (id, total, at);
SELECT cache_hit FROM lc_stats;
SELECT count(*) FROM (SELECT id, total, at FROM lake.lc_orders WHERE at IS NOT NULL AND id <> 0 OFFSET 0) o JOIN lc_orders l USING (id, total, at);
TABLE lc_stats;

-- Parameters are part of the question.
PREPARE lc_one(bigint) AS SELECT total FROM lake.lc_orders WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE lc_one(7);
EXECUTE lc_one(8);
SELECT cache_hit FROM lc_stats;
EXECUTE lc_one(7);
SELECT cache_hit FROM lc_stats;
RESET plan_cache_mode;

-- So is what depends on the session.
SET timezone = 'Asia/Tokyo';
SELECT min(id) FROM lake.lc_orders WHERE at::date = '2026-01-02';
SET timezone = 'America/New_York';
SELECT min(id) FROM lake.lc_orders WHERE at::date = '2026-01-02';
SELECT min(id) FROM lc_orders WHERE at::date = '2026-01-02';
RESET timezone;

-- EXPLAIN says it.
CREATE FUNCTION lc_explain(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		IF line !~ 'Snapshot|Bytes' THEN RETURN NEXT line; END IF;
	END LOOP;
END $$;
SELECT lc_explain('SELECT max(id) FROM lake.lc_orders');
SELECT lc_explain('SELECT max(id) FROM lake.lc_orders');

-- A new snapshot is another question, whatever the age.
SET shard.cache_ttl = '1d';
SELECT count(*), sum(total) FROM lake.lc_orders;
SELECT cache_hit FROM lc_stats;
DELETE FROM lc_orders WHERE id <= 100;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT count(*), sum(total) FROM lake.lc_orders;
SELECT cache_hit FROM lc_stats;
SELECT count(*), sum(total) FROM lake.lc_orders;
SELECT cache_hit FROM lc_stats;
UPDATE lc_orders SET total = 0 WHERE id = 101;
SET shard.freshness = latest;
SELECT count(*), sum(total) FROM lake.lc_orders;
SELECT cache_hit FROM lc_stats;
RESET shard.freshness;

-- Too old to be given.
SET shard.cache_ttl = 0;
SELECT count(*), sum(total) FROM lake.lc_orders;
SELECT cache_hit FROM lc_stats;
RESET shard.cache_ttl;

-- Other users get it if they may read the table, and only then.
CREATE ROLE lc_reader;
CREATE ROLE lc_stranger;
GRANT USAGE ON SCHEMA lake TO lc_reader, lc_stranger;
GRANT SELECT ON lake.lc_orders TO lc_reader;
GRANT shard_reader TO lc_reader;
SELECT min(id), max(id) FROM lake.lc_orders;
SET ROLE lc_reader;
SELECT min(id), max(id) FROM lake.lc_orders;
SELECT cache_hit FROM shard.last_query_stats();
RESET ROLE;
SET ROLE lc_stranger;
SELECT min(id), max(id) FROM lake.lc_orders;
RESET ROLE;

-- Errors are not kept.
SELECT sum(total) / 0 FROM lake.lc_orders;
SELECT sum(total) / 0 FROM lake.lc_orders;

DROP VIEW lc_stats;
DROP FUNCTION lc_explain;
DROP TABLE lc_orders, lc_items;
DROP OWNED BY lc_reader, lc_stranger;
DROP ROLE lc_reader, lc_stranger;
SELECT shard.drop_router('lc');
