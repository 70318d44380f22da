/*
 * supervisor.c
 *		Starts the engine, watches it, and passes its words to the server's log.
 *
 * One for each server.  The engine gets two pipes: its standard input, whose end
 * tells it that this worker or the whole server has gone, and its standard
 * error.  When that one ends, the engine has; it is started again at once, and
 * with growing pauses if it does not live for a second.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/settings.h"
#include "base/shmem.h"
#include "base/worker.h"
#include "client/supervisor.h"
#include "common/file_utils.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "wire/frame.h"

#define MAX_PAUSE_MS 5000

typedef struct SupervisorShared
{
	pg_atomic_uint64 starts;
	pg_atomic_uint32 grants_cleared;	/* once a server start */
} SupervisorShared;

typedef struct EngineProcess
{
	pid_t		pid;			/* 0 = not running */
	int			control;		/* we write */
	int			log;			/* we read, without blocking */
	TimestampTz started;
	char		line[8192];
	size_t		used;
} EngineProcess;

static SupervisorShared *shared = NULL;

PGDLLEXPORT void shard_engine_supervisor(Datum arg);

static void
InitShared(void *piece)
{
	SupervisorShared *s = piece;

	pg_atomic_init_u64(&s->starts, 0);
	pg_atomic_init_u32(&s->grants_cleared, 0);
}

void
SupervisorInit(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	ShmemRegister("shard engine", sizeof(SupervisorShared), (void **) &shared, InitShared);
	WorkerRegisterService("shard engine", "shard_engine_supervisor", 1);
}

int64
SupervisorStarts(void)
{
	return shared != NULL ? (int64) pg_atomic_read_u64(&shared->starts) : 0;
}

/* ---- runtime directory ---- */

static void
MakeDirectory(const char *path)
{
	if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create directory \"%s\": %m", path)));
}

/*
 * Make what is missing, and remove what an engine before left behind.  Links of
 * granted directories stay while the server runs: statements rely on them.
 */
static void
PrepareDirectory(void)
{
	MakeDirectory("shard");
	MakeDirectory(ENGINE_TMP);
	MakeDirectory(ENGINE_GRANTS);
	MakeDirectory("shard/warehouse");
	if (WarehouseIsDirectory() && pg_mkdir_p(pstrdup(Warehouse), S_IRWXU) != 0 && errno != EEXIST)
		ereport(WARNING,
				(errcode_for_file_access(),
				 errmsg("could not create the warehouse \"%s\": %m", Warehouse)));
	(void) rmtree(ENGINE_TMP, false);
	if (pg_atomic_exchange_u32(&shared->grants_cleared, 1) == 0)
		(void) rmtree(ENGINE_GRANTS, false);
}

/* ---- the process ---- */

/*
 * Between fork and exec: nothing but system calls.
 */
static void
RunProgram(const char *program, char **args, int control, int log)
{
	sigset_t	none;

	(void) setsid();			/* signals to the server's group are not for us */
	if (dup2(control, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
		dup2(log, STDERR_FILENO) < 0)
		_exit(127);
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3U, ~0U, 0U) != 0)
#endif
		for (int fd = 3; fd < 65536; fd++)
			(void) close(fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(program, args);
	(void) !write(STDERR_FILENO, "ERROR: could not execute shard_engine\n", 38);
	_exit(127);
}

/*
 * Two ends of a pipe that other children do not inherit.
 */
static void
OpenPipe(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create a pipe for the engine: %m")));
}

static void
StartEngine(EngineProcess *engine)
{
	char		program[MAXPGPATH];
	char		memory[32],
				threads[32],
				max_queries[32];
	char	   *args[] = {program, memory, threads, max_queries,
		WarehouseIsDirectory() ? Warehouse : "", NULL};
	int			control[2],
				log[2];

	PrepareDirectory();
	snprintf(program, sizeof(program), "%s/shard/shard_engine", pkglib_path);
	snprintf(memory, sizeof(memory), "%d", EngineMemoryLimit);
	snprintf(threads, sizeof(threads), "%d", EngineThreads);
	snprintf(max_queries, sizeof(max_queries), "%d", EngineMaxQueries);
	OpenPipe(control);
	OpenPipe(log);
	fflush(NULL);
	engine->pid = fork();
	if (engine->pid == 0)
		RunProgram(program, args, control[0], log[1]);
	close(control[0]);
	close(log[1]);
	if (engine->pid < 0)
		ereport(ERROR, (errmsg("could not fork the engine: %m")));
	engine->control = control[1];
	engine->log = log[0];
	engine->used = 0;
	engine->started = GetCurrentTimestamp();
	if (!pg_set_noblock(engine->log) || !pg_set_noblock(engine->control))
		ereport(ERROR, (errmsg("could not set up the engine's pipes: %m")));
	pg_atomic_fetch_add_u64(&shared->starts, 1);
}

