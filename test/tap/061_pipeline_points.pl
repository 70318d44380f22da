# The pipeline worker fails, or the whole server is killed, at each step of its
# work while clients write.  Nothing may be lost or doubled: live table, state
# and the replay of the events agree afterwards.

use strict;
use warnings;
use PipelineTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = things_node('points');
my $from = 10_000;

# An error ends the worker; the launcher starts it again.
for my $step (pipeline_steps())
{
	my $retries = $node->safe_psql('postgres', 'SELECT retries FROM shard.pipeline_status');
	set_point($node, "$step:error");
	my $writer = start_writer($node, $from, 60);
	$node->poll_query_until('postgres',
		"SELECT retries > $retries AND last_error ~ '$step' FROM shard.pipeline_status")
	  or die "$step: no error";
	$writer->finish();
	set_point($node, '');
	check_things($node, "error at $step");
	$from += 1000;
}
like($node->safe_psql('postgres', 'SELECT last_error FROM shard.pipeline_status'),
	qr/error requested at point/, 'the status keeps the last error');

# A worker that is killed takes the server through crash recovery.
for my $step (pipeline_steps())
{
	my $log = -s $node->logfile;
	set_point($node, "$step:kill");
	my $writer = start_writer($node, $from, 60);
	$node->wait_for_log(qr/terminated by signal 9/, $log);
	set_point($node, '');
	$writer->finish();
	wait_until_up($node) or die "$step: no recovery";
	check_things($node, "killed at $step");
	$from += 1000;
}

# Making the slot, and comparing tables with their heap.
for my $step (qw(pipeline-before-slot-kept pipeline-after-slot-kept pipeline-resync-before-commit))
{
	my $log = -s $node->logfile;
	$node->safe_psql('postgres', q{UPDATE _shard.pipeline SET timeline = timeline + 1});
	set_point($node, "$step:kill");
	my $writer = start_writer($node, $from, 60);
	$node->safe_psql('postgres',
		q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'shard pipeline'});
	$node->wait_for_log(qr/terminated by signal 9/, $log);
	set_point($node, '');
	$writer->finish();
	wait_until_up($node) or die "$step: no recovery";
	check_things($node, "killed at $step");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_replication_slots'), '1', "$step: there is one slot");
	$from += 1000;
}
ok($node->safe_psql('postgres', q{SELECT count(*) > 0 FROM lake.things_events WHERE _event_id LIKE 'resync-%'}) eq 't',
	'differences are marked');

# Somebody else commits to the lake table while a batch is written: the batch is
# written again on top of that.
set_point($node, 'pipeline-after-file:wait');
$node->safe_psql('postgres', q{UPDATE things SET n = n + 1; DELETE FROM things WHERE id % 17 = 0});
my $location = $node->safe_psql('postgres', q{SELECT metadata_location FROM iceberg_tables WHERE table_name = 'things'});
my $data = $node->safe_psql('postgres', q{SELECT regexp_replace(metadata_location, '/metadata/[^/]*$', '/data')
	FROM iceberg_tables WHERE table_name = 'things_events'});
my $files = () = glob("$data/*.parquet");
for (1 .. 600)
{
	last if (() = glob("$data/*.parquet")) > $files;
	select(undef, undef, undef, 0.05);
}
(my $outside = $location) =~ s/\.metadata\.json$/-outside.metadata.json/;
append_to_file($outside, PostgreSQL::Test::Utils::slurp_file($location));
chmod 0600, $outside;
$node->safe_psql('postgres',
	"UPDATE iceberg_tables SET metadata_location = '$outside', previous_metadata_location = '$location' WHERE table_name = 'things'");
set_point($node, '');
check_things($node, 'another commit came first');
ok($node->safe_psql('postgres', "SELECT metadata_location <> '$outside' FROM iceberg_tables WHERE table_name = 'things'") eq 't',
	'the batch was committed after it');

# A comparison while a transaction is open, whose rows its snapshot does not see.
my $open = $node->background_psql('postgres');
$open->query_safe(q{BEGIN; INSERT INTO things VALUES ('key-1', 900001, 'open', 1); UPDATE things SET n = -1 WHERE k = 'key-2'});
my $resyncs = $node->safe_psql('postgres', 'SELECT resyncs FROM shard.pipeline_status');
$node->safe_psql('postgres', q{
	UPDATE _shard.lake_table SET synced = false;
	INSERT INTO things VALUES ('key-1', 900002, 'before', 1);
	UPDATE _shard.sharded_table SET lake = lake});
$node->poll_query_until('postgres', "SELECT resyncs > $resyncs FROM shard.pipeline_status") or die 'no comparison';
$open->query_safe(q{UPDATE things SET n = -2 WHERE k = 'key-3'; COMMIT});
$open->quit;
check_things($node, 'an open transaction while tables were compared');
is($node->safe_psql('postgres', 'SELECT count(*) FROM lake.things WHERE id > 900000'), '2', 'its rows are there');
$node->stop();
done_testing();
