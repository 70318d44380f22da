/*
 * dates.c
 *		SQL functions over dates and times that compute as PostgreSQL does.
 *
 * Days and microseconds are counted from 1970; the largest and the smallest but
 * one number stand for infinity.  PostgreSQL's timestamps end some decades later
 * than the engine's, which is an error of ours.
 *
 * They run on DuckDB's threads, below its C++ frames: no error may be raised by
 * Fail() here, only handed to DuckDB.
 */
#include "engine/dates.h"

#include <pthread.h>
#include <stdio.h>

#include "engine/scalar.h"

#define DAY_US INT64_C(86400000000)
#define SECOND_US INT64_C(1000000)
#define DAY_SECONDS INT64_C(86400)

/* 4714-11-24 BC, the first day that PostgreSQL has; its last one 5874897-12-31. */
#define FIRST_DAY (-2440588)
#define LAST_DAY 2145031948
#define FIRST_US (FIRST_DAY * DAY_US)

#define TIMESTAMP_ERROR "22008:timestamp out of range"
#define DATE_ERROR "22008:date out of range"
#define INFINITE_ERROR "22008:cannot subtract infinite dates"
#define RANGE_ERROR "0A000:timestamp that the engine cannot hold"
#define ZONE_ERROR "XX000:time zone that the engine cannot read"

static bool
IsInfinite(int64 us)
{
	return us == INT64_MAX || us <= -INT64_MAX;
}

static bool
IsInfiniteDay(int32 day)
{
	return day == INT32_MAX || day <= -INT32_MAX;
}

/* ---- the calendar ---- */

static int64
FloorDiv(int64 a, int64 b)
{
	return a / b - (a % b < 0);
}

/*
 * Year (0 = 1 BC), month and day of a day, and back: years begin in March here,
 * so that leap days come last, in eras of 400 years.
 */
static void
CivilFromDay(int64 day, int64 *year, int *month, int *mday)
{
	int64		shifted = day + 719468;
	int64		era = FloorDiv(shifted, 146097);
	int64		of_era = shifted - era * 146097;
	int64		year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64		of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64		index = (5 * of_year + 2) / 153;

	*mday = (int) (of_year - (153 * index + 2) / 5) + 1;
	*month = (int) (index < 10 ? index + 3 : index - 9);
	*year = year_of_era + era * 400 + (*month <= 2);
}

static int64
DayFromCivil(int64 year, int month, int mday)
{
	int64		shifted = year - (month <= 2);
	int64		era = FloorDiv(shifted, 400);
	int64		year_of_era = shifted - era * 400;
	int64		of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + mday - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719468;
}

static int
DaysOfMonth(int64 year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool		leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (leap && month == 2);
}

/* ---- adding ---- */

/*
 * Put a day and the time in it together; the error, or NULL.
 */
static const char *
Combine(int64 day, int64 time, int64 *us)
{
	if (day < FIRST_DAY)
		return TIMESTAMP_ERROR;
	if (__builtin_mul_overflow(day, DAY_US, us) || __builtin_add_overflow(*us, time, us) || *us == INT64_MAX)
		return RANGE_ERROR;
	return NULL;
}

/*
 * timestamp + interval: months first, to the end of the month at most, then
 * days, then the rest.
 */
static const char *
AddInterval(int64 us, int32 months, int32 days, int64 rest, int64 *result)
{
	int64		day = FloorDiv(us, DAY_US);
	int64		time = us - day * DAY_US;
	const char *error;

	*result = us;
	if (IsInfinite(us))
		return NULL;
	if (months != 0)
	{
		int64		year;
		int64		month;
		int			month_of_year;
		int			mday;

		CivilFromDay(day, &year, &month_of_year, &mday);
		month = year * 12 + month_of_year - 1 + months;
		year = FloorDiv(month, 12);
		month_of_year = (int) (month - year * 12) + 1;
		if (mday > DaysOfMonth(year, month_of_year))
			mday = DaysOfMonth(year, month_of_year);
		day = DayFromCivil(year, month_of_year, mday);
		error = Combine(day, time, result);
		if (error != NULL)
			return error;
	}
	error = Combine(day + days, time, result);
	if (error != NULL)
		return error;
	if (__builtin_add_overflow(*result, rest, result) || *result == INT64_MAX)
		return rest > 0 ? RANGE_ERROR : TIMESTAMP_ERROR;
	return *result < FIRST_US ? TIMESTAMP_ERROR : NULL;
}

static void
TimestampAdd(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		const char *error;

		if (ScalarNull(&call, i))
			continue;
		error = AddInterval(((int64 *) call.args[0])[i], ((int32 *) call.args[1])[i],
							((int32 *) call.args[2])[i], ((int64 *) call.args[3])[i], (int64 *) call.out + i);
		if (error != NULL)
		{
			ScalarFail(&call, error);
			return;
		}
	}
}

