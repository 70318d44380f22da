/*
 * xml.c
 *		A walk through a small XML document.
 *
 * Declarations, comments and document types are skipped, attributes and name
 * space prefixes are ignored.  Entities are the five of XML and characters by
 * number; others are left as they stand.
 */
#include "lake/io/xml.h"

#include "lake/iceberg/buffer.h"

void
XmlBegin(XmlReader *reader, const char *text, size_t len)
{
	memset(reader, 0, sizeof(*reader));
	reader->p = text;
	reader->end = text + len;
}

static char *
Copy(const char *from, const char *to)
{
	char	   *copy = mem_alloc(to - from + 1);

	memcpy(copy, from, to - from);
	copy[to - from] = '\0';
	return copy;
}

static const char *
Find(const char *p, const char *end, const char *what)
{
	size_t		len = strlen(what);

	for (; (size_t) (end - p) >= len; p++)
		if (memcmp(p, what, len) == 0)
			return p;
	return NULL;
}

/* ---- text ---- */

static void
PutUtf8(Buffer *buffer, uint32 c)
{
	char		bytes[4];
	int			n = 0;

	if (c < 0x80)
		bytes[n++] = (char) c;
	else if (c < 0x800)
	{
		bytes[n++] = (char) (0xc0 | c >> 6);
		bytes[n++] = (char) (0x80 | (c & 0x3f));
	}
	else if (c < 0x10000)
	{
		bytes[n++] = (char) (0xe0 | c >> 12);
		bytes[n++] = (char) (0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char) (0x80 | (c & 0x3f));
	}
	else
	{
		bytes[n++] = (char) (0xf0 | c >> 18);
		bytes[n++] = (char) (0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char) (0x80 | (c >> 6 & 0x3f));
		bytes[n++] = (char) (0x80 | (c & 0x3f));
	}
	BufferPut(buffer, bytes, n);
}

/* "#65" or "#x41"; 0 if it is no character. */
static uint32
CharacterReference(const char *p, const char *end)
{
	bool		hex = p + 1 < end && (p[1] == 'x' || p[1] == 'X');
	uint32		c = 0;

	for (p += hex ? 2 : 1; p < end; p++)
	{
		int			digit;

		if (*p >= '0' && *p <= '9')
			digit = *p - '0';
		else if (hex && *p >= 'a' && *p <= 'f')
			digit = *p - 'a' + 10;
		else if (hex && *p >= 'A' && *p <= 'F')
			digit = *p - 'A' + 10;
		else
			return 0;
		c = c * (hex ? 16 : 10) + digit;
		if (c > 0x10ffff)
			return 0;
	}
	return c >= 0xd800 && c < 0xe000 ? 0 : c;
}

/* Resolve an entity that begins at p; what follows it, or NULL if it is none. */
static const char *
Entity(Buffer *buffer, const char *p, const char *end)
{
	static const char *const names[] = {"lt", "gt", "amp", "quot", "apos"};
	static const char values[] = "<>&\"'";
	const char *stop = memchr(p, ';', end - p < 12 ? end - p : 12);
	uint32		c;

	if (stop == NULL)
		return NULL;
	for (int i = 0; i < 5; i++)
		if ((size_t) (stop - p - 1) == strlen(names[i]) && memcmp(p + 1, names[i], stop - p - 1) == 0)
		{
			BufferPut(buffer, &values[i], 1);
			return stop + 1;
		}
	if (p[1] != '#' || (c = CharacterReference(p + 1, stop)) == 0)
		return NULL;
	PutUtf8(buffer, c);
	return stop + 1;
}

static char *
Resolved(const char *p, const char *end)
{
	Buffer		buffer;

	BufferInit(&buffer);
	while (p < end)
	{
		const char *next = *p == '&' ? Entity(&buffer, p, end) : NULL;

		if (next == NULL)
		{
			/* a zero byte would end the text early: not part of any document */
			BufferPut(&buffer, *p == '\0' ? " " : p, 1);
			next = p + 1;
		}
		p = next;
	}
	BufferPut(&buffer, "", 1);
	return buffer.data;
}

