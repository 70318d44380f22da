/*
 * hash.h
 *		Hashes of partition keys; pure, also compiled into the engine.
 */
#ifndef SHARD_ROUTER_HASH_H
#define SHARD_ROUTER_HASH_H

#include "base/portable.h"

typedef enum HashFunction
{
	HASH_FNV1A = 1,				/* 32-bit FNV-1a over the UTF-8 bytes */
	HASH_XXH3 = 2				/* 64-bit XXH3 */
} HashFunction;

/* Hash of a key; FNV-1a in the low 32 bits. */
extern uint64 KeyHash(HashFunction fn, const char *key, size_t len);

/*
 * Position of a key in hash space, 0 .. 2^64 - 2: what frontiers, rings and
 * migrations compare.  A pure function of (fn, key); spread over all 64 bits.
 * It is never 2^64 - 1, so every key lies below the frontier 2^64 - 1.
 */
extern uint64 KeyPosition(HashFunction fn, const char *key, size_t len);

/* The same from the key's hash, where that is known already. */
extern uint64 HashPosition(HashFunction fn, uint64 hash);

extern bool HashFunctionByName(const char *name, HashFunction *fn);

#endif							/* SHARD_ROUTER_HASH_H */
