/* sources: src/router/hash.c src/router/ring.c src/router/map.c ; libs: -lxxhash */
/*
 * test_ring.c
 *		The quality of the ring, over a million keys: how even the shards' shares
 *		are, what moves when a shard comes or goes, what weights do.
 *
 * Under valgrind (SHARD_QUICK is set) a part of the keys must do.
 */
#include <math.h>

#include "router/map.h"
#include "router/ring.h"
#include "tap.h"

static int	Members[MAX_SHARDS];
static int	NKeys = 1000000;
static double Slack = 1;		/* with few keys, shares vary more */

/* Keys as applications have them: with a prefix, numbered. */
static int	KeyLen;
static char Key[32];

static void
MakeKey(int number)
{
	static const char *const prefixes[] = {"customer-", "", "order:", "tenant/"};

	KeyLen = snprintf(Key, sizeof(Key), "%s%d", prefixes[number % 4], number);
}

static RouterMap *
Build(HashFunction hash, int virtual_nodes, int nmembers, const int *members, const double *weights)
{
	MapDefinition def = {STRATEGY_CONSISTENT_HASH, hash, virtual_nodes, nmembers, members, weights};

	return MapBuild(&def);
}

static double
Variation(HashFunction hash, int virtual_nodes, int nmembers)
{
	RouterMap  *map = Build(hash, virtual_nodes, nmembers, Members, NULL);
	double		counts[MAX_SHARDS] = {0};
	double		mean = (double) NKeys / nmembers;
	double		squares = 0;

	for (int i = 0; i < NKeys; i++)
	{
		MakeKey(i);
		counts[MapRoute(map, Key, KeyLen)]++;
	}
	for (int i = 0; i < nmembers; i++)
		squares += (counts[i] - mean) * (counts[i] - mean);
	MapFree(map);
	return sqrt(squares / nmembers) / mean;
}

static void
CheckEvenness(HashFunction hash, const char *name)
{
	static const int counts[] = {4, 8, 16, 32};
	static const struct
	{
		int			nodes;
		double		bound;
	}			cases[] = {{50, 0.15}, {100, 0.08}, {150, 0.05}, {500, 0.02}};

	for (int c = 0; c < 4; c++)
	{
		double		sum = 0;

		for (int i = 0; i < 4; i++)
			sum += Variation(hash, cases[c].nodes, counts[i]);
		ok(sum / 4 <= cases[c].bound * Slack, "%s, %d virtual nodes: shares vary by %.2f %%, at most %.0f %%",
		   name, cases[c].nodes, sum / 4 * 100, cases[c].bound * 100);
	}
}

static void
CheckChange(HashFunction hash, int n)
{
	RouterMap  *with = Build(hash, 150, n + 1, Members, NULL);
	RouterMap  *without = Build(hash, 150, n, Members, NULL);
	int			moved = 0;
	int			strange = 0;

	for (int i = 0; i < NKeys; i++)
	{
		int			before;
		int			after;

		MakeKey(i);
		before = MapRoute(without, Key, KeyLen);
		after = MapRoute(with, Key, KeyLen);
		moved += before != after;
		strange += before != after && after != n;
	}
	is_int(strange, 0, "shard %d, added or removed, takes or gives keys of its own only", n);
	ok(moved > 0 && moved <= 1.1 / (n + 1) * NKeys, "%.4f of the keys, at most %.4f",
	   (double) moved / NKeys, 1.1 / (n + 1));
	MapFree(with);
	MapFree(without);
}

/*
 * Removing one in the middle moves its keys, and no others.
 */
static void
CheckRemoval(void)
{
	static const int rest[] = {0, 1, 2, 4, 5, 6, 7};
	RouterMap  *all = Build(HASH_XXH3, 150, 8, Members, NULL);
	RouterMap  *less = Build(HASH_XXH3, 150, 7, rest, NULL);
	int			wrong = 0;

	for (int i = 0; i < NKeys; i++)
	{
		int			before;
		int			after;

		MakeKey(i);
		before = MapRoute(all, Key, KeyLen);
		after = MapRoute(less, Key, KeyLen);
		wrong += before == 3 ? after == 3 : after != before;
	}
	is_int(wrong, 0, "a shard removed from the middle gives its keys away, nobody else does");
	MapFree(all);
	MapFree(less);
}

static void
CheckWeights(void)
{
	static const double weights[] = {1, 2, 0.5, 4, 2.5};
	RouterMap  *map = Build(HASH_XXH3, 500, 5, Members, weights);
	int			counts[5] = {0};

	for (int i = 0; i < NKeys; i++)
	{
		MakeKey(i);
		counts[MapRoute(map, Key, KeyLen)]++;
	}
	for (int i = 0; i < 5; i++)
		ok(fabs((double) counts[i] / NKeys / (weights[i] / 10) - 1) < 0.06 * Slack,
		   "a weight of %.1f of 10 gets %.4f of the keys", weights[i], (double) counts[i] / NKeys);
	MapFree(map);
}

int
main(void)
{
	if (getenv("SHARD_QUICK") != NULL)
	{
		NKeys = 40000;
		Slack = 3;
	}
	for (int i = 0; i < MAX_SHARDS; i++)
		Members[i] = i;
	CheckEvenness(HASH_FNV1A, "fnv1a");
	CheckEvenness(HASH_XXH3, "xxh3");
	CheckChange(HASH_FNV1A, 1);
	CheckChange(HASH_FNV1A, 4);
	CheckChange(HASH_XXH3, 9);
	CheckChange(HASH_XXH3, 31);
	CheckRemoval();
	CheckWeights();
	return done_testing();
}
