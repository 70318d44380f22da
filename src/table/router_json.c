/*
 * router_json.c
 *		A router as a JSON document, to carry it to another database.
 *
 * The document names the arguments of shard.create_router() and, beyond them,
 * what became of the router since: its members in their order, its shards with
 * names and weights, its pins.  So the same keys go to the same shards there.
 */
#include "postgres.h"

#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "table/router_ddl.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(shard_router_definition);
PG_FUNCTION_INFO_V1(shard_create_router_json);

/* A key of the document, and how an argument is made of it; $1 is the document. */
typedef struct DefinitionKey
{
	const char *name;
	const char *type;			/* of the argument; NULL: not one of create_router() */
} DefinitionKey;

static const DefinitionKey Keys[] = {
	{"name", "pg_catalog.text"},
	{"strategy", "pg_catalog.text"},
	{"shard_count", "pg_catalog.int4"},
	{"partition_key", "pg_catalog.text[]"},
	{"fallback_key", "pg_catalog.text"},
	{"strict", "pg_catalog.bool"},
	{"partition_key_fn", "pg_catalog.regprocedure"},
	{"key_type", "pg_catalog.regtype"},
	{"ranges", "pg_catalog.jsonb"},
	{"comparator", "pg_catalog.regprocedure"},
	{"default_shard", "pg_catalog.int4"},
	{"virtual_nodes", "pg_catalog.int4"},
	{"hash_function", "pg_catalog.text"},
	{"shard_name_prefix", "pg_catalog.text"},
	{"max_entities_per_shard", "pg_catalog.int8"},
	{"max_bytes_per_shard", "pg_catalog.int8"},
	{"min_entities_per_shard", "pg_catalog.int8"},
	{"retry", "pg_catalog.jsonb"},
	{"enable_metrics", "pg_catalog.bool"},
	{"track_access", "pg_catalog.bool"},
	{"track_metadata", "pg_catalog.bool"},
	{"members", NULL},
	{"shards", NULL},
	{"pins", NULL},
};

static char *
ValidKeys(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(Keys); i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", Keys[i].name);
	return buf.data;
}

static const DefinitionKey *
FindKey(const char *name)
{
	for (int i = 0; i < lengthof(Keys); i++)
		if (strcmp(Keys[i].name, name) == 0)
			return &Keys[i];
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown key \"%s\" in the definition of a router", name),
			 errhint("Valid keys are %s.", ValidKeys())));
}

/*
 * One argument, name => value, from the document.
 */
static void
AppendArgument(StringInfo buf, const DefinitionKey *key)
{
	if (strcmp(key->type, "pg_catalog.jsonb") == 0)
		appendStringInfo(buf, "%s => $1 OPERATOR(pg_catalog.->) '%s'", key->name, key->name);
	else if (strcmp(key->type, "pg_catalog.text[]") == 0)
		appendStringInfo(buf, "%s => ARRAY(SELECT pg_catalog.jsonb_array_elements_text("
						 "$1 OPERATOR(pg_catalog.->) '%s'))", key->name, key->name);
	else
		appendStringInfo(buf, "%s => ($1 OPERATOR(pg_catalog.->>) '%s')::%s", key->name, key->name,
						 key->type);
}

/*
 * The call of create_router() that a document stands for; *given has a bit for
 * each key in it.
 */
