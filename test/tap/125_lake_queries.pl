# Random queries get the same answers from the lake as from the live table.
#
# Expressions of every type inside filters, groups, joins, windows, subqueries and
# set operations.  Each query runs as it is, which the engine may do whole, and some
# inside a query of PostgreSQL's, of which the engine gets parts.  A query that fails
# on the live table (an overflow, say) must fail on the lake, too.
#
# The seed is printed; SHARD_SEED repeats a run, SHARD_QUERIES sets how many
# queries it makes.

use strict;
use warnings;
use ShardTest;
use Test::More;

my $seed = $ENV{SHARD_SEED} // int(rand(2**31));
my $queries = $ENV{SHARD_QUERIES} // 2000;
srand($seed);
note("seed $seed: repeat with SHARD_SEED=$seed");

sub pick { return $_[ int(rand(@_)) ]; }
sub chance { return rand() < $_[0]; }

# ---- a table ----

my %columns = (
	int => [qw(i j)], big => [qw(k id)], num => [qw(n m)], free => ['un'], float => [qw(f)], text => [qw(t v)], char => ['c'],
	date => ['d'], stamp => ['ts'], zoned => ['tz'], bool => ['b'], uuid => ['u'], bytes => ['y']);

my %values = (
	int => [ -100, -7, -1, 0, 1, 2, 3, 7, 50, 99 ],
	big => [ '-5000000000', -3, 0, 1, 2, 1000, '5000000000' ],
	num => [ '-99.99', '-0.01', '0.00', '0.50', '1.25', '7.00', '500.75' ],
	free => [ '-99.990', '0', '0.5', '1.2500', '1e20', '-0.000001' ],
	char => [ "'a'", "'b '", "'ab'", "''", "'é'", "' a'" ],
	float => [ -2.5, 0, 0.125, 1.5, 3, 1000, "'NaN'", "'Infinity'", "'-Infinity'" ],
	finite => [ -2.5, 0, 0.125, 1.5, 3, 1000 ],
	text => [ "''", "'a'", "'b'", "'ab'", "'B'", "'é'", "'zé%'", "'a_b'", "'  x '", "'日本'", "'\\'",
		"'ǆ Straße İı ΣΑΣ'", "'K-ſ k.s'", "E'x\\ny'", "'o''neil mc-x 2nd'", "'e\u0301'" ],
	date => [ "'2001-01-01'", "'2001-02-28'", "'1999-12-31'", "'infinity'", "'-infinity'", "'0044-03-15 BC'" ],
	stamp => [ "'2001-01-01 00:00:00'", "'2001-06-30 23:59:59.999999'", "'1970-01-01'", "'infinity'", "'0044-03-15 10:00 BC'" ],
	zoned => [ "'2001-01-01 00:00:00+00'", "'2001-06-30 12:00:00.5+02'", "'2001-10-28 00:30:00+00'", "'2001-10-28 01:30:00+00'",
		"'2001-03-25 01:00:00+00'", "'1890-05-05 05:05:05+00'", "'2107-07-07 23:59:59.999999+00'", "'infinity'", "'-infinity'",
		"'0044-03-15 10:00+00 BC'" ],
	bool => [ 'true', 'false' ],
	uuid => [ "'00000000-0000-4000-8000-000000000001'", "'ffffffff-0000-4000-8000-000000000001'" ],
	bytes => [ "'\\x'", "'\\x00'", "'\\x00ff'", "'\\xff01'" ]);
