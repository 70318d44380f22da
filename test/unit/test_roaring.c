/* sources: src/engine/roaring.c src/wire/path_key.c ; libs: -lz */
/*
 * test_roaring.c
 *		Deletion vectors made by hand, with every kind of container, give their
 *		rows; damaged ones a fault.  And which paths are one file's.
 */
#include <zlib.h>

#include "engine/roaring.h"
#include "tap.h"
#include "wire/path_key.h"

static unsigned char blob[100000];
static size_t len;

static void
Put(uint64 value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		blob[len++] = (unsigned char) (value >> (8 * i));
}

static void
PutBig(unsigned char *at, uint32 value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char) (value >> (24 - 8 * i));
}

static void
Begin(uint64 nbitmaps)
{
	len = 4;
	memcpy(blob + len, "\xd1\xd3\x39\x64", 4);
	len += 4;
	Put(nbitmaps, 8);
}

static void
End(void)
{
	PutBig(blob, (uint32) len - 4);
	PutBig(blob + len, (uint32) crc32(0, blob + 4, (uInt) len - 4));
	len += 4;
}

typedef struct Rows
{
	int64		n;
	int64		sum;
	int64		last;
} Rows;

static bool
Tell(void *arg, int64 row)
{
	Rows	   *rows = arg;

	rows->n++;
	rows->sum += row;
	rows->last = row;
	return row >= 0 && row < ((int64) 1 << 40);
}

static const char *
Read(Rows *rows)
{
	memset(rows, 0, sizeof(*rows));
	return DeletionVectorRead((const char *) blob, len, Tell, rows);
}

/* An array {1, 5, 65535}, a bitmap of the even numbers, runs 10-19 and 30. */
static void
MakeAll(void)
{
	Begin(2);
	Put(0, 4);					/* rows below 2^32 */
	Put(12347 | (2 << 16), 4);	/* with runs, three containers */
	Put(4, 1);					/* the third has runs */
	Put(0, 2), Put(2, 2);
	Put(1, 2), Put(32767, 2);
	Put(7, 2), Put(10, 2);
	Put(1, 2), Put(5, 2), Put(65535, 2);
	for (int i = 0; i < 8192; i++)
		Put(0x55, 1);
	Put(2, 2), Put(10, 2), Put(9, 2), Put(30, 2), Put(0, 2);
	Put(3, 4);					/* rows from 3 * 2^32 */
	Put(12346, 4), Put(1, 4);	/* no runs, one container */
	Put(2, 2), Put(0, 2);
	Put(16, 4);					/* its offset */
	Put(9, 2);
	End();
}

static void
CheckRows(void)
{
	Rows		rows;
	int64		high = ((int64) 3 << 32) + (2 << 16) + 9;
	int64		even = (int64) 32768 * 65536 + (int64) 32768 * 32767;
	int64		runs = 11 * (7 << 16) + 145 + 30;

	MakeAll();
	ok(Read(&rows) == NULL, "a vector with every kind of container");
	is_int(rows.n, 3 + 32768 + 11 + 1, "has its number of rows");
	is_int(rows.sum, 1 + 5 + 65535 + even + runs + high, "has its rows");
	is_int(rows.last, high, "in order");
	Begin(0);
	End();
	ok(Read(&rows) == NULL && rows.n == 0, "an empty one");
}

static void
CheckDamage(void)
{
	Rows		rows;
	size_t		whole;

	MakeAll();
	whole = len;
	for (size_t at = 0; at < whole; at += 1 + at / 64)
	{
		blob[at] ^= 4;
		if (Read(&rows) == NULL)
			ok(false, "damage at %zu is not noticed", at);
		blob[at] ^= 4;
	}
	for (size_t at = 8; at < whole - 4; at += 1 + at / 64)
	{
		blob[at] ^= 4;
		len = whole - 4;
		End();					/* with a right checksum, only a crash would be wrong */
		(void) Read(&rows);
		blob[at] ^= 4;
	}
	MakeAll();
	for (len = 0; len < whole; len += 1 + len / 64)
		if (Read(&rows) == NULL)
			ok(false, "an end at %zu is not noticed", len);
	Begin(UINT64_MAX);
	End();
	ok(Read(&rows) != NULL, "bitmaps without end");
	Begin(1);
	Put(0x80000000, 4), Put(12346, 4), Put(1, 4), Put(0, 2), Put(0, 2), Put(16, 4), Put(0, 2);
	End();
	ok(Read(&rows) != NULL, "rows that no file has");
	Begin(1);
	Put(0, 4), Put(12346, 4), Put(1, 4), Put(0, 2), Put(1, 2), Put(16, 4), Put(7, 2), Put(7, 2);
	End();
	ok(Read(&rows) != NULL, "a row twice");
}

static void
CheckPaths(void)
{
	ok(PathsMatch("hdfs://host:8020/a/b", "/a/b"), "hdfs and no scheme");
	ok(PathsMatch("file:///a/b", "file:/a/b"), "two forms of file");
	ok(PathsMatch("s3://b/k", "s3a://b/k"), "s3 and s3a");
	ok(!PathsMatch("s3://b/k", "s3://c/k"), "two buckets");
	ok(!PathsMatch("s3://b/k", "/k"), "a bucket and none");
	ok(PathsMatch("./t/x", "t/x"), "a dot");
	ok(!PathsMatch("/a/b", "/a/b2"), "two files");
	ok(PathsMatch("hdfs:", "hdfs://"), "nothing left");
}

int
main(void)
{
	CheckRows();
	CheckDamage();
	CheckPaths();
	return done_testing();
}
