-- The lake's catalog: the tables of an Iceberg JDBC catalog (V1), which other
-- engines may use and change too, and the queue of files to be removed.

CREATE TABLE @extschema@.iceberg_tables (
    catalog_name varchar(255) NOT NULL,
    table_namespace varchar(255) NOT NULL,
    table_name varchar(255) NOT NULL,
    metadata_location varchar(1000),
    previous_metadata_location varchar(1000),
    iceberg_type varchar(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);

CREATE TABLE @extschema@.iceberg_namespace_properties (
    catalog_name varchar(255) NOT NULL,
    namespace varchar(255) NOT NULL,
    property_key varchar(255) NOT NULL,
    property_value varchar(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
);

COMMENT ON TABLE @extschema@.iceberg_tables IS
    'shard: where each lake table''s current metadata is (Iceberg JDBC catalog, V1)';
COMMENT ON COLUMN @extschema@.iceberg_tables.catalog_name IS 'catalog; shard''s tables stand under ''lake''';
COMMENT ON COLUMN @extschema@.iceberg_tables.table_namespace IS 'Iceberg namespace: the schema of the sharded table';
COMMENT ON COLUMN @extschema@.iceberg_tables.table_name IS 'Iceberg table: the state table, or <name>_events';
COMMENT ON COLUMN @extschema@.iceberg_tables.metadata_location IS 'current metadata file; changed by compare-and-swap only';
COMMENT ON COLUMN @extschema@.iceberg_tables.previous_metadata_location IS 'the metadata file before';
COMMENT ON COLUMN @extschema@.iceberg_tables.iceberg_type IS 'TABLE or VIEW; null counts as TABLE';
COMMENT ON TABLE @extschema@.iceberg_namespace_properties IS
    'shard: namespaces of the lake and their properties (Iceberg JDBC catalog, V1)';

GRANT SELECT ON @extschema@.iceberg_tables, @extschema@.iceberg_namespace_properties
    TO shard_admin, shard_reader;

CREATE TABLE _shard.lake_trash (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path text NOT NULL,
    is_directory boolean NOT NULL,
    owner text NOT NULL,                  -- server and data directory that may remove it
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    queued_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

COMMENT ON TABLE _shard.lake_trash IS
    'shard: lake files to be removed as soon as no snapshot can see a pointer to them';
CREATE FUNCTION shard.lake_snapshots(
    relation regclass,
    OUT snapshot_id bigint, OUT parent_id bigint, OUT sequence_number bigint,
    OUT committed_at timestamptz, OUT operation text, OUT is_current boolean,
    OUT total_files bigint, OUT total_rows bigint, OUT total_bytes bigint,
    OUT manifest_list text, OUT summary jsonb)
RETURNS SETOF record
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_lake_snapshots';

CREATE FUNCTION shard.lake_history(
    relation regclass,
    OUT made_current_at timestamptz, OUT snapshot_id bigint, OUT parent_id bigint,
    OUT operation text, OUT is_current_ancestor boolean, OUT is_expired boolean)
RETURNS SETOF record
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_lake_history';

CREATE FUNCTION shard.lake_refs(
    relation regclass, OUT name text, OUT type text, OUT snapshot_id bigint)
RETURNS SETOF record
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_lake_refs';

CREATE FUNCTION shard.lake_manifests(
    relation regclass,
    OUT path text, OUT content text, OUT bytes bigint, OUT partition_spec_id int,
    OUT sequence_number bigint, OUT min_sequence_number bigint, OUT added_snapshot_id bigint,
    OUT added_files int, OUT existing_files int, OUT deleted_files int,
    OUT added_rows bigint, OUT existing_rows bigint, OUT deleted_rows bigint)
RETURNS SETOF record
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_lake_manifests';

CREATE FUNCTION shard.lake_files(
    relation regclass,
    OUT path text, OUT content text, OUT format text, OUT rows bigint, OUT bytes bigint,
    OUT sequence_number bigint, OUT snapshot_id bigint, OUT partition_spec_id int,
    OUT sort_order_id int, OUT referenced_data_file text)
RETURNS SETOF record
LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_lake_files';

COMMENT ON FUNCTION shard.lake_snapshots(regclass) IS
    'snapshots of the lake table behind a foreign table, or of a sharded table''s state table';
COMMENT ON FUNCTION shard.lake_history(regclass) IS
    'which snapshot of a lake table was current since when';
COMMENT ON FUNCTION shard.lake_refs(regclass) IS
    'branches and tags of a lake table';
COMMENT ON FUNCTION shard.lake_manifests(regclass) IS
    'manifests of the snapshot of a lake table that queries read';
COMMENT ON FUNCTION shard.lake_files(regclass) IS
    'live data and delete files of the snapshot of a lake table that queries read';

REVOKE ALL ON FUNCTION shard.lake_snapshots(regclass), shard.lake_manifests(regclass),
    shard.lake_files(regclass), shard.lake_history(regclass), shard.lake_refs(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.lake_snapshots(regclass), shard.lake_manifests(regclass),
    shard.lake_files(regclass), shard.lake_history(regclass), shard.lake_refs(regclass)
    TO shard_admin, shard_reader;

CREATE FUNCTION _shard.lake_empty_trash() RETURNS int
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'shard_lake_empty_trash';

COMMENT ON FUNCTION _shard.lake_empty_trash() IS
    'removes lake files that no snapshot of this database can need any more (the pipeline does it, too); returns how many entries of _shard.lake_trash are done';

REVOKE ALL ON FUNCTION _shard.lake_empty_trash() FROM PUBLIC;