my %types = (
	int => 'int', big => 'bigint', num => 'numeric(8,2)', free => 'numeric', char => 'char(4)', float => 'float8', finite => 'float8', text => 'text', date => 'date',
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
		for my $type (qw(int int big num num free float finite text text char date stamp zoned bool uuid bytes))
		{
			push @row, chance(0.12) ? "NULL::$types{$type}" : literal($type) =~ s/::.*//r . "::$types{$type}";
		}
		push @rows, '(' . join(', ', @row) . ')';
	}
	my $part = int(@rows / 3);
	my @parts = map { join(",\n", splice(@rows, 0, $part)) } 1 .. 3;
	return (
		q{CREATE TABLE src (id bigint PRIMARY KEY, i int, j int, k bigint, n numeric(8,2), m numeric(8,2), un numeric,
			f float8, g float8, t text, v text, c char(4), d date, ts timestamp, tz timestamptz, b boolean, u uuid, y bytea)},
		q{SELECT shard.create_router('r', 'consistent-hash', 3, '{id}')}, q{SELECT shard.distribute_table('src', 'r')},
		(map { ("INSERT INTO src VALUES $_", 'SELECT shard.flush()') } @parts),
		q{UPDATE src SET i = i + 1, t = t || 'u' WHERE id % 11 = 0}, q{DELETE FROM src WHERE id % 13 = 0},
		'SELECT shard.flush()', 'ANALYZE src');
}

# ---- expressions ----

my $max_depth = 3;

# What columns are written with: the alias of a joined table, or nothing.
our $alias = '';
sub column { return $alias . pick(@{ $columns{ $_[0] } }); }

# Some that are shipped and some that must not be.
my @regexes = ("'a'", "'^a'", "'b\$'", "'^(a|b)+\$'", "'a.b'", "'[a-z]_'", "'^[^a]*\$'", "'é'", "'日?本'", "'x.y'", "'^.{2,3}\$'", "'k'", "'^k\\W'", "'[k-s]'",
	"'\\\\'", "'%|\\.'", "'(?:a|é){1,2}'", "'\\mx'", "'a*?b'", "'[[:alpha:]]'", "''", "'(a)\\1'", "'ſ'", "'s\$'", "'^\$'", "'x\ny'", "'\\d'");

