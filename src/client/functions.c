/*
 * functions.c
 *		SQL functions over the engine: its status, and tools for diagnosis.
 *
 * The tools run any statement in the engine and so are for superusers only.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "base/shmem.h"
#include "catalog/pg_type.h"
#include "client/connection.h"
#include "client/engine.h"
#include "client/supervisor.h"
#include "client/values.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(shard_engine_state);
PG_FUNCTION_INFO_V1(shard_engine_query);
PG_FUNCTION_INFO_V1(shard_engine_read);
PG_FUNCTION_INFO_V1(shard_engine_execute);
PG_FUNCTION_INFO_V1(shard_engine_export);
PG_FUNCTION_INFO_V1(shard_engine_literal);

/* ---- status ---- */

/*
 * Ask the engine; false if it does not answer.
 */
static bool
FetchState(EngineState *state, char **version)
{
	EngineConn *conn;
	FrameReader reader;
	int64	   *fields = (int64 *) state;

	if (!ShardPreloaded() || !EngineAvailable(100))
		return false;
	conn = EngineAcquire();
	FrameEnd(&conn->out, FrameBegin(&conn->out, FRAME_STATUS));
	conn->busy = true;
	ConnectionFlush(conn);
	if (ConnectionReceive(conn) != FRAME_STATE)
		elog(ERROR, "unexpected answer from the engine");
	conn->busy = false;
	reader = (FrameReader) {conn->payload, conn->payload + conn->payload_len};
	for (int i = 0; i < ENGINE_STATE_FIELDS; i++)
		fields[i] = FrameGetI64(&reader);
	*version = FrameGetString(&reader);
	EngineRelease(conn);
	return true;
}

bool
EngineIsIdle(void)
{
	EngineState state;
	char	   *version;

	return !FetchState(&state, &version) || state.running == 0;
}

Datum
shard_engine_state(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	EngineState state;
	char	   *version;
	Datum		values[ENGINE_STATE_FIELDS + 2];
	bool		nulls[ENGINE_STATE_FIELDS + 2];
	int64	   *fields = (int64 *) &state;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE ||
		desc->natts != ENGINE_STATE_FIELDS + 2)
		elog(ERROR, "return type must be a row type of %d columns", ENGINE_STATE_FIELDS + 2);
	memset(nulls, true, sizeof(nulls));
	values[0] = Int64GetDatum(SupervisorStarts());
	nulls[0] = !ShardPreloaded();
	if (FetchState(&state, &version))
	{
		for (int i = 0; i < ENGINE_STATE_FIELDS; i++)
		{
			values[1 + i] = Int64GetDatum(fields[i]);
			nulls[1 + i] = false;
		}
		values[ENGINE_STATE_FIELDS + 1] = CStringGetTextDatum(version);
		nulls[ENGINE_STATE_FIELDS + 1] = false;
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* ---- reading ---- */

static void
RequireSuperuser(void)
{
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to run statements in the engine")));
}

/*
 * Deletes from arguments: a data file, its delete files, its Iceberg path.
 */
static int
DeletesFromArgs(FunctionCallInfo fcinfo, EngineDeletes *deletes)
{
	Datum	   *elements;
	int			n;

	memset(deletes, 0, sizeof(*deletes));
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return 0;
	deletes->data_file = text_to_cstring(PG_GETARG_TEXT_PP(1));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &n);
	deletes->ndelete_files = n;
	deletes->delete_files = palloc(sizeof(char *) * (n + 1));
	for (int i = 0; i < n; i++)
		deletes->delete_files[i] = TextDatumGetCString(elements[i]);
	if (!PG_ARGISNULL(3))
		deletes->data_path = text_to_cstring(PG_GETARG_TEXT_PP(3));
	return 1;
}

/*
 * One row as text: values separated by "|", null as nothing.
 */
static Datum
RowAsText(ValueCodec *codecs, WireChunk *chunk, int row)
{
	StringInfoData line;

	initStringInfo(&line);
	for (int col = 0; col < chunk->ncols; col++)
	{
		bool		isnull;
		Datum		value = ValueGet(&codecs[col], chunk, col, row, &isnull);

		if (col > 0)
			appendStringInfoChar(&line, '|');
		if (!isnull)
			appendStringInfoString(&line, TextDatumGetCString(value));
	}
	return CStringGetTextDatum(line.data);
}

Datum
shard_engine_query(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	EngineDeletes deletes;
	int			ndeletes;
	EngineConn *conn;
	EngineResult *result;
	ValueCodec *codecs;
	WireChunk  *chunk;

	RequireSuperuser();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the query must not be null")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	ndeletes = DeletesFromArgs(fcinfo, &deletes);
	conn = EngineAcquire();
	result = EngineQuery(conn, text_to_cstring(PG_GETARG_TEXT_PP(0)), &deletes, ndeletes);
	codecs = palloc(sizeof(ValueCodec) * (EngineResultColumns(result) + 1));
	for (int col = 0; col < EngineResultColumns(result); col++)
		ValueCodecInitForRead(&codecs[col], TEXTOID, -1, EngineResultType(result, col));
	while ((chunk = EngineFetch(result)) != NULL)
	{
		for (int row = 0; row < chunk->nrows; row++)
		{
			Datum		value = RowAsText(codecs, chunk, row);
			bool		isnull = false;

			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
			pfree(DatumGetPointer(value));
		}
		CHECK_FOR_INTERRUPTS();
	}
	EngineFinish(result);
	EngineRelease(conn);
	return (Datum) 0;
}

