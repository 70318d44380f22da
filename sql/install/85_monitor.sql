-- Watching routers and shards: sizes, balance, hot spots.

CREATE FUNCTION shard.shard_stats(router text, exact boolean DEFAULT NULL)
    RETURNS TABLE (shard_index int, shard_name text, entity_count bigint, bytes bigint, estimated boolean, state text,
        live_bytes bigint)
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'shard_shard_stats';
COMMENT ON FUNCTION shard.shard_stats(text, boolean) IS
    'rows and bytes of a router''s shards, over all its tables; rows are counted if exact, or if it is null and the tables are not above 2 GB, else estimated; bytes are of files, live_bytes without the room of rows that are gone';

-- For readers, who may not look into the table.
CREATE VIEW _shard.balanced_shard AS
    SELECT s.router, s.shard_index, s.state, s.dedicated FROM _shard.shard s;
COMMENT ON VIEW _shard.balanced_shard IS 'shard: which shards rebalancing looks at: those that are active and not dedicated';
REVOKE ALL ON _shard.balanced_shard FROM PUBLIC;
GRANT SELECT ON _shard.balanced_shard TO shard_reader, shard_admin;

-- Balance, of the shards that rebalancing looks at, by rows and by live bytes.
-- Bytes count pages, and so say little of small tables: a shard deviates by
-- bytes only if it does by more than 1 MB.
CREATE FUNCTION shard.analyze_balance(router text, threshold float8 DEFAULT 0.3,
        OUT is_balanced boolean, OUT imbalance_ratio float8, OUT hot_shards int[], OUT cold_shards int[],
        OUT avg_entity_count float8, OUT avg_bytes float8)
    LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
    WITH size AS (
        SELECT s.shard_index, s.entity_count::float8 AS entities, s.live_bytes::float8 AS bytes, s.bytes AS file_bytes
        FROM shard.shard_stats(router) s
        LEFT JOIN _shard.balanced_shard x ON x.router = analyze_balance.router AND x.shard_index = s.shard_index
        WHERE s.state = 'active' AND NOT COALESCE(x.dedicated, false)
    ), mean AS (
        SELECT pg_catalog.avg(size.entities) AS entities, pg_catalog.avg(size.bytes) AS bytes,
            pg_catalog.avg(size.file_bytes) AS file_bytes
        FROM size
    ), deviation AS (
        SELECT size.shard_index,
            CASE WHEN mean.entities > 0 THEN (size.entities - mean.entities) / mean.entities ELSE 0 END AS entities,
            CASE WHEN mean.bytes > 0 AND pg_catalog.abs(size.bytes - mean.bytes) > 1048576
                 THEN (size.bytes - mean.bytes) / mean.bytes ELSE 0 END AS bytes
        FROM size, mean
    ), judged AS (
        SELECT deviation.shard_index, GREATEST(deviation.entities, deviation.bytes) AS above,
            LEAST(deviation.entities, deviation.bytes) AS below
        FROM deviation
    )
    SELECT pg_catalog.bool_and(judged.above <= threshold AND judged.below >= - threshold),
        pg_catalog.max(GREATEST(judged.above, - judged.below)),
        COALESCE(pg_catalog.array_agg(judged.shard_index ORDER BY judged.above DESC, judged.shard_index)
                 FILTER (WHERE judged.above > threshold), '{}'),
        COALESCE(pg_catalog.array_agg(judged.shard_index ORDER BY judged.below, judged.shard_index)
                 FILTER (WHERE judged.below < - threshold AND judged.above <= threshold), '{}'),
        (SELECT mean.entities FROM mean), (SELECT mean.file_bytes::float8 FROM mean)
    FROM judged;
END;
COMMENT ON FUNCTION shard.analyze_balance(text, float8) IS
    'are the shards of a router alike in rows and bytes?  Hot and cold shards, the fullest and the emptiest first, differ from the average by more than the threshold; imbalance_ratio is the largest difference, as a part of the average';

