# While clients write, the server goes down at every step of migrations of each
# kind, in each way that it can: they go on by themselves when it is up again,
# live table, lake and oracle agree, and nothing is left over.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardMove;
use ShardTest;
use Test::More;
use Time::HiRes qw(usleep);

my $node = shard_node('load', 'shard.flush_interval' => '100ms', restart_after_crash => 'on');
my $script = write_script('writer.sql', oracle_writer(60));
my $writers;

sub sql { return $node->safe_psql('postgres', $_[0]); }

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
	$writers = start_bench($node, $script, clients => 2, rate => 200);
	return;
}

# A check that holds while clients write.
sub check_rows
{
	my ($name) = @_;
	is_oracle_equal($node, 'accounts', 'oracle', $name);
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	return;
}

# Nothing says that a server goes down at once when its postmaster was killed:
# processes hold its shared memory until they have noticed.
sub kill_postmaster
{
	my $pid = $node->{_pid};
	$node->kill9();
	usleep(100_000) while kill(0, $pid);
	return;
}

sub start_again
{
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if $node->start(fail_ok => 1);
		$node->{_pid} = undef;
		usleep(100_000);
	}
	die 'the server does not start again';
}

# Ways to go down and come back; the point is set in between.
my @accidents = (
	[ 'immediate shutdown', sub { $node->stop('immediate'); set_point($node, $_[0]); start_again() } ],
	[ 'postmaster killed', sub { kill_postmaster(); set_point($node, $_[0]); start_again() } ],
	[ 'backend killed', sub {
		my $offset = -s $node->logfile;
		kill 'KILL', sql(q{SELECT pid FROM pg_stat_activity WHERE application_name = 'pgbench' LIMIT 1});
		$node->wait_for_log(qr/was terminated by signal 9/, $offset);
		set_point($node, $_[0]);
		wait_until_up($node) or die 'the server does not come back';
	} ],
	[ 'fast shutdown', sub { $node->stop('fast'); set_point($node, $_[0]); start_again() } ]);
my $count = 0;

# The server goes down while the migration waits at a point, and comes up to
# stop at the next one.
sub crash
{
	my ($name, $id, $point, $next) = @_;
	my ($what, $happen) = @{ $accidents[ $count++ % @accidents ] };
	await_point($node, $id, "migration-$point");
	check_rows("$name, $point") unless $point =~ /^(locked|before-delete|before-flip|before-commit|shard-created|before-complete|before-initialize-commit)$/;
	await($node, q{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgbench'}, 'clients');
	$happen->($next ne '' ? "migration-$next:wait" : '');
	pass("$name, $point: $what");
	$writers->{handle}->finish();
	start_writers();
	return;
}

# Before the first batch; within batches, each after one more that was
# committed; and behind the last.  Then the state at the end, and the shards.
my @kinds = (
	{
		name => 'add',
		start => q{SELECT shard.add_shard('app', batch_size => 1)},
		first => [qw(start before-initialize shard-created before-initialize-commit before-commit)],
		batches => [qw(before-fill after-fill after-copy after-catch-up before-lock locked before-delete before-flip)],
		last => [qw(before-flush before-complete)],
		end => 'complete|f',
		shards => 4
	},
	{
		name => 'remove',
		start => q{SELECT shard.remove_shard('app', 1, batch_size => 1)},
		first => [],
		batches => [qw(after-copy before-flip)],
		last => [qw(before-drop before-complete)],
		end => 'complete|f',
		shards => 2
	},
	{
		name => 'rebalance',
		start => q{SELECT shard.rebalance('app', ARRAY(SELECT 'key-' || i FROM generate_series(1, 20) i), '{0}', batch_size => 1)},
		first => [],
		batches => [qw(locked before-delete)],
		last => [qw(before-complete)],
		end => 'complete|f',
		shards => 3
	},
	{
		name => 'add, cancelled',
		start => q{SELECT shard.add_shard('app', batch_size => 1)},
		first => [],
		batches => [qw(locked)],
		cancel => 1,
		last => [qw(before-commit before-drop)],
		end => 'cancelled|t',
		shards => 3
	});

for my $kind (@kinds)
{
	my $name = $kind->{name};
	my @first = @{ $kind->{first} };
	my @last = @{ $kind->{last} };
	set_up();
	start_writers();
	set_point($node, 'migration-' . ($first[0] // 'before-commit') . ':wait');
	my $id = sql($kind->{start});
	crash($name, $id, $first[$_], $first[ $_ + 1 ] // 'before-commit') for 0 .. $#first;
	for my $i (0 .. $#{ $kind->{batches} })
	{
		my $point = $kind->{batches}[$i];
		await_point($node, $id, 'migration-before-commit');
		my $done = sql("SELECT keys_done FROM shard.migrations WHERE migration_id = $id");
		set_point($node, "migration-$point:wait");
		await_point($node, $id, "migration-$point");
		is(sql("SELECT keys_done > $done FROM shard.migrations WHERE migration_id = $id"), 't', "$name, $point: a batch further");
		sql("SELECT shard.cancel_migration($id)") if $kind->{cancel};
		crash($name, $id, $point, $i < $#{ $kind->{batches} } ? 'before-commit' : $last[0]);
	}
	crash($name, $id, $last[$_], $last[ $_ + 1 ] // '') for 0 .. $#last;

	is(migration_end($node, $id), $kind->{end}, "$name: the end");
	check_rows($name);
	cmp_ok(sql('SELECT count(*) FROM oracle WHERE id < 100000'), '>', 0, "$name: clients have written");
	stop_bench($writers, $name);
	is_lake_equal($node, 'accounts', $name);
	is(sql(q{SELECT count(*) - count(DISTINCT _event_id) FROM lake.accounts_events}), '0', "$name: no event is there twice");
	is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'app\_shard\_%'}), $kind->{shards}, "$name: schemas");
	is(sql(q{SELECT count(*) FROM shard.shards WHERE router = 'app' AND state = 'active'}), $kind->{shards}, "$name: active shards");
	is(sql(q{SELECT count(*) FROM pg_replication_slots}), '1', "$name: the pipeline's slot and no other");
	is(sql(q{SELECT count(*) FROM pg_locks WHERE pid <> pg_backend_pid() AND mode = 'AccessExclusiveLock'
			AND relation = 'accounts'::regclass}), '0', "$name: no lock is left");
	is(sql(q{SELECT (SELECT count(*) FROM _shard.next_pin) + (SELECT count(*) FROM _shard.migration_request)}), '0',
		"$name: nothing is left to be done");
	sql(q{DROP TABLE accounts, oracle; SELECT shard.drop_router('app')});
}

done_testing();
