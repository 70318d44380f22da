/*
 * watch.h
 *		Notices that a backend has gone away while its query runs.
 */
#ifndef SHARD_ENGINE_WATCH_H
#define SHARD_ENGINE_WATCH_H

#include "engine/session.h"

extern void WatchStart(void);

/* false if there are too many */
extern bool WatchAdd(Session *session);
extern void WatchRemove(Session *session);	/* before its connection ends */

/*
 * While running, session->con may be interrupted; false if the backend is gone
 * already, so that there is nothing to start.
 */
extern bool WatchSetRunning(Session *session, bool running);

extern int64 WatchCount(void);

#endif							/* SHARD_ENGINE_WATCH_H */
