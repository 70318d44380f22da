/*
 * gate.c
 *		Lag as a gate: a migration writes WAL as fast as it can, and whoever reads
 *		the WAL must be able to follow.
 *
 * A standby replays a flip only when its readers let go of the table, so that
 * lag there means that reads are in its way; a pipeline that is behind holds WAL
 * on disk, and a lake that is behind fills less of a target.  That holds all the
 * more of a pipeline that does not run; if it has not run since the server
 * started, its slot says how much it is behind.
 */
#include "postgres.h"

#include "base/settings.h"
#include "migration/gate.h"
#include "migration/sql.h"

char *
GateClosed(void)
{
	char	   *behind = NULL;

	if (MigrationMaxLag == 0)
		return NULL;
	SqlBegin();
	if (SQL_RUN("SELECT who FROM ("
				"   SELECT 'standby ' OPERATOR(pg_catalog.||) application_name AS who,"
				"     pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn) AS lag"
				"   FROM pg_catalog.pg_stat_replication r"
				"   WHERE state OPERATOR(pg_catalog.=) 'streaming' AND NOT EXISTS ("
				"     SELECT FROM pg_catalog.pg_replication_slots s"
				"     WHERE s.active_pid OPERATOR(pg_catalog.=) r.pid AND s.slot_type OPERATOR(pg_catalog.=) 'logical')"
				"   UNION ALL SELECT CASE WHEN state OPERATOR(pg_catalog.=) 'running' THEN 'the pipeline'"
				"     ELSE 'the pipeline, which is ' OPERATOR(pg_catalog.||) state END,"
				"     COALESCE(lag_bytes, wal_kept) FROM _shard.pipeline_status()) l"
				" WHERE lag OPERATOR(pg_catalog.>) $1::pg_catalog.int8::pg_catalog.numeric ORDER BY lag DESC LIMIT 1",
				SQL_INT8((int64) MigrationMaxLag * 1024 * 1024)) > 0)
		behind = SqlText(0, 1);
	SqlEnd();
	return behind;
}
