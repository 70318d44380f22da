-- Custom events: shard.emit() and the event logs of routers.
SELECT shard.create_router('em', 'hash', 3, partition_key => '{k}');
SELECT shard.emit('em', 'paid', 'orders', '{"amount": 12.50, "text": "Zürich"}', 'k1') ~ '^[0-9a-f-]{36}$' AS id;
SELECT shard.emit('em', 'paid', 'orders', '[]', NULL, 'payment-1');

-- it comes and goes with the transaction
BEGIN;
SELECT shard.emit('em', 'never', 'orders', '{}', 'k1', 'never');
ROLLBACK;
BEGIN;
SELECT shard.emit('em', 'first', 'orders', '1', 'k2', 'first');
SAVEPOINT s;
SELECT shard.emit('em', 'lost', 'orders', '2', 'k2', 'lost');
ROLLBACK TO s;
SELECT shard.emit('em', 'second', 'orders', '3', 'k2', 'second');
COMMIT;
SELECT shard.flush() IS NOT NULL AS flushed;
\d lake.shard_em_events
SELECT CASE WHEN _key = 'k1' THEN 'random' ELSE _event_id END AS id, _verb, store, payload, _key,
       _shard IS NOT DISTINCT FROM shard.route('em', _key) AS routed, _ts > now() - interval '1 h' AS recent
FROM lake.shard_em_events ORDER BY _lsn, _seq;

-- a repeated key counts once: in one batch, in another, in one transaction
SELECT events_repeated AS before FROM shard.pipeline_status \gset
SELECT shard.emit('em', 'again', 'orders', '{}', 'k1', 'payment-1');
SELECT shard.emit('em', 'new', 'orders', to_jsonb(i), 'k' || i, 'new-' || i % 10) FROM generate_series(1, 30) i;
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT shard.emit('em', 'rolled back, then done', 'orders', '{}', 'k1', 'never');
SELECT shard.emit('em', 'again', 'orders', '{}', 'k1', 'new-3');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT _event_id, _verb, payload FROM lake.shard_em_events WHERE _verb NOT IN ('paid', 'first', 'second')
ORDER BY _lsn, _seq;
SELECT events_repeated - :before AS repeated FROM shard.pipeline_status;

-- the same key of another router is another key
SELECT shard.create_router('em''"2', 'hash', 3, partition_key => '{k}');
SELECT shard.emit('em''"2', 'paid', 'it''s', '{}', NULL, 'payment-1');
SELECT shard.flush() IS NOT NULL AS flushed;
SELECT _event_id, store FROM lake."shard_em'""2_events";

-- what is refused
SELECT shard.emit('em-none', 'v', 's', '{}');
SELECT shard.emit('em', NULL, 's', '{}');
SELECT shard.emit('em', '', 's', '{}');
SELECT shard.emit('em', 'v', 's', NULL);
SELECT shard.emit('em', 'v', 's', '{}', '');
SELECT shard.emit('em', 'v', 's', '{}', NULL, '');
BEGIN READ ONLY;
SELECT shard.emit('em', 'v', 's', '{}');
ROLLBACK;
CREATE ROLE em_nobody;
SET ROLE em_nobody;
SELECT shard.emit('em', 'v', 's', '{}');
RESET ROLE;
DROP ROLE em_nobody;

-- the log goes with its router, keys too
SELECT shard.drop_router('em');
SELECT shard.drop_router('em''"2');
SELECT to_regclass('lake.shard_em_events');
SELECT count(*) FROM iceberg_tables WHERE table_namespace = 'shard';
SELECT count(*) FROM _shard.event_key;
