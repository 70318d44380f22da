/*
 * key.c
 *		A table's partition key, from its router's rule.
 *
 * A single column of a type that routers have an operator class for is the key
 * as it is, and unique and foreign keys work on the table as on any partitioned
 * one.  Everything else is an expression over columns, of text:
 *
 *	several columns, or other types		_shard.partition_key(a, b)
 *	that may be null, with fallback_key	_shard.partition_key_or(id, a, b)
 *	with partition_key_fn				_shard.partition_key(fn(_shard.key_object('{a,b}', a, b)))
 *
 * Under strategy range a column is the key as it is where it has the type by which
 * the router compares keys; expressions are made in the same way, and given to
 * the router's comparator if it has one.
 *
 * The fallback takes part only where a column may be null.  The functions give
 * the text that shard.extract_partition_key() gives for the row as JSON.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/relation.h"
#include "catalog/key_text.h"
#include "catalog/partition.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "optimizer/optimizer.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/range_key.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* The collation of expression keys; any deterministic one would do. */
#define KEY_COLLATION "pg_catalog.\"default\""

/*
 * The suffix of the operator classes for a key type, NULL if it has none.
 */
static const char *
KeyClass(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return "text";
		case INT8OID:
			return "int8";
		case INT4OID:
			return "int4";
		case INT2OID:
			return "int2";
		case UUIDOID:
			return "uuid";
		default:
			return NULL;
	}
}

/* ---- checks ---- */

static void
CheckKeyType(Form_pg_attribute att, bool as_json)
{
	if (as_json ? !KeyJsonSupports(att->atttypid) : !KeyTextSupports(att->atttypid))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of type %s cannot be a partition key", NameStr(att->attname),
						format_type_be(att->atttypid)),
				 as_json ?
				 errhint("Name the columns that the partition_key_fn needs: shard.distribute_table(relation, router, partition_key => '{column, ...}').") :
				 errhint("Partition keys are of type text, varchar, smallint, integer, bigint, uuid, boolean, numeric, date, time, timestamp or an enum.")));
	if (OidIsValid(att->attcollation) && !get_collation_isdeterministic(att->attcollation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has the nondeterministic collation \"%s\" and cannot be a partition key",
						NameStr(att->attname), get_collation_name(att->attcollation)),
				 errhint("Give the column a deterministic collation.")));
}

/*
 * A column of the key, after checking that it can be one.
 */
static Form_pg_attribute
KeyColumn(Relation rel, const char *name, bool as_json)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);
	Form_pg_attribute att;

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column \"%s\" for the partition key",
						RelationGetRelationName(rel), name),
				 errhint("Name the columns that decide where a row lives: shard.distribute_table(relation, router, partition_key => '{column}').")));
	if (attnum < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("system column \"%s\" cannot be a partition key", name)));
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	CheckKeyType(att, as_json);
	if (att->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("generated column \"%s\" cannot be a partition key", name),
				 errhint("Drop the expression with ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION, or choose another column.")));
	return att;
}

static void
CheckNotNull(Relation rel, Form_pg_attribute att)
{
	if (!att->attnotnull)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_NULL_VIOLATION),
				 errmsg("column \"%s\" can be null and cannot be a partition key",
						NameStr(att->attname)),
				 errhint("Declare it: ALTER TABLE %s ALTER COLUMN %s SET NOT NULL; or use a router with a fallback_key.",
						 QualifiedName(RelationGetRelid(rel)),
						 quote_identifier(NameStr(att->attname)))));
}

static void
CheckFunction(Oid function)
{
	if (func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("partition_key_fn %s is not immutable", format_procedure(function)),
			 errdetail("It decides in which shard a row lives, so it must always give the same key for the same row."),
			 errhint("If that is so, declare it: ALTER FUNCTION %s IMMUTABLE.",
					 format_procedure_qualified(function))));
}

/* ---- building ---- */

static void
AddAttnum(TableKey *key, Form_pg_attribute att)
{
	key->attnums = bms_add_member(key->attnums, att->attnum);
}

