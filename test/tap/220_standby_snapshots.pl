# On a standby, too, a query never reads a sharded table under a snapshot from
# before a change of the map.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use ShardTest;
use Test::More;

my $primary = shard_node('primary', max_wal_senders => 5, hot_standby => 'on');
$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->start();

$primary->safe_psql('postgres', q{
	SELECT shard.create_router('app', shard_count => 2, partition_key => '{k}');
	CREATE TABLE t (k text PRIMARY KEY, v int);
	SELECT shard.distribute_table('t', 'app', lake => false);
	INSERT INTO t VALUES ('a', 1), ('b', 2);
	CREATE FUNCTION moved(key text) RETURNS int LANGUAGE plpgsql STABLE AS
		'BEGIN RETURN (SELECT v FROM t WHERE k = key); END';
});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));

my $find = q{SELECT tableoid::regclass, v FROM t WHERE k = 'a'};
is($standby->safe_psql('postgres', $find), 'app_shard_0.t|1', 'the standby routes');

# Snapshots taken before the change, one in each kind of transaction.
my $old = $standby->background_psql('postgres', on_error_stop => 0);
$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
is($old->query_safe('SELECT 1'), '1', 'a transaction has its snapshot');
my $prepared = $standby->background_psql('postgres', on_error_stop => 0);
$prepared->query_safe(qq{PREPARE find AS $find});
is($prepared->query_safe('EXECUTE find'), 'app_shard_0.t|1', 'a prepared statement has its plan');

# The change holds its locks on the standby as well, until it commits.
my $flip = $primary->background_psql('postgres');
$flip->query_safe(q{BEGIN});
is($flip->query_safe(q{SELECT locked FROM _shard.lock_for_flip('app', '{0,1}', 10000)}), 't', 'locked');
$flip->query_safe($_)
  for (
	q{INSERT INTO _shard.pin VALUES ('app', 'a', 1)},
	q{INSERT INTO app_shard_1.t SELECT * FROM app_shard_0.t WHERE k = 'a'},
	q{DELETE FROM app_shard_0.t WHERE k = 'a'});
$primary->safe_psql('postgres', 'CREATE TABLE marker (i int)');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));

# EXECUTE takes its snapshot and waits for the lock.
$prepared->query_until(qr/waiting/, "\\echo waiting\nEXECUTE find;\n");
my $function = $standby->background_psql('postgres', on_error_stop => 0);
$function->query_until(qr/waiting/, "\\echo waiting\nSELECT moved('a');\n");
ok( $standby->poll_query_until('postgres',
		q{SELECT count(*) = 2 FROM pg_locks WHERE NOT granted AND relation = 't'::regclass}),
	'two readers wait on the standby');
$flip->query_safe('COMMIT');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('flush'));

is($prepared->query_safe(''), 'app_shard_1.t|1', 'EXECUTE that waited finds the row where it is now');
is($function->query_safe(''), '1', 'so does a STABLE function');
is($prepared->query_safe('EXECUTE find'), 'app_shard_1.t|1', 'and the next EXECUTE');
my ($out, $failed) = $old->query($find);
$old->query_until(qr/asked/, "\\echo asked\n");
like($old->{stderr}, qr/could not serialize access to sharded table "t" due to a concurrent change of its router/,
	'an older snapshot is refused');
is($standby->safe_psql('postgres', $find), 'app_shard_1.t|1', 'a new session sees the change');

$_->quit for ($old, $prepared, $function, $flip);
$standby->stop();
$primary->stop();
done_testing();
