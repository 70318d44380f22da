# At each step of the pipeline's work, while clients write, the engine is killed or
# the server is shut down at once.  Nothing may be lost or doubled: live table,
# state and the replay of the events agree afterwards.

use strict;
use warnings;
use PipelineTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = things_node('stops');
my $from = 10_000;

# Writers are at work and the worker stands at a step; what is done then is done.
sub stop_at
{
	my ($step, $stop) = @_;
	set_point($node, "$step:wait");
	my $writer = start_writer($node, $from, 40);
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM pg_stat_activity
		WHERE backend_type = 'shard pipeline' AND query = 'at point $step'}) or die "$step is not reached";
	$stop->($writer);
	set_point($node, '');
	$writer->finish();
	$from += 1000;
	return;
}

for my $step (pipeline_steps())
{
	stop_at($step, sub { is(kill_matching($node, 'shard_engine'), 1, "$step: the engine is killed") });
	check_things($node, "engine killed at $step");
	stop_at($step, sub {
		my ($writer) = @_;
		$node->stop('immediate');
		set_point($node, '');
		$writer->finish();
		$node->start();
	});
	check_things($node, "immediate shutdown at $step");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '1', 'there is one slot');
$node->stop();
done_testing();
