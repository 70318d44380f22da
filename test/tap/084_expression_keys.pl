# Tables whose partition key is an expression: the lake follows them and shards
# come and go while clients write, though primary keys hold within a shard only;
# dump and restore keep their shards.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms',
	'shared_preload_libraries' => 'shard,pg_stat_statements');
my $dir = PostgreSQL::Test::Utils::tempdir();

sub sql { return $node->safe_psql('postgres', $_[0]); }

# A fallback key, a composite key that the primary key contains, and a function,
# each beside a plain table, the oracle.
sql(q{
	CREATE EXTENSION pg_stat_statements;
	CREATE FUNCTION key_of(thing jsonb) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		RETURN CASE WHEN (thing ->> 'id')::int % 2 = 0 THEN thing ->> 'customer' ELSE thing ->> 'id' END;
	END $$;
	SELECT shard.create_router('fallback', 'consistent-hash', 4, '{customer}', fallback_key => 'id', hash_function => 'xxh3');
	SELECT shard.create_router('composite', 'consistent-hash', 4, '{customer,region}', hash_function => 'xxh3');
	SELECT shard.create_router('fn', 'hash', 3, partition_key_fn => 'key_of(jsonb)', fallback_key => 'id', hash_function => 'xxh3');
	CREATE TABLE fallback (customer text, id int, region date NOT NULL, v text, PRIMARY KEY (id));
	CREATE TABLE composite (customer text, id int, region date, v text, PRIMARY KEY (region, id, customer));
	CREATE TABLE fn (customer text, id int, region date NOT NULL, v text, PRIMARY KEY (id));
	SELECT shard.distribute_table('fallback', 'fallback');
	SELECT shard.distribute_table('composite', 'composite');
	SELECT shard.distribute_table('fn', 'fn', '{id,customer}');
	INSERT INTO fallback SELECT CASE WHEN i % 6 > 0 THEN 'c' || i % 6 END, i, '2024-01-01'::date + i % 3, repeat('x', i % 90)
		FROM generate_series(1, 900) i;
	INSERT INTO composite SELECT 'c' || c, i, '2024-01-01'::date + i % 3, repeat('x', i % 90)
		FROM generate_series(1, 300) i, generate_series(0, 5) c;
	INSERT INTO fn SELECT CASE WHEN i % 6 > 0 THEN 'c' || i % 6 END, i, '2024-01-01'::date + i % 3, repeat('x', i % 90)
		FROM generate_series(1, 900) i;
	CREATE TABLE fallback_oracle AS SELECT * FROM fallback;
	CREATE TABLE composite_oracle AS SELECT * FROM composite;
	CREATE TABLE fn_oracle AS SELECT * FROM fn;
});
for my $table ('fallback', 'fn')
{
	is(sql("SELECT DISTINCT relreplident FROM pg_class WHERE relname = '$table' AND relkind = 'r'"), 'f',
		"$table: its shards log whole rows");
}
is(sql("SELECT DISTINCT relreplident FROM pg_class WHERE relname = 'composite' AND relkind = 'r'"), 'd',
	'composite: its shards log keys');

# Clients write rows with ids of their own to a table and its oracle.
sub write_file
{
	my ($name, $content) = @_;
	open(my $out, '>', "$dir/$name") or die "$dir/$name: $!";
	print $out $content;
	close($out);
	return "$dir/$name";
}

my @scripts = map {
	my $changed = $_ eq 'composite' ? q{'c' || :c2} : q{nullif('c' || :c2, 'c0')};
	my $same = $_ eq 'composite' ? q{AND customer = 'c' || :c} : '';
	write_file("$_.sql", qq{
\\set id :client_id * 1000 + random(1, 200) + 1000
\\set c random(0, 5)
\\set c2 random(0, 5)
BEGIN;
INSERT INTO $_ SELECT 'c' || :c, :id, '2024-02-01', 'new' WHERE NOT EXISTS (SELECT FROM ${_}_oracle WHERE id = :id);
INSERT INTO ${_}_oracle SELECT 'c' || :c, :id, '2024-02-01', 'new' WHERE NOT EXISTS (SELECT FROM ${_}_oracle WHERE id = :id);
UPDATE $_ SET customer = $changed, v = v || 'u' WHERE id = :id $same;
UPDATE ${_}_oracle SET customer = $changed, v = v || 'u' WHERE id = :id $same;
UPDATE $_ SET v = v || 'w' WHERE id = :id + 1 AND customer = 'c' || :c;
UPDATE ${_}_oracle SET v = v || 'w' WHERE id = :id + 1 AND customer = 'c' || :c;
DELETE FROM $_ WHERE id = :id + 2 AND region = '2024-02-01';
DELETE FROM ${_}_oracle WHERE id = :id + 2 AND region = '2024-02-01';
COMMIT;
})
} ('fallback', 'composite', 'fn');

