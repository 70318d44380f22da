/*
 * s3_objects.c
 *		Putting, listing and removing objects.
 *
 * An object is written under a name that nobody else takes, so that a repeated
 * PUT, after an attempt of unknown outcome, writes the same again.
 */
#include "postgres.h"

#include <time.h>

#include "base/compat.h"
#include "lake/io/io.h"
#include "lake/io/s3.h"
#include "lake/io/sha256.h"
#include "lake/io/xml.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Larger files are uploaded in parts; a service takes at most 10,000 of 5 MB or more. */
#define MULTIPART_FROM ((int64) 16 * 1024 * 1024)
#define SMALLEST_PART ((int64) 8 * 1024 * 1024)
#define MOST_PARTS 9000
#define PARTS_AT_ONCE 4
#define DELETE_AT_ONCE 1000

static void
RunOne(LakeAccess *access, S3Call *call)
{
	S3Run(access, &call, 1);
}

/* ---- writing ---- */

/* Is the object there with just this content? */
static bool
HasContent(LakeAccess *access, const char *uri, const char *data, size_t len)
{
	S3Call		call;

	S3Init(&call, "GET", uri);
	RunOne(access, &call);
	return call.http.status == 200 && call.http.content_len == len &&
		(len == 0 || memcmp(call.http.content, data, len) == 0);
}

void
S3Put(LakeAccess *access, const char *uri, const char *data, size_t len, bool exclusive)
{
	S3Call		call;

	S3Init(&call, "PUT", uri);
	call.http.body = data;
	call.http.body_len = len;
	if (exclusive && !access->no_conditional_put)
		S3Header(&call, "if-none-match", "*");
	RunOne(access, &call);
	if (call.http.status == 501 && call.nheaders > 0)
	{
		/* a service that cannot: names are unique without its help */
		access->no_conditional_put = true;
		S3Put(access, uri, data, len, false);
		return;
	}
	/* the answer to an earlier attempt may have been lost */
	if (call.http.status == 412 && call.unclear && HasContent(access, uri, data, len))
		return;
	if (call.http.status != 200)
		S3Raise(access, &call, "write");
}

static void
PutWhole(LakeAccess *access, const char *uri, int fd, int64 size)
{
	S3Call		call;

	S3Init(&call, "PUT", uri);
	call.http.body_fd = fd;
	call.http.body_len = size;
	if (size == 0)
		call.http.body = "";
	RunOne(access, &call);
	if (call.http.status != 200)
		S3Raise(access, &call, "write");
}

/* ---- in parts ---- */

typedef struct Upload
{
	LakeAccess *access;
	const char *uri;
	char	   *id;
	int			nparts;
	char	  **etags;
} Upload;

static void
BeginUpload(Upload *upload)
{
	S3Call		call;

	S3Init(&call, "POST", upload->uri);
	S3Param(&call, "uploads", "");
	call.http.body = "";
	RunOne(upload->access, &call);
	if (call.http.status != 200)
		S3Raise(upload->access, &call, "write");
	upload->id = call.http.content == NULL ? NULL :
		XmlFind(call.http.content, call.http.content_len, "UploadId");
	if (upload->id == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("could not write lake file \"%s\": the object store gives no upload id", upload->uri)));
}

static void
PutParts(Upload *upload, int first, int n, int fd, int64 size, int64 part_size)
{
	S3Call	   *calls = palloc(sizeof(S3Call) * n);
	S3Call	  **pointers = palloc(sizeof(S3Call *) * n);

	for (int i = 0; i < n; i++)
	{
		S3Call	   *call = &calls[i];
		int64		offset = (first + i) * part_size;

		S3Init(call, "PUT", upload->uri);
		S3Param(call, "partNumber", psprintf("%d", first + i + 1));
		S3Param(call, "uploadId", upload->id);
		call->http.body_fd = fd;
		call->http.body_offset = offset;
		call->http.body_len = Min(part_size, size - offset);
		pointers[i] = call;
	}
	S3Run(upload->access, pointers, n);
	for (int i = 0; i < n; i++)
	{
		char	   *etag = calls[i].http.status == 200 ? HttpHeader(&calls[i].http, "etag") : NULL;

		if (etag == NULL)
			S3Raise(upload->access, &calls[i], "write");
		upload->etags[first + i] = etag;
	}
}

