/*
 * regex.c
 *		Regular expressions of PostgreSQL as the engine reads them.
 *
 * Whether a text matches is the same in every dialect for what they have in
 * common: literals, the point, classes, anchors, groups, alternatives,
 * quantifiers.  Only these are let through, each written in the form that RE2
 * takes literally: which part matches does not matter here.  Everything else
 * (escapes for classes and word boundaries, lookaround, back references, options,
 * what one of the two takes for a mistake) stays with PostgreSQL.
 *
 * Case: RE2 folds more than PostgreSQL (a Kelvin sign is a k), so that letters
 * are written as classes of both cases, and letters beyond ASCII are not let
 * through.
 */
#include "postgres.h"

#include "fdw/regex.h"
#include "lib/stringinfo.h"

#define MAX_REPEAT 100
#define MAX_REPEATS 3			/* repetitions multiply in RE2's memory */

typedef struct Reader
{
	const char *p;
	bool		fold;
	int			depth;
	int			repeats;
	StringInfoData out;
} Reader;

static bool ReadAlternatives(Reader *reader);

static bool
IsMeta(char c)
{
	return strchr("\\^$.[]()|*+?{}", c) != NULL;
}

static bool
IsLetter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/*
 * A character of the text itself, of one byte or more.
 */
static bool
ReadLiteral(Reader *reader, bool in_class)
{
	unsigned char c = (unsigned char) *reader->p;

	if (reader->fold && c >= 0x80)
		return false;
	if (reader->fold && IsLetter((char) c))
	{
		appendStringInfo(&reader->out, in_class ? "%c%c" : "[%c%c]", c | 0x20, c & ~0x20);
		reader->p++;
		return true;
	}
	if (c < 0x20)
		return false;
	if (c < 0x80 && !IsLetter((char) c) && !(c >= '0' && c <= '9') && c != ' ')
		appendStringInfoChar(&reader->out, '\\');
	do
		appendStringInfoChar(&reader->out, *reader->p++);
	while ((*(const unsigned char *) reader->p & 0xc0) == 0x80);
	return true;
}

/*
 * [abc], [^a-z0-9]: of ASCII, without names and escapes; ranges within letters of
 * one case and within digits.
 */
static bool
ReadClass(Reader *reader)
{
	bool		any = false;

	appendStringInfoChar(&reader->out, *reader->p++);
	if (*reader->p == '^')
		appendStringInfoChar(&reader->out, *reader->p++);
	for (; *reader->p != ']'; any = true)
	{
		char		first = *reader->p;
		char		last = reader->p[0] == '\0' || reader->p[1] != '-' ? '\0' : reader->p[2];

		if (first == '\0' || first == '[' || first == '\\' || first == '-' || (unsigned char) first >= 0x80)
			return false;
		if (last == '\0' || last == ']')
		{
			if (last == ']' || !ReadLiteral(reader, true))
				return false;
			continue;
		}
		if (!((first >= '0' && last <= '9') || (first >= 'a' && last <= 'z') || (first >= 'A' && last <= 'Z')) ||
			first > last || (first <= '9' && last > '9'))
			return false;
		appendStringInfo(&reader->out, "%c-%c", first, last);
		if (reader->fold && IsLetter(first))
			appendStringInfo(&reader->out, "%c-%c", first ^ 0x20, last ^ 0x20);
		reader->p += 3;
	}
	appendStringInfoChar(&reader->out, *reader->p++);
	return any;
}

static bool
ReadGroup(Reader *reader)
{
	reader->p++;
	if (reader->p[0] == '?')
	{
		if (reader->p[1] != ':')
			return false;
		reader->p += 2;
	}
	else if (reader->p[0] == '*')
		return false;
	appendStringInfoString(&reader->out, "(?:");
	if (++reader->depth > 20 || !ReadAlternatives(reader) || *reader->p != ')')
		return false;
	reader->depth--;
	reader->p++;
	appendStringInfoChar(&reader->out, ')');
	return true;
}

