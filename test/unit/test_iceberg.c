/* sources: src/lake/iceberg/avro.c src/lake/iceberg/avro_write.c src/lake/iceberg/buffer.c src/lake/iceberg/codec.c src/lake/iceberg/json.c src/lake/iceberg/json_parse.c src/lake/iceberg/manifest.c src/lake/iceberg/manifest_list.c src/lake/iceberg/manifest_write.c src/lake/iceberg/metadata.c src/lake/iceberg/metadata_write.c src/lake/iceberg/transform.c src/lake/iceberg/value.c src/wire/transform.c src/wire/types.c ; libs: -lzstd -lsnappy -lz -lxxhash */
/*
 * test_iceberg.c
 *		Iceberg metadata, values, manifests and Avro that we make ourselves:
 *		round trips, known serializations, hostile input.
 */
#include <math.h>
#include <zlib.h>

#include "lake/iceberg/avro.h"
#include "tap.h"

static LakeType
Type(LakeKind kind, int precision, int scale)
{
	LakeType	type = {kind, precision, scale};

	return type;
}

#define BYTES(literal) ((IcebergBytes) {literal, sizeof(literal) - 1})

/* ---- values ---- */

static void
CheckValue(LakeType type, const void *value, size_t len, IcebergBytes expected, const char *name)
{
	IcebergBytes bytes = IcebergSerializeValue(type, value, len);

	is_mem(bytes.data, bytes.len, expected.data, expected.len, "%s", name);
	ok(IcebergBytesValid(type, bytes), "%s is valid", name);
	is_int(IcebergCompareBytes(type, bytes, bytes), 0, "%s equals itself", name);
}

/* Values and bytes from the specification's appendix on single-value serialization, or by it. */
static void
TestSerialization(void)
{
	int32		number = 34;
	int64		big = 34;
	int64		usecs = 1512151975038194;	/* 2017-12-01T18:12:55.038194 */
	int32		day = 17501;	/* 2017-12-01 */
	float		f = 1.0f;
	double		d = 1.0;
	uint8		yes = 1;
	int128		decimal = 1420;
	int128		negative = -1;
	int128		edge = 128;

	CheckValue(Type(LAKE_BOOLEAN, 0, 0), &yes, 1, BYTES("\1"), "true");
	CheckValue(Type(LAKE_INT, 0, 0), &number, 4, BYTES("\x22\0\0\0"), "int 34");
	CheckValue(Type(LAKE_LONG, 0, 0), &big, 8, BYTES("\x22\0\0\0\0\0\0\0"), "long 34");
	CheckValue(Type(LAKE_FLOAT, 0, 0), &f, 4, BYTES("\0\0\x80\x3f"), "float 1.0");
	CheckValue(Type(LAKE_DOUBLE, 0, 0), &d, 8, BYTES("\0\0\0\0\0\0\xf0\x3f"), "double 1.0");
	CheckValue(Type(LAKE_DATE, 0, 0), &day, 4, BYTES("\x5d\x44\0\0"), "date 2017-12-01");
	CheckValue(Type(LAKE_TIMESTAMP, 0, 0), &usecs, 8,
			   BYTES("\xf2\x8c\x51\x51\x4b\x5f\x05\x00"), "timestamp 2017-12-01 18:12:55.038194");
	CheckValue(Type(LAKE_STRING, 0, 0), "iceberg", 7, BYTES("iceberg"), "string");
	CheckValue(Type(LAKE_STRING, 0, 0), "", 0, BYTES(""), "empty string");
	CheckValue(Type(LAKE_BINARY, 0, 0), "\0\1", 2, BYTES("\0\1"), "binary");
	CheckValue(Type(LAKE_UUID, 0, 0), "\xf7\x9c\x3e\x09\x67\x7c\x4b\xbd\xa4\x79\x3f\x34\x9c\xb7\x85\xe7",
			   16, BYTES("\xf7\x9c\x3e\x09\x67\x7c\x4b\xbd\xa4\x79\x3f\x34\x9c\xb7\x85\xe7"), "uuid");
	CheckValue(Type(LAKE_DECIMAL, 9, 2), &decimal, 16, BYTES("\x05\x8c"), "decimal 14.20");
	CheckValue(Type(LAKE_DECIMAL, 9, 2), &negative, 16, BYTES("\xff"), "decimal -0.01");
	CheckValue(Type(LAKE_DECIMAL, 9, 2), &edge, 16, BYTES("\0\x80"), "decimal 1.28 keeps its sign");
}

