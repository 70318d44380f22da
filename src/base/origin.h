/*
 * origin.h
 *		Mark of the rows that the extension itself moves, in the WAL.
 *
 * Moves carry PostgreSQL's reserved origin "do not replicate" instead of one
 * that is created by name: it needs no row in a shared catalog, no replication
 * slot, and any number of processes can move rows at the same time, where a
 * named origin belongs to one session at once.  The output plugin filters it.
 */
#ifndef SHARD_ORIGIN_H
#define SHARD_ORIGIN_H

#include "replication/origin.h"

#define SHARD_MOVE_ORIGIN DoNotReplicateId

#endif							/* SHARD_ORIGIN_H */
