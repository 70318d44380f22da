/*
 * internal.h
 *		What the files of this folder share with each other only.
 */
#ifndef SHARD_LAKE_INTERNAL_H
#define SHARD_LAKE_INTERNAL_H

#include "lake/io/access.h"
#include "lake/lake.h"
#include "datatype/timestamp.h"
#include "utils/hsearch.h"

/* ---- cache.c: parsed immutable files, pinned to the current memory context ---- */

extern const IcebergMetadata *LakeCachedMetadata(LakeAccess *access, const char *location);

/* The same of a table whose files were moved; see moved.c for the arguments, either may be NULL. */
extern const IcebergMetadata *LakeCachedMovedMetadata(LakeAccess *access, const char *location,
													  const char *moved_to, const char *path_map);
extern void LakeCacheMetadataOf(LakeAccess *access, const char *location, const char *text,
								size_t len);
extern void LakeCacheMetadata(const char *location, const char *text, size_t len);
extern const IcebergManifest *LakeCachedManifestList(const IcebergMetadata *metadata,
												  const char *path, int *n);
extern const IcebergFile *LakeCachedManifest(const IcebergMetadata *metadata,
											 const IcebergManifest *manifest, int *n);

/* ---- lake.c ---- */

extern int64 LakeNowMs(void);
extern char *LakeUuid(void);
extern char *LakeUniqueName(int digits);
extern char *LakeMetadataDirectory(const IcebergMetadata *metadata);

/* ---- travel.c ---- */

extern TimestampTz LakeTimestampOfMs(int64 ms); /* Unix time */

/* ---- moved.c ---- */

extern void LakeSetMoves(IcebergMetadata *metadata, const char *location, const char *path_map);
extern char *LakeMoved(const IcebergMetadata *metadata, char *path);

/* ---- prune.c ---- */

extern bool LakeFileMayMatch(const IcebergFile *file, const IcebergSchema *schema,
							 const LakeCondition *conditions, int nconditions);

/* What conditions mean for partition values, for LakePartitionMayMatch(). */
extern List *LakeProjectConditions(const IcebergMetadata *metadata, const IcebergSchema *schema,
								   const LakeCondition *conditions, int nconditions);
extern bool LakePartitionMayMatch(const IcebergFile *file, const List *projections);

/* ---- literal.c ---- */

/* A single-value serialization as an engine literal with its type; no data = null. */
extern char *LakeLiteral(LakeType type, IcebergBytes value);
extern char *LakeDefaultLiteral(const IcebergField *field);

/* ---- names.c ---- */

/* The table property that says by which names columns are known. */
#define NAME_MAPPING "schema.name-mapping.default"

/* A file without field ids. */
typedef struct LakeFileNames
{
	char	   *path;			/* in the engine; hash key */
	List	   *names;			/* of char *, its columns */
} LakeFileNames;

extern HTAB *LakeFilesByName(const LakeScan *scan);
extern List *LakeNamesOfField(const IcebergMetadata *metadata, int field_id);

/* ---- nested.c ---- */

/* Field ids of a field and what is nested in it, for COPY's option FIELD_IDS. */
extern char *LakeFieldIds(const IcebergField *field);
extern bool LakeFieldHoldsBinary(const IcebergField *field);
extern void LakeCheckNested(const IcebergMetadata *metadata, const IcebergField *field);

/* ---- stats.c ---- */

/* A bound in DuckDB's text form; no data if it cannot be had. */
extern IcebergBytes LakeParseBound(LakeType type, const char *text, bool upper);

/* ---- commit.c ---- */

/* An empty set of paths: key and entry are a char *. */
extern HTAB *LakePathSet(void);

/* The same for entries that begin with the path and have more. */
extern void LakePathSetControl(HASHCTL *ctl, Size entrysize);

extern int64 LakePropertyInt(const IcebergMetadata *metadata, const char *key, int64 otherwise);

/* ---- reached.c ---- */

/*
 * Is a change to a position there already?  Where the catalog does not take part
 * in our transactions, it can have been committed before a crash.
 */
extern bool LakeIsCommitted(const LakeTable *table, const LakeChange *change);

/* ---- group.c ---- */

/* Keep a change of a REST catalog's table back until the group is committed. */
struct RestChange;
extern void LakeGroupAdd(LakeGroup *group, struct RestChange *change, List *paths, List *trash);

/* ---- shape.c ---- */

/* Make a shape the default of metadata about to be written. */
extern void LakeSetShape(IcebergMetadata *metadata, const LakeShape *shape);

/* ---- expire.c ---- */

extern int64 LakeSnapshotRetention(const IcebergMetadata *metadata);	/* ms */
extern int	LakeMarkKeptSnapshots(const IcebergMetadata *metadata, int64 now_ms, bool *keep);
extern List *LakeExpireSnapshots(IcebergMetadata *metadata, int64 now_ms, const List *current);
extern List *LakeDropSnapshots(IcebergMetadata *metadata, int64 before_ms, int retain_last,
							   LakeExpiry *expiry);

/* Who owns a lake table: this database of this server in this data directory. */
extern char *LakeOwner(void);

#endif							/* SHARD_LAKE_INTERNAL_H */