static void
TestComparison(void)
{
	LakeType	number = Type(LAKE_LONG, 0, 0);
	LakeType	floating = Type(LAKE_DOUBLE, 0, 0);
	LakeType	decimal = Type(LAKE_DECIMAL, 38, 0);
	LakeType	string = Type(LAKE_STRING, 0, 0);
	double		zero = 0.0;
	double		minus_zero = -0.0;
	double		nan_value = NAN;
	double		big = INFINITY;
	IcebergBytes nan_bytes = IcebergSerializeValue(floating, &nan_value, 8);

	ok(IcebergCompareBytes(number, BYTES("\xff\xff\xff\xff"), BYTES("\0\0\0\0\0\0\0\0")) < 0,
	   "an int bound of a column that is long now keeps its sign");
	ok(IcebergCompareBytes(number, BYTES("\1\0\0\0\0\0\0\0"), BYTES("\0\1\0\0\0\0\0\0")) < 0,
	   "little-endian");
	ok(IcebergCompareBytes(decimal, BYTES("\xff"), BYTES("\0")) < 0, "negative decimal");
	ok(IcebergCompareBytes(decimal, BYTES("\0\x80"), BYTES("\x7f")) > 0, "decimals of two lengths");
	ok(IcebergCompareBytes(string, BYTES("a"), BYTES("ab")) < 0, "a prefix is less");
	ok(IcebergCompareBytes(string, BYTES("z"), BYTES("\xc3\xa4")) < 0, "bytes are unsigned");
	is_int(IcebergCompareBytes(floating, IcebergSerializeValue(floating, &zero, 8),
							   IcebergSerializeValue(floating, &minus_zero, 8)), 0, "0.0 = -0.0");
	ok(IcebergCompareBytes(floating, nan_bytes, IcebergSerializeValue(floating, &big, 8)) > 0,
	   "NaN is above infinity");
	is_int(IcebergCompareBytes(floating, nan_bytes, nan_bytes), 0, "NaN equals itself");
	ok(IcebergBytesNaN(floating, nan_bytes), "NaN is known as such");
	ok(!IcebergBytesValid(number, BYTES("\1\2\3")), "a long has no three bytes");
	EXPECT_FAIL_KIND(FAIL_CORRUPT, IcebergCompareBytes(number, BYTES("\1\2\3"), BYTES("\1\0\0\0")));
}

/* ---- metadata ---- */

static const char small_metadata[] =
"{\"format-version\":2,\"table-uuid\":\"u\",\"location\":\"/t\",\"last-sequence-number\":3,"
"\"last-updated-ms\":5,\"last-column-id\":2,\"unknown\":{\"kept\":[1,2.5]},"
"\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"extra\":true,\"fields\":["
"{\"id\":1,\"name\":\"a\",\"required\":true,\"type\":\"long\"},"
"{\"id\":2,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":3,"
"\"element\":\"int\",\"element-required\":false}}]}],\"current-schema-id\":0,"
"\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"default-spec-id\":0,"
"\"last-partition-id\":999,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],"
"\"default-sort-order-id\":0,\"properties\":{\"k\":\"v\"},\"current-snapshot-id\":7,"
"\"refs\":{\"main\":{\"snapshot-id\":7,\"type\":\"branch\",\"max-ref-age-ms\":9},"
"\"old\":{\"snapshot-id\":6,\"type\":\"tag\"}},"
"\"snapshots\":[{\"snapshot-id\":6,\"timestamp-ms\":1,\"sequence-number\":2,\"manifest-list\":\"/l6\","
"\"summary\":{\"operation\":\"append\"}},"
"{\"snapshot-id\":7,\"parent-snapshot-id\":6,\"timestamp-ms\":2,\"sequence-number\":3,"
"\"manifest-list\":\"/l7\",\"mystery\":null,\"summary\":{\"operation\":\"append\"}}],"
"\"snapshot-log\":[{\"timestamp-ms\":2,\"snapshot-id\":7}],\"metadata-log\":[]}";

