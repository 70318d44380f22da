/* sources: src/lake/iceberg/ src/wire/ ; libs: -lzstd -lsnappy -lz -lxxhash */
/*
 * fuzz_manifest.c
 *		Manifests and manifest lists in Avro.  An input's first byte says under
 *		which of the metadata files in SHARD_FUZZ_METADATA (a list of paths,
 *		separated by ':') it is read, and as what.
 */
#include <stdio.h>

#include "fuzz.h"
#include "lake/iceberg/iceberg.h"

#define MAX_METADATA 64

static IcebergMetadata *known[MAX_METADATA];
static int	nknown;

void
FuzzInit(void)
{
	const char *list = getenv("SHARD_FUZZ_METADATA");
	char	   *paths = mem_strdup(list == NULL ? "" : list);

	for (char *path = strtok(paths, ":"); path != NULL && nknown < MAX_METADATA;
		 path = strtok(NULL, ":"))
	{
		size_t		size;
		char	   *text = FuzzReadFile(path, &size);

		if (text == NULL)
			abort();
		known[nknown++] = IcebergParseMetadata(text, size);
	}
	if (nknown == 0)
	{
		fprintf(stderr, "SHARD_FUZZ_METADATA names no file\n");
		exit(2);
	}
}

/* Look at everything that was read: a wrong length or pointer shows here. */
static void
ReadManifest(const char *data, size_t size, const IcebergMetadata *metadata)
{
	IcebergManifest manifest = {0};
	IcebergFile *files;
	int			n = IcebergReadManifest(data, size, metadata, &manifest, &files);

	for (int i = 0; i < n; i++)
		for (int s = 0; s < files[i].nstats; s++)
		{
			IcebergColumnStats *stats = &files[i].stats[s];
			IcebergSchema const *schema = IcebergCurrentSchema(metadata);
			const IcebergField *field = IcebergFieldById(schema, stats->field_id);

			if (field != NULL && IcebergBytesValid(field->type, stats->lower) &&
				IcebergBytesValid(field->type, stats->upper))
				IcebergCompareBytes(field->type, stats->lower, stats->upper);
		}
}

void
FuzzOne(const char *data, size_t size)
{
	unsigned char first;
	const IcebergMetadata *metadata;
	IcebergManifest *manifests;

	if (size == 0)
		return;
	first = data[0];
	metadata = known[(first >> 1) % nknown];
	if (first & 1)
		IcebergReadManifestList(data + 1, size - 1, metadata->format_version, &manifests);
	else
		ReadManifest(data + 1, size - 1, metadata);
}
