# The worker of a migration is killed at every step, and the server in the
# middle of one: it goes on by itself and ends complete and right.  Where steps
# fail for good, what was moved goes back.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('crash', 'shard.flush_interval' => '100ms', restart_after_crash => 'on');

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Two tables of one router, one with a lake and one without, with a foreign key
# between them, and a copy of each.
sub set_up
{
	sql(q{
		SELECT shard.create_router('app', 'consistent-hash', 3, ARRAY['k']);
		CREATE TABLE orders (k text, id bigint, v text, PRIMARY KEY (k, id));
		CREATE TABLE items (k text, id bigint, item int, price numeric, PRIMARY KEY (k, id, item),
			FOREIGN KEY (k, id) REFERENCES orders ON DELETE CASCADE);
		INSERT INTO orders SELECT 'key-' || i % 100, i, repeat('v', i % 100) FROM generate_series(1, 1000) i;
		INSERT INTO items SELECT k, id, n, id / 7.0 FROM orders, generate_series(1, 3) n;
		CREATE TABLE orders_before AS TABLE orders;
		CREATE TABLE items_before AS TABLE items;
		SELECT shard.distribute_table('orders', 'app');
		SELECT shard.distribute_table('items', 'app', lake => false);
	});
	return;
}

sub tear_down
{
	sql(q{DROP TABLE orders, items, orders_before, items_before CASCADE; SELECT shard.drop_router('app')});
	return;
}

sub check
{
	my ($name) = @_;
	for my $table ('orders', 'items')
	{
		is(sql(qq{SELECT count(*) FROM (
			(SELECT * FROM $table EXCEPT ALL SELECT * FROM ${table}_before)
			UNION ALL (SELECT * FROM ${table}_before EXCEPT ALL SELECT * FROM $table)) d}),
			'0', "$name: $table has its rows");
	}
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	is(sql(q{SELECT count(*) FROM shard.migration_progress WHERE pid IS NOT NULL}), '0', "$name: no worker is left");
	return;
}

sub wait_up
{
	wait_until_up($node) or die 'the server does not come back';
	return;
}

sub wait_end
{
	my ($id) = @_;
	$node->poll_query_until('postgres',
		"SELECT state NOT IN ('pending', 'running') FROM shard.migrations WHERE migration_id = $id")
	  or die 'the migration does not end';
	$node->poll_query_until('postgres',
		'SELECT count(*) = 0 FROM shard.migration_progress WHERE pid IS NOT NULL')
	  or die 'its worker does not end';
	return sql("SELECT state, rolled_back FROM shard.migrations WHERE migration_id = $id");
}

# What is killed where, and how many shards there are afterwards.
my @crashes = (
	{
		name => 'add',
		start => q{SELECT shard.add_shard('app', batch_size => 3)},
		shards => 4,
		points => [
			qw(start before-initialize shard-created before-initialize-commit before-fill after-fill after-copy
			  after-catch-up before-lock locked before-delete before-flip before-commit before-flush before-complete)
		]
	},
	{
		name => 'remove',
		start => q{SELECT shard.remove_shard('app', 1, batch_size => 3)},
		shards => 2,
		points => [
			qw(before-initialize-commit after-fill locked before-delete before-commit before-flush before-drop
			  before-complete)
		]
	},
	{
		name => 'rebalance',
		start => q{SELECT shard.rebalance('app', '{key-1,key-2,key-3,key-4,key-5}', batch_size => 2)},
		shards => 3,
		points => [qw(before-initialize-commit after-copy before-delete before-flip before-commit before-complete)]
	});

for my $crash (@crashes)
{
	for my $point (map { "migration-$_" } @{ $crash->{points} })
	{
		my $name = "$crash->{name}, $point";
		set_up();
		my $offset = -s $node->logfile;
		set_point($node, "$point:kill");
		my $id = sql($crash->{start});
		$node->wait_for_log(qr/was terminated by signal 9/, $offset);
		set_point($node, '');
		wait_up();
		is(wait_end($id), 'complete|f', "$name: killed, and complete in the end");
		is(sql(q{SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM shard.shards WHERE router = 'app'}),
			"$crash->{shards}|$crash->{shards}", "$name: active shards");
		is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'app\_shard\_%'}), $crash->{shards},
			"$name: their schemas");
		is(sql(q{SELECT count(*) FROM _shard.next_pin}), '0', "$name: no change of a pin is left over");
		is(sql(q{SELECT count(*) FROM _shard.pin}), $crash->{name} eq 'rebalance' ? '5' : '0', "$name: pins");
		check($name);
		is_lake_equal($node, 'orders', $name);
		tear_down();
	}
}

# An error that does not go away: back to where it began.
for my $point ('migration-before-initialize-commit', 'migration-locked')
{
	set_up();
	set_point($node, "$point:error");
	my $id = sql(q{SELECT shard.add_shard('app', batch_size => 3)});
	$node->poll_query_until('postgres', "SELECT direction < 0 OR NOT unfinished FROM _shard.migration WHERE migration_id = $id")
	  or die 'the migration does not give up';
	set_point($node, '');
	is(wait_end($id), 'failed|t', "$point: failed for good, and rolled back");
	is(sql("SELECT error FROM shard.migrations WHERE migration_id = $id"),
		"error requested at point \"$point\"", "$point: the error is told");
	is_as_before($point);
	$id = sql(q{SELECT shard.add_shard('app')});
	is(sql("SELECT success FROM shard.wait_migration($id)"), 't', "$point: the next one succeeds");
	check("$point, the next one");
	tear_down();
}

