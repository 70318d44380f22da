-- What foreign tables over the lake may read, and how they say it.
SET client_min_messages = warning;
CREATE SCHEMA lakeo;
SET search_path = lakeo, public;

-- Options.
CREATE SERVER lakeo FOREIGN DATA WRAPPER shard_lake OPTIONS (catalog 'hive');
CREATE SERVER lakeo FOREIGN DATA WRAPPER shard_lake OPTIONS (url 'http://localhost');
CREATE SERVER lakeo FOREIGN DATA WRAPPER shard_lake OPTIONS (catalog 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER lakeo OPTIONS (password 'x');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo;
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS ("table" 'a.b', parquet '/tmp/x.parquet');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS (tabel 'a.b');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS ("table" 'b');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS ("table" 'a.');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS (parquet 'x.parquet');
CREATE FOREIGN TABLE f (id bigint OPTIONS (name 'x')) SERVER lakeo OPTIONS ("table" 'a.b');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS ("table" 'a."b.""c"');
SELECT * FROM f;
EXPLAIN SELECT * FROM f;
ALTER FOREIGN TABLE f OPTIONS (ADD parquet '/nowhere/*.parquet');
ALTER FOREIGN TABLE f OPTIONS (DROP "table", ADD parquet '/nowhere/*.parquet');
SELECT * FROM f;
ALTER FOREIGN TABLE f OPTIONS (DROP parquet, ADD metadata_location '/nowhere/x.metadata.json');
SELECT * FROM f;
DROP FOREIGN TABLE f;

-- Files of the server are for those who may read them.
CREATE ROLE lakeo_user;
GRANT USAGE ON FOREIGN SERVER lakeo TO lakeo_user;
GRANT ALL ON SCHEMA lakeo TO lakeo_user;
SET ROLE lakeo_user;
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS (parquet '/tmp/x.parquet');
CREATE FOREIGN TABLE f (id bigint) SERVER lakeo OPTIONS (metadata_location '/tmp/x.json');
IMPORT FOREIGN SCHEMA x FROM SERVER lakeo INTO lakeo OPTIONS (parquet '/tmp/x.parquet');
RESET ROLE;

-- A table of the lake, and its files.
SELECT shard.create_router('lakeo', 'hash', 2, '{id}');
CREATE TABLE "Src" (id bigint PRIMARY KEY, "Name" text, n numeric(10,2), i int, f real, ts timestamp, j jsonb, u uuid);
SELECT shard.distribute_table('"Src"', 'lakeo');
INSERT INTO "Src" SELECT i, 'name ' || i, i / 4.0, i * 2, i / 8.0, '2001-01-01'::timestamp + i * '1 day'::interval, jsonb_build_object('i', i),
    '00000000-0000-4000-8000-000000000001' FROM generate_series(1, 5) i;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT metadata_location FROM public.iceberg_tables WHERE table_namespace = 'lakeo' AND table_name = 'Src' \gset
SELECT path AS file_path FROM shard.lake_files('lake."lakeo_Src"') WHERE content = 'data' LIMIT 1 \gset

CREATE FOREIGN TABLE by_metadata (id bigint, "Name" text) SERVER lakeo OPTIONS (metadata_location :'metadata_location');
SELECT * FROM by_metadata ORDER BY id;
-- A file by itself: columns by name, in any order, under another name, of wider types.
CREATE FOREIGN TABLE by_file (u uuid, i bigint, "Other" text OPTIONS (column_name 'Name'), id numeric, n numeric, f float8, j json) SERVER lakeo OPTIONS (parquet :'file_path');
SELECT i, "Other", id, n, f, j, u FROM by_file WHERE i > 4::bigint AND id < 5 AND f > 0.1 AND n >= 0.75 ORDER BY id;
SELECT count(*), sum(i), avg(n), sum(id), max(f) FROM by_file;
-- A column that is not there, or does not fit, is an error only where it is read.
ALTER FOREIGN TABLE by_metadata ADD missing text, ADD n int, ADD ts timestamptz, ADD i smallint, ADD f text, ADD j text;
SELECT id FROM by_metadata WHERE id = 3;
SELECT missing FROM by_metadata;
SELECT n FROM by_metadata;
SELECT ts FROM by_metadata;
SELECT f FROM by_metadata;
SELECT count(*) FROM by_metadata WHERE f IS NULL;
SELECT i, j FROM by_metadata WHERE id = 3;
ALTER FOREIGN TABLE by_metadata ALTER i TYPE smallint, DROP missing, DROP n, DROP ts, DROP f, ADD later text;
UPDATE "Src" SET i = 100000 WHERE id = 3;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT metadata_location AS location FROM public.iceberg_tables WHERE table_namespace = 'lakeo' AND table_name = 'Src' \gset
ALTER FOREIGN TABLE by_metadata OPTIONS (SET metadata_location :'location');
SELECT i FROM by_metadata WHERE id = 3;

-- IMPORT FOREIGN SCHEMA.
CREATE SCHEMA lakeo_import;
IMPORT FOREIGN SCHEMA lakeo FROM SERVER lakeo INTO lakeo_import;
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'lakeo_import'::regnamespace AND a.attnum > 0 AND c.relname = 'Src' ORDER BY a.attnum;
SELECT count(*) FROM lakeo_import."Src";
SELECT count(*) = (SELECT count(*) FROM lake."lakeo_Src_events") AS same FROM lakeo_import."Src_events";
DROP SCHEMA lakeo_import CASCADE;
CREATE SCHEMA lakeo_import;
IMPORT FOREIGN SCHEMA lakeo LIMIT TO ("Src") FROM SERVER lakeo INTO lakeo_import;
IMPORT FOREIGN SCHEMA x LIMIT TO (one) FROM SERVER lakeo INTO lakeo_import OPTIONS (parquet :'file_path');
IMPORT FOREIGN SCHEMA x LIMIT TO (two) FROM SERVER lakeo INTO lakeo_import OPTIONS (metadata_location :'metadata_location');
IMPORT FOREIGN SCHEMA x FROM SERVER lakeo INTO lakeo_import OPTIONS (parquet '/nowhere/*.parquet');
IMPORT FOREIGN SCHEMA x FROM SERVER lakeo INTO lakeo_import OPTIONS (csv '/nowhere/x.csv');
SELECT relname FROM pg_class WHERE relnamespace = 'lakeo_import'::regnamespace ORDER BY 1;
SELECT id, "Name" FROM lakeo_import.one WHERE "Name" = 'name 2';
SELECT id, "Name" FROM lakeo_import.two WHERE "Name" = 'name 2';

DROP SCHEMA lakeo_import, lakeo CASCADE;
DROP SERVER lakeo CASCADE;
DROP ROLE lakeo_user;
SELECT shard.drop_router('lakeo');
