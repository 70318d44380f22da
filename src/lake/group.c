/*
 * group.c
 *		Changes of several tables that become visible together.
 *
 * In iceberg_tables the database's transaction does that.  A REST catalog does it
 * if it has the endpoint for several tables: then what is committed with a group
 * is kept back until the group is.
 */
#include "postgres.h"

#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "lake/registry/rest.h"

struct LakeGroup
{
	List	   *changes;		/* of RestChange * */
	List	   *paths;			/* written, to be removed after a lost race */
	List	   *trash;			/* paths that nobody needs afterwards */
};

LakeGroup *
LakeGroupBegin(void)
{
	return LakeByRest() && RestCommitsTogether(LakeAccessOf(InvalidOid)) ?
		palloc0(sizeof(LakeGroup)) : NULL;
}

void
LakeGroupAdd(LakeGroup *group, struct RestChange *change, List *paths, List *trash)
{
	group->changes = lappend(group->changes, change);
	group->paths = list_concat(group->paths, paths);
	group->trash = list_concat(group->trash, trash);
}

bool
LakeGroupCommit(LakeGroup *group)
{
	ListCell   *lc;

	if (group == NULL || group->changes == NIL)
		return true;
	if (RestCommitAll(group->changes))
	{
		RegistryTrash(group->trash, false);
		return true;
	}
	foreach(lc, group->paths)
		LakeRemoveWritten((const char *) lfirst(lc));
	return false;
}
