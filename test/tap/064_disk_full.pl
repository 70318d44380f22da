# The disk of the warehouse is full: the application goes on writing, the status
# says why the lake does not follow, no table is left out for it, and once there
# is room again the lake equals the tables.
#
# The warehouse is a small file system of its own.  It is mounted in a namespace
# of this test's own, for which one need not be root; where the system does not
# allow that, the test is skipped.

use strict;
use warnings;

# Again in the namespace: root there to mount, then this user as before.  Before
# the modules, which give standard output another meaning.
BEGIN
{
	if (!defined $ENV{SHARD_SMALL_DISK})
	{
		my $disk = "$ENV{TESTDIR}/disk";
		my @ids = ($<, (split / /, $()[0]);
		my $mount = "mount -t tmpfs -o size=6m,mode=0777 tmpfs '$disk'";
		my $again = "exec unshare --user --map-user=$ids[0] --map-group=$ids[1]";
		mkdir $disk or die "$disk: $!";
		if (system("unshare -Urm sh -c \"$mount && $again true\" >/dev/null 2>&1") != 0)
		{
			print "1..1\nok 1 # SKIP this system allows no mounts in namespaces\n";
			exit 0;
		}
		$ENV{SHARD_SMALL_DISK} = $disk;
		exec 'unshare', '-Urm', 'sh', '-c', "$mount && $again \"\$@\"", 'sh', $^X, $0;
	}
}

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $disk = $ENV{SHARD_SMALL_DISK};
my $node = shard_node('full', 'shard.flush_interval' => '50ms', 'shard.warehouse' => "$disk/lake",
	'shard.pipeline_max_retries' => 1, 'shard.compaction' => 'off', 'shard.metadata_versions' => 3);
shard_table($node, 'things', rows => 200);
is_lake_equal($node, 'things', 'before');

sub sql { return $node->safe_psql('postgres', $_[0]) }

my $replayed = q{
	SELECT e.k, e.id, e.v, e.n FROM (
		SELECT DISTINCT ON (k, id) k, id, v, n, _verb <> 'deleted' AS put FROM lake.things_events
		ORDER BY k, id, _lsn DESC, _seq DESC) e
	WHERE put};

sub fill
{
	my ($left) = @_;
	my $chunk = "\0" x 1024;
	open(my $out, '>', "$disk/fill") or die "$disk/fill: $!";
	binmode $out;
	$out->autoflush(1);
	1 while syswrite($out, $chunk);
	truncate($out, (-s "$disk/fill") - $left * 1024) if $left > 0;
	close($out);
	return;
}

sub empty { unlink "$disk/fill" or die "$disk/fill: $!"; return }

# Full at once; full in the middle of a large file; full when metadata is to be
# written.
my $from = 10_000;
for my $left (0, 400, -1)
{
	my $case = $left < 0 ? 'full after a data file' : "$left kB left";
	my $retries = sql('SELECT retries FROM shard.pipeline_status');
	if ($left >= 0)
	{
		fill($left);
	}
	else
	{
		my $files = () = glob("$disk/lake/*/*/data/*");
		set_point($node, 'pipeline-after-file:wait');
		sql('UPDATE things SET n = n + 1 WHERE id = 1');
		for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
		{
			last if (() = glob("$disk/lake/*/*/data/*")) > $files;
			select(undef, undef, undef, 0.1);
		}
		fill(0);
		set_point($node, '');
	}
	sql(qq{INSERT INTO things SELECT 'key-' || i % 20, $from + i,
			(SELECT string_agg(md5(j || '-' || i), '') FROM generate_series(1, 16) j), i FROM generate_series(1, 4000) i});
	$node->poll_query_until('postgres', "SELECT retries > $retries + 2 FROM shard.pipeline_status")
	  or die 'nothing failed';
	sql(qq{UPDATE things SET n = n + 1 WHERE id BETWEEN $from AND $from + 100;
		DELETE FROM things WHERE id BETWEEN $from + 200 AND $from + 4000});
	like(sql('SELECT last_error FROM shard.pipeline_status'), qr/no space left/i,
		"$case: the status says why");
	like(sql('SELECT state FROM shard.pipeline_status'), qr/^(retrying|failed|running|starting|syncing)$/, "$case: it is tried again");
	is(sql('SELECT count(*) FROM shard.dead_letters'), '0', "$case: that is no fault of the table");
	empty();
	$node->poll_query_until('postgres', q{SELECT state = 'running' FROM shard.pipeline_status}) or die 'it does not go on';
	is_lake_equal($node, 'things', "$case, after there was room again");
	is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'), '0',
		"$case: no event is there twice");
	is(sql(qq{SELECT count(*) FROM (
			(($replayed) EXCEPT ALL SELECT k, id, v, n FROM things) UNION ALL
			(SELECT k, id, v, n FROM things EXCEPT ALL ($replayed))) d}),
		'0', "$case: the events lead to the same rows");
	$from += 10_000;
}

# What the failed attempts left on disk: nothing but what the catalog names.
sql('SELECT shard.flush()');
my %known = map { $_ => 1 } split /\n/, sql(q{SELECT regexp_replace(path, '.*/', '') FROM (
	SELECT path FROM shard.lake_files('lake.things') UNION ALL SELECT path FROM shard.lake_files('lake.things_events')) f});
my @unknown = grep { !$known{ (split '/')[-1] } } glob("$disk/lake/*/*/data/*");
is("@unknown", '', 'attempts that failed leave no files');
$node->stop();
done_testing();
