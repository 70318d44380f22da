/* sources: src/router/range.c ; libs: */
/*
 * test_range.c
 *		Sets of ranges: order, overlaps, gaps, search, one set laid over another;
 *		compared with looking at every number.
 */
#include <stdio.h>

#include "router/range.h"
#include "tap.h"

#define LIMIT	40				/* numbers 0 .. LIMIT - 1 are looked at */

static int
CompareNumbers(RangeValue a, RangeValue b, void *arg)
{
	int		   *calls = arg;

	(*calls)++;
	return (a > b) - (a < b);
}

static int	Calls = 0;
static const RangeOrder Order = {CompareNumbers, &Calls};

static RangeBound
At(int value)
{
	return (RangeBound) {0, (RangeValue) value};
}

static const RangeBound Low = {-1, 0};
static const RangeBound High = {1, 0};

static RangeSet
MakeSet(int n, const Range *ranges)
{
	RangeSet	set = {Order, n, mem_alloc(sizeof(Range) * (n + 1))};

	memcpy(set.ranges, ranges, sizeof(Range) * n);
	return set;
}

static void
CheckSearch(void)
{
	Range		ranges[] = {{At(20), At(30), 2}, {Low, At(5), 0}, {At(5), At(10), 1}, {At(35), High, 3}};
	RangeSet	set = MakeSet(4, ranges);
	int			wrong = 0;
	Range		gap;

	RangeSort(&set);
	is_int(set.ranges[0].shard, 0, "the unbounded start comes first");
	is_int(set.ranges[3].shard, 3, "the highest start comes last");
	is_int(RangeOverlap(&set), -1, "neighbours do not overlap");
	for (int i = 0; i < LIMIT; i++)
	{
		int			expected = i < 5 ? 0 : i < 10 ? 1 : i < 20 ? -1 : i < 30 ? 2 : i < 35 ? -1 : 3;
		int			found = RangeSearch(&set, (RangeValue) i);

		wrong += (found < 0 ? -1 : set.ranges[found].shard) != expected;
	}
	is_int(wrong, 0, "every number is found in its range, or in none");
	ok(!RangeGap(&set, 0, &gap) && !RangeGap(&set, 1, &gap) && !RangeGap(&set, 4, &gap),
	   "no gap at the ends and between neighbours");
	ok(RangeGap(&set, 2, &gap) && gap.start.value == 10 && gap.end.value == 20, "a gap between ranges");
	ok(RangeGap(&set, 3, &gap) && gap.start.value == 30 && gap.end.value == 35, "and the next one");
	mem_free(set.ranges);
}

static void
CheckOverlaps(void)
{
	Range		inner[] = {{At(0), At(10), 0}, {At(5), At(6), 1}};
	Range		same[] = {{At(0), At(10), 0}, {At(0), At(10), 0}};
	Range		open[] = {{At(0), High, 0}, {At(5), At(6), 1}};
	RangeSet	set;

	set = MakeSet(2, inner);
	is_int(RangeOverlap(&set), 0, "a range within another overlaps it");
	mem_free(set.ranges);
	set = MakeSet(2, same);
	is_int(RangeOverlap(&set), 0, "equal ranges overlap");
	mem_free(set.ranges);
	set = MakeSet(2, open);
	is_int(RangeOverlap(&set), 0, "an unbounded end overlaps what follows");
	mem_free(set.ranges);
}

/* A small generator, so that every run is the same. */
static unsigned
Random(unsigned below)
{
	static uint64 state = 42;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned) ((state >> 33) % below);
}

/*
 * A set of disjoint ranges; shards[] gets every number's, -1 for none.
 */
