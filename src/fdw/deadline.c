/*
 * deadline.c
 *		shard.query_timeout: how long a lake query may keep its session waiting.
 *
 * Only the time spent waiting for the engine counts, so that a cursor that its
 * client reads slowly does not run into it; that of all scans of a statement.  The timeout cancels the wait as
 * a cancel request would; the error is then replaced by one that names the
 * setting.
 */
#include "postgres.h"

#include "base/compat.h"
#include "base/settings.h"
#include "fdw/deadline.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

/* The time of one statement, which may have many scans. */
typedef struct StatementTime
{
	struct StatementTime *next;
	EState	   *estate;
	int64		spent;
	MemoryContextCallback callback;
} StatementTime;

static StatementTime *statements = NULL;
static int64 *shared = NULL;
static TimeoutId deadline = MAX_TIMEOUTS;
static volatile sig_atomic_t expired = false;

static void
ForgetStatement(void *arg)
{
	for (StatementTime **p = &statements; *p != NULL; p = &(*p)->next)
		if (*p == arg)
		{
			*p = (*p)->next;
			return;
		}
}

int64 *
DeadlineSpent(EState *estate)
{
	StatementTime *statement = statements;

	if (shared != NULL)
		return shared;
	while (statement != NULL && statement->estate != estate)
		statement = statement->next;
	if (statement == NULL)
	{
		statement = MemoryContextAllocZero(estate->es_query_cxt, sizeof(StatementTime));
		statement->estate = estate;
		statement->callback.func = ForgetStatement;
		statement->callback.arg = statement;
		MemoryContextRegisterResetCallback(estate->es_query_cxt, &statement->callback);
		statement->next = statements;
		statements = statement;
	}
	return &statement->spent;
}

int64 *
DeadlineShare(int64 *spent)
{
	int64	   *before = shared;

	shared = spent;
	return before;
}

static void
DeadlineHandler(void)
{
	expired = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

pg_noreturn static void
RaiseExpired(void)
{
	expired = false;
	QueryCancelPending = false;
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("lake query took longer than shard.query_timeout (%d ms)", QueryTimeout),
			 errhint("Set shard.query_timeout to a longer time, or to 0 for none.")));
}

static void
Arm(int64 spent)
{
	int64		left = (int64) QueryTimeout - spent / 1000;

	if (deadline == MAX_TIMEOUTS)
		deadline = RegisterTimeout(USER_TIMEOUT, DeadlineHandler);
	expired = false;
	enable_timeout_after(deadline, (int) Max(left, 1));
}

void
CallWithDeadline(void (*call) (void *), void *arg, int64 *spent)
{
	MemoryContext context = CurrentMemoryContext;
	bool		limited = QueryTimeout > 0;
	instr_time	start;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(start);
	if (limited)
		Arm(*spent);
	PG_TRY();
	{
		call(arg);
		if (limited)
			disable_timeout(deadline, false);
	}
	PG_CATCH();
	{
		if (limited)
			disable_timeout(deadline, false);
		if (!expired || geterrcode() != ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RaiseExpired();
	}
	PG_END_TRY();
	if (expired)
		RaiseExpired();
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	*spent += INSTR_TIME_GET_MICROSEC(end);
}
