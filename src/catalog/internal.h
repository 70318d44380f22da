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

#endif							/* SHARD_CATALOG_INTERNAL_H */