Datum
shard_engine_read(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	EngineConn *conn;
	EngineResult *result;
	ValueCodec *codecs;
	WireChunk  *chunk;
	int			natts;
	Datum	   *values;
	bool	   *nulls;

	RequireSuperuser();
	InitMaterializedSRF(fcinfo, 0);
	natts = rsinfo->setDesc->natts;
	values = palloc(sizeof(Datum) * natts);
	nulls = palloc(sizeof(bool) * natts);
	codecs = palloc(sizeof(ValueCodec) * natts);
	conn = EngineAcquire();
	result = EngineQuery(conn, text_to_cstring(PG_GETARG_TEXT_PP(0)), NULL, 0);
	if (EngineResultColumns(result) != natts)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the query returns %d columns, the column definition list has %d",
						EngineResultColumns(result), natts)));
	for (int col = 0; col < natts; col++)
	{
		Form_pg_attribute att = TupleDescAttr(rsinfo->setDesc, col);

		ValueCodecInitForRead(&codecs[col], att->atttypid, att->atttypmod,
							  EngineResultType(result, col));
	}
	while ((chunk = EngineFetch(result)) != NULL)
	{
		for (int row = 0; row < chunk->nrows; row++)
		{
			for (int col = 0; col < natts; col++)
				values[col] = ValueGet(&codecs[col], chunk, col, row, &nulls[col]);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
		CHECK_FOR_INTERRUPTS();
	}
	EngineFinish(result);
	EngineRelease(conn);
	return (Datum) 0;
}

/*
 * The literal that stands for a value in engine SQL.
 */
Datum
shard_engine_literal(PG_FUNCTION_ARGS)
{
	Oid			typid = get_fn_expr_argtype(fcinfo->flinfo, 0);
	ValueCodec	codec;
	char	   *literal;

	if (!OidIsValid(typid))
		elog(ERROR, "could not determine the type of the value");
	ValueCodecInit(&codec, typid, -1);
	literal = ValueEngineLiteral(&codec, PG_GETARG_DATUM(0), PG_ARGISNULL(0));
	if (literal == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(literal));
}

/* ---- writing ---- */

Datum
shard_engine_execute(PG_FUNCTION_ARGS)
{
	EngineConn *conn;
	int64		rows;

	RequireSuperuser();
	conn = EngineAcquire();
	rows = EngineRun(conn, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	EngineRelease(conn);
	PG_RETURN_INT64(rows);
}

/*
 * CREATE TEMP TABLE with the columns of a query's result, and their codecs; and
 * with a number by which the rows get their order back.
 */
static ValueCodec *
CreateExportTable(EngineConn *conn, TupleDesc desc)
{
	ValueCodec *codecs = palloc(sizeof(ValueCodec) * (desc->natts + 1));
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "CREATE TEMP TABLE export (");
	for (int col = 0; col < desc->natts; col++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, col);

		ValueCodecInit(&codecs[col], att->atttypid, att->atttypmod);
		appendStringInfo(&sql, "%s%s %s", col > 0 ? ", " : "",
						 EngineQuoteIdentifier(NameStr(att->attname)),
						 ValueEngineType(&codecs[col]));
	}
	appendStringInfoString(&sql, ", \"_n\" BIGINT)");
	(void) EngineRun(conn, sql.data);
	return codecs;
}

static WireChunk *
CreateChunk(const ValueCodec *codecs, int natts)
{
	LakeType   *types = palloc(sizeof(LakeType) * (natts + 1));

	for (int i = 0; i < natts; i++)
		types[i] = codecs[i].type;
	types[natts] = (LakeType) {LAKE_LONG, 0, 0};
	return ChunkCreate(types, natts + 1);
}

/*
 * Send the rows of an SPI cursor.
 */
static void
ExportRows(EngineConn *conn, Portal portal, ValueCodec *codecs)
{
	WireChunk  *chunk = NULL;
	int64		n = 0;

	for (;;)
	{
		SPI_cursor_fetch(portal, true, CHUNK_ROWS);
		if (SPI_processed == 0)
			break;
		if (chunk == NULL)
			chunk = CreateChunk(codecs, SPI_tuptable->tupdesc->natts);
		for (uint64 row = 0; row < SPI_processed; row++)
		{
			for (int col = 0; col < chunk->ncols - 1; col++)
			{
				bool		isnull;
				Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
												  col + 1, &isnull);

				ValuePut(&codecs[col], chunk, col, value, isnull);
			}
			n++;
			ChunkPutFixed(chunk, chunk->ncols - 1, &n);
			chunk->nrows++;
			if (ChunkIsFull(chunk))
			{
				EngineAppend(conn, chunk);
				ChunkReset(chunk);
			}
		}
		SPI_freetuptable(SPI_tuptable);
	}
	if (chunk != NULL && chunk->nrows > 0)
		EngineAppend(conn, chunk);
}

Datum
shard_engine_export(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *path = EnginePath(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	EngineConn *conn;
	Portal		portal;
	SPIPlanPtr	plan;
	ValueCodec *codecs;
	int64		rows;

	RequireSuperuser();
	conn = EngineAcquire();
	SPI_connect();
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	codecs = CreateExportTable(conn, portal->tupDesc);
	EngineAppendBegin(conn, "export");
	ExportRows(conn, portal, codecs);
	(void) EngineAppendEnd(conn);
	SPI_cursor_close(portal);
	rows = EngineRun(conn, psprintf("COPY (SELECT * EXCLUDE (\"_n\") FROM export ORDER BY \"_n\") "
									"TO %s (FORMAT parquet)", EngineQuoteLiteral(path)));
	SPI_finish();
	EngineRelease(conn);
	PG_RETURN_INT64(rows);
}