/*
 * Say why it ended.
 */
static void
ReportEnd(int status)
{
	if (WIFSIGNALED(status))
		ereport(LOG,
				(errmsg("shard_engine was terminated by signal %d: %s",
						WTERMSIG(status), pg_strsignal(WTERMSIG(status)))));
	else
		ereport(LOG,
				(errmsg("shard_engine exited with status %d", WEXITSTATUS(status))));
}

/*
 * Its pipe has ended: collect the process.  If it only closed its standard error,
 * it is of no use any more.
 */
static void
CollectEngine(EngineProcess *engine)
{
	int			status = 0;

	kill(engine->pid, SIGKILL);
	while (waitpid(engine->pid, &status, 0) < 0 && errno == EINTR)
		;
	engine->pid = 0;
	close(engine->control);
	close(engine->log);
	ReportEnd(status);
}

/* ---- its log ---- */

static void
LogEngineLine(const char *line)
{
	int			level = LOG;

	if (strncmp(line, "LOG: ", 5) == 0)
		line += 5;
	else if (strncmp(line, "WARNING: ", 9) == 0)
	{
		level = WARNING;
		line += 9;
	}
	else if (strncmp(line, "ERROR: ", 7) == 0)
	{
		level = WARNING;
		line += 7;
	}
	ereport(level, (errmsg_internal("shard_engine: %s", line)));
}

/*
 * Log what has arrived, line by line; false at the end.
 */
static bool
ReadLog(EngineProcess *engine)
{
	ssize_t		n = read(engine->log, engine->line + engine->used,
						 sizeof(engine->line) - 1 - engine->used);
	char	   *end;

	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
	engine->used += n;
	engine->line[engine->used] = '\0';
	while ((end = strchr(engine->line, '\n')) != NULL)
	{
		*end = '\0';
		LogEngineLine(engine->line);
		engine->used -= end + 1 - engine->line;
		memmove(engine->line, end + 1, engine->used + 1);
	}
	if (engine->used > 0 && (n == 0 || engine->used == sizeof(engine->line) - 1))
	{
		LogEngineLine(engine->line);
		engine->used = 0;
	}
	return n > 0;
}

/* ---- the loop ---- */

static void
SendLimits(EngineProcess *engine)
{
	char		line[128];
	int			len = snprintf(line, sizeof(line), "%d %d %d\n", EngineMemoryLimit,
							   EngineThreads, EngineMaxQueries);

	if (write(engine->control, line, len) != len)
		ereport(LOG, (errmsg("could not pass new settings to shard_engine: %m")));
}

/*
 * How long to wait before the next start: not at all, unless it fails again and
 * again.
 */
static int
NextPause(EngineProcess *engine, int pause_ms)
{
	if (TimestampDifferenceExceeds(engine->started, GetCurrentTimestamp(), 1000))
		return 0;
	return pause_ms == 0 ? 50 : Min(pause_ms * 2, MAX_PAUSE_MS);
}

static void
Wait(EngineProcess *engine, int pause_ms)
{
	int			what = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	if (engine->pid != 0)
		(void) WaitLatchOrSocket(MyLatch, what | WL_SOCKET_READABLE, engine->log, -1,
								 PG_WAIT_EXTENSION);
	else
		(void) WaitLatch(MyLatch, what | WL_TIMEOUT, pause_ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/*
 * The engine would notice the end of its pipe by itself, but later than a
 * successor might look for its socket.
 */
static void
StopEngine(int code, Datum arg)
{
	EngineProcess *engine = (EngineProcess *) DatumGetPointer(arg);

	if (engine->pid != 0)
	{
		kill(engine->pid, SIGKILL);
		(void) waitpid(engine->pid, NULL, 0);
	}
	unlink(ENGINE_SOCKET);
}

void
shard_engine_supervisor(Datum arg)
{
	static EngineProcess engine;
	int			pause_ms = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	before_shmem_exit(StopEngine, PointerGetDatum(&engine));

	while (!ShutdownRequestPending)
	{
		if (engine.pid == 0 && (pause_ms == 0 ||
								TimestampDifferenceExceeds(engine.started, GetCurrentTimestamp(),
														   pause_ms)))
			StartEngine(&engine);
		Wait(&engine, pause_ms);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			if (engine.pid != 0)
				SendLimits(&engine);
		}
		if (engine.pid != 0 && !ReadLog(&engine))
		{
			CollectEngine(&engine);
			pause_ms = NextPause(&engine, pause_ms);
		}
	}
	proc_exit(1);
}
