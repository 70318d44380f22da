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

/* Where the event logs of routers are. */
#define EVENT_LOG_NAMESPACE "shard"

/* ---- opening ---- */

typedef struct LakeTable
{
	Oid			server;			/* InvalidOid = this database's lake */
	int			access;			/* LakeAccess.id of a REST catalog; 0 = iceberg_tables */
	char	   *namespace;		/* NULL when opened by metadata location */
	char	   *name;
	char	   *metadata_location;
	const IcebergMetadata *metadata;	/* of the cache, pinned */
	const IcebergSnapshot *as_of;	/* how it is read; NULL = as it is now */
	const IcebergSchema *schema;	/* then; NULL = the current one */
} LakeTable;

/* From iceberg_tables; NULL if missing_ok and not there, else ERROR 42P01. */
extern LakeTable *LakeOpen(const char *namespace, const char *name, bool missing_ok);

/* The same by the catalog of a foreign server. */
extern LakeTable *LakeOpenFrom(Oid server, const char *namespace, const char *name,
							   bool missing_ok);

/* Does a foreign server read the catalog of this database's lake? */
extern bool LakeIsOfDatabase(Oid server);

/* server: whose options and user mapping count; InvalidOid = this database's lake */
extern LakeTable *LakeOpenMetadata(Oid server, const char *metadata_location);

/*
 * The same of a table that was moved: location is where its location is now,
 * path_map says "from=to,..." for other prefixes of paths; either may be NULL.
 */
extern LakeTable *LakeOpenMoved(Oid server, const char *metadata_location, const char *location,
								const char *path_map);

/*
 * Have a table read as it was: as of a snapshot's number, a branch, a tag or a
 * time, or, if that is NULL, as the setting shard.as_of says.  What names it
 * gives to columns is in table->schema.  ERROR 42704 if there is no such
 * snapshot any more.
 */
extern void LakeTravel(LakeTable *table, const char *as_of);

/* Is it a list of pairs "from=to", divided by commas? */
extern bool LakePathMapValid(const char *path_map);

/*
 * The lake table of a foreign table (its option table or metadata_location), or
 * the state table of a sharded table; ERROR 42809 for anything else.
 */
extern LakeTable *LakeOpenRelation(Oid relation);

/* The same, but of a sharded table both: its event log and its state table. */
extern List *LakeTablesOfRelation(Oid relation);

/* Names of the lake tables in a namespace, of char *, sorted. */
extern List *LakeTablesFrom(Oid server, const char *namespace);

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
	int			partitions;		/* that the files kept are in */
	int			partitions_pruned;	/* of which none is kept; a table without has one */
	int			ndeletes;
	EngineDeletes *deletes;		/* for EngineQuery */
	List	   *equality;		/* of List * of IcebergFile *: the equality deletes that apply to
								 * each of the files; NIL = there are none at all */
	List	   *remote_deletes; /* of IcebergFile *: delete files to be fetched */
	bool		in_query;		/* its SQL goes into an EngineQuery(), not into another statement */
	char	   *tag;			/* tells names of files from those of other states; may be "" */
	int64		bytes;			/* of the files kept */
	int64		rows;			/* of the files kept, before deletes */
} LakeScan;

/*
 * The field that holds a column of a sharded table now: its id is the attribute
 * number and the offset, plus LAKE_COLUMN_GENERATION for each time that another
 * field took its place.  NULL if there is none.
 */
#define LAKE_COLUMN_GENERATION 2000	/* above any attribute number and offset */
#define LAKE_NESTED_IDS 1000000 /* ids of what is nested are above this */
extern const IcebergField *LakeColumnField(const IcebergSchema *schema, int offset, int attnum);

/*
 * snapshot_id -1 = the current one, or that which LakeTravel() chose.  A scan is good for the query that planned
 * it: a plan that is kept must plan the scan again for each execution, since
 * files are removed when no snapshot can see them any more.
 */
extern LakeScan *LakeScanPlan(LakeTable *table, int64 snapshot_id,
							  const LakeCondition *conditions, int nconditions);

/*
 * Rows of the snapshot to be read, as its writer or the manifests count them.
 */
extern int64 LakeTableRows(const LakeTable *table);

/*
 * Engine SQL for the rows of a scan: a parenthesised SELECT with columns
 * f<field id> for the given fields and, with positions, _file (the path as in
 * the manifests) and _pos.  Deleted rows are left out.  Works for a scan
 * without files (typed, no rows).
 */
