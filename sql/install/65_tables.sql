-- The view of sharded tables: what the table folder and the pipeline know.

CREATE VIEW shard.tables AS
SELECT t.relation, t.router, t.partition_key, t.lake, t.lake_options,
       l.namespace || '.' || l.name AS lake_table,
       l.namespace || '.' || l.events_name AS lake_events,
       l.problem AS lake_problem,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_inherits i WHERE i.inhparent = t.relation)::int AS shards,
       t.distributed_at
FROM _shard.sharded_table t
LEFT JOIN _shard.lake_table l ON l.relation = t.relation;
COMMENT ON VIEW shard.tables IS 'the distributed tables, with their routers, partition keys and lake tables';
COMMENT ON COLUMN shard.tables.lake IS 'are its changes kept in the lake?';
COMMENT ON COLUMN shard.tables.lake_options IS 'partitions and sort order of its lake tables; null is the default';
COMMENT ON COLUMN shard.tables.lake_table IS 'Iceberg table of its current rows';
COMMENT ON COLUMN shard.tables.lake_events IS 'Iceberg table of its events';
COMMENT ON COLUMN shard.tables.lake_problem IS 'why the pipeline leaves it out, if it does';
COMMENT ON COLUMN shard.tables.shards IS 'number of shards that it has a leaf in';
REVOKE ALL ON shard.tables FROM PUBLIC;
GRANT SELECT ON shard.tables TO shard_reader, shard_admin;
