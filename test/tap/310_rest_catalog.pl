# A REST catalog: tables of others read by it, and the pipeline's lake in it:
# tokens that expire, conflicts, answers that are lost, and processes killed
# between the catalog's commits and the database's, with a catalog that commits
# several tables at once and with one that does not.  Nothing is lost or doubled.

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
# credentials along with each table.  Its locations are spelled as Hadoop does.
my $store = defined store_missing() ? undef : store_start();
my $warehouse = $store ? 's3a://lakes/rest' : PostgreSQL::Test::Utils::tempdir();
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
sub requests { my ($method, $path) = @_; return scalar grep { $_->{method} eq $method && $_->{url} =~ $path } @{ JSON::PP->new->decode(ask('GET', '/__requests')) }; }
sub table { return JSON::PP->new->decode(ask('GET', "/v1/main/namespaces/$_[0]/tables/$_[1]")); }

my $node = shard_node('rest', 'shard.flush_interval' => '100ms', 'shard.store_timeout' => '2s',
	'shard.store_max_retries' => 3, 'log_statement' => 'none', 'restart_after_crash' => 'on',
	'shard.compaction' => 'off', 'shard.orphan_min_age' => '0', 'fsync' => 'off');
my $points = $node->data_dir . '/points.conf';

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub failure
{
	my ($sql) = @_;
	my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	return $err;
}

# A setting, seen by a session that begins now.
sub set
{
	my ($name, $value) = @_;
	open(my $out, '>', "$points.new") or die "$points: $!";
	print $out "$name = '$value'\n";
	close($out);
	rename("$points.new", $points) or die "$points: $!";
	$node->reload;
	$node->poll_query_until('postgres', "SELECT current_setting('$name') = '$value'") or die "$name is not $value";
	return;
}

append_to_file($points, '');
$node->append_conf('postgresql.conf', "include 'points.conf'");

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
	INSERT INTO orders SELECT 'k' || i % 50, i, 'value ' || i, 0 FROM generate_series(1, 1000) i});
is_lake_equal($node, 'orders', 'a table in the catalog');
is(sql('SELECT count(*) FROM iceberg_tables'), '0', 'and not in iceberg_tables');
my $loaded = table('public', 'orders');
is($loaded->{metadata}{refs}{main}{type}, 'branch', 'the catalog has its snapshot');
like($loaded->{metadata}{location}, qr{^\Q$warehouse\E/}, 'where the catalog wants it');

# ---- changes, tokens, columns ----

sql(q{UPDATE orders SET v = v || '!', n = n + 1 WHERE id % 5 = 0; DELETE FROM orders WHERE id % 7 = 0});
is_lake_equal($node, 'orders', 'after updates and deletes');
ask('POST', '/__expire');
sql(q{ALTER TABLE orders ADD COLUMN extra int; UPDATE orders SET extra = id, n = n + 1 WHERE id < 20});
is_lake_equal($node, 'orders', 'with a new column and a token that had expired');

# ---- somebody else commits ----

my $uuid = table('public', 'orders')->{metadata}{'table-uuid'};
ask('POST', '/v1/main/namespaces/public/tables/orders', JSON::PP->new->encode({
	requirements => [ { type => 'assert-table-uuid', uuid => $uuid } ],
	updates => [ { action => 'set-properties', updates => { 'written-by' => 'somebody else' } } ] }));
sql("INSERT INTO orders (k, id, n) VALUES ('other', 5000, 0)");
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
sql("INSERT INTO orders (k, id, n) VALUES ('later', 6000, 0)");
is_lake_equal($node, 'orders', 'after a tag and a branch were made');
isnt(sql('SELECT count(*), sum(id), sum(n) FROM lake.orders'), $rows_then, 'with other rows');
for my $as_of ('the tag', 'a-branch', $then)
{
	is(sql("SET shard.as_of = '$as_of'; SELECT count(*), sum(id), sum(n) FROM lake.orders"), $rows_then, "the setting as_of: $as_of");
	sql("ALTER FOREIGN TABLE lake.orders OPTIONS (ADD as_of '$as_of')");
	is(sql('SELECT count(*), sum(id), sum(n) FROM lake.orders'), $rows_then, "the option as_of: $as_of");
	sql('ALTER FOREIGN TABLE lake.orders OPTIONS (DROP as_of)');
}
# or they would keep their snapshot's files for ever
ask('POST', '/v1/main/namespaces/public/tables/orders', JSON::PP->new->encode({
	requirements => [ { type => 'assert-table-uuid', uuid => $uuid } ],
	updates => [ map { { action => 'remove-snapshot-ref', 'ref-name' => $_ } } 'the tag', 'a-branch' ] }));

