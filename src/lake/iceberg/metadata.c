/*
 * metadata.c
 *		Reader of table metadata files, and lookups in what was read.
 */
#include "lake/iceberg/json.h"
#include "lake/iceberg/buffer.h"
#include "lake/iceberg/iceberg.h"

#include <stdio.h>
#include <zlib.h>

static const Json *
RequiredArray(const Json *object, const char *key)
{
	return JsonMember(object, key, JSON_ARRAY, true);
}

/* An array's size and zeroed space for that many elements. */
static void *
SpaceFor(const Json *array, size_t element, int *n)
{
	*n = JsonSize(array);
	return mem_alloc0(element * (*n + 1));
}

static IcebergKeyValue *
ParseStrings(const Json *object, const char *what, int *n)
{
	IcebergKeyValue *result;
	const char *key;
	Json	   *value;
	int			i = 0;

	*n = JsonSize(object);
	result = mem_alloc0(sizeof(IcebergKeyValue) * (*n + 1));
	JSON_FOREACH(object, key, value)
	{
		if (!JsonIs(value, JSON_STRING))
			shard_fail(FAIL_CORRUPT, "%s \"%s\" in Iceberg metadata is not a string", what, key);
		result[i].key = mem_strdup(key);
		result[i].value = mem_strdup(JsonStringValue(value));
		i++;
	}
	return result;
}

/* ---- schemas ---- */

static void
ParseFieldType(const Json *type, IcebergField *field)
{
	const char *name = JsonStringValue(type);
	int			length;

	if (type == NULL)
		shard_fail(FAIL_CORRUPT, "column \"%s\" in Iceberg metadata has no type", field->name);
	field->type_json = JsonText(type, NULL);
	if (name == NULL)
		return;
	field->primitive = LakeTypeFromIcebergName(name, &field->type);
	if (!field->primitive && sscanf(name, "fixed[%d]", &length) == 1)
	{
		field->primitive = true;
		field->type.kind = LAKE_BINARY;
	}
}

static void
ParseField(const Json *json, IcebergField *field)
{
	const Json *initial_default = JsonGet(json, "initial-default");

	field->id = JsonInt(json, "id", true, 0);
	field->name = JsonString(json, "name", true);
	field->required = JsonIs(JsonGet(json, "required"), JSON_TRUE);
	field->doc = JsonString(json, "doc", false);
	if (initial_default != NULL && !JsonIs(initial_default, JSON_NULL))
		field->initial_default_json = JsonText(initial_default, NULL);
	ParseFieldType(JsonGet(json, "type"), field);
}

static void
ParseSchema(const Json *json, IcebergSchema *schema)
{
	const Json *fields = RequiredArray(json, "fields");
	const Json *identifiers = JsonMember(json, "identifier-field-ids", JSON_ARRAY, false);

	schema->schema_id = JsonInt(json, "schema-id", false, 0);
	schema->fields = SpaceFor(fields, sizeof(IcebergField), &schema->nfields);
	for (int i = 0; i < schema->nfields; i++)
		ParseField(JsonAt(fields, i), &schema->fields[i]);
	schema->identifiers = SpaceFor(identifiers, sizeof(int), &schema->nidentifiers);
	for (int i = 0; i < schema->nidentifiers; i++)
		schema->identifiers[i] = (int) JsonIntegerValue(JsonAt(identifiers, i));
	schema->json = (void *) json;
}

static void
ParseSchemas(const Json *json, IcebergMetadata *metadata)
{
	const Json *schemas = JsonMember(json, "schemas", JSON_ARRAY, metadata->format_version > 1);

	if (schemas == NULL)
	{
		metadata->nschemas = 1;
		metadata->schemas = mem_alloc0(sizeof(IcebergSchema));
		ParseSchema(JsonMember(json, "schema", JSON_OBJECT, true), &metadata->schemas[0]);
		metadata->current_schema_id = metadata->schemas[0].schema_id;
		return;
	}
	metadata->schemas = SpaceFor(schemas, sizeof(IcebergSchema), &metadata->nschemas);
	for (int i = 0; i < metadata->nschemas; i++)
		ParseSchema(JsonAt(schemas, i), &metadata->schemas[i]);
	metadata->current_schema_id = JsonInt(json, "current-schema-id", true, 0);
	IcebergCurrentSchema(metadata);		/* must be among them */
}

