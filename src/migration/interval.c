/*
 * interval.c
 *		How far the frontier goes in one batch.
 *
 * The plan's movements say where in hash space keys lie and how many rows they
 * have.  They only size the batch: what moves is decided row by row, so that
 * keys that came after planning move, too.  Keys of one position go together.
 */
#include "postgres.h"

#include "migration/batch.h"
#include "migration/sql.h"

/* Rows that are remembered at a time: 24 bytes each, and the page's share. */
#define WINDOW_ROWS 1000000

typedef struct Chosen
{
	int64		keys;
	int64		rows;
	int64		last_place;
	bool		more;			/* a key beyond last_place exists */
	int64		next_place;
} Chosen;

static Chosen
TakeKeys(Run *run, uint64 n)
{
	Chosen		chosen = {0};

	for (uint64 i = 0; i < n; i++)
	{
		int64		place = SqlInt8(i, 1);
		int64		rows = SqlInt8(i, 2);

		if (chosen.keys > 0 && place != chosen.last_place &&
			(chosen.keys >= run->keys_limit || chosen.rows + rows > run->rows_limit))
		{
			chosen.more = true;
			chosen.next_place = place;
			break;
		}
		chosen.keys++;
		chosen.rows += rows;
		chosen.last_place = place;
	}
	return chosen;
}

/*
 * The next interval.  Forward it begins at the frontier and ends before the
 * first key that is left for later; backward it ends below the frontier and
 * begins at its last key.  The last one takes the rest of hash space.
 */
void
IntervalChoose(Run *run, const MigrationJob *job, uint64 frontier, BatchReport *report)
{
	bool		forward = job->direction > 0;
	Chosen		chosen;
	uint64		n;

	SqlBegin();
	if (forward)
		n = SQL_RUN("SELECT place, entities FROM _shard.plan_movement"
					" WHERE plan_id OPERATOR(pg_catalog.=) $1 AND place OPERATOR(pg_catalog.>=) $2"
					" ORDER BY place LIMIT $3",
					SQL_INT8(job->plan->id), SQL_INT8(PLACE_OF(frontier)),
					SQL_INT8(run->keys_limit + 1000));
	else
		n = SQL_RUN("SELECT place, entities FROM _shard.plan_movement"
					" WHERE plan_id OPERATOR(pg_catalog.=) $1 AND place OPERATOR(pg_catalog.<) $2"
					" ORDER BY place DESC LIMIT $3",
					SQL_INT8(job->plan->id), SQL_INT8(PLACE_OF(frontier)),
					SQL_INT8(run->keys_limit + 1000));
	chosen = TakeKeys(run, n);
	SqlEnd();

	report->keys = chosen.keys;
	report->last = !chosen.more;
	if (forward)
	{
		report->low = frontier;
		report->high = chosen.more ? (uint64) PLACE_OF((uint64) chosen.next_place) - 1 : UINT64_MAX;
	}
	else
	{
		report->high = frontier == 0 ? 0 : frontier - 1;
		report->low = chosen.more ? (uint64) PLACE_OF((uint64) chosen.last_place) : 0;
	}
}

/*
 * Last position of a window that begins at low and holds about WINDOW_ROWS.
 */
uint64
IntervalWindow(const MigrationJob *job, uint64 low)
{
	uint64		high = UINT64_MAX;

	SqlBegin();
	if (SQL_RUN("SELECT place FROM (SELECT place,"
				"   pg_catalog.sum(entities) OVER (ORDER BY place) AS rows FROM _shard.plan_movement"
				"   WHERE plan_id OPERATOR(pg_catalog.=) $1 AND place OPERATOR(pg_catalog.>=) $2) m"
				" WHERE rows OPERATOR(pg_catalog.>) $3::pg_catalog.int8 ORDER BY place LIMIT 1",
				SQL_INT8(job->plan->id), SQL_INT8(PLACE_OF(low)), SQL_INT8(WINDOW_ROWS)) > 0)
		high = (uint64) PLACE_OF((uint64) SqlInt8(0, 1));
	SqlEnd();
	return high;
}

/*
 * The planned keys of an interval; NIL if there are more than limit.
 */
List *
IntervalKeys(const MigrationJob *job, const BatchReport *report, int limit)
{
	List	   *keys = NIL;
	uint64		n;

	SqlBegin();
	n = SQL_RUN("SELECT partition_key FROM _shard.plan_movement"
				" WHERE plan_id OPERATOR(pg_catalog.=) $1"
				" AND place OPERATOR(pg_catalog.>=) $2 AND place OPERATOR(pg_catalog.<=) $3 LIMIT $4",
				SQL_INT8(job->plan->id), SQL_INT8(PLACE_OF(report->low)),
				SQL_INT8(PLACE_OF(report->high)), SQL_INT8((int64) limit + 1));
	if (n <= limit)
		for (uint64 i = 0; i < n; i++)
			keys = SqlAppendText(keys, i, 1);
	SqlEnd();
	return keys;
}
