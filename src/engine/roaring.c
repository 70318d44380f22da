/*
 * roaring.c
 *		Reader of deletion vectors.
 *
 * A 64-bit bitmap is a count and, for each, the upper 32 bits and a 32-bit
 * bitmap.  That is a cookie, headers (upper 16 bits and cardinality less one),
 * offsets that we do not need, and containers: sorted arrays of up to 4,096
 * values, bitmaps of 8 kB, or runs.
 */
#include "engine/roaring.h"

#include <zlib.h>

#define COOKIE_NO_RUNS 12346
#define COOKIE_RUNS 12347
#define NO_OFFSETS_BELOW 4		/* containers, of a bitmap with runs */
#define ARRAY_MAX 4096
#define BITMAP_BYTES 8192

typedef struct Cursor
{
	const unsigned char *p;
	const unsigned char *end;
	const char *fault;			/* NULL = none yet */
	RoaringRow	tell;
	void	   *arg;
} Cursor;

static void
Fault(Cursor *cursor, const char *fault)
{
	if (cursor->fault == NULL)
		cursor->fault = fault;
	cursor->p = cursor->end;
}

/* The next n bytes; NULL if there are not that many. */
static const unsigned char *
Take(Cursor *cursor, size_t n)
{
	const unsigned char *p = cursor->p;

	if (cursor->fault != NULL || (size_t) (cursor->end - p) < n)
	{
		Fault(cursor, "it is cut off");
		return NULL;
	}
	cursor->p += n;
	return p;
}

/* A number of up to 8 bytes, little-endian. */
static uint64
Number(Cursor *cursor, int bytes)
{
	const unsigned char *p = Take(cursor, bytes);
	uint64		value = 0;

	for (int i = bytes - 1; p != NULL && i >= 0; i--)
		value = (value << 8) | p[i];
	return value;
}

static uint32
BigEndian(const char *p)
{
	const unsigned char *b = (const unsigned char *) p;

	return ((uint32) b[0] << 24) | ((uint32) b[1] << 16) | ((uint32) b[2] << 8) | b[3];
}

static void
Tell(Cursor *cursor, uint64 row)
{
	if (cursor->fault == NULL && !cursor->tell(cursor->arg, (int64) row))
		Fault(cursor, "it holds a row that cannot be");
}

/* ---- containers: base has all but the lower 16 bits, n values are announced ---- */

static void
ReadArray(Cursor *cursor, uint64 base, int n)
{
	int			last = -1;

	for (int i = 0; i < n && cursor->fault == NULL; i++)
	{
		int			value = (int) Number(cursor, 2);

		if (value <= last)
			Fault(cursor, "its rows are not in order");
		last = value;
		Tell(cursor, base | (uint64) value);
	}
}

static void
ReadBitmap(Cursor *cursor, uint64 base, int n)
{
	const unsigned char *bits = Take(cursor, BITMAP_BYTES);
	int			found = 0;

	for (int i = 0; bits != NULL && i < BITMAP_BYTES; i++)
		for (int bit = 0; bits[i] >> bit != 0; bit++)
			if ((bits[i] >> bit) & 1)
			{
				found++;
				Tell(cursor, base | (uint64) (i * 8 + bit));
			}
	if (found != n)
		Fault(cursor, "it has another number of rows than it says");
}

static void
ReadRuns(Cursor *cursor, uint64 base, int n)
{
	int			nruns = (int) Number(cursor, 2);
	int			last = -1;
	int			found = 0;

	for (int i = 0; i < nruns && cursor->fault == NULL; i++)
	{
		int			first = (int) Number(cursor, 2);
		int			more = (int) Number(cursor, 2);

		if (first <= last || first + more > 0xffff)
			Fault(cursor, "its runs are not in order");
		last = first + more;
		found += more + 1;
		for (int value = first; value <= last && cursor->fault == NULL; value++)
			Tell(cursor, base | (uint64) value);
	}
	if (found != n)
		Fault(cursor, "it has another number of rows than it says");
}

/* ---- 32-bit bitmaps ---- */

/* Number of containers, and which of them are runs (NULL = none). */
static int
ReadCookie(Cursor *cursor, const unsigned char **runs)
{
	uint32		cookie = (uint32) Number(cursor, 4);
	uint64		n;

	*runs = NULL;
	if ((cookie & 0xffff) == COOKIE_RUNS)
	{
		n = (cookie >> 16) + 1;
		*runs = Take(cursor, (n + 7) / 8);
	}
	else
	{
		n = Number(cursor, 4);
		if (cookie != COOKIE_NO_RUNS || n > 0x10000)
			Fault(cursor, "it is no Roaring bitmap");
	}
	return cursor->fault == NULL ? (int) n : 0;
}

static void
ReadBitmap32(Cursor *cursor, uint64 base)
{
	const unsigned char *runs;
	int			n = ReadCookie(cursor, &runs);
	const unsigned char *headers = Take(cursor, (size_t) n * 4);
	int			last = -1;

	if (runs == NULL || n >= NO_OFFSETS_BELOW)
		Take(cursor, (size_t) n * 4);
	for (int i = 0; i < n && cursor->fault == NULL; i++)
	{
		int			key = headers[i * 4] | (headers[i * 4 + 1] << 8);
		int			count = (headers[i * 4 + 2] | (headers[i * 4 + 3] << 8)) + 1;
		uint64		container = base | ((uint64) key << 16);

		if (key <= last)
			Fault(cursor, "its containers are not in order");
		last = key;
		if (runs != NULL && (runs[i / 8] >> (i % 8)) & 1)
			ReadRuns(cursor, container, count);
		else if (count <= ARRAY_MAX)
			ReadArray(cursor, container, count);
		else
			ReadBitmap(cursor, container, count);
	}
}

static void
ReadBitmap64(Cursor *cursor)
{
	uint64		n = Number(cursor, 8);
	int64		last = -1;

	for (uint64 i = 0; i < n && cursor->fault == NULL; i++)
	{
		int64		key = (int64) Number(cursor, 4);

		if (key <= last)
			Fault(cursor, "its bitmaps are not in order");
		last = key;
		ReadBitmap32(cursor, (uint64) key << 32);
	}
	if (cursor->fault == NULL && cursor->p != cursor->end)
		Fault(cursor, "it is longer than what it holds");
}

const char *
DeletionVectorRead(const char *blob, size_t len, RoaringRow tell, void *arg)
{
	static const char magic[] = {'\xd1', '\xd3', '\x39', '\x64'};
	Cursor		cursor = {.tell = tell,.arg = arg};

	if (len < 12 || BigEndian(blob) != len - 8)
		return "its length is wrong";
	if (memcmp(blob + 4, magic, sizeof(magic)) != 0)
		return "it does not begin as one";
	if (crc32(0, (const Bytef *) blob + 4, (uInt) (len - 8)) != BigEndian(blob + len - 4))
		return "its checksum is wrong";
	cursor.p = (const unsigned char *) blob + 8;
	cursor.end = (const unsigned char *) blob + len - 4;
	ReadBitmap64(&cursor);
	return cursor.fault;
}
