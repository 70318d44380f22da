/*
 * spread.c
 *		Choosing the keys that a rebalance moves.
 *
 * To move the fewest bytes is to choose, from each shard above the upper limit,
 * a set of keys whose sum is at least its surplus and exceeds it by as little as
 * possible, and to pack these sets into the room of the others, so that none
 * stays below the lower limit: subset sums and bin packing, for which no fast
 * exact way is known.  Taking the largest keys first overshoots by up to the
 * largest key, which with skewed data is most of what is moved.  Here instead:
 *
 * 1. A start by best fit.  The shard that is farthest outside gives (or gets)
 *    the key that fits what is missing best, until all are inside or no move
 *    brings them closer.
 * 2. Local search over what was moved: put a key back, replace one by a smaller
 *    one, one by two that are smaller in sum, two by one; whatever moves less
 *    and leaves no shard farther outside.
 * 3. The same again from starts with some chance in the choice of keys, as long
 *    as the number of keys allows; the best is taken.  The chance is seeded:
 *    the same keys give the same plan.
 *
 * Keys of a shard are sorted by size, so that the best fit is found by binary
 * search.  A key moves at most once.
 */
#include "migration/spread.h"

#include <math.h>

#define MAX_STARTS 48
#define WORK 4000000			/* keys looked at by all starts, about */
#define SCAN 64					/* keys passed over in looking for one that has not moved */
#define PAIR_KEYS 4000			/* of a shard, to look for two that replace one */
#define PAIR_MOVES 300			/* moved keys, to look for one that replaces two */
#define EPSILON 1e-9

typedef struct Spread
{
	SpreadProblem *problem;
	double		mean[SPREAD_DIMS];
	double		upper[SPREAD_DIMS];
	double		lower[SPREAD_DIMS];
	double		(*load)[SPREAD_DIMS];	/* per shard */
	double		(*load_before)[SPREAD_DIMS];
	int64	   *first;			/* per shard: its first place in order[] */
	int64	   *order[SPREAD_DIMS]; /* keys by shard, then size */
	int64	   *place[SPREAD_DIMS]; /* of a key in order[] */
	bool	   *stuck;			/* per shard and dimension: no move helps */
	double		moved;
	uint64		random;
	bool		by_chance;
} Spread;

static double
Random(Spread *spread)
{
	/* xorshift64* */
	spread->random ^= spread->random >> 12;
	spread->random ^= spread->random << 25;
	spread->random ^= spread->random >> 27;
	return (double) (spread->random * UINT64_C(0x2545F4914F6CDD1D) >> 11) / 9007199254740992.0;
}

/* ---- loads and limits ---- */

/*
 * By how many means a load lies outside the limits.
 */
static double
Outside(const Spread *spread, const double *load)
{
	double		sum = 0;

	for (int d = 0; d < SPREAD_DIMS; d++)
	{
		if (spread->mean[d] <= 0)
			continue;
		if (load[d] > spread->upper[d])
			sum += (load[d] - spread->upper[d]) / spread->mean[d];
		else if (load[d] < spread->lower[d])
			sum += (spread->lower[d] - load[d]) / spread->mean[d];
	}
	return sum;
}

static double
Violation(const Spread *spread)
{
	double		sum = 0;

	for (int s = 0; s < spread->problem->nshards; s++)
		sum += Outside(spread, spread->load[s]);
	return sum;
}

/*
 * By how much it changes if the given sizes went from one shard to another.
 */
static double
Change(const Spread *spread, int from, int to, const double *size)
{
	double		a[SPREAD_DIMS],
				b[SPREAD_DIMS];

	for (int d = 0; d < SPREAD_DIMS; d++)
	{
		a[d] = spread->load[from][d] - size[d];
		b[d] = spread->load[to][d] + size[d];
	}
	return Outside(spread, a) + Outside(spread, b) -
		Outside(spread, spread->load[from]) - Outside(spread, spread->load[to]);
}

static void
Move(Spread *spread, int64 k, int to)
{
	SpreadKey  *key = &spread->problem->keys[k];

	for (int d = 0; d < SPREAD_DIMS; d++)
	{
		spread->load[key->to][d] -= key->size[d];
		spread->load[to][d] += key->size[d];
	}
	if (key->to == key->from)
		spread->moved += key->size[0];
	if (to == key->from)
		spread->moved -= key->size[0];
	key->to = to;
}

