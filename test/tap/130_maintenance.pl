# Maintenance of the lake: many small flushes stay bounded, files are replaced
# while rows are deleted from them and while readers have them open, and a server
# that is killed in the middle leaves nothing behind that is not cleaned up.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;
use Time::HiRes qw(usleep);

my $node = shard_node('maintenance', 'shard.compaction' => 'off', 'shard.flush_interval' => '50ms',
	'shard.orphan_min_age' => '0', fsync => 'off', restart_after_crash => 'on', autovacuum => 'off');
shard_table($node, 'things', rows => 2000);

sub sql
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# Run a script in a session that may be killed with the server.
sub run_doomed
{
	my ($script) = @_;
	my $file = $node->basedir . '/doomed.sql';
	open(my $out, '>', $file) or die "$file: $!";
	print $out $script;
	close($out);
	my ($stdout, $stderr) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $file ],
		'>', \$stdout, '2>', \$stderr);
	return $stderr;
}

# Changes of all kinds, flush by flush.
my $round = 0;

sub change
{
	my ($flushes) = @_;
	my $script = '';
	for (1 .. $flushes)
	{
		$round++;
		$script .= qq{
			INSERT INTO things VALUES ('key-' || $round % 7, 10000 + $round, 'new', $round);
			UPDATE things SET n = n + 1 WHERE id % 97 = $round % 97;
			DELETE FROM things WHERE id % 211 = $round % 211;
			SELECT shard.flush();
		};
	}
	sql($script);
	return;
}

sub files { return sql("SELECT count(*) FROM shard.lake_files('$_[0]') WHERE content ~ '$_[1]'") }

sub directory
{
	my ($table) = @_;
	return sql(qq{
		SELECT regexp_replace(metadata_location, '/metadata/[^/]*\$', '') FROM iceberg_tables
		WHERE table_name = '$table'});
}

sub count_below
{
	my ($directory) = @_;
	my @files = split /\n/, `find '$directory' -type f`;
	return scalar @files;
}

# ---- by hand ----

change(12);
cmp_ok(files('lake.things', 'data'), '>', 10, 'flushes leave files');
cmp_ok(files('lake.things', 'deletes'), '>', 5, 'and delete files');
my $position = sql(q{SELECT summary->>'shard.lsn' FROM shard.lake_snapshots('things') WHERE is_current});
is(sql(q{SELECT string_agg(lake_table || ' ' || files_after || ' ' || delete_files_after, ', ')
	FROM shard.compact('things')}),
	'public.things_events 1 0, public.things 1 0', 'compaction leaves one file of each table');
is(files('things', '.'), 1, 'as the lake says, too');
is_lake_equal($node, 'things', 'after compaction');
is(sql(q{SELECT operation FROM shard.lake_snapshots('things') WHERE is_current}), 'replace',
	'the snapshot says what it is');
is(sql(q{SELECT summary->>'shard.lsn' FROM shard.lake_snapshots('things') WHERE is_current}),
	$position, 'and carries the position on');
is(sql(q{SELECT sum(files_before + delete_files_before) FROM shard.compact('things')}), 0,
	'what is compact stays as it is');
is(sql(q{SELECT sum(files_before) FROM shard.compact('lake.things_events')}), 0,
	'a foreign table names its own lake table');

# ---- readers ----

