# Counters: exact with many sessions at once, carried over a clean restart, gone
# after a crash; forwarded commands are tried again after real deadlocks and
# serialization failures.

use strict;
use warnings;
use Test::More;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;

my $node = shard_node('counters', 'deadlock_timeout' => '20ms', restart_after_crash => 'on');
shard_table($node, 'orders', router => 'app', rows => 1000);

sub value { return $node->safe_psql('postgres', $_[0]); }

# ---- exact ----

my $script = $node->basedir . '/script.sql';
append_to_file($script, q{
\set i random(0, 99)
SELECT shard.route('app', 'key-:i');
SELECT v FROM orders WHERE k = 'key-:i' AND id = :i;
INSERT INTO orders VALUES ('key-:i', nextval('ids'), 'new', 0);
SELECT shard.record_access('app', 'key-7', 'read');
});
value(q{CREATE SEQUENCE ids START 100000; SELECT shard.flush(); SELECT shard.stat_reset()});
$node->command_ok([ 'pgbench', '-n', '-c', '8', '-j', '2', '-t', '100', '-f', $script, $node->connstr('postgres') ],
	'eight sessions at once');
is(value(q{SELECT routing_operations FROM shard.metrics('app')}), 800, 'every routing operation was counted');
is(value(q{SELECT sum(value::bigint) FROM shard.metrics('app'), jsonb_each_text(shard_distribution)}),
	800, 'each on one shard');
is(value(q{SELECT writes FROM shard.stat_routers WHERE router = 'app'}), 800, 'every row written');
is(value(q{SELECT reads FROM shard.stat_routers WHERE router = 'app'}), 1600, 'every read');
is(value(q{SELECT count(*) FROM shard.stat_shards s WHERE s.writes <>
	(SELECT count(*) FROM orders WHERE id >= 100000 AND shard.route('app', k) = s.shard_index)}),
	0, 'writes by shard are those of the rows that are there');
value(q{SELECT shard.flush()});
is(value(q{SELECT accesses BETWEEN 800 AND 1600 FROM shard.hot_keys('app', 1, '1 hour') WHERE key = 'key-7'}),
	't', 'the hottest key is found');
is(value(q{SELECT count(*) FROM (SELECT k, count(*) AS n FROM orders WHERE id >= 100000 GROUP BY k) w
	LEFT JOIN shard.hot_keys('app', 1000, '1 hour') h ON h.key = w.k
	WHERE h.key IS NULL OR h.accesses < w.n OR h.at_most < h.accesses}),
	0, 'keys written have at least as many accesses');

# ---- a clean restart, and a crash ----

my $all = q{SELECT * FROM shard.stat_shards ORDER BY shard_index};
my $keys = q{SELECT key, accesses FROM shard.hot_keys('app', 1000, '1 hour') ORDER BY 1};
my ($shards_before, $keys_before) = (value($all), value($keys));
$node->stop('fast');
ok(-s $node->data_dir . '/shard/counters.stat', 'a clean stop writes a file');
$node->start();
ok(!-e $node->data_dir . '/shard/counters.stat', 'which is removed at the start');
is(value($all), $shards_before, 'counters are carried over');
is(value($keys), $keys_before, 'and keys');
value(q{SELECT shard.route('app', 'key-1')});
is(value(q{SELECT routing_operations > 800 FROM shard.metrics('app')}), 't', 'and go on');

$node->stop('fast');
my $file = $node->data_dir . '/shard/counters.stat';
my $damaged = slurp_file($file);
substr($damaged, 5000, 1) = chr(ord(substr($damaged, 5000, 1)) ^ 1);
open(my $out, '>:raw', $file) or die $!;
print $out $damaged;
close($out);
$node->start();
is(value(q{SELECT routing_operations FROM shard.metrics('app')}), 0, 'a damaged file is not believed');
like(slurp_file($node->logfile), qr/ignoring file "shard\/counters.stat"/, 'and the log says so');

value(q{SELECT shard.route('app', 'key-1')});
$node->stop('fast');
$node->append_conf('postgresql.conf', "shard.watched_shards = 100");
$node->start();
is(value(q{SELECT routing_operations FROM shard.metrics('app')}), 0, 'nor one of other sizes');

value(q{SELECT shard.route('app', 'key-1')});
kill_matching($node, 'background writer');
wait_until_up($node);
is(value(q{SELECT routing_operations FROM shard.metrics('app')}), 0, 'after a crash counting begins anew');

# ---- more shards than can be counted ----