/* ---- partition specs and sort orders ---- */

static void
ParseSpecFields(const Json *fields, IcebergSpec *spec)
{
	spec->fields = SpaceFor(fields, sizeof(IcebergPartitionField), &spec->nfields);
	for (int i = 0; i < spec->nfields; i++)
	{
		const Json *field = JsonAt(fields, i);

		spec->fields[i].source_id = JsonInt(field, "source-id", false, -1);
		spec->fields[i].field_id = JsonInt(field, "field-id", false, 1000 + i);
		spec->fields[i].name = JsonString(field, "name", true);
		spec->fields[i].transform = JsonString(field, "transform", true);
	}
}

static void
ParseSpecs(const Json *json, IcebergMetadata *metadata)
{
	const Json *specs = JsonMember(json, "partition-specs", JSON_ARRAY,
									 metadata->format_version > 1);

	if (specs == NULL)
	{
		metadata->nspecs = 1;
		metadata->specs = mem_alloc0(sizeof(IcebergSpec));
		ParseSpecFields(RequiredArray(json, "partition-spec"), &metadata->specs[0]);
	}
	else
	{
		metadata->specs = SpaceFor(specs, sizeof(IcebergSpec), &metadata->nspecs);
		for (int i = 0; i < metadata->nspecs; i++)
		{
			const Json *spec = JsonAt(specs, i);

			metadata->specs[i].spec_id = JsonInt(spec, "spec-id", true, 0);
			ParseSpecFields(RequiredArray(spec, "fields"), &metadata->specs[i]);
			metadata->specs[i].json = (void *) spec;
		}
	}
	metadata->default_spec_id = JsonInt(json, "default-spec-id", false, 0);
	metadata->last_partition_id = JsonInt(json, "last-partition-id", false, 999);
}

static void
ParseSortOrders(const Json *json, IcebergMetadata *metadata)
{
	const Json *orders = JsonMember(json, "sort-orders", JSON_ARRAY, false);

	metadata->sort_orders = SpaceFor(orders, sizeof(IcebergSortOrder), &metadata->nsort_orders);
	for (int i = 0; i < metadata->nsort_orders; i++)
	{
		const Json *order = JsonAt(orders, i);
		const Json *fields = RequiredArray(order, "fields");
		IcebergSortOrder *result = &metadata->sort_orders[i];

		result->order_id = JsonInt(order, "order-id", true, 0);
		result->source_ids = SpaceFor(fields, sizeof(int), &result->nfields);
		result->flags = SpaceFor(fields, sizeof(int), &result->nfields);
		for (int j = 0; j < result->nfields; j++)
		{
			const Json *field = JsonAt(fields, j);
			const char *direction = JsonStringValue(JsonGet(field, "direction"));
			const char *nulls = JsonStringValue(JsonGet(field, "null-order"));

			result->source_ids[j] = JsonInt(field, "source-id", false, -1);
			if (direction != NULL && strcmp(direction, "desc") == 0)
				result->flags[j] |= ICEBERG_SORT_DESC;
			if (nulls != NULL && strcmp(nulls, "nulls-first") == 0)
				result->flags[j] |= ICEBERG_SORT_NULLS_FIRST;
		}
		result->json = (void *) order;
	}
	metadata->default_sort_order_id = JsonInt(json, "default-sort-order-id", false, 0);
}

/* ---- snapshots ---- */

static void
ParseSnapshot(const Json *json, IcebergSnapshot *snapshot)
{
	const Json *summary = JsonMember(json, "summary", JSON_OBJECT, false);

	snapshot->snapshot_id = JsonInteger(json, "snapshot-id", true, 0);
	snapshot->parent_id = JsonInteger(json, "parent-snapshot-id", false, -1);
	snapshot->sequence_number = JsonInteger(json, "sequence-number", false, 0);
	snapshot->timestamp_ms = JsonInteger(json, "timestamp-ms", true, 0);
	snapshot->schema_id = JsonInt(json, "schema-id", false, -1);
	snapshot->manifest_list = JsonString(json, "manifest-list", false);
	snapshot->summary = ParseStrings(summary, "summary entry", &snapshot->nsummary);
	snapshot->json = (void *) json;
}