# ---- what must be true of events ----

my $next = 10_000;
my $emitted = 0;

# Each update of a row of orders adds 1 to n, so that its events can be counted.
sub insert_rows
{
	my ($v) = @_;
	sql("INSERT INTO orders (k, id, v, n) SELECT 'f' || i % 7, $next + i, '$v', 0 FROM generate_series(1, 100) i;"
		. "UPDATE orders SET n = n + 1 WHERE id % 11 = 3; DELETE FROM orders WHERE id % 13 = 5 AND id >= $next - 50;"
		. "SELECT shard.emit('r', 'tick', 'clock', '{}')");
	$next += 100;
	$emitted++;
	return;
}

sub events_are_right
{
	my ($table, $name) = @_;
	is(sql(qq{
		SELECT count(*) FROM (SELECT id, count(*) FILTER (WHERE _verb = 'created') - count(*) FILTER (WHERE _verb = 'deleted') AS n,
			count(*) - count(DISTINCT _event_id) AS twice FROM lake.${table}_events WHERE id IS NOT NULL GROUP BY id) e
		FULL JOIN (SELECT id, count(*) AS n FROM $table GROUP BY id) t USING (id)
		WHERE coalesce(e.n, 0) <> coalesce(t.n, 0) OR e.twice > 0}), '0', "$name: each row came and went once by $table\'s events");
	return;
}

# Of a table that was never compared, each update has its event, too; a comparison makes one event of several.
sub updates_are_right
{
	my ($name, $compared) = @_;
	my $wrong = $compared ? '<' : '<>';
	is(sql(qq{
		SELECT count(*) FROM orders t LEFT JOIN (SELECT id, count(*) AS n FROM lake.orders_events
			WHERE _verb = 'updated' GROUP BY id) e USING (id) WHERE t.n $wrong coalesce(e.n, 0)}), '0', "$name: no update is two events, or none");
	is(sql(q{SELECT count(*) || ' ' || count(DISTINCT _event_id) FROM lake.shard_r_events}), "$emitted $emitted",
		"$name: so is each custom event");
	return;
}

# ---- faults, with both kinds of catalog ----

sub try_faults
{
	my ($kind, $path) = @_;
	for my $fault (
		[ '500', count => 2 ], [ '409', count => 2 ], [ '503', count => 2 ], [ '504', count => 1, method => 'GET' ],
		[ 'after-500', count => 1 ], [ 'after-503', count => 1 ], [ 'after-504', count => 1 ], [ 'after-drop', count => 2 ])
	{
		my ($mode, %options) = @$fault;
		%options = (method => 'POST', path => $path, %options) unless $options{method};
		fault($mode, %options);
		insert_rows("fault $mode");
		is_lake_equal($node, 'orders', "$kind, with fault " . join(' ', $mode, map { "$_ $options{$_}" } sort keys %options));
		fault('none');
	}
	updates_are_right($kind);
	events_are_right('orders', $kind);
	return;
}

requests('POST', qr/./);
try_faults('together', 'transactions');
fault('half', count => 1, path => 'transactions');
insert_rows('half');
is_lake_equal($node, 'orders', 'a catalog that does a half and knows it not');
insert_rows('whole');
is_lake_equal($node, 'orders', 'and then all');
is(requests('POST', qr{tables/orders_events$}), 0, 'but for that, all tables were committed in one request');
ask('POST', '/__together?on=0');
try_faults('one by one', '/tables/');
cmp_ok(requests('POST', qr{tables/orders_events$}), '>', 8, 'a catalog that cannot do several tables has them one by one');

# ---- killed between the catalog's commits and the database's ----

my $killed = 0;

sub worker_at
{
	my ($point) = @_;
	my $pid = sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'shard pipeline' AND query = 'at point $point'");
	return $pid eq '' ? undef : $pid;
}

