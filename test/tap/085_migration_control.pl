# Migrations side by side, timeouts, gates, and what happens to commands that
# come in between: changes of tables, distributing another table, a dump.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardMove;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms', max_wal_senders => 5);

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub error_of
{
	my ($result, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]");
	return $err;
}

sub set_up
{
	my ($router, $table, $lake) = @_;
	sql(qq{
		SELECT shard.create_router('$router', 'consistent-hash', 3, ARRAY['k']);
		CREATE TABLE $table (k text, id bigint, v text, PRIMARY KEY (k, id));
		SELECT shard.distribute_table('$table', '$router', lake => $lake);
		INSERT INTO $table SELECT 'key-' || i % 100, i, 'v' FROM generate_series(1, 1000) i;
	});
	return;
}

sub result
{
	my ($id) = @_;
	return sql("SELECT success, rolled_back FROM shard.wait_migration($id, '10 min')");
}

# Two routers at once; a second migration of one router is refused.
set_up('one', 'first', 'true');
set_up('two', 'second', 'false');
set_point($node, 'migration-locked:wait');
my $m1 = sql(q{SELECT shard.add_shard('one', batch_size => 1)});
my $m2 = sql(q{SELECT shard.rebalance('two', '{key-1,key-2}', '{0}')});
await($node, q{SELECT count(*) = 2 FROM shard.migration_progress WHERE phase = 'cutover' AND pid IS NOT NULL}, 'two cut-overs');
pass('two migrations are at their cut-overs at once');
like(error_of(q{SELECT shard.rebalance('two', '{key-7,key-2}', '{0}')}),
	qr/55006: partition key "key-2" is already migrating/, 'a key in motion is refused by name');
like(error_of(q{SELECT shard.rebalance('two', '{key-7}', '{0}')}),
	qr/55006: router "two" is already migrating.*\n.*Migration $m2/s, 'another key has to wait for the router');
like(error_of(q{SELECT shard.remove_shard('one', 0)}), qr/55006: partition key "key-\d+" is already migrating/,
	'and so has another plan');

# Changes of its tables are refused while it runs.
for my $command ('ALTER TABLE second ADD COLUMN w int', 'ALTER TABLE second RENAME COLUMN v TO w',
	'CREATE INDEX ON second (v)', 'ALTER TABLE two_shard_0.second SET (fillfactor = 50)')
{
	like(error_of($command), qr/55006: table "second" is being migrated.*shard\.pause_migration\($m2\)/s, "$command is refused");
}
sql("SELECT shard.pause_migration($m1)");
set_point($node, '');
is(result($m2), 't|f', 'one is complete');
await($node, "SELECT state <> 'running' FROM shard.migrations WHERE migration_id = $m1", 'the other stops');
sql("SELECT shard.resume_migration($m1)");
is(result($m1), 't|f', 'and so is the other');
is(sql('ALTER TABLE second ADD COLUMN w int DEFAULT 1'), '', 'then tables may change');
like(error_of('ALTER SCHEMA one_shard_0 RENAME TO other'), qr/2BP01: schema "one_shard_0" cannot be renamed: it holds a shard/,
	'the schema of a shard keeps its name');

# While it is paused they may, and it goes on.
set_point($node, 'migration-locked:wait');
$m1 = sql(q{SELECT shard.add_shard('one', batch_size => 1)});
await($node, "SELECT phase = 'cutover' FROM shard.migration_progress WHERE migration_id = $m1", 'a cut-over');
sql("SELECT shard.pause_migration($m1)");
set_point($node, '');
await($node, "SELECT state = 'paused' FROM shard.migrations WHERE migration_id = $m1", 'the pause');
sql('ALTER TABLE first ADD COLUMN w int DEFAULT 7');
sql(q{UPDATE first SET w = 8 WHERE id % 2 = 0});

