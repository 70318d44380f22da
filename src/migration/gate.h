/*
 * gate.h
 *		What a migration waits for before it goes on with another batch.
 */
#ifndef SHARD_MIGRATION_GATE_H
#define SHARD_MIGRATION_GATE_H

#include "postgres.h"

/* NULL, or what lags behind too far; in the caller's memory. */
extern char *GateClosed(void);

#endif							/* SHARD_MIGRATION_GATE_H */
