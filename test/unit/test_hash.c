/* sources: src/router/hash.c ; libs: -lxxhash */
/*
 * test_hash.c
 *		Hashes of keys against published vectors, and positions.
 */
#include "router/hash.h"
#include "tap.h"

typedef struct Vector
{
	const char *key;
	size_t		len;
	uint64		hash;
} Vector;

#define V(literal, hash) {literal, sizeof(literal) - 1, hash}

/* Test vectors that the authors of FNV publish. */
static const Vector Fnv1a[] = {
	V("", 0x811c9dc5), V("a", 0xe40c292c), V("b", 0xe70c2de5), V("c", 0xe60c2c52),
	V("d", 0xe10c2473), V("e", 0xe00c22e0), V("f", 0xe30c2799), V("fo", 0x6222e842),
	V("foo", 0xa9f37ed7), V("foob", 0x3f5076ef), V("fooba", 0x39aaa18a), V("foobar", 0xbf9cf968),
	V("\xff\x00\x00\x01", 0xc48fb86d), V("\x01\x00\x00\xff", 0x2269f369),
};

/* By the definition, worked out with another implementation. */
static const Vector Fnv1aKeys[] = {
	V("customer-123", 0x2cdf62e4), V("key-1", 0x57e03446),
	V("gr\xc3\xbcn", 0x6058a537), V("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e", 0x805f5ce7),
};

/* Published results of the reference implementation. */
static const Vector Xxh3[] = {
	V("", UINT64_C(0x2d06800538d394c2)), V("a", UINT64_C(0xe6c632b61e964e1f)),
	V("ab", UINT64_C(0xa873719c24d5735c)), V("abc", UINT64_C(0x78af5f94892f3950)),
	V("hello", UINT64_C(10760762337991515389)),
	V("The quick brown fox jumps over the lazy dog", UINT64_C(14879076941462221669)),
};

/* The same of the bytes 0, 1, 2, ...; one for each way that XXH3 takes by length. */
static const struct
{
	size_t		len;
	int64		hash;
}			Xxh3Bytes[] = {
	{1, INT64_C(-4302098779834749733)}, {8, INT64_C(4187271766389786872)},
	{16, INT64_C(-8983023575487778597)}, {17, INT64_C(-6993173599622040792)},
	{128, INT64_C(-8807326403944725397)}, {129, INT64_C(-1407864491810865574)},
	{240, INT64_C(3988562325861820517)}, {241, INT64_C(209643423615708418)},
};

static void
CheckVectors(HashFunction fn, const Vector *vectors, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		is_uint(KeyHash(fn, vectors[i].key, vectors[i].len), vectors[i].hash, "%s vector %zu", what, i);
}

static void
CheckBytes(void)
{
	char		bytes[256];

	for (int i = 0; i < 256; i++)
		bytes[i] = (char) i;
	for (size_t i = 0; i < sizeof(Xxh3Bytes) / sizeof(Xxh3Bytes[0]); i++)
		is_int((int64) KeyHash(HASH_XXH3, bytes, Xxh3Bytes[i].len), Xxh3Bytes[i].hash,
			   "XXH3 of %zu bytes", Xxh3Bytes[i].len);
}

/*
 * Keys that differ in their last digit only must not have neighbouring
 * positions: each sixteenth of hash space gets its part of them.
 */
static void
CheckSpread(HashFunction fn, const char *what)
{
	int			counts[16] = {0};
	int			least = 1 << 30;
	int			most = 0;

	for (int i = 0; i < 16000; i++)
	{
		char		key[32];
		int			len = snprintf(key, sizeof(key), "customer-%05d", i);

		counts[KeyPosition(fn, key, len) >> 60]++;
	}
	for (int i = 0; i < 16; i++)
	{
		least = counts[i] < least ? counts[i] : least;
		most = counts[i] > most ? counts[i] : most;
	}
	ok(least > 850 && most < 1150, "positions of %s spread over hash space (%d to %d of 1000)",
	   what, least, most);
}

int
main(void)
{
	HashFunction fn;

	CheckVectors(HASH_FNV1A, Fnv1a, sizeof(Fnv1a) / sizeof(Fnv1a[0]), "published FNV-1a");
	CheckVectors(HASH_FNV1A, Fnv1aKeys, sizeof(Fnv1aKeys) / sizeof(Fnv1aKeys[0]), "FNV-1a");
	CheckVectors(HASH_XXH3, Xxh3, sizeof(Xxh3) / sizeof(Xxh3[0]), "XXH3");
	CheckBytes();

	is_uint(KeyPosition(HASH_XXH3, "a", 1), UINT64_C(0xe6c632b61e964e1f), "XXH3's position is its hash");
	is_uint(HashPosition(HASH_XXH3, UINT64_MAX), UINT64_MAX - 1, "no position is the last one");
	ok(KeyPosition(HASH_FNV1A, "a", 1) == HashPosition(HASH_FNV1A, 0xe40c292c),
	   "a position follows from the hash");
	CheckSpread(HASH_FNV1A, "FNV-1a");
	CheckSpread(HASH_XXH3, "XXH3");

	ok(HashFunctionByName("fnv1a", &fn) && fn == HASH_FNV1A, "fnv1a is known");
	ok(HashFunctionByName("xxh3", &fn) && fn == HASH_XXH3, "xxh3 is known");
	ok(!HashFunctionByName("md5", &fn), "md5 is not");
	return done_testing();
}
