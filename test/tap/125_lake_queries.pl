# Random queries get the same answers from the lake as from the live table.
#
# The seed is printed; SHARD_SEED repeats a run, SHARD_QUERIES sets how many
# queries it makes.  A query that fails on the live table (an overflow, say)
# proves nothing and is counted apart.

use strict;
use warnings;
use ShardTest;
use Test::More;

my $seed = $ENV{SHARD_SEED} // int(rand(2**31));
my $queries = $ENV{SHARD_QUERIES} // 800;
srand($seed);
note("seed $seed: repeat with SHARD_SEED=$seed");

sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

# ---- a table ----

my %columns = (
	int => [qw(i j)], big => [qw(k id)], num => [qw(n m)], float => [qw(f)], text => [qw(t v)],
	date => ['d'], stamp => ['ts'], zoned => ['tz'], bool => ['b'], uuid => ['u'], bytes => ['y']);

my %values = (
	int => [ -100, -7, -1, 0, 1, 2, 3, 7, 50, 99 ],
	big => [ '-5000000000', -3, 0, 1, 2, 1000, '5000000000' ],
	num => [ '-99.99', '-0.01', '0.00', '0.50', '1.25', '7.00', '500.75' ],
	float => [ -2.5, 0, 0.125, 1.5, 3, 1000, "'NaN'", "'Infinity'", "'-Infinity'" ],
	text => [ "''", "'a'", "'b'", "'ab'", "'B'", "'é'", "'zé%'", "'a_b'", "'  x '", "'日本'", "'\\'" ],
	date => [ "'2001-01-01'", "'2001-02-28'", "'1999-12-31'", "'infinity'", "'-infinity'", "'0044-03-15 BC'" ],
	stamp => [ "'2001-01-01 00:00:00'", "'2001-06-30 23:59:59.999999'", "'1970-01-01'", "'infinity'", "'0044-03-15 10:00 BC'" ],
	zoned => [ "'2001-01-01 00:00:00+00'", "'2001-06-30 12:00:00.5+02'" ],
	bool => [ 'true', 'false' ],
	uuid => [ "'00000000-0000-4000-8000-000000000001'", "'ffffffff-0000-4000-8000-000000000001'" ],
	bytes => [ "'\\x'", "'\\x00'", "'\\x00ff'", "'\\xff01'" ]);
my %types = (
	int => 'int', big => 'bigint', num => 'numeric(8,2)', float => 'float8', text => 'text', date => 'date',
	stamp => 'timestamp', zoned => 'timestamptz', bool => 'boolean', uuid => 'uuid', bytes => 'bytea');

sub literal
{
	my ($type) = @_;
	my $value = pick(@{ $values{$type} });
	return $type eq 'num' && chance(0.5) ? $value : "$value\::$types{$type}";
}

sub make_table
{
	my @rows;
	for my $id (1 .. 1500)
	{
		my @row = ($id);
		for my $type (qw(int int big num num float text text date stamp zoned bool uuid bytes))
		{
			push @row, chance(0.12) ? "NULL::$types{$type}" : literal($type) =~ s/::.*//r . "::$types{$type}";
		}
		push @rows, '(' . join(', ', @row) . ')';
	}
	my $part = int(@rows / 3);
	my @parts = map { join(",\n", splice(@rows, 0, $part)) } 1 .. 3;
	return (
		q{CREATE TABLE src (id bigint PRIMARY KEY, i int, j int, k bigint, n numeric(8,2), m numeric(8,2), f float8, t text, v text,
			d date, ts timestamp, tz timestamptz, b boolean, u uuid, y bytea)},
		q{SELECT shard.create_router('r', 'consistent-hash', 3, '{id}')}, q{SELECT shard.distribute_table('src', 'r')},
		(map { ("INSERT INTO src VALUES $_", 'SELECT shard.flush()') } @parts),
		q{UPDATE src SET i = i + 1, t = t || 'u' WHERE id % 11 = 0}, q{DELETE FROM src WHERE id % 13 = 0},
		'SELECT shard.flush()', 'ANALYZE src');
}

