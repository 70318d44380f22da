/*
 * manifest.c
 *		Reader of manifests, versions 1 to 3.
 */
#include "lake/iceberg/avro.h"
#include "lake/iceberg/manifest_fields.h"

/* Early writers gave no ids; then the names decide. */
static const struct
{
	const char *name;
	int			id;
}			entry_names[] =
{
	{"status", ENTRY_STATUS},
	{"snapshot_id", ENTRY_SNAPSHOT_ID},
	{"data_file", ENTRY_DATA_FILE},
	{"sequence_number", ENTRY_SEQUENCE_NUMBER},
	{"file_sequence_number", ENTRY_FILE_SEQUENCE_NUMBER},
	{"file_path", FILE_PATH},
	{"file_format", FILE_FORMAT},
	{"partition", FILE_PARTITION},
	{"record_count", FILE_RECORD_COUNT},
	{"file_size_in_bytes", FILE_SIZE},
	{"column_sizes", FILE_COLUMN_SIZES},
	{"value_counts", FILE_VALUE_COUNTS},
	{"null_value_counts", FILE_NULL_COUNTS},
	{"nan_value_counts", FILE_NAN_COUNTS},
	{"lower_bounds", FILE_LOWER_BOUNDS},
	{"upper_bounds", FILE_UPPER_BOUNDS},
	{"key_metadata", FILE_KEY_METADATA},
	{"split_offsets", FILE_SPLIT_OFFSETS},
	{"content", FILE_CONTENT},
	{"equality_ids", FILE_EQUALITY_IDS},
	{"sort_order_id", FILE_SORT_ORDER_ID},
	{"referenced_data_file", FILE_REFERENCED},
	{"content_offset", FILE_CONTENT_OFFSET},
	{"content_size_in_bytes", FILE_CONTENT_SIZE},
};

static int
FieldId(const AvroField *field)
{
	if (field->id != -1)
		return field->id;
	for (size_t i = 0; i < sizeof(entry_names) / sizeof(entry_names[0]); i++)
		if (strcmp(entry_names[i].name, field->name) == 0)
			return entry_names[i].id;
	return -1;
}

static int
ReadInt(AvroCursor *cursor, const AvroType *type, int absent)
{
	int64		value;

	if (!AvroGetLong(cursor, type, &value))
		return absent;
	if (value < INT32_MIN || value > INT32_MAX)
		shard_fail(FAIL_CORRUPT, "number out of range in a manifest");
	return (int) value;
}

/* ---- column statistics ---- */

/* Statistics under construction: room grows, order is the file's. */
typedef struct StatsBuilder
{
	IcebergFile *file;
	int			allocated;
	int			last;			/* where the previous map's walk found its column */
} StatsBuilder;

/*
 * The statistics of a column, made if they are not there.  The maps of a file
 * nearly always list the same columns in the same order, so the next one is
 * looked at first.
 */
static IcebergColumnStats *
StatsFor(StatsBuilder *builder, int field_id)
{
	IcebergFile *file = builder->file;
	IcebergColumnStats *stats;

	for (int i = 1; i <= file->nstats; i++)
	{
		int			at = (builder->last + i) % file->nstats;

		if (file->stats[at].field_id == field_id)
		{
			builder->last = at;
			return &file->stats[at];
		}
	}
	if (file->nstats == builder->allocated)
	{
		builder->allocated = builder->allocated == 0 ? 8 : builder->allocated * 2;
		file->stats = file->nstats == 0 ?
			mem_alloc(sizeof(IcebergColumnStats) * builder->allocated) :
			mem_realloc(file->stats, sizeof(IcebergColumnStats) * builder->allocated);
	}
	builder->last = file->nstats;
	stats = &file->stats[file->nstats++];
	memset(stats, 0, sizeof(*stats));
	stats->field_id = field_id;
	stats->column_size = stats->value_count = stats->null_count = stats->nan_count = -1;
	return stats;
}

static void
SetStatistic(IcebergColumnStats *stats, int map_id, int64 count, IcebergBytes bytes)
{
	switch (map_id)
	{
		case FILE_COLUMN_SIZES:
			stats->column_size = count;
			break;
		case FILE_VALUE_COUNTS:
			stats->value_count = count;
			break;
		case FILE_NULL_COUNTS:
			stats->null_count = count;
			break;
		case FILE_NAN_COUNTS:
			stats->nan_count = count;
			break;
		case FILE_LOWER_BOUNDS:
			stats->lower = bytes;
			break;
		case FILE_UPPER_BOUNDS:
			stats->upper = bytes;
			break;
	}
}

