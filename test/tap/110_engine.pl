# The engine's process: it is restarted, cancelled, queued for, reconfigured and
# sent rubbish, and the database server never notices.

use strict;
use warnings;
use IO::Socket::UNIX;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;
use Time::HiRes qw(usleep);

my $node = shard_node('engine', log_min_messages => 'log');
my $socket = $node->data_dir . '/shard/engine.sock';
my $endless = 'SELECT count(*) FROM range(100000000000) t(x), range(100000) u(y) WHERE x * y % 7 = 1';
my $started = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');

sub status
{
	my ($columns) = @_;
	return $node->safe_psql('postgres', "SELECT $columns FROM shard.engine_status");
}

sub status_becomes
{
	my ($condition, $name) = @_;
	return ok($node->poll_query_until('postgres', "SELECT coalesce(bool_and($condition), false) FROM shard.engine_status"),
		$name);
}

# Run statements in a session of their own, in the background.
sub start_session
{
	my (@statements) = @_;
	my %run = (out => '', err => '');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/session.sql';
	append_to_file($file, join('', map { /^\\/ ? "$_\n" : "$_;\n" } @statements));
	$run{handle} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', $file ],
		'>', \$run{out}, '2>', \$run{err});
	return \%run;
}

sub engine_query
{
	my ($sql) = @_;
	return "SELECT * FROM _shard.engine_query(\$\$$sql\$\$)";
}

# The backend whose statement has a mark; waits for it.
sub pid_of
{
	my ($mark) = @_;
	my $sql = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%$mark%' AND pid <> pg_backend_pid()";
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($sql) p") or die "no session with $mark";
	return $node->safe_psql('postgres', $sql);
}

sub cancel
{
	my ($mark) = @_;
	my $pid = pid_of($mark);
	return $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
}

# Has a process ended?  It may not have been collected by its parent yet.
sub gone
{
	my ($process) = @_;
	for my $i (1 .. 100)
	{
		my $state = -e "/proc/$process/stat" ? slurp_file("/proc/$process/stat") : 'Z';
		return 1 if $state =~ /\) Z|^Z$/;
		usleep(100_000);
	}
	return 0;
}

# ---- cancelling

my $run = start_session(engine_query("$endless /* first */"), 'SELECT 1 AS after');
status_becomes('queries_running = 1', 'a query runs');
cancel('first');
$run->{handle}->finish();
like($run->{err}, qr/57014/, 'pg_cancel_backend cancels it');
is($run->{out}, "1\n", 'the session goes on');
status_becomes('queries_running = 0', 'the engine has stopped it');

