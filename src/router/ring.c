/*
 * ring.c
 *		The consistent-hash circle: points of the members, and which one follows.
 *
 * Each member has a number of virtual nodes, and each of those several points:
 * with k points a member's share varies by about 1/sqrt(k), and one point a
 * node would vary more than a user of so many nodes expects.  Where a member's
 * points lie depends on nothing but its shard index, so adding a member moves
 * keys only onto it, and removing one moves only its own keys.
 *
 * A point is one 64-bit number: its place on the circle in the upper 54 bits,
 * the shard index in the lower 10 (MAX_SHARDS is 1024).  So the circle is a
 * sorted array of numbers, and equal places have an order that does not depend
 * on the members' order.
 */
#include "router/ring.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define POINTS_PER_NODE	10
#define INDEX_MASK		((uint64) (MAX_SHARDS - 1))

#define DIGIT_BITS		11
#define DIGITS			(1 << DIGIT_BITS)

/*
 * Virtual nodes of a member by its weight; none but has at least one.
 */
static int64
MemberNodes(const MapDefinition *def, int member)
{
	double		weight = def->weights ? def->weights[member] : 1.0;
	double		nodes = def->virtual_nodes * weight + 0.5;

	if (nodes > RING_MAX_NODES)
		return RING_MAX_NODES + 1;
	return nodes < 1 ? 1 : (int64) nodes;
}

static int64
TotalNodes(const MapDefinition *def)
{
	int64		total = 0;

	for (int i = 0; i < def->nmembers; i++)
		total += MemberNodes(def, i);
	if (total > RING_MAX_NODES)
		shard_fail(FAIL_INVALID,
				   "a ring of %d shards with %d virtual nodes each (by weight) is too large: at most %d virtual nodes in all",
				   def->nmembers, def->virtual_nodes, RING_MAX_NODES);
	return total;
}

static uint64
Point(int shard_index, int64 node, int replica)
{
	/* as bytes, so that every machine gets the same circle */
	unsigned char seed[12];

	for (int i = 0; i < 4; i++)
	{
		seed[i] = (unsigned char) ((uint32) shard_index >> (8 * i));
		seed[4 + i] = (unsigned char) ((uint32) node >> (8 * i));
		seed[8 + i] = (unsigned char) ((uint32) replica >> (8 * i));
	}
	return (XXH3_64bits(seed, sizeof(seed)) & ~INDEX_MASK) | (uint64) shard_index;
}

/*
 * Sort numbers by their digits, the lowest first.  Every backend sorts the
 * circle once, and a large one has more than a million points: this is ten
 * times as fast as comparing.
 */
static void
SortPoints(uint64 *points, int n)
{
	uint64	   *from = points;
	uint64	   *to = mem_alloc(sizeof(uint64) * n);
	uint64	   *scratch = to;

	/* an even number of passes ends in the array where it began */
	for (int shift = 0; shift < 6 * DIGIT_BITS; shift += DIGIT_BITS)
	{
		int			start[DIGITS + 1] = {0};
		uint64	   *swap = from;

		for (int i = 0; i < n; i++)
			start[((from[i] >> shift) & (DIGITS - 1)) + 1]++;
		for (int d = 0; d < DIGITS; d++)
			start[d + 1] += start[d];
		for (int i = 0; i < n; i++)
			to[start[(from[i] >> shift) & (DIGITS - 1)]++] = from[i];
		from = to;
		to = swap;
	}
	mem_free(scratch);
}

void
RingBuild(Ring *ring, const MapDefinition *def)
{
	int			n = 0;

	ring->npoints = (int) (TotalNodes(def) * POINTS_PER_NODE);
	ring->points = mem_alloc(sizeof(uint64) * ring->npoints);
	for (int i = 0; i < def->nmembers; i++)
	{
		int64		nodes = MemberNodes(def, i);

		for (int64 node = 0; node < nodes; node++)
			for (int replica = 0; replica < POINTS_PER_NODE; replica++)
				ring->points[n++] = Point(def->members[i], node, replica);
	}
	SortPoints(ring->points, n);
}

/*
 * Binary search for the first point at or after a position; past the last one
 * the circle begins again.
 */
int
RingLookup(const Ring *ring, uint64 position)
{
	const uint64 *base = ring->points;
	uint64		target = position & ~INDEX_MASK;
	int			n = ring->npoints;

	while (n > 1)
	{
		int			half = n / 2;

		base = base[half - 1] < target ? base + half : base;
		n -= half;
	}
	if (*base < target)
		base++;
	if (base == ring->points + ring->npoints)
		base = ring->points;
	return (int) (*base & INDEX_MASK);
}