# The worker waits at the point; whatever it takes to get there is done until it is.
sub reach
{
	my ($point, $work) = @_;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		$work->() if $_ % 20 == 1;
		my $pid = worker_at($point);
		return $pid if defined $pid;
		usleep(50_000);
	}
	die "$point is not reached";
}

# A worker that is killed takes the server through crash recovery, where the point is as before.
sub kill_worker
{
	my ($pid) = @_;
	my $log = -s $node->logfile;
	kill 'KILL', $pid;
	$node->wait_for_log(qr/terminated by signal 9/, $log);
	wait_until_up($node) or die 'no recovery';
	return;
}

sub killed_at
{
	my ($point, $work, $meanwhile) = @_;
	set('shard.point', "$point:wait");
	my $pid = reach($point, $work);
	$meanwhile->() if $meanwhile;
	kill_worker($pid);
	return;
}

sub flush_killed_at
{
	my ($kind, $point, $meanwhile) = @_;
	killed_at($point, sub { insert_rows($point) }, $meanwhile);
	# more changes, so that the next flush would end elsewhere
	insert_rows("after $point");
	set('shard.point', '');
	is_lake_equal($node, 'orders', "$kind, killed at $point");
	return;
}

for my $kind ('one by one', 'together')
{
	ask('POST', '/__together?on=' . ($kind eq 'together' ? 1 : 0));
	flush_killed_at($kind, $_) for $kind eq 'together' ? ('lake-after-catalog', 'pipeline-before-confirm')
		: ('pipeline-between-commits', 'pipeline-before-commit');
	updates_are_right($kind);
	events_are_right('orders', $kind);
}

# ---- the same with comparisons ----

sql(q{
	CREATE TABLE plain (k text, id bigint, v text, n int, PRIMARY KEY (k, id));
	CREATE TABLE bare (k text NOT NULL, id bigint, v text);
	ALTER TABLE bare REPLICA IDENTITY FULL;
	SELECT shard.distribute_table('plain', 'r');
	SELECT shard.distribute_table('bare', 'r')});
# their first comparisons are not those that are to be stopped
sql('SELECT shard.flush()');

# What no change tells: a leaf that has rows in the lake is emptied.
sub fill_leaves
{
	my ($table) = @_;
	sql(qq{
		INSERT INTO $table (k, id, v) SELECT 'c' || i % 20, $next + i, 'value' FROM generate_series(1, 200) i;
		SELECT shard.flush()});
	return;
}

sub empty_leaf
{
	my ($table) = @_;
	sql(qq{
		TRUNCATE r_shard_1.$table;
		INSERT INTO $table (k, id, v) SELECT 'd' || i % 20, $next + 300 + i, 'more' FROM generate_series(1, 50) i});
	$next += 1000;
	return;
}

# A flush with nothing to compare passes the point, and then the worker knows it.  The leaf is
# emptied once: a worker that waits there holds what a second time would wait for.
sub comparison_killed_at
{
	my ($point, $table) = @_;
	fill_leaves($table);
	set('shard.point', "$point:wait");
	sql('SELECT shard.flush()');
	empty_leaf($table);
	kill_worker(reach($point, sub { }));
	return;
}

for my $case ([ 'one by one', 'bare', 'resync-between-commits' ], [ 'one by one', 'plain', 'resync-between-commits' ],
	[ 'one by one', 'plain', 'pipeline-resync-before-commit' ], [ 'together', 'plain', 'resync-between-commits' ],
	[ 'together', 'plain', 'pipeline-resync-before-commit' ])
{
	my ($kind, $table, $point) = @$case;
	ask('POST', '/__together?on=' . ($kind eq 'together' ? 1 : 0));
	comparison_killed_at($point, $table);
	if ($point eq 'resync-between-commits')
	{
		# and once more, after other changes
		sql("INSERT INTO $table (k, id, v) SELECT k, id + 500, 'again' FROM $table WHERE id % 7 = 0 AND id > $next - 1000;"
			. "DELETE FROM $table WHERE id % 3 = 0");
		my $pid = reach($point, sub { });
		kill_worker($pid);
		sql("DELETE FROM $table WHERE id % 5 = 0");
	}
	set('shard.point', '');
	is_lake_equal($node, $table, "$kind, comparison killed at $point");
	events_are_right($table, "$kind, comparison killed at $point");
}

