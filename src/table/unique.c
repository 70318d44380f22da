/*
 * unique.c
 *		Primary keys and unique constraints of tables whose partition key is an
 *		expression.
 *
 * PostgreSQL cannot have them on such a table, but on its leaves.  So each leaf
 * has them, under the names that they had on the table: they hold within the
 * shard.  If they contain all columns of the partition key, equal rows are in
 * one shard, and that is as good.
 *
 * There is no list of them: the table being distributed is the template of its
 * leaves, any leaf that of a new one, and of the table when it is put together.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "table/parts.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#define UNIQUE_CONSTRAINTS "SELECT oid FROM pg_constraint WHERE conrelid = $1 AND contype = "

/* Unique indexes that belong to no constraint. */
#define UNIQUE_INDEXES \
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 AND i.indisunique " \
	"AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = $1 " \
	"AND k.contype IN ('p', 'u', 'x')) "

/* What else belongs to them; %1$s is the target, %2$s its schema, as literals. */
static const char *const accessory_queries[] = {
	"SELECT format('COMMENT ON CONSTRAINT %%I ON %%s IS %%L', c.conname, %1$s, d.description) "
	"FROM pg_description d JOIN pg_constraint c ON c.oid = d.objoid WHERE d.classoid = 'pg_constraint'::regclass "
	"AND c.conrelid = $1 AND c.contype IN ('p', 'u') AND %2$s IS NOT NULL ORDER BY c.conname",

	"SELECT format('COMMENT ON INDEX %%s.%%I IS %%L', %2$s, c.relname, d.description) "
	"FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_index i ON i.indexrelid = c.oid "
	"WHERE d.classoid = 'pg_class'::regclass AND i.indrelid = $1 AND i.indisunique AND %1$s IS NOT NULL ORDER BY c.relname",

	"SELECT format('ALTER INDEX %%s.%%I ALTER COLUMN %%s SET STATISTICS %%s', %2$s, c.relname, a.attnum, a.attstattarget) "
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = i.indexrelid "
	"WHERE i.indrelid = $1 AND i.indisunique AND a.attstattarget >= 0 AND a.attnum > 0 AND %1$s IS NOT NULL ORDER BY 1"
};

/*
 * Replace what a command begins with.
 */
static char *
Retarget(const char *command, const char *prefix, const char *replacement)
{
	size_t		len = strlen(prefix);

	if (strncmp(command, prefix, len) != 0)
		elog(ERROR, "unexpected definition: %s", command);
	return psprintf("%s%s", replacement, command + len);
}

/*
 * The name under which an index is made in a schema: its own, if it is free.
 * Where a shard has several leaves (strategy range), the others' have numbers.
 */
static const char *
NameIn(const char *schema, const char *name)
{
	Oid			namespace = get_namespace_oid(schema, true);

	if (!OidIsValid(namespace) || !OidIsValid(get_relname_relid(name, namespace)))
		return quote_identifier(name);
	return quote_identifier(LeafFreeName(schema, name, NULL));
}

static List *
ConstraintCommands(List *commands, Oid template, const char *target, const char *schema,
				   const char *kind)
{
	char	   *query = psprintf(UNIQUE_CONSTRAINTS "'%s' ORDER BY conname", kind);
	ListCell   *lc;

	foreach(lc, DdlOids(query, template))
	{
		char	   *name = get_constraint_name(lfirst_oid(lc));
		char	   *prefix = psprintf("ALTER TABLE %s ADD CONSTRAINT %s ", QualifiedName(template),
									  quote_identifier(name));
		char	   *replacement = psprintf("ALTER TABLE %s ADD CONSTRAINT %s ", target,
										   NameIn(schema, name));

		commands = lappend(commands, Retarget(pg_get_constraintdef_command(lfirst_oid(lc)),
											  prefix, replacement));
	}
	return commands;
}

static List *
IndexCommands(List *commands, Oid template, const char *target, const char *schema)
{
	ListCell   *lc;

	foreach(lc, DdlOids("SELECT i.indexrelid " UNIQUE_INDEXES "ORDER BY c.relname", template))
	{
		char	   *name = get_rel_name(lfirst_oid(lc));

		commands = lappend(commands,
						   Retarget(pg_get_indexdef_string(lfirst_oid(lc)),
									psprintf("CREATE UNIQUE INDEX %s ON %s ",
											 quote_identifier(name), QualifiedName(template)),
									psprintf("CREATE UNIQUE INDEX %s ON %s ",
											 NameIn(schema, name), target)));
	}
	return commands;
}

