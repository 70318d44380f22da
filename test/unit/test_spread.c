/* sources: src/migration/spread.c ; libs: */
/*
 * test_spread.c
 *		Choosing the keys of a rebalance: within the threshold, at or near the
 *		least that can be moved, and below what taking the largest keys first
 *		moves.
 */
#include <math.h>

#include "migration/spread.h"
#include "tap.h"

#define MAX_KEYS 20000
#define MAX_TEST_SHARDS 16

static SpreadKey Keys[MAX_KEYS];
static bool Takes[MAX_TEST_SHARDS];
static uint64 Seed = 42;

static double
Chance(void)
{
	Seed = Seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (double) (Seed >> 11) / 9007199254740992.0;
}

static void
SetKey(int k, double bytes, int shard)
{
	Keys[k] = (SpreadKey) {.size = {bytes, bytes}, .from = shard, .to = shard};
}

static SpreadProblem
Problem(int nkeys, int nshards, double threshold)
{
	for (int s = 0; s < nshards; s++)
		Takes[s] = true;
	return (SpreadProblem) {threshold, nshards, Takes, nkeys, Keys};
}

static void
Loads(const SpreadProblem *problem, double *load)
{
	for (int s = 0; s < problem->nshards; s++)
		load[s] = 0;
	for (int64 k = 0; k < problem->nkeys; k++)
		load[problem->keys[k].to] += problem->keys[k].size[0];
}

static bool
IsBalanced(const SpreadProblem *problem)
{
	double		load[MAX_TEST_SHARDS],
				mean = 0;

	Loads(problem, load);
	for (int s = 0; s < problem->nshards; s++)
		mean += load[s] / problem->nshards;
	for (int s = 0; s < problem->nshards; s++)
		if (fabs(load[s] - mean) > mean * (problem->threshold + 1e-6))
			return false;
	return true;
}

static double
MovedBytes(const SpreadProblem *problem)
{
	double		moved = 0;

	for (int64 k = 0; k < problem->nkeys; k++)
		if (problem->keys[k].to != problem->keys[k].from)
			moved += problem->keys[k].size[0];
	return moved;
}

/*
 * What most would do: the fullest shard gives its largest key that the emptiest
 * has room for, until all are within the threshold.
 */
static double
LargestFirst(SpreadProblem *problem)
{
	for (int64 k = 0; k < problem->nkeys; k++)
		problem->keys[k].to = problem->keys[k].from;
	while (!IsBalanced(problem))
	{
		double		load[MAX_TEST_SHARDS],
					mean = 0;
		int			full = 0,
					empty = 0;
		int64		largest = -1;

		Loads(problem, load);
		for (int s = 0; s < problem->nshards; s++)
		{
			mean += load[s] / problem->nshards;
			full = load[s] > load[full] ? s : full;
			empty = load[s] < load[empty] ? s : empty;
		}
		for (int64 k = 0; k < problem->nkeys; k++)
			if (problem->keys[k].to == full &&
				load[empty] + problem->keys[k].size[0] <= mean * (1 + problem->threshold) &&
				(largest < 0 || problem->keys[k].size[0] > problem->keys[largest].size[0]))
				largest = k;
		if (largest < 0)
			return INFINITY;
		problem->keys[largest].to = empty;
	}
	return MovedBytes(problem);
}

/*
 * The least that any plan moves, by trying all.
 */
static double
Least(SpreadProblem *problem, int64 k)
{
	double		least = INFINITY;

	if (k == problem->nkeys)
		return IsBalanced(problem) ? MovedBytes(problem) : INFINITY;
	for (int s = 0; s < problem->nshards; s++)
	{
		double		moved;

		problem->keys[k].to = s;
		moved = Least(problem, k + 1);
		least = moved < least ? moved : least;
	}
	return least;
}

