# The pipeline from a user's change to the lake: what each kind of change
# becomes, what schema changes, copies of databases and drops leave behind.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('pipeline', 'shard.flush_interval' => '100ms', max_replication_slots => 5, max_wal_senders => 5);
shard_table($node, 'things', rows => 500);

sub sql
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# The state that the events of table "things" lead to.
my $replayed = q{
	SELECT e.k, e.id, e.v, e.n FROM (
		SELECT DISTINCT ON (k, id) * FROM (
			SELECT k, id, v, n, _verb <> 'deleted' AS put, _lsn, _seq FROM lake.things_events
			WHERE _verb <> 'truncated'
			UNION ALL
			SELECT _old_key, id, NULL, NULL, false, _lsn, _seq FROM lake.things_events
			WHERE _old_key IS NOT NULL) o
		WHERE (_lsn, _seq) > ALL (SELECT _lsn, _seq FROM lake.things_events WHERE _verb = 'truncated')
		ORDER BY k, id, _lsn DESC, _seq DESC, put DESC) e
	WHERE put};

sub is_replay_equal
{
	my ($name) = @_;
	is(sql(qq{SELECT shard.flush(); SELECT count(*) FROM (
			(($replayed) EXCEPT ALL SELECT k, id, v, n FROM things) UNION ALL
			(SELECT k, id, v, n FROM things EXCEPT ALL ($replayed))) d}) =~ s/^.*\n//sr,
		'0', "$name: the events lead to the same rows");
	is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.things_events'), '0',
		"$name: no event is there twice");
	return;
}

sub check
{
	my ($name) = @_;
	is_lake_equal($node, 'things', $name);
	is_replay_equal($name);
	return;
}

# ---- kinds of changes ----

check('insert');
sql('UPDATE things SET n = n + 1 WHERE id % 3 = 0');
check('update');
sql('DELETE FROM things WHERE id % 5 = 0');
check('delete');
sql(q{INSERT INTO things SELECT 'key-' || i % 50, i, 'upserted', 0 FROM generate_series(1, 600, 7) i
	ON CONFLICT (k, id) DO UPDATE SET v = excluded.v, n = things.n + 1});
check('upsert');
sql('UPDATE things SET id = id + 100000 WHERE id % 11 = 0');
check('update of the primary key');
sql(q{UPDATE things SET k = 'moved-' || id WHERE id % 13 = 0});
check('update of the partition key');
ok(sql(q{SELECT count(*) > 10 FROM lake.things_events WHERE _verb = 'updated' AND _old_key IS NOT NULL
	AND _key LIKE 'moved-%'}) eq 't', 'an update that moves a row to another shard is one event');
sql(q{
	BEGIN;
	INSERT INTO things VALUES ('a', 1, 'one', 1), ('a', 2, 'two', 2);
	UPDATE things SET v = 'again' WHERE k = 'a' AND id = 1;
	DELETE FROM things WHERE k = 'a' AND id = 1;
	INSERT INTO things VALUES ('a', 1, 'back', 1);
	UPDATE things SET k = 'b' WHERE k = 'a' AND id = 2;
	UPDATE things SET k = 'c', id = 3 WHERE k = 'b' AND id = 2;
	SAVEPOINT s;
	DELETE FROM things;
	ROLLBACK TO s;
	INSERT INTO things VALUES ('gone', 1, '', 1);
	DELETE FROM things WHERE k = 'gone';
	COMMIT;
	BEGIN; DELETE FROM things; ROLLBACK;
});
check('many changes of one row in a transaction');
sql(q{BEGIN; TRUNCATE things; INSERT INTO things SELECT 'key-' || i % 7, i, 'new', i FROM generate_series(1, 100) i; COMMIT});
check('TRUNCATE');

# ---- values that the WAL leaves out ----

