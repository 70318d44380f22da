/* sources: src/lake/iceberg/avro.c src/lake/iceberg/avro_write.c src/lake/iceberg/buffer.c src/lake/iceberg/codec.c src/lake/iceberg/json.c src/lake/iceberg/json_parse.c src/lake/iceberg/manifest.c src/lake/iceberg/manifest_list.c src/lake/iceberg/manifest_write.c src/lake/iceberg/metadata.c src/lake/iceberg/metadata_write.c src/lake/iceberg/transform.c src/lake/iceberg/value.c src/wire/transform.c src/wire/types.c ; libs: -lzstd -lsnappy -lz -lxxhash */
/*
 * test_iceberg_fixtures.c
 *		Metadata that Spark, Flink, Trino and others wrote: the live files and
 *		rows are those that FIXTURE.json says, every manifest written anew reads
 *		the same, and no damage to one does worse than an error.
 *
 * The tables are in test/unit/data/iceberg; a larger collection of the same
 * layout can be given in the environment variable SHARD_FIXTURES.
 */
#include <dirent.h>
#include "lake/iceberg/avro.h"
#include "lake/iceberg/json.h"
#include "tap.h"

static char *
ReadFile(const char *path, size_t *len)
{
	FILE	   *file = fopen(path, "rb");
	char	   *data;

	if (file == NULL)
		return NULL;
	fseek(file, 0, SEEK_END);
	*len = ftell(file);
	rewind(file);
	data = mem_alloc(*len + 1);
	if (fread(data, 1, *len, file) != *len)
		*len = 0;
	fclose(file);
	data[*len] = '\0';
	return data;
}

typedef struct Fixture
{
	char	   *directory;
	Json	   *about;
	IcebergMetadata *metadata;
} Fixture;

/* A file of the table: wherever its URI points, it is here by its last parts. */
static char *
FindFile(const Fixture *fixture, const char *uri, size_t *len)
{
	const char *from;
	Json	   *to;
	char		path[4096];
	const char *name = strrchr(uri, '/');

	JSON_FOREACH(JsonGet(fixture->about, "remap"), from, to)
	{
		if (strncmp(uri, from, strlen(from)) == 0)
		{
			char	   *data;

			snprintf(path, sizeof(path), "%s/%s%s", fixture->directory, JsonStringValue(to),
					 uri + strlen(from));
			data = ReadFile(path, len);
			if (data != NULL)
				return data;
		}
	}
	snprintf(path, sizeof(path), "%s%s", fixture->directory, name == NULL ? uri : name);
	return ReadFile(path, len);
}

static bool
SameBytes(IcebergBytes a, IcebergBytes b)
{
	if (a.data == NULL || b.data == NULL)
		return a.data == b.data;
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool
SameStats(const IcebergFile *a, const IcebergFile *b)
{
	if (a->nstats != b->nstats)
		return false;
	for (int i = 0; i < a->nstats; i++)
	{
		const IcebergColumnStats *x = &a->stats[i];
		const IcebergColumnStats *y = &b->stats[i];

		if (x->field_id != y->field_id || x->column_size != y->column_size ||
			x->value_count != y->value_count || x->null_count != y->null_count ||
			x->nan_count != y->nan_count || !SameBytes(x->lower, y->lower) ||
			!SameBytes(x->upper, y->upper))
			return false;
	}
	return true;
}

static bool
SamePartition(const IcebergFile *a, const IcebergFile *b)
{
	if (a->npartition != b->npartition)
		return false;
	for (int i = 0; i < a->npartition; i++)
		if (a->partition[i].field_id != b->partition[i].field_id ||
			!SameBytes(a->partition[i].value, b->partition[i].value))
			return false;
	return true;
}

static bool
SameFile(const IcebergFile *a, const IcebergFile *b)
{
	return a->content == b->content && strcmp(a->path, b->path) == 0 &&
		strcmp(a->format, b->format) == 0 && a->record_count == b->record_count &&
		a->file_size == b->file_size && a->status == b->status &&
		a->snapshot_id == b->snapshot_id && a->sequence_number == b->sequence_number &&
		a->nequality_ids == b->nequality_ids && a->sort_order_id == b->sort_order_id &&
		a->nsplit_offsets == b->nsplit_offsets && SameStats(a, b) && SamePartition(a, b);
}

/* Write the entries, read them again, compare. */
static bool
RoundTrips(const Fixture *fixture, const IcebergManifest *manifest, const IcebergFile *files, int n)
{
	const IcebergSpec *spec = IcebergSpecById(fixture->metadata, manifest->spec_id);
	const IcebergFile **pointers = mem_alloc(sizeof(*pointers) * (n + 1));
	IcebergFile *again;
	size_t		len;
	char	   *data;

	for (int i = 0; i < n; i++)
		pointers[i] = &files[i];
	data = IcebergWriteManifest(pointers, n, fixture->metadata,
								IcebergCurrentSchema(fixture->metadata), spec, manifest->content, &len);
	if (IcebergReadManifest(data, len, fixture->metadata, manifest, &again) != n)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (!SameFile(&files[i], &again[i]))
		{
			diag("differs: %s", files[i].path);
			return false;
		}
	}
	return true;
}

