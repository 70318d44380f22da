# Dump and restore of sharded tables without a lake: keys of every kind, a large
# leaf that pg_restore loads before the router's row, foreign keys between
# sharded tables, a schema in upper case.  Afterwards the tables are the same
# ones: they can be put together, dropped and written to.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('restore_tables');
my @connection = ('-h', $node->host, '-p', $node->port);
my $dir = PostgreSQL::Test::Utils::tempdir();

$node->safe_psql('postgres', q{
	CREATE ROLE seller;
	SELECT shard.create_router('app', 'consistent-hash', 4, partition_key => '{customer}');
	SELECT shard.create_router('ids', 'hash', 3, partition_key => '{id}', hash_function => 'xxh3');
	SELECT shard.pin('app', 'pinned', 2);
	CREATE SCHEMA "Sales" AUTHORIZATION seller;
	CREATE TABLE "Sales".customers (customer text PRIMARY KEY, name text);
	CREATE TABLE "Sales"."Orders" (customer text REFERENCES "Sales".customers ON DELETE CASCADE,
		id bigint GENERATED ALWAYS AS IDENTITY, twice bigint GENERATED ALWAYS AS (id * 2) STORED, note text,
		parent bigint, PRIMARY KEY (customer, id), FOREIGN KEY (customer, parent) REFERENCES "Sales"."Orders");
	CREATE INDEX by_note ON "Sales"."Orders" (lower(note)) WHERE id > 10;
	CREATE TABLE numbers (id bigint PRIMARY KEY, v text);
	CREATE TABLE things (id uuid PRIMARY KEY, v text);
	CREATE TABLE small (id int PRIMARY KEY);
	INSERT INTO "Sales".customers SELECT 'c' || i, 'n' || i FROM generate_series(1, 300) i UNION ALL VALUES ('pinned', 'p');
	INSERT INTO "Sales"."Orders" (customer, note) SELECT 'c' || 1 + i % 300, repeat('n', i % 50) FROM generate_series(1, 5000) i;
	INSERT INTO "Sales"."Orders" (customer, note) SELECT 'pinned', repeat('large', 100) FROM generate_series(1, 20000) i;
	INSERT INTO numbers SELECT i * 7919, i FROM generate_series(1, 2000) i;
	INSERT INTO things SELECT md5(i::text)::uuid, i FROM generate_series(1, 2000) i;
	INSERT INTO small SELECT i FROM generate_series(-100, 100) i;
	ALTER TABLE "Sales"."Orders" OWNER TO seller;
	SELECT shard.distribute_table('"Sales"."Orders"', 'app', lake => false);
	SELECT shard.distribute_table('"Sales".customers', 'app', lake => false);
	SELECT shard.distribute_table('numbers', 'ids', lake => false);
	SELECT shard.distribute_table('things', 'ids', lake => false);
	SELECT shard.distribute_table('small', 'ids', lake => false);
	UPDATE "Sales"."Orders" SET parent = id WHERE id % 10 = 0;
});

my @tables = ('"Sales"."Orders"', '"Sales".customers', 'numbers', 'things', 'small');

sub contents
{
	my ($database) = @_;
	return join "\n", map {
		$node->safe_psql($database, qq{
			SELECT '$_', tableoid::regclass, count(*), sum(hashtextextended(t::text, 0)) FROM $_ t
			GROUP BY tableoid ORDER BY tableoid::regclass::text})
	} @tables;
}

sub catalog
{
	my ($database) = @_;
	return $node->safe_psql($database, q{
		SELECT relation, router, partition_key, lake, shards FROM shard.tables ORDER BY relation::text;
		SELECT c.oid::regclass, c.relowner::regrole, pg_get_partkeydef(c.oid) FROM pg_class c
		WHERE relkind = 'p' ORDER BY c.oid::regclass::text;
		SELECT conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
		WHERE conparentid = 0 AND contype = 'f' AND connamespace = '"Sales"'::regnamespace ORDER BY conrelid::regclass::text, 2;
		SELECT router, key, shard_index FROM _shard.pin;
	});
}

