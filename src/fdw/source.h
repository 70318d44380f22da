/*
 * source.h
 *		What a foreign table reads: an Iceberg table or Parquet files, and how
 *		its columns correspond to those of the foreign table.
 */
#ifndef SHARD_FDW_SOURCE_H
#define SHARD_FDW_SOURCE_H

#include "postgres.h"
#include "access/attnum.h"
#include "fdw/option.h"
#include "lake/lake.h"

typedef enum ColumnState
{
	COLUMN_OK,
	COLUMN_DROPPED,				/* of the foreign table */
	COLUMN_MISSING,				/* the source has no such column */
	COLUMN_MISMATCH				/* its type there does not fit */
} ColumnState;

typedef struct SourceColumn
{
	ColumnState state;
	char	   *name;			/* in the source */
	Oid			typid;			/* of the foreign table's column */
	int32		typmod;
	int			field_id;
	char	   *stored_name;	/* the source's type, for messages */
	LakeType	stored;			/* type in the source */
	LakeType	type;			/* type that queries see: the same or wider */
	bool		as_text;		/* kept in text form: its engine value means nothing */
} SourceColumn;

typedef struct LakeSource
{
	Oid			relid;
	TableOptions *options;
	char	   *title;			/* for EXPLAIN and messages */
	int			natts;
	SourceColumn *columns;		/* by attnum - 1 */
	const IcebergSchema *schema;
	LakeTable  *table;			/* NULL for Parquet files */
	List	   *files;			/* of char *: Parquet files */
	double		rows;			/* see SourceTotalRows(); 0 = not asked for yet */
} LakeSource;

/* What one execution reads. */
typedef struct SourceScan
{
	LakeSource *source;
	LakeScan   *lake;			/* NULL for Parquet files */
	int64		snapshot_id;	/* -1 = none */
	int			files;
	int			files_pruned;
	int			partitions;
	int			partitions_pruned;
	int64		bytes;
	int64		rows;			/* in the files, before deletes */
} SourceScan;

/* Do all files say that a date or timestamp column holds no infinity? */
extern bool SourceColumnFinite(LakeSource *source, AttrNumber attnum);

/* As of the active snapshot; ERROR if there is no such table or file. */
extern LakeSource *SourceOpen(Oid relid);

/* The same for planning: in READ COMMITTED, as it is now. */
extern LakeSource *SourceOpenToPlan(Oid relid);

/* The column, or an ERROR that says why it cannot be read. */
extern SourceColumn *SourceColumnOf(LakeSource *source, AttrNumber attnum);

extern SourceScan *SourcePlanScan(LakeSource *source, const LakeCondition *conditions, int n);

/* Rows of the whole table, about: without planning a scan where that takes longer. */
extern double SourceTotalRows(LakeSource *source);

/* Engine SQL of the rows: a SELECT in parentheses with columns f<field id>. */
extern char *SourceScanSql(SourceScan *scan, List *attnums);

/* PostgreSQL's type for a lake type, as text; what a user would declare. */
extern char *PgTypeForLakeType(LakeType type);

#endif							/* SHARD_FDW_SOURCE_H */
