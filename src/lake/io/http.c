/*
 * http.c
 *		HTTP by libcurl.
 *
 * One multi handle a process, which keeps connections open between requests.
 * libcurl tells which sockets it waits for; we wait for them in a WaitEventSet
 * together with the latch, so that cancel and termination are served at once, and
 * call libcurl when there is something to do.  Interrupts are looked at between
 * its calls only, never in a callback: no error may jump through libcurl.  What
 * callbacks need grows by malloc, for the same reason.  Signals are blocked while
 * it runs, so that the thread in which it looks up names gets none.
 */
#include "postgres.h"

#include <curl/curl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/compat.h"
#include "base/settings.h"
#include "common/pg_prng.h"
#include "lake/io/http.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define MAX_PARALLEL 16
#define MAX_SOCKETS (4 * MAX_PARALLEL)
#define CONNECT_TIMEOUT_MS 10000
#define MAX_HEADERS (64 * 1024)
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 5000

/* Bytes that a callback collects. */
typedef struct Gathered
{
	char	   *data;			/* malloc */
	size_t		len;
	size_t		allocated;
} Gathered;

typedef struct Transfer
{
	HttpRequest *request;
	CURL	   *easy;
	struct curl_slist *headers;
	char		error[CURL_ERROR_SIZE];
	Gathered	content;
	Gathered	headers_in;
	size_t		sent;			/* of a body from a file */
	off_t		stored;			/* in the file */
	bool		too_long;
	int			file_errno;		/* reading or writing a file failed */
} Transfer;

/* What libcurl waits for. */
typedef struct Watched
{
	curl_socket_t fd;
	int			what;			/* CURL_POLL_* */
} Watched;

static CURLM *multi = NULL;
static Watched watched[MAX_SOCKETS];
static int	nwatched = 0;
static TimestampTz wake_at = 0; /* 0 = no timer */

/* ---- calls of libcurl ---- */

static void
BlockSignals(sigset_t *before)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, before);
}

static void
UnblockSignals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ---- callbacks: no ereport(), no palloc() ---- */

static int
OnSocket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	int			i = 0;

	while (i < nwatched && watched[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < nwatched)
			watched[i] = watched[--nwatched];
		return 0;
	}
	if (i == MAX_SOCKETS)
		return -1;
	watched[i].fd = fd;
	watched[i].what = what;
	if (i == nwatched)
		nwatched++;
	return 0;
}

static int
OnTimer(CURLM *handle, long timeout_ms, void *data)
{
	wake_at = timeout_ms < 0 ? 0 :
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	return 0;
}

static bool
Gather(Gathered *gathered, const char *data, size_t len)
{
	if (gathered->len + len + 1 > gathered->allocated)
	{
		size_t		size = Max(gathered->allocated * 2, gathered->len + len + 1);
		char	   *more = realloc(gathered->data, size);

		if (more == NULL)
			return false;
		gathered->data = more;
		gathered->allocated = size;
	}
	memcpy(gathered->data + gathered->len, data, len);
	gathered->len += len;
	gathered->data[gathered->len] = '\0';
	return true;
}

static size_t
OnHeader(char *data, size_t size, size_t n, void *arg)
{
	Transfer   *transfer = arg;

	/* a new status line: what came before was an interim answer */
	if (n >= 5 && strncmp(data, "HTTP/", 5) == 0)
		transfer->headers_in.len = 0;
	if (transfer->headers_in.len + n > MAX_HEADERS || !Gather(&transfer->headers_in, data, n))
		return 0;
	return n;
}

static bool
StoreInFile(Transfer *transfer, const char *data, size_t len)
{
	const HttpRequest *request = transfer->request;

	while (len > 0)
	{
		ssize_t		n = pwrite(request->sink_fd, data, len, request->sink_offset + transfer->stored);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			transfer->file_errno = n < 0 ? errno : ENOSPC;
			return false;
		}
		transfer->stored += n;
		data += n;
		len -= n;
	}
	return true;
}

static size_t
OnContent(char *data, size_t size, size_t n, void *arg)
{
	Transfer   *transfer = arg;
	const HttpRequest *request = transfer->request;
	long		status = 0;
	bool		to_file;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	to_file = request->sink_fd >= 0 && (status == 200 || status == 206);
	if ((to_file ? (size_t) transfer->stored : transfer->content.len) + n > request->sink_max)
	{
		transfer->too_long = true;
		return 0;
	}
	if (!(to_file ? StoreInFile(transfer, data, n) : Gather(&transfer->content, data, n)))
		return 0;
	return n;
}

static size_t
OnBody(char *data, size_t size, size_t n, void *arg)
{
	Transfer   *transfer = arg;
	const HttpRequest *request = transfer->request;
	size_t		want = Min(size * n, request->body_len - transfer->sent);
	ssize_t		got;

	do
	{
		got = pread(request->body_fd, data, want, request->body_offset + (off_t) transfer->sent);
	} while (got < 0 && errno == EINTR);
	if (got < 0 || (got == 0 && want > 0))
	{
		transfer->file_errno = got < 0 ? errno : EIO;
		return CURL_READFUNC_ABORT;
	}
	transfer->sent += got;
	return got;
}

