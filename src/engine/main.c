/*
 * main.c
 *		shard_engine: the process that runs DuckDB for a PostgreSQL server.
 *
 *		shard_engine MEMORY_KB THREADS MAX_QUERIES WAREHOUSE
 *
 * It is started by the extension's supervisor with the data directory as its
 * current directory.  Standard input is a pipe from the supervisor: a line
 * "MEMORY_KB THREADS MAX_QUERIES" changes the limits, and its end means that the
 * supervisor, or the whole server, has gone; then the engine goes, too.
 * Standard error is a pipe into the server's log.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/admission.h"
#include "engine/fail.h"
#include "engine/instance.h"
#include "engine/session.h"
#include "engine/status.h"
#include "engine/watch.h"

static void
Die(const char *what)
{
	LogLine("ERROR", "%s: %s", what, strerror(errno));
	_exit(1);
}

static void
ApplyLimits(const Limits *limits)
{
	AdmissionSetLimit(limits->max_queries);
	/* A sixteenth of the memory limit, on top of it. */
	DeleteCacheLimit(limits->memory_kb * 1024 / 16);
}

static bool
ParseLimits(const char *memory, const char *threads, const char *max_queries, Limits *limits)
{
	limits->memory_kb = strtoll(memory, NULL, 10);
	limits->threads = atoi(threads);
	limits->max_queries = atoi(max_queries);
	return limits->memory_kb > 0 && limits->threads >= 0 && limits->max_queries > 0;
}

/*
 * Read a line of limits from the supervisor.  Ends the process at its end.
 */
static void
ReadControl(void)
{
	static char line[256];
	static size_t used = 0;
	char		memory[64],
				threads[64],
				max_queries[64];
	Limits		limits;
	char	   *end;
	ssize_t		n = read(STDIN_FILENO, line + used, sizeof(line) - 1 - used);

	if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		_exit(0);
	if (n < 0)
		return;
	used += n;
	line[used] = '\0';
	while ((end = strchr(line, '\n')) != NULL)
	{
		if (sscanf(line, "%63s %63s %63s", memory, threads, max_queries) == 3 &&
			ParseLimits(memory, threads, max_queries, &limits))
		{
			ApplyLimits(&limits);
			InstanceSetLimits(&limits);
		}
		used -= end + 1 - line;
		memmove(line, end + 1, used + 1);
	}
	if (used == sizeof(line) - 1)
		used = 0;
}

/*
 * One engine a data directory: the one before us may still be on its way out.
 */
static void
TakePidFile(void)
{
	int			fd = open(ENGINE_PIDFILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct timespec pause = {0, 10 * 1000 * 1000};

	if (fd < 0)
		Die("could not open \"" ENGINE_PIDFILE "\"");
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
	{
		if (errno != EWOULDBLOCK && errno != EINTR)
			Die("could not lock \"" ENGINE_PIDFILE "\"");
		if (i == 500)
			Die("another engine runs in this data directory");
		nanosleep(&pause, NULL);
	}
	if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int) getpid()) < 0)
		Die("could not write \"" ENGINE_PIDFILE "\"");
}

static int
Listen(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ENGINE_SOCKET};
	int			fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(ENGINE_SOCKET);
	umask(0077);
	if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		chmod(ENGINE_SOCKET, 0600) != 0 || listen(fd, 1024) != 0)
		Die("could not listen on \"" ENGINE_SOCKET "\"");
	return fd;
}

static void
Accept(int listener)
{
	struct timespec pause = {0, 10 * 1000 * 1000};
	int			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		SessionStart(fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		nanosleep(&pause, NULL);	/* until a connection ends */
}

/*
 * When memory runs out, the kernel should choose this process before a backend.
 */
static void
VolunteerForOomKiller(void)
{
	int			fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "500", 3) < 0)
		LogLine("LOG", "could not adjust the engine's out-of-memory score: %s", strerror(errno));
	close(fd);
}

int
main(int argc, char **argv)
{
	Limits		limits;
	struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {-1, POLLIN, 0}};

	if (argc != 5 || !ParseLimits(argv[1], argv[2], argv[3], &limits))
	{
		fprintf(stderr, "shard_engine is started by PostgreSQL's extension \"shard\"\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	VolunteerForOomKiller();
	TakePidFile();
	ApplyLimits(&limits);
	StatusStart();
	WatchStart();
	InstanceStart(&limits, argv[4]);
	fds[1].fd = Listen();

	for (;;)
	{
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents != 0)
			ReadControl();
		if (fds[1].revents != 0)
			Accept(fds[1].fd);
	}
}
