# Queries larger than the engine's memory spill to its temporary directory, answer
# right, and leave nothing there: at their end, when they are given up, and when
# the engine is killed.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

# Texts of 128 bytes, which queries make more and longer ones of.
my $rows = 30000;
my $node = shard_node('spill', 'shard.flush_interval' => '50ms', 'shard.compaction' => 'off', 'shard.engine_threads' => 1,
	'shard.query_timeout' => '10min');
my $temporary = $node->data_dir . '/shard/tmp';
shard_table($node, 't');

sub sql { return $node->safe_psql('postgres', join('; ', @_)) }
sql("INSERT INTO t SELECT 'key-' || i % 100, i, md5(i::text) || repeat(md5((i + 1)::text), 3), i % 1000 FROM generate_series(1, $rows) i",
	"SELECT shard.flush('5 min')");
set_setting($node, 'shard.engine_memory_limit' => '128MB');
ok($node->poll_query_until('postgres', 'SELECT memory_limit = 128 * 1024 * 1024 FROM shard.engine_status'), 'the engine has 128 MB');

sub files
{
	my @found;
	my @left = ($temporary);
	while (defined(my $dir = shift @left))
	{
		opendir(my $handle, $dir) or next;
		for my $name (grep { !/^\.\.?$/ } readdir($handle))
		{
			push @{ -d "$dir/$name" ? \@left : \@found }, "$dir/$name";
		}
	}
	return scalar @found;
}

sub none_left
{
	my ($what) = @_;
	ok($node->poll_query_until('postgres', 'SELECT spilled = 0 FROM shard.engine_status'), "$what: nothing is spilled any more");
}

# Each row twelve times, in an order of its own: 140 MB.
my $wide = 'SELECT a.id, a.v || a.v || a.v AS v, x FROM lake.t a, (VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12)) q(x)';
my $heap = $wide =~ s/lake\.t/t/r;
my $sorted = "$wide ORDER BY v DESC, x";

# ---- a sort whose rows are asked for one by one: the rest lies in files meanwhile ----

my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
like($session->query_safe("EXPLAIN (COSTS OFF) $sorted"), qr/^Custom Scan \(LakeQuery\)/, 'the engine sorts');
$session->query_safe("DECLARE c CURSOR FOR $sorted");
my $first = $session->query_safe('FETCH 3 FROM c');
is($first, sql('SELECT id, v || v || v AS v, x FROM t, generate_series(1, 3) x ORDER BY v DESC, x LIMIT 3'), 'the first rows');
cmp_ok(sql('SELECT spilled FROM shard.engine_status'), '>', 1024 * 1024, 'a sort of more than the memory spills');
cmp_ok(files(), '>', 0, 'into files');
is(sql('SELECT count(*), sum(n) FROM lake.t'), sql('SELECT count(*), sum(n) FROM t'), 'another query is answered meanwhile');
$session->query_safe('MOVE 200000 FROM c');
is($session->query_safe('FETCH 1 FROM c'), sql('SELECT id, v || v || v AS v, x FROM t, generate_series(1, 12) x ORDER BY v DESC, x OFFSET 200003 LIMIT 1'),
	'a row far behind');
$session->query_safe('COMMIT');
none_left('a cursor that is closed');

# ---- sorts, groups and joins to their ends ----

is(sql("SELECT count(*), sum(id), sum(r * id) FROM (SELECT id, row_number() OVER (ORDER BY v DESC, x) % 1013 AS r FROM ($wide) w) y"),
	sql("SELECT count(*), sum(id), sum(r * id) FROM (SELECT id, row_number() OVER (ORDER BY v DESC, x) % 1013 AS r FROM ($heap) w) y"),
	'a window over more than the memory');
is(sql("SELECT count(*), sum(c), sum(length(v)) FROM (SELECT v, x, count(*) AS c FROM ($wide) w GROUP BY v, x) y"),
	join('|', 12 * $rows, 12 * $rows, 12 * $rows * 384),
	'groups of more than the memory');
is(sql("SELECT count(*), sum(a.id), sum(length(b.v)) FROM ($wide) a JOIN ($wide) b ON a.id = b.id AND a.x = b.x"),
	join('|', 12 * $rows, 12 * $rows * ($rows + 1) / 2, 12 * $rows * 384),
	'a join of more than the memory');
none_left('their ends');

# ---- a killed engine ----

$session->query_safe('BEGIN');
$session->query_safe("DECLARE c CURSOR FOR $sorted");
$session->query_safe('FETCH 1 FROM c');
cmp_ok(files(), '>', 0, 'a query has files');
my $starts = sql('SELECT restarts FROM shard.engine_status');
kill_matching($node, 'shard_engine');
ok($node->poll_query_until('postgres', "SELECT restarts > $starts AND pid IS NOT NULL FROM shard.engine_status"), 'the engine is killed, and there again');
is(files(), 0, 'its successor has removed them');
$session->quit;
is(sql('SELECT count(*) FROM lake.t'), $rows, 'queries are answered');
done_testing();
