/*
 * grants.c
 *		Directories that the engine may read besides its own.
 *
 * A grant is a symbolic link in shard/grants, named by a hash of the directory;
 * the engine looks for new ones before each request of a fresh connection.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/settings.h"
#include "client/engine.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "wire/frame.h"

/*
 * Absolute and canonical, without "file:".
 */
static char *
LocalPath(const char *path)
{
	char		buf[MAXPGPATH];

	if (strncmp(path, "file://", 7) == 0)
		path += 7;
	else if (strncmp(path, "file:", 5) == 0)
		path += 5;
	if (strlen(path) + strlen(DataDir) + 2 > MAXPGPATH)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("path \"%s\" is too long", path)));
	if (is_absolute_path(path))
		strlcpy(buf, path, sizeof(buf));
	else
		snprintf(buf, sizeof(buf), "%s/%s", DataDir, path);
	canonicalize_path(buf);
	return pstrdup(buf);
}

static bool
IsBelow(const char *path, const char *directory)
{
	size_t		len = strlen(directory);

	return strncmp(path, directory, len) == 0 && path[len] == '/';
}

static bool
IsOwn(const char *path)
{
	char		own[MAXPGPATH];

	snprintf(own, sizeof(own), "%s/shard", DataDir);
	if (IsBelow(path, own))
		return true;
	if (!WarehouseIsDirectory())
		return false;
	return IsBelow(path, LocalPath(Warehouse));
}

/*
 * Leave a link to the directory, if there is none yet.  What is below it may be
 * opened, too, so the root directory is not for granting.
 */
static void
Grant(const char *directory)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) directory, strlen(directory), 0);
	char		link[MAXPGPATH];
	struct stat st;

	if (strcmp(directory, "/") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the engine does not open files in the root directory")));
	snprintf(link, sizeof(link), "%s/%016llx", ENGINE_GRANTS, (unsigned long long) hash);
	if (lstat(link, &st) == 0)
		return;
	(void) mkdir("shard", S_IRWXU);
	(void) mkdir(ENGINE_GRANTS, S_IRWXU);
	if (symlink(directory, link) != 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create symbolic link \"%s\": %m", link)));
}

char *
EnginePath(const char *path)
{
	char	   *local = LocalPath(path);
	char	   *directory;

	if (strpbrk(local, "*?[") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("path \"%s\" has a character that the engine takes for a pattern", local),
				 errhint("Paths of lake files must not hold \"*\", \"?\" or \"[\".")));
	if (!IsOwn(local))
	{
		directory = pstrdup(local);
		get_parent_directory(directory);
		Grant(directory);
		pfree(directory);
	}
	return local;
}
