/*
 * values.h
 *		Between Datums and wire columns.
 */
#ifndef SHARD_CLIENT_VALUES_H
#define SHARD_CLIENT_VALUES_H

#include "postgres.h"
#include "fmgr.h"
#include "wire/chunk.h"

/*
 * How a PostgreSQL type is kept in the lake.  Domains are looked through;
 * a type without a counterpart (or numeric without or beyond (38,s)) is kept
 * as text, and *as_text says so.
 */
extern LakeType LakeTypeFromPg(Oid typid, int32 typmod, bool *as_text);

typedef struct ValueCodec
{
	Oid			typid;
	int32		typmod;
	LakeType	type;
	bool		as_text;		/* by output and input function */
	FmgrInfo	outfn;
	FmgrInfo	infn;
	Oid			ioparam;
} ValueCodec;

/* In the current memory context. */
extern void ValueCodecInit(ValueCodec *codec, Oid typid, int32 typmod);

/* The same for reading a column whose lake type is given and may be narrower. */
extern void ValueCodecInitForRead(ValueCodec *codec, Oid typid, int32 typmod, LakeType from);

/* Detoasts as needed; the value must not be an unchanged on-disk TOAST pointer. */
extern void ValuePut(ValueCodec *codec, WireChunk *chunk, int col, Datum value, bool isnull);
extern Datum ValueGet(ValueCodec *codec, const WireChunk *chunk, int col, int row, bool *isnull);

/* A literal of engine SQL with the type spelled out, such as 12::BIGINT; "NULL::…" for null. */
extern char *ValueEngineLiteral(ValueCodec *codec, Datum value, bool isnull);

#endif							/* SHARD_CLIENT_VALUES_H */
