/*
 * lake_options.c
 *		Reads lake_options; see lake_options.h.
 */
#include "postgres.h"

#include "base/compat.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lake/iceberg/transform.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "pipeline/lake_options.h"
#include "pipeline/position.h"
#include "pipeline/register.h"
#include "pipeline/schema.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(shard_alter_lake_options);

/* ---- JSON ---- */

static char *
TextOf(const JsonbValue *value)
{
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
CheckKeys(JsonbContainer *options, bool nested)
{
	JsonbIterator *it = JsonbIteratorInit(options);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		char	   *key;

		if (token != WJB_KEY)
			continue;
		key = TextOf(&value);
		if (strcmp(key, "partition") != 0 && strcmp(key, "sort") != 0 &&
			(nested || strcmp(key, "events") != 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown lake option \"%s\"", key),
					 errhint("Valid options are: partition, sort%s.", nested ? "" : ", events")));
	}
}

static JsonbContainer *
ObjectOf(const JsonbValue *value, const char *what)
{
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", what)));
	return value->val.binary.data;
}

/* The strings of an array below a key; NIL, *given false, if there is no such key. */
static List *
StringsOf(JsonbContainer *options, const char *key, bool *given)
{
	JsonbValue *array;
	List	   *strings = NIL;

	*given = false;
	if (options == NULL)
		return NIL;
	array = getKeyJsonValueFromContainer(options, key, strlen(key), NULL);
	if (array == NULL || array->type == jbvNull)
		return NIL;
	*given = true;
	if (array->type != jbvBinary || !JsonContainerIsArray(array->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lake option \"%s\" must be an array of strings", key)));
	for (uint32 i = 0; i < JsonContainerSize(array->val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array->val.binary.data, i);

		if (element->type != jbvString)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lake option \"%s\" must be an array of strings", key)));
		strings = lappend(strings, TextOf(element));
	}
	return strings;
}

/* ---- expressions ---- */

static char *
Trim(const char *text, size_t len)
{
	while (len > 0 && isspace((unsigned char) *text))
	{
		text++;
		len--;
	}
	while (len > 0 && isspace((unsigned char) text[len - 1]))
		len--;
	return pnstrdup(text, len);
}

/* A column by its name: as it stands, in double quotes, or in lower case. */
static const IcebergField *
FindColumn(const IcebergSchema *schema, const char *name)
{
	const IcebergField *field = IcebergFieldByName(schema, name);
	size_t		len = strlen(name);

	if (field == NULL && len > 2 && name[0] == '"' && name[len - 1] == '"')
	{
		char	   *unquoted = pstrdup(name + 1);
		char	   *to = unquoted;

		for (const char *from = name + 1; from < name + len - 1; from++)
		{
			if (from[0] == '"' && from[1] == '"')
				from++;
			*to++ = *from;
		}
		*to = '\0';
		field = IcebergFieldByName(schema, unquoted);
	}
	else if (field == NULL)
		field = IcebergFieldByName(schema, downcase_identifier(name, len, false, false));
	if (field == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of lake_options does not exist in the lake table", name)));
	return field;
}

static void
BadExpression(const char *expression)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid partition expression \"%s\"", expression),
			 errhint("Write a column, or one of identity(column), bucket(n, column), truncate(n, column), year(column), month(column), day(column), hour(column).")));
}

/*
 * "bucket(16, id)" in its parts: the name of the transform, its number or -1,
 * and the column; a column alone is identity.
 */
static void
SplitExpression(const char *expression, char **name, int *width, char **column)
{
	const char *open = strchr(expression, '(');
	const char *close = strrchr(expression, ')');
	const char *comma;

	*width = -1;
	if (open == NULL || expression[0] == '"')
	{
		*name = "identity";
		*column = Trim(expression, strlen(expression));
		return;
	}
	if (close == NULL || close < open || Trim(close + 1, strlen(close + 1))[0] != '\0')
		BadExpression(expression);
	*name = downcase_identifier(Trim(expression, open - expression),
								strlen(Trim(expression, open - expression)), false, false);
	comma = memchr(open, ',', close - open);
	if (comma == NULL)
		*column = Trim(open + 1, close - open - 1);
	else
	{
		char	   *number = Trim(open + 1, comma - open - 1);
		char	   *end;
		long		value = strtol(number, &end, 10);

		if (end == number || *end != '\0' || value < 1 || value > PG_INT32_MAX)
			BadExpression(expression);
		*width = (int) value;
		*column = Trim(comma + 1, close - comma - 1);
	}
}