static void
TestSmall(void)
{
	int			exact = 0,
				solved = 0,
				wrong = 0;
	double		sum = 0,
				sum_least = 0;

	for (int i = 0; i < 60; i++)
	{
		int			nshards = 2 + i % 2;
		int			nkeys = nshards == 2 ? 12 : 8;
		SpreadProblem problem = Problem(nkeys, nshards, 0.3);
		SpreadResult result;
		double		least;

		for (int k = 0; k < nkeys; k++)
			SetKey(k, floor(1 + 100 / (1 + 20 * Chance())), (int) (pow(Chance(), 2) * nshards));
		least = Least(&problem, 0);
		if (isinf(least))
			continue;
		SpreadKeys(&problem, &result);
		solved++;
		wrong += !IsBalanced(&problem) || MovedBytes(&problem) < least - 1e-6 ||
			fabs(MovedBytes(&problem) - result.moved) > 1e-6 || least < result.bound - 1e-6;
		exact += MovedBytes(&problem) <= least + 1e-6;
		sum += MovedBytes(&problem);
		sum_least += least;
	}
	ok(solved > 40, "small cases: %d can be balanced", solved);
	is_int(wrong, 0, "small cases: each plan balances, and moves what it says");
	ok(exact >= solved * 9 / 10, "small cases: %d of %d plans move the least possible", exact, solved);
	ok(sum <= sum_least * 1.05, "small cases: %.0f moved, %.0f at the least", sum, sum_least);
}

static void
TestZipf(int nkeys, int nshards, double exponent)
{
	SpreadProblem problem = Problem(nkeys, nshards, 0.3);
	SpreadResult result;
	double		moved,
				greedy;

	for (int k = 0; k < nkeys; k++)
		SetKey(k, ceil(1e7 / pow(k + 1, exponent)), (int) (pow(Chance(), 1.5) * nshards));
	SpreadKeys(&problem, &result);
	moved = MovedBytes(&problem);
	ok(IsBalanced(&problem) && result.violation < 1e-6, "Zipf %.1f, %d keys, %d shards: within the threshold",
	   exponent, nkeys, nshards);
	ok(moved <= result.bound * 1.02, "Zipf %.1f: moved %.0f, at least %.0f", exponent, moved, result.bound);
	greedy = LargestFirst(&problem);
	ok(moved < greedy, "Zipf %.1f: moved %.0f, largest first %.0f", exponent, moved, greedy);
}

static void
TestImpossible(void)
{
	SpreadProblem problem = Problem(5, 3, 0.3);
	SpreadResult result;
	double		load[3];

	SetKey(0, 1000, 0);
	for (int k = 1; k < 5; k++)
		SetKey(k, 10, 0);
	SpreadKeys(&problem, &result);
	Loads(&problem, load);
	ok(result.violation > 0, "a key larger than all: no balance");
	ok(load[0] == 1000 && load[1] == 20 && load[2] == 20, "... but as near to it as can be");

	problem = Problem(4, 2, 0.3);
	for (int k = 0; k < 4; k++)
		SetKey(k, 10, k % 2);
	SpreadKeys(&problem, &result);
	is_int(result.nmoved, 0, "balanced already: nothing moves");

	problem = Problem(0, 2, 0.3);
	SpreadKeys(&problem, &result);
	is_int(result.nmoved, 0, "no keys: nothing moves");
}

static void
TestTakes(void)
{
	SpreadProblem problem = Problem(100, 4, 0.3);
	SpreadResult result;
	int			refused = 0;

	for (int k = 0; k < 100; k++)
		SetKey(k, 10, k % 2);
	Takes[3] = false;
	SpreadKeys(&problem, &result);
	for (int k = 0; k < 100; k++)
		refused += Keys[k].to == 3;
	is_int(refused, 0, "no key goes to a shard that takes none");
	ok(result.nmoved > 0, "the others do");
}

int
main(void)
{
	TestSmall();
	TestZipf(20000, 8, 0.8);
	TestZipf(5000, 16, 0.6);
	TestZipf(1000, 4, 0.9);
	TestImpossible();
	TestTakes();
	return done_testing();
}
