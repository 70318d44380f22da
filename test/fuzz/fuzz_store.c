/* sources: src/lake/io/xml.c src/lake/io/footer.c src/lake/io/extent.c src/lake/iceberg/buffer.c ; libs: */
/*
 * fuzz_store.c
 *		What comes from an object store: answers in XML, and the metadata of
 *		Parquet files as far as they tell where columns are.
 */
#include "fuzz.h"
#include "lake/io/footer.h"
#include "lake/io/xml.h"

static void
ReadFooter(const char *data, size_t size)
{
	static const int ids[] = {1, 2, 3, 7};
	Extents		extents = {0};

	if (FooterColumns(data, size, 1 << 20, ids, 4, &extents))
		for (int i = 0; i < extents.n; i++)
			if (extents.items[i].start < 0 || extents.items[i].end > 1 << 20 ||
				extents.items[i].start >= extents.items[i].end)
				__builtin_trap();
}

static void
ReadXml(const char *data, size_t size)
{
	XmlReader	reader;
	XmlEvent	event;

	XmlBegin(&reader, data, size);
	while ((event = XmlNext(&reader)) != XML_DONE && event != XML_BROKEN)
		if (event == XML_TEXT && strlen(reader.text) > 4 * size)
			__builtin_trap();
	(void) XmlFind(data, size, "Code");
}

void
FuzzOne(const char *data, size_t size)
{
	ReadFooter(data, size);
	ReadXml(data, size);
}
