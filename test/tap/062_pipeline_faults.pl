# What goes wrong around the pipeline, and what becomes of the events: custom
# events under kills, a table whose changes cannot be written, tables that
# somebody has locked, a warehouse that cannot be written, dropped databases.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('faults', 'shard.flush_interval' => '50ms', 'shard.orphan_min_age' => 0,
	max_prepared_transactions => 5, restart_after_crash => 'on');
shard_table($node, 'things', rows => 100);
shard_table($node, 'others', rows => 100);

sub sql { return $node->safe_psql($_[1] // 'postgres', $_[0]) }

# ---- custom events ----

# Each round emits 20 events that commit, of which 10 repeat a key of before,
# and 5 that do not, and something dies in between.
my $committed = 0;
sub emit_round
{
	my ($round) = @_;
	sql(qq{SELECT count(shard.emit('things_router', 'done', 'jobs', to_jsonb(i), 'k' || i, 'r$round-' || i))
		FROM generate_series(1, 10) i});
	sql(qq{BEGIN;
		SELECT count(shard.emit('things_router', 'lost', 'jobs', '{}', NULL, 'lost-' || i)) FROM generate_series(1, 5) i;
		ROLLBACK;
		SELECT count(shard.emit('things_router', 'again', 'jobs', to_jsonb(i), NULL, 'r' || greatest(0, $round - 1) || '-' || i))
		FROM generate_series(1, 10) i});
	$committed += 10;
	return;
}
emit_round(0);
set_setting($node, 'shard.flush_interval', '1h');	# nothing but flush() writes
for my $point (qw(pipeline-after-keys pipeline-before-commit pipeline-after-commit pipeline-before-confirm))
{
	emit_round($committed / 10);
	set_setting($node, 'shard.point', "$point:kill");
	my ($ret) = $node->psql('postgres', 'SELECT shard.flush()');
	isnt($ret, 0, "killed at $point");
	wait_until_up($node);
	set_setting($node, 'shard.point', undef);
}
set_setting($node, 'shard.flush_interval', '50ms');
sql('SELECT shard.flush()');
is(sql(q{SELECT count(*), count(DISTINCT _event_id), count(*) FILTER (WHERE _verb = 'lost')
	FROM lake.shard_things_router_events}), "$committed|$committed|0",
	'kills: every custom event that committed is there once');
$node->stop('immediate');
$node->start();
emit_round($committed / 10);
sql('SELECT shard.flush()');
is(sql(q{SELECT count(*), count(DISTINCT _event_id) FROM lake.shard_things_router_events}), "$committed|$committed",
	'and after an immediate shutdown');

# ---- a table whose changes cannot be written ----

set_setting($node, 'shard.pipeline_max_retries', 1);
set_setting($node, 'shard.point', 'pipeline-table:error');
sql('UPDATE things SET n = n + 1');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM shard.dead_letters});
set_setting($node, 'shard.point', undef);
is(sql(q{SELECT relation, kind, payload->>'error' FROM shard.dead_letters}),
	'things|table|error requested at point "pipeline-table"', 'a table that fails again and again gets a dead letter');
sql('UPDATE others SET n = n + 1');
is_lake_equal($node, 'others', 'the other table goes on');
sql('UPDATE things SET n = n + 1');
my ($ret, $out, $err) = $node->psql('postgres', 'SELECT shard.flush()');
like($err, qr/leaves out table things/, 'flush warns of the one that is left out');
is(sql(q{SELECT shard.replay_dead_letters('things')}), '1', 'replayed with one call');
sql('UPDATE things SET n = n + 1 WHERE id % 2 = 0');
is_lake_equal($node, 'things', 'and it is whole again');
is(sql('SELECT count(*) FROM shard.dead_letters'), '0', 'no letter is left');
set_setting($node, 'shard.pipeline_max_retries', undef);

# ---- a table that somebody has locked ----

my $other = $node->background_psql('postgres');
$other->query_safe('BEGIN; ALTER TABLE things ADD COLUMN later int DEFAULT 3');
sql(q{UPDATE _shard.lake_table SET synced = false WHERE name = 'things'; SELECT shard.replay_dead_letters('others')});
sql('UPDATE others SET n = n + 1');
$node->poll_query_until('postgres',
	'SELECT (SELECT sum(n) FROM lake.others) = (SELECT sum(n) FROM others)');
is(sql('SELECT count(*) FROM (TABLE others EXCEPT ALL TABLE lake.others) d'), '0',
	'an open ALTER TABLE does not hold up other tables');
$other->query_safe('COMMIT');
$other->quit();
is_lake_equal($node, 'things', 'after it has committed');

# ---- a warehouse that cannot be written ----

my $data = $node->data_dir . '/shard/warehouse';
my $mode = (stat($data))[2] & 07777;
my ($data_directory) = glob("$data/*/things-*/data");
SKIP:
{
	skip 'the layout of the warehouse is another one', 3 if !defined $data_directory;
	my @dirs = glob("$data/*/*/data");
	chmod(0555, @dirs);
	set_setting($node, 'shard.pipeline_max_retries', 1);
	sql('UPDATE things SET n = n + 1');
	$node->poll_query_until('postgres', q{SELECT retries > 3 FROM shard.pipeline_status});
	sql('UPDATE things SET n = n + 1');
	is(sql('SELECT count(*) FROM shard.dead_letters'), '0', 'a store that cannot be written is no fault of a table');
	like(sql('SELECT last_error FROM shard.pipeline_status'), qr/./, 'the status has the error');
	chmod(0700, @dirs);
	set_setting($node, 'shard.pipeline_max_retries', undef);
	$node->poll_query_until('postgres', q{SELECT state = 'running' FROM shard.pipeline_status});
	is_lake_equal($node, 'things', 'once it can be written again');
}

# ---- no slot while a prepared transaction is open ----

sql('CREATE DATABASE second');
sql(q{BEGIN; CREATE TABLE p (); PREPARE TRANSACTION 'left behind'}, 'second');
sql('CREATE EXTENSION shard', 'second');
sql(q{SELECT shard.create_router('r', 'hash', 2, '{k}'); CREATE TABLE t (k text PRIMARY KEY)}, 'second');
like(sql(q{SELECT _shard.pipeline_ready('2 s')}, 'second'), qr/prepared transaction "left behind"/,
	'who waits for a slot learns which transaction keeps it');
sql(q{COMMIT PREPARED 'left behind'}, 'second');
sql(q{SELECT shard.distribute_table('t', 'r'); INSERT INTO t VALUES ('a'); SELECT shard.flush()}, 'second');

# ---- leaving ----

my $oid = sql(q{SELECT oid FROM pg_database WHERE datname = 'second'});
ok(-d "$data/$oid", 'the database has a folder in the warehouse');
sql('DROP DATABASE second');
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	last if !-d "$data/$oid";
	select(undef, undef, undef, 0.1);
}
ok(!-d "$data/$oid", 'which goes after the database was dropped');
set_setting($node, 'shard.point', 'pipeline-table:error');
sql('UPDATE things SET n = n + 1');
$node->poll_query_until('postgres', q{SELECT state IN ('retrying', 'failed') FROM shard.pipeline_status});
sql(q{SELECT shard.undistribute_table(t) FROM unnest('{things,others}'::regclass[]) t; DROP EXTENSION shard CASCADE});
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_replication_slots');
is(sql('SELECT count(*) FROM pg_replication_slots'), '0', 'the slot goes with the extension, even between tries');
$node->stop();
done_testing();
