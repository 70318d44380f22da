/*
 * init.c
 *		What the pipeline folder sets up when the library is loaded.
 */
#include "postgres.h"

#include "base/worker.h"
#include "miscadmin.h"
#include "pipeline/pipeline.h"
#include "pipeline/worker.h"

#define LAUNCHER_RESTART_SECONDS 5

/*
 * Without preloading there is no shared memory and so no pipeline; everything
 * then says so.
 */
void
PipelineInit(void)
{
	StatusInit();
	HooksInit();
	if (process_shared_preload_libraries_in_progress)
		WorkerRegisterStatic(LAUNCHER_NAME, "PipelineLauncherMain", LAUNCHER_RESTART_SECONDS);
}
