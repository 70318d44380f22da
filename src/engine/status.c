/*
 * status.c
 *		The answer to STATUS.
 */
#include "engine/status.h"

#include <time.h>
#include <unistd.h>

#include "engine/admission.h"
#include "engine/deletes.h"
#include "engine/instance.h"
#include "engine/result_cache.h"
#include "engine/watch.h"

static int64 started_ms;

static int64
Milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
StatusStart(void)
{
	started_ms = Milliseconds();
}

void
StatusWrite(FrameBuffer *buf)
{
	EngineState state = {0};
	Limits		limits;
	const int64 *fields = (const int64 *) &state;
	const char *version = duckdb_library_version();
	size_t		start = FrameBegin(buf, FRAME_STATE);

	state.pid = getpid();
	state.uptime_ms = Milliseconds() - started_ms;
	state.connections = WatchCount() - 1;	/* without the one that asks */
	AdmissionCounts(&state.running, &state.queued, &state.max_queries);
	InstanceMemory(&state.memory_used, &state.spilled, &state.generation, &limits);
	state.threads = limits.threads > 0 ? limits.threads : sysconf(_SC_NPROCESSORS_ONLN);
	state.memory_limit = limits.memory_kb * 1024;
	state.caches = DeleteCacheBytes() + ResultCacheBytes();
	for (int i = 0; i < ENGINE_STATE_FIELDS; i++)
		FramePutI64(buf, fields[i]);
	FramePutString(buf, version, strlen(version));
	FrameEnd(buf, start);
}