static bool
NameIsTaken(const LakeShape *shape, const IcebergSchema *schema, const char *name)
{
	for (int i = 0; i < shape->nfields; i++)
		if (strcmp(shape->fields[i].name, name) == 0)
			return true;
	return IcebergFieldByName(schema, name) != NULL;
}

/* As other engines call it: created_at_day, id_bucket; identity is the column's own name. */
static char *
FieldName(const LakeShape *shape, const IcebergSchema *schema, const IcebergField *source,
		  const char *transform)
{
	const char *suffix = strcmp(transform, "truncate") == 0 ? "trunc" : transform;
	char	   *name;

	if (strcmp(transform, "identity") == 0)
		return pstrdup(source->name);
	name = psprintf("%s_%s", source->name, suffix);
	for (int n = 2; NameIsTaken(shape, schema, name); n++)
		name = psprintf("%s_%s_%d", source->name, suffix, n);
	return name;
}

static void
AddPartitionField(LakeShape *shape, const IcebergSchema *schema, const char *expression)
{
	IcebergPartitionField *field = &shape->fields[shape->nfields];
	IcebergTransform transform;
	const IcebergField *source;
	char	   *name;
	char	   *column;
	char	   *text;
	int			width;
	bool		needs_width;

	SplitExpression(expression, &name, &width, &column);
	needs_width = strcmp(name, "bucket") == 0 || strcmp(name, "truncate") == 0;
	text = needs_width ? psprintf("%s[%d]", name, width) : name;
	if (needs_width != (width > 0) || !IcebergParseTransform(text, &transform) ||
		transform.kind == TRANSFORM_VOID)
		BadExpression(expression);
	source = FindColumn(schema, column);
	/* Floating-point numbers that are equal need not be the same: -0 and 0. */
	if (!source->primitive || !IcebergTransformFits(&transform, source->type) ||
		source->type.kind == LAKE_FLOAT || source->type.kind == LAKE_DOUBLE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a lake table cannot be partitioned by %s", expression),
				 errdetail("Column \"%s\" has the type %s there.", source->name, source->type_json)));
	for (int i = 0; i < shape->nfields; i++)
		if (shape->fields[i].source_id == source->id && strcmp(shape->fields[i].transform, text) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("partition expression \"%s\" stands twice", expression)));
	field->source_id = source->id;
	field->transform = pstrdup(text);
	field->name = FieldName(shape, schema, source, name);
	shape->nfields++;
}

/* Take a word, after a blank, from the end of a text; false if it is not there. */
static bool
TakeWord(char **text, const char *word)
{
	size_t		len = strlen(*text);
	size_t		n = strlen(word);

	if (len <= n + 1 || !isspace((unsigned char) (*text)[len - n - 1]) ||
		pg_strcasecmp(*text + len - n, word) != 0)
		return false;
	*text = Trim(*text, len - n);
	return true;
}

/* "column [ASC | DESC] [NULLS FIRST | NULLS LAST]", with the defaults of ORDER BY. */
static void
AddSortField(LakeShape *shape, const IcebergSchema *schema, const char *expression)
{
	char	   *column = Trim(expression, strlen(expression));
	char	   *rest = column;
	bool		first = TakeWord(&rest, "first");
	bool		nulls = (first || TakeWord(&rest, "last")) && TakeWord(&rest, "nulls");
	bool		desc;
	const IcebergField *field;

	if (nulls)
		column = rest;
	desc = TakeWord(&column, "desc");
	if (!desc)
		(void) TakeWord(&column, "asc");
	if (!nulls)
		first = desc;
	field = FindColumn(schema, column);
	if (!field->primitive)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a lake table cannot be sorted by column \"%s\"", column)));
	shape->sort_flags[shape->nsort] = (desc ? ICEBERG_SORT_DESC : 0) |
		(first ? ICEBERG_SORT_NULLS_FIRST : 0);
	shape->sort[shape->nsort++] = field->id;
}

/* ---- the whole ---- */

