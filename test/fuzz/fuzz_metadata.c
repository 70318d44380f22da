/* sources: src/lake/iceberg/ src/wire/ ; libs: -lzstd -lsnappy -lz -lxxhash */
/*
 * fuzz_metadata.c
 *		Table metadata: what is taken is written anew and taken again.
 */
#include "fuzz.h"
#include "lake/iceberg/iceberg.h"

void
FuzzOne(const char *data, size_t size)
{
	IcebergMetadata *metadata = IcebergParseMetadata(data, size);
	size_t		len;
	char	   *text = IcebergWriteMetadata(metadata, &len);

	IcebergCurrentSchema(metadata);
	IcebergParseMetadata(text, len);
}
