# A hostile search_path, and users without rights.  Every function and operator
# of pg_catalog has a namesake in a schema that comes first on the database's
# search_path, so on the workers', too; each raises an error when it is called.
# Everything public is then run by a superuser, with DDL that event triggers
# follow.  Afterwards the rights of shard_admin, shard_reader and everybody else.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('hostile', 'shard.flush_interval' => '200ms');

$node->safe_psql('postgres', q{
	SET client_min_messages = error;
	CREATE SCHEMA evil;
	DO $do$
	DECLARE
		f record;
	BEGIN
		FOR f IN
			SELECT p.proname, p.prorettype::regtype AS result, CASE WHEN p.proretset THEN 'SETOF ' ELSE '' END AS set,
				(SELECT string_agg(CASE WHEN p.provariadic <> 0 AND i = p.pronargs THEN 'VARIADIC ' ELSE '' END || format_type(t, NULL), ', ' ORDER BY i)
				 FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY u(t, i)) AS args
			FROM pg_proc p
			WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
			AND prorettype NOT IN ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
			AND NOT EXISTS (SELECT FROM unnest(proargtypes) t WHERE t IN ('internal'::regtype, 'cstring'::regtype))
		LOOP
			BEGIN
				EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s%s LANGUAGE plpgsql AS %L', f.proname, f.args, f.set, f.result,
					format('BEGIN RAISE EXCEPTION %L; END', 'hostile function ' || f.proname));
			EXCEPTION WHEN OTHERS THEN NULL;	-- handlers and the like, which plpgsql cannot be
			END;
		END LOOP;
		FOR f IN
			SELECT o.oprname, oprleft, oprright, p.proname FROM pg_operator o JOIN pg_proc p ON p.oid = oprcode
			WHERE oprnamespace = 'pg_catalog'::regnamespace
		LOOP
			EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.%I %s, RIGHTARG = %s)', f.oprname, f.proname,
				CASE WHEN f.oprleft <> 0 THEN ', LEFTARG = ' || format_type(f.oprleft, NULL) ELSE '' END,
				format_type(f.oprright, NULL));
		END LOOP;
		FOR f IN
			SELECT p.proname, format_type(p.proargtypes[0], NULL) AS type FROM pg_proc p
			WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'a' AND pronargs = 1
			AND proargtypes[0] NOT IN (SELECT oid FROM pg_type WHERE typtype = 'p')
		LOOP
			IF to_regprocedure(format('evil.hostile_step(int, %s)', f.type)) IS NULL THEN
				EXECUTE format('CREATE FUNCTION evil.hostile_step(int, %s) RETURNS int LANGUAGE plpgsql AS %L', f.type,
					'BEGIN RAISE EXCEPTION $$hostile aggregate$$; END');
			END IF;
			EXECUTE format('CREATE AGGREGATE evil.%I(%s) (SFUNC = evil.hostile_step, STYPE = int)', f.proname, f.type);
		END LOOP;
	END $do$;
	-- Types and relations, too.
	CREATE FUNCTION evil.hostile() RETURNS pg_catalog.bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$hostile type or relation$$; END';
	DO $do$
	DECLARE
		n text;
	BEGIN
		FOREACH n IN ARRAY '{text,name,oid,regclass,regtype,regproc,int2,int4,int8,bool,float8,numeric,jsonb,interval,timestamptz,pg_lsn}'::text[] LOOP
			EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (evil.hostile())', n, n);
		END LOOP;
		FOREACH n IN ARRAY '{pg_class,pg_namespace,pg_inherits,pg_index,pg_constraint,pg_type,pg_proc,pg_trigger,pg_roles,pg_stat_activity,pg_replication_slots,pg_depend,pg_settings,pg_database,pg_locks,pg_description}'::text[] LOOP
			EXECUTE format('CREATE VIEW evil.%I AS SELECT * FROM pg_catalog.%I WHERE evil.hostile()', n, n);
		END LOOP;
	END $do$;
	CREATE VIEW evil.pg_attribute AS SELECT attrelid, attnum, attname FROM pg_catalog.pg_attribute WHERE evil.hostile();
	CREATE TABLE orders (k pg_catalog.text, id pg_catalog.int4, v pg_catalog.text, PRIMARY KEY (k, id));
	INSERT INTO orders SELECT 'k' || i % 50, i, 'v' FROM generate_series(1, 500) i;
	CREATE TABLE lines (k pg_catalog.text, id pg_catalog.int4, line pg_catalog.int4, PRIMARY KEY (k, id, line));
	CREATE TABLE words (k pg_catalog.text COLLATE "C", id pg_catalog.int4, PRIMARY KEY (k, id));
	INSERT INTO words SELECT chr(97 + i % 26), i FROM generate_series(1, 200) i;
	CREATE TABLE both_keys (a pg_catalog.text, b pg_catalog.text, id pg_catalog.int4, PRIMARY KEY (a, b, id));
	INSERT INTO both_keys SELECT 'a' || i % 9, 'b' || i % 5, i FROM generate_series(1, 100) i;
	CREATE TABLE gone (k pg_catalog.text PRIMARY KEY);
	ALTER DATABASE postgres SET search_path = evil, pg_catalog, public;
	CREATE ROLE adm IN ROLE shard_admin LOGIN;
	CREATE ROLE rdr IN ROLE shard_reader LOGIN;
	CREATE ROLE nobody LOGIN;
	ALTER ROLE adm SET search_path = public, pg_catalog;
	GRANT CREATE ON SCHEMA public TO adm;
});
$node->restart();

