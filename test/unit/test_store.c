/* sources: src/lake/io/xml.c src/lake/io/footer.c src/lake/io/extent.c src/lake/iceberg/buffer.c */
/*
 * test_store.c
 *		Answers of object stores, sets of byte ranges, and where the columns of a
 *		Parquet file are.
 */
#include "lake/io/footer.h"
#include "lake/io/xml.h"
#include "tap.h"

#define FIND(text, name) XmlFind(text, strlen(text), name)

static XmlEvent
LastEvent(const char *text)
{
	XmlReader	reader;
	XmlEvent	event;

	XmlBegin(&reader, text, strlen(text));
	do
	{
		event = XmlNext(&reader);
	} while (event != XML_DONE && event != XML_BROKEN);
	return event;
}

static void
TestXml(void)
{
	const char *error = "<?xml version=\"1.0\"?>\n<!-- x --><Error><Code>NoSuchKey</Code>"
		"<Message>a &lt;b&gt; &amp; &#228;&#x20ac;&quot;&apos; &unknown; &#0;</Message><Empty/></Error>";

	is_str(FIND(error, "Code"), "NoSuchKey", "an element");
	is_str(FIND(error, "Message"), "a <b> & \xc3\xa4\xe2\x82\xac\"' &unknown; &#0;", "entities");
	is_str(FIND(error, "Empty"), "", "an empty element");
	ok(FIND(error, "Other") == NULL, "one that is not there");
	is_str(FIND("<s3:A xmlns:s3='x'><s3:B>c</s3:B></s3:A>", "B"), "c", "name spaces do not count");
	is_int(LastEvent(error), XML_DONE, "a whole document");
	is_int(LastEvent("<a><b></a></b>"), XML_BROKEN, "crossing tags");
	is_int(LastEvent("<a><b>"), XML_BROKEN, "tags that are not closed");
	is_int(LastEvent("<a"), XML_BROKEN, "a tag that does not end");
	is_int(LastEvent("</a>"), XML_BROKEN, "a tag that closes nothing");
	is_int(LastEvent(""), XML_DONE, "nothing");
	is_str(XmlEscape("a<b>&c"), "a&lt;b&gt;&amp;c", "what would be markup is escaped");
}

static void
CheckExtents(const Extents *extents, const char *expected, const char *name)
{
	char		text[256] = "";
	size_t		n = 0;

	for (int i = 0; i < extents->n; i++)
		n += snprintf(text + n, sizeof(text) - n, "%s%d-%d", i > 0 ? " " : "",
					  (int) extents->items[i].start, (int) extents->items[i].end);
	is_str(text, expected, "%s", name);
}

static void
TestExtents(void)
{
	Extents		have = {0};
	Extents		wanted = {0};
	Extents		missing;

	ExtentsAdd(&have, 10, 20);
	ExtentsAdd(&have, 40, 50);
	ExtentsAdd(&have, 30, 30);
	ExtentsAdd(&have, 0, 5);
	CheckExtents(&have, "0-5 10-20 40-50", "apart");
	ExtentsAdd(&have, 5, 10);
	CheckExtents(&have, "0-20 40-50", "touching ones become one");
	ok(ExtentsHold(&have, 3, 20) && !ExtentsHold(&have, 3, 21) && ExtentsHold(&have, 25, 25), "what they hold");
	is_int(ExtentsBytes(&have), 30, "bytes");
	ExtentsAdd(&wanted, 15, 45);
	ExtentsAdd(&wanted, 60, 70);
	missing = ExtentsMissing(&wanted, &have);
	CheckExtents(&missing, "20-40 60-70", "what is missing");
	ExtentsJoin(&missing, 20);
	CheckExtents(&missing, "20-70", "small gaps are closed");
	ExtentsAdd(&have, 0, 100);
	CheckExtents(&have, "0-100", "one that covers all");
	missing = ExtentsMissing(&wanted, &have);
	CheckExtents(&missing, "", "nothing is missing");
}

/* Against a bitmap, at random. */
static void
TestRandomExtents(void)
{
	unsigned	seed = 42;
	bool		same = true;

	for (int round = 0; round < 200; round++)
	{
		bool		here[64] = {0};
		Extents		have = {0};

		for (int i = 0; i < 12; i++)
		{
			int			start = rand_r(&seed) % 64;
			int			end = start + rand_r(&seed) % (65 - start);

			ExtentsAdd(&have, start, end);
			for (int j = start; j < end; j++)
				here[j] = true;
		}
		for (int i = 0; i < 64; i++)
			same &= ExtentsHold(&have, i, i + 1) == here[i];
		for (int i = 1; i < have.n; i++)
			same &= have.items[i - 1].end < have.items[i].start;
	}
	ok(same, "extents are as a bitmap");
}

/*
 * Two columns with field ids 1 and 2 in one row group: metadata in the compact
 * protocol, by hand after its specification.
 */
static const unsigned char footer[] = {
	0x15, 0x02,					/* 1: version */
	0x19, 0x3c,					/* 2: schema, 3 structs */
	0x48, 0x01, 'r', 0x15, 0x04, 0x00,	/* root: name, 2 children */
	0x48, 0x01, 'a', 0x85, 0x02 + 0, 0x00,	/* a: name, then field 12, skipped */
	0x48, 0x01, 'b', 0x55, 0x04, 0x00,	/* b: name, field id 2 */
	0x16, 0x14,					/* 3: rows */
	0x19, 0x1c,					/* 4: row groups, 1 struct */
	0x19, 0x2c,					/* 1: columns, 2 structs */
	0x26, 0x08, 0x1c, 0x76, 0x28, 0x26, 0x08, 0x00, 0x00,	/* length 20, data at 4 */
	0x26, 0x08, 0x1c, 0x76, 0x3c, 0x26, 0x64, 0x26, 0x30, 0x00, 0x00,	/* length 30, data at 50, dictionary at 24 */
	0x00, 0x00
};

static void
TestFooter(void)
{
	const char *data = (const char *) footer;
	int			second = 2;
	int			none = 9;
	Extents		extents = {0};
	Extents		nothing = {0};
	Extents		ignored = {0};
	int			accepted = 0;

	ok(FooterColumns(data, sizeof(footer), 1000, &second, 1, &extents), "a footer is read");
	CheckExtents(&extents, "24-54", "from the dictionary on");
	ok(FooterColumns(data, sizeof(footer), 1000, &none, 1, &nothing), "a column that the file has not");
	CheckExtents(&nothing, "", "needs nothing");
	ok(!FooterColumns(data, sizeof(footer), 40, &second, 1, &ignored), "a column beyond the file's end");
	for (size_t len = 0; len < sizeof(footer) - 1; len++)
		accepted += FooterColumns(data, len, 1000, &second, 1, &ignored);
	is_int(accepted, 0, "no footer that is cut off is taken");
	is_int(FooterLength("\x10\x01\0\0PAR1"), 272, "its length");
	is_int(FooterLength("\x10\x01\0\0PARE"), -1, "another kind of file");
}

int
main(void)
{
	TestXml();
	TestExtents();
	TestRandomExtents();
	TestFooter();
	return done_testing();
}