/*
 * Check the columns of a key, and list them as SQL; *nullable tells whether one
 * of them may be null.
 */
static char *
ColumnList(Relation rel, TableKey *key, bool as_json, Form_pg_attribute *nullable)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	*nullable = NULL;
	foreach(lc, key->columns)
	{
		Form_pg_attribute att = KeyColumn(rel, lfirst(lc), as_json);

		if (!att->attnotnull && *nullable == NULL)
			*nullable = att;
		AddAttnum(key, att);
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 quote_identifier(NameStr(att->attname)));
	}
	return list.data;
}

/*
 * Every column that can be in a key_object().
 */
static List *
AllColumns(Relation rel)
{
	List	   *columns = NIL;

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && !att->attgenerated)
			columns = lappend(columns, pstrdup(NameStr(att->attname)));
	}
	return columns;
}

static char *
NameArray(List *names)
{
	StringInfoData array;
	ListCell   *lc;

	initStringInfo(&array);
	foreach(lc, names)
		appendStringInfo(&array, "%s%s", array.len > 0 ? ", " : "",
						 quote_literal_cstr(lfirst(lc)));
	return psprintf("ARRAY[%s]::pg_catalog.text[]", array.data);
}

/*
 * The call of a partition_key_fn over the columns given, or all.
 */
static char *
FunctionCall(Relation rel, TableKey *key, const KeyRule *rule)
{
	Oid			function = DatumGetObjectId(DirectFunctionCall1(regprocedurein,
																CStringGetDatum(rule->function)));
	Form_pg_attribute nullable;
	char	   *columns;

	CheckFunction(function);
	if (key->columns == NIL)
		key->columns = AllColumns(rel);
	columns = ColumnList(rel, key, true, &nullable);
	return psprintf("%s(_shard.key_object(%s, %s))",
					quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
											   get_func_name(function)),
					NameArray(key->columns), columns);
}

/*
 * The expression for parts, which may be null where nullable (or where a
 * function gives them).
 */
static char *
KeyCall(Relation rel, TableKey *key, const KeyRule *rule, const char *parts,
		Form_pg_attribute nullable)
{
	Form_pg_attribute fallback;

	if (rule->fallback == NULL || (nullable == NULL && rule->function == NULL))
		return psprintf("_shard.partition_key(%s)", parts);
	fallback = KeyColumn(rel, rule->fallback, false);
	AddAttnum(key, fallback);
	return psprintf("_shard.partition_key_or(%s, %s)",
					quote_identifier(NameStr(fallback->attname)), parts);
}

static void
SetExpression(TableKey *key, const char *router, char *expression)
{
	key->text = key->expression = expression;
	key->clause = psprintf(" PARTITION BY HASH (%s COLLATE " KEY_COLLATION " %s)", expression,
						   quote_qualified_identifier("_shard", psprintf("%s_text", router)));
}

static void
SetColumn(TableKey *key, const char *router, Form_pg_attribute att)
{
	key->column = att->attnum;
	key->text = pstrdup(quote_identifier(NameStr(att->attname)));
	key->clause = psprintf(" PARTITION BY HASH (%s %s)", quote_identifier(NameStr(att->attname)),
						   quote_qualified_identifier("_shard",
													  psprintf("%s_%s", router,
															   KeyClass(getBaseType(att->atttypid)))));
}

static bool
IsPlainColumn(Relation rel, const Router *router, List *columns)
{
	AttrNumber	attnum;
	Oid			type;

	if (list_length(columns) != 1)
		return false;
	attnum = get_attnum(RelationGetRelid(rel), linitial(columns));
	if (attnum <= 0)
		return false;
	type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;
	return router->strategy == STRATEGY_RANGE ? RangeKeyFits(router, type) :
		KeyClass(getBaseType(type)) != NULL;
}

/*
 * The clauses of strategy range.
 */
