/*
 * worker.h
 *		What the parts of a pipeline worker share.
 */
#ifndef SHARD_PIPELINE_WORKER_H
#define SHARD_PIPELINE_WORKER_H

#include "postgres.h"
#include "pipeline/status.h"

#define LAUNCHER_NAME "shard launcher"
#define WORKER_NAME "shard pipeline"

extern PGDLLEXPORT void PipelineLauncherMain(Datum arg);
extern PGDLLEXPORT void PipelineWorkerMain(Datum arg);

/* Utility hook and commit callbacks; see hooks.c. */
extern void HooksInit(void);

/* At commit of this transaction: look for new extensions, or new tables here. */
extern void WakeLauncherAtCommit(void);
extern void WakeWorkerAtCommit(void);

#endif							/* SHARD_PIPELINE_WORKER_H */
