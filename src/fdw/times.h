/*
 * times.h
 *		Dates, timestamps and time zones as engine SQL.
 */
#ifndef SHARD_FDW_TIMES_H
#define SHARD_FDW_TIMES_H

#include "fdw/deparse.h"

/* Is a function one of dates and times, of which times.c knows? */
extern bool IsTimeFunction(Oid function);
extern bool DeparseTimeFunction(DeparseContext *cx, Oid function, List *args);

/* How many digits and decimals extract() of a constant field has. */
extern bool ExtractShape(List *args, DecimalShape *shape);

#endif							/* SHARD_FDW_TIMES_H */
