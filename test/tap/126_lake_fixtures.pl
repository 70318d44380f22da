# Tables that Spark, Flink, Trino, Hive, Impala, PyIceberg and others wrote give
# the rows that are known to be in them.
#
# They are in test/data/iceberg; another collection of the same layout can be given
# in the environment variable SHARD_FIXTURES, and TABLES selects some by a pattern.

use strict;
use warnings;
use File::Basename qw(basename dirname);
use JSON::PP;
use PostgreSQL::Test::RecursiveCopy;
use ShardTest;
use Test::More;

my $source = $ENV{SHARD_FIXTURES} // dirname(__FILE__) . '/data/iceberg';
my $pattern = $ENV{TABLES} // '.';
my $node = shard_node('fixtures');
my $tables = $node->basedir . '/tables';
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

PostgreSQL::Test::RecursiveCopy::copypath($source, $tables);
$node->append_conf('postgresql.conf', "timezone = 'UTC'\nextra_float_digits = 1\n");
$node->reload;

sub slurp
{
	my ($path) = @_;
	open(my $file, '<', $path) or die "$path: $!";
	local $/;
	return scalar <$file>;
}

sub quoted { return "'" . ($_[0] =~ s/'/''/gr) . "'"; }

# What IMPORT FOREIGN SCHEMA must be told of a table.
sub import_command
{
	my ($id, $about) = @_;
	my %remap = %{ $about->{remap} };
	my %options = (metadata_location => "$tables/$id/$about->{metadata}");
	my @others;

	for my $from (sort keys %remap)
	{
		my $to = $remap{$from} eq '.' ? "$tables/$id" : "$tables/$id/$remap{$from}";

		if ($from eq $about->{location}) { $options{location} = $to; }
		else { push @others, "$from=$to"; }
	}
	$options{path_map} = join(',', @others) if @others;
	return qq{IMPORT FOREIGN SCHEMA x LIMIT TO ("$id") FROM SERVER lake INTO public OPTIONS (}
	  . join(', ', map { "$_ " . quoted($options{$_}) } sort keys %options) . ')';
}

# A value of a row, expected or got, in a form that both have.
sub normal
{
	my ($value) = @_;

	return undef unless defined $value;
	return { map { $_ => normal($value->{$_}) } keys %$value } if ref $value eq 'HASH';
	if (ref $value eq 'ARRAY')
	{
		my $map = @$value > 0 && !grep { ref $_ ne 'ARRAY' || @$_ != 2 || ref $_->[0] } @$value;
		return { map { $_->[0] => normal($_->[1]) } @$value } if $map;
		return [ map { normal($_) } @$value ];
	}
	return $value ? 'true' : 'false' if JSON::PP::is_bool($value);
	return 'hex:' . $1 if $value =~ /^\\x([0-9a-f]*)$/;
	return "$1$2" if $value =~ /^(\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d*?[1-9])?)\.?0*((?:\+00:00)?)$/;
	return $value unless $value =~ /^-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?$/i;
	# numbers went through the binary ones of several programs
	return sprintf($value == int($value) && abs($value) < 1e12 ? '%d' : '%.6g', $value);
}

# "HH:MM:SS" as microseconds, as some of the expected rows have times.
sub same_times
{
	my ($expected, $got) = @_;

	for my $name (keys %$got)
	{
		next unless defined $got->{$name} && !ref $got->{$name} && defined $expected->{$name};
		next unless $expected->{$name} =~ /^\d{9,}$/ && $got->{$name} =~ /^(\d\d):(\d\d):(\d\d)$/;
		$got->{$name} = (($1 * 60 + $2) * 60 + $3) * 1000000;
	}
}

sub rows_of
{
	my ($text) = @_;
	return map { $json->decode($_) } grep { $_ ne '' } split(/\n/, $text);
}

sub check_rows
{
	my ($id, $about, @expected) = @_;
	my ($status, $out, $error) = $node->psql('postgres', qq{SELECT to_jsonb(t) FROM "$id" t});

	is($error, '', "$id: can be read") or return;
	my @got = rows_of($out);
	my @names = @got ? keys %{ $got[0] } : ();

	same_times($expected[0], $_) for grep { @expected } @got;
	my @columns = grep { exists $expected[0]{$_} } @names;
	is(scalar @columns, scalar @names, "$id: the columns are those expected") if @expected;
	my $line = sub {
		my ($row) = @_;
		return $json->encode({ map { $_ => normal($row->{$_}) } @names });
	};
	is_deeply([ sort map { $line->($_) } @got ], [ sort map { $line->($_) } @expected ], "$id: rows");
}

for my $id (sort map { basename($_) } glob("$tables/*"))
{
	next unless $id =~ /$pattern/ && -f "$tables/$id/FIXTURE.json";
	my $about = $json->decode(slurp("$tables/$id/FIXTURE.json"));
	next unless defined $about->{expected_rows};
	my ($status, $out, $error) = $node->psql('postgres', import_command($id, $about));

	is($status, 0, "$id: can be imported") or diag($error);
	next if $status != 0;
	if (grep { /:(orc|avro)$/ } keys %{ $about->{live_files} // {} })
	{
		($status, $out, $error) = $node->psql('postgres', qq{\\set VERBOSITY verbose\nSELECT count(*) FROM "$id"});
		like($error, qr/0A000: .*is in format (orc|avro)/i, "$id: files in another format are refused by name");
		next;
	}
	($status, $out, $error) = $node->psql('postgres', qq{SELECT count(*) FROM "$id"});
	is($out, $about->{expected_rows}, "$id: count") or diag($error);
	check_rows($id, $about, rows_of(slurp("$tables/$id/expected.jsonl"))) if -f "$tables/$id/expected.jsonl";
}

# ---- branches and tags ----

# What a branch and a tag show is what the table showed when its metadata was that of then.
SKIP:
{
	my $id = 'v2_pos_branch_tag_spark';
	skip "no $id", 6 unless $id =~ /$pattern/ && -f "$tables/$id/FIXTURE.json";
	my $about = $json->decode(slurp("$tables/$id/FIXTURE.json"));
	my $rows = qq{SELECT string_agg(t::text, ';' ORDER BY t::text COLLATE "C") FROM %s t};
	my %then = ('test-branch' => '00004', 'EOW-01' => '00006');
	my %shown;

	for my $name (sort keys %then)
	{
		my ($file) = map { s{^\Q$tables/$id/\E}{}r } glob("$tables/$id/test/metadata/$then{$name}-*.metadata.json");
		$node->safe_psql('postgres', 'DROP SCHEMA IF EXISTS old CASCADE; CREATE SCHEMA old; '
			  . import_command($id, { %$about, metadata => $file }) =~ s/INTO public/INTO old/r);
		$shown{$name} = $node->safe_psql('postgres', sprintf($rows, qq{old."$id"}));
		isnt($shown{$name}, '', "$name: there are rows");
		is($node->safe_psql('postgres', "SET shard.as_of = '$name'; " . sprintf($rows, qq{"$id"})), $shown{$name}, "the setting as_of: $name");
		$node->safe_psql('postgres', qq{ALTER FOREIGN TABLE "$id" OPTIONS (ADD as_of '$name')});
		is($node->safe_psql('postgres', sprintf($rows, qq{"$id"})), $shown{$name}, "the option as_of: $name");
		$node->safe_psql('postgres', qq{ALTER FOREIGN TABLE "$id" OPTIONS (DROP as_of)});
	}
	my $now = $node->safe_psql('postgres', sprintf($rows, qq{"$id"}));
	isnt($now, $_, 'and not what it shows now') for values %shown;
}

done_testing();
