# While clients write, a client's backend is killed and the server stopped, in
# the middle of migrations of each kind: they go on by themselves, live table,
# lake and oracle agree, and nothing is left over.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('load', 'shard.flush_interval' => '100ms', restart_after_crash => 'on');
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Table and oracle change in one transaction: a crash takes both or neither.
open(my $out, '>', "$dir/writer.sql") or die $!;
print $out q{
\set k random(1, 60)
\set k2 random(1, 60)
\set id :client_id * 1000 + random(1, 200)
BEGIN;
INSERT INTO accounts (k, id, v, n) VALUES ('key-' || :k, :id, repeat('v', :k), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = accounts.n + 1;
INSERT INTO oracle (k, id, v, n) VALUES ('key-' || :k, :id, repeat('v', :k), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = oracle.n + 1;
DELETE FROM accounts WHERE k = 'key-' || :k2 AND id = :id + 7;
DELETE FROM oracle WHERE k = 'key-' || :k2 AND id = :id + 7;
COMMIT;
};
close($out);

sub await
{
	my ($query, $what) = @_;
	$node->poll_query_until('postgres', $query) or die "not to be had: $what";
	return;
}

sub set_up
{
	sql(q{
		SELECT shard.create_router('app', 'consistent-hash', 3, ARRAY['k']);
		CREATE TABLE accounts (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
		CREATE TABLE oracle (LIKE accounts INCLUDING ALL);
		INSERT INTO accounts SELECT 'key-' || i % 60 + 1, 100000 + i, repeat('x', i % 300), i
			FROM generate_series(1, 1200) i;
		INSERT INTO oracle SELECT * FROM accounts;
		SELECT shard.distribute_table('accounts', 'app');
	});
	return;
}

sub start_writers
{
	my ($errors) = @_;
	my $writers = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '3', '-j', '1', '-T', '600', '-f', "$dir/writer.sql", $node->connstr('postgres') ],
		'>', '/dev/null', '2>', $errors);
	await(q{SELECT count(*) > 1250 FROM oracle}, 'writes');
	return $writers;
}

sub kill_backend
{
	my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid LIMIT 1});
	my $offset = -s $node->logfile;
	kill 'KILL', $pid;
	$node->wait_for_log(qr/was terminated by signal 9/, $offset);
	set_point($node, '');
	wait_until_up($node) or die 'the server does not come back';
	return;
}

sub stop_server
{
	my ($mode) = @_;
	$node->stop($mode);
	set_point($node, '');
	$node->start();
	return;
}

my @migrations = (
	[ 'add', q{SELECT shard.add_shard('app', batch_size => 3)}, 4 ],
	[ 'remove', q{SELECT shard.remove_shard('app', 1, batch_size => 3)}, 2 ],
	[ 'rebalance', q{SELECT shard.rebalance('app', '{key-1,key-2,key-3,key-4,key-5}', batch_size => 2)}, 3 ]);
my @accidents = (
	[ 'migration-after-copy', 'a backend is killed', sub { kill_backend() } ],
	[ 'migration-locked', 'immediate shutdown', sub { stop_server('immediate') } ],
	[ 'migration-before-commit', 'fast shutdown', sub { stop_server('fast') } ]);

for my $migration (@migrations)
{
	my ($kind, $start, $shards) = @$migration;
	for my $accident (@accidents)
	{
		my ($point, $what, $happen) = @$accident;
		my $name = "$kind, $what";
		my $errors = '';
		set_up();
		my $writers = start_writers(\$errors);
		set_point($node, "$point:wait");
		my $id = sql($start);
		await(qq{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'at point $point')}, $point);
		$happen->();
		$writers->finish();
		await("SELECT NOT unfinished FROM _shard.migration WHERE migration_id = $id", 'the end of the migration');
		await('SELECT count(*) = 0 FROM shard.migration_progress WHERE pid IS NOT NULL', 'the end of its worker');
		is(sql("SELECT state, rolled_back FROM shard.migrations WHERE migration_id = $id"), 'complete|f',
			"$name: complete in the end");
		is(sql(q{SELECT count(*) FROM (
			(SELECT * FROM accounts EXCEPT ALL SELECT * FROM oracle)
			UNION ALL (SELECT * FROM oracle EXCEPT ALL SELECT * FROM accounts)) d}), '0',
			"$name: no row is lost, doubled or changed");
		is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
		is_lake_equal($node, 'accounts', $name);
		is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'app\_shard\_%'}), $shards, "$name: schemas");
		is(sql(q{SELECT count(*) FROM pg_replication_slots}), '1', "$name: the pipeline's slot and no other");
		is(sql(q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND mode = 'AccessExclusiveLock'
				AND relation = 'accounts'::regclass}), '0', "$name: no lock is left");
		is(sql(q{SELECT (SELECT count(*) FROM _shard.next_pin) + (SELECT count(*) FROM _shard.migration_request)}), '0',
			"$name: nothing is left to be done");
		sql(q{DROP TABLE accounts, oracle; SELECT shard.drop_router('app')});
	}
}

done_testing();
