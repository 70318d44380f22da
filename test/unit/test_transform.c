/* sources: src/lake/iceberg/transform.c src/lake/iceberg/value.c src/wire/transform.c src/wire/types.c ; libs: -lxxhash */
/*
 * test_transform.c
 *		Partition transforms, against the examples of the Iceberg specification
 *		(Appendix B and "Partition Transforms") and against slow computations.
 */
#include "lake/iceberg/transform.h"
#include "tap.h"

#include <time.h>

static const LakeType INT = {LAKE_INT, 0, 0};
static const LakeType LONG = {LAKE_LONG, 0, 0};
static const LakeType STRING = {LAKE_STRING, 0, 0};
static const LakeType BINARY = {LAKE_BINARY, 0, 0};
static const LakeType DATE = {LAKE_DATE, 0, 0};
static const LakeType TIMESTAMP = {LAKE_TIMESTAMP, 0, 0};

static IcebergBytes
Int(int32 value)
{
	return IcebergSerializeValue(INT, &value, 4);
}

static IcebergBytes
Long(int64 value)
{
	return IcebergSerializeValue(LONG, &value, 8);
}

static IcebergBytes
Text(const char *text)
{
	return IcebergSerializeValue(STRING, text, strlen(text));
}

static int32
AsInt(IcebergBytes bytes)
{
	int32		value;

	if (bytes.len != 4)
		return INT32_MIN;
	memcpy(&value, bytes.data, 4);
	return value;
}

static IcebergBytes
Apply(const char *name, LakeType type, IcebergBytes value)
{
	IcebergTransform transform;

	if (!IcebergParseTransform(name, &transform))
		return (IcebergBytes) {NULL, -1};
	return IcebergApplyTransform(&transform, type, value);
}

/* Microseconds of a time in UTC. */
static int64
Micros(int year, int month, int day, int hour, int minute, int second)
{
	struct tm	tm = {0};

	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = minute;
	tm.tm_sec = second;
	return (int64) timegm(&tm) * 1000000;
}

static void
Hashes(void)
{
	static const unsigned char uuid[16] = {0xf7, 0x9c, 0x3e, 0x09, 0x67, 0x7c, 0x4b, 0xbd,
	0xa4, 0x79, 0x3f, 0x34, 0x9c, 0xb7, 0x85, 0xe7};
	static const unsigned char bytes[4] = {0, 1, 2, 3};
	static const unsigned char decimal[2] = {0x05, 0x8c};	/* 14.20 */

	is_int((int32) Murmur3Int64(34), 2017239379, "hash of the integer 34");
	is_int((int32) Murmur3Int64(17486), -653330422, "hash of the date 2017-11-16");
	is_int((int32) Murmur3Int64(INT64_C(81068000000)), -662762989, "hash of the time 22:31:08");
	is_int((int32) Murmur3Int64(INT64_C(1510871468000000)), -2047944441,
		   "hash of the timestamp 2017-11-16T22:31:08");
	is_int((int32) Murmur3("iceberg", 7), 1210000089, "hash of the string iceberg");
	is_int((int32) Murmur3(uuid, 16), 1488055340, "hash of a UUID");
	is_int((int32) Murmur3(bytes, 4), -188683207, "hash of bytes");
	is_int((int32) Murmur3(decimal, 2), -500754589, "hash of the decimal 14.20");
	is_int((int32) Murmur3("", 0), 0, "hash of nothing");
	is_int(AsInt(Apply("bucket[16]", INT, Int(34))), (2017239379 & INT32_MAX) % 16, "bucket of an int");
	is_int(AsInt(Apply("bucket[16]", LONG, Long(34))), (2017239379 & INT32_MAX) % 16,
		   "bucket of a long is that of the int");
	is_int(AsInt(Apply("bucket[100]", STRING, Text("iceberg"))), 1210000089 % 100, "bucket of a string");
}