REVOKE ALL ON FUNCTION shard.shard_stats(text, boolean), shard.analyze_balance(text, float8) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.shard_stats(text, boolean), shard.analyze_balance(text, float8)
    TO shard_reader, shard_admin;

-- Counters in shared memory.

CREATE FUNCTION _shard.counters(router text)
    RETURNS TABLE (shard_index int, routed bigint, forwarded bigint, forward_us bigint, errors bigint,
        reads bigint, writes bigint, since timestamptz)
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'shard_counters';
COMMENT ON FUNCTION _shard.counters(text) IS
    'shard: counters of a router''s shards; shard_index is null for what no shard has';

CREATE FUNCTION _shard.accesses(router text, accessed_within interval)
    RETURNS TABLE (shard_index int, reads bigint, writes bigint)
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'shard_accesses';
COMMENT ON FUNCTION _shard.accesses(text, interval) IS 'shard: accesses to a router''s shards in the last time';

CREATE FUNCTION shard.record_access(router text, key text, kind text) RETURNS void
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'shard_record_access';
COMMENT ON FUNCTION shard.record_access(text, text, text) IS
    'count one access, read or write, to a key; accesses by SQL are counted without it';

CREATE FUNCTION shard.stat_reset(router text DEFAULT NULL) RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'shard_stat_reset';
COMMENT ON FUNCTION shard.stat_reset(text) IS
    'begin to count anew: metrics, accesses and hot keys of a router, or of all routers of this database';

CREATE VIEW shard.stat_shards AS
    SELECT s.router, s.shard_index, s.shard_name,
        COALESCE(c.routed, 0) AS routing_operations,
        COALESCE(c.forwarded, 0) AS forward_operations,
        COALESCE(c.forward_us::float8 / NULLIF(c.forwarded, 0) / 1000, 0) AS average_latency_ms,
        COALESCE(c.errors, 0) AS error_count,
        COALESCE(c.reads, 0) AS reads,
        COALESCE(c.writes, 0) AS writes,
        c.since AS stats_since
    FROM _shard.router r
    CROSS JOIN LATERAL (SELECT * FROM _shard.shard x WHERE x.router = r.name) s
    LEFT JOIN LATERAL _shard.counters(r.name) c ON c.shard_index = s.shard_index;
COMMENT ON VIEW shard.stat_shards IS 'what was asked of every shard since counting began';
COMMENT ON COLUMN shard.stat_shards.routing_operations IS 'calls of route, shard_info, assign and forward that led to the shard';
COMMENT ON COLUMN shard.stat_shards.forward_operations IS 'commands that forward and scatter_gather ran there';
COMMENT ON COLUMN shard.stat_shards.average_latency_ms IS 'mean time of these commands, with their retries';
COMMENT ON COLUMN shard.stat_shards.error_count IS 'these commands that failed in the end';
COMMENT ON COLUMN shard.stat_shards.reads IS 'statements that looked at the shard''s rows and changed none there';
COMMENT ON COLUMN shard.stat_shards.writes IS 'rows of the shard that statements inserted, updated or deleted';

CREATE VIEW shard.stat_routers AS
    SELECT r.name AS router,
        COALESCE(c.routed, 0)::bigint AS routing_operations,
        COALESCE(c.forwarded, 0)::bigint AS forward_operations,
        COALESCE(c.forward_us::float8 / NULLIF(c.forwarded, 0) / 1000, 0) AS average_latency_ms,
        COALESCE(c.errors, 0)::bigint AS error_count,
        COALESCE(c.reads, 0)::bigint AS reads,
        COALESCE(c.writes, 0)::bigint AS writes,
        c.since AS stats_since
    FROM _shard.router r
    CROSS JOIN LATERAL (
        SELECT pg_catalog.sum(x.routed) AS routed, pg_catalog.sum(x.forwarded) AS forwarded,
            pg_catalog.sum(x.forward_us) AS forward_us, pg_catalog.sum(x.errors) AS errors,
            pg_catalog.sum(x.reads) AS reads, pg_catalog.sum(x.writes) AS writes, pg_catalog.max(x.since) AS since
        FROM _shard.counters(r.name) x
    ) c;
