# Migrations of each kind are cancelled, paused and resumed in each phase while
# clients write: no row is lost or doubled at any time, what was begun goes back
# or stays as it was asked for, journal and log say so, and nothing is left over.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardMove;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms');
my $script = write_script('writer.sql', oracle_writer(60));

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub error_of
{
	my ($result, $out, $err) = $node->psql('postgres', $_[0]);
	return $err;
}

# What a router is between migrations: to be compared.
my $shape = q{
	SELECT (SELECT string_agg(shard_index || ' ' || state, ', ' ORDER BY shard_index) FROM shard.shards WHERE router = 'app'),
		(SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace WHERE nspname LIKE 'app\_shard\_%'),
		(SELECT members::text FROM _shard.router WHERE name = 'app'),
		(SELECT (next_members, frontier)::text FROM _shard.router WHERE name = 'app'),
		(SELECT count(*) FROM _shard.pin), (SELECT count(*) FROM _shard.next_pin),
		(SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM _shard.migration_request),
		(SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'shard migration')};

sub check
{
	my ($name) = @_;
	is_oracle_equal($node, 'accounts', 'oracle', $name);
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	return;
}

sub log_of
{
	my ($id) = @_;
	return sql("SELECT string_agg(message, '; ' ORDER BY at) FROM shard.migration_log WHERE migration_id = $id");
}

# Start a migration that stops at a point; its id.
sub start_at_point
{
	my ($start, $point) = @_;
	set_point($node, "$point:wait");
	my $id = sql($start);
	await_point($node, $id, $point);
	return $id;
}

# Ask for something at a point, and let the migration go on.
sub request_at_point
{
	my ($start, $point, $request) = @_;
	my $id = start_at_point($start, $point);
	sql("SELECT shard.$request" =~ s/ID/$id/r);
	set_point($node, '');
	return $id;
}

my %kinds = (
	add => q{SELECT shard.add_shard('app', batch_size => 3)},
	remove => q{SELECT shard.remove_shard('app', 1, batch_size => 3)},
	rebalance => q{SELECT shard.rebalance('app', '{key-1,key-2,key-3,key-4,key-5}', '{0,1,2,0,1}', batch_size => 2)},
	isolate => q{SELECT shard.isolate('app', 'key-7')});

sql(q{
	SELECT shard.create_router('app', 'consistent-hash', 3, ARRAY['k']);
	CREATE TABLE accounts (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
	CREATE TABLE oracle (LIKE accounts INCLUDING ALL);
	INSERT INTO accounts SELECT 'key-' || i % 60 + 1, 100000 + i, repeat('x', i % 300), i FROM generate_series(1, 1200) i;
	INSERT INTO oracle SELECT * FROM accounts;
	SELECT shard.distribute_table('accounts', 'app');
});
my $before = sql($shape);
my $writers = start_bench($node, $script, clients => 2, rate => 200);
await($node, 'SELECT count(*) > 1250 FROM oracle', 'writes');

# Before a worker has begun.
my $id = sql(q{SELECT shard.add_shard('app', start_at => now() + interval '1 hour')});
sql("SELECT shard.pause_migration($id)");
is(migration_end($node, $id), 'paused|f', 'paused before its start');
sql("SELECT shard.resume_migration($id)");
is(sql("SELECT state FROM shard.migrations WHERE migration_id = $id"), 'pending', 'resumed, it waits for its start');
sql("SELECT shard.cancel_migration($id)");
is(migration_end($node, $id), 'cancelled|f', 'cancelled before its start');
like(log_of($id), qr/cancelled: nothing was changed$/, 'the log says that nothing was changed');
is(sql($shape), $before, 'and nothing is');
like(error_of("SELECT shard.cancel_migration($id)"), qr/migration $id is over: cancelled/, 'it cannot be cancelled twice');
like(error_of("SELECT shard.resume_migration($id)"), qr/migration $id is over: cancelled/, 'nor resumed');


# Cancelled in each phase on the way.  What the point is in is undone by itself;
# behind a committed batch, that goes back.
for my $kind (sort keys %kinds)
{
	for my $point (map { "migration-$_" } qw(before-initialize before-initialize-commit after-copy locked))
	{
		# The only batch of that one is the last, and locked: that is too late.
		next if $kind eq 'isolate' && $point eq 'migration-locked';
		my $name = "$kind, $point";
		my $begun = $point ne 'migration-before-initialize';
		$id = request_at_point($kinds{$kind}, $point, 'cancel_migration(ID)');
		is(migration_end($node, $id), $begun ? 'cancelled|t' : 'cancelled|f', "$name: cancelled");
		is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), $begun ? 'f|t|cancelled' : 'f|f|cancelled',
			"$name: who waits is told");
		like(log_of($id), $begun ? qr/; cancelled: what was moved goes back; .*rolled back$/ : qr/; cancelled: nothing was changed$/,
			"$name: the log tells it");
		is(sql("SELECT count(*) FILTER (WHERE direction = 1) FROM _shard.migration_batch WHERE migration_id = $id"),
			$point eq 'migration-locked' ? '1' : '0', "$name: batches that had moved");
		is(sql("SELECT keys_done, entities_moved FROM shard.migrations WHERE migration_id = $id"), '0|0', "$name: none is left")
			if $point ne 'migration-locked';
		is(sql($shape), $before, "$name: the router is what it was");
		check($name);
	}
}

