/*
 * result_cache.c
 *		Results of queries, kept for whoever asks the same again.
 *
 * A result is known by its request: the files, the files of deletes and the
 * statement, byte by byte.  Files of the lake never change, so what a result says
 * is true for as long as anybody asks by the same files; a table's new snapshot
 * is another request.  Clients ask only for what their users may read.  The age
 * limit frees memory and is a promise that the settings make.
 *
 * Results are frames as they were sent.  They go when they are too old, and the
 * least recently used go first when there are too many, or they are too large in
 * all.  One that is being sent stays in memory until that is done.
 */
#include "engine/result_cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define NBUCKETS 1024

/* One result may take this part of the whole cache. */
#define SHARE_OF_ONE 8

struct CachedResult
{
	uint64		hash;
	char	   *key;
	size_t		key_len;
	char	   *frames;
	size_t		len;
	int64		made_ms;
	int64		ttl_ms;			/* of the one who made it */
	int			refs;			/* the cache, and those who send it */
	CachedResult *chain;		/* of its bucket */
	CachedResult *newer;		/* by last use */
	CachedResult *older;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CachedResult *buckets[NBUCKETS];
static CachedResult *newest = NULL;
static CachedResult *oldest = NULL;
static int64 cached_bytes = 0;
static uint32 cached_results = 0;

static int64
Milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64
BytesOf(const CachedResult *result)
{
	return (int64) (sizeof(CachedResult) + result->key_len + result->len);
}

/* ---- the list by last use; the lock is held ---- */

static void
Unlink(CachedResult *result)
{
	if (result->newer != NULL)
		result->newer->older = result->older;
	else
		newest = result->older;
	if (result->older != NULL)
		result->older->newer = result->newer;
	else
		oldest = result->newer;
	result->newer = result->older = NULL;
}

static void
LinkAsNewest(CachedResult *result)
{
	result->newer = NULL;
	result->older = newest;
	if (newest != NULL)
		newest->newer = result;
	else
		oldest = result;
	newest = result;
}

static void
Unref(CachedResult *result)
{
	if (--result->refs > 0)
		return;
	free(result->key);
	free(result->frames);
	free(result);
}

static void
Evict(CachedResult *result)
{
	CachedResult **p = &buckets[result->hash % NBUCKETS];

	while (*p != result)
		p = &(*p)->chain;
	*p = result->chain;
	Unlink(result);
	cached_bytes -= BytesOf(result);
	cached_results--;
	Unref(result);
}

static bool
IsTooOld(const CachedResult *result, int64 ttl_ms, int64 now)
{
	return now - result->made_ms >= ttl_ms || now - result->made_ms >= result->ttl_ms;
}

static void
EvictOld(int64 now)
{
	CachedResult *next;

	for (CachedResult *result = oldest; result != NULL; result = next)
	{
		next = result->newer;
		if (IsTooOld(result, result->ttl_ms, now))
			Evict(result);
	}
}

static CachedResult *
Find(uint64 hash, const char *key, size_t len)
{
	CachedResult *result = buckets[hash % NBUCKETS];

	while (result != NULL && (result->hash != hash || result->key_len != len ||
							  memcmp(result->key, key, len) != 0))
		result = result->chain;
	return result;
}

/* ---- giving ---- */

CachedResult *
ResultCacheGet(const char *key, size_t len, const CacheTerms *terms)
{
	uint64		hash = XXH3_64bits(key, len);
	int64		now = Milliseconds();
	CachedResult *result;

	pthread_mutex_lock(&lock);
	result = Find(hash, key, len);
	if (result != NULL && IsTooOld(result, terms->ttl_ms, now))
		result = NULL;
	if (result != NULL)
	{
		result->refs++;
		Unlink(result);
		LinkAsNewest(result);
	}
	pthread_mutex_unlock(&lock);
	return result;
}

void
ResultCacheRelease(CachedResult *result)
{
	pthread_mutex_lock(&lock);
	Unref(result);
	pthread_mutex_unlock(&lock);
}

const char *
CachedResultFrames(const CachedResult *result, size_t *len)
{
	*len = result->len;
	return result->frames;
}

int64
ResultCacheBytes(void)
{
	int64		bytes;

	pthread_mutex_lock(&lock);
	bytes = cached_bytes;
	pthread_mutex_unlock(&lock);
	return bytes;
}

/* ---- taking ---- */

/*
 * Memory of a recording is plain malloc()'s, since it outlives the request.
 */
void
RecordingBegin(Recording *recording, const char *key, size_t len, const CacheTerms *terms)
{
	memset(recording, 0, sizeof(*recording));
	recording->terms = *terms;
	if (terms->max_results == 0 || (int64) len > terms->max_bytes / SHARE_OF_ONE)
		return;
	recording->key = malloc(len + 1);
	if (recording->key == NULL)
		return;
	memcpy(recording->key, key, len);
	recording->key_len = len;
}

void
RecordingAppend(Recording *recording, const char *frames, size_t len)
{
	size_t		needed = recording->len + len;

	if (recording->key == NULL)
		return;
	if ((int64) (sizeof(CachedResult) + recording->key_len + needed) > recording->terms.max_bytes / SHARE_OF_ONE)
	{
		RecordingDrop(recording);
		return;
	}
	if (needed > recording->allocated)
	{
		size_t		size = needed > 2 * recording->allocated ? needed : 2 * recording->allocated;
		char	   *larger = realloc(recording->frames, size);

		if (larger == NULL)
		{
			RecordingDrop(recording);
			return;
		}
		recording->frames = larger;
		recording->allocated = size;
	}
	memcpy(recording->frames + recording->len, frames, len);
	recording->len = needed;
}

void
RecordingDrop(Recording *recording)
{
	free(recording->key);
	free(recording->frames);
	recording->key = recording->frames = NULL;
}

static CachedResult *
ResultOf(Recording *recording)
{
	CachedResult *result = calloc(1, sizeof(CachedResult));
	char	   *exact;

	if (result == NULL)
		return NULL;
	exact = realloc(recording->frames, recording->len);
	result->hash = XXH3_64bits(recording->key, recording->key_len);
	result->key = recording->key;
	result->key_len = recording->key_len;
	result->frames = exact != NULL ? exact : recording->frames;
	result->len = recording->len;
	result->made_ms = Milliseconds();
	result->ttl_ms = recording->terms.ttl_ms;
	result->refs = 1;
	recording->key = recording->frames = NULL;
	return result;
}

void
RecordingKeep(Recording *recording)
{
	CachedResult *result;
	CachedResult *former;

	if (recording->key == NULL || recording->len == 0 || (result = ResultOf(recording)) == NULL)
		return;
	pthread_mutex_lock(&lock);
	EvictOld(result->made_ms);
	former = Find(result->hash, result->key, result->key_len);
	if (former != NULL)
		Evict(former);
	result->chain = buckets[result->hash % NBUCKETS];
	buckets[result->hash % NBUCKETS] = result;
	LinkAsNewest(result);
	cached_bytes += BytesOf(result);
	cached_results++;
	while (cached_results > recording->terms.max_results || cached_bytes > recording->terms.max_bytes)
		Evict(oldest);
	pthread_mutex_unlock(&lock);
}
