# Schedules: keys move when a shard leaves the threshold, within a window and a
# limit of bytes an hour; a schedule survives a restart and a dump, and says
# what it waits for.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub await
{
	my ($query, $what) = @_;
	ok($node->poll_query_until('postgres', $query), $what)
	  or diag(sql('SELECT * FROM shard.schedules') . "\n" . sql('SELECT * FROM shard.migrations'));
	return;
}

# 60 keys of 50 rows, all of them in shard 0.
sub set_up
{
	sql(q{
		SELECT shard.create_router('app', 'hash', 4, ARRAY['k']);
		CREATE TABLE orders (k text, id bigint, v text, PRIMARY KEY (k, id));
		SELECT shard.distribute_table('orders', 'app');
		SELECT count(shard.pin('app', 'key-' || i, 0)) FROM generate_series(1, 60) i;
		INSERT INTO orders SELECT 'key-' || 1 + i % 60, i, repeat('v', 100) FROM generate_series(1, 3000) i;
	});
	return;
}

sub tear_down
{
	sql(q{DROP TABLE orders; SELECT shard.drop_router('app')});
	return;
}

my $largest_share = q{(SELECT max(n) / sum(n) FROM (SELECT count(*) AS n FROM orders GROUP BY tableoid) s)};

# By itself, and again after a restart.
set_up();
my $id = sql(q{SELECT shard.schedule_rebalance('app', '1 s', threshold => 0.3)});
await("SELECT $largest_share < 0.33", 'a router out of balance is brought into balance');
await(q{SELECT last_result LIKE 'nothing to move%' FROM shard.schedules}, 'then nothing is moved any more');
is(sql(q{SELECT count(*) FROM shard.migrations}), '1', 'it took one migration');
is(sql(q{SELECT count(*) = count(DISTINCT key) AND count(*) = 60 FROM _shard.pin}), 't', 'moved keys are pinned');
$node->restart();
is(sql(q{SELECT schedule_id, router, every, state FROM shard.schedules}), "$id|app|00:00:01|waiting",
	'the schedule is there after a restart');
my $moved = sql(q{SELECT shard.rebalance('app', ARRAY(SELECT 'key-' || i FROM generate_series(1, 60) i), '{1}')});
is(sql("SELECT success FROM shard.wait_migration($moved)"), 't', 'all keys are moved to one shard');
await("SELECT $largest_share < 0.33", 'and it brings them into balance again');
is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', 'every row is where it belongs');

# It is dumped.
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, '-t', '_shard.schedule', $node->connstr('postgres') ], 'the schedule is dumped');
like(slurp_file($dump), qr/^$id\tapp\t00:00:01\t/m, 'with what it says');

is(sql(q{SELECT shard.unschedule('app')}), 't', 'unscheduled');
is(sql(q{SELECT shard.unschedule('app')}), 'f', 'only once');
is(sql(q{SELECT count(*) FROM shard.schedules}), '0', 'no schedule is left');
tear_down();

# A limit of bytes an hour.
set_up();
sql(q{SELECT shard.schedule_rebalance('app', '1 s', max_bytes_per_hour => 40000)});
await(q{SELECT waiting_for = 'its limit of bytes an hour' OR last_result LIKE '%more is left for the next hour' FROM shard.schedules},
	'the limit of an hour is used');
await(q{SELECT NOT shard.is_migrating('app') AND last_migration IS NOT NULL FROM shard.schedules}, 'the first migration ends');
is(sql(q{SELECT bytes_this_hour BETWEEN 1 AND 40000 FROM shard.schedules}), 't', 'no more than that has moved');
cmp_ok(sql("SELECT $largest_share"), '>', 0.5, 'most keys are left for later');
like(sql(q{SELECT last_result FROM shard.schedules}), qr/more is left for the next hour/, 'it says so');
sql(q{SELECT shard.unschedule(schedule_id) FROM shard.schedules});

# Outside the window nothing moves.
my $window = q{(now() + interval '6 hours')::time, (now() + interval '8 hours')::time};
sql("SELECT shard.schedule_rebalance('app', '1 s', $window)");
is(sql(q{SELECT state, waiting_for FROM shard.schedules}), 'waiting|its window', 'it waits for its window');
is(sql(q{SELECT count(*) FROM shard.migrations WHERE state <> 'complete'}), '0', 'and moves nothing');

# When the window closes, what has begun is paused, and goes on when it opens.
set_point($node, 'migration-before-lock:wait');
sql(q{SELECT shard.schedule_rebalance('app', '1 h', (now() - interval '1 hour')::time, (now() + interval '1 hour')::time, batch_size => 1)});
await(q{SELECT phase = 'replaying' FROM shard.migration_progress ORDER BY migration_id DESC LIMIT 1},
	'within the window it begins');
sql("UPDATE _shard.schedule SET (window_start, window_end) = (SELECT $window)");
await(q{SELECT paused FROM _shard.schedule}, 'when the window closes it is paused');
set_point($node, '');
await(q{SELECT state = 'paused' FROM shard.migrations ORDER BY migration_id DESC LIMIT 1}, 'after its batch');
like(sql(q{SELECT waiting_for FROM shard.schedules}), qr/^its window, to go on with migration \d+$/, 'it says what it waits for');
sql(q{UPDATE _shard.schedule SET window_start = (now() - interval '1 hour')::time, window_end = (now() + interval '1 hour')::time});
$node->restart();
await(q{SELECT state = 'complete' FROM shard.migrations ORDER BY migration_id DESC LIMIT 1}, 'and it goes on when it is open again');
sql(q{SELECT shard.unschedule('app')});

# What makes no sense is refused.
for my $case (
	[ q{'app', '0 s'}, qr/at least one second/ ],
	[ q{'app', '1 h', '10:00'}, qr/both window_start and window_end/ ],
	[ q{'app', '1 h', threshold => 0}, qr/threshold must be greater than 0/ ],
	[ q{'app', '1 h', max_bytes_per_hour => 0}, qr/max_bytes_per_hour/ ],
	[ q{'none', '1 h'}, qr/router "none" does not exist/ ])
{
	my ($result, $out, $err) = $node->psql('postgres', "SELECT shard.schedule_rebalance($case->[0])");
	like($err, $case->[1], "schedule_rebalance($case->[0]) is refused");
}
tear_down();

done_testing();
