# What stops a lake query, and what it takes down with it: cancel, timeout, a
# bad file, a killed engine; and rows that come one by one.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('limits', 'shard.flush_interval' => '50ms', 'shard.compaction' => 'off',
	'shard.engine_max_queries' => 2, 'shard.engine_threads' => 1);
shard_table($node, 'a', rows => 1000);
shard_table($node, 'wide', router => 'wide_router');
my $rows = 120000;

sub sql { return $node->safe_psql('postgres', join('; ', @_)) }
sql("INSERT INTO wide SELECT 'key-' || i % 100, i, md5(i::text) || md5(i::text || 'x') || repeat(md5(i::text || 'y'), 8), i % 1000
	FROM generate_series(1, $rows) i", "SELECT shard.flush('5 min')");

# Both run in the engine as one statement and do not end in the time of a test.
my $long = 'SELECT count(*) FROM lake.wide x, lake.wide y, lake.wide z WHERE (x.n + y.n + z.n) % 1013 = 1012';

sub start_query
{
	my ($sql) = @_;
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), map { ('-c', $_) } ref $sql ? @$sql : $sql ],
		'>', \$run{out}, '2>', \$run{err});
	return \%run;
}

sub runs
{
	my ($n) = @_;
	return $node->poll_query_until('postgres', "SELECT queries_running = $n FROM shard.engine_status");
}

# ---- cancel and timeout ----

like(sql("EXPLAIN (COSTS OFF) $long"), qr/^Custom Scan \(LakeQuery\)/, 'a query that runs in the engine whole');
my $query = start_query($long);
runs(1);
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%1013%' AND pid <> pg_backend_pid()});
$query->{handle}->finish;
like($query->{err}, qr/57014: canceling statement due to user request/, 'is cancelled');
ok(runs(0), 'and ends in the engine');

