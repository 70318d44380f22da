# Foreign keys between tables of one router, and to a plain table, while shards
# come and go, keys are moved and isolated, and ranges are split and moved: they
# hold afterwards in both directions, and no row is lost or cascaded away.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('keys', 'shard.flush_interval' => '200ms', max_locks_per_transaction => 1024);

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(q{
	CREATE TABLE plain (id int PRIMARY KEY);
	INSERT INTO plain SELECT generate_series(1, 5);
	SELECT shard.create_router('ring', 'consistent-hash', 3, '{k}', hash_function => 'xxh3');
	SELECT shard.create_router('letters', 'range', partition_key => '{k}', ranges =>
		'[{"start": null, "end": "h", "shard": 0}, {"start": "h", "end": "p", "shard": 1}, {"start": "p", "end": null, "shard": 2}]');
});
for my $router ('ring', 'letters')
{
	sql(qq{
		CREATE TABLE ${router}_heads (k text COLLATE "C", id int, plain int REFERENCES plain, PRIMARY KEY (k, id));
		CREATE TABLE ${router}_lines (k text COLLATE "C", id int, line int, previous int, PRIMARY KEY (k, id, line),
			FOREIGN KEY (k, id) REFERENCES ${router}_heads ON DELETE CASCADE ON UPDATE CASCADE,
			FOREIGN KEY (k, id, previous) REFERENCES ${router}_lines ON DELETE SET NULL (previous));
		INSERT INTO ${router}_heads SELECT chr(97 + i % 26) || i % 8, i, 1 + i % 5 FROM generate_series(1, 400) i;
		INSERT INTO ${router}_lines SELECT k, id, n, nullif(n - 1, 0) FROM ${router}_heads, generate_series(1, 3) n;
		SELECT shard.distribute_table('${router}_heads', '$router');
		SELECT shard.distribute_table('${router}_lines', '$router', lake => '$router' = 'ring');
		CREATE TABLE ${router}_heads_before AS SELECT * FROM ${router}_heads;
		CREATE TABLE ${router}_lines_before AS SELECT * FROM ${router}_lines});
}

sub check
{
	my ($router, $name) = @_;
	is(sql(qq{
			SELECT count(*) FROM ((TABLE ${router}_heads EXCEPT ALL TABLE ${router}_heads_before) UNION ALL
				(TABLE ${router}_heads_before EXCEPT ALL TABLE ${router}_heads)) d;
			SELECT count(*) FROM ((TABLE ${router}_lines EXCEPT ALL TABLE ${router}_lines_before) UNION ALL
				(TABLE ${router}_lines_before EXCEPT ALL TABLE ${router}_lines)) d;
			SELECT count(*) FROM shard.verify_placement('$router');
			SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated}),
		"0\n0\n0\n0", "$name: all rows are there, where they belong");
	# Of every shard: a head of another shard than the last one's has no lines left after the check.
	for my $shard (split /\n/, sql(qq{SELECT DISTINCT tableoid::regclass FROM ${router}_heads ORDER BY 1}))
	{
		my ($result, $out, $err) = $node->psql('postgres', qq{
			INSERT INTO ${router}_lines SELECT k, -1, 1 FROM $shard LIMIT 1});
		like($err, qr/violates foreign key/, "$name: $shard: lines need a head");
		($result, $out, $err) = $node->psql('postgres', qq{
			BEGIN;
			CREATE TEMP TABLE one AS SELECT k, id FROM $shard LIMIT 1;
			UPDATE ${router}_heads SET id = id + 100000 WHERE (k, id) IN (SELECT k, id FROM one);
			SELECT count(*) FROM ${router}_lines JOIN one USING (k) WHERE ${router}_lines.id = one.id + 100000;
			DELETE FROM ${router}_lines WHERE id > 100000 AND line = 1;
			SELECT count(*) FROM ${router}_lines WHERE id > 100000 AND previous IS NULL;
			DELETE FROM ${router}_heads WHERE id > 100000;
			SELECT count(*) FROM ${router}_lines WHERE id > 100000;
			ROLLBACK});
		is($out, "3\n1\n0", "$name: $shard: changes of a head reach its lines") or diag($err);
		($result, $out, $err) = $node->psql('postgres', qq{UPDATE ${router}_heads SET plain = 99 WHERE k = (SELECT min(k) FROM $shard)});
		like($err, qr/violates foreign key/, "$name: $shard: heads need the plain table's row");
	}
	my ($result, $out, $err) = $node->psql('postgres', 'DELETE FROM plain WHERE id = 1');
	like($err, qr/violates foreign key/, "$name: and the plain table's row is held");
	return;
}

sub migrate
{
	my ($start) = @_;
	my $id = sql("SELECT $start");
	is(sql("SELECT success, error FROM shard.wait_migration($id)"), 't|', "$start succeeds") if $id ne '';
	return;
}

check('ring', 'distributed');
migrate(q{shard.add_shard('ring')});
check('ring', 'a shard was added');
migrate(q{shard.isolate('ring', 'a0')});
migrate(q{shard.rebalance('ring', '{b1,c2}', '{0}')});
migrate(q{shard.remove_shard('ring', 1)});
check('ring', 'keys isolated and moved, a shard removed');

check('letters', 'distributed by range');
sql(q{SET shard.range_move_rows = 100000;
	SELECT shard.alter_router('letters', ranges =>
		'[{"start": null, "end": "c", "shard": 1}, {"start": "c", "end": "k", "shard": 0}, {"start": "k", "end": "p", "shard": 1},
		  {"start": "p", "end": "t", "shard": 2}, {"start": "t", "end": null, "shard": 0}]')});
check('letters', 'ranges split and moved at once');
migrate(q{shard.add_shard('letters')});
$node->append_conf('postgresql.conf', 'shard.range_move_rows = 50');
$node->reload();
migrate(q{shard.alter_router('letters', ranges =>
	'[{"start": null, "end": "e", "shard": 3}, {"start": "e", "end": "n", "shard": 1}, {"start": "n", "end": null, "shard": 2}]')});
migrate(q{shard.remove_shard('letters', 1)});
check('letters', 'ranges split, merged and moved step by step, a shard removed');
is_lake_equal($node, $_, $_) for 'ring_heads', 'ring_lines', 'letters_heads';

# Dropping all takes the shards along.
sql(q{DROP TABLE ring_heads, ring_lines, letters_lines, letters_heads; SELECT shard.drop_router('ring'); SELECT shard.drop_router('letters')});
is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname ~ '_shard_'}), '0', 'nothing is left');
$node->stop();
done_testing();
