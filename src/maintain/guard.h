/*
 * guard.h
 *		One maintenance job at a time for a lake table.
 */
#ifndef SHARD_MAINTAIN_GUARD_H
#define SHARD_MAINTAIN_GUARD_H

#include "postgres.h"

/*
 * Take the lock for the rest of the transaction; without wait, false if somebody
 * else has it.
 */
extern bool MaintenanceLock(const char *namespace, const char *name, bool wait);

#endif							/* SHARD_MAINTAIN_GUARD_H */