/* One of the maps from column id to count or bound: an array of pairs. */
static void
ReadStatsMap(AvroCursor *cursor, const AvroType *type, int map_id, StatsBuilder *builder)
{
	bool		is_bound = map_id == FILE_LOWER_BOUNDS || map_id == FILE_UPPER_BOUNDS;
	AvroArray	array;

	if (!AvroArrayBegin(cursor, type, &array))
		return;
	builder->last = -1;
	while (AvroArrayNext(cursor, &array))
	{
		const AvroType *pair = AvroExpectRecord(cursor, array.items);
		int			field_id;
		int64		count = -1;
		IcebergBytes bytes = {NULL, 0};

		if (pair == NULL || pair->nfields != 2)
			shard_fail(FAIL_CORRUPT, "a statistics map of a manifest has no pairs");
		field_id = ReadInt(cursor, pair->fields[0].type, -1);
		if (is_bound)
			AvroGetBytes(cursor, pair->fields[1].type, &bytes);
		else
			AvroGetLong(cursor, pair->fields[1].type, &count);
		SetStatistic(StatsFor(builder, field_id), map_id, count, bytes);
	}
}

static int
CompareStats(const void *a, const void *b)
{
	int			left = ((const IcebergColumnStats *) a)->field_id;
	int			right = ((const IcebergColumnStats *) b)->field_id;

	return left < right ? -1 : left > right;
}

static void
SortStats(IcebergFile *file)
{
	for (int i = 1; i < file->nstats; i++)
	{
		if (file->stats[i - 1].field_id > file->stats[i].field_id)
		{
			qsort(file->stats, file->nstats, sizeof(IcebergColumnStats), CompareStats);
			return;
		}
	}
}

/* ---- the data file ---- */

static void
ReadPartition(AvroCursor *cursor, const AvroType *type, IcebergFile *file)
{
	type = AvroExpectRecord(cursor, type);
	if (type == NULL)
		return;
	file->partition = mem_alloc0(sizeof(IcebergPartitionValue) * (type->nfields + 1));
	for (int i = 0; i < type->nfields; i++)
	{
		int			at = file->npartition++;
		IcebergPartitionValue value;

		value.field_id = type->fields[i].id == -1 ? 1000 + i : type->fields[i].id;
		value.value = AvroGetSingleValue(cursor, type->fields[i].type);
		for (; at > 0 && file->partition[at - 1].field_id > value.field_id; at--)
			file->partition[at] = file->partition[at - 1];
		file->partition[at] = value;
	}
}

static int64 *
ReadLongs(AvroCursor *cursor, const AvroType *type, int *n)
{
	AvroArray	array;
	int64	   *values;
	int			allocated = 4;

	*n = 0;
	if (!AvroArrayBegin(cursor, type, &array))
		return NULL;
	values = mem_alloc(sizeof(int64) * allocated);
	while (AvroArrayNext(cursor, &array))
	{
		if (*n == allocated)
		{
			allocated *= 2;
			values = mem_realloc(values, sizeof(int64) * allocated);
		}
		values[*n] = 0;
		AvroGetLong(cursor, array.items, &values[(*n)++]);
	}
	return values;
}

static void
ReadEqualityIds(AvroCursor *cursor, const AvroType *type, IcebergFile *file)
{
	int64	   *ids = ReadLongs(cursor, type, &file->nequality_ids);

	file->equality_ids = mem_alloc(sizeof(int) * (file->nequality_ids + 1));
	for (int i = 0; i < file->nequality_ids; i++)
		file->equality_ids[i] = (int) ids[i];
	if (ids != NULL)
		mem_free(ids);
}

static void
ReadFileField(AvroCursor *cursor, const AvroField *field, StatsBuilder *builder)
{
	IcebergFile *file = builder->file;
	const AvroType *type = field->type;
	int			id = FieldId(field);

	switch (id)
	{
		case FILE_CONTENT:
			file->content = (IcebergContent) ReadInt(cursor, type, 0);
			break;
		case FILE_PATH:
			file->path = AvroGetString(cursor, type);
			break;
		case FILE_FORMAT:
			file->format = AvroGetString(cursor, type);
			break;
		case FILE_PARTITION:
			ReadPartition(cursor, type, file);
			break;
		case FILE_RECORD_COUNT:
			AvroGetLong(cursor, type, &file->record_count);
			break;
		case FILE_SIZE:
			AvroGetLong(cursor, type, &file->file_size);
			break;
		case FILE_COLUMN_SIZES:
		case FILE_VALUE_COUNTS:
		case FILE_NULL_COUNTS:
		case FILE_NAN_COUNTS:
		case FILE_LOWER_BOUNDS:
		case FILE_UPPER_BOUNDS:
			ReadStatsMap(cursor, type, id, builder);
			break;
		case FILE_KEY_METADATA:
			AvroGetBytes(cursor, type, &file->key_metadata);
			break;
		case FILE_SPLIT_OFFSETS:
			file->split_offsets = ReadLongs(cursor, type, &file->nsplit_offsets);
			break;
		case FILE_EQUALITY_IDS:
			ReadEqualityIds(cursor, type, file);
			break;
		case FILE_SORT_ORDER_ID:
			file->sort_order_id = ReadInt(cursor, type, -1);
			break;
		case FILE_REFERENCED:
			file->referenced_data_file = AvroGetString(cursor, type);
			break;
		case FILE_CONTENT_OFFSET:
			AvroGetLong(cursor, type, &file->content_offset);
			break;
		case FILE_CONTENT_SIZE:
			AvroGetLong(cursor, type, &file->content_size);
			break;
		default:
			AvroSkip(cursor, type);
	}
}

