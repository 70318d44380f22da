/*
 * init.c
 *		What the migration folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "migration/migration.h"
#include "migration/progress.h"
#include "migration/worker.h"

void
MigrationInit(void)
{
	ProgressInit();
	LaunchInit();
}