my ($result, $out, $err) = $node->psql('postgres', q{SELECT 1 = 1});
like($err, qr/hostile function int4eq/, 'the trap is set');

my %called;

# One statement; a migration's id goes to the next one by :id.
sub run_one
{
	my ($sql, $id) = @_;
	$called{$1} = 1 while $sql =~ /shard\.(\w+)\(/g;
	$sql =~ s/:id\b/$id/g if defined $id;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql);
	(my $name = $sql) =~ s/\s+/ /g;
	ok($rc == 0 && $stderr !~ /hostile/, substr($name, 0, 100)) or diag($stderr);
	return $stdout;
}

run_one($_) for (
	q{SELECT shard.create_router('app', 'consistent-hash', 3, '{k}', hash_function => 'xxh3', max_entities_per_shard => 1000, max_bytes_per_shard => 1000000, min_entities_per_shard => 1)},
	q{SELECT shard.create_router('letters', 'range', partition_key => '{k}', ranges => '[{"start": null, "end": "m", "shard": 0}, {"start": "m", "end": null, "shard": 1}]')},
	q{SELECT shard.create_router('both', 'hash', 2, '{a,b}')},
	q{SELECT shard.create_router('old', 'tenant', 2, '{k}')},
	q{SELECT shard.distribute_table('public.orders', 'app')},
	q{SELECT shard.distribute_table('public.lines', 'app')},
	q{SELECT shard.distribute_table('public.words', 'letters')},
	q{SELECT shard.distribute_table('public.both_keys', 'both')},
	q{SELECT shard.distribute_table('public.gone', 'old', lake => false)},
	q{INSERT INTO public.lines SELECT k, id, 1 FROM public.orders},
	q{ALTER TABLE public.lines ADD FOREIGN KEY (k, id) REFERENCES public.orders},
	q{UPDATE public.orders SET v = 'w'},
	q{DELETE FROM public.words},
	q{ALTER TABLE public.orders ADD COLUMN extra pg_catalog.int4, ADD CHECK (extra OPERATOR(pg_catalog.>) 0)},
	q{ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY},
	q{ALTER TABLE public.orders RENAME COLUMN v TO value},
	q{ALTER TABLE public.words RENAME TO the_words},
	q{CREATE INDEX ON public.orders (value)},
	q{SELECT shard.flush()},
	q{SELECT * FROM lake.orders ORDER BY id USING OPERATOR(pg_catalog.<) LIMIT 3},
	q{SELECT * FROM lake.orders_events LIMIT 3},
	q{SELECT shard.route('app', 'k1'), shard.assign('both', '{"a": "x", "b": "y"}'), shard.extract_partition_key('both', '{"a": "x", "b": "y"}')},
	q{SELECT * FROM shard.shard_info('app', 'k1')},
	q{SELECT * FROM shard.distribution('app', 1000)},
	q{SELECT shard.create_router(pg_catalog.jsonb_set(shard.router_definition('both'), '{name}', '"copy"'))},
	q{SELECT shard.alter_router('app', max_entities_per_shard => 2000)},
	q{SELECT shard.alter_router('letters', ranges => '[{"start": null, "end": "f", "shard": 0}, {"start": "f", "end": null, "shard": 1}]')},
	q{SELECT shard.pin('old', 'p', 1)},
	q{SELECT shard.unpin('old', 'p')},
	q{SELECT shard.drop_router('copy')},
	q{SELECT shard.emit('app', 'happened', 'store', '{"a": 1}', 'k1', 'once')},
	q{SELECT * FROM shard.forward('app', 'k1', 'SELECT id FROM orders WHERE k OPERATOR(pg_catalog.=) $1', 'k1')},
	q{SELECT * FROM shard.scatter_gather('app', 'SELECT id FROM orders LIMIT 1')},
	q{SELECT shard.record_access('app', 'k1', 'read')},
	q{SELECT * FROM shard.hot_shards('app', 1, '1 minute')},
	q{SELECT * FROM shard.hot_keys('app', 5, '1 minute')},
	q{SELECT * FROM shard.shard_stats('app')},
	q{SELECT * FROM shard.shard_stats('app', true)},
	q{SELECT * FROM shard.utilization('app')},
	q{SELECT * FROM shard.rebalance_hints('app')},
	q{SELECT * FROM shard.metrics('app')},
	q{SELECT * FROM shard.analyze_balance('app')},
	q{SELECT shard.stat_reset('app')},
	q{SELECT * FROM shard.lake_snapshots('lake.orders')},
	q{SELECT * FROM shard.lake_files('lake.orders')},
	q{SELECT * FROM shard.lake_manifests('lake.orders')},
	q{SELECT * FROM shard.lake_history('lake.orders')},
	q{SELECT * FROM shard.lake_refs('lake.orders')},
	q{SELECT * FROM shard.last_query_stats()},
	q{SELECT shard.alter_lake_options('public.orders', '{"sort": ["id"]}')},
	q{SELECT * FROM shard.compact('public.orders', true)},
	q{SELECT * FROM shard.expire_snapshots('public.orders', '0 s', 1)},
	q{SELECT * FROM shard.remove_orphan_files('public.orders', '1 day')},
	q{SELECT shard.replay_dead_letters()},
	q{SELECT shard.resync()},
	q{SELECT shard.resync('public.orders')},
	q{SELECT shard.replay_dead_letters('public.orders')},
	q{SELECT * FROM shard.verify_placement('app')},
	q{SELECT * FROM shard.verify_placement('letters')},
	q{SELECT * FROM shard.verify_placement('both')},
	q{SELECT shard.is_migrating('app')});