# A dump of this moment has every row where it belongs, and the migration.
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'a dump in the middle of a migration');
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '-d', $node->connstr('copy'), $dump ], 'is restored');
is($node->safe_psql('copy', q{SELECT count(*), sum(w) FROM first}), sql('SELECT count(*), sum(w) FROM first'),
	'with all rows');
is($node->safe_psql('copy', q{SELECT count(*) FROM shard.verify_placement('one')}), '0', 'where they belong');
is($node->safe_psql('copy', "SELECT state FROM shard.migrations WHERE migration_id = $m1"), 'paused', 'and the migration');
$node->safe_psql('copy', "SELECT shard.resume_migration($m1)");
is($node->safe_psql('copy', "SELECT success FROM shard.wait_migration($m1, '10 min')"), 't', 'which goes on there');
is($node->safe_psql('copy', q{SELECT count(*) FROM shard.verify_placement('one')}), '0', 'and ends right');
$node->safe_psql('postgres', 'DROP DATABASE copy WITH (FORCE)');

# Another table has to wait.
set_point($node, 'migration-before-lock:wait');
sql("SELECT shard.resume_migration($m1)");
await($node, "SELECT phase = 'replaying' AND pid IS NOT NULL FROM shard.migration_progress WHERE migration_id = $m1", 'the next batch');
sql(q{CREATE TABLE third (k text PRIMARY KEY, v int);
	INSERT INTO third SELECT 'key-' || i, i FROM generate_series(1, 200) i});
like(error_of(q{SELECT shard.distribute_table('third', 'one')}), qr/keys of router "one" are being migrated/,
	'distributing a table in between is refused');
set_point($node, '');
is(result($m1), 't|f', 'the migration is complete');
is(sql(q{SELECT count(*) FROM shard.verify_placement('one')}), '0', 'every row is where it belongs');
is(sql(q{SELECT shard.distribute_table('third', 'one')}), '', 'then it can be distributed');
is(sql(q{SELECT count(*), sum(v) FROM third}), '200|20100', 'and has its rows');

# A timeout says how far it was.  The way back is not limited by it.
my $holder = $node->background_psql('postgres', on_error_stop => 1);
$holder->query_safe('BEGIN; SELECT count(*) FROM second');
$m2 = sql(q{SELECT shard.add_shard('two', timeout => '300 ms', rollback_on_failure => false)});
is(sql("SELECT success, rolled_back FROM shard.wait_migration($m2)"), 'f|f', 'a migration that is not done in time fails');
like(sql("SELECT error FROM shard.migrations WHERE migration_id = $m2"),
	qr/^Migration timeout in phase initializing: 0 of \d+ keys, 0 of \d+ rows moved; nothing was changed$/, 'and says how far it was');
$holder->query_safe('COMMIT');
set_point($node, 'migration-before-lock:wait');
$m2 = sql(q{SELECT shard.add_shard('two', timeout => '2 s', rollback_on_failure => false)});
await($node, "SELECT phase = 'replaying' AND pid IS NOT NULL FROM shard.migration_progress WHERE migration_id = $m2", 'a batch');
$holder->query_safe('BEGIN; SELECT count(*) FROM second');
set_point($node, '');
is(sql("SELECT success, rolled_back FROM shard.wait_migration($m2)"), 'f|f', 'without rollback it stays');
like(sql("SELECT error FROM shard.migrations WHERE migration_id = $m2"),
	qr/^Migration timeout in phase replaying: .*; what was moved stays, shard.resume_migration\(\) goes on$/, 'half-way');
$holder->query_safe('COMMIT');
$holder->quit();
sql("UPDATE _shard.migration SET timeout = '1 min' WHERE migration_id = $m2");
sql("SELECT shard.resume_migration($m2)");
is(result($m2), 't|f', 'and goes on when it is resumed');

