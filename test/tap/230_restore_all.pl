# Dump, restore and pg_upgrade of a database with everything that a router can
# have: every strategy, weights, pins, isolated keys, ranges with a comparator and
# several ranges in a shard, composite, fallback and function keys, foreign keys
# between sharded tables and to plain ones, row-level security, schedules and
# options of the lake.  Afterwards the same rows lie in the same shards, keys are
# routed as before, the same is refused and allowed, and the lake is begun anew
# and equals the tables.  A row planted in the wrong shard is found.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my %settings = ('shard.flush_interval' => '200ms', max_locks_per_transaction => 1024);
my $node = shard_node('all', %settings);
my $dir = PostgreSQL::Test::Utils::tempdir();
my @at = ('-h', $node->host, '-p', $node->port);

$node->safe_psql('postgres', q{
	CREATE ROLE seller;
	CREATE SCHEMA "Apps" AUTHORIZATION seller;
	CREATE FUNCTION "Apps".initial(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT
		RETURN pg_catalog.upper(pg_catalog."left"($1, 1));
	CREATE FUNCTION "Apps".key_of(jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT
		RETURN coalesce(($1 OPERATOR(pg_catalog.->>) 'order_id'), ($1 OPERATOR(pg_catalog.->>) 'id'));
	SELECT shard.create_router('fnv', 'hash', 3, '{k}');
	SELECT shard.create_router('xxh', 'hash', 3, '{k}', hash_function => 'xxh3');
	SELECT shard.create_router('ring', 'consistent-hash', 4, '{k}', weights => '{1,2,1,3}');
	SELECT shard.create_router('tenants', 'tenant', 3, '{k}');
	SELECT shard.create_router('letters', 'range', partition_key => '{k}', default_shard => 1, ranges =>
		'[{"start": "c", "end": "f", "shard": 0}, {"start": "f", "end": "m", "shard": 1},
		  {"start": "m", "end": "p", "shard": 0}, {"start": "p", "end": null, "shard": 2}]');
	SELECT shard.create_router('times', 'range', partition_key => '{at}', key_type => 'timestamptz', ranges =>
		'[{"start": null, "end": "2024-04-01 00:00+00", "shard": 0}, {"start": "2024-04-01 00:00+00", "end": null, "shard": 1}]');
	SELECT shard.create_router('people', 'range', partition_key => '{name}', comparator => '"Apps".initial(text)', ranges =>
		'[{"start": "A", "end": "H", "shard": 0}, {"start": "H", "end": "P", "shard": 1}, {"start": "P", "end": null, "shard": 2}]');
	SELECT shard.create_router('both', 'hash', 3, '{tenant,region}', hash_function => 'xxh3');
	SELECT shard.create_router('either', 'consistent-hash', 3, '{customer}', fallback_key => 'id');
	SELECT shard.create_router('custom', 'hash', 3, '{order_id}', partition_key_fn => '"Apps".key_of(jsonb)');
	SELECT shard.pin('ring', 'pinned', 2);
	SELECT shard.pin('both', 't1:r1', (shard.route('both', 't1:r1') + 1) % 3);

	CREATE TABLE plain (id int PRIMARY KEY, word text);
	INSERT INTO plain SELECT i, 'word ' || i FROM generate_series(1, 10) i;
	CREATE TABLE fnv (k text, id int, plain int REFERENCES plain, at date, PRIMARY KEY (k, id));
	CREATE TABLE xxh (k bigint PRIMARY KEY, v text);
	CREATE TABLE ring (k text PRIMARY KEY, v text);
	CREATE TABLE "Apps"."Ring Items" (k text REFERENCES ring ON DELETE CASCADE, id bigint GENERATED ALWAYS AS IDENTITY,
		twice bigint GENERATED ALWAYS AS (id * 2) STORED, parent bigint, note text,
		PRIMARY KEY (k, id), FOREIGN KEY (k, parent) REFERENCES "Apps"."Ring Items");
	CREATE TABLE tenants (k text, id uuid DEFAULT gen_random_uuid(), PRIMARY KEY (k, id));
	CREATE TABLE letters (k text COLLATE "C", id int, PRIMARY KEY (k, id));
	CREATE TABLE letter_items (k text COLLATE "C", id int, item int, PRIMARY KEY (k, id, item));
	CREATE TABLE times (at timestamptz, id int, PRIMARY KEY (at, id));
	CREATE TABLE people (name text NOT NULL, id int);
	CREATE TABLE both_keys (tenant text, region text, id int, PRIMARY KEY (tenant, region, id));
	CREATE TABLE either (customer text, id int NOT NULL, note text);
	CREATE TABLE custom (id text PRIMARY KEY, order_id text);
	INSERT INTO fnv SELECT 'k' || i % 70, i, 1 + i % 10, date '2024-01-01' + i % 90 FROM generate_series(1, 1000) i;
	INSERT INTO xxh SELECT i * 7919, md5(i::text) FROM generate_series(-200, 800) i;
	INSERT INTO ring SELECT 'r' || i, i::text FROM generate_series(1, 200) i UNION ALL VALUES ('pinned', 'p');
	INSERT INTO "Apps"."Ring Items" (k, note) SELECT 'r' || 1 + i % 200, repeat('n', i % 40) FROM generate_series(1, 1500) i;
	INSERT INTO "Apps"."Ring Items" (k, note) SELECT 'pinned', repeat('large', 100) FROM generate_series(1, 3000) i;
	INSERT INTO tenants SELECT 't' || i % 30, md5(i::text)::uuid FROM generate_series(1, 600) i;
	INSERT INTO letters SELECT chr(97 + i % 26) || i % 40, i FROM generate_series(1, 800) i;
	INSERT INTO letter_items SELECT k, id, i FROM letters, generate_series(1, 2) i;
	INSERT INTO times SELECT timestamptz '2024-01-01 00:00+00' + i * interval '5 hours', i FROM generate_series(1, 900) i;
	INSERT INTO people SELECT chr(97 - 32 * (i % 2) + i % 26) || 'x' || i, i FROM generate_series(1, 500) i;
	INSERT INTO both_keys SELECT 't' || i % 20, 'r' || i % 7, i FROM generate_series(1, 700) i;
	INSERT INTO either SELECT CASE WHEN i % 3 > 0 THEN 'c' || i % 50 END, i, 'n' FROM generate_series(1, 600) i;
	INSERT INTO custom SELECT 'i' || i, CASE WHEN i % 2 = 0 THEN 'o' || i % 25 END FROM generate_series(1, 400) i;

	SET client_min_messages = error;
	SELECT shard.distribute_table('fnv', 'fnv', lake_options => '{"partition": ["month(at)"], "sort": ["id"]}');
	SELECT shard.distribute_table('xxh', 'xxh');
	SELECT shard.distribute_table('ring', 'ring', lake => false);
	SELECT shard.distribute_table('"Apps"."Ring Items"', 'ring');
	SELECT shard.distribute_table('tenants', 'tenants');
	SELECT shard.distribute_table('letters', 'letters');
	SELECT shard.distribute_table('letter_items', 'letters', lake => false);
	SELECT shard.distribute_table('times', 'times');
	SELECT shard.distribute_table('people', 'people', lake => false);
	SELECT shard.distribute_table('both_keys', 'both');
	SELECT shard.distribute_table('either', 'either', lake => false);
	SELECT shard.distribute_table('custom', 'custom', '{id,order_id}');
	ALTER TABLE letter_items ADD FOREIGN KEY (k, id) REFERENCES letters;
	CREATE INDEX ON both_keys (id);
	UPDATE "Apps"."Ring Items" SET parent = id WHERE id % 10 = 0;
	ALTER TABLE "Apps"."Ring Items" OWNER TO seller;
	ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
	CREATE POLICY few ON letters TO seller USING (id < 100);
	ALTER TABLE both_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
	CREATE POLICY few ON both_keys TO seller USING (id < 100);
	GRANT SELECT ON letters, both_keys TO seller;
	GRANT SELECT ON letters_shard_0.letters TO seller;
	SELECT shard.schedule_rebalance('ring', '1 day', '03:00', '04:00', start_at => '2100-01-01');
});
my $migration = $node->safe_psql('postgres', q{SELECT shard.isolate('tenants', 't7', 'big tenant')});
is($node->safe_psql('postgres', "SELECT success, error FROM shard.wait_migration($migration)"), 't|', 'a key is isolated');

my @tables = ('fnv', 'xxh', 'ring', '"Apps"."Ring Items"', 'tenants', 'letters', 'letter_items', 'times', 'people',
	'both_keys', 'either', 'custom');
my @in_lake = ('fnv', 'xxh', 'tenants', 'letters', 'times', 'both_keys', 'custom');

# Rows by leaf; where keys are routed; what the catalogs say.
sub state_of
{
	my ($in, $database) = @_;
	my $rows = join "\n", map {
		$in->safe_psql($database, qq{
			SET TimeZone = 'UTC';
			SELECT '$_', tableoid::regclass, count(*), sum(hashtextextended(t::text, 0)) FROM $_ t
			GROUP BY tableoid ORDER BY tableoid::regclass::text COLLATE "C"})
	} @tables;
	return $rows . "\n" . $in->safe_psql($database, q{
		SET TimeZone = 'UTC';
		SELECT r.name, string_agg(shard.route(r.name, CASE r.name
				WHEN 'times' THEN to_char(timestamp '2024-01-01' + i * interval '3 days', 'YYYY-MM-DD') || ' 00:00+00'
				ELSE chr(97 + i % 26) || i END)::text, '' ORDER BY i)
		FROM shard.routers r, generate_series(1, 100) i GROUP BY 1 ORDER BY 1;
		SELECT shard.route('ring', 'pinned'), shard.route('both', 't1:r1'), shard.route('tenants', 't7'),
			shard.assign('either', '{"id": 7}'), shard.assign('custom', '{"id": "i2", "order_id": "o2"}');
		SELECT (to_jsonb(r) - 'created_at')::text FROM shard.routers r ORDER BY name;
		SELECT s::text FROM shard.shards s ORDER BY router, shard_index;
		SELECT router, key, shard_index FROM _shard.pin ORDER BY 1, 2;
		SELECT relation, router, partition_key, lake, lake_options, shards FROM shard.tables ORDER BY relation::text COLLATE "C";
		SELECT router, every, window_start, window_end, next_run FROM _shard.schedule ORDER BY 1;
		SELECT c.oid::regclass, c.relowner::regrole, pg_get_partkeydef(c.oid), pg_get_expr(relpartbound, c.oid),
			relreplident, relrowsecurity, relforcerowsecurity, relacl
		FROM pg_class c WHERE (relkind = 'p' OR relispartition) AND relkind IN ('r', 'p') ORDER BY c.oid::regclass::text COLLATE "C";
		SELECT indrelid::regclass, indexrelid::regclass, indisvalid, indisunique FROM pg_index
		JOIN pg_class c ON c.oid = indrelid WHERE relkind = 'p' OR relispartition
		ORDER BY indexrelid::regclass::text COLLATE "C";
		SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
		WHERE conparentid = 0 AND contype = 'f' AND connamespace IN ('public'::regnamespace, '"Apps"'::regnamespace)
		ORDER BY conrelid::regclass::text COLLATE "C", 2;
	});
}

my $expected = state_of($node, 'postgres');
cmp_ok(length $expected, '>', 5000, 'there is much to compare');

my $misplaced = q{SELECT coalesce(sum((SELECT count(*) FROM shard.verify_placement(name))), -1) FROM shard.routers};

sub check
{
	my ($in, $database, $name) = @_;
	is(state_of($in, $database), $expected, "$name: rows, routing and definitions are the same");
	is($in->safe_psql($database, $misplaced), '0', "$name: nothing is misplaced");
	my ($result, $out, $err) = $in->psql($database, q{INSERT INTO "Apps"."Ring Items" (k) VALUES ('nobody')});
	like($err, qr/foreign key/, "$name: the foreign key between sharded tables holds");
	($result, $out, $err) = $in->psql($database, q{INSERT INTO fnv VALUES ('k1', -1, 99)});
	like($err, qr/foreign key/, "$name: and the one to a plain table");
	is( $in->safe_psql($database, q{
			SET ROLE seller;
			SELECT (SELECT count(*) FROM letters), (SELECT count(*) FROM letters_shard_0.letters WHERE id >= 100),
				(SELECT count(*) FROM both_keys)}),
		'99|0|99', "$name: policies hold on table and leaf");
	is( $in->safe_psql($database, q{
			INSERT INTO "Apps"."Ring Items" (k, note) VALUES ('pinned', 'new')
			RETURNING tableoid::regclass, id > 4500, twice = id * 2}),
		'ring_shard_2."Ring Items"|t|t', "$name: rows are routed and numbered as before");
	$in->safe_psql($database, q{
		INSERT INTO people VALUES ('zoe', 1000), ('Adam', 1001);
		INSERT INTO letters VALUES ('a', 1000), ('q', 1000);
		INSERT INTO custom VALUES ('i1000', 'o2')});
	is_lake_equal($in, $_, $name, $database) for @in_lake;
	return;
}

for my $case (
	[ 'plain SQL', 'by_psql', sub {
		$node->command_ok([ 'pg_dump', @at, '-f', "$dir/plain.sql", 'postgres' ], 'pg_dump to text');
		$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', @at, '-d', 'by_psql', '-f', "$dir/plain.sql" ],
			'restored by psql') } ],
	[ 'pg_restore -j', 'by_pg_restore', sub {
		$node->command_ok([ 'pg_dump', @at, '-Fd', '-j', '2', '-f', "$dir/dump", 'postgres' ], 'pg_dump to a directory');
		$node->command_ok([ 'pg_restore', @at, '-j', '4', '--exit-on-error', '-d', 'by_pg_restore', "$dir/dump" ],
			'restored by pg_restore -j 4') } ])
{
	my ($name, $database, $restore) = @$case;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$restore->();
	check($node, $database, $name);
	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)") if $database eq 'by_psql';
}

