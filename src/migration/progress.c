/*
 * progress.c
 *		Shared-memory slots of the migrations that have or should have a worker.
 *
 * One lock for all slots: they are few, and written a few times a second.  A
 * worker that finds no free slot works all the same, unseen.
 */
#include "postgres.h"

#include "base/shmem.h"
#include "migration/progress.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/spin.h"

#define PROGRESS_SLOTS 64

/* Until a worker that was lost, or could not be started, gets a successor. */
#define RESTART_PAUSE 2000		/* ms */

typedef struct ProgressShared
{
	slock_t		mutex;
	int			launcher_pid;
	ProgressState slots[PROGRESS_SLOTS];
} ProgressShared;

static ProgressShared *shared = NULL;
static ProgressState *mine = NULL;
static bool over = false;

static void
InitShared(void *piece)
{
	SpinLockInit(&((ProgressShared *) piece)->mutex);
}

void
ProgressInit(void)
{
	ShmemRegister("shard migrations", sizeof(ProgressShared), (void **) &shared, InitShared);
}

/*
 * The slot of a migration of this database, or a new one, or NULL.  The caller
 * holds the mutex.
 */
static ProgressState *
SlotOf(int64 migration)
{
	ProgressState *unused = NULL;

	for (int i = 0; i < PROGRESS_SLOTS; i++)
	{
		ProgressState *slot = &shared->slots[i];

		if (slot->migration == migration && slot->database == MyDatabaseId)
			return slot;
		if (slot->migration == 0 && unused == NULL)
			unused = slot;
	}
	if (unused != NULL)
	{
		unused->database = MyDatabaseId;
		unused->migration = migration;
	}
	return unused;
}

static void
Wake(int pid)
{
	PGPROC	   *proc = pid != 0 ? BackendPidGetProc(pid) : NULL;

	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

void
ProgressExpect(int64 migration, TimestampTz due)
{
	ProgressState *slot;
	int			launcher;

	if (shared == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	slot = SlotOf(migration);
	if (slot != NULL)
	{
		slot->due = due;
		slot->again = slot->pid != 0;
	}
	launcher = shared->launcher_pid;
	SpinLockRelease(&shared->mutex);
	Wake(launcher);
}

static void
Detach(int code, Datum arg)
{
	int			launcher;

	if (mine == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	if (over && !mine->again)
		memset(mine, 0, sizeof(*mine));
	else
	{
		mine->pid = 0;
		if (!mine->again)
			mine->due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RESTART_PAUSE);
	}
	launcher = shared->launcher_pid;
	SpinLockRelease(&shared->mutex);
	mine = NULL;
	Wake(launcher);
}

void
ProgressAttach(int64 migration)
{
	if (shared == NULL || mine != NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	mine = SlotOf(migration);
	if (mine != NULL)
	{
		mine->pid = MyProcPid;
		mine->again = false;
		strlcpy(mine->phase, "initializing", sizeof(mine->phase));
	}
	SpinLockRelease(&shared->mutex);
	if (mine != NULL)
		before_shmem_exit(Detach, (Datum) 0);
}

void
ProgressOver(void)
{
	over = true;
}

/* ---- the launcher ---- */

static void
LauncherDetach(int code, Datum arg)
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher_pid = 0;
	SpinLockRelease(&shared->mutex);
}

void
ProgressLauncher(void)
{
	SpinLockAcquire(&shared->mutex);
	shared->launcher_pid = MyProcPid;
	SpinLockRelease(&shared->mutex);
	before_shmem_exit(LauncherDetach, (Datum) 0);
}

/*
 * A migration whose worker is due; it is due again after a pause, should the
 * start fail.
 */
bool
ProgressTakeDue(Oid *database, int64 *migration)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		found = false;

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < PROGRESS_SLOTS && !found; i++)
	{
		ProgressState *slot = &shared->slots[i];

		if (slot->migration == 0 || slot->pid != 0 || slot->due > now)
			continue;
		slot->due = TimestampTzPlusMilliseconds(now, RESTART_PAUSE);
		*database = slot->database;
		*migration = slot->migration;
		found = true;
	}
	SpinLockRelease(&shared->mutex);
	return found;
}

long
ProgressNextDue(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		next = -1;

	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < PROGRESS_SLOTS; i++)
	{
		ProgressState *slot = &shared->slots[i];
		long		ms;

		if (slot->migration == 0 || slot->pid != 0)
			continue;
		ms = slot->due <= now ? 0 : (slot->due - now) / 1000 + 1;
		if (next < 0 || ms < next)
			next = ms;
	}
	SpinLockRelease(&shared->mutex);
	return next;
}

void
ProgressForget(Oid database)
{
	SpinLockAcquire(&shared->mutex);
	for (int i = 0; i < PROGRESS_SLOTS; i++)
		if (shared->slots[i].database == database && shared->slots[i].pid == 0)
			memset(&shared->slots[i], 0, sizeof(ProgressState));
	SpinLockRelease(&shared->mutex);
}

/* ---- what a worker is at ---- */

void
ProgressPhase(const char *phase)
{
	if (mine == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	strlcpy(mine->phase, phase, sizeof(mine->phase));
	mine->waiting_for[0] = '\0';
	mine->blocking_pid = 0;
	SpinLockRelease(&shared->mutex);
}

void
ProgressBatch(int64 rows, int64 done)
{
	if (mine == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	mine->batch_rows = rows;
	mine->batch_done = done;
	SpinLockRelease(&shared->mutex);
}

void
ProgressWaiting(const char *what, int blocking_pid)
{
	if (mine == NULL)
		return;
	SpinLockAcquire(&shared->mutex);
	strlcpy(mine->waiting_for, what ? what : "", sizeof(mine->waiting_for));
	mine->blocking_pid = blocking_pid;
	SpinLockRelease(&shared->mutex);
}

int
ProgressRead(ProgressState **states)
{
	int			n = 0;

	*states = palloc(sizeof(ProgressState) * PROGRESS_SLOTS);
	if (shared == NULL)
		return 0;
	for (int i = 0; i < PROGRESS_SLOTS; i++)
	{
		SpinLockAcquire(&shared->mutex);
		(*states)[n] = shared->slots[i];
		SpinLockRelease(&shared->mutex);
		if ((*states)[n].pid != 0 && (*states)[n].database == MyDatabaseId)
			n++;
	}
	return n;
}

void
ProgressWake(int64 migration)
{
	ProgressState *states;
	int			n = ProgressRead(&states);

	for (int i = 0; i < n; i++)
		if (states[i].migration == migration)
			Wake(states[i].pid);
	pfree(states);
}
