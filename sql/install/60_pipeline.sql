-- The pipeline: where it stands, which tables it writes, how to wait for it.

-- One row: the position that is committed together with the lake's pointers.
-- Not dumped: a restored database starts anew and compares.
CREATE TABLE _shard.pipeline (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    database oid NOT NULL,
    system_identifier bigint NOT NULL,
    timeline int NOT NULL,
    slot_generation bigint NOT NULL,
    lsn pg_catalog.pg_lsn NOT NULL,
    updated_at timestamptz NOT NULL
);
COMMENT ON TABLE _shard.pipeline IS 'position up to which changes are in the lake';

CREATE TABLE _shard.lake_table (
    relation oid PRIMARY KEY,             -- the partitioned parent
    namespace text NOT NULL,
    name text NOT NULL,
    events_name text NOT NULL,
    synced boolean NOT NULL,              -- its state follows the heap from lsn on
    system_identifier bigint,
    timeline int,
    slot_generation bigint,
    lsn pg_catalog.pg_lsn,
    snapshot text,                        -- read under this snapshot: skip what it saw,
    snapshot_lsn pg_catalog.pg_lsn,       -- of transactions that committed before this
    problem text,                         -- why the pipeline leaves it out
    UNIQUE (namespace, name)
);
COMMENT ON TABLE _shard.lake_table IS 'sharded tables that are kept in the lake, and the position of each';

CREATE TABLE _shard.dead_letter (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    relation oid,
    kind text NOT NULL CHECK (kind IN ('value', 'table')),
    lsn pg_catalog.pg_lsn,
    event_id text,
    reason text NOT NULL,
    payload jsonb
);
CREATE INDEX dead_letter_relation ON _shard.dead_letter (relation, kind, id);
COMMENT ON TABLE _shard.dead_letter IS 'changes that could not be written to the lake';

CREATE FUNCTION _shard.pipeline_wake() RETURNS void
    AS 'MODULE_PATHNAME', 'shard_pipeline_wake' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION _shard.pipeline_wake() IS 'let the launcher look for the extension when this transaction commits';
REVOKE ALL ON FUNCTION _shard.pipeline_wake() FROM PUBLIC;

-- A restored database brings sharded tables by loading this table.
CREATE FUNCTION _shard.pipeline_look() RETURNS trigger
    AS 'MODULE_PATHNAME', 'shard_pipeline_look' LANGUAGE C;
COMMENT ON FUNCTION _shard.pipeline_look() IS 'let the pipeline worker look for tables when this transaction commits';
REVOKE ALL ON FUNCTION _shard.pipeline_look() FROM PUBLIC;
CREATE TRIGGER pipeline_look AFTER INSERT OR UPDATE OR DELETE ON _shard.sharded_table
    FOR EACH STATEMENT EXECUTE FUNCTION _shard.pipeline_look();
ALTER TABLE _shard.sharded_table ENABLE ALWAYS TRIGGER pipeline_look;

CREATE FUNCTION _shard.pipeline_ready(timeout interval) RETURNS text
    AS 'MODULE_PATHNAME', 'shard_pipeline_ready' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.pipeline_ready(interval) IS 'wait until the pipeline sees everything written from now on; null, or the reason why it does not';
