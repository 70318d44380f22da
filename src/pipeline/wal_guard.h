/*
 * wal_guard.h
 *		How much WAL the pipelines' slots keep, and an end to it.
 */
#ifndef SHARD_PIPELINE_WAL_GUARD_H
#define SHARD_PIPELINE_WAL_GUARD_H

#include "postgres.h"
#include "pipeline/status.h"

/* How often the launcher must look, in ms. */
#define WAL_GUARD_MS 1000

/* In the launcher: warn of slots that keep much, give up those that keep too much. */
extern void WalGuard(void);

/* Bytes of WAL that a database's slot keeps. */
extern int64 WalKept(Oid database);

/* What to tell of so many bytes, or NULL. */
extern char *WalWarning(int64 kept);

#endif							/* SHARD_PIPELINE_WAL_GUARD_H */