# Who waits is told how far it is.
set_point($node, 'migration-before-lock:wait');
$m2 = sql(q{SELECT shard.add_shard('two')});
await($node, "SELECT phase = 'replaying' AND pid IS NOT NULL FROM shard.migration_progress WHERE migration_id = $m2", 'a batch');
my ($status, $out, $err) = $node->psql('postgres',
	"SET shard.migration_notice_interval = '1ms'; SELECT shard.wait_migration($m2, '100 ms')");
like($err, qr/NOTICE:  migration $m2, replaying: 0 of \d+ keys, \d+ of \d+ rows/, 'notices tell the progress');
set_point($node, '');
is(result($m2), 't|f', 'it ends');

# A standby that cannot follow holds it up, and is named.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby = on");
$standby->start();
$node->wait_for_catchup($standby);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
set_setting($node, 'shard.migration_max_lag' => '1MB');
sql(q{CREATE TABLE ballast AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)});
$m2 = sql(q{SELECT shard.add_shard('two')});
await($node, "SELECT waiting_for = 'the lag of standby standby' FROM shard.migration_progress WHERE migration_id = $m2",
	'the gate');
pass('a migration waits for a standby that lags');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
is(result($m2), 't|f', 'and goes on when it has followed');
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM second WHERE shard.route('two', k) >= 0}), '1000', 'the standby has all rows');
$standby->stop();

# So does a pipeline that stands still, or does not run at all.
for my $case (
	[ 'pipeline-before-commit:wait', 2,
		q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'shard pipeline' AND query = 'at point pipeline-before-commit'},
		qr/^the lag of the pipeline$/ ],
	[ 'pipeline-before-commit:error', 1,
		q{SELECT retries > 0 AND last_error LIKE 'error requested%' FROM shard.pipeline_status},
		qr/^the lag of the pipeline(, which is \w+)?$/ ])
{
	my ($point, $target, $stands, $reason) = @$case;
	# Without the pipeline, planning waits for it, then does without.
	my $plan = $target == 1 && sql(q{SELECT shard.plan_rebalance('one', partition_keys => '{key-1,key-2}', target_shards => '{1}')});
	set_point($node, $point);
	sql(q{INSERT INTO first VALUES ('key-1', 300000, 'v'); DELETE FROM first WHERE id = 300000});
	await($node, $stands, "the pipeline at $point");
	sql(q{INSERT INTO first SELECT 'key-' || i % 100, 100000 + i, repeat('x', 1000) FROM generate_series(1, 3000) i;
		DELETE FROM first WHERE id > 100000});
	await($node, 'SELECT COALESCE(lag_bytes, wal_kept) > 2 * 1024 * 1024 FROM shard.pipeline_status', 'lag');
	$m1 = sql($plan ? "SELECT shard.execute_plan($plan)" : "SELECT shard.rebalance('one', '{key-1,key-2}', '{$target}')");
	await($node, "SELECT waiting_for LIKE 'the lag of the pipeline%' FROM shard.migration_progress WHERE migration_id = $m1", 'the gate');
	like(sql("SELECT message FROM shard.migration_log WHERE migration_id = $m1 AND message LIKE 'waits for%' ORDER BY at LIMIT 1")
		=~ s/^waits for //r, $reason, "$point: a migration waits for the pipeline, and says so");
	is(sql("SELECT keys_done FROM shard.migrations WHERE migration_id = $m1"), '0', "$point: nothing moves");
	is(sql(q{INSERT INTO first VALUES ('key-1', 200000, 'v') RETURNING id}), '200000', "$point: clients go on");
	sql(q{DELETE FROM first WHERE id = 200000});
	set_point($node, '');
	is(result($m1), 't|f', "$point: it goes on when the pipeline does");
	like(sql("SELECT string_agg(message, '; ' ORDER BY at) FROM shard.migration_log WHERE migration_id = $m1"),
		qr/waits for the lag of the pipeline.*; goes on; .*complete$/, "$point: the log says so");
	is_lake_equal($node, 'first', $point);
}

done_testing();
