/*
 * sha256.h
 *		SHA-256 (FIPS 180-4) and HMAC (RFC 2104) for signing requests.
 *
 * Our own, so that signing is a pure part that its unit test can run without a
 * server.
 */
#ifndef SHARD_LAKE_SHA256_H
#define SHARD_LAKE_SHA256_H

#include "base/portable.h"

#define SHA256_BYTES 32
#define SHA256_HEX 65			/* with the zero at its end */

typedef struct Sha256
{
	uint32		state[8];
	uint64		length;			/* bytes so far */
	uint8		block[64];
	int			used;			/* bytes in block */
} Sha256;

extern void Sha256Begin(Sha256 *sha);
extern void Sha256Add(Sha256 *sha, const void *data, size_t len);
extern void Sha256End(Sha256 *sha, uint8 digest[SHA256_BYTES]);

extern void Sha256Of(const void *data, size_t len, uint8 digest[SHA256_BYTES]);
extern void HmacSha256(const void *key, size_t keylen, const void *data, size_t len,
					   uint8 digest[SHA256_BYTES]);

/* Lower-case hexadecimal digits. */
extern void Sha256Hex(const uint8 digest[SHA256_BYTES], char hex[SHA256_HEX]);

#endif							/* SHARD_LAKE_SHA256_H */
