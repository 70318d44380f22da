/*
 * advice.c
 *		What to know about a partition key before rows live by it.
 *
 * Warnings about keys that PostgreSQL and we can serve, but that divide the rows
 * or the load badly.  They come from the catalogs, and from statistics where
 * the table has been analyzed: nothing is guessed from names.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "table/key.h"
#include "table/parts.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* With fewer keys than that for a shard, on average, shards differ a lot. */
#define KEYS_PER_SHARD 4

/* A table of fewer rows than that for a key says nothing about keys to come. */
#define ROWS_PER_KEY 10

/* Warn of a key that more than this part of all rows have, if there are that many. */
#define HEAVY_KEY 0.5
#define HEAVY_ROWS 100

/* ---- statistics ---- */

/*
 * How many values a column has, by the last ANALYZE; 0 if it is not known.
 * *heaviest: the part of the rows that have the most common one.
 */
static double
DistinctValues(Relation rel, AttrNumber attnum, double *heaviest)
{
	HeapTuple	tuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(RelationGetRelid(rel)),
										Int16GetDatum(attnum), BoolGetDatum(false));
	double		distinct = 0;
	AttStatsSlot slot;

	*heaviest = 0;
	if (!HeapTupleIsValid(tuple))
		return 0;
	distinct = ((Form_pg_statistic) GETSTRUCT(tuple))->stadistinct;
	if (distinct < 0)
		distinct = -distinct * Max(rel->rd_rel->reltuples, 0);
	if (get_attstatsslot(&slot, tuple, STATISTIC_KIND_MCV, InvalidOid, ATTSTATSSLOT_NUMBERS))
	{
		if (slot.nnumbers > 0)
			*heaviest = slot.numbers[0];
		free_attstatsslot(&slot);
	}
	ReleaseSysCache(tuple);
	return distinct;
}

/*
 * At most how many keys the columns make; 0 if one has no statistics.
 */
static double
DistinctKeys(Relation rel, const TableKey *key, double *heaviest)
{
	double		keys = 1;
	int			attnum = -1;

	*heaviest = 1;
	while ((attnum = bms_next_member(key->attnums, attnum)) >= 0)
	{
		double		heavy;

		keys *= DistinctValues(rel, attnum, &heavy);
		*heaviest = Min(*heaviest, heavy);
	}
	return keys;
}

static char *
ColumnNames(const TableKey *key)
{
	StringInfoData names;
	ListCell   *lc;

	initStringInfo(&names);
	foreach(lc, key->columns)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", (char *) lfirst(lc));
	return names.data;
}

static void
WarnOfFewKeys(Relation rel, const TableKey *key, int nshards)
{
	double		heaviest;
	double		keys = DistinctKeys(rel, key, &heaviest);

	if (keys <= 0 || nshards < 2)
		return;
	if (keys < (double) nshards * KEYS_PER_SHARD && rel->rd_rel->reltuples >= keys * ROWS_PER_KEY)
		ereport(WARNING,
				(errmsg("partition key (%s) of table \"%s\" has few values: about %.0f for %d shards",
						ColumnNames(key), RelationGetRelationName(rel), keys, nshards),
				 errdetail("Rows of one key stay together, so few shards get most of the rows and the load."),
				 errhint("Choose a key of many values, or a composite key.")));
	else if (heaviest > HEAVY_KEY && rel->rd_rel->reltuples >= HEAVY_ROWS)
		ereport(WARNING,
				(errmsg("%.0f %% of the rows of table \"%s\" have one partition key (%s)",
						heaviest * 100, RelationGetRelationName(rel), ColumnNames(key)),
				 errdetail("They are all in one shard."),
				 errhint("Choose a composite key, or pin the key to a shard of its own.")));
}

/*
 * A type of two or so values needs no statistics.
 */
static void
WarnOfNarrowType(Relation rel, const TableKey *key, int nshards)
{
	int			attnum = bms_next_member(key->attnums, -1);

	if (bms_membership(key->attnums) != BMS_SINGLETON || nshards <= 2 ||
		getBaseType(TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid) != BOOLOID)
		return;
	ereport(WARNING,
			(errmsg("partition key (%s) of table \"%s\" has two values for %d shards",
					ColumnNames(key), RelationGetRelationName(rel), nshards),
			 errhint("Choose a key of many values, or a composite key.")));
}

/* ---- ranges ---- */

static bool
IsTime(Oid type)
{
	type = getBaseType(type);
	return type == DATEOID || type == TIMESTAMPOID || type == TIMESTAMPTZOID;
}

static bool
IsNextval(Oid function, void *context)
{
	return function == F_NEXTVAL;
}

static bool
CallsNextval(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, IsNextval, context) ||
		expression_tree_walker(node, CallsNextval, context);
}