my %makers = (
	int => [
		sub { '(' . value('int', @_) . pick(' + ', ' - ') . value('int', @_) . ')' },
		sub { '(' . value('int', @_) . pick(' / ', ' % ') . pick(2, 3, 7, -5) . ')' },
		sub { '(- ' . value('int', @_) . ')' },
		sub { 'abs(' . value('int', @_) . ')' },
		sub { 'length(' . value('text', @_) . ')' },
		sub { 'strpos(' . value('text', @_) . ', ' . pick("'a'", "'é'", "''") . ')' },
		sub { value('bool', @_) . '::int' },
		sub { '(' . value('int', @_) . pick(' / ', ' % ') . value('int', @_) . ')' },
		sub { '(' . value('int', @_) . pick(' + ', ' - ', ' * ') . '2147483600)' },
		sub { value('num', @_) . '::int' },
		sub { value(pick('float', 'finite'), @_) . '::int' },
		sub { '(' . value('date', @_) . ' - ' . value('date', @_) . ')' },
		sub { 'octet_length(' . value('text', @_) . ')' },
		sub { alternatives('int', @_) } ],
	big => [
		sub { '(' . value('big', @_) . pick(' + ', ' - ') . value(pick('int', 'big'), @_) . ')' },
		sub { '(' . value('int', @_) . '::bigint * ' . value('int', @_) . ')' },
		sub { '(' . value('big', @_) . pick(' / ', ' % ') . pick(3, 1000, -7) . ')' },
		sub { alternatives('big', @_) } ],
	num => [
		sub { '(' . value('num', @_) . pick(' + ', ' - ', ' * ') . value('num', @_) . ')' },
		sub { '(' . value(pick('num', 'free'), @_) . pick(' / ', ' % ') . pick(3, '0.5', value('num', @_)) . ')' },
		sub { pick('abs', 'round', '-', 'ceil', 'floor', 'trunc') . '(' . value(pick('num', 'free'), @_) . ')' },
		sub { pick('round', 'trunc') . '(' . value(pick('num', 'free'), @_) . ', ' . pick(-1, 0, 1, 3) . ')' },
		sub { '(CASE WHEN ' . value('bool', @_) . ' THEN ' . value('num', @_) . ' ELSE 0 END)' },
		sub { value(pick('int', 'big'), @_) . '::numeric' },
		sub { value('num', @_) . '::numeric(12,1)' },
		sub { 'extract(' . pick(qw(month day dow isodow doy week quarter year)) . ' FROM ' . value(pick('date', 'stamp'), @_) . ')' },
		sub { 'extract(' . pick(qw(month day dow year hour minute second epoch)) . ' FROM ' . value(pick('stamp', 'zoned'), @_) . ')' },
		sub { alternatives('num', @_) } ],
	free => [
		sub { '(' . value(pick('num', 'free'), @_) . pick(' + ', ' - ', ' * ') . value(pick('free', 'num'), @_) . ')' },
		sub { alternatives('free', @_) } ],
	char => [ sub { alternatives('char', @_) } ],
	float => [
		sub { '(' . value('float', @_) . pick(' + ', ' - ', ' * ', ' / ') . value('float', @_) . ')' },
		sub { value('num', @_) . '::float8' },
		sub { value(pick('int', 'big'), @_) . '::float8' },
		sub { '(' . value('float', @_) . pick(' + ', ' * ') . '2::float8)' },
		sub { "date_part('" . pick(qw(month day hour minute)) . "', " . value(pick('stamp', 'zoned'), @_) . ')' },
		sub { pick(qw(sqrt cbrt exp ln log round ceil floor trunc sign)) . '(' . value(pick('float', 'finite'), @_) . ')' },
		sub { alternatives('float', @_) } ],
	finite => [ sub { alternatives('finite', @_) } ],
	text => [
		sub { '(' . value('text', @_) . ' || ' . value('text', @_) . ')' },
		sub { 'substr(' . value('text', @_) . ', ' . pick(-1, 0, 1, 2, 3) . pick('', ', 0', ', 1', ', 5') . ')' },
		sub { pick(qw(btrim ltrim rtrim lower upper initcap reverse md5)) . '(' . value('text', @_) . ')' },
		sub { 'replace(' . value('text', @_) . ', ' . pick("'a'", "'é'", "''") . ", 'xy')" },
		sub { pick('left', 'right') . '(' . value('text', @_) . ', ' . pick(-1, 0, 1, 2) . ')' },
		sub { alternatives('text', @_) } ],
	date => [
		sub { value(pick('stamp', 'zoned'), @_) . '::date' },
		sub { '(' . value('date', @_) . pick(' + ', ' - ') . pick(1, 31, 1000, value('int', @_)) . ')' },
		sub { alternatives('date', @_) } ],
	stamp => [
		sub { "date_trunc('" . pick(qw(year quarter month week day hour minute second)) . "', " . value('stamp', @_) . ')' },
		sub { '(' . value(pick('stamp', 'date'), @_) . interval() . ')' },
		sub { '(' . value('zoned', @_) . pick('', " AT TIME ZONE 'UTC'", " AT TIME ZONE 'Asia/Tokyo'", " AT TIME ZONE 'Europe/London'") . ')::timestamp' },
		sub { alternatives('stamp', @_) } ],
	zoned => [
		sub { '(' . value('zoned', @_) . interval() . ')' },
		sub { "date_trunc('" . pick(qw(year quarter month week day hour minute second)) . "', " . value('zoned', @_) . pick('', '', ", 'America/New_York'") . ')' },
		sub { '(' . value('stamp', @_) . pick('', " AT TIME ZONE 'Europe/Berlin'") . ')::timestamptz' },
		sub { alternatives('zoned', @_) } ],
	uuid => [ sub { alternatives('uuid', @_) } ],
	bytes => [ sub { alternatives('bytes', @_) } ],
	bool => [
		sub { comparison(@_) }, sub { comparison(@_) }, sub { comparison(@_) },
		sub { '(' . value('bool', @_) . pick(' AND ', ' OR ') . value('bool', @_) . ')' },
		sub { '(NOT ' . value('bool', @_) . ')' },
		sub { '(' . value(any_type(), @_) . pick(' IS NULL', ' IS NOT NULL') . ')' },
		sub { '(' . value('bool', @_) . ' IS ' . pick('', 'NOT ') . pick('TRUE', 'FALSE', 'UNKNOWN') . ')' },
		sub { '(' . value('text', @_) . pick(' LIKE ', ' NOT LIKE ', ' ILIKE ') . pick("'a%'", "'%é%'", "'_b'", "'%\\%'", "'\\_%'", "'%'", "''") . ')' },
		sub { '(' . value('text', @_) . pick(' ~ ', ' !~ ', ' ~* ', ' !~* ') . pick(@regexes) . ')' },
		# of what cannot fail: which column is computed first is not said
		sub { my ($x, $y) = (any_type(), any_type()); '((' . column($x) . ', ' . column($y) . ')' . pick(' = ', ' < ', ' <= ', ' > ', ' >= ', ' <> ')
			  . '(' . pick(column($x), literal($x)) . ', ' . literal($y) . '))' },
		sub { my ($x, $y) = (any_type(), any_type()); '((' . column($x) . ', ' . column($y) . ') IN ('
			  . join(', ', map { '(' . literal($x) . ', ' . literal($y) . ')' } 1 .. 2) . '))' },
		sub { my $type = any_type(); '(' . value($type, @_) . pick(' IN ', ' NOT IN ') . '(' . join(', ', map { literal($type) } 1 .. 1 + int(rand(4))) . pick('', ", NULL") . '))' },
		sub { my $type = any_type(); '(' . value($type, @_) . pick(' = ANY ', ' <> ALL ', ' < ANY ') . "(ARRAY[" . join(', ', map { literal($type) } 1 .. int(rand(4))) . "]::$types{$type}" . '[]))' },
		sub { '(' . value('char', @_) . pick(' LIKE ', ' NOT LIKE ') . pick("'a%'", "'a'", "'a   '", "'% '") . ')' },
		sub { '(' . value('date', @_) . pick(' < ', ' <= ', ' = ', ' >= ', ' > ', ' <> ') . pick("timestamp '2001-02-28'", "timestamp '2001-02-28 12:00'", value('stamp', @_)) . ')' },
		sub { 'starts_with(' . value('text', @_) . ", 'a')" } ]);