$query = start_query($long);
runs(1);
sql(q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%1013%' AND pid <> pg_backend_pid()});
$query->{handle}->finish;
ok(runs(0), 'it ends with its session, too');

my ($ret, $out, $err) = $node->psql('postgres', "SET shard.query_timeout = '200ms'; $long");
like($err, qr/lake query took longer than shard\.query_timeout \(200 ms\)/, 'shard.query_timeout');
ok(runs(0), 'and the engine has stopped');
($ret, $out, $err) = $node->psql('postgres', "SET statement_timeout = '200ms'; $long");
like($err, qr/canceling statement due to statement timeout/, 'statement_timeout');
is(sql("SET shard.query_timeout = '1min'", 'SELECT count(*) FROM lake.a'), '1000', 'other queries are answered');

# In a subtransaction the cancelled query costs nothing else.
is(sql(qq{DO \$\$
	BEGIN
		PERFORM set_config('shard.query_timeout', '200ms', false);
		PERFORM count(*) FROM lake.wide x, lake.wide y, lake.wide z WHERE (x.n + y.n + z.n) % 1013 = 1012;
	EXCEPTION WHEN query_canceled THEN
		PERFORM set_config('shard.query_timeout', '1min', false);
	END \$\$}, 'SELECT count(*) FROM lake.a'), '1000', 'a session goes on after a timeout');

# ---- a killed engine ----

$query = start_query([ "SET shard.query_timeout = '10min'", $long, 'SELECT count(*) FROM lake.a' ]);
runs(1);
kill_matching($node, 'shard_engine');
$query->{handle}->finish;
like($query->{err}, qr/08006: the engine ended while it ran the query/, 'a killed engine costs the query');
is($query->{out}, "1000\n", 'the same session gets the next one answered');

# ---- a bad file ----

my ($file) = sort { -s $b <=> -s $a } glob($node->data_dir . '/shard/warehouse/*/a-*/data/*.parquet');
my ($name) = $file =~ m{([^/]+)$};
my $size = -s $file;
my $content = slurp_file($file);
truncate($file, $size / 2);
($ret, $out, $err) = $node->psql('postgres', 'SELECT sum(length(v)), sum(n) FROM lake.a');
isnt($ret, 0, 'a file that is cut off is an error');
like($err, qr/ERROR:.*\Q$name\E/s, 'that names it');
is(sql('SELECT count(*), max(id) FROM lake.wide'), "$rows|$rows", 'other tables are read');
unlink($file);
($ret, $out, $err) = $node->psql('postgres', 'SELECT sum(length(v)) FROM lake.a');
like($err, qr/ERROR:.*\Q$name\E/s, 'a missing file is named');
open(my $restored, '>:raw', $file) or die "$file: $!";
print $restored $content;
close($restored);
chmod(0600, $file);
chown((stat($node->data_dir))[ 4, 5 ], $file);
is(sql('SELECT count(*), sum(n) FROM lake.a'), sql('SELECT count(*), sum(n) FROM a'), 'once it is back, all is well');

# ---- rows one by one ----

my $session = $node->background_psql('postgres');
sub memory { return $session->query_safe('SELECT sum(total_bytes) FROM pg_backend_memory_contexts') }
$session->query_safe("SET shard.query_timeout = '5min'");
$session->query_safe('BEGIN');
$session->query_safe('DECLARE scan CURSOR FOR SELECT id, v FROM lake.wide');
$session->query_safe('FETCH 1 FROM scan');
my $returned = $session->query_safe('SELECT total_rows FROM shard.last_query_stats()');
cmp_ok($returned, '<', $rows / 10, 'the first row is there before all are read');
$session->query_safe('DECLARE whole CURSOR FOR SELECT x.id, x.v, y.v FROM lake.wide x JOIN lake.wide y USING (k, id)');
$session->query_safe("DECLARE c$_ CURSOR FOR SELECT id FROM lake.wide WHERE n > $_") for 1 .. 4;
$session->query_safe('MOVE 100 FROM scan; MOVE 100 FROM whole');
$session->query_safe("MOVE 2 FROM c$_") for 1 .. 4;
my $before = memory();
my $seen = 1 + 100;
for (1 .. 20)
{
	$session->query_safe('MOVE 4000 FROM scan; MOVE 4000 FROM whole');
	$session->query_safe("MOVE 1000 FROM c$_") for 1 .. 4;
	$seen += 4000;
}
my $after = memory();
cmp_ok($after - $before, '<', 4 * 1024 * 1024, 'six open cursors over results of megabytes leave the memory as it is')
  or diag("$before bytes before, $after after");
my ($ids) = $session->query_safe('FETCH ALL FROM scan') =~ tr/\n//;
is($seen + $ids + 1, $rows, 'the cursor comes to its end');
$session->query_safe('COMMIT');
ok(runs(0), 'nothing runs on');

$session->query_safe('BEGIN');
$session->query_safe('DECLARE s SCROLL CURSOR FOR SELECT id FROM lake.wide ORDER BY id');
$session->query_safe('DECLARE w SCROLL CURSOR FOR SELECT x.id FROM lake.wide x JOIN lake.wide y USING (k, id) ORDER BY x.id');
for my $cursor (qw(s w))
{
	is($session->query_safe("FETCH ABSOLUTE 50000 FROM $cursor"), 50000, "$cursor: scrolled forward");
	is($session->query_safe("FETCH RELATIVE -49990 FROM $cursor"), 10, "$cursor: and backward");
	is($session->query_safe("FETCH LAST FROM $cursor"), $rows, "$cursor: to the end");
	is($session->query_safe("FETCH PRIOR FROM $cursor"), $rows - 1, "$cursor: and from there");
	is($session->query_safe("FETCH FIRST FROM $cursor"), 1, "$cursor: and to the beginning");
}
$session->query_safe('DECLARE h CURSOR WITH HOLD FOR SELECT id FROM lake.wide WHERE id < 100 ORDER BY id');
$session->query_safe('COMMIT');
sql('DELETE FROM wide WHERE id < 100', 'SELECT shard.flush()');
is($session->query_safe('FETCH 2 FROM h'), "1\n2", 'a cursor that is held has the rows of its time');
$session->quit;

done_testing();
