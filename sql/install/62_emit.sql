-- Custom events: shard.emit() and the event logs of routers.

CREATE TABLE _shard.event_log (
    router text PRIMARY KEY,
    slot_generation bigint NOT NULL       -- under which its lake table was last looked at
);
COMMENT ON TABLE _shard.event_log IS 'routers that have an event log in the lake';

CREATE TABLE _shard.event_key (
    router text,
    key text,
    at timestamptz NOT NULL,              -- commit of the event that counted
    PRIMARY KEY (router, key)
);
CREATE INDEX event_key_at ON _shard.event_key (at);
COMMENT ON TABLE _shard.event_key IS 'idempotency keys of shard.emit within shard.idempotency_retention';

CREATE FUNCTION _shard.event_log_drop() RETURNS trigger
    AS 'MODULE_PATHNAME', 'shard_event_log_drop' LANGUAGE C
    SET search_path = pg_catalog, pg_temp;
COMMENT ON FUNCTION _shard.event_log_drop() IS 'drop the event log of a router that is dropped';
REVOKE ALL ON FUNCTION _shard.event_log_drop() FROM PUBLIC;
CREATE TRIGGER event_log_drop AFTER DELETE ON _shard.router
    FOR EACH ROW EXECUTE FUNCTION _shard.event_log_drop();
ALTER TABLE _shard.router ENABLE ALWAYS TRIGGER event_log_drop;

CREATE FUNCTION shard.emit(router text, verb text, store text, payload jsonb,
    key text DEFAULT NULL, idempotency_key text DEFAULT NULL) RETURNS text
    AS 'MODULE_PATHNAME', 'shard_emit' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION shard.emit(text, text, text, jsonb, text, text) IS
    'add a custom event to the event log of a router when this transaction commits; returns its id, which is the idempotency key if one is given';
REVOKE ALL ON FUNCTION shard.emit(text, text, text, jsonb, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.emit(text, text, text, jsonb, text, text) TO shard_admin;
