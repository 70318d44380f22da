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
#include "executor/spi.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
#include "miscadmin.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/xid8.h"

/* Removed in one call, so that the transaction stays short. */
#define BATCH 1000

/* The oldest transaction that some snapshot of this database may not see. */
static TransactionId
Horizon(void)
{
	Relation	relation = table_open(RegistryTable(), AccessShareLock);
	TransactionId horizon = GetOldestNonRemovableTransactionId(relation);

	table_close(relation, AccessShareLock);
	return horizon;
}

static bool
RemoveEntry(HeapTuple tuple, TupleDesc desc)
{
	char	   *path = SPI_getvalue(tuple, desc, 2);
	bool		isnull;
	bool		tree = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	const LakeStore *store = LakeStoreOf(path);

	return tree ? store->remove_tree(path) : store->remove(path);
}

static void
ForgetEntry(HeapTuple tuple, TupleDesc desc)
{
	Oid			type = INT8OID;
	bool		isnull;
	Datum		id = SPI_getbinval(tuple, desc, 1, &isnull);

	if (SPI_execute_with_args("DELETE FROM _shard.lake_trash WHERE id = $1", 1, &type, &id,
							  NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from _shard.lake_trash");
}

int
LakeEmptyTrash(void)
{
	TransactionId horizon = Horizon();
	FullTransactionId next = ReadNextFullTransactionId();
	Oid			type = TEXTOID;
	Datum		owner = CStringGetTextDatum(LakeOwner());
	SPITupleTable *entries;
	uint64		n;
	int			done = 0;

	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT id, path, is_directory, xid FROM _shard.lake_trash "
							  "WHERE owner = $1 ORDER BY id FOR UPDATE SKIP LOCKED",
							  1, &type, &owner, NULL, false, BATCH) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.lake_trash");
	entries = SPI_tuptable;
	n = SPI_processed;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;
		FullTransactionId xid = DatumGetFullTransactionId(SPI_getbinval(entries->vals[i],
																		entries->tupdesc, 4, &isnull));

		CHECK_FOR_INTERRUPTS();
		/* an xid from beyond two billion ago cannot be compared, but is old for sure */
		if (U64FromFullTransactionId(next) - U64FromFullTransactionId(xid) < 0x70000000 &&
			!TransactionIdPrecedes(XidFromFullTransactionId(xid), horizon))
			continue;
		if (!RemoveEntry(entries->vals[i], entries->tupdesc))
			continue;
		ForgetEntry(entries->vals[i], entries->tupdesc);
		done++;
	}
	SPI_finish();
	PopActiveSnapshot();
	return done;
}
