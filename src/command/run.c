/*
 * run.c
 *		Runs a command by SPI: see run.h.
 *
 * The types of $1, $2, ... are inferred by the parser, as for a client that
 * sends a statement with untyped parameters.  A value is converted from its text
 * when the executor (or the planner) asks for it, by which time its type is
 * known.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "command/run.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "parser/parse_param.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

typedef struct TextParams
{
	int			n;
	Oid		   *types;			/* as inferred */
	char	  **texts;
} TextParams;

static void
SetUpParser(ParseState *pstate, void *arg)
{
	TextParams *params = arg;

	setup_parse_variable_parameters(pstate, &params->types, &params->n);
}

static ParamExternData *
FetchParam(ParamListInfo list, int number, bool speculative, ParamExternData *workspace)
{
	TextParams *params = list->paramFetchArg;
	Oid			type = params->types[number - 1];
	Oid			input;
	Oid			element;

	if (!OidIsValid(type))
		type = UNKNOWNOID;		/* used nowhere */
	workspace->ptype = type;
	workspace->pflags = PARAM_FLAG_CONST;
	workspace->isnull = params->texts[number - 1] == NULL;
	workspace->value = (Datum) 0;
	if (!workspace->isnull)
	{
		getTypeInputInfo(type, &input, &element);
		workspace->value = OidInputFunctionCall(input, params->texts[number - 1], element, -1);
	}
	return workspace;
}

/*
 * The parser may be given more parameters than there are arguments; what it
 * refers to beyond them is an error when it is fetched.
 */
static ParamListInfo
MakeParams(int nargs, char **args)
{
	ParamListInfo list = makeParamList(0);
	TextParams *params = palloc(sizeof(TextParams));

	params->n = nargs;
	params->types = palloc0(sizeof(Oid) * Max(nargs, 1));
	params->texts = args;
	list->paramFetch = FetchParam;
	list->paramFetchArg = params;
	list->parserSetup = SetUpParser;
	list->parserSetupArg = params;
	list->numParams = nargs;
	return list;
}

static Jsonb *
RowAsJson(HeapTuple tuple, TupleDesc desc)
{
	Datum		row = heap_copy_tuple_as_datum(tuple, desc);
	text	   *json = DatumGetTextPP(DirectFunctionCall1(row_to_json, row));

	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(json))));
}

static List *
AddRow(List *rows, Jsonb *json, MemoryContext result)
{
	MemoryContext old = MemoryContextSwitchTo(result);
	Jsonb	   *copy = palloc(VARSIZE(json));

	memcpy(copy, json, VARSIZE(json));
	rows = lappend(rows, copy);
	MemoryContextSwitchTo(old);
	return rows;
}

static List *
ResultRows(MemoryContext result)
{
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "shard forwarded row",
													  ALLOCSET_DEFAULT_SIZES);
	List	   *rows = NIL;

	if (SPI_tuptable == NULL)
		return AddRow(NIL, DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(
						   psprintf("{\"rows\": " UINT64_FORMAT "}", SPI_processed)))), result);
	BlessTupleDesc(SPI_tuptable->tupdesc);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(row_context);

		rows = AddRow(rows, RowAsJson(SPI_tuptable->vals[i], SPI_tuptable->tupdesc), result);
		MemoryContextSwitchTo(old);
		MemoryContextReset(row_context);
		CHECK_FOR_INTERRUPTS();
	}
	return rows;
}

List *
RunText(const char *text, int nargs, char **args, MemoryContext result)
{
	SPIExecuteOptions options = {0};
	List	   *rows;
	int			rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (nargs > 0)
		options.params = MakeParams(nargs, args);
	rc = SPI_execute_extended(text, &options);
	if (rc < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot run this command on a shard: %s", SPI_result_code_string(rc)),
				 errhint("Transactions cannot be begun or ended, nor data be copied to or from the client there.")));
	rows = ResultRows(result);
	SPI_finish();
	return rows;
}
