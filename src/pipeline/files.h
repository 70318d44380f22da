/*
 * files.h
 *		Parquet files of the lake, written by the engine and made durable.
 */
#ifndef SHARD_PIPELINE_FILES_H
#define SHARD_PIPELINE_FILES_H

#include "postgres.h"
#include "client/engine.h"
#include "lake/lake.h"

/*
 * Write the rows of an engine query, whose columns are f<field id>, as data
 * files of a table: in the query's order, of bounded size, each of one
 * partition; returns a List of IcebergFile *, empty if there are no rows.  nrows
 * is what the query returns, row_bytes the size of a row in the engine, on
 * average, or 0 for small ones; with sorted, its order is replaced by the table's.
 */
extern List *FilesWriteData(EngineConn *conn, const LakeTable *table,
							const IcebergSchema *schema, const char *query, int64 nrows,
							int64 row_bytes, bool sorted);

/*
 * Rows that are many for the engine are written portion by portion, each to files
 * of its own that are sorted by themselves.  Is it better to write all at once?
 */
extern bool FilesAtOnce(const LakeTable *table, int portions, int64 row_bytes);

/* Size of a row of an engine relation with columns f<field id>, on average, in bytes. */
extern int64 FilesRowBytes(EngineConn *conn, const IcebergSchema *schema, const char *relation);

/* A data file and the rows of a temporary table that it holds, in their order. */
typedef struct PlacedFile
{
	IcebergFile *file;
	int64		from;			/* rowid */
	int64		to;				/* past the last one */
} PlacedFile;

/*
 * The same for all rows of a temporary table, in the order of rowid, about
 * rows_per_file in each; if the table is partitioned they have its columns as
 * LakePartitionColumns() gives them and are sorted by these first.  Returns a
 * List of PlacedFile *.
 */
extern List *FilesWriteRows(EngineConn *conn, const LakeTable *table,
							const IcebergSchema *schema, const char *relation, int64 nrows,
							int64 row_bytes, int64 rows_per_file, bool sorted);

/*
 * Write position-delete files, one for each partition, for an engine relation
 * with columns _file and _pos, which name files of the table's current snapshot
 * or new ones (List of IcebergFile *); returns a List of IcebergFile *.
 */
extern List *FilesWriteDeletes(EngineConn *conn, const LakeTable *table, const char *relation,
							   const List *new_files);

/* ---- small helpers for engine SQL ---- */

extern void EngineRunF(EngineConn *conn, const char *fmt,...) pg_attribute_printf(2, 3);

/* The single integer that a query returns; null is 0. */
extern int64 EngineInt(EngineConn *conn, const char *fmt,...) pg_attribute_printf(2, 3);

/* Run a statement that reads a scan's files. */
extern void EngineRunScan(EngineConn *conn, const char *sql, const LakeScan *scan);

#endif							/* SHARD_PIPELINE_FILES_H */