extern char *LakeScanSql(const LakeScan *scan, const int *field_ids, int nfields, bool positions);

/*
 * Let the engine read a table's data files, on connections made from now on, in
 * a warehouse that may be another server's.
 */
extern void LakeGrantFiles(const char *namespace, const char *name);

/* Are all files of the current snapshot there? */
extern bool LakeFilesAreThere(LakeTable *table);

/* ---- nested types ---- */

/* The engine's name of a field's type: of lists, structs and maps, too. */
extern char *LakeFieldEngineType(const IcebergField *field);

/* Is it a list of scalars, and of which? */
extern bool LakeFieldIsList(const IcebergField *field, LakeType *element);

/* The largest field id in a field, its own or of what is nested in it. */
extern int	LakeFieldMaxId(const IcebergField *field);

/* ---- writing ---- */

/* How a table's files are divided and sorted. */
typedef struct LakeShape
{
	int			nfields;		/* of the partition; 0 = unpartitioned */
	IcebergPartitionField *fields;	/* field_id is left to us */
	int			nsort;			/* 0 = unsorted */
	int		   *sort;			/* field ids */
	int		   *sort_flags;		/* ICEBERG_SORT_*; NULL = all ascending, nulls last */
} LakeShape;

/* Schema of a new table: ids are given by the caller, from 1. */
extern LakeTable *LakeCreate(const char *namespace, const char *name, const char *location,
							 const IcebergSchema *schema, const LakeShape *shape,
							 const IcebergKeyValue *properties, int nproperties);

/*
 * Give a table another partition spec and sort order for what is written from
 * now on; files that are there stay as they are.  Like LakeCommit() otherwise.
 */
extern LakeTable *LakeReshape(LakeTable *table, const LakeShape *shape);

/* Commit that the table is ours; NULL if somebody else's commit came first. */
extern LakeTable *LakeAdopt(LakeTable *table);

/*
 * Changes that become visible together: given to each LakeCommit(), which then
 * only says whether the change is possible, and to LakeGroupCommit() at the end.
 * That is false if somebody else's commit came first.  NULL where a group is not
 * needed (the database's transaction is one) or the catalog has none: then each
 * change is committed by itself.
 */
typedef struct LakeGroup LakeGroup;

extern LakeGroup *LakeGroupBegin(void);
extern bool LakeGroupCommit(LakeGroup *group);

typedef struct LakeChange
{
	const char *operation;		/* append, overwrite, delete, replace */
	List	   *added;			/* of IcebergFile *: data and delete files */
	List	   *removed;		/* of char *: paths of data or delete files */
	bool		remove_all;		/* TRUNCATE: everything before this change */
	const IcebergSchema *new_schema;	/* or NULL: evolve to this one in the same commit */
	int			nsummary;
	IcebergKeyValue *summary;	/* more summary entries, such as the position */
	LakeGroup  *group;			/* or NULL */
} LakeChange;

/*
 * Write manifests, manifest list and metadata file for a change (all fsynced)
 * and compare-and-swap the pointer in iceberg_tables within the current
 * transaction.  Returns the table as of the new snapshot; NULL if somebody else
 * committed in between (open again and retry; the data files stay valid).
 */
/* Summary entry of a change that brings a table to a position in the WAL. */
#define POSITION_LSN "shard.lsn"

/*
 * The position, as text, that the table's newest snapshot with one carries, if
 * its summary also has these entries; NULL if not.
 */
extern char *LakeReached(const IcebergMetadata *metadata, const IcebergKeyValue *identity, int n);

/* What the newest snapshot that says anything says of an entry of its summary; NULL if none. */
extern const char *LakeNoted(const IcebergMetadata *metadata, const char *key);

/* Does a REST catalog hold this database's lake? */
extern bool LakeByRest(void);

extern LakeTable *LakeCommit(LakeTable *table, const LakeChange *change);

/* What an expiry did, and what the removed snapshots alone reached. */
typedef struct LakeExpiry
{
	int			snapshots;		/* removed */
	int			kept;
	int			manifest_lists;
	int			manifests;
	int			files;			/* data and delete files */
} LakeExpiry;

/*
 * Drop the snapshots older than an age (-1: what the table's property or else
 * shard.snapshot_retention says), but for the newest retain_last, the
 * current one and those that a tag or branch names; their files are queued for
 * removal.  Like LakeCommit() otherwise; without any to drop, nothing is
 * written and the table comes back as it is.
 */
