-- Sharded tables.

CREATE FUNCTION shard.distribute_table(relation regclass, router text, partition_key text[] DEFAULT NULL,
    lake boolean DEFAULT true, lake_options jsonb DEFAULT NULL) RETURNS void
AS 'MODULE_PATHNAME', 'shard_distribute_table' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION shard.distribute_table(regclass, text, text[], boolean, jsonb) IS
    'distribute a table over a router''s shards by its partition key (by default the router''s), keeping everything on it; with lake, its changes are kept in the lake, too, partitioned and sorted there as lake_options say';
REVOKE ALL ON FUNCTION shard.distribute_table(regclass, text, text[], boolean, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.distribute_table(regclass, text, text[], boolean, jsonb) TO shard_admin;

CREATE FUNCTION shard.undistribute_table(relation regclass) RETURNS void
AS 'MODULE_PATHNAME', 'shard_undistribute_table' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION shard.undistribute_table(regclass) IS
    'put a distributed table together into a plain one again, keeping everything on it';
REVOKE ALL ON FUNCTION shard.undistribute_table(regclass) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.undistribute_table(regclass) TO shard_admin;

CREATE FUNCTION shard.verify_placement(router text)
    RETURNS TABLE(relation regclass, partition_key text, found_in int, belongs_to int, rows bigint)
AS 'MODULE_PATHNAME', 'shard_verify_placement' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION shard.verify_placement(text) IS
    'rows of a router''s tables that are not in the shard where their partition key belongs: none, unless a backup was loaded into a changed router';
REVOKE ALL ON FUNCTION shard.verify_placement(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.verify_placement(text) TO shard_admin;

CREATE FUNCTION _shard.lock_for_flip(router text, shard_indexes int[], wait_ms int DEFAULT 0,
    OUT locked boolean, OUT blocker int)
AS 'MODULE_PATHNAME', 'shard_lock_for_flip' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.lock_for_flip(text, int[], int) IS
    'take the locks under which a router''s map may change, waiting at most wait_ms; if they are not to be had, the pid in the way';
REVOKE ALL ON FUNCTION _shard.lock_for_flip(text, int[], int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.lock_for_flip(text, int[], int) TO shard_admin;

CREATE FUNCTION _shard.create_shard(router text, shard_index int) RETURNS void
AS 'MODULE_PATHNAME', 'shard_create_shard' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.create_shard(text, int) IS
    'create the schema of a shard that _shard.shard has, and the leaves of the router''s tables in it';
REVOKE ALL ON FUNCTION _shard.create_shard(text, int) FROM PUBLIC;

CREATE FUNCTION _shard.drop_shard(router text, shard_index int) RETURNS void
AS 'MODULE_PATHNAME', 'shard_drop_shard' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION _shard.drop_shard(text, int) IS
    'drop the empty leaves of a shard, and its schema';
REVOKE ALL ON FUNCTION _shard.drop_shard(text, int) FROM PUBLIC;

-- Commands on sharded tables, see src/table/events.c.

CREATE FUNCTION _shard.on_sql_drop() RETURNS event_trigger
AS 'MODULE_PATHNAME', 'shard_on_sql_drop' LANGUAGE C;
COMMENT ON FUNCTION _shard.on_sql_drop() IS 'shard: forgets dropped tables, and refuses to drop leaves alone';

CREATE FUNCTION _shard.on_ddl_end() RETURNS event_trigger
AS 'MODULE_PATHNAME', 'shard_on_ddl_end' LANGUAGE C;
COMMENT ON FUNCTION _shard.on_ddl_end() IS 'shard: passes on to the leaves what PostgreSQL does not';

CREATE EVENT TRIGGER shard_sql_drop ON sql_drop EXECUTE FUNCTION _shard.on_sql_drop();
ALTER EVENT TRIGGER shard_sql_drop ENABLE ALWAYS;
CREATE EVENT TRIGGER shard_ddl_end ON ddl_command_end WHEN TAG IN ('ALTER TABLE')
    EXECUTE FUNCTION _shard.on_ddl_end();
ALTER EVENT TRIGGER shard_ddl_end ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER shard_sql_drop IS 'shard: follows drops of sharded tables';
COMMENT ON EVENT TRIGGER shard_ddl_end IS 'shard: follows changes of sharded tables';
