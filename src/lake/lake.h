/*
 * lake.h
 *		Iceberg tables as the rest of the extension uses them: open, scan,
 *		create, commit.
 *
 * A LakeTable is one table at one metadata file; it and all that hangs on it
 * live in the memory context in which it was opened.  Nothing here is shared
 * between transactions but caches of immutable files.
 */
#ifndef SHARD_LAKE_H
#define SHARD_LAKE_H

#include "postgres.h"
#include "client/engine.h"
#include "lake/iceberg/iceberg.h"
#include "nodes/pg_list.h"

extern void LakeInit(void);

/* ---- opening ---- */

typedef struct LakeTable
{
	char	   *namespace;		/* NULL when opened by metadata location */
	char	   *name;
	char	   *metadata_location;
	const IcebergMetadata *metadata;	/* of the cache, pinned */
} LakeTable;

/* From iceberg_tables; NULL if missing_ok and not there, else ERROR 42P01. */
extern LakeTable *LakeOpen(const char *namespace, const char *name, bool missing_ok);
extern LakeTable *LakeOpenMetadata(const char *metadata_location);

/*
 * The lake table of a foreign table (its option table or metadata_location), or
 * the state table of a sharded table; ERROR 42809 for anything else.
 */
extern LakeTable *LakeOpenRelation(Oid relation);

/* Default warehouse directory, absolute, without a slash at its end. */
extern char *LakeWarehouse(void);

/* ---- scanning ---- */

typedef enum LakeOp
{
	LAKE_EQ, LAKE_LT, LAKE_LE, LAKE_GT, LAKE_GE, LAKE_IN, LAKE_IS_NULL, LAKE_IS_NOT_NULL
} LakeOp;

/* A condition that files may be pruned by; conditions of a list are ANDed. */
typedef struct LakeCondition
{
	int			field_id;
	LakeOp		op;
	int			nvalues;
	IcebergBytes *values;		/* single-value serializations in the field's type */
} LakeCondition;

typedef struct LakeScan
{
	LakeTable  *table;
	int64		snapshot_id;	/* -1 = the table has none: no rows */
	const IcebergSchema *schema;	/* of the snapshot when one was asked for, else the current */
	List	   *files;			/* of IcebergFile *, data files kept */
	int			files_pruned;
	int			ndeletes;
	EngineDeletes *deletes;		/* for EngineQuery */
	int64		bytes;			/* of the files kept */
	int64		rows;			/* of the files kept, before deletes */
} LakeScan;

/*
 * snapshot_id -1 = the current one.  A scan is good for the query that planned
 * it: a plan that is kept must plan the scan again for each execution, since
 * files are removed when no snapshot can see them any more.
 */
extern LakeScan *LakeScanPlan(LakeTable *table, int64 snapshot_id,
							  const LakeCondition *conditions, int nconditions);

/*
 * Engine SQL for the rows of a scan: a parenthesised SELECT with columns
 * f<field id> for the given fields and, with positions, _file (the path as in
 * the manifests) and _pos.  Deleted rows are left out.  Works for a scan
 * without files (typed, no rows).  Equality deletes: ERROR 0A000 for now.
 */
extern char *LakeScanSql(const LakeScan *scan, const int *field_ids, int nfields, bool positions);

/* ---- writing ---- */

/* Schema of a new table: ids are given by the caller, from 1. */
extern LakeTable *LakeCreate(const char *namespace, const char *name, const char *location,
							 const IcebergSchema *schema, const int *sort_field_ids, int nsort,
							 const IcebergKeyValue *properties, int nproperties);

typedef struct LakeChange
{
	const char *operation;		/* append, overwrite, delete, replace */
	List	   *added;			/* of IcebergFile *: data and delete files */
	List	   *removed;		/* of char *: paths of data or delete files */
	bool		remove_all;		/* TRUNCATE: everything before this change */
	const IcebergSchema *new_schema;	/* or NULL: evolve to this one in the same commit */
	int			nsummary;
	IcebergKeyValue *summary;	/* more summary entries, such as the position */
} LakeChange;

/*
 * Write manifests, manifest list and metadata file for a change (all fsynced)
 * and compare-and-swap the pointer in iceberg_tables within the current
 * transaction.  Returns the table as of the new snapshot; NULL if somebody else
 * committed in between (open again and retry; the data files stay valid).
 */
extern LakeTable *LakeCommit(LakeTable *table, const LakeChange *change);

/*
 * Is the table of this database's making?  Else it is a copy's view of another
 * one's files, which may go at any time, and must not remove any.
 */
extern bool LakeOwns(const IcebergMetadata *metadata);

/*
 * Remove from the catalog (nothing happens if it is not there); its files are
 * queued for deletion after commit.
 */
extern void LakeDrop(const char *namespace, const char *name);

/*
 * Remove the files that were queued and that no snapshot of this database can
 * see a pointer to any more.  To be called now and then, in a transaction of its
 * own.  Returns how many entries of the queue were done.
 */
extern int	LakeEmptyTrash(void);

/*
 * A new file name below the table's data directory, absolute; directory made.
 * The suffix is added to the unique name: ".parquet", "-deletes.parquet".
 */
extern char *LakeNewDataFile(const LakeTable *table, const char *suffix);

/*
 * Have a file removed should the current transaction abort; it need not exist
 * yet.  LakeNewDataFile() does it by itself.
 */
extern void LakeRemoveOnAbort(const char *path);

/* fsync a file that the engine wrote, and its directory; ERROR if it cannot. */
extern void LakeSyncFile(const char *path);

/* ---- statistics of a file just written ---- */

/*
 * A data file is written by
 *		COPY (SELECT <LakeCopyColumns> FROM <rows with columns f<id>> ORDER BY ...)
 *		TO '<EnginePath(LakeNewDataFile())>' <LakeCopyOptions>
 * which gives its columns their names and field ids.
 */
extern char *LakeCopyColumns(const IcebergSchema *schema);	/* f1 AS "id", ... */
extern char *LakeCopyOptions(const IcebergSchema *schema);	/* (FORMAT parquet, ...) */

/*
 * The file that such a COPY reports in its one row: count, size and the column
 * statistics as JSON text.  path is the one that LakeNewDataFile() gave.
 */
extern IcebergFile *LakeFileFromCopyStats(const IcebergSchema *schema, const char *path,
										  int64 count, int64 size, const char *stats_json);

/*
 * The same for position deletes: rows (file_path, pos) as _file and _pos of
 * LakeScanSql() give them, ORDER BY both.
 */
extern const char *LakeDeleteCopyOptions(void);
extern IcebergFile *LakeDeleteFileFromCopyStats(const char *path, int64 count, int64 size,
												const char *stats_json);

#endif							/* SHARD_LAKE_H */