static char *
BuildCall(Jsonb *definition, uint32 *given)
{
	JsonbIterator *it = JsonbIteratorInit(&definition->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	StringInfoData buf;
	bool		first = true;

	*given = 0;
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT shard.create_router(");
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		const DefinitionKey *key;

		if (token != WJB_KEY)
			continue;
		key = FindKey(pnstrdup(value.val.string.val, value.val.string.len));
		*given |= (uint32) 1 << (key - Keys);
		if (key->type == NULL)
			continue;
		appendStringInfoString(&buf, first ? "" : ", ");
		AppendArgument(&buf, key);
		first = false;
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/*
 * Run a statement over the document ($1) and the router's name ($2).
 */
static void
Apply(const char *command, Datum definition, const char *name, int expected)
{
	Oid			types[] = {JSONBOID, TEXTOID};
	Datum		values[] = {definition, CStringGetTextDatum(name)};

	RouterExecute(command, 2, types, values, NULL, expected);
}

static void
ApplyShards(Datum definition, const char *name)
{
	Apply("DELETE FROM _shard.shard WHERE router = $2", definition, name, SPI_OK_DELETE);
	Apply("INSERT INTO _shard.shard (router, shard_index, shard_name, state, server, schema_name, weight)"
		  " SELECT $2, s.shard_index, s.shard_name, 'active', s.server,"
		  " $2 || '_shard_' || s.shard_index, COALESCE(s.weight, 1)"
		  " FROM pg_catalog.jsonb_to_recordset($1->'shards')"
		  " AS s(shard_index int, shard_name text, server text, weight float8)",
		  definition, name, SPI_OK_INSERT);
}

static void
ApplyMembers(Datum definition, const char *name)
{
	Apply("UPDATE _shard.router SET members ="
		  " ARRAY(SELECT m::int FROM pg_catalog.jsonb_array_elements_text($1->'members') AS m)"
		  " WHERE name = $2", definition, name, SPI_OK_UPDATE);
}

static void
ApplyPins(Datum definition, const char *name)
{
	Apply("INSERT INTO _shard.pin (router, key, shard_index)"
		  " SELECT $2, p.key, p.value::int FROM pg_catalog.jsonb_each_text($1->'pins') AS p",
		  definition, name, SPI_OK_INSERT);
	RouterNotePins(name);
}

/*
 * What was applied must be a router: every member and pin has a shard.
 */
static void
CheckApplied(const char *name)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(name);

	RouterExecute("SELECT i FROM (SELECT pg_catalog.unnest(members) AS i FROM _shard.router WHERE name = $1"
				  " UNION SELECT shard_index FROM _shard.pin WHERE router = $1) AS used"
				  " WHERE i NOT IN (SELECT shard_index FROM _shard.shard WHERE router = $1)"
				  " ORDER BY i LIMIT 1", 1, &type, &value, NULL, SPI_OK_SELECT);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the definition of router \"%s\" names shard %s, which it does not have",
						name, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1))));
	CommandCounterIncrement();
	if (CatalogRouter(name, false)->nmembers == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the definition of router \"%s\" names no members", name)));
}

static char *
DefinitionName(Jsonb *definition)
{
	JsonbValue	buf;
	JsonbValue *value = NULL;

	if (JB_ROOT_IS_OBJECT(definition))
		value = getKeyJsonValueFromContainer(&definition->root, "name", 4, &buf);
	if (value == NULL || value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the definition of a router is not a JSON object with a \"name\""),
				 errhint("Give what shard.router_definition() returns, or an object with the keys %s.",
						 ValidKeys())));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static bool
Given(uint32 given, const char *name)
{
	return (given & ((uint32) 1 << (FindKey(name) - Keys))) != 0;
}

Datum
shard_create_router_json(PG_FUNCTION_ARGS)
{
	Datum		definition = PG_GETARG_DATUM(0);
	char	   *name = DefinitionName(PG_GETARG_JSONB_P(0));
	Oid			type = JSONBOID;
	uint32		given;
	char	   *call = BuildCall(PG_GETARG_JSONB_P(0), &given);

	SPI_connect();
	RouterExecute(call, 1, &type, &definition, NULL, SPI_OK_SELECT);
	if (Given(given, "shards"))
		ApplyShards(definition, name);
	if (Given(given, "members"))
		ApplyMembers(definition, name);
	if (Given(given, "pins"))
		ApplyPins(definition, name);
	CheckApplied(name);
	SPI_finish();
	PG_RETURN_VOID();
}

Datum
shard_router_definition(PG_FUNCTION_ARGS)
{
	Datum		name = PG_GETARG_DATUM(0);
	Oid			type = TEXTOID;
	MemoryContext caller = CurrentMemoryContext;
	Datum		result;
	bool		isnull;

	(void) CatalogRouter(TextDatumGetCString(name), false);
	SPI_connect();
	RouterExecute("SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(r)"
				  " - '{members,next_members,frontier,created_at}'::pg_catalog.text[])"
				  " || pg_catalog.jsonb_build_object("
				  "'shard_count', CASE r.strategy WHEN 'range' THEN"
				  " (SELECT pg_catalog.max(s.shard_index) + 1 FROM _shard.shard AS s WHERE s.router = r.name)"
				  " ELSE pg_catalog.cardinality(r.members) END, 'members', r.members,"
				  " 'shards', (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
				  "'shard_index', s.shard_index, 'shard_name', s.shard_name, 'server', s.server,"
				  " 'weight', s.weight) ORDER BY s.shard_index)"
				  " FROM _shard.shard AS s WHERE s.router = r.name),"
				  " 'pins', (SELECT COALESCE(pg_catalog.jsonb_object_agg(p.key, p.shard_index), '{}')"
				  " FROM _shard.pin AS p WHERE p.router = r.name))"
				  " FROM _shard.router AS r WHERE r.name = $1",
				  1, &type, &name, NULL, SPI_OK_SELECT);
	if (SPI_processed != 1)
		elog(ERROR, "router is gone");
	result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	MemoryContextSwitchTo(caller);
	result = PointerGetDatum(PG_DETOAST_DATUM_COPY(result));
	SPI_finish();
	PG_RETURN_DATUM(result);
}
