/*
 * result_cache.h
 *		Results of queries, kept for whoever asks the same again.
 */
#ifndef SHARD_ENGINE_RESULT_CACHE_H
#define SHARD_ENGINE_RESULT_CACHE_H

#include "wire/frame.h"

/* What a request may use of the cache. */
typedef struct CacheTerms
{
	int64		ttl_ms;			/* age up to which a result may be given */
	uint32		max_results;	/* that are kept in all */
	int64		max_bytes;		/* of all of them, with their keys */
} CacheTerms;

typedef struct CachedResult CachedResult;

/* The result of the same request, to be released; NULL if there is none. */
extern CachedResult *ResultCacheGet(const char *key, size_t len, const CacheTerms *terms);
extern void ResultCacheRelease(CachedResult *result);

/* Its frames, from DESCRIBE to the last CHUNK, as they were sent. */
extern const char *CachedResultFrames(const CachedResult *result, size_t *len);

/* A result on its way to the cache. */
typedef struct Recording
{
	CacheTerms	terms;
	char	   *key;			/* NULL = nothing is recorded */
	size_t		key_len;
	char	   *frames;
	size_t		len;
	size_t		allocated;
} Recording;

/* Begin; nothing happens later on if there is no memory, or the result is too large. */
extern void RecordingBegin(Recording *recording, const char *key, size_t len, const CacheTerms *terms);
extern void RecordingAppend(Recording *recording, const char *frames, size_t len);

/* The result is complete: keep it. */
extern void RecordingKeep(Recording *recording);

/* Forget what was recorded; nothing happens if that was kept, or there is none. */
extern void RecordingDrop(Recording *recording);

extern int64 ResultCacheBytes(void);

#endif							/* SHARD_ENGINE_RESULT_CACHE_H */