value(q{SELECT shard.create_router('many', 'hash', 200)});
value(q{SELECT count(shard.route('many', i::text)) FROM generate_series(1, 5000) i});
is(value(q{SELECT routing_operations FROM shard.metrics('many')}), 5000, 'totals are right with more shards than slots');
is(value(q{SELECT count(*) FILTER (WHERE routing_operations > 0) <= 100 FROM shard.stat_shards WHERE router = 'many'}),
	't', 'shards beyond them show none');
value(q{SELECT shard.drop_router('many')});
value(q{SELECT shard.route('app', 'key-' || i) FROM generate_series(1, 50) i});
is(value(q{SELECT sum(routing_operations) FROM shard.stat_shards WHERE router = 'app'}), 50,
	'slots of a dropped router are free again');

# ---- retries after real conflicts ----

value(q{SELECT shard.stat_reset();
	SELECT shard.alter_router('app', retry => '{"max_retries": 20, "retry_delay_ms": 5}')});

# Two commands update two rows in opposite order; each holds one before either
# may go on to the other.
value(q{CREATE TABLE rows (id int PRIMARY KEY, n int);
	INSERT INTO rows VALUES (1, 0), (2, 0)});
value(q{CREATE FUNCTION add_both(first int, last int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		UPDATE public.rows SET n = n + 1 WHERE id = first;
		PERFORM pg_advisory_xact_lock_shared(1);
		UPDATE public.rows SET n = n + 1 WHERE id = last;
	END$$});
my $holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe(q{SELECT pg_advisory_lock(1)});
my @both = map { $node->background_psql('postgres', on_error_stop => 0) } 1 .. 2;
my @order = ([ 1, 2 ], [ 2, 1 ]);
for my $i (0, 1)
{
	$both[$i]->query_until(qr/sent/, qq{\\echo sent
SELECT shard.forward('app', 'key-1', 'SELECT public.add_both(\$1, \$2)', '$order[$i][0]', '$order[$i][1]');
});
}
$node->poll_query_until('postgres', q{SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted})
  or die 'the commands do not get to the lock';
$holder->query_safe(q{SELECT pg_advisory_unlock(1)});
$holder->quit;
$_->query_safe('SELECT 1') for @both;
$_->quit for @both;
is(value(q{SELECT string_agg(n::text, ',') FROM rows}), '2,2', 'two commands that deadlock are both done, once');
ok($node->poll_query_until('postgres', q{SELECT deadlocks > 0 FROM pg_stat_database WHERE datname = 'postgres'}),
	'and there was a deadlock');

# A lock that another session holds.
$holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe(q{BEGIN; LOCK TABLE rows IN ACCESS EXCLUSIVE MODE});
value(q{SELECT shard.alter_router('app', retry => '{"max_retries": 2, "retry_delay_ms": 5}')});
my ($ret, $stdout, $stderr) = $node->psql('postgres',
	q{SELECT shard.forward('app', 'key-1', 'SELECT set_config(''lock_timeout'', ''10ms'', true); SELECT * FROM public.rows')});
like($stderr, qr/lock timeout.*after 2 retries/s, 'a lock that is not to be had is asked for again, then given up');
$holder->query_safe('COMMIT');
$holder->quit;
is(value(q{SELECT count(*) FROM shard.forward('app', 'key-1', 'SELECT set_config(''lock_timeout'', ''10ms'', true); SELECT * FROM public.rows')}),
	2, 'it is there when the lock is');
is(value(q{SELECT current_setting('lock_timeout')}), '0', 'and settings are as before');
is(value(q{SELECT forward_operations, error_count FROM shard.metrics('app')}), '4|1', 'one command failed in the end');

# ---- one shard fails, the others answer ----

my ($leaf) = value(q{SELECT schema FROM shard.shards WHERE router = 'app' AND shard_index = 2});
$holder = $node->background_psql('postgres', on_error_stop => 0);
$holder->query_safe(qq{BEGIN; LOCK TABLE $leaf.orders IN ACCESS EXCLUSIVE MODE});
is(value(q{SELECT string_agg(shard_index || ':' || coalesce(left(error, 5), 'ok'), ' ' ORDER BY shard_index)
	FROM shard.scatter_gather('app', 'SELECT set_config(''lock_timeout'', ''10ms'', true); SELECT count(*) FROM orders')}),
	'0:ok 1:ok 2:55P03 3:ok', 'the answers of the shards that have one, and the error of the other');
$holder->query_safe('COMMIT');
$holder->quit;

done_testing();