/*
 * Commands that give target the template's primary key.  The target is quoted
 * and qualified.
 */
List *
UniquePrimaryKey(Oid template, const char *target, const char *schema)
{
	return ConstraintCommands(NIL, template, target, schema, "p");
}

/*
 * Does another table of the schema have one of the names?
 */
static bool
NamesAreTaken(Oid template, const char *target, const char *schema)
{
	return DdlTexts(psprintf("SELECT 'taken' FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
							 "JOIN pg_class o ON o.relname = c.relname AND o.relnamespace = to_regnamespace(%s) "
							 "LEFT JOIN pg_index oi ON oi.indexrelid = o.oid "
							 "WHERE i.indrelid = $1 AND i.indisunique AND oi.indrelid IS DISTINCT FROM to_regclass(%s)",
							 quote_literal_cstr(quote_identifier(schema)), quote_literal_cstr(target)),
					template, 0) != NIL;
}

/*
 * Commands that give it the other unique constraints and indexes, and what
 * belongs to all of them by name.
 */
List *
UniqueOthers(Oid template, const char *target, const char *schema)
{
	List	   *commands = IndexCommands(ConstraintCommands(NIL, template, target, schema, "u"),
										 template, target, schema);

	if (NamesAreTaken(template, target, schema))
		return commands;
	for (int i = 0; i < lengthof(accessory_queries); i++)
		commands = list_concat(commands,
							   DdlTexts(psprintf(accessory_queries[i], quote_literal_cstr(target),
												 quote_literal_cstr(quote_identifier(schema))),
										template, 0));
	return commands;
}

/*
 * The leaf to take the names of a parent's unique indexes from: that with the
 * shortest, for the others' may have numbers behind them.
 */
Oid
UniqueTemplate(Oid parent)
{
	List	   *leaves = DdlOids("SELECT h.inhrelid FROM pg_inherits h LEFT JOIN pg_index i ON i.indrelid = h.inhrelid "
								 "AND i.indisunique LEFT JOIN pg_class c ON c.oid = i.indexrelid WHERE h.inhparent = $1 "
								 "GROUP BY h.inhrelid ORDER BY coalesce(sum(length(c.relname)), 0), h.inhrelid LIMIT 1",
								 parent);

	return leaves != NIL ? linitial_oid(leaves) : InvalidOid;
}

/*
 * Refuse to make the template's unique indexes in a shard's schema where one of
 * their names is taken.
 */
void
UniqueCheckNames(Oid template, const char *schema)
{
	ListCell   *lc;

	foreach(lc, DdlTexts("SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
						 "WHERE i.indrelid = $1 AND i.indisunique ORDER BY 1", template, 0))
		if (OidIsValid(get_relname_relid(lfirst(lc), get_namespace_oid(schema, false))))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("relation %s already exists",
							quote_qualified_identifier(schema, lfirst(lc))),
					 errdetail("The part of unique index \"%s\" that belongs to this shard would have that name.",
							   (char *) lfirst(lc)),
					 errhint("Rename one of the two: a shard has one schema for the tables of all schemas.")));
}

/*
 * The unique indexes of a table that do not contain all these columns of a
 * parent (or of the table itself); names.
 */
List *
UniqueWithinShard(Oid relid, Oid parent, const Bitmapset *attnums, bool primary_only)
{
	StringInfoData columns;
	int			attnum = -1;

	initStringInfo(&columns);
	while ((attnum = bms_next_member(attnums, attnum)) >= 0)
		appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "",
						 quote_literal_cstr(get_attname(parent, attnum, false)));
	return DdlTexts(psprintf("SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
							 "WHERE i.indrelid = $1 AND i.indisunique AND (i.indisprimary OR $2 = 0) "
							 "AND NOT ARRAY[%s]::text[] <@ ARRAY(SELECT a.attname::text FROM pg_attribute a "
							 "WHERE a.attrelid = $1 AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) "
							 "ORDER BY 1", columns.data),
					relid, primary_only ? 1 : 0);
}
