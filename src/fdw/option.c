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
#include "base/compat.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fdw/option.h"
#include "foreign/foreign.h"
#include "lake/io/io.h"
#include "lake/lake.h"
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
	if (strcmp(value, "postgres") == 0 || strcmp(value, "rest") == 0)
		return;
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

	if (!LakeSplitName(value, &namespace, &table))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Write a namespace and a table name, such as 'public.orders'.")));
}

/*
 * The address of a service.  What is in it can be seen by everybody, so it holds
 * no password.
 */
static void
CheckUrl(const char *name, const char *value)
{
	const char *host = NULL;

	if (pg_strncasecmp(value, "http://", 7) == 0)
		host = value + 7;
	else if (pg_strncasecmp(value, "https://", 8) == 0)
		host = value + 8;
	if (host == NULL || host[0] == '\0' || host[0] == '/')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Write a URL such as http://127.0.0.1:9000.")));
	if (strchr(host, '@') != NULL || strchr(host, '?') != NULL || strchr(host, '#') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("The URL must not hold a user name, a password, a query or a fragment."),
				 errhint("Credentials belong into a user mapping.")));
}

static void
CheckBoolean(const char *name, const char *value)
{
	bool		parsed;

	if (!parse_bool(value, &parsed))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Valid values are: true, false.")));
}

/* Never repeats the value, which may be a secret. */
static void
CheckSecret(const char *name, const char *value)
{
	bool		plain = value[0] != '\0';

	for (const char *p = value; *p != '\0'; p++)
		plain &= (unsigned char) *p > ' ' && (unsigned char) *p < 0x7f;
	if (!plain)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", name),
				 errdetail("It must consist of printable ASCII characters without blanks.")));
}

/*
 * A file of the server: only for those who could read it anyway.  What is in an
 * object store needs credentials for that, which are asked for when it is read.
 */
void
CheckServerPath(const char *name, const char *value)
{
	if (strcmp(name, "metadata_location") == 0 && strstr(value, "://") != NULL &&
		pg_strncasecmp(value, "file:", 5) != 0)
	{
		(void) LakeStoreOf(value);
		return;
	}
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
CheckNotEmpty(const char *name, const char *value)
{
	if (value[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("option \"%s\" must not be empty", name)));
}

static void
CheckPathMap(const char *name, const char *value)
{
	if (value[0] == '\0' || !LakePathMapValid(value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, value),
				 errhint("Write pairs of prefixes divided by commas, such as 'hdfs://old/a=/new/a'.")));
}

/* Where a table's files are is checked for each of them when it is read. */
static void
CheckLocation(const char *name, const char *value)
{
	(void) LakeStoreOf(value);
}

static const OptionDescriptor descriptors[] = {
	{"anonymous", ForeignServerRelationId, CheckBoolean, false},
	{"catalog", ForeignServerRelationId, CheckCatalog, false},
	{"endpoint", ForeignServerRelationId, CheckUrl, false},
	{"oauth2_server_uri", ForeignServerRelationId, CheckUrl, false},
	{"path_style", ForeignServerRelationId, CheckBoolean, false},
	{"region", ForeignServerRelationId, CheckNotEmpty, false},
	{"scope", ForeignServerRelationId, CheckNotEmpty, false},
	{"uri", ForeignServerRelationId, CheckUrl, false},
	{"warehouse", ForeignServerRelationId, CheckNotEmpty, false},
	{"access_key_id", UserMappingRelationId, CheckSecret, false},
	{"credential", UserMappingRelationId, CheckSecret, false},
	{"secret_access_key", UserMappingRelationId, CheckSecret, false},
	{"session_token", UserMappingRelationId, CheckSecret, false},
	{"token", UserMappingRelationId, CheckSecret, false},
	{"as_of", ForeignTableRelationId, CheckNotEmpty, false},
	{"location", ForeignTableRelationId, CheckLocation, false},
	{"metadata_location", ForeignTableRelationId, CheckServerPath, true},
	{"parquet", ForeignTableRelationId, CheckServerPath, true},
	{"path_map", ForeignTableRelationId, CheckPathMap, false},
	{"table", ForeignTableRelationId, CheckTable, true},
	{"column_name", AttributeRelationId, CheckNotEmpty, false},
};

static const OptionDescriptor *
FindDescriptor(const char *name, Oid catalog)
{
	for (int i = 0; i < lengthof(descriptors); i++)
		if (descriptors[i].catalog == catalog && strcmp(descriptors[i].name, name) == 0)
			return &descriptors[i];
	return NULL;
}

void
CheckTableOption(const char *name, const char *value)
{
	FindDescriptor(name, ForeignTableRelationId)->check(name, value);
}

pg_noreturn static void
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

static bool
HasOption(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return true;
	return false;
}

static void
RequireWith(List *options, const char *name, bool fits, const char *with)
{
	if (!fits && HasOption(options, name))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is only for tables with %s", name, with)));
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
	if (catalog == ForeignTableRelationId)
	{
		RequireWith(options, "location", HasOption(options, "metadata_location"),
					"option \"metadata_location\"");
		RequireWith(options, "path_map", HasOption(options, "metadata_location"),
					"option \"metadata_location\"");
		RequireWith(options, "as_of", !HasOption(options, "parquet"), "snapshots");
	}
	PG_RETURN_VOID();
}

TableOptions *
TableOptionsOf(Oid relid)
{
	TableOptions *result = palloc0(sizeof(TableOptions));
	ForeignTable *table = GetForeignTable(relid);
	ListCell   *lc;

	result->server = table->serverid;
	foreach(lc, table->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		char	   *value = defGetString(option);

		if (strcmp(option->defname, "table") == 0)
		{
			result->kind = SOURCE_TABLE;
			if (!LakeSplitName(value, &result->namespace, &result->name))
				elog(ERROR, "malformed table option \"%s\"", value);
		}
		else if (strcmp(option->defname, "location") == 0)
			result->location = value;
		else if (strcmp(option->defname, "path_map") == 0)
			result->path_map = value;
		else if (strcmp(option->defname, "as_of") == 0)
			result->as_of = value;
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
