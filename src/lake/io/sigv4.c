/*
 * sigv4.c
 *		Signature Version 4.
 *
 * The signature is an HMAC over the time, the scope (day, region, service) and
 * the hash of the canonical request: method, path, sorted query, sorted headers
 * and the hash of the payload.  Its key is derived from the secret by the
 * scope's parts.
 */
#include "lake/io/sigv4.h"

#include "lake/iceberg/buffer.h"
#include "lake/io/sha256.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SECONDS_PER_DAY 86400

void
SigV4Time(int64 unix_seconds, char time[SIGV4_TIME])
{
	int64		days = unix_seconds / SECONDS_PER_DAY;
	int64		second = unix_seconds % SECONDS_PER_DAY;
	int64		era;
	int64		day_of_era;
	int64		year_of_era;
	int64		day_of_year;
	int64		month;
	int64		parts[6];
	static const int widths[6] = {4, 2, 2, 2, 2, 2};
	char	   *p = time;

	/* civil date of a day count, in eras of 400 years that begin on 1 March */
	days += 719468;
	era = days / 146097;
	day_of_era = days % 146097;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	parts[0] = year_of_era + era * 400 + (month >= 10 ? 1 : 0);
	parts[1] = month < 10 ? month + 3 : month - 9;
	parts[2] = day_of_year - (153 * month + 2) / 5 + 1;
	parts[3] = second / 3600;
	parts[4] = second / 60 % 60;
	parts[5] = second % 60;
	for (int i = 0; i < 6; i++)
	{
		if (i == 3)
			*p++ = 'T';
		for (int digit = widths[i] - 1; digit >= 0; digit--)
		{
			p[digit] = (char) ('0' + parts[i] % 10);
			parts[i] /= 10;
		}
		p += widths[i];
	}
	*p++ = 'Z';
	*p = '\0';
}

static bool
IsUnreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

static void
Encode(Buffer *buffer, const char *text, bool is_path)
{
	for (const unsigned char *p = (const unsigned char *) text; *p != '\0'; p++)
	{
		if (IsUnreserved(*p) || (is_path && *p == '/'))
			BufferPut(buffer, p, 1);
		else
			BufferPrintf(buffer, "%%%02X", *p);
	}
}

static char *
Encoded(const char *text, bool is_path)
{
	Buffer		buffer;

	BufferInit(&buffer);
	Encode(&buffer, text, is_path);
	BufferPut(&buffer, "", 1);
	return buffer.data;
}

char *
SigV4Path(const char *path)
{
	return Encoded(path, true);
}

static int
ComparePairs(const void *a, const void *b)
{
	const SigV4Pair *x = a;
	const SigV4Pair *y = b;
	int			order = strcmp(x->name, y->name);

	return order != 0 ? order : strcmp(x->value, y->value);
}

static SigV4Pair *
Sorted(const SigV4Pair *pairs, int n, bool encode)
{
	SigV4Pair  *sorted = mem_alloc(sizeof(SigV4Pair) * (n + 1));

	for (int i = 0; i < n; i++)
	{
		sorted[i].name = encode ? Encoded(pairs[i].name, false) : pairs[i].name;
		sorted[i].value = encode ? Encoded(pairs[i].value, false) : pairs[i].value;
	}
	qsort(sorted, n, sizeof(SigV4Pair), ComparePairs);
	return sorted;
}

char *
SigV4Query(const SigV4Pair *params, int n)
{
	SigV4Pair  *sorted = Sorted(params, n, true);
	Buffer		buffer;

	BufferInit(&buffer);
	for (int i = 0; i < n; i++)
		BufferPrintf(&buffer, "%s%s=%s", i > 0 ? "&" : "", sorted[i].name, sorted[i].value);
	BufferPut(&buffer, "", 1);
	mem_free(sorted);
	return buffer.data;
}

/*
 * A header's value without white space around it, runs of blanks as one.
 */
static void
PutTrimmed(Buffer *buffer, const char *value)
{
	bool		blank = false;
	bool		started = false;

	for (; *value != '\0'; value++)
	{
		if (*value == ' ' || *value == '\t')
		{
			blank = started;
			continue;
		}
		if (blank)
			BufferPut(buffer, " ", 1);
		blank = false;
		started = true;
		BufferPut(buffer, value, 1);
	}
}

static char *
SignedHeaders(const SigV4Pair *sorted, int n)
{
	Buffer		buffer;

	BufferInit(&buffer);
	for (int i = 0; i < n; i++)
		BufferPrintf(&buffer, "%s%s", i > 0 ? ";" : "", sorted[i].name);
	BufferPut(&buffer, "", 1);
	return buffer.data;
}

char *
SigV4CanonicalRequest(const SigV4Request *request)
{
	SigV4Pair  *sorted = Sorted(request->headers, request->nheaders, false);
	Buffer		buffer;

	BufferInit(&buffer);
	BufferPrintf(&buffer, "%s\n%s\n%s\n", request->method, request->path, request->query);
	for (int i = 0; i < request->nheaders; i++)
	{
		BufferPrintf(&buffer, "%s:", sorted[i].name);
		PutTrimmed(&buffer, sorted[i].value);
		BufferPut(&buffer, "\n", 1);
	}
	BufferPrintf(&buffer, "\n%s\n%s", SignedHeaders(sorted, request->nheaders),
				 request->payload_hash);
	BufferPut(&buffer, "", 1);
	mem_free(sorted);
	return buffer.data;
}

static void
SigningKey(const SigV4Key *key, const char *day, uint8 result[SHA256_BYTES])
{
	const char *parts[] = {day, key->region, key->service, "aws4_request"};
	Buffer		secret;

	BufferInit(&secret);
	BufferPrintf(&secret, "AWS4%s", key->secret);
	HmacSha256(secret.data, secret.len, parts[0], strlen(parts[0]), result);
	for (int i = 1; i < 4; i++)
		HmacSha256(result, SHA256_BYTES, parts[i], strlen(parts[i]), result);
	memset(secret.data, 0, secret.len);
	mem_free(secret.data);
}

char *
SigV4Authorization(const SigV4Request *request, const SigV4Key *key, const char *time)
{
	char	   *canonical = SigV4CanonicalRequest(request);
	char		day[9];
	uint8		digest[SHA256_BYTES];
	uint8		signing[SHA256_BYTES];
	char		hash[SHA256_HEX];
	char		signature[SHA256_HEX];
	Buffer		text;
	Buffer		header;
	SigV4Pair  *sorted = Sorted(request->headers, request->nheaders, false);

	memcpy(day, time, 8);
	day[8] = '\0';
	Sha256Of(canonical, strlen(canonical), digest);
	Sha256Hex(digest, hash);

	BufferInit(&text);
	BufferPrintf(&text, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", time, day, key->region,
				 key->service, hash);
	SigningKey(key, day, signing);
	HmacSha256(signing, sizeof(signing), text.data, text.len, digest);
	Sha256Hex(digest, signature);

	BufferInit(&header);
	BufferPrintf(&header, ALGORITHM " Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s",
				 key->id, day, key->region, key->service,
				 SignedHeaders(sorted, request->nheaders), signature);
	BufferPut(&header, "", 1);
	mem_free(sorted);
	return header.data;
}
