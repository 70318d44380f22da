/*
 * admission.c
 *		The line in front of the engine.
 */
#include "engine/admission.h"

#include <pthread.h>

typedef struct Waiter
{
	struct Waiter *next;
} Waiter;

/* A session with queries in flight. */
typedef struct Running
{
	struct Running *next;
	uint32		session;
	int			queries;
} Running;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int	limit = 1;
static int	running = 0;
static int	waiting = 0;
static Waiter *first = NULL;
static Waiter **last = &first;
static Running *sessions = NULL;

void
AdmissionSetLimit(int max_queries)
{
	pthread_mutex_lock(&lock);
	limit = max_queries;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void
AdmissionWake(void)
{
	pthread_mutex_lock(&lock);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static Running *
FindSession(uint32 session)
{
	for (Running *r = sessions; r != NULL; r = r->next)
		if (r->session == session)
			return r;
	return NULL;
}

static void
RemoveWaiter(Waiter *waiter)
{
	Waiter	  **p = &first;

	while (*p != waiter)
		p = &(*p)->next;
	*p = waiter->next;
	if (last == &waiter->next)
		last = p;
	waiting--;
}

/*
 * Stand in line until it is our turn; the lock is held.
 */
static bool
WaitForTurn(uint32 session, const volatile bool *gone)
{
	Waiter		me = {NULL};

	*last = &me;
	last = &me.next;
	waiting++;
	while (!*gone && !FindSession(session) && (first != &me || running >= limit))
		pthread_cond_wait(&changed, &lock);
	RemoveWaiter(&me);
	/* The next one in line may be able to run, too. */
	pthread_cond_broadcast(&changed);
	return !*gone;
}

bool
AdmissionEnter(uint32 session, const volatile bool *gone)
{
	Running    *mine;
	bool		admitted = true;

	pthread_mutex_lock(&lock);
	if (FindSession(session) == NULL && (first != NULL || running >= limit))
		admitted = WaitForTurn(session, gone);
	if (admitted)
	{
		running++;
		mine = FindSession(session);
		if (mine == NULL && (mine = calloc(1, sizeof(Running))) != NULL)
		{
			mine->session = session;
			mine->next = sessions;
			sessions = mine;
		}
		if (mine != NULL)
			mine->queries++;
	}
	pthread_mutex_unlock(&lock);
	return admitted;
}

void
AdmissionLeave(uint32 session)
{
	pthread_mutex_lock(&lock);
	running--;
	for (Running **p = &sessions; *p != NULL; p = &(*p)->next)
	{
		Running    *r = *p;

		if (r->session != session)
			continue;
		if (--r->queries == 0)
		{
			*p = r->next;
			free(r);
		}
		break;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void
AdmissionCounts(int64 *running_count, int64 *queued, int64 *max)
{
	pthread_mutex_lock(&lock);
	*running_count = running;
	*queued = waiting;
	*max = limit;
	pthread_mutex_unlock(&lock);
}
