/*
 * init.c
 *		What the catalog folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "catalog/catalog.h"

void
CatalogInit(void)
{
}
