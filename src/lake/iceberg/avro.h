/*
 * avro.h
 *		Avro object containers: the part of Avro 1.11 that Iceberg uses.
 *
 * Reading is driven by the writer's schema, which the container carries: a
 * caller walks a record's fields, takes those whose Iceberg field id it knows,
 * and skips the others.  Every length is checked against what is left of the
 * block; work is bounded by its size, so that a hostile schema cannot make us
 * spin.  Writing takes the schema as JSON text and encoded records.
 */
#ifndef SHARD_ICEBERG_AVRO_H
#define SHARD_ICEBERG_AVRO_H

#include "lake/iceberg/buffer.h"
#include "lake/iceberg/codec.h"
#include "lake/iceberg/iceberg.h"

typedef enum AvroKind
{
	AVRO_NULL, AVRO_BOOLEAN, AVRO_INT, AVRO_LONG, AVRO_FLOAT, AVRO_DOUBLE, AVRO_BYTES,
	AVRO_STRING, AVRO_FIXED, AVRO_ENUM, AVRO_ARRAY, AVRO_MAP, AVRO_RECORD, AVRO_UNION
} AvroKind;

typedef struct AvroType AvroType;

typedef struct AvroField
{
	const char *name;
	int			id;				/* field-id; -1 = none */
	AvroType   *type;
} AvroField;

struct AvroType
{
	AvroKind	kind;
	bool		decimal;		/* fixed or bytes with logical type decimal */
	int			size;			/* fixed */
	AvroType   *items;			/* array: elements; map: values */
	int			nfields;		/* record */
	AvroField  *fields;
	int			nbranches;		/* union */
	AvroType  **branches;
};

/* Where we are in a block. */
typedef struct AvroCursor
{
	const char *p;
	const char *end;
	int64		work;			/* steps left */
	int			depth;
} AvroCursor;

typedef struct AvroFile
{
	AvroType   *schema;
	int			nmeta;
	IcebergKeyValue *meta;
	AvroCodec	codec;
	const char *p;				/* next block */
	const char *end;
	char		sync[16];
} AvroFile;

extern AvroFile *AvroOpen(const char *data, size_t len);
extern const char *AvroMeta(const AvroFile *file, const char *key); /* NULL */

/* Number of records in the next block, cursor at the first; 0 at the end. */
extern int64 AvroNextBlock(AvroFile *file, AvroCursor *cursor);

extern int64 AvroGetVarint(AvroCursor *cursor);

/* Take a union's branch, if the type is one. */
extern const AvroType *AvroResolve(AvroCursor *cursor, const AvroType *type);

/* Read a value; false = null.  A value of another kind is an error. */
extern bool AvroGetLong(AvroCursor *cursor, const AvroType *type, int64 *value);
extern bool AvroGetBytes(AvroCursor *cursor, const AvroType *type, IcebergBytes *value);
extern char *AvroGetString(AvroCursor *cursor, const AvroType *type);	/* copied; NULL = null */

/* Any primitive as Iceberg's single-value serialization; data NULL = null. */
extern IcebergBytes AvroGetSingleValue(AvroCursor *cursor, const AvroType *type);

/*
 * Begin an array (false = null) and ask for each element: AvroArrayNext() is
 * false after the last.
 */
typedef struct AvroArray
{
	const AvroType *items;
	int64		left;			/* in the current run */
	bool		done;
} AvroArray;

extern bool AvroArrayBegin(AvroCursor *cursor, const AvroType *type, AvroArray *array);
extern bool AvroArrayNext(AvroCursor *cursor, AvroArray *array);

extern const AvroType *AvroExpectRecord(AvroCursor *cursor, const AvroType *type);	/* NULL = null */

extern void AvroSkip(AvroCursor *cursor, const AvroType *type);

/* ---- writing ---- */

extern void AvroPutLong(Buffer *buffer, int64 value);
extern void AvroPutBytes(Buffer *buffer, const void *data, size_t len);
extern void AvroPutString(Buffer *buffer, const char *s);

typedef struct AvroWriter
{
	Buffer		out;
	Buffer		block;			/* encoded records of the block in hand */
	int64		nrecords;
	char		sync[16];
} AvroWriter;

extern void AvroBegin(AvroWriter *writer, const char *schema,
					  const IcebergKeyValue *meta, int nmeta);
extern Buffer *AvroRecord(AvroWriter *writer);	/* append one record's bytes to this */
extern char *AvroEnd(AvroWriter *writer, size_t *len);

#endif							/* SHARD_ICEBERG_AVRO_H */
