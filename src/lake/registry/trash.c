/*
 * trash.c
 *		Removal of lake files that nobody can need any more.
 *
 * A file is queued by the transaction that takes away the last pointer to it.
 * It may go when that transaction is older than every snapshot of this
 * database: until then a query may hold the old pointer.  Entries that another
 * server queued (we may be its clone) are left alone.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "base/points.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "lake/registry/rest.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

/* Removed in one call, so that the transaction stays short. */
#define BATCH 1000

/* The oldest transaction that some snapshot of this database may not see. */
static FullTransactionId
Horizon(void)
{
	Relation	relation = table_open(RegistryTable(), AccessShareLock);
	TransactionId horizon = GetOldestNonRemovableTransactionId(relation);
	FullTransactionId next = ReadNextFullTransactionId();
	uint32		distance = XidFromFullTransactionId(next) - horizon;

	table_close(relation, AccessShareLock);
	return FullTransactionIdFromU64(U64FromFullTransactionId(next) - distance);
}

/* "UUID/NAMESPACE/NAME" */
static bool
DropFromCatalog(const char *entry)
{
	const char *namespace = strchr(entry, '/') + 1;
	const char *name = strchr(namespace, '/') + 1;

	return !LakeByRest() ||
		RestDrop(pnstrdup(namespace, name - namespace - 1), name, pnstrdup(entry, namespace - entry - 1));
}

/*
 * A REST catalog may give the credentials for files along with their table only:
 * have them given to this process.
 */
static void
OpenTables(char **paths, uint64 n)
{
	bool		needed = false;
	ListCell   *lc;

	for (uint64 i = 0; i < n && LakeByRest() && !needed; i++)
		needed = strncmp(paths[i], TRASH_REST, strlen(TRASH_REST)) != 0 &&
			!LakeIsLocal(paths[i]) && !LakeAccessHasCredentials(LakeAccessOfLake(paths[i]));
	if (!needed)
		return;
	foreach(lc, RegistryTables())
	{
		const RegistryName *table = lfirst(lc);

		(void) LakeOpen(table->namespace, table->name, true);
	}
}

/* Remove what the entries name; those that are done, as an array of ids. */
static ArrayType *
RemoveEntries(SPITupleTable *entries, uint64 n, int *ndone)
{
	Datum	   *ids = palloc(sizeof(Datum) * (n + 1));
	char	  **paths = palloc(sizeof(char *) * (n + 1));
	TupleDesc	desc = entries->tupdesc;
	List	   *files = NIL;
	List	   *left = NIL;
	bool		hold = false;	/* a catalog may still name what is in a tree */
	bool		isnull;

	for (uint64 i = 0; i < n; i++)
		paths[i] = SPI_getvalue(entries->vals[i], desc, 2);
	OpenTables(paths, n);
	for (uint64 i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strncmp(paths[i], TRASH_REST, strlen(TRASH_REST)) == 0)
		{
			hold = !DropFromCatalog(paths[i] + strlen(TRASH_REST));
			if (hold)
				left = lappend(left, paths[i]);
		}
		else if (!DatumGetBool(SPI_getbinval(entries->vals[i], desc, 3, &isnull)))
			files = lappend(files, paths[i]);
		else if (hold || !LakeRemoveTree(paths[i]))
			left = lappend(left, paths[i]);
	}
	left = list_concat(left, LakeRemoveSome(files));
	*ndone = 0;
	for (uint64 i = 0; i < n; i++)
		if (!list_member_ptr(left, paths[i]))
			ids[(*ndone)++] = SPI_getbinval(entries->vals[i], desc, 1, &isnull);
	return construct_array(ids, *ndone, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

int
LakeEmptyTrash(void)
{
	Oid			types[] = {TEXTOID, XID8OID};
	Datum		values[] = {CStringGetTextDatum(LakeOwner()), FullTransactionIdGetDatum(Horizon())};
	Oid			array_type = INT8ARRAYOID;
	Datum		ids;
	int			done;

	LakeRemoveLeftovers();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT id, path, is_directory FROM _shard.lake_trash "
							  "WHERE owner = $1 AND xid < $2 ORDER BY id FOR UPDATE SKIP LOCKED",
							  2, types, values, NULL, false, BATCH) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.lake_trash");
	ids = PointerGetDatum(RemoveEntries(SPI_tuptable, SPI_processed, &done));
	SHARD_POINT("trash-after-remove");
	if (done > 0 &&
		SPI_execute_with_args("DELETE FROM _shard.lake_trash WHERE id = ANY ($1)",
							  1, &array_type, &ids, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from _shard.lake_trash");
	SPI_finish();
	PopActiveSnapshot();
	return done;
}
