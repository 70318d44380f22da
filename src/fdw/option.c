/*
 * option.c
 *		Options of the server, of foreign tables and of their columns.
 *
 * One table describes every option: where it may stand and how its value is
 * checked.  It validates, and it is what an error about an unknown option
 * lists.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "commands/defrem.h"
#include "fdw/option.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(shard_lake_fdw_validator);

typedef void (*OptionCheck) (const char *name, const char *value);

typedef struct OptionDescriptor
{
	const char *name;
	Oid			catalog;		/* the catalog of the object that it belongs to */
	OptionCheck check;			/* or NULL */
	bool		names_source;	/* says what a foreign table reads: exactly one is needed */
} OptionDescriptor;

/*
 * Which catalog of Iceberg tables a server reads.
 */
static void
CheckCatalog(const char *name, const char *value)
{
	if (strcmp(value, "postgres") == 0)
		return;
	if (strcmp(value, "rest") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("catalog \"rest\" is not supported yet"),
				 errhint("Use catalog 'postgres', the table iceberg_tables of this database.")));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
			 errhint("Valid values are: postgres, rest.")));
}

static void
CheckTable(const char *name, const char *value)
{
	char	   *namespace;
	char	   *table;

	if (!SplitTableName(value, &namespace, &table))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Write a namespace and a table name, such as 'public.orders'.")));
}

/*
 * A file of the server: only for those who could read it anyway.
 */
void
CheckServerPath(const char *name, const char *value)
{
	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", name),
				 errdetail("Only roles with privileges of the role \"pg_read_server_files\" may name files of the server.")));
	if (!is_absolute_path(value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Write an absolute path on the server.")));
}

static void
CheckColumnName(const char *name, const char *value)
{
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must not be empty", name)));
}

static const OptionDescriptor descriptors[] = {
	{"catalog", ForeignServerRelationId, CheckCatalog, false},
	{"metadata_location", ForeignTableRelationId, CheckServerPath, true},
	{"parquet", ForeignTableRelationId, CheckServerPath, true},
	{"table", ForeignTableRelationId, CheckTable, true},
	{"column_name", AttributeRelationId, CheckColumnName, false},
};

static const OptionDescriptor *
FindDescriptor(const char *name, Oid catalog)
{
	for (int i = 0; i < lengthof(descriptors); i++)
		if (descriptors[i].catalog == catalog && strcmp(descriptors[i].name, name) == 0)
			return &descriptors[i];
	return NULL;
}

static void pg_attribute_noreturn()
RaiseUnknownOption(const char *name, Oid catalog)
{
	StringInfoData valid;

	initStringInfo(&valid);
	for (int i = 0; i < lengthof(descriptors); i++)
		if (descriptors[i].catalog == catalog)
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", descriptors[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 valid.len > 0
			 ? errhint("Valid options in this context are: %s.", valid.data)
			 : errhint("There are no valid options in this context.")));
}

/*
 * Check the options of a wrapper, server, user mapping, foreign table or
 * column.
 */
Datum
shard_lake_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	int			sources = 0;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		const OptionDescriptor *descriptor = FindDescriptor(option->defname, catalog);

		if (descriptor == NULL)
			RaiseUnknownOption(option->defname, catalog);
		if (descriptor->check != NULL)
			descriptor->check(option->defname, defGetString(option));
		if (descriptor->names_source)
			sources++;
	}
	if (catalog == ForeignTableRelationId && sources != 1)
		ereport(ERROR,
				(errcode(sources == 0 ? ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED
						 : ERRCODE_SYNTAX_ERROR),
				 sources == 0
				 ? errmsg("foreign table does not say what it reads")
				 : errmsg("foreign table names more than one source"),
				 errhint("Set exactly one of the options \"table\", \"metadata_location\" and \"parquet\".")));
	PG_RETURN_VOID();
}

/*
 * One part of a dotted name, bare or in double quotes; NULL if malformed.
 */
static char *
NextNamePart(const char **text)
{
	StringInfoData part;
	const char *p = *text;
	bool		quoted = (*p == '"');

	initStringInfo(&part);
	if (quoted)
		p++;
	for (; *p != '\0'; p++)
	{
		if (quoted && *p == '"')
		{
			if (p[1] != '"')
				break;
			p++;
		}
		else if (!quoted && (*p == '.' || *p == '"'))
			break;
		appendStringInfoChar(&part, *p);
	}
	if (quoted && *p++ != '"')
		return NULL;
	*text = p;
	return part.len > 0 ? part.data : NULL;
}

bool
SplitTableName(const char *text, char **namespace, char **name)
{
	StringInfoData space;
	char	   *part;

	initStringInfo(&space);
	while ((part = NextNamePart(&text)) != NULL && *text == '.')
	{
		appendStringInfo(&space, "%s%s", space.len > 0 ? "." : "", part);
		text++;
	}
	*namespace = space.data;
	*name = part;
	return part != NULL && *text == '\0' && space.len > 0;
}

TableOptions *
TableOptionsOf(Oid relid)
{
	TableOptions *result = palloc0(sizeof(TableOptions));
	ForeignTable *table = GetForeignTable(relid);
	ListCell   *lc;

	foreach(lc, table->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *value = defGetString(option);

		if (strcmp(option->defname, "table") == 0)
		{
			result->kind = SOURCE_TABLE;
			if (!SplitTableName(value, &result->namespace, &result->name))
				elog(ERROR, "malformed table option \"%s\"", value);
		}
		else
		{
			result->kind = strcmp(option->defname, "parquet") == 0 ? SOURCE_PARQUET : SOURCE_METADATA;
			result->path = value;
		}
	}
	return result;
}

char *
ColumnSourceName(Oid relid, AttrNumber attnum, const char *attname)
{
	ListCell   *lc;

	foreach(lc, GetForeignColumnOptions(relid, attnum))
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "column_name") == 0)
			return defGetString(option);
	}
	return pstrdup(attname);
}
