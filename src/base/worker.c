/*
 * worker.c
 *		Shared parts of the background workers.
 */
#include "postgres.h"

#include "base/worker.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

StaticAssertDecl(sizeof(WorkerTarget) <= BGW_EXTRALEN, "target fits into bgw_extra");

void
WorkerSetup(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

bool
WorkerWait(long ms)
{
	int			rc;

	rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
				   PG_WAIT_EXTENSION);
	if (rc & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	return (rc & WL_LATCH_SET) != 0;
}

static void
FillWorker(BackgroundWorker *worker, const char *name, const char *function)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, "shard", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_name, name, sizeof(worker->bgw_name));
	strlcpy(worker->bgw_type, name, sizeof(worker->bgw_type));
}

void
WorkerRegisterStatic(const char *name, const char *function, int restart_seconds)
{
	BackgroundWorker worker;

	/* pg_upgrade's server must do nothing by itself */
	if (IsBinaryUpgrade)
		return;

	FillWorker(&worker, name, function);
	worker.bgw_restart_time = restart_seconds;
	RegisterBackgroundWorker(&worker);
}

void
WorkerRegisterService(const char *name, const char *function, int restart_seconds)
{
	BackgroundWorker worker;

	FillWorker(&worker, name, function);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_PostmasterStart;
	worker.bgw_restart_time = restart_seconds;
	RegisterBackgroundWorker(&worker);
}

bool
WorkerStart(const char *name, const char *function, const WorkerTarget *target,
			pid_t notify_pid, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;
	BackgroundWorkerHandle *ignored;

	FillWorker(&worker, name, function);
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	worker.bgw_notify_pid = notify_pid;
	memcpy(worker.bgw_extra, target, sizeof(*target));
	return RegisterDynamicBackgroundWorker(&worker, handle ? handle : &ignored);
}

WorkerTarget
WorkerGetTarget(void)
{
	WorkerTarget target;

	memcpy(&target, MyBgworkerEntry->bgw_extra, sizeof(target));
	return target;
}