static int
OnSeek(void *arg, curl_off_t offset, int origin)
{
	Transfer   *transfer = arg;

	if (origin != SEEK_SET || offset < 0)
		return CURL_SEEKFUNC_CANTSEEK;
	transfer->sent = (size_t) offset;
	return CURL_SEEKFUNC_OK;
}

/* ---- starting ---- */

static void
MakeMulti(void)
{
	sigset_t	mask;

	if (multi != NULL)
		return;
	BlockSignals(&mask);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		multi = curl_multi_init();
	UnblockSignals(&mask);
	if (multi == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not initialize libcurl")));
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, OnSocket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, OnTimer);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) MAX_PARALLEL);
}

static void
SetBody(Transfer *transfer)
{
	HttpRequest *request = transfer->request;
	CURL	   *easy = transfer->easy;

	if (request->body != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
	}
	else if (request->body_len > 0)
	{
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) request->body_len);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, OnBody);
		curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, OnSeek);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
	}
	if (strcmp(request->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void
SetProtocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void
SetOptions(Transfer *transfer)
{
	CURL	   *easy = transfer->easy;
	long		timeout_s = Max(StoreTimeout / 1000, 1);

	curl_easy_setopt(easy, CURLOPT_URL, transfer->request->url);
	SetProtocols(easy);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, OnHeader);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnContent);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) Min(StoreTimeout, CONNECT_TIMEOUT_MS));
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, timeout_s);
	if (StoreCaFile[0] != '\0')
		curl_easy_setopt(easy, CURLOPT_CAINFO, StoreCaFile);
	SetBody(transfer);
}

static void
StartTransfer(Transfer *transfer)
{
	ListCell   *lc;
	CURLMcode	code = CURLM_OUT_OF_MEMORY;
	sigset_t	mask;

	BlockSignals(&mask);
	transfer->easy = curl_easy_init();
	foreach(lc, transfer->request->headers)
		transfer->headers = curl_slist_append(transfer->headers, (char *) lfirst(lc));
	/* no waiting for "100 Continue", no type that the signature does not know */
	transfer->headers = curl_slist_append(transfer->headers, "Expect:");
	if (transfer->easy != NULL)
	{
		SetOptions(transfer);
		code = curl_multi_add_handle(multi, transfer->easy);
	}
	UnblockSignals(&mask);
	if (code != CURLM_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not start an HTTP request: %s", curl_multi_strerror(code))));
}

static void
FreeTransfer(Transfer *transfer)
{
	sigset_t	mask;

	BlockSignals(&mask);
	if (transfer->easy != NULL)
	{
		curl_multi_remove_handle(multi, transfer->easy);
		curl_easy_cleanup(transfer->easy);
	}
	curl_slist_free_all(transfer->headers);
	free(transfer->content.data);
	free(transfer->headers_in.data);
	UnblockSignals(&mask);
	memset(transfer, 0, sizeof(*transfer));
}

/* ---- waiting ---- */

static uint32
WaitedFor(int what)
{
	uint32		events = 0;

	if (what & CURL_POLL_IN)
		events |= WL_SOCKET_READABLE;
	if (what & CURL_POLL_OUT)
		events |= WL_SOCKET_WRITEABLE;
	return events;
}

/* Have libcurl go on where it can. */
static void
Act(curl_socket_t fd, int what)
{
	int			running;
	sigset_t	mask;

	BlockSignals(&mask);
	curl_multi_socket_action(multi, fd, what, &running);
	UnblockSignals(&mask);
}

static void
Wait(void)
{
	WaitEventSet *set = CompatCreateWaitEventSet(2 + nwatched);
	WaitEvent	events[2 + MAX_SOCKETS];
	long		timeout = 1000;
	int			n;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < nwatched; i++)
		if (WaitedFor(watched[i].what) != 0)
			AddWaitEventToSet(set, WaitedFor(watched[i].what), watched[i].fd, NULL, NULL);
	if (wake_at != 0)
		timeout = Min(timeout, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), wake_at));
	n = WaitEventSetWait(set, timeout, events, lengthof(events), PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);

	for (int i = 0; i < n; i++)
	{
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
		else if (events[i].events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE))
			Act(events[i].fd,
				((events[i].events & WL_SOCKET_READABLE) ? CURL_CSELECT_IN : 0) |
				((events[i].events & WL_SOCKET_WRITEABLE) ? CURL_CSELECT_OUT : 0));
	}
	if (wake_at != 0 && GetCurrentTimestamp() >= wake_at)
	{
		wake_at = 0;
		Act(CURL_SOCKET_TIMEOUT, 0);
	}
	CHECK_FOR_INTERRUPTS();
}

/* ---- answers ---- */