static void
TestMetadata(void)
{
	IcebergMetadata *metadata = IcebergParseMetadata(small_metadata, strlen(small_metadata));
	const IcebergSchema *schema = IcebergCurrentSchema(metadata);
	IcebergSnapshot snapshots[3];
	IcebergKeyValue operation = {"operation", "append"};
	IcebergMetadata next = *metadata;
	IcebergMetadata *again;
	size_t		len;
	char	   *text;

	is_int(schema->nfields, 2, "two columns");
	ok(schema->fields[0].primitive && schema->fields[0].type.kind == LAKE_LONG, "a long");
	ok(!schema->fields[1].primitive, "a list is not primitive");
	is_str(IcebergProperty(metadata, "k"), "v", "a property");
	is_int(metadata->nrefs, 1, "one reference besides main");
	is_str(IcebergSummaryValue(IcebergSnapshotById(metadata, 7), "operation"), "append", "summary");

	memcpy(snapshots, metadata->snapshots, sizeof(IcebergSnapshot) * 2);
	memset(&snapshots[2], 0, sizeof(IcebergSnapshot));
	snapshots[2].snapshot_id = INT64_MAX;
	snapshots[2].parent_id = 7;
	snapshots[2].sequence_number = 4;
	snapshots[2].manifest_list = "/l8";
	snapshots[2].summary = &operation;
	snapshots[2].nsummary = 1;
	next.snapshots = snapshots;
	next.nsnapshots = 3;
	next.current_snapshot_id = INT64_MAX;
	text = IcebergWriteMetadata(&next, &len);
	again = IcebergParseMetadata(text, len);
	is_int(again->current_snapshot_id, INT64_MAX, "the new snapshot is current");
	is_int(IcebergSnapshotById(again, INT64_MAX)->parent_id, 7, "with its parent");
	ok(strstr(text, "\"unknown\":{\"kept\":[1,2.5]}") != NULL, "unknown members survive");
	ok(strstr(text, "\"mystery\":null") != NULL, "in snapshots, too");
	ok(strstr(text, "\"extra\":true") != NULL, "in schemas, too");
	ok(strstr(text, "\"max-ref-age-ms\":9") != NULL, "in references, too");
	ok(strstr(text, "\"old\"") != NULL, "tags stay");
}

static void
TestGzip(void)
{
	char		packed[4096];
	z_stream	stream = {0};

	deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
	stream.next_in = (Bytef *) small_metadata;
	stream.avail_in = sizeof(small_metadata) - 1;
	stream.next_out = (Bytef *) packed;
	stream.avail_out = sizeof(packed);
	deflate(&stream, Z_FINISH);
	deflateEnd(&stream);
	is_int(IcebergParseMetadata(packed, stream.total_out)->nsnapshots, 2, "gzip is read");
	EXPECT_FAIL_KIND(FAIL_CORRUPT, IcebergParseMetadata(packed, stream.total_out / 2));
	packed[stream.total_out / 2] ^= 0x55;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, IcebergParseMetadata(packed, stream.total_out));
}

/* Every cut and many changed bytes: an error or metadata, nothing worse. */
static void
TestHostileMetadata(void)
{
	size_t		len = strlen(small_metadata);
	volatile int errors = 0;

	for (volatile size_t cut = 0; cut < len; cut++)
		errors += CATCH_FAIL(IcebergParseMetadata(small_metadata, cut));
	is_int(errors, len, "metadata cut off anywhere are an error");
	for (volatile size_t at = 0; at < len; at++)
	{
		char	   *copy = mem_strdup(small_metadata);

		copy[at] = "0-[{\"n}]"[at % 8];
		CATCH_FAIL(IcebergParseMetadata(copy, len));
		mem_free(copy);
	}
	EXPECT_FAIL_KIND(FAIL_CORRUPT, IcebergParseMetadata("[]", 2));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, IcebergParseMetadata("{}", 2));
	EXPECT_FAIL_KIND(FAIL_UNSUPPORTED, IcebergParseMetadata("{\"format-version\":4}", 20));
}

/* ---- manifests ---- */

static IcebergMetadata *
PartitionedMetadata(void)
{
	static IcebergField fields[] = {
		{.id = 1,.name = "id",.primitive = true,.type = {LAKE_LONG, 0, 0}},
		{.id = 2,.name = "price",.primitive = true,.type = {LAKE_DECIMAL, 12, 2}},
		{.id = 3,.name = "at",.primitive = true,.type = {LAKE_TIMESTAMPTZ, 0, 0}},
		{.id = 4,.name = "u",.primitive = true,.type = {LAKE_UUID, 0, 0}},
	};
	static IcebergSchema schema = {.nfields = 4,.fields = fields};
	static IcebergPartitionField parts[] = {
		{2, 1000, "price", "identity"},
		{3, 1001, "at-day", "day"},
		{4, 1002, "4u", "identity"},
		{1, 1003, "id_bucket", "bucket[16]"},
	};
	static IcebergSpec specs[] = {{.spec_id = 0}, {.spec_id = 1,.nfields = 4,.fields = parts}};
	static IcebergMetadata metadata = {.format_version = 2,.nschemas = 1,.schemas = &schema,
	.nspecs = 2,.specs = specs,.current_snapshot_id = -1};

	return &metadata;
}

