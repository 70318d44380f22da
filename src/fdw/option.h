/*
 * option.h
 *		Options of the server, of foreign tables and of their columns.
 */
#ifndef SHARD_FDW_OPTION_H
#define SHARD_FDW_OPTION_H

#include "postgres.h"
#include "access/attnum.h"

typedef enum SourceKind
{
	SOURCE_TABLE,				/* an Iceberg table named in iceberg_tables */
	SOURCE_METADATA,			/* an Iceberg table by its metadata file */
	SOURCE_PARQUET				/* Parquet files, by path or pattern */
} SourceKind;

typedef struct TableOptions
{
	SourceKind	kind;
	char	   *namespace;		/* SOURCE_TABLE */
	char	   *name;			/* SOURCE_TABLE */
	char	   *path;			/* the others */
} TableOptions;

extern TableOptions *TableOptionsOf(Oid relid);

/* Name of a column in the source. */
extern char *ColumnSourceName(Oid relid, AttrNumber attnum, const char *attname);

/* 'ns.name' or 'a.b."na.me"': the last part is the table's name. */
extern bool SplitTableName(const char *text, char **namespace, char **name);

/* ERROR unless the user may read files of the server, and the path is absolute. */
extern void CheckServerPath(const char *name, const char *path);

#endif							/* SHARD_FDW_OPTION_H */