# A row planted in the wrong shard, below the router: copied from one leaf to
# another while the other is no partition for PostgreSQL.
for my $case ([ 'fnv', 'fnv', 'k' ], [ 'letters', 'letters', 'k' ], [ 'both', 'both_keys', "tenant || ':' || region" ],
	[ 'people', 'people', 'name' ])
{
	my ($router, $table, $key) = @$case;
	my $found = $node->safe_psql('by_pg_restore', qq{
		SET allow_system_table_mods = on;
		BEGIN;
		SELECT set_config('planted.from', (SELECT min(tableoid::regclass::text) FROM $table), true);
		SELECT set_config('planted.to', (SELECT max(tableoid::regclass::text) FROM $table), true);
		UPDATE pg_class SET relispartition = false WHERE oid = current_setting('planted.to')::regclass;
		DO \$\$ BEGIN EXECUTE format('INSERT INTO %s SELECT * FROM %s LIMIT 1',
			current_setting('planted.to'), current_setting('planted.from')); END \$\$;
		UPDATE pg_class SET relispartition = true WHERE oid = current_setting('planted.to')::regclass;
		COMMIT;
		SELECT relation, v.found_in <> v.belongs_to, v.belongs_to = shard.route('$router', v.partition_key), rows
		FROM shard.verify_placement('$router') v});
	like($found, qr/\n$table\|t\|t\|1$/, "a row of $table in the wrong shard is found");
}
$node->safe_psql('postgres', 'DROP DATABASE by_pg_restore WITH (FORCE)');

# pg_upgrade, by copying and by linking.
$node->stop('fast');
for my $mode ('copy', 'link')
{
	my $upgraded = PostgreSQL::Test::Cluster->new("by_$mode");
	$upgraded->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
	$upgraded->append_conf('postgresql.conf', shard_settings($upgraded, %settings));
	my ($bin) = run_command([ 'pg_config', '--bindir' ]);
	chomp $bin;
	$bin = $ENV{SHARD_BINDIR} if defined $ENV{SHARD_BINDIR};
	chdir $dir or die;
	command_ok(
		[ 'pg_upgrade', '--no-sync', ($mode eq 'link' ? '--link' : ()), '-d', $node->data_dir, '-D', $upgraded->data_dir,
			'-b', $bin, '-B', $bin, '-s', $node->host, '-p', $node->port, '-P', $upgraded->port ],
		"pg_upgrade, $mode");
	$upgraded->start();
	check($upgraded, 'postgres', "pg_upgrade, $mode");
	$upgraded->stop();
}
done_testing();
