/*
 * drop_guard.h
 *		What else must not, or must, be dropped with a router's objects.
 */
#ifndef SHARD_TABLE_DROP_GUARD_H
#define SHARD_TABLE_DROP_GUARD_H

extern void DropGuardInit(void);

#endif							/* SHARD_TABLE_DROP_GUARD_H */
