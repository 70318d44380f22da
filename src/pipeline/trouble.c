/*
 * trouble.c
 *		What keeps the lake behind its tables, for whoever reads it.
 *
 * Looked up for every lake query, under any user, so _shard.lake_table is read
 * directly.  It has a row a sharded table.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "pipeline/status.h"
#include "pipeline/trouble.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* Columns of _shard.lake_table. */
#define COL_RELATION 1
#define COL_NAMESPACE 2
#define COL_NAME 3
#define COL_EVENTS_NAME 4
#define COL_PROBLEM 12

/* The first failures may be a matter of moments. */
#define FAILURES_TO_MENTION 3

static char *
ColumnText(Relation relation, HeapTuple tuple, AttrNumber column)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, column, RelationGetDescr(relation), &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static bool
IsRowOf(Relation relation, HeapTuple tuple, const char *namespace, const char *name)
{
	return strcmp(ColumnText(relation, tuple, COL_NAMESPACE), namespace) == 0 &&
		(strcmp(ColumnText(relation, tuple, COL_NAME), name) == 0 ||
		 strcmp(ColumnText(relation, tuple, COL_EVENTS_NAME), name) == 0);
}

char *
TroubleOfTable(const char *namespace, const char *name)
{
	Oid			schema = get_namespace_oid("_shard", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid("lake_table", schema) : InvalidOid;
	char	   *problem = NULL;
	Relation	relation;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		return NULL;
	relation = table_open(relid, AccessShareLock);
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	while (problem == NULL && HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (!heap_attisnull(tuple, COL_PROBLEM, RelationGetDescr(relation)) &&
			IsRowOf(relation, tuple, namespace, name))
			problem = ColumnText(relation, tuple, COL_PROBLEM);
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return problem;
}

Oid
RelationOfLakeTable(const char *namespace, const char *name)
{
	Oid			schema = get_namespace_oid("_shard", true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid("lake_table", schema) : InvalidOid;
	Oid			found = InvalidOid;
	Relation	relation;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		isnull;

	if (!OidIsValid(relid))
		return InvalidOid;
	relation = table_open(relid, AccessShareLock);
	scan = systable_beginscan(relation, InvalidOid, false, NULL, 0, NULL);
	while (!OidIsValid(found) && HeapTupleIsValid(tuple = systable_getnext(scan)))
		if (IsRowOf(relation, tuple, namespace, name))
			found = DatumGetObjectId(heap_getattr(tuple, COL_RELATION, RelationGetDescr(relation), &isnull));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

char *
TroubleOfPipeline(void)
{
	PipelineEntry entry;

	if (Pipeline == NULL || !StatusGet(MyDatabaseId, &entry))
		return NULL;
	if (entry.phase != PIPELINE_FAILED &&
		(entry.phase != PIPELINE_RETRYING || entry.failures < FAILURES_TO_MENTION))
		return NULL;
	return pstrdup(entry.reason[0] != '\0' ? entry.reason : entry.last_error);
}
