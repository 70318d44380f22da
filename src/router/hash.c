/*
 * hash.c
 *		Hashes of partition keys, and the position that a key takes in hash space.
 *
 * A router decides by these values where rows live, so they may never change:
 * not between versions, not between machines.  Keys are hashed as the bytes of
 * their UTF-8 text.
 */
#include "router/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define FNV1A_OFFSET	UINT32_C(2166136261)
#define FNV1A_PRIME		UINT32_C(16777619)

static uint32
Fnv1a32(const char *key, size_t len)
{
	uint32		hash = FNV1A_OFFSET;

	for (size_t i = 0; i < len; i++)
	{
		hash ^= (uint8) key[i];
		hash *= FNV1A_PRIME;
	}
	return hash;
}

/*
 * Spread 32 bits over 64, one to one.  FNV-1a of similar keys differs mostly in
 * its low bits; what orders keys in hash space has to differ in the high ones.
 * (The finalizer of splitmix64.)
 */
static uint64
Mix64(uint64 x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64
KeyHash(HashFunction fn, const char *key, size_t len)
{
	if (fn == HASH_XXH3)
		return XXH3_64bits(key, len);
	return Fnv1a32(key, len);
}

uint64
HashPosition(HashFunction fn, uint64 hash)
{
	uint64		position = fn == HASH_XXH3 ? hash : Mix64(hash);

	return position == UINT64_MAX ? UINT64_MAX - 1 : position;
}

uint64
KeyPosition(HashFunction fn, const char *key, size_t len)
{
	return HashPosition(fn, KeyHash(fn, key, len));
}

bool
HashFunctionByName(const char *name, HashFunction *fn)
{
	if (strcmp(name, "fnv1a") == 0)
		*fn = HASH_FNV1A;
	else if (strcmp(name, "xxh3") == 0)
		*fn = HASH_XXH3;
	else
		return false;
	return true;
}
