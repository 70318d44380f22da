/*
 * import.c
 *		IMPORT FOREIGN SCHEMA: foreign tables for the lake tables of a namespace,
 *		or, with the option "parquet" or "metadata_location", for what is there.
 *
 * A source without a name in the lake gets that of its file, or of its
 * directory.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "fdw/import.h"
#include "fdw/option.h"
#include "fdw/parquet.h"
#include "fdw/source.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "lake/registry/registry.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* ---- one table ---- */

/*
 * A column's definition; what PostgreSQL has no type for is left out.
 */
static bool
AppendColumn(StringInfo sql, const IcebergField *field, bool first)
{
	if (!field->primitive)
	{
		ereport(NOTICE,
				(errmsg("column \"%s\" of type %s is left out", field->name, field->type_json)));
		return false;
	}
	appendStringInfo(sql, "%s\n  %s %s%s", first ? "" : ",", quote_identifier(field->name),
					 PgTypeForLakeType(field->type), field->required ? " NOT NULL" : "");
	return true;
}

static char *
TableCommand(ImportForeignSchemaStmt *stmt, const char *name, const IcebergSchema *schema,
			 const char *option, const char *value)
{
	StringInfoData sql;
	bool		first = true;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s.%s (",
					 quote_identifier(stmt->local_schema), quote_identifier(name));
	for (int i = 0; i < schema->nfields; i++)
		if (AppendColumn(&sql, &schema->fields[i], first))
			first = false;
	appendStringInfo(&sql, "\n) SERVER %s OPTIONS (%s %s)", quote_identifier(stmt->server_name),
					 quote_identifier(option), quote_literal_cstr(value));
	return sql.data;
}

/* ---- a namespace ---- */

static char *
CatalogTable(void)
{
	Oid			table = RegistryTable();

	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)), get_rel_name(table));
}

static List *
NamesInNamespace(const char *namespace)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[] = {TEXTOID};
	Datum		args[] = {CStringGetTextDatum(namespace)};
	List	   *names = NIL;

	SPI_connect();
	if (SPI_execute_with_args(psprintf("SELECT table_name::pg_catalog.text FROM %s"
									   " WHERE catalog_name OPERATOR(pg_catalog.=) '" LAKE_CATALOG "'"
									   " AND table_namespace OPERATOR(pg_catalog.=) $1 ORDER BY 1",
									   CatalogTable()),
							  1, types, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the lake's catalog");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(caller);

		names = lappend(names, pstrdup(name));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return names;
}

/* A part of a dotted name, quoted if a bare one would be read otherwise */
static char *
QuotePart(const char *part)
{
	StringInfoData quoted;

	if (strpbrk(part, ".\"") == NULL)
		return pstrdup(part);
	initStringInfo(&quoted);
	appendStringInfoChar(&quoted, '"');
	for (; *part != '\0'; part++)
	{
		if (*part == '"')
			appendStringInfoChar(&quoted, '"');
		appendStringInfoChar(&quoted, *part);
	}
	appendStringInfoChar(&quoted, '"');
	return quoted.data;
}

static List *
ImportNamespace(ImportForeignSchemaStmt *stmt)
{
	List	   *commands = NIL;
	ListCell   *lc;

	foreach(lc, NamesInNamespace(stmt->remote_schema))
	{
		char	   *name = lfirst(lc);
		LakeTable  *table;

		if (!IsImportableForeignTable(name, stmt))
			continue;
		table = LakeOpen(stmt->remote_schema, name, false);
		commands = lappend(commands,
						   TableCommand(stmt, name, IcebergCurrentSchema(table->metadata), "table",
										psprintf("%s.%s", stmt->remote_schema, QuotePart(name))));
	}
	return commands;
}

/* ---- a path ---- */

/*
 * A name for what a path leads to: LIMIT TO's only one, else the last part of
 * the path without its suffix.
 */
static char *
NameForPath(ImportForeignSchemaStmt *stmt, const char *path)
{
	char	   *name;

	if (stmt->list_type == FDW_IMPORT_SCHEMA_LIMIT_TO && list_length(stmt->table_list) == 1)
		return pstrdup(linitial_node(RangeVar, stmt->table_list)->relname);
	name = pstrdup(last_dir_separator(path) ? last_dir_separator(path) + 1 : path);
	name[strcspn(name, ".")] = '\0';
	if (name[0] == '\0' || strpbrk(name, "*?[") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("path \"%s\" gives no name for a table", path),
				 errhint("Name it with LIMIT TO (name).")));
	return name;
}

static List *
ImportPath(ImportForeignSchemaStmt *stmt, const char *option, const char *path)
{
	const IcebergSchema *schema;

	if (strcmp(option, "metadata_location") == 0)
		schema = IcebergCurrentSchema(LakeOpenMetadata(path)->metadata);
	else
	{
		List	   *files = ExpandPattern(path);

		if (files == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FILE), errmsg("no file matches \"%s\"", path)));
		schema = ParquetSchema(files);
	}
	return list_make1(TableCommand(stmt, NameForPath(stmt, path), schema, option, path));
}

List *
LakeImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid server)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *path = defGetString(option);

		if (strcmp(option->defname, "parquet") != 0 && strcmp(option->defname, "metadata_location") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 errhint("Valid options in this context are: metadata_location, parquet.")));
		CheckServerPath(option->defname, path);
		return ImportPath(stmt, option->defname, path);
	}
	return ImportNamespace(stmt);
}