static RangeSet
RandomSet(int *shards)
{
	RangeSet	set = {Order, 0, mem_alloc(sizeof(Range) * LIMIT)};
	int			at = (int) Random(6) - 1;

	for (int i = 0; i < LIMIT; i++)
		shards[i] = -1;
	while (at < LIMIT - 1)
	{
		int			end = at + 1 + (int) Random(8);
		int			shard = (int) Random(4);
		bool		last = end >= LIMIT - 2;

		set.ranges[set.nranges++] = (Range) {at < 0 ? Low : At(at), last ? High : At(end), shard};
		for (int i = at < 0 ? 0 : at; i < (last ? LIMIT : end); i++)
			shards[i] = shard;
		if (last)
			break;
		at = end + (int) Random(4);
	}
	for (int i = set.nranges - 1; i > 0; i--)
	{
		int			other = (int) Random(i + 1);
		Range		swap = set.ranges[i];

		set.ranges[i] = set.ranges[other];
		set.ranges[other] = swap;
	}
	RangeSort(&set);
	return set;
}

static bool
CoversAll(const RangeSet *set)
{
	if (set->ranges[0].start.infinity != -1 || set->ranges[set->nranges - 1].end.infinity != 1)
		return false;
	for (int i = 1; i < set->nranges; i++)
		if (RangeCompare(&set->order, &set->ranges[i - 1].end, &set->ranges[i].start) != 0 ||
			set->ranges[i - 1].shard == set->ranges[i].shard)
			return false;
	return true;
}

static int
Differences(const RangeSet *all, const int *first, const int *second)
{
	int			wrong = 0;

	for (int i = 0; i < LIMIT; i++)
	{
		RangeBound	bound = At(i);
		int			expected = first[i] >= 0 ? first[i] : second[i] >= 0 ? second[i] : 9;
		int			found = RangeSearch(all, (RangeValue) i);

		wrong += found < 0 || all->ranges[found].shard != expected ||
			RangeShardAbove(all, &bound) != expected;
	}
	return wrong;
}

static int
CountBorders(const RangeSet *all)
{
	RangeBound	border = Low;
	int			n = 0;

	while (RangeNextBorder(all, &border, &border))
		n++;
	return n;
}

static void
CheckOverlay(void)
{
	int			wrong = 0;
	int			uncovered = 0;
	int			borders = 0;

	for (int run = 0; run < 3000; run++)
	{
		int			lower[LIMIT];
		int			upper[LIMIT];
		RangeSet	a = RandomSet(lower);
		RangeSet	b = RandomSet(upper);
		RangeSet   *all = RangeAll(Order, 9);
		RangeSet   *with_a = RangeOverlay(all, &a);
		RangeSet   *with_b = RangeOverlay(with_a, &b);

		wrong += Differences(with_a, lower, lower) + Differences(with_b, upper, lower);
		uncovered += !CoversAll(with_a) || !CoversAll(with_b);
		borders += CountBorders(with_b) != with_b->nranges - 1;
		mem_free(a.ranges);
		mem_free(b.ranges);
		mem_free(all->ranges);
		mem_free(all);
		mem_free(with_a->ranges);
		mem_free(with_a);
		mem_free(with_b->ranges);
		mem_free(with_b);
	}
	is_int(wrong, 0, "the set laid over decides, then the one below, then the default");
	is_int(uncovered, 0, "the result covers all, without neighbours of one shard");
	is_int(borders, 0, "every border is found");
}

static void
CheckSpeed(void)
{
	int			n = 1 << 16;
	RangeSet	set = {Order, n, mem_alloc(sizeof(Range) * n)};

	for (int i = 0; i < n; i++)
		set.ranges[i] = (Range) {At(2 * i), At(2 * i + 2), i % 7};
	Calls = 0;
	is_int(RangeSearch(&set, 77777), 77777 / 2, "one of 65,536 ranges is found");
	ok(Calls <= 18, "by %d comparisons", Calls);
	mem_free(set.ranges);
}

int
main(void)
{
	CheckSearch();
	CheckOverlaps();
	CheckOverlay();
	CheckSpeed();
	return done_testing();
}
