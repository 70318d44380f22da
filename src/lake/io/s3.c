/*
 * s3.c
 *		Requests to an S3 service: addresses, signatures, attempts, errors.
 *
 * Each attempt is signed anew, since a signature is good for some minutes only.
 * A clock that is off is noticed by the service, whose answer tells its own time;
 * the difference is kept for the server.
 */
#include "postgres.h"

#include <curl/curl.h>
#include <time.h>
#include <unistd.h>

#include "base/settings.h"
#include "lake/io/s3.h"
#include "lake/io/sha256.h"
#include "lake/io/xml.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define S3_PARALLEL 8
#define HASH_BUFFER (256 * 1024)
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
/* Clock corrections and renewed credentials are worth this many attempts of their own. */
#define MAX_CORRECTIONS 3

void
S3Init(S3Call *call, const char *method, const char *uri)
{
	memset(call, 0, sizeof(*call));
	call->uri = uri;
	call->method = method;
	HttpInit(&call->http, method, NULL);
}

void
S3Param(S3Call *call, const char *name, const char *value)
{
	Assert(call->nparams < S3_MAX_PARAMS);
	call->params[call->nparams++] = (SigV4Pair) {name, value};
}

void
S3Header(S3Call *call, const char *name, const char *value)
{
	Assert(call->nheaders < S3_MAX_HEADERS);
	call->headers[call->nheaders++] = (SigV4Pair) {name, value};
}

/* ---- addresses ---- */

typedef struct Address
{
	char	   *url;			/* without the query */
	char	   *host;			/* with its port */
	char	   *path;			/* encoded */
} Address;

/* Can a bucket be part of a host's name, also of one that a certificate with * covers? */
static bool
FitsHostName(const char *bucket)
{
	return strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(bucket);
}

static void
FindAddress(const LakeAccess *access, const char *uri, bool of_bucket, Address *address)
{
	const char *rest = strstr(uri, "://") + 3;
	const char *slash = strchr(rest, '/');
	char	   *bucket = slash == NULL ? pstrdup(rest) : pnstrdup(rest, slash - rest);
	const char *key = slash == NULL || of_bucket ? "" : slash + 1;
	const char *endpoint = access->endpoint;
	const char *host;
	char	   *base;

	if (bucket[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lake location \"%s\" names no bucket", uri)));
	if (endpoint == NULL)
		endpoint = psprintf("%s://s3.%s.amazonaws.com", "https", access->region);
	host = strstr(endpoint, "://") + 3;
	base = pnstrdup(endpoint, host - endpoint);
	if (access->path_style || !FitsHostName(bucket))
	{
		address->host = pstrdup(host);
		address->path = SigV4Path(psprintf("/%s/%s", bucket, key));
	}
	else
	{
		address->host = psprintf("%s.%s", bucket, host);
		address->path = SigV4Path(psprintf("/%s", key));
	}
	address->url = psprintf("%s%s%s", base, address->host, address->path);
}

/* ---- signing ---- */

static char *
HashOfFile(int fd, off_t offset, size_t len)
{
	char	   *buffer = palloc(HASH_BUFFER);
	char	   *hex = palloc(SHA256_HEX);
	uint8		digest[SHA256_BYTES];
	Sha256		sha;

	Sha256Begin(&sha);
	while (len > 0)
	{
		ssize_t		n = pread(fd, buffer, Min(len, HASH_BUFFER), offset);

		CHECK_FOR_INTERRUPTS();
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			ereport(ERROR,
					(n < 0 ? errcode_for_file_access() : errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("could not read a file to be uploaded: %m")));
		Sha256Add(&sha, buffer, n);
		offset += n;
		len -= n;
	}
	Sha256End(&sha, digest);
	Sha256Hex(digest, hex);
	pfree(buffer);
	return hex;
}

static const char *
PayloadHash(const S3Call *call)
{
	uint8		digest[SHA256_BYTES];
	char	   *hex;

	if (call->http.body_len == 0)
		return EMPTY_HASH;
	if (call->http.body == NULL)
		return HashOfFile(call->http.body_fd, call->http.body_offset, call->http.body_len);
	hex = palloc(SHA256_HEX);
	Sha256Of(call->http.body, call->http.body_len, digest);
	Sha256Hex(digest, hex);
	return hex;
}

static void
AddHeader(S3Call *call, const char *name, const char *value)
{
	call->http.headers = lappend(call->http.headers, psprintf("%s: %s", name, value));
}

