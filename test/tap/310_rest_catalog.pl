# A REST catalog: tables of others read by it, and the pipeline's lake in it:
# tokens that expire, conflicts, answers that are lost, and processes killed
# between the catalog's commit and the database's.  Nothing is lost or doubled.

use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardStore;
use ShardTest;
use Test::More;
use Time::HiRes qw(usleep);

# Files are in an object store if there can be one: then the catalog gives
# credentials along with each table.
my $store = defined store_missing() ? undef : store_start();
my $warehouse = $store ? 's3://lakes/rest' : PostgreSQL::Test::Utils::tempdir();
my $port = PostgreSQL::Test::Cluster::get_free_port();
if ($store)
{
	$store->make_bucket('lakes');
	@ENV{qw(S3_ENDPOINT S3_KEY S3_SECRET)} = ("http://127.0.0.1:$store->{port}", $store->{key}, $store->{secret});
}
start_tool('rest-catalog.mjs', $port, $warehouse, $store ? $store->{endpoint} : ());

sub ask
{
	my ($method, $path, $body) = @_;
	$body //= '';
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port) or die "catalog: $!";
	print $socket "$method $path HTTP/1.0\r\nAuthorization: Bearer fixed-token\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
	local $/;
	return <$socket> =~ s/^.*?\r\n\r\n//sr;
}

sub fault { my ($mode, %options) = @_; ask('POST', "/__fault?mode=$mode" . join('', map { "&$_=$options{$_}" } sort keys %options)); return; }
sub table { return JSON::PP->new->decode(ask('GET', "/v1/main/namespaces/$_[0]/tables/$_[1]")); }

my $node = shard_node('rest', 'shard.flush_interval' => '100ms', 'shard.store_timeout' => '2s',
	'shard.store_max_retries' => 3, 'log_statement' => 'none');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub failure
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	return $err;
}

# ---- the lake of this database in the catalog ----

my $uri = "http://127.0.0.1:$port";
sql("ALTER SERVER lake OPTIONS (ADD catalog 'rest', ADD uri '$uri', ADD warehouse 'demo')");
sql(q{
	SELECT shard.create_router('r', 'hash', 4, ARRAY['k']);
	CREATE TABLE orders (k text, id bigint, v text, n int, PRIMARY KEY (k, id))});
like(failure(q{SELECT shard.distribute_table('orders', 'r')}), qr/28000.*401.*HINT.*credential/s, 'without credentials');
sql("CREATE USER MAPPING FOR PUBLIC SERVER lake OPTIONS (credential 'client:wrong')");
my $refused = failure(q{SELECT shard.distribute_table('orders', 'r')});
like($refused, qr/28000.*token.*invalid client/s, 'with wrong ones');
unlike($refused, qr/wrong/, 'which are not told');
sql("ALTER USER MAPPING FOR PUBLIC SERVER lake OPTIONS (SET credential 'client:s3cret')");
like(failure(q{BEGIN; SELECT shard.distribute_table('orders', 'r'); SELECT 1/0}), qr/division by zero/, 'a transaction that fails');
sql(q{SELECT shard.distribute_table('orders', 'r');
	INSERT INTO orders SELECT 'k' || i % 50, i, 'value ' || i, i FROM generate_series(1, 1000) i});
is_lake_equal($node, 'orders', 'a table in the catalog');
is(sql('SELECT count(*) FROM iceberg_tables'), '0', 'and not in iceberg_tables');
my $loaded = table('public', 'orders');
is($loaded->{metadata}{refs}{main}{type}, 'branch', 'the catalog has its snapshot');
like($loaded->{metadata}{location}, qr{^\Q$warehouse\E/}, 'where the catalog wants it');

# ---- changes, tokens, columns ----

sql(q{UPDATE orders SET v = v || '!' WHERE id % 5 = 0; DELETE FROM orders WHERE id % 7 = 0});
is_lake_equal($node, 'orders', 'after updates and deletes');
ask('POST', '/__expire');
sql(q{ALTER TABLE orders ADD COLUMN extra int; UPDATE orders SET extra = id WHERE id < 20});
is_lake_equal($node, 'orders', 'with a new column and a token that had expired');

# ---- somebody else commits ----

my $uuid = table('public', 'orders')->{metadata}{'table-uuid'};
ask('POST', '/v1/main/namespaces/public/tables/orders', JSON::PP->new->encode({
	requirements => [ { type => 'assert-table-uuid', uuid => $uuid } ],
	updates => [ { action => 'set-properties', updates => { 'written-by' => 'somebody else' } } ] }));
sql("INSERT INTO orders (k, id, n) VALUES ('other', 5000, 1)");
is_lake_equal($node, 'orders', 'after a commit of somebody else');
is(table('public', 'orders')->{metadata}{properties}{'written-by'}, 'somebody else', 'which is kept');

# ---- back in time ----

