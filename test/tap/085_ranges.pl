# Ranges are split, merged and moved while clients write, and while workers are
# killed: nothing is lost or doubled, every row is in the shard of its range, and
# the moves make no events.  A dump brings ranges, leaves and rows back.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('ranges',
	'shard.flush_interval' => '200ms',
	'shard.range_move_rows' => '700',
	restart_after_crash => 'on');
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

# Ranges over k with these borders; shards by range.
sub ranges
{
	my ($borders, $shards) = @_;
	my @bounds = ('null', @$borders, 'null');
	return '[' . join(', ', map {
			qq({"start": $bounds[$_], "end": $bounds[$_ + 1], "shard": $shards->[$_]})
		} 0 .. $#$shards) . ']';
}

sub differences
{
	my ($table, $other) = @_;
	return sql(qq{SELECT count(*) FROM (
		(SELECT * FROM $table EXCEPT ALL SELECT * FROM $other)
		UNION ALL (SELECT * FROM $other EXCEPT ALL SELECT * FROM $table)) d});
}

sub check_rows
{
	my ($name) = @_;
	is(differences('accounts', 'oracle'), '0', "$name: no row is lost, doubled or changed");
	is(differences('items', 'items_oracle'), '0', "$name: nor of the other table");
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	is(sql(q{SELECT count(*) FROM accounts a WHERE shard.route('app', k::text) <>
			(SELECT shard_index FROM shard.shards s JOIN pg_class c ON s.schema = c.relnamespace::regnamespace::text
			WHERE s.router = 'app' AND c.oid = a.tableoid)}), '0', "$name: in that shard's schema");
	return;
}

# Two tables of one router, the second with leaves of its own and a foreign key
# to the first.
sub set_up
{
	my ($rows) = @_;
	my $ranges = ranges([ 1000, 2000 ], [ 0, 1, 2 ]);
	sql(qq{
		SELECT shard.create_router('app', 'range', partition_key => '{k}', key_type => 'int', ranges => '$ranges');
		CREATE TABLE accounts (k int, id bigint, v text, n int, PRIMARY KEY (k, id));
		CREATE INDEX ON accounts (n);
		CREATE TABLE oracle (LIKE accounts INCLUDING ALL);
		INSERT INTO accounts SELECT i % 3000, 10000 + i, repeat('x', i % 300), i FROM generate_series(1, $rows) i;
		INSERT INTO oracle SELECT * FROM accounts;
		SELECT shard.distribute_table('accounts', 'app');
		CREATE TABLE items (k int, id bigint, item int, PRIMARY KEY (k, id, item),
			FOREIGN KEY (k, id) REFERENCES accounts ON UPDATE CASCADE ON DELETE CASCADE);
		INSERT INTO items SELECT k, id, 1 FROM accounts WHERE id % 3 = 0;
		CREATE TABLE items_oracle AS TABLE items;
		SELECT shard.distribute_table('items', 'app', lake => false);
	});
	return;
}

sub tear_down
{
	sql(q{DROP TABLE accounts, oracle, items, items_oracle CASCADE; SELECT shard.drop_router('app')});
	return;
}

# ---- under writes ----

open(my $out, '>', "$dir/writer.sql") or die $!;
print $out q{
\set k random(0, 2999)
\set k2 random(0, 2999)
\set id :client_id * 1000 + random(1, 300)
BEGIN;
INSERT INTO accounts (k, id, v, n) VALUES (:k, :id, repeat('v', :k % 100), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = accounts.n + 1, v = accounts.v || 'u';
INSERT INTO oracle (k, id, v, n) VALUES (:k, :id, repeat('v', :k % 100), :k)
    ON CONFLICT (k, id) DO UPDATE SET n = oracle.n + 1, v = oracle.v || 'u';
UPDATE accounts SET k = :k2 WHERE k = :k AND id = :id
    AND NOT EXISTS (SELECT FROM oracle WHERE k = :k2 AND id = :id);
UPDATE oracle SET k = :k2 WHERE k = :k AND id = :id
    AND NOT EXISTS (SELECT FROM oracle o WHERE o.k = :k2 AND o.id = :id);
DELETE FROM accounts WHERE k = :k2 AND id = :id + 7;
DELETE FROM oracle WHERE k = :k2 AND id = :id + 7;
COMMIT;
};
close($out);

set_up(12000);
my ($writer_out, $writer_err) = ('', '');
my $writers = IPC::Run::start(
	[ 'pgbench', '-n', '-c', '3', '-j', '1', '-t', '900', '-f', "$dir/writer.sql",
		$node->connstr('postgres') ],
	'>', \$writer_out, '2>', \$writer_err);
$node->poll_query_until('postgres', 'SELECT count(*) > 12050 FROM oracle')
  or die 'the writers do not write';

my $steps = 0;
for my $change (
	[ 'a range is split', ranges([ 400, 1000, 2000 ], [ 0, 1, 1, 2 ]) ],
	[ 'its rest is split again, in the middle', ranges([ 400, 600, 700, 1000, 2000 ], [ 0, 1, 2, 1, 1, 2 ]) ],
	[ 'ranges are merged', ranges([ 2000 ], [ 1, 2 ]) ],
	[ 'and moved', ranges([ 300, 2500 ], [ 2, 0, 1 ]) ])
{
	my ($name, $ranges) = @$change;
	my $id = sql(qq{SELECT shard.alter_router('app', ranges => '$ranges')});
	if ($id ne '')
	{
		is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|', "$name: the migration succeeds");
		$steps += sql("SELECT count(*) FROM _shard.migration_batch WHERE migration_id = $id");
	}
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
}
cmp_ok($steps, '>', 4, "rows changed leaves in several steps ($steps)");
$writers->finish();
is($writer_err =~ /ERROR|aborted/ ? $writer_err : '', '', 'no writer saw an error');
like($writer_out, qr{transactions actually processed: 2700/2700}, 'every transaction was done');

# What the writers did by key is not in the second table.
sql(q{DELETE FROM items_oracle o WHERE NOT EXISTS (SELECT FROM accounts WHERE k = o.k AND id = o.id)});
check_rows('after all changes');
is_lake_equal($node, 'accounts', 'after all changes');
is(sql(q{SELECT count(*) - count(DISTINCT _event_id) FROM lake.accounts_events}), '0', 'no event is there twice');

# Without writers a change of ranges makes no event.
my $events = sql('SELECT count(*) FROM lake.accounts_events');
my $more = ranges([ 500, 1200, 2100 ], [ 0, 1, 2, 0 ]);
my $id = sql(qq{SELECT shard.alter_router('app', ranges => '$more')});
is(sql("SELECT success, entities_moved > 0 FROM shard.wait_migration($id)"), 't|t', 'one more change');
sql('SELECT shard.flush()');
is(sql('SELECT count(*) FROM lake.accounts_events'), $events, 'made no event');
check_rows('one more change');
is_lake_equal($node, 'accounts', 'one more change');

# Writes afterwards reach the lake from the new shards.
sql(q{INSERT INTO accounts SELECT 1500, i, 'new', 0 FROM generate_series(90001, 90010) i; SELECT shard.flush()});
is(sql(q{SELECT DISTINCT _shard, _key FROM lake.accounts_events WHERE id > 90000}), '2|1500',
	'events carry key and shard');
sql(q{INSERT INTO oracle SELECT * FROM accounts WHERE id > 90000});

# ---- a dump ----

sql('CREATE DATABASE again');
my $dump = "$dir/dump.sql";
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('postgres') ], 'dump');
my ($restore_out, $restore_err);
IPC::Run::run([ 'psql', '-qX', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('again') ],
	'>', \$restore_out, '2>', \$restore_err);