sub interval
{
	return pick(' + ', ' - ') . "interval '" . pick('1 day', '1 month', '13 months -3 days', '36:00:00.000001', '-1 year 1 day 02:00', '500000 years', '0') . "'";
}

sub any_type { return pick(keys %columns); }

sub comparison
{
	my ($depth) = @_;
	my $type = any_type();
	my $other = $type;
	$other = pick(qw(int big num free float)) if $type =~ /^(int|big|num|free|float)$/;
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
		return chance(0.75) ? column($type) : literal($type);
	}
	return pick(@{ $makers{$type} })->($depth - 1);
}

# ---- queries ----

sub aggregate
{
	my $distinct = chance(0.2) ? 'DISTINCT ' : '';
	my $filter = chance(0.2) ? ' FILTER (WHERE ' . value('bool', 1) . ')' : '';
	my $type = pick(qw(int big num num));
	return pick(
		"string_agg($distinct" . "t, ',' ORDER BY t)$filter",
		"array_agg($distinct" . do { my $x = pick(qw(i k n t d b u)); "$x ORDER BY $x)$filter" },
		pick(qw(variance var_pop stddev stddev_pop)) . '(' . value(pick(qw(int big num)), 1) . ")$filter",
		'round(' . pick(qw(variance var_pop stddev stddev_pop)) . "(g)$filter" . '::numeric, 6)',
		"round(" . pick(qw(corr covar_pop covar_samp regr_slope regr_intercept regr_r2 regr_sxx regr_avgy)) . '(g, ' . pick('g', 'i') . ")$filter" . '::numeric, 4)',
		"regr_count(f, g)$filter", pick(qw(variance stddev_pop)) . "(CASE WHEN f IN ('NaN', 'Infinity', 0) THEN f END)",
		"sum(f)$filter", 'avg(f)',	# of numbers that add up exactly
		'percentile_disc(' . pick(0, 0.25, 0.5, 1) . ') WITHIN GROUP (ORDER BY ' . column(pick(qw(int big num date))) . ')',
		'percentile_cont(' . pick(0, 0.3, 0.5) . ') WITHIN GROUP (ORDER BY ' . pick(qw(i j k)) . ')',
		'round(avg(' . value($type, 1) . '), 2)', 'sum(' . value('num', 1) . ') / nullif(count(*) - 3, 0)',
		'count(*)' . $filter, "count($distinct" . value(any_type(), 1) . ")$filter",
		"sum($distinct" . ($distinct ? column($type) : value($type, 1)) . ")$filter",
		"avg($distinct" . ($distinct ? column($type) : value($type, 1)) . ")$filter",
		pick('min', 'max') . '(' . pick(column('num'), value(pick(qw(int big float text date stamp zoned)), 1)) . ")$filter",
		pick('bool_and', 'bool_or') . '(' . value('bool', 1) . ")$filter",
		'sum(' . value('int', 1) . ') + count(*)');
}

