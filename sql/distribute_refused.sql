-- What cannot be kept is refused with a hint, and the table stays as it was.
SET client_min_messages = warning;
CREATE SCHEMA dr;
SELECT shard.create_router('dr', 'hash', 2, '{k}');
CREATE ROLE dr_other;
GRANT shard_admin TO dr_other;
GRANT USAGE ON SCHEMA dr TO dr_other;

-- Not tables of their own.
CREATE TEMP TABLE dr_temp (k text PRIMARY KEY);
SELECT shard.distribute_table('dr_temp', 'dr', lake => false);
CREATE UNLOGGED TABLE dr.unlogged (k text PRIMARY KEY);
SELECT shard.distribute_table('dr.unlogged', 'dr', lake => false);
CREATE TABLE dr.partitioned (k text PRIMARY KEY) PARTITION BY LIST (k);
CREATE TABLE dr.partition PARTITION OF dr.partitioned DEFAULT;
SELECT shard.distribute_table('dr.partitioned', 'dr', lake => false);
SELECT shard.distribute_table('dr.partition', 'dr', lake => false);
CREATE TABLE dr.inherited (k text NOT NULL);
CREATE TABLE dr.inherits () INHERITS (dr.inherited);
SELECT shard.distribute_table('dr.inherited', 'dr', lake => false);
SELECT shard.distribute_table('dr.inherits', 'dr', lake => false);
CREATE VIEW dr.a_view AS SELECT 'k' AS k;
SELECT shard.distribute_table('dr.a_view', 'dr', lake => false);
CREATE TYPE dr.a_type AS (k text);
CREATE TABLE dr.typed OF dr.a_type (k NOT NULL);
SELECT shard.distribute_table('dr.typed', 'dr', lake => false);
SELECT shard.distribute_table('pg_catalog.pg_class', 'dr', lake => false);
SELECT shard.distribute_table('_shard.pin', 'dr', '{key}', lake => false);
CREATE FOREIGN DATA WRAPPER dr_wrapper;
CREATE SERVER dr_server FOREIGN DATA WRAPPER dr_wrapper;
CREATE FOREIGN TABLE dr.a_foreign_table (k text NOT NULL) SERVER dr_server;
SELECT shard.distribute_table('dr.a_foreign_table', 'dr', lake => false);
SELECT shard.distribute_table(0, 'dr', lake => false);

-- Keys.
CREATE TABLE dr.t (id int, k text, n float8 NOT NULL, c char(3) NOT NULL, g text GENERATED ALWAYS AS (k || 'x') STORED NOT NULL);
INSERT INTO dr.t (id, k, n, c) VALUES (1, 'a', 1, 'x'), (2, 'b', 2, 'y');
SELECT shard.distribute_table('dr.t', 'nothing', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{missing}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{k}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{n}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{c}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{g}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{k, n}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{null}', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', '{ctid}', lake => false);
SELECT shard.distribute_table('dr.t', NULL, lake => false);
ALTER TABLE dr.t ALTER k SET NOT NULL;
CREATE COLLATION dr.ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE dr.ignoring (k text COLLATE dr.ignore_case PRIMARY KEY);
SELECT shard.distribute_table('dr.ignoring', 'dr', lake => false);

