/*
 * scan.c
 *		Reading the _shard tables from C.
 *
 * They are read as PostgreSQL reads its own catalogs: by index, under a fresh
 * catalog snapshot, whatever snapshot the query runs under, without regard to
 * privileges or row-level security, and in parallel workers and on standbys,
 * too.  That is right for a map because who routes a row holds a lock on its
 * table, and who changes a map holds a conflicting one until it commits.
 *
 * Their text columns are COLLATE "C", the collation of catalog scan keys.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "base/compat.h"
#include "catalog/internal.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

Oid
CatalogTableOid(const char *name)
{
	Oid			namespace = get_namespace_oid("_shard", true);

	return OidIsValid(namespace) ? get_relname_relid(name, namespace) : InvalidOid;
}

/*
 * Is the extension in this database?  pg_upgrade makes its objects one by one
 * among all others, and brings the rows as files in the end: until then there is
 * nothing to look at or after.
 */
bool
CatalogExtensionExists(void)
{
	return !IsBinaryUpgrade && OidIsValid(CatalogTableOid("router"));
}

/*
 * Begin a scan of the rows whose first nkeys columns, text all of them and a
 * prefix of the primary key, have the given values.
 */
CatalogScan
CatalogScanBegin(const char *table, int nkeys, const Datum *keys)
{
	ScanKeyData scankeys[2];
	Oid			relid = CatalogTableOid(table);
	CatalogScan scan;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table _shard.%s does not exist", table),
				 errhint("Run CREATE EXTENSION shard in this database.")));
	Assert(nkeys <= lengthof(scankeys));
	for (int i = 0; i < nkeys; i++)
		ScanKeyInit(&scankeys[i], i + 1, BTEqualStrategyNumber, F_TEXTEQ, keys[i]);
	scan.rel = table_open(relid, AccessShareLock);
	scan.scan = systable_beginscan(scan.rel, PrimaryKeyIndex(scan.rel), nkeys > 0,
								   NULL, nkeys, scankeys);
	return scan;
}

HeapTuple
CatalogScanNext(CatalogScan *scan)
{
	return systable_getnext(scan->scan);
}

void
CatalogScanEnd(CatalogScan *scan)
{
	systable_endscan(scan->scan);
	table_close(scan->rel, AccessShareLock);
}

Datum
CatalogColumn(CatalogScan *scan, HeapTuple tuple, int attnum, bool *isnull)
{
	bool		ignored;

	return heap_getattr(tuple, attnum, RelationGetDescr(scan->rel), isnull ? isnull : &ignored);
}

char *
CatalogTextColumn(CatalogScan *scan, HeapTuple tuple, int attnum)
{
	bool		isnull;
	Datum		value = CatalogColumn(scan, tuple, attnum, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

List *
CatalogTextListColumn(CatalogScan *scan, HeapTuple tuple, int attnum)
{
	bool		isnull;
	Datum		value = CatalogColumn(scan, tuple, attnum, &isnull);
	List	   *result = NIL;
	Datum	   *elems;
	int			nelems;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, NULL, &nelems);
	for (int i = 0; i < nelems; i++)
		result = lappend(result, TextDatumGetCString(elems[i]));
	return result;
}