static void
SetRangeColumn(TableKey *key, Form_pg_attribute att)
{
	key->column = att->attnum;
	key->text = pstrdup(quote_identifier(NameStr(att->attname)));
	key->clause = RangeKeyClause(key->text, att->atttypid, att->attcollation);
}

/*
 * A comparator is applied to a column of text as it is, so that queries can say
 * the same.
 */
static void
SetRangeExpression(TableKey *key, const Router *router, Form_pg_attribute single, char *expression)
{
	Oid			collation = DEFAULT_COLLATION_OID;

	if (single != NULL && (single->atttypid == TEXTOID || single->atttypid == VARCHAROID))
	{
		expression = pstrdup(quote_identifier(NameStr(single->attname)));
		collation = single->attcollation;
	}
	else
		expression = psprintf("(%s COLLATE " KEY_COLLATION ")", expression);
	key->text = expression;
	key->expression = RangeKeyExpression(router, expression);
	key->clause = RangeKeyClause(psprintf("(%s)", key->expression), router->order->type, collation);
}

TableKey *
KeyOfTable(Relation rel, const char *router, List *columns)
{
	TableKey   *key = palloc0(sizeof(TableKey));
	KeyRule		rule = CatalogKeyRule(router);
	const Router *entry;
	Form_pg_attribute nullable = NULL;
	Form_pg_attribute single = NULL;
	char	   *parts;

	key->columns = columns != NIL || rule.function != NULL ? columns : rule.fields;
	if (rule.function != NULL)
		parts = FunctionCall(rel, key, &rule);
	else
		parts = ColumnList(rel, key, false, &nullable);
	if (nullable != NULL && rule.fallback == NULL)
		CheckNotNull(rel, nullable);
	entry = CatalogRouter(router, false);
	if (rule.function == NULL && nullable == NULL && list_length(key->columns) == 1)
		single = TupleDescAttr(RelationGetDescr(rel), bms_singleton_member(key->attnums) - 1);
	if (single != NULL && IsPlainColumn(rel, entry, key->columns))
	{
		if (entry->strategy == STRATEGY_RANGE)
			SetRangeColumn(key, single);
		else
			SetColumn(key, router, single);
	}
	else if (entry->strategy == STRATEGY_RANGE)
		SetRangeExpression(key, entry, single, KeyCall(rel, key, &rule, parts, nullable));
	else
		SetExpression(key, router, KeyCall(rel, key, &rule, parts, nullable));
	return key;
}

/* ---- keys of sharded tables ---- */

char *
KeyExpression(Relation parent, Oid *type)
{
	PartitionKey key = RelationGetPartitionKey(parent);
	AttrNumber	attnum = get_partition_col_attnum(key, 0);

	*type = get_partition_col_typid(key, 0);
	if (attnum != 0)
		return pstrdup(quote_identifier(get_attname(RelationGetRelid(parent), attnum, false)));
	return psprintf("(%s)", deparse_expression(linitial(get_partition_exprs(key)),
											   deparse_context_for(RelationGetRelationName(parent),
																   RelationGetRelid(parent)),
											   false, false));
}

char *
KeyText(Relation parent, const ShardedTable *table)
{
	const Router *router = CatalogRouter(table->router, false);
	Oid			type;

	if (router->strategy == STRATEGY_RANGE && router->comparator != NULL)
		return KeyOfTable(parent, table->router, table->partition_key)->text;
	return KeyExpression(parent, &type);
}

bool
KeyIsExpression(Oid parent, Bitmapset **attnums)
{
	Relation	rel = relation_open(parent, AccessShareLock);
	PartitionKey key = RelationGetPartitionKey(rel);
	bool		expression = key != NULL && key->partexprs != NIL;
	Bitmapset  *offset = NULL;
	int			member = -1;

	*attnums = NULL;
	if (expression)
		pull_varattnos((Node *) key->partexprs, 1, &offset);
	relation_close(rel, AccessShareLock);
	while ((member = bms_next_member(offset, member)) >= 0)
		*attnums = bms_add_member(*attnums, member + FirstLowInvalidHeapAttributeNumber);
	return expression;
}
