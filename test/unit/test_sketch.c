/* sources: src/base/sketch.c src/router/hash.c ; libs: -lxxhash */
/*
 * test_sketch.c
 *		Space-Saving summaries: their bounds hold against exact counts, on even
 *		and on skewed streams, with weights, and after keys were forgotten.
 */
#include <math.h>
#include <stdio.h>

#include "base/sketch.h"
#include "router/hash.h"
#include "tap.h"

#define NKEYS 5000

static uint64 exact[2][NKEYS];
static uint64 state = 42;

/* xorshift64*: the same stream in every run. */
static double
Random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (double) ((state * UINT64_C(0x2545F4914F6CDD1D)) >> 11) / (double) (UINT64_C(1) << 53);
}

static SketchKey
Key(uint32 owner, int number, char *buf, size_t size)
{
	SketchKey	key = {owner, (int16) (number % 7)};

	key.len = (size_t) snprintf(buf, size, "customer-%d", number);
	key.key = buf;
	key.hash = KeyHash(HASH_XXH3, buf, key.len) ^ owner;
	return key;
}

static void
Add(Sketch *sketch, uint32 owner, int number, uint64 n)
{
	char		buf[32];
	SketchKey	key = Key(owner, number, buf, sizeof(buf));

	SketchAdd(sketch, &key, n);
	exact[owner][number] += n;
}