/* The address, the time and the signature of an attempt. */
static void
Prepare(const LakeAccess *access, S3Call *call)
{
	Address		address;
	char	   *query = SigV4Query(call->params, call->nparams);
	char	   *time_text = palloc(SIGV4_TIME);
	SigV4Pair	headers[S3_MAX_HEADERS + 4];
	int			n = 0;

	FindAddress(access, call->uri, call->of_bucket, &address);
	call->http.url = query[0] == '\0' ? address.url : psprintf("%s?%s", address.url, query);
	call->http.headers = NIL;
	AddHeader(call, "Host", address.host);
	for (int i = 0; i < call->nheaders; i++)
	{
		headers[n++] = call->headers[i];
		AddHeader(call, call->headers[i].name, call->headers[i].value);
	}
	if (call->http.body != NULL)
		AddHeader(call, "Content-Type", "application/octet-stream");
	if (access->key_id == NULL)
		return;					/* anonymous */
	if (call->payload_hash == NULL)
		call->payload_hash = PayloadHash(call);
	SigV4Time((int64) time(NULL) + access->clock_offset, time_text);
	headers[n++] = (SigV4Pair) {"host", address.host};
	headers[n++] = (SigV4Pair) {"x-amz-content-sha256", call->payload_hash};
	headers[n++] = (SigV4Pair) {"x-amz-date", time_text};
	AddHeader(call, "x-amz-content-sha256", call->payload_hash);
	AddHeader(call, "x-amz-date", time_text);
	if (access->session_token != NULL)
	{
		headers[n++] = (SigV4Pair) {"x-amz-security-token", access->session_token};
		AddHeader(call, "x-amz-security-token", access->session_token);
	}
	{
		SigV4Request request = {call->method, address.path, query, n, headers, call->payload_hash};
		SigV4Key	key = {access->key_id, access->secret, access->region, "s3"};

		AddHeader(call, "Authorization", SigV4Authorization(&request, &key, time_text));
	}
}

/* ---- answers ---- */

static void
ReadError(S3Call *call)
{
	call->code = call->message = NULL;
	if (call->http.status < 300 || call->http.content == NULL)
		return;
	call->code = XmlFind(call->http.content, call->http.content_len, "Code");
	call->message = XmlFind(call->http.content, call->http.content_len, "Message");
}

static bool
CodeIs(const S3Call *call, const char *code)
{
	return call->code != NULL && strcmp(call->code, code) == 0;
}

/* The service's clock and ours differ: sign by its own from now on. */
static bool
CorrectClock(LakeAccess *access, const S3Call *call)
{
	char	   *date = HttpHeader(&call->http, "date");
	time_t		theirs = date == NULL ? (time_t) -1 : curl_getdate(date, NULL);

	if (!CodeIs(call, "RequestTimeTooSkewed") || theirs == (time_t) -1)
		return false;
	access->clock_offset = (int64) theirs - (int64) time(NULL);
	return true;
}

static bool
CredentialsMayBeOld(const S3Call *call)
{
	return CodeIs(call, "ExpiredToken") || CodeIs(call, "InvalidToken") ||
		CodeIs(call, "InvalidAccessKeyId") || CodeIs(call, "SignatureDoesNotMatch") ||
		CodeIs(call, "TokenRefreshRequired");
}

static bool
IsTransient(const S3Call *call)
{
	int			status = call->http.status;

	if (status == 501 || call->http.local_errno != 0 || call->http.untrusted)
		return false;
	return status == 0 || status == 408 || status == 429 || status >= 500 ||
		CodeIs(call, "RequestTimeout") || CodeIs(call, "SlowDown");
}

/*
 * Is a call worth another attempt?  *pause: after a while only.
 */
static bool
WorthAnother(LakeAccess *access, S3Call *call, int *corrections, bool *pause)
{
	*pause = false;
	if (*corrections < MAX_CORRECTIONS &&
		(CorrectClock(access, call) || (CredentialsMayBeOld(call) && LakeAccessRenew(access))))
	{
		++*corrections;
		return true;
	}
	if (!IsTransient(call) || call->attempts > StoreMaxRetries)
		return false;
	*pause = true;
	return true;
}

static int64
RetryAfterMs(const S3Call *call)
{
	char	   *text = call->http.status == 0 ? NULL : HttpHeader(&call->http, "retry-after");

	return text == NULL ? 0 : (int64) atoi(text) * 1000;
}

