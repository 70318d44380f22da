/*
 * guard.h
 *		Running what may fail without harm.
 */
#ifndef SHARD_MIGRATION_GUARD_H
#define SHARD_MIGRATION_GUARD_H

#include "postgres.h"

/*
 * Run fn(arg) in a subtransaction.  Returns NULL, or the message of the error
 * that rolled it back; a cancel of the statement is raised.
 */
extern char *RunGuarded(void (*fn) (void *), void *arg);

#endif							/* SHARD_MIGRATION_GUARD_H */
