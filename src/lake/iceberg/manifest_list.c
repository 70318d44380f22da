/*
 * manifest_list.c
 *		Reader and writer of manifest lists.
 */
#include "lake/iceberg/avro.h"

#include <stdio.h>

/* Field ids of the specification. */
enum
{
	MANIFEST_PATH = 500,
	MANIFEST_LENGTH = 501,
	PARTITION_SPEC_ID = 502,
	ADDED_SNAPSHOT_ID = 503,
	ADDED_FILES = 504,
	EXISTING_FILES = 505,
	DELETED_FILES = 506,
	PARTITIONS = 507,
	CONTAINS_NULL = 509,
	LOWER_BOUND = 510,
	UPPER_BOUND = 511,
	ADDED_ROWS = 512,
	EXISTING_ROWS = 513,
	DELETED_ROWS = 514,
	SEQUENCE_NUMBER = 515,
	MIN_SEQUENCE_NUMBER = 516,
	CONTENT = 517,
	CONTAINS_NAN = 518,
	KEY_METADATA = 519
};

/* Early writers gave no ids; then the names decide. */
static const struct
{
	const char *name;
	int			id;
}			list_names[] =
{
	{"manifest_path", MANIFEST_PATH},
	{"manifest_length", MANIFEST_LENGTH},
	{"partition_spec_id", PARTITION_SPEC_ID},
	{"added_snapshot_id", ADDED_SNAPSHOT_ID},
	{"added_data_files_count", ADDED_FILES},
	{"added_files_count", ADDED_FILES},
	{"existing_data_files_count", EXISTING_FILES},
	{"existing_files_count", EXISTING_FILES},
	{"deleted_data_files_count", DELETED_FILES},
	{"deleted_files_count", DELETED_FILES},
	{"partitions", PARTITIONS},
	{"contains_null", CONTAINS_NULL},
	{"contains_nan", CONTAINS_NAN},
	{"lower_bound", LOWER_BOUND},
	{"upper_bound", UPPER_BOUND},
	{"added_rows_count", ADDED_ROWS},
	{"existing_rows_count", EXISTING_ROWS},
	{"deleted_rows_count", DELETED_ROWS},
	{"sequence_number", SEQUENCE_NUMBER},
	{"min_sequence_number", MIN_SEQUENCE_NUMBER},
	{"content", CONTENT},
	{"key_metadata", KEY_METADATA},
};

static int
FieldId(const AvroField *field)
{
	if (field->id != -1)
		return field->id;
	for (size_t i = 0; i < sizeof(list_names) / sizeof(list_names[0]); i++)
		if (strcmp(list_names[i].name, field->name) == 0)
			return list_names[i].id;
	return -1;
}

/* ---- reading ---- */

static void
ReadSummary(AvroCursor *cursor, const AvroType *type, IcebergPartitionSummary *summary)
{
	summary->contains_nan = -1;
	type = AvroExpectRecord(cursor, type);
	if (type == NULL)
		return;
	for (int i = 0; i < type->nfields; i++)
	{
		const AvroField *field = &type->fields[i];
		int64		value = 0;

		switch (FieldId(field))
		{
			case CONTAINS_NULL:
				AvroGetLong(cursor, field->type, &value);
				summary->contains_null = value != 0;
				break;
			case CONTAINS_NAN:
				if (AvroGetLong(cursor, field->type, &value))
					summary->contains_nan = value != 0;
				break;
			case LOWER_BOUND:
				AvroGetBytes(cursor, field->type, &summary->lower);
				break;
			case UPPER_BOUND:
				AvroGetBytes(cursor, field->type, &summary->upper);
				break;
			default:
				AvroSkip(cursor, field->type);
		}
	}
}

static void
ReadSummaries(AvroCursor *cursor, const AvroType *type, IcebergManifest *manifest)
{
	AvroArray	array;
	int			allocated = 4;

	if (!AvroArrayBegin(cursor, type, &array))
		return;
	manifest->partitions = mem_alloc0(sizeof(IcebergPartitionSummary) * allocated);
	while (AvroArrayNext(cursor, &array))
	{
		if (manifest->npartitions == allocated)
		{
			allocated *= 2;
			manifest->partitions = mem_realloc(manifest->partitions,
											   sizeof(IcebergPartitionSummary) * allocated);
		}
		memset(&manifest->partitions[manifest->npartitions], 0, sizeof(IcebergPartitionSummary));
		ReadSummary(cursor, array.items, &manifest->partitions[manifest->npartitions++]);
	}
}

