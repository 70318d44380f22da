/*
 * attempt.c
 *		Runs a command on a shard, again if its error is one to retry.
 *
 * Each attempt finds the key's shard anew, since the key may have moved, and
 * locks the router against that for the rest of the transaction.  Then it runs
 * in a subtransaction, with the settings that tell the command where it is, and
 * with the shard's schema first in search_path, for a superuser; all others have
 * privileges on tables, not on leaves, so their commands are restricted to the
 * shard's leaves (see only_shard.c), as all are under strategy range.  Ending the
 * subtransaction brings search_path and settings back.
 *
 * The time limit of the router cancels a running command as a cancel request
 * would, and the error is then replaced by one that says so.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "command/attempt.h"
#include "command/only_shard.h"
#include "command/run.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"
#include "utils/wait_event.h"

/* No delay between attempts is longer. */
#define DELAY_MAX_MS (60.0 * 1000)

static TimeoutId deadline = MAX_TIMEOUTS;
static bool armed = false;
static volatile sig_atomic_t expired = false;

/* ---- time ---- */

static void
DeadlineHandler(void)
{
	expired = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * Limit what follows; false if there is no limit, or one from further out.
 */
static bool
Arm(const ShardCommand *command, const RetryConfig *retry)
{
	int64		spent = (GetCurrentTimestamp() - command->started) / 1000;

	if (retry->timeout_ms == 0 || armed)
		return false;
	if (deadline == MAX_TIMEOUTS)
		deadline = RegisterTimeout(USER_TIMEOUT, DeadlineHandler);
	expired = false;
	armed = true;
	enable_timeout_after(deadline, (int) Max(retry->timeout_ms - spent, 1));
	return true;
}

static void
Disarm(void)
{
	disable_timeout(deadline, false);
	armed = false;
}

/*
 * Sleep before another attempt; false if there is no time left for one.
 */
static bool
WaitBeforeRetry(const ShardCommand *command, const RetryConfig *retry)
{
	double		delay = retry->delay_ms;
	TimestampTz end;

	for (int i = 1; i < command->retries && delay < DELAY_MAX_MS; i++)
		delay *= retry->backoff;
	end = GetCurrentTimestamp() + (int64) (Min(delay, DELAY_MAX_MS) * 1000);
	if (retry->timeout_ms > 0 && end >= command->started + retry->timeout_ms * 1000)
		return false;
	for (;;)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end);

		CHECK_FOR_INTERRUPTS();
		if (left <= 0)
			return true;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

/* ---- one attempt ---- */

static void
SetOption(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static const RouterShard *
FindShard(ShardCommand *command)
{
	const Router *router;
	const RouterShard *shard;

	LockRouter(command->router, RowShareLock);
	router = CatalogRouter(command->router, false);
	if (command->key != NULL)
		command->shard_index = CatalogRoute(router, command->key, command->key_len);
	shard = RouterShardByIndex(router, command->shard_index);
	if (shard == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("router \"%s\" has no shard %d", router->name, command->shard_index)));
	if (shard->server != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("shard \"%s\" is on server \"%s\"", shard->name, shard->server),
				 errhint("Commands are run on shards in this server only.")));
	RequireSnapshotOfMap(router);
	return shard;
}

static void
RunOnShard(ShardCommand *command, MemoryContext result)
{
	const RouterShard *shard = FindShard(command);
	int			nestlevel = NewGUCNestLevel();
	bool		restricted = !superuser() ||
		CatalogRouter(command->router, false)->strategy == STRATEGY_RANGE;
	OnlyShard	only = {restricted ? command->router : NULL, get_namespace_oid(shard->schema, true)};
	OnlyShard	outer;

	SetOption("shard.shard_index", psprintf("%d", shard->index));
	SetOption("shard.shard_name", shard->name);
	SetOption("shard.partition_key", command->key != NULL ? command->key : "");
	if (!restricted)
		SetOption("search_path", psprintf("%s%s%s", quote_identifier(shard->schema),
										  namespace_search_path[0] != '\0' ? ", " : "",
										  namespace_search_path));
	outer = OnlyShardSet(only);
	PG_TRY();
	{
		command->rows = RunText(command->text, command->nargs, command->args, result);
	}
	PG_FINALLY();
	{
		(void) OnlyShardSet(outer);
	}
	PG_END_TRY();
	AtEOXact_GUC(true, nestlevel);
}

/*
 * Does this error end the caller's query, too?
 */
static bool
EndsQuery(const ShardCommand *command)
{
	return !command->timed_out && command->error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/*
 * Replace the error of a cancelled query by one that names the limit.
 */
static void
NoteTimeout(ShardCommand *command, const RetryConfig *retry)
{
	ErrorData  *error = command->error;

	command->timed_out = true;
	error->message = psprintf("command took longer than the %lld ms that router \"%s\" allows",
							  (long long) retry->timeout_ms, command->router);
	error->detail = NULL;
	error->hint = pstrdup("The router's retry setting \"timeout_ms\" limits all attempts together.");
}

static void
Attempt(ShardCommand *command, const RetryConfig *retry)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool limited = false;

	command->error = NULL;
	command->rows = NIL;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		MemoryContextSwitchTo(CurTransactionContext);
		limited = Arm(command, retry);
		RunOnShard(command, caller);
		if (limited)
			Disarm();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		if (limited)
			Disarm();
		MemoryContextSwitchTo(caller);
		command->error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (!limited || !expired)
		return;
	/* too late to cancel what has ended just in time */
	expired = false;
	QueryCancelPending = false;
	if (command->error != NULL && command->error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		NoteTimeout(command, retry);
}

/* ---- all of them ---- */

/*
 * Under a snapshot of the whole transaction, what conflicts once does so always.
 */
static bool
MayRetry(const RetryConfig *retry, const ShardCommand *command)
{
	const ErrorData *error = command->error;

	if (command->timed_out)
		return false;
	if (error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE && IsolationUsesXactSnapshot())
		return false;
	return RetryApplies(retry, error->sqlerrcode);
}

void
CommandRun(ShardCommand *command)
{
	RetryConfig retry = CatalogRouter(command->router, false)->retry;

	command->retries = 0;
	for (;;)
	{
		Attempt(command, &retry);
		if (command->error == NULL)
			return;
		if (EndsQuery(command))
			ReThrowError(command->error);
		if (command->retries >= retry.max_retries || !MayRetry(&retry, command))
			return;
		command->retries++;
		if (!WaitBeforeRetry(command, &retry))
			return;
	}
}