sql(q{
	CREATE TABLE docs (k text, id int, a text, b text, n int, PRIMARY KEY (k, id));
	ALTER TABLE docs ALTER a SET STORAGE external, ALTER b SET STORAGE external;
	SELECT shard.distribute_table('docs', 'things_router', '{k}');
	INSERT INTO docs SELECT 'k' || i % 5, i, repeat('a' || i, 1000), repeat('b' || i, 1000), 0 FROM generate_series(1, 60) i;
});
is_lake_equal($node, 'docs', 'large values');
sql('UPDATE docs SET n = 1 WHERE id <= 30');
is_lake_equal($node, 'docs', 'large values that an update left alone, from the lake');
sql(q{
	BEGIN;
	INSERT INTO docs VALUES ('x', 100, repeat('x', 5000), repeat('y', 5000), 0);
	UPDATE docs SET n = 1 WHERE id = 100;
	UPDATE docs SET id = 101 WHERE id = 100;
	UPDATE docs SET k = 'y' WHERE id = 101;
	UPDATE docs SET n = 2, b = repeat('z', 4000) WHERE id = 101;
	UPDATE docs SET n = 3 WHERE id = 101;
	UPDATE docs SET id = -id WHERE id BETWEEN 31 AND 40;
	UPDATE docs SET n = 4 WHERE id BETWEEN -40 AND -31;
	UPDATE docs SET id = id - 100 WHERE id BETWEEN -40 AND -36;
	DELETE FROM docs WHERE id = 50;
	UPDATE docs SET id = 50, k = (SELECT k FROM docs WHERE id = 51) WHERE id = 51;
	UPDATE docs SET n = 5 WHERE id = 50;
	COMMIT;
});
is_lake_equal($node, 'docs', 'large values through changes of key');
is(sql(q{SELECT count(*) FROM lake.docs_events WHERE _verb <> 'deleted' AND (a IS NULL OR b IS NULL)}), '0',
	'events of rows that are there are whole');

# ---- a table whose rows may be equal ----

sql(q{
	CREATE TABLE bag (k text NOT NULL, v float8);
	ALTER TABLE bag REPLICA IDENTITY FULL;
	SELECT shard.distribute_table('bag', 'things_router', '{k}');
	INSERT INTO bag SELECT 'k' || i % 3, i % 2 FROM generate_series(1, 20) i;
	INSERT INTO bag VALUES ('n', NULL), ('n', NULL), ('n', 'NaN');
});
is_lake_equal($node, 'bag', 'equal rows');
sql(q{
	DELETE FROM bag WHERE (tableoid, ctid) IN (SELECT tableoid, min(ctid) FROM bag GROUP BY tableoid);
	UPDATE bag SET v = 5 WHERE k = 'k1';
	UPDATE bag SET k = 'k9' WHERE k = 'k2' AND v = 1;
});
is_lake_equal($node, 'bag', 'equal rows, changed');

# ---- changes of the table ----

sql(q{ALTER TABLE things ADD COLUMN extra int DEFAULT 7; INSERT INTO things VALUES ('key-1', 1000, 'x', 1, 8)});
is_lake_equal($node, 'things', 'a column added with a default');
is(sql('SELECT DISTINCT extra FROM lake.things ORDER BY 1'), "7\n8", 'older rows have the default');
sql(q{
	ALTER TABLE things RENAME COLUMN v TO label;
	ALTER TABLE things ALTER COLUMN n TYPE bigint;
	ALTER TABLE things DROP COLUMN extra;
	ALTER TABLE things ADD COLUMN extra text;
	INSERT INTO things VALUES ('key-1', 1001, 'x', 1, 'text');
});
is_lake_equal($node, 'things', 'columns renamed, widened, dropped and added again');
sql('ALTER TABLE things ALTER COLUMN label TYPE text USING upper(label)');
is_lake_equal($node, 'things', 'ALTER TABLE that gives all rows another value');
sql(q{BEGIN ISOLATION LEVEL REPEATABLE READ; UPDATE things SET label = 'y' WHERE id = 1000;
	ALTER TABLE things ALTER COLUMN n TYPE bigint USING n * 10; UPDATE things SET label = 'z' WHERE id = 1001; COMMIT});