sub start_writers
{
	my %run = (out => '', err => '');
	$run{handle} = IPC::Run::start(
		[ 'pgbench', '-n', '-c', '3', '-j', '1', '-t', '400', (map { ('-f', $_) } @scripts),
			$node->connstr('postgres') ],
		'>', \$run{out}, '2>', \$run{err});
	return \%run;
}

sub check
{
	my ($name) = @_;
	for my $table ('fallback', 'composite', 'fn')
	{
		is(sql(qq{SELECT count(*) FROM ((TABLE $table EXCEPT ALL TABLE ${table}_oracle)
				UNION ALL (TABLE ${table}_oracle EXCEPT ALL TABLE $table)) d}),
			'0', "$name: $table has all rows");
		is(sql("SELECT count(*) FROM shard.verify_placement('$table')"), '0', "$name: rows of $table are where they belong");
		is(sql(qq{SELECT count(*) FROM $table t WHERE tableoid::regclass::text <>
				format('%s_shard_%s.%s', '$table', shard.assign('$table', to_jsonb(t)), '$table')}),
			'0', "$name: rows of $table route as their JSON");
		is_lake_equal($node, $table, $name);
		is(sql("SELECT count(*) FROM lake.${table}_events WHERE _key IS NULL"), '0', "$name: events of $table have their keys");
		is(sql("SELECT count(*) - count(DISTINCT _event_id) FROM lake.${table}_events"), '0', "$name: no event is there twice");
	}
	return;
}

my $writers = start_writers();
$node->poll_query_until('postgres', 'SELECT count(*) > 20 FROM fn_oracle WHERE id > 1000')
  or die 'the writers do not write';
for my $router ('fallback', 'composite', 'fn')
{
	my $id = sql("SELECT shard.add_shard('$router', batch_size => 3)");
	is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|', "a shard is added to $router");
}
$writers->{handle}->finish();
is($writers->{err} =~ /ERROR|aborted/ ? $writers->{err} : '', '', 'no writer saw an error');
check('after add_shard');
is(sql(q{SELECT count(*) FROM pg_index WHERE indrelid = 'fallback_shard_4.fallback'::regclass AND indisprimary}), '1',
	'the new shard has the primary key');

my $id = sql(q{SELECT shard.remove_shard('fallback', 1)});
is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|', 'a shard is removed');
check('after remove_shard');

# A crash of the server in the middle of changes.
$writers = start_writers();
my $written = sql('SELECT count(*) FROM lake.fn_events');
$node->poll_query_until('postgres', "SELECT count(*) > $written FROM lake.fn_events")
  or die 'the writers do not write';
$node->stop('immediate');
$writers->{handle}->finish();
$node->start;
wait_until_up($node);
check('after a crash');

# A primary key may be in several shards; the lake tells the rows apart.  They
# cannot get into one shard: the migration fails, and leaves all as it was.
sql(q{
	SELECT shard.create_router('twice', 'consistent-hash', 3, '{customer}', fallback_key => 'id', hash_function => 'xxh3');
	CREATE TABLE twice (customer text, id int PRIMARY KEY, v int);
	SELECT shard.distribute_table('twice', 'twice');
	INSERT INTO twice SELECT CASE WHEN c > 0 THEN 'c' || c END, i, c FROM generate_series(1, 100) i, generate_series(0, 30) c
		ON CONFLICT DO NOTHING;
});
cmp_ok(sql('SELECT count(*) - count(DISTINCT id) FROM twice'), '>', 100, 'a primary key is in several shards');
is_lake_equal($node, 'twice', 'the same primary key in several shards');
sql(q{UPDATE twice SET v = v + 100 WHERE id % 3 = 0 AND customer IS NULL});
sql(q{DELETE FROM twice WHERE id % 5 = 0 AND tableoid = 'twice_shard_1.twice'::regclass});
sql(q{UPDATE twice SET v = -v WHERE tableoid = 'twice_shard_2.twice'::regclass});
is_lake_equal($node, 'twice', 'changes of one of them');
sql('CREATE TABLE twice_before AS SELECT tableoid::regclass AS place, * FROM twice');
$id = sql(q{SELECT shard.remove_shard('twice', 1)});
like(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"),
	qr/^f\|t\|duplicate key value violates unique constraint/, 'they cannot get into one shard');
