/*
 * sha256.c
 *		SHA-256 and HMAC.
 */
#include "lake/io/sha256.h"

static const uint32 constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static inline uint32
Rotate(uint32 x, int n)
{
	return (x >> n) | (x << (32 - n));
}

static void
Compress(uint32 state[8], const uint8 *block)
{
	uint32		w[64];
	uint32		v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32) block[4 * i] << 24 | (uint32) block[4 * i + 1] << 16 |
			(uint32) block[4 * i + 2] << 8 | block[4 * i + 3];
	for (int i = 16; i < 64; i++)
	{
		uint32		s0 = Rotate(w[i - 15], 7) ^ Rotate(w[i - 15], 18) ^ (w[i - 15] >> 3);
		uint32		s1 = Rotate(w[i - 2], 17) ^ Rotate(w[i - 2], 19) ^ (w[i - 2] >> 10);

		w[i] = w[i - 16] + s0 + w[i - 7] + s1;
	}
	memcpy(v, state, sizeof(v));
	for (int i = 0; i < 64; i++)
	{
		uint32		s1 = Rotate(v[4], 6) ^ Rotate(v[4], 11) ^ Rotate(v[4], 25);
		uint32		choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
		uint32		t1 = v[7] + s1 + choice + constants[i] + w[i];
		uint32		s0 = Rotate(v[0], 2) ^ Rotate(v[0], 13) ^ Rotate(v[0], 22);
		uint32		majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);

		memmove(v + 1, v, 7 * sizeof(uint32));
		v[4] += t1;
		v[0] = t1 + s0 + majority;
	}
	for (int i = 0; i < 8; i++)
		state[i] += v[i];
}

void
Sha256Begin(Sha256 *sha)
{
	static const uint32 initial[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};

	memset(sha, 0, sizeof(*sha));
	memcpy(sha->state, initial, sizeof(initial));
}

void
Sha256Add(Sha256 *sha, const void *data, size_t len)
{
	const uint8 *p = data;

	sha->length += len;
	while (len > 0)
	{
		size_t		part = sizeof(sha->block) - sha->used;

		if (sha->used == 0 && len >= sizeof(sha->block))
		{
			Compress(sha->state, p);
			p += sizeof(sha->block);
			len -= sizeof(sha->block);
			continue;
		}
		if (part > len)
			part = len;
		memcpy(sha->block + sha->used, p, part);
		sha->used += (int) part;
		p += part;
		len -= part;
		if (sha->used == sizeof(sha->block))
		{
			Compress(sha->state, sha->block);
			sha->used = 0;
		}
	}
}

void
Sha256End(Sha256 *sha, uint8 digest[SHA256_BYTES])
{
	static const uint8 padding[64] = {0x80};
	uint64		bits = sha->length * 8;
	uint8		length[8];

	Sha256Add(sha, padding, (sha->used < 56 ? 56 : 120) - sha->used);
	for (int i = 0; i < 8; i++)
		length[i] = (uint8) (bits >> (56 - 8 * i));
	Sha256Add(sha, length, sizeof(length));
	for (int i = 0; i < SHA256_BYTES; i++)
		digest[i] = (uint8) (sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

void
Sha256Of(const void *data, size_t len, uint8 digest[SHA256_BYTES])
{
	Sha256		sha;

	Sha256Begin(&sha);
	Sha256Add(&sha, data, len);
	Sha256End(&sha, digest);
}

void
HmacSha256(const void *key, size_t keylen, const void *data, size_t len, uint8 digest[SHA256_BYTES])
{
	uint8		block[64] = {0};
	uint8		pad[64];
	Sha256		sha;

	if (keylen > sizeof(block))
		Sha256Of(key, keylen, block);
	else
		memcpy(block, key, keylen);

	for (int i = 0; i < 64; i++)
		pad[i] = block[i] ^ 0x36;
	Sha256Begin(&sha);
	Sha256Add(&sha, pad, sizeof(pad));
	Sha256Add(&sha, data, len);
	Sha256End(&sha, digest);

	for (int i = 0; i < 64; i++)
		pad[i] = block[i] ^ 0x5c;
	Sha256Begin(&sha);
	Sha256Add(&sha, pad, sizeof(pad));
	Sha256Add(&sha, digest, SHA256_BYTES);
	Sha256End(&sha, digest);
}

void
Sha256Hex(const uint8 digest[SHA256_BYTES], char hex[SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < SHA256_BYTES; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[2 * SHA256_BYTES] = '\0';
}