# ---- expressions ----

my $max_depth = 3;

my %makers = (
	int => [
		sub { '(' . value('int', @_) . pick(' + ', ' - ') . value('int', @_) . ')' },
		sub { '(' . value('int', @_) . pick(' / ', ' % ') . pick(2, 3, 7, -5) . ')' },
		sub { '(- ' . value('int', @_) . ')' },
		sub { 'abs(' . value('int', @_) . ')' },
		sub { 'length(' . value('text', @_) . ')' },
		sub { 'strpos(' . value('text', @_) . ', ' . pick("'a'", "'é'", "''") . ')' },
		sub { value('bool', @_) . '::int' },
		sub { alternatives('int', @_) } ],
	big => [
		sub { '(' . value('big', @_) . pick(' + ', ' - ') . value(pick('int', 'big'), @_) . ')' },
		sub { '(' . value('int', @_) . '::bigint * ' . value('int', @_) . ')' },
		sub { '(' . value('big', @_) . pick(' / ', ' % ') . pick(3, 1000, -7) . ')' },
		sub { alternatives('big', @_) } ],
	num => [
		sub { '(' . value('num', @_) . pick(' + ', ' - ', ' * ') . value('num', @_) . ')' },
		sub { '(' . value('num', @_) . ' / ' . pick(3, '0.5') . ')' },
		sub { pick('abs', 'round', '-') . '(' . value('num', @_) . ')' },
		sub { value(pick('int', 'big'), @_) . '::numeric' },
		sub { value('num', @_) . '::numeric(12,1)' },
		sub { 'extract(' . pick(qw(month day dow isodow doy week quarter year)) . ' FROM ' . value(pick('date', 'stamp'), @_) . ')' },
		sub { alternatives('num', @_) } ],
	float => [
		sub { value(pick('int', 'big'), @_) . '::float8' },
		sub { '(' . value('float', @_) . pick(' + ', ' * ') . '2::float8)' },
		sub { "date_part('" . pick(qw(month day hour minute)) . "', " . value('stamp', @_) . ')' },
		sub { alternatives('float', @_) } ],
	text => [
		sub { '(' . value('text', @_) . ' || ' . value('text', @_) . ')' },
		sub { 'substr(' . value('text', @_) . ', ' . pick(-1, 0, 1, 2, 3) . pick('', ', 0', ', 1', ', 5') . ')' },
		sub { pick(qw(btrim ltrim rtrim lower upper reverse)) . '(' . value('text', @_) . ')' },
		sub { 'replace(' . value('text', @_) . ', ' . pick("'a'", "'é'", "''") . ", 'xy')" },
		sub { pick('left', 'right') . '(' . value('text', @_) . ', ' . pick(-1, 0, 1, 2) . ')' },
		sub { alternatives('text', @_) } ],
	date => [ sub { value('stamp', @_) . '::date' }, sub { alternatives('date', @_) } ],
	stamp => [
		sub { "date_trunc('" . pick(qw(year quarter month week day hour minute second)) . "', " . value('stamp', @_) . ')' },
		sub { alternatives('stamp', @_) } ],
	zoned => [ sub { alternatives('zoned', @_) } ],
	uuid => [ sub { alternatives('uuid', @_) } ],
	bytes => [ sub { alternatives('bytes', @_) } ],
	bool => [
		sub { comparison(@_) }, sub { comparison(@_) }, sub { comparison(@_) },
		sub { '(' . value('bool', @_) . pick(' AND ', ' OR ') . value('bool', @_) . ')' },
		sub { '(NOT ' . value('bool', @_) . ')' },
		sub { '(' . value(any_type(), @_) . pick(' IS NULL', ' IS NOT NULL') . ')' },
		sub { '(' . value('bool', @_) . ' IS ' . pick('', 'NOT ') . pick('TRUE', 'FALSE', 'UNKNOWN') . ')' },
		sub { '(' . value('text', @_) . pick(' LIKE ', ' NOT LIKE ', ' ILIKE ') . pick("'a%'", "'%é%'", "'_b'", "'%\\%'", "'\\_%'", "'%'", "''") . ')' },
		sub { my $type = any_type(); '(' . value($type, @_) . pick(' IN ', ' NOT IN ') . '(' . join(', ', map { literal($type) } 1 .. 1 + int(rand(4))) . pick('', ", NULL") . '))' },
		sub { my $type = any_type(); '(' . value($type, @_) . pick(' = ANY ', ' <> ALL ', ' < ANY ') . "(ARRAY[" . join(', ', map { literal($type) } 1 .. int(rand(4))) . "]::$types{$type}" . '[]))' },
		sub { 'starts_with(' . value('text', @_) . ", 'a')" } ]);