static void
FillFile(IcebergFile *file, int i)
{
	static IcebergColumnStats stats[] = {
		{1, 100, 10, 0, -1, {"\1\0\0\0\0\0\0\0", 8}, {"\x0a\0\0\0\0\0\0\0", 8}},
		{2, -1, 10, 10, 0, {NULL, 0}, {NULL, 0}},
	};
	static IcebergPartitionValue partition[] = {
		{1000, {"\xfe\x85", 2}},
		{1001, {"\x5d\x44\0\0", 4}},
		{1002, {"0123456789abcdef", 16}},
		{1003, {NULL, 0}},
	};
	static int64 offsets[] = {4, 1 << 30};
	char		path[64];

	memset(file, 0, sizeof(*file));
	snprintf(path, sizeof(path), "/t/data/%06d.parquet", i);
	file->path = mem_strdup(path);
	file->format = "PARQUET";
	file->npartition = 4;
	file->partition = partition;
	file->record_count = 10 + i;
	file->file_size = (int64) 1 << 33;
	file->nstats = 2;
	file->stats = stats;
	file->split_offsets = offsets;
	file->nsplit_offsets = 2;
	file->sort_order_id = i % 2 == 0 ? -1 : 1;
	file->status = i % 3;
	file->snapshot_id = 42;
	file->sequence_number = file->status == 1 ? -1 : 3;
	file->file_sequence_number = file->sequence_number;
	file->content_offset = file->content_size = -1;
}

#define NFILES 1000

static char *
MakeManifest(int n, size_t *len)
{
	IcebergMetadata *metadata = PartitionedMetadata();
	IcebergFile *files = mem_alloc(sizeof(IcebergFile) * n);
	const IcebergFile **pointers = mem_alloc(sizeof(*pointers) * n);

	for (int i = 0; i < n; i++)
	{
		FillFile(&files[i], i);
		pointers[i] = &files[i];
	}
	return IcebergWriteManifest(pointers, n, metadata, &metadata->schemas[0], &metadata->specs[1],
								0, len);
}

static void
TestManifest(void)
{
	IcebergMetadata *metadata = PartitionedMetadata();
	IcebergManifest manifest = {.path = "/m",.spec_id = 1,.sequence_number = 9,.added_snapshot_id = 42};
	IcebergFile *again;
	IcebergFile expected;
	size_t		len;
	char	   *data = MakeManifest(NFILES, &len);
	int			same = 0;

	is_int(IcebergReadManifest(data, len, metadata, &manifest, &again), NFILES,
		   "%d entries come back, in several blocks", NFILES);
	for (int i = 0; i < NFILES; i++)
	{
		FillFile(&expected, i);
		same += strcmp(expected.path, again[i].path) == 0 &&
			again[i].record_count == expected.record_count && again[i].npartition == 4 &&
			again[i].partition[0].value.len == 2 && again[i].partition[3].value.data == NULL &&
			again[i].sort_order_id == expected.sort_order_id &&
			again[i].sequence_number == (i % 3 == 1 ? 9 : 3) && again[i].nsplit_offsets == 2;
	}
	is_int(same, NFILES, "each as it was; added ones inherit their sequence number");
	is_mem(again[0].partition[0].value.data, again[0].partition[0].value.len, "\xfe\x85", 2,
		   "a negative decimal partition value");
	is_int(IcebergStatsOf(&again[0], 1)->column_size, 100, "statistics are found by column");
	is_int(IcebergStatsOf(&again[0], 2)->column_size, -1, "an unknown size stays unknown");
	is_int(IcebergStatsOf(&again[0], 2)->nan_count, 0, "a count of none is not unknown");
	ok(IcebergStatsOf(&again[0], 2)->lower.data == NULL, "no bound stays no bound");
	ok(IcebergStatsOf(&again[0], 3) == NULL, "a column without statistics");

	manifest.content = 1;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, IcebergReadManifest(data, len, metadata, &manifest, &again));
}

