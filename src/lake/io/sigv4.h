/*
 * sigv4.h
 *		Signature Version 4 of requests to an S3 service.
 *
 * Source: "Signature Version 4 signing process" of the AWS General Reference.
 * Pure: a request's parts in, the Authorization header out.
 */
#ifndef SHARD_LAKE_SIGV4_H
#define SHARD_LAKE_SIGV4_H

#include "base/portable.h"

/* A query parameter or a header. */
typedef struct SigV4Pair
{
	const char *name;
	const char *value;
} SigV4Pair;

typedef struct SigV4Request
{
	const char *method;
	const char *path;			/* encoded, as it is sent */
	const char *query;			/* of SigV4Query(); "" = none */
	int			nheaders;
	const SigV4Pair *headers;	/* all to be signed, names in lower case; host among them */
	const char *payload_hash;	/* SHA-256 in hex, or UNSIGNED-PAYLOAD */
} SigV4Request;

typedef struct SigV4Key
{
	const char *id;
	const char *secret;
	const char *region;
	const char *service;
} SigV4Key;

/* "20130524T000000Z" and a zero */
#define SIGV4_TIME 17
extern void SigV4Time(int64 unix_seconds, char time[SIGV4_TIME]);

/* All percent-encoded but letters, digits, - . _ ~ and / */
extern char *SigV4Path(const char *path);

/* Query string, encoded and sorted. */
extern char *SigV4Query(const SigV4Pair *params, int n);

/* The two stages, for tests, and the value of the header Authorization. */
extern char *SigV4CanonicalRequest(const SigV4Request *request);
extern char *SigV4Authorization(const SigV4Request *request, const SigV4Key *key,
								const char *time);

#endif							/* SHARD_LAKE_SIGV4_H */
