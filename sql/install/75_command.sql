-- Commands on shards.

CREATE FUNCTION shard.forward(router text, key text, command text, VARIADIC args text[] DEFAULT '{}')
    RETURNS SETOF jsonb
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'shard_forward';
COMMENT ON FUNCTION shard.forward(text, text, text, text[]) IS
    'runs a command on a key''s shard, with the caller''s privileges, on the rows that its tables have there, again as the router''s retry says; gives its rows, or how many it changed';

CREATE FUNCTION shard.scatter_gather(router text, command text)
    RETURNS TABLE (shard_index int, shard_name text, result jsonb, error text)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'shard_scatter_gather';
COMMENT ON FUNCTION shard.scatter_gather(text, text) IS
    'runs a command on every shard as shard.forward() does, each with its own success or failure: rows of the shards, and the error of a shard that has none';

REVOKE ALL ON FUNCTION shard.forward(text, text, text, text[]), shard.scatter_gather(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.forward(text, text, text, text[]), shard.scatter_gather(text, text)
    TO shard_reader, shard_admin;
