/*
 * literal.h
 *		Values of PostgreSQL as literals of engine SQL, and the types that both
 *		understand alike.
 */
#ifndef SHARD_FDW_LITERAL_H
#define SHARD_FDW_LITERAL_H

#include "postgres.h"
#include "lib/stringinfo.h"

/* Digits of a decimal type; precision 0 = a NULL that fits any. */
typedef struct DecimalShape
{
	int			precision;
	int			scale;
} DecimalShape;

/* The most digits of a decimal value in the engine. */
#define MAX_DECIMAL_DIGITS 38
#define MAX_INT64_DIGITS 18

/*
 * Engine name of a PostgreSQL type whose values mean the same there, NULL if
 * there is none.  "DECIMAL" for numeric, whose digits the caller must know.
 */
extern const char *EngineTypeName(Oid typid);

/* Digits that hold a numeric value; false for NaN, infinities and long ones. */
extern bool NumericValueShape(Datum value, DecimalShape *shape);

/* Append a value; false (and nothing appended) if the engine cannot hold it. */
extern bool AppendLiteral(StringInfo buf, Oid typid, Datum value, bool isnull);

/*
 * Append the right side of IN for an array: such that "x IN <it>" is what
 * "x = ANY (array)" is, for an empty array and for NULL too.
 */
extern bool AppendInList(StringInfo buf, Oid element, Datum array, bool isnull);

#endif							/* SHARD_FDW_LITERAL_H */
