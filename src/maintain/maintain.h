/*
 * maintain.h
 *		Entry points of the maintenance folder.
 */
#ifndef SHARD_MAINTAIN_H
#define SHARD_MAINTAIN_H

#include "postgres.h"

/* The worker, which the pipeline's worker starts when there may be work. */
extern PGDLLEXPORT void MaintenanceWorkerMain(Datum arg);

#endif							/* SHARD_MAINTAIN_H */
