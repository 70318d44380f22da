/*
 * planning.h
 *		A plan in the making: its row, its movements, its sums.
 */
#ifndef SHARD_MIGRATION_PLANNING_H
#define SHARD_MIGRATION_PLANNING_H

#include "postgres.h"
#include "migration/count.h"
#include "migration/job.h"
#include "migration/keys.h"

#define MOVEMENT_CHUNK 1000		/* movements written by one statement */

typedef struct Planning
{
	int64		plan;
	KeyMoves   *moves;
	KeyCounts  *counts;
	int64		total_keys,
				total_rows;
	double		total_bytes;
	int64		keys,
				rows;
	double		bytes;
	int64		to_shard[MAX_SHARDS];	/* keys */
	int64		largest_rows;
	char	   *largest_key;
	double		max_bytes;		/* moves beyond this are left out; 0 = none */
	int64		left_out;
	List	   *warnings;		/* of char * */
	/* movements and pins not yet written */
	int			nchunk;
	Datum		places[MOVEMENT_CHUNK];
	Datum		texts[MOVEMENT_CHUNK];
	Datum		from[MOVEMENT_CHUNK];
	Datum		to[MOVEMENT_CHUNK];
	Datum		entities[MOVEMENT_CHUNK];
	Datum		sizes[MOVEMENT_CHUNK];
	bool		pins;			/* each movement is a pin, too */
	int			only_from;		/* of a reopened plan: the shard that leaves */
} Planning;

/* What a new plan's row says; shard_index -1 and NULL names for none. */
typedef struct PlanRow
{
	const char *type;
	int			shard_index;
	const char *shard_name;
	const int  *next;
	int			nnext;
	bool		evacuate;
} PlanRow;

/*
 * Count the router's keys, and store the plan's row.  Moves are from the
 * router's map to the plan's next members, with no pin to the leaving shard.
 */
extern Planning *PlanningBegin(const char *router, const PlanRow *row, KeyCounts *counts,
							   int leaving);

/* Rows of all keys of a router's tables; brings the lake up to date first. */
extern KeyCounts *PlanningCount(const char *router);

/* A key moves, and is pinned if planning->pins says so. */
extern void PlanningMove(Planning *planning, const KeyCount *count, int from, int to);

/* A key is pinned where it is. */
extern void PlanningPin(Planning *planning, const char *key, size_t len, int shard_index);

/* A counted key that counts in the totals; every key once. */
extern void PlanningTotal(Planning *planning, const KeyCount *count);

/*
 * A stored plan whose shard leaves: its movements from there are deleted, to be
 * made anew and written by PlanningWrite().
 */
extern Planning *PlanningReopen(const MigrationPlan *plan);
extern void PlanningWrite(Planning *planning);

/* Write what is left, and the sums; returns the plan's id. */
extern int64 PlanningEnd(Planning *planning);

#endif							/* SHARD_MIGRATION_PLANNING_H */
