# The lake in an object store: a real S3 server, wrong credentials, and every
# fault that a network and a service can have.  Nothing is lost or doubled, and
# the application's writes never wait.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardStore;
use ShardTest;
use Test::More;
use Time::HiRes qw(usleep);

my $missing = store_missing();
plan skip_all => $missing if defined $missing;
my $store = store_start();
$store->make_bucket('lakes');

my $node = shard_node('store',
	'shard.warehouse' => 's3://lakes/wh',
	'shard.flush_interval' => '100ms',
	'log_statement' => 'none',
	'shard.store_timeout' => '1s',
	'shard.store_max_retries' => 2);
my $cache = $node->data_dir . '/shard/pgsql_tmp_cache';

sub sql { return $node->safe_psql('postgres', $_[0]); }

# What a statement that fails says, with its SQLSTATE.
sub failure
{
	my ($sql, %options) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql", %options);
	return $err;
}

sub wait_for_error
{
	my ($pattern, $name) = @_;
	ok($node->poll_query_until('postgres', "SELECT coalesce(last_error, '') ~ '$pattern' FROM shard.pipeline_status"), $name);
	return;
}

# ---- credentials ----

sql('ALTER SERVER lake OPTIONS (ADD ' . $store->options . ')');
sql(q{
	SELECT shard.create_router('r', 'hash', 4, ARRAY['k']);
	CREATE TABLE orders (k text, id bigint, v text, n int, PRIMARY KEY (k, id))});
like(failure(q{SELECT shard.distribute_table('orders', 'r')}), qr/28000.*no credentials.*HINT.*user mapping/s,
	'without credentials no lake table is made');
sql("CREATE USER MAPPING FOR PUBLIC SERVER lake OPTIONS (access_key_id '$store->{key}', secret_access_key 'wrong-secret-value')");
my $refused = failure(q{SELECT shard.distribute_table('orders', 'r')});
like($refused, qr/28000.*403 SignatureDoesNotMatch.*HINT/s, 'nor with a wrong secret');
unlike($refused, qr/wrong-secret-value/, 'which is not told');
sql("ALTER USER MAPPING FOR PUBLIC SERVER lake OPTIONS (SET secret_access_key '$store->{secret}')");
sql(q{
	SELECT shard.distribute_table('orders', 'r');
	INSERT INTO orders SELECT 'k' || i % 50, i, 'value ' || i, i FROM generate_series(1, 1000) i});
is_lake_equal($node, 'orders', 'with the right one');
sql("ALTER USER MAPPING FOR PUBLIC SERVER lake OPTIONS (SET secret_access_key 'wrong-secret-value')");
sql("INSERT INTO orders VALUES ('late', 5000, 'written while the lake is shut', 0)");
wait_for_error('403', 'the pipeline tells of credentials that were taken away');
sql("ALTER USER MAPPING FOR PUBLIC SERVER lake OPTIONS (SET secret_access_key '$store->{secret}')");
is_lake_equal($node, 'orders', 'and goes on with new ones');
ok((grep { m{^wh/\d+/orders-\w+/data/.*\.parquet$} } $store->list('s3://lakes/wh/')), 'the files are in the bucket');
ok(!-d $node->data_dir . '/shard/warehouse/5', 'and not in the data directory');

# ---- changes ----

sql(q{UPDATE orders SET v = v || '!' WHERE id % 5 = 0; DELETE FROM orders WHERE id % 7 = 0});
is_lake_equal($node, 'orders', 'after updates and deletes');
my $sum = sql('SELECT count(*), sum(n) FROM lake.orders');
$store->requests;
is(sql('SELECT count(*), sum(n) FROM lake.orders'), $sum, 'a second query');
is(scalar($store->requests), 0, 'asks nothing of the store');

# ---- faults: the answer is lost, or says that it did not work ----

my $next = 10_000;
for my $fault (
	[ '500', count => 2 ], [ '503', count => 2, method => 'PUT' ], [ 'drop', count => 2 ],
	[ 'after-drop', count => 1, method => 'PUT', path => 'metadata.json' ],
	[ 'after-500', count => 2, method => 'PUT' ], [ 'after-drop', count => 1, method => 'PUT', path => '.parquet' ],
	[ 'hang', count => 1 ], [ 'skew', count => 1 ])
{
	my ($mode, %options) = @$fault;
	my $rows = 100;
	$store->fault($mode, %options);
	sql("INSERT INTO orders SELECT 'f' || i % 7, $next + i, 'fault', i FROM generate_series(1, $rows) i");
	$next += $rows;
	is_lake_equal($node, 'orders', "with fault $mode " . join(' ', %options));
	$store->fault('none');
}

