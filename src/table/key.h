/*
 * key.h
 *		A table's partition key: a column, or an expression over columns.
 */
#ifndef SHARD_TABLE_KEY_H
#define SHARD_TABLE_KEY_H

#include "postgres.h"
#include "catalog/catalog.h"
#include "nodes/bitmapset.h"
#include "utils/relcache.h"

typedef struct TableKey
{
	List	   *columns;		/* of char *, as shard.tables shows them */
	AttrNumber	column;			/* 0: an expression */
	Bitmapset  *attnums;		/* every column that it reads */
	char	   *expression;		/* SQL, or NULL */
	char	   *text;			/* SQL of what shard.route() is asked for a row */
	char	   *clause;			/* PARTITION BY ... */
} TableKey;

/*
 * The key of a table under a router, after checking that it can be one.
 * columns: given by the user (of char *), or NIL for the router's rule.
 */
extern TableKey *KeyOfTable(Relation rel, const char *router, List *columns);

/*
 * Warn of a key that divides rows or load badly, as far as the catalogs tell.
 * Within a DdlScope.
 */
extern void AdviseOnKey(Relation rel, const TableKey *key, const Router *router);

/* The column or expression by which a parent is partitioned, as SQL. */
extern char *KeyExpression(Relation parent, Oid *type);

/* The key as shard.route() takes it, without a comparator, as SQL. */
extern char *KeyText(Relation parent, const ShardedTable *table);

/* Is a parent partitioned by an expression?  Its columns go to *attnums. */
extern bool KeyIsExpression(Oid parent, Bitmapset **attnums);

#endif							/* SHARD_TABLE_KEY_H */
