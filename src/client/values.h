/*
 * values.h
 *		Between Datums and wire columns.
 */
#ifndef SHARD_CLIENT_VALUES_H
#define SHARD_CLIENT_VALUES_H

#include "postgres.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "wire/chunk.h"

/*
 * How a PostgreSQL type is kept in the lake.  Domains are looked through;
 * a type without a counterpart (or numeric without or beyond (38,s)) is kept
 * as text, and *as_text says so.
 *
 * Infinite dates and timestamps travel as DuckDB's own infinities: the largest
 * integer of their width, and its negative.  Numbers that are NaN have no
 * counterpart in a decimal column: an error (22003).
 */
extern LakeType LakeTypeFromPg(Oid typid, int32 typmod, bool *as_text);

typedef struct ValueCodec
{
	Oid			typid;			/* as given; may be a domain */
	int32		typmod;
	LakeType	type;
	bool		as_text;		/* by output and input function */
	FmgrInfo	outfn;
	FmgrInfo	infn;
	Oid			ioparam;
	Oid			base;			/* typid looked through domains */
	bool		direct;			/* ValueGet() needs no input function ... */
	int			limit;			/* ... for values within the type modifier */
	struct NestedType *nested;	/* of an array or composite: see nested.h; or NULL */
} ValueCodec;

/* In the current memory context. */
extern void ValueCodecInit(ValueCodec *codec, Oid typid, int32 typmod);

/* The same, but with arrays and composites as text; their elements need no more. */
extern void ValueCodecInitScalar(ValueCodec *codec, Oid typid, int32 typmod);

/* The engine's name of the codec's type. */
extern char *ValueEngineType(const ValueCodec *codec);

/*
 * The same for reading a column whose lake type is given and may be narrower,
 * or altogether different: then the value goes through its text form.
 */
extern void ValueCodecInitForRead(ValueCodec *codec, Oid typid, int32 typmod, LakeType from);

/*
 * Can the lake's type hold this value?  Not NaN or infinity in a decimal, a
 * timestamp of the last centuries that PostgreSQL knows, nor what NestedFits()
 * says.
 */
extern bool ValueAlwaysFits(const ValueCodec *codec);
extern bool ValueFits(const ValueCodec *codec, Datum value);

/* Detoasts as needed; the value must not be an unchanged on-disk TOAST pointer. */
extern void ValuePut(ValueCodec *codec, WireChunk *chunk, int col, Datum value, bool isnull);
extern Datum ValueGet(ValueCodec *codec, const WireChunk *chunk, int col, int row, bool *isnull);

/* A scalar that is not null, in the form that nested.h describes. */
extern void ValueAppend(ValueCodec *codec, StringInfo out, Datum value);

/* By the type's input function. */
extern Datum ValueFromText(ValueCodec *codec, char *text);

/*
 * A literal of engine SQL with the type spelled out, such as '12'::BIGINT;
 * "NULL::…" for null.  A numeric of unknown precision gets that of its value.
 * Returns NULL where the engine has no such value (a numeric that is NaN,
 * infinite or has more than 38 digits; an array or composite).
 */
extern char *ValueEngineLiteral(ValueCodec *codec, Datum value, bool isnull);

#endif							/* SHARD_CLIENT_VALUES_H */