LakeShape *
LakeOptionsShape(Jsonb *options, bool events, const IcebergSchema *schema,
				 const int *sort, int nsort)
{
	LakeShape  *shape = palloc0(sizeof(LakeShape));
	JsonbContainer *root = options == NULL ? NULL : &options->root;
	List	   *partition;
	List	   *order;
	bool		given;
	ListCell   *lc;

	if (root != NULL)
	{
		if (!JsonContainerIsObject(root))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lake_options must be a JSON object")));
		CheckKeys(root, false);
	}
	if (root != NULL && events)
	{
		JsonbValue *nested = getKeyJsonValueFromContainer(root, "events", strlen("events"), NULL);

		root = nested == NULL || nested->type == jbvNull ? NULL : ObjectOf(nested, "lake option \"events\"");
		if (root != NULL)
			CheckKeys(root, true);
	}
	partition = StringsOf(root, "partition", &given);
	shape->fields = palloc0(sizeof(IcebergPartitionField) * (list_length(partition) + 1));
	foreach(lc, partition)
		AddPartitionField(shape, schema, lfirst(lc));
	order = StringsOf(root, "sort", &given);
	shape->sort = palloc0(sizeof(int) * (list_length(order) + nsort + 1));
	shape->sort_flags = palloc0(sizeof(int) * (list_length(order) + nsort + 1));
	foreach(lc, order)
		AddSortField(shape, schema, lfirst(lc));
	for (int i = 0; i < nsort && !given; i++)
		shape->sort[shape->nsort++] = sort[i];
	return shape;
}

Jsonb *
LakeOptionsOf(Oid relation)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			type = OIDOID;
	Datum		arg = ObjectIdGetDatum(relation);
	Jsonb	   *options = NULL;

	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args("SELECT lake_options FROM _shard.sharded_table WHERE relation OPERATOR(pg_catalog.=) $1",
							  1, &type, &arg, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read _shard.sharded_table");
	if (SPI_processed == 1)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
		{
			MemoryContext spi = MemoryContextSwitchTo(caller);

			options = DatumGetJsonbPCopy(value);
			MemoryContextSwitchTo(spi);
		}
	}
	PopActiveSnapshot();
	SPI_finish();
	return options;
}

/* ---- later changes ---- */

static RegisteredTable *
RegisteredTableOf(Oid relation)
{
	ListCell   *lc;

	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		if (table->relation == relation)
			return table;
	}
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is not a sharded table with a lake", get_rel_name(relation))));
}

static void
Store(Oid relation, Jsonb *options)
{
	Oid			types[2] = {OIDOID, JSONBOID};
	Datum		args[2];

	args[0] = ObjectIdGetDatum(relation);
	args[1] = JsonbPGetDatum(options);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (SPI_execute_with_args("UPDATE _shard.sharded_table SET lake_options = $2 WHERE relation OPERATOR(pg_catalog.=) $1",
							  2, types, args, options == NULL ? " n" : NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not update _shard.sharded_table");
	PopActiveSnapshot();
	SPI_finish();
}

static void
Reshape(const char *namespace, const char *name, Jsonb *options, bool events, const int *sort, int nsort)
{
	LakeTable  *table = LakeOpenLocked(namespace, name);

	if (table == NULL ||
		LakeReshape(table, LakeOptionsShape(options, events, IcebergCurrentSchema(table->metadata),
											sort, nsort)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("lake table \"%s.%s\" changed while it was altered", namespace, name),
				 errhint("Try again.")));
}

/*
 * shard.alter_lake_options(relation regclass, lake_options jsonb): for what is
 * written from now on.  The event log first, as in a flush.
 */
Datum
shard_alter_lake_options(PG_FUNCTION_ARGS)
{
	Oid			relation;
	Jsonb	   *options = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	RegisteredTable *table;
	LakeTable  *state;
	int		   *sort;
	int			nsort;
	int			by_time[2] = {EVENT_LSN, EVENT_SEQ};
	Oid			user;
	int			sec_context;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("relation must not be null")));
	relation = PG_GETARG_OID(0);
	if (!RelationOwnedBy(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relation)),
					   get_rel_name(relation));
	GetUserIdAndSecContext(&user, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	table = RegisteredTableOf(relation);
	state = LakeOpenLatest(table->namespace, table->name);
	if (state == NULL)
		elog(ERROR, "lake table \"%s.%s\" is gone", table->namespace, table->name);
	nsort = StateSortFields(RegisterLayout(relation), IcebergCurrentSchema(state->metadata), &sort);
	Store(relation, options);
	Reshape(table->namespace, table->events_name, options, true, by_time, 2);
	Reshape(table->namespace, table->name, options, false, sort, nsort);
	SetUserIdAndSecContext(user, sec_context);
	PG_RETURN_VOID();
}