sub any_type { return pick(keys %columns); }

sub comparison
{
	my ($depth) = @_;
	my $type = any_type();
	my $other = $type;
	$other = pick(qw(int big num float)) if $type =~ /^(int|big|num|float)$/;
	return '(' . value($type, $depth) . pick(' = ', ' <> ', ' < ', ' <= ', ' > ', ' >= ', ' IS DISTINCT FROM ') . value($other, $depth) . ')';
}

sub alternatives
{
	my ($type, $depth) = @_;
	return pick(
		sub { 'CASE WHEN ' . value('bool', $depth) . ' THEN ' . value($type, $depth) . pick('', ' ELSE ' . value($type, $depth)) . ' END' },
		sub { 'CASE ' . value('int', $depth) . ' WHEN 1 THEN ' . value($type, $depth) . ' WHEN 7 THEN ' . value($type, $depth) . ' END' },
		sub { 'coalesce(' . value($type, $depth) . ', ' . value($type, $depth) . ')' },
		sub { 'nullif(' . value($type, $depth) . ', ' . literal($type) . ')' },
		sub { pick('greatest', 'least') . '(' . value($type, $depth) . ', ' . value($type, $depth) . ')' })->();
}

# An expression of a type; a column nearly always at its leaves.
sub value
{
	my ($type, $depth) = @_;
	if ($depth <= 0 || chance(0.4))
	{
		return chance(0.75) ? pick(@{ $columns{$type} }) : literal($type);
	}
	return pick(@{ $makers{$type} })->($depth - 1);
}

# ---- queries ----

sub aggregate
{
	my $distinct = chance(0.2) ? 'DISTINCT ' : '';
	my $filter = chance(0.2) ? ' FILTER (WHERE ' . value('bool', 1) . ')' : '';
	my $type = pick(qw(int big num));
	return pick(
		'count(*)' . $filter, "count($distinct" . value(any_type(), 1) . ")$filter",
		"sum($distinct" . value($type, 1) . ")$filter", "avg($distinct" . value($type, 1) . ")$filter",
		pick('min', 'max') . '(' . value(pick(qw(int big num float text date stamp zoned)), 1) . ")$filter",
		pick('bool_and', 'bool_or') . '(' . value('bool', 1) . ")$filter",
		'sum(' . value('int', 1) . ') + count(*)');
}

sub where { return chance(0.7) ? ' WHERE ' . value('bool', $max_depth) : ''; }

