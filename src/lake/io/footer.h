/*
 * footer.h
 *		Where the columns of a Parquet file are.
 *
 * Source: the Parquet format specification (metadata in Thrift's compact
 * protocol).  Pure; hostile input ends in false, never in a crash.
 */
#ifndef SHARD_LAKE_FOOTER_H
#define SHARD_LAKE_FOOTER_H

#include "lake/io/extent.h"

/* Length of the metadata before the last 8 bytes; -1 if it is no Parquet file. */
#define FOOTER_TAIL 8
extern int64 FooterLength(const char tail[FOOTER_TAIL]);

/*
 * Add the bytes of the columns with the given field ids to extents.  False if
 * the metadata do not say where they are, or the file has no field ids.
 */
extern bool FooterColumns(const char *metadata, size_t len, int64 file_size,
						  const int *field_ids, int nfields, Extents *extents);

#endif							/* SHARD_LAKE_FOOTER_H */
