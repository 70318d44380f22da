/*
 * io.c
 *		The gate to the lake's files, and removal of what an aborted
 *		transaction wrote.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "base/settings.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "common/string.h"
#include "lake/io/filecache.h"
#include "lake/io/io.h"
#include "lake/lake.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/memutils.h"

/* Local files and objects that this transaction wrote, in TopTransactionContext. */
static List *written = NIL;
static List *uploaded = NIL;

/* Objects of transactions that aborted, in TopMemoryContext. */
static List *leftovers = NIL;

/*
 * What follows "file:" as a plain path; NULL if the URI is of another kind.
 */
static const char *
LocalPart(const char *uri)
{
	if (uri[0] == '/')
		return uri;
	if (pg_strncasecmp(uri, "file:", 5) != 0)
		return NULL;
	uri += 5;
	if (strncmp(uri, "///", 3) == 0)
		return uri + 2;
	if (pg_strncasecmp(uri, "//localhost/", 12) == 0)
		return uri + 11;
	if (uri[0] == '/' && uri[1] != '/')
		return uri;
	return NULL;
}

/*
 * Is it an object's URI?  Programs of the Hadoop kind say s3a or s3n.
 */
static bool
IsObject(const char *uri)
{
	return strncmp(uri, "s3://", 5) == 0 || strncmp(uri, "s3a://", 6) == 0 ||
		strncmp(uri, "s3n://", 6) == 0;
}

const LakeStore *
LakeStoreOf(const char *uri)
{
	if (LocalPart(uri) != NULL)
		return &LakeLocalStore;
	if (IsObject(uri))
		return &LakeS3Store;
	if (strchr(uri, ':') == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lake location \"%s\" is not absolute", uri),
				 errhint("Give an absolute path or a file:/// or s3:// URI.")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("lake location \"%s\" is of a kind that is not supported", uri),
			 errhint("Files can be local (an absolute path or a file:/// URI) or objects (s3://bucket/key).")));
}

bool
LakeIsLocal(const char *uri)
{
	return LakeStoreOf(uri) == &LakeLocalStore;
}

char *
LakeLocalPath(const char *uri)
{
	if (!LakeIsLocal(uri))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("lake location \"%s\" is not a local file", uri)));
	return pstrdup(LocalPart(uri));
}

char *
LakeCanonical(const char *uri)
{
	char	   *copy;
	size_t		len;

	if (LakeIsLocal(uri))
		return LakeLocalPath(uri);
	copy = pstrdup(uri);
	for (len = strlen(copy); len > 0 && copy[len - 1] == '/';)
		copy[--len] = '\0';
	return copy;
}

void
LakeCheckAccess(const LakeAccess *access, const char *uri)
{
	char	   *path;

	if (!LakeIsLocal(uri))
	{
		LakeAccessCheck(access, uri);
		return;
	}
	path = LakeLocalPath(uri);
	canonicalize_path(path);
	if (!path_contains_parent_reference(path) && path_is_prefix_of_path(LakeWarehouse(), path))
		return;
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for lake file \"%s\"", uri),
				 errhint("Outside the warehouse, only members of pg_read_server_files may read lake files.")));
}

/* How this database's lake gets at a file. */
static LakeAccess *
Own(const char *uri)
{
	return LakeAccessOfLake(uri);
}

bool
LakeFileExists(const char *uri)
{
	return LakeStoreOf(uri)->exists(Own(uri), uri);
}

char *
LakeReadFile(LakeAccess *access, const char *uri, size_t *len)
{
	return LakeStoreOf(uri)->read(access, uri, len);
}

char *
LakeEnginePath(const LakeAccess *access, const char *uri)
{
	return EnginePath(LakeIsLocal(uri) ? LakeLocalPath(uri) : FileCachePath(access, uri));
}

/* ---- writing ---- */

/* Where a file that is not local is written before it is uploaded. */
static char *
UploadPath(const char *uri)
{
	return psprintf("%s/" UPLOAD_DIRECTORY "/%s", DataDir, strrchr(uri, '/') + 1);
}

char *
LakeWritePath(const char *uri)
{
	if (LakeIsLocal(uri))
		return LakeLocalPath(uri);
	LakeLocalStore.make_directory(psprintf("%s/" UPLOAD_DIRECTORY, DataDir));
	return UploadPath(uri);
}

/* The lock of those that write lake files; no extension has that OID. */
static void
WriterTag(LOCKTAG *tag)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId, (Oid) 1, 1);
}

