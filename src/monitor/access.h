/*
 * access.h
 *		Counting of accesses by SQL.
 */
#ifndef SHARD_MONITOR_ACCESS_H
#define SHARD_MONITOR_ACCESS_H

extern void AccessInit(void);

#endif							/* SHARD_MONITOR_ACCESS_H */
