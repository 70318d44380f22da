# Commands that change tables in the middle of a migration: refused while a worker
# is at it, done while it is paused; what applications do waits for the batch.  A
# dump that begins while keys change hands is consistent.

use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardMove;
use ShardTest;
use Test::More;

my $node = shard_node('main', 'shard.flush_interval' => '200ms');
my $script = write_script('writer.sql', oracle_writer(60));

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub error_of
{
	my ($result, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$_[0]");
	return $err;
}

sub check
{
	my ($name, $database) = @_;
	is_oracle_equal($node, 'accounts', 'oracle', $name, $database);
	is($node->safe_psql($database // 'postgres', q{SELECT count(*) FROM shard.verify_placement('app')}), '0',
		"$name: every row is where it belongs");
	return;
}

# A session of its own that runs one command, and waits for a lock.
sub start_waiting
{
	my ($name, @command) = @_;
	my %run = (name => $name, out => '');
	local $ENV{PGAPPNAME} = $name;
	$run{handle} = IPC::Run::start([@command], '<', '/dev/null', '>', \$run{out}, '2>&1');
	await($node, qq{SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = '$name' AND wait_event_type = 'Lock'},
		"$name waits");
	return \%run;
}

sub start_command
{
	my ($name, $command) = @_;
	return start_waiting($name, 'psql', '-Xqc', $command, $node->connstr('postgres'));
}

sub finish_command
{
	my ($run) = @_;
	ok($run->{handle}->finish(), "$run->{name} is done") or diag($run->{out});
	return;
}

sql(q{
	SELECT shard.create_router('app', 'consistent-hash', 3, ARRAY['k']);
	CREATE TABLE accounts (k text, id bigint, v text, n int, spare int, PRIMARY KEY (k, id));
	CREATE INDEX accounts_n ON accounts (n);
	CREATE POLICY everybody ON accounts USING (true);
	CREATE RULE nothing AS ON DELETE TO accounts WHERE old.id < 0 DO NOTHING;
	CREATE TRIGGER same BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
	CREATE TABLE oracle (LIKE accounts INCLUDING ALL);
	INSERT INTO accounts SELECT 'key-' || i % 60 + 1, 100000 + i, repeat('x', i % 300), i FROM generate_series(1, 1200) i;
	INSERT INTO oracle SELECT * FROM accounts;
	CREATE TABLE emptied (LIKE accounts INCLUDING INDEXES);
	INSERT INTO emptied TABLE accounts;
	CREATE TABLE emptied_too (LIKE accounts INCLUDING INDEXES);
	INSERT INTO emptied_too TABLE accounts;
	CREATE TABLE dropped (LIKE accounts INCLUDING INDEXES);
	INSERT INTO dropped TABLE accounts;
	CREATE TABLE dropped_too (LIKE accounts INCLUDING INDEXES);
	INSERT INTO dropped_too TABLE accounts;
	CREATE TABLE other (k text PRIMARY KEY);
	SELECT shard.distribute_table('accounts', 'app');
	SELECT shard.distribute_table(t, 'app', lake => false) FROM unnest('{emptied,emptied_too,dropped,dropped_too}'::regclass[]) t;
});

# While a batch is being copied.
my $writers = start_bench($node, $script, clients => 1, rate => 100);
set_point($node, 'migration-before-lock:wait');
my $id = sql(q{SELECT shard.add_shard('app', batch_size => 3)});
await_point($node, $id, 'migration-before-lock');
for my $command (
	'ALTER TABLE accounts ADD COLUMN w int', 'ALTER TABLE accounts DROP COLUMN v', 'ALTER TABLE accounts RENAME COLUMN v TO w',
	'ALTER TABLE accounts ALTER n TYPE bigint', 'ALTER TABLE accounts ADD CHECK (id > 0)', 'ALTER TABLE accounts RENAME TO renamed',
	'ALTER TABLE accounts SET SCHEMA pg_temp', 'ALTER TABLE accounts OWNER TO CURRENT_USER', 'ALTER TABLE app_shard_0.accounts SET (fillfactor = 50)',
	'ALTER TABLE accounts ENABLE ROW LEVEL SECURITY', 'ALTER INDEX accounts_n SET (fillfactor = 50)',
	'CREATE INDEX ON accounts (v)', 'CREATE UNIQUE INDEX ON accounts (k, n, id)', 'DROP INDEX accounts_n', 'REINDEX TABLE accounts',
	'REINDEX INDEX accounts_n', 'CLUSTER accounts USING accounts_pkey', 'VACUUM FULL accounts', 'VACUUM (FULL) app_shard_1.accounts',
	'CREATE POLICY more ON accounts', 'ALTER POLICY everybody ON accounts USING (false)', 'DROP POLICY everybody ON accounts',
	'CREATE RULE other AS ON INSERT TO accounts DO ALSO NOTHING', 'DROP RULE nothing ON accounts',
	'CREATE TRIGGER other AFTER INSERT ON accounts FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'DROP TRIGGER same ON accounts', 'ALTER TABLE accounts DISABLE TRIGGER same')
{
	like(error_of($command), qr/55006: table "accounts" is being migrated.*shard\.pause_migration\($id\)/s, "$command is refused");
}
for my $case (
	[ q{SELECT shard.distribute_table('other', 'app')}, qr/keys of router "app" are being migrated.*shard\.migrations/s ],
	[ q{SELECT shard.undistribute_table('accounts')}, qr/keys of router "app" are being migrated/ ],
	[ q{SELECT shard.pin('app', 'key-1', 0)}, qr/router "app" is migrating.*shard\.wait_migration\(\)/s ],
	[ q{SELECT shard.alter_router('app', weights => '{1,1,1,2}')}, qr/router "app" is migrating/ ],
	[ q{SELECT shard.rebalance('app')}, qr/is already migrating/ ],
	[ q{ALTER TABLE accounts DETACH PARTITION app_shard_0.accounts}, qr/table "accounts" is being migrated|cannot detach/ ])
{
	my ($command, $error) = @$case;
	like(error_of("SET statement_timeout = '60s'; $command"), $error, "$command is refused");
}
is(error_of('VACUUM accounts; ANALYZE accounts'), '', 'VACUUM and ANALYZE go on');

my @commands = (
	start_command('truncate', 'TRUNCATE emptied'),
	start_command('drop', 'DROP TABLE dropped'),
	start_command('lock', 'BEGIN; LOCK TABLE accounts; SELECT count(*) FROM accounts; COMMIT'),
	start_command('reference', 'CREATE TABLE referring (k text, id bigint, FOREIGN KEY (k, id) REFERENCES accounts)'));
sql("SELECT shard.pause_migration($id)");
set_point($node, '');
finish_command($_) for @commands;
is(migration_end($node, $id), 'paused|f', 'the migration is paused');
is(sql('SELECT count(*) FROM emptied'), '0', 'TRUNCATE has waited, and emptied the table');
is(sql(q{SELECT to_regclass('dropped') IS NULL AND to_regclass('app_shard_3.dropped') IS NULL}), 't', 'DROP TABLE has waited, and dropped it');
check('after what has waited');

# While it is paused: anything that may be done otherwise.
stop_bench($writers, 'writers');
sql(q{DROP TABLE referring});
for my $command ('ALTER TABLE % ADD COLUMN w int DEFAULT 7', 'ALTER TABLE % DROP COLUMN spare', 'ALTER TABLE % RENAME COLUMN v TO text',
	'ALTER TABLE % ALTER n TYPE bigint', 'ALTER TABLE % ADD CONSTRAINT positive CHECK (id > 0)', 'CREATE INDEX ON % (text)',
	'CREATE UNIQUE INDEX ON % (k, n, id)', 'ALTER TABLE % ADD UNIQUE (id, k)', 'ALTER TABLE % ALTER w SET NOT NULL',
	'DROP TRIGGER IF EXISTS same ON %', 'DROP RULE IF EXISTS nothing ON %', 'DROP POLICY IF EXISTS everybody ON %', 'VACUUM FULL %', 'REINDEX TABLE %',
	'INSERT INTO % (k, id, n) VALUES (\'late\', 1, 1)', 'UPDATE % SET w = 8 WHERE id % 3 = 0', 'DELETE FROM % WHERE id % 7 = 0')
{
	for my $table ('accounts', 'oracle')
	{
		unlike(error_of($command =~ s{%}{$table}r), qr/ERROR/, "paused: $command ($table)");
	}
}
sql('DROP INDEX accounts_n; TRUNCATE emptied_too; DROP TABLE dropped_too');
like(error_of(q{SELECT shard.distribute_table('other', 'app')}), qr/keys of router "app" are being migrated/,
	'paused: no other table joins the router');
like(error_of('DROP TABLE app_shard_3.accounts'), qr/because table public.accounts needs it/, 'paused: a new shard keeps its tables');
check('paused, and changed');

# A dump that begins under the lock sees what was before.
set_point($node, 'migration-locked:wait');
sql("SELECT shard.resume_migration($id)");
await_point($node, $id, 'migration-locked');
my $moved = sql("SELECT keys_done FROM shard.migrations WHERE migration_id = $id");
my $file = $node->basedir . '/dump';
my $dump = start_waiting('dump', 'pg_dump', '-Fc', '-f', $file, $node->connstr('postgres'));
set_point($node, '');
finish_command($dump);
is(migration_end($node, $id), 'complete|f', 'the migration goes on after the dump');
check('complete');
is_lake_equal($node, 'accounts', 'complete');
is(sql(q{SELECT count(*) FROM emptied_too}), '0', 'what was emptied is empty');
is(sql(q{SELECT count(DISTINCT indexdef) FROM (SELECT regexp_replace(indexdef, 'app_shard_\d|INDEX \S+', '', 'g') AS indexdef
		FROM pg_indexes WHERE schemaname LIKE 'app\_shard\_%' AND tablename = 'accounts') i}),
	sql(q{SELECT count(*) / 4 FROM pg_indexes WHERE schemaname LIKE 'app\_shard\_%' AND tablename = 'accounts'}),
	'the new shard has the same indexes as the others');
sql('CREATE DATABASE copy');
command_ok([ 'pg_restore', '-d', $node->connstr('copy'), $file ], 'the dump is restored');
check('restored', 'copy');
is($node->safe_psql('copy', "SELECT state, keys_done, shard.is_migrating('app') FROM shard.migrations WHERE migration_id = $id"),
	"running|$moved|t", 'restored: the migration is where it was');
$node->safe_psql('copy', "SELECT shard.resume_migration($id)");
is($node->safe_psql('copy', "SELECT success, error FROM shard.wait_migration($id)"), 't|', 'restored: it goes on');
check('restored and complete', 'copy');
is(sql(q{SELECT shard.distribute_table('other', 'app')}), '', 'afterwards another table joins the router');

done_testing();
