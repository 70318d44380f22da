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

/*
 * The json member of this and the following structs is the element as it was
 * read (a Json that belongs to the metadata's document); a writer
 * copies it out unchanged.  NULL for an element that is new.
 */
typedef struct IcebergSchema
{
	int			schema_id;
	int			nfields;
	IcebergField *fields;
	int			nidentifiers;	/* identifier-field-ids */
	int		   *identifiers;
	void	   *json;
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
	void	   *json;
} IcebergSpec;

/* How a column is sorted; 0 = ascending, nulls last. */
#define ICEBERG_SORT_DESC 1
#define ICEBERG_SORT_NULLS_FIRST 2

/* Of the transforms we write identity alone. */
typedef struct IcebergSortOrder
{
	int			order_id;		/* 0 = unsorted */
	int			nfields;
	int		   *source_ids;
	int		   *flags;			/* ICEBERG_SORT_*; NULL = all 0 */
	void	   *json;
} IcebergSortOrder;

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
	void	   *json;
} IcebergSnapshot;

/* A branch or tag. */
typedef struct IcebergRef
{
	char	   *name;
	bool		is_tag;
	int64		snapshot_id;
} IcebergRef;

typedef struct IcebergSnapshotLog
{
	int64		timestamp_ms;
	int64		snapshot_id;
} IcebergSnapshotLog;

typedef struct IcebergMetadataLog
{
	int64		timestamp_ms;
	char	   *metadata_file;
} IcebergMetadataLog;

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
	int			default_sort_order_id;
	int			nsort_orders;
	IcebergSortOrder *sort_orders;
	int64		current_snapshot_id;	/* -1 = none */
	int			nsnapshots;
	IcebergSnapshot *snapshots;
	int			nproperties;
	IcebergKeyValue *properties;
	int			nrefs;			/* "main" is current_snapshot_id and not counted here */
	IcebergRef *refs;
	int			nsnapshot_log;
	IcebergSnapshotLog *snapshot_log;
	int			nmetadata_log;
	IcebergMetadataLog *metadata_log;
	int			access;			/* how its files are read: LakeAccess.id */
	int			nmoves;			/* paths that are not as written: prefixes, as written and now */
	IcebergKeyValue *moves;
	char	   *moves_text;		/* tells them from others; NULL = none */
	void	   *json;			/* the whole document (a Json), kept so that what we do not
								 * know survives a rewrite */
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

/* One value of a file's partition struct. */
typedef struct IcebergPartitionValue
{
	int			field_id;		/* the partition field's, >= 1000 */
	IcebergBytes value;			/* single-value serialization; data NULL = null */
} IcebergPartitionValue;

typedef struct IcebergFile
{
	IcebergContent content;
	char	   *path;
	char	   *written_path;	/* if that is another one than it was written with, else NULL */
	char	   *format;			/* PARQUET, ... */
	int			spec_id;
	int			npartition;
	IcebergPartitionValue *partition;	/* by field_id, ascending */
	int64		record_count;
	int64		file_size;
	int			nstats;
	IcebergColumnStats *stats;	/* by field_id, ascending */
	int			nsplit_offsets;
	int64	   *split_offsets;
	IcebergBytes key_metadata;
	int			nequality_ids;
	int		   *equality_ids;
	int			sort_order_id;	/* -1 = null */
	char	   *referenced_data_file;	/* or NULL */
	int64		content_offset; /* deletion vectors (v3); -1 = null */
	int64		content_size;
	int64		snapshot_id;	/* -1 = inherited */
	int64		sequence_number;	/* -1 = inherited */
	int64		file_sequence_number;
	int			status;			/* 0 existing, 1 added, 2 deleted */
} IcebergFile;

/* What a manifest list says of one partition field over a manifest. */
typedef struct IcebergPartitionSummary
{
	bool		contains_null;
	int			contains_nan;	/* -1 = unknown */
	IcebergBytes lower;
	IcebergBytes upper;
} IcebergPartitionSummary;

typedef struct IcebergManifest
{
	char	   *path;
	int64		length;
	int			spec_id;
	int			content;		/* 0 data, 1 deletes */
	int			npartitions;	/* one for each field of the spec, or 0 */
	IcebergPartitionSummary *partitions;
	IcebergBytes key_metadata;
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

/* Schema as JSON; the fields of a spec as JSON. */
extern char *IcebergSchemaText(const IcebergSchema *schema);
extern char *IcebergSpecText(const IcebergSpec *spec);

extern int	IcebergReadManifestList(const char *data, size_t len, int format_version,
									IcebergManifest **manifests);
extern char *IcebergWriteManifestList(const IcebergManifest *manifests, int n,
									  int64 snapshot_id, int64 parent_id, int64 sequence_number,
									  size_t *len);

/*
 * Entries of a manifest, with what they inherit from its entry in the manifest
 * list filled in.
 */
extern int	IcebergReadManifest(const char *data, size_t len, const IcebergMetadata *metadata,
								const IcebergManifest *manifest, IcebergFile **files);
/*
 * A manifest's bytes (v2).  Entries whose sequence_number is -1 must have
 * status added; they inherit it.
 */
extern char *IcebergWriteManifest(const IcebergFile *const *files, int n, const IcebergMetadata *metadata,
								  const IcebergSchema *schema, const IcebergSpec *spec,
								  int content, size_t *len);

/* What a partition field's values are, from its transform and its source column. */
extern LakeType IcebergPartitionType(const IcebergPartitionField *field,
									 const IcebergMetadata *metadata);

extern const IcebergSchema *IcebergCurrentSchema(const IcebergMetadata *metadata);
extern const IcebergSchema *IcebergSchemaById(const IcebergMetadata *metadata, int id); /* NULL */
extern const IcebergSnapshot *IcebergSnapshotById(const IcebergMetadata *metadata, int64 id);	/* NULL */
extern const IcebergField *IcebergFieldById(const IcebergSchema *schema, int id);	/* NULL */
extern const IcebergField *IcebergFieldByName(const IcebergSchema *schema, const char *name);	/* NULL */
extern const IcebergColumnStats *IcebergStatsOf(const IcebergFile *file, int field_id); /* NULL */

extern const IcebergSpec *IcebergSpecById(const IcebergMetadata *metadata, int id); /* NULL */
extern const char *IcebergProperty(const IcebergMetadata *metadata, const char *key);	/* NULL */
extern const char *IcebergSummaryValue(const IcebergSnapshot *snapshot, const char *key);	/* NULL */

/* Are the bytes a value of the type at all (length, mainly)? */
extern bool IcebergBytesValid(LakeType type, IcebergBytes bytes);

/* A float or double that is NaN? */
extern bool IcebergBytesNaN(LakeType type, IcebergBytes bytes);

/* Compare two single-value serializations of a type: <0, 0, >0. */
extern int	IcebergCompareBytes(LakeType type, IcebergBytes a, IcebergBytes b);

/* Single-value serialization of a value as it stands in a wire chunk. */
extern IcebergBytes IcebergSerializeValue(LakeType type, const void *value, size_t len);

#endif							/* SHARD_ICEBERG_H */