change(3);
my $reader = $node->background_psql('postgres');
my $expected = sql('SELECT count(*) FROM things');
$reader->query_safe('BEGIN; DECLARE c CURSOR FOR SELECT id FROM lake.things; FETCH 1 FROM c');
my $old = $node->background_psql('postgres');
my $seen = $old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lake.things');
sql(q{DELETE FROM things WHERE id % 2 = 0; SELECT shard.flush()});
sql(q{SELECT shard.compact('things', true); SELECT shard.expire_snapshots('things', '0 s')});
sql('SELECT _shard.lake_empty_trash()');
is(sql(q{SELECT count(*) FROM shard.lake_snapshots('things')}), 1, 'expiry leaves one snapshot');
is($reader->query_safe(q{FETCH ALL FROM c}) =~ tr/\n// + 2, $expected, 'an open cursor reads to its end');
is($old->query_safe('SELECT count(*) FROM lake.things'), $seen,
	'a transaction reads again what it saw before');
cmp_ok(sql('SELECT count(*) FROM _shard.lake_trash'), '>', 0, 'files wait for them');
$reader->query_safe('COMMIT');
$old->query_safe('COMMIT');
$reader->quit;
$old->quit;
$node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND count(*) = 0 FROM _shard.lake_trash')
  or die 'files are not removed';
is_lake_equal($node, 'things', 'after expiry');
my $directory = directory('things');
my $clean = count_below("$directory/data");
is($clean, files('things', '.'), 'only live files are left');

# ---- orphans ----

my $orphan = "$directory/data/0123456789-left.parquet";
append_to_file($orphan, 'left');
like(run_doomed(q{SET shard.orphan_min_age = '1h'}), qr/cannot be changed now/,
	'the safe age is the server\'s');
is(sql(q{SELECT sum(files_removed + files_queued) FROM shard.remove_orphan_files('things')}), 0,
	'a young file stays');
ok(-e $orphan, 'really');
is(sql(q{SELECT files_removed + files_queued FROM shard.remove_orphan_files('lake.things', '0 s')}), 1,
	'an old one goes');
sql('SELECT _shard.lake_empty_trash()');
ok(!-e $orphan, 'really');
is(count_below("$directory/data"), $clean, 'and nothing else');

# A writer that has not committed: its files are waited for.
set_point($node, 'pipeline-before-commit:wait');
sql(q{INSERT INTO things VALUES ('key-1', 500000, 'waiting', 1)});
$node->poll_query_until('postgres', q{
	SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_extension'::regclass
	AND objid = 1 AND mode = 'RowExclusiveLock'}) or die 'no flush';
my $cleaner = $node->background_psql('postgres');
$cleaner->query_until(qr/begun/, q{\echo begun
	SELECT 'orphans ' || sum(files_removed + files_queued) FROM shard.remove_orphan_files('things', '0 s');
});
$node->poll_query_until('postgres', q{
	SELECT count(*) = 1 FROM pg_locks WHERE NOT granted}) or die 'does not wait';
set_point($node, '');
is($cleaner->query_safe('SELECT 1'), "orphans 0\n1", 'files of an unfinished flush are no orphans');
$cleaner->quit;
is_lake_equal($node, 'things', 'after looking for orphans during a flush');

# ---- deletes and updates during a compaction ----

change(3);
set_point($node, 'compact-before-lock:wait');
my $compactor = $node->background_psql('postgres');
$compactor->query_until(qr/begun/, q{\echo begun
	SELECT 'merged ' || files_before FROM shard.compact('lake.things', true);
});
my $waits = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query = 'at point compact-before-lock'};
$node->poll_query_until('postgres', $waits) or die 'compaction does not wait';
sql(q{
	DELETE FROM things WHERE id % 5 = 1;
	UPDATE things SET n = n + 100 WHERE id % 5 = 2;
	SELECT shard.flush();
	UPDATE things SET v = 'again' WHERE id % 5 = 2;
	SELECT shard.flush()});
set_point($node, '');
like($compactor->query_safe('SELECT 1'), qr/^merged [1-9]/, 'a compaction that lost the race commits');
is_lake_equal($node, 'things', 'after deletes during a compaction');

set_point($node, 'compact-before-lock:wait');
$compactor->query_until(qr/begun/, q{\echo begun
	SELECT 'merged ' || files_before FROM shard.compact('lake.things', true);
});
$node->poll_query_until('postgres', $waits) or die 'compaction does not wait';
sql(q{TRUNCATE things; INSERT INTO things SELECT 'key-' || i % 9, i, 'v', i FROM generate_series(1, 500) i;
	SELECT shard.flush()});
set_point($node, '');
$compactor->query_safe('SELECT 1');
$compactor->quit;
is_lake_equal($node, 'things', 'after TRUNCATE during a compaction');

# ---- killed ----