my $id = run_one(q{SELECT shard.plan_add_shard('app')});
run_one($_, $id) for (q{SELECT * FROM shard.plan(:id)}, q{SELECT * FROM shard.plan_movements(:id)},
	q{SELECT * FROM shard.validate_plan(:id)});
$id = run_one(q{SELECT shard.execute_plan(:id)}, $id);
like(run_one(q{SELECT * FROM shard.wait_migration(:id)}, $id), qr/^t\|/, 'a shard was added');
run_one(q{SELECT shard.plan_remove_shard('app', 0)});
run_one(q{SELECT shard.plan_rebalance('app')});
run_one(q{SELECT shard.plan_isolate('app', 'k3')});
for my $start (q{SELECT shard.add_shard('both')}, q{SELECT shard.isolate('app', 'k1')}, q{SELECT shard.remove_shard('app', 1)},
	q{SELECT shard.rebalance('app', '{k2}', '{0}')})
{
	$id = run_one($start);
	like(run_one(q{SELECT * FROM shard.wait_migration(:id)}, $id), qr/^t\|/, "$start has moved keys");
}
$id = run_one(q{SELECT shard.add_shard('old', start_at => '2100-01-01')});
run_one($_, $id) for (q{SELECT shard.pause_migration(:id)}, q{SELECT shard.resume_migration(:id)}, q{SELECT shard.cancel_migration(:id)});
$id = run_one(q{SELECT shard.schedule_rebalance('app', '1 day')});
run_one($_, $id) for (q{SELECT shard.unschedule('app')}, q{SELECT shard.unschedule(:id)});
run_one($_) for map { "SELECT * FROM shard.$_" } split / /,
	'routers shards engine_status pipeline_status dead_letters tables maintenance migrations migration_progress migration_log schedules stat_shards stat_routers';
run_one($_) for (
	q{SELECT shard.flush()},
	q{SELECT shard.undistribute_table('public.both_keys')},
	q{DROP TABLE public.gone},
	q{DROP TABLE public.the_words},
	q{SELECT shard.drop_router('letters')});

# What is in the lake is what is in the table.
is($node->safe_psql('postgres', q{
		SET search_path = pg_catalog;
		SELECT count(*) FROM (SELECT k, id, value, extra FROM public.orders EXCEPT ALL SELECT k, id, value, extra FROM lake.orders) d}),
	'0', 'the lake has the rows');
my @log = grep { /ERROR:.*hostile/ } split /\n/, slurp_file($node->logfile);
is(scalar @log, 1, 'no worker has called what was planted, only the first test has') or diag(join "\n", @log);

my @missed = grep { !$called{$_} } split /\n/, $node->safe_psql('postgres', q{
	SET search_path = pg_catalog;
	SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'shard'::regnamespace ORDER BY 1});
is("@missed", '', 'every public function was called');

