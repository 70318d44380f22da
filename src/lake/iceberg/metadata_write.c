/*
 * metadata_write.c
 *		Writer of table metadata files (format version 2).
 *
 * The document starts as a copy of the one that was read, so that members that
 * we know nothing of stay; those that we know are set from the structs.
 */
#include "lake/iceberg/json.h"
#include "lake/iceberg/iceberg.h"

/* An element as it was read, or a new one. */
#define AS_READ(element) ((Json *) (element)->json)

static Json *
TypeJson(const IcebergField *field)
{
	char		name[64];

	if (field->type_json != NULL)
		return JsonParse(field->type_json, strlen(field->type_json), "a column\'s type or default");
	return JsonNewString(LakeTypeIcebergName(field->type, name, sizeof(name)));
}

static Json *
FieldJson(const IcebergField *field)
{
	Json	   *json = JsonNew(JSON_OBJECT);

	JsonSet(json, "id", JsonNewInteger(field->id));
	JsonSet(json, "name", JsonNewString(field->name));
	JsonSet(json, "required", JsonNew(field->required ? JSON_TRUE : JSON_FALSE));
	JsonSet(json, "type", TypeJson(field));
	if (field->doc != NULL)
		JsonSet(json, "doc", JsonNewString(field->doc));
	if (field->initial_default_json != NULL)
		JsonSet(json, "initial-default",
							JsonParse(field->initial_default_json, strlen(field->initial_default_json), "a column\'s type or default"));
	return json;
}

static Json *
IntegersJson(const int *values, int n)
{
	Json	   *json = JsonNew(JSON_ARRAY);

	for (int i = 0; i < n; i++)
		JsonAppend(json, JsonNewInteger(values[i]));
	return json;
}

static Json *
SchemaJson(const IcebergSchema *schema)
{
	Json	   *json;
	Json	   *fields;

	if (schema->json != NULL)
		return AS_READ(schema);
	json = JsonNew(JSON_OBJECT);
	fields = JsonNew(JSON_ARRAY);
	JsonSet(json, "type", JsonNewString("struct"));
	JsonSet(json, "schema-id", JsonNewInteger(schema->schema_id));
	if (schema->nidentifiers > 0)
		JsonSet(json, "identifier-field-ids",
							IntegersJson(schema->identifiers, schema->nidentifiers));
	for (int i = 0; i < schema->nfields; i++)
		JsonAppend(fields, FieldJson(&schema->fields[i]));
	JsonSet(json, "fields", fields);
	return json;
}

char *
IcebergSchemaText(const IcebergSchema *schema)
{
	return JsonText(SchemaJson(schema), NULL);
}

static Json *
SpecFieldsJson(const IcebergSpec *spec)
{
	Json	   *fields = JsonNew(JSON_ARRAY);

	for (int i = 0; i < spec->nfields; i++)
	{
		const IcebergPartitionField *field = &spec->fields[i];
		Json	   *json = JsonNew(JSON_OBJECT);

		JsonSet(json, "source-id", JsonNewInteger(field->source_id));
		JsonSet(json, "field-id", JsonNewInteger(field->field_id));
		JsonSet(json, "name", JsonNewString(field->name));
		JsonSet(json, "transform", JsonNewString(field->transform));
		JsonAppend(fields, json);
	}
	return fields;
}

char *
IcebergSpecText(const IcebergSpec *spec)
{
	return JsonText(SpecFieldsJson(spec), NULL);
}

static Json *
SpecJson(const IcebergSpec *spec)
{
	Json	   *json;

	if (spec->json != NULL)
		return AS_READ(spec);
	json = JsonNew(JSON_OBJECT);
	JsonSet(json, "spec-id", JsonNewInteger(spec->spec_id));
	JsonSet(json, "fields", SpecFieldsJson(spec));
	return json;
}