/* A key's number drawn from Zipf's law: probability ~ 1 / rank^s. */
static int
Zipf(double s)
{
	static double table[NKEYS];
	static double made_for = -1;
	double		u;
	int			low = 0,
				high = NKEYS - 1;

	if (made_for != s)
	{
		double		sum = 0;

		for (int i = 0; i < NKEYS; i++)
			table[i] = sum += pow(i + 1, -s);
		made_for = s;
	}
	u = Random() * table[NKEYS - 1];
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (table[middle] < u)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int
NumberOf(const SketchEntry *entry)
{
	char		buf[SKETCH_KEY_MAX + 1];

	memcpy(buf, entry->key, entry->len);
	buf[entry->len] = '\0';
	return atoi(buf + strlen("customer-"));
}

static const SketchEntry *
Find(const Sketch *sketch, uint32 owner, int number)
{
	char		buf[32];
	SketchKey	key = Key(owner, number, buf, sizeof(buf));

	for (uint32 i = 0; i < sketch->used; i++)
	{
		const SketchEntry *entry = &SketchEntries(sketch)[i];

		if (entry->owner == owner && entry->hash == key.hash && entry->len == key.len &&
			memcmp(entry->key, buf, key.len) == 0 && entry->shard == number % 7)
			return entry;
	}
	return NULL;
}

/* Do the promises of sketch.h hold for every key of an owner? */
static void
CheckBounds(const Sketch *sketch, uint32 owner, const char *what)
{
	static bool found[NKEYS];
	int			outside = 0,
				missing = 0,
				too_large = 0;

	memset(found, 0, sizeof(found));
	for (uint32 i = 0; i < sketch->used; i++)
	{
		const SketchEntry *entry = &SketchEntries(sketch)[i];
		int			number;

		if (entry->owner != owner)
			continue;
		number = NumberOf(entry);
		found[number] = true;
		outside += exact[owner][number] > entry->count ||
			exact[owner][number] < entry->count - entry->error;
		too_large += entry->error > sketch->total / sketch->capacity;
	}
	for (int i = 0; i < NKEYS; i++)
		missing += !found[i] && exact[owner][i] > SketchFloor(sketch);
	is_int(outside, 0, "%s: every count is within its bounds", what);
	is_int(missing, 0, "%s: no key above the floor is missing", what);
	is_int(too_large, 0, "%s: no error above total / capacity", what);
	ok(SketchFloor(sketch) <= sketch->total / sketch->capacity, "%s: nor is the floor", what);
}

static Sketch *
Make(uint32 capacity)
{
	Sketch	   *sketch = mem_alloc0(SketchSize(capacity));

	SketchInit(sketch, capacity);
	memset(exact, 0, sizeof(exact));
	return sketch;
}

static void
TestFew(void)
{
	Sketch	   *sketch = Make(64);
	int			wrong = 0;

	for (int i = 0; i < 64 * 100; i++)
		Add(sketch, 0, i % 64, 1 + i % 3);
	for (int i = 0; i < 64; i++)
	{
		const SketchEntry *entry = Find(sketch, 0, i);

		wrong += entry == NULL || entry->count != exact[0][i] || entry->error != 0;
	}
	is_int(wrong, 0, "as many keys as counters: counts are exact");
	mem_free(sketch);
}

static void
TestZipf(uint32 capacity, double s, const char *what)
{
	Sketch	   *sketch = Make(capacity);

	for (int i = 0; i < 30000; i++)
		Add(sketch, 0, Zipf(s), 1);
	CheckBounds(sketch, 0, what);
	if (s >= 1 && capacity > 1)
		for (int i = 0; i < 5; i++)
			ok(Find(sketch, 0, i) != NULL, "%s: key of rank %d is there", what, i);
	mem_free(sketch);
}

static void
TestWeights(void)
{
	Sketch	   *sketch = Make(100);

	for (int i = 0; i < 15000; i++)
		Add(sketch, 0, Zipf(1.1), 1 + (uint64) (Random() * 50));
	CheckBounds(sketch, 0, "weights");
	mem_free(sketch);
}

/* Another owner's keys go; those of the first keep their bounds thereafter. */
static void
TestForget(void)
{
	Sketch	   *sketch = Make(128);
	uint32		left = 0;

	for (int i = 0; i < 15000; i++)
	{
		Add(sketch, 0, Zipf(1.0), 1);
		Add(sketch, 1, (int) (Random() * NKEYS), 1);
	}
	CheckBounds(sketch, 0, "two owners");
	CheckBounds(sketch, 1, "two owners, the second");
	SketchForget(sketch, 1);
	for (uint32 i = 0; i < sketch->used; i++)
		left += SketchEntries(sketch)[i].owner == 1;
	is_int(left, 0, "a forgotten owner has no counters");
	CheckBounds(sketch, 0, "after the second was forgotten");
	for (int i = 0; i < 15000; i++)
		Add(sketch, 0, Zipf(1.0), 1);
	CheckBounds(sketch, 0, "and some time later");
	SketchForget(sketch, 0);
	is_int(sketch->used, 0, "all owners forgotten: nothing is left");
	mem_free(sketch);
}

/* Which of a part's keys to hand over: a total order of its counts, downwards. */
static const uint64 *part_counts;

static int
ByCount(const void *a, const void *b)
{
	uint64		x = part_counts[*(const int *) a];
	uint64		y = part_counts[*(const int *) b];

	return x < y ? 1 : x > y ? -1 : *(const int *) a - *(const int *) b;
}

/* The keys of a part of the stream, counted exactly, of which the top ones are added. */
static void
AddPart(Sketch *sketch, uint32 owner, int length, double s, uint32 top)
{
	static uint64 counts[NKEYS];
	static int	order[NKEYS];
	static char texts[NKEYS][32];
	static SketchKey keys[NKEYS];
	static uint64 top_counts[NKEYS];
	uint32		n = 0;

	memset(counts, 0, sizeof(counts));
	for (int i = 0; i < length; i++)
		counts[Zipf(s)]++;
	for (int i = 0; i < NKEYS; i++)
	{
		order[i] = i;
		exact[owner][i] += counts[i];
	}
	part_counts = counts;
	qsort(order, NKEYS, sizeof(int), ByCount);
	while (n < top && n < NKEYS && counts[order[n]] > 0)
	{
		keys[n] = Key(owner, order[n], texts[n], sizeof(texts[n]));
		top_counts[n] = counts[order[n]];
		n++;
	}
	SketchAddCounted(sketch, keys, top_counts, n, n < NKEYS ? counts[order[n]] : 0, length);
}

static void
TestParts(uint32 capacity, double s, const char *what)
{
	Sketch	   *sketch = Make(capacity);
	uint64		total = 0;

	for (int i = 0; i < 40; i++)
	{
		int			length = i % 5 == 0 ? 7 : 1 + (int) (Random() * 4000);

		AddPart(sketch, 0, length, s, capacity);
		for (int j = 0; j < 50; j++)
			Add(sketch, 1, (int) (Random() * NKEYS), 1);
		total += length + 50;
		if (i == 20)
			SketchForget(sketch, 1);
		if (i == 20)
			memset(exact[1], 0, sizeof(exact[1]));
	}
	is_uint(sketch->total, total, "%s: the weight is all there", what);
	CheckBounds(sketch, 0, what);
	if (s >= 1 && capacity > 1)
		for (int i = 0; i < 5; i++)
			ok(Find(sketch, 0, i) != NULL, "%s: key of rank %d is there", what, i);
	mem_free(sketch);
}

static void
TestLongKeys(void)
{
	Sketch	   *sketch = Make(8);
	char		text[300];
	SketchKey	key = {0, 3, 77, text, sizeof(text)};

	memset(text, 'x', sizeof(text));
	SketchAdd(sketch, &key, 5);
	key.hash = 78;
	SketchAdd(sketch, &key, 7);
	is_int(sketch->used, 2, "long keys that begin alike are two keys");
	is_int(SketchEntries(sketch)[1].len, 300, "the whole length is known");
	SketchReset(sketch);
	is_int(sketch->used, 0, "reset");
	is_uint(sketch->total, 0, "reset: no total");
	mem_free(sketch);
}

int
main(void)
{
	TestFew();
	TestZipf(64, 0, "even, 64 counters");
	TestZipf(64, 1.0, "Zipf, 64 counters");
	TestZipf(512, 1.2, "steep Zipf, 512 counters");
	TestZipf(1, 1.0, "one counter");
	TestWeights();
	TestForget();
	TestParts(64, 0, "parts, even, 64 counters");
	TestParts(128, 1.0, "parts, Zipf, 128 counters");
	TestParts(1, 1.0, "parts, one counter");
	TestLongKeys();
	return done_testing();
}
