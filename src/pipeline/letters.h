/*
 * letters.h
 *		Dead letters: what could not be written to the lake as it is.
 *
 * Two kinds.  'value': a column of a row holds what its type in the lake cannot
 * (NaN in a decimal, an array of two dimensions); the lake has NULL there, and
 * the letter the row.  'table': the changes of a table could not be written at
 * all, again and again; the table is left out of the pipeline until the letter
 * is replayed.
 */
#ifndef SHARD_PIPELINE_LETTERS_H
#define SHARD_PIPELINE_LETTERS_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "lib/stringinfo.h"
#include "pipeline/layout.h"
#include "pipeline/position.h"

/*
 * Note a value of a row, for LettersWrite(); seq 0: found by a comparison.  The
 * row's values are per attribute of the leaf; those that the WAL lacks are left
 * out of the letter.
 */
extern void LettersNote(const TableLayout *layout, const AttrNumber *attnums, int col,
						const Datum *values, const bool *nulls, XLogRecPtr lsn, int64 seq);

/* Write the noted letters of a table, in the current transaction; warns. */
extern void LettersWrite(Oid relation, const Position *position);

/* Forget all that was noted. */
extern void LettersReset(void);

/* Remove a table's letters of earlier comparisons. */
extern void LettersForgetCompared(Oid relation);

/* The table that is being worked at, InvalidOid = none; and which one it is. */
extern void LettersAtHand(Oid relation);
extern Oid	LettersTableAtHand(void);

/*
 * Does an error speak of the table at hand, or of the store, the disk, the
 * engine and what else will be right again some time?
 */
extern bool LettersIsFaultOfTable(int sqlerrcode);

/*
 * In a transaction of its own: the changes of a table cannot be written.  It is
 * left out from now on.
 */
extern void LettersWriteFault(Oid relation, const Position *position, const ErrorData *error);

#endif							/* SHARD_PIPELINE_LETTERS_H */
