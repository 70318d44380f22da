# A shard is added while clients write: nothing is lost or doubled, only keys
# that belong to the new shard move, moves make no events, and a long
# transaction delays the migration but never the writers.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms');
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub write_file
{
	my ($name, $content) = @_;
	open(my $out, '>', "$dir/$name") or die "$dir/$name: $!";
	print $out $content;
	close($out);
	return "$dir/$name";
}

# Every statement goes to the sharded table and to a plain one, the oracle, in
# one transaction.  Each client has rows of its own, so that they never wait
# for each other's rows.
my $script = write_file('writer.sql', q{
\set k random(1, 200)
\set k2 random(1, 200)
\set id :client_id * 1000 + random(1, 300)
BEGIN;
INSERT INTO accounts (k, id, v, n) VALUES ('key-' || :k, :id, repeat('v', :k), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = accounts.n + 1, v = accounts.v || 'u';
INSERT INTO oracle (k, id, v, n) VALUES ('key-' || :k, :id, repeat('v', :k), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = oracle.n + 1, v = oracle.v || 'u';
UPDATE accounts SET k = 'key-' || :k2 WHERE k = 'key-' || :k AND id = :id
    AND NOT EXISTS (SELECT FROM oracle WHERE k = 'key-' || :k2 AND id = :id);
UPDATE oracle SET k = 'key-' || :k2 WHERE k = 'key-' || :k AND id = :id
    AND NOT EXISTS (SELECT FROM oracle o WHERE o.k = 'key-' || :k2 AND o.id = :id);
DELETE FROM accounts WHERE k = 'key-' || :k AND id = :id + 7;
DELETE FROM oracle WHERE k = 'key-' || :k AND id = :id + 7;
COMMIT;
});

sub start_writers
{
	my ($transactions) = @_;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '3', '-j', '1', '-t', $transactions, '-f', $script,
			$node->connstr('postgres') ],
		'>', \$run{out}, '2>', \$run{err});
	return \%run;
}

sub differences
{
	my ($table, $other) = @_;
	return sql(qq{SELECT count(*) FROM (
		(SELECT * FROM $table EXCEPT ALL SELECT * FROM $other)
		UNION ALL (SELECT * FROM $other EXCEPT ALL SELECT * FROM $table)) d});
}

sub check_rows
{
	my ($name) = @_;
	is(differences('accounts', 'oracle'), '0', "$name: no row is lost, doubled or changed");
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	return;
}

