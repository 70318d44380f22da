/*
 * range_key.h
 *		The partition key of tables under a router of strategy range.
 */
#ifndef SHARD_TABLE_RANGE_KEY_H
#define SHARD_TABLE_RANGE_KEY_H

#include "postgres.h"
#include "catalog/catalog.h"

/* Can a column of this type be a router's range key as it is? */
extern bool RangeKeyFits(const Router *router, Oid type);

/* PARTITION BY RANGE over a column or expression, given as SQL. */
extern char *RangeKeyClause(const char *sql, Oid type, Oid collation);

/* A text expression as the router's ranges see it; ERROR if they cannot. */
extern char *RangeKeyExpression(const Router *router, const char *sql);

/* What statements over a table's or leaf's key are made of. */
typedef struct RangeKeySql
{
	char	   *key;			/* column or expression */
	char	   *type;			/* to which literals are cast */
	char	   *less;			/* operators, qualified */
	char	   *greater;
	char	   *greater_equal;
} RangeKeySql;

extern RangeKeySql *RangeKeyOperators(Oid parent);

/* The rows whose keys are in a range, as a condition. */
extern char *RangeKeyCondition(const RangeKeySql *sql, KeyOrder *order, const Range *range);

#endif							/* SHARD_TABLE_RANGE_KEY_H */
