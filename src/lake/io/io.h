/*
 * io.h
 *		Files of the lake by their URI.
 *
 * Every access passes one gate: LakeStore() looks at the scheme and picks the
 * store, and refuses what no store serves.  A store is a table of functions;
 * only local files ("file:///a", "file:/a", "/a") exist so far.
 */
#ifndef SHARD_LAKE_IO_H
#define SHARD_LAKE_IO_H

#include "postgres.h"

typedef struct LakeStore
{
	const char *scheme;			/* for messages */

	/* Whole content, in the current memory context. */
	char	   *(*read) (const char *uri, size_t *len);

	/* A new object: error if it exists; on disk when it returns, but for its directory entry. */
	void		(*write) (const char *uri, const char *data, size_t len);

	/* Make the entries of a directory durable; make a directory and its parents. */
	void		(*sync_directory) (const char *uri);
	void		(*make_directory) (const char *uri);

	bool		(*exists) (const char *uri);

	/* Gone already is no error; others are a WARNING and false. */
	bool		(*remove) (const char *uri);
	bool		(*remove_tree) (const char *uri);
} LakeStore;

extern const LakeStore *LakeStoreOf(const char *uri);

/* The plain path of a local URI; ERROR 0A000 for any other. */
extern char *LakeLocalPath(const char *uri);

/*
 * ERROR 42501 unless the current user may read the file: below the warehouse
 * everybody may (the foreign table's privileges decide), elsewhere members of
 * pg_read_server_files.
 */
extern void LakeCheckAccess(const char *uri);

extern bool LakeFileExists(const char *uri);
extern char *LakeReadFile(const char *uri, size_t *len);

/*
 * Write a new file durably, but for its directory entry.  It is removed again
 * if the transaction aborts: nothing that is committed can name it then.
 */
extern void LakeWriteFile(const char *uri, const char *data, size_t len);

/* Remove files written by this transaction now, after a lost race. */
extern void LakeRemoveWritten(const char *uri);

extern void LakeMakeDirectory(const char *uri);
extern void LakeSyncDirectory(const char *uri);

extern void LakeIoInit(void);

extern const LakeStore LakeLocalStore;

#endif							/* SHARD_LAKE_IO_H */
