/*
 * schedule.h
 *		Schedules of rebalancing.
 */
#ifndef SHARD_MIGRATION_SCHEDULE_H
#define SHARD_MIGRATION_SCHEDULE_H

#include "postgres.h"

/*
 * The launcher knows migrations by their ids; a schedule has the negative of
 * its id there.
 */
#define SCHEDULE_AS_MIGRATION(id) (-(id))

/* Tell the launcher of every schedule of this database. */
extern void ScheduleExpectAll(void);

extern PGDLLEXPORT void ShardScheduleMain(Datum arg);

#endif							/* SHARD_MIGRATION_SCHEDULE_H */