my $rows = contents('postgres');
my $catalog = catalog('postgres');

sub check
{
	my ($database, $name) = @_;
	is(contents($database), $rows, "$name: the same rows in the same shards");
	is(catalog($database), $catalog, "$name: the same tables");
	is($node->safe_psql($database, q{
			SELECT count(*) FROM shard.verify_placement('app');
			SELECT count(*) FROM shard.verify_placement('ids')}), "0\n0", "$name: nothing is misplaced");
	my ($result, $out, $err) = $node->psql($database, q{INSERT INTO "Sales"."Orders" (customer) VALUES ('nobody')});
	like($err, qr/foreign key/, "$name: the foreign key holds");
	is($node->safe_psql($database, q{
			INSERT INTO "Sales"."Orders" (customer, note) VALUES ('pinned', 'new')
			RETURNING tableoid::regclass, id > 25000, twice = id * 2}), 'app_shard_2."Orders"|t|t',
		"$name: rows are routed and numbered as before");
	$node->safe_psql($database, q{SELECT shard.undistribute_table('"Sales"."Orders"')});
	is($node->safe_psql($database, q{SELECT count(*) FROM "Sales"."Orders"}), '25001',
		"$name: a table can be put together");
	$node->safe_psql($database, q{
		DROP TABLE numbers, things, small;
		DROP SCHEMA "Sales" CASCADE;
		SELECT shard.drop_router('app');
		SELECT shard.drop_router('ids')});
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_namespace WHERE nspname ~ '_shard_'}), '0',
		"$name: dropped tables leave no schema");
	return;
}

$node->safe_psql('postgres', 'CREATE DATABASE by_psql; CREATE DATABASE by_pg_restore; CREATE DATABASE by_sections;');
$node->command_ok([ 'pg_dump', @connection, '-f', "$dir/plain.sql", 'postgres' ], 'pg_dump to text');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', @connection, '-d', 'by_psql', '-f', "$dir/plain.sql" ],
	'restored by psql');
check('by_psql', 'psql');

$node->command_ok([ 'pg_dump', @connection, '-Fd', '-j', '2', '-f', "$dir/dump", 'postgres' ], 'pg_dump to a directory');
$node->command_ok([ 'pg_restore', @connection, '-j', '2', '--exit-on-error', '-d', 'by_pg_restore', "$dir/dump" ],
	'restored by pg_restore -j 2');
check('by_pg_restore', 'pg_restore -j 2');

# Rows of the shards first, those of the catalog last and backwards: the worst
# order there is, and a parallel restore may come near it.
my ($list) = run_command([ 'pg_restore', '--list', "$dir/dump" ]);
my @data = grep { / TABLE DATA / } split /\n/, $list;
my @others = grep { !/ TABLE DATA / } split /\n/, $list;
my %list = (
	schema => [ grep { !/ (CONSTRAINT|INDEX|INDEX ATTACH|FK CONSTRAINT|TRIGGER) / } @others ],
	shards => [ grep { !/ TABLE DATA _shard / } @data ],
	catalog => [ reverse grep { / TABLE DATA _shard / } @data ],
	rest => [ grep { / (CONSTRAINT|INDEX|INDEX ATTACH|FK CONSTRAINT|TRIGGER) / } @others ]);
cmp_ok(scalar @{ $list{catalog} }, '>', 3, 'the catalog is dumped');
for my $part (qw(schema shards catalog rest))
{
	append_to_file("$dir/$part", join("\n", @{ $list{$part} }) . "\n");
	$node->command_ok([ 'pg_restore', @connection, '--exit-on-error', '-L', "$dir/$part", '-d', 'by_sections', "$dir/dump" ],
		"restored: $part");
}
check('by_sections', 'catalog last');

$node->stop();
done_testing();
