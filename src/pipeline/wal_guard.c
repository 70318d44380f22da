/*
 * wal_guard.c
 *		Bounds the WAL that pipelines' slots keep, by shard.max_wal_keep.
 *
 * A pipeline that cannot write (a dead store, a full disk) must not fill the
 * disk of the WAL and so stop the application.  The launcher looks, as the
 * worker may hang: from half of the limit on it warns, beyond the limit it ends
 * the worker and drops the slot.  The worker's next start makes a new slot and
 * compares all tables with the lake.
 *
 * A slot that is being made (it waits for running transactions) counts too: it
 * vanishes with its worker.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xlog.h"
#include "base/compat.h"
#include "base/settings.h"
#include "pipeline/decode.h"
#include "pipeline/wal_guard.h"
#include "replication/slot.h"
#include "storage/lwlock.h"

typedef struct GuardedSlot
{
	Oid			database;
	char		name[NAMEDATALEN];
	XLogRecPtr	restart_lsn;
	pid_t		active_pid;
} GuardedSlot;

static int64
KeptBy(XLogRecPtr restart_lsn)
{
	XLogRecPtr	current;

	if (XLogRecPtrIsInvalid(restart_lsn) || RecoveryInProgress())
		return 0;
	current = GetXLogInsertRecPtr();
	return current > restart_lsn ? (int64) (current - restart_lsn) : 0;
}

static int64
Limit(void)
{
	return (int64) MaxWalKeep * 1024 * 1024;
}

/*
 * Copy a slot if it is a pipeline's, and keeps WAL.
 */
static bool
Copy(ReplicationSlot *slot, GuardedSlot *copy)
{
	bool		ours;

	SpinLockAcquire(&slot->mutex);
	copy->database = slot->data.database;
	SlotName(copy->database, copy->name);
	ours = strcmp(NameStr(slot->data.plugin), "shard") == 0 &&
		strcmp(NameStr(slot->data.name), copy->name) == 0 && !SlotIsInvalidated(slot);
	copy->restart_lsn = slot->data.restart_lsn;
	copy->active_pid = slot->active_pid;
	SpinLockRelease(&slot->mutex);
	return ours && !XLogRecPtrIsInvalid(copy->restart_lsn);
}

int64
WalKept(Oid database)
{
	int64		kept = 0;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		GuardedSlot copy;

		if (slot->in_use && Copy(slot, &copy) && copy.database == database)
			kept = KeptBy(copy.restart_lsn);
	}
	LWLockRelease(ReplicationSlotControlLock);
	return kept;
}

char *
WalWarning(int64 kept)
{
	if (MaxWalKeep == 0 || kept < Limit() / 2)
		return NULL;
	return psprintf("the slot keeps " INT64_FORMAT " MB of WAL; beyond %d MB (shard.max_wal_keep)"
					" it is given up, and tables are compared with the lake",
					kept / (1024 * 1024), MaxWalKeep);
}

/* ---- in the launcher ---- */

/*
 * Say once, each time that it comes so far, that a slot keeps much.
 */
static void
Warn(const GuardedSlot *slot, int64 kept)
{
	char	   *warning = WalWarning(kept);
	PipelineEntry *entry;
	bool		tell = false;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFind(slot->database);
	if (entry != NULL)
	{
		tell = warning != NULL && !entry->wal_warned;
		entry->wal_warned = warning != NULL;
	}
	LWLockRelease(&Pipeline->lock);
	if (tell)
		ereport(WARNING,
				(errmsg("pipeline of database %u: %s", slot->database, warning),
				 errhint("See the view shard.pipeline_status for what holds it up.")));
	if (warning != NULL)
		pfree(warning);
}

/*
 * The entry says so before the slot is gone: nobody may take what is written
 * from now on for seen.
 */
static pid_t
NoteGivenUp(const GuardedSlot *slot, const char *message)
{
	PipelineEntry *entry;
	pid_t		pid = 0;

	LWLockAcquire(&Pipeline->lock, LW_EXCLUSIVE);
	entry = StatusFind(slot->database);
	if (entry != NULL)
	{
		pid = entry->pid;
		if (slot->active_pid == 0)
		{
			entry->ready = false;
			strlcpy(entry->last_error, message, PIPELINE_MESSAGE);
			entry->last_error_at = GetCurrentTimestamp();
		}
	}
	LWLockRelease(&Pipeline->lock);
	return pid;
}

/*
 * End the worker, or drop the slot when there is none; so this takes two looks,
 * and the end of the worker causes the second one.
 */
static void
GiveUp(const GuardedSlot *slot, int64 kept)
{
	char	   *message = psprintf("the slot was given up: it kept " INT64_FORMAT " MB of WAL,"
								   " more than shard.max_wal_keep", kept / (1024 * 1024));
	pid_t		pid = NoteGivenUp(slot, message);

	if (slot->active_pid == 0)
	{
		ereport(WARNING,
				(errmsg("pipeline of database %u: %s", slot->database, message),
				 errdetail("It begins with a new slot, and all its tables are compared with the lake.")));
		ReplicationSlotDrop(slot->name, true);
	}
	else if (slot->active_pid == pid)
		kill(pid, SIGTERM);
	pfree(message);
}

void
WalGuard(void)
{
	GuardedSlot *slots = palloc(Max(max_replication_slots, 1) * sizeof(GuardedSlot));
	int			n = 0;

	if (RecoveryInProgress() || MaxWalKeep == 0)
	{
		pfree(slots);
		return;
	}
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		if (slot->in_use && Copy(slot, &slots[n]))
			n++;
	}
	LWLockRelease(ReplicationSlotControlLock);
	for (int i = 0; i < n; i++)
	{
		int64		kept = KeptBy(slots[i].restart_lsn);

		Warn(&slots[i], kept);
		if (kept > Limit())
			GiveUp(&slots[i], kept);
	}
	pfree(slots);
}