static void
ReadInt(AvroCursor *cursor, const AvroType *type, int *result)
{
	int64		value;

	if (!AvroGetLong(cursor, type, &value))
		return;
	if (value < INT32_MIN || value > INT32_MAX)
		shard_fail(FAIL_CORRUPT, "number out of range in a manifest list");
	*result = (int) value;
}

static void
ReadListField(AvroCursor *cursor, const AvroField *field, IcebergManifest *manifest)
{
	const AvroType *type = field->type;

	switch (FieldId(field))
	{
		case MANIFEST_PATH:
			manifest->path = AvroGetString(cursor, type);
			break;
		case MANIFEST_LENGTH:
			AvroGetLong(cursor, type, &manifest->length);
			break;
		case PARTITION_SPEC_ID:
			ReadInt(cursor, type, &manifest->spec_id);
			break;
		case CONTENT:
			ReadInt(cursor, type, &manifest->content);
			break;
		case SEQUENCE_NUMBER:
			AvroGetLong(cursor, type, &manifest->sequence_number);
			break;
		case MIN_SEQUENCE_NUMBER:
			AvroGetLong(cursor, type, &manifest->min_sequence_number);
			break;
		case ADDED_SNAPSHOT_ID:
			AvroGetLong(cursor, type, &manifest->added_snapshot_id);
			break;
		case ADDED_FILES:
			ReadInt(cursor, type, &manifest->added_files);
			break;
		case EXISTING_FILES:
			ReadInt(cursor, type, &manifest->existing_files);
			break;
		case DELETED_FILES:
			ReadInt(cursor, type, &manifest->deleted_files);
			break;
		case ADDED_ROWS:
			AvroGetLong(cursor, type, &manifest->added_rows);
			break;
		case EXISTING_ROWS:
			AvroGetLong(cursor, type, &manifest->existing_rows);
			break;
		case DELETED_ROWS:
			AvroGetLong(cursor, type, &manifest->deleted_rows);
			break;
		case PARTITIONS:
			ReadSummaries(cursor, type, manifest);
			break;
		case KEY_METADATA:
			AvroGetBytes(cursor, type, &manifest->key_metadata);
			break;
		default:
			AvroSkip(cursor, type);
	}
}

static void
ReadListEntry(AvroCursor *cursor, const AvroType *schema, IcebergManifest *manifest)
{
	const AvroType *type = AvroExpectRecord(cursor, schema);

	memset(manifest, 0, sizeof(*manifest));
	manifest->added_snapshot_id = -1;
	/* counts are optional in version 1: unknown is not none */
	manifest->added_files = manifest->existing_files = manifest->deleted_files = -1;
	manifest->added_rows = manifest->existing_rows = manifest->deleted_rows = -1;
	for (int i = 0; type != NULL && i < type->nfields; i++)
		ReadListField(cursor, &type->fields[i], manifest);
	if (manifest->path == NULL)
		shard_fail(FAIL_CORRUPT, "a manifest list has an entry without a path");
	if (manifest->content != 0 && manifest->content != 1)
		shard_fail(FAIL_CORRUPT, "a manifest list has an entry of unknown content %d",
				   manifest->content);
}

int
IcebergReadManifestList(const char *data, size_t len, int format_version,
						IcebergManifest **manifests)
{
	AvroFile   *file = AvroOpen(data, len);
	AvroCursor	cursor;
	int64		count;
	int			n = 0;
	int			allocated = 16;

	*manifests = mem_alloc(sizeof(IcebergManifest) * allocated);
	while ((count = AvroNextBlock(file, &cursor)) > 0)
	{
		for (; count > 0; count--)
		{
			if (n == allocated)
			{
				allocated *= 2;
				*manifests = mem_realloc(*manifests, sizeof(IcebergManifest) * allocated);
			}
			ReadListEntry(&cursor, file->schema, &(*manifests)[n]);
			if (format_version < 2)
			{
				(*manifests)[n].sequence_number = 0;
				(*manifests)[n].min_sequence_number = 0;
			}
			n++;
		}
	}
	return n;
}

/* ---- writing ---- */

#define REQUIRED(name, id, type) \
	"{\"name\":\"" name "\",\"type\":\"" type "\",\"field-id\":" #id "}"
#define OPTIONAL(name, id, type) \
	"{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"

