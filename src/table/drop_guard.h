/*
 * drop_guard.h
 *		Keeps CASCADE from taking sharded tables along.
 */
#ifndef SHARD_TABLE_DROP_GUARD_H
#define SHARD_TABLE_DROP_GUARD_H

extern void DropGuardInit(void);

#endif							/* SHARD_TABLE_DROP_GUARD_H */
