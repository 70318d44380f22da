/*
 * match.h
 *		The rows of a batch on both sides, matched by their hashes.
 *
 * Changes of the source come in by MatchSourceChange(); MatchApply() then makes
 * the target the same, reads back what it wrote, and is called again after the
 * next look at the source.
 */
#ifndef SHARD_MIGRATION_MATCH_H
#define SHARD_MIGRATION_MATCH_H

#include "postgres.h"
#include "migration/source.h"

typedef struct Match Match;

/* In the current memory context. */
extern Match *MatchCreate(KeyMoves *moves);

/* As SourceChange: arg is the Match. */
extern void MatchSourceChange(void *arg, Source *source, BlockNumber block,
							  const SourceRow *row, int sign);

/* Write a row into the target leaf of its owner: in the parent's column order. */
extern void MatchInsert(Match *match, Oid parent, int owner, const Datum *values,
						const bool *nulls, uint64 hash);

/*
 * Of a row that was inserted: there is no source to have it, take it as it is.
 */
extern void MatchAssume(Match *match, uint64 hash);
extern int64 MatchAssumedRows(const Match *match);

/*
 * Around a subtransaction that inserts: when it was rolled back, forget what
 * was inserted since the mark.  At the mark no relation is open.
 */
extern void MatchMark(Match *match);
extern void MatchForgetSinceMark(Match *match);

/* Finish writing and release every relation (their locks stay). */
extern void MatchRelease(Match *match);

/* Make the target equal to the source; returns rows inserted and deleted. */
extern int64 MatchApply(Match *match);

/* Do count and checksum of both sides agree?  ERROR if not. */
extern uint64 MatchVerify(Match *match);
extern int64 MatchSourceRows(const Match *match);

#endif							/* SHARD_MIGRATION_MATCH_H */
