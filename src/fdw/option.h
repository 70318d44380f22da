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
	Oid			server;
	SourceKind	kind;
	char	   *namespace;		/* SOURCE_TABLE */
	char	   *name;			/* SOURCE_TABLE */
	char	   *path;			/* the others */
	char	   *location;		/* SOURCE_METADATA: where the table is now; or NULL */
	char	   *path_map;		/* SOURCE_METADATA: "from=to,..." for other paths; or NULL */
	char	   *as_of;			/* or NULL */
} TableOptions;

extern TableOptions *TableOptionsOf(Oid relid);

/* Name of a column in the source. */
extern char *ColumnSourceName(Oid relid, AttrNumber attnum, const char *attname);

/* ERROR unless the value of option location, path_map or as_of is well-formed. */
extern void CheckTableOption(const char *name, const char *value);

/* ERROR unless the user may read files of the server, and the path is absolute; objects pass. */
extern void CheckServerPath(const char *name, const char *path);

#endif							/* SHARD_FDW_OPTION_H */
