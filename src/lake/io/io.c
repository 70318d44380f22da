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
#include "common/string.h"
#include "lake/io/io.h"
#include "lake/lake.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/acl.h"
#include "utils/memutils.h"

/* Files that this transaction wrote, in TopTransactionContext. */
static List *written = NIL;

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

const LakeStore *
LakeStoreOf(const char *uri)
{
	if (LocalPart(uri) != NULL)
		return &LakeLocalStore;
	if (strchr(uri, ':') == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lake location \"%s\" is not absolute", uri),
				 errhint("Give an absolute path or a file:/// URI.")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("lake location \"%s\" is of a kind that is not supported", uri),
			 errhint("Only local files can be used: an absolute path or a file:/// URI.")));
}

char *
LakeLocalPath(const char *uri)
{
	LakeStoreOf(uri);
	return pstrdup(LocalPart(uri));
}

void
LakeCheckAccess(const char *uri)
{
	char	   *path = LakeLocalPath(uri);

	canonicalize_path(path);
	if (!path_contains_parent_reference(path) && path_is_prefix_of_path(LakeWarehouse(), path))
		return;
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for lake file \"%s\"", uri),
				 errhint("Outside the warehouse, only members of pg_read_server_files may read lake files.")));
}

bool
LakeFileExists(const char *uri)
{
	return LakeStoreOf(uri)->exists(uri);
}

char *
LakeReadFile(const char *uri, size_t *len)
{
	return LakeStoreOf(uri)->read(uri, len);
}

void
LakeRemoveOnAbort(const char *path)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

	written = lappend(written, LakeLocalPath(path));
	MemoryContextSwitchTo(old);
}

void
LakeWriteFile(const char *uri, const char *data, size_t len)
{
	LakeRemoveOnAbort(uri);
	LakeStoreOf(uri)->write(uri, data, len);
}

void
LakeRemoveWritten(const char *uri)
{
	LakeStoreOf(uri)->remove(uri);
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
			written = NIL;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			written = NIL;
			break;
		default:
			break;
	}
}

void
LakeIoInit(void)
{
	RegisterXactCallback(EndOfTransaction, NULL);
}