/*
 * Does a column count up by itself?
 */
static bool
IsSequential(Relation rel, Form_pg_attribute att)
{
	Node	   *value;

	if (att->attidentity)
		return true;
	value = att->atthasdef ? build_column_default(rel, att->attnum) : NULL;
	return value != NULL && CallsNextval(value, NULL);
}

static void
WarnOfGrowingKey(Relation rel, const TableKey *key)
{
	int			attnum = bms_next_member(key->attnums, -1);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	bool		time = IsTime(att->atttypid);

	if (bms_membership(key->attnums) != BMS_SINGLETON || (!time && !IsSequential(rel, att)))
		return;
	ereport(WARNING,
			(errmsg(time ? "partition key \"%s\" of table \"%s\" is a time, and its shards are ranges" :
					"partition key \"%s\" of table \"%s\" is a sequence, and its shards are ranges",
					NameStr(att->attname), RelationGetRelationName(rel)),
			 errdetail("New rows all go to the shard of the last range."),
			 errhint("Choose the id of an entity as partition key, or a router of strategy hash or consistent-hash.")));
}

/* ---- keys that change ---- */

static void
WarnOfCascade(Relation rel, const TableKey *key)
{
	int			attnum = -1;

	while ((attnum = bms_next_member(key->attnums, attnum)) >= 0)
	{
		List	   *names = DdlTexts("SELECT conname FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' "
									 "AND confupdtype IN ('c', 'n', 'd') AND $2 = ANY (conkey) ORDER BY 1",
									 RelationGetRelid(rel), attnum);

		if (names != NIL)
			ereport(WARNING,
					(errmsg("foreign key \"%s\" changes the partition key of table \"%s\" on update",
							(char *) linitial(names), RelationGetRelationName(rel)),
					 errdetail("A row whose key changes moves to another shard."),
					 errhint("Choose a partition key that never changes.")));
	}
}

/*
 * How many rows updates have given another value of a column, as far as
 * pg_stat_statements has seen them; text, or NULL if they are few.
 */
static char *
UpdatedRows(Relation rel, const char *schema, const char *column)
{
	List	   *rows = DdlTexts(psprintf("SELECT sum(s.rows)::text FROM %s.pg_stat_statements s "
										 "JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() "
										 "CROSS JOIN pg_class c WHERE c.oid = $1 AND s.query ~* "
										 "('^\\s*UPDATE\\s+(ONLY\\s+)?(\"?\\w+\"?\\.)?\"?\\m' || c.relname || '\\M') "
										 "AND substring(s.query FROM '(?i)\\mSET\\M(.*?)(?:\\mWHERE\\M|\\mFROM\\M|\\mRETURNING\\M|$)') ~* "
										 "('\\m' || %s || '\\M\"?\\s*=') "
										 "GROUP BY c.reltuples HAVING sum(s.rows) > 0.01 * greatest(c.reltuples, 100)",
										 schema, quote_literal_cstr(column)),
								RelationGetRelid(rel), 0);

	return rows != NIL ? linitial(rows) : NULL;
}

static bool
StatementsAreCounted(void)
{
	return strstr(shared_preload_libraries_string, "pg_stat_statements") != NULL;
}

static void
WarnOfUpdates(Relation rel, const TableKey *key)
{
	List	   *schemas;
	int			attnum = -1;

	if (!StatementsAreCounted())
		return;
	schemas = DdlTexts("SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
					   "WHERE e.extname = 'pg_stat_statements'", InvalidOid, 0);
	while (schemas != NIL && (attnum = bms_next_member(key->attnums, attnum)) >= 0)
	{
		char	   *name = get_attname(RelationGetRelid(rel), attnum, false);
		char	   *rows = UpdatedRows(rel, linitial(schemas), name);

		if (rows != NULL)
			ereport(WARNING,
					(errmsg("column \"%s\" of the partition key of table \"%s\" is updated often",
							name, RelationGetRelationName(rel)),
					 errdetail("Statements that set it have updated %s rows, says pg_stat_statements; a row whose key changes moves to another shard.", rows),
					 errhint("Choose a partition key that never changes.")));
	}
}

/*
 * Warn of what divides rows or load badly; within a DdlScope.
 */
void
AdviseOnKey(Relation rel, const TableKey *key, const Router *router)
{
	int			nshards = router->nmembers;
	bool		ranges = router->strategy == STRATEGY_RANGE;

	WarnOfFewKeys(rel, key, nshards);
	WarnOfNarrowType(rel, key, nshards);
	if (ranges)
		WarnOfGrowingKey(rel, key);
	WarnOfCascade(rel, key);
	WarnOfUpdates(rel, key);
}
