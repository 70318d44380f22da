/*
 * functions.c
 *		shard.forward() and shard.scatter_gather(): commands on one shard and on
 *		all.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "command/attempt.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(shard_forward);
PG_FUNCTION_INFO_V1(shard_scatter_gather);

static void
RequireNoNulls(FunctionCallInfo fcinfo, int n)
{
	static const char *const names[] = {"router", "key", "command"};

	for (int i = 0; i < n; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[n == 2 && i == 1 ? 2 : i])));
}

/*
 * The elements of a text array; NULLs stay.
 */
static char **
Texts(ArrayType *array, int *n)
{
	Datum	   *elems;
	bool	   *nulls;
	char	  **texts;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, n);
	texts = palloc0(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		if (!nulls[i])
			texts[i] = TextDatumGetCString(elems[i]);
	return texts;
}

/*
 * Run a command, and count it.
 */
static void
RunCounted(ShardCommand *command)
{
	const Router *router;

	command->started = GetCurrentTimestamp();
	CommandRun(command);
	router = CatalogRouter(command->router, false);
	if (router->enable_metrics)
		CountForward(router->counters, command->shard_index,
					 GetCurrentTimestamp() - command->started,
					 command->error != NULL);
}

static void
AddContext(ErrorData *error, const ShardCommand *command)
{
	char	   *context = psprintf("command forwarded to shard %d of router \"%s\"",
								   command->shard_index, command->router);

	if (command->retries > 0)
		context = psprintf("%s, after %d retries", context, command->retries);
	error->context = error->context != NULL ? psprintf("%s\n%s", error->context, context) : context;
}

/*
 * shard.forward(router text, key text, command text, VARIADIC args text[])
 *		RETURNS SETOF jsonb
 */
Datum
shard_forward(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ShardCommand command = {0};
	const Router *router;
	text	   *key;
	ListCell   *lc;

	RequireNoNulls(fcinfo, 3);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	command.router = text_to_cstring(PG_GETARG_TEXT_PP(0));
	router = CatalogRouter(command.router, false);
	key = PG_GETARG_TEXT_PP(1);
	if (VARSIZE_ANY_EXHDR(key) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("partition key '' is empty"),
				 errhint("Give a key of at least one character.")));
	command.key = text_to_cstring(key);
	command.key_len = strlen(command.key);
	command.text = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
		command.args = Texts(PG_GETARG_ARRAYTYPE_P(3), &command.nargs);
	command.shard_index = CatalogRoute(router, command.key, command.key_len);
	if (router->enable_metrics)
		CountRouting(router->counters, command.shard_index);
	RunCounted(&command);
	if (command.error != NULL)
	{
		AddContext(command.error, &command);
		ReThrowError(command.error);
	}
	foreach(lc, command.rows)
	{
		Datum		value = PointerGetDatum(lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(result->setResult, result->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/*
 * One shard's answers, or its error, into the result.
 */
static void
PutAnswers(ReturnSetInfo *result, const ShardCommand *command, const char *shard_name)
{
	Datum		values[4] = {Int32GetDatum(command->shard_index), CStringGetTextDatum(shard_name)};
	bool		nulls[4] = {false, false, false, true};
	ListCell   *lc;

	if (command->error != NULL)
	{
		nulls[2] = true;
		nulls[3] = false;
		values[3] = CStringGetTextDatum(psprintf("%s: %s", unpack_sql_state(command->error->sqlerrcode),
												 command->error->message));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		return;
	}
	foreach(lc, command->rows)
	{
		values[2] = PointerGetDatum(lfirst(lc));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * shard.scatter_gather(router text, command text) RETURNS TABLE(shard_index int,
 *		shard_name text, result jsonb, error text)
 *
 * The router is looked at anew for each shard, and each has the whole time limit:
 * a slow one does not hide the others' answers.  Memory is that of one shard's
 * answers, beyond the result itself.
 */
Datum
shard_scatter_gather(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext per_shard;
	MemoryContext old;
	char	   *name;
	char	   *text_of;
	const Router *router;
	int			nshards;
	int		   *indexes;
	char	  **names;

	RequireNoNulls(fcinfo, 2);
	InitMaterializedSRF(fcinfo, 0);
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	text_of = text_to_cstring(PG_GETARG_TEXT_PP(1));
	router = CatalogRouter(name, false);
	nshards = router->nshards;
	indexes = palloc(sizeof(int) * Max(nshards, 1));
	names = palloc(sizeof(char *) * Max(nshards, 1));
	for (int i = 0; i < nshards; i++)
	{
		indexes[i] = router->shards[i].index;
		names[i] = pstrdup(router->shards[i].name);
	}
	per_shard = AllocSetContextCreate(CurrentMemoryContext, "shard gathered answers",
									  ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < nshards; i++)
	{
		ShardCommand command = {.router = name, .text = text_of, .shard_index = indexes[i]};

		CHECK_FOR_INTERRUPTS();
		old = MemoryContextSwitchTo(per_shard);
		RunCounted(&command);
		PutAnswers(result, &command, names[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(per_shard);
	}
	MemoryContextDelete(per_shard);
	return (Datum) 0;
}
