/*
 * progress.h
 *		The migrations that should have a worker, and what the workers are doing
 *		at this moment, in shared memory.
 *
 * The journal says what is done for good; this says what the uncommitted batch
 * is at, and whom it waits for.  A slot outlives its worker unless that has
 * said that the migration is over: the launcher then starts another.
 */
#ifndef SHARD_MIGRATION_PROGRESS_H
#define SHARD_MIGRATION_PROGRESS_H

#include "postgres.h"
#include "utils/timestamp.h"

typedef struct ProgressState
{
	Oid			database;
	int64		migration;
	int			pid;			/* of the worker; 0 = none */
	TimestampTz due;			/* when the launcher starts a worker; only without one */
	bool		again;			/* expected again while its worker was there */
	char		phase[32];
	int64		batch_rows;		/* to move in this batch */
	int64		batch_done;		/* already in the target */
	char		waiting_for[96];	/* empty = nothing */
	int			blocking_pid;
} ProgressState;

extern void ProgressInit(void);

/* A migration of this database should have a worker: wake the launcher. */
extern void ProgressExpect(int64 migration, TimestampTz due);

/* In the worker. */
extern void ProgressAttach(int64 migration);
extern void ProgressOver(void); /* nothing is left to do */

/* In the launcher. */
extern void ProgressLauncher(void);
extern bool ProgressTakeDue(Oid *database, int64 *migration);
extern long ProgressNextDue(void);	/* ms from now; -1 = nothing is expected */
extern void ProgressForget(Oid database);
extern void ProgressPhase(const char *phase);
extern void ProgressBatch(int64 rows, int64 done);
extern void ProgressWaiting(const char *what, int blocking_pid);	/* NULL = nothing */

/* Wake the worker of a migration, if it runs. */
extern void ProgressWake(int64 migration);

/* Copies of the used slots of this database, palloc'd; returns their number. */
extern int	ProgressRead(ProgressState **states);

#endif							/* SHARD_MIGRATION_PROGRESS_H */