static bool
TryRead(const Fixture *fixture, const IcebergManifest *manifest, const char *data, size_t len)
{
	IcebergFile *files;
	IcebergManifest *manifests;

	if (manifest != NULL)
		return CATCH_FAIL(IcebergReadManifest(data, len, fixture->metadata, manifest, &files));
	return CATCH_FAIL(IcebergReadManifestList(data, len, 2, &manifests));
}

/* Damage a container here and there: an error or some result, but no crash. */
static void
Damage(const Fixture *fixture, const IcebergManifest *manifest, const char *data, size_t len)
{
	char	   *copy;

	for (size_t cut = 0; cut < len; cut += 1 + len / 29)
	{
		copy = mem_alloc(cut);	/* exactly that long, so that reading beyond is seen */
		memcpy(copy, data, cut);
		TryRead(fixture, manifest, copy, cut);
		mem_free(copy);
	}
	for (size_t at = 0; at < len; at += 1 + len / 199)
	{
		copy = mem_alloc(len);
		memcpy(copy, data, len);
		copy[at] ^= (char) (1 << (at % 8));
		TryRead(fixture, manifest, copy, len);
		mem_free(copy);
	}
}

typedef struct Counts
{
	int64		files[3];
	int64		rows;			/* of data files */
	bool		round_trips;
	bool		missing;
} Counts;

static void
ReadTable(const Fixture *fixture, Counts *counts)
{
	const IcebergSnapshot *snapshot =
		IcebergSnapshotById(fixture->metadata, fixture->metadata->current_snapshot_id);
	IcebergManifest *manifests;
	size_t		len;
	char	   *data = FindFile(fixture, snapshot->manifest_list, &len);
	int			n;

	memset(counts, 0, sizeof(*counts));
	counts->round_trips = true;
	if (data == NULL)
	{
		counts->missing = true;
		return;
	}
	n = IcebergReadManifestList(data, len, fixture->metadata->format_version, &manifests);
	Damage(fixture, NULL, data, len);
	for (int i = 0; i < n; i++)
	{
		IcebergFile *files;
		int			nfiles;

		data = FindFile(fixture, manifests[i].path, &len);
		if (data == NULL)
		{
			counts->missing = true;
			return;
		}
		nfiles = IcebergReadManifest(data, len, fixture->metadata, &manifests[i], &files);
		for (int j = 0; j < nfiles; j++)
		{
			if (files[j].status == 2)
				continue;
			counts->files[files[j].content]++;
			if (files[j].content == ICEBERG_DATA)
				counts->rows += files[j].record_count;
		}
		if (!RoundTrips(fixture, &manifests[i], files, nfiles))
			counts->round_trips = false;
		if (len < 20000)
			Damage(fixture, &manifests[i], data, len);
	}
}

/* Live files of a kind: the keys are such as "data:parquet". */
static int64
Expected(const Fixture *fixture, const char *kind)
{
	int64		total = 0;
	const char *key;
	Json	   *value;

	JSON_FOREACH(JsonGet(fixture->about, "live_files"), key, value)
		if (strncmp(key, kind, strlen(kind)) == 0)
			total += JsonIntegerValue(value);
	return total;
}