static bool
ReadAtom(Reader *reader)
{
	switch (*reader->p)
	{
		case '.':
			appendStringInfoChar(&reader->out, *reader->p++);
			return true;
		case '[':
			return ReadClass(reader);
		case '(':
			return ReadGroup(reader);
		case '\\':
			/* what is neither letter nor digit stands for itself */
			if (reader->p[1] == '\0' || (unsigned char) reader->p[1] >= 0x80 || IsLetter(reader->p[1]) ||
				(reader->p[1] >= '0' && reader->p[1] <= '9') || reader->p[1] == '_')
				return false;
			reader->p++;
			return ReadLiteral(reader, false);
		default:
			return !IsMeta(*reader->p) && ReadLiteral(reader, false);
	}
}

static bool
ReadNumber(Reader *reader, int *number)
{
	const char *start = reader->p;

	*number = 0;
	while (*reader->p >= '0' && *reader->p <= '9' && *number <= MAX_REPEAT)
		*number = *number * 10 + (*reader->p++ - '0');
	return reader->p > start && *number <= MAX_REPEAT;
}

/*
 * How often; also the forms that take as little as they can, since only whether
 * there is a match counts.
 */
static bool
ReadQuantifier(Reader *reader)
{
	int			low;
	int			high;

	switch (*reader->p)
	{
		case '*':
		case '+':
		case '?':
			appendStringInfoChar(&reader->out, *reader->p++);
			break;
		case '{':
			reader->p++;
			if (++reader->repeats > MAX_REPEATS || !ReadNumber(reader, &low))
				return false;
			appendStringInfo(&reader->out, "{%d", low);
			if (*reader->p == ',')
			{
				reader->p++;
				appendStringInfoChar(&reader->out, ',');
				if (*reader->p != '}')
				{
					if (!ReadNumber(reader, &high) || high < low)
						return false;
					appendStringInfo(&reader->out, "%d", high);
				}
			}
			if (*reader->p++ != '}')
				return false;
			appendStringInfoChar(&reader->out, '}');
			break;
		default:
			return true;
	}
	if (*reader->p == '?')
		reader->p++;
	return strchr("*+?{", *reader->p) == NULL || *reader->p == '\0';
}

/*
 * One alternative, which must not be empty.  Anchors stand at its ends only.
 */
static bool
ReadBranch(Reader *reader)
{
	bool		any = false;

	if (*reader->p == '^')
	{
		appendStringInfoString(&reader->out, "\\A");
		reader->p++;
		any = true;
		if (strchr("*+?{", *reader->p) != NULL && *reader->p != '\0')
			return false;
	}
	while (*reader->p != '\0' && *reader->p != '|' && *reader->p != ')')
	{
		if (*reader->p == '$')
		{
			appendStringInfoString(&reader->out, "\\z");
			reader->p++;
			return *reader->p == '\0' || *reader->p == '|' || *reader->p == ')';
		}
		if (!ReadAtom(reader) || !ReadQuantifier(reader))
			return false;
		any = true;
	}
	return any;
}

static bool
ReadAlternatives(Reader *reader)
{
	for (;;)
	{
		if (!ReadBranch(reader))
			return false;
		if (*reader->p != '|')
			return true;
		appendStringInfoChar(&reader->out, *reader->p++);
	}
}

bool
RegexForEngine(const char *pattern, bool fold, const char *locale, char **result)
{
	Reader		reader = {pattern, fold};

	/* options and other dialects begin with three asterisks, or with (?i) */
	if (strlen(pattern) > 1000)
		return false;
	if (fold && (locale == NULL || (strcmp(locale, "C") != 0 && strcmp(locale, "POSIX") != 0 &&
									pg_strncasecmp(locale, "C.", 2) != 0 && pg_strncasecmp(locale, "en_", 3) != 0)))
		return false;
	initStringInfo(&reader.out);
	if (!ReadAlternatives(&reader) || *reader.p != '\0')
		return false;
	*result = reader.out.data;
	return true;
}