# A query and whether the order of its rows is part of the answer.
sub query
{
	my $kind = pick(qw(scan scan sorted groups groups groups sorted_groups whole distinct));
	if ($kind eq 'scan')
	{
		return ('SELECT id, ' . join(', ', map { value(any_type(), $max_depth) } 1 .. 1 + int(rand(3))) . ' FROM {t}' . where(), 0);
	}
	if ($kind eq 'sorted')
	{
		return ('SELECT id FROM {t}' . where() . ' ORDER BY ' . value(any_type(), 2) . '::text IS NULL, '
			  . value(any_type(), 1) =~ s/^(\d+)$/($1)/r . pick('', ' DESC', ' NULLS FIRST') . ', id'
			  . pick('', ' LIMIT 20', ' LIMIT 7 OFFSET 3', ' OFFSET 100'), 1)
		  if chance(0.3);
		return ('SELECT id FROM {t}' . where() . ' ORDER BY ' . pick(qw(i k n f t d ts tz b u y)) . pick('', ' DESC', ' NULLS FIRST')
			  . ', id' . pick('', ' LIMIT 20', ' LIMIT 7 OFFSET 3', ' OFFSET 100'), 1);
	}
	if ($kind eq 'whole')
	{
		return ('SELECT ' . join(', ', map { aggregate() } 1 .. 1 + int(rand(3))) . ' FROM {t}' . where(), 0);
	}
	my @keys = map { chance(0.6) ? pick(map { @$_ } values %columns) : value(any_type(), 1) } 1 .. 1 + int(rand(2));
	my $keys = join(', ', map { "$keys[$_] AS g$_" } 0 .. $#keys);
	my $names = join(', ', map { "g$_" } 0 .. $#keys);
	return ("SELECT DISTINCT $keys FROM {t}" . where(), 0) if $kind eq 'distinct';
	my $grouped = "SELECT $keys, " . join(', ', map { aggregate() } 1 .. 1 + int(rand(3))) . ' FROM {t}' . where() . " GROUP BY $names"
	  . (chance(0.3) ? ' HAVING ' . pick('count(*) > 2', 'sum(i) > 10', 'avg(n) > 1', 'min(t) < \'b\'') : '');
	return ($grouped, 0) if $kind eq 'groups';
	return ("$grouped ORDER BY $names" . pick('', ' LIMIT 5', ' LIMIT 5 OFFSET 2'), 1);
}

# ---- the run ----

my $node = shard_node('lake_queries', 'shard.flush_interval' => '1s', timezone => 'UTC');
$node->safe_psql('postgres', join(";\n", make_table(), q{
	CREATE FUNCTION answer(query text, ordered boolean) RETURNS text LANGUAGE plpgsql AS $f$
	DECLARE result text;
	BEGIN
		EXECUTE format('SELECT count(*) || '':'' || coalesce(md5(string_agg(x::text, E''\n''%s)), '''') FROM (%s) x',
			CASE WHEN NOT ordered THEN ' ORDER BY x::text COLLATE "C"' END, query) INTO result;
		RETURN result;
	EXCEPTION WHEN others THEN
		RETURN 'error ' || sqlstate || ' ' || sqlerrm;
	END $f$;
	CREATE FUNCTION try(query text, ordered boolean, OUT live text, OUT lake text) LANGUAGE plpgsql AS $f$
	BEGIN
		live := answer(replace(query, '{t}', 'src'), ordered);
		lake := answer(replace(query, '{t}', 'lake.src'), ordered);
	END $f$}));

my ($same, $failing, $script) = (0, 0, "SET client_min_messages = error;\n");
my @texts;
for my $i (1 .. $queries)
{
	my ($text, $ordered) = query();
	push @texts, $text;
	$script .= 'SELECT live, lake FROM try($q$' . $text . '$q$, ' . ($ordered ? 'true' : 'false') . ");\n";
}
my @answers = split /\n/, $node->safe_psql('postgres', $script);
is(scalar @answers, $queries, 'every query was answered');
for my $i (0 .. $#answers)
{
	my ($live, $lake) = split /\|/, $answers[$i], 2;
	if ($live =~ /^error/)
	{
		$failing++;
	}
	elsif ($live eq $lake)
	{
		$same++;
	}
	else
	{
		fail("the lake's answer to: $texts[$i]");
		diag("seed $seed, live: $live, lake: $lake");
	}
}
cmp_ok($same, '>', $queries / 2, "$same queries have the same answer (seed $seed; $failing fail on the live table too)");
done_testing();