static void
ZonedAdd(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		const char *error;

		if (ScalarNull(&call, i))
			continue;
		error = AddInterval(((int64 *) call.args[0])[i], 0, 0, ((int64 *) call.args[1])[i], (int64 *) call.out + i);
		if (error != NULL)
		{
			ScalarFail(&call, error);
			return;
		}
	}
}

static void
TimestampDiff(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		int64		a = ((int64 *) call.args[0])[i];
		int64		b = ((int64 *) call.args[1])[i];
		int64	   *out = (int64 *) call.out + i;

		if (ScalarNull(&call, i))
			continue;
		if (IsInfinite(a) || IsInfinite(b))
			*out = 0;
		else if (__builtin_sub_overflow(a, b, out))
		{
			ScalarFail(&call, RANGE_ERROR);
			return;
		}
	}
}

static void
DateAdd(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		int32		day = ((int32 *) call.args[0])[i];
		int64		sum = (int64) day + ((int32 *) call.args[1])[i];

		if (ScalarNull(&call, i))
			continue;
		if (IsInfiniteDay(day))
			sum = day;
		else if (sum < FIRST_DAY || sum > LAST_DAY)
		{
			ScalarFail(&call, DATE_ERROR);
			return;
		}
		((int32 *) call.out)[i] = (int32) sum;
	}
}

static void
DateDiff(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		int32		a = ((int32 *) call.args[0])[i];
		int32		b = ((int32 *) call.args[1])[i];

		if (ScalarNull(&call, i))
			continue;
		if (IsInfiniteDay(a) || IsInfiniteDay(b))
		{
			ScalarFail(&call, INFINITE_ERROR);
			return;
		}
		((int32 *) call.out)[i] = (int32) ((uint32) a - (uint32) b);
	}
}

/* ---- time zones ---- */

/*
 * One zone: offsets[i] holds from transitions[i] on, offsets[0] before all; what
 * holds before low and from high on is not said.
 */
typedef struct Zone
{
	struct Zone *next;
	char	   *text;
	size_t		len;
	int64		low;
	int64		high;
	int			n;
	int64	   *transitions;
	int32	   *offsets;
} Zone;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Zone *zones = NULL;
static int	nzones = 0;

/* Zones are kept for ever: a server uses few.  Above this many no more are read. */
#define MAX_ZONES 1000

static bool
ReadNumber(const char **p, const char *end, int64 *number)
{
	bool		negative = *p < end && **p == '-';
	const char *start;

	*p += negative;
	start = *p;
	*number = 0;
	while (*p < end && **p >= '0' && **p <= '9' && *p - start < 18)
		*number = *number * 10 + (*(*p)++ - '0');
	if (negative)
		*number = -*number;
	return *p > start && (*p == end || *(*p)++ == ',');
}

static void
FreeZone(Zone *zone)
{
	free(zone->text);
	free(zone->transitions);
	free(zone->offsets);
	free(zone);
}

static Zone *
ReadZone(const char *text, size_t len)
{
	Zone	   *zone = calloc(1, sizeof(Zone));
	const char *p = text;
	const char *end = text + len;
	int64		number;

	if (zone == NULL)
		return NULL;
	zone->text = malloc(len + 1);
	zone->transitions = malloc((len + 1) * sizeof(int64));
	zone->offsets = malloc((len + 1) * sizeof(int32));
	zone->len = len;
	if (zone->text == NULL || zone->transitions == NULL || zone->offsets == NULL ||
		!ReadNumber(&p, end, &zone->low) || !ReadNumber(&p, end, &zone->high) || !ReadNumber(&p, end, &number))
	{
		FreeZone(zone);
		return NULL;
	}
	memcpy(zone->text, text, len);
	zone->offsets[zone->n++] = (int32) number;
	while (p < end)
	{
		if (!ReadNumber(&p, end, &zone->transitions[zone->n]) || !ReadNumber(&p, end, &number))
		{
			FreeZone(zone);
			return NULL;
		}
		zone->offsets[zone->n++] = (int32) number;
	}
	return zone;
}

static const Zone *
FindZone(duckdb_string_t *string)
{
	const char *text = duckdb_string_t_data(string);
	size_t		len = duckdb_string_t_length(*string);
	Zone	   *zone;

	pthread_mutex_lock(&lock);
	for (zone = zones; zone != NULL; zone = zone->next)
		if (zone->len == len && memcmp(zone->text, text, len) == 0)
			break;
	if (zone == NULL && nzones < MAX_ZONES && (zone = ReadZone(text, len)) != NULL)
	{
		zone->next = zones;
		zones = zone;
		nzones++;
	}
	pthread_mutex_unlock(&lock);
	return zone;
}