static void
TestManifestList(void)
{
	IcebergPartitionSummary summary[] = {{true, -1, {"a", 1}, {NULL, 0}}, {false, 1, {NULL, 0}, {"", 0}}};
	IcebergManifest manifests[] = {
		{.path = "/m1",.length = 10,.sequence_number = 1,.min_sequence_number = 1,.added_files = 3,
		.added_rows = (int64) 1 << 40,.npartitions = 2,.partitions = summary},
		{.path = "/m2",.length = 20,.content = 1,.spec_id = 1,.deleted_files = 2,.added_snapshot_id = 5},
	};
	IcebergManifest *again;
	size_t		len;
	char	   *data = IcebergWriteManifestList(manifests, 2, 5, -1, 7, &len);

	is_int(IcebergReadManifestList(data, len, 2, &again), 2, "two manifests come back");
	is_str(again[0].path, "/m1", "path");
	is_int(again[0].added_rows, (int64) 1 << 40, "rows");
	is_int(again[0].npartitions, 2, "partition summaries");
	is_int(again[0].partitions[1].contains_nan, 1, "contains_nan");
	is_int(again[0].partitions[0].contains_nan, -1, "contains_nan unknown");
	is_mem(again[0].partitions[0].lower.data, again[0].partitions[0].lower.len, "a", 1, "lower bound");
	is_int(again[1].content, 1, "content");
	is_int(again[1].added_snapshot_id, 5, "snapshot");
	is_int(IcebergReadManifestList(data, len, 1, &again), 2, "the same as version 1");
	is_int(again[0].sequence_number, 0, "has no sequence numbers");
}

/* The same container without compression, so that damage reaches the records. */
static char *
Unpack(const char *data, size_t len, size_t *unpacked_len)
{
	AvroFile   *file = AvroOpen(data, len);
	AvroCursor	cursor;
	Buffer		out;
	int64		count;

	BufferInit(&out);
	BufferPut(&out, "Obj\1", 4);
	AvroPutLong(&out, 1);
	AvroPutString(&out, "avro.schema");
	AvroPutString(&out, AvroMeta(file, "avro.schema"));
	AvroPutLong(&out, 0);
	BufferPut(&out, file->sync, 16);
	while ((count = AvroNextBlock(file, &cursor)) > 0)
	{
		AvroPutLong(&out, count);
		AvroPutBytes(&out, cursor.p, cursor.end - cursor.p);
		BufferPut(&out, file->sync, 16);
	}
	*unpacked_len = out.len;
	return out.data;
}

static void
TestHostileManifest(void)
{
	IcebergMetadata *metadata = PartitionedMetadata();
	IcebergManifest manifest = {.path = "/m",.spec_id = 1,.sequence_number = 9};
	IcebergFile *files;
	size_t		packed_len;
	size_t		len;
	char	   *packed = MakeManifest(4, &packed_len);
	char	   *data = Unpack(packed, packed_len, &len);
	volatile int errors = 0;
	volatile size_t cuts = 0;

	is_int(IcebergReadManifest(data, len, metadata, &manifest, &files), 4, "codec null is read");
	for (volatile size_t cut = 0; cut < len; cut++)
	{
		char	   *copy = mem_alloc(cut);

		memcpy(copy, data, cut);
		errors += CATCH_FAIL(IcebergReadManifest(copy, cut, metadata, &manifest, &files));
		mem_free(copy);
		cuts++;
	}
	/* a container that ends after its header has no records, which is allowed */
	ok(errors >= cuts - 1, "a manifest cut off anywhere is an error");
	for (volatile size_t at = 0; at < len; at++)
	{
		char	   *copy = mem_alloc(len);

		memcpy(copy, data, len);
		copy[at] ^= (char) (1 << (at % 8));
		CATCH_FAIL(IcebergReadManifest(copy, len, metadata, &manifest, &files));
		copy[at] = (char) 0xff;
		CATCH_FAIL(IcebergReadManifest(copy, len, metadata, &manifest, &files));
		mem_free(copy);
	}
	ok(true, "no damaged byte of a manifest does worse than an error");
}

/* ---- Avro ---- */

