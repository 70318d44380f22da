/*
 * dates.h
 *		SQL functions over dates and times that compute as PostgreSQL does.
 *
 *		shard_date_add(DATE, days INTEGER) -> DATE
 *		shard_date_diff(DATE, DATE) -> INTEGER
 *		shard_ts_add(TIMESTAMP, months INTEGER, days INTEGER, microseconds BIGINT) -> TIMESTAMP
 *			raise 22008 where PostgreSQL does
 *		shard_zone_local(TIMESTAMPTZ, zone VARCHAR) -> TIMESTAMP
 *		shard_zone_utc(TIMESTAMP, zone VARCHAR) -> TIMESTAMPTZ
 *			zone: "low,high,offset[,transition,offset ...]", offsets in seconds east of
 *			UTC, the others in seconds since 1970, ascending; before low and from
 *			high on it says nothing (0A000)
 *		shard_tz_add(TIMESTAMPTZ, BIGINT) -> TIMESTAMPTZ, microseconds
 *		shard_tz_diff(TIMESTAMP, TIMESTAMP) -> BIGINT, microseconds; 0 of infinities
 */
#ifndef SHARD_ENGINE_DATES_H
#define SHARD_ENGINE_DATES_H

#include "duckdb.h"

extern void RegisterDates(duckdb_connection con);

#endif							/* SHARD_ENGINE_DATES_H */
