/*
 * instance.h
 *		The DuckDB database of this process.
 *
 * Its limits and the directories that it may read are fixed and locked when it
 * is opened.  When they change, a new instance takes over the sessions that hold
 * nothing in the old one, which is closed with its last session.
 */
#ifndef SHARD_ENGINE_INSTANCE_H
#define SHARD_ENGINE_INSTANCE_H

#include "base/portable.h"
#include "duckdb.h"

typedef struct Limits
{
	int64		memory_kb;
	int			threads;		/* 0 = one per core */
	int			max_queries;
} Limits;

typedef struct Instance
{
	duckdb_database db;
	int64		generation;
	Limits		limits;
	int			refs;
	duckdb_connection monitor;	/* for InstanceMemory() */
} Instance;

/* At start: open the first instance; ends the process if that fails. */
extern void InstanceStart(const Limits *limits, const char *warehouse);

/* Take new limits over from the supervisor. */
extern void InstanceSetLimits(const Limits *limits);

/* The current one, opened anew if limits or grants have changed. */
extern Instance *InstanceAcquire(void);
extern void InstanceRelease(Instance *instance);

/* Is a session with this instance up to date? */
extern bool InstanceIsCurrent(Instance *instance);

extern void InstanceMemory(int64 *used, int64 *spilled, int64 *generation, Limits *limits);

#endif							/* SHARD_ENGINE_INSTANCE_H */
