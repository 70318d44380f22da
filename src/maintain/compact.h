/*
 * compact.h
 *		Compaction of one lake table.
 */
#ifndef SHARD_MAINTAIN_COMPACT_H
#define SHARD_MAINTAIN_COMPACT_H

#include "postgres.h"
#include "client/engine.h"
#include "lake/lake.h"
#include "maintain/choose.h"

typedef struct CompactResult
{
	int64		files_before;	/* data files merged */
	int64		files_after;	/* that took their place */
	int64		deletes_before; /* delete files removed */
	int64		deletes_after;	/* that took their place */
	int64		rows;			/* written */
	int64		deleted_rows;	/* left out, since they were deleted */
	int64		bytes_before;
	int64		bytes_after;
} CompactResult;

typedef struct Compaction Compaction;

/*
 * Choose files of a table of ours and write new ones in their place, in the
 * current transaction and memory context.  NULL if there is nothing to do.
 */
extern Compaction *CompactPrepare(EngineConn *conn, const char *namespace, const char *name,
								  ChooseMode mode);

/*
 * Commit it, together with what others have deleted in the meantime; writers of
 * the table wait from here to the end of the transaction.  False if the files
 * are not part of the table any more: prepare again.
 */
extern bool CompactCommit(Compaction *compaction, CompactResult *result);

#endif							/* SHARD_MAINTAIN_COMPACT_H */