void
LakeLockAsWriter(void)
{
	LOCKTAG		tag;

	WriterTag(&tag);
	(void) LockAcquire(&tag, RowExclusiveLock, false, false);
}

void
LakeWaitForWriters(void)
{
	LOCKTAG		tag;

	WriterTag(&tag);
	WaitForLockers(tag, ShareLock, false);
}

void
LakeRemoveOnAbort(const char *uri)
{
	MemoryContext old;

	LakeLockAsWriter();
	old = MemoryContextSwitchTo(TopTransactionContext);
	written = lappend(written, LakeIsLocal(uri) ? LakeLocalPath(uri) : UploadPath(uri));
	if (!LakeIsLocal(uri))
		uploaded = lappend(uploaded, pstrdup(uri));
	MemoryContextSwitchTo(old);
}

void
LakeWriteFile(const char *uri, const char *data, size_t len)
{
	LakeRemoveOnAbort(uri);
	LakeStoreOf(uri)->write(Own(uri), uri, data, len);
}

void
LakeSyncFile(const char *uri)
{
	LakeStoreOf(uri)->finish(Own(uri), uri, LakeWritePath(uri));
}

void
LakeMakeDirectory(const char *uri)
{
	LakeStoreOf(uri)->make_directory(uri);
}

void
LakeSyncDirectory(const char *uri)
{
	LakeStoreOf(uri)->sync_directory(uri);
}

/* ---- removing ---- */

void
LakeRemoveWritten(const char *uri)
{
	(void) LakeStoreOf(uri)->remove(Own(uri), list_make1(unconstify(char *, uri)));
}

List *
LakeListFiles(const char *uri)
{
	return LakeStoreOf(uri)->list(Own(uri), uri);
}

/*
 * Files of one store at a time, since a store can do many at once.
 */
int
LakeRemoveFiles(const List *uris)
{
	return list_length(uris) - list_length(LakeRemoveSome(uris));
}

/* Objects for which different credentials hold, each kind at once; those left. */
static List *
RemoveObjects(List *objects)
{
	List	   *left = NIL;

	while (objects != NIL)
	{
		LakeAccess *access = Own((const char *) linitial(objects));
		List	   *same = NIL;
		List	   *others = NIL;
		ListCell   *lc;

		foreach(lc, objects)
		{
			if (Own((const char *) lfirst(lc)) == access)
				same = lappend(same, lfirst(lc));
			else
				others = lappend(others, lfirst(lc));
		}
		left = list_concat(left, LakeS3Store.remove(access, same));
		objects = others;
	}
	return left;
}

List *
LakeRemoveSome(const List *uris)
{
	List	   *local = NIL;
	List	   *objects = NIL;
	ListCell   *lc;

	foreach(lc, uris)
		if (LakeIsLocal((const char *) lfirst(lc)))
			local = lappend(local, lfirst(lc));
		else
			objects = lappend(objects, lfirst(lc));
	return list_concat(LakeLocalStore.remove(NULL, local), RemoveObjects(objects));
}

bool
LakeRemoveTree(const char *uri)
{
	return LakeStoreOf(uri)->remove_tree(Own(uri), uri);
}

void
LakeKeepWritten(void)
{
	written = uploaded = NIL;
}

void
LakeRemoveLeftovers(void)
{
	List	   *uris = leftovers;

	leftovers = NIL;
	if (uris != NIL)
		(void) LakeRemoveSome(uris);
	list_free_deep(uris);
}

/* Objects are not removed now, while no error may be raised, but at leisure. */
static void
KeepLeftovers(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ListCell   *lc;

	foreach(lc, uploaded)
		leftovers = lappend(leftovers, pstrdup((char *) lfirst(lc)));
	MemoryContextSwitchTo(old);
}

/*
 * At abort, remove what was written.  A prepared transaction may still commit:
 * its files stay.
 */
static void
EndOfTransaction(XactEvent event, void *arg)
{
	ListCell   *lc;

	switch (event)
	{
		case XACT_EVENT_ABORT:
			foreach(lc, written)
			{
				char	   *path = (char *) lfirst(lc);

				/* no error may escape from here: go for the file itself */
				unlink(path);
				unlink(psprintf("%s.tmp", path));
			}
			KeepLeftovers();
			written = uploaded = NIL;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			written = uploaded = NIL;
			break;
		default:
			break;
	}
}

void
LakeIoInit(void)
{
	LakeAccessInit();
	FileCacheInit();
	RegisterXactCallback(EndOfTransaction, NULL);
}
