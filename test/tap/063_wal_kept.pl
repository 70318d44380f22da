# A pipeline that cannot go on keeps WAL only up to a bound: by shard.max_wal_keep
# its slot is given up, by max_slot_wal_keep_size the server does that.  Nobody who
# writes notices; afterwards the tables are compared with the lake and equal.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('kept', 'shard.flush_interval' => '50ms', 'shard.max_wal_keep' => '24MB',
	min_wal_size => '32MB', max_wal_size => '64MB', restart_after_crash => 'on');
shard_table($node, 'things', rows => 200);
shard_table($node, 'others', rows => 100);
is_lake_equal($node, 'things', 'before');

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $generation = 'SELECT slot_generation FROM _shard.pipeline';
my $from = 10_000;

# Changes that make so much WAL, some MB at a time.
sub write_mb
{
	my ($mb) = @_;
	for (1 .. $mb)
	{
		sql(qq{INSERT INTO things SELECT 'key-' || i % 20, $from + i, repeat(md5(i::text), 30), i FROM generate_series(1, 800) i;
			UPDATE things SET n = n + 1 WHERE id BETWEEN $from + 1 AND $from + 50;
			DELETE FROM things WHERE id BETWEEN $from - 700 AND $from - 100});
		$from += 1000;
	}
	return;
}

sub events_are_unique
{
	my ($name) = @_;
	is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'), '0',
		"$name: no event is there twice");
	return;
}

# ---- by hand ----

sql(q{SELECT shard.resync('others')});
is_lake_equal($node, 'others', 'compared by hand');
is(sql(q{SELECT count(*) FROM lake.others_events WHERE _event_id LIKE 'resync-%'}), '0',
	'no event where there is no difference');

# A table that the pipeline has left out.
sql(q{UPDATE _shard.lake_table SET problem = 'for the test' WHERE name = 'others'});
sql(q{UPDATE _shard.sharded_table SET lake = lake});
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'shard pipeline'});
sql(q{SELECT _shard.pipeline_ready('60 s')});
$node->psql('postgres', 'SELECT shard.flush()');
sql(q{UPDATE others SET n = -1 WHERE id <= 30; DELETE FROM others WHERE id > 90});
$node->psql('postgres', 'SELECT shard.flush()');
is(sql(q{SELECT count(*) FROM lake.others WHERE n = -1}), '0', 'a table that is left out');
sql(q{SELECT shard.resync('others')});
is_lake_equal($node, 'others', 'taken in again by hand');
is(sql(q{SELECT _verb, count(*) FROM lake.others_events WHERE _event_id LIKE 'resync-%' GROUP BY 1 ORDER BY 1}),
	"deleted|10\nupdated|30", 'the differences are events that are marked');
my ($ret, $out, $err) = $node->psql('postgres', q{SELECT shard.resync('pg_class')});
like($err, qr/table "pg_class" is not kept in the lake/, 'only tables in the lake are compared');
sql('SELECT shard.resync()');
is_lake_equal($node, 'things', 'all compared');

# ---- shard.max_wal_keep ----

my $was = sql($generation);
my $log = -s $node->logfile;
set_setting($node, 'shard.point', 'pipeline-before-file:wait');
write_mb(14);
ok($node->poll_query_until('postgres', q{SELECT warning ~ 'shard.max_wal_keep' FROM shard.pipeline_status}),
	'the status warns before');
ok(sql('SELECT wal_kept > 0 FROM shard.pipeline_status') eq 't', 'and says how much is kept');
is(sql($generation), $was, 'the slot is there still');
write_mb(20);
$node->wait_for_log(qr/WARNING: .*the slot keeps \d+ MB of WAL; beyond 24 MB/, $log);
$node->wait_for_log(qr/WARNING: .*the slot was given up: it kept \d+ MB of WAL/, $log);
set_setting($node, 'shard.point', undef);
is_lake_equal($node, 'things', 'after the slot was given up');
ok(sql($generation) > $was, 'a new slot is a new generation');
ok(sql(q{SELECT count(*) > 0 FROM lake.things_events WHERE _event_id LIKE 'resync-%'}) eq 't',
	'what was missing became events that are marked');
events_are_unique('after the slot was given up');

# A worker that fails again and again: there is none at most times.
$was = sql($generation);
set_setting($node, 'shard.point', 'pipeline-before-file:error');
write_mb(34);
$node->poll_query_until('postgres', q{SELECT count(*) = 0 OR bool_and(pg_current_wal_lsn() - restart_lsn < 24 * 1024 * 1024)
	FROM pg_replication_slots}) or die 'the slot keeps its WAL';
set_setting($node, 'shard.point', undef);
is_lake_equal($node, 'things', 'after the slot of a worker that failed was given up');
ok(sql($generation) > $was, 'that too is a new generation');
events_are_unique('after a worker that failed');

# ---- max_slot_wal_keep_size ----

set_setting($node, 'shard.max_wal_keep', 0);
set_setting($node, 'max_slot_wal_keep_size', '16MB');
$was = sql($generation);
set_setting($node, 'shard.point', 'pipeline-before-file:wait');
write_mb(40);
sql('CHECKPOINT');
# the worker may have made a new slot already
$node->poll_query_until('postgres', qq{SELECT count(*) = 0 OR bool_or(wal_status = 'lost') OR ($generation) > $was
	FROM pg_replication_slots})
  or die 'the server keeps the slot';
set_setting($node, 'shard.point', undef);
is_lake_equal($node, 'things', 'after the server took the WAL');
ok(sql($generation) > $was, 'with a new slot');
is(sql('SELECT count(*) FROM pg_replication_slots'), '1', 'there is one slot');
events_are_unique('after the server took the WAL');
$node->stop();
done_testing();
