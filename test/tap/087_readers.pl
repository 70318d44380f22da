# A shard is added, a key isolated and ranges moved while clients read: each
# sees every row exactly once, on the whole table and by key, in every isolation
# level.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms');
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub write_file
{
	my ($name, $content) = @_;
	open(my $out, '>', "$dir/$name") or die "$dir/$name: $!";
	print $out $content;
	close($out);
	return "$dir/$name";
}

# 50 rows of each of 100 keys, which nobody changes.  A wrong number divides by
# zero; the third statement sees what the first one has seen.
sub reader
{
	my ($prefix) = @_;
	my $key = $prefix eq '' ? ':k' : "'$prefix' || :k";
	return write_file("reader$prefix.sql", qq{
\\set k random(1, 100)
BEGIN;
SELECT 1 / (count(*) = 5000 AND count(DISTINCT id) = 5000)::int FROM kept WHERE id > 0;
SELECT 1 / (count(*) = 50)::int FROM kept WHERE k = $key AND id > 0;
SELECT 1 / (count(*) = 5000)::int FROM kept WHERE id > 0;
COMMIT;
SELECT nextval('done_' || translate(current_setting('transaction_isolation'), ' ', '_'));
});
}

# Changes of the same keys' other rows, so that there is something to catch up.
sub writer
{
	my ($prefix) = @_;
	my $key = $prefix eq '' ? ':k' : "'$prefix' || :k";
	return write_file("writer$prefix.sql", qq{
\\set k random(1, 100)
\\set id random(1, 100)
INSERT INTO kept VALUES ($key, -:id, 'v') ON CONFLICT (k, id) DO UPDATE SET v = kept.v || 'u';
DELETE FROM kept WHERE k = $key AND id = -:id - 1;
});
}

sub start_bench
{
	my ($script, $level) = @_;
	my %run = (err => '', level => $level);
	local $ENV{PGOPTIONS} = "-c default_transaction_isolation=$level";
	$run{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '1', '-T', '600', '--max-tries', '1000',
			'-f', $script, $node->connstr('postgres') ],
		'>', '/dev/null', '2>', \$run{err});
	return \%run;
}

# What helps to see why a reader does not go on.
sub tell_sessions
{
	diag(sql(q{SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid), now() - xact_start, query
		FROM pg_stat_activity ORDER BY pid}));
	for my $run (@_)
	{
		$run->{handle}->pump_nb();
		diag("$run->{level}: $run->{err}");
	}
	return;
}

# Run steps of migrations under readers of every level and a writer.
sub under_readers
{
	my ($name, $prefix, @steps) = @_;
	my @counters = qw(done_read_committed done_repeatable_read done_serializable);
	sql("CREATE SEQUENCE $_") for @counters;
	# Written once: a pgbench that starts must not find the file half written for the next.
	my $reader = reader($prefix);
	my @runs = map { start_bench($reader, $_) } ('read\ committed', 'repeatable\ read', 'serializable');
	my $writer = start_bench(writer($prefix), 'read\ committed ');
	$node->poll_query_until('postgres', 'SELECT count(*) > 5010 FROM kept') or die 'the writer does not write';
	for my $step (@steps)
	{
		my $id = sql($step);
		is(sql("SELECT success, error FROM shard.wait_migration($id)"), 't|', "$name: $step") if $id ne '';
	}
	for my $counter (@counters)
	{
		ok($node->poll_query_until('postgres', "SELECT is_called FROM $counter"), "$name: transactions counted by $counter")
			or tell_sessions(@runs);
	}
	for my $run (@runs, $writer)
	{
		$run->{handle}->signal('INT');
		$run->{handle}->finish();
		is(join('', grep { /error|fatal|abort/i } split /^/, $run->{err}), '', "$name: no error under $run->{level}");
	}
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	is_lake_equal($node, 'kept', $name);
	sql(q{DROP TABLE kept; SELECT shard.drop_router('app')});
	sql("DROP SEQUENCE $_") for @counters;
	return;
}

for my $strategy ('consistent-hash', 'tenant')
{
	sql(qq{
		SELECT shard.create_router('app', '$strategy', 3, ARRAY['k']);
		CREATE TABLE kept (k text, id int, v text, PRIMARY KEY (k, id));
		INSERT INTO kept SELECT 'key-' || i % 100 + 1, i, repeat('x', i % 200) FROM generate_series(1, 5000) i;
		SELECT shard.distribute_table('kept', 'app');
	});
	under_readers($strategy, 'key-',
		q{SELECT shard.add_shard('app', batch_size => 3)},
		q{SELECT shard.isolate('app', 'key-7')},
		q{SELECT shard.add_shard('app', partition_keys => '{key-8,key-9,key-10}', batch_size => 1)});
}

sql(q{
	SELECT shard.create_router('app', 'range', partition_key => '{k}', key_type => 'int',
		ranges => '[{"start": null, "end": 40, "shard": 0}, {"start": 40, "end": 70, "shard": 1},
			{"start": 70, "end": null, "shard": 2}]');
	CREATE TABLE kept (k int, id int, v text, PRIMARY KEY (k, id));
	INSERT INTO kept SELECT i % 100 + 1, i, repeat('x', i % 200) FROM generate_series(1, 5000) i;
	SELECT shard.distribute_table('kept', 'app');
});
under_readers('range', '',
	q{SELECT shard.alter_router('app', ranges => '[{"start": null, "end": 20, "shard": 0},
		{"start": 20, "end": 60, "shard": 1}, {"start": 60, "end": null, "shard": 2}]')},
	q{SELECT shard.add_shard('app')},
	q{SELECT shard.alter_router('app', ranges => '[{"start": null, "end": 10, "shard": 3},
		{"start": 10, "end": 50, "shard": 0}, {"start": 50, "end": 80, "shard": 1}, {"start": 80, "end": null, "shard": 2}]')},
	q{SELECT shard.remove_shard('app', 1)});

done_testing();
