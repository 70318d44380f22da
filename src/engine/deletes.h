/*
 * deletes.h
 *		Which rows of a data file are deleted.
 *
 * A request names, for each of its data files that has any, the position-delete
 * files and deletion vectors that apply.  They are read once into a bitmap, kept
 * in a cache that all sessions share: delete files never change once they are
 * written.
 *
 * A position-delete file is an absolute path; a deletion vector is
 * "dv:<offset>:<bytes>:<rows>:<path of the Puffin file>".
 */
#ifndef SHARD_ENGINE_DELETES_H
#define SHARD_ENGINE_DELETES_H

#include "base/portable.h"
#include "duckdb.h"
#include "wire/frame.h"

/* What a request says of one data file. */
typedef struct DeleteRequest
{
	char	   *data_file;		/* as the query names it to shard_live() */
	char	   *iceberg_path;	/* the file as the delete files' file_path shows it */
	const char *key;			/* what of that counts, see wire/path_key.h */
	bool		loose;			/* they may write it in other forms */
	int			nfiles;
	char	  **files;
} DeleteRequest;

typedef struct DeleteBitmap DeleteBitmap;
typedef struct DeleteSet DeleteSet;

/* Read them from a frame; memory of the request. */
extern DeleteRequest *DeleteRequestsRead(FrameReader *reader, int *n);

/*
 * The bitmaps of a request; may read files through the connection.  Counted
 * references: the creator's is given back by DeleteSetRelease().
 */
extern DeleteSet *DeleteSetLoad(duckdb_connection con, DeleteRequest *requests, int n);
extern DeleteSet *DeleteSetRetain(DeleteSet *set);
extern void DeleteSetRelease(DeleteSet *set);

/* The bitmap of a data file, or NULL if none of its rows is deleted. */
extern const DeleteBitmap *DeleteSetFind(const DeleteSet *set, const char *file, size_t len);

/*
 * One bit a row, set for the deleted ones of rows number * DELETE_PAGE_ROWS and
 * following; NULL if there are none.
 */
#define DELETE_PAGE_ROWS 65536
extern const uint64 *DeleteBitmapPage(const DeleteBitmap *bitmap, int64 number);

extern void DeleteCacheLimit(int64 bytes);
extern int64 DeleteCacheBytes(void);

#endif							/* SHARD_ENGINE_DELETES_H */