for my $strategy ('consistent-hash', 'hash')
{
	sql(qq{
		SELECT shard.create_router('app', '$strategy', 4, ARRAY['k']);
		CREATE TABLE accounts (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
		CREATE INDEX ON accounts (n);
		CREATE TABLE oracle (LIKE accounts INCLUDING ALL);
		INSERT INTO accounts SELECT 'key-' || i % 200 + 1, 10000 + i, repeat('x', i % 300), i
			FROM generate_series(1, 20000) i;
		INSERT INTO oracle SELECT * FROM accounts;
		SELECT shard.distribute_table('accounts', 'app');
		CREATE TABLE placed AS SELECT DISTINCT k, shard.route('app', k) AS shard FROM accounts;
	});

	my $writers = start_writers(700);
	$node->poll_query_until('postgres', 'SELECT count(*) > 20050 FROM oracle')
	  or die 'the writers do not write';

	# In small batches, so that writes fall between and into them.
	my $id = sql(q{SELECT shard.add_shard('app', batch_size => 2)});
	is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|',
		"$strategy: the migration succeeds");
	$writers->{handle}->finish();
	is($writers->{err} =~ /ERROR|aborted/ ? $writers->{err} : '', '', "$strategy: no writer saw an error");
	like($writers->{out}, qr{transactions actually processed: 2100/2100}, "$strategy: every transaction was done");

	check_rows($strategy);
	is_lake_equal($node, 'accounts', $strategy);
	is(sql(q{SELECT count(*) - count(DISTINCT _event_id) FROM lake.accounts_events}), '0',
		"$strategy: no event is there twice");
	is(sql(q{SELECT string_agg(shard_index || ' ' || state, ', ' ORDER BY shard_index)
			FROM shard.shards WHERE router = 'app'}),
		'0 active, 1 active, 2 active, 3 active, 4 active', "$strategy: five active shards");
	cmp_ok(sql("SELECT count(*) FROM _shard.migration_batch WHERE migration_id = $id"), '>', 2,
		"$strategy: it took several batches");

	my ($moved, $elsewhere) = split /\|/, sql(q{
		SELECT count(*), count(*) FILTER (WHERE shard.route('app', k) <> 4)
		FROM placed WHERE shard.route('app', k) <> shard});
	if ($strategy eq 'hash')
	{
		cmp_ok($moved, '>', 120, 'hash: most keys moved');
		cmp_ok($elsewhere, '>', 0, 'hash: between the old shards, too');
	}
	else
	{
		ok($moved > 15 && $moved < 70, "consistent-hash: about 1/5 of 200 keys moved ($moved)");
		is($elsewhere, '0', 'consistent-hash: to the new shard only');
	}

	# Without writers a move makes no event at all.
	sql('SELECT shard.flush()');
	my $events = sql('SELECT count(*) FROM lake.accounts_events');
	$id = sql(q{SELECT shard.add_shard('app')});
	is(sql("SELECT success, buffered_writes FROM shard.wait_migration($id)"), 't|0',
		"$strategy: one more shard");
	cmp_ok(sql("SELECT entities_moved FROM shard.migrations WHERE migration_id = $id"), '>', 0,
		"$strategy: rows moved");
	cmp_ok(sql("SELECT sum(rows_from_lake) FROM _shard.migration_batch WHERE migration_id = $id"), '>', 0,
		"$strategy: they came from the lake");
	sql('SELECT shard.flush()');
	is(sql('SELECT count(*) FROM lake.accounts_events'), $events, "$strategy: and made no event");
	check_rows("$strategy, once more");
	is_lake_equal($node, 'accounts', "$strategy, once more");

	# Changes that come after the copy are applied under the lock.
	set_point($node, 'migration-before-lock:wait');
	$id = sql(q{SELECT shard.add_shard('app')});
	$node->poll_query_until('postgres', qq{
		SELECT count(*) = 1 FROM shard.migration_progress p JOIN pg_stat_activity a USING (pid)
		WHERE migration_id = $id AND events_done > 0 AND a.query = 'at point migration-before-lock'})
	  or die 'the migration does not reach the lock';
	for my $table ('accounts', 'oracle')
	{
		sql(qq{UPDATE $table SET n = -n, v = v || ' changed' WHERE id % 7 = 0;
			DELETE FROM $table WHERE id % 11 = 0;
			INSERT INTO $table SELECT 'key-' || i % 250, 50000 + i, 'late', i FROM generate_series(1, 500) i});
	}
	my $notified = $node->background_psql('postgres', on_error_stop => 1);
	$notified->query_safe('LISTEN shard_migration');
	set_point($node, '');
	is(sql("SELECT success, buffered_writes > 0 FROM shard.wait_migration($id)"), 't|t',
		"$strategy: late changes are applied at the cut-over");
	like($notified->query_safe('SELECT 1'), qr/"migration": $id, "router": "app", "state": "complete"/,
		"$strategy: listeners are told of the end");
	$notified->quit();
	check_rows("$strategy, late changes");
	is_lake_equal($node, 'accounts', "$strategy, late changes");

	# Somebody's open transaction holds a lock that the migration needs.
	my $holder = $node->background_psql('postgres', on_error_stop => 1);
	$holder->query_safe('BEGIN; SELECT count(*) FROM accounts');
	my $pid = $holder->query_safe('SELECT pg_backend_pid()');
	$id = sql(q{SELECT shard.add_shard('app')});
	$node->poll_query_until('postgres',
		"SELECT blocking_pid = $pid FROM shard.migration_progress WHERE migration_id = $id")
	  or die 'the migration does not say who blocks it';
	ok(1, "$strategy: progress names the process in the way");
	sql(q{SET statement_timeout = '20s';
		INSERT INTO accounts VALUES ('during', 1, 'the wait', 1);
		INSERT INTO oracle VALUES ('during', 1, 'the wait', 1)});
	is(sql("SELECT state FROM shard.migrations WHERE migration_id = $id"), 'running',
		"$strategy: a writer is done while the migration still waits");
	is($holder->query_safe('SELECT count(*) = (SELECT count(*) FROM oracle) FROM accounts'), 't',
		"$strategy: the open transaction goes on reading");
	$holder->query_safe('COMMIT');
	$holder->quit();
	is(sql("SELECT success FROM shard.wait_migration($id)"), 't', "$strategy: then it goes on");
	check_rows("$strategy, after the wait");

	sql(q{DROP TABLE accounts, oracle, placed; SELECT shard.drop_router('app')});
}

done_testing();
