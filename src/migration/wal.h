/*
 * wal.h
 *		Which pages of some relations were written in a stretch of the WAL.
 */
#ifndef SHARD_MIGRATION_WAL_H
#define SHARD_MIGRATION_WAL_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "storage/block.h"

typedef struct WalPages
{
	Oid			filenumber;		/* of the relation, in this database */
	int			nblocks;
	int			nallocated;
	BlockNumber *blocks;		/* sorted, without duplicates */
} WalPages;

/*
 * Read the WAL from one position, where some record begins, to another, that is
 * flushed.  False if it is not there any more.
 */
extern bool WalPagesRead(XLogRecPtr from, XLogRecPtr to, WalPages *relations, int nrelations);

#endif							/* SHARD_MIGRATION_WAL_H */
