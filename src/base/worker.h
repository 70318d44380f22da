/*
 * worker.h
 *		What every background worker of the extension does alike: signals,
 *		latch loop, starting one from a backend.
 */
#ifndef SHARD_WORKER_H
#define SHARD_WORKER_H

#include "postgres.h"
#include "postmaster/bgworker.h"

/* Standard handlers (SIGHUP reload, SIGTERM die) and unblocked signals. */
extern void WorkerSetup(void);

/*
 * Sleep until the latch is set, a signal arrives or ms have passed; then
 * process interrupts and a configuration reload.
 */
extern bool WorkerWait(long ms);

/* At server start: register a worker of this library. */
extern void WorkerRegisterStatic(const char *name, const char *function, int restart_seconds);

/*
 * The same for one that serves the whole server: no database connection, and
 * running from before recovery on, on standbys too.
 */
extern void WorkerRegisterService(const char *name, const char *function, int restart_seconds);

/*
 * Start a worker now; main_arg is passed as Datum, database and user in
 * bgw_extra as WorkerTarget.  Returns false if no slot is free
 * (max_worker_processes).
 */
typedef struct WorkerTarget
{
	Oid			database;
	Oid			user;			/* InvalidOid = bootstrap superuser */
	int64		id;				/* for the worker's own use */
} WorkerTarget;

extern bool WorkerStart(const char *name, const char *function, const WorkerTarget *target,
						pid_t notify_pid, BackgroundWorkerHandle **handle);
extern WorkerTarget WorkerGetTarget(void);	/* in the worker: from MyBgworkerEntry */

#endif							/* SHARD_WORKER_H */