my ($result, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '300ms';" . engine_query($endless));
like($err, qr/canceling statement due to statement timeout/, 'statement_timeout works');
status_becomes('queries_running = 0', 'and stops the query in the engine');

$run = start_session(engine_query("$endless /* terminated */"));
status_becomes('queries_running = 1', 'a query runs');
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(' . pid_of('terminated') . ')');
$run->{handle}->finish();
status_becomes('queries_running = 0', 'a terminated session leaves no query behind');

# ---- the line in front of the engine

$node->safe_psql('postgres', 'ALTER SYSTEM SET shard.engine_max_queries = 1');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
status_becomes('max_queries = 1', 'shard.engine_max_queries can be changed while the engine runs');
my $first = start_session(engine_query("$endless /* running */"));
status_becomes('queries_running = 1', 'one query runs');
my $second = start_session(engine_query("$endless /* queued */"));
my $third = start_session(engine_query("SELECT 42 /* behind */"));
status_becomes('queries_running = 1 AND queries_queued = 2', 'the others wait');
cancel('queued');
$second->{handle}->finish();
like($second->{err}, qr/57014/, 'a waiting query can be cancelled');
status_becomes('queries_running = 1 AND queries_queued = 1', 'and leaves the line');
cancel('running');
$first->{handle}->finish();
$third->{handle}->finish();
is($third->{out}, "42\n", 'the next in line gets its turn');

# ---- the protocol itself

sub frame
{
	my ($type, $payload) = @_;
	return pack('La', length($payload), $type) . $payload;
}

sub connect_raw
{
	my ($pid) = @_;
	my $s = IO::Socket::UNIX->new(Peer => $socket) or die "connect: $!";
	$s->syswrite(frame('H', pack('LL', 0x53480002, $pid))) if defined $pid;
	return $s;
}

sub query_frame
{
	my ($sql) = @_;
	return frame('Q', pack('LL', 0, length($sql)) . $sql);
}

# Read frames up to the end of a request; their types, and the last one's payload.
sub answer
{
	my ($s) = @_;
	my $types = '';
	for (;;)
	{
		my $header = '';
		while (length($header) < 5)
		{
			$s->sysread($header, 5 - length($header), length($header)) or return ("$types.", '');
		}
		my ($len, $type) = unpack('La', $header);
		my $payload = '';
		while (length($payload) < $len)
		{
			$s->sysread($payload, $len - length($payload), length($payload)) or return ("$types.", '');
		}
		$types .= $type unless $type eq 'C' && $types =~ /C$/;
		return ($types, $payload) if $type =~ /[WZFT]/;
	}
}

is((stat($socket))[2] & 07777, 0600, 'the socket is for its owner only');
is((stat($node->data_dir . '/shard'))[2] & 07777, 0700, 'and so is the directory');

# One session's second query must not wait for its first: it would wait for itself.
my $wide = 'SELECT x, repeat(chr(120), 100) FROM range(10000000) t(x)';
my $a = connect_raw(1);
my $b = connect_raw(1);
is((answer($a))[0] . (answer($b))[0], 'WW', 'connected twice as one session');
$a->syswrite(query_frame($wide));
status_becomes('queries_running >= 1 OR queries_queued = 0', 'its first query streams');
$b->syswrite(query_frame('SELECT 1'));
is((answer($b))[0], 'DCZ', 'a session is let in while its own query is under way');

# Whoever does not read its rows makes room for others.
my $c = connect_raw(2);
answer($c);
$c->syswrite(query_frame('SELECT 1'));
is((answer($c))[0], 'DCZ', 'another session gets its turn while the first does not read');
is((answer($a))[0], 'DCZ', 'which then gets all its rows');
$_->close() for ($a, $b, $c);

$a = connect_raw(3);
answer($a);
$a->syswrite(frame('Q', pack('L', 0xffffffff)));
my ($types, $payload) = answer($a);
is($types, 'F', 'a hostile count is an error');
like($payload, qr/08P01/, 'with the right code');
is((answer($a))[0], '.', 'and the connection ends');
$a = connect_raw();
$a->syswrite(query_frame('SELECT 1'));
is((answer($a))[0], 'F', 'no query without an introduction');

# Rubbish, plain and well framed; a fixed seed makes failures repeat.
my $pid = status('pid');
srand(4711);
for my $round (1 .. 300)
{
	my $s = connect_raw($round % 3 ? $round : undef);
	my $bytes = join('', map { chr(int(rand(256))) } 1 .. int(rand(400)));
	$bytes = frame((qw(H Q X A C E S W), chr(int(rand(256))))[ rand(9) ],
		$round % 2 ? $bytes : pack('LL', int(rand(3)), int(rand(40))) . $bytes)
	  if $round % 5;
	local $SIG{PIPE} = 'IGNORE';
	$s->syswrite($bytes);
	$s->syswrite(frame('E', '')) if $round % 7 == 0;
	$s->close();
}
is($node->safe_psql('postgres', engine_query('SELECT 7')), '7', 'the engine answers after 300 connections of rubbish');
is(status('pid'), $pid, 'and is the same process');
status_becomes('connections < 20 AND queries_running = 0', 'that keeps none of them');

$node->safe_psql('postgres', 'ALTER SYSTEM RESET shard.engine_max_queries');

# ---- limits

$node->safe_psql('postgres', q{ALTER SYSTEM SET shard.engine_memory_limit = '300MB'});
$node->safe_psql('postgres', 'ALTER SYSTEM SET shard.engine_threads = 1');
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
status_becomes(q{memory_limit = 300 * 1024 * 1024 AND threads = 1 AND max_queries = 4}, 'limits follow the settings');
is($node->safe_psql('postgres', engine_query(q{SELECT current_setting('threads'), current_setting('memory_limit')})),
	'1|300.0 MiB', 'also for the next query');
is(status('pid'), $pid, 'without a restart');
is( $node->safe_psql('postgres',
		engine_query('SELECT count(*), max(s) FROM (SELECT hash(x) AS s, repeat(x::VARCHAR, 10) r FROM range(5000000) t(x) ORDER BY s, r OFFSET 1)')),
	$node->safe_psql('postgres', engine_query('SELECT 4999999, max(hash(x)) FROM range(5000000) t(x)')),
	'a sort larger than memory spills to disk');
($result, $out, $err) = $node->psql('postgres', '\set VERBOSITY verbose' . "\n" .
	engine_query('SELECT list(x::VARCHAR || repeat(chr(120), 50)) FROM range(20000000) t(x)'));
like($err, qr/53200/, 'too little memory is an error with its code');
like($err, qr/shard\.engine_memory_limit/, 'and a hint');

# ---- directories

my $outside = PostgreSQL::Test::Utils::tempdir();
mkdir "$outside/$_" for qw(granted other);
$node->safe_psql('postgres', "SELECT _shard.engine_export('SELECT 5 AS five', '$outside/granted/x.parquet')");
is($node->safe_psql('postgres', engine_query("SELECT five FROM '$outside/granted/x.parquet'")),
	'5', 'a granted directory can be read');
system_log('cp', "$outside/granted/x.parquet", "$outside/other/x.parquet");
for my $path ("$outside/other/x.parquet", "$outside/granted/../other/x.parquet")
{
	($result, $out, $err) = $node->psql('postgres', engine_query("SELECT five FROM '$path'"));
	like($err, qr/Cannot access/, "another cannot: $path");
}
symlink("$outside/other/x.parquet", "$outside/granted/link.parquet");
($result, $out, $err) = $node->psql('postgres', engine_query("SELECT five FROM '$outside/granted/link.parquet'"));
like($err, qr/Cannot access/, 'nor through a link');

# ---- restarts

sub restarts_after
{
	my ($count, $name) = @_;
	return status_becomes("restarts = $count", $name);
}

my $restarts = status('restarts');
is($restarts, '0', 'until now the engine was never restarted');
$run = start_session(engine_query("$endless /* killed */"), engine_query('SELECT 8'));
status_becomes('queries_running = 1', 'a query runs');
kill_matching($node, 'shard_engine');
$run->{handle}->finish();
like($run->{err}, qr/08006.*the engine ended while it ran the query/s, 'killing the engine ends the query with an error');
like($run->{err}, qr/HINT:.*restarts by itself/, 'and a hint');
is($run->{out}, "8\n", 'the next query of the session works');
restarts_after(1, 'the engine was started again');

$run = start_session(engine_query('SELECT 1'), '\! touch ' . "$outside/idle",
	'\! while [ ! -e ' . "$outside/go ]; do sleep 0.1; done", engine_query('SELECT 2'));
usleep(50_000) until -e "$outside/idle";
kill_matching($node, 'shard_engine');
restarts_after(2, 'it was started again');
open(my $go, '>', "$outside/go");
close($go);
$run->{handle}->finish();
is($run->{out} . $run->{err}, "1\n2\n", 'an idle session does not notice');
is($node->safe_psql('postgres', engine_query("SELECT five FROM '$outside/granted/x.parquet'")),
	'5', 'grants outlive the engine');

for my $i (3 .. 5)
{
	kill_matching($node, 'shard_engine');
	restarts_after($i, "and killed in a row: start $i");
}

# A stopped engine is not noticed, but does not hold up a cancel either.
$pid = status('pid');
kill 'STOP', $pid;
($result, $out, $err) = $node->psql('postgres', "SET statement_timeout = '300ms';" . engine_query('SELECT 1'));
like($err, qr/canceling statement due to statement timeout/, 'a query of a hanging engine can be cancelled');
kill 'CONT', $pid;
is($node->safe_psql('postgres', engine_query('SELECT 9')), '9', 'and goes on with it');

# The supervisor's end is the engine's, too.
$pid = status('pid');
kill 'TERM', (slurp_file("/proc/$pid/stat") =~ /\) \S (\d+)/);
ok($node->poll_query_until('postgres', "SELECT coalesce(bool_and(pid <> $pid), false) FROM shard.engine_status"),
	'a new supervisor starts a new engine');