for my $point (qw(compact-after-sort compact-after-files compact-before-lock compact-before-commit
	compact-after-swap))
{
	change(2);
	like(run_doomed("SET shard.point = '$point:kill'; SELECT shard.compact('things', true);"),
		qr/server closed|terminat/, "$point: killed");
	ok(wait_until_up($node), "$point: the server is back");
	is_lake_equal($node, 'things', $point);
	sql('SELECT shard.compact(\'things\')');
	is_lake_equal($node, 'things', "$point, compacted again");
}
for my $point (qw(expire-before-swap expire-after-swap orphans-before-remove orphans-after-remove trash-after-remove))
{
	change(2);
	append_to_file($orphan, 'left');
	like(run_doomed(qq{
		SET shard.point = '$point:kill';
		SELECT shard.remove_orphan_files('things', '0 s');
		SELECT shard.expire_snapshots('things', '0 s');
		SELECT _shard.lake_empty_trash();}), qr/server closed|terminat/, "$point: killed");
	ok(wait_until_up($node), "$point: the server is back");
	is_lake_equal($node, 'things', $point);
}
sql(q{SELECT shard.compact('things'); SELECT shard.expire_snapshots('things', '0 s');
	SELECT shard.remove_orphan_files('things', '0 s')});
$node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND count(*) = 0 FROM _shard.lake_trash')
  or die 'files are not removed';
is(count_below("$directory/data"), files('things', '.'), 'nothing is left of what was killed');
is(sql(q{SELECT sum(files_removed + files_queued) FROM shard.remove_orphan_files('things', '0 s')}), 0,
	'nor of metadata');

# ---- by itself, while clients write ----

$node->append_conf('postgresql.conf', q{
	shard.compaction = on
	shard.maintenance_interval = '100ms'
	shard.compaction_min_files = 4
	shard.flush_rows = 1
	shard.metadata_versions = 20});
$node->restart();
my $writer = $node->basedir . '/writer.sql';
append_to_file($writer, q{
	\set id random(1, 800)
	\set other random(1, 800)
	INSERT INTO things VALUES ('key-' || :id % 9, :id, 'up', 1)
	ON CONFLICT (k, id) DO UPDATE SET n = things.n + 1;
	DELETE FROM things WHERE id = :other AND n % 3 = 0;
});
$node->command_ok([ 'pgbench', '-n', '-c', '2', '-t', '100', '-f', $writer, '-d', $node->connstr('postgres') ],
	'clients write');
sql(q{SELECT shard.flush('5 min')});
is_lake_equal($node, 'things', 'after many small flushes');
is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'), 0, 'no event twice');
cmp_ok(sql('SELECT flushes FROM shard.pipeline_status'), '>', 100, 'they were many');
$node->poll_query_until('postgres', q{
	SELECT count(*) < 30 FROM shard.lake_files('lake.things')}) or die 'files are not merged';
$node->poll_query_until('postgres', q{
	SELECT count(*) < 15 FROM shard.lake_files('lake.things_events')}) or die 'files of events are not merged';
ok(1, 'and few files are left');
cmp_ok(sql(q{SELECT sum(files_merged) FROM shard.maintenance WHERE last_error IS NULL}), '>', 50, 'the view tells');
$node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND count(*) = 0 FROM _shard.lake_trash')
  or die 'files are not removed';
my @versions = split /\n/, `find '$directory/metadata' -name '*.metadata.json'`;
cmp_ok(scalar @versions, '<', 60, 'old metadata files go');

# ---- a copy of the database must not touch the files ----

set_point($node, 'pipeline-before-slot-kept:wait');
sql('CREATE DATABASE copy TEMPLATE postgres');
for my $call (q{shard.compact('things')}, q{shard.expire_snapshots('things')},
	q{shard.remove_orphan_files('things')})
{
	my ($rc, $out, $err) = $node->psql('copy', "SELECT $call");
	like($err, qr/belong to another database/, "the copy refuses $call");
}
set_point($node, '');
is_lake_equal($node, 'things', 'the copy, with files of its own', 'copy');
is($node->safe_psql('copy', q{SELECT count(*) FROM shard.compact('things')}), 2, 'those it may compact');
is_lake_equal($node, 'things', 'the original');
$node->safe_psql('postgres', 'DROP DATABASE copy');

done_testing();