# ---- the store is dead for a while ----

for my $mode ('503', 'drop')
{
	$store->fault($mode);
	sql("INSERT INTO orders SELECT 'd' || i % 7, $next + i, '$mode', i FROM generate_series(1, 100) i");
	$next += 100;
	wait_for_error($mode eq '503' ? '503' : 'could not write', "a store that is dead ($mode) is in the status");
	is(sql("SELECT count(*) FROM orders WHERE v = '$mode'"), '100', 'writes go on');
	$node->stop('immediate');
	$node->start;
	sql("UPDATE orders SET n = -1 WHERE v = '$mode' AND id % 2 = 0");
	$store->fault('none');
	is_lake_equal($node, 'orders', "when it is back ($mode)");
}
is(sql('SELECT count(*) - count(DISTINCT _event_id) FROM lake.orders_events'), '0', 'no event is there twice');
is( sql(q{SELECT count(*) FROM lake.orders_events WHERE _verb ~ 'created'}),
	sql(qq{SELECT 1001 + $next - 10000}), 'and every row was created once');

# ---- cancel ----

sub empty_cache { system('rm', '-rf', $cache); return; }

empty_cache();
$store->fault('hang');
like(failure('SET statement_timeout = 300; SELECT count(*) FROM lake.orders'),
	qr/57014/, 'a query that waits for the store can be cancelled');
$store->fault('none');

# ---- reading faults ----

$sum = sql('SELECT count(*), sum(n) FROM orders');
for my $mode ('500', 'drop', 'cut')
{
	empty_cache();
	$store->fault($mode, count => 2, method => 'GET');
	is(sql('SELECT count(*), sum(n) FROM lake.orders'), $sum, "reading with fault $mode");
}
empty_cache();
$store->fault('503', method => 'GET');
like(failure('SELECT count(*) FROM lake.orders'), qr/58030.*503.*HINT/s, 'a dead store is an error with a hint');
$store->fault('none');

# ---- other servers and users ----

