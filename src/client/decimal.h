/*
 * decimal.h
 *		Between PostgreSQL's numeric and the unscaled 128-bit integer of a decimal.
 */
#ifndef SHARD_CLIENT_DECIMAL_H
#define SHARD_CLIENT_DECIMAL_H

#include "postgres.h"

/* Unscaled value at that scale; errors 22003 on NaN, infinity and more than precision digits. */
extern int128 DecimalFromNumeric(Datum value, int precision, int scale);

extern Datum DecimalToNumeric(int128 unscaled, int scale);

/* Digits that a finite numeric needs; false for NaN, infinity and more than 38. */
extern bool DecimalShape(Datum value, int *precision, int *scale);

/* Is it neither NaN nor infinite? */
extern bool DecimalFinite(Datum value);

/* In decimal notation; buf holds at least 64 bytes. */
extern void DecimalToText(int128 unscaled, int scale, char *buf);

#endif							/* SHARD_CLIENT_DECIMAL_H */
