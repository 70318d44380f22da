# Processes are killed while changes flow to the lake: the engine, the pipeline
# worker, the whole server.  Afterwards live table and lake must have the same
# rows, and no event may be there twice.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('kill', 'shard.flush_interval' => '100ms', restart_after_crash => 'on');
shard_table($node, 'things', rows => 2000);

# Start a client that commits many small transactions; it stops at its first error.
sub start_writer
{
	my ($from) = @_;
	my %run = (out => '', err => '');
	my $script = '';
	for my $i (1 .. 400)
	{
		my $id = $from + $i;
		$script .= qq{
			BEGIN;
			INSERT INTO things VALUES ('key-' || $id % 50, $id, repeat('x', $i), $i);
			UPDATE things SET n = n + 1, v = v || '+' WHERE k = 'key-' || $i % 50 AND id < 2000;
			DELETE FROM things WHERE id = $from + $i - 7;
			COMMIT;
		};
	}

	# From a file: what IPC::Run feeds it, it feeds only while it is pumped.
	my $file = $node->basedir . "/writer-$from.sql";
	append_to_file($file, $script);
	$run{handle} = IPC::Run::start(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $file ],
		'>', \$run{out}, '2>', \$run{err});
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM things WHERE id > $from")
	  or die 'the writer does not write';
	return \%run;
}

# Wait until it has done its work, or has lost its connection.
sub finish_writer
{
	my ($run) = @_;
	$run->{handle}->finish();
	return $run->{err};
}

sub check
{
	my ($name) = @_;
	is_lake_equal($node, 'things', $name);
	is($node->safe_psql('postgres', 'SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'),
		'0', "$name: no event is there twice");
	return;
}

check('before');

my $from = 10_000;
for my $round (1 .. 3)
{
	my $writer = start_writer($from);
	is(kill_matching($node, 'shard_engine'), 1, "engine killed, round $round");
	is(finish_writer($writer), '', "round $round: the application notices nothing of the engine's end");
	check("engine killed, round $round");
	$from += 10_000;
}

# A backend process that is killed takes the server through crash recovery.
for my $round (1 .. 2)
{
	my $writer = start_writer($from);
	is(kill_matching($node, 'pipeline'), 1, "pipeline worker killed, round $round");
	finish_writer($writer);
	wait_until_up($node) or die 'no recovery';
	check("pipeline worker killed, round $round");
	$from += 10_000;
}

for my $round (1 .. 3)
{
	my $writer = start_writer($from);
	$node->stop('immediate');
	finish_writer($writer);
	$node->start();
	check("server killed, round $round");
	$from += 10_000;
}

is( $node->safe_psql('postgres', q{
		SELECT count(*) FILTER (WHERE _verb = 'created') - count(*) FILTER (WHERE _verb = 'deleted')
			   - (SELECT count(*) FROM things)
		FROM lake.things_events}),
	'0', 'created less deleted events are the rows that are there');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '1', 'there is one slot');

$node->safe_psql('postgres', 'SELECT shard.undistribute_table($$things$$); DROP EXTENSION shard CASCADE');
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_replication_slots');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '0',
	'the slot went with the extension');
$node->stop();
done_testing();