/* ---- tags ---- */

/* The name of a tag without a name space prefix. */
static char *
TagName(const char *p, const char *end)
{
	const char *begin = p;

	for (; p < end && *p != ' ' && *p != '\t' && *p != '\n' && *p != '\r' && *p != '/'; p++)
		if (*p == ':')
			begin = p + 1;
	return Copy(begin, p);
}

static XmlEvent
Close(XmlReader *reader)
{
	if (reader->depth == 0)
		return XML_BROKEN;
	reader->name = reader->open[--reader->depth];
	return XML_CLOSE;
}

static XmlEvent
ClosingTag(XmlReader *reader, const char *stop)
{
	char	   *name = TagName(reader->p + 2, stop);

	reader->p = stop + 1;
	if (reader->depth == 0 || strcmp(name, reader->open[reader->depth - 1]) != 0)
		return XML_BROKEN;
	return Close(reader);
}

static XmlEvent
OpeningTag(XmlReader *reader, const char *stop)
{
	reader->name = TagName(reader->p + 1, stop);
	reader->empty = stop[-1] == '/';
	reader->p = stop + 1;
	if (reader->depth == XML_MAX_DEPTH || reader->name[0] == '\0')
		return XML_BROKEN;
	reader->open[reader->depth++] = reader->name;
	return XML_BEGIN;
}

/* What follows a comment, declaration or document type; NULL if it does not end. */
static const char *
SkipMarkup(const char *p, const char *end)
{
	const char *mark = ">";
	const char *stop;

	if (end - p >= 4 && memcmp(p, "<!--", 4) == 0)
		mark = "-->";
	else if (p[1] == '?')
		mark = "?>";
	stop = Find(p, end, mark);
	return stop == NULL ? NULL : stop + strlen(mark);
}

XmlEvent
XmlNext(XmlReader *reader)
{
	const char *stop;

	if (reader->empty)
	{
		reader->empty = false;
		return Close(reader);
	}
	while (reader->end - reader->p >= 2 && reader->p[0] == '<' &&
		   (reader->p[1] == '!' || reader->p[1] == '?'))
	{
		reader->p = SkipMarkup(reader->p, reader->end);
		if (reader->p == NULL)
		{
			reader->p = reader->end;
			return XML_BROKEN;
		}
	}
	if (reader->p >= reader->end)
		return reader->depth == 0 ? XML_DONE : XML_BROKEN;
	if (*reader->p == '<')
	{
		stop = memchr(reader->p, '>', reader->end - reader->p);
		if (stop == NULL || stop - reader->p < 2)
			return XML_BROKEN;
		return reader->p[1] == '/' ? ClosingTag(reader, stop) : OpeningTag(reader, stop);
	}
	stop = memchr(reader->p, '<', reader->end - reader->p);
	if (stop == NULL)
		stop = reader->end;
	reader->text = Resolved(reader->p, stop);
	reader->p = stop;
	return XML_TEXT;
}

char *
XmlFind(const char *text, size_t len, const char *name)
{
	XmlReader	reader;
	XmlEvent	event;

	XmlBegin(&reader, text, len);
	while ((event = XmlNext(&reader)) != XML_DONE && event != XML_BROKEN)
	{
		if (event != XML_BEGIN || strcmp(reader.name, name) != 0)
			continue;
		event = XmlNext(&reader);
		return event == XML_TEXT ? reader.text : mem_strdup("");
	}
	return NULL;
}

char *
XmlEscape(const char *text)
{
	Buffer		buffer;

	BufferInit(&buffer);
	for (; *text != '\0'; text++)
	{
		switch (*text)
		{
			case '<':
				BufferPutString(&buffer, "&lt;");
				break;
			case '>':
				BufferPutString(&buffer, "&gt;");
				break;
			case '&':
				BufferPutString(&buffer, "&amp;");
				break;
			default:
				BufferPut(&buffer, text, 1);
				break;
		}
	}
	BufferPut(&buffer, "", 1);
	return buffer.data;
}