extern LakeTable *LakeExpire(LakeTable *table, int64 older_than_ms, int retain_last,
							 LakeExpiry *expiry);

/* What a removal of orphans did. */
typedef struct LakeOrphans
{
	int64		files;			/* removed */
	int64		queued;			/* to be removed when no snapshot can need them */
	int64		bytes;			/* of both */
	int64		young;			/* files not looked at */
} LakeOrphans;

/* Remove files of a table that nothing leads to and that are older than an age. */
extern void LakeRemoveOrphans(const LakeTable *table, int64 older_than_ms, LakeOrphans *result);

/*
 * Keep other writers off a table until this transaction ends, and open it as it
 * is now, whatever the active snapshot sees.  NULL if it is gone.
 */
extern LakeTable *LakeOpenLocked(const char *namespace, const char *name);

/* The same without the lock. */
extern LakeTable *LakeOpenLatest(const char *namespace, const char *name);

/* All data and all delete files of the current snapshot, of IcebergFile *, not to be changed. */
extern List *LakeDataFiles(const LakeTable *table);
extern List *LakeDeleteFiles(const LakeTable *table);

/* A scan of some of the data files of the current snapshot, in any order. */
extern LakeScan *LakeScanFiles(LakeTable *table, const List *files);

/*
 * Engine SQL for the rows of position-delete files: a parenthesised SELECT with
 * columns _file and _pos and, with names, _delete_file (its path as in the
 * manifests).
 */
extern char *LakeDeletesSql(const List *delete_files, bool names);

/* ERROR 55000 unless LakeOwns(). */
extern void LakeRequireOwner(const LakeTable *table);

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
 * Drop a table that a transaction of this database made in a REST catalog and
 * that aborted afterwards: nothing happens with any other.
 */
extern void LakeDropOwned(const char *namespace, const char *name);

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

/* ---- partitions ---- */

extern const IcebergSpec *LakeDefaultSpec(const IcebergMetadata *metadata);

/*
 * Engine SQL of a spec's partition values: "<transform of f1> AS p1000, ..." for
 * rows with columns f<field id> of a schema, and "p1000, ...".
 */
extern char *LakePartitionColumns(const IcebergMetadata *metadata, const IcebergSpec *spec,
								  const IcebergSchema *schema);
extern char *LakePartitionNames(const IcebergSpec *spec);

/* The columns of the default sort order that a schema has: "f1 NULLS LAST, ..."; NULL if none. */
extern char *LakeSortColumns(const IcebergMetadata *metadata, const IcebergSchema *schema);

/* The values in a row of such columns, which begin at column first, as a file has them. */
extern IcebergPartitionValue *LakePartitionOfRow(const IcebergMetadata *metadata,
												 const IcebergSpec *spec, const WireChunk *chunk,
												 int first, int row);

extern bool LakeSamePartition(const IcebergFile *a, const IcebergFile *b);

/* Give a file the partition of another one. */
extern void LakeCopyPartition(IcebergFile *file, const IcebergFile *from);

/* Lists of files, each of one partition. */
extern List *LakeGroupByPartition(const List *files);

/*
 * The same for the data files of the current snapshot and some new ones; of a
 * table that never was partitioned, one list with one stand-in for them all.
 */
extern List *LakeFilesByPartition(const LakeTable *table, const List *new_files);

/* ---- statistics of a file just written ---- */

/*
 * A data file is written by
 *		COPY (SELECT <LakeCopyColumns> FROM <rows with columns f<id>> ORDER BY ...)
 *		TO '<EnginePath(LakeNewDataFile())>' <LakeCopyOptions>
 * which gives its columns their names and field ids.
 */
/*
 * What a column of the schema is called in such a file: as in the schema, unless
 * another one differs by case only, which DuckDB cannot tell apart.
 */
extern char *LakeNameInFile(const IcebergSchema *schema, const IcebergField *field);
extern char *LakeCopyColumns(const IcebergSchema *schema);	/* f1 AS "id", ... */

/*
 * (FORMAT parquet, ...), with so many rows in a row group; lasting: of a file whose
 * rows are in the table's order
 */
extern char *LakeCopyOptions(const IcebergSchema *schema, bool lasting, int group_rows);

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

/* 'ns.name' or 'a.b."na.me"': the last part is the table's name; false if malformed. */
extern bool LakeSplitName(const char *text, char **namespace, char **name);

#endif							/* SHARD_LAKE_H */
