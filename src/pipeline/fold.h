/*
 * fold.h
 *		From the changes of one table in the engine to what must be written:
 *		new state rows, keys to be removed, events.
 */
#ifndef SHARD_PIPELINE_FOLD_H
#define SHARD_PIPELINE_FOLD_H

#include "postgres.h"
#include "lake/lake.h"
#include "pipeline/changes.h"
#include "pipeline/layout.h"

/* Some changes of the table, in the newest layout, few enough to be written at once. */
typedef struct FoldPiece
{
	char	   *relation;		/* of the engine */
	bool		own;			/* made here */
	int64		rows;
	int64		bytes;
	int64		first_n;
	int64		last_n;
} FoldPiece;

typedef struct Fold
{
	EngineConn *conn;
	const TableChanges *changes;
	const TableLayout *layout;	/* the newest */
	char	   *all;			/* engine relation with all changes of the table */
	List	   *pieces;			/* of FoldPiece *: the same, in parts */
	int			parts;			/* of the rows to be written, where the whole row is the key */
	int64		row_bytes;		/* of a row, on average */
	bool		simple;			/* nothing but inserts */
	int64		state_rows;		/* that StateQuery returns */
	bool		all_last;		/* each change put a row that stays */
	int64		removed_keys;
	int64		events;
	bool		moved;			/* pairs of DELETE and INSERT were found */
} Fold;

extern void FoldBegin(Fold *fold, EngineConn *conn, const TableChanges *changes);

/*
 * Fill in values that the WAL left out, from earlier changes or the lake's
 * rows.  Returns false if a row of the lake is missing.
 */
extern bool FoldComplete(Fold *fold, LakeTable *state);

/* Fold by key; sets the counts. */
extern void FoldRun(Fold *fold);

/*
 * Engine queries with columns f<field id>, cast to the schema's types: of one
 * portion of the changes, from 0 to FoldPortions() - 1, or of all, if that is -1.
 */
extern int	FoldPortions(const Fold *fold, bool events);
extern char *FoldStateQuery(const Fold *fold, const IcebergSchema *schema, int portion);
extern char *FoldEventsQuery(const Fold *fold, const IcebergSchema *schema, TimeLineID timeline,
							 int portion);

/*
 * Find the places of the removed keys in the lake: an engine relation with
 * _file and _pos, or NULL if there are none.
 */
extern char *FoldFindRemoved(const Fold *fold, LakeTable *state);

extern void FoldEnd(Fold *fold);

/* Conditions that a scan can be pruned by, from a relation with columns k<attnum>. */
extern LakeCondition *FoldBounds(EngineConn *conn, const TableLayout *layout,
								 const LakeTable *state, const char *relation, int *n);

/*
 * Engine SQL for the rows of a scan of the state, with columns f<attnum> as in
 * the given schema; null for fields that the scan's does not have yet.
 */
extern char *FoldScanSql(const LakeScan *scan, const IcebergSchema *schema,
						 const TableLayout *layout, const AttrNumber *attnums, int n,
						 bool positions);

/* "a, b" from a format with one %d per column of the key, such as "f%d". */
extern char *FoldKeyList(const TableLayout *layout, const char *format, const char *separator);

#endif							/* SHARD_PIPELINE_FOLD_H */
