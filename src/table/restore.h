/*
 * restore.h
 *		Routing while a router's row is not there.
 */
#ifndef SHARD_TABLE_RESTORE_H
#define SHARD_TABLE_RESTORE_H

#include "postgres.h"

extern void RestoreInit(void);

/*
 * The shard index that a router's hash function gives while the router's row
 * does not exist: that of the leaf that is being loaded by name; else ERROR.
 */
extern int	RestoreTrustedShard(const char *router);

#endif							/* SHARD_TABLE_RESTORE_H */
