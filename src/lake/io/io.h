/*
 * io.h
 *		Files of the lake by their URI.
 *
 * Every access passes one gate: LakeStoreOf() looks at the scheme and picks the
 * store, and refuses what no store serves; LakeCheckAccess() says whether the
 * user may read the file.  A store is a table of functions: local files
 * ("file:///a", "file:/a", "/a"), and objects ("s3://bucket/key").
 *
 * Functions without an argument for it act with the access that this database's
 * own lake has for the current user.
 */
#ifndef SHARD_LAKE_IO_H
#define SHARD_LAKE_IO_H

#include "postgres.h"
#include "lake/io/access.h"
#include "nodes/pg_list.h"

/* A file as a listing tells of it. */
typedef struct LakeFileInfo
{
	char	   *uri;
	int64		size;
	int64		modified_ms;	/* Unix time */
} LakeFileInfo;

typedef struct LakeStore
{
	const char *scheme;			/* for messages */

	/* Whole content, in the current memory context. */
	char	   *(*read) (LakeAccess *access, const char *uri, size_t *len);

	/* A new object: error if it exists; on disk when it returns, but for its directory entry. */
	void		(*write) (LakeAccess *access, const char *uri, const char *data, size_t len);

	/* Make what the engine wrote to a file the object, durably. */
	void		(*finish) (LakeAccess *access, const char *uri, const char *file);

	/* Make the entries of a directory durable; make a directory and its parents. */
	void		(*sync_directory) (const char *uri);
	void		(*make_directory) (const char *uri);

	bool		(*exists) (LakeAccess *access, const char *uri);

	/*
	 * Gone already is no error; others are a WARNING, and returned: of List of
	 * char *.
	 */
	List	   *(*remove) (LakeAccess *access, const List *uris);
	bool		(*remove_tree) (LakeAccess *access, const char *uri);

	/* All files below a directory, in no order; none if it is not there. */
	List	   *(*list) (LakeAccess *access, const char *uri);
} LakeStore;

extern const LakeStore *LakeStoreOf(const char *uri);

extern bool LakeIsLocal(const char *uri);

/* The plain path of a local URI; ERROR 0A000 for any other. */
extern char *LakeLocalPath(const char *uri);

/* The form in which we write a location: a plain path, or a URI without a slash at its end. */
extern char *LakeCanonical(const char *uri);

/*
 * ERROR 42501 unless the current user may read the file.  Local files: below the
 * warehouse everybody may (the foreign table's privileges decide), elsewhere
 * members of pg_read_server_files.  Objects: see LakeAccessCheck().
 */
extern void LakeCheckAccess(const LakeAccess *access, const char *uri);

extern bool LakeFileExists(const char *uri);
extern char *LakeReadFile(LakeAccess *access, const char *uri, size_t *len);

/*
 * Write a new file durably, but for its directory entry.  It is removed again
 * if the transaction aborts: nothing that is committed can name it then.
 */
extern void LakeWriteFile(const char *uri, const char *data, size_t len);

/* Remove files written by this transaction now, after a lost race. */
extern void LakeRemoveWritten(const char *uri);

/*
 * What this transaction has written so far stays, whatever becomes of it:
 * somebody outside of it may know of the files.
 */
extern void LakeKeepWritten(void);

/*
 * Remove objects that aborted transactions of this process wrote; local files
 * are removed at the abort itself.
 */
extern void LakeRemoveLeftovers(void);

/*
 * All files below a directory, at any depth, of LakeFileInfo *: their URIs begin
 * with the one given.  A directory that is not there has none.
 */
extern List *LakeListFiles(const char *uri);

/*
 * Remove files (List of char *) now.  One that is gone already counts as
 * removed; a WARNING for each that cannot be.  Returns how many are gone.
 */
extern int	LakeRemoveFiles(const List *uris);
/* The same, returning those that could not be removed. */
extern List *LakeRemoveSome(const List *uris);
extern bool LakeRemoveTree(const char *uri);

/*
 * Where the engine is to write a new lake file: LakeSyncFile() then makes it one
 * for good.  The file itself for a local one, else a file on its way.
 */
extern char *LakeWritePath(const char *uri);

/*
 * Every transaction that writes lake files calls the first (LakeRemoveOnAbort()
 * and so all that write do).  The second waits until those that have done so by
 * now have ended.
 */
extern void LakeLockAsWriter(void);
extern void LakeWaitForWriters(void);

/*
 * The name under which the engine reads a lake file.  One that is not local must
 * have been fetched (FileCacheFetch) when it does.
 */
extern char *LakeEnginePath(const LakeAccess *access, const char *uri);

extern void LakeMakeDirectory(const char *uri);
extern void LakeSyncDirectory(const char *uri);

extern void LakeIoInit(void);

extern const LakeStore LakeLocalStore;
extern const LakeStore LakeS3Store;

#endif							/* SHARD_LAKE_IO_H */