ok(gone($pid), 'the old one is gone');

is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started, 'the server was never restarted');
unlike(slurp_file($node->logfile), qr/terminating any other active server processes/, 'nor its processes');

# ---- many sessions, two servers

my @runs = map {
	my $i = $_;
	start_session(map { engine_query("SELECT sum(x) + $i * $_ FROM range(100000) t(x)") } 1 .. 10)
} 1 .. 12;
for my $i (1 .. 12)
{
	my $r = $runs[ $i - 1 ];
	$r->{handle}->finish();
	is($r->{err} . $r->{out}, join('', map { (4999950000 + $i * $_) . "\n" } 1 .. 10), "session $i of many");
}

my $other = shard_node('engine2');
isnt($other->safe_psql('postgres', 'SELECT pid FROM shard.engine_status'), status('pid'), 'each server has its engine');
my $other_pid = $other->safe_psql('postgres', 'SELECT pid FROM shard.engine_status');
$other->stop('immediate');
ok(gone($other_pid), 'which ends with its server, also by an immediate stop');
$other->start();
is($other->safe_psql('postgres', engine_query('SELECT 3')), '3', 'and comes back with it');
$other_pid = $other->safe_psql('postgres', 'SELECT pid FROM shard.engine_status');
my $postmaster = (split /\n/, slurp_file($other->data_dir . '/postmaster.pid'))[0];
$other->kill9();
ok(gone($other_pid), 'a killed server takes its engine along');
# While it is not collected, it counts as running in its data directory.
for my $i (1 .. 300)
{
	last unless kill(0, $postmaster);
	usleep(100_000);
}
$other->start();
is($other->safe_psql('postgres', engine_query('SELECT 4')), '4', 'and comes back');

# ---- not preloaded

$other->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$other->restart();
($result, $out, $err) = $other->psql('postgres', '\set VERBOSITY verbose' . "\n" . engine_query('SELECT 1'));
like($err, qr/55000.*shared_preload_libraries/s, 'without preloading there is an error that says what to do');
is($other->safe_psql('postgres', 'SELECT pid IS NULL FROM shard.engine_status'), 't', 'and a status that is empty');
$other->stop();

$node->stop();
unlike(slurp_file($node->logfile), qr/connection to the engine was not released/, 'no connection was forgotten');
done_testing();