COMMENT ON VIEW shard.stat_routers IS 'what was asked of every router since counting began; the sums of shard.stat_shards, and of shards that are gone';
COMMENT ON COLUMN shard.stat_routers.average_latency_ms IS 'mean time of forwarded commands, with their retries';

CREATE FUNCTION _shard.require_router(name text) RETURNS text
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_require_router';
COMMENT ON FUNCTION _shard.require_router(text) IS 'shard: the name of a router, or an error if there is none';

CREATE FUNCTION shard.metrics(router text,
        OUT routing_operations bigint, OUT forward_operations bigint, OUT average_latency_ms float8,
        OUT error_count bigint, OUT shard_distribution jsonb)
    LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
    WITH counted AS (
        SELECT c.shard_index, c.routed, c.forwarded, c.forward_us, c.errors
        FROM _shard.counters(_shard.require_router(router)) c
    ), spread AS (
        SELECT s.shard_index, 0 AS routed FROM shard.shards s WHERE s.router = metrics.router
        UNION ALL
        SELECT c.shard_index, c.routed FROM counted c WHERE c.shard_index IS NOT NULL
    ), shares AS (
        SELECT x.shard_index, pg_catalog.sum(x.routed) AS routed FROM spread x GROUP BY x.shard_index
    )
    SELECT COALESCE(pg_catalog.sum(c.routed), 0)::bigint, COALESCE(pg_catalog.sum(c.forwarded), 0)::bigint,
        COALESCE(pg_catalog.sum(c.forward_us)::float8 / NULLIF(pg_catalog.sum(c.forwarded), 0)::float8 / 1000, 0),
        COALESCE(pg_catalog.sum(c.errors), 0)::bigint,
        (SELECT pg_catalog.jsonb_object_agg(x.shard_index::text, x.routed) FROM shares x)
    FROM counted c;
END;
COMMENT ON FUNCTION shard.metrics(text) IS
    'a router''s counters: routing operations (route, shard_info, assign, forward), forwarded commands, their mean latency and failures, and routing operations by shard';

CREATE FUNCTION shard.hot_shards(router text, threshold bigint DEFAULT 1000, "window" interval DEFAULT '1 minute')
    RETURNS TABLE (shard_index int, shard_name text, accesses bigint, reads bigint, writes bigint)
    LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
    SELECT a.shard_index, s.shard_name, a.reads + a.writes, a.reads, a.writes
    FROM _shard.accesses(router, "window") a
    LEFT JOIN shard.shards s ON s.router = hot_shards.router AND s.shard_index = a.shard_index
    WHERE a.shard_index IS NOT NULL AND a.reads + a.writes >= threshold
    ORDER BY a.reads + a.writes DESC, a.shard_index;
END;
COMMENT ON FUNCTION shard.hot_shards(text, bigint, interval) IS
    'shards that were accessed at least threshold times within the last window, up to 24 hours, the most accessed first';

CREATE FUNCTION shard.hot_keys(router text, n int DEFAULT 10, "window" interval DEFAULT '1 minute')
    RETURNS TABLE (key text, accesses bigint, shard_index int, at_most bigint)
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'shard_hot_keys';
COMMENT ON FUNCTION shard.hot_keys(text, int, interval) IS
    'the n keys that were accessed most within the last window, up to 24 hours; at least accesses times, at_most as many as that';

