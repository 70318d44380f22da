/*
 * filecache.h
 *		Local copies of remote lake files, whole or in part.
 *
 * A copy has the size of its file and holds those of its bytes that somebody
 * needed, at their places: enough for the engine to read the columns of a query.
 * Lake files never change, so that what is here need not be asked for again.
 */
#ifndef SHARD_LAKE_FILECACHE_H
#define SHARD_LAKE_FILECACHE_H

#include "postgres.h"
#include "lake/io/access.h"

/* A file that is needed here. */
typedef struct CacheWant
{
	const char *uri;
	int64		size;			/* as the metadata say, -1 = unknown */
	const int  *field_ids;		/* columns of a Parquet file; NULL = all of it */
	int			nfields;
} CacheWant;

/* Where the copy of a file is, or would be: absolute. */
extern char *FileCachePath(const LakeAccess *access, const char *uri);

/*
 * Fetch what is missing.  The files are not removed before the end of the
 * transaction.
 */
extern void FileCacheFetch(LakeAccess *access, const CacheWant *wants, int n);

/* Take in a local file as the copy of a remote one; best effort. */
extern void FileCacheTake(const LakeAccess *access, const char *uri, const char *file);

/* Remove a file's copy. */
extern void FileCacheForget(const LakeAccess *access, const char *uri);

/* Where files are written before they are uploaded. */
#define UPLOAD_DIRECTORY "shard/pgsql_tmp_upload"

extern void FileCacheInit(void);

#endif							/* SHARD_LAKE_FILECACHE_H */
