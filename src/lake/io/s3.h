/*
 * s3.h
 *		Objects of an S3 service.
 *
 * Requests are signed, and tried again while that may help: no answer, 429, 5xx,
 * a clock that is off, credentials that have been renewed.  Any of them may be
 * carried out twice, so all are of the kind that can be.
 */
#ifndef SHARD_LAKE_S3_H
#define SHARD_LAKE_S3_H

#include "postgres.h"
#include "base/compat.h"
#include "lake/io/access.h"
#include "lake/io/http.h"
#include "lake/io/sigv4.h"

#define S3_MAX_PARAMS 6
#define S3_MAX_HEADERS 6

/* One request about one object or bucket. */
typedef struct S3Call
{
	const char *uri;			/* s3://bucket/key */
	const char *method;
	int			nparams;
	SigV4Pair	params[S3_MAX_PARAMS];
	int			nheaders;		/* besides those that every request has */
	SigV4Pair	headers[S3_MAX_HEADERS];
	bool		of_bucket;		/* addressed to the bucket: the key is for messages */
	const char *payload_hash;	/* or NULL: computed, or that of nothing */

	HttpRequest http;			/* body and sink are set by the caller */
	int			attempts;		/* so far */
	bool		unclear;		/* an attempt before the last may have been carried out */
	char	   *code;			/* of an error answer, or NULL */
	char	   *message;
} S3Call;

extern void S3Init(S3Call *call, const char *method, const char *uri);
extern void S3Param(S3Call *call, const char *name, const char *value);
extern void S3Header(S3Call *call, const char *name, const char *value);

/*
 * Carry out calls in parallel.  Afterwards each has a status, or 0 and
 * http.error: nothing here is an ERROR but a missing permission and a cancel.
 */
extern void S3Run(LakeAccess *access, S3Call **calls, int n);

/* Raise what went wrong: "could not <what> lake file <uri>: ..." */
pg_noreturn extern void S3Raise(const LakeAccess *access, const S3Call *call, const char *what);
extern void S3Report(int level, const LakeAccess *access, const S3Call *call, const char *what);

/* ---- objects ---- */

/* A small object; ERROR if it exists already (with other content) and exclusive. */
extern void S3Put(LakeAccess *access, const char *uri, const char *data, size_t len, bool exclusive);

/* Upload an open file; large ones in parts. */
extern void S3PutFile(LakeAccess *access, const char *uri, int fd, int64 size);

extern bool S3Exists(LakeAccess *access, const char *uri);

/* Remove objects (char *); those that could not be, with a WARNING each, are returned. */
extern List *S3Delete(LakeAccess *access, const List *uris);

/* Everything below a prefix, of LakeFileInfo *. */
extern List *S3List(LakeAccess *access, const char *uri);

#endif							/* SHARD_LAKE_S3_H */
