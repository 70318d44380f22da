-- The SQL interface: names, argument names and results of functions and views
-- are a contract; every function is described, and administration is not for
-- everybody.

SET client_min_messages = warning;
SET search_path = public;

CREATE TEMP TABLE contract (name text, arguments text[], result text);
INSERT INTO contract VALUES
    ('create_router', '{name,strategy,shard_count,partition_key,fallback_key,strict,partition_key_fn,key_type,ranges,comparator,default_shard,virtual_nodes,hash_function,shard_name_prefix,max_entities_per_shard,max_bytes_per_shard,min_entities_per_shard,retry,enable_metrics,track_access,track_metadata}', 'void'),
    ('drop_router', '{name}', 'void'),
    ('route', '{router,key}', 'integer'),
    ('shard_info', '{router,key}', NULL),
    ('distribute_table', '{relation,router,partition_key,lake}', 'void'),
    ('undistribute_table', '{relation}', 'void'),
    ('flush', '{timeout}', 'pg_lsn'),
    ('emit', '{router,verb,store,payload,key,idempotency_key}', 'text'),
    ('replay_dead_letters', '{relation}', 'bigint'),
    ('last_query_stats', '{}', NULL),
    ('plan_add_shard', '{router,shard_name,server}', 'bigint'),
    ('plan_remove_shard', '{router,shard_index}', 'bigint'),
    ('plan_rebalance', '{router,threshold}', 'bigint'),
    ('remove_shard', '{router,shard_index}', 'bigint'),
    ('rebalance', '{router,partition_keys,target_shards,threshold}', 'bigint'),
    ('schedule_rebalance', '{router,every}', 'bigint'),
    ('unschedule', '{router}', 'boolean'),
    ('cancel_migration', '{id}', 'void'),
    ('pause_migration', '{id}', 'void'),
    ('resume_migration', '{id}', 'void'),
    ('plan', '{plan_id}', NULL),
    ('plan_movements', '{plan_id}', NULL),
    ('validate_plan', '{plan_id}', NULL),
    ('execute_plan', '{plan_id,batch_size,timeout,rollback_on_failure,start_at}', 'bigint'),
    ('add_shard', '{router,shard_name,server,rebalance,partition_keys}', 'bigint'),
    ('wait_migration', '{id,timeout}', NULL),
    ('is_migrating', '{router}', 'boolean'),
    ('verify_placement', '{router}', NULL);

-- Input arguments of the functions of schema shard.
CREATE TEMP VIEW actual AS
SELECT p.oid, p.proname AS name, p.proacl,
       ARRAY(SELECT a.name FROM unnest(p.proargnames, p.proargmodes) WITH ORDINALITY AS a (name, mode, n)
             WHERE coalesce(a.mode, 'i') IN ('i', 'b', 'v') ORDER BY n) AS arguments,
       format_type(p.prorettype, NULL) AS result
FROM pg_proc p WHERE p.pronamespace = 'shard'::regnamespace;

SELECT no_plan();

-- Arguments may be added behind those of the contract.
SELECT ok(EXISTS (SELECT FROM actual a
                  WHERE a.name = c.name AND a.arguments[1:cardinality(c.arguments)] = c.arguments
                    AND (c.result IS NULL OR a.result = c.result)),
          format('shard.%s(%s)', c.name, array_to_string(c.arguments, ', ')))
FROM contract c ORDER BY c.name;

SELECT has_view('shard', v, format('shard.%s', v))
FROM unnest('{routers,shards,tables,pipeline_status,dead_letters,migrations,migration_progress,migration_log,schedules}'::text[]) v;
SELECT columns_are('shard', 'shards', '{router,shard_index,shard_name,state,server,schema,weight}'::name[]);

SELECT is(ARRAY(SELECT k FROM jsonb_object_keys(to_jsonb(s)) k ORDER BY 1) @>
          '{bytes_scanned,cache_hit,duration_ms,files_pruned,files_scanned,partitions_pruned,partitions_scanned,rows_scanned,shards_queried,snapshot_id,total_rows}',
          true, 'last_query_stats has its columns')
FROM (SELECT count(*) FROM pg_class) c, shard.last_query_stats() s;

SELECT is(ARRAY(SELECT oid::regprocedure::text FROM pg_proc
                WHERE pronamespace IN ('shard'::regnamespace, '_shard'::regnamespace)
                  AND obj_description(oid, 'pg_proc') IS NULL
                  AND proname !~ '_hash$' ORDER BY 1),
          '{}'::text[], 'every function has a comment');
SELECT is(ARRAY(SELECT oid::regclass::text FROM pg_class
                WHERE relnamespace = 'shard'::regnamespace AND relkind = 'v'
                  AND obj_description(oid, 'pg_class') IS NULL ORDER BY 1),
          '{}'::text[], 'every view has a comment');
SELECT is(ARRAY(SELECT a.oid::regprocedure::text FROM actual a
                WHERE has_function_privilege('public', a.oid, 'EXECUTE') ORDER BY 1),
          '{}'::text[], 'no function of schema shard is for everybody');
SELECT is(ARRAY(SELECT a.oid::regprocedure::text FROM actual a
                WHERE NOT has_function_privilege('shard_admin', a.oid, 'EXECUTE')
                  AND NOT has_function_privilege('shard_reader', a.oid, 'EXECUTE') ORDER BY 1),
          '{}'::text[], 'every function of schema shard is for a role');
SELECT is(ARRAY(SELECT p.oid::regprocedure::text FROM pg_proc p
                WHERE p.pronamespace IN ('shard'::regnamespace, '_shard'::regnamespace) AND p.prosecdef ORDER BY 1),
          '{}'::text[], 'no function runs as its owner');

SELECT has_role('shard_admin');
SELECT has_role('shard_reader');
SELECT is(ARRAY(SELECT name FROM pg_settings WHERE name LIKE 'shard.%' AND short_desc = ''), '{}'::text[],
          'every setting is described');

-- Bad input names the value and what is allowed.
SELECT throws_like($$SELECT shard.create_router('bad', 'random', 4)$$, '%random%', 'unknown strategy');
SELECT throws_like($$SELECT shard.create_router('bad', 'hash', 0)$$, '%shard_count%', 'shard_count 0');
SELECT throws_like($$SELECT shard.create_router('bad', 'hash', 2000)$$, '%shard_count%', 'shard_count 2000');
SELECT throws_like($$SELECT shard.route('nowhere', 'x')$$, '%nowhere%', 'unknown router');
SELECT lives_ok($$SELECT shard.create_router('good', 'hash', 4)$$, 'a router');
SELECT throws_like($$SELECT shard.route('good', '')$$, '%key%', 'an empty key');
SELECT throws_like($$SELECT shard.create_router('good', 'hash', 4)$$, '%good%', 'a router of that name is there');
SELECT lives_ok($$SELECT shard.drop_router('good')$$, 'a router is dropped');

SELECT * FROM finish();