static void
Attempt(LakeAccess *access, List *calls)
{
	int			n = list_length(calls);
	HttpRequest **requests = palloc(sizeof(HttpRequest *) * n);
	ListCell   *lc;

	foreach(lc, calls)
	{
		S3Call	   *call = lfirst(lc);

		call->unclear |= call->attempts > 0 && !call->http.unsent &&
			(call->http.status == 0 || call->http.status >= 500);
		Prepare(access, call);
		call->attempts++;
		requests[foreach_current_index(lc)] = &call->http;
	}
	HttpRun(requests, n, S3_PARALLEL);
	foreach(lc, calls)
		ReadError(lfirst(lc));
}

void
S3Run(LakeAccess *access, S3Call **calls, int n)
{
	List	   *pending = NIL;
	int			corrections = 0;

	for (int i = 0; i < n; i++)
	{
		LakeAccessCheck(access, calls[i]->uri);
		pending = lappend(pending, calls[i]);
	}
	while (pending != NIL)
	{
		List	   *again = NIL;
		bool		pause_all = false;
		int64		at_least = 0;
		int			attempts = 1;
		ListCell   *lc;

		Attempt(access, pending);
		foreach(lc, pending)
		{
			S3Call	   *call = lfirst(lc);
			bool		pause;

			if (!WorthAnother(access, call, &corrections, &pause))
				continue;
			again = lappend(again, call);
			pause_all |= pause;
			attempts = Max(attempts, call->attempts);
			at_least = Max(at_least, RetryAfterMs(call));
		}
		if (again != NIL && pause_all)
			HttpPause(attempts, at_least);
		list_free(pending);
		pending = again;
	}
}

/* ---- errors ---- */

static int
SqlState(const S3Call *call)
{
	if (call->http.local_errno == ENOSPC)
		return ERRCODE_DISK_FULL;
	if (call->http.local_errno != 0)
		return ERRCODE_IO_ERROR;
	if (call->http.status == 0)
		return ERRCODE_CONNECTION_FAILURE;
	if (CredentialsMayBeOld(call) || CodeIs(call, "RequestTimeTooSkewed") ||
		call->http.status == 401)
		return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	if (call->http.status == 403)
		return ERRCODE_INSUFFICIENT_PRIVILEGE;
	if (call->http.status == 404)
		return ERRCODE_UNDEFINED_FILE;
	if (call->http.status == 412)
		return ERRCODE_DUPLICATE_FILE;
	return ERRCODE_IO_ERROR;
}

static char *
Hint(const LakeAccess *access, const S3Call *call)
{
	const char *server = access->server_name != NULL ? access->server_name : "lake";

	if (call->http.local_errno != 0)
		return NULL;
	if (call->http.untrusted)
		return pstrdup("The setting shard.store_ca_file names the certificates by which object stores are known.");
	if (call->http.status == 0)
		return psprintf("Check option endpoint of server \"%s\", and that the object store runs.", server);
	if (CodeIs(call, "RequestTimeTooSkewed"))
		return pstrdup("Set the clock of this machine or that of the object store.");
	if (CodeIs(call, "NoSuchBucket"))
		return pstrdup("Make the bucket first.");
	if (call->http.status == 403 || call->http.status == 401)
		return access->shared
			? pstrdup("Check the credentials that setting shard.store_credentials refers to.")
			: psprintf("Check access_key_id and secret_access_key in the user mapping for server \"%s\".",
					   server);
	if (call->http.status == 301 || call->http.status == 307)
		return psprintf("Check options endpoint and region of server \"%s\".", server);
	if (call->http.status >= 500 || call->http.status == 429)
		return pstrdup("The object store does not serve requests at the moment; the setting shard.store_max_retries says how often it is asked.");
	return NULL;
}

void
S3Report(int level, const LakeAccess *access, const S3Call *call, const char *what)
{
	char	   *hint = Hint(access, call);

	if (call->http.status == 0)
		ereport(level,
				(errcode(SqlState(call)),
				 errmsg("could not %s lake file \"%s\": %s", what, call->uri, call->http.error),
				 hint != NULL ? errhint("%s", hint) : 0));
	else
		ereport(level,
				(errcode(SqlState(call)),
				 errmsg("could not %s lake file \"%s\": the object store answers %d%s%s",
						what, call->uri, call->http.status, call->code != NULL ? " " : "",
						call->code != NULL ? call->code : ""),
				 call->message != NULL && call->message[0] != '\0'
				 ? errdetail("It says: %s", call->message) : 0,
				 hint != NULL ? errhint("%s", hint) : 0));
}

void
S3Raise(const LakeAccess *access, const S3Call *call, const char *what)
{
	S3Report(ERROR, access, call, what);
	pg_unreachable();
}
