/*
 * manifest_write.c
 *		Writer of manifests, format version 2.
 *
 * The entry's schema is fixed but for the partition struct, which follows the
 * spec: the value's Avro type comes from the transform and the source column.
 */
#include "lake/iceberg/avro.h"
#include "lake/iceberg/manifest_fields.h"
#include "lake/iceberg/transform.h"

#include <stdio.h>

/* ---- schema ---- */

#define REQUIRED(name, id, type) \
	"{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define OPTIONAL(name, id, type) \
	"{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define INT_MAP(name, id, key_id, value_id, value_type) \
	OPTIONAL(name, id, \
			 "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\"," \
			 "\"name\":\"k" #key_id "_v" #value_id "\",\"fields\":[" \
			 REQUIRED("key", key_id, "\"int\"") "," REQUIRED("value", value_id, value_type) "]}}")
#define ARRAY(name, id, element_id, type) \
	OPTIONAL(name, id, \
			 "{\"type\":\"array\",\"items\":" type ",\"element-id\":" #element_id "}")

static const char schema_head[] =
"{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
REQUIRED("status", 0, "\"int\"") ","
OPTIONAL("snapshot_id", 1, "\"long\"") ","
OPTIONAL("sequence_number", 3, "\"long\"") ","
OPTIONAL("file_sequence_number", 4, "\"long\"") ","
"{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
REQUIRED("content", 134, "\"int\"") ","
REQUIRED("file_path", 100, "\"string\"") ","
REQUIRED("file_format", 101, "\"string\"") ","
"{\"name\":\"partition\",\"field-id\":102,\"type\":{\"type\":\"record\",\"name\":\"r102\",\"fields\":[";

static const char schema_tail[] =
"]}},"
REQUIRED("record_count", 103, "\"long\"") ","
REQUIRED("file_size_in_bytes", 104, "\"long\"") ","
INT_MAP("column_sizes", 108, 117, 118, "\"long\"") ","
INT_MAP("value_counts", 109, 119, 120, "\"long\"") ","
INT_MAP("null_value_counts", 110, 121, 122, "\"long\"") ","
INT_MAP("nan_value_counts", 137, 138, 139, "\"long\"") ","
INT_MAP("lower_bounds", 125, 126, 127, "\"bytes\"") ","
INT_MAP("upper_bounds", 128, 129, 130, "\"bytes\"") ","
OPTIONAL("key_metadata", 131, "\"bytes\"") ","
ARRAY("split_offsets", 132, 133, "\"long\"") ","
ARRAY("equality_ids", 135, 136, "\"int\"") ","
OPTIONAL("sort_order_id", 140, "\"int\"") ","
OPTIONAL("referenced_data_file", 143, "\"string\"")
"]}}]}";

/* Avro names are letters, digits and underscores. */
static void
PutAvroName(Buffer *out, const char *name)
{
	for (const char *p = name; *p != '\0'; p++)
	{
		bool		letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
		bool		digit = *p >= '0' && *p <= '9';

		if (letter || (digit && p != name))
			BufferPut(out, p, 1);
		else if (digit)
			BufferPrintf(out, "_%c", *p);
		else
			BufferPrintf(out, "_x%X", (unsigned char) *p);
	}
}

LakeType
IcebergPartitionType(const IcebergPartitionField *field, const IcebergMetadata *metadata)
{
	IcebergTransform transform;
	LakeType	none = {LAKE_INT, 0, 0};

	if (!IcebergParseTransform(field->transform, &transform))
		shard_fail(FAIL_UNSUPPORTED, "cannot write partition field \"%s\" with transform \"%s\"",
				   field->name, field->transform);
	/* in whichever schema has the source */
	for (int i = metadata->nschemas - 1; i >= 0; i--)
	{
		const IcebergField *source = IcebergFieldById(&metadata->schemas[i], field->source_id);

		if (source != NULL && source->primitive)
			return IcebergTransformType(&transform, source->type);
	}
	if (transform.kind != TRANSFORM_IDENTITY && transform.kind != TRANSFORM_TRUNCATE)
		return IcebergTransformType(&transform, none);
	shard_fail(FAIL_UNSUPPORTED, "the source column of partition field \"%s\" is not known",
			   field->name);
}

static int
DecimalBytes(int precision)
{
	static const int digits[] = {0, 2, 4, 6, 9, 11, 14, 16, 18, 21, 23, 26, 28, 31, 33, 35, 38};
	int			bytes = 1;

	while (bytes < 16 && digits[bytes] < precision)
		bytes++;
	return bytes;
}

static void
PutAvroType(Buffer *out, LakeType type, int field_id)
{
	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			BufferPutString(out, "\"boolean\"");
			break;
		case LAKE_INT:
			BufferPutString(out, "\"int\"");
			break;
		case LAKE_LONG:
			BufferPutString(out, "\"long\"");
			break;
		case LAKE_FLOAT:
			BufferPutString(out, "\"float\"");
			break;
		case LAKE_DOUBLE:
			BufferPutString(out, "\"double\"");
			break;
		case LAKE_DATE:
			BufferPutString(out, "{\"type\":\"int\",\"logicalType\":\"date\"}");
			break;
		case LAKE_TIME:
			BufferPutString(out, "{\"type\":\"long\",\"logicalType\":\"time-micros\"}");
			break;
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			BufferPrintf(out, "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\","
						 "\"adjust-to-utc\":%s}", type.kind == LAKE_TIMESTAMPTZ ? "true" : "false");
			break;
		case LAKE_STRING:
			BufferPutString(out, "\"string\"");
			break;
		case LAKE_BINARY:
			BufferPutString(out, "\"bytes\"");
			break;
		case LAKE_UUID:
			BufferPrintf(out, "{\"type\":\"fixed\",\"name\":\"uuid_fixed_%d\",\"size\":16,"
						 "\"logicalType\":\"uuid\"}", field_id);
			break;
		case LAKE_DECIMAL:
			BufferPrintf(out, "{\"type\":\"fixed\",\"name\":\"decimal_%d\",\"size\":%d,"
						 "\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}",
						 field_id, DecimalBytes(type.precision), type.precision, type.scale);
			break;
		case LAKE_JSON:
		case LAKE_NESTED:
			shard_fail(FAIL_INTERNAL, "a partition value of a nested type");
	}
}

static char *
EntrySchema(const IcebergSpec *spec, const IcebergMetadata *metadata)
{
	Buffer		out;

	BufferInit(&out);
	BufferPutString(&out, schema_head);
	for (int i = 0; i < spec->nfields; i++)
	{
		const IcebergPartitionField *field = &spec->fields[i];

		BufferPutString(&out, i == 0 ? "{\"name\":\"" : ",{\"name\":\"");
		PutAvroName(&out, field->name);
		BufferPutString(&out, "\",\"type\":[\"null\",");
		PutAvroType(&out, IcebergPartitionType(field, metadata), field->field_id);
		BufferPrintf(&out, "],\"default\":null,\"field-id\":%d}", field->field_id);
	}
	BufferPut(&out, schema_tail, sizeof(schema_tail));	/* with its end */
	return out.data;
}

/* ---- entries ---- */

static void
PutOptionalLong(Buffer *out, int64 value)
{
	AvroPutLong(out, value == -1 ? 0 : 1);
	if (value != -1)
		AvroPutLong(out, value);
}

static int64
SignedValue(IcebergBytes bytes)
{
	uint64		value = 0;

	for (int i = bytes.len - 1; i >= 0; i--)
		value = (value << 8) | (unsigned char) bytes.data[i];
	return bytes.len == 4 ? (int64) (int32) value : (int64) value;
}

static void
PutDecimal(Buffer *out, IcebergBytes value, int size)
{
	char		pad = (value.data[0] & 0x80) != 0 ? '\xff' : 0;

	if (value.len > size)
		shard_fail(FAIL_CORRUPT, "a partition value has a wrong length");
	for (int i = value.len; i < size; i++)
		BufferPut(out, &pad, 1);
	BufferPut(out, value.data, value.len);
}

static void
PutPartitionValue(Buffer *out, LakeType type, IcebergBytes value)
{
	AvroPutLong(out, value.data == NULL ? 0 : 1);
	if (value.data == NULL)
		return;
	if (!IcebergBytesValid(type, value))
		shard_fail(FAIL_CORRUPT, "a partition value has a wrong length");
	switch (type.kind)
	{
		case LAKE_INT:
		case LAKE_LONG:
		case LAKE_DATE:
		case LAKE_TIME:
		case LAKE_TIMESTAMP:
		case LAKE_TIMESTAMPTZ:
			AvroPutLong(out, SignedValue(value));
			break;
		case LAKE_STRING:
		case LAKE_BINARY:
			AvroPutBytes(out, value.data, value.len);
			break;
		case LAKE_DECIMAL:
			PutDecimal(out, value, DecimalBytes(type.precision));
			break;
		case LAKE_DOUBLE:
			if (value.len == 4)
				shard_fail(FAIL_UNSUPPORTED, "partition value of a column whose type has changed");
			BufferPut(out, value.data, value.len);
			break;
		default:
			BufferPut(out, value.data, value.len);
	}
}

static void
PutPartition(Buffer *out, const IcebergFile *file, const IcebergSpec *spec,
			 const IcebergMetadata *metadata)
{
	for (int i = 0; i < spec->nfields; i++)
	{
		IcebergBytes value = {NULL, 0};

		for (int j = 0; j < file->npartition; j++)
			if (file->partition[j].field_id == spec->fields[i].field_id)
				value = file->partition[j].value;
		PutPartitionValue(out, IcebergPartitionType(&spec->fields[i], metadata), value);
	}
}

static int64
Statistic(const IcebergColumnStats *stats, int map_id)
{
	switch (map_id)
	{
		case FILE_COLUMN_SIZES:
			return stats->column_size;
		case FILE_VALUE_COUNTS:
			return stats->value_count;
		case FILE_NULL_COUNTS:
			return stats->null_count;
		default:
			return stats->nan_count;
	}
}

static void
PutCounts(Buffer *out, const IcebergFile *file, int map_id)
{
	int			n = 0;

	for (int i = 0; i < file->nstats; i++)
		n += Statistic(&file->stats[i], map_id) >= 0;
	AvroPutLong(out, n > 0 ? 1 : 0);
	if (n == 0)
		return;
	AvroPutLong(out, n);
	for (int i = 0; i < file->nstats; i++)
	{
		if (Statistic(&file->stats[i], map_id) < 0)
			continue;
		AvroPutLong(out, file->stats[i].field_id);
		AvroPutLong(out, Statistic(&file->stats[i], map_id));
	}
	AvroPutLong(out, 0);
}

static void
PutBounds(Buffer *out, const IcebergFile *file, bool upper)
{
	int			n = 0;

	for (int i = 0; i < file->nstats; i++)
		n += (upper ? file->stats[i].upper : file->stats[i].lower).data != NULL;
	AvroPutLong(out, n > 0 ? 1 : 0);
	if (n == 0)
		return;
	AvroPutLong(out, n);
	for (int i = 0; i < file->nstats; i++)
	{
		IcebergBytes bound = upper ? file->stats[i].upper : file->stats[i].lower;

		if (bound.data == NULL)
			continue;
		AvroPutLong(out, file->stats[i].field_id);
		AvroPutBytes(out, bound.data, bound.len);
	}
	AvroPutLong(out, 0);
}

/* An optional array of whole numbers; none if it is empty. */
static void
PutArrayHead(Buffer *out, int n)
{
	AvroPutLong(out, n > 0 ? 1 : 0);
	if (n > 0)
		AvroPutLong(out, n);
}

static void
PutDataFile(Buffer *out, const IcebergFile *file, const IcebergSpec *spec,
			const IcebergMetadata *metadata)
{
	AvroPutLong(out, file->content);
	AvroPutString(out, file->path);
	AvroPutString(out, file->format);
	PutPartition(out, file, spec, metadata);
	AvroPutLong(out, file->record_count);
	AvroPutLong(out, file->file_size);
	PutCounts(out, file, FILE_COLUMN_SIZES);
	PutCounts(out, file, FILE_VALUE_COUNTS);
	PutCounts(out, file, FILE_NULL_COUNTS);
	PutCounts(out, file, FILE_NAN_COUNTS);
	PutBounds(out, file, false);
	PutBounds(out, file, true);
	AvroPutLong(out, file->key_metadata.data == NULL ? 0 : 1);
	if (file->key_metadata.data != NULL)
		AvroPutBytes(out, file->key_metadata.data, file->key_metadata.len);
	PutArrayHead(out, file->nsplit_offsets);
	for (int i = 0; i < file->nsplit_offsets; i++)
		AvroPutLong(out, file->split_offsets[i]);
	if (file->nsplit_offsets > 0)
		AvroPutLong(out, 0);
	PutArrayHead(out, file->nequality_ids);
	for (int i = 0; i < file->nequality_ids; i++)
		AvroPutLong(out, file->equality_ids[i]);
	if (file->nequality_ids > 0)
		AvroPutLong(out, 0);
	PutOptionalLong(out, file->sort_order_id);
	AvroPutLong(out, file->referenced_data_file == NULL ? 0 : 1);
	if (file->referenced_data_file != NULL)
		AvroPutString(out, file->referenced_data_file);
}

static void
PutEntry(Buffer *out, const IcebergFile *file, const IcebergSpec *spec,
		 const IcebergMetadata *metadata)
{
	if (file->sequence_number == -1 && file->status != 1)
		shard_fail(FAIL_INTERNAL, "manifest entry of \"%s\" without its sequence number",
				   file->path);
	AvroPutLong(out, file->status);
	PutOptionalLong(out, file->snapshot_id);
	PutOptionalLong(out, file->sequence_number);
	PutOptionalLong(out, file->file_sequence_number);
	PutDataFile(out, file, spec, metadata);
}

char *
IcebergWriteManifest(const IcebergFile *const *files, int n, const IcebergMetadata *metadata,
					 const IcebergSchema *schema, const IcebergSpec *spec,
					 int content, size_t *len)
{
	AvroWriter	writer;
	char		schema_id[16];
	char		spec_id[16];
	IcebergKeyValue meta[] = {
		{"schema", IcebergSchemaText(schema)},
		{"schema-id", schema_id},
		{"partition-spec", IcebergSpecText(spec)},
		{"partition-spec-id", spec_id},
		{"format-version", "2"},
		{"content", content == 0 ? "data" : "deletes"},
	};

	snprintf(schema_id, sizeof(schema_id), "%d", schema->schema_id);
	snprintf(spec_id, sizeof(spec_id), "%d", spec->spec_id);
	AvroBegin(&writer, EntrySchema(spec, metadata), meta, 6);
	for (int i = 0; i < n; i++)
		PutEntry(AvroRecord(&writer), files[i], spec, metadata);
	return AvroEnd(&writer, len);
}
