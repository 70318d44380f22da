/*
 * only_shard.h
 *		Restricting a command to the leaves of one shard.
 */
#ifndef SHARD_COMMAND_ONLY_SHARD_H
#define SHARD_COMMAND_ONLY_SHARD_H

#include "postgres.h"

typedef struct OnlyShard
{
	const char *router;			/* NULL: no restriction */
	Oid			schema;
} OnlyShard;

extern void OnlyShardInit(void);

/*
 * From now on, plans see of this router's tables the leaves in this schema
 * only; what was before is returned, for OnlyShardSet() afterwards.
 */
extern OnlyShard OnlyShardSet(OnlyShard only);

#endif							/* SHARD_COMMAND_ONLY_SHARD_H */
