/*
 * shippable.h
 *		The allow-list: what the engine answers exactly as PostgreSQL does.
 */
#ifndef SHARD_FDW_SHIPPABLE_H
#define SHARD_FDW_SHIPPABLE_H

#include "postgres.h"
#include "nodes/primnodes.h"

/* Conditions under which a function of the list may be shipped. */
#define NEED_BYTE_ORDER			0x0001	/* its collation orders by bytes */
#define NEED_DIVISOR			0x0002	/* second argument: a constant, not 0 or -1, or a whole statement */
#define NEED_POSITION			0x0004	/* second argument: a constant of at least 1; third: not
										 * negative */
#define NEED_PATTERN			0x0008	/* second argument: a constant LIKE pattern */
#define NEED_TEXT				0x0010	/* second argument: a constant text that is not empty */
#define NEED_WHOLE				0x0020	/* a whole statement: it may fail where PostgreSQL does not */
#define NEED_BLANKS				0x0040	/* first argument: a char(n) of known length, %w in the SQL */
#define NEED_LOCALE				0x0080	/* its collation is one of the C library's, %c in the SQL */
#define NEED_CHARACTERS			0x0100	/* the database counts characters as UTF-8 does */
#define NEED_LOWER				0x0200	/* with NEED_PATTERN: %p is the pattern in lower case */
#define NEED_REGEX				0x0400	/* second argument: a constant regular expression, %r; see regex.h */
#define NEED_COUNT				0x0800	/* second argument: a constant */

typedef struct FunctionRule
{
	Oid			function;
	const char *sql;			/* with %1, %2, %3 for the arguments */
	uint32		needs;
	const char *checked_sql;	/* instead of sql: beside a constant, by a divisor that is none, for a
								 * pattern without escapes (which DuckDB makes more of) */
} FunctionRule;

/* NULL if a function, or the function of an operator, is not on the list. */
extern const FunctionRule *FunctionRuleOf(Oid function);

typedef struct FieldRule
{
	const char *field;
	bool		of_date;		/* PostgreSQL has it for dates, too */
	bool		finite;			/* only for a column that holds no infinity */
	int			digits;			/* of the result */
	int			scale;			/* decimals of these */
	bool		absolute;		/* the same in all time zones */
	bool		of_day;			/* of date_trunc(): a day or more */
	const char *sql;
} FieldRule;

/* extract(), date_part() and date_trunc() of a constant field. */
extern const FieldRule *ExtractRuleOf(const char *field, bool is_date);
extern const FieldRule *TruncRuleOf(const char *field);

typedef enum AggregateKind
{
	AGGREGATE_PLAIN,			/* sql */
	AGGREGATE_AVERAGE,			/* sum divided by count */
	AGGREGATE_FLOAT_SUM,		/* sql, unless finite values overflow */
	AGGREGATE_DECIMAL,			/* sum of a numeric */
	AGGREGATE_ORDERED,			/* sql, if its input has an order */
	AGGREGATE_VARIANCE,			/* of exact numbers; sql: see shard_num_var() */
	AGGREGATE_FLOAT_VARIANCE,	/* see statistics.c */
	AGGREGATE_PAIRS				/* the same */
} AggregateKind;

typedef struct AggregateRule
{
	Oid			function;
	AggregateKind kind;
	const char *sql;			/* with %a, %b for arguments, %o for an order */
	const char *type;			/* engine type of the result, NULL = as it comes */
	bool		byte_order;		/* its collation must order by bytes */
} AggregateRule;

extern const AggregateRule *AggregateRuleOf(Oid function);

/* The C library's locale by which a collation maps case; NULL if it is another's. */
extern char *CollationLocale(Oid collation);

/* Does a collation order by the bytes of UTF-8? */
extern bool CollationByteOrder(Oid collation);

/* Is equality under a collation that of the bytes?  True for no collation. */
extern bool CollationByteEqual(Oid collation);

/* Is op the ordinary equality or ordering operator of its type? */
extern bool IsDefaultSortOperator(Oid op, Oid typid);
extern bool IsDescendingOperator(Oid op, Oid typid);
extern bool IsDefaultEquality(Oid op, Oid typid);

#endif							/* SHARD_FDW_SHIPPABLE_H */
