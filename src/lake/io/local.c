/*
 * local.c
 *		The store of local files.
 *
 * Files go through PostgreSQL's descriptor pool, so that an error or abort
 * closes them.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "lake/io/io.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"

/* No single piece of metadata may be larger. */
#define MAX_READ ((off_t) 0x3fffff00)

static char *
LocalRead(LakeAccess *access, const char *uri, size_t *len)
{
	char	   *path = LakeLocalPath(uri);
	int			fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	struct stat st;
	char	   *data;
	off_t		done = 0;

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open lake file \"%s\": %m", path)));
	if (fstat(fd, &st) < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not stat lake file \"%s\": %m", path)));
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_READ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lake file \"%s\" is not a regular file of a bearable size", path)));

	data = palloc(st.st_size + 1);
	while (done < st.st_size)
	{
		ssize_t		n;

		CHECK_FOR_INTERRUPTS();
		n = read(fd, data + done, st.st_size - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read lake file \"%s\": %m", path)));
		if (n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("lake file \"%s\" became shorter while it was read", path)));
		done += n;
	}
	CloseTransientFile(fd);
	data[done] = '\0';
	*len = done;
	return data;
}

static void
WriteAll(int fd, const char *path, const char *data, size_t len)
{
	size_t		done = 0;

	while (done < len)
	{
		ssize_t		n;

		errno = 0;
		n = write(fd, data + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write lake file \"%s\": %m", path)));
		}
		done += n;
	}
}

/*
 * Write to a temporary name, fsync, and rename: a file that is there is whole.
 */
static void
LocalWrite(LakeAccess *access, const char *uri, const char *data, size_t len)
{
	char	   *path = LakeLocalPath(uri);
	char	   *temporary = psprintf("%s.tmp", path);
	struct stat st;
	int			fd;

	if (stat(path, &st) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_FILE),
				 errmsg("lake file \"%s\" exists already", path)));
	fd = OpenTransientFile(temporary, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create lake file \"%s\": %m", temporary)));
	WriteAll(fd, temporary, data, len);
	if (pg_fsync(fd) != 0)
		ereport(data_sync_elevel(ERROR),
				(errcode_for_file_access(),
				 errmsg("could not fsync lake file \"%s\": %m", temporary)));
	if (CloseTransientFile(fd) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not close lake file \"%s\": %m", temporary)));
	if (rename(temporary, path) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rename lake file \"%s\" to \"%s\": %m", temporary, path)));
}

/*
 * The engine has written the file where it belongs, but does not flush it.
 */
static void
LocalFinish(LakeAccess *access, const char *uri, const char *file)
{
	char	   *parent = pstrdup(file);

	fsync_fname(file, false);
	get_parent_directory(parent);
	fsync_fname(parent, true);
}

static void
LocalSyncDirectory(const char *uri)
{
	fsync_fname(LakeLocalPath(uri), true);
}

/*
 * mkdir -p, each new level made durable in its parent.
 */
static void
LocalMakeDirectory(const char *uri)
{
	char	   *path = LakeLocalPath(uri);
	char	   *parent;
	struct stat st;

	canonicalize_path(path);
	if (stat(path, &st) == 0)
	{
		if (!S_ISDIR(st.st_mode))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a directory", path)));
		return;
	}
	parent = pstrdup(path);
	get_parent_directory(parent);
	if (parent[0] != '\0' && strcmp(parent, path) != 0)
		LocalMakeDirectory(parent);
	if (MakePGDirectory(path) != 0)
	{
		if (errno == EEXIST)
			return;
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", path)));
	}
	if (parent[0] != '\0')
		fsync_fname(parent, true);
}

static bool
LocalExists(LakeAccess *as, const char *uri)
{
	return access(LakeLocalPath(uri), R_OK) == 0;
}

static List *
LocalRemove(LakeAccess *access, const List *uris)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, uris)
	{
		char	   *path = LakeLocalPath((const char *) lfirst(lc));

		CHECK_FOR_INTERRUPTS();
		if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
			continue;
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not remove lake file \"%s\": %m", path)));
		left = lappend(left, lfirst(lc));
	}
	return left;
}

static bool
LocalRemoveTree(LakeAccess *access, const char *uri)
{
	char	   *path = LakeLocalPath(uri);
	struct stat st;

	if (lstat(path, &st) != 0 && errno == ENOENT)
		return true;
	return rmtree(path, true);
}

static List *
ListBelow(List *files, const char *uri, const char *path)
{
	DIR		   *dir = AllocateDir(path);
	struct dirent *entry;

	if (dir == NULL && errno == ENOENT)
		return files;
	while ((entry = ReadDir(dir, path)) != NULL)
	{
		char	   *below = psprintf("%s/%s", path, entry->d_name);
		char	   *name = psprintf("%s/%s", uri, entry->d_name);
		struct stat st;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (lstat(below, &st) != 0)
		{
			if (errno == ENOENT)
				continue;		/* removed meanwhile */
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not stat lake file \"%s\": %m", below)));
		}
		if (S_ISDIR(st.st_mode))
			files = ListBelow(files, name, below);
		else if (S_ISREG(st.st_mode))
		{
			LakeFileInfo *info = palloc(sizeof(LakeFileInfo));

			info->uri = name;
			info->size = st.st_size;
			info->modified_ms = (int64) st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
			files = lappend(files, info);
		}
	}
	FreeDir(dir);
	return files;
}

static List *
LocalList(LakeAccess *access, const char *uri)
{
	char	   *base = pstrdup(uri);
	size_t		len = strlen(base);

	while (len > 1 && base[len - 1] == '/')
		base[--len] = '\0';
	return ListBelow(NIL, base, LakeLocalPath(base));
}

const LakeStore LakeLocalStore = {
	.scheme = "file",
	.read = LocalRead,
	.write = LocalWrite,
	.finish = LocalFinish,
	.sync_directory = LocalSyncDirectory,
	.make_directory = LocalMakeDirectory,
	.exists = LocalExists,
	.remove = LocalRemove,
	.remove_tree = LocalRemoveTree,
	.list = LocalList,
};
