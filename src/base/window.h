/*
 * window.h
 *		Sliding windows over counts that are kept in buckets of time.
 *
 * Time is divided into seconds, minutes and hours alike; every access is counted
 * in the bucket of each.  A window of up to a minute is answered from seconds,
 * up to an hour from minutes, up to a day from hours.  It takes in whole
 * buckets, so it reaches back at most one bucket further than was asked.
 */
#ifndef SHARD_WINDOW_H
#define SHARD_WINDOW_H

#include "postgres.h"

#define WINDOW_LEVELS	3
#define WINDOW_BUCKETS	(64 + 64 + 32)
#define WINDOW_LONGEST	(24 * 3600)	/* seconds */

typedef struct WindowLevel
{
	int			width;			/* of a bucket, in seconds */
	int			length;			/* number of buckets, in a ring */
	int			first;			/* where the ring begins among all buckets */
	int			longest;		/* window in seconds that it can answer */
} WindowLevel;

static const WindowLevel WindowLevels[WINDOW_LEVELS] = {
	{1, 64, 0, 60},
	{60, 64, 64, 3600},
	{3600, 32, 128, WINDOW_LONGEST}
};

/* The buckets that a window takes in, by their stamps: time / width. */
typedef struct WindowRange
{
	const WindowLevel *level;
	uint32		oldest;
	uint32		newest;
} WindowRange;

static inline uint32
WindowStamp(const WindowLevel *level, int64 second)
{
	return (uint32) (second / level->width);
}

static inline int
WindowBucket(const WindowLevel *level, uint32 stamp)
{
	return level->first + (int) (stamp % level->length);
}

/*
 * The range of a window in seconds, 1 to WINDOW_LONGEST, that ends at a second.
 */
static inline WindowRange
WindowOf(int64 second, int64 seconds)
{
	WindowRange range;

	range.level = &WindowLevels[0];
	while (seconds > range.level->longest)
		range.level++;
	range.newest = WindowStamp(range.level, second);
	range.oldest = WindowStamp(range.level, second - seconds);
	return range;
}

#endif							/* SHARD_WINDOW_H */
