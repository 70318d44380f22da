/*
 * snapshot_guard.h
 *		Keeps snapshots from before a change of the map off sharded tables.
 */
#ifndef SHARD_TABLE_SNAPSHOT_GUARD_H
#define SHARD_TABLE_SNAPSHOT_GUARD_H

extern void SnapshotGuardInit(void);

#endif							/* SHARD_TABLE_SNAPSHOT_GUARD_H */
