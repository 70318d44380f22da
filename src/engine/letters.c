/*
 * letters.c
 *		SQL functions over characters that compute as PostgreSQL does.
 *
 * PostgreSQL maps case code point by code point with the C library's towupper(),
 * or in the locales C and POSIX the letters of ASCII alone.  The engine has the
 * same library, and so the same answers.
 *
 * They run on DuckDB's threads, below its C++ frames: no error may be raised by
 * Fail() here, only handed to DuckDB.
 */
#define _GNU_SOURCE
#include "engine/letters.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

#include "engine/scalar.h"

#define MAX_LOCALES 64
#define ASCII 128
#define MEMORY_ERROR "53200:out of memory"
#define LOCALE_ERROR "0A000:locale that the engine does not have"
#define ENCODING_ERROR "0A000:text that is not valid UTF-8"

/* ---- locales ---- */

/* How one locale maps case; never freed, since there are few. */
typedef struct Letters
{
	char		name[64];
	bool		ascii;			/* C or POSIX */
	locale_t	locale;
	uint32		upper[ASCII];
	uint32		lower[ASCII];
	bool		word[ASCII];	/* letter or digit */
} Letters;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Letters *known[MAX_LOCALES];
static int	nknown = 0;

static uint32
ToUpper(const Letters *letters, uint32 c)
{
	if (!letters->ascii)
		return (uint32) towupper_l((wint_t) c, letters->locale);
	return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static uint32
ToLower(const Letters *letters, uint32 c)
{
	if (!letters->ascii)
		return (uint32) towlower_l((wint_t) c, letters->locale);
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static bool
IsWord(const Letters *letters, uint32 c)
{
	if (!letters->ascii)
		return iswalnum_l((wint_t) c, letters->locale) != 0;
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static Letters *
LoadLetters(const char *name, size_t len)
{
	Letters    *letters = calloc(1, sizeof(Letters));

	if (letters == NULL)
		return NULL;
	memcpy(letters->name, name, len);
	letters->ascii = strcmp(letters->name, "C") == 0 || strcmp(letters->name, "POSIX") == 0;
	if (!letters->ascii)
		letters->locale = newlocale(LC_CTYPE_MASK, letters->name, (locale_t) 0);
	if (!letters->ascii && letters->locale == (locale_t) 0)
	{
		free(letters);
		return NULL;
	}
	for (uint32 c = 0; c < ASCII; c++)
	{
		letters->upper[c] = ToUpper(letters, c);
		letters->lower[c] = ToLower(letters, c);
		letters->word[c] = IsWord(letters, c);
	}
	return letters;
}

/*
 * NULL if there is no such locale.
 */
static const Letters *
FindLetters(duckdb_string_t *string)
{
	const char *name = duckdb_string_t_data(string);
	size_t		len = duckdb_string_t_length(*string);
	Letters    *found = NULL;

	if (len >= sizeof(found->name))
		return NULL;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < nknown && found == NULL; i++)
		if (strlen(known[i]->name) == len && memcmp(known[i]->name, name, len) == 0)
			found = known[i];
	if (found == NULL && nknown < MAX_LOCALES)
	{
		found = LoadLetters(name, len);
		if (found != NULL)
			known[nknown++] = found;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

/* ---- UTF-8 ---- */

/*
 * Read a code point; false if it is none.
 */
static bool
Decode(const unsigned char **p, const unsigned char *end, uint32 *c)
{
	int			more = **p < 0x80 ? 0 : **p < 0xe0 ? 1 : **p < 0xf0 ? 2 : 3;

	if (end - *p < more + 1)
		return false;
	*c = more == 0 ? **p : **p & (0x3f >> more);
	(*p)++;
	for (; more > 0; more--)
	{
		if ((**p & 0xc0) != 0x80)
			return false;
		*c = *c << 6 | (*(*p)++ & 0x3f);
	}
	return true;
}

static char *
Encode(char *out, uint32 c)
{
	if (c < 0x80)
		*out++ = (char) c;
	else if (c < 0x800)
	{
		*out++ = (char) (0xc0 | c >> 6);
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	else if (c < 0x10000)
	{
		*out++ = (char) (0xe0 | c >> 12);
		*out++ = (char) (0x80 | (c >> 6 & 0x3f));
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	else
	{
		*out++ = (char) (0xf0 | c >> 18);
		*out++ = (char) (0x80 | (c >> 12 & 0x3f));
		*out++ = (char) (0x80 | (c >> 6 & 0x3f));
		*out++ = (char) (0x80 | (c & 0x3f));
	}
	return out;
}

/* ---- functions ---- */

typedef enum CaseKind
{
	CASE_UPPER,
	CASE_LOWER,
	CASE_INITIAL
} CaseKind;

/*
 * Map one text into out, which has room for four bytes a byte; the end of it,
 * or NULL if the text is not valid.
 */
static char *
MapText(const Letters *letters, CaseKind kind, const char *text, size_t len, char *out)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + len;
	bool		in_word = false;

	while (p < end)
	{
		uint32		c;
		bool		up;

		if (!Decode(&p, end, &c))
			return NULL;
		up = kind == CASE_UPPER || (kind == CASE_INITIAL && !in_word);
		if (c < ASCII)
			c = up ? letters->upper[c] : letters->lower[c];
		else
			c = up ? ToUpper(letters, c) : ToLower(letters, c);
		if (kind == CASE_INITIAL)
			in_word = c < ASCII ? letters->word[c] : IsWord(letters, c);
		out = Encode(out, c);
	}
	return out;
}

/*
 * Memory for a result, which grows.
 */
static char *
Reserve(char *buffer, size_t *allocated, size_t needed)
{
	char	   *larger;

	if (needed <= *allocated)
		return buffer;
	larger = realloc(buffer, needed * 2);
	if (larger == NULL)
	{
		free(buffer);
		return NULL;
	}
	*allocated = needed * 2;
	return larger;
}

static void
MapCase(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output, CaseKind kind)
{
	ScalarCall	call;
	const Letters *letters = NULL;
	size_t		allocated = 1024;
	char	   *buffer = malloc(allocated);
	const char *error = NULL;

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n && error == NULL; i++)
	{
		duckdb_string_t *text = (duckdb_string_t *) call.args[0] + i;
		size_t		len;
		char	   *end;

		if (ScalarNull(&call, i))
			continue;
		len = duckdb_string_t_length(*text);
		buffer = buffer == NULL ? NULL : Reserve(buffer, &allocated, len * 4 + 1);
		/* the locale is a constant */
		if (letters == NULL)
			letters = FindLetters((duckdb_string_t *) call.args[1] + i);
		if (buffer == NULL || letters == NULL)
		{
			error = buffer == NULL ? MEMORY_ERROR : LOCALE_ERROR;
			continue;
		}
		end = MapText(letters, kind, duckdb_string_t_data(text), len, buffer);
		if (end == NULL)
			error = ENCODING_ERROR;
		else
			duckdb_vector_assign_string_element_len(output, i, buffer, end - buffer);
	}
	free(buffer);
	if (error != NULL)
		ScalarFail(&call, error);
}

static void
Upper(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	MapCase(info, input, output, CASE_UPPER);
}

static void
Lower(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	MapCase(info, input, output, CASE_LOWER);
}

static void
Initcap(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	MapCase(info, input, output, CASE_INITIAL);
}

static void
Reverse(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
	ScalarCall	call;
	size_t		allocated = 1024;
	char	   *buffer = malloc(allocated);

	ScalarBegin(&call, info, input, output);
	for (uint64 i = 0; i < call.n; i++)
	{
		duckdb_string_t *string = (duckdb_string_t *) call.args[0] + i;
		const char *text = duckdb_string_t_data(string);
		size_t		len = duckdb_string_t_length(*string);

		if (ScalarNull(&call, i))
			continue;
		buffer = buffer == NULL ? NULL : Reserve(buffer, &allocated, len + 1);
		if (buffer == NULL)
		{
			ScalarFail(&call, MEMORY_ERROR);
			return;
		}
		for (size_t from = 0, next; from < len; from = next)
		{
			for (next = from + 1; next < len && ((unsigned char) text[next] & 0xc0) == 0x80;)
				next++;
			memcpy(buffer + len - next, text + from, next - from);
		}
		duckdb_vector_assign_string_element_len(output, i, buffer, len);
	}
	free(buffer);
}

static const ScalarFunction functions[] = {
	{"shard_upper", Upper, DUCKDB_TYPE_VARCHAR, {DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR}},
	{"shard_lower", Lower, DUCKDB_TYPE_VARCHAR, {DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR}},
	{"shard_initcap", Initcap, DUCKDB_TYPE_VARCHAR, {DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR}},
	{"shard_reverse", Reverse, DUCKDB_TYPE_VARCHAR, {DUCKDB_TYPE_VARCHAR}},
};

void
RegisterLetters(duckdb_connection con)
{
	ScalarRegister(con, functions, sizeof(functions) / sizeof(functions[0]));
}
