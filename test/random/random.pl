# Drives a sharded table and a plain table, the oracle, through the same random
# changes from several sessions while flushes and migrations run; after each
# round the sharded table, its lake and the oracle must have the same rows.
#
# Each session changes rows of its own (by id), so that both tables see the same
# thing whatever the order of commits; a transaction that fails fails for both.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $seed = $ENV{SHARD_SEED} // time;
my $seconds = $ENV{SHARD_SECONDS} // 60;
my $sessions = 3;
my $keys = 40;
my $ids = 600;

diag("seed $seed (SHARD_SEED=$seed repeats this run)");
print "# seed $seed\n";
srand($seed);

sub one_of { return $_[ int(rand(@_)) ]; }

# ---- random statements; %s stands for the table ----

sub random_id
{
	my ($session) = @_;
	return int(rand($ids)) * $sessions + $session;
}

sub random_key { return "'k" . int(rand($keys)) . "'"; }

# Now and then NULL, non-ASCII, or long enough to be kept out of line.
sub random_text
{
	return one_of(
		'NULL', "''", "'plain " . int(rand(1000)) . "'", "'Zürich → 東京'",
		"'it''s \\ \"quoted\"'",
		"(SELECT string_agg(md5((" . int(rand(1e6)) . " + i)::text), '') FROM generate_series(1, 300) i)");
}

sub random_row
{
	my ($session) = @_;
	return sprintf('(%s, %d, %s, %s, %s, %s)',
		random_key(), random_id($session), random_text(),
		one_of('NULL', int(rand(100))),
		one_of('NULL', sprintf('%.2f', rand(10000) - 5000)),
		one_of('NULL', sprintf("'2024-%02d-%02d %02d:00+00'", 1 + rand(12), 1 + rand(28), rand(24))));
}

# Rows of one session whose id lies in a small interval.
sub some_rows
{
	my ($session) = @_;
	my $from = int(rand($ids)) * $sessions;
	return sprintf('id %% %d = %d AND id BETWEEN %d AND %d',
		$sessions, $session, $from, $from + one_of(0, 3, 30, 150) * $sessions);
}

