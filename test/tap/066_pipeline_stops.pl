# At each step of the pipeline's work, while clients write, the engine is killed or
# the server is shut down at once.  Nothing may be lost or doubled: live table,
# state and the replay of the events agree afterwards.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('stops', 'shard.flush_interval' => '50ms', restart_after_crash => 'on');
my $points = $node->data_dir . '/points.conf';
append_to_file($points, '');
$node->append_conf('postgresql.conf', "include 'points.conf'");
$node->reload();
shard_table($node, 'things', rows => 300);
is_lake_equal($node, 'things', 'before');

my $replayed = q{
	SELECT e.k, e.id, e.v, e.n FROM (
		SELECT DISTINCT ON (k, id) * FROM (
			SELECT k, id, v, n, _verb <> 'deleted' AS put, _lsn, _seq FROM lake.things_events
			UNION ALL
			SELECT _old_key, id, NULL, NULL, false, _lsn, _seq FROM lake.things_events
			WHERE _old_key IS NOT NULL) o
		ORDER BY k, id, _lsn DESC, _seq DESC, put DESC) e
	WHERE put};

sub set_point
{
	my ($setting) = @_;
	open(my $out, '>', $points) or die "$points: $!";
	print $out "shard.point = '$setting'\n";
	close($out);
	$node->reload();
	return;
}

# A client that writes until its script ends or its connection does.
sub start_writer
{
	my ($from) = @_;
	my $file = $node->basedir . "/writer-$from.sql";
	my $script = '';
	for my $i (1 .. 40)
	{
		my $id = $from + $i;
		$script .= qq{
			BEGIN;
			INSERT INTO things VALUES ('key-' || $id % 30, $id, repeat('x', $i), $i);
			UPDATE things SET n = n + 1 WHERE k = 'key-' || $i % 30;
			UPDATE things SET k = 'moved-' || $i % 5 WHERE id = $from + $i - 3;
			DELETE FROM things WHERE id = $from + $i - 7;
			COMMIT;
			SELECT pg_sleep(0.005);
		};
	}
	append_to_file($file, $script);
	my $out = '';
	my $handle = IPC::Run::start(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
		'>', \$out, '2>&1');
	return $handle;
}

sub check
{
	my ($name) = @_;
	is_lake_equal($node, 'things', $name);
	is($node->safe_psql('postgres', qq{SELECT count(*) FROM (
			(($replayed) EXCEPT ALL SELECT k, id, v, n FROM things) UNION ALL
			(SELECT k, id, v, n FROM things EXCEPT ALL ($replayed))) d}),
		'0', "$name: the events lead to the same rows");
	is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'),
		'0', "$name: no event is there twice");
	return;
}

my @steps = qw(
  pipeline-after-decode
  pipeline-before-file
  pipeline-after-file
  pipeline-before-delete-file
  pipeline-after-delete-file
  pipeline-before-commit
  pipeline-after-commit
  pipeline-before-confirm
  pipeline-after-confirm
);

my $from = 10_000;

# Writers are at work and the worker stands at a step; what is done then is done.
sub stop_at
{
	my ($step, $stop) = @_;
	set_point("$step:wait");
	my $writer = start_writer($from);
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'shard pipeline' AND query = 'at point $step'}) or die "$step is not reached";
	$stop->($writer);
	set_point('') if $node->{_pid};
	$writer->finish();
	$from += 1000;
	return;
}

for my $step (@steps)
{
	stop_at($step, sub { is(kill_matching($node, 'shard_engine'), 1, "$step: the engine is killed") });
	check("engine killed at $step");
	stop_at($step, sub {
		my ($writer) = @_;
		$node->stop('immediate');
		open(my $out, '>', $points) or die "$points: $!";
		close($out);
		$writer->finish();
		$node->start();
	});
	check("immediate shutdown at $step");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '1', 'there is one slot');
$node->stop();
done_testing();