/* What is written from the structs alone reads like the original. */
static bool
MetadataRoundTrips(const IcebergMetadata *metadata)
{
	size_t		len;
	char	   *text = IcebergWriteMetadata(metadata, &len);
	IcebergMetadata *again = IcebergParseMetadata(text, len);
	Json	   *a = metadata->json;
	Json	   *b = again->json;
	const char *key;
	Json	   *value;

	if (again->nsnapshots != metadata->nsnapshots || again->nschemas != metadata->nschemas ||
		again->nspecs != metadata->nspecs || again->nrefs != metadata->nrefs ||
		again->current_snapshot_id != metadata->current_snapshot_id ||
		strcmp(again->table_uuid, metadata->table_uuid) != 0)
		return false;
	JSON_FOREACH(a, key, value)
	{
		if (!JsonEqual(value, JsonGet(b, key)) && strcmp(key, "current-snapshot-id") != 0 &&
			strcmp(key, "refs") != 0)
		{
			diag("member %s differs", key);
			return false;
		}
	}
	return true;
}

static void
CheckFixture(const char *parent, const char *id)
{
	Fixture		fixture;
	Counts		counts;
	char		path[4096];
	size_t		len;
	char	   *text;
	const char *metadata_path;

	snprintf(path, sizeof(path), "%s/%s", parent, id);
	fixture.directory = mem_strdup(path);
	snprintf(path, sizeof(path), "%s/%s/FIXTURE.json", parent, id);
	text = ReadFile(path, &len);
	if (text == NULL)
		return;
	fixture.about = JsonParse(text, len, "FIXTURE.json");
	metadata_path = JsonStringValue(JsonGet(fixture.about, "metadata"));
	snprintf(path, sizeof(path), "%s/%s", fixture.directory, metadata_path);
	text = ReadFile(path, &len);
	if (text == NULL && strrchr(metadata_path, '/') != NULL)
	{
		snprintf(path, sizeof(path), "%s%s", fixture.directory, strrchr(metadata_path, '/'));
		text = ReadFile(path, &len);
	}
	if (!ok(text != NULL, "%s: metadata file is there", id))
		return;
	if (CATCH_FAIL(fixture.metadata = IcebergParseMetadata(text, len)))
	{
		/* one known table has an identifier beyond 64 bits with sign */
		ok(strcmp(id, "v2_eq_extra_column") == 0, "%s: metadata: %s", id, tap_fail_message);
		return;
	}
	if (fixture.metadata->format_version == 2)
		ok(MetadataRoundTrips(fixture.metadata), "%s: metadata survive a rewrite", id);
	if (fixture.metadata->current_snapshot_id == -1)
	{
		is_int(Expected(&fixture, "data"), 0, "%s: no snapshot, no files", id);
		return;
	}
	if (CATCH_FAIL(ReadTable(&fixture, &counts)))
	{
		ok(tap_fail_kind == FAIL_UNSUPPORTED, "%s: %s", id, tap_fail_message);
		return;
	}
	if (counts.missing)
		return;
	is_int(counts.files[ICEBERG_DATA], Expected(&fixture, "data"), "%s: data files", id);
	is_int(counts.files[ICEBERG_POSITION_DELETES], Expected(&fixture, "pos"),
		   "%s: position deletes", id);
	is_int(counts.files[ICEBERG_EQUALITY_DELETES], Expected(&fixture, "eq"),
		   "%s: equality deletes", id);
	is_int(counts.rows, JsonIntegerValue(JsonGet(fixture.about, "data_file_rows")),
		   "%s: rows in data files", id);
	ok(counts.round_trips, "%s: manifests written anew read the same", id);
}

static void
CheckFolder(const char *folder)
{
	DIR		   *dir = opendir(folder);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			CheckFixture(folder, entry->d_name);
	closedir(dir);
}

int
main(void)
{
	CheckFolder("test/unit/data/iceberg");
	if (getenv("SHARD_FIXTURES") != NULL)
		CheckFolder(getenv("SHARD_FIXTURES"));
	return done_testing();
}
