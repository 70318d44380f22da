/*
 * definition.c
 *		Reading a table's definition as the commands that make it again.
 *
 * A table cannot become partitioned, or plain again, in place.  So a new table
 * is made under the old one's name, and gets what the old one had.  Columns with
 * their types, defaults, generation expressions and storage come by LIKE; all
 * the rest is read here, while the old table still has its name, so that the
 * commands name the new one.  Three lists come out: what detaches the old table
 * from the rest of the database, what the new one needs before it gets rows, and
 * what is cheaper or only possible afterwards.
 *
 * PostgreSQL's own deparsers do the hard part; the queries below put the rest
 * together.  Each takes the table as $1 and gives commands; with search_path
 * pinned to pg_catalog, regclass and the deparsers qualify every name.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "table/parts.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

/* Serial sequences stay as they are, but change their owning table. */
#define SERIAL_SEQUENCES \
	"FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' " \
	"JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid " \
	"WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass " \
	"AND d.refobjid = $1 AND d.deptype = 'a' "

/* Identity sequences belong to the table and are made again. */
#define IDENTITY_SEQUENCES \
	"FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid " \
	"JOIN pg_class c ON c.oid = d.objid " \
	"JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid " \
	"WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass " \
	"AND d.refobjid = $1 AND d.deptype = 'i' "

/*
 * Where unique constraints are made on the leaves ($2 = 0, see unique.c), leave
 * out what belongs to them.
 */
#define ON_TABLE(unique) " AND ($2 = 1 OR NOT " unique ")"

static const char *const detach_queries[] = {
	"SELECT format('ALTER SEQUENCE %s OWNED BY NONE', s.oid::regclass) " SERIAL_SEQUENCES,

	"SELECT format('DROP STATISTICS %I.%I', n.nspname, s.stxname) FROM pg_statistic_ext s "
	"JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = $1",

	"SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) "
	"FROM pg_constraint WHERE contype = 'f' AND confrelid = $1 AND conrelid <> $1 "
	"AND conparentid = 0 ORDER BY conrelid, conname"
};

static const char *const column_queries[] = {
	"SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', $1::regclass, attname, attstattarget) "
	"FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attstattarget >= 0",

	"SELECT format('ALTER TABLE %s ALTER COLUMN %I SET (%s)', $1::regclass, attname, "
	"(SELECT string_agg(format('%I=%L', option_name, option_value), ', ') FROM pg_options_to_table(attoptions) " ATTRIBUTE_OPTIONS ")) "
	"FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped " HAS_ATTRIBUTE_OPTIONS,

	"SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $1::regclass, conname, pg_get_constraintdef(oid)) "
	"FROM pg_constraint WHERE conrelid = $1 AND contype = 'c' ORDER BY conname",

	"SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', $1::regclass, "
	"CASE relreplident WHEN 'f' THEN 'FULL' ELSE 'NOTHING' END) "
	"FROM pg_class WHERE oid = $1 AND relreplident IN ('f', 'n')"
};

