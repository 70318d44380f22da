-- Maintenance of the lake: its tables' shape, compaction, expiry, orphans.

CREATE FUNCTION shard.alter_lake_options(relation regclass, lake_options jsonb) RETURNS void
    AS 'MODULE_PATHNAME', 'shard_alter_lake_options' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION shard.alter_lake_options(regclass, jsonb) IS
    'partition and sort the lake tables of a sharded table otherwise from now on, as the argument of distribute_table; null: as by default';
REVOKE ALL ON FUNCTION shard.alter_lake_options(regclass, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.alter_lake_options(regclass, jsonb) TO shard_admin;

-- What the maintenance worker has done.  Not dumped.
CREATE TABLE _shard.maintenance (
    namespace text NOT NULL,
    name text NOT NULL,
    looked_at_metadata text,              -- with this, there was nothing to compact
    compactions bigint NOT NULL DEFAULT 0,
    compacted_at timestamptz,
    files_merged bigint NOT NULL DEFAULT 0,
    files_written bigint NOT NULL DEFAULT 0,
    delete_files_merged bigint NOT NULL DEFAULT 0,
    delete_files_written bigint NOT NULL DEFAULT 0,
    bytes_written bigint NOT NULL DEFAULT 0,
    cleaned_at timestamptz,
    snapshots_expired bigint NOT NULL DEFAULT 0,
    orphans_removed bigint NOT NULL DEFAULT 0,
    last_error text,
    last_error_at timestamptz,
    PRIMARY KEY (namespace, name)
);
COMMENT ON TABLE _shard.maintenance IS 'what the maintenance worker has done for each lake table';

CREATE VIEW shard.maintenance AS
SELECT namespace || '.' || name AS lake_table, compactions, compacted_at, files_merged, files_written,
       delete_files_merged, delete_files_written, bytes_written, cleaned_at, snapshots_expired,
       orphans_removed, last_error, last_error_at
FROM _shard.maintenance;
COMMENT ON VIEW shard.maintenance IS 'what the maintenance worker has done for each lake table';
COMMENT ON COLUMN shard.maintenance.compactions IS 'compactions that were committed';
COMMENT ON COLUMN shard.maintenance.files_merged IS 'data files that they replaced';
COMMENT ON COLUMN shard.maintenance.files_written IS 'data files that took their place';
COMMENT ON COLUMN shard.maintenance.bytes_written IS 'size of these';
COMMENT ON COLUMN shard.maintenance.cleaned_at IS 'when expired snapshots and orphans were last looked for';
COMMENT ON COLUMN shard.maintenance.last_error IS 'the last error; the next round tries again';
REVOKE ALL ON shard.maintenance FROM PUBLIC;
GRANT SELECT ON shard.maintenance TO shard_reader, shard_admin;

CREATE FUNCTION shard.compact(relation regclass, "full" boolean DEFAULT false)
    RETURNS TABLE(lake_table text, files_before bigint, files_after bigint,
                  delete_files_before bigint, delete_files_after bigint,
                  rows bigint, deleted_rows bigint, bytes_before bigint, bytes_after bigint)
    AS 'MODULE_PATHNAME', 'shard_compact' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION shard.compact(regclass, boolean) IS
    'merge the small files of a lake table (of a sharded table: of its state and its events) and those with deleted rows into few, sorted ones; full: all files';
REVOKE ALL ON FUNCTION shard.compact(regclass, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.compact(regclass, boolean) TO shard_admin;

CREATE FUNCTION shard.expire_snapshots(relation regclass, older_than interval DEFAULT NULL, retain_last int DEFAULT 1)
    RETURNS TABLE(lake_table text, snapshots_removed bigint, snapshots_kept bigint,
                  files_removed bigint, manifests_removed bigint, manifest_lists_removed bigint)
    AS 'MODULE_PATHNAME', 'shard_expire_snapshots' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION shard.expire_snapshots(regclass, interval, int) IS
    'forget snapshots of a lake table that are older than an age (by default shard.snapshot_retention), but for the newest ones; their files are removed when no query can need them';
REVOKE ALL ON FUNCTION shard.expire_snapshots(regclass, interval, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.expire_snapshots(regclass, interval, int) TO shard_admin;

CREATE FUNCTION shard.remove_orphan_files(relation regclass, older_than interval DEFAULT NULL)
    RETURNS TABLE(lake_table text, files_removed bigint, files_queued bigint, bytes bigint)
    AS 'MODULE_PATHNAME', 'shard_remove_orphan_files' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION shard.remove_orphan_files(regclass, interval) IS
    'remove files from a lake table''s directory that nothing leads to and that are older than an age (by default shard.orphan_retention); queued ones go when no query can need them';
REVOKE ALL ON FUNCTION shard.remove_orphan_files(regclass, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.remove_orphan_files(regclass, interval) TO shard_admin;
