/*
 * watch.c
 *		The list of sessions, and the thread that cancels orphaned queries.
 *
 * A backend cancels by closing its socket.  The session's thread is then inside
 * DuckDB, so this thread waits for hang-ups and interrupts.  DuckDB forgets an
 * interrupt when the next statement starts, hence it is repeated until the
 * session has stopped running; and it must never hit a disconnected handle,
 * hence the lock.
 */
#include "engine/watch.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "engine/admission.h"
#include "engine/fail.h"

#define REPEAT_MS 5
#define NEVENTS 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Session *sessions = NULL;
static int64 nsessions = 0;
static uint64 last_id = 0;
static int	epoll_fd = -1;

bool
WatchAdd(Session *session)
{
	struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT};
	bool		ok;

	pthread_mutex_lock(&lock);
	session->id = ++last_id;
	event.data.u64 = session->id;
	ok = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, session->fd, &event) == 0;
	if (ok)
	{
		session->next = sessions;
		if (sessions != NULL)
			sessions->prev = session;
		sessions = session;
		nsessions++;
	}
	pthread_mutex_unlock(&lock);
	return ok;
}

void
WatchRemove(Session *session)
{
	pthread_mutex_lock(&lock);
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, session->fd, NULL);
	if (session->prev != NULL)
		session->prev->next = session->next;
	else
		sessions = session->next;
	if (session->next != NULL)
		session->next->prev = session->prev;
	nsessions--;
	pthread_mutex_unlock(&lock);
}

bool
WatchSetRunning(Session *session, bool running)
{
	bool		ok;

	pthread_mutex_lock(&lock);
	ok = !running || !session->gone;
	session->running = running && ok;
	pthread_mutex_unlock(&lock);
	return ok;
}

int64
WatchCount(void)
{
	int64		n;

	pthread_mutex_lock(&lock);
	n = nsessions;
	pthread_mutex_unlock(&lock);
	return n;
}

static void
MarkGone(uint64 id)
{
	for (Session *s = sessions; s != NULL; s = s->next)
		if (s->id == id)
			s->gone = true;
}

/*
 * Interrupt all that run for nobody; true if there are any.
 */
static bool
InterruptOrphans(void)
{
	bool		any = false;

	for (Session *s = sessions; s != NULL; s = s->next)
	{
		if (s->gone && s->running)
		{
			duckdb_interrupt(s->con);
			any = true;
		}
	}
	return any;
}

static void *
WatchMain(void *arg)
{
	struct epoll_event events[NEVENTS];
	bool		again = false;

	for (;;)
	{
		int			n = epoll_wait(epoll_fd, events, NEVENTS, again ? REPEAT_MS : -1);

		pthread_mutex_lock(&lock);
		for (int i = 0; i < n; i++)
			MarkGone(events[i].data.u64);
		again = InterruptOrphans();
		pthread_mutex_unlock(&lock);
		if (n > 0)
			AdmissionWake();
	}
	return NULL;
}

void
WatchStart(void)
{
	pthread_t	thread;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_fd < 0 || pthread_create(&thread, NULL, WatchMain, NULL) != 0)
	{
		LogLine("ERROR", "could not start the watcher: %s", strerror(errno));
		_exit(1);
	}
	pthread_detach(thread);
}
