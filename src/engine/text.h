/*
 * text.h
 *		Text of DuckDB's values, and JSON of its nested ones.
 */
#ifndef SHARD_ENGINE_TEXT_H
#define SHARD_ENGINE_TEXT_H

#include "base/portable.h"
#include "duckdb.h"

/* Text that grows; memory by mem_alloc(). */
typedef struct Text
{
	char	   *data;
	size_t		len;
	size_t		allocated;
} Text;

extern void TextAppend(Text *text, const char *data, size_t len);
extern void TextPrintf(Text *text, const char *fmt,...) __attribute__((format(printf, 2, 3)));

/* A type with what is below it, looked up once a result. */
typedef struct TypeNode
{
	duckdb_type id;
	duckdb_type internal;		/* of decimals and enums */
	int			precision;
	int			scale;
	uint64		array_size;
	int			nchildren;		/* list and array: 1; map: key and value; struct, union: members */
	struct TypeNode **children;
	char	  **names;			/* struct and union: of members; enum: labels */
	int			nlabels;
} TypeNode;

extern TypeNode *TypeNodeBuild(duckdb_logical_type type);

extern bool RowIsValid(duckdb_vector vector, uint64 row);

/* Any decimal, as unscaled value. */
extern int128 DecimalAt(const TypeNode *type, const void *data, uint64 row);

/* The label of an enum value. */
extern const char *EnumLabel(const TypeNode *type, const void *data, uint64 row);

/* Text of an INTERVAL, BIT or TIME WITH TIME ZONE value, as PostgreSQL reads it. */
extern void AppendScalarText(Text *text, const TypeNode *type, const void *data, uint64 row);

/* JSON of any value. */
extern void AppendJson(Text *text, const TypeNode *type, duckdb_vector vector, uint64 row);

#endif							/* SHARD_ENGINE_TEXT_H */
