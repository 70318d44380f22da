# Servers that have the catalog of another one's lake, on a warehouse that both
# can reach: a promoted standby, a restored base backup, a restore to a point in
# time, a clone.  Each goes on with all events, and touches no file of the other
# one, unless it is told that the other one is gone.

use strict;
use warnings;
use File::Find;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $warehouse = "$ENV{TESTDIR}/warehouse-$$";
my $node = shard_node('original', 'shard.flush_interval' => '50ms', 'shard.warehouse' => $warehouse,
	'shard.orphan_min_age' => 0, 'shard.metadata_versions' => 2, 'shard.maintenance_interval' => '100ms',
	'shard.snapshot_retention' => 0, max_wal_senders => 5, max_replication_slots => 5);
shard_table($node, 'things', rows => 300);

my $replayed = q{
	SELECT e.k, e.id, e.v, e.n FROM (
		SELECT DISTINCT ON (k, id) k, id, v, n, _verb <> 'deleted' AS put FROM lake.things_events
		ORDER BY k, id, _lsn DESC, _seq DESC) e
	WHERE put};

sub change
{
	my ($server, $id) = @_;
	$server->safe_psql('postgres', qq{
		UPDATE things SET n = n + 1 WHERE id % 5 = $id % 5;
		INSERT INTO things VALUES ('key-1', $id, 'new', 0), ('key-2', $id + 1, 'new', 0);
		DELETE FROM things WHERE id = ($id % 200);
		SELECT shard.emit('things_router', 'done', 'jobs', '{}', 'key-1', 'job-$id');
		SELECT shard.flush()});
	return;
}

sub check
{
	my ($server, $name, $jobs) = @_;
	is_lake_equal($server, 'things', $name);
	is($server->safe_psql('postgres', qq{SELECT count(*) FROM (
			(($replayed) EXCEPT ALL SELECT k, id, v, n FROM things) UNION ALL
			(SELECT k, id, v, n FROM things EXCEPT ALL ($replayed))) d}),
		'0', "$name: the events lead to the same rows");
	is($server->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'),
		'0', "$name: no event is there twice");
	is($server->safe_psql('postgres', 'SELECT count(*), count(DISTINCT _event_id) FROM lake.shard_things_router_events'),
		"$jobs|$jobs", "$name: custom events");
	return;
}

# All files of the warehouse, with their sizes and times.
sub files
{
	my %files;
	find({ wanted => sub { my @s = stat($_); $files{$File::Find::name} = "$s[7] $s[9]" if -f _ }, no_chdir => 1 },
		$warehouse);
	return \%files;
}

# Is every file of before there, as it was?
sub is_untouched
{
	my ($before, $name) = @_;
	my $now = files();
	my @lost = grep { !defined $now->{$_} || $now->{$_} ne $before->{$_} } sort keys %$before;
	is("@lost", '', "$name: the other server's files are as they were");
	return;
}

sub start_copy
{
	my ($copy) = @_;
	$copy->start();
	$copy->safe_psql('postgres', q{SELECT _shard.pipeline_ready('60 s')});
	$copy->safe_psql('postgres', 'SELECT shard.flush()');
	return;
}

sub made_events
{
	my ($server) = @_;
	return $server->safe_psql('postgres', 'SELECT count(*) FROM lake.things_events');
}

# What a user may do to files, and what happens by itself.
sub tidy
{
	my ($server) = @_;
	$server->safe_psql('postgres', q{
		SELECT count(*) FROM shard.compact('lake.things');
		SELECT count(*) FROM shard.compact('lake.things_events');
		SELECT count(*) FROM shard.expire_snapshots('lake.things', '0 s', 1);
		SELECT count(*) FROM shard.remove_orphan_files('lake.things', '0 s');
		SELECT count(*) FROM shard.remove_orphan_files('lake.things_events', '0 s')});
	return;
}

change($node, 1000);
check($node, 'the original', 1);
$node->backup('base');
change($node, 1010);
change($node, 1020);
my $all = made_events($node);

# ---- a standby is promoted, while the original goes on ----

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start();
$node->wait_for_catchup($standby);
# while files are watched the original is down: it removes what it has replaced
$node->stop();
my $before = files();
$standby->promote();
$standby->safe_psql('postgres', q{SELECT _shard.pipeline_ready('60 s')});
change($standby, 2000);
check($standby, 'a promoted standby', 4);
cmp_ok(made_events($standby), '>', $all, 'a promoted standby has the events of before');
tidy($standby);
check($standby, 'a promoted standby, after maintenance', 4);
is_untouched($before, 'a promoted standby');
$node->start();
change($node, 1030);
tidy($node);
check($node, 'the original goes on', 4);
change($standby, 2010);
check($standby, 'and so does the other one', 5);
$standby->stop();

# ---- a clone: the base backup started as it is, without recovery ----

# What the original still means to remove of its own must not be taken for the clone's doing.
$node->poll_query_until('postgres', q{
	SELECT _shard.lake_empty_trash() >= 0;
	SELECT NOT EXISTS (SELECT FROM _shard.lake_trash)}, "t\nt") or die 'the trash is not emptied';
$node->backup('later');
$node->stop();
$before = files();
my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($node, 'later');
start_copy($clone);
change($clone, 3000);
check($clone, 'a clone', 5);
cmp_ok(made_events($clone), '>', $all, 'a clone has the events of before');
tidy($clone);
is_untouched($before, 'a clone');
$clone->safe_psql('postgres', 'DROP TABLE things; SELECT shard.flush()');
is_untouched($before, 'a clone that drops the table');
$clone->stop();
$node->start();
check($node, 'the original', 4);

# ---- a restore to a point in time, which takes the lake over ----

$node->stop();
my $lost = shard_node('lost', 'shard.flush_interval' => '50ms', 'shard.warehouse' => "$warehouse-lost",
	max_wal_senders => 5, archive_mode => 'on', archive_command => "cp %p $ENV{TESTDIR}/archive-$$/%f");
mkdir "$ENV{TESTDIR}/archive-$$" or die $!;
shard_table($lost, 'things', rows => 300);
change($lost, 1000);
$lost->backup('base');
change($lost, 1010);
my $point = $lost->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
my $events = made_events($lost);
my $location = q{SELECT regexp_replace(metadata_location, '/metadata/.*', '') FROM iceberg_tables
	WHERE table_name = 'things'};
my $directory = $lost->safe_psql('postgres', $location);
change($lost, 1020);
$lost->safe_psql('postgres', 'SELECT pg_switch_wal()');
$lost->stop();
my $restored = PostgreSQL::Test::Cluster->new('restored');
$restored->init_from_backup($lost, 'base');
$restored->append_conf('postgresql.conf', qq{
restore_command = 'cp $ENV{TESTDIR}/archive-$$/%f %p'
recovery_target_lsn = '$point'
recovery_target_action = promote
archive_mode = off
shard.adopt_lake = on
});
append_to_file($restored->data_dir . '/recovery.signal', '');
$restored->start();
$restored->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
$restored->safe_psql('postgres', q{SELECT _shard.pipeline_ready('60 s')});
$restored->safe_psql('postgres', 'SELECT shard.flush()');
is($restored->safe_psql('postgres', $location), $directory, 'a lake that is taken over stays where it is');
is(made_events($restored), $events, 'a restore to a point in time has the events up to there');
change($restored, 4000);
check($restored, 'a restore to a point in time', 3);
tidy($restored);
check($restored, 'and after maintenance', 3);
$restored->stop();
done_testing();
