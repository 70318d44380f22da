/*
 * init.c
 *		What the table folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "table/drop_guard.h"
#include "table/key_quals.h"
#include "table/parts.h"
#include "table/restore.h"
#include "table/snapshot_guard.h"
#include "table/table.h"

void
TableInit(void)
{
	EventsInit();
	OriginInit();
	DropGuardInit();
	DdlGuardInit();

	/* looks at commands before the one above, which locks tables */
	MotionGuardInit();
	RowSecurityInit();
	RestoreInit();
	SnapshotGuardInit();
	KeyQualsInit();
}
