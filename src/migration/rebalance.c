/*
 * rebalance.c
 *		Which keys a rebalance moves, and where named keys go.
 *
 * The load of a shard is what plan and balance are measured in: rows and bytes
 * of its keys over all tables of the router, as CountTable() gives them.  A
 * dedicated shard, made for one key, neither gives keys nor takes any.
 */
#include "postgres.h"

#include "migration/plan.h"
#include "migration/planning.h"
#include "migration/spread.h"
#include "migration/sql.h"

/* A router's shards that take part, by number. */
typedef struct Shards
{
	const char *router;
	int			n;
	int			index[MAX_SHARDS];
	int			number_of[MAX_SHARDS];	/* -1 = none */
	bool		takes[MAX_SHARDS];
} Shards;

static Shards *
ReadShards(const char *router)
{
	Shards	   *shards = palloc0(sizeof(Shards));
	uint64		n;

	shards->router = router;
	memset(shards->number_of, -1, sizeof(shards->number_of));
	SqlBegin();
	n = SQL_RUN("SELECT shard_index FROM _shard.shard WHERE router OPERATOR(pg_catalog.=) $1"
				" AND state OPERATOR(pg_catalog.=) 'active' AND NOT dedicated ORDER BY shard_index",
				SQL_TEXT(router));
	for (uint64 i = 0; i < n; i++)
	{
		shards->index[shards->n] = SqlInt4(i, 1);
		shards->number_of[SqlInt4(i, 1)] = shards->n;
		shards->takes[shards->n++] = true;
	}
	SqlEnd();
	return shards;
}

static void
RefuseUnknownTargets(const char *router_name, List *targets, int joining)
{
	const Router *router = CatalogRouter(router_name, false);
	ListCell   *lc;

	foreach(lc, targets)
		if (lfirst_int(lc) != joining && RouterShardByIndex(router, lfirst_int(lc)) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("router \"%s\" has no shard %d", router_name, lfirst_int(lc)),
					 errhint("View shard.shards lists its shards.")));
}

/* ---- by size ---- */

typedef struct Collecting
{
	Planning   *planning;
	Shards	   *shards;
	SpreadProblem problem;
	const KeyCount **counts;	/* of problem.keys */
} Collecting;

static void
Collect(void *arg, const KeyCount *count)
{
	Collecting *collecting = arg;
	SpreadProblem *problem = &collecting->problem;
	uint64		position;
	int			from,
				to,
				number;

	KeyMovesLookup(collecting->planning->moves, count->key, count->len, &position, &from, &to);
	number = collecting->shards->number_of[from];
	if (number < 0)
		return;
	collecting->counts[problem->nkeys] = count;
	problem->keys[problem->nkeys++] = (SpreadKey) {
		.size = {count->bytes, count->rows}, .from = number, .to = number
	};
}

/*
 * The keys' order must not depend on how they were counted: the same data give
 * the same plan.
 */
static int
CompareCounts(const void *a, const void *b)
{
	const KeyCount *p = *(const KeyCount *const *) a;
	const KeyCount *q = *(const KeyCount *const *) b;
	int			order = memcmp(p->key, q->key, Min(p->len, q->len));

	return order != 0 ? order : p->len < q->len ? -1 : p->len > q->len;
}

static void
RestrictTargets(Shards *shards, List *targets)
{
	for (int i = 0; i < shards->n && targets != NIL; i++)
		shards->takes[i] = list_member_int(targets, shards->index[i]);
}

static void
WarnOfRest(Planning *planning, const SpreadResult *result, double threshold)
{
	if (result->violation > 1e-6)
		planning->warnings = lappend(planning->warnings,
									 psprintf("not every shard can be brought within %g %% of the mean: single keys are too large",
											  threshold * 100));
}

/*
 * All keys of the shards that take part, as a problem to solve.
 */
static void
CollectAll(Collecting *collecting, Planning *planning, const char *router)
{
	SpreadProblem *problem = &collecting->problem;
	int64		nkeys = KeyCountsNumber(planning->counts);

	collecting->planning = planning;
	collecting->shards = ReadShards(router);
	problem->nshards = collecting->shards->n;
	problem->takes = collecting->shards->takes;
	problem->keys = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(SpreadKey) * Max(nkeys, 1));
	collecting->counts = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(KeyCount *) * Max(nkeys, 1));
	KeyCountsVisit(planning->counts, Collect, collecting);
	qsort(collecting->counts, problem->nkeys, sizeof(KeyCount *), CompareCounts);
	nkeys = problem->nkeys;
	problem->nkeys = 0;
	for (int64 i = 0; i < nkeys; i++)
		Collect(collecting, collecting->counts[i]);
}