my $location = sql(q{SELECT metadata_location FROM iceberg_tables WHERE table_name = 'orders'});
like($location, qr{^s3://lakes/wh/}, 'the catalog names the object');
sql(qq{
	CREATE SERVER other FOREIGN DATA WRAPPER shard_lake OPTIONS (@{[ $store->options ]}, path_style 'true');
	CREATE FOREIGN TABLE fixed (k text, id bigint, n int) SERVER other OPTIONS (metadata_location '$location');
	CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
	GRANT SELECT ON fixed TO alice, bob;
	GRANT SELECT ON lake.orders TO bob;
	CREATE USER MAPPING FOR alice SERVER other OPTIONS (@{[ $store->credentials ]});
	CREATE USER MAPPING FOR bob SERVER other OPTIONS (access_key_id '$store->{key}', secret_access_key 'guessed')});
is(sql('SET ROLE alice; SELECT count(*), sum(n) FROM fixed'), $sum, 'a table by its metadata file');
like(failure('SELECT count(*) FROM fixed'), qr/28000.*no credentials/s, 'not without a user mapping, even for a superuser');
my $denied = failure('SET ROLE bob; SELECT count(*) FROM fixed');
like($denied, qr/28000.*SignatureDoesNotMatch.*HINT/s, 'a wrong secret is an error with a hint, though the files are here');
unlike($denied, qr/guessed/, 'which does not tell the secret');

# ---- shared credentials ----

my $file = $node->data_dir . '/../credentials';
append_to_file($file, "[default]\naws_access_key_id = $store->{key}\naws_secret_access_key = $store->{secret}\n");
$node->append_conf('postgresql.conf', "shard.store_credentials = '$file'");
$node->reload;
sql('DROP USER MAPPING FOR PUBLIC SERVER lake; DROP USER MAPPING FOR bob SERVER other');
sql("INSERT INTO orders VALUES ('shared', 1, 'x', 1)");
is_lake_equal($node, 'orders', 'with credentials from a file');
$sum = sql('SELECT count(*), sum(n) FROM orders');
is(sql('SET ROLE bob; SELECT count(*), sum(n) FROM lake.orders'), $sum, 'an ordinary user reads the lake with them');
like(failure('SET ROLE bob; SELECT count(*) FROM fixed'), qr/no credentials/, 'but nothing else');
like(failure('SET ROLE bob; SHOW shard.store_credentials'), qr/superuser|pg_read_all_settings/, 'nor sees where they are');

# ---- the other way to address a bucket ----

my $virtual = $store->{endpoint} =~ s/127\.0\.0\.1/localhost/r;
sql(qq{
	CREATE SERVER hosts FOREIGN DATA WRAPPER shard_lake OPTIONS (endpoint '$virtual', path_style 'false');
	CREATE USER MAPPING FOR PUBLIC SERVER hosts OPTIONS (@{[ $store->credentials ]});
	CREATE FOREIGN TABLE by_host (k text, id bigint, n int) SERVER hosts OPTIONS (metadata_location '$location')});
$store->requests;
is(sql('SELECT count(*), sum(n) FROM by_host'), sql('SET ROLE alice; SELECT count(*), sum(n) FROM fixed'), 'the bucket in the name of the host');
ok((grep { $_->{url} =~ m{^/wh/} } $store->requests), 'and not in the path');

# ---- temporary credentials ----

my ($key, $secret, $token) = $store->session;
sql(qq{
	CREATE SERVER brief FOREIGN DATA WRAPPER shard_lake OPTIONS (@{[ $store->options ]});
	CREATE USER MAPPING FOR PUBLIC SERVER brief OPTIONS (access_key_id '$key', secret_access_key '$secret', session_token '$token');
	CREATE FOREIGN TABLE by_session (k text, id bigint, n int) SERVER brief OPTIONS (metadata_location '$location')});
$store->requests;
is(sql('SELECT count(*), sum(n) FROM by_session'), sql('SET ROLE alice; SELECT count(*), sum(n) FROM fixed'), 'with a session token');
ok((grep { ($_->{signed} // '') =~ /x-amz-security-token/ } $store->requests), 'which is signed');
my $other = reverse $token;
sql("ALTER USER MAPPING FOR PUBLIC SERVER brief OPTIONS (SET session_token '$other')");
empty_cache();
my $expired = failure('SELECT count(*) FROM by_session');
like($expired, qr/(28000|42501).*object store answers 403.*HINT/s, 'a wrong session token is an error');
unlike($expired, qr/\Q$other\E|\Q$secret\E/, 'which does not tell it');

# ---- names of objects as Hadoop has them ----

my ($elsewhere) = $location =~ s/^s3:/s3a:/r;
sql(qq{CREATE FOREIGN TABLE by_other_name (k text, id bigint, n int) SERVER other OPTIONS (metadata_location '$elsewhere')});
is(sql('GRANT SELECT ON by_other_name TO alice; SET ROLE alice; SELECT count(*), sum(n) FROM by_other_name'),
	sql('SET ROLE alice; SELECT count(*), sum(n) FROM fixed'), 's3a is s3');

# ---- TLS by an authority of one's own ----

my ($tls_port, $ca_file) = $store->tls;
sql(qq{
	CREATE SERVER safe FOREIGN DATA WRAPPER shard_lake OPTIONS (endpoint 'https://localhost:$tls_port', path_style 'false');
	CREATE USER MAPPING FOR PUBLIC SERVER safe OPTIONS (@{[ $store->credentials ]});
	CREATE FOREIGN TABLE by_tls (k text, id bigint, n int) SERVER safe OPTIONS (metadata_location '$location')});
like(failure('SELECT count(*) FROM by_tls'), qr/08006.*certificate.*HINT.*store_ca_file/s, 'a certificate that nobody knows');
$node->append_conf('postgresql.conf', "shard.store_ca_file = '$ca_file'");
$node->reload;
$node->poll_query_until('postgres', "SELECT current_setting('shard.store_ca_file') = '$ca_file'") or die;
is(sql('SELECT count(*), sum(n) FROM by_tls'), sql('SET ROLE alice; SELECT count(*), sum(n) FROM fixed'),
	'is known by its authority, with the bucket in the name of the host');
sql(q{ALTER SERVER safe OPTIONS (SET path_style 'true')});
empty_cache();
is(sql('SELECT count(*), sum(n) FROM by_tls'), sql('SET ROLE alice; SELECT count(*), sum(n) FROM fixed'), 'or in the path');

# ---- columns ----

# An upload whose begin was answered too late would stay for ever.
$node->append_conf('postgresql.conf', "shard.store_timeout = '60s'");
$node->reload;
sql(q{
	CREATE TABLE wide (k text, id bigint, a text, b text, c bytea, PRIMARY KEY (k, id));
	SELECT shard.distribute_table('wide', 'r')});
$store->requests;
$store->fault('503', count => 1, method => 'PUT', path => 'uploadId');
sql(q{
	INSERT INTO wide SELECT 'w' || i % 9, i, md5(i::text), md5((i * 3)::text),
		sha512(i::text::bytea) || sha512((i + 1000000)::text::bytea) || sha512((i + 2000000)::text::bytea)
		|| sha512((i + 3000000)::text::bytea)
	FROM generate_series(1, 60000) i;
	SELECT shard.flush()});
my @parts = grep { $_->{method} eq 'PUT' && $_->{url} =~ /uploadId/ } $store->requests;
cmp_ok(scalar(@parts), '>', 2, 'a large file is uploaded in parts');
is($store->client('', 'uploads', 's3://lakes'), '', 'and no upload is left unfinished');
my ($bytes) = split /\n/, sql(q{SELECT sum(bytes) FROM shard.lake_files('wide')});
cmp_ok($bytes, '>', 15_000_000, 'a file of some size');
empty_cache();
$store->requests;
is(sql('SELECT count(DISTINCT id), sum(id) FROM lake.wide'), '60000|1800030000', 'one column');
my $read = 0;
$read += $_->{bytes} for grep { $_->{url} =~ /parquet/ } $store->requests;
cmp_ok($read, '<', $bytes / 3, 'is fetched without the others');
is(sql('SELECT count(*), min(a), max(b) FROM lake.wide'), sql('SELECT count(*), min(a), max(b) FROM wide'), 'and then the others');
$store->requests;
is(sql('SELECT count(*), min(a), max(b), sum(id) FROM lake.wide'),
	sql('SELECT count(*), min(a), max(b), sum(id) FROM wide'), 'all of them again');
is(scalar($store->requests), 0, 'from here');

# ---- a cache that is full ----

$node->append_conf('postgresql.conf', "shard.file_cache_size = '2MB'");
$node->reload;
for my $table ('wide', 'orders', 'wide')
{
	empty_cache() if $table eq 'orders';
	is(sql("SELECT count(*) FROM (SELECT * FROM lake.$table EXCEPT ALL SELECT * FROM $table) d"), '0', "$table with a small cache");
}
# Room is made when something is fetched, and of what no transaction uses.
my $kept;
for my $i (1 .. 100)
{
	sql("INSERT INTO orders VALUES ('cache', $i, 'x', 1)");
	sql('SELECT shard.flush(); SELECT count(*) FROM lake.orders');
	($kept) = split /\s/, `du -sk $cache`;
	last if $kept < 4096;
	usleep(100_000);
}
cmp_ok($kept, '<', 4096, 'old copies go');

# ---- readers that are not ours ----

{
	local $ENV{S3_ENDPOINT} = "http://127.0.0.1:$store->{port}";
	local $ENV{S3_KEY} = $store->{key};
	local $ENV{S3_SECRET} = $store->{secret};
	my $location = sql(q{SELECT metadata_location FROM iceberg_tables WHERE table_name = 'orders'});
	my ($out, $err) = run_command([ 'node', "$ENV{TESTDIR}/tools/s3-icebird.mjs", $location, 'id' ]);
	is($out, sql(q{SELECT count(*) || ' ' || sum(id) FROM orders}), 'icebird reads the same from the store') or diag($err);
}

# ---- removal ----

sql('DROP TABLE orders; SELECT shard.flush()');
ok($node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND NOT EXISTS (SELECT FROM _shard.lake_trash)'), 'a dropped table is removed');
is(scalar(grep { m{/orders-} } $store->list('s3://lakes/wh/')), 0, 'with all its objects');
ok((grep { m{/wide-} } $store->list('s3://lakes/wh/')), 'and not those of others');

my $log = slurp_file($node->logfile);
ok(index($log, $store->{secret}) < 0, 'the log does not hold the secret')
    or diag('the log holds it');
unlike($log, qr/Credential=|Signature=/, 'nor a signature');
$node->stop;
done_testing();
