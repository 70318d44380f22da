# Kept results: how many, how large, how old, for all sessions, while tables
# change, and when the engine dies.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('cached', 'shard.flush_interval' => '20ms', 'shard.compaction' => 'off',
	'shard.cache_enabled' => 'on', 'shard.cache_max_size' => 2, 'shard.cache_memory' => '1MB',
	'shard.cache_ttl' => '1h');
shard_table($node, 'a', rows => 20000);

sub sql { return $node->safe_psql('postgres', join('; ', @_)) }

# The answer to a query, and whether it was kept.
sub ask
{
	my ($query, @before) = @_;
	return sql(@before, $query, 'SELECT cache_hit FROM shard.last_query_stats()') =~ s/\n/ /gr;
}
sql('SELECT shard.flush()');

is(ask('SELECT count(*) FROM lake.a'), '20000 f', 'asked for the first time');
is(ask('SELECT count(*) FROM lake.a'), '20000 t', 'kept for another session');
ask('SELECT max(id) FROM lake.a');
is(ask('SELECT count(*) FROM lake.a'), '20000 t', 'kept beside another one');
ask('SELECT min(id) FROM lake.a');
is(ask('SELECT count(*) FROM lake.a'), '20000 t', 'the one least recently used has made room');
is(ask('SELECT max(id) FROM lake.a'), '20000 f', 'which has to be computed again');

# Of many rows: one that is too large, and one that comes in several pieces.
my $medium = 'SELECT md5(string_agg(id::text, \',\' ORDER BY id)) FROM (SELECT id FROM lake.a WHERE n < 50 OFFSET 0) s, generate_series(1, 1)';
my $all = 'SELECT md5(string_agg(k || id || v || n, \',\' ORDER BY id)) FROM (SELECT * FROM lake.a OFFSET 0) s, generate_series(1, 1)';
for my $query ($medium, $all)
{
	my $plain = sql('SET shard.cache_enabled = off', $query);
	is(ask($query), "$plain f", 'a result of thousands of rows');
	is(ask($query), $plain . ($query eq $medium ? ' t' : ' f'), $query eq $medium ? 'is kept whole' : 'is too large to be kept');
}
# A reader that stops in the middle has nothing kept.
sql('BEGIN', 'DECLARE c CURSOR FOR SELECT id, v FROM lake.a WHERE n < 10', 'FETCH 10 FROM c', 'COMMIT');
is(ask('SELECT count(*) FROM (SELECT id, v FROM lake.a WHERE n < 10 OFFSET 0) s, generate_series(1, 1)'), '2000 f',
	'a result that was not read to its end is not kept');

is(ask('SELECT count(*) FROM lake.a', 'SET shard.cache_ttl = 0'), '20000 f', 'one without any age is not given');
is(ask('SELECT count(*) FROM lake.a', 'SET shard.cache_enabled = off'), '20000 f', 'a session that wants none gets none');

# ---- tables that change ----

my @writers = map {
	IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', qq{
		DO \$\$
		BEGIN
			FOR i IN 1 .. 40 LOOP
				UPDATE a SET n = n + 1 WHERE id = $_;
				COMMIT;
				PERFORM pg_sleep(0.02);
			END LOOP;
		END \$\$} ], '>', \my $out, '2>', \my $err)
} 1 .. 2;
my $wrong = 0;
my $last = 0;
for (1 .. 40)
{
	my ($kept, $computed) = split /\n/, sql(
		'BEGIN ISOLATION LEVEL REPEATABLE READ', 'SELECT sum(n) FROM lake.a', 'SET shard.cache_enabled = off',
		'SELECT sum(n) FROM lake.a', 'COMMIT');
	$wrong++ if $kept != $computed || $kept < $last;
	$last = $kept;
}
$_->finish for @writers;
is($wrong, 0, 'while the table changes, a kept result is what would be computed');
is(sql('SET shard.freshness = latest', 'SELECT sum(n) FROM lake.a'), sql('SELECT sum(n) FROM a'), 'and in the end');

# ---- the engine dies ----

my $answer = ask('SELECT sum(n) FROM lake.a');
kill_matching($node, 'shard_engine');
$node->poll_query_until('postgres', 'SELECT pid IS NOT NULL FROM shard.engine_status');
is(ask('SELECT sum(n) FROM lake.a'), $answer =~ s/ .*/ f/r, 'a new engine has no results');
is(ask('SELECT sum(n) FROM lake.a'), $answer =~ s/ .*/ t/r, 'and keeps them again');

done_testing();
