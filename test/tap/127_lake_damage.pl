# Iceberg tables whose files are cut off or changed are an error or give some
# rows, but take neither server nor engine with them; what a manifest says of a file
# that is not there is an error; and a table that was damaged can be read again when
# its files are whole.
#
# The damage is the same in every run, for a given SHARD_SEED.

use strict;
use warnings;
use File::Basename qw(dirname);
use JSON::PP;
use PostgreSQL::Test::RecursiveCopy;
use ShardTest;
use Test::More;

my $seed = $ENV{SHARD_SEED} // 1;
my $source = dirname(__FILE__) . '/data/iceberg';
my $node = shard_node('damage');
my $tables = $node->basedir . '/tables';
my %fixtures = (
	v3_dv_spark => 'deletion vectors', v2_eq_partitioned_flink => 'equality deletes',
	v2_pos_update_all_hive => 'position deletes', v2_bigquery => 'another codec');

srand($seed);
note("seed $seed");
mkdir $tables;

sub slurp
{
	my ($path) = @_;
	open(my $file, '<:raw', $path) or die "$path: $!";
	local $/;
	return scalar <$file>;
}

sub spew
{
	my ($path, $content) = @_;
	open(my $file, '>:raw', $path) or die "$path: $!";
	print $file $content;
	close $file or die "$path: $!";
}

sub files_below
{
	my ($directory) = @_;
	return map { -d $_ ? files_below($_) : -f $_ ? $_ : () } sort glob("$directory/*");
}

# Each time under another name, since metadata that were read are never read again.
my $count = 0;

sub table_copy
{
	my ($id) = @_;
	my $about = decode_json(slurp("$source/$id/FIXTURE.json"));
	my $directory = "$tables/t" . ++$count;
	my %remap = %{ $about->{remap} };

	PostgreSQL::Test::RecursiveCopy::copypath("$source/$id", $directory);
	my $map = join(',', map { "$_=$directory/$remap{$_}" } grep { $_ ne $about->{location} } sort keys %remap);
	my $options = "metadata_location '$directory/$about->{metadata}', location '$directory/$remap{ $about->{location} }'";
	$options .= ", path_map '$map'" if $map ne '';
	return ($directory, "IMPORT FOREIGN SCHEMA x LIMIT TO (t$count) FROM SERVER lake INTO public OPTIONS ($options);\n"
		  . "SELECT count(*), min(t::text) FROM t$count t;\n", $about);
}

sub engine_pid { return $node->safe_psql('postgres', 'SELECT pid FROM _shard.engine_state()'); }

my $engine = engine_pid();
for my $id (sort keys %fixtures)
{
	my ($directory, $query, $about) = table_copy($id);
	my ($status, $out, $error) = $node->psql('postgres', $query);
	like($out, qr/^$about->{expected_rows}\|/, "$id: whole") or diag($error);

	my ($whole) = $out =~ /^(\d+\|.*)$/m;
	my @parts = map { s/^\Q$directory\E//r } files_below($directory);
	my ($errors, $answers, @odd) = (0, 0);
	for my $part (grep { /\.(avro|json|parquet|parq|puffin)$/ && !/FIXTURE/ } @parts)
	{
		for my $how (qw(cut flip gone))
		{
			($directory, $query) = table_copy($id);
			my $content = slurp("$directory$part");
			my $at = int(rand(length $content));

			if ($how eq 'gone') { unlink "$directory$part"; }
			elsif ($how eq 'flip')
			{
				substr($content, int(rand(length $content)), 1) = chr(int(rand(256))) for 1 .. 3;
				spew("$directory$part", $content);
			}
			else
			{
				spew("$directory$part", substr($content, 0, $at));
			}
			($status, $out, $error) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
			if ($status == 2) { push @odd, "$how $part: $error"; }
			elsif ($error =~ /ERROR:  (\w{5}): /)
			{
				$errors++;
				push @odd, "$how $part: $error" if $1 =~ /^(XX000|08006|57P0[123])$/;
			}
			else
			{
				# parts that are not read may be gone, but nothing is left out
				$answers++;
				push @odd, "$how $part: $out" if $how ne 'flip' && $out !~ /^\Q$whole\E$/m;
			}
		}
	}
	is(join("\n", @odd), '', "$id: $errors errors, all of them proper ones, and $answers answers");
	cmp_ok($errors, '>', 0, "$id: damage is noticed");
}
is(engine_pid(), $engine, 'the engine is the same');
unlike(slurp($node->logfile), qr/terminated by signal/, 'no process crashed');

# Hostile paths and values are no way around the right to read files.
my ($directory, $query) = table_copy('v2_eq_partitioned_flink');
$node->safe_psql('postgres', $query . "CREATE ROLE reader; GRANT shard_reader TO reader; GRANT SELECT ON t$count TO reader");
my ($status, $out, $error) = $node->psql('postgres', "SET ROLE reader; SELECT count(*) FROM t$count");
like($error, qr/permission denied for lake file/, 'without pg_read_server_files, no files outside the warehouse');

done_testing();
