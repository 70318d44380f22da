# Many shards: the lock table is looked at before a table is distributed and
# before a shard is added, and a query for one key locks as little among many
# shards as among few.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('many', max_connections => 20, max_locks_per_transaction => 48);

sub sql { return $node->safe_psql('postgres', $_[0]); }
sub error
{
	my ($result, $out, $err) = $node->psql('postgres', $_[0]);
	return $err;
}

sql(q{
	SELECT shard.create_router('few', 'hash', 4, '{k}');
	SELECT shard.create_router('many', 'consistent-hash', 120, '{k}');
	SELECT shard.create_router('too_many', 'hash', 1000, '{k}');
	CREATE TABLE few (k text PRIMARY KEY, v int);
	CREATE TABLE many (k text PRIMARY KEY, v int);
	CREATE TABLE too_many (k text PRIMARY KEY, v int);
	SELECT shard.distribute_table('few', 'few', lake => false);
	SELECT shard.distribute_table('many', 'many', lake => false)});
like(error(q{SELECT shard.distribute_table('too_many', 'too_many', lake => false)}),
	qr/max_locks_per_transaction is too low for 1000 shards.*HINT:  Set max_locks_per_transaction to at least \d+/s,
	'a table that would fill the lock table is refused, with the value to set');
is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname ~ '^too_many_shard'}), '0', 'and nothing is left of it');

# Locks on tables and indexes that a statement of one key takes.
sub locks
{
	my ($statement) = @_;
	my $out = sql(qq{
		$statement;
		BEGIN;
		$statement;
		SELECT 'locks', count(*) FROM pg_locks JOIN pg_class c ON c.oid = relation
		WHERE pid = pg_backend_pid() AND locktype = 'relation' AND (c.relname ~ '^(few|many)');
		ROLLBACK});
	my ($n) = $out =~ /locks\|(\d+)/;
	return $n;
}
for my $statement (q{SELECT v FROM %s WHERE k = 'key-1'}, q{UPDATE %s SET v = v + 1 WHERE k = 'key-1'},
	q{INSERT INTO %s VALUES ('key-1', 1) ON CONFLICT (k) DO UPDATE SET v = 1})
{
	is(locks(sprintf $statement, 'many'), locks(sprintf $statement, 'few'), "as many locks among many shards: $statement");
}

$node->append_conf('postgresql.conf', 'max_locks_per_transaction = 16');
$node->restart();
like(error(q{SELECT shard.add_shard('many')}) . error(q{SELECT success, error FROM shard.wait_migration((SELECT max(migration_id) FROM shard.migrations))})
	  . sql(q{SELECT coalesce(string_agg(error, ' '), '') FROM shard.migrations}),
	qr/max_locks_per_transaction is too low for 121 shards/, 'a shard too many is refused');
is(sql(q{SELECT count(*) FROM many WHERE k = 'key-1'}), '1', 'the table is as it was');
$node->stop();
done_testing();
