/*
 * internal.h
 *		Between the files of the catalog folder.
 */
#ifndef SHARD_CATALOG_INTERNAL_H
#define SHARD_CATALOG_INTERNAL_H

#include "access/genam.h"
#include "catalog/catalog.h"
#include "utils/relcache.h"

/* A scan of a _shard table under a fresh catalog snapshot. */
typedef struct CatalogScan
{
	Relation	rel;
	SysScanDesc scan;
} CatalogScan;

extern CatalogScan CatalogScanBegin(const char *table, int nkeys, const Datum *keys);
extern HeapTuple CatalogScanNext(CatalogScan *scan);
extern void CatalogScanEnd(CatalogScan *scan);

/* A column's value by its number in 20_catalog.sql, as text or by default. */
extern Datum CatalogColumn(CatalogScan *scan, HeapTuple tuple, int attnum, bool *isnull);
extern char *CatalogTextColumn(CatalogScan *scan, HeapTuple tuple, int attnum);
extern List *CatalogTextListColumn(CatalogScan *scan, HeapTuple tuple, int attnum);

/* load.c: read a router into the current memory context; NULL if it is not there. */
extern Router *RouterLoad(const char *name);
extern List *RouterNames(void);

/* pins.c */
extern void PinsForget(void);

/* tables.c */
extern char *RouterOfRangeTable(Oid relid);

/* route_range.c */
extern void RangesLoad(Router *router, CatalogScan *scan, HeapTuple tuple);
extern int	RouteByRange(const Router *router, const char *key, size_t len);

#endif							/* SHARD_CATALOG_INTERNAL_H */
