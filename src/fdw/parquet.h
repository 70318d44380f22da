/*
 * parquet.h
 *		Parquet files read as they are, without a table format over them.
 */
#ifndef SHARD_FDW_PARQUET_H
#define SHARD_FDW_PARQUET_H

#include "postgres.h"
#include "lake/iceberg/iceberg.h"
#include "nodes/pg_list.h"

/* Files that a path or pattern names, sorted; NIL if none. */
extern List *ExpandPattern(const char *pattern);

/* Names and types of the columns; field ids count from 1. */
extern IcebergSchema *ParquetSchema(List *files);

/* Rows and bytes of all files. */
extern void ParquetTotals(List *files, int64 *rows, int64 *bytes);

/* A SELECT in parentheses of the given fields as f<id>. */
extern char *ParquetScanSql(List *files, const IcebergSchema *schema, const int *field_ids, int n);

#endif							/* SHARD_FDW_PARQUET_H */
