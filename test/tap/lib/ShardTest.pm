
=head1 NAME

ShardTest - servers with the extension, for TAP tests

=head1 SYNOPSIS

  use ShardTest;

  my $node = shard_node('main', 'shard.flush_interval' => '200ms');
  shard_table($node, 'orders', rows => 1000);
  is_lake_equal($node, 'orders', 'after a crash');
  done_testing();

Servers are made by PostgreSQL::Test::Cluster, so they can be stopped, killed
and restarted, and end with the test.

=cut

package ShardTest;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

our @EXPORT = qw(shard_node shard_settings shard_table is_lake_equal kill_matching wait_until_up
  set_setting set_point);

# The settings without which the extension does not run in full.
sub shard_settings
{
	my ($node, %extra) = @_;
	my %settings = (
		shared_preload_libraries => 'shard',
		wal_level => 'logical',
		max_worker_processes => 24,
		max_locks_per_transaction => 256,
		log_min_messages => 'warning',
		fsync => 'on',
		%extra);

	# Only some minor versions have it.
	my ($known) = run_command(
		[ 'postgres', '-C', 'output_plugin_libraries', '-D', $node->data_dir ]);
	$settings{output_plugin_libraries} //= 'shard' if defined $known && $known ne '';
	return join('', map { "$_ = '$settings{$_}'\n" } sort keys %settings)
	  . "include_if_exists 'test.conf'\n";
}

# A running server with the extension in database postgres.
sub shard_node
{
	my ($name, %settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--encoding=UTF8', '--locale=C.UTF-8' ]);
	$node->append_conf('postgresql.conf', shard_settings($node, %settings));
	$node->start();
	$node->safe_psql('postgres', 'CREATE EXTENSION shard');
	return $node;
}

# A sharded table (k text, id bigint, v text, n int, PRIMARY KEY (k, id)) with
# rows of 1/10 as many keys; its router is named after it unless given.
sub shard_table
{
	my ($node, $table, %options) = @_;
	my $router = $options{router} // "${table}_router";
	my $shards = $options{shards} // 4;
	my $strategy = $options{strategy} // 'consistent-hash';
	my $rows = $options{rows} // 0;

	$node->safe_psql('postgres', qq{
		SELECT shard.create_router('$router', '$strategy', $shards, ARRAY['k']);
		CREATE TABLE $table (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
		SELECT shard.distribute_table('$table', '$router');
		INSERT INTO $table
		SELECT 'key-' || i % greatest(1, $rows / 10), i, 'value ' || i, i % 100
		FROM generate_series(1, $rows) i;
	});
	return;
}

# A check: after a flush, live table and lake have the same rows.
sub is_lake_equal
{
	my ($node, $table, $name, $database) = @_;
	$database //= 'postgres';
	my ($columns) = $node->safe_psql($database, qq{
		SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = '$table'::regclass AND attnum > 0 AND NOT attisdropped});
	my $differences = $node->safe_psql($database, qq{
		SELECT shard.flush();
		SELECT count(*) FROM (
			(SELECT $columns FROM $table EXCEPT ALL SELECT $columns FROM lake.$table)
			UNION ALL
			(SELECT $columns FROM lake.$table EXCEPT ALL SELECT $columns FROM $table)) d});
	$differences =~ s/^.*\n//s;
	return is($differences, '0', "$name: live table and lake have the same rows");
}

# What set_setting has written, by server.
my %changed;

# Change settings of a server, running or not; undef takes one back.  When this
# returns, sessions that begin have them, and every process has been told: it
# was signalled before the new session could begin.
sub set_setting
{
	my ($node, %settings) = @_;
	write_settings($node, %settings);
	return unless $node->{_pid};
	$node->reload();
	my $serial = $changed{ $node->name }{'test.serial'};
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return if asked($node, q{SELECT current_setting('test.serial', true)}) eq $serial;
		usleep(100_000);
	}
	die 'the settings are not read';
}

# The answer of a server that may be down: then it is empty.  The query is an
# argument: psql can end before it has read its input, and IPC::Run then dies of
# the broken pipe.
sub asked
{
	my ($node, $query) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $query ],
		'<', \undef, '>', \$out, '2>', \$err);
	chomp $out;
	return $out;
}

# Set shard.point, '' for none.  Where it kills at once, the server may go down
# and come back before this returns.
sub set_point
{
	my ($node, $point) = @_;
	return set_setting($node, 'shard.point' => $point);
}

# Renamed into place: the server never reads half a file.
sub write_settings
{
	my ($node, %settings) = @_;
	my $all = $changed{ $node->name } //= { 'test.serial' => 0 };
	for my $name (keys %settings)
	{
		if (defined $settings{$name}) { $all->{$name} = $settings{$name} }
		else { delete $all->{$name} }
	}
	$all->{'test.serial'}++;
	my $file = $node->data_dir . '/test.conf';
	open(my $out, '>', "$file.new") or die "$file.new: $!";
	print $out map { "$_ = '$all->{$_}'\n" } sort keys %$all;
	close($out) or die "$file.new: $!";
	rename("$file.new", $file) or die "$file: $!";
	return;
}

# Wait until a server that went through crash recovery takes connections again.
sub wait_until_up
{
	my ($node) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if asked($node, 'SELECT 1') eq '1';
		usleep(100_000);
	}
	return 0;
}

# Send SIGKILL to the server's processes whose backend_type matches; how many.
# The engine is no backend: for it give 'shard_engine'.
sub kill_matching
{
	my ($node, $pattern) = @_;
	my @pids;
	if ($pattern eq 'shard_engine')
	{
		my $file = $node->data_dir . '/shard/engine.pid';
		open(my $in, '<', $file) or die "$file: $!";
		my $pid = <$in>;
		close($in);
		chomp $pid;
		@pids = ($pid);
	}
	else
	{
		@pids = split /\n/, $node->safe_psql('postgres', qq{
			SELECT pid FROM pg_stat_activity WHERE backend_type ~ '$pattern'});
	}
	kill 'KILL', @pids;
	return scalar @pids;
}

1;