# ---- rights ----

# Functions by who may call them; a new one must be put into one of these lists.
my $reader = join ' ', qw(analyze_balance assign distribution extract_partition_key flush forward hot_keys hot_shards
	is_migrating lake_files lake_history lake_manifests lake_refs lake_snapshots last_query_stats metrics plan plan_movements rebalance_hints
	record_access route scatter_gather shard_info shard_stats utilization wait_migration);
sub callable
{
	my ($role) = @_;
	return join ' ', split /\n/, $node->safe_psql('postgres', qq{
		SET search_path = pg_catalog;
		SELECT DISTINCT proname COLLATE "C" FROM pg_proc WHERE pronamespace = 'shard'::regnamespace
		AND has_function_privilege('$role', oid, 'EXECUTE') ORDER BY 1});
}
is(callable('nobody'), '', 'nobody may call a function of schema shard');
is(callable('rdr'), $reader, 'what shard_reader may call');
is($node->safe_psql('postgres', q{
		SET search_path = pg_catalog;
		SELECT count(*) FROM pg_proc WHERE pronamespace = 'shard'::regnamespace AND NOT has_function_privilege('adm', oid, 'EXECUTE')}),
	'0', 'shard_admin may call all');
is($node->safe_psql('postgres', q{
		SET search_path = pg_catalog;
		SELECT count(*) FROM pg_class WHERE relnamespace IN ('shard'::regnamespace, '_shard'::regnamespace) AND relkind IN ('r', 'v', 'S')
		AND (has_table_privilege('nobody', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
			OR has_table_privilege('rdr', oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))}),
	'0', 'nobody may read the catalog, and a reader not write it');
is($node->safe_psql('postgres', q{
		SET search_path = pg_catalog;
		SELECT count(*) FROM pg_proc WHERE pronamespace IN ('shard'::regnamespace, '_shard'::regnamespace) AND prosecdef}),
	'0', 'no function runs as its owner');

sub as_role
{
	my ($role, $sql) = @_;
	my ($rc, $stdout, $stderr) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
	return ($rc, $stdout, $stderr);
}
for my $refused (q{SELECT shard.route('app', 'k1')}, q{SELECT * FROM shard.routers}, q{SELECT * FROM _shard.router}, q{SELECT shard.flush()})
{
	my ($rc, $stdout, $stderr) = as_role('nobody', $refused);
	like($stderr, qr/permission denied/, "nobody: $refused");
}
for my $refused (q{SELECT shard.create_router('x')}, q{SELECT shard.add_shard('app')}, q{SELECT shard.distribute_table('public.both_keys', 'both')},
	q{SELECT shard.pin('app', 'x', 0)}, q{DELETE FROM _shard.pin}, q{SELECT * FROM shard.dead_letters},
	q{SELECT * FROM shard.forward('app', 'k1', 'DELETE FROM orders')}, q{SELECT * FROM app_shard_2.orders})
{
	my ($rc, $stdout, $stderr) = as_role('rdr', $refused);
	like($stderr, qr/permission denied/, "shard_reader: $refused");
}
is((as_role('rdr', q{SELECT shard.route('app', 'k1') IS NOT NULL}))[1], 't', 'shard_reader routes');
$node->safe_psql('postgres', 'GRANT SELECT ON public.lines TO rdr');
is((as_role('rdr', q{SELECT * FROM shard.forward('app', 'k1', 'SELECT pg_catalog.count(*) FROM public.lines')}))[0], 0,
	'shard_reader forwards what it may read');
for my $allowed (
	q{SELECT shard.create_router('mine', 'hash', 2, '{k}')},
	q{CREATE TABLE public.mine (k text PRIMARY KEY, v text)},
	q{INSERT INTO public.mine SELECT 'k' || i, 'v' FROM generate_series(1, 100) i},
	q{SELECT shard.distribute_table('public.mine', 'mine')},
	q{INSERT INTO public.mine VALUES ('new', 'v')},
	q{SELECT shard.add_shard('mine')},
	q{SELECT * FROM shard.wait_migration((SELECT max(migration_id) FROM shard.migrations))},
	q{SELECT * FROM shard.verify_placement('mine')},
	q{SELECT shard.undistribute_table('public.mine')},
	q{SELECT shard.drop_router('mine')})
{
	my ($rc, $stdout, $stderr) = as_role('adm', $allowed);
	is($rc, 0, "shard_admin: $allowed") or diag($stderr);
}
{
	my ($rc, $stdout, $stderr) = as_role('adm', q{SELECT shard.undistribute_table('public.orders')});
	like($stderr, qr/must be owner/, 'shard_admin: not the tables of others');
}
$node->stop();
done_testing();
