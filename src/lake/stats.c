/*
 * stats.c
 *		What DuckDB's COPY ... RETURN_STATS tells of a file, as Iceberg counts
 *		and bounds, and the options of such a COPY.
 *
 * Found out about DuckDB 1.5: the statistics are text; a missing min or max
 * means "unknown", whatever the cause (all null, all NaN, text that cannot be
 * cut); texts and blobs are cut near 256 bytes, an upper bound rounded up; -0.0
 * appears as 0.0; has_nan speaks of the last row group only, so that it tells
 * nothing; infinities of dates and times are the extreme integers.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "lake/iceberg/json.h"
#include "lake/internal.h"
#include "lake/io/io.h"
#include "lib/stringinfo.h"

/* Columns of position delete files. */
#define DELETE_FILE_PATH 2147483546
#define DELETE_POS 2147483545

#define USECS_OF_DAY INT64CONST(86400000000)

/* ---- values from DuckDB's text ---- */

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. */
static int64
DaysOfDate(int64 year, int month, int day)
{
	int64		y = month <= 2 ? year - 1 : year;
	int64		era = (y >= 0 ? y : y - 399) / 400;
	int64		year_of_era = y - era * 400;
	int64		day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int64		day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

/* "2024-02-29" or "0044-03-15 (BC)"; *end after it. */
static bool
ParseDate(const char *text, int64 *days, const char **end)
{
	long long	year;
	int			month;
	int			day;
	int			n = 0;

	if (sscanf(text, "%lld-%2d-%2d%n", &year, &month, &day, &n) != 3 || n == 0)
		return false;
	text += n;
	if (strncmp(text, " (BC)", 5) == 0)
	{
		year = 1 - year;
		text += 5;
	}
	*days = DaysOfDate(year, month, day);
	*end = text;
	return true;
}

/* "12:34:56" with up to six decimals; *end after it. */
static bool
ParseTime(const char *text, int64 *usecs, const char **end)
{
	int			hour;
	int			minute;
	int			second;
	int			n = 0;

	if (sscanf(text, "%2d:%2d:%2d%n", &hour, &minute, &second, &n) != 3 || n == 0)
		return false;
	text += n;
	*usecs = (((int64) hour * 60 + minute) * 60 + second) * 1000000;
	if (*text == '.')
	{
		int64		unit = 100000;

		for (text++; *text >= '0' && *text <= '9'; text++, unit /= 10)
			*usecs += (*text - '0') * unit;
	}
	*end = text;
	return true;
}

/* An offset from UTC such as +00 or -03:30, in microseconds. */
static bool
ParseOffset(const char *text, int64 *usecs)
{
	int64		sign = *text == '-' ? -1 : 1;
	int			parts[3] = {0, 0, 0};
	int			n;

	if (*text != '+' && *text != '-')
		return false;
	n = sscanf(text + 1, "%2d:%2d:%2d", &parts[0], &parts[1], &parts[2]);
	if (n < 1)
		return false;
	*usecs = sign * (((int64) parts[0] * 60 + parts[1]) * 60 + parts[2]) * 1000000;
	return true;
}

static bool
ParseTimestamp(const char *text, bool with_offset, int64 *result)
{
	int64		days;
	int64		usecs = 0;
	int64		offset = 0;

	if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0)
	{
		*result = text[0] == '-' ? -PG_INT64_MAX : PG_INT64_MAX;
		return true;
	}
	if (!ParseDate(text, &days, &text))
		return false;
	if (*text == ' ' && !ParseTime(text + 1, &usecs, &text))
		return false;
	if (with_offset)
	{
		if (!ParseOffset(text, &offset))
			return false;
	}
	else if (*text != '\0')
		return false;
	*result = days * USECS_OF_DAY + usecs - offset;
	return true;
}

static bool
ParseDecimal(const char *text, int scale, int128 *result)
{
	bool		negative = *text == '-';
	bool		point = false;
	int			decimals = 0;
	int128		value = 0;

	if (negative)
		text++;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
	{
		if (*text == '.' && !point)
		{
			point = true;
			continue;
		}
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (*text - '0');
		decimals += point;
	}
	if (decimals > scale)
		return false;
	for (; decimals < scale; decimals++)
		value *= 10;
	*result = negative ? -value : value;
	return true;
}

static int
HexDigit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits, dashes between them passed over. */
static bool
ParseHex(const char *text, char *out, int size, int *len)
{
	*len = 0;
	while (*text != '\0')
	{
		int			high;
		int			low;

		if (*text == '-')
		{
			text++;
			continue;
		}
		high = HexDigit(text[0]);
		low = high < 0 ? -1 : HexDigit(text[1]);
		if (low < 0 || *len >= size)
			return false;
		out[(*len)++] = (char) (high << 4 | low);
		text += 2;
	}
	return true;
}

static bool
ParseInteger(const char *text, int64 *result)
{
	char	   *end;

	errno = 0;
	*result = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0';
}

/*
 * A floating-point bound.  Zero of either sign counts as both: as a lower bound
 * it is -0.0, as an upper one +0.0.
 */