my $then = table('public', 'orders')->{metadata}{'current-snapshot-id'};
my $rows_then = sql('SELECT count(*), sum(id), sum(n) FROM lake.orders');
for my $ref ([ tag => 'the tag' ], [ branch => 'a-branch' ])
{
	ask('POST', '/v1/main/namespaces/public/tables/orders', JSON::PP->new->encode({
		requirements => [ { type => 'assert-table-uuid', uuid => $uuid } ],
		updates => [ { action => 'set-snapshot-ref', type => $ref->[0], 'ref-name' => $ref->[1], 'snapshot-id' => $then } ] }));
}
sql("INSERT INTO orders (k, id, n) VALUES ('later', 6000, 1)");
is_lake_equal($node, 'orders', 'after a tag and a branch were made');
isnt(sql('SELECT count(*), sum(id), sum(n) FROM lake.orders'), $rows_then, 'with other rows');
for my $as_of ('the tag', 'a-branch', $then)
{
	is(sql("SET shard.as_of = '$as_of'; SELECT count(*), sum(id), sum(n) FROM lake.orders"), $rows_then, "the setting as_of: $as_of");
	sql("ALTER FOREIGN TABLE lake.orders OPTIONS (ADD as_of '$as_of')");
	is(sql('SELECT count(*), sum(id), sum(n) FROM lake.orders'), $rows_then, "the option as_of: $as_of");
	sql('ALTER FOREIGN TABLE lake.orders OPTIONS (DROP as_of)');
}

# ---- faults ----

my $next = 10_000;
sub insert_rows
{
	my ($v) = @_;
	sql("INSERT INTO orders (k, id, v, n) SELECT 'f' || i % 7, $next + i, '$v', i FROM generate_series(1, 100) i;"
		. "UPDATE orders SET n = n + 1 WHERE id % 11 = 3");
	$next += 100;
	return;
}

for my $fault (
	[ '500', count => 2, method => 'POST' ], [ '409', count => 2, method => 'POST' ],
	[ '503', count => 2 ], [ '504', count => 1, method => 'GET' ],
	[ 'after-500', count => 1, method => 'POST' ], [ 'after-504', count => 1, method => 'POST' ],
	[ 'after-drop', count => 2, method => 'POST' ])
{
	my ($mode, %options) = @$fault;
	fault($mode, %options);
	insert_rows("fault $mode");
	is_lake_equal($node, 'orders', "with fault $mode " . join(' ', map { "$_ $options{$_}" } sort keys %options));
	fault('none');
}

# ---- killed between the catalog's commit and the database's ----

# A killed worker takes the server down; it starts anew without the point.
my $crashes = 0;
sub start_after_crash
{
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my $killed = () = slurp_file($node->logfile) =~ /terminated by signal 9/g;
		if ($killed > $crashes)
		{
			$crashes = $killed;
			$node->stop('immediate', fail_ok => 1);
			$node->append_conf('postgresql.conf', "shard.point = ''");
			$node->start;
			return 1;
		}
		usleep(100_000);
	}
	return 0;
}

for my $point ('lake-after-catalog:kill', 'pipeline-before-commit:kill', 'pipeline-before-confirm:kill')
{
	$node->append_conf('postgresql.conf', "shard.point = '$point'");
	$node->reload;
	insert_rows($point);
	ok(start_after_crash(), "$point: the worker was killed");
	# more changes, so that the next flush would end elsewhere
	insert_rows("after $point");
	is_lake_equal($node, 'orders', "killed at $point");
}

is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.orders_events'), '0', 'no event is there twice');
is(sql(q{SELECT count(*) FROM lake.orders_events WHERE _verb ~ 'created'}),
	1002 + $next - 10_000, 'and every row was created once');

# ---- another server reads it ----

sql(qq{
	CREATE SERVER demo FOREIGN DATA WRAPPER shard_lake OPTIONS (catalog 'rest', uri '$uri', warehouse 'demo');
	CREATE USER MAPPING FOR CURRENT_USER SERVER demo OPTIONS (token 'fixed-token');
	CREATE SCHEMA demo;
	IMPORT FOREIGN SCHEMA public FROM SERVER demo INTO demo});
is(sql('SELECT count(*), sum(n) FROM demo.orders'), sql('SELECT count(*), sum(n) FROM orders'), 'a bearer token, and IMPORT FOREIGN SCHEMA');
cmp_ok(sql(q{SELECT count(*) FROM shard.lake_snapshots('demo.orders')}), '>', 3, 'its snapshots');
sql(q{CREATE FOREIGN TABLE demo.gone (id bigint) SERVER demo OPTIONS (table 'a.b.c')});
like(failure('SELECT * FROM demo.gone'), qr/42P01.*"a\.b\.c" does not exist/, 'a table that is not there');
sql("ALTER USER MAPPING FOR CURRENT_USER SERVER demo OPTIONS (SET token 'stale')");
like(failure('SELECT count(*) FROM demo.orders'), qr/28000.*401.*HINT/s, 'a token that is not good');
sql("ALTER SERVER demo OPTIONS (SET warehouse 'else')");
sql("ALTER USER MAPPING FOR CURRENT_USER SERVER demo OPTIONS (SET token 'fixed-token')");
like(failure('SELECT count(*) FROM demo.orders'), qr/no such warehouse/, 'a warehouse that is not there');

# ---- maintenance, and the end ----

is(sql(q{SELECT count(*) > 0 FROM shard.compact('orders')}), 't', 'compaction');
insert_rows('after compaction');
is_lake_equal($node, 'orders', 'after compaction');
sql('DROP TABLE orders');
ok($node->poll_query_until('postgres', 'SELECT NOT EXISTS (SELECT FROM _shard.lake_trash)'), 'a dropped table goes');
like(ask('GET', '/v1/main/namespaces/public/tables/orders'), qr/NoSuchTable/, 'from the catalog, too');
is(scalar(grep { m{/orders-} } $store->list('s3://lakes/rest/')), 0, 'with its files') if $store;
my $log = slurp_file($node->logfile);
unlike($log, qr/s3cret|fixed-token|Bearer/, 'no secret is in the log');
$node->stop;
done_testing();
