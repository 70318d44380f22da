/*
 * range.c
 *		Half-open ranges of keys, and the shards that they belong to.
 *
 * Pure: what values are and how they compare is the caller's business.  A set
 * as a user gives it may have gaps; laid over a set of all keys, which is the
 * default shard's, it says for every key where it belongs.
 */
#include "router/range.h"

int
RangeCompare(const RangeOrder *order, const RangeBound *a, const RangeBound *b)
{
	if (a->infinity != 0 || b->infinity != 0)
		return a->infinity - b->infinity;
	return order->compare(a->value, b->value, order->arg);
}

/*
 * Merge two neighbouring sorted runs; stable.
 */
static void
Merge(const RangeSet *set, const Range *from, Range *to, int low, int middle, int high)
{
	int			left = low;
	int			right = middle;

	for (int i = low; i < high; i++)
	{
		bool		take_left = right >= high ||
			(left < middle &&
			 RangeCompare(&set->order, &from[left].start, &from[right].start) <= 0);

		to[i] = take_left ? from[left++] : from[right++];
	}
}

#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))

void
RangeSort(RangeSet *set)
{
	int			n = set->nranges;
	Range	   *from = set->ranges;
	Range	   *to;

	if (n < 2)
		return;
	to = mem_alloc(sizeof(Range) * n);
	for (int width = 1; width < n; width *= 2)
	{
		Range	   *swap = from;

		for (int low = 0; low < n; low += 2 * width)
			Merge(set, from, to, low, MIN_OF(low + width, n), MIN_OF(low + 2 * width, n));
		from = to;
		to = swap;
	}
	set->ranges = from;
	mem_free(to);
}

int
RangeOverlap(const RangeSet *set)
{
	for (int i = 0; i + 1 < set->nranges; i++)
		if (RangeCompare(&set->order, &set->ranges[i].end, &set->ranges[i + 1].start) > 0)
			return i;
	return -1;
}

/*
 * The last range that starts at or below a bound, or -1.
 */
static int
LastStart(const RangeSet *set, const RangeBound *bound)
{
	int			low = 0;
	int			high = set->nranges;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (RangeCompare(&set->order, &set->ranges[middle].start, bound) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

int
RangeSearch(const RangeSet *set, RangeValue value)
{
	RangeBound	bound = {0, value};
	int			i = LastStart(set, &bound);

	if (i >= 0 && RangeCompare(&set->order, &bound, &set->ranges[i].end) >= 0)
		i = -1;
	return i;
}

bool
RangeGap(const RangeSet *set, int i, Range *gap)
{
	gap->start = i > 0 ? set->ranges[i - 1].end : (RangeBound) {-1, 0};
	gap->end = i < set->nranges ? set->ranges[i].start : (RangeBound) {1, 0};
	gap->shard = -1;
	return RangeCompare(&set->order, &gap->start, &gap->end) < 0;
}

static RangeSet *
NewSet(RangeOrder order, int room)
{
	RangeSet   *set = mem_alloc0(sizeof(RangeSet));

	set->order = order;
	set->ranges = mem_alloc(sizeof(Range) * room);
	return set;
}

RangeSet *
RangeAll(RangeOrder order, int shard)
{
	RangeSet   *set = NewSet(order, 1);

	set->ranges[set->nranges++] = (Range) {{-1, 0}, {1, 0}, shard};
	return set;
}

/*
 * Append a piece that begins where the last one ends.
 */
static void
Append(RangeSet *set, RangeBound start, RangeBound end, int shard)
{
	if (RangeCompare(&set->order, &start, &end) >= 0)
		return;
	if (set->nranges > 0 && set->ranges[set->nranges - 1].shard == shard)
		set->ranges[set->nranges - 1].end = end;
	else
		set->ranges[set->nranges++] = (Range) {start, end, shard};
}

/*
 * Append what base has between two bounds; *next is the range of base to begin
 * with, and goes up.
 */
static void
AppendBase(RangeSet *set, const RangeSet *base, int *next, RangeBound start, RangeBound end)
{
	while (*next < base->nranges)
	{
		const Range *range = &base->ranges[*next];
		bool		inside = RangeCompare(&base->order, &range->end, &end) <= 0;

		if (RangeCompare(&base->order, &range->start, &start) > 0)
			start = range->start;
		Append(set, start, inside ? range->end : end, range->shard);
		if (!inside)
			return;
		start = range->end;
		(*next)++;
	}
}

RangeSet *
RangeOverlay(const RangeSet *base, const RangeSet *over)
{
	RangeSet   *set = NewSet(base->order, base->nranges + 2 * over->nranges + 1);
	RangeBound	done = {-1, 0};
	int			next = 0;

	for (int i = 0; i < over->nranges; i++)
	{
		const Range *range = &over->ranges[i];

		AppendBase(set, base, &next, done, range->start);
		Append(set, range->start, range->end, range->shard);
		done = range->end;

		/* a range of base that ended below what was laid over it is done with */
		while (next < base->nranges &&
			   RangeCompare(&base->order, &base->ranges[next].end, &done) <= 0)
			next++;
	}
	AppendBase(set, base, &next, done, (RangeBound) {1, 0});
	return set;
}

bool
RangeNextBorder(const RangeSet *set, const RangeBound *after, RangeBound *border)
{
	int			i = LastStart(set, after) + 1;

	if (i >= set->nranges)
		return false;
	*border = set->ranges[i].start;
	return true;
}

int
RangeShardAbove(const RangeSet *set, const RangeBound *bound)
{
	int			i = LastStart(set, bound);

	return set->ranges[i < 0 ? 0 : i].shard;
}
