/*
 * nested.h
 *		Arrays and composites between PostgreSQL and the engine.
 *
 * An array type is a LIST, a composite type a STRUCT of its attributes, to any
 * depth.  To the engine values travel as LAKE_NESTED: a byte, 0 = null, then the
 * elements of a list after their number (uint32), the members of a struct, the
 * wire form of a value of fixed width, or length (uint32) and bytes.  From the
 * engine they come as JSON.
 */
#ifndef SHARD_CLIENT_NESTED_H
#define SHARD_CLIENT_NESTED_H

#include "postgres.h"
#include "access/tupdesc.h"
#include "client/values.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

typedef enum NestedShape
{
	NESTED_VALUE, NESTED_LIST, NESTED_STRUCT
} NestedShape;

typedef struct NestedType
{
	NestedShape shape;
	ValueCodec	codec;			/* of a value: never nested itself */
	int16		typlen;			/* of a list's elements */
	bool		typbyval;
	char		typalign;
	Oid			element;		/* of a list */
	TupleDesc	desc;			/* of a struct */
	int			nchildren;		/* list: 1; struct: its attributes that are not dropped */
	struct NestedType **children;
	char	  **names;			/* struct: of the children */
	int		   *attnums;		/* struct: of the children */
} NestedType;

/*
 * The nested form of a base type; NULL if it is no array or composite, or one
 * that the engine has no type for (no attributes, names that differ by case
 * only, too deep).  In the current memory context.
 */
extern NestedType *NestedTypeOf(Oid base, int32 typmod);

/* Relations of the composite types in it, as a list of OIDs. */
extern List *NestedRelations(const NestedType *type);

/* The engine's name of it. */
extern char *NestedEngineType(const NestedType *type);

/*
 * Can a list and its values hold this value?  Not an array of several dimensions
 * or with another first index than 1.
 */
extern bool NestedFits(const NestedType *type, Datum value);

extern void NestedAppend(NestedType *type, StringInfo out, Datum value, bool isnull);

/* From the JSON text (UTF-8) of an engine's value. */
extern Datum NestedFromJson(NestedType *type, const char *json, size_t len);

#endif							/* SHARD_CLIENT_NESTED_H */
