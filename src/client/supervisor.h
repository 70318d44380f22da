/*
 * supervisor.h
 *		The background worker that runs shard_engine, and what it tells others.
 */
#ifndef SHARD_CLIENT_SUPERVISOR_H
#define SHARD_CLIENT_SUPERVISOR_H

#include "postgres.h"

extern void SupervisorInit(void);

/* How often the engine was started since the server was; 0 before. */
extern int64 SupervisorStarts(void);

#endif							/* SHARD_CLIENT_SUPERVISOR_H */