REVOKE ALL ON FUNCTION _shard.pipeline_ready(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.pipeline_ready(interval) TO shard_admin;

CREATE FUNCTION _shard.lake_register(relation regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'shard_lake_register' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.lake_register(regclass) IS 'give a sharded table its tables in the lake';
REVOKE ALL ON FUNCTION _shard.lake_register(regclass) FROM PUBLIC;

CREATE FUNCTION _shard.lake_notes(relation regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'shard_lake_notes' LANGUAGE C STABLE STRICT;
COMMENT ON FUNCTION _shard.lake_notes(regclass) IS 'say what changes in a table on its way to the lake';
REVOKE ALL ON FUNCTION _shard.lake_notes(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.lake_notes(regclass) TO shard_admin;

CREATE FUNCTION _shard.lake_unregister(relation oid) RETURNS void
    AS 'MODULE_PATHNAME', 'shard_lake_unregister' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.lake_unregister(oid) IS 'drop the tables in the lake of a table that is not sharded any more';
REVOKE ALL ON FUNCTION _shard.lake_unregister(oid) FROM PUBLIC;

CREATE FUNCTION _shard.on_table_rewrite() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'shard_on_table_rewrite' LANGUAGE C
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION _shard.on_table_rewrite() IS 'shard: lets tables be compared with the lake after ALTER TABLE gave their rows new values';
CREATE EVENT TRIGGER shard_table_rewrite ON table_rewrite EXECUTE FUNCTION _shard.on_table_rewrite();
ALTER EVENT TRIGGER shard_table_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER shard_table_rewrite IS 'shard: follows changes of the values in sharded tables';

CREATE FUNCTION _shard.on_table_change() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'shard_on_table_change' LANGUAGE C
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION _shard.on_table_change() IS 'shard: tells the pipeline that a sharded table was altered';
CREATE EVENT TRIGGER shard_table_change ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'ALTER TYPE')
    EXECUTE FUNCTION _shard.on_table_change();
ALTER EVENT TRIGGER shard_table_change ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER shard_table_change IS 'shard: follows changes of the columns of sharded tables';

CREATE FUNCTION shard.flush(timeout interval DEFAULT '30 s') RETURNS pg_lsn
    AS 'MODULE_PATHNAME', 'shard_flush' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION shard.flush(interval) IS 'wait until all that was committed before this call is in the lake';
REVOKE ALL ON FUNCTION shard.flush(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.flush(interval) TO shard_admin, shard_reader;

CREATE FUNCTION _shard.pipeline_status(
    OUT slot_name text, OUT worker_pid int, OUT state text, OUT reason text, OUT hint text,
    OUT read_lsn pg_lsn, OUT flushed_lsn pg_lsn, OUT confirmed_lsn pg_lsn, OUT current_lsn pg_lsn,
    OUT lag_bytes bigint, OUT buffered_rows bigint, OUT rows_read bigint, OUT events_written bigint,
    OUT flushes bigint, OUT resyncs bigint, OUT retries bigint, OUT last_flush_at timestamptz,
    OUT last_flush_ms float8, OUT last_error text, OUT last_error_at timestamptz,
    OUT events_emitted bigint, OUT events_repeated bigint,
    OUT wal_kept bigint, OUT warning text) RETURNS record
    AS 'MODULE_PATHNAME', 'shard_pipeline_status' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION _shard.pipeline_status() IS 'state of the pipeline of this database';
REVOKE ALL ON FUNCTION _shard.pipeline_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.pipeline_status() TO shard_admin, shard_reader;

CREATE VIEW shard.pipeline_status AS SELECT * FROM _shard.pipeline_status();
COMMENT ON VIEW shard.pipeline_status IS 'state of the pipeline of this database';
COMMENT ON COLUMN shard.pipeline_status.slot_name IS 'replication slot that the pipeline reads the WAL through';
COMMENT ON COLUMN shard.pipeline_status.worker_pid IS 'process id of the worker; null while none runs';
COMMENT ON COLUMN shard.pipeline_status.state IS 'running, starting, syncing, retrying, failed, stopped or blocked';
COMMENT ON COLUMN shard.pipeline_status.reason IS 'why it is not running';
COMMENT ON COLUMN shard.pipeline_status.hint IS 'what to do about it';
COMMENT ON COLUMN shard.pipeline_status.read_lsn IS 'the WAL has been read up to here';
COMMENT ON COLUMN shard.pipeline_status.flushed_lsn IS 'all changes before this are in the lake';
COMMENT ON COLUMN shard.pipeline_status.confirmed_lsn IS 'WAL before this is not needed any more';
COMMENT ON COLUMN shard.pipeline_status.current_lsn IS 'where the server writes WAL now';
COMMENT ON COLUMN shard.pipeline_status.lag_bytes IS 'WAL that is not in the lake yet';
COMMENT ON COLUMN shard.pipeline_status.buffered_rows IS 'changes that were read and wait for the next flush';
COMMENT ON COLUMN shard.pipeline_status.rows_read IS 'changes read since the server started';
COMMENT ON COLUMN shard.pipeline_status.events_written IS 'events written since the server started';
COMMENT ON COLUMN shard.pipeline_status.flushes IS 'flushes since the server started';
COMMENT ON COLUMN shard.pipeline_status.resyncs IS 'tables compared with the lake since the server started';
COMMENT ON COLUMN shard.pipeline_status.retries IS 'times that the worker had to start again';
COMMENT ON COLUMN shard.pipeline_status.last_flush_at IS 'end of the last flush';
COMMENT ON COLUMN shard.pipeline_status.last_flush_ms IS 'duration of the last flush';
COMMENT ON COLUMN shard.pipeline_status.last_error IS 'the last error of the worker';
COMMENT ON COLUMN shard.pipeline_status.last_error_at IS 'when that was';
COMMENT ON COLUMN shard.pipeline_status.events_emitted IS 'events written that shard.emit made, since the server started';
COMMENT ON COLUMN shard.pipeline_status.events_repeated IS 'emitted events left out because their idempotency key was there already';
COMMENT ON COLUMN shard.pipeline_status.wal_kept IS 'bytes of WAL that the slot keeps from being recycled';
COMMENT ON COLUMN shard.pipeline_status.warning IS 'what will happen if this goes on';
GRANT SELECT ON shard.pipeline_status TO shard_admin, shard_reader;

CREATE VIEW shard.dead_letters AS
    SELECT id, at, relation::pg_catalog.regclass AS relation, lsn, event_id, reason, payload, kind
    FROM _shard.dead_letter;
COMMENT ON VIEW shard.dead_letters IS 'what could not be written to the lake as it is';
COMMENT ON COLUMN shard.dead_letters.lsn IS 'commit of the change, or where the pipeline stood';
COMMENT ON COLUMN shard.dead_letters.event_id IS '_event_id of the change; null if a comparison found the row';
COMMENT ON COLUMN shard.dead_letters.reason IS 'why';
COMMENT ON COLUMN shard.dead_letters.payload IS 'the row, or the error';
COMMENT ON COLUMN shard.dead_letters.kind IS 'value: a column is NULL in the lake instead; table: the table is left out until it is replayed';

CREATE FUNCTION shard.replay_dead_letters(relation regclass DEFAULT NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'shard_replay_dead_letters' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION shard.replay_dead_letters(regclass) IS
    'remove dead letters (of one table, or all) and have their tables compared with the lake when this transaction commits; returns their number';
REVOKE ALL ON FUNCTION shard.replay_dead_letters(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.replay_dead_letters(regclass) TO shard_admin;
GRANT SELECT ON shard.dead_letters TO shard_admin;

SELECT _shard.pipeline_wake();