static void
Truncations(void)
{
	static const struct
	{
		int32		value;
		int32		result;
	}			numbers[] = {{1, 0}, {-1, -10}, {0, 0}, {9, 0}, {10, 10}, {-10, -10}, {-11, -20}};
	LakeType	decimal = {LAKE_DECIMAL, 9, 2};
	int128		unscaled = 1065;
	IcebergBytes result;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		is_int(AsInt(Apply("truncate[10]", INT, Int(numbers[i].value))), numbers[i].result,
			   "truncate[10] of %d", (int) numbers[i].value);
	result = Apply("truncate[50]", decimal, IcebergSerializeValue(decimal, &unscaled, 16));
	unscaled = 1050;
	ok(IcebergCompareBytes(decimal, result, IcebergSerializeValue(decimal, &unscaled, 16)) == 0,
	   "truncate[50] of 10.65 is 10.50");
	unscaled = -1065;
	result = Apply("truncate[50]", decimal, IcebergSerializeValue(decimal, &unscaled, 16));
	unscaled = -1100;
	ok(IcebergCompareBytes(decimal, result, IcebergSerializeValue(decimal, &unscaled, 16)) == 0,
	   "truncate[50] of -10.65 is -11.00");
	result = Apply("truncate[3]", STRING, Text("iceberg"));
	ok(result.len == 3 && memcmp(result.data, "ice", 3) == 0, "truncate[3] of iceberg");
	result = Apply("truncate[2]", STRING, Text("\xc3\xa4\xe2\x82\xac" "x"));
	ok(result.len == 5, "a string is cut by characters, not bytes");
	result = Apply("truncate[9]", STRING, Text("ice"));
	ok(result.len == 3, "a short string stays");
	result = Apply("truncate[3]", BINARY, Text("\xc3\xa4\xe2\x82\xac" "x"));
	ok(result.len == 3, "bytes are cut by bytes");
	is_int((int) (TransformTruncate(INT64_MIN, 10) > 0), 1, "what is below the least number wraps");
}

static void
Times(void)
{
	int64		micros = Micros(2017, 12, 1, 10, 12, 55);
	int			wrong = 0;

	is_int(AsInt(Apply("year", TIMESTAMP, Long(micros))), 47, "year of 2017-12-01T10:12:55");
	is_int(AsInt(Apply("month", TIMESTAMP, Long(micros))), 575, "month");
	is_int(AsInt(Apply("day", TIMESTAMP, Long(micros))), 17501, "day");
	is_int(AsInt(Apply("hour", TIMESTAMP, Long(micros))), 420034, "hour");
	is_int(AsInt(Apply("month", DATE, Int(17501))), 575, "month of a date");
	is_int(AsInt(Apply("year", DATE, Int(-1))), -1, "1969-12-31 is in year -1");
	is_int(AsInt(Apply("month", DATE, Int(-1))), -1, "and in month -1");
	is_int(AsInt(Apply("day", TIMESTAMP, Long(-1))), -1, "the microsecond before 1970 is in day -1");
	is_int(AsInt(Apply("hour", TIMESTAMP, Long(-1))), -1, "and in hour -1");
	is_int(AsInt(Apply("hour", TIMESTAMP, Long(INT64_MAX))), INT32_MAX, "infinity stops at the last hour");

	/* the calendar, day by day */
	for (int64 day = -1000000; day < 1000000; day += 13)
	{
		time_t		seconds = (time_t) day * 86400;
		struct tm	tm;

		gmtime_r(&seconds, &tm);
		wrong += TransformDays(TRANSFORM_YEAR, (int32) day) != tm.tm_year - 70 ||
			TransformDays(TRANSFORM_MONTH, (int32) day) != (tm.tm_year - 70) * 12 + tm.tm_mon;
	}
	is_int(wrong, 0, "years and months as the C library has them");
}

static void
Parsing(void)
{
	static const char *const good[] = {"identity", "void", "year", "bucket[1]", "truncate[7]"};
	static const char *const bad[] = {"", "bucket", "bucket[]", "bucket[0]", "bucket[-1]", "bucket[2]x",
	"truncate[a]", "years", "identity "};
	IcebergTransform transform;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		ok(IcebergParseTransform(good[i], &transform), "\"%s\" is a transform", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!IcebergParseTransform(bad[i], &transform), "\"%s\" is none", bad[i]);
	IcebergParseTransform("hour", &transform);
	ok(!IcebergTransformFits(&transform, DATE), "dates have no hours");
	ok(Apply("day", TIMESTAMP, (IcebergBytes) {NULL, 0}).data == NULL, "null stays null");
	ok(Apply("void", INT, Int(1)).data == NULL, "void makes null");
}

int
main(void)
{
	Hashes();
	Truncations();
	Times();
	Parsing();
	return done_testing();
}
