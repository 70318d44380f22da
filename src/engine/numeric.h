/*
 * numeric.h
 *		Arithmetic of PostgreSQL's type numeric, on its text form.
 *
 *		Exact, and with the number of decimals that PostgreSQL shows for each result.
 *		Of up to NUMERIC_GROUPS * 4 digits; no NaN and no infinity.  Pure functions,
 *		which raise nothing.
 */
#ifndef SHARD_ENGINE_NUMERIC_H
#define SHARD_ENGINE_NUMERIC_H

#include "base/portable.h"

/* Groups of four digits that a number may have. */
#define NUMERIC_GROUPS 512

/* Room for the text of any number. */
#define NUMERIC_TEXT (NUMERIC_GROUPS * 4 + 8)

/*
 * groups[0] is the most significant of ngroups groups, worth 10000^weight; none
 * at either end is zero.  scale is the number of decimals shown.
 */
typedef struct Number
{
	bool		negative;
	int			weight;
	int			ngroups;		/* 0 = zero */
	int			scale;
	int16		groups[NUMERIC_GROUPS + 4];
} Number;

/* All return false if a number has too many digits, is none, or NaN. */
extern bool NumberParse(const char *text, size_t len, Number *out);
extern size_t NumberPrint(const Number *number, char *out);	/* no zero byte at the end */

extern bool NumberAdd(const Number *a, const Number *b, bool subtract, Number *out);
extern bool NumberMultiply(const Number *a, const Number *b, Number *out);

/* b must not be zero. */
extern bool NumberDivide(const Number *a, const Number *b, Number *out);
extern bool NumberModulo(const Number *a, const Number *b, Number *out);
extern int	NumberCompare(const Number *a, const Number *b);

/* To a number of decimals, which may be negative: half away from zero, or cut off. */
extern bool NumberRound(Number *number, int scale);
extern void NumberTruncate(Number *number, int scale);
extern bool NumberCeiling(Number *number, bool floor);

/* Bytes that sort as the numbers do; returns how many. */
extern size_t NumberKey(const Number *number, unsigned char *out);

#endif							/* SHARD_ENGINE_NUMERIC_H */
