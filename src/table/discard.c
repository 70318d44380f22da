/*
 * discard.c
 *		Dropping the leaves of a shard that cannot be read.
 *
 * Detaching a leaf that foreign keys refer to makes PostgreSQL look for rows
 * that would be left without the one they refer to, and for that it reads the
 * leaf.  So it gets a new, empty file first, as TRUNCATE would give it, which
 * refuses tables that are referred to.  What is lost thereby cannot be read.
 */
#include "postgres.h"

#include "access/table.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "commands/tablecmds.h"
#include "storage/lmgr.h"
#include "table/parts.h"
#include "table/table.h"
#include "utils/rel.h"
#include "utils/relcache.h"

static void
NewFile(Oid relid)
{
	Relation	rel = table_open(relid, AccessExclusiveLock);

	RelationSetNewRelfilenode(rel, rel->rd_rel->relpersistence);
	table_close(rel, NoLock);
}

static void
EmptyLeaf(Oid leaf)
{
	Relation	rel = table_open(leaf, AccessExclusiveLock);
	Oid			toast = rel->rd_rel->reltoastrelid;

	CheckTableNotInUse(rel, "discard");
	table_close(rel, NoLock);
	NewFile(leaf);
	if (OidIsValid(toast))
		NewFile(toast);
	CompatReindexRelation(leaf, REINDEX_REL_PROCESS_TOAST);
}

static void
DiscardLeaf(Oid parent, Oid leaf)
{
	char	   *name = QualifiedName(leaf);

	DdlRunf("ALTER TABLE %s DETACH PARTITION %s", QualifiedName(parent), name);
	DdlRunf("DROP TABLE %s", name);
}

void
TableDiscardLeaves(const char *router, int shard_index)
{
	DdlScope	scope;
	List	   *parents;
	ListCell   *lc,
			   *lc2;

	LockRouter(router, ExclusiveLock);
	DdlBegin(&scope);
	parents = CatalogRouterParents(router);
	foreach(lc, parents)
	{
		LockRelationOid(lfirst_oid(lc), AccessExclusiveLock);
		foreach(lc2, CatalogLeaves(lfirst_oid(lc), shard_index))
			EmptyLeaf(lfirst_oid(lc2));
	}
	foreach(lc, parents)
		foreach(lc2, CatalogLeaves(lfirst_oid(lc), shard_index))
			DiscardLeaf(lfirst_oid(lc), lfirst_oid(lc2));
	DdlEnd(&scope);
}
