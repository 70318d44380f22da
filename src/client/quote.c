/*
 * quote.c
 *		Quoting for engine SQL, whose backslashes mean nothing.
 */
#include "postgres.h"

#include "client/engine.h"

/*
 * Enclose a string in a quote character that is doubled inside.
 */
static char *
Quote(const char *s, char quote)
{
	char	   *result = palloc(2 * strlen(s) + 3);
	char	   *p = result;

	*p++ = quote;
	for (; *s != '\0'; s++)
	{
		if (*s == quote)
			*p++ = quote;
		*p++ = *s;
	}
	*p++ = quote;
	*p = '\0';
	return result;
}

char *
EngineQuoteLiteral(const char *s)
{
	return Quote(s, '\'');
}

char *
EngineQuoteIdentifier(const char *s)
{
	return Quote(s, '"');
}