is($restore_err, '', 'restored without an error');
for my $query ('SELECT md5(string_agg(a::text, \',\' ORDER BY k, id)) FROM accounts a',
	'SELECT tableoid::regclass, count(*) FROM accounts GROUP BY tableoid ORDER BY tableoid::regclass::text COLLATE "C"',
	q{SELECT ranges, key_type, default_shard FROM shard.routers},
	q{SELECT sum(shard.route('app', i::text)) FROM generate_series(-10, 4000, 7) i},
	q{SELECT count(*) FROM shard.verify_placement('app')})
{
	is($node->safe_psql('again', $query), sql($query), "the same there: $query");
}
$node->safe_psql('again', q{DELETE FROM accounts WHERE k < 100});
my $other = ranges([ 1000 ], [ 1, 2 ]);
$id = $node->safe_psql('again', qq{SELECT shard.alter_router('app', ranges => '$other')});
is($node->safe_psql('again', "SELECT success FROM shard.wait_migration($id)"), 't', 'ranges can be changed there')
  if $id ne '';
is($node->safe_psql('again', q{SELECT count(*) FROM shard.verify_placement('app')}), '0', 'and rows follow');
$node->safe_psql('postgres', 'DROP DATABASE again WITH (FORCE)');
tear_down();

# ---- crashes ----

my $wanted = ranges([ 500, 1200, 2000 ], [ 0, 2, 1, 0 ]);
for my $point (qw(migration-before-ranges range-split-moved migration-before-ranges-commit migration-before-flush))
{
	set_up(6000);
	my $offset = -s $node->logfile;
	set_point($node, "$point:kill");
	$id = sql(qq{SELECT shard.alter_router('app', ranges => '$wanted')});
	$node->wait_for_log(qr/was terminated by signal 9/, $offset);
	set_point($node, '');
	wait_until_up($node) or die 'the server does not come back';
	$node->poll_query_until('postgres',
		"SELECT state = 'complete' FROM shard.migrations WHERE migration_id = $id")
	  or die 'the migration does not end';
	check_rows("killed at $point");
	is_lake_equal($node, 'accounts', "killed at $point");
	tear_down();
}

# ---- errors, and a cancel ----

set_up(6000);
set_point($node, 'range-split-moved:error');
$id = sql(qq{SELECT shard.alter_router('app', ranges => '$wanted')});
$node->poll_query_until('postgres', "SELECT failures > 0 FROM _shard.migration WHERE migration_id = $id")
  or die 'no step fails';
my ($ret, $stdout, $stderr) =
  $node->psql('postgres', qq{SELECT shard.alter_router('app', ranges => '$wanted')});
like($stderr, qr/router "app" is migrating/, 'ranges do not change twice at a time');
($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT shard.pin('app', '5', 1)});
like($stderr, qr/router "app" is migrating/, 'nor pins meanwhile');
sql("SELECT shard.cancel_migration($id)");
$node->poll_query_until('postgres', "SELECT NOT unfinished FROM _shard.migration WHERE migration_id = $id")
  or die 'the migration does not end';
is(sql("SELECT state, rolled_back FROM shard.migrations WHERE migration_id = $id") =~ /^(cancelled|failed)\|t$/ ? 1 : 0,
	1, 'a migration that is given up is rolled back');
set_point($node, '');
check_rows('given up');
is(sql(q{SELECT count(DISTINCT shard.route('app', i::text)) FROM generate_series(1000, 1999) i}), '1',
	'and the ranges are as before');
$id = sql(qq{SELECT shard.alter_router('app', ranges => '$wanted')});
is(sql("SELECT success FROM shard.wait_migration($id)"), 't', 'the next one succeeds');
check_rows('and then done');

done_testing();
