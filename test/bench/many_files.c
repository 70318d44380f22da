/* sources: src/lake/iceberg/[a-z]*.c src/wire/transform.c src/wire/types.c ; libs: -lzstd -lsnappy -lz -lxxhash */
/*
 * many_files.c
 *		The metadata of an Iceberg table with many data files, which need not be
 *		there for a query to be planned.
 *
 *		many_files DIRECTORY FILES MANIFESTS
 *
 * Columns: id, day, name, amount and twelve numbers.  File i has the ids from
 * 1000 * i on.  The partition is the day, 100 files each.
 */
#include "lake/iceberg/iceberg.h"
#include "tap.h"

#define ROWS 1000
#define NUMBERS 12
#define NFIELDS (4 + NUMBERS)
#define SNAPSHOT 1234567890

static IcebergField fields[NFIELDS];

static void
MakeFields(void)
{
	fields[0] = (IcebergField) {.id = 1,.name = "id",.type_json = "\"long\"",.type = {LAKE_LONG}};
	fields[1] = (IcebergField) {.id = 2,.name = "day",.type_json = "\"date\"",.type = {LAKE_DATE}};
	fields[2] = (IcebergField) {.id = 3,.name = "name",.type_json = "\"string\"",.type = {LAKE_STRING}};
	fields[3] = (IcebergField) {.id = 4,.name = "amount",.type_json = "\"double\"",.type = {LAKE_DOUBLE}};
	for (int i = 0; i < NUMBERS; i++)
	{
		fields[4 + i] = (IcebergField) {.id = 5 + i,.type_json = "\"int\"",.type = {LAKE_INT}};
		fields[4 + i].name = mem_alloc(16);
		snprintf(fields[4 + i].name, 16, "n%d", i + 1);
	}
	for (int i = 0; i < NFIELDS; i++)
		fields[i].primitive = true;
}

static IcebergBytes
Bytes(LakeType type, const void *value, size_t len)
{
	return IcebergSerializeValue(type, value, len);
}

static void
SetBounds(IcebergColumnStats *stats, int column, int i)
{
	LakeType	type = fields[column].type;
	int64		first = (int64) ROWS * i;
	int64		last = first + ROWS - 1;
	int32		day = 19000 + i / 100;
	int32		small[] = {-i, i + column};
	double		amounts[] = {0.5, 1000.0 + i};
	char		names[2][32];

	snprintf(names[0], sizeof(names[0]), "name %06d", i);
	snprintf(names[1], sizeof(names[1]), "name %06d", i + 1);
	stats[column] = (IcebergColumnStats) {column + 1, 4000, ROWS, 0, type.kind == LAKE_DOUBLE ? 0 : -1};
	switch (type.kind)
	{
		case LAKE_LONG:
			stats[column].lower = Bytes(type, &first, 8);
			stats[column].upper = Bytes(type, &last, 8);
			break;
		case LAKE_DATE:
			stats[column].lower = stats[column].upper = Bytes(type, &day, 4);
			break;
		case LAKE_STRING:
			stats[column].lower = Bytes(type, names[0], strlen(names[0]));
			stats[column].upper = Bytes(type, names[1], strlen(names[1]));
			break;
		case LAKE_DOUBLE:
			stats[column].lower = Bytes(type, &amounts[0], 8);
			stats[column].upper = Bytes(type, &amounts[1], 8);
			break;
		default:
			stats[column].lower = Bytes(type, &small[0], 4);
			stats[column].upper = Bytes(type, &small[1], 4);
	}
}

static IcebergFile *
MakeFile(const char *directory, int i)
{
	IcebergFile *file = mem_alloc0(sizeof(IcebergFile));
	int32		day = 19000 + i / 100;

	file->path = mem_alloc(strlen(directory) + 32);
	sprintf(file->path, "%s/data/%08d.parquet", directory, i);
	file->format = "PARQUET";
	file->npartition = 1;
	file->partition = mem_alloc0(sizeof(IcebergPartitionValue));
	file->partition[0] = (IcebergPartitionValue) {1000, Bytes(fields[1].type, &day, 4)};
	file->record_count = ROWS;
	file->file_size = 40000;
	file->nstats = NFIELDS;
	file->stats = mem_alloc0(sizeof(IcebergColumnStats) * NFIELDS);
	for (int column = 0; column < NFIELDS; column++)
		SetBounds(file->stats, column, i);
	file->sort_order_id = -1;
	file->content_offset = file->content_size = -1;
	file->snapshot_id = SNAPSHOT;
	file->sequence_number = file->file_sequence_number = -1;
	file->status = 1;
	return file;
}

