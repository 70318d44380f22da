
=head1 NAME

ShardMove - clients that read and write while shards change, for TAP tests

=head1 SYNOPSIS

  use ShardTest;
  use ShardMove;

  my $writers = start_bench($node, write_script('writer.sql', oracle_writer(60)), clients => 3);
  set_point($node, 'migration-locked:wait');
  my $id = $node->safe_psql('postgres', q{SELECT shard.add_shard('app')});
  await_point($node, $id, 'migration-locked');
  set_point($node, '');
  is(migration_end($node, $id), 'complete|f', 'it ends');
  stop_bench($writers);
  is_oracle_equal($node, 'accounts', 'oracle', 'in the end');

=cut

package ShardMove;

use strict;
use warnings;
use Exporter 'import';
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(await await_point migration_end
  write_script oracle_writer start_bench finish_bench stop_bench is_oracle_equal);

my $dir;

# Wait until a query returns true; die, and tell what everybody does, if it does not.
sub await
{
	my ($node, $query, $what) = @_;
	return if $node->poll_query_until('postgres', $query);
	diag($node->safe_psql('postgres', q{
		SELECT * FROM shard.migration_progress WHERE state IN ('pending', 'running');
		SELECT at, phase, message FROM shard.migration_log ORDER BY at DESC LIMIT 20;
		SELECT pid, backend_type, state, wait_event_type, wait_event, pg_blocking_pids(pid), query
		FROM pg_stat_activity ORDER BY pid}));
	die "not to be had: $what";
}

# Wait until the worker of a migration waits at a point.
sub await_point
{
	my ($node, $id, $point) = @_;
	await($node, qq{
		SELECT count(*) = 1 FROM shard.migration_progress p JOIN pg_stat_activity a USING (pid)
		WHERE migration_id = $id AND a.query = 'at point $point'}, "migration $id at $point");
	return;
}

# Wait until a migration has ended or stopped, and its worker with it: its state,
# and whether it was rolled back.
sub migration_end
{
	my ($node, $id) = @_;
	await($node, "SELECT state NOT IN ('pending', 'running') FROM shard.migrations WHERE migration_id = $id",
		"the end of migration $id");
	await($node, "SELECT count(*) = 0 FROM shard.migration_progress WHERE migration_id = $id AND pid IS NOT NULL",
		"the end of the worker of migration $id");
	return $node->safe_psql('postgres', "SELECT state, rolled_back FROM shard.migrations WHERE migration_id = $id");
}

# A script for pgbench; its path.  Write all scripts before the first pgbench
# starts that reads them: it must not find one half written.
sub write_script
{
	my ($name, $content) = @_;
	$dir //= PostgreSQL::Test::Utils::tempdir();
	my $path = "$dir/$name";
	die "$path is there already: somebody may be reading it" if -e $path;
	open(my $out, '>', $path) or die "$path: $!";
	print $out $content;
	close($out) or die "$path: $!";
	return $path;
}

# A transaction that does the same to the sharded table "accounts" and to a plain
# one, "oracle" (k, id, v, n): inserts and updates of so many keys, changes of
# keys, deletes.  Each client has rows of its own, so that they never wait for
# each other's.
sub oracle_writer
{
	my ($keys) = @_;
	return qq{
\\set k random(1, $keys)
\\set k2 random(1, $keys)
\\set id :client_id * 1000 + random(1, 300)
BEGIN;
INSERT INTO accounts (k, id, v, n) VALUES ('key-' || :k, :id, repeat('v', :k), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = accounts.n + 1, v = accounts.v || 'u';
INSERT INTO oracle (k, id, v, n) VALUES ('key-' || :k, :id, repeat('v', :k), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = oracle.n + 1, v = oracle.v || 'u';
UPDATE accounts SET k = 'key-' || :k2 WHERE k = 'key-' || :k AND id = :id
    AND NOT EXISTS (SELECT FROM oracle WHERE k = 'key-' || :k2 AND id = :id);
UPDATE oracle SET k = 'key-' || :k2 WHERE k = 'key-' || :k AND id = :id
    AND NOT EXISTS (SELECT FROM oracle o WHERE o.k = 'key-' || :k2 AND o.id = :id);
DELETE FROM accounts WHERE k = 'key-' || :k AND id = :id + 7;
DELETE FROM oracle WHERE k = 'key-' || :k AND id = :id + 7;
COMMIT;
};
}

# Run scripts by pgbench: clients (1), transactions of each (until it is
# stopped), rate (transactions a second of all; as many as there can be),
# isolation (read committed).  Serialization failures are tried again.
sub start_bench
{
	my ($node, $scripts, %options) = @_;
	my %run = (out => '', err => '', %options);
	my $level = $options{isolation} // 'read committed';
	my @scripts = ref $scripts ? @$scripts : ($scripts);
	local $ENV{PGAPPNAME} = 'pgbench';
	local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . ($level =~ s/ /\\ /gr);
	$run{clients} //= 1;
	$run{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', $run{clients}, '-j', '1', '--max-tries', '1000',
			($run{rate} ? ('-R', $run{rate}) : ()),
			($run{transactions} ? ('-t', $run{transactions}) : ('-T', '1800')),
			(map { ('-f', $_) } @scripts), $node->connstr('postgres') ],
		'>', \$run{out}, '2>', \$run{err});
	return \%run;
}

# Checks: all transactions are done in the end, without an error.
sub finish_bench
{
	my ($run, $name) = @_;
	my $transactions = $run->{clients} * $run->{transactions};
	$run->{handle}->finish();
	is(bench_errors($run), '', "$name: no error");
	like($run->{out}, qr{transactions actually processed: $transactions/$transactions}, "$name: all done");
	return;
}

# A check: no error so far, where the run is stopped.
sub stop_bench
{
	my ($run, $name) = @_;
	$run->{handle}->signal('INT');
	$run->{handle}->finish();
	return is(bench_errors($run), '', "$name: no error");
}

sub bench_errors
{
	my ($run) = @_;
	return join('', grep { /error|fatal|abort/i } split /^/, $run->{err});
}

# A check: two tables have the same rows.  One statement: so it holds while both
# are written to, if by the same transactions.
sub is_oracle_equal
{
	my ($node, $table, $oracle, $name, $database) = @_;
	return is($node->safe_psql($database // 'postgres', qq{SELECT count(*) FROM (
		(SELECT * FROM $table EXCEPT ALL SELECT * FROM $oracle)
		UNION ALL (SELECT * FROM $oracle EXCEPT ALL SELECT * FROM $table)) d}),
		'0', "$name: no row of $table is lost, doubled or changed");
}

1;