static void
ParseRefs(const Json *json, IcebergMetadata *metadata)
{
	const Json *refs = JsonMember(json, "refs", JSON_OBJECT, false);
	const char *name;
	Json	   *ref;

	metadata->refs = mem_alloc0(sizeof(IcebergRef) * (JsonSize(refs) + 1));
	JSON_FOREACH(refs, name, ref)
	{
		IcebergRef *result = &metadata->refs[metadata->nrefs];
		const char *type = JsonStringValue(JsonGet(ref, "type"));

		if (strcmp(name, "main") == 0)
			continue;
		result->name = mem_strdup(name);
		result->is_tag = type != NULL && strcmp(type, "tag") == 0;
		result->snapshot_id = JsonInteger(ref, "snapshot-id", true, 0);
		metadata->nrefs++;
	}
}

static void
ParseLogs(const Json *json, IcebergMetadata *metadata)
{
	const Json *log = JsonMember(json, "snapshot-log", JSON_ARRAY, false);

	metadata->snapshot_log = SpaceFor(log, sizeof(IcebergSnapshotLog), &metadata->nsnapshot_log);
	for (int i = 0; i < metadata->nsnapshot_log; i++)
	{
		const Json *entry = JsonAt(log, i);

		metadata->snapshot_log[i].timestamp_ms = JsonInteger(entry, "timestamp-ms", true, 0);
		metadata->snapshot_log[i].snapshot_id = JsonInteger(entry, "snapshot-id", true, 0);
	}
	log = JsonMember(json, "metadata-log", JSON_ARRAY, false);
	metadata->metadata_log = SpaceFor(log, sizeof(IcebergMetadataLog), &metadata->nmetadata_log);
	for (int i = 0; i < metadata->nmetadata_log; i++)
	{
		const Json *entry = JsonAt(log, i);

		metadata->metadata_log[i].timestamp_ms = JsonInteger(entry, "timestamp-ms", true, 0);
		metadata->metadata_log[i].metadata_file = JsonString(entry, "metadata-file", true);
	}
}

static void
ParseSnapshots(const Json *json, IcebergMetadata *metadata)
{
	const Json *snapshots = JsonMember(json, "snapshots", JSON_ARRAY, false);

	metadata->current_snapshot_id = JsonInteger(json, "current-snapshot-id", false, -1);
	metadata->snapshots = SpaceFor(snapshots, sizeof(IcebergSnapshot), &metadata->nsnapshots);
	for (int i = 0; i < metadata->nsnapshots; i++)
		ParseSnapshot(JsonAt(snapshots, i), &metadata->snapshots[i]);
	if (metadata->current_snapshot_id != -1 &&
		IcebergSnapshotById(metadata, metadata->current_snapshot_id) == NULL)
		shard_fail(FAIL_CORRUPT, "the current snapshot %lld is missing in Iceberg metadata",
				   (long long) metadata->current_snapshot_id);
	ParseRefs(json, metadata);
	ParseLogs(json, metadata);
}

/* ---- the whole ---- */

/*
 * Unpack gzip, in one or several members; result in *unpacked.
 */
static void
Gunzip(const char *text, size_t len, Buffer *unpacked)
{
	z_stream	stream = {0};
	int			rc = Z_OK;

	BufferInit(unpacked);
	stream.next_in = (Bytef *) text;
	stream.avail_in = (uInt) len;
	if (inflateInit2(&stream, 15 + 16) != Z_OK)
		shard_fail(FAIL_INTERNAL, "out of memory for decompression");
	while (rc == Z_OK && unpacked->len < 0x20000000)
	{
		size_t		room;

		if (unpacked->len == unpacked->allocated)
			BufferReserve(unpacked, unpacked->allocated);
		room = unpacked->allocated - unpacked->len;
		stream.next_out = (Bytef *) (unpacked->data + unpacked->len);
		stream.avail_out = (uInt) room;
		rc = inflate(&stream, Z_NO_FLUSH);
		unpacked->len += room - stream.avail_out;
		if (rc == Z_STREAM_END && stream.avail_in > 0)
			rc = inflateReset(&stream);
	}
	inflateEnd(&stream);
	if (rc != Z_STREAM_END)
		shard_fail(FAIL_CORRUPT, "compressed Iceberg metadata does not decompress");
}

