/*
 * admission.h
 *		How many queries run at once.
 *
 * Memory is limited in all, not by query, and unrelated queries would fail by
 * each other's hunger: so the rest waits in line.
 */
#ifndef SHARD_ENGINE_ADMISSION_H
#define SHARD_ENGINE_ADMISSION_H

#include "base/portable.h"

extern void AdmissionSetLimit(int max_queries);

/*
 * Wait for the turn of a query of a session (a PostgreSQL backend's pid); *gone
 * is looked at after each AdmissionWake(): false is returned if it was set.  A
 * session that has a query in flight already is let in at once: it might
 * otherwise wait for itself.
 */
extern bool AdmissionEnter(uint32 session, const volatile bool *gone);
extern void AdmissionLeave(uint32 session);

/* Have everybody in line look whether its client is gone. */
extern void AdmissionWake(void);

extern void AdmissionCounts(int64 *running, int64 *queued, int64 *limit);

#endif							/* SHARD_ENGINE_ADMISSION_H */
