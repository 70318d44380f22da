# Dump and restore: a database with sharded tables has the same rows in the same
# shards afterwards, by psql and by parallel pg_restore, and its lake is filled.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('restore', 'shard.flush_interval' => '200ms');
my $host = $node->host;
my $port = $node->port;
my $dir = PostgreSQL::Test::Utils::tempdir();

# A schema that sorts before the extension's, and one in upper case.
$node->safe_psql('postgres', q{
	SELECT shard.create_router('app', 'consistent-hash', 5, partition_key => '{k}');
	SELECT shard.create_router('Upper "Case"', 'hash', 3, partition_key => '{k}', hash_function => 'xxh3');
	CREATE SCHEMA "Sales";
	CREATE TABLE "Sales"."Orders" (k text, id bigint GENERATED ALWAYS AS IDENTITY, twice bigint GENERATED ALWAYS AS (id * 2) STORED,
		note text, PRIMARY KEY (k, id));
	CREATE TABLE customers (k text PRIMARY KEY, name text);
	CREATE TABLE numbers (k bigint PRIMARY KEY, v text);
	INSERT INTO customers SELECT 'c' || i, 'name ' || i FROM generate_series(1, 300) i;
	SELECT shard.distribute_table('customers', 'app');
	SELECT shard.distribute_table('"Sales"."Orders"', 'app');
	SELECT shard.distribute_table('numbers', 'Upper "Case"');
	ALTER TABLE "Sales"."Orders" ADD FOREIGN KEY (k) REFERENCES customers;
	INSERT INTO "Sales"."Orders" (k, note) SELECT 'c' || 1 + i % 300, repeat('n', i % 50) FROM generate_series(1, 5000) i;
	INSERT INTO numbers SELECT i, md5(i::text) FROM generate_series(1, 1000) i;
});

my @tables = ('"Sales"."Orders"', 'customers', 'numbers');

sub contents
{
	my ($database) = @_;
	return join("\n", map {
		$node->safe_psql($database, qq{
			SELECT '$_', tableoid::regclass, count(*), sum(hashtextextended(t::text, 0)) FROM $_ t GROUP BY 2 ORDER BY 2})
	} @tables);
}

sub check
{
	my ($database, $expected, $name) = @_;
	is(contents($database), $expected, "$name: the same rows in the same shards");
	is( $node->safe_psql($database, q{
			SELECT count(*) FROM customers
			WHERE tableoid::regclass::text <> format('app_shard_%s.customers', shard.route('app', k))}),
		'0', "$name: rows lie where their keys are routed to");
	is($node->safe_psql($database, q{SELECT count(*) FROM shard.verify_placement('app')}), '0',
		"$name: nothing is misplaced");
	my ($result, $out, $err) = $node->psql($database, q{INSERT INTO "Sales"."Orders" (k) VALUES ('nobody')});
	like($err, qr/foreign key/, "$name: the foreign key holds");
	$node->safe_psql($database, q{INSERT INTO "Sales"."Orders" (k) VALUES ('c1') });
	is_lake_equal($node, 'customers', $name, $database);
	is_lake_equal($node, 'numbers', $name, $database);
	return;
}

my $expected = contents('postgres');

$node->safe_psql('postgres', 'CREATE DATABASE by_psql');
$node->command_ok([ 'pg_dump', '-h', $host, '-p', $port, '-f', "$dir/plain.sql", 'postgres' ], 'pg_dump to text');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-h', $host, '-p', $port, '-d', 'by_psql', '-f', "$dir/plain.sql" ],
	'restored by psql');
check('by_psql', $expected, 'psql');

$node->safe_psql('postgres', 'CREATE DATABASE by_pg_restore');
$node->command_ok([ 'pg_dump', '-h', $host, '-p', $port, '-Fd', '-j', '2', '-f', "$dir/dump", 'postgres' ], 'pg_dump to a directory');
$node->command_ok([ 'pg_restore', '-h', $host, '-p', $port, '-j', '2', '--exit-on-error', '-d', 'by_pg_restore', "$dir/dump" ],
	'restored by pg_restore -j 2');
check('by_pg_restore', $expected, 'pg_restore -j 2');

# The slot goes with its database.
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_replication_slots}), '3', 'a slot for each database');
$node->safe_psql('postgres', 'DROP DATABASE by_psql');
$node->poll_query_until('postgres', 'SELECT count(*) = 2 FROM pg_replication_slots');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_replication_slots}), '2', 'a dropped database leaves no slot');
$node->stop();
done_testing();
