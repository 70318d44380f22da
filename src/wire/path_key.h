/*
 * path_key.h
 *		What of a file's URI tells it from other files.
 *
 * Delete files name data files by URI, and not every program writes the same one
 * as it wrote into the manifest: "hdfs://host:port/a", "file:///a" and "/a" are
 * one file, and so are "s3://b/a" and "s3a://b/a".
 */
#ifndef SHARD_WIRE_PATH_KEY_H
#define SHARD_WIRE_PATH_KEY_H

#include "base/portable.h"

/*
 * The part of a URI that counts: "/a" of those with a path alone, "b/a" of those
 * in a bucket.  It is the end of the argument, len bytes that need no zero after
 * them; *keylen is its length.
 */
extern const char *PathKey(const char *uri, size_t len, size_t *keylen);

/* Are two paths the same file? */
extern bool PathsMatch(const char *a, const char *b);

#endif							/* SHARD_WIRE_PATH_KEY_H */
