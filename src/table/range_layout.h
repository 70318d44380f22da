/*
 * range_layout.h
 *		The leaves of a table under a router of strategy range.
 *
 * Each leaf holds one range of keys and lies in the schema of one shard; a
 * shard may have several.  What no leaf's range holds is in the default leaf, in
 * the default shard.  All functions need a DdlScope; those that change something
 * need the locks of a flip.
 */
#ifndef SHARD_TABLE_RANGE_LAYOUT_H
#define SHARD_TABLE_RANGE_LAYOUT_H

#include "postgres.h"
#include "catalog/catalog.h"

typedef struct RangeLeaf
{
	Oid			oid;
	Range		range;			/* of keys, in the router's order, and the shard */
} RangeLeaf;

typedef struct RangeLayout
{
	Oid			parent;
	char	   *router;
	KeyOrder   *order;
	int			nleaves;
	RangeLeaf  *leaves;			/* by range; without the default leaf */
	Oid			default_leaf;	/* InvalidOid: there is none */
	int			default_shard;
} RangeLayout;

extern RangeLayout *RangeLayoutRead(Oid parent);

/* All leaves of a new table, as the router's ranges are. */
extern void RangeLayoutCreate(Oid parent, const char *router, Oid template);

/*
 * One more leaf; returns its OID.  Made first, and attached when its range is
 * free: rows of the default leaf are moved in between.
 */
extern Oid	RangeLeafMake(const RangeLayout *layout, int shard_index, Oid template);
extern void RangeLeafAttach(const RangeLayout *layout, Oid leaf, const Range *range);

/* Change a leaf's range; the leaves' ranges must not overlap at the end. */
extern void RangeLeafSetRange(const RangeLayout *layout, Oid leaf, const Range *range);

/* Give a leaf, with its rows, to another shard. */
extern void RangeLeafGive(Oid parent, Oid leaf, const char *router, int shard_index);

/*
 * The leaf that holds the keys just above a bound, NULL for the default leaf;
 * *end is where these keys end.
 */
extern const RangeLeaf *RangeLeafAbove(const RangeLayout *layout, const RangeBound *bound,
									   RangeBound *end);

/*
 * The first keys, at or above a bound (which goes up), that are not in the
 * shard where a router's ranges, which cover all keys, say; false if there are
 * none.
 */
extern bool RangeLayoutDiffers(const RangeLayout *layout, const RangeSet *all,
							   RangeBound *after, Range *piece);

#endif							/* SHARD_TABLE_RANGE_LAYOUT_H */