/* Does the object have this size? */
static bool
HasSize(LakeAccess *access, const char *uri, int64 size)
{
	S3Call		call;
	char	   *length;

	S3Init(&call, "HEAD", uri);
	RunOne(access, &call);
	length = call.http.status == 200 ? HttpHeader(&call.http, "content-length") : NULL;
	return length != NULL && strtoll(length, NULL, 10) == size;
}

static void
CompleteUpload(Upload *upload, int64 size)
{
	StringInfoData body;
	S3Call		call;
	char	   *error;

	initStringInfo(&body);
	appendStringInfoString(&body, "<CompleteMultipartUpload>");
	for (int i = 0; i < upload->nparts; i++)
		appendStringInfo(&body, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>",
						 i + 1, XmlEscape(upload->etags[i]));
	appendStringInfoString(&body, "</CompleteMultipartUpload>");

	S3Init(&call, "POST", upload->uri);
	S3Param(&call, "uploadId", upload->id);
	call.http.body = body.data;
	call.http.body_len = body.len;
	RunOne(upload->access, &call);
	/* this answer begins before the outcome is known, so 200 can hold an error */
	error = call.http.content == NULL ? NULL :
		XmlFind(call.http.content, call.http.content_len, "Code");
	if (call.http.status == 200 && error == NULL)
		return;
	if (call.unclear && call.http.status == 404 && HasSize(upload->access, upload->uri, size))
		return;
	call.code = error;
	if (call.http.status == 200)
		call.http.status = 500;
	S3Raise(upload->access, &call, "write");
}

static void
AbortUpload(Upload *upload)
{
	S3Call		call;

	S3Init(&call, "DELETE", upload->uri);
	S3Param(&call, "uploadId", upload->id);
	RunOne(upload->access, &call);
}

/*
 * Parts cost until they are thrown away.  But a cancel does not wait for that,
 * and a store that does not answer cannot do it.
 */
pg_noreturn static void
GiveUpUpload(Upload *upload, MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	if (error->sqlerrcode != ERRCODE_QUERY_CANCELED && error->sqlerrcode != ERRCODE_CONNECTION_FAILURE)
	{
		FlushErrorState();
		AbortUpload(upload);
	}
	ReThrowError(error);
}

static int64
PartSize(int64 size)
{
	return Max(SMALLEST_PART, size / MOST_PARTS + 1);
}

/* All parts, some at a time. */
static void
PutAllParts(Upload *upload, int fd, int64 size)
{
	for (int i = 0; i < upload->nparts; i += PARTS_AT_ONCE)
		PutParts(upload, i, Min(PARTS_AT_ONCE, upload->nparts - i), fd, size, PartSize(size));
}

static void
PutInParts(LakeAccess *access, const char *uri, int fd, int64 size)
{
	MemoryContext context = CurrentMemoryContext;
	Upload		upload = {access, uri, NULL, (int) ((size + PartSize(size) - 1) / PartSize(size)), NULL};

	upload.etags = palloc0(sizeof(char *) * upload.nparts);
	BeginUpload(&upload);
	PG_TRY();
	{
		PutAllParts(&upload, fd, size);
		CompleteUpload(&upload, size);
	}
	PG_CATCH();
	{
		GiveUpUpload(&upload, context);
	}
	PG_END_TRY();
}

void
S3PutFile(LakeAccess *access, const char *uri, int fd, int64 size)
{
	if (size >= MULTIPART_FROM)
		PutInParts(access, uri, fd, size);
	else
		PutWhole(access, uri, fd, size);
}

/* ---- looking ---- */

bool
S3Exists(LakeAccess *access, const char *uri)
{
	S3Call		call;

	S3Init(&call, "HEAD", uri);
	RunOne(access, &call);
	if (call.http.status != 200 && call.http.status != 404)
		S3Raise(access, &call, "look for");
	return call.http.status == 200;
}

