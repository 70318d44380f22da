/*
 * shard.c
 *		Entry point of the extension's library.
 */
#include "postgres.h"

#include "base/counters.h"
#include "base/settings.h"
#include "base/shmem.h"
#include "catalog/catalog.h"
#include "client/engine.h"
#include "command/only_shard.h"
#include "fdw/fdw.h"
#include "fmgr.h"
#include "lake/lake.h"
#include "migration/migration.h"
#include "monitor/monitor.h"
#include "pipeline/pipeline.h"
#include "table/table.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/*
 * Set up one folder after the other.  Loaded without preloading, routing works
 * and everything that needs a worker says what to do.
 */
void
_PG_init(void)
{
	SettingsInit();
	CountersInit();
	CatalogInit();
	TableInit();
	OnlyShardInit();
	ClientInit();
	LakeInit();
	PipelineInit();
	FdwInit();
	MigrationInit();
	MonitorInit();
	ShmemInstall();
}
