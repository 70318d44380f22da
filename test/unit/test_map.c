/* sources: src/router/hash.c src/router/ring.c src/router/map.c ; libs: -lxxhash */
/*
 * test_map.c
 *		Maps from keys to shards: evenness of the ring, what moves when members
 *		change, the frontier between two maps.
 */
#include <math.h>

#include "router/map.h"
#include "router/ring.h"
#include "tap.h"

#define NKEYS 100000

static int	Members[MAX_SHARDS];

static RouterMap *
Build(Strategy strategy, HashFunction hash, int virtual_nodes, int nmembers)
{
	MapDefinition def = {strategy, hash, virtual_nodes, nmembers, Members, NULL};

	return MapBuild(&def);
}

static int
RouteNumber(const RouterMap *map, int number)
{
	char		key[32];
	int			len = snprintf(key, sizeof(key), "key-%d", number);

	return MapRoute(map, key, len);
}

/*
 * Standard deviation of the shards' shares over their mean.
 */
static double
Variation(const RouterMap *map, int nmembers)
{
	int			counts[MAX_SHARDS] = {0};
	double		mean = (double) NKEYS / nmembers;
	double		squares = 0;

	for (int i = 1; i <= NKEYS; i++)
		counts[RouteNumber(map, i)]++;
	for (int i = 0; i < nmembers; i++)
		squares += (counts[i] - mean) * (counts[i] - mean);
	return sqrt(squares / nmembers) / mean;
}

static void
CheckEvenness(HashFunction hash, int virtual_nodes, double bound)
{
	static const int counts[] = {4, 8, 16, 32};
	double		sum = 0;

	for (int i = 0; i < 4; i++)
	{
		RouterMap  *map = Build(STRATEGY_CONSISTENT_HASH, hash, virtual_nodes, counts[i]);

		sum += Variation(map, counts[i]);
		MapFree(map);
	}
	ok(sum / 4 <= bound, "%d virtual nodes: shares vary by %.2f %%, at most %.0f %%",
	   virtual_nodes, sum / 4 * 100, bound * 100);
}

/*
 * Adding a shard to n moves at most 1.1/(n+1) of the keys, all of them onto it.
 */
static void
CheckMovement(int n)
{
	RouterMap  *before = Build(STRATEGY_CONSISTENT_HASH, HASH_FNV1A, 150, n);
	RouterMap  *after = Build(STRATEGY_CONSISTENT_HASH, HASH_FNV1A, 150, n + 1);
	int			moved = 0;
	int			elsewhere = 0;

	for (int i = 1; i <= NKEYS; i++)
	{
		int			to = RouteNumber(after, i);

		if (to == RouteNumber(before, i))
			continue;
		moved++;
		elsewhere += to != n;
	}
	is_int(elsewhere, 0, "a shard added to %d takes keys only to itself", n);
	ok(moved > 0 && moved <= 1.1 / (n + 1) * NKEYS, "it takes %.4f of them, at most %.4f",
	   (double) moved / NKEYS, 1.1 / (n + 1));
	MapFree(before);
	MapFree(after);
}

/*
 * The circle depends on which members there are, not on their order.
 */
static void
CheckOrder(void)
{
	int			there[] = {3, 7, 11};
	int			back[] = {11, 3, 7};
	MapDefinition def = {STRATEGY_CONSISTENT_HASH, HASH_XXH3, 20, 3, there, NULL};
	RouterMap  *one = MapBuild(&def);
	RouterMap  *other;
	int			different = 0;
	int			strange = 0;

	def.members = back;
	other = MapBuild(&def);
	for (int i = 0; i < 10000; i++)
	{
		int			shard = RouteNumber(one, i);

		different += shard != RouteNumber(other, i);
		strange += shard != 3 && shard != 7 && shard != 11;
	}
	is_int(different, 0, "the members' order does not matter");
	is_int(strange, 0, "keys go to members only");
	MapFree(one);
	MapFree(other);
}