is(sql(q{SELECT count(*) FROM (SELECT tableoid::regclass, * FROM twice EXCEPT ALL TABLE twice_before) d}), '0',
	'a failed migration leaves all as it was');
is(sql(q{SELECT count(*) FROM shard.verify_placement('twice')}), '0', 'and where it belongs');

# The row of an event before and after a change of key.
sql(q{UPDATE fallback SET customer = 'moved' WHERE id = 1});
sql(q{SELECT shard.flush()});
is(sql(q{SELECT _verb, _old_key, _key, id, customer FROM lake.fallback_events WHERE _key = 'moved'}),
	'updated|c1|moved|1|moved', 'a change of key is one event');

# Dump and restore.
sub contents
{
	my ($database) = @_;
	return join("\n", map {
		$node->safe_psql($database, qq{
			SELECT '$_', tableoid::regclass, count(*), sum(hashtextextended(t::text, 0)) FROM $_ t GROUP BY 2 ORDER BY 2})
	} ('fallback', 'composite', 'fn'));
}
my $before = contents('postgres');
my ($host, $port) = ($node->host, $node->port);
for my $way ('psql', 'pg_restore -j 2')
{
	my $name = $way eq 'psql' ? 'by_psql' : 'by_restore';
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	if ($way eq 'psql')
	{
		command_ok([ 'pg_dump', '-h', $host, '-p', $port, '-f', "$dir/dump.sql", 'postgres' ], 'pg_dump');
		command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $host, '-p', $port, '-f', "$dir/dump.sql", '-o', '/dev/null', $name ],
			"restored by $way");
	}
	else
	{
		command_ok([ 'pg_dump', '-h', $host, '-p', $port, '-Fc', '-f', "$dir/dump", 'postgres' ], 'pg_dump -Fc');
		command_ok([ 'pg_restore', '-h', $host, '-p', $port, '-j', '2', '-d', $name, "$dir/dump" ], "restored by $way");
	}
	is(contents($name), $before, "$way: the same rows in the same shards");
	is($node->safe_psql($name, 'SELECT count(*) FROM shard.routers, shard.verify_placement(name)'), '0', "$way: nothing is misplaced");
	is($node->safe_psql($name, q{SELECT string_agg(DISTINCT relreplident, '' ORDER BY relreplident) FROM pg_class WHERE relname = 'fallback' AND relkind = 'r'}),
		'f', "$way: shards log whole rows");
	unlike($node->safe_psql($name, q{EXPLAIN SELECT * FROM fallback WHERE customer = 'c1'}), qr/Append/, "$way: a query visits one shard");
	is_lake_equal($node, 'fallback', $way, $name);
}

# A key that statements update often is warned of.
sql('CREATE TABLE mutable (state text PRIMARY KEY, v int)');
sql(q{INSERT INTO mutable SELECT 's' || i, i FROM generate_series(1, 500) i});
sql(q{SELECT shard.create_router('mutable', 'hash', 2, '{state}')});
sql(q{UPDATE mutable SET v = v + 1 WHERE state = 's' || v});
my ($ret, $out, $err) = $node->psql('postgres', q{BEGIN; SELECT shard.distribute_table('mutable', 'mutable', lake => false); ROLLBACK});
unlike($err, qr/updated often/, 'no warning of another column');
sql(q{UPDATE public.mutable SET v = 1, state = state || 'x' WHERE v % 2 = 0});
($ret, $out, $err) = $node->psql('postgres', q{SELECT shard.distribute_table('mutable', 'mutable', lake => false)});
like($err, qr/column "state" of the partition key of table "mutable" is updated often/, 'a key updated often is warned of');

$node->stop;
done_testing();
