/*
 * extent.h
 *		Sets of byte ranges: which parts of a file are here, or are needed.
 */
#ifndef SHARD_LAKE_EXTENT_H
#define SHARD_LAKE_EXTENT_H

#include "base/portable.h"

typedef struct Extent
{
	int64		start;
	int64		end;			/* the first byte after it */
} Extent;

/* In order, without overlaps, and none touches the next. */
typedef struct Extents
{
	int			n;
	int			allocated;
	Extent	   *items;
} Extents;

extern void ExtentsAdd(Extents *extents, int64 start, int64 end);
extern bool ExtentsHold(const Extents *extents, int64 start, int64 end);
extern int64 ExtentsBytes(const Extents *extents);

/* What is in "wanted" and not in "have". */
extern Extents ExtentsMissing(const Extents *wanted, const Extents *have);

/* Close gaps of at most this many bytes. */
extern void ExtentsJoin(Extents *extents, int64 gap);

#endif							/* SHARD_LAKE_EXTENT_H */
