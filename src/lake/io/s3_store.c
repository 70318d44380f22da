/*
 * s3_store.c
 *		The store of objects.
 *
 * Reading goes through the local copies.  There are no directories, and an object
 * is durable when its PUT has been answered.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lake/io/filecache.h"
#include "lake/io/io.h"
#include "lake/io/s3.h"
#include "nodes/pg_list.h"
#include "storage/fd.h"

static char *
S3Read(LakeAccess *access, const char *uri, size_t *len)
{
	CacheWant	want = {uri, -1, NULL, 0};

	FileCacheFetch(access, &want, 1);
	return LakeLocalStore.read(access, FileCachePath(access, uri), len);
}

static void
S3Write(LakeAccess *access, const char *uri, const char *data, size_t len)
{
	S3Put(access, uri, data, len, true);
}

/* Upload what the engine wrote; it becomes the copy that queries read. */
static void
S3Finish(LakeAccess *access, const char *uri, const char *file)
{
	int			fd = OpenTransientFile(file, O_RDONLY | PG_BINARY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", file)));
	S3PutFile(access, uri, fd, st.st_size);
	CloseTransientFile(fd);
	FileCacheTake(access, uri, file);
}

static void
S3Nothing(const char *uri)
{
}

static bool
S3IsThere(LakeAccess *access, const char *uri)
{
	return S3Exists(access, uri);
}

/* Removal is never so urgent that something else should fail for it. */
static bool
MayRemove(const LakeAccess *access, const char *uri)
{
	if (LakeAccessHasCredentials(access))
		return true;
	ereport(WARNING,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 errmsg("could not remove lake file \"%s\": no credentials", uri)));
	return false;
}

static List *
S3Remove(LakeAccess *access, const List *uris)
{
	ListCell   *lc;

	if (uris != NIL && !MayRemove(access, (const char *) linitial(uris)))
		return list_copy(uris);
	foreach(lc, uris)
		FileCacheForget(access, (const char *) lfirst(lc));
	return S3Delete(access, uris);
}

static bool
S3RemoveTree(LakeAccess *access, const char *uri)
{
	List	   *uris = NIL;
	ListCell   *lc;

	if (!MayRemove(access, uri))
		return false;
	foreach(lc, S3List(access, uri))
		uris = lappend(uris, ((LakeFileInfo *) lfirst(lc))->uri);
	return S3Remove(access, uris) == NIL;
}

const LakeStore LakeS3Store = {
	.scheme = "s3",
	.read = S3Read,
	.write = S3Write,
	.finish = S3Finish,
	.sync_directory = S3Nothing,
	.make_directory = S3Nothing,
	.exists = S3IsThere,
	.remove = S3Remove,
	.remove_tree = S3RemoveTree,
	.list = S3List,
};
