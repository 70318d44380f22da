/*
 * init.c
 *		What the migration folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "migration/migration.h"

void
MigrationInit(void)
{
}
