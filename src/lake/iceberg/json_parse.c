/*
 * json_parse.c
 *		Parser of JSON (RFC 8259), strict: UTF-8 only, no zero character in
 *		strings, nothing after the value, nesting bounded.
 */
#include "lake/iceberg/json.h"

#include <errno.h>

#include "lake/iceberg/buffer.h"

#define MAX_DEPTH 256

typedef struct Parser
{
	const char *start;
	const char *p;
	const char *end;
	const char *what;
	int			depth;
} Parser;

static Json *ParseValue(Parser *parser);

static void
Fail(const Parser *parser, const char *reason)
{
	int			line = 1;

	for (const char *p = parser->start; p < parser->p; p++)
		line += *p == '\n';
	shard_fail(FAIL_CORRUPT, "%s is not JSON: %s (line %d)", parser->what, reason, line);
}

static void
SkipSpace(Parser *parser)
{
	while (parser->p < parser->end &&
		   (*parser->p == ' ' || *parser->p == '\t' || *parser->p == '\n' || *parser->p == '\r'))
		parser->p++;
}

/* The next character, 0 at the end. */
static char
Peek(const Parser *parser)
{
	return parser->p < parser->end ? *parser->p : '\0';
}

static void
Expect(Parser *parser, char c, const char *reason)
{
	SkipSpace(parser);
	if (parser->p >= parser->end || *parser->p != c)
		Fail(parser, reason);
	parser->p++;
}

/* ---- strings ---- */

static int
HexDigit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The four digits of a \u escape. */
static uint32
ParseHex4(Parser *parser)
{
	uint32		value = 0;

	if (parser->end - parser->p < 4)
		Fail(parser, "escape cut off");
	for (int i = 0; i < 4; i++)
	{
		int			digit = HexDigit(*parser->p++);

		if (digit < 0)
			Fail(parser, "wrong escape");
		value = value << 4 | (uint32) digit;
	}
	return value;
}

static void
PutUtf8(Buffer *out, uint32 c)
{
	unsigned char bytes[4];
	int			n;

	if (c < 0x80)
	{
		bytes[0] = (unsigned char) c;
		n = 1;
	}
	else if (c < 0x800)
	{
		bytes[0] = (unsigned char) (0xc0 | c >> 6);
		n = 2;
	}
	else if (c < 0x10000)
	{
		bytes[0] = (unsigned char) (0xe0 | c >> 12);
		n = 3;
	}
	else
	{
		bytes[0] = (unsigned char) (0xf0 | c >> 18);
		n = 4;
	}
	for (int i = 1; i < n; i++)
		bytes[i] = (unsigned char) (0x80 | ((c >> (6 * (n - 1 - i))) & 0x3f));
	BufferPut(out, bytes, n);
}

