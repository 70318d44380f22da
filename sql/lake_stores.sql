-- Options of servers and user mappings for object stores and catalogs, and what
-- they allow, as far as it shows without either.
SET client_min_messages = warning;
CREATE SCHEMA stores;
SET search_path = stores, public;

-- Options.
CREATE SERVER stores FOREIGN DATA WRAPPER shard_lake OPTIONS (endpoint '127.0.0.1:9000');
CREATE SERVER stores FOREIGN DATA WRAPPER shard_lake OPTIONS (endpoint 'http://key:secret@127.0.0.1');
CREATE SERVER stores FOREIGN DATA WRAPPER shard_lake OPTIONS (uri 'ftp://127.0.0.1');
CREATE SERVER stores FOREIGN DATA WRAPPER shard_lake OPTIONS (path_style 'maybe');
CREATE SERVER stores FOREIGN DATA WRAPPER shard_lake OPTIONS (secret_access_key 'x');
CREATE SERVER stores FOREIGN DATA WRAPPER shard_lake
    OPTIONS (endpoint 'http://127.0.0.1:1', region 'here', path_style 'on');
CREATE USER MAPPING FOR CURRENT_USER SERVER stores OPTIONS (access_key_id 'key', secret_access_key 'not told');
CREATE USER MAPPING FOR CURRENT_USER SERVER stores OPTIONS (access_key_id 'key', secret_access_key '');
CREATE FOREIGN TABLE f (id bigint) SERVER stores OPTIONS (metadata_location 's3://bucket/t/metadata/1.metadata.json');
CREATE FOREIGN TABLE g (id bigint) SERVER stores OPTIONS (metadata_location 'https://127.0.0.1/x.json');
CREATE FOREIGN TABLE g (id bigint) SERVER stores OPTIONS (parquet 's3://bucket/x.parquet');

-- Without credentials, and where nobody listens.
SELECT * FROM f;
ALTER SERVER stores OPTIONS (ADD catalog 'rest', ADD uri 'http://127.0.0.1:1');
CREATE FOREIGN TABLE g (id bigint) SERVER stores OPTIONS (table 'a.b');
CREATE USER MAPPING FOR CURRENT_USER SERVER stores OPTIONS (access_key_id 'key', secret_access_key 'hidden');
\set VERBOSITY sqlstate
SELECT count(*) FROM g;
\set VERBOSITY default

-- Ordinary users name objects, not files, and have no others' credentials.
CREATE ROLE stores_user;
GRANT USAGE ON FOREIGN SERVER stores TO stores_user;
GRANT ALL ON SCHEMA stores TO stores_user;
SET ROLE stores_user;
CREATE FOREIGN TABLE h (id bigint) SERVER stores OPTIONS (metadata_location 's3://bucket/x.json');
SELECT * FROM h;
CREATE FOREIGN TABLE i (id bigint) SERVER stores OPTIONS (metadata_location '/etc/passwd');
SELECT srvname, usename, umoptions FROM pg_catalog.pg_user_mappings WHERE srvname = 'stores';
RESET ROLE;

SHOW shard.store_max_retries;
SHOW shard.store_timeout;
SHOW shard.file_cache_size;

DROP SERVER stores CASCADE;
DROP SCHEMA stores CASCADE;
DROP ROLE stores_user;
