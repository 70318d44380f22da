/*
 * monitor.h
 *		Watching routers and shards.
 */
#ifndef SHARD_MONITOR_H
#define SHARD_MONITOR_H

extern void MonitorInit(void);

#endif							/* SHARD_MONITOR_H */