/* A container with the given schema and one block of records. */
static char *
Container(const char *schema, const char *codec, const char *block, size_t block_len, int64 count,
		  size_t *len)
{
	Buffer		out;

	BufferInit(&out);
	BufferPut(&out, "Obj\1", 4);
	AvroPutLong(&out, 2);
	AvroPutString(&out, "avro.schema");
	AvroPutString(&out, schema);
	AvroPutString(&out, "avro.codec");
	AvroPutString(&out, codec);
	AvroPutLong(&out, 0);
	BufferPut(&out, "0123456789abcdef", 16);
	AvroPutLong(&out, count);
	AvroPutBytes(&out, block, block_len);
	BufferPut(&out, "0123456789abcdef", 16);
	*len = out.len;
	return out.data;
}

static void
SkipAll(const char *schema, const char *block, size_t block_len, int64 count)
{
	size_t		len;
	char	   *data = Container(schema, "null", block, block_len, count, &len);
	AvroFile   *file = AvroOpen(data, len);
	AvroCursor	cursor;
	int64		n = AvroNextBlock(file, &cursor);

	for (; n > 0; n--)
		AvroSkip(&cursor, file->schema);
}

static char *
Nested(const char *open, const char *core, const char *close, int depth)
{
	Buffer		out;

	BufferInit(&out);
	for (int i = 0; i < depth; i++)
		BufferPutString(&out, open);
	BufferPutString(&out, core);
	for (int i = 0; i < depth; i++)
		BufferPutString(&out, close);
	BufferPut(&out, "", 1);
	return out.data;
}

static void
TestAvro(void)
{
	static const int64 numbers[] = {0, -1, 1, 63, -64, 64, INT32_MAX, INT64_MAX, INT64_MIN};
	AvroCursor	cursor = {0};
	Buffer		out;
	size_t		len;
	char	   *unknown;

	BufferInit(&out);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		AvroPutLong(&out, numbers[i]);
	cursor.p = out.data;
	cursor.end = out.data + out.len;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		is_int(AvroGetVarint(&cursor), numbers[i], "number %lld", (long long) numbers[i]);
	EXPECT_FAIL_KIND(FAIL_CORRUPT, AvroGetVarint(&cursor));
	cursor.p = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff";
	cursor.end = cursor.p + 10;
	EXPECT_FAIL_KIND(FAIL_CORRUPT, AvroGetVarint(&cursor));

	EXPECT_FAIL_KIND(FAIL_CORRUPT, AvroOpen("Obj", 3));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, AvroOpen("PAR1xxxxxxxx", 12));
	unknown = Container("\"int\"", "bzip2", "", 0, 0, &len);
	EXPECT_FAIL_KIND(FAIL_UNSUPPORTED, AvroOpen(unknown, len));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("\"nothing\"", "x", 1, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("[]", "x", 1, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("{\"type\":\"fixed\",\"name\":\"f\",\"size\":-1}", "x", 1, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll(Nested("{\"type\":\"array\",\"items\":", "\"int\"", "}", 1000),
										   "\0", 1, 1));

	/* a record that holds itself, and data that go down without end */
	EXPECT_FAIL_KIND(FAIL_CORRUPT,
					 SkipAll("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"f\",\"type\":[\"null\",\"r\"]}]}",
							 Nested("\2", "", "", 5000), 5000, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT,
					 SkipAll("{\"type\":\"record\",\"name\":\"r\",\"fields\":[{\"name\":\"f\",\"type\":\"r\"}]}",
							 "x", 1, 1));
	/* counts far beyond the data, and values of no width */
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("\"null\"", "x", 1, 1000000));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("{\"type\":\"array\",\"items\":\"null\"}",
										   "\xfe\xff\xff\xff\x0f\0", 6, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("\"string\"", "\xfe\xff\xff\xff\x0f", 5, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("\"string\"", "\1", 1, 1));
	EXPECT_FAIL_KIND(FAIL_CORRUPT, SkipAll("[\"null\",\"int\"]", "\4", 1, 1));

	/* arrays in runs with and without their size, as others write them */
	ok(!CATCH_FAIL(SkipAll("{\"type\":\"array\",\"items\":\"int\"}", "\3\4\2\4\2\6\0", 7, 1)),
	   "an array in two runs, the first with its size");
	ok(!CATCH_FAIL(SkipAll("{\"type\":\"map\",\"values\":\"boolean\"}", "\2\2k\1\0", 5, 1)), "a map");
}

int
main(void)
{
	TestSerialization();
	TestComparison();
	TestMetadata();
	TestGzip();
	TestHostileMetadata();
	TestManifest();
	TestManifestList();
	TestHostileManifest();
	TestAvro();
	return done_testing();
}
