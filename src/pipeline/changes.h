/*
 * changes.h
 *		The changes of one batch, between decoding and flush: per table as
 *		column chunks, in commit order, the older ones already in the engine.
 */
#ifndef SHARD_PIPELINE_CHANGES_H
#define SHARD_PIPELINE_CHANGES_H

#include "postgres.h"
#include "access/htup.h"
#include "access/xlogdefs.h"
#include "client/engine.h"
#include "datatype/timestamp.h"
#include "pipeline/layout.h"
#include "utils/snapshot.h"

/* As they stand in column "verb" of the engine's table of changes. */
#define CHANGE_CREATED 1
#define CHANGE_UPDATED 2
#define CHANGE_DELETED 3
#define CHANGE_TRUNCATED 4

/*
 * Changes of one table under one layout, of so many bytes that the engine can
 * sort and write them within its memory limit; what comes after that goes to
 * another segment.  In the engine they are a temporary
 * table with these columns, then f<attnum> per column (the new row, or what is
 * known of a deleted one) and o<attnum> per key column (the key before the
 * change, where "old" says that it is another one than after it):
 *
 * n BIGINT order in the batch, lsn BIGINT of the commit record, seq BIGINT in
 * the transaction, ts TIMESTAMPTZ, verb INTEGER, shard INTEGER, key VARCHAR,
 * un VARCHAR (",attnum," per unchanged TOAST value that the WAL lacks; NULL if
 * none), old BOOLEAN, okey VARCHAR (the partition key before it, where "old").
 */
typedef struct ChangeSegment
{
	struct TableChanges *table;
	TableLayout *layout;
	char	   *name;			/* of the engine's table */
	bool		created;		/* it exists there */
	bool		closed;			/* large enough */
	int64		rows;
	int64		first_n;		/* of its rows */
	int64		last_n;
	int64		bytes;			/* in the engine, with the values that the WAL lacks */
	Size		row_width;		/* bytes of a row, without strings */
	Size		strings;		/* bytes of them in "filling" */
	Size		absent;			/* bytes of the row's values that the WAL lacks */
	int64		unchanged;		/* values that the WAL lacks */
	bool	   *unchanged_cols; /* per column: any? */
	WireChunk  *filling;
	List	   *full;			/* of WireChunk *, to be sent */
	List	   *spare;			/* of WireChunk *, to be filled again */
} ChangeSegment;

#define CHANGE_META_COLUMNS 10

typedef struct TableChanges
{
	Oid			parent;
	List	   *segments;		/* of ChangeSegment *, the newest layout last */
	int64		inserts;
	int64		updates;
	int64		deletes;
	int64		key_changes;
	int64		truncates;
	int64		truncated_at;	/* n of the last TRUNCATE of the whole table, or 0 */
	bool		lost;			/* a change that cannot be followed: compare with the heap */
	int			nxids;
	int			maxxids;
	TransactionId *xids;		/* of the transactions, top level */
} TableChanges;

typedef struct ChangeBatch
{
	List	   *tables;			/* of TableChanges * */
	int64		rows;
	int64		bytes;
	int64		next_n;
	TimestampTz first_at;		/* when the first change came in */
	EngineConn *conn;			/* with the tables of changes; NULL until needed */
} ChangeBatch;

/*
 * A table whose state was read from the heap under a snapshot: transactions
 * that the snapshot saw must not be applied again.  Only needed for commits
 * before lsn.
 */
typedef struct ChangeFilter
{
	Oid			parent;			/* hash key */
	XLogRecPtr	lsn;
	TransactionId xmin;
	TransactionId xmax;
	int			nxip;
	TransactionId *xip;
} ChangeFilter;

typedef struct ChangeTxn
{
	TransactionId xid;
	XLogRecPtr	commit_lsn;
	TimestampTz commit_time;
	int64		seq;
} ChangeTxn;

extern ChangeBatch *ChangesBatch(void);
extern void ChangesReset(void);

/*
 * Bytes that one statement of the engine may have to hold at once: an eighth of
 * its memory, of which sorting, encoding and compressing take a part each; less
 * after failures for want of memory.
 */
extern int64 ChangesPortion(void);

/*
 * The same for rows of a size, in bytes, on average.  Fewer than a chunk's rows are
 * one row group in a file, however large they are, which its readers must hold: so
 * wide rows are written in smaller files.
 */
extern int64 ChangesPortionFor(int64 row_bytes);

/* After so many failures for want of the engine's memory, in a row. */
extern void ChangesSpare(int failures);

/* The worker's connection to the engine, made when it is first needed. */
extern EngineConn *ChangesConnection(void);

/* Count one change of so many bytes; returns its number in the batch. */
extern int64 ChangesCount(Size bytes);

/* The old tuple is NULL where the WAL has none. */
extern void ChangesInsert(Leaf *leaf, Relation rel, ChangeTxn *txn, HeapTuple tuple);
extern void ChangesUpdate(Leaf *leaf, Relation rel, ChangeTxn *txn,
						  HeapTuple oldtuple, HeapTuple tuple);
extern void ChangesDelete(Leaf *leaf, Relation rel, ChangeTxn *txn, HeapTuple oldtuple);

/* whole: the parent itself; else one leaf. */
extern void ChangesTruncate(Leaf *leaf, ChangeTxn *txn, bool whole);

/* Tables that the pipeline leaves out, a list of OIDs: their changes are not kept. */
extern void ChangesLeaveOut(const List *parents);

/*
 * A table was altered: the batch has its layout from here on, even without
 * changes.  rewritten: its rows may have other values, which no change tells.
 */
extern void ChangesNoteLayout(Leaf *leaf, const ChangeTxn *txn, bool rewritten);

/* Send what is still here to the engine. */
extern void ChangesPush(ChangeBatch *batch);

extern void ChangesSetFilter(const ChangeFilter *filter);
extern void ChangesDropFilters(XLogRecPtr upto);

/*
 * Put the partition key of a row as text.  The row's values are per attribute
 * of the leaf.
 */
extern void ChangesPutKeyText(WireChunk *chunk, int col, const TableLayout *layout,
							  const AttrNumber *attnums, const Datum *values, const bool *nulls);

/* Column list of an engine table of changes: "(n BIGINT, ...)". */
extern char *ChangesColumnSql(const TableLayout *layout);

#endif							/* SHARD_PIPELINE_CHANGES_H */
