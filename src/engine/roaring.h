/*
 * roaring.h
 *		Deletion vectors: sets of row numbers as Iceberg 3 keeps them.
 *
 * A blob of type deletion-vector-v1 in a Puffin file: the length of what
 * follows but for the checksum (4 bytes, big-endian), the magic number
 * D1 D3 39 64, a 64-bit Roaring bitmap in the portable format, and the CRC-32 of
 * magic number and bitmap (4 bytes, big-endian).  Source: the Iceberg
 * specification of Puffin and the Roaring format specification.
 *
 * Read here and not by a library, since a file is somebody else's: the CRoaring
 * of Debian 12 knows no 64-bit bitmaps in C and does not check that what it is
 * given is well-formed.
 */
#ifndef SHARD_ENGINE_ROARING_H
#define SHARD_ENGINE_ROARING_H

#include "base/portable.h"

/* Called with each row number, ascending; false ends the reading. */
typedef bool (*RoaringRow) (void *arg, int64 row);

/*
 * Read a whole blob.  Returns NULL, or what is wrong with it (a constant).
 * Rows told before a fault is found are of no worth.
 */
extern const char *DeletionVectorRead(const char *blob, size_t len, RoaringRow tell, void *arg);

#endif							/* SHARD_ENGINE_ROARING_H */
