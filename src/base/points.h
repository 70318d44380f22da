/*
 * points.h
 *		Named points of the code where a test can make things go wrong.
 *
 * SHARD_POINT("pipeline-before-commit") does nothing unless the setting
 * shard.point names it: "NAME:error" raises an error, "NAME:kill" ends the
 * process with SIGKILL, "NAME:wait" waits until the setting changes (reload).
 */
#ifndef SHARD_POINTS_H
#define SHARD_POINTS_H

#include "base/settings.h"

extern void PointReached(const char *name);

#define SHARD_POINT(name) \
	do { \
		if (unlikely(ShardPoint != NULL && ShardPoint[0] != '\0')) \
			PointReached(name); \
	} while (0)

#endif							/* SHARD_POINTS_H */
