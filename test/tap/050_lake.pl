# The lake's catalog and files: a commit by somebody else, files that a snapshot
# may still need, removal of everything at DROP, and who may read what.

use strict;
use warnings;
use File::Find;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('lake', 'shard.flush_interval' => '100ms');
shard_table($node, 'things', rows => 500);
my $warehouse = $node->data_dir . '/shard/warehouse';

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub location
{
	my ($name) = @_;
	return sql("SELECT metadata_location FROM iceberg_tables WHERE table_name = '$name'");
}

sub lake_files
{
	my @files;
	find({ wanted => sub { push @files, $File::Find::name if -f }, no_chdir => 1 }, $warehouse)
	  if -d $warehouse;
	return @files;
}

is_lake_equal($node, 'things', 'at first');

# ---- another program commits ----

my $before = location('things');
my $metadata = JSON::PP->new->canonical->decode(slurp_file($before));
$metadata->{properties}{'written-by'} = 'somebody else';
$metadata->{'something-new'} = { kept => [ 1, 2 ] };
my $theirs = $before;
$theirs =~ s{/(\d+)-[^/]*$}{sprintf('/%05d-00000000-0000-4000-8000-000000000000.metadata.json', $1 + 1)}e;
append_to_file($theirs, JSON::PP->new->encode($metadata));
chmod 0644, $theirs;
is(sql(qq{
	WITH swap AS (
		UPDATE iceberg_tables SET metadata_location = '$theirs', previous_metadata_location = '$before'
		WHERE catalog_name = 'lake' AND table_namespace = 'public' AND table_name = 'things'
		  AND metadata_location = '$before' RETURNING 1)
	SELECT count(*) FROM swap}), '1', 'somebody else moves the pointer');

sql("INSERT INTO things VALUES ('after', 100000, 'x', 1)");
is_lake_equal($node, 'things', 'after the other commit');
my $now = JSON::PP->new->decode(slurp_file(location('things')));
is($now->{properties}{'written-by'}, 'somebody else', 'what the other commit set is kept');
is_deeply($now->{'something-new'}, { kept => [ 1, 2 ] }, 'also what we know nothing of');
ok((grep { $_->{'metadata-file'} eq $theirs } @{ $now->{'metadata-log'} }), 'and it is in the log');

# ---- files are kept for as long as a snapshot can see them ----

sql(q{
	CREATE TABLE other (k text, id bigint, PRIMARY KEY (k, id));
});
sql(q{SELECT shard.distribute_table('other', (SELECT router FROM shard.tables LIMIT 1))});
sql(q{INSERT INTO other SELECT 'k' || i, i FROM generate_series(1, 100) i});
is_lake_equal($node, 'other', 'a second table');
my $location = location('other');

my ($in, $out, $timer) = ('', '', IPC::Run::timeout(120));
my $handle = IPC::Run::start(
	[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', '-' ],
	'<', \$in, '>', \$out, $timer);
$in .= "BEGIN ISOLATION LEVEL REPEATABLE READ;\n"
  . "SELECT 'sees ' || table_name FROM iceberg_tables WHERE table_name = 'other';\n";
$handle->pump until $out =~ /sees other/;

sql('DROP TABLE other');
is(location('other'), '', 'the dropped table is out of the catalog');
sql('SELECT _shard.lake_empty_trash()');
ok(-f $location, 'its files stay while a snapshot can see it');

$out = '';
$in .= "COMMIT; SELECT 'committed';\n";
$handle->pump until $out =~ /committed/;
$in .= "\\q\n";
$handle->finish;
$node->poll_query_until('postgres',
	'SELECT _shard.lake_empty_trash() IS NOT NULL AND NOT EXISTS (SELECT FROM _shard.lake_trash)')
  or die 'the trash is not emptied';
ok(!-e $location, 'and go afterwards');

# ---- rights ----

sql(q{CREATE ROLE nobody_special LOGIN; CREATE ROLE reader LOGIN IN ROLE shard_reader});
my ($rc, $stdout, $stderr) = $node->psql('postgres', q{SET ROLE reader; SELECT * FROM shard.lake_files('things')});
like($stderr, qr/permission denied/, 'lake_files needs SELECT on the table');
sql(q{GRANT SELECT ON things TO reader});
cmp_ok($node->safe_psql('postgres', q{SET ROLE reader; SELECT count(*) FROM shard.lake_files('things')}),
	'>', 0, 'and works with it');
($rc, $stdout, $stderr) = $node->psql('postgres', q{SET ROLE nobody_special; SELECT shard.lake_files('things')});
like($stderr, qr/permission denied for function/, 'but not for everybody');
($rc, $stdout, $stderr) = $node->psql('postgres', q{SELECT shard.lake_files('iceberg_tables')});
like($stderr, qr/neither a lake table nor a sharded table/, 'another table is refused');

# ---- the end ----

ok(lake_files() > 0, 'there are files');
sql('DROP TABLE things');
sql('DROP EXTENSION shard CASCADE');
is(join(' ', lake_files()), '', 'DROP EXTENSION leaves no file behind');

$node->stop;
done_testing();