/*
 * By how much the fullest or the emptiest shard differs from the mean.
 */
double
RebalanceMeasure(Planning *planning, const char *router)
{
	Collecting	collecting = {0};

	CollectAll(&collecting, planning, router);
	return SpreadImbalance(&collecting.problem);
}

void
RebalanceAll(Planning *planning, const char *router, double threshold, List *targets)
{
	Collecting	collecting = {0};
	Shards	   *shards;
	SpreadProblem *problem = &collecting.problem;
	SpreadResult result = {0};

	RefuseUnknownTargets(router, targets, -1);
	CollectAll(&collecting, planning, router);
	shards = collecting.shards;
	RestrictTargets(shards, targets);
	planning->pins = true;
	problem->threshold = threshold;
	SpreadKeys(problem, &result);
	for (int64 i = 0; i < problem->nkeys; i++)
	{
		SpreadKey  *key = &problem->keys[i];

		if (key->to != key->from)
			PlanningMove(planning, collecting.counts[i], shards->index[key->from],
						 shards->index[key->to]);
	}
	WarnOfRest(planning, &result, threshold);
}

/* ---- by name ---- */

typedef struct Choosing
{
	Planning   *planning;
	Shards	   *shards;
	double		load[MAX_SHARDS];	/* bytes, by shard index */
} Choosing;

static void
AddLoad(void *arg, const KeyCount *count)
{
	Choosing   *choosing = arg;
	uint64		position;
	int			from,
				to;

	PlanningTotal(choosing->planning, count);
	KeyMovesLookup(choosing->planning->moves, count->key, count->len, &position, &from, &to);
	choosing->load[from] += count->bytes;
}

/*
 * The shard with the least load other than one.
 */
static int
LeastLoaded(const Choosing *choosing, int other)
{
	const Shards *shards = choosing->shards;
	int			best = -1;

	for (int i = 0; i < shards->n; i++)
	{
		int			index = shards->index[i];

		if (index != other && (best < 0 || choosing->load[index] < choosing->load[best]))
			best = index;
	}
	return best >= 0 ? best : other;
}

static int
TargetOf(const Choosing *choosing, const ChosenKeys *chosen, int n, int from)
{
	if (chosen->targets == NIL)
		return LeastLoaded(choosing, from);
	return list_nth_int(chosen->targets, list_length(chosen->targets) == 1 ? 0 : n);
}

static void
MoveChosen(Choosing *choosing, const ChosenKeys *chosen, int n)
{
	Planning   *planning = choosing->planning;
	char	   *key = list_nth(chosen->keys, n);
	KeyCount	unknown = {.key = key, .len = strlen(key)};
	const KeyCount *count = KeyCountsFind(planning->counts, key, strlen(key));
	uint64		position;
	int			from,
				now_to,
				to;

	if (count == NULL)
		count = &unknown;
	KeyMovesLookup(planning->moves, key, strlen(key), &position, &from, &now_to);
	to = TargetOf(choosing, chosen, n, from);
	if (from == to)
		PlanningPin(planning, key, strlen(key), to);
	else
		PlanningMove(planning, count, from, to);
	choosing->load[from] -= count->bytes;
	choosing->load[to] += count->bytes;
}

static int
CompareStrings(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static void
RefuseTwice(List *keys)
{
	List	   *sorted = list_copy(keys);
	const char *last = NULL;
	ListCell   *lc;

	list_sort(sorted, CompareStrings);
	foreach(lc, sorted)
	{
		if (last != NULL && strcmp(last, lfirst(lc)) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("partition key \"%s\" is named twice", last)));
		last = lfirst(lc);
	}
}

void
RebalanceChosen(Planning *planning, const char *router, const ChosenKeys *chosen)
{
	Choosing	choosing = {.planning = planning, .shards = ReadShards(router)};
	int			ntargets = list_length(chosen->targets);
	MigrationPlan *plan = PlanRead(planning->plan);

	if (ntargets > 1 && ntargets != list_length(chosen->keys))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target_shards has %d elements for %d partition_keys",
						ntargets, list_length(chosen->keys)),
				 errhint("Give one shard for all keys, one for each, or none.")));
	RefuseUnknownTargets(router, chosen->targets, plan->shard_index);
	RefuseTwice(chosen->keys);
	planning->pins = true;
	KeyCountsVisit(planning->counts, AddLoad, &choosing);
	for (int i = 0; i < list_length(chosen->keys); i++)
		MoveChosen(&choosing, chosen, i);
}
