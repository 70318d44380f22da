-- Policies of a sharded table hold for those who name its leaves, too.
SET client_min_messages = warning;
CREATE ROLE rls_ann;
CREATE ROLE rls_owner;
SELECT shard.create_router('rls', 'hash', 2, partition_key => '{tenant}');
SELECT shard.create_router('rlsr', 'range', partition_key => '{tenant}',
	ranges => '[{"start": null, "end": "m", "shard": 0}, {"start": "m", "end": null, "shard": 1}]');
SELECT shard.create_router('rlsc', 'hash', 2, partition_key => '{tenant,region}');

-- A dropped column, so that leaves number their columns otherwise than their parent.
CREATE TABLE rls_h (gone int, tenant text NOT NULL, region text NOT NULL, owner name, id int);
ALTER TABLE rls_h DROP COLUMN gone;
INSERT INTO rls_h SELECT chr(96 + i), 'eu', CASE WHEN i % 3 = 0 THEN 'rls_ann' ELSE 'other' END, i FROM generate_series(1, 26) i;
CREATE TABLE rls_r (LIKE rls_h);
INSERT INTO rls_r SELECT * FROM rls_h;
CREATE TABLE rls_c (LIKE rls_h);
INSERT INTO rls_c SELECT * FROM rls_h;
ALTER TABLE rls_h ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rls_h USING (owner = current_user);
GRANT SELECT, INSERT, UPDATE, DELETE ON rls_h, rls_r, rls_c TO rls_ann;
SELECT shard.distribute_table('rls_h', 'rls', lake => false);
SELECT shard.distribute_table('rls_r', 'rlsr', lake => false);
SELECT shard.distribute_table('rls_c', 'rlsc', lake => false);

-- Policies made before and after distributing.
ALTER TABLE rls_r ENABLE ROW LEVEL SECURITY;
ALTER TABLE rls_c ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rls_r USING (owner = current_user);
CREATE POLICY own ON rls_c USING (owner = current_user);
CREATE POLICY few ON rls_c AS RESTRICTIVE FOR SELECT USING (id < 10);

-- Leaves are refused without a grant of their own, and show no others' rows with one.
SET ROLE rls_ann;
SELECT count(*) FROM rls_shard_0.rls_h;
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON rls_shard_0.rls_h, rls_shard_1.rls_h, rlsr_shard_0.rls_r, rlsr_shard_1.rls_r,
	rlsc_shard_0.rls_c, rlsc_shard_1.rls_c TO rls_ann;
CREATE FUNCTION rls_seen() RETURNS TABLE(relation text, owners text, rows bigint) LANGUAGE sql AS $$
	SELECT 'rls_h', string_agg(DISTINCT owner, ','), count(*) FROM rls_h UNION ALL
	SELECT 'rls_h leaves', string_agg(DISTINCT owner, ','), count(*)
	FROM (SELECT * FROM rls_shard_0.rls_h UNION ALL SELECT * FROM rls_shard_1.rls_h) h UNION ALL
	SELECT 'rls_r', string_agg(DISTINCT owner, ','), count(*) FROM rls_r UNION ALL
	SELECT 'rls_r leaves', string_agg(DISTINCT owner, ','), count(*)
	FROM (SELECT * FROM rlsr_shard_0.rls_r UNION ALL SELECT * FROM rlsr_shard_1.rls_r) r UNION ALL
	SELECT 'rls_c', string_agg(DISTINCT owner, ','), count(*) FROM rls_c UNION ALL
	SELECT 'rls_c leaves', string_agg(DISTINCT owner, ','), count(*)
	FROM (SELECT * FROM rlsc_shard_0.rls_c UNION ALL SELECT * FROM rlsc_shard_1.rls_c) c
$$;
SELECT * FROM rls_seen();
SET ROLE rls_ann;
SELECT * FROM rls_seen();
COPY rlsr_shard_0.rls_r (tenant, owner) TO STDOUT;
INSERT INTO rlsr_shard_0.rls_r VALUES ('b', 'eu', 'other', 100);
UPDATE rlsr_shard_0.rls_r SET owner = 'other' WHERE tenant = 'c';
UPDATE rlsr_shard_0.rls_r SET id = 101 WHERE tenant = 'a' RETURNING 'seen';
DELETE FROM rlsr_shard_0.rls_r WHERE tenant = 'a' RETURNING 'seen';
RESET ROLE;
ALTER ROLE rls_ann BYPASSRLS;
SET ROLE rls_ann;
SELECT count(*) FROM rlsr_shard_0.rls_r;
RESET ROLE;
ALTER ROLE rls_ann NOBYPASSRLS;

-- A plan that is kept follows the parent's policies as they are changed and dropped.
SET plan_cache_mode = force_generic_plan;
PREPARE rls_leaf AS SELECT string_agg(tenant, '' ORDER BY tenant) FROM rlsr_shard_0.rls_r;
SET ROLE rls_ann;
EXECUTE rls_leaf;
RESET ROLE;
ALTER POLICY own ON rls_r USING (owner <> current_user);
SET ROLE rls_ann;
EXECUTE rls_leaf;
RESET ROLE;
CREATE POLICY early ON rls_r AS RESTRICTIVE USING (tenant < 'c');
SET ROLE rls_ann;
EXECUTE rls_leaf;
RESET ROLE;
DROP POLICY early ON rls_r;
DROP POLICY own ON rls_r;
SET ROLE rls_ann;
EXECUTE rls_leaf;
RESET ROLE;
-- Whole rows and subqueries in policies; the leaf's row is made the parent's.
CREATE FUNCTION rls_own(r rls_r) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT r.owner = current_user';
CREATE POLICY whole ON rls_r USING (rls_own(rls_r) AND tenant IN (SELECT h.tenant FROM rls_h h WHERE h.id = rls_r.id));
SET ROLE rls_ann;
EXECUTE rls_leaf;
RESET ROLE;
ALTER TABLE rls_r DISABLE ROW LEVEL SECURITY;
SET ROLE rls_ann;
EXECUTE rls_leaf;
RESET ROLE;
RESET plan_cache_mode;

-- The owner, too, where it is forced; and leaves that are made later.
ALTER TABLE rls_h OWNER TO rls_owner;
ALTER TABLE rls_h FORCE ROW LEVEL SECURITY;
SELECT shard.add_shard('rls', rebalance => false) > 0 AS added;
SELECT success, error FROM shard.wait_migration((SELECT max(migration_id) FROM shard.migrations));
SELECT shard.alter_router('rlsr', ranges => '[{"start": null, "end": "f", "shard": 0}, {"start": "f", "end": null, "shard": 1}]') IS NULL AS done;
ALTER TABLE rls_r ENABLE ROW LEVEL SECURITY;
SELECT h.inhparent::regclass AS table, relrowsecurity, relforcerowsecurity, count(*) AS leaves
FROM pg_class c JOIN pg_inherits h ON h.inhrelid = c.oid
WHERE h.inhparent IN ('rls_h'::regclass, 'rls_r'::regclass) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
GRANT SELECT ON rls_h TO rls_owner;
SET ROLE rls_owner;
SELECT count(*) FROM rls_shard_0.rls_h;
RESET ROLE;
-- It cannot be taken from a leaf.
ALTER TABLE rls_shard_0.rls_h DISABLE ROW LEVEL SECURITY;

DROP FUNCTION rls_seen;
DROP TABLE rls_r CASCADE;
DROP TABLE rls_h, rls_c;
SELECT shard.drop_router(name) FROM shard.routers WHERE name LIKE 'rls%';
DROP ROLE rls_ann;
DROP ROLE rls_owner;