static void
ReadDataFile(AvroCursor *cursor, const AvroType *type, IcebergFile *file)
{
	StatsBuilder builder = {.file = file,.last = -1};

	type = AvroExpectRecord(cursor, type);
	for (int i = 0; type != NULL && i < type->nfields; i++)
		ReadFileField(cursor, &type->fields[i], &builder);
	if (file->path == NULL || file->format == NULL)
		shard_fail(FAIL_CORRUPT, "a manifest has an entry without a path or a format");
	if (file->content < ICEBERG_DATA || file->content > ICEBERG_EQUALITY_DELETES ||
		file->record_count < 0 || file->file_size < 0)
		shard_fail(FAIL_CORRUPT, "a manifest has a wrong entry for file \"%s\"", file->path);
	SortStats(file);
}

/* ---- entries ---- */

static void
ReadEntry(AvroCursor *cursor, const AvroType *schema, IcebergFile *file)
{
	const AvroType *type = AvroExpectRecord(cursor, schema);
	bool		has_file = false;

	memset(file, 0, sizeof(*file));
	file->snapshot_id = file->sequence_number = file->file_sequence_number = -1;
	file->sort_order_id = -1;
	file->content_offset = file->content_size = -1;
	for (int i = 0; type != NULL && i < type->nfields; i++)
	{
		const AvroField *field = &type->fields[i];

		switch (FieldId(field))
		{
			case ENTRY_STATUS:
				file->status = ReadInt(cursor, field->type, -1);
				break;
			case ENTRY_SNAPSHOT_ID:
				AvroGetLong(cursor, field->type, &file->snapshot_id);
				break;
			case ENTRY_SEQUENCE_NUMBER:
				AvroGetLong(cursor, field->type, &file->sequence_number);
				break;
			case ENTRY_FILE_SEQUENCE_NUMBER:
				AvroGetLong(cursor, field->type, &file->file_sequence_number);
				break;
			case ENTRY_DATA_FILE:
				if (has_file)
					shard_fail(FAIL_CORRUPT, "a manifest entry has two files");
				ReadDataFile(cursor, field->type, file);
				has_file = true;
				break;
			default:
				AvroSkip(cursor, field->type);
		}
	}
	if (!has_file)
		shard_fail(FAIL_CORRUPT, "a manifest entry has no file");
	if (file->status < 0 || file->status > 2)
		shard_fail(FAIL_CORRUPT, "a manifest entry has an unknown status %d", file->status);
}

/*
 * Fill in what an added entry inherits.  In tables that once were of version 1,
 * entries without a sequence number have number 0, which is the number of their
 * manifest, too.
 */
static void
Inherit(IcebergFile *file, const IcebergManifest *manifest)
{
	file->spec_id = manifest->spec_id;
	if (file->snapshot_id == -1)
		file->snapshot_id = manifest->added_snapshot_id;
	if (file->sequence_number == -1 &&
		(file->status == 1 || manifest->sequence_number == 0))
		file->sequence_number = manifest->sequence_number;
	if (file->file_sequence_number == -1 &&
		(file->status == 1 || manifest->sequence_number == 0))
		file->file_sequence_number = manifest->sequence_number;
	if (file->sequence_number == -1)
		shard_fail(FAIL_CORRUPT, "the manifest entry of file \"%s\" lacks its sequence number",
				   file->path);
}

int
IcebergReadManifest(const char *data, size_t len, const IcebergMetadata *metadata,
					const IcebergManifest *manifest, IcebergFile **files)
{
	AvroFile   *file = AvroOpen(data, len);
	AvroCursor	cursor;
	int64		count;
	int			n = 0;
	int			allocated = 16;

	*files = mem_alloc(sizeof(IcebergFile) * allocated);
	while ((count = AvroNextBlock(file, &cursor)) > 0)
	{
		for (; count > 0; count--)
		{
			if (n == allocated)
			{
				if (allocated >= 0x3fffffff / 2 / (int) sizeof(IcebergFile))
					shard_fail(FAIL_UNSUPPORTED, "a manifest has more than %d entries", n);
				allocated *= 2;
				*files = mem_realloc(*files, sizeof(IcebergFile) * allocated);
			}
			ReadEntry(&cursor, file->schema, &(*files)[n]);
			if ((manifest->content == 0) != ((*files)[n].content == ICEBERG_DATA))
				shard_fail(FAIL_CORRUPT, "a manifest mixes data and deletes");
			Inherit(&(*files)[n], manifest);
			n++;
		}
	}
	return n;
}