# A flush that wrote events and not the state, of a table that then is to be compared.
ask('POST', '/__together?on=0');
flush_killed_at('one by one, to be compared', 'pipeline-between-commits', sub { sql(q{SELECT shard.resync('orders')}) });
updates_are_right('one by one, to be compared', 1);
events_are_right('orders', 'one by one, to be compared');
ask('POST', '/__together?on=1');

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

# ---- maintenance ----

# Names of a table's files, below its location.
sub files
{
	my ($table) = @_;
	my $location = table('public', $table)->{metadata}{location};
	my @names = $store ? $store->list($location . '/') : split /\n/, `find '$location' -type f -printf '%P\\n'`;
	return map { s{^.*/(data|metadata)/}{$1/}r } @names;
}

sub put_file
{
	my ($uri) = @_;
	return $store->client('left', 'put', $uri) if $store;
	append_to_file($uri, 'left');
	return;
}

is(sql(q{SELECT count(*) FROM shard.maintenance WHERE compactions > 0}), '0', 'nothing is compacted while that is off');
open(my $out, '>', "$points.new") or die $!;
print $out "shard.compaction = on\nshard.maintenance_interval = '100ms'\n";
close($out);
rename("$points.new", $points) or die $!;
$node->reload;
for my $table ('public.orders', 'public.orders_events', 'shard.r_events')
{
	my $done = 0;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		# flushes go on, so that commits meet
		insert_rows('while it is compacted');
		$done = sql("SELECT count(*) FROM shard.maintenance WHERE lake_table = '$table' AND compactions > 0");
		last if $done;
		usleep(100_000);
	}
	is($done, '1', "$table is compacted by itself");
}
is(sql('SELECT count(*) FROM shard.maintenance WHERE last_error IS NOT NULL'), '0', 'without an error')
  or diag(sql('SELECT lake_table, last_error FROM shard.maintenance'));
is_lake_equal($node, 'orders', 'after it');
updates_are_right('after compaction', 1);
events_are_right('orders', 'after compaction');
set('shard.compaction', 'off');
$node->poll_query_until('postgres', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type ~ 'shard maintenance')}) or die;

is(sql(q{SELECT count(*) FROM shard.compact('orders', true)}), '2', 'compaction by hand');
is(sql(q{SELECT sum(files_after) FROM shard.compact('orders', true)}), '0', 'leaves nothing to do');
cmp_ok(sql(q{SELECT sum(snapshots_removed) FROM shard.expire_snapshots('orders', '0 s')}), '>', 10, 'snapshots expire');
is(scalar @{ table('public', 'orders')->{metadata}{snapshots} }, 1, 'in the catalog');
ok($node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND NOT EXISTS (SELECT FROM _shard.lake_trash)'),
	'and their files go');
my $metadata = grep { /metadata\.json$/ } files('orders');
my $live = sql(q{SELECT count(*) FROM shard.lake_files('orders')});
put_file(table('public', 'orders')->{metadata}{location} . '/data/0123456789-left.parquet');
sql("SELECT shard.remove_orphan_files('orders', '0 s')");
ok($node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND NOT EXISTS (SELECT FROM _shard.lake_trash)'),
	'orphans go');
is(scalar(grep { m{^data/} } files('orders')), $live, 'only live files are left');
is(scalar(grep { /metadata\.json$/ } files('orders')), $metadata, 'and the files that are the catalog\'s own');
insert_rows('after maintenance');
is_lake_equal($node, 'orders', 'after all of it');

# ---- the end ----

sql('DROP TABLE orders');
ok($node->poll_query_until('postgres', 'SELECT _shard.lake_empty_trash() = 0 AND NOT EXISTS (SELECT FROM _shard.lake_trash)'), 'a dropped table goes');
like(ask('GET', '/v1/main/namespaces/public/tables/orders'), qr/NoSuchTable/, 'from the catalog, too');
is(scalar(grep { m{/orders-} } $store->list('s3://lakes/rest/')), 0, 'with its files') if $store;
my $log = slurp_file($node->logfile);
unlike($log, qr/s3cret|fixed-token|Bearer/, 'no secret is in the log');
$node->stop;
done_testing();
