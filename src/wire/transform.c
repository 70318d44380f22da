/*
 * transform.c
 *		The arithmetic of partition transforms; see transform.h.
 */
#include "wire/transform.h"

#define MICROS_PER_HOUR ((int64) 3600 * 1000000)
#define MICROS_PER_DAY (24 * MICROS_PER_HOUR)

/* ---- hashing ---- */

static uint32
RotateLeft(uint32 x, int bits)
{
	return (x << bits) | (x >> (32 - bits));
}

/* One block of four bytes, before it is mixed in. */
static uint32
Scramble(uint32 block)
{
	return RotateLeft(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

uint32
Murmur3(const void *data, size_t len)
{
	const unsigned char *bytes = data;
	uint32		hash = 0;
	uint32		rest = 0;
	size_t		whole = len & ~(size_t) 3;

	for (size_t i = 0; i < whole; i += 4)
	{
		uint32		block = (uint32) bytes[i] | (uint32) bytes[i + 1] << 8 |
			(uint32) bytes[i + 2] << 16 | (uint32) bytes[i + 3] << 24;

		hash = RotateLeft(hash ^ Scramble(block), 13) * 5 + 0xe6546b64u;
	}
	for (size_t i = len; i > whole; i--)
		rest = rest << 8 | bytes[i - 1];
	hash ^= Scramble(rest);
	hash ^= (uint32) len;
	hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
	hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
	return hash ^ (hash >> 16);
}

uint32
Murmur3Int64(int64 value)
{
	unsigned char bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char) ((uint64) value >> (8 * i));
	return Murmur3(bytes, sizeof(bytes));
}

int32
TransformBucket(uint32 hash, int32 n)
{
	return (int32) (hash & 0x7fffffffu) % n;
}

/* ---- numbers ---- */

int64
TransformTruncate(int64 value, int64 width)
{
	int64		over = (value % width + width) % width;

	return (int64) ((uint64) value - (uint64) over);
}

/* ---- times ---- */

static int64
FloorDivide(int64 value, int64 by)
{
	int64		quotient = value / by;

	return value % by < 0 ? quotient - 1 : quotient;
}

static int32
Clamp(int64 value)
{
	return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (int32) value;
}

/* Years since 1970 and month (0 to 11) of a day since 1970-01-01. */
static void
YearAndMonth(int64 days, int64 *year, int *month)
{
	int64		from_march = days + 719468; /* since 0000-03-01 */
	int64		era = FloorDivide(from_march, 146097);
	int64		day_of_era = from_march - era * 146097;
	int64		year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
							   day_of_era / 146096) / 365;
	int64		day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int			since_march = (int) ((5 * day_of_year + 2) / 153);

	*month = since_march < 10 ? since_march + 2 : since_march - 10;
	*year = year_of_era + era * 400 + (*month < 2 ? 1 : 0) - 1970;
}

static int32
PartOfDay(TransformKind kind, int64 days)
{
	int64		year;
	int			month;

	if (kind == TRANSFORM_DAY)
		return Clamp(days);
	YearAndMonth(days, &year, &month);
	return Clamp(kind == TRANSFORM_YEAR ? year : year * 12 + month);
}

int32
TransformMicros(TransformKind kind, int64 micros)
{
	if (kind == TRANSFORM_HOUR)
		return Clamp(FloorDivide(micros, MICROS_PER_HOUR));
	return PartOfDay(kind, FloorDivide(micros, MICROS_PER_DAY));
}

int32
TransformDays(TransformKind kind, int32 days)
{
	return PartOfDay(kind, days);
}