/*
 * Which offset holds at a second of UTC.
 */
static int
OffsetAt(const Zone *zone, int64 second)
{
	int			low = 0;
	int			high = zone->n - 1;

	while (low < high)
	{
		int			middle = (low + high + 1) / 2;

		if (zone->transitions[middle] <= second)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

static const char *
ToLocal(const Zone *zone, int64 us, int64 *local)
{
	int64		second = FloorDiv(us, SECOND_US);

	if (second < zone->low || second >= zone->high ||
		__builtin_add_overflow(us, zone->offsets[OffsetAt(zone, second)] * SECOND_US, local) ||
		IsInfinite(*local))
		return RANGE_ERROR;
	return NULL;
}

/*
 * Of a local time that a change of the clock skips, the offset from before it
 * counts, of one that is there twice the later one: as PostgreSQL has it, which
 * looks for the first change within what is a day before the time to its end.
 */
static const char *
ToUtc(const Zone *zone, int64 us, int64 *utc)
{
	int64		second = FloorDiv(us, SECOND_US);
	int			at = OffsetAt(zone, second - DAY_SECONDS);
	int64		offset = zone->offsets[at];

	if (second - 2 * DAY_SECONDS < zone->low || second + 2 * DAY_SECONDS >= zone->high)
		return RANGE_ERROR;
	if (at + 1 < zone->n)
	{
		int64		boundary = zone->transitions[at + 1];
		int64		before = second - zone->offsets[at];
		int64		after = second - zone->offsets[at + 1];

		if (before < boundary && after < boundary)
			offset = zone->offsets[at];
		else if (before > boundary && after >= boundary)
			offset = zone->offsets[at + 1];
		else
			offset = before > after ? zone->offsets[at] : zone->offsets[at + 1];
	}
	if (__builtin_sub_overflow(us, offset * SECOND_US, utc) || IsInfinite(*utc))
		return RANGE_ERROR;
	return *utc < FIRST_US ? TIMESTAMP_ERROR : NULL;
}

static void
ApplyZone(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output,
		  const char *(*function) (const Zone *, int64, int64 *))
{
	ScalarCall	call;
	const Zone *zone = NULL;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		int64		us = ((int64 *) call.args[0])[i];
		int64	   *out = (int64 *) call.out + i;
		const char *error = NULL;

		if (ScalarNull(&call, i))
			continue;
		/* the zone is a constant */
		if (zone == NULL)
			zone = FindZone((duckdb_string_t *) call.args[1] + i);
		*out = us;
		if (zone == NULL)
			error = ZONE_ERROR;
		else if (!IsInfinite(us))
			error = function(zone, us, out);
		if (error != NULL)
		{
			ScalarFail(&call, error);
			return;
		}
	}
}

static void
ZoneLocal(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ApplyZone(info, input, output, ToLocal);
}

static void
ZoneUtc(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ApplyZone(info, input, output, ToUtc);
}

static const ScalarFunction functions[] = {
	{"shard_date_add", DateAdd, DUCKDB_TYPE_DATE, {DUCKDB_TYPE_DATE, DUCKDB_TYPE_INTEGER}},
	{"shard_date_diff", DateDiff, DUCKDB_TYPE_INTEGER, {DUCKDB_TYPE_DATE, DUCKDB_TYPE_DATE}},
	{"shard_ts_add", TimestampAdd, DUCKDB_TYPE_TIMESTAMP, {DUCKDB_TYPE_TIMESTAMP, DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_BIGINT}},
	{"shard_tz_add", ZonedAdd, DUCKDB_TYPE_TIMESTAMP_TZ, {DUCKDB_TYPE_TIMESTAMP_TZ, DUCKDB_TYPE_BIGINT}},
	{"shard_tz_diff", TimestampDiff, DUCKDB_TYPE_BIGINT, {DUCKDB_TYPE_TIMESTAMP, DUCKDB_TYPE_TIMESTAMP}},
	{"shard_zone_local", ZoneLocal, DUCKDB_TYPE_TIMESTAMP, {DUCKDB_TYPE_TIMESTAMP_TZ, DUCKDB_TYPE_VARCHAR}},
	{"shard_zone_utc", ZoneUtc, DUCKDB_TYPE_TIMESTAMP_TZ, {DUCKDB_TYPE_TIMESTAMP, DUCKDB_TYPE_VARCHAR}},
};

void
RegisterDates(duckdb_connection con)
{
	ScalarRegister(con, functions, sizeof(functions) / sizeof(functions[0]));
}
