/*
 * sql.h
 *		Statements on the journal, by SPI, with values as parameters.
 */
#ifndef SHARD_MIGRATION_SQL_H
#define SHARD_MIGRATION_SQL_H

#include "postgres.h"
#include "catalog/pg_type_d.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct SqlArg
{
	Oid			type;
	Datum		value;
	bool		isnull;
} SqlArg;

#define SQL_INT4(v)		((SqlArg) {INT4OID, Int32GetDatum(v), false})
#define SQL_INT8(v)		((SqlArg) {INT8OID, Int64GetDatum(v), false})
#define SQL_BOOL(v)		((SqlArg) {BOOLOID, BoolGetDatum(v), false})
#define SQL_TIME(v)		((SqlArg) {TIMESTAMPTZOID, TimestampTzGetDatum(v), false})
#define SQL_TEXT(s)		SqlTextArg(s)
#define SQL_INTS(v, n)	SqlIntsArg((v), (n))
#define SQL_TEXTS(l)	SqlTextsArg(l)
#define SQL_NULL(t)		((SqlArg) {(t), (Datum) 0, true})


extern SqlArg SqlTextArg(const char *s);	/* NULL = null */
extern SqlArg SqlIntsArg(const int *values, int n);
extern SqlArg SqlTextsArg(List *strings);

/*
 * Between SqlBegin() and SqlEnd(), SqlRun() executes statements; results are
 * read from the last one.  Strings come in the memory context that was current
 * at SqlBegin().  SqlRunFresh() reads with a snapshot taken now, whatever the
 * isolation level.
 */
extern void SqlBegin(void);
extern void SqlEnd(void);
extern uint64 SqlRun(const char *command, int nargs, const SqlArg *args);
extern uint64 SqlRunFresh(const char *command, int nargs, const SqlArg *args);

extern bool SqlIsNull(uint64 row, int col); /* columns count from 1 */
extern int32 SqlInt4(uint64 row, int col);	/* null = 0 */
extern int64 SqlInt8(uint64 row, int col);
extern bool SqlBool(uint64 row, int col);
extern TimestampTz SqlTime(uint64 row, int col);
extern char *SqlText(uint64 row, int col);	/* null = NULL */
extern int *SqlInts(uint64 row, int col, int *n);
extern List *SqlAppendText(List *list, uint64 row, int col);	/* in the caller's memory */
extern List *SqlTexts(uint64 row, int col);

#define SQL_RUN(command, ...) \
	SqlRun((command), lengthof(((SqlArg[]) {__VA_ARGS__})), (SqlArg[]) {__VA_ARGS__})

#endif							/* SHARD_MIGRATION_SQL_H */
