/*
 * path_key.c
 *		What of a file's URI tells it from other files.
 */
#include "wire/path_key.h"

#include <strings.h>

/* Schemes whose host is that of a service, not a part of the name. */
static const char *const plain_schemes[] = {"file", "hdfs", "viewfs", "webhdfs"};

static bool
IsPlainScheme(const char *scheme, size_t len)
{
	for (size_t i = 0; i < sizeof(plain_schemes) / sizeof(plain_schemes[0]); i++)
		if (strlen(plain_schemes[i]) == len && strncasecmp(plain_schemes[i], scheme, len) == 0)
			return true;
	return false;
}

/* Length of what precedes the colon of a scheme; 0 if there is none. */
static size_t
SchemeLength(const char *uri, size_t len)
{
	for (size_t i = 0; i < len && uri[i] != '/'; i++)
		if (uri[i] == ':')
			return i;
	return 0;
}

const char *
PathKey(const char *uri, size_t len, size_t *keylen)
{
	size_t		scheme = SchemeLength(uri, len);
	size_t		at = 0;

	if (scheme > 0)
	{
		bool		plain = IsPlainScheme(uri, scheme);

		at = scheme + 1;
		if (len - at >= 2 && uri[at] == '/' && uri[at + 1] == '/')
		{
			at += 2;
			while (plain && at < len && uri[at] != '/')
				at++;
		}
	}
	else
		while (len - at >= 2 && uri[at] == '.' && uri[at + 1] == '/')
			at += 2;
	*keylen = len - at;
	return uri + at;
}

bool
PathsMatch(const char *a, const char *b)
{
	size_t		alen;
	size_t		blen;

	a = PathKey(a, strlen(a), &alen);
	b = PathKey(b, strlen(b), &blen);
	return alen == blen && memcmp(a, b, alen) == 0;
}
