/*
 * source.h
 *		The rows of a leaf that are to move: which they are, where they stand,
 *		and what has changed since we last looked.
 *
 * A Source covers the keys of a window of hash space whose owner is another
 * shard after the move.  It is read once; afterwards SourceRefresh() reads only
 * pages that were written since (their LSN says so) or on which a transaction
 * was in progress.  After each refresh it is exact as of one snapshot.
 */
#ifndef SHARD_MIGRATION_SOURCE_H
#define SHARD_MIGRATION_SOURCE_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "migration/keys.h"
#include "storage/block.h"
#include "storage/itemptr.h"

typedef struct SourceRow
{
	uint64		position;		/* of the key, in hash space */
	uint64		hash;			/* RowHash */
	OffsetNumber offset;
	uint16		owner;			/* shard after the move */
} SourceRow;

typedef struct Source Source;

/* A row came (sign 1) or went (sign -1). */
typedef void (*SourceChange) (void *arg, Source *source, BlockNumber block,
							  const SourceRow *row, int sign);

/* In the current memory context, which must outlive it. */
extern Source *SourceCreate(Oid parent, Oid leaf, int shard_index);
extern void SourceFree(Source *source);

extern Oid	SourceLeaf(const Source *source);
extern Oid	SourceParent(const Source *source);
extern int64 SourceRows(const Source *source);

/* The window; a source that does not cover it is read anew at the next refresh. */
extern void SourceSetWindow(Source *source, uint64 low, uint64 high);

/*
 * Bring it up to now.  Changes of rows with low <= position <= high are told.
 * Returns the number of pages read.
 */
extern int64 SourceRefresh(Source *source, KeyMoves *moves, uint64 low, uint64 high,
						   SourceChange change, void *arg);

/*
 * The same, given the pages that may have changed since the last refresh, up
 * to an LSN: under a lock that lets nobody write.
 */
extern void SourceRefreshPages(Source *source, KeyMoves *moves, uint64 low, uint64 high,
							   SourceChange change, void *arg,
							   const BlockNumber *blocks, int nblocks, XLogRecPtr lsn);

/* For that: its file, its size, and the LSN of the last refresh; false if it must be read in full. */
extern bool SourceLastRefresh(const Source *source, Oid *filenumber, BlockNumber *nblocks,
							  XLogRecPtr *lsn);

/*
 * Find the pages that have rows with low <= position <= high; from then on
 * SourceForEach() and SourceForget() for them cost no more than these pages.
 */
extern void SourceFocus(Source *source, uint64 low, uint64 high);

/* All rows in focus, in the order of their pages. */
extern void SourceForEach(Source *source, SourceChange change, void *arg);

/*
 * The rows in focus were deleted by us, under the lock: forget them, and do not
 * read their pages again for that.
 */
extern void SourceForget(Source *source);

/* Seed of RowHash for rows of a table that go to a shard. */
extern uint64 SourceSeed(Oid parent, int owner);

#endif							/* SHARD_MIGRATION_SOURCE_H */
