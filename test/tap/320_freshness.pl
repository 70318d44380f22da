# How new the rows are that queries get from the lake: shard.freshness, one point
# of the pipeline for all tables of a query, and warnings where rows are old.
#
# Nothing is flushed by itself here, so that what a query sees is what it waited for.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('fresh', 'shard.flush_interval' => '1h', 'shard.compaction' => 'off');
shard_table($node, 'a', rows => 100);
shard_table($node, 'b', rows => 100, router => 'b_router');
my $latest = "SET shard.freshness = latest";

sub sql { return $node->safe_psql('postgres', join('; ', @_)) }

# ---- every way of running a query ----

my $id = 1000;
sub insert { $id++; sql("INSERT INTO $_ VALUES ('new', $id, 'x', 0)") for qw(a b); return $id; }

sql('SELECT shard.flush()');
insert();
is(sql("SELECT count(*) FROM lake.a WHERE id = $id"), '0', 'flushed: what is not in the lake yet is not shown');
my %ways = (
	'a scan' => 'SELECT id FROM lake.a WHERE id = ID AND v || k <> \'\'',
	'an aggregate' => 'SELECT max(id) FROM lake.a',
	'a join shipped whole' => 'SELECT x.id FROM lake.a x JOIN lake.b y USING (k, id) WHERE x.id = ID',
	'a join with a local table' => 'SELECT l.id FROM lake.a l JOIN a USING (k, id) WHERE l.id = ID',
	'a subquery' => 'SELECT (SELECT max(id) FROM lake.b) FROM (VALUES (1)) v',
	'a view' => 'SELECT max(id) FROM seen',
	'a function' => 'SELECT last_id()',
	'a stable function' => 'SELECT last_id_stable()',
	'events' => 'SELECT max(id) FROM lake.a_events');
sql('CREATE VIEW seen AS SELECT * FROM lake.a',
	q{CREATE FUNCTION last_id() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(id) FROM lake.a); END'},
	q{CREATE FUNCTION last_id_stable() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT max(id) FROM lake.a); END'});
for my $way (sort keys %ways)
{
	my $new = insert();
	my $query = $ways{$way} =~ s/ID/$new/gr;
	is(sql($latest, $query), $new, "latest: $way");
}

# A session that keeps its plan, and others that write in between.
my $session = $node->background_psql('postgres');
$session->query_safe($latest);
$session->query_safe('SET plan_cache_mode = force_generic_plan');
$session->query_safe('PREPARE p AS SELECT max(id) FROM lake.a; PREPARE q AS SELECT max(id) FROM lake.a WHERE n = 0');
for my $round (1 .. 3)
{
	my $new = insert();
	is($session->query_safe('EXECUTE p'), $new, "latest: a kept plan, round $round");
	$new = insert();
	is($session->query_safe('EXECUTE q'), $new, "latest: another, round $round");
}
my $cursor_id = insert();
is($session->query_safe("BEGIN; DECLARE c CURSOR FOR SELECT max(id) FROM lake.a; FETCH c; COMMIT"), $cursor_id,
	'latest: a cursor');
insert();
is($session->query_safe('CREATE TABLE copied AS SELECT max(id) FROM lake.a; TABLE copied'), $id,
	'latest: CREATE TABLE AS');
$session->quit;

my ($ret, $out, $err) = $node->psql('postgres',
	"$latest; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM lake.a");
like($err, qr/a transaction that keeps its snapshot cannot read the latest rows/, 'refused under REPEATABLE READ');
insert();
sql("$latest", 'EXPLAIN SELECT * FROM lake.a');
is(sql("SELECT count(*) FROM lake.a WHERE id = $id"), '0', 'EXPLAIN waits for nothing');

# ---- a pipeline that does not get on ----

my $location = sql("SELECT metadata_location FROM iceberg_tables WHERE table_name = 'a'");
sql("CREATE FOREIGN TABLE of_others (k text, id bigint) SERVER lake OPTIONS (metadata_location '$location')");
my ($snapshot, $then) = split /\n/, sql(
	q{SELECT snapshot_id FROM shard.lake_snapshots('lake.a') WHERE is_current}, 'SELECT count(*) FROM lake.a');
set_setting($node, 'shard.point', 'pipeline-before-commit:wait');
insert();
($ret, $out, $err) = $node->psql('postgres',
	"SET shard.query_timeout = '300ms'; $latest; SELECT count(*) FROM lake.a");
like($err, qr/timeout while waiting for the pipeline/, 'latest: shard.query_timeout bounds the wait');
like($err, qr/shard\.freshness is "latest"/, 'and the error says why it waited');
is(sql("SET shard.query_timeout = '300ms'", $latest, 'SELECT count(*) > 0 FROM of_others'), 't',
	'a table that the pipeline has nothing to do with is read at once');
is(sql("SET shard.query_timeout = '300ms'", $latest, "SET shard.as_of = '$snapshot'", 'SELECT count(*) FROM lake.a'), $then,
	'and so is a snapshot of the past');
my $waiting = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', $latest,
	'-c', 'SELECT count(*) FROM lake.a WHERE id > 0' ], '>', \my $wait_out, '2>', \my $wait_err);
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%id > 0%' AND wait_event_type = 'Extension' AND pid <> pg_backend_pid()});
sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%id > 0%' AND pid <> pg_backend_pid()});
$waiting->finish;
like($wait_err, qr/canceling statement due to user request/, 'latest: the wait can be cancelled');
set_setting($node, 'shard.point', undef);
is(sql($latest, 'SELECT max(id) FROM lake.a'), $id, 'latest: once the pipeline gets on, all is there');
like(sql("SET shard.as_of = '$snapshot'", 'EXPLAIN SELECT count(*) FROM lake.a'), qr/Snapshot: $snapshot$/m, 'EXPLAIN names the snapshot of the past');