/* "2026-11-22T20:39:00.000Z" as Unix time; for all else, a file that is not old. */
static int64
TimeMs(const char *text)
{
	struct tm	tm = {0};
	int			ms = 0;

	if (sscanf(text, "%d-%d-%dT%d:%d:%d.%3d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms) < 6)
		return PG_INT64_MAX;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return (int64) timegm(&tm) * 1000 + ms;
}

/* "s3://bucket" of a URI */
static char *
BucketOf(const char *uri)
{
	const char *bucket = strstr(uri, "://") + 3;

	return pnstrdup(uri, bucket + strcspn(bucket, "/") - uri);
}

/* One page of a listing; the token of the next, or NULL. */
static char *
ReadListing(const S3Call *call, const char *bucket, List **files)
{
	XmlReader	reader;
	XmlEvent	event;
	LakeFileInfo *info = NULL;
	char	   *text = NULL;
	char	   *token = NULL;
	bool		more = false;

	XmlBegin(&reader, call->http.content, call->http.content_len);
	while ((event = XmlNext(&reader)) != XML_DONE)
	{
		if (event == XML_BROKEN)
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("could not list lake files below \"%s\": the object store's answer is malformed", bucket)));
		if (event == XML_TEXT)
			text = reader.text;
		if (event == XML_BEGIN)
		{
			text = NULL;
			if (strcmp(reader.name, "Contents") == 0)
			{
				info = palloc0(sizeof(LakeFileInfo));
				info->modified_ms = PG_INT64_MAX;
			}
		}
		if (event != XML_CLOSE)
			continue;
		if (strcmp(reader.name, "Contents") == 0)
		{
			if (info != NULL && info->uri != NULL)
				*files = lappend(*files, info);
			info = NULL;
		}
		else if (text == NULL)
			continue;
		else if (info != NULL && strcmp(reader.name, "Key") == 0)
			info->uri = psprintf("%s/%s", bucket, text);
		else if (info != NULL && strcmp(reader.name, "Size") == 0)
			info->size = strtoll(text, NULL, 10);
		else if (info != NULL && strcmp(reader.name, "LastModified") == 0)
			info->modified_ms = TimeMs(text);
		else if (info == NULL && strcmp(reader.name, "IsTruncated") == 0)
			more = strcmp(text, "true") == 0;
		else if (info == NULL && strcmp(reader.name, "NextContinuationToken") == 0)
			token = text;
		text = NULL;
	}
	return more ? token : NULL;
}

List *
S3List(LakeAccess *access, const char *uri)
{
	char	   *bucket = BucketOf(uri);
	const char *prefix = uri + strlen(bucket);
	List	   *files = NIL;
	char	   *token = NULL;

	prefix += strspn(prefix, "/");
	if (prefix[0] != '\0' && prefix[strlen(prefix) - 1] != '/')
		prefix = psprintf("%s/", prefix);
	do
	{
		S3Call		call;

		S3Init(&call, "GET", uri);
		call.of_bucket = true;
		S3Param(&call, "list-type", "2");
		S3Param(&call, "prefix", prefix);
		if (token != NULL)
			S3Param(&call, "continuation-token", token);
		RunOne(access, &call);
		if (call.http.status != 200 || call.http.content == NULL)
			S3Raise(access, &call, "list");
		token = ReadListing(&call, bucket, &files);
	} while (token != NULL);
	return files;
}

/* ---- removing ---- */

/*
 * One DELETE each, many at a time: a request for many objects wants a checksum
 * that services do not agree on.
 */
static List *
DeleteSome(LakeAccess *access, const List *uris, int from, int n)
{
	S3Call	   *calls = palloc(sizeof(S3Call) * n);
	S3Call	  **pointers = palloc(sizeof(S3Call *) * n);
	List	   *left = NIL;

	for (int i = 0; i < n; i++)
	{
		S3Init(&calls[i], "DELETE", (char *) list_nth(uris, from + i));
		pointers[i] = &calls[i];
	}
	S3Run(access, pointers, n);
	for (int i = 0; i < n; i++)
	{
		if (calls[i].http.status / 100 == 2 || calls[i].http.status == 404)
			continue;
		S3Report(WARNING, access, &calls[i], "remove");
		left = lappend(left, unconstify(char *, calls[i].uri));
	}
	return left;
}

List *
S3Delete(LakeAccess *access, const List *uris)
{
	List	   *left = NIL;

	for (int from = 0; from < list_length(uris); from += DELETE_AT_ONCE)
		left = list_concat(left, DeleteSome(access, uris, from,
											Min(DELETE_AT_ONCE, list_length(uris) - from)));
	return left;
}