REVOKE ALL ON FUNCTION _shard.counters(text), _shard.accesses(text, interval), _shard.require_router(text),
    shard.record_access(text, text, text), shard.stat_reset(text), shard.metrics(text),
    shard.hot_shards(text, bigint, interval), shard.hot_keys(text, int, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _shard.counters(text), _shard.accesses(text, interval), _shard.require_router(text),
    shard.record_access(text, text, text), shard.metrics(text),
    shard.hot_shards(text, bigint, interval), shard.hot_keys(text, int, interval) TO shard_reader, shard_admin;
GRANT EXECUTE ON FUNCTION shard.stat_reset(text) TO shard_admin;
GRANT SELECT ON shard.stat_shards, shard.stat_routers TO shard_reader, shard_admin;

-- What should be done about it.

CREATE FUNCTION shard.utilization(router text)
    RETURNS TABLE (shard_index int, entity_utilization float8, byte_utilization float8)
    LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
    SELECT s.shard_index, s.entity_count::float8 / r.max_entities_per_shard, s.bytes::float8 / r.max_bytes_per_shard
    FROM shard.shard_stats(router) s
    LEFT JOIN shard.routers r ON r.name = utilization.router
    WHERE COALESCE(r.track_metadata, true)
    ORDER BY s.shard_index;
END;
COMMENT ON FUNCTION shard.utilization(text) IS
    'how full shards are: rows and bytes as parts of max_entities_per_shard and max_bytes_per_shard, null where there is no limit; no rows if the router does not track_metadata';

CREATE FUNCTION _shard.key_entities(router text, key text) RETURNS bigint
    LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'shard_key_entities';
COMMENT ON FUNCTION _shard.key_entities(text, text) IS 'shard: rows of a key over a router''s tables';

-- Rows a second; before 10,000 rows have been moved, what planning assumes.
CREATE VIEW _shard.migration_speed AS
    SELECT COALESCE(CASE WHEN pg_catalog.sum(b.rows) > 10000 THEN
            (pg_catalog.sum(b.rows) / NULLIF(pg_catalog.sum(EXTRACT(epoch FROM b.finished_at - b.started_at)), 0))::float8
        END, 50000) AS rows_per_second
    FROM _shard.migration_batch b WHERE b.rows > 0;
COMMENT ON VIEW _shard.migration_speed IS 'shard: how fast migrations were so far';
REVOKE ALL ON _shard.migration_speed FROM PUBLIC;
GRANT SELECT ON _shard.migration_speed TO shard_reader, shard_admin;

CREATE FUNCTION shard.rebalance_hints(router text)
    RETURNS TABLE (priority text, type text, source_shard int, target_shard int, reason text,
        entities_to_move bigint, estimated_duration interval)
    LANGUAGE sql VOLATILE STRICT
BEGIN ATOMIC
    WITH asked AS MATERIALIZED (
        SELECT _shard.require_router(router) AS name
    ), limits AS (
        SELECT r.max_entities_per_shard AS max_entities, r.max_bytes_per_shard AS max_bytes,
            r.min_entities_per_shard AS min_entities, r.track_metadata
        FROM asked LEFT JOIN shard.routers r ON r.name = asked.name
    ), size AS MATERIALIZED (
        SELECT s.shard_index, s.shard_name, s.entity_count AS entities, s.bytes, x.dedicated,
            COALESCE(s.entity_count::float8 / l.max_entities, 0) AS entity_use,
            COALESCE(s.bytes::float8 / l.max_bytes, 0) AS byte_use,
            COALESCE(s.entity_count < l.min_entities, false) AS small
        FROM limits l, shard.shard_stats(router) s
        JOIN _shard.balanced_shard x ON x.router = rebalance_hints.router AND x.shard_index = s.shard_index
        WHERE l.track_metadata AND s.state = 'active'
    ), access AS MATERIALIZED (
        SELECT s.shard_index, COALESCE(a.reads + a.writes, 0) AS accesses
        FROM _shard.balanced_shard s
        LEFT JOIN _shard.accesses(router, '1 hour') a ON a.shard_index = s.shard_index
        WHERE s.router = rebalance_hints.router AND s.state = 'active' AND NOT s.dedicated
    ), hot AS (
        SELECT k.key, k.shard_index, k.accesses, k.accesses::float8 / total.accesses AS part,
            _shard.key_entities(router, k.key) AS entities
        FROM shard.hot_keys(router, 10, '1 hour') k,
            (SELECT pg_catalog.sum(access.accesses)::float8 AS accesses, pg_catalog.count(*) AS shards FROM access) total
        WHERE k.accesses >= 1000 AND total.shards > 1 AND k.accesses > total.accesses / total.shards
            AND k.shard_index IN (SELECT access.shard_index FROM access)
    ), hint AS (
        SELECT CASE WHEN GREATEST(s.entity_use, s.byte_use) > 1.25 THEN 1 ELSE 2 END AS rank, 'split' AS type,
            s.shard_index AS source,
            (SELECT t.shard_index FROM size t, limits l
                WHERE t.shard_index <> s.shard_index AND NOT t.dedicated
                    AND t.entities + (s.entities + 1) / 2 <= COALESCE(l.max_entities, t.entities + s.entities)
                    AND t.bytes + s.bytes / 2 <= COALESCE(l.max_bytes, t.bytes + s.bytes)
                ORDER BY t.entities, t.shard_index LIMIT 1) AS target,
            CASE WHEN s.entity_use >= s.byte_use
                THEN pg_catalog.format('shard %s holds %s rows, %s %% of max_entities_per_shard', s.shard_name, s.entities,
                    pg_catalog.round(s.entity_use * 100))
                ELSE pg_catalog.format('shard %s holds %s bytes, %s %% of max_bytes_per_shard', s.shard_name, s.bytes,
                    pg_catalog.round(s.byte_use * 100))
            END AS reason,
            (s.entities + 1) / 2 AS entities
        FROM size s WHERE GREATEST(s.entity_use, s.byte_use) > 1 AND NOT s.dedicated
        UNION ALL
        SELECT 3, 'merge', s.shard_index, target.shard_index,
            pg_catalog.format('shard %s holds %s rows, below min_entities_per_shard', s.shard_name, s.entities), s.entities
        FROM size s CROSS JOIN LATERAL (
            SELECT t.shard_index FROM size t
            WHERE t.shard_index <> s.shard_index AND NOT t.dedicated AND GREATEST(t.entity_use, t.byte_use) <= 1
                AND (NOT t.small OR t.entities > s.entities OR t.entities = s.entities AND t.shard_index < s.shard_index)
            ORDER BY t.small, t.entities, t.shard_index LIMIT 1) target
        WHERE s.small AND NOT s.dedicated
        UNION ALL
        SELECT CASE WHEN s.shard_index IS NOT NULL THEN 1 ELSE 2 END, 'move', h.shard_index,
            (SELECT a.shard_index FROM access a WHERE a.shard_index <> h.shard_index
                ORDER BY a.accesses, a.shard_index LIMIT 1),
            pg_catalog.format('key "%s" has %s %% of the accesses of the last hour', h.key, pg_catalog.round(LEAST(h.part, 1) * 100)),
            h.entities
        FROM hot h
        LEFT JOIN size s ON s.shard_index = h.shard_index AND GREATEST(s.entity_use, s.byte_use) > 1
    )
    SELECT ('{urgent,normal,low}'::text[])[hint.rank], hint.type, hint.source, hint.target, hint.reason, hint.entities,
        pg_catalog.make_interval(secs => pg_catalog.round((hint.entities / speed.rows_per_second + 0.05)::numeric, 3)::float8)
    FROM hint, _shard.migration_speed speed
    ORDER BY hint.rank, hint.entities DESC, hint.source;
END;
COMMENT ON FUNCTION shard.rebalance_hints(text) IS
    'what would make a router''s shards better: split one above its limits (target null: add a shard), merge one below min_entities_per_shard, move a key with more accesses than an average shard';

REVOKE ALL ON FUNCTION shard.utilization(text), shard.rebalance_hints(text), _shard.key_entities(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shard.utilization(text), shard.rebalance_hints(text), _shard.key_entities(text, text)
    TO shard_reader, shard_admin;
