# A transaction many times larger than the engine's memory allows at once reaches
# the lake: rows of all sizes, changes of all kinds, the first load of a table and
# its comparison, compaction.  A row too large for the engine stops its own table
# only, is not lost, and comes when there is more memory.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

# The smallest limit: an eighth of it, 8 MB, is what one file may come from.
my $node = shard_node('small', 'shard.engine_memory_limit' => '64MB', 'shard.engine_threads' => 2,
	'shard.flush_interval' => '100ms', 'shard.compaction' => 'off', 'shard.pipeline_max_retries' => 3,
	'logical_decoding_work_mem' => '64MB', 'shard.decoding_memory' => '16MB');

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub files { return sql("SELECT count(*) FROM shard.lake_files('lake.$_[0]')") }

shard_table($node, 'things');
sql('ALTER TABLE things ALTER v SET STORAGE EXTERNAL');
is_lake_equal($node, 'things', 'empty');
my $generation = sql('SELECT restarts FROM shard.engine_status');

# Text of so many times 32 bytes.
sub text { return "repeat(md5(i::text), $_[0])" }

sub replayed
{
	my ($table) = @_;
	my $replayed = qq{
		SELECT e.k, e.id, e.v, e.n FROM (
			SELECT DISTINCT ON (k, id) k, id, v, n, _verb <> 'deleted' AS put FROM lake.${table}_events
			ORDER BY k, id, _lsn DESC, _seq DESC) e
		WHERE put};
	return sql(qq{SELECT count(*) FROM (
		(($replayed) EXCEPT ALL SELECT k, id, v, n FROM $table) UNION ALL
		(SELECT k, id, v, n FROM $table EXCEPT ALL ($replayed))) d});
}

# 45 MB in one transaction, narrow rows after wide ones.
sql(qq{BEGIN;
	INSERT INTO things SELECT 'key-' || i % 100, i, @{[ text(32) ]}, i FROM generate_series(1, 30000) i;
	INSERT INTO things SELECT 'key-' || i % 100, i, @{[ text(2000) ]}, i FROM generate_series(50001, 50150) i;
	INSERT INTO things SELECT 'key-' || i % 100, i, 'short', i FROM generate_series(100001, 120000) i;
	COMMIT});
is_lake_equal($node, 'things', 'inserts');
cmp_ok(files('things'), '>', 4, 'a large transaction makes several files');

# All of it changed at once; the wide values are not in the WAL.
sql(q{BEGIN;
	UPDATE things SET n = n + 1;
	DELETE FROM things WHERE id % 3 = 0;
	UPDATE things SET n = n + 1, id = id + 1000000 WHERE id % 50 = 1;
	INSERT INTO things SELECT k, -id, v, n FROM things WHERE id BETWEEN 1 AND 5000;
	UPDATE things SET n = n + 1 WHERE id < 0 OR id > 1000000;
	COMMIT});
is_lake_equal($node, 'things', 'updates and deletes');
is(replayed('things'), '0', 'the events lead to the same rows');
is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'), '0',
	'no event is there twice');

# A table whose key is the whole row.
sql(qq{CREATE TABLE whole (k text NOT NULL, v text, n int);
	ALTER TABLE whole REPLICA IDENTITY FULL;
	SELECT shard.distribute_table('whole', 'things_router')});
sql(qq{INSERT INTO whole SELECT 'key-' || i % 100, @{[ text(20) ]}, 0 FROM generate_series(1, 6000) i, generate_series(1, 2)});
sql(q{UPDATE whole SET n = 1 WHERE k < 'key-5'; DELETE FROM whole WHERE k > 'key-8'});
is_lake_equal($node, 'whole', 'whole rows as keys');

# The first load of a table, and a comparison that finds another value in each row.
sql(qq{CREATE TABLE loaded (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
	INSERT INTO loaded SELECT 'key-' || i % 100, i, @{[ text(32) ]}, i FROM generate_series(1, 40000) i;
	SELECT shard.distribute_table('loaded', 'things_router')});
is_lake_equal($node, 'loaded', 'first load');
cmp_ok(files('loaded'), '>', 1, 'the load makes several files');
sql("ALTER TABLE loaded ADD COLUMN more text DEFAULT 'a default for the rows that are there'");
is_lake_equal($node, 'loaded', 'comparison');
is(sql(q{SELECT count(*) FROM lake.loaded_events WHERE _event_id LIKE 'resync-%' AND _verb = 'updated'}),
	'40000', 'each row has its event of the comparison');
is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.loaded_events'), '0',
	'no event of the load or the comparison is there twice');

# Compaction.
sql("SELECT shard.compact('loaded')");
is_lake_equal($node, 'loaded', 'after compaction');
is(sql('SELECT retries FROM shard.pipeline_status'), '0', 'nothing had to be tried again');
is(sql('SELECT restarts FROM shard.engine_status'), $generation, 'the engine has lived through it');

# A row that needs more than there is.
sql(q{INSERT INTO loaded (k, id, v, n) SELECT 'large', 1, repeat(md5('1'), 1300000), 1});
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM shard.dead_letters WHERE kind = 'table'})
  or die 'the table is not left out';
like(sql(q{SELECT payload FROM shard.dead_letters WHERE kind = 'table'}), qr/shard\.engine_memory_limit/,
	'the letter says what to do');
sql(q{UPDATE things SET n = n + 1 WHERE id < 0});
is_lake_equal($node, 'things', 'the others go on');
sql("ALTER SYSTEM SET shard.engine_memory_limit = '1GB'");
sql('SELECT pg_reload_conf()');
$node->poll_query_until('postgres', 'SELECT memory_limit = 1024 * 1024 * 1024::bigint FROM shard.engine_status')
  or die 'the engine does not take the new limit over';
sql(q{SELECT shard.replay_dead_letters('loaded')});
is_lake_equal($node, 'loaded', 'with more memory');
$node->stop();
done_testing();
