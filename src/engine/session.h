/*
 * session.h
 *		One connection of a backend, served by a thread of its own.
 */
#ifndef SHARD_ENGINE_SESSION_H
#define SHARD_ENGINE_SESSION_H

#include <pthread.h>

#include "engine/deletes.h"
#include "engine/fail.h"
#include "engine/input.h"
#include "engine/instance.h"
#include "engine/result_cache.h"
#include "engine/statement.h"
#include "wire/frame.h"

typedef struct Session
{
	struct Session *prev;		/* list of all, see watch.c */
	struct Session *next;
	uint64		id;
	int			fd;
	uint32		pid;			/* of the PostgreSQL session, by HELLO */

	/* For the watcher: interrupt con if gone and running; under watch.c's lock. */
	volatile bool gone;
	bool		running;

	Instance   *instance;
	duckdb_connection con;
	bool		stateful;		/* may own temporary tables */
	bool		admitted;
	bool		broken;			/* end the connection after this request */

	/* Of the request; freed at its end, also after an error. */
	Statement	statement;
	Input		input;
	bool		appending;		/* between APPEND and APPEND_END */
	bool		append_failed;	/* with append_failure, which END will be told */
	Failure		append_failure;
	int64		appended;
	DeleteSet  *deletes;
	Recording	recording;
	CachedResult *cached;		/* that is being sent */

	FrameBuffer in;				/* payload of the frame that was read */
	FrameBuffer out;
} Session;

/* Serve a connection in a new thread; closes fd in the end. */
extern void SessionStart(int fd);

#endif							/* SHARD_ENGINE_SESSION_H */