static char *
Describe(const Transfer *transfer, CURLcode code)
{
	if (transfer->too_long)
		return pstrdup("the answer is too long");
	if (transfer->file_errno != 0)
		return psprintf("local file: %s", strerror(transfer->file_errno));
	return pstrdup(transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code));
}

static void
Finish(Transfer *transfer, CURLcode code)
{
	HttpRequest *request = transfer->request;
	long		status = 0;

	if (code == CURLE_OK)
		curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	else
		request->error = Describe(transfer, code);
	request->status = (int) status;
	request->local_errno = transfer->file_errno;
	request->untrusted = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
	request->unsent = request->untrusted || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
		code == CURLE_COULDNT_RESOLVE_PROXY;
	request->headers_in = transfer->headers_in.data == NULL ? pstrdup("") :
		pstrdup(transfer->headers_in.data);
	request->content_len = transfer->stored > 0 ? (size_t) transfer->stored : transfer->content.len;
	if (transfer->content.data != NULL)
	{
		request->content = MemoryContextAllocHuge(CurrentMemoryContext, transfer->content.len + 1);
		memcpy(request->content, transfer->content.data, transfer->content.len + 1);
	}
	FreeTransfer(transfer);
}

/* Take in what has come to its end; how many did. */
static int
Collect(void)
{
	CURLMsg    *message;
	int			left;
	int			n = 0;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		char	   *transfer;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		Finish((Transfer *) transfer, message->data.result);
		n++;
	}
	return n;
}

static void
RunAll(Transfer *transfers, int n, int parallel)
{
	int			started = 0;
	int			done = 0;

	while (done < n)
	{
		int			finished;

		while (started < n && started - done < parallel)
			StartTransfer(&transfers[started++]);
		finished = Collect();
		done += finished;
		if (finished == 0)
			Wait();
	}
}

/* Sockets and the wait set count among this process's files. */
static void
ReserveFiles(int n)
{
	for (int i = 0; i < n; i++)
	{
		if (AcquireExternalFD())
			continue;
		while (i-- > 0)
			ReleaseExternalFD();
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not connect to an object store: too many open files")));
	}
}

static void
ReleaseFiles(int n)
{
	while (n-- > 0)
		ReleaseExternalFD();
}

void
HttpRun(HttpRequest **requests, int n, int parallel)
{
	Transfer   *transfers = palloc0(sizeof(Transfer) * (n + 1));
	const int	at_once = Max(Min(parallel, Min(n, MAX_PARALLEL)), 1);

	if (n == 0)
		return;
	MakeMulti();
	for (int i = 0; i < n; i++)
	{
		transfers[i].request = requests[i];
		requests[i]->status = requests[i]->local_errno = 0;
		requests[i]->error = requests[i]->content = NULL;
		requests[i]->content_len = 0;
	}
	ReserveFiles(at_once + 1);
	PG_TRY();
	{
		RunAll(transfers, n, at_once);
	}
	PG_FINALLY();
	{
		for (int i = 0; i < n; i++)
			FreeTransfer(&transfers[i]);
		ReleaseFiles(at_once + 1);
	}
	PG_END_TRY();
	pfree(transfers);
}

void
HttpInit(HttpRequest *request, const char *method, const char *url)
{
	memset(request, 0, sizeof(*request));
	request->method = method;
	request->url = url;
	request->body_fd = -1;
	request->sink_fd = -1;
	request->sink_max = MaxAllocSize / 2;
}

char *
HttpHeader(const HttpRequest *request, const char *name)
{
	size_t		len = strlen(name);
	const char *line = request->headers_in;

	while (line != NULL && *line != '\0')
	{
		const char *end = strchr(line, '\n');

		if (pg_strncasecmp(line, name, len) == 0 && line[len] == ':')
		{
			const char *value = line + len + 1;
			const char *stop = end == NULL ? line + strlen(line) : end;

			while (value < stop && (*value == ' ' || *value == '\t'))
				value++;
			while (stop > value && isspace((unsigned char) stop[-1]))
				stop--;
			return pnstrdup(value, stop - value);
		}
		line = end == NULL ? NULL : end + 1;
	}
	return NULL;
}

void
HttpPause(int attempt, int64 at_least_ms)
{
	int64		longest = Min((int64) FIRST_PAUSE_MS << Min(attempt, 10), LONGEST_PAUSE_MS);
	int64		ms = longest / 2 + (int64) (pg_prng_double(&pg_global_prng_state) * (longest / 2));
	TimestampTz until;

	ms = Max(ms, Min(at_least_ms, 4 * LONGEST_PAUSE_MS));
	until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	for (;;)
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		CHECK_FOR_INTERRUPTS();
		if (left <= 0)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

char *
HttpEscape(const char *text)
{
	StringInfoData escaped;

	initStringInfo(&escaped);
	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;

		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) != NULL)
			appendStringInfoChar(&escaped, c);
		else
			appendStringInfo(&escaped, "%%%02X", c);
	}
	return escaped.data;
}