static Json *
SortOrderJson(const IcebergSortOrder *order)
{
	Json	   *json;
	Json	   *fields;

	if (order->json != NULL)
		return AS_READ(order);
	json = JsonNew(JSON_OBJECT);
	fields = JsonNew(JSON_ARRAY);
	for (int i = 0; i < order->nfields; i++)
	{
		Json	   *field = JsonNew(JSON_OBJECT);
		int			flags = order->flags == NULL ? 0 : order->flags[i];

		JsonSet(field, "transform", JsonNewString("identity"));
		JsonSet(field, "source-id", JsonNewInteger(order->source_ids[i]));
		JsonSet(field, "direction", JsonNewString((flags & ICEBERG_SORT_DESC) ? "desc" : "asc"));
		JsonSet(field, "null-order",
				JsonNewString((flags & ICEBERG_SORT_NULLS_FIRST) ? "nulls-first" : "nulls-last"));
		JsonAppend(fields, field);
	}
	JsonSet(json, "order-id", JsonNewInteger(order->order_id));
	JsonSet(json, "fields", fields);
	return json;
}

static Json *
StringsJson(const IcebergKeyValue *values, int n)
{
	Json	   *json = JsonNew(JSON_OBJECT);

	for (int i = 0; i < n; i++)
		JsonSet(json, values[i].key, JsonNewString(values[i].value));
	return json;
}

static Json *
SnapshotJson(const IcebergSnapshot *snapshot)
{
	Json	   *json;

	if (snapshot->json != NULL)
		return AS_READ(snapshot);
	json = JsonNew(JSON_OBJECT);
	JsonSet(json, "sequence-number", JsonNewInteger(snapshot->sequence_number));
	JsonSet(json, "snapshot-id", JsonNewInteger(snapshot->snapshot_id));
	if (snapshot->parent_id != -1)
		JsonSet(json, "parent-snapshot-id", JsonNewInteger(snapshot->parent_id));
	JsonSet(json, "timestamp-ms", JsonNewInteger(snapshot->timestamp_ms));
	JsonSet(json, "summary", StringsJson(snapshot->summary, snapshot->nsummary));
	JsonSet(json, "manifest-list", JsonNewString(snapshot->manifest_list));
	if (snapshot->schema_id != -1)
		JsonSet(json, "schema-id", JsonNewInteger(snapshot->schema_id));
	return json;
}

/* The references as they were read, main moved, those dropped that are not ours any more. */
static Json *
RefsJson(const IcebergMetadata *metadata, const Json *old)
{
	Json	   *refs = JsonNew(JSON_OBJECT);

	for (int i = 0; i < metadata->nrefs; i++)
	{
		Json	   *ref = JsonGet(old, metadata->refs[i].name);

		ref = ref == NULL ? JsonNew(JSON_OBJECT) : JsonCopy(ref);
		if (JsonGet(ref, "type") == NULL)
			JsonSet(ref, "type", JsonNewString("branch"));
		JsonSet(ref, "snapshot-id", JsonNewInteger(metadata->refs[i].snapshot_id));
		JsonSet(refs, metadata->refs[i].name, ref);
	}
	if (metadata->current_snapshot_id != -1)
	{
		Json	   *ref = JsonGet(old, "main");

		ref = ref == NULL ? JsonNew(JSON_OBJECT) : JsonCopy(ref);
		JsonSet(ref, "type", JsonNewString("branch"));
		JsonSet(ref, "snapshot-id", JsonNewInteger(metadata->current_snapshot_id));
		JsonSet(refs, "main", ref);
	}
	return refs;
}

static Json *
SnapshotLogJson(const IcebergMetadata *metadata)
{
	Json	   *log = JsonNew(JSON_ARRAY);

	for (int i = 0; i < metadata->nsnapshot_log; i++)
	{
		Json	   *entry = JsonNew(JSON_OBJECT);

		JsonSet(entry, "timestamp-ms",
							JsonNewInteger(metadata->snapshot_log[i].timestamp_ms));
		JsonSet(entry, "snapshot-id",
							JsonNewInteger(metadata->snapshot_log[i].snapshot_id));
		JsonAppend(log, entry);
	}
	return log;
}

