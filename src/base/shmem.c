/*
 * shmem.c
 *		Registration of shared-memory pieces.
 */
#include "postgres.h"

#include "base/shmem.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"

#define MAX_PIECES 16
#define MAX_STARTERS 4

typedef struct ShmemPiece
{
	const char *name;
	Size		size;
	void	  **piece;
	ShmemPieceInit init;
} ShmemPiece;

static ShmemPiece pieces[MAX_PIECES];
static int	npieces = 0;
static void (*starters[MAX_STARTERS]) (void);
static int	nstarters = 0;
static bool preloaded = false;
static shmem_request_hook_type prev_request_hook = NULL;
static shmem_startup_hook_type prev_startup_hook = NULL;

void
ShmemRegister(const char *name, Size size, void **piece, ShmemPieceInit init)
{
	Assert(npieces < MAX_PIECES);
	pieces[npieces++] = (ShmemPiece) {name, size, piece, init};
}

void
ShmemAtStart(void (*starter) (void))
{
	Assert(nstarters < MAX_STARTERS);
	starters[nstarters++] = starter;
}

static void
RequestPieces(void)
{
	if (prev_request_hook)
		prev_request_hook();
	for (int i = 0; i < npieces; i++)
		RequestAddinShmemSpace(MAXALIGN(pieces[i].size));
}

static void
StartPieces(void)
{
	if (prev_startup_hook)
		prev_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < npieces; i++)
	{
		bool		found;
		void	   *p = ShmemInitStruct(pieces[i].name, pieces[i].size, &found);

		if (!found)
		{
			memset(p, 0, pieces[i].size);
			if (pieces[i].init)
				pieces[i].init(p);
		}
		*pieces[i].piece = p;
	}
	LWLockRelease(AddinShmemInitLock);
	for (int i = 0; i < nstarters; i++)
		starters[i] ();
}

void
ShmemInstall(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	preloaded = true;
	prev_request_hook = shmem_request_hook;
	shmem_request_hook = RequestPieces;
	prev_startup_hook = shmem_startup_hook;
	shmem_startup_hook = StartPieces;
}

bool
ShardPreloaded(void)
{
	return preloaded;
}

void
RequirePreloaded(void)
{
	if (!preloaded)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("\"shard\" is not in shared_preload_libraries"),
				 errhint("Add \"shard\" to shared_preload_libraries and restart the server.")));
}
