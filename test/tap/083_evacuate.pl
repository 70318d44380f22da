# A shard whose schema was dropped, or whose file is gone, is removed all the
# same: its keys are rebuilt from the lake.  What the lake does not have is told.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub error_of
{
	my ($result, $out, $err) = $node->psql('postgres', $_[0]);
	return $err;
}

sub set_up
{
	my ($strategy) = @_;
	sql(qq{
		SELECT shard.create_router('app', '$strategy', 3, ARRAY['k']);
		CREATE TABLE orders (k text, id bigint, v text, n numeric(10, 2), PRIMARY KEY (k, id));
		CREATE TABLE items (k text, id bigint, item int, PRIMARY KEY (k, id, item),
			FOREIGN KEY (k, id) REFERENCES orders ON DELETE CASCADE);
		SELECT shard.distribute_table('orders', 'app');
		SELECT shard.distribute_table('items', 'app');
		INSERT INTO orders SELECT 'key-' || i % 100, i,
			CASE WHEN i % 50 = 0 THEN (SELECT string_agg(md5((i + j)::text), '') FROM generate_series(1, 300) j)
				ELSE repeat('v', i % 100) END, i / 7.0
		FROM generate_series(1, 2000) i;
		INSERT INTO items SELECT k, id, item FROM orders, generate_series(1, 2) item;
		DELETE FROM orders WHERE id % 9 = 0;
		UPDATE orders SET n = -n WHERE id % 5 = 0;
		SELECT shard.pin('app', 'somebody', 1);
		CREATE TABLE orders_before AS TABLE orders;
		CREATE TABLE items_before AS TABLE items;
	});
	return;
}

sub tear_down
{
	sql(q{DROP TABLE items, orders, orders_before, items_before CASCADE; SELECT shard.drop_router('app')});
	return;
}

sub check
{
	my ($name) = @_;
	for my $table ('orders', 'items')
	{
		is(sql(qq{SELECT count(*) FROM (
			(SELECT * FROM $table EXCEPT ALL SELECT * FROM ${table}_before)
			UNION ALL (SELECT * FROM ${table}_before EXCEPT ALL SELECT * FROM $table)) d}),
			'0', "$name: $table has all its rows again");
		is_lake_equal($node, $table, "$name: $table");
	}
	is(sql(q{SELECT count(*) FROM shard.verify_placement('app')}), '0', "$name: every row is where it belongs");
	is(sql(q{SELECT string_agg(shard_index || ' ' || state, ', ' ORDER BY shard_index)
			FROM shard.shards WHERE router = 'app'}), '0 active, 2 active', "$name: two shards are left");
	is(sql(q{SELECT count(*) - count(DISTINCT _event_id) FROM lake.orders_events}), '0', "$name: no event is there twice");
	is(sql(q{SELECT count(*) FROM pg_namespace WHERE nspname = 'app_shard_1'}), '0', "$name: no schema is left");
	sql(q{INSERT INTO orders SELECT 'key-' || i, 100000 + i FROM generate_series(1, 100) i});
	is(sql(q{SELECT count(*) FROM orders WHERE id > 100000}), '100', "$name: all keys can be written");
	return;
}

sub drop_shard_schema
{
	sql(q{
		ALTER EVENT TRIGGER shard_sql_drop DISABLE;
		DROP SCHEMA app_shard_1 CASCADE;
		ALTER EVENT TRIGGER shard_sql_drop ENABLE ALWAYS;
	});
	return;
}

for my $strategy ('consistent-hash', 'hash')
{
	set_up($strategy);
	drop_shard_schema();
	like(error_of(q{SELECT shard.remove_shard('app', 1)}), qr/shard 1 of table "items" is not reachable/,
		"$strategy: a shard without tables is not removed just so");
	my $id = sql(q{SELECT shard.remove_shard('app', 1, evacuate => true, batch_size => 5)});
	is(sql("SELECT success, rolled_back, error FROM shard.wait_migration($id)"), 't|f|', "$strategy: but evacuated");
	check("$strategy, schema dropped");
	like(sql("SELECT string_agg(message, '; ') FROM shard.migration_log WHERE migration_id = $id"),
		qr{the lake has all up to [0-9A-F]+/[0-9A-F]+; [0-9A-F]+/[0-9A-F]+ was needed},
		"$strategy: the log tells how far the lake was");
	tear_down();
}

# The file of a table and of its TOAST table are gone.
set_up('consistent-hash');
my $path = sql(q{SELECT pg_relation_filepath('app_shard_1.orders')});
my $toast = sql(q{SELECT pg_relation_filepath(reltoastrelid) FROM pg_class WHERE oid = 'app_shard_1.orders'::regclass});
sql('SELECT shard.flush()');
$node->stop();
unlink($node->data_dir . "/$path", $node->data_dir . "/$toast") == 2 or die "$path: $!";
$node->start();
like(error_of(q{SELECT shard.remove_shard('app', 1)}), qr/is not reachable: could not open file/,
	'a shard that cannot be read is not removed just so');
# killed in the middle, it goes on
set_point($node, 'migration-before-commit:error');
my $id = sql(q{SELECT shard.remove_shard('app', 1, evacuate => true, batch_size => 5)});
$node->poll_query_until('postgres', "SELECT state = 'failed' FROM shard.migrations WHERE migration_id = $id")
  or die 'the migration does not fail';
is(sql("SELECT rolled_back, shard.is_migrating('app') FROM shard.migrations WHERE migration_id = $id"), 'f|t',
	'an evacuation that fails does not go back');
set_point($node, '');
sql("SELECT shard.resume_migration($id)");
is(sql("SELECT success FROM shard.wait_migration($id)"), 't', 'resumed, it is complete');
check('file lost');
tear_down();

# A table without a lake loses its rows of that shard, and the plan says so.
sql(q{
	SELECT shard.create_router('app', 'consistent-hash', 3, ARRAY['k']);
	CREATE TABLE orders (k text PRIMARY KEY, v text);
	SELECT shard.distribute_table('orders', 'app', lake => false);
	INSERT INTO orders SELECT 'key-' || i, 'v' FROM generate_series(1, 300) i;
	CREATE TABLE others AS SELECT * FROM orders WHERE shard.route('app', k) <> 1;
});
drop_shard_schema();
my $plan = sql(q{SELECT shard.plan_remove_shard('app', 1, evacuate => true)});
is(sql("SELECT warnings FROM shard.validate_plan($plan)"),
	'{"table \"orders\" is not in the lake: its rows in this shard are lost"}', 'the plan warns');
$id = sql("SELECT shard.execute_plan($plan)");
is(sql("SELECT success FROM shard.wait_migration($id)"), 't', 'it is done all the same');
is(sql(q{SELECT count(*) FROM (TABLE orders EXCEPT TABLE others) d}), '0', 'no row came from nowhere');
is(sql(q{SELECT (SELECT count(*) FROM orders) = (SELECT count(*) FROM others)}), 't', 'the others are there');
is(sql("SELECT count(*) FROM shard.migration_log WHERE migration_id = $id AND message LIKE '%are lost'"), '1',
	'the log says what is lost');

done_testing();
