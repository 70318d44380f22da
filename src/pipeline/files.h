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
 * files of a table, in the query's order and of bounded size; returns a List of
 * IcebergFile *, empty if there are no rows.  nrows is what the query returns.
 */
extern List *FilesWriteData(EngineConn *conn, const LakeTable *table,
							const IcebergSchema *schema, const char *query, int64 nrows,
							bool sorted);

/*
 * Write a position-delete file for an engine relation with columns _file and
 * _pos; NULL if that is empty.
 */
extern IcebergFile *FilesWriteDeletes(EngineConn *conn, const LakeTable *table,
									  const char *relation);

/* ---- small helpers for engine SQL ---- */

extern void EngineRunF(EngineConn *conn, const char *fmt,...) pg_attribute_printf(2, 3);

/* The single integer that a query returns; null is 0. */
extern int64 EngineInt(EngineConn *conn, const char *fmt,...) pg_attribute_printf(2, 3);

/* Run a statement that reads a scan's files. */
extern void EngineRunScan(EngineConn *conn, const char *sql, const LakeScan *scan);

#endif							/* SHARD_PIPELINE_FILES_H */