is_lake_equal($node, 'things', 'ALTER TABLE between changes');
sql(q{CREATE ROLE keeper; GRANT CREATE, USAGE ON SCHEMA public TO keeper; ALTER TABLE things OWNER TO keeper;
	SET ROLE keeper; ALTER TABLE things ALTER COLUMN label TYPE text USING label || '!'; RESET ROLE;
	ALTER TABLE things OWNER TO CURRENT_USER; DROP OWNED BY keeper; DROP ROLE keeper});
is_lake_equal($node, 'things', 'ALTER TABLE by the owner of the table');
sql('TRUNCATE things_router_shard_0.things');
is_lake_equal($node, 'things', 'TRUNCATE of one shard');
sql(q{
	BEGIN;
	INSERT INTO things VALUES ('key-1', 1002, 'x', 1, 'text');
	ALTER TABLE things ADD COLUMN late int;
	INSERT INTO things VALUES ('key-1', 1003, 'x', 1, 'text', 3);
	COMMIT;
});
is_lake_equal($node, 'things', 'a column added between two changes of a transaction');

# ---- rows that were there before, and databases that are copied ----

sql(q{
	CREATE TABLE before (k text, id int, PRIMARY KEY (k, id));
	INSERT INTO before SELECT 'k' || i % 9, i FROM generate_series(1, 300) i;
	SELECT shard.distribute_table('before', 'things_router', '{k}');
});
is_lake_equal($node, 'before', 'rows from before the distribution');
is(sql(q{SELECT count(*) FROM lake.before_events WHERE _verb = 'created'}), '300', 'they are events');

sql(q{
	BEGIN;
	CREATE TABLE within (k text, id int, PRIMARY KEY (k, id));
	INSERT INTO within SELECT 'k' || i % 9, i FROM generate_series(1, 30) i;
	SELECT shard.distribute_table('within', 'things_router', '{k}');
	INSERT INTO within VALUES ('k1', 31);
	COMMIT;
	INSERT INTO within VALUES ('k1', 32);
});
is_lake_equal($node, 'within', 'a table made, distributed and filled in one transaction');

sql('CREATE DATABASE copied TEMPLATE postgres', 'template1');
is_lake_equal($node, 'things', 'a copied database', 'copied');
sql(q{INSERT INTO things VALUES ('key-1', 2000, 'copy', 1); DELETE FROM things WHERE id < 50}, 'copied');
is_lake_equal($node, 'things', 'the copy goes its own way', 'copied');
is_lake_equal($node, 'things', 'and so does the original');
is(sql('SELECT count(*) FROM pg_replication_slots'), '2', 'each database has its slot');
isnt(sql(q{SELECT metadata_location FROM iceberg_tables WHERE table_name = 'things'}, 'copied'),
	sql(q{SELECT metadata_location FROM iceberg_tables WHERE table_name = 'things'}),
	'each with files of its own');
sql('DROP DATABASE copied', 'template1');
is(sql('SELECT count(*) FROM pg_replication_slots'), '1', 'the slot goes with the database');

# ---- a standby that takes over: it has the catalog, but not the files ----

# A path of 100 bytes or more would make the backup fail.
my $long = 'x' x 63;
sql(qq{
	CREATE TABLE $long (k text, id int, PRIMARY KEY (k, id));
	SELECT shard.distribute_table('$long', 'things_router', '{k}');
	INSERT INTO $long VALUES ('a', 1), ('b', 2);
	SELECT shard.flush();
	DELETE FROM $long WHERE k = 'a';
	SELECT shard.flush();
});
is_lake_equal($node, $long, 'a long name');
is(sql('SELECT count(*) FROM lake.' . substr($long, 0, 56) . '_events'), '3', 'events under a long name');
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start();
sql(q{UPDATE things SET label = 'after the backup' WHERE id % 3 = 0; SELECT shard.flush()});
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT state, reason FROM shard.pipeline_status'),
	'blocked|the server is a standby', 'a standby has no pipeline');
