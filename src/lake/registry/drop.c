/*
 * drop.c
 *		Removal of all lake files when the extension goes.
 *
 * The tables that know about the files are dropped with it: what they say is
 * read before, and the files are removed once the transaction has committed.
 * Files of lakes that another server owns are left alone.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "nodes/pg_list.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

static object_access_hook_type previous_hook = NULL;

/* Local paths to be removed at commit, in TopTransactionContext. */
static List *doomed = NIL;

static void
Doom(const char *uri)
{
	MemoryContext old;

	if (!LakeIsLocal(uri))
	{
		/* after a commit nothing may fail any more, and a network can */
		ereport(WARNING,
				(errmsg("lake files in \"%s\" are left behind", uri),
				 errhint("Remove them with the tools of the object store.")));
		return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	doomed = lappend(doomed, LakeLocalPath(uri));
	MemoryContextSwitchTo(old);
}

static char *
TextColumn(Relation relation, HeapTuple tuple, int column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, RelationGetDescr(relation), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static void
DoomTable(const char *catalog, const char *location)
{
	LakeTable  *table;

	if (catalog == NULL || strcmp(catalog, LAKE_CATALOG) != 0 || location == NULL)
		return;
	if (!LakeIsLocal(location))
	{
		Doom(location);
		return;
	}
	if (!LakeFileExists(location))
		return;
	table = LakeOpenMetadata(InvalidOid, location);
	if (LakeOwns(table->metadata))
		Doom(table->metadata->location);
}

static void
DoomTrash(const char *path, const char *owner)
{
	if (owner != NULL && strcmp(owner, LakeOwner()) == 0 &&
		strncmp(path, TRASH_REST, strlen(TRASH_REST)) != 0)
		Doom(path);
}

/* Read iceberg_tables or lake_trash, which is about to be dropped. */
static void
ReadBeforeDrop(Oid oid, bool is_trash)
{
	Relation	relation = table_open(oid, AccessShareLock);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (is_trash)
			DoomTrash(TextColumn(relation, tuple, 2), TextColumn(relation, tuple, 4));
		else
			DoomTable(TextColumn(relation, tuple, 1), TextColumn(relation, tuple, 4));
	}
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(relation, AccessShareLock);
}

static void
BeforeDrop(Oid oid)
{
	char	   *name = get_rel_name(oid);

	if (name == NULL || get_rel_relkind(oid) != RELKIND_RELATION)
		return;
	if (strcmp(name, "iceberg_tables") == 0 && oid == RegistryTableOid(true))
		ReadBeforeDrop(oid, false);
	else if (strcmp(name, "lake_trash") == 0 &&
			 get_rel_namespace(oid) == get_namespace_oid("_shard", true))
		ReadBeforeDrop(oid, true);
}

static void
ObjectAccess(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	if (previous_hook != NULL)
		previous_hook(access, class, object, sub, arg);
	if (access == OAT_DROP && class == RelationRelationId && sub == 0)
		BeforeDrop(object);
}

static void
RemovePath(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return;
	if (S_ISDIR(st.st_mode))
		(void) rmtree(path, true);	/* warns where it cannot */
	else
		(void) unlink(path);
}

static void
EndOfTransaction(XactEvent event, void *arg)
{
	ListCell   *lc;

	if (event == XACT_EVENT_COMMIT)
		foreach(lc, doomed)
			RemovePath((const char *) lfirst(lc));
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		doomed = NIL;
}

/* What a subtransaction that is rolled back would have dropped stays. */
static void
EndOfSubtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		doomed = NIL;
}

void
RegistryInit(void)
{
	previous_hook = object_access_hook;
	object_access_hook = ObjectAccess;
	RegisterXactCallback(EndOfTransaction, NULL);
	RegisterSubXactCallback(EndOfSubtransaction, NULL);
}
