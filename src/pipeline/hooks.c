/*
 * hooks.c
 *		What users' commands mean for the pipeline.
 *
 * A database that is dropped, copied, renamed or moved must have no other
 * sessions, and a held slot makes even DROP DATABASE ... WITH (FORCE) fail: the
 * utility hook stops that database's worker first and keeps the launcher from
 * starting it again until the command is over.  At DROP EXTENSION, and when a
 * table was registered, the worker is woken after commit and looks for itself.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pipeline/worker.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/wait_event.h"

static ProcessUtility_hook_type prev_utility = NULL;
static bool wake_launcher = false;
static bool wake_worker = false;
static Oid	held = InvalidOid;	/* database that this transaction wants to itself */

/* ---- databases without a worker ---- */

/*
 * Keep the launcher off a database; returns the pid of a worker as long as one
 * is there, that of the pipeline first.
 */
static pid_t
Hold(Oid database)
{
	PipelineEntry *entry;
	pid_t		pid = 0;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFindOrMake(database);
	if (entry != NULL)
	{
		entry->hold = MyProcPid;
		pid = entry->pid != 0 ? entry->pid : entry->maintenance_pid;
	}
	LWLockRelease(&Pipeline->lock);
	return pid;
}

static void
ReleaseHold(void)
{
	PipelineEntry *entry;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFind(held);
	if (entry != NULL && entry->hold == MyProcPid)
		entry->hold = 0;
	LWLockRelease(&Pipeline->lock);
	held = InvalidOid;
	StatusWakeLauncher(true);
}

static void
StopWorker(Oid database)
{
	pid_t		last = 0;
	pid_t		pid;

	if (OidIsValid(held) && held != database)
		ReleaseHold();
	held = database;
	ConditionVariablePrepareToSleep(&Pipeline->changed);
	while ((pid = Hold(database)) != 0)
	{
		if (pid != last)
			kill(pid, SIGTERM);
		last = pid;
		(void) ConditionVariableTimedSleep(&Pipeline->changed, 1000, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

/* ---- at commit ---- */

static void
Wake(bool launcher, bool worker)
{
	if (worker)
	{
		PipelineEntry *entry;

		LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
		entry = StatusFind(MyDatabaseId);
		if (entry != NULL)
		{
			entry->look = true;
			entry->start_at = 0;	/* now, even if it failed before */
		}
		LWLockRelease(&Pipeline->lock);
		StatusWakeWorker(MyDatabaseId);
		StatusWakeLauncher(false);
	}
	if (launcher)
		StatusWakeLauncher(true);
}

static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (event != XACT_EVENT_ABORT && Pipeline != NULL && (wake_launcher || wake_worker))
		Wake(wake_launcher, wake_worker);
	wake_launcher = wake_worker = false;
	if (OidIsValid(held))
		ReleaseHold();
}

void
WakeLauncherAtCommit(void)
{
	wake_launcher = true;
}

void
WakeWorkerAtCommit(void)
{
	wake_worker = true;
}

static const char *
TemplateOf(CreatedbStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst(lc);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return strVal(option->arg);
	}
	return "template1";
}

/*
 * Name of the database that a command wants to itself, or NULL.
 */
static const char *
DatabaseWanted(Node *command)
{
	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) command)->dbname;
		case T_CreatedbStmt:
			return TemplateOf((CreatedbStmt *) command);
		case T_AlterDatabaseStmt:
			return ((AlterDatabaseStmt *) command)->dbname;
		case T_RenameStmt:
			if (((RenameStmt *) command)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) command)->subname;
			return NULL;
		default:
			return NULL;
	}
}

/*
 * May this user do that to the database?  If not the command will fail by
 * itself, and must not disturb the worker before it does.
 */
static bool
MayHave(Oid database)
{
#if PG_VERSION_NUM >= 160000
	return superuser() ||
		object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
	return superuser() || pg_database_ownercheck(database, GetUserId());
#endif
}

static bool
DropsExtension(Node *command)
{
	ListCell   *lc;

	if (IsA(command, DropOwnedStmt))
		return true;
	if (!IsA(command, DropStmt) || ((DropStmt *) command)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(lc, ((DropStmt *) command)->objects)
		if (strcmp(strVal(lfirst(lc)), "shard") == 0)
			return true;
	return false;
}

static void
Next(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
	 ProcessUtilityContext context, ParamListInfo params,
	 QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_utility)
		prev_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv,
								dest, qc);
}

static void
Utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	const char *name = Pipeline != NULL ? DatabaseWanted(pstmt->utilityStmt) : NULL;
	Oid			database = name != NULL ? get_database_oid(name, true) : InvalidOid;

	if (DropsExtension(pstmt->utilityStmt))
		WakeWorkerAtCommit();
	if (!OidIsValid(database) || !MayHave(database) ||
		(database == MyDatabaseId && !IsA(pstmt->utilityStmt, CreatedbStmt)))
	{
		Next(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}

	/*
	 * Until the transaction ends: only then is a dropped database gone, and a
	 * new one there to be looked at.
	 */
	StopWorker(database);
	Next(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
}

void
HooksInit(void)
{
	RegisterXactCallback(AtTransactionEnd, NULL);
	prev_utility = ProcessUtility_hook;
	ProcessUtility_hook = Utility;
}