# ---- a table that the pipeline leaves out ----

set_setting($node, 'shard.pipeline_max_retries', 1);
set_setting($node, 'shard.point', 'pipeline-table:error');
insert();
$node->psql('postgres', 'SELECT shard.flush()');
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM shard.tables WHERE lake_problem IS NOT NULL');
set_setting($node, 'shard.point', undef);
my $broken = sql('SELECT min(relation::text) FROM shard.tables WHERE lake_problem IS NOT NULL');
($ret, $out, $err) = $node->psql('postgres', "SELECT max(id) FROM lake.$broken x JOIN lake.$broken y USING (id)");
is(() = $err =~ /WARNING:  lake table "public\.$broken" is out of date/g, 1, 'flushed: a warning, once a query');
($ret, $out, $err) = $node->psql('postgres', "SELECT id FROM lake.$broken LIMIT 1");
like($err, qr/WARNING:  lake table "public\.$broken" is out of date/, 'flushed: a scan warns, too');
($ret, $out, $err) = $node->psql('postgres', "$latest; SELECT max(id) FROM lake.$broken");
like($err, qr/ERROR:  lake table "public\.$broken" is out of date/, 'latest: an error');
sql("SELECT shard.replay_dead_letters('$_')") for split /\n/, sql('SELECT relation FROM shard.tables WHERE lake_problem IS NOT NULL');
set_setting($node, 'shard.pipeline_max_retries', undef);
($ret, $out, $err) = $node->psql('postgres', "$latest; SELECT max(id) FROM lake.$broken");
is("$out|$err", "$id|", 'taken in again: no warning, and the latest rows');

# ---- one point for all tables of a query ----

# A transfer takes from one table what it gives to the other, so the sum stays.
set_setting($node, 'shard.flush_interval', '10ms');
sql('UPDATE a SET n = 100', 'UPDATE b SET n = 100', 'CREATE TABLE one AS SELECT 1 AS i', 'SELECT shard.flush()');
my $total = sql('SELECT (SELECT sum(n) FROM a) + (SELECT sum(n) FROM b)');
my $transfers = <<'SQL';
DO $$
DECLARE
	moved int := 1;
BEGIN
	WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'enough') LOOP
		UPDATE a SET n = n - moved WHERE id % 7 = 0;
		UPDATE b SET n = n + moved WHERE id % 7 = 0;
		COMMIT;
		PERFORM pg_sleep(0.005);	-- the lake need not keep up with a loop
		moved := (random() * 10)::int - 5;
	END LOOP;
END $$;
SQL
my $writer = IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'), '-c', $transfers ],
	'>', \my $w_out, '2>', \my $w_err);
$node->poll_query_until('postgres', 'SELECT sum(n) <> 10000 FROM lake.a WHERE id < 101');
my %sums = (
	whole => 'SELECT (SELECT sum(n) FROM lake.a WHERE id < 1000) + (SELECT sum(n) FROM lake.b WHERE id < 1000)',
	joined => 'SELECT sum(x.n + y.n) FROM lake.a x JOIN lake.b y USING (id) WHERE id < 1000',
	'with a local table' =>
	  'SELECT sum(n) FROM one, (SELECT n FROM lake.a WHERE id < 1000 UNION ALL SELECT n FROM lake.b WHERE id < 1000) u WHERE i = 1');
$total = sql('SELECT (SELECT sum(n) FROM a WHERE id < 1000) + (SELECT sum(n) FROM b WHERE id < 1000)');
for my $freshness (qw(flushed latest))
{
	for my $kind (sort keys %sums)
	{
		my @sums = map { sql("SET shard.freshness = $freshness", $sums{$kind}) } 1 .. 8;
		is(join(' ', @sums), join(' ', ($total) x 8), "$freshness, $kind: every sum is right");
	}
}
sql('CREATE TABLE enough ()');
$writer->finish;
is($w_err, '', 'the writer ran');
is_lake_equal($node, 'a', 'in the end');

done_testing();
