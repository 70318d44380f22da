/*
 * rows.h
 *		Rows in their parent's column order, and their hashes.
 *
 * A leaf may number its columns otherwise than its parent does; what moves
 * from leaf to leaf, or from the lake, passes through the parent's order.
 */
#ifndef SHARD_MIGRATION_ROWS_H
#define SHARD_MIGRATION_ROWS_H

#include "postgres.h"
#include "access/attnum.h"
#include "access/htup.h"
#include "access/tupdesc.h"
#include "lib/stringinfo.h"

typedef struct RowMap
{
	int			nparent;
	int			nleaf;
	AttrNumber *leaf_of;		/* by parent attribute - 1; 0 = dropped */
	Datum	   *leaf_values;	/* scratch, in the leaf's order */
	bool	   *leaf_nulls;
} RowMap;

extern RowMap *RowMapCreate(TupleDesc parent, TupleDesc leaf);

/* From a leaf's tuple to the parent's order: pointers into the tuple. */
extern void RowFromLeaf(RowMap *map, HeapTuple tuple, TupleDesc leaf,
						Datum *values, bool *nulls);

/* The other way, into map->leaf_values and map->leaf_nulls. */
extern void RowToLeaf(RowMap *map, const Datum *values, const bool *nulls);

/*
 * XXH3 of a row's content.  Equal content hashes alike wherever the row is
 * stored and however its values are packed; the seed tells tables and
 * destinations apart.  scratch is overwritten.
 */
extern uint64 RowHash(TupleDesc parent, const Datum *values, const bool *nulls,
					  uint64 seed, StringInfo scratch);

#endif							/* SHARD_MIGRATION_ROWS_H */
