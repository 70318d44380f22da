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
#define AS_READ(element) json_incref((json_t *) (element)->json)

static json_t *
TypeJson(const IcebergField *field)
{
	char		name[64];

	if (field->type_json != NULL)
		return json_loads(field->type_json, JSON_DECODE_ANY, NULL);
	return json_string(LakeTypeIcebergName(field->type, name, sizeof(name)));
}

static json_t *
FieldJson(const IcebergField *field)
{
	json_t	   *json = json_object();

	json_object_set_new(json, "id", json_integer(field->id));
	json_object_set_new(json, "name", json_string(field->name));
	json_object_set_new(json, "required", json_boolean(field->required));
	json_object_set_new(json, "type", TypeJson(field));
	if (field->doc != NULL)
		json_object_set_new(json, "doc", json_string(field->doc));
	if (field->initial_default_json != NULL)
		json_object_set_new(json, "initial-default",
							json_loads(field->initial_default_json, JSON_DECODE_ANY, NULL));
	return json;
}

static json_t *
IntegersJson(const int *values, int n)
{
	json_t	   *json = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(json, json_integer(values[i]));
	return json;
}

static json_t *
SchemaJson(const IcebergSchema *schema)
{
	json_t	   *json;
	json_t	   *fields;

	if (schema->json != NULL)
		return AS_READ(schema);
	json = json_object();
	fields = json_array();
	json_object_set_new(json, "type", json_string("struct"));
	json_object_set_new(json, "schema-id", json_integer(schema->schema_id));
	if (schema->nidentifiers > 0)
		json_object_set_new(json, "identifier-field-ids",
							IntegersJson(schema->identifiers, schema->nidentifiers));
	for (int i = 0; i < schema->nfields; i++)
		json_array_append_new(fields, FieldJson(&schema->fields[i]));
	json_object_set_new(json, "fields", fields);
	return json;
}

char *
IcebergSchemaText(const IcebergSchema *schema)
{
	return JsonText(JsonKeep(SchemaJson(schema)), NULL);
}

static json_t *
SpecFieldsJson(const IcebergSpec *spec)
{
	json_t	   *fields = json_array();

	for (int i = 0; i < spec->nfields; i++)
	{
		const IcebergPartitionField *field = &spec->fields[i];
		json_t	   *json = json_object();

		json_object_set_new(json, "source-id", json_integer(field->source_id));
		json_object_set_new(json, "field-id", json_integer(field->field_id));
		json_object_set_new(json, "name", json_string(field->name));
		json_object_set_new(json, "transform", json_string(field->transform));
		json_array_append_new(fields, json);
	}
	return fields;
}

char *
IcebergSpecText(const IcebergSpec *spec)
{
	return JsonText(JsonKeep(SpecFieldsJson(spec)), NULL);
}

static json_t *
SpecJson(const IcebergSpec *spec)
{
	json_t	   *json;

	if (spec->json != NULL)
		return AS_READ(spec);
	json = json_object();
	json_object_set_new(json, "spec-id", json_integer(spec->spec_id));
	json_object_set_new(json, "fields", SpecFieldsJson(spec));
	return json;
}

static json_t *
SortOrderJson(const IcebergSortOrder *order)
{
	json_t	   *json;
	json_t	   *fields;

	if (order->json != NULL)
		return AS_READ(order);
	json = json_object();
	fields = json_array();
	for (int i = 0; i < order->nfields; i++)
	{
		json_t	   *field = json_object();

		json_object_set_new(field, "transform", json_string("identity"));
		json_object_set_new(field, "source-id", json_integer(order->source_ids[i]));
		json_object_set_new(field, "direction", json_string("asc"));
		json_object_set_new(field, "null-order", json_string("nulls-last"));
		json_array_append_new(fields, field);
	}
	json_object_set_new(json, "order-id", json_integer(order->order_id));
	json_object_set_new(json, "fields", fields);
	return json;
}

static json_t *
StringsJson(const IcebergKeyValue *values, int n)
{
	json_t	   *json = json_object();

	for (int i = 0; i < n; i++)
		json_object_set_new(json, values[i].key, json_string(values[i].value));
	return json;
}

static json_t *
SnapshotJson(const IcebergSnapshot *snapshot)
{
	json_t	   *json;

	if (snapshot->json != NULL)
		return AS_READ(snapshot);
	json = json_object();
	json_object_set_new(json, "sequence-number", json_integer(snapshot->sequence_number));
	json_object_set_new(json, "snapshot-id", json_integer(snapshot->snapshot_id));
	if (snapshot->parent_id != -1)
		json_object_set_new(json, "parent-snapshot-id", json_integer(snapshot->parent_id));
	json_object_set_new(json, "timestamp-ms", json_integer(snapshot->timestamp_ms));
	json_object_set_new(json, "summary", StringsJson(snapshot->summary, snapshot->nsummary));
	json_object_set_new(json, "manifest-list", json_string(snapshot->manifest_list));
	if (snapshot->schema_id != -1)
		json_object_set_new(json, "schema-id", json_integer(snapshot->schema_id));
	return json;
}

