/*
 * points.c
 *		Fault injection for tests; see points.h.
 */
#include "postgres.h"

#include <signal.h>
#include <unistd.h>

#include "base/points.h"
#include "base/worker.h"
#include "miscadmin.h"
#include "pgstat.h"

/*
 * The action that shard.point has for a name, or NULL.
 */
static const char *
PointAction(const char *name)
{
	size_t		len = strlen(name);

	for (const char *p = ShardPoint; p != NULL && *p != '\0';)
	{
		if (strncmp(p, name, len) == 0 && p[len] == ':')
			return p + len + 1;
		p = strchr(p, ',');
		if (p != NULL)
			p++;
	}
	return NULL;
}

void
PointReached(const char *name)
{
	const char *action = PointAction(name);

	if (action == NULL)
		return;
	if (strncmp(action, "error", 5) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("error requested at point \"%s\"", name)));
	if (strncmp(action, "kill", 4) == 0)
		kill(MyProcPid, SIGKILL);
	if (strncmp(action, "wait", 4) != 0)
		return;
	pgstat_report_activity(STATE_RUNNING, psprintf("at point %s", name));
	while (action != NULL && strncmp(action, "wait", 4) == 0)
	{
		WorkerWait(10);
		action = PointAction(name);
	}
	pgstat_report_activity(STATE_RUNNING, "");
}