static bool
ParseFloat(const char *text, bool is_double, bool upper, void *result)
{
	char	   *end;

	if (is_double)
	{
		double		value = strtod(text, &end);

		if (value == 0)
			value = upper ? 0.0 : -0.0;
		memcpy(result, &value, sizeof(value));
		return end != text && *end == '\0' && !isnan(value);
	}
	else
	{
		float		value = strtof(text, &end);

		if (value == 0)
			value = upper ? 0.0f : -0.0f;
		memcpy(result, &value, sizeof(value));
		return end != text && *end == '\0' && !isnan(value);
	}
}

static bool
ParseDateBound(const char *text, int32 *result)
{
	int64		days;

	if (strcmp(text, "infinity") == 0 || strcmp(text, "-infinity") == 0)
	{
		*result = text[0] == '-' ? -INT_MAX : INT_MAX;
		return true;
	}
	if (!ParseDate(text, &days, &text) || *text != '\0' || days < INT_MIN || days > INT_MAX)
		return false;
	*result = (int32) days;
	return true;
}

static bool
ParseBoolean(const char *text, uint8 *result)
{
	*result = strcmp(text, "1") == 0 || strcmp(text, "true") == 0;
	return *result || strcmp(text, "0") == 0 || strcmp(text, "false") == 0;
}

/*
 * A bound as text in single-value serialization; no bound if the text is not
 * what we know DuckDB to write.
 */
IcebergBytes
LakeParseBound(LakeType type, const char *text, bool upper)
{
	IcebergBytes none = {NULL, 0};
	union
	{
		uint8		boolean;
		int32		int4;
		int64		int8;
		double		float8;
		int128		decimal;
		char		uuid[16];
	}			value;
	int64		number;
	char	   *bytes;
	const char *end;
	int			len;
	bool		ok = false;

	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			ok = ParseBoolean(text, &value.boolean);
			break;
		case LAKE_INT:
			ok = ParseInteger(text, &number) && number >= INT_MIN && number <= INT_MAX;
			value.int4 = (int32) number;
			break;
		case LAKE_LONG:
			ok = ParseInteger(text, &value.int8);
			break;
		case LAKE_FLOAT:
		case LAKE_DOUBLE:
			ok = ParseFloat(text, type.kind == LAKE_DOUBLE, upper, &value);
			break;
		case LAKE_DECIMAL:
			ok = ParseDecimal(text, type.scale, &value.decimal);
			break;
		case LAKE_DATE:
			ok = ParseDateBound(text, &value.int4);
			break;
		case LAKE_TIME:
			ok = ParseTime(text, &value.int8, &end) && *end == '\0';
			break;
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			ok = ParseTimestamp(text, type.kind == LAKE_TIMESTAMPTZ, &value.int8);
			break;
		case LAKE_STRING:
			return IcebergSerializeValue(type, text, strlen(text));
		case LAKE_BINARY:
			bytes = palloc(strlen(text) / 2 + 1);
			if (!ParseHex(text, bytes, (int) strlen(text) / 2 + 1, &len))
				return none;
			return IcebergSerializeValue(type, bytes, len);
		case LAKE_UUID:
			ok = ParseHex(text, value.uuid, 16, &len) && len == 16;
			break;
		case LAKE_JSON:
		case LAKE_NESTED:
			break;
	}
	return ok ? IcebergSerializeValue(type, &value, 0) : none;
}

/* ---- a file's statistics ---- */

static const char *
TextOf(const Json *object, const char *key)
{
	return JsonStringValue(JsonGet(object, key));
}

static int64
CountOf(const Json *object, const char *key)
{
	const char *text = TextOf(object, key);
	int64		value;

	return text != NULL && ParseInteger(text, &value) && value >= 0 ? value : -1;
}

static void
FillStats(IcebergColumnStats *stats, int field_id, LakeType type, const Json *column)
{
	const char *min = TextOf(column, "min");
	const char *max = TextOf(column, "max");

	memset(stats, 0, sizeof(*stats));
	stats->field_id = field_id;
	stats->column_size = CountOf(column, "column_size_bytes");
	stats->value_count = CountOf(column, "num_values");
	stats->null_count = CountOf(column, "null_count");
	stats->nan_count = -1;
	if (min != NULL && max != NULL)
	{
		stats->lower = LakeParseBound(type, min, false);
		stats->upper = LakeParseBound(type, max, true);
	}
}

static int
CompareStats(const void *a, const void *b)
{
	int			left = ((const IcebergColumnStats *) a)->field_id;
	int			right = ((const IcebergColumnStats *) b)->field_id;

	return left < right ? -1 : left > right;
}

/* A column's statistics; DuckDB names it as a quoted path. */
static const Json *
ColumnOf(const Json *json, const char *name)
{
	return JsonGet(json, EngineQuoteIdentifier(name));
}

static const Json *
ParseStatistics(const char *stats_json)
{
	const Json *json;

	if (stats_json == NULL || stats_json[0] == '\0')
		return NULL;
	json = JsonParse(stats_json, strlen(stats_json), "the engine's file statistics");
	return JsonIs(json, JSON_OBJECT) ? json : NULL;
}