static const char *const object_queries[] = {
	/* indexes: targets of expression columns */
	"SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', i.indexrelid::regclass, a.attnum, a.attstattarget) "
	"FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid "
	"WHERE i.indrelid = $1 AND a.attstattarget >= 0 AND a.attnum > 0" ON_TABLE("i.indisunique"),

	"SELECT format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', $1::regclass, c.relname) "
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
	"WHERE i.indrelid = $1 AND i.indisreplident",

	/* statistics */
	"SELECT format('ALTER STATISTICS %I.%I OWNER TO %I', n.nspname, s.stxname, pg_get_userbyid(s.stxowner)) "
	"FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = $1",

	"SELECT format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, s.stxstattarget) "
	"FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace "
	"WHERE s.stxrelid = $1 AND s.stxstattarget >= 0",

	/* triggers and rules, with their states */
	"SELECT pg_get_triggerdef(oid) FROM pg_trigger "
	"WHERE tgrelid = $1 AND NOT tgisinternal AND tgparentid = 0 ORDER BY tgname",

	"SELECT format('ALTER TABLE %s %s TRIGGER %I', $1::regclass, CASE tgenabled WHEN 'D' THEN 'DISABLE' "
	"WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname) FROM pg_trigger "
	"WHERE tgrelid = $1 AND NOT tgisinternal AND tgparentid = 0 AND tgenabled <> 'O'",

	"SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE ev_class = $1 ORDER BY rulename",

	"SELECT format('ALTER TABLE %s %s RULE %I', $1::regclass, CASE ev_enabled WHEN 'D' THEN 'DISABLE' "
	"WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, rulename) FROM pg_rewrite "
	"WHERE ev_class = $1 AND ev_enabled <> 'O'",

	/* row-level security */
	"SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', polname, $1::regclass, "
	"CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, "
	"CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' "
	"WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, "
	"(SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(polroles) r), "
	"' USING (' || pg_get_expr(polqual, polrelid) || ')', "
	"' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') "
	"FROM pg_policy WHERE polrelid = $1 ORDER BY polname",

	"SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', oid::regclass) FROM pg_class WHERE oid = $1 AND relrowsecurity",

	"SELECT format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', oid::regclass) FROM pg_class WHERE oid = $1 AND relforcerowsecurity",

	/* sequences */
	"SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', s.oid::regclass, $1::regclass, a.attname) " SERIAL_SEQUENCES,

	"SELECT format('ALTER TABLE %s ALTER COLUMN %I ADD GENERATED %s AS IDENTITY "
	"(SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s)', $1::regclass, a.attname, "
	"CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, s.seqrelid::regclass, s.seqincrement, "
	"s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) "
	IDENTITY_SEQUENCES,

	/* publications */
	"SELECT format('ALTER PUBLICATION %I ADD TABLE %s%s%s', p.pubname, $1::regclass, "
	"' (' || (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
	"WHERE attrelid = $1 AND attnum = ANY (r.prattrs::int2[])) || ')', "
	"' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')') "
	"FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = $1",

	/* comments */
	"SELECT format('COMMENT ON TABLE %s IS %L', $1::regclass, description) FROM pg_description "
	"WHERE classoid = 'pg_class'::regclass AND objoid = $1 AND objsubid = 0",

	"SELECT format('COMMENT ON COLUMN %s.%I IS %L', $1::regclass, a.attname, d.description) FROM pg_description d "
	"JOIN pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid "
	"WHERE d.classoid = 'pg_class'::regclass AND d.objoid = $1 AND NOT a.attisdropped",

	"SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', c.conname, c.conrelid::regclass, d.description) "
	"FROM pg_description d JOIN pg_constraint c ON c.oid = d.objoid WHERE d.classoid = 'pg_constraint'::regclass "
	"AND (c.conrelid = $1 OR c.contype = 'f' AND c.confrelid = $1) AND c.conparentid = 0"
	ON_TABLE("c.contype IN ('p', 'u')"),

	"SELECT format('COMMENT ON INDEX %s IS %L', i.indexrelid::regclass, d.description) FROM pg_description d "
	"JOIN pg_index i ON i.indexrelid = d.objoid WHERE d.classoid = 'pg_class'::regclass AND i.indrelid = $1"
	ON_TABLE("i.indisunique"),

	"SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, $1::regclass, d.description) FROM pg_description d "
	"JOIN pg_trigger t ON t.oid = d.objoid WHERE d.classoid = 'pg_trigger'::regclass AND t.tgrelid = $1",

	"SELECT format('COMMENT ON RULE %I ON %s IS %L', r.rulename, $1::regclass, d.description) FROM pg_description d "
	"JOIN pg_rewrite r ON r.oid = d.objoid WHERE d.classoid = 'pg_rewrite'::regclass AND r.ev_class = $1",

	"SELECT format('COMMENT ON POLICY %I ON %s IS %L', p.polname, $1::regclass, d.description) FROM pg_description d "
	"JOIN pg_policy p ON p.oid = d.objoid WHERE d.classoid = 'pg_policy'::regclass AND p.polrelid = $1",

	"SELECT format('COMMENT ON STATISTICS %I.%I IS %L', n.nspname, s.stxname, d.description) FROM pg_description d "
	"JOIN pg_statistic_ext s ON s.oid = d.objoid JOIN pg_namespace n ON n.oid = s.stxnamespace "
	"WHERE d.classoid = 'pg_statistic_ext'::regclass AND s.stxrelid = $1",

	"SELECT format('COMMENT ON SEQUENCE %s IS %L', s.seqrelid::regclass, "
	"obj_description(s.seqrelid, 'pg_class')) " IDENTITY_SEQUENCES
	"AND obj_description(s.seqrelid, 'pg_class') IS NOT NULL",

	/* security labels */
	"SELECT format('SECURITY LABEL FOR %I ON %s %s%s IS %L', l.provider, "
	"CASE l.objsubid WHEN 0 THEN 'TABLE' ELSE 'COLUMN' END, $1::regclass, '.' || quote_ident(a.attname), l.label) "
	"FROM pg_seclabel l LEFT JOIN pg_attribute a ON a.attrelid = l.objoid AND a.attnum = l.objsubid AND l.objsubid > 0 "
	"WHERE l.classoid = 'pg_class'::regclass AND l.objoid = $1"
};

static List *
RunQueries(List *commands, const char *const *queries, int n, Oid relid, bool unique)
{
	for (int i = 0; i < n; i++)
		commands = list_concat(commands, DdlTexts(queries[i], relid, unique ? 1 : 0));
	return commands;
}