/* The references as they were read, main moved, those dropped that are not ours any more. */
static json_t *
RefsJson(const IcebergMetadata *metadata, const json_t *old)
{
	json_t	   *refs = json_object();

	for (int i = 0; i < metadata->nrefs; i++)
	{
		json_t	   *ref = json_object_get(old, metadata->refs[i].name);

		ref = ref == NULL ? json_object() : json_copy(ref);
		if (json_object_get(ref, "type") == NULL)
			json_object_set_new(ref, "type", json_string("branch"));
		json_object_set_new(ref, "snapshot-id", json_integer(metadata->refs[i].snapshot_id));
		json_object_set_new(refs, metadata->refs[i].name, ref);
	}
	if (metadata->current_snapshot_id != -1)
	{
		json_t	   *ref = json_object_get(old, "main");

		ref = ref == NULL ? json_object() : json_copy(ref);
		json_object_set_new(ref, "type", json_string("branch"));
		json_object_set_new(ref, "snapshot-id", json_integer(metadata->current_snapshot_id));
		json_object_set_new(refs, "main", ref);
	}
	return refs;
}

static json_t *
SnapshotLogJson(const IcebergMetadata *metadata)
{
	json_t	   *log = json_array();

	for (int i = 0; i < metadata->nsnapshot_log; i++)
	{
		json_t	   *entry = json_object();

		json_object_set_new(entry, "timestamp-ms",
							json_integer(metadata->snapshot_log[i].timestamp_ms));
		json_object_set_new(entry, "snapshot-id",
							json_integer(metadata->snapshot_log[i].snapshot_id));
		json_array_append_new(log, entry);
	}
	return log;
}

static json_t *
MetadataLogJson(const IcebergMetadata *metadata)
{
	json_t	   *log = json_array();

	for (int i = 0; i < metadata->nmetadata_log; i++)
	{
		json_t	   *entry = json_object();

		json_object_set_new(entry, "timestamp-ms",
							json_integer(metadata->metadata_log[i].timestamp_ms));
		json_object_set_new(entry, "metadata-file",
							json_string(metadata->metadata_log[i].metadata_file));
		json_array_append_new(log, entry);
	}
	return log;
}

/* Set a member to an array of what Convert makes of each element. */
#define SET_ARRAY(json, key, elements, n, Convert) \
	do { \
		json_t *array_ = json_array(); \
		for (int i_ = 0; i_ < (n); i_++) \
			json_array_append_new(array_, Convert(&(elements)[i_])); \
		json_object_set_new((json), (key), array_); \
	} while (0)

static void
SetShape(json_t *json, const IcebergMetadata *metadata)
{
	json_object_set_new(json, "last-column-id", json_integer(metadata->last_column_id));
	SET_ARRAY(json, "schemas", metadata->schemas, metadata->nschemas, SchemaJson);
	json_object_set_new(json, "current-schema-id", json_integer(metadata->current_schema_id));
	SET_ARRAY(json, "partition-specs", metadata->specs, metadata->nspecs, SpecJson);
	json_object_set_new(json, "default-spec-id", json_integer(metadata->default_spec_id));
	json_object_set_new(json, "last-partition-id", json_integer(metadata->last_partition_id));
	SET_ARRAY(json, "sort-orders", metadata->sort_orders, metadata->nsort_orders, SortOrderJson);
	json_object_set_new(json, "default-sort-order-id",
						json_integer(metadata->default_sort_order_id));
}

static void
SetSnapshots(json_t *json, const IcebergMetadata *metadata)
{
	json_t	   *refs = RefsJson(metadata, json_object_get(json, "refs"));

	if (metadata->current_snapshot_id == -1)
		json_object_del(json, "current-snapshot-id");
	else
		json_object_set_new(json, "current-snapshot-id",
							json_integer(metadata->current_snapshot_id));
	json_object_set_new(json, "refs", refs);
	SET_ARRAY(json, "snapshots", metadata->snapshots, metadata->nsnapshots, SnapshotJson);
	json_object_set_new(json, "snapshot-log", SnapshotLogJson(metadata));
	json_object_set_new(json, "metadata-log", MetadataLogJson(metadata));
}

char *
IcebergWriteMetadata(const IcebergMetadata *metadata, size_t *len)
{
	json_t	   *json;

	if (metadata->format_version != 2)
		shard_fail(FAIL_UNSUPPORTED, "only Iceberg tables of format version 2 are written, not %d",
				   metadata->format_version);
	json = JsonKeep(metadata->json == NULL ? json_object() : json_copy(metadata->json));
	json_object_set_new(json, "format-version", json_integer(metadata->format_version));
	json_object_set_new(json, "table-uuid", json_string(metadata->table_uuid));
	json_object_set_new(json, "location", json_string(metadata->location));
	json_object_set_new(json, "last-sequence-number",
						json_integer(metadata->last_sequence_number));
	json_object_set_new(json, "last-updated-ms", json_integer(metadata->last_updated_ms));
	SetShape(json, metadata);
	json_object_set_new(json, "properties",
						StringsJson(metadata->properties, metadata->nproperties));
	SetSnapshots(json, metadata);
	return JsonText(json, len);
}