sub is_as_before
{
	my ($name) = @_;
	is(sql(q{SELECT count(*) FROM shard.shards WHERE router = 'app'}), '3', "$name: three shards, as before");
	is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'app_shard_3'}), '0', "$name: no schema is left");
	check($name);
	return;
}

# Start a migration that stops after its first batch, for the given reason.
sub stop_after_first_batch
{
	my ($request, $options) = @_;
	set_point($node, 'migration-locked:wait');
	my $id = sql("SELECT shard.add_shard('app', batch_size => 1 $options)");
	$node->poll_query_until('postgres', "SELECT phase = 'cutover' FROM shard.migration_progress WHERE migration_id = $id")
	  or die 'no cut-over';
	sql("SELECT shard.${request}_migration($id)");
	set_point($node, '');
	return $id;
}

# Cancelled half-way: what was moved goes back, or stays and can go on.
set_up();
my $id = stop_after_first_batch('cancel', '');
is(wait_end($id), 'cancelled|t', 'cancelled: rolled back');
is(sql("SELECT count(*) FILTER (WHERE direction = 1), count(*) FILTER (WHERE direction = -1) > 0
		FROM _shard.migration_batch WHERE migration_id = $id"), '1|t', 'cancelled: one batch there, and back');
is_as_before('cancelled');
is_lake_equal($node, 'orders', 'cancelled');

$id = stop_after_first_batch('cancel', ', rollback_on_failure => false');
is(wait_end($id), 'cancelled|f', 'cancelled without rollback: stays half-way');
is(sql("SELECT keys_done, shard.is_migrating('app') FROM shard.migrations WHERE migration_id = $id"), '1|t',
	'cancelled without rollback: one key has moved');
check('cancelled without rollback');
sql("SELECT shard.resume_migration($id)");
is(wait_end($id), 'complete|f', 'resumed: complete');
check('resumed');
tear_down();

# On the way back everything can be killed, too.
for my $point (qw(migration-before-fill migration-before-commit migration-before-drop migration-before-rolled-back))
{
	set_up();
	$id = stop_after_first_batch('pause', '');
	is(wait_end($id), 'paused|f', "$point: paused");
	check("$point, paused");
	my $offset = -s $node->logfile;
	set_point($node, "$point:kill");
	sql("SELECT shard.cancel_migration($id)");
	$node->wait_for_log(qr/was terminated by signal 9/, $offset);
	set_point($node, '');
	wait_up();
	is(wait_end($id), 'cancelled|t', "$point: killed on the way back, and rolled back in the end");
	is_as_before("$point, rolled back");
	is_lake_equal($node, 'orders', "$point, rolled back");
	tear_down();
}

# What is to be removed or was pinned half-way can go back, too.
for my $crash (@crashes[ 1, 2 ])
{
	set_up();
	set_point($node, 'migration-locked:wait');
	$id = sql($crash->{start});
	$node->poll_query_until('postgres', "SELECT phase = 'cutover' FROM shard.migration_progress WHERE migration_id = $id")
	  or die 'no cut-over';
	sql("SELECT shard.pause_migration($id)");
	set_point($node, '');
	is(wait_end($id), 'paused|f', "$crash->{name}: paused after its first batch");
	is(sql("SELECT keys_done > 0 AND keys_done < keys_total FROM shard.migrations WHERE migration_id = $id"), 't',
		"$crash->{name}: in the middle");
	check("$crash->{name}, paused");
	my $offset = -s $node->logfile;
	set_point($node, 'migration-before-commit:kill');
	sql("SELECT shard.cancel_migration($id)");
	$node->wait_for_log(qr/was terminated by signal 9/, $offset);
	set_point($node, '');
	wait_up();
	is(wait_end($id), 'cancelled|t', "$crash->{name}: killed on the way back, and rolled back in the end");
	is(sql(q{SELECT count(*) FILTER (WHERE state = 'active') FROM shard.shards WHERE router = 'app'}), '3',
		"$crash->{name}: three active shards, as before");
	is(sql(q{SELECT (SELECT count(*) FROM _shard.next_pin) + (SELECT count(*) FROM _shard.pin)}), '0',
		"$crash->{name}: no pin is left over");
	is(sql(q{SELECT next_members IS NULL AND members = '{0,1,2}' FROM _shard.router WHERE name = 'app'}), 't',
		"$crash->{name}: the map is the old one");
	check("$crash->{name}, rolled back");
	is_lake_equal($node, 'orders', "$crash->{name}, rolled back");
	tear_down();
}

# The whole server stops in the middle.
set_up();
set_point($node, 'migration-locked:wait');
$id = sql(q{SELECT shard.add_shard('app', batch_size => 3)});
$node->poll_query_until('postgres', "SELECT phase = 'cutover' FROM shard.migration_progress WHERE migration_id = $id")
  or die 'no cut-over';
$node->stop('immediate');
set_point($node, '');
$node->start();
is(wait_end($id), 'complete|f', 'immediate shutdown: complete in the end');
check('immediate shutdown');
is_lake_equal($node, 'orders', 'immediate shutdown');

done_testing();