static IcebergFile *
NewFile(IcebergContent content, const char *path, int64 count, int64 size)
{
	IcebergFile *file = palloc0(sizeof(IcebergFile));

	file->content = content;
	file->path = pstrdup(path);
	file->format = "PARQUET";
	file->record_count = count;
	file->file_size = size;
	file->sort_order_id = -1;
	file->content_offset = file->content_size = -1;
	file->snapshot_id = file->sequence_number = file->file_sequence_number = -1;
	file->status = 1;
	return file;
}

char *
LakeNameInFile(const IcebergSchema *schema, const IcebergField *field)
{
	for (int i = 0; i < schema->nfields; i++)
		if (&schema->fields[i] != field && pg_strcasecmp(schema->fields[i].name, field->name) == 0)
			return psprintf("f%d", field->id);
	return field->name;
}

IcebergFile *
LakeFileFromCopyStats(const IcebergSchema *schema, const char *path, int64 count, int64 size,
					  const char *stats_json)
{
	IcebergFile *file = NewFile(ICEBERG_DATA, path, count, size);
	const Json *json = ParseStatistics(stats_json);

	file->stats = palloc0(sizeof(IcebergColumnStats) * (schema->nfields + 1));
	for (int i = 0; json != NULL && i < schema->nfields; i++)
	{
		const IcebergField *field = &schema->fields[i];
		const Json *column = ColumnOf(json, LakeNameInFile(schema, field));

		if (field->primitive && JsonIs(column, JSON_OBJECT))
			FillStats(&file->stats[file->nstats++], field->id, field->type, column);
	}
	qsort(file->stats, file->nstats, sizeof(IcebergColumnStats), CompareStats);
	return file;
}

IcebergFile *
LakeDeleteFileFromCopyStats(const char *path, int64 count, int64 size, const char *stats_json)
{
	static const LakeType string = {LAKE_STRING, 0, 0};
	static const LakeType bigint = {LAKE_LONG, 0, 0};
	IcebergFile *file = NewFile(ICEBERG_POSITION_DELETES, path, count, size);
	const Json *json = ParseStatistics(stats_json);
	const Json *paths = ColumnOf(json, "file_path");
	const Json *positions = ColumnOf(json, "pos");

	file->stats = palloc0(sizeof(IcebergColumnStats) * 2);
	if (JsonIs(positions, JSON_OBJECT))
		FillStats(&file->stats[file->nstats++], DELETE_POS, bigint, positions);
	if (JsonIs(paths, JSON_OBJECT))
	{
		const char *min = TextOf(paths, "min");
		const char *max = TextOf(paths, "max");

		FillStats(&file->stats[file->nstats++], DELETE_FILE_PATH, string, paths);
		/* equal bounds that cannot have been cut name the only file */
		if (min != NULL && max != NULL && strcmp(min, max) == 0 && strlen(min) < 200)
			file->referenced_data_file = pstrdup(min);
	}
	return file;
}

/* ---- COPY ---- */

char *
LakeCopyColumns(const IcebergSchema *schema)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < schema->nfields; i++)
		appendStringInfo(&list, "%sf%d AS %s", i == 0 ? "" : ", ", schema->fields[i].id,
						 EngineQuoteIdentifier(LakeNameInFile(schema, &schema->fields[i])));
	return list.data;
}

static bool
HasBinary(const IcebergSchema *schema)
{
	for (int i = 0; i < schema->nfields; i++)
		if (LakeFieldHoldsBinary(&schema->fields[i]))
			return true;
	return false;
}

/*
 * Of columns with many values, the engine makes a dictionary only to throw it
 * away; in files that are soon written anew it does not try for long.
 *
 * No Bloom filters where there are bytes: DuckDB 1.5 looks for other hashes of
 * them than it writes, and so misses rows, in filters and joins alike.
 */
char *
LakeCopyOptions(const IcebergSchema *schema, bool lasting, int group_rows)
{
	StringInfoData options;

	initStringInfo(&options);
	appendStringInfo(&options, "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1,"
					 " ROW_GROUP_SIZE %d, %s%sFIELD_IDS {", group_rows,
					 lasting ? "" : "DICTIONARY_SIZE_LIMIT 2048, ", HasBinary(schema) ? "WRITE_BLOOM_FILTER false, " : "");
	for (int i = 0; i < schema->nfields; i++)
		appendStringInfo(&options, "%s%s: %s", i == 0 ? "" : ", ",
						 EngineQuoteLiteral(LakeNameInFile(schema, &schema->fields[i])),
						 LakeFieldIds(&schema->fields[i]));
	/* Iceberg's Java library writes its schema into each file, and some readers go by it */
	appendStringInfo(&options, "}, KV_METADATA {'iceberg.schema': %s}, RETURN_STATS)",
					 EngineQuoteLiteral(IcebergSchemaText(schema)));
	return options.data;
}

const char *
LakeDeleteCopyOptions(void)
{
	return "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, FIELD_IDS {'file_path': 2147483546, "
		"'pos': 2147483545}, KV_METADATA {'delete-type': 'position'}, RETURN_STATS)";
}