static Json *
MetadataLogJson(const IcebergMetadata *metadata)
{
	Json	   *log = JsonNew(JSON_ARRAY);

	for (int i = 0; i < metadata->nmetadata_log; i++)
	{
		Json	   *entry = JsonNew(JSON_OBJECT);

		JsonSet(entry, "timestamp-ms",
							JsonNewInteger(metadata->metadata_log[i].timestamp_ms));
		JsonSet(entry, "metadata-file",
							JsonNewString(metadata->metadata_log[i].metadata_file));
		JsonAppend(log, entry);
	}
	return log;
}

/* Set a member to an array of what Convert makes of each element. */
#define SET_ARRAY(json, key, elements, n, Convert) \
	do { \
		Json *array_ = JsonNew(JSON_ARRAY); \
		for (int i_ = 0; i_ < (n); i_++) \
			JsonAppend(array_, Convert(&(elements)[i_])); \
		JsonSet((json), (key), array_); \
	} while (0)

static void
SetShape(Json *json, const IcebergMetadata *metadata)
{
	JsonSet(json, "last-column-id", JsonNewInteger(metadata->last_column_id));
	SET_ARRAY(json, "schemas", metadata->schemas, metadata->nschemas, SchemaJson);
	JsonSet(json, "current-schema-id", JsonNewInteger(metadata->current_schema_id));
	SET_ARRAY(json, "partition-specs", metadata->specs, metadata->nspecs, SpecJson);
	JsonSet(json, "default-spec-id", JsonNewInteger(metadata->default_spec_id));
	JsonSet(json, "last-partition-id", JsonNewInteger(metadata->last_partition_id));
	SET_ARRAY(json, "sort-orders", metadata->sort_orders, metadata->nsort_orders, SortOrderJson);
	JsonSet(json, "default-sort-order-id",
						JsonNewInteger(metadata->default_sort_order_id));
}

/* Of statistics files that others wrote, keep those whose snapshot is kept. */
static void
CutStatistics(Json *json, const char *key, const IcebergMetadata *metadata)
{
	const Json *old = JsonGet(json, key);
	Json	   *kept = JsonNew(JSON_ARRAY);

	if (!JsonIs(old, JSON_ARRAY))
		return;
	for (int i = 0; i < JsonSize(old); i++)
	{
		Json	   *element = JsonAt(old, i);

		if (IcebergSnapshotById(metadata, JsonIntegerValue(JsonGet(element, "snapshot-id"))) != NULL)
			JsonAppend(kept, element);
	}
	JsonSet(json, key, kept);
}

static void
SetSnapshots(Json *json, const IcebergMetadata *metadata)
{
	Json	   *refs = RefsJson(metadata, JsonGet(json, "refs"));

	if (metadata->current_snapshot_id == -1)
		JsonRemove(json, "current-snapshot-id");
	else
		JsonSet(json, "current-snapshot-id",
							JsonNewInteger(metadata->current_snapshot_id));
	JsonSet(json, "refs", refs);
	SET_ARRAY(json, "snapshots", metadata->snapshots, metadata->nsnapshots, SnapshotJson);
	JsonSet(json, "snapshot-log", SnapshotLogJson(metadata));
	JsonSet(json, "metadata-log", MetadataLogJson(metadata));
	CutStatistics(json, "statistics", metadata);
	CutStatistics(json, "partition-statistics", metadata);
}

char *
IcebergWriteMetadata(const IcebergMetadata *metadata, size_t *len)
{
	Json	   *json;

	if (metadata->format_version != 2)
		shard_fail(FAIL_UNSUPPORTED, "only Iceberg tables of format version 2 are written, not %d",
				   metadata->format_version);
	json = metadata->json == NULL ? JsonNew(JSON_OBJECT) : JsonCopy(metadata->json);
	JsonSet(json, "format-version", JsonNewInteger(metadata->format_version));
	JsonSet(json, "table-uuid", JsonNewString(metadata->table_uuid));
	JsonSet(json, "location", JsonNewString(metadata->location));
	JsonSet(json, "last-sequence-number",
						JsonNewInteger(metadata->last_sequence_number));
	JsonSet(json, "last-updated-ms", JsonNewInteger(metadata->last_updated_ms));
	SetShape(json, metadata);
	JsonSet(json, "properties",
						StringsJson(metadata->properties, metadata->nproperties));
	SetSnapshots(json, metadata);
	return JsonText(json, len);
}