$standby->promote();
$standby->safe_psql('postgres', q{SELECT _shard.pipeline_ready('30 s'); DELETE FROM things WHERE id % 7 = 0});
is_lake_equal($standby, 'things', 'a promoted standby');
is_lake_equal($standby, 'docs', 'a promoted standby, large values');
is_lake_equal($standby, 'bag', 'a promoted standby, equal rows');
$standby->stop();

# ---- a slot that is lost ----

my $generation = sql('SELECT slot_generation FROM _shard.pipeline');
$node->stop();
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start();
sql(q{SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots});
$node->stop();
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'shard'");
$node->start();
sql(q{UPDATE things SET label = 'with a new slot' WHERE id % 2 = 0});
is_lake_equal($node, 'things', 'after the slot was lost');
is(sql('SELECT slot_generation FROM _shard.pipeline'), $generation + 1, 'a new slot is a new generation');

# ---- waiting ----

my ($ret, $out, $err) = $node->psql('postgres', "SELECT shard.flush('1 s'::interval)");
is($ret, 0, 'flush returns');
like($out, qr{^[0-9A-F]+/[0-9A-F]+$}, 'flush returns a position');

# ---- leaving ----

sql('DROP TABLE before');
is(sql(q{SELECT count(*) FROM _shard.lake_table WHERE name = 'before'}), '0', 'a dropped table leaves the lake');
is(sql(q{SELECT count(*) FROM iceberg_tables WHERE table_name IN ('before', 'before_events')}), '0',
	'and its catalog');
is(sql(q{SELECT to_regclass('lake.before') IS NULL AND to_regclass('lake.before_events') IS NULL}), 't',
	'and its foreign tables are gone');
sql(q{SELECT shard.undistribute_table(t) FROM unnest(('{things,docs,bag,within,' || repeat('x', 63) || '}')::regclass[]) t; DROP EXTENSION shard CASCADE});
$node->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_replication_slots');
is(sql('SELECT count(*) FROM pg_replication_slots'), '0', 'the slot goes with the extension');
sql('CREATE EXTENSION shard');
is(sql(q{SELECT _shard.pipeline_ready('30 s') IS NULL}), 't', 'and comes back with it');
$node->stop();
$node->start();
is(sql(q{SELECT _shard.pipeline_ready('30 s') IS NULL}), 't', 'and after a restart');
$node->stop();

# ---- a server that cannot ----

my $replica = shard_node('replica', wal_level => 'replica');
is($replica->safe_psql('postgres', 'SELECT state, reason, hint FROM shard.pipeline_status'),
	'blocked|wal_level is below "logical"|Set wal_level to "logical" and restart the server.',
	'the status says why there is no pipeline');
($ret, $out, $err) = $replica->psql('postgres', 'SELECT shard.flush()');
like($err, qr/the pipeline is not running.*wal_level/s, 'and so does flush');
shard_table($replica, 'things', rows => 100);
is($replica->safe_psql('postgres', 'SELECT count(*) FROM things'), '100', 'tables are distributed all the same');
$replica->append_conf('postgresql.conf', "wal_level = logical\nmax_replication_slots = 1");
$replica->restart();
is_lake_equal($replica, 'things', 'the pipeline catches up once it can');
$replica->safe_psql('template1', 'CREATE DATABASE second');
$replica->safe_psql('second', 'CREATE EXTENSION shard');
$replica->poll_query_until('second', q{SELECT reason ~ 'replication slots' FROM shard.pipeline_status});
like($replica->safe_psql('second', 'SELECT reason, hint FROM shard.pipeline_status'),
	qr/all replication slots are in use\|.*max_replication_slots/, 'a slot that is not to be had is a reason, too');
is_lake_equal($replica, 'things', 'the other database has its pipeline still');
$replica->stop();
done_testing();