/*
 * Commands that add the constraints that a query finds, indexes' options and
 * tablespaces with them.
 */
static List *
AddConstraints(List *commands, const char *query, Oid relid)
{
	ListCell   *lc;

	foreach(lc, DdlOids(query, relid))
		commands = lappend(commands, pg_get_constraintdef_command(lfirst_oid(lc)));
	return commands;
}

static List *
AddIndexes(List *commands, Oid relid, bool unique)
{
	ListCell   *lc;

	foreach(lc, DdlTexts("SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
						 "WHERE i.indrelid = $1 AND NOT EXISTS (SELECT FROM pg_constraint k "
						 "WHERE k.conindid = i.indexrelid AND k.conrelid = $1 AND k.contype IN ('p', 'u', 'x'))"
						 ON_TABLE("i.indisunique") " ORDER BY c.relname", relid, unique ? 1 : 0))
		commands = lappend(commands, pg_get_indexdef_string(atooid(lfirst(lc))));
	return commands;
}

static List *
AddStatistics(List *commands, Oid relid)
{
	ListCell   *lc;

	foreach(lc, DdlOids("SELECT oid FROM pg_statistic_ext WHERE stxrelid = $1 ORDER BY stxname", relid))
		commands = lappend(commands, pg_get_statisticsobjdef_string(lfirst_oid(lc)));
	return commands;
}

static List *
CommandsBeforeRows(TableDefinition *def, bool unique)
{
	List	   *commands;
	Oid			relid = def->relid;

	commands = list_make1(psprintf("ALTER TABLE %s OWNER TO %s", def->qualified,
								   quote_identifier(GetUserNameFromId(def->owner, false))));
	commands = RunQueries(commands, column_queries, lengthof(column_queries), relid, unique);
	if (unique)
		commands = AddConstraints(commands, "SELECT oid FROM pg_constraint "
								  "WHERE conrelid = $1 AND contype = 'p'", relid);
	return AddConstraints(commands, "SELECT oid FROM pg_constraint WHERE conrelid = $1 "
						  "AND contype = 'f' AND confrelid <> $1 AND conparentid = 0 ORDER BY conname",
						  relid);
}

static List *
CommandsAfterRows(TableDefinition *def, bool unique)
{
	List	   *commands = NIL;
	Oid			relid = def->relid;

	if (unique)
		commands = AddConstraints(commands, "SELECT oid FROM pg_constraint "
								  "WHERE conrelid = $1 AND contype = 'u' ORDER BY conname", relid);
	commands = AddIndexes(commands, relid, unique);
	commands = AddConstraints(commands, "SELECT oid FROM pg_constraint WHERE confrelid = $1 "
							  "AND contype = 'f' AND conparentid = 0 ORDER BY conrelid, conname", relid);
	commands = AddStatistics(commands, relid);
	return RunQueries(commands, object_queries, lengthof(object_queries), relid, unique);
}

char *
QualifiedName(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/*
 * Read a definition, with the unique constraints and indexes or without; the
 * table must be locked against changes of it.
 */
TableDefinition *
DefinitionRead(Oid relid, bool unique)
{
	TableDefinition *def = palloc0(sizeof(TableDefinition));
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	form = (Form_pg_class) GETSTRUCT(tuple);
	def->relid = relid;
	def->owner = form->relowner;
	def->schema = get_namespace_name(form->relnamespace);
	def->name = pstrdup(NameStr(form->relname));
	def->qualified = QualifiedName(relid);
	if (OidIsValid(form->reltablespace))
		def->tablespace = pstrdup(quote_identifier(get_tablespace_name(form->reltablespace)));
	ReleaseSysCache(tuple);

	def->detach = RunQueries(NIL, detach_queries, lengthof(detach_queries), relid, unique);
	def->before_rows = CommandsBeforeRows(def, unique);
	def->after_rows = CommandsAfterRows(def, unique);
	return def;
}

/*
 * Commands that set the new identity sequences in a schema to the values of the
 * old table's, which has been set aside (and so locked) in another schema.
 */
List *
DefinitionSequenceValues(Oid relid, const char *schema)
{
	List	   *commands = NIL;
	ListCell   *lc;

	foreach(lc, DdlOids("SELECT s.seqrelid " IDENTITY_SEQUENCES, relid))
	{
		Oid			sequence = lfirst_oid(lc);
		char	   *target = quote_qualified_identifier(schema, get_rel_name(sequence));

		commands = lappend(commands,
						   psprintf("SELECT setval(%s, last_value, is_called) FROM %s",
									quote_literal_cstr(target), QualifiedName(sequence)));
	}
	return commands;
}
