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
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lake/registry/registry.h"
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

static bool
RemoveEntry(HeapTuple tuple, TupleDesc desc)
{
	char	   *path = SPI_getvalue(tuple, desc, 2);
	bool		isnull;
	bool		tree = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	const LakeStore *store = LakeStoreOf(path);

	return tree ? store->remove_tree(path) : store->remove(path);
}

/* Remove what the entries name; those that are done, as an array of ids. */
static ArrayType *
RemoveEntries(SPITupleTable *entries, uint64 n, int *ndone)
{
	Datum	   *ids = palloc(sizeof(Datum) * (n + 1));
	TupleDesc	desc = entries->tupdesc;

	*ndone = 0;
	for (uint64 i = 0; i < n; i++)
	{
		HeapTuple	tuple = entries->vals[i];
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		if (RemoveEntry(tuple, desc))
			ids[(*ndone)++] = SPI_getbinval(tuple, desc, 1, &isnull);
	}
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

	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args("SELECT id, path, is_directory FROM _shard.lake_trash "
							  "WHERE owner = $1 AND xid < $2 ORDER BY id FOR UPDATE SKIP LOCKED",
							  2, types, values, NULL, false, BATCH) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.lake_trash");
	ids = PointerGetDatum(RemoveEntries(SPI_tuptable, SPI_processed, &done));
	if (done > 0 &&
		SPI_execute_with_args("DELETE FROM _shard.lake_trash WHERE id = ANY ($1)",
							  1, &array_type, &ids, NULL, false, 0) != SPI_OK_DELETE)
		elog(ERROR, "could not delete from _shard.lake_trash");
	SPI_finish();
	PopActiveSnapshot();
	return done;
}
