/*
 * internal.h
 *		What the files of this folder share with each other only.
 */
#ifndef SHARD_LAKE_INTERNAL_H
#define SHARD_LAKE_INTERNAL_H

#include "lake/lake.h"
#include "utils/hsearch.h"

/* ---- cache.c: parsed immutable files, pinned to the current memory context ---- */

extern const IcebergMetadata *LakeCachedMetadata(const char *location);
extern void LakeCacheMetadata(const char *location, const char *text, size_t len);
extern const IcebergManifest *LakeCachedManifestList(const char *path, int format_version, int *n);
extern const IcebergFile *LakeCachedManifest(const IcebergMetadata *metadata,
											 const IcebergManifest *manifest, int *n);

/* ---- lake.c ---- */

extern int64 LakeNowMs(void);
extern char *LakeUuid(void);
extern char *LakeUniqueName(int digits);
extern char *LakeMetadataDirectory(const IcebergMetadata *metadata);

/* ---- prune.c ---- */

extern bool LakeFileMayMatch(const IcebergFile *file, const IcebergSchema *schema,
							 const LakeCondition *conditions, int nconditions);

/* ---- literal.c ---- */

/* A single-value serialization as an engine literal with its type; no data = null. */
extern char *LakeLiteral(LakeType type, IcebergBytes value);
extern char *LakeDefaultLiteral(const IcebergField *field);

/* ---- names.c ---- */

/* A file without field ids. */
typedef struct LakeFileNames
{
	char	   *path;			/* in the engine; hash key */
	List	   *names;			/* of char *, its columns */
} LakeFileNames;

extern HTAB *LakeFilesByName(const LakeScan *scan);
extern List *LakeNamesOfField(const IcebergMetadata *metadata, int field_id);

/* ---- stats.c ---- */

/* A bound in DuckDB's text form; no data if it cannot be had. */
extern IcebergBytes LakeParseBound(LakeType type, const char *text, bool upper);

/* ---- commit.c ---- */

/* An empty set of paths: key and entry are a char *. */
extern HTAB *LakePathSet(void);

/* The same for entries that begin with the path and have more. */
extern void LakePathSetControl(HASHCTL *ctl, Size entrysize);

extern int64 LakePropertyInt(const IcebergMetadata *metadata, const char *key, int64 otherwise);

/* ---- expire.c ---- */

extern int	LakeMarkKeptSnapshots(const IcebergMetadata *metadata, int64 now_ms, bool *keep);
extern List *LakeExpireSnapshots(IcebergMetadata *metadata, int64 now_ms, const List *current);

/* Who owns a lake table: this database of this server in this data directory. */
extern char *LakeOwner(void);

#endif							/* SHARD_LAKE_INTERNAL_H */
