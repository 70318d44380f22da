/*
 * status.h
 *		What the pipeline's processes tell each other and the user, in shared
 *		memory: one entry a database.
 *
 * The launcher makes an entry before it starts a database's worker; the worker
 * owns it while it runs.  Everything is guarded by one lock, held briefly;
 * whoever waits for a change sleeps on the condition variable.
 */
#ifndef SHARD_PIPELINE_STATUS_H
#define SHARD_PIPELINE_STATUS_H

#include "postgres.h"
#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"

#define PIPELINE_DATABASES 128
#define PIPELINE_MESSAGE 512

typedef enum PipelinePhase
{
	PIPELINE_STOPPED = 0,		/* no worker now */
	PIPELINE_STARTING,			/* connects, opens or makes its slot */
	PIPELINE_SYNCING,			/* compares tables with the lake */
	PIPELINE_RUNNING,
	PIPELINE_RETRYING,			/* failed; the launcher starts it again */
	PIPELINE_FAILED				/* the same, more than shard.pipeline_max_retries times */
} PipelinePhase;

typedef struct PipelineEntry
{
	Oid			database;		/* InvalidOid = unused entry */
	PipelinePhase phase;
	pid_t		pid;			/* 0 = no worker */
	int			pgprocno;		/* of the worker, for its latch */
	pid_t		hold;			/* a backend that needs the database without worker */
	pid_t		maintenance_pid;	/* of the worker of maintain/; 0 = none */
	bool		wal_warned;		/* that the slot keeps much WAL */
	bool		absent;			/* the database has no extension: do not start */
	bool		look;			/* tables were registered or dropped: look again */
	bool		ready;			/* everything written from now on will be seen */
	int64		generation;		/* of the slot, while ready */
	int			failures;		/* in a row */
	TimestampTz start_at;		/* not before, after a failure */
	char		reason[PIPELINE_MESSAGE];	/* why it does not run; "" = none */
	char		hint[PIPELINE_MESSAGE];
	char		last_error[PIPELINE_MESSAGE];
	TimestampTz last_error_at;
	int			last_error_code;	/* SQLSTATE, as ereport has it; 0 = none */
	XLogRecPtr	requested_lsn;	/* somebody waits for this to be in the lake */
	XLogRecPtr	read_lsn;		/* decoded up to here */
	XLogRecPtr	flushed_lsn;	/* all before is in the lake, or was no event */
	XLogRecPtr	confirmed_lsn;	/* what the slot knows */
	int64		buffered_rows;
	int64		rows;			/* changes read */
	int64		events;			/* written */
	int64		emitted;		/* of these, by shard.emit() */
	int64		repeated;		/* emitted events left out, their key being known */
	int64		flushes;
	int64		retries;
	int64		resyncs;
	TimestampTz last_flush_at;
	double		last_flush_ms;
} PipelineEntry;

typedef struct PipelineShared
{
	LWLock		lock;
	ConditionVariable changed;
	pid_t		launcher_pid;
	int			launcher_procno;
	bool		rescan;			/* an extension was created, or a database */
	PipelineEntry entries[PIPELINE_DATABASES];
} PipelineShared;

extern PipelineShared *Pipeline;	/* NULL unless preloaded */

extern void StatusInit(void);

/* The entry of a database or NULL; the lock must be held. */
extern PipelineEntry *StatusFind(Oid database);
extern PipelineEntry *StatusFindOrMake(Oid database);	/* NULL if the table is full */

/* A copy of the entry of a database; false if there is none. */
extern bool StatusGet(Oid database, PipelineEntry *copy);

/*
 * Why no pipeline can run on this server as it is configured, and what to do;
 * NULL if nothing is in the way.
 */
extern const char *StatusServerProblem(const char **hint);

/* Why the pipeline of a database does not run now; NULL if it runs. */
extern char *StatusProblem(const PipelineEntry *entry, bool found, char **hint);

extern const char *StatusPhaseName(PipelinePhase phase);

extern void StatusWakeLauncher(bool rescan);
extern void StatusWakeWorker(Oid database);

#endif							/* SHARD_PIPELINE_STATUS_H */