# Something to group by.  Equal numerics of different scales are one group, shown as
# any of them.
sub key
{
	my ($type) = @_;
	return column($type) if $type ne 'free' && chance(0.6);
	my $value = value($type, 1);
	return $type =~ /^(num|free)$/ ? "trim_scale($value)" : $value;
}

sub where { return chance(0.7) ? ' WHERE ' . value('bool', $max_depth) : ''; }

# ---- queries of more than one block ----

sub part { return ' WHERE ' . pick('id % 40 = ' . int(rand(40)), 'id < 50', 'id BETWEEN 700 AND 760'); }

sub condition { local $alias = $_[0]; return value('bool', 1); }

sub join_query
{
	my $type = pick(qw(int big num text date bool uuid char));
	my $kind = pick('JOIN', 'JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
	my ($left, $right) = (part(), part());
	my $extra = $kind ne 'FULL JOIN' && chance(0.4) ? ' AND ' . condition(pick('a.', 'b.')) : '';
	my $columns = join(', ', map { local $alias = $_; value(any_type(), 2) } 'a.', 'b.');
	my $where = chance(0.4) ? ' WHERE ' . condition(pick('a.', 'b.')) : '';
	my $from = "(SELECT * FROM {t}$left) a $kind (SELECT * FROM {t}$right) b ON a."
	  . pick(@{ $columns{$type} }) . ' = b.' . pick(@{ $columns{$type} }) . $extra;
	return ("SELECT a.id, b.id AS id2, $columns FROM $from$where", 0) if chance(0.6);
	return ("SELECT count(*), count(a.i), sum(b.n), min(a.t) FROM $from$where", 0);
}

sub window_query
{
	my $frame = pick('', '', ' ROWS BETWEEN 2 PRECEDING AND CURRENT ROW', ' ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING',
		' RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW', ' ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING EXCLUDE CURRENT ROW',
		' GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW');
	my $over = ' OVER (' . (chance(0.6) ? 'PARTITION BY ' . column(pick(qw(int bool text date char num))) . ' ' : '')
	  . 'ORDER BY ' . column(pick(qw(int num float text date))) . pick('', ' DESC', ' NULLS FIRST') . ", id$frame)";
	my $function = pick('row_number()', 'rank()', 'dense_rank()', 'percent_rank()', 'cume_dist()', 'ntile(4)', 'lag(i)', 'lead(t, 2)',
		'first_value(n)', 'last_value(d)', 'count(*)', 'count(i)', 'sum(i)', 'sum(n)', 'avg(n)', 'avg(i)', 'min(t)', 'max(ts)', 'bool_or(b)');
	return ("SELECT id, $function$over FROM {t}" . (chance(0.5) ? where() : part()), 0);
}

sub set_query
{
	my @types = map { pick(qw(int big num text date bool uuid stamp char float)) } 1 .. 1 + int(rand(2));
	my $side = sub { 'SELECT ' . join(', ', map { column($types[$_]) . " AS c$_" } 0 .. $#types) . ' FROM {t}' . part() };
	my $query = $side->() . pick(' UNION ', ' UNION ALL ', ' INTERSECT ', ' EXCEPT ', ' EXCEPT ALL ', ' INTERSECT ALL ') . $side->();
	$query = "($query)" . pick(' UNION ALL ', ' EXCEPT ') . $side->() if chance(0.3);
	return ("SELECT * FROM ($query) q ORDER BY " . join(', ', 1 .. @types), 1) if chance(0.3);
	return ($query, 0);
}

sub subquery_query
{
	my $type = pick(qw(int big num text date));
	my ($outer, $inner) = (column($type), column($type));
	my $where = condition('b.');
	my $condition = pick(
		"a.$outer IN (SELECT b.$inner FROM {t} b WHERE $where)",
		"a.$outer NOT IN (SELECT b.$inner FROM {t} b WHERE $where AND b.$inner IS NOT NULL)",
		"a.$outer NOT IN (SELECT b.$inner FROM {t} b WHERE b.id < 20)",
		"EXISTS (SELECT 1 FROM {t} b WHERE b.$inner = a.$outer AND b.id <> a.id AND $where)",
		"NOT EXISTS (SELECT 1 FROM {t} b WHERE b.$inner = a.$outer AND b.id <> a.id)",
		"a.i > (SELECT avg(b.i) FROM {t} b WHERE b.b = a.b)",
		"a.n >= (SELECT max(b.n) FROM {t} b WHERE b.j = a.j)",
		"(SELECT count(*) FROM {t} b WHERE b.$inner = a.$outer) > 3",
		"a.$outer > ALL (SELECT b.$inner FROM {t} b WHERE b.id < 5 AND b.$inner IS NOT NULL)");
	my $column = pick('a.t', "(SELECT sum(b.i) FROM {t} b WHERE b.j = a.j AND b.id < 300)", "(SELECT max(b.t) FROM {t} b WHERE b.i = a.i)");
	return ("SELECT a.id, $column AS x FROM {t} a WHERE a.id % 7 = 2 AND $condition", 0);
}

sub nested_query
{
	my $inner = 'SELECT b, i, count(*) AS c, sum(n) AS s, avg(m) AS a FROM {t}' . where() . ' GROUP BY b, i';
	return pick(
		"WITH w AS ($inner) SELECT x.b, x.i, y.c, x.s FROM w x JOIN w y ON x.i = y.i AND x.b = y.b WHERE x.c > 1",
		"SELECT b, sum(c), max(s), min(a) IS NULL FROM ($inner) q GROUP BY b",
		"SELECT i, sum(s) FROM ($inner) q WHERE a > 0.5 GROUP BY i HAVING sum(c) > 2",
		'SELECT b, i, count(*), sum(n), grouping(b, i) FROM {t}' . where() . ' GROUP BY ' . pick('ROLLUP (b, i)', 'CUBE (b, i)', 'GROUPING SETS ((b), (i), ())'),
		'SELECT DISTINCT ON (i) i, id, t FROM {t}' . where() . ' ORDER BY i, id' . pick('', ' DESC'),
		'SELECT a.id, l.id AS other FROM {t} a, LATERAL (SELECT id FROM {t} b WHERE b.i = a.i AND b.id > a.id ORDER BY id LIMIT 2) l WHERE a.id < 40',
		'SELECT a.id, v.x FROM {t} a JOIN (VALUES (1, 1.5), (7, 2.25)) v(i, x) ON v.i = a.i');
}

# A query and whether the order of its rows is part of the answer.
sub query
{
	my $kind = pick(qw(scan scan sorted groups groups groups sorted_groups whole distinct join join window window set subquery subquery nested));
	return join_query() if $kind eq 'join';
	return window_query() if $kind eq 'window';
	return set_query() if $kind eq 'set';
	return subquery_query() if $kind eq 'subquery';
	return (scalar(nested_query()), 0) if $kind eq 'nested';
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
	my @keys = map { key(any_type()) } 1 .. 1 + int(rand(2));
	my $keys = join(', ', map { "$keys[$_] AS g$_" } 0 .. $#keys);
	my $names = join(', ', map { "g$_" } 0 .. $#keys);
	return ("SELECT DISTINCT $keys FROM {t}" . where(), 0) if $kind eq 'distinct';
	my $grouped = "SELECT $keys, " . join(', ', map { aggregate() } 1 .. 1 + int(rand(3))) . ' FROM {t}' . where() . " GROUP BY $names"
	  . (chance(0.3) ? ' HAVING ' . pick('count(*) > 2', 'sum(i) > 10', 'avg(n) > 1', 'min(t) < \'b\'') : '');
	return ($grouped, 0) if $kind eq 'groups';
	return ("$grouped ORDER BY $names" . pick('', ' LIMIT 5', ' LIMIT 5 OFFSET 2'), 1);
}

# ---- the run ----

# What a folder is called says nothing of a column i.
my $warehouse = PostgreSQL::Test::Utils::tempdir() . '/i=7';
mkdir $warehouse or die "$warehouse: $!";
my $node = shard_node('lake_queries', 'shard.flush_interval' => '1s', timezone => pick('UTC', 'Europe/Berlin', 'America/St_Johns'), 'shard.warehouse' => $warehouse);
$node->safe_psql('postgres', join(";\n", make_table(), q{
	CREATE FUNCTION answer(query text, ordered boolean, nested boolean) RETURNS text LANGUAGE plpgsql AS $f$
	DECLARE
		rows text[] := '{}';
		r record;
		result text;
	BEGIN
		IF nested THEN
			EXECUTE format('SELECT count(*) || '':'' || coalesce(md5(string_agg(x::text, E''\n''%s)), '''') FROM (%s) x',
				CASE WHEN NOT ordered THEN ' ORDER BY x::text COLLATE "C"' END, query) INTO result;
			RETURN result;
		END IF;
		FOR r IN EXECUTE query LOOP
			rows := rows || r::text;
		END LOOP;
		IF NOT ordered THEN
			SELECT array_agg(x ORDER BY x COLLATE "C") INTO rows FROM unnest(rows) x;
		END IF;
		RETURN coalesce(cardinality(rows), 0) || ':' || coalesce(md5(array_to_string(rows, E'\n')), '');
	EXCEPTION WHEN others THEN
		RETURN 'error ' || sqlstate || ' ' || sqlerrm;
	END $f$;
	CREATE FUNCTION try(query text, ordered boolean, nested boolean, explained boolean, OUT live text, OUT lake text, OUT whole boolean) LANGUAGE plpgsql AS $f$
	DECLARE plan json;
	BEGIN
		live := answer(replace(query, '{t}', 'src'), ordered, nested);
		lake := answer(replace(query, '{t}', 'lake.src'), ordered, nested);
		IF NOT explained THEN
			RETURN;
		END IF;
		EXECUTE 'EXPLAIN (FORMAT json) ' || replace(query, '{t}', 'lake.src') INTO plan;
		whole := plan::jsonb #>> '{0,Plan,Custom Plan Provider}' IS NOT NULL;
	EXCEPTION WHEN others THEN
		whole := false;
	END $f$}));

my $explained = 300;
# What a partition's constraint excludes is never computed, and so cannot fail.
my ($same, $failing, $whole, $script) = (0, 0, 0, "SET client_min_messages = error;\nSET constraint_exclusion = off;\n");
my @texts;
for my $i (1 .. $queries)
{
	my ($text, $ordered) = query();
	push @texts, $text;
	$script .= 'SELECT live, lake, whole FROM try($q$' . $text . '$q$, ' . ($ordered ? 'true' : 'false') . ', ' . (chance(0.15) ? 'true' : 'false') . ', ' . ($i <= $explained ? 'true' : 'false') . ");\n";
}
my @answers = split /\n/, $node->safe_psql('postgres', $script);
is(scalar @answers, $queries, 'every query was answered');
for my $i (0 .. $#answers)
{
	my ($live, $lake, $is_whole) = split /\|/, $answers[$i], 3;
	$whole++ if ($is_whole // '') eq 't';
	if ($live =~ /^error/ && $lake =~ /^error/)
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
cmp_ok($same, '>', $queries / 2, "$same queries have the same answer (seed $seed; $failing fail on both)");
cmp_ok($whole, '>', $explained / 3, "$whole of the first $explained are shipped whole");
done_testing();