static void
WriteFile(const char *directory, const char *name, const char *data, size_t len)
{
	char		path[4096];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/metadata/%s", directory, name);
	file = fopen(path, "wb");
	if (file == NULL || fwrite(data, 1, len, file) != len || fclose(file) != 0)
	{
		perror(path);
		exit(1);
	}
}

static IcebergManifest
WriteManifest(const IcebergMetadata *metadata, int number, int first, int n)
{
	const IcebergFile **files = mem_alloc(sizeof(IcebergFile *) * n);
	IcebergManifest manifest = {.added_snapshot_id = SNAPSHOT,.sequence_number = 1,.min_sequence_number = 1};
	char		name[32];
	size_t		len;
	char	   *data;

	for (int i = 0; i < n; i++)
		files[i] = MakeFile(metadata->location, first + i);
	data = IcebergWriteManifest(files, n, metadata, metadata->schemas, metadata->specs, 0, &len);
	snprintf(name, sizeof(name), "%06d-m0.avro", number);
	WriteFile(metadata->location, name, data, len);
	manifest.path = mem_alloc(strlen(metadata->location) + 64);
	sprintf(manifest.path, "%s/metadata/%s", metadata->location, name);
	manifest.length = len;
	manifest.added_files = n;
	manifest.added_rows = (int64) n * ROWS;
	return manifest;
}

int
main(int argc, char **argv)
{
	IcebergSchema schema = {.nfields = NFIELDS,.fields = fields};
	IcebergPartitionField part = {2, 1000, "day", "identity"};
	IcebergSpec spec = {.nfields = 1,.fields = &part};
	IcebergSortOrder order = {0};
	IcebergKeyValue operation = {"operation", "append"};
	IcebergSnapshot snapshot = {SNAPSHOT, -1, 1, 1700000000000, 0, NULL, 1, &operation};
	IcebergMetadata metadata = {.format_version = 2,.table_uuid = "6e2d4c1a-0000-4000-8000-000000000001",
		.last_sequence_number = 1,.last_updated_ms = 1700000000000,.last_column_id = NFIELDS,.nschemas = 1,
		.schemas = &schema,.last_partition_id = 1000,.nspecs = 1,.specs = &spec,.nsort_orders = 1,
		.sort_orders = &order,.current_snapshot_id = SNAPSHOT,.nsnapshots = 1,.snapshots = &snapshot};
	int			files = argc == 4 ? atoi(argv[2]) : 0;
	int			n = argc == 4 ? atoi(argv[3]) : 0;
	IcebergManifest *manifests = mem_alloc(sizeof(IcebergManifest) * (n + 1));
	size_t		len;
	char	   *text;

	if (files < 1 || n < 1 || files < n)
	{
		fprintf(stderr, "usage: many_files DIRECTORY FILES MANIFESTS\n");
		return 2;
	}
	MakeFields();
	metadata.location = argv[1];
	for (int i = 0; i < n; i++)
	{
		int			first = (int) ((int64) files * i / n);

		manifests[i] = WriteManifest(&metadata, i, first, (int) ((int64) files * (i + 1) / n) - first);
	}
	text = IcebergWriteManifestList(manifests, n, SNAPSHOT, -1, 1, &len);
	WriteFile(argv[1], "snap.avro", text, len);
	snapshot.manifest_list = mem_alloc(strlen(argv[1]) + 32);
	sprintf(snapshot.manifest_list, "%s/metadata/snap.avro", argv[1]);
	text = IcebergWriteMetadata(&metadata, &len);
	WriteFile(argv[1], "v1.metadata.json", text, len);
	return 0;
}
