=head1 NAME

PipelineTest - the pipeline's steps under writers, for TAP tests that stop it there

=head1 SYNOPSIS

  use PipelineTest;

  my $node = things_node('stops');
  for my $step (pipeline_steps())
  {
      set_point($node, "$step:error");
      my $writer = start_writer($node, 10_000, 60);
      ...
      check_things($node, "error at $step");
  }

=cut

package PipelineTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

our @EXPORT = qw(things_node start_writer check_things pipeline_steps);

# Where the pipeline's worker can be stopped while it writes a batch, in order.
sub pipeline_steps
{
	return qw(
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
}

# A server that flushes without pause, with a sharded table.
sub things_node
{
	my ($name) = @_;
	my $node = shard_node($name, 'shard.flush_interval' => '50ms', restart_after_crash => 'on');
	shard_table($node, 'things', rows => 300);
	is_lake_equal($node, 'things', 'before');
	return $node;
}

# A client that writes so many transactions, or until its connection ends; ids
# begin after the one given.
sub start_writer
{
	my ($node, $from, $transactions) = @_;
	my $file = $node->basedir . "/writer-$from.sql";
	my $script = '';
	for my $i (1 .. $transactions)
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
	return IPC::Run::start(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
		'>', \$out, '2>&1');
}

# The last state that the events lead to.
my $replayed = q{
	SELECT e.k, e.id, e.v, e.n FROM (
		SELECT DISTINCT ON (k, id) * FROM (
			SELECT k, id, v, n, _verb <> 'deleted' AS put, _lsn, _seq FROM lake.things_events
			UNION ALL
			SELECT _old_key, id, NULL, NULL, false, _lsn, _seq FROM lake.things_events
			WHERE _old_key IS NOT NULL) o
		ORDER BY k, id, _lsn DESC, _seq DESC, put DESC) e
	WHERE put};

# Checks: live table, state and the replay of the events agree.
sub check_things
{
	my ($node, $name) = @_;
	is_lake_equal($node, 'things', $name);
	is($node->safe_psql('postgres', qq{SELECT count(*) FROM (
			(($replayed) EXCEPT ALL SELECT k, id, v, n FROM things) UNION ALL
			(SELECT k, id, v, n FROM things EXCEPT ALL ($replayed))) d}),
		'0', "$name: the events lead to the same rows");
	is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'),
		'0', "$name: no event is there twice");
	return;
}

1;
