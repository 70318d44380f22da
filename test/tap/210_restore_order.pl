# The order in which a restore brings things does not matter: leaves before the
# rows of schema _shard, pins among them; and pg_dump puts the row that declares
# a router complete after its pins.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('order');
my $dir = PostgreSQL::Test::Utils::tempdir();
my @at = ('-h', $node->host, '-p', $node->port);

$node->safe_psql('postgres', q{
	SELECT shard.create_router('app', 'tenant', 4, partition_key => '{tenant}');
	SELECT shard.pin('app', 'acme', (shard.route('app', 'acme') + 1) % 4);
	SELECT shard.pin('app', 'pin ' || i, i % 4) FROM generate_series(1, 200) AS i;
	CREATE TABLE orders (tenant text, id int, PRIMARY KEY (tenant, id));
	SELECT shard.distribute_table('orders', 'app', lake => false);
	INSERT INTO orders SELECT 'acme', i FROM generate_series(1, 100) AS i;
	INSERT INTO orders SELECT 'pin ' || i, i FROM generate_series(1, 200) AS i;
	INSERT INTO orders SELECT 'other ' || i, i FROM generate_series(1, 200) AS i;
});

my $contents = q{SELECT tableoid::regclass, tenant, id FROM orders ORDER BY 2, 3};
my $expected = $node->safe_psql('postgres', $contents);

$node->command_ok([ 'pg_dump', @at, '-Fc', '-f', "$dir/dump", 'postgres' ], 'dumped');
my ($list) = run_command([ 'pg_restore', '-l', "$dir/dump" ]);
my @data = grep { / TABLE DATA / } split /\n/, $list;
my %place;
for my $i (0 .. $#data)
{
	$place{$1} = $i if $data[$i] =~ / TABLE DATA _shard (\w+) /;
}
cmp_ok($place{router_ready}, '>', $place{$_}, "router_ready is restored after $_")
  for qw(router shard pin);

# Data in an order of our own, one step each.
sub restore
{
	my ($database, @steps) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->command_ok([ 'pg_restore', @at, '--exit-on-error', '--section=pre-data', '-d', $database, "$dir/dump" ],
		"$database: definitions");
	for my $step (@steps)
	{
		my ($name, $pattern) = @$step;
		append_to_file("$dir/$database.$name", join("\n", grep { $_ =~ $pattern } @data) . "\n");
		$node->command_ok(
			[ 'pg_restore', @at, '--exit-on-error', '-d', $database, '-L', "$dir/$database.$name", "$dir/dump" ],
			"$database: $name");
		if ($name ne 'ready')
		{
			my ($result, $out, $err) = $node->psql($database, q{INSERT INTO orders VALUES ('acme', 0)});
			like($err, qr/router "app" has no map/, "$database: the parent takes no rows after $name");
		}
	}
	$node->command_ok([ 'pg_restore', @at, '--exit-on-error', '--section=post-data', '-d', $database, "$dir/dump" ],
		"$database: keys");
	is($node->safe_psql($database, $contents), $expected, "$database: the same rows in the same shards");
	is($node->safe_psql($database, q{SELECT count(*) FROM shard.verify_placement('app')}), '0',
		"$database: nothing is misplaced");
	$node->safe_psql($database, q{INSERT INTO orders VALUES ('acme', 0)});
	is($node->safe_psql($database, q{SELECT count(*), count(DISTINCT tableoid) FROM orders WHERE tenant = 'acme'}),
		'101|1', "$database: a pinned key is found");
	my ($result, $out, $err) = $node->psql($database, 'DROP EXTENSION shard CASCADE');
	isnt($result, 0, "$database: the extension does not fall while tables use it");
	$node->safe_psql($database, 'DROP TABLE orders; DROP EXTENSION shard');
	is($node->safe_psql($database, q{SELECT count(*) FROM pg_opfamily WHERE opfname = 'app'}), '0',
		"$database: it takes unused families along");
	return;
}

my $leaf = qr/ TABLE DATA app_shard_/;
restore('leaves_first', [ leaves => $leaf ], [ rest => qr/ TABLE DATA (?!app_shard_)(?!_shard router_ready)/ ],
	[ ready => qr/ TABLE DATA _shard router_ready / ]);
restore('pins_late', [ router => qr/ TABLE DATA _shard router / ], [ leaves => $leaf ],
	[ rest => qr/ TABLE DATA (?!app_shard_)(?!_shard router)/ ],
	[ ready => qr/ TABLE DATA _shard router_ready / ]);

# Row by row, as text.
$node->safe_psql('postgres', 'CREATE DATABASE by_inserts');
$node->command_ok([ 'pg_dump', @at, '--inserts', '-f', "$dir/inserts.sql", 'postgres' ], 'dumped as INSERT statements');
$node->command_ok([ 'psql', '-Xq', @at, '-v', 'ON_ERROR_STOP=1', '-d', 'by_inserts', '-f', "$dir/inserts.sql" ],
	'restored from INSERT statements');
is($node->safe_psql('by_inserts', $contents), $expected, 'by_inserts: the same rows in the same shards');

$node->stop();
done_testing();
