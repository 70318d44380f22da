/*
 * import.c
 *		IMPORT FOREIGN SCHEMA: foreign tables for the lake tables of a namespace,
 *		or, with the option "parquet" or "metadata_location", for what is there.
 *
 * A source without a name in the lake gets that of its file, or of its
 * directory.
 */
#include "postgres.h"

#include "commands/defrem.h"
#include "fdw/import.h"
#include "fdw/option.h"
#include "fdw/parquet.h"
#include "fdw/source.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"

/* ---- one table ---- */

/*
 * A list of scalars is an array; what else is nested is JSON.
 */
static const char *
ColumnType(const IcebergField *field)
{
	LakeType	element;

	if (field->primitive)
		return PgTypeForLakeType(field->type);
	if (LakeFieldIsList(field, &element))
		return psprintf("%s[]", PgTypeForLakeType(element));
	return "jsonb";
}

/*
 * A column's definition; what the engine cannot read is left out.
 */
static bool
AppendColumn(StringInfo sql, const IcebergField *field, bool first)
{
	if (!field->primitive && field->type_json[0] != '{')
	{
		ereport(NOTICE,
				(errmsg("column \"%s\" of type %s is left out", field->name, field->type_json)));
		return false;
	}
	appendStringInfo(sql, "%s\n  %s %s%s", first ? "" : ",", quote_identifier(field->name),
					 ColumnType(field), field->required ? " NOT NULL" : "");
	return true;
}

static char *
TableCommand(ImportForeignSchemaStmt *stmt, const char *name, const IcebergSchema *schema,
			 List *options)
{
	StringInfoData sql;
	bool		first = true;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FOREIGN TABLE %s.%s (",
					 quote_identifier(stmt->local_schema), quote_identifier(name));
	for (int i = 0; i < schema->nfields; i++)
		if (AppendColumn(&sql, &schema->fields[i], first))
			first = false;
	appendStringInfo(&sql, "\n) SERVER %s OPTIONS (", quote_identifier(stmt->server_name));
	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		appendStringInfo(&sql, "%s%s %s", foreach_current_index(lc) == 0 ? "" : ", ",
						 quote_identifier(option->defname),
						 quote_literal_cstr(defGetString(option)));
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* ---- a namespace ---- */

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

static DefElem *
Option(char *name, char *value)
{
	return makeDefElem(name, (Node *) makeString(value), -1);
}

static List *
ImportNamespace(ImportForeignSchemaStmt *stmt, Oid server)
{
	List	   *commands = NIL;
	ListCell   *lc;

	foreach(lc, LakeTablesFrom(server, stmt->remote_schema))
	{
		char	   *name = lfirst(lc);
		LakeTable  *table;

		if (!IsImportableForeignTable(name, stmt))
			continue;
		table = LakeOpenFrom(server, stmt->remote_schema, name, false);
		commands = lappend(commands,
						   TableCommand(stmt, name, IcebergCurrentSchema(table->metadata),
										list_make1(Option("table", psprintf("%s.%s", stmt->remote_schema,
																			QuotePart(name))))));
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

/* The value of an option; NULL if it is not there. */
static char *
ValueOf(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return defGetString(lfirst_node(DefElem, lc));
	return NULL;
}

/* The columns as the table had them when it is read. */
static const IcebergSchema *
SchemaThen(List *options, Oid server)
{
	LakeTable  *table = LakeOpenMoved(server, ValueOf(options, "metadata_location"),
									  ValueOf(options, "location"), ValueOf(options, "path_map"));
	const IcebergSchema *schema = NULL;

	LakeTravel(table, ValueOf(options, "as_of"));
	if (table->as_of != NULL)
		schema = IcebergSchemaById(table->metadata, table->as_of->schema_id);
	return schema != NULL ? schema : IcebergCurrentSchema(table->metadata);
}

static List *
ImportPath(ImportForeignSchemaStmt *stmt, Oid server)
{
	char	   *parquet = ValueOf(stmt->options, "parquet");
	char	   *path = parquet != NULL ? parquet : ValueOf(stmt->options, "metadata_location");
	const IcebergSchema *schema;

	if (parquet == NULL)
		schema = SchemaThen(stmt->options, server);
	else
	{
		List	   *files = ExpandPattern(path);

		if (files == NIL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FILE), errmsg("no file matches \"%s\"", path)));
		schema = ParquetSchema(files);
	}
	return list_make1(TableCommand(stmt, NameForPath(stmt, path), schema, stmt->options));
}

List *
LakeImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid server)
{
	bool		has_path = false;
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const char *name = option->defname;

		if (strcmp(name, "parquet") == 0 || strcmp(name, "metadata_location") == 0)
		{
			CheckServerPath(name, defGetString(option));
			has_path = true;
		}
		else if (strcmp(name, "as_of") == 0 || strcmp(name, "location") == 0 ||
				 strcmp(name, "path_map") == 0)
			CheckTableOption(name, defGetString(option));
		else
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", name),
					 errhint("Valid options in this context are: as_of, location, metadata_location, parquet, path_map.")));
	}
	if (stmt->options != NIL && !has_path)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("options are only for importing by \"metadata_location\" or \"parquet\"")));
	return has_path ? ImportPath(stmt, server) : ImportNamespace(stmt, server);
}
