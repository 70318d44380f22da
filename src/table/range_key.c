/*
 * range_key.c
 *		The partition key of tables under a router of strategy range.
 *
 * Such a table is PARTITION BY RANGE (key) by an operator class of PostgreSQL's
 * own, so that rows are routed and partitions pruned without us.  Texts are in
 * the order of their bytes: by the default operator class where that is the
 * order of the column's collation, so that <, BETWEEN and the like prune; else
 * by text_pattern_ops, by which "=" still prunes, with every collation.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "base/compat.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "table/key.h"
#include "table/range_key.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/pg_locale.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

static bool
IsInteger(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

bool
RangeKeyFits(const Router *router, Oid type)
{
	Oid			base = getBaseType(type);

	if (base == VARCHAROID)
		base = TEXTOID;
	return router->comparator == NULL &&
		(base == router->order->type || (IsInteger(base) && IsInteger(router->order->type)));
}

/* ---- collations ---- */

/*
 * Texts in ascending order of their bytes, where languages have other ideas.
 */
static const char *const ByteOrdered[] = {
	"-a", "A", "B b", "Ba", "Z", "_", "a", "aB", "ab", "z", "\xc3\x84", "\xc3\xa4",
	"\xe2\x82\xac", "\xef\xbf\xbd", "\xf0\x9f\x98\x80"
};

/*
 * LC_COLLATE of a collation of the C library; NULL for other providers.
 */
static char *
LocaleOf(Oid collation)
{
	bool		database = collation == DEFAULT_COLLATION_OID;
	int			cache = database ? DATABASEOID : COLLOID;
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(database ? MyDatabaseId : collation));
	char	   *name = NULL;
	char		provider;
	Datum		value;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	provider = database ? ((Form_pg_database) GETSTRUCT(tuple))->datlocprovider :
		((Form_pg_collation) GETSTRUCT(tuple))->collprovider;
	value = SysCacheGetAttr(cache, tuple, database ? Anum_pg_database_datcollate :
							Anum_pg_collation_collcollate, &isnull);
	if (provider == COLLPROVIDER_LIBC && !isnull)
		name = TextDatumGetCString(value);
	ReleaseSysCache(tuple);
	return name;
}

static bool
OrdersByBytes(Oid collation)
{
	for (int i = 0; i + 1 < lengthof(ByteOrdered); i++)
		if (varstr_cmp(ByteOrdered[i], (int) strlen(ByteOrdered[i]), ByteOrdered[i + 1],
					   (int) strlen(ByteOrdered[i + 1]), collation) >= 0)
			return false;
	return true;
}

/*
 * Is a collation's order that of bytes?  True for "C", and for what is called
 * C.UTF-8 in a database of that encoding, if it is true to its name.
 */
static bool
IsByteOrder(Oid collation)
{
	char	   *name;

	if (CollationIsC(collation))
		return true;
	if (GetDatabaseEncoding() != PG_UTF8)
		return false;
	name = LocaleOf(collation);
	return name != NULL &&
		(pg_strcasecmp(name, "C.UTF-8") == 0 || pg_strcasecmp(name, "C.UTF8") == 0) &&
		OrdersByBytes(collation);
}

/* ---- the key ---- */

char *
RangeKeyClause(const char *sql, Oid type, Oid collation)
{
	Oid			base = getBaseType(type);
	const char *class = "";

	if (base == TEXTOID || base == VARCHAROID)
		class = IsByteOrder(collation) ? " pg_catalog.text_ops" : " pg_catalog.text_pattern_ops";
	return psprintf(" PARTITION BY RANGE (%s%s)", sql, class);
}

char *
RangeKeyExpression(const Router *router, const char *sql)
{
	if (router->comparator != NULL)
	{
		char	   *name = pstrdup(router->comparator);

		/* the stored form is schema.function(text) */
		*strrchr(name, '(') = '\0';
		return psprintf("%s(%s)", name, sql);
	}
	if (router->order->type != TEXTOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("router \"%s\" compares keys of type %s", router->name,
						format_type_be(router->order->type)),
				 errhint("The partition key must be one column of that type, NOT NULL, or the router must have a comparator that makes such a value of the key's text.")));
	return pstrdup(sql);
}

/* ---- conditions ---- */

static char *
Operator(PartitionKey key, int strategy)
{
	Oid			operator = get_opfamily_member(key->partopfamily[0], key->partopcintype[0],
											   key->partopcintype[0], strategy);

	if (!OidIsValid(operator))
		elog(ERROR, "operator family %u lacks operator %d", key->partopfamily[0], strategy);
	return psprintf("OPERATOR(pg_catalog.%s)", get_opname(operator));
}

RangeKeySql *
RangeKeyOperators(Oid parent)
{
	Relation	rel = relation_open(parent, NoLock);
	PartitionKey key = RelationGetPartitionKey(rel);
	RangeKeySql *sql = palloc(sizeof(RangeKeySql));
	Oid			type;

	sql->key = KeyExpression(rel, &type);
	sql->type = format_type_be_qualified(key->partopcintype[0]);
	sql->less = Operator(key, BTLessStrategyNumber);
	sql->greater = Operator(key, BTGreaterStrategyNumber);
	sql->greater_equal = Operator(key, BTGreaterEqualStrategyNumber);
	relation_close(rel, NoLock);
	return sql;
}

static char *
Literal(const RangeKeySql *sql, KeyOrder *order, const RangeBound *bound)
{
	return psprintf("%s::%s", quote_literal_cstr(KeyOrderText(order, bound->value)), sql->type);
}

char *
RangeKeyCondition(const RangeKeySql *sql, KeyOrder *order, const Range *range)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "true");
	if (range->start.infinity == 0)
		appendStringInfo(&buf, " AND %s %s %s", sql->key, sql->greater_equal,
						 Literal(sql, order, &range->start));
	if (range->end.infinity == 0)
		appendStringInfo(&buf, " AND %s %s %s", sql->key, sql->less,
						 Literal(sql, order, &range->end));
	return buf.data;
}