/* ---- keys by size ---- */

static SpreadKey *SortKeys;		/* what CompareKeys() compares */
static int	SortDim;

static int
CompareKeys(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;
	const SpreadKey *p = &SortKeys[x];
	const SpreadKey *q = &SortKeys[y];

	if (p->from != q->from)
		return p->from - q->from;
	if (p->size[SortDim] != q->size[SortDim])
		return p->size[SortDim] < q->size[SortDim] ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void
Sort(Spread *spread, int dim)
{
	SpreadProblem *problem = spread->problem;
	int64	   *order = mem_alloc(sizeof(int64) * (problem->nkeys + 1));
	int64	   *place = mem_alloc(sizeof(int64) * (problem->nkeys + 1));

	for (int64 k = 0; k < problem->nkeys; k++)
		order[k] = k;
	SortKeys = problem->keys;
	SortDim = dim;
	qsort(order, problem->nkeys, sizeof(int64), CompareKeys);
	for (int64 i = 0; i < problem->nkeys; i++)
		place[order[i]] = i;
	spread->order[dim] = order;
	spread->place[dim] = place;
}

static inline const SpreadKey *
KeyAt(const Spread *spread, int dim, int64 place)
{
	return &spread->problem->keys[spread->order[dim][place]];
}

/*
 * First place among a shard's keys whose size is at least this.
 */
static int64
FirstOfSize(const Spread *spread, int dim, int shard, double size)
{
	int64		low = spread->first[shard],
				high = spread->first[shard + 1];

	while (low < high)
	{
		int64		middle = low + (high - low) / 2;

		if (KeyAt(spread, dim, middle)->size[dim] < size)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * From a place on, upwards or downwards, a key that has not moved; -1 if there
 * is none near.
 */
static int64
Unmoved(const Spread *spread, int dim, int shard, int64 place, int step)
{
	for (int64 i = place, seen = 0;
		 i >= spread->first[shard] && i < spread->first[shard + 1] && seen < SCAN * 16;
		 i += step, seen++)
	{
		const SpreadKey *key = KeyAt(spread, dim, i);

		if (key->to == key->from)
			return spread->order[dim][i];
	}
	return -1;
}

/* ---- the start ---- */

/*
 * Largest key of a shard up to a size; by chance one of those next to it.
 */
static int64
LargestUpTo(Spread *spread, int dim, int shard, double size)
{
	int64		place = FirstOfSize(spread, dim, shard, size + EPSILON * size) - 1;

	if (spread->by_chance && Random(spread) < 0.5)
		place -= (int64) (Random(spread) * 4);
	return Unmoved(spread, dim, shard, place, -1);
}

static int64
SmallestFrom(Spread *spread, int dim, int shard, double size)
{
	int64		place = FirstOfSize(spread, dim, shard, size - EPSILON * size);

	if (spread->by_chance && Random(spread) < 0.3)
		place += (int64) (Random(spread) * 3);
	return Unmoved(spread, dim, shard, place, 1);
}

/*
 * The key of a shard that fits best: one that is all that is missing, and not
 * much more; else the largest that is not more; else the smallest at all.
 */
static int64
BestFit(Spread *spread, int dim, int from, double missing, double room)
{
	const SpreadKey *keys = spread->problem->keys;
	int64		over = SmallestFrom(spread, dim, from, missing);
	int64		under = LargestUpTo(spread, dim, from, missing < room ? missing : room);

	if (over >= 0 && keys[over].size[dim] > room)
		over = -1;
	if (under >= 0 && keys[under].size[dim] <= 0)
		under = -1;
	if (over >= 0 && (under < 0 || keys[over].size[dim] <= missing * 1.02))
		return over;
	if (under >= 0)
		return under;
	return Unmoved(spread, dim, from, spread->first[from], 1);
}

/*
 * The shard with the least (sign 1) or the most (sign -1) of a load, other than
 * one.
 */
static int
Extreme(Spread *spread, int dim, int sign, int other)
{
	const SpreadProblem *problem = spread->problem;
	int			best = -1;

	for (int s = 0; s < problem->nshards; s++)
	{
		if (s == other || (sign > 0 && !problem->takes[s]))
			continue;
		if (best < 0 || sign * (spread->load[s][dim] - spread->load[best][dim]) < 0)
			best = s;
	}
	return best;
}

/*
 * One move for a shard that is outside in a dimension; false if none helps.
 */
static bool
Improve(Spread *spread, int shard, int dim)
{
	bool		above = spread->load[shard][dim] > spread->upper[dim];
	int			from = above ? shard : Extreme(spread, dim, -1, shard);
	int			to = above ? Extreme(spread, dim, 1, shard) : shard;
	double		missing,
				room;
	int64		k;

	if (from < 0 || to < 0 || !spread->problem->takes[to])
		return false;
	room = spread->upper[dim] - spread->load[to][dim];
	if (above)
		missing = spread->load[shard][dim] - spread->upper[dim];
	else
	{
		missing = spread->lower[dim] - spread->load[shard][dim];
		if (spread->load[from][dim] - spread->lower[dim] < room)
			room = spread->load[from][dim] - spread->lower[dim];
	}
	k = BestFit(spread, dim, from, missing, room);
	if (k < 0 || Change(spread, from, to, spread->problem->keys[k].size) > -EPSILON)
		return false;
	Move(spread, k, to);
	return true;
}

/*
 * The shard and dimension farthest outside for which a move may help.
 */
static bool
Farthest(const Spread *spread, int *shard, int *dim)
{
	double		most = EPSILON;
	bool		found = false;

	for (int s = 0; s < spread->problem->nshards; s++)
		for (int d = 0; d < SPREAD_DIMS; d++)
		{
			double		out;

			if (spread->mean[d] <= 0 || spread->stuck[s * SPREAD_DIMS + d])
				continue;
			out = spread->load[s][d] > spread->upper[d] ? spread->load[s][d] - spread->upper[d] :
				spread->lower[d] - spread->load[s][d];
			if (out / spread->mean[d] <= most)
				continue;
			most = out / spread->mean[d];
			*shard = s;
			*dim = d;
			found = true;
		}
	return found;
}

static void
Start(Spread *spread)
{
	SpreadProblem *problem = spread->problem;
	int			shard = 0,
				dim = 0;

	for (int64 k = 0; k < problem->nkeys; k++)
		problem->keys[k].to = problem->keys[k].from;
	memcpy(spread->load, spread->load_before, sizeof(*spread->load) * problem->nshards);
	memset(spread->stuck, 0, problem->nshards * SPREAD_DIMS);
	spread->moved = 0;
	while (Farthest(spread, &shard, &dim))
	{
		if (!Improve(spread, shard, dim))
			spread->stuck[shard * SPREAD_DIMS + dim] = true;
		else
			memset(spread->stuck, 0, problem->nshards * SPREAD_DIMS);
	}
}

/* ---- local search ---- */

/*
 * Would the shards be no farther outside if a moved key went back, and others
 * of its shard went in its place?
 */
static bool
MayReplace(const Spread *spread, int64 out, int64 out2, int64 in, int64 in2)
{
	const SpreadKey *keys = spread->problem->keys;
	double		size[SPREAD_DIMS];

	for (int d = 0; d < SPREAD_DIMS; d++)
		size[d] = (in >= 0 ? keys[in].size[d] : 0) + (in2 >= 0 ? keys[in2].size[d] : 0) -
			keys[out].size[d] - (out2 >= 0 ? keys[out2].size[d] : 0);
	return Change(spread, keys[out].from, keys[out].to, size) <= EPSILON;
}

static void
Replace(Spread *spread, int64 out, int64 out2, int64 in, int64 in2)
{
	SpreadKey  *keys = spread->problem->keys;
	int			to = keys[out].to;

	Move(spread, out, keys[out].from);
	if (out2 >= 0)
		Move(spread, out2, keys[out2].from);
	if (in >= 0)
		Move(spread, in, to);
	if (in2 >= 0)
		Move(spread, in2, to);
}

/*
 * How much must go the way of these keys at the least.
 */
static double
Needed(const Spread *spread, int from, int to, double size)
{
	double		spare = spread->upper[0] - spread->load[from][0];
	double		spare_to = spread->load[to][0] - spread->lower[0];

	return size - (spare < spare_to ? spare : spare_to);
}

static bool
ReplaceBySmaller(Spread *spread, int64 out, int64 out2)
{
	const SpreadKey *keys = spread->problem->keys;
	int			from = keys[out].from;
	double		size = keys[out].size[0] + (out2 >= 0 ? keys[out2].size[0] : 0);
	double		needed = Needed(spread, from, keys[out].to, size);
	int64		place = FirstOfSize(spread, 0, from, needed - EPSILON * size);

	for (int i = 0; i < SCAN && place + i < spread->first[from + 1]; i++)
	{
		int64		in = spread->order[0][place + i];

		if (keys[in].size[0] >= size * (1 - EPSILON))
			return false;
		if (keys[in].to != from || !MayReplace(spread, out, out2, in, -1))
			continue;
		Replace(spread, out, out2, in, -1);
		return true;
	}
	return false;
}

/*
 * Two keys that have not moved, with the least sum that will do, for one.
 */
static bool
ReplaceByTwo(Spread *spread, int64 out)
{
	const SpreadKey *keys = spread->problem->keys;
	int			from = keys[out].from;
	double		size = keys[out].size[0];
	double		needed = Needed(spread, from, keys[out].to, size);
	int64		low = spread->first[from];
	int64		high = spread->place[0][out] - 1;
	double		best = size * (1 - EPSILON);
	int64		a = -1,
				b = -1;

	if (high - low > PAIR_KEYS)
		low = high - PAIR_KEYS;
	while (low < high)
	{
		const SpreadKey *p = KeyAt(spread, 0, low);
		const SpreadKey *q = KeyAt(spread, 0, high);
		double		sum = p->size[0] + q->size[0];

		if (q->to != from)
			high--;
		else if (p->to != from)
			low++;
		else if (sum < needed)
			low++;
		else
		{
			if (sum < best && MayReplace(spread, out, -1, spread->order[0][low], spread->order[0][high]))
			{
				best = sum;
				a = spread->order[0][low];
				b = spread->order[0][high];
			}
			high--;
		}
	}
	if (a < 0)
		return false;
	Replace(spread, out, -1, a, b);
	return true;
}

/*
 * The keys that have moved, in an array of our own.
 */
static int64 *
Moved(const Spread *spread, int64 *n)
{
	int64	   *moved = mem_alloc(sizeof(int64) * (spread->problem->nkeys + 1));

	*n = 0;
	for (int64 i = spread->problem->nkeys - 1; i >= 0; i--)
	{
		const SpreadKey *key = KeyAt(spread, 0, i);

		if (key->to != key->from)
			moved[(*n)++] = spread->order[0][i];
	}
	return moved;
}

static bool
SearchSingles(Spread *spread, const int64 *moved, int64 n)
{
	const SpreadKey *keys = spread->problem->keys;
	bool		better = false;

	for (int64 i = 0; i < n; i++)
	{
		int64		k = moved[i];

		if (keys[k].to == keys[k].from)
			continue;
		if (keys[k].size[0] > 0 && MayReplace(spread, k, -1, -1, -1))
		{
			Move(spread, k, keys[k].from);
			better = true;
		}
		else if (ReplaceBySmaller(spread, k, -1) || (i < PAIR_MOVES && ReplaceByTwo(spread, k)))
			better = true;
	}
	return better;
}

static bool
SearchPairs(Spread *spread, const int64 *moved, int64 n)
{
	const SpreadKey *keys = spread->problem->keys;

	if (n > PAIR_MOVES)
		n = PAIR_MOVES;
	for (int64 i = 0; i < n; i++)
		for (int64 j = i + 1; j < n; j++)
		{
			const SpreadKey *p = &keys[moved[i]];
			const SpreadKey *q = &keys[moved[j]];

			if (p->from == q->from && p->to == q->to && p->to != p->from &&
				ReplaceBySmaller(spread, moved[i], moved[j]))
				return true;
		}
	return false;
}

static void
Search(Spread *spread)
{
	bool		better = true;

	for (int round = 0; better && round < 200; round++)
	{
		int64		n;
		int64	   *moved = Moved(spread, &n);

		better = SearchSingles(spread, moved, n) || SearchPairs(spread, moved, n);
		mem_free(moved);
	}
}

/* ---- the whole ---- */

/*
 * No plan can do with less than what is above the upper limits, nor with less
 * than what is missing to the lower ones.
 */
static double
LowerBound(const Spread *spread)
{
	double		above = 0,
				below = 0;

	for (int s = 0; s < spread->problem->nshards; s++)
	{
		if (spread->load_before[s][0] > spread->upper[0])
			above += spread->load_before[s][0] - spread->upper[0];
		else if (spread->load_before[s][0] < spread->lower[0])
			below += spread->lower[0] - spread->load_before[s][0];
	}
	return above > below ? above : below;
}

static void
SetUp(Spread *spread, SpreadProblem *problem)
{
	spread->problem = problem;
	spread->load = mem_alloc0(sizeof(*spread->load) * problem->nshards);
	spread->load_before = mem_alloc0(sizeof(*spread->load) * problem->nshards);
	spread->first = mem_alloc0(sizeof(int64) * (problem->nshards + 1));
	spread->stuck = mem_alloc0(problem->nshards * SPREAD_DIMS);
	for (int64 k = 0; k < problem->nkeys; k++)
	{
		spread->first[problem->keys[k].from + 1]++;
		for (int d = 0; d < SPREAD_DIMS; d++)
			spread->load_before[problem->keys[k].from][d] += problem->keys[k].size[d];
	}
	for (int s = 0; s < problem->nshards; s++)
		spread->first[s + 1] += spread->first[s];
	for (int d = 0; d < SPREAD_DIMS; d++)
	{
		Sort(spread, d);
		for (int s = 0; s < problem->nshards; s++)
			spread->mean[d] += spread->load_before[s][d] / problem->nshards;
		spread->upper[d] = spread->mean[d] * (1 + problem->threshold);
		spread->lower[d] = spread->mean[d] * (1 - problem->threshold);
	}
}

static void
TearDown(Spread *spread)
{
	for (int d = 0; d < SPREAD_DIMS; d++)
	{
		mem_free(spread->order[d]);
		mem_free(spread->place[d]);
	}
	mem_free(spread->load);
	mem_free(spread->load_before);
	mem_free(spread->first);
	mem_free(spread->stuck);
}

double
SpreadImbalance(const SpreadProblem *problem)
{
	double		largest = 0;

	for (int d = 0; d < SPREAD_DIMS; d++)
	{
		double	   *load = mem_alloc0(sizeof(double) * (problem->nshards + 1));
		double		mean = 0;

		for (int64 k = 0; k < problem->nkeys; k++)
		{
			load[problem->keys[k].from] += problem->keys[k].size[d];
			mean += problem->keys[k].size[d] / problem->nshards;
		}
		for (int s = 0; s < problem->nshards && mean > 0; s++)
			if (fabs(load[s] - mean) / mean > largest)
				largest = fabs(load[s] - mean) / mean;
		mem_free(load);
	}
	return largest;
}

void
SpreadKeys(SpreadProblem *problem, SpreadResult *result)
{
	Spread		spread = {.random = UINT64_C(0x9E3779B97F4A7C15)};
	int			starts = WORK / (problem->nkeys + 1);
	int		   *best = mem_alloc(sizeof(int) * (problem->nkeys + 1));

	SetUp(&spread, problem);
	result->bound = LowerBound(&spread);
	starts = starts < 1 ? 1 : starts > MAX_STARTS ? MAX_STARTS : starts;
	for (int i = 0; i < starts; i++)
	{
		double		violation;

		spread.by_chance = i > 0;
		Start(&spread);
		Search(&spread);
		violation = Violation(&spread);
		if (i > 0 && (violation > result->violation + EPSILON ||
					  (violation > result->violation - EPSILON && spread.moved >= result->moved)))
			continue;
		result->violation = violation;
		result->moved = spread.moved;
		for (int64 k = 0; k < problem->nkeys; k++)
			best[k] = problem->keys[k].to;
		if (violation <= EPSILON && spread.moved <= result->bound * (1 + EPSILON))
			break;
	}
	result->nmoved = 0;
	for (int64 k = 0; k < problem->nkeys; k++)
	{
		problem->keys[k].to = best[k];
		result->nmoved += best[k] != problem->keys[k].from;
	}
	mem_free(best);
	TearDown(&spread);
}