# Paused half-way, then cancelled, or resumed.
for my $kind (qw(add remove rebalance))
{
	$id = request_at_point($kinds{$kind}, 'migration-locked', 'pause_migration(ID)');
	is(migration_end($node, $id), 'paused|f', "$kind: paused");
	is(sql("SELECT keys_done > 0 AND keys_done < keys_total, phase, rolling_back FROM shard.migration_progress WHERE migration_id = $id"),
		't|replaying|f', "$kind: half-way");
	check("$kind, paused");
	is(sql(q{SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.backend_type = 'shard migration'}), '0',
		"$kind, paused: no lock is left");
	like(error_of("SELECT shard.pause_migration($id)"), qr/migration $id is not running: paused/, "$kind: it cannot be paused twice");
	sql("SELECT shard.cancel_migration($id)");
	is(migration_end($node, $id), 'cancelled|t', "$kind: cancelled while paused");
	is(sql($shape), $before, "$kind: the router is what it was");
	check("$kind, cancelled while paused");
}
for my $point ('migration-before-initialize', 'migration-locked')
{
	$id = request_at_point($kinds{add}, $point, 'pause_migration(ID)');
	is(migration_end($node, $id), 'paused|f', "$point: paused");
	check("$point, paused");
	sql("SELECT shard.resume_migration($id)");
	is(migration_end($node, $id), 'complete|f', "$point: resumed, it is complete");
	check("$point, resumed");
	is(migration_end($node, sql(q{SELECT shard.remove_shard('app', 3)})), 'complete|f', "$point: and the shard is removed again");
	is(sql($shape), $before, "$point: the router is what it was");
}

# When all keys have moved, it is too late, but for a shard that is to go.
$id = request_at_point($kinds{isolate}, 'migration-locked', 'cancel_migration(ID)');
is(migration_end($node, $id), 'complete|f', 'isolate: too late to cancel');
like(log_of($id), qr/is not cancelled any more: all keys have moved; complete$/, 'isolate: the log says so');
check('isolate, too late to cancel');
$id = request_at_point(q{SELECT shard.remove_shard('app', 3)}, 'migration-before-complete', 'pause_migration(ID)');
is(migration_end($node, $id), 'complete|f', 'remove: too late to pause');
is(sql($shape =~ s/\(SELECT count\(\*\) FROM _shard.migration_request\)/0/r), $before, 'the router is what it was');
$id = request_at_point($kinds{remove}, 'migration-before-drop', 'cancel_migration(ID)');
is(migration_end($node, $id), 'cancelled|f', 'remove: cancelled before the drop');
like(log_of($id), qr/cancelled: shard 1 stays, without keys$/, 'remove: the log tells what is left');
is(sql(q{SELECT (SELECT state FROM shard.shards WHERE router = 'app' AND shard_index = 1),
	(SELECT members FROM _shard.router WHERE name = 'app'), (SELECT count(*) FROM app_shard_1.accounts)}), 'active|{0,2}|0',
	'remove: the shard stays, and is empty');
check('remove, cancelled before the drop');
is(migration_end($node, sql($kinds{remove})), 'complete|f', 'it can be removed later');
is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'app_shard_1'}), '0', 'and is gone');