-- What hangs on the table.
ALTER TABLE dr.t ADD CONSTRAINT t_id_key UNIQUE (id);
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
ALTER TABLE dr.t DROP CONSTRAINT t_id_key;
CREATE UNIQUE INDEX t_include ON dr.t (id) INCLUDE (k);
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP INDEX dr.t_include;
CREATE UNIQUE INDEX t_expression ON dr.t (lower(k));
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP INDEX dr.t_expression;
ALTER TABLE dr.t ADD CONSTRAINT t_excl EXCLUDE USING btree (k WITH =);
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
ALTER TABLE dr.t DROP CONSTRAINT t_excl;
ALTER TABLE dr.t ADD CONSTRAINT t_check CHECK (id > 0) NO INHERIT;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
ALTER TABLE dr.t DROP CONSTRAINT t_check;
CREATE TABLE dr.referenced (k text PRIMARY KEY);
ALTER TABLE dr.t ADD CONSTRAINT t_fkey FOREIGN KEY (k) REFERENCES dr.referenced NOT VALID;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
ALTER TABLE dr.t DROP CONSTRAINT t_fkey;
INSERT INTO dr.referenced VALUES ('a'), ('b');
ALTER TABLE dr.t ADD CONSTRAINT t_fkey FOREIGN KEY (k) REFERENCES dr.referenced;
ALTER TABLE dr.t DISABLE TRIGGER ALL;
\set VERBOSITY sqlstate
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
\set VERBOSITY default
ALTER TABLE dr.t DROP CONSTRAINT t_fkey;
CREATE FUNCTION dr.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER t_transition AFTER INSERT ON dr.t REFERENCING NEW TABLE AS new_rows FOR EACH ROW EXECUTE FUNCTION dr.nothing();
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP TRIGGER t_transition ON dr.t;
CREATE PUBLICATION dr_pub FOR TABLE dr.t WHERE (k > 'a');
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP PUBLICATION dr_pub;
CREATE VIEW dr.v AS SELECT * FROM dr.t;
CREATE MATERIALIZED VIEW dr.mv AS SELECT id FROM dr.v;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP VIEW dr.v CASCADE;
CREATE FUNCTION dr.of_row(r dr.t) RETURNS text LANGUAGE sql AS 'SELECT r.k';
CREATE TABLE dr.of_rows (r dr.t[]);
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP FUNCTION dr.of_row;
DROP TABLE dr.of_rows;
CREATE FUNCTION dr.of_body() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM dr.t; END;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP FUNCTION dr.of_body;
CREATE TABLE dr.guarded (k text);
CREATE POLICY p ON dr.guarded USING (EXISTS (SELECT FROM dr.t WHERE t.k = guarded.k));
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP TABLE dr.guarded;

-- The lake has to find updated and deleted rows.
SELECT shard.distribute_table('dr.t', 'dr');
ALTER TABLE dr.t ADD PRIMARY KEY (k, id), REPLICA IDENTITY NOTHING;
SELECT shard.distribute_table('dr.t', 'dr');
ALTER TABLE dr.t REPLICA IDENTITY DEFAULT;

-- Rights, transactions, open cursors.
SET ROLE dr_other;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
RESET ROLE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
ROLLBACK;
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM dr.t;
FETCH c;
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
ROLLBACK;

-- A router whose keys are being migrated.
UPDATE _shard.router SET next_members = members, frontier = 0 WHERE name = 'dr';
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
UPDATE _shard.router SET next_members = NULL, frontier = NULL WHERE name = 'dr';

-- A name that is taken in a shard.
CREATE SCHEMA dr_shard_1;
CREATE TABLE dr_shard_1.t (x int);
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
DROP SCHEMA dr_shard_1 CASCADE;

-- Nothing of all that changed the table.
SELECT relkind FROM pg_class WHERE oid = 'dr.t'::regclass;
SELECT * FROM dr.t ORDER BY id;
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dr\_shard%' OR nspname LIKE '\_shard\_%';
SELECT relation FROM shard.tables;

-- Once is enough.
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
SELECT shard.distribute_table('dr_shard_0.t', 'dr', lake => false);
SELECT shard.drop_router('dr');

-- A publication has to be told.
CREATE PUBLICATION dr_pub FOR TABLE dr.t;
SELECT shard.undistribute_table('dr.t');
SELECT shard.distribute_table('dr.t', 'dr', lake => false);
SELECT prrelid::regclass FROM pg_publication_rel;
DROP PUBLICATION dr_pub;

-- Putting it together again has its conditions, too.
SELECT shard.undistribute_table('dr.referenced');
SET ROLE dr_other;
SELECT shard.undistribute_table('dr.t');
RESET ROLE;
CREATE VIEW dr.v AS SELECT * FROM dr.t;
SELECT shard.undistribute_table('dr.t');
DROP VIEW dr.v;
CREATE VIEW dr.v AS SELECT * FROM dr_shard_1.t;
SELECT shard.undistribute_table('dr.t');
DROP VIEW dr.v;
CREATE INDEX own ON dr_shard_0.t (id);
SELECT shard.undistribute_table('dr.t');
DROP INDEX dr_shard_0.own;
SELECT shard.undistribute_table('dr.t');
SELECT * FROM dr.t ORDER BY id;

SELECT shard.drop_router('dr');
DROP FOREIGN DATA WRAPPER dr_wrapper CASCADE;
DROP SCHEMA dr CASCADE;
REVOKE shard_admin FROM dr_other;
DROP ROLE dr_other;