static void
CheckWeights(void)
{
	double		weights[] = {1, 3};
	MapDefinition def = {STRATEGY_CONSISTENT_HASH, HASH_XXH3, 150, 2, Members, weights};
	RouterMap  *map = MapBuild(&def);
	int			heavy = 0;

	for (int i = 0; i < NKEYS; i++)
		heavy += RouteNumber(map, i) == 1;
	ok(fabs((double) heavy / NKEYS - 0.75) < 0.04, "a weight of 3 against 1 gets three quarters (%.3f)",
	   (double) heavy / NKEYS);
	MapFree(map);
}

static void
CheckModulo(void)
{
	int			members[] = {5, 6, 9};
	MapDefinition def = {STRATEGY_HASH, HASH_FNV1A, 0, 3, members, NULL};
	RouterMap  *map = MapBuild(&def);

	is_int(MapRoute(map, "a", 1), members[0xe40c292c % 3], "hash modulo the number of shards: a");
	is_int(MapRoute(map, "foobar", 6), members[0xbf9cf968 % 3], "hash modulo the number of shards: foobar");
	is_int(MapRoute(map, "", 0), members[0x811c9dc5 % 3], "the empty key has a shard, too");
	MapFree(map);
}

/*
 * As the frontier rises, a key changes to its new shard once and stays there.
 */
static void
CheckFrontier(void)
{
	RouterMap  *current = Build(STRATEGY_CONSISTENT_HASH, HASH_FNV1A, 150, 4);
	RouterMap  *next = Build(STRATEGY_CONSISTENT_HASH, HASH_FNV1A, 150, 5);
	int			returned = 0;
	int			wrong_first = 0;
	int			wrong_last = 0;

	for (int i = 0; i < 2000; i++)
	{
		char		key[32];
		int			len = snprintf(key, sizeof(key), "key-%d", i);
		bool		changed = false;
		int			from = MapRoute(current, key, len);
		int			to = MapRoute(next, key, len);

		wrong_first += MapRouteFrontier(current, next, 0, key, len) != from;
		wrong_last += MapRouteFrontier(current, next, UINT64_MAX, key, len) != to;
		for (int step = 0; step < 64 && from != to; step++)
		{
			int			now = MapRouteFrontier(current, next, (uint64) step << 58, key, len);

			returned += now == from && changed;
			changed |= now == to;
		}
	}
	is_int(wrong_first, 0, "below the lowest frontier nothing has changed");
	is_int(wrong_last, 0, "below the highest frontier everything has");
	is_int(returned, 0, "no key goes back as the frontier rises");
	is_int(MapRouteFrontier(current, NULL, UINT64_MAX, "a", 1), MapRoute(current, "a", 1),
		   "without a next map the current one decides");
	MapFree(current);
	MapFree(next);
}

static void
CheckErrors(void)
{
	int			outside[] = {MAX_SHARDS};
	MapDefinition def = {STRATEGY_HASH, HASH_FNV1A, 0, 0, Members, NULL};

	EXPECT_FAIL_KIND(FAIL_INVALID, MapBuild(&def));
	def.nmembers = 1;
	def.members = outside;
	EXPECT_FAIL_KIND(FAIL_INVALID, MapBuild(&def));
	def.members = Members;
	def.strategy = STRATEGY_CONSISTENT_HASH;
	EXPECT_FAIL_KIND(FAIL_INVALID, MapBuild(&def));
	def.virtual_nodes = RING_MAX_NODES + 1;
	EXPECT_FAIL_KIND(FAIL_INVALID, RingBuild(&(Ring) {0}, &def));
	def.strategy = STRATEGY_RANGE;
	EXPECT_FAIL_KIND(FAIL_UNSUPPORTED, MapBuild(&def));
}

int
main(void)
{
	for (int i = 0; i < MAX_SHARDS; i++)
		Members[i] = i;
	CheckEvenness(HASH_FNV1A, 50, 0.15);
	CheckEvenness(HASH_FNV1A, 100, 0.08);
	CheckEvenness(HASH_FNV1A, 150, 0.05);
	CheckEvenness(HASH_FNV1A, 500, 0.02);
	CheckEvenness(HASH_XXH3, 150, 0.05);
	CheckEvenness(HASH_XXH3, 500, 0.02);
	CheckMovement(1);
	CheckMovement(4);
	CheckMovement(8);
	CheckMovement(31);
	CheckOrder();
	CheckWeights();
	CheckModulo();
	CheckFrontier();
	CheckErrors();
	return done_testing();
}