static const char list_schema[] =
"{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
REQUIRED("manifest_path", 500, "string") ","
REQUIRED("manifest_length", 501, "long") ","
REQUIRED("partition_spec_id", 502, "int") ","
REQUIRED("content", 517, "int") ","
REQUIRED("sequence_number", 515, "long") ","
REQUIRED("min_sequence_number", 516, "long") ","
REQUIRED("added_snapshot_id", 503, "long") ","
REQUIRED("added_files_count", 504, "int") ","
REQUIRED("existing_files_count", 505, "int") ","
REQUIRED("deleted_files_count", 506, "int") ","
REQUIRED("added_rows_count", 512, "long") ","
REQUIRED("existing_rows_count", 513, "long") ","
REQUIRED("deleted_rows_count", 514, "long") ","
OPTIONAL("partitions", 507,
		 "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"r508\",\"fields\":["
		 REQUIRED("contains_null", 509, "boolean") ","
		 OPTIONAL("contains_nan", 518, "\"boolean\"") ","
		 OPTIONAL("lower_bound", 510, "\"bytes\"") ","
		 OPTIONAL("upper_bound", 511, "\"bytes\"")
		 "]},\"element-id\":508}") ","
OPTIONAL("key_metadata", 519, "\"bytes\"")
"]}";

/* Optional bytes: a union of null and bytes. */
static void
PutOptionalBytes(Buffer *out, IcebergBytes bytes)
{
	AvroPutLong(out, bytes.data == NULL ? 0 : 1);
	if (bytes.data != NULL)
		AvroPutBytes(out, bytes.data, bytes.len);
}

static void
PutSummaries(Buffer *out, const IcebergManifest *manifest)
{
	if (manifest->npartitions == 0)
	{
		AvroPutLong(out, 0);
		return;
	}
	AvroPutLong(out, 1);
	AvroPutLong(out, manifest->npartitions);
	for (int i = 0; i < manifest->npartitions; i++)
	{
		const IcebergPartitionSummary *summary = &manifest->partitions[i];

		BufferPut(out, summary->contains_null ? "\1" : "\0", 1);
		AvroPutLong(out, summary->contains_nan == -1 ? 0 : 1);
		if (summary->contains_nan != -1)
			BufferPut(out, summary->contains_nan ? "\1" : "\0", 1);
		PutOptionalBytes(out, summary->lower);
		PutOptionalBytes(out, summary->upper);
	}
	AvroPutLong(out, 0);
}

static void
PutListEntry(Buffer *out, const IcebergManifest *manifest)
{
	AvroPutString(out, manifest->path);
	AvroPutLong(out, manifest->length);
	AvroPutLong(out, manifest->spec_id);
	AvroPutLong(out, manifest->content);
	AvroPutLong(out, manifest->sequence_number);
	AvroPutLong(out, manifest->min_sequence_number);
	AvroPutLong(out, manifest->added_snapshot_id);
	AvroPutLong(out, manifest->added_files);
	AvroPutLong(out, manifest->existing_files);
	AvroPutLong(out, manifest->deleted_files);
	AvroPutLong(out, manifest->added_rows);
	AvroPutLong(out, manifest->existing_rows);
	AvroPutLong(out, manifest->deleted_rows);
	PutSummaries(out, manifest);
	PutOptionalBytes(out, manifest->key_metadata);
}

char *
IcebergWriteManifestList(const IcebergManifest *manifests, int n, int64 snapshot_id,
						 int64 parent_id, int64 sequence_number, size_t *len)
{
	AvroWriter	writer;
	char		snapshot[32];
	char		parent[32];
	char		sequence[32];
	IcebergKeyValue meta[] = {
		{"snapshot-id", snapshot},
		{"parent-snapshot-id", parent},
		{"sequence-number", sequence},
		{"format-version", "2"},
	};

	snprintf(snapshot, sizeof(snapshot), "%lld", (long long) snapshot_id);
	if (parent_id == -1)
		snprintf(parent, sizeof(parent), "null");
	else
		snprintf(parent, sizeof(parent), "%lld", (long long) parent_id);
	snprintf(sequence, sizeof(sequence), "%lld", (long long) sequence_number);
	AvroBegin(&writer, list_schema, meta, 4);
	for (int i = 0; i < n; i++)
		PutListEntry(AvroRecord(&writer), &manifests[i]);
	return AvroEnd(&writer, len);
}