my %statements = (
	insert => sub {
		my ($s) = @_;
		my %seen;
		my @rows = grep { /^\('(\w+)', (\d+)/; !$seen{"$1 $2"}++ }
		  map { random_row($s) } 1 .. one_of(1, 1, 5, 40);
		return 'INSERT INTO %s VALUES ' . join(', ', @rows) . ' ON CONFLICT DO NOTHING';
	},
	upsert => sub {
		my ($s) = @_;
		return 'INSERT INTO %s VALUES ' . random_row($s)
		  . ' ON CONFLICT (k, id) DO UPDATE SET n = excluded.n, v = excluded.v';
	},
	update => sub {
		my ($s) = @_;
		my $set = one_of(
			'n = coalesce(n, 0) + 1',
			'v = ' . random_text(),
			'p = p * 2, n = NULL',
			"ts = ts + interval '1 day'");
		return "UPDATE %s SET $set WHERE " . some_rows($s);
	},
	move => sub {
		my ($s) = @_;
		my $id = random_id($s);
		my $key = random_key();
		return "UPDATE %s t SET k = $key WHERE id = $id AND k = (SELECT min(k) FROM %s WHERE id = $id) "
		  . "AND NOT EXISTS (SELECT FROM %s WHERE id = $id AND k = $key)";
	},
	renumber => sub {
		my ($s) = @_;
		my ($from, $to) = (random_id($s), random_id($s));
		return "UPDATE %s t SET id = $to WHERE id = $from "
		  . "AND NOT EXISTS (SELECT FROM %s u WHERE u.id = $to AND u.k = t.k)";
	},
	delete => sub {
		my ($s) = @_;
		return 'DELETE FROM %s WHERE ' . some_rows($s);
	},
	delete_key => sub {
		my ($s) = @_;
		return "DELETE FROM %s WHERE k = " . random_key() . " AND mod(id, $sessions) = $s";
	});
my @weighted = (
	('insert') x 6, ('upsert') x 4, ('update') x 6, ('move') x 3,
	('renumber') x 1, ('delete') x 2, ('delete_key') x 1);

sub for_table
{
	my ($statement, $table) = @_;
	$statement =~ s/%s/$table/g;
	$statement =~ s/%%/%/g;
	return "$statement;\n";
}

sub both
{
	my ($session) = @_;
	my $statement = $statements{ one_of(@weighted) }->($session);
	return for_table($statement, 'live') . for_table($statement, 'oracle');
}

sub transaction
{
	my ($session) = @_;
	my $level = one_of('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ');
	my $sql = "BEGIN ISOLATION LEVEL $level;\n";
	for (1 .. one_of(1, 1, 2, 5))
	{
		$sql .= both($session);
		$sql .= "SAVEPOINT s;\n" . both($session) . one_of("ROLLBACK TO s;\n", "RELEASE s;\n")
		  if rand() < 0.15;
	}
	return $sql . one_of(("COMMIT;\n") x 9, "ROLLBACK;\n");
}

# ---- sessions ----

# Start psql on so many random transactions.
sub start_session
{
	my ($node, $session, $transactions) = @_;
	my %run = (session => $session, in => '', out => '', err => '');
	$run{in} = join('', map { transaction($session) } 1 .. $transactions);
	$run{handle} = IPC::Run::start(
		[ 'psql', '-Xq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$run{in}, '>', \$run{out}, '2>', \$run{err});
	return \%run;
}

# Wait for one; errors other than those that a retry mends, which are expected
# when keys move under a transaction.
sub finish_session
{
	my ($run) = @_;
	$run->{handle}->finish();
	my @bad = grep { !/ (?:40001|40P01|25P02|3B001): / } grep { /ERROR:|FATAL:|PANIC:/ } split /\n/, $run->{err};
	return @bad;
}

# ---- migrations ----

# A random migration that is possible; its id, or undef.
sub start_migration
{
	my ($node) = @_;
	my $shards = $node->safe_psql('postgres', q{SELECT count(*) FROM shard.shards WHERE router = 'r' AND state = 'active'});
	my $kind = one_of('add', 'add', 'add named', 'remove', 'rebalance', 'rebalance named');
	if ($kind eq 'rebalance')
	{
		return $node->safe_psql('postgres', sprintf(q{SELECT shard.rebalance('r', threshold => %.2f)}, rand(0.4)));
	}
	if ($kind eq 'rebalance named')
	{
		my %named = map { random_key() => 1 } 1 .. one_of(1, 3, 10);
		return $node->safe_psql('postgres', sprintf(q{SELECT shard.rebalance('r', ARRAY[%s], batch_size => %d)},
				join(', ', sort keys %named), one_of(1, 2, 100)));
	}
	if ($shards < 3 || ($shards < 10 && $kind =~ /^add/))
	{
		return $node->safe_psql('postgres', $kind eq 'add named'
			? sprintf(q{SELECT shard.add_shard('r', partition_keys => ARRAY[%s])}, random_key())
			: q{SELECT shard.add_shard('r')});
	}
	my @shards = split /\n/, $node->safe_psql('postgres', q{
		SELECT shard_index FROM shard.shards WHERE router = 'r' AND state = 'active'
		AND (SELECT cardinality(members) > 1 OR members[1] <> shard_index FROM _shard.router WHERE name = 'r')
		ORDER BY shard_index});
	my $victim = one_of(@shards);
	return $node->safe_psql('postgres', "SELECT shard.remove_shard('r', $victim)");
}

# ---- comparing ----

sub rows_that_differ
{
	my ($node, $a, $b) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT count(*) FROM (
			(SELECT k, id, v, n, p, ts FROM $a EXCEPT ALL SELECT k, id, v, n, p, ts FROM $b)
			UNION ALL
			(SELECT k, id, v, n, p, ts FROM $b EXCEPT ALL SELECT k, id, v, n, p, ts FROM $a)) d});
}

sub show_difference
{
	my ($node, $a, $b) = @_;
	diag($node->safe_psql('postgres', qq{
		SELECT * FROM (
			(SELECT '$a only', k, id, left(v, 40), n, p, ts FROM (TABLE $a EXCEPT ALL TABLE $b) x)
			UNION ALL
			(SELECT '$b only', k, id, left(v, 40), n, p, ts FROM (TABLE $b EXCEPT ALL TABLE $a) y)) d
		ORDER BY 2, 3, 1 LIMIT 20}));
	return;
}

sub is_same
{
	my ($node, $a, $b, $name) = @_;
	my $differ = rows_that_differ($node, $a, $b);
	is($differ, '0', $name) or show_difference($node, $a, $b);
	return;
}

# ---- the test ----

my $node = shard_node('random', 'shard.flush_interval' => '300ms');
$node->safe_psql('postgres', q{
	CREATE TABLE oracle (k text, id bigint, v text, n int, p numeric(12, 2), ts timestamptz, PRIMARY KEY (k, id));
	CREATE TABLE live (LIKE oracle INCLUDING ALL);
	INSERT INTO oracle SELECT 'k' || i % 7, i, 'before ' || i, i, i / 7.0, '2024-01-01'::timestamptz + i * interval '1 hour'
	FROM generate_series(1, 500) i;
	INSERT INTO live TABLE oracle;
});
my $strategy = one_of('consistent-hash', 'hash');
$node->safe_psql('postgres', qq{
	SELECT shard.create_router('r', '$strategy', 3, partition_key => '{k}');
	SELECT shard.distribute_table('live', 'r');
});

my $end = time + $seconds;
my $round = 0;
my $migrations = 0;
while (time < $end || $round < 2)
{
	$round++;
	my @runs = map { start_session($node, $_, 150) } 0 .. $sessions - 1;
	my $migration = rand() < 0.7 ? start_migration($node) : undef;
	$node->safe_psql('postgres', 'SELECT shard.flush()') for 1 .. int(rand(3));
	my @bad = map { finish_session($_) } @runs;
	is(scalar(@bad), 0, "round $round: no error but serialization failures")
	  or diag(join("\n", @bad[ 0 .. ($#bad < 9 ? $#bad : 9) ]));

	if (defined $migration)
	{
		$migrations++;
		my $result = $node->safe_psql('postgres',
			"SELECT success, error FROM shard.wait_migration($migration, '10 min')");
		like($result, qr/^t\|/, "round $round: migration $migration succeeds");
	}
	is_same($node, 'live', 'oracle', "round $round: the sharded table is the oracle's");
	$node->safe_psql('postgres', 'SELECT shard.flush()');
	is_same($node, 'lake.live', 'oracle', "round $round: the lake is the oracle's");
	is( $node->safe_psql('postgres', q{
			SELECT count(*) FROM live
			WHERE tableoid::regclass::text <> format('r_shard_%s.live', shard.route('r', k))}),
		'0', "round $round: every row lies where its key is routed to");
	is( $node->safe_psql('postgres', q{
			SELECT count(*) - count(DISTINCT _event_id) FROM lake.live_events}),
		'0', "round $round: no event is there twice");
	if (rand() < 0.1)
	{
		$node->safe_psql('postgres', 'BEGIN; TRUNCATE live; TRUNCATE oracle; COMMIT');
	}
}
print "# $round rounds, $migrations migrations\n";

# What the event log says happened leads to the rows that are there.
$node->safe_psql('postgres', 'SELECT shard.flush()');
is( $node->safe_psql('postgres', q{
		WITH since AS (SELECT coalesce(max(_lsn), 0) AS lsn FROM lake.live_events WHERE _verb = 'truncated')
		SELECT count(*) FILTER (WHERE _verb = 'created') - count(*) FILTER (WHERE _verb = 'deleted')
			   - (SELECT count(*) FROM oracle)
		FROM lake.live_events, since WHERE _lsn > since.lsn}),
	'0', 'created less deleted events are the rows that are there');
$node->stop();
done_testing();
