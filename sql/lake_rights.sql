-- Privileges on foreign tables count in every way that a query may reach them,
-- in queries that the engine runs whole as in scans.
SET client_min_messages = warning;
SELECT shard.create_router('lr', 'hash', 2, '{k}');
CREATE TABLE lr_open (k text, id bigint, n int, PRIMARY KEY (k, id));
CREATE TABLE lr_secret (k text, id bigint, n int, PRIMARY KEY (k, id));
SELECT shard.distribute_table('lr_open', 'lr'), shard.distribute_table('lr_secret', 'lr');
INSERT INTO lr_open SELECT 'key-' || i % 3, i, i FROM generate_series(1, 9) i;
INSERT INTO lr_secret TABLE lr_open;
SELECT shard.flush() IS NOT NULL AS flushed;

CREATE ROLE lr_user;
CREATE ROLE lr_owner;
GRANT USAGE ON SCHEMA lake TO lr_user, lr_owner;
GRANT SELECT ON lake.lr_open TO lr_user;
GRANT SELECT ON lake.lr_secret TO lr_owner;
CREATE VIEW lr_view AS SELECT k, sum(n) AS n FROM lake.lr_secret GROUP BY k;
ALTER VIEW lr_view OWNER TO lr_owner;
CREATE VIEW lr_invoker WITH (security_invoker) AS SELECT count(*) FROM lake.lr_secret;
CREATE VIEW lr_barrier WITH (security_barrier) AS SELECT * FROM lake.lr_secret WHERE k = 'key-1';
ALTER VIEW lr_barrier OWNER TO lr_owner;
CREATE FUNCTION lr_definer() RETURNS numeric LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog
    AS 'SELECT sum(n) FROM lake.lr_secret';
ALTER FUNCTION lr_definer() OWNER TO lr_owner;
CREATE FUNCTION lr_plain() RETURNS numeric LANGUAGE sql AS 'SELECT sum(n) FROM lake.lr_secret';
GRANT SELECT ON lr_view, lr_invoker, lr_barrier TO lr_user;
CREATE FUNCTION lr_tell(i int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	IF i % 3 <> 1 THEN
		RAISE WARNING 'told of %', i;
	END IF;
	RETURN true;
END $$;

SET ROLE lr_user;
-- What is granted.
SELECT k, count(*) FROM lake.lr_open GROUP BY k ORDER BY k;
-- What is not, in a scan, an aggregate, a join, subqueries of all kinds, set operations.
SELECT n FROM lake.lr_secret;
SELECT sum(n) FROM lake.lr_secret;
SELECT count(*) FROM lake.lr_open o JOIN lake.lr_secret s USING (k, id);
SELECT count(*) FROM lake.lr_open o LEFT JOIN lake.lr_secret s ON false;
SELECT count(*) FROM lake.lr_open WHERE EXISTS (SELECT FROM lake.lr_secret);
SELECT (SELECT max(n) FROM lake.lr_secret), count(*) FROM lake.lr_open;
SELECT count(*) FROM lake.lr_open WHERE id IN (SELECT id FROM lake.lr_secret);
WITH s AS (SELECT n FROM lake.lr_secret) SELECT count(*) FROM lake.lr_open, s;
WITH s AS (SELECT n FROM lake.lr_secret) SELECT count(*) FROM lake.lr_open;
SELECT n FROM lake.lr_open UNION ALL SELECT n FROM lake.lr_secret;
SELECT count(*) FROM lake.lr_open HAVING count(*) < (SELECT count(*) FROM lake.lr_secret);
EXPLAIN (ANALYZE) SELECT sum(n) FROM lake.lr_secret;
COPY (SELECT sum(n) FROM lake.lr_secret) TO STDOUT;
-- Views have their owner's rights, but for those that say otherwise.
SELECT * FROM lr_view ORDER BY k;
SELECT v.k, v.n, count(*) FROM lr_view v JOIN lake.lr_open o USING (k) GROUP BY 1, 2 ORDER BY 1;
SELECT * FROM lr_invoker;
SELECT lr_definer();
SELECT lr_plain();
-- What a view hides, no function gets to see.
SELECT n FROM lr_barrier WHERE lr_tell(n) ORDER BY n;
SELECT count(*) FROM lr_barrier WHERE lr_tell(n);
RESET ROLE;

-- Columns.
REVOKE SELECT ON lake.lr_open FROM lr_user;
GRANT SELECT (k, id) ON lake.lr_open TO lr_user;
SET ROLE lr_user;
SELECT k, max(id) FROM lake.lr_open GROUP BY k ORDER BY k;
SELECT k, max(n) FROM lake.lr_open GROUP BY k ORDER BY k;
SELECT count(*) FROM lake.lr_open WHERE n > 3;
SELECT count(*) FROM lake.lr_open a JOIN lake.lr_open b ON a.n = b.n;
SELECT * FROM lake.lr_open;
-- A kept plan.
PREPARE lr_kept AS SELECT k, max(id) FROM lake.lr_open GROUP BY k ORDER BY k;
SET plan_cache_mode = force_generic_plan;
EXECUTE lr_kept;
RESET ROLE;
REVOKE SELECT (k, id) ON lake.lr_open FROM lr_user;
SET ROLE lr_user;
EXECUTE lr_kept;
RESET ROLE;

RESET plan_cache_mode;
DROP VIEW lr_view, lr_invoker, lr_barrier;
DROP FUNCTION lr_definer, lr_plain, lr_tell;
DROP TABLE lr_open, lr_secret;
DROP OWNED BY lr_user, lr_owner;
DROP ROLE lr_user, lr_owner;
SELECT shard.drop_router('lr');