# A migration that stays half-way, by its start or by how it is cancelled, can go
# on or back; one that failed, too.
$id = request_at_point(q{SELECT shard.add_shard('app', batch_size => 3)}, 'migration-locked', 'cancel_migration(ID, rollback => false)');
is(migration_end($node, $id), 'cancelled|f', 'cancelled without rollback');
like(log_of($id), qr/cancelled: what was moved stays, shard.resume_migration\(\) goes on$/, 'the log says how to go on');
is(sql(q{SELECT shard.is_migrating('app')}), 't', 'the router is between two maps');
check('cancelled without rollback');
sql("SELECT shard.cancel_migration($id, rollback => true)");
is(migration_end($node, $id), 'cancelled|t', 'and then with it');
check('cancelled with rollback');

$id = start_at_point(q{SELECT shard.add_shard('app', batch_size => 3, rollback_on_failure => false)}, 'migration-before-lock');
sql("UPDATE _shard.migration SET failures = 4 WHERE migration_id = $id");
set_point($node, 'migration-locked:error');
is(migration_end($node, $id), 'failed|f', 'a migration fails for good');
is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 'f|f|error requested at point "migration-locked"',
	'and says why');
set_point($node, '');
sql("SELECT shard.cancel_migration($id, rollback => true)");
is(migration_end($node, $id), 'cancelled|t', 'what it has moved goes back when it is cancelled');
is(sql("SELECT error IS NULL FROM shard.migrations WHERE migration_id = $id"), 't', 'that is no error any more');

# On the way back it can be paused; it fails there, and goes on.
$id = request_at_point(q{SELECT shard.add_shard('app', batch_size => 3)}, 'migration-locked', 'pause_migration(ID)');
is(migration_end($node, $id), 'paused|f', 'half-way');
set_point($node, 'migration-after-copy:wait');
sql("SELECT shard.cancel_migration($id)");
await_point($node, $id, 'migration-after-copy');
is(sql("SELECT rolling_back FROM shard.migration_progress WHERE migration_id = $id"), 't', 'on the way back');
sql("SELECT shard.pause_migration($id)");
set_point($node, '');
is(migration_end($node, $id), 'paused|f', 'paused on the way back');
check('paused on the way back');
set_point($node, 'migration-before-fill:wait');
sql("SELECT shard.cancel_migration($id)");
await_point($node, $id, 'migration-before-fill');
sql("UPDATE _shard.migration SET failures = 4 WHERE migration_id = $id");
set_point($node, 'migration-after-copy:error');
is(migration_end($node, $id), 'failed|f', 'the way back fails for good');
like(log_of($id), qr/what was moved is on its way back already;/, 'the log says that it was on its way');
set_point($node, '');
sql("SELECT shard.resume_migration($id)");
is(migration_end($node, $id), 'cancelled|t', 'resumed, it is back');
is(sql("SELECT error IS NULL FROM shard.migrations WHERE migration_id = $id"), 't', 'cancelled is all that it was');
check('back in the end');

# Somebody holds a lock on another table that a step needs: nobody else waits.
sql(q{
	CREATE TABLE countries (id int PRIMARY KEY);
	INSERT INTO countries VALUES (1);
	CREATE TABLE places (k text, id int, country int REFERENCES countries, PRIMARY KEY (k, id));
	SELECT shard.distribute_table('places', 'app', lake => false);
});
my $holder = $node->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('BEGIN; INSERT INTO countries VALUES (2)');
my $offset = -s $node->logfile;
$id = sql(q{SELECT shard.add_shard('app')});
for (1 .. 2)
{
	$node->wait_for_log(qr/canceling statement due to lock timeout/, $offset);
	$offset = -s $node->logfile;
}
is(sql("SELECT state, failures FROM shard.migrations WHERE migration_id = $id"), 'running|0', 'a lock on another table is waited for');
like(sql("SELECT waiting_for FROM shard.migration_progress WHERE migration_id = $id"), qr/^(a lock|$)/, 'it says so');
is(sql(q{SET statement_timeout = '60s'; INSERT INTO places VALUES ('a', 1, 1) RETURNING k}), 'a', 'writers do not wait');
$holder->query_safe('COMMIT');
$holder->quit();
is(migration_end($node, $id), 'complete|f', 'then it goes on');

stop_bench($writers, 'writers');
check('in the end');
is_lake_equal($node, 'accounts', 'in the end');
is(sql(q{SELECT count(*) - count(DISTINCT _event_id) FROM lake.accounts_events}), '0', 'no event is there twice');

done_testing();
