/*
 * iceberg.h
 *		Iceberg metadata in memory, and its pure readers and writers.
 *
 * Sources: Apache Iceberg table specification, versions 1 and 2; Avro 1.11
 * specification for manifests.  Everything here is pure: bytes in, structs out
 * and back; malformed input ends in shard_fail(FAIL_CORRUPT, ...), never in a
 * crash.  Results live in the current memory context.
 */
#ifndef SHARD_ICEBERG_H
#define SHARD_ICEBERG_H

#include "wire/types.h"

typedef struct IcebergBytes
{
	const char *data;			/* NULL = absent */
	int			len;
} IcebergBytes;

typedef struct IcebergField
{
	int			id;
	char	   *name;
	bool		required;
	bool		primitive;		/* false: nested or unknown type */
	LakeType	type;			/* if primitive */
	char	   *type_json;		/* the type as it stands in the metadata */
	char	   *doc;			/* or NULL */
	char	   *initial_default_json;	/* or NULL */
} IcebergField;

typedef struct IcebergSchema
{
	int			schema_id;
	int			nfields;
	IcebergField *fields;
} IcebergSchema;

typedef struct IcebergPartitionField
{
	int			source_id;
	int			field_id;		/* >= 1000 */
	char	   *name;
	char	   *transform;
} IcebergPartitionField;

typedef struct IcebergSpec
{
	int			spec_id;
	int			nfields;
	IcebergPartitionField *fields;
} IcebergSpec;

typedef struct IcebergKeyValue
{
	char	   *key;
	char	   *value;
} IcebergKeyValue;

typedef struct IcebergSnapshot
{
	int64		snapshot_id;
	int64		parent_id;		/* -1 = none */
	int64		sequence_number;
	int64		timestamp_ms;
	int			schema_id;		/* -1 = absent */
	char	   *manifest_list;
	int			nsummary;
	IcebergKeyValue *summary;	/* "operation" among them */
} IcebergSnapshot;

typedef struct IcebergMetadata
{
	int			format_version;
	char	   *table_uuid;
	char	   *location;
	int64		last_sequence_number;
	int64		last_updated_ms;
	int			last_column_id;
	int			current_schema_id;
	int			nschemas;
	IcebergSchema *schemas;
	int			default_spec_id;
	int			last_partition_id;
	int			nspecs;
	IcebergSpec *specs;
	int64		current_snapshot_id;	/* -1 = none */
	int			nsnapshots;
	IcebergSnapshot *snapshots;
	int			nproperties;
	IcebergKeyValue *properties;
	void	   *json;			/* the whole document (jansson), kept so that what we do not
								 * know survives a rewrite; freed with the memory context */
} IcebergMetadata;

typedef enum IcebergContent
{
	ICEBERG_DATA = 0,
	ICEBERG_POSITION_DELETES = 1,
	ICEBERG_EQUALITY_DELETES = 2
} IcebergContent;

/* Statistics of one column of one file. */
typedef struct IcebergColumnStats
{
	int			field_id;
	int64		column_size;	/* -1 = unknown, here and below */
	int64		value_count;
	int64		null_count;
	int64		nan_count;
	IcebergBytes lower;			/* single-value serialization */
	IcebergBytes upper;
} IcebergColumnStats;

typedef struct IcebergFile
{
	IcebergContent content;
	char	   *path;
	char	   *format;			/* PARQUET, ... */
	int			spec_id;
	IcebergBytes partition;		/* the partition struct, Avro-encoded as read; empty if none */
	int64		record_count;
	int64		file_size;
	int			nstats;
	IcebergColumnStats *stats;	/* by field_id, ascending */
	int			nequality_ids;
	int		   *equality_ids;
	int			sort_order_id;	/* -1 = null */
	char	   *referenced_data_file;	/* or NULL */
	int64		snapshot_id;	/* -1 = inherited */
	int64		sequence_number;	/* -1 = inherited */
	int64		file_sequence_number;
	int			status;			/* 0 existing, 1 added, 2 deleted */
} IcebergFile;

typedef struct IcebergManifest
{
	char	   *path;
	int64		length;
	int			spec_id;
	int			content;		/* 0 data, 1 deletes */
	int64		sequence_number;
	int64		min_sequence_number;
	int64		added_snapshot_id;
	int			added_files,
				existing_files,
				deleted_files;
	int64		added_rows,
				existing_rows,
				deleted_rows;
} IcebergManifest;

extern IcebergMetadata *IcebergParseMetadata(const char *text, size_t len);	/* plain or gzip */
extern char *IcebergWriteMetadata(const IcebergMetadata *metadata, size_t *len);

extern int	IcebergReadManifestList(const char *data, size_t len, int format_version,
									IcebergManifest **manifests);
extern char *IcebergWriteManifestList(const IcebergManifest *manifests, int n,
									  int64 snapshot_id, int64 parent_id, int64 sequence_number,
									  size_t *len);

extern int	IcebergReadManifest(const char *data, size_t len, const IcebergMetadata *metadata,
								const IcebergManifest *manifest, IcebergFile **files);
extern char *IcebergWriteManifest(const IcebergFile *files, int n, const IcebergMetadata *metadata,
								  const IcebergSchema *schema, const IcebergSpec *spec,
								  int content, size_t *len);

extern const IcebergSchema *IcebergCurrentSchema(const IcebergMetadata *metadata);
extern const IcebergSnapshot *IcebergSnapshotById(const IcebergMetadata *metadata, int64 id);	/* NULL */
extern const IcebergField *IcebergFieldById(const IcebergSchema *schema, int id);	/* NULL */
extern const IcebergField *IcebergFieldByName(const IcebergSchema *schema, const char *name);	/* NULL */
extern const IcebergColumnStats *IcebergStatsOf(const IcebergFile *file, int field_id); /* NULL */

/* Compare two single-value serializations of a type: <0, 0, >0. */
extern int	IcebergCompareBytes(LakeType type, IcebergBytes a, IcebergBytes b);

/* Single-value serialization of a value as it stands in a wire chunk. */
extern IcebergBytes IcebergSerializeValue(LakeType type, const void *value, size_t len);

#endif							/* SHARD_ICEBERG_H */