static void
ParseUnicodeEscape(Parser *parser, Buffer *out)
{
	uint32		c = ParseHex4(parser);

	if (c >= 0xd800 && c < 0xdc00)
	{
		uint32		low;

		if (parser->end - parser->p < 2 || parser->p[0] != '\\' || parser->p[1] != 'u')
			Fail(parser, "half of a surrogate pair");
		parser->p += 2;
		low = ParseHex4(parser);
		if (low < 0xdc00 || low > 0xdfff)
			Fail(parser, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	else if (c == 0 || (c >= 0xdc00 && c < 0xe000))
		Fail(parser, "escape of no character");
	PutUtf8(out, c);
}

static void
ParseEscape(Parser *parser, Buffer *out)
{
	static const char names[] = "\"\\/bfnrt";
	static const char values[] = "\"\\/\b\f\n\r\t";
	const char *at;
	char		c = Peek(parser);

	if (c != '\0')
		parser->p++;
	if (c == 'u')
	{
		ParseUnicodeEscape(parser, out);
		return;
	}
	at = c == '\0' ? NULL : strchr(names, c);
	if (at == NULL)
		Fail(parser, "wrong escape");
	BufferPut(out, &values[at - names], 1);
}

/* Length of the UTF-8 character at p; 0 if it is none. */
static int
Utf8Length(const unsigned char *p, size_t left)
{
	int			n;
	uint32		c;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] < 0xe0)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] < 0xf0)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] < 0xf5)
		n = 4;
	else
		return 0;
	if (left < (size_t) n)
		return 0;
	c = p[0] & (0xff >> (n + 1));
	for (int i = 1; i < n; i++)
	{
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
		(n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return n;
}

/*
 * Pass over characters that stand for themselves.
 */
static void
SkipPlain(Parser *parser)
{
	while (parser->p < parser->end && *parser->p != '"' && *parser->p != '\\')
	{
		int			n = 1;

		if ((unsigned char) *parser->p < 0x20)
			Fail(parser, "string without its end");
		if ((unsigned char) *parser->p >= 0x80)
			n = Utf8Length((const unsigned char *) parser->p, parser->end - parser->p);
		if (n == 0)
			Fail(parser, "not UTF-8");
		parser->p += n;
	}
	if (parser->p >= parser->end)
		Fail(parser, "string without its end");
}

static char *
CopyString(const char *data, size_t len)
{
	char	   *copy = mem_alloc(len + 1);

	memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

static char *
ParseString(Parser *parser)
{
	const char *start;
	Buffer		out;
	char	   *result;

	Expect(parser, '"', "string expected");
	start = parser->p;
	SkipPlain(parser);
	if (*parser->p == '"')
		return CopyString(start, parser->p++ - start);

	BufferInit(&out);
	for (;;)
	{
		BufferPut(&out, start, parser->p - start);
		if (*parser->p == '"')
			break;
		parser->p++;
		ParseEscape(parser, &out);
		start = parser->p;
		SkipPlain(parser);
	}
	parser->p++;
	result = CopyString(out.data, out.len);
	mem_free(out.data);
	return result;
}

/* ---- numbers ---- */

static void
SkipDigits(Parser *parser)
{
	if (Peek(parser) < '0' || Peek(parser) > '9')
		Fail(parser, "wrong number");
	while (Peek(parser) >= '0' && Peek(parser) <= '9')
		parser->p++;
}

static Json *
ParseNumber(Parser *parser)
{
	const char *start = parser->p;
	bool		whole = true;
	Json	   *json;
	char	   *text;
	size_t		len;

	if (Peek(parser) == '-')
		parser->p++;
	if (Peek(parser) == '0')
		parser->p++;
	else
		SkipDigits(parser);
	if (Peek(parser) == '.')
	{
		whole = false;
		parser->p++;
		SkipDigits(parser);
	}
	if (Peek(parser) == 'e' || Peek(parser) == 'E')
	{
		whole = false;
		parser->p++;
		if (Peek(parser) == '+' || Peek(parser) == '-')
			parser->p++;
		SkipDigits(parser);
	}
	len = parser->p - start;
	text = mem_alloc(len + 1);
	memcpy(text, start, len);
	text[len] = '\0';
	if (whole)
	{
		long long	value;

		errno = 0;
		value = strtoll(text, NULL, 10);
		if (errno == 0)
		{
			mem_free(text);
			return JsonNewInteger(value);
		}
	}
	json = JsonNew(JSON_REAL);
	json->text = text;
	return json;
}

/* ---- values ---- */

static Json *
ParseWord(Parser *parser, const char *word, JsonKind kind)
{
	size_t		len = strlen(word);

	if ((size_t) (parser->end - parser->p) < len || memcmp(parser->p, word, len) != 0)
		Fail(parser, "value expected");
	parser->p += len;
	return JsonNew(kind);
}

static Json *
ParseArray(Parser *parser)
{
	Json	   *json = JsonNew(JSON_ARRAY);

	parser->p++;
	SkipSpace(parser);
	if (Peek(parser) == ']')
	{
		parser->p++;
		return json;
	}
	for (;;)
	{
		JsonAppend(json, ParseValue(parser));
		SkipSpace(parser);
		if (Peek(parser) != ',')
			break;
		parser->p++;
	}
	Expect(parser, ']', "end of the array expected");
	return json;
}

static Json *
ParseObject(Parser *parser)
{
	Json	   *json = JsonNew(JSON_OBJECT);

	parser->p++;
	SkipSpace(parser);
	if (Peek(parser) == '}')
	{
		parser->p++;
		return json;
	}
	for (;;)
	{
		char	   *key = ParseString(parser);
		Json	   *value;

		Expect(parser, ':', "colon expected");
		value = ParseValue(parser);
		JsonAdd(json, key, value);
		SkipSpace(parser);
		if (Peek(parser) != ',')
			break;
		parser->p++;
	}
	Expect(parser, '}', "end of the object expected");
	return json;
}

static Json *
ParseValue(Parser *parser)
{
	Json	   *json;

	if (++parser->depth > MAX_DEPTH)
		Fail(parser, "nested too deeply");
	SkipSpace(parser);
	switch (Peek(parser))
	{
		case '{':
			json = ParseObject(parser);
			break;
		case '[':
			json = ParseArray(parser);
			break;
		case '"':
			json = JsonNew(JSON_STRING);
			json->text = ParseString(parser);
			break;
		case 't':
			json = ParseWord(parser, "true", JSON_TRUE);
			break;
		case 'f':
			json = ParseWord(parser, "false", JSON_FALSE);
			break;
		case 'n':
			json = ParseWord(parser, "null", JSON_NULL);
			break;
		default:
			json = ParseNumber(parser);
	}
	parser->depth--;
	return json;
}

Json *
JsonParse(const char *text, size_t len, const char *what)
{
	Parser		parser = {text, text, text + len, what, 0};
	Json	   *json = ParseValue(&parser);

	SkipSpace(&parser);
	if (parser.p != parser.end)
		Fail(&parser, "something follows the value");
	return json;
}