IcebergMetadata *
IcebergParseMetadata(const char *text, size_t len)
{
	IcebergMetadata *metadata = mem_alloc0(sizeof(IcebergMetadata));
	const Json *json;

	if (len > 2 && (unsigned char) text[0] == 0x1f && (unsigned char) text[1] == 0x8b)
	{
		Buffer		unpacked;

		Gunzip(text, len, &unpacked);
		json = JsonParse(unpacked.data, unpacked.len, "Iceberg metadata");
		mem_free(unpacked.data);
	}
	else
		json = JsonParse(text, len, "Iceberg metadata");
	if (!JsonIs(json, JSON_OBJECT))
		shard_fail(FAIL_CORRUPT, "Iceberg metadata is not a JSON object");

	metadata->json = (void *) json;
	metadata->format_version = JsonInt(json, "format-version", true, 0);
	if (metadata->format_version < 1 || metadata->format_version > 3)
		shard_fail(FAIL_UNSUPPORTED, "Iceberg format version %d is not supported",
				   metadata->format_version);
	metadata->table_uuid = JsonString(json, "table-uuid", metadata->format_version > 1);
	metadata->location = JsonString(json, "location", true);
	metadata->last_sequence_number =
		JsonInteger(json, "last-sequence-number", metadata->format_version > 1, 0);
	metadata->last_updated_ms = JsonInteger(json, "last-updated-ms", true, 0);
	metadata->last_column_id = JsonInt(json, "last-column-id", true, 0);
	ParseSchemas(json, metadata);
	ParseSpecs(json, metadata);
	ParseSortOrders(json, metadata);
	metadata->properties = ParseStrings(JsonMember(json, "properties", JSON_OBJECT, false),
										"property", &metadata->nproperties);
	ParseSnapshots(json, metadata);
	return metadata;
}

/* ---- lookups ---- */

const IcebergSchema *
IcebergSchemaById(const IcebergMetadata *metadata, int id)
{
	for (int i = 0; i < metadata->nschemas; i++)
		if (metadata->schemas[i].schema_id == id)
			return &metadata->schemas[i];
	return NULL;
}

const IcebergSchema *
IcebergCurrentSchema(const IcebergMetadata *metadata)
{
	const IcebergSchema *schema = IcebergSchemaById(metadata, metadata->current_schema_id);

	if (schema == NULL)
		shard_fail(FAIL_CORRUPT, "the current schema %d is missing in Iceberg metadata",
				   metadata->current_schema_id);
	return schema;
}

const IcebergSpec *
IcebergSpecById(const IcebergMetadata *metadata, int id)
{
	for (int i = 0; i < metadata->nspecs; i++)
		if (metadata->specs[i].spec_id == id)
			return &metadata->specs[i];
	return NULL;
}

const IcebergSnapshot *
IcebergSnapshotById(const IcebergMetadata *metadata, int64 id)
{
	for (int i = metadata->nsnapshots - 1; i >= 0; i--)
		if (metadata->snapshots[i].snapshot_id == id)
			return &metadata->snapshots[i];
	return NULL;
}

const IcebergField *
IcebergFieldById(const IcebergSchema *schema, int id)
{
	for (int i = 0; i < schema->nfields; i++)
		if (schema->fields[i].id == id)
			return &schema->fields[i];
	return NULL;
}

const IcebergField *
IcebergFieldByName(const IcebergSchema *schema, const char *name)
{
	for (int i = 0; i < schema->nfields; i++)
		if (strcmp(schema->fields[i].name, name) == 0)
			return &schema->fields[i];
	return NULL;
}

static const char *
ValueOfKey(const IcebergKeyValue *values, int n, const char *key)
{
	for (int i = 0; i < n; i++)
		if (strcmp(values[i].key, key) == 0)
			return values[i].value;
	return NULL;
}

const char *
IcebergProperty(const IcebergMetadata *metadata, const char *key)
{
	return ValueOfKey(metadata->properties, metadata->nproperties, key);
}

const char *
IcebergSummaryValue(const IcebergSnapshot *snapshot, const char *key)
{
	return ValueOfKey(snapshot->summary, snapshot->nsummary, key);
}

const IcebergColumnStats *
IcebergStatsOf(const IcebergFile *file, int field_id)
{
	int			low = 0;
	int			high = file->nstats - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			id = file->stats[middle].field_id;

		if (id == field_id)
			return &file->stats[middle];
		if (id < field_id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}
