# Shards are removed and keys rebalanced while clients write and read: nothing
# is lost or doubled, and every reader sees every row exactly once, on the whole
# table and by key, in every isolation level.

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

# Every statement goes to the sharded table and to a plain one, the oracle.
my $writer = write_file('writer.sql', q{
\set k random(1, 100)
\set k2 random(1, 100)
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

# Rows that nobody changes: 100 of each key.  A wrong number divides by zero.
my $reader = write_file('reader.sql', q{
\set k random(1, 100)
SELECT 1 / (count(*) = 10000 AND count(DISTINCT id) = 10000)::int FROM accounts WHERE id > 100000;
SELECT 1 / (count(*) = 100)::int FROM accounts WHERE k = 'key-' || :k AND id > 100000;
});

sub start_bench
{
	my ($script, $clients, $transactions, @options) = @_;
	my %run = (out => '', err => '');
	local $ENV{PGOPTIONS} = $options[0] // '';
	$run{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $clients, '-j', '1', '-t', $transactions, '--max-tries', '1000', '-f', $script,
			$node->connstr('postgres') ],
		'>', \$run{out}, '2>', \$run{err});
	return \%run;
}

sub finish_bench
{
	my ($run, $transactions, $name) = @_;
	$run->{handle}->finish();
	is(join('', grep { /ERROR|abort/ } split /^/, $run->{err}), '', "$name: no error");
	like($run->{out}, qr{transactions actually processed: $transactions/$transactions}, "$name: all done");
	return;
}

sub check_rows
{
	my ($name) = @_;
	is(sql(q{SELECT count(*) FROM (
		(SELECT * FROM accounts EXCEPT ALL SELECT * FROM oracle)
		UNION ALL (SELECT * FROM oracle EXCEPT ALL SELECT * FROM accounts)) d}), '0',
		"$name: no row is lost, doubled or changed");
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	is_lake_equal($node, 'accounts', $name);
	return;
}

for my $strategy ('consistent-hash', 'hash')
{
	sql(qq{
		SELECT shard.create_router('app', '$strategy', 4, ARRAY['k']);
		CREATE TABLE accounts (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
		CREATE TABLE oracle (LIKE accounts INCLUDING ALL);
		INSERT INTO accounts SELECT 'key-' || i % 100 + 1, 100000 + i, repeat('x', i % 300), i
			FROM generate_series(1, 10000) i;
		INSERT INTO oracle SELECT * FROM accounts;
		SELECT shard.distribute_table('accounts', 'app');
		SELECT shard.pin('app', 'pinned', 1);
	});

	my $writers = start_bench($writer, 2, 900);
	my @readers = (
		start_bench($reader, 1, 120),
		start_bench($reader, 1, 120, '-c default_transaction_isolation=repeatable\ read'),
		start_bench($reader, 1, 120, '-c default_transaction_isolation=serializable'));
	$node->poll_query_until('postgres', 'SELECT count(*) > 10050 FROM oracle') or die 'the writers do not write';

	my $id = sql(q{SELECT shard.remove_shard('app', 1, batch_size => 3)});
	is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|',
		"$strategy: a shard is removed");
	is(sql(q{SELECT string_agg(shard_index || ' ' || state, ', ' ORDER BY shard_index)
			FROM shard.shards WHERE router = 'app'}),
		'0 active, 2 active, 3 active', "$strategy: three shards are left");
	is(sql(q{SELECT to_regnamespace('app_shard_1') IS NULL}), 't', "$strategy: its schema is gone");
	is(sql(q{SELECT shard.route('app', 'pinned') <> 1, count(*) FROM _shard.pin}), 't|0',
		"$strategy: a pin to it is gone");

	$id = sql(q{SELECT shard.rebalance('app', ARRAY(SELECT 'key-' || i FROM generate_series(1, 30) i),
		ARRAY(SELECT (ARRAY[0, 2, 3])[1 + i % 3] FROM generate_series(1, 30) i), batch_size => 2)});
	is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|',
		"$strategy: keys move where they are told to");
	is(sql(q{SELECT count(*) FROM generate_series(1, 30) i
			WHERE shard.route('app', 'key-' || i) <> (ARRAY[0, 2, 3])[1 + i % 3]}), '0',
		"$strategy: and are routed there");

	# All to one shard, then back into balance.
	$id = sql(q{SELECT shard.rebalance('app', ARRAY(SELECT 'key-' || i FROM generate_series(1, 100) i), '{2}')});
	is(sql("SELECT success FROM shard.wait_migration($id)"), 't', "$strategy: all to one shard");
	$id = sql(q{SELECT shard.rebalance('app', threshold => 0.2)});
	is(sql("SELECT success FROM shard.wait_migration($id)"), 't', "$strategy: and back into balance");
	is(sql(q{SELECT keys_to_move < 75 FROM shard.plan((SELECT max(plan_id) FROM shard.migrations))}), 't',
		"$strategy: with no more keys than are needed");

	finish_bench($writers, 1800, "$strategy: writers");
	finish_bench($readers[0], 120, "$strategy: readers under READ COMMITTED");
	finish_bench($readers[1], 120, "$strategy: readers under REPEATABLE READ");
	finish_bench($readers[2], 120, "$strategy: readers under SERIALIZABLE");
	is(sql(q{SELECT bool_and(n BETWEEN 0.75 * 10000 / 3 AND 1.25 * 10000 / 3) FROM (
			SELECT count(*) AS n FROM accounts WHERE id > 100000 GROUP BY tableoid) s}), 't',
		"$strategy: the shards are balanced");
	check_rows($strategy);
	is(sql(q{SELECT count(*) - count(DISTINCT _event_id) FROM lake.accounts_events}), '0',
		"$strategy: no event is there twice");
	sql(q{DROP TABLE accounts, oracle; SELECT shard.drop_router('app')});
}

done_testing();
