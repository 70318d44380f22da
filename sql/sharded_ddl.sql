-- Commands on sharded tables and their leaves: each works, or is refused with a hint.
SET client_min_messages = warning;
CREATE SCHEMA ddl;
CREATE SCHEMA ddl_other;
CREATE ROLE ddl_owner;
SET search_path = ddl;
SELECT shard.create_router('ddlh', 'hash', 2, partition_key => '{tenant}');
SELECT shard.create_router('ddlr', 'range', partition_key => '{tenant}',
	ranges => '[{"start": null, "end": "m", "shard": 0}, {"start": "m", "end": null, "shard": 1}]');
SELECT shard.create_router('ddlc', 'hash', 2, partition_key => '{tenant,region}');
CREATE TABLE plain (id int PRIMARY KEY);
CREATE TABLE log (what text, name text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ddl.log VALUES (TG_NAME, CASE WHEN TG_LEVEL = 'ROW' THEN NEW.tenant END);
	RETURN NULL;
END $$;
CREATE TABLE ddl_h (tenant text NOT NULL, region text NOT NULL, id int, note text, n int DEFAULT 1, PRIMARY KEY (tenant, region, id));
CREATE TABLE ddl_r (LIKE ddl_h INCLUDING ALL);
CREATE TABLE ddl_c (LIKE ddl_h INCLUDING ALL);
INSERT INTO ddl_h SELECT chr(96 + i), 'eu', i FROM generate_series(1, 26) i;
INSERT INTO ddl_r SELECT * FROM ddl_h;
INSERT INTO ddl_c SELECT * FROM ddl_h;
SELECT shard.distribute_table('ddl_h', 'ddlh'), shard.distribute_table('ddl_r', 'ddlr'), shard.distribute_table('ddl_c', 'ddlc');

-- What works, on all three.
CREATE FUNCTION each_table(command text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE replace(command, '%T', 'ddl.ddl_h');
	EXECUTE replace(command, '%T', 'ddl.ddl_r');
	EXECUTE replace(command, '%T', 'ddl.ddl_c');
END $$;
CREATE FUNCTION each_message(command text) RETURNS TABLE(name text, message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH name IN ARRAY ARRAY['ddl_h', 'ddl_r', 'ddl_c'] LOOP
		BEGIN
			message := NULL;
			hint := NULL;
			EXECUTE replace(replace(command, '%T', 'ddl.' || name), '%L',
				(SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = ('ddl.' || name)::regclass ORDER BY 1 LIMIT 1));
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
		END;
		RETURN NEXT;
	END LOOP;
END $$;
SELECT each_table(command) FROM (VALUES
	('ALTER TABLE %T ADD COLUMN extra int'),
	('ALTER TABLE %T ADD COLUMN filled int NOT NULL DEFAULT 5'),
	('ALTER TABLE %T DROP COLUMN extra'),
	('ALTER TABLE %T RENAME COLUMN note TO memo'),
	('ALTER TABLE %T RENAME COLUMN tenant TO customer'),
	('ALTER TABLE %T ALTER n TYPE bigint'),
	('ALTER TABLE %T ALTER n TYPE text USING n::text'),
	('ALTER TABLE %T ALTER n SET NOT NULL'),
	('ALTER TABLE %T ADD COLUMN plain int REFERENCES ddl.plain'),
	('ALTER TABLE %T ADD CONSTRAINT positive CHECK (id > 0)'),
	('ALTER TABLE %T ADD CONSTRAINT small CHECK (id < 10) NOT VALID'),
	('ALTER TABLE %T DROP CONSTRAINT small'),
	('CREATE INDEX ON %T (memo)'),
	('COMMENT ON TABLE %T IS ''commented'''),
	('ALTER TABLE %T ALTER memo SET STATISTICS 50'),
	('ALTER TABLE %T ALTER memo SET STORAGE EXTERNAL'),
	('GRANT SELECT, INSERT ON %T TO ddl_owner'),
	('REVOKE INSERT ON %T FROM ddl_owner'),
	('ALTER TABLE %T REPLICA IDENTITY FULL')) AS commands(command);
SELECT relation, partition_key FROM shard.tables WHERE router LIKE 'ddl%' ORDER BY 1;
SELECT each_table('ALTER TABLE %T RENAME COLUMN customer TO tenant');
SELECT relation, partition_key FROM shard.tables WHERE router LIKE 'ddl%' ORDER BY 1;
CREATE TRIGGER noted AFTER INSERT ON ddl_h FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER noted AFTER INSERT ON ddl_r FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER noted AFTER INSERT ON ddl_c FOR EACH STATEMENT EXECUTE FUNCTION note();
CREATE PUBLICATION ddl_publication FOR TABLE ddl_h, ddl_r, ddl_c WITH (publish_via_partition_root);
SELECT each_table('INSERT INTO %T (tenant, region, id) VALUES (''zz'', ''eu'', 99)');
SELECT what, name, count(*) FROM log GROUP BY 1, 2 ORDER BY 1, 2;
DROP PUBLICATION ddl_publication;
CLUSTER ddl_h USING ddl_h_pkey;
CLUSTER ddl_r USING ddl_r_pkey;
VACUUM ANALYZE ddl_h, ddl_r, ddl_c;

-- An index without blocking writers: beside, then attached; a new shard has it, too.
CREATE INDEX beside ON ONLY ddl_h (n);
CREATE INDEX CONCURRENTLY beside_0 ON ddlh_shard_0.ddl_h (n);
CREATE INDEX CONCURRENTLY beside_1 ON ddlh_shard_1.ddl_h (n);
ALTER INDEX beside ATTACH PARTITION ddlh_shard_0.beside_0;
ALTER INDEX beside ATTACH PARTITION ddlh_shard_1.beside_1;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'beside'::regclass;

-- What is refused.
SELECT m.* FROM (VALUES (1, 'ALTER TABLE %T DROP COLUMN region, DROP COLUMN tenant'), (2, 'ALTER TABLE %T ALTER tenant TYPE varchar(9)'),
	(3, 'CREATE UNIQUE INDEX ON %T (id)'), (4, 'ALTER TABLE %T ADD UNIQUE (id)'),
	(5, 'CREATE INDEX CONCURRENTLY ON %T (id)'),
	(6, 'ALTER TABLE %T SET UNLOGGED'), (7, 'ALTER TABLE %T SET (fillfactor = 50)'),
	(8, 'CREATE TABLE ddl.own PARTITION OF %T FOR VALUES WITH (MODULUS 1024, REMAINDER 900)'),
	(9, 'ALTER TABLE %T ATTACH PARTITION ddl.plain DEFAULT'),
	(10, 'ALTER TABLE %T DETACH PARTITION %L'),
	(11, 'ALTER TABLE %T DETACH PARTITION %L CONCURRENTLY'),
	(12, 'DROP TABLE %L'), (13, 'ALTER TABLE %L RENAME TO other'), (14, 'ALTER TABLE %L SET SCHEMA ddl_other'),
	(15, 'ALTER TABLE %L OWNER TO ddl_owner'), (16, 'ALTER TABLE %L SET UNLOGGED'),
	(17, 'ALTER TABLE %L REPLICA IDENTITY NOTHING')) AS commands(number, command), each_message(command) AS m
ORDER BY number, name;
SET client_min_messages = error;
DROP SCHEMA ddlh_shard_1 CASCADE;
DROP SCHEMA ddlr_shard_0 CASCADE;
DROP SCHEMA ddlc_shard_0, ddlc_shard_1 CASCADE;
ALTER SCHEMA ddlr_shard_0 RENAME TO ddlr_other;
SET client_min_messages = warning;

-- Name, schema and owner; the shards' tables follow, and so does a new one.
SELECT each_table('ALTER TABLE %T OWNER TO ddl_owner');
ALTER TABLE ddl_h RENAME TO ddl_renamed;
ALTER TABLE ddl_renamed SET SCHEMA ddl_other;
SELECT shard.add_shard('ddlh') > 0 AS added;
SELECT success, error FROM shard.wait_migration((SELECT max(migration_id) FROM shard.migrations));
SELECT n.nspname, c.relname, c.relowner::regrole, (SELECT count(*) FROM pg_index i WHERE i.indrelid = c.oid) AS indexes,
	(SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'noted') AS triggers
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname LIKE 'ddlh%' ORDER BY 1, 2;
SELECT relation, router, shards FROM shard.tables WHERE router LIKE 'ddl%' ORDER BY relation::text;
SELECT count(*) FROM ddl_other.ddl_renamed;
SELECT relation, partition_key, found_in, belongs_to FROM shard.verify_placement('ddlh');
SET search_path = ddl, ddl_other;
SELECT count(DISTINCT shard_index), sum((result->>'count')::int) FROM shard.scatter_gather('ddlh', 'SELECT count(*) FROM ddl_renamed');
RESET search_path;

-- All that is somebody's.
DROP OWNED BY ddl_owner;
SELECT relation, router FROM shard.tables WHERE router LIKE 'ddl%' ORDER BY 1;
SELECT nspname FROM pg_namespace WHERE nspname LIKE 'ddl_\_shard%';
DROP SCHEMA ddl, ddl_other CASCADE;
SELECT shard.drop_router(name) FROM shard.routers WHERE name LIKE 'ddl%';
DROP ROLE ddl_owner;
