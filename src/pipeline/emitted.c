/*
 * emitted.c
 *		Collects the custom events of a batch and writes them to the lake.
 *
 * Like changes.c for rows: events are put into a chunk inside the output
 * plugin's callbacks, without SPI, and full chunks go to a temporary table of
 * the engine, so that memory is bounded.  At the flush, events whose
 * idempotency key is known already are left out: the keys are rows of
 * _shard.event_key, written in the flush's transaction, so that a flush that is
 * done again does not take its own keys for known ones.
 */
#include "postgres.h"

#include "base/points.h"
#include "base/settings.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pipeline/emitted.h"
#include "pipeline/files.h"
#include "pipeline/message.h"
#include "pipeline/schema.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define UNIX_EPOCH_USECS \
	((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY)

enum
{
	COL_N, COL_LSN, COL_SEQ, COL_TS, COL_XID, COL_SHARD, COL_KEYED, COL_ID, COL_ROUTER,
	COL_VERB, COL_STORE, COL_PAYLOAD, COL_KEY, COLUMNS
};

static const struct
{
	const char *name;
	LakeKind	kind;
}			columns[COLUMNS] = {
	{"n", LAKE_LONG}, {"lsn", LAKE_LONG}, {"seq", LAKE_LONG}, {"ts", LAKE_TIMESTAMPTZ},
	{"xid", LAKE_LONG}, {"shard", LAKE_INT}, {"keyed", LAKE_BOOLEAN}, {"id", LAKE_STRING},
	{"router", LAKE_STRING}, {"verb", LAKE_STRING}, {"store", LAKE_STRING},
	{"payload", LAKE_STRING}, {"key", LAKE_STRING},
};

static WireChunk *chunk = NULL; /* lives as long as the process */
static bool created = false;	/* the engine has the table */
static int64 emitted_rows = 0;

/* ---- collecting ---- */

static WireChunk *
Chunk(void)
{
	if (chunk == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		LakeType	types[COLUMNS];

		for (int i = 0; i < COLUMNS; i++)
			types[i] = (LakeType) {columns[i].kind, 0, 0};
		chunk = ChunkCreate(types, COLUMNS);
		MemoryContextSwitchTo(old);
	}
	return chunk;
}

static void
PutLong(int col, int64 value)
{
	ChunkPutFixed(chunk, col, &value);
}

static void
PutText(int col, MessageText text)
{
	if (text.data == NULL)
		ChunkPutNull(chunk, col);
	else
		ChunkPutBytes(chunk, col, text.data, text.len);
}

void
EmittedPush(void)
{
	EngineConn *conn;

	if (chunk == NULL || chunk->nrows == 0)
		return;
	conn = ChangesConnection();
	if (!created)
	{
		StringInfoData sql;
		char		type[32];

		initStringInfo(&sql);
		appendStringInfoString(&sql, "CREATE TEMP TABLE emitted (");
		for (int i = 0; i < COLUMNS; i++)
			appendStringInfo(&sql, "%s%s %s", i > 0 ? ", " : "", columns[i].name,
							 LakeTypeEngineName((LakeType) {columns[i].kind, 0, 0}, type, sizeof(type)));
		appendStringInfoChar(&sql, ')');
		(void) EngineRun(conn, sql.data);
		created = true;
	}
	EngineAppendBegin(conn, "emitted");
	EngineAppend(conn, chunk);
	(void) EngineAppendEnd(conn);
	ChunkReset(chunk);
}

void
EmittedAdd(ChangeTxn *txn, const char *data, Size size)
{
	EventMessage message;
	int32		shard;
	uint8		keyed;

	if (!EventMessageDecode(data, size, &message))
	{
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a message in the WAL at %X/%X is not a custom event of this version",
						LSN_FORMAT_ARGS(txn->commit_lsn))));
		return;
	}
	txn->seq++;
	shard = message.shard;
	keyed = message.keyed;
	(void) Chunk();
	PutLong(COL_N, ChangesCount(size));
	PutLong(COL_LSN, (int64) txn->commit_lsn);
	PutLong(COL_SEQ, txn->seq);
	PutLong(COL_TS, txn->commit_time + UNIX_EPOCH_USECS);
	PutLong(COL_XID, txn->xid);
	if (shard >= 0)
		ChunkPutFixed(chunk, COL_SHARD, &shard);
	else
		ChunkPutNull(chunk, COL_SHARD);
	ChunkPutFixed(chunk, COL_KEYED, &keyed);
	PutText(COL_ID, message.id);
	PutText(COL_ROUTER, message.router);
	PutText(COL_VERB, message.verb);
	PutText(COL_STORE, message.store);
	PutText(COL_PAYLOAD, message.payload);
	PutText(COL_KEY, message.key);
	chunk->nrows++;
	emitted_rows++;
	if (ChunkIsFull(chunk))
		EmittedPush();
}

int64
EmittedRows(void)
{
	return emitted_rows;
}

void
EmittedReset(void)
{
	if (created)
		EngineRunF(ChangesConnection(), "DROP TABLE emitted");
	created = false;
	if (chunk != NULL)
		ChunkReset(chunk);
	emitted_rows = 0;
}

/* ---- idempotency keys ---- */

/* Text of an engine's column in the database's encoding. */
static Datum
TextAt(const WireChunk *from, int col, int row)
{
	size_t		len;
	const char *data = ChunkGetBytes(from, col, row, &len);
	char	   *text = pg_any_to_server(pnstrdup(data, len), len, PG_UTF8);

	return CStringGetTextDatum(text);
}

static SPIPlanPtr
PrepareKeyInsert(void)
{
	static Oid	types[4] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	SPIPlanPtr	plan = SPI_prepare("INSERT INTO _shard.event_key AS k (router, key, at) VALUES ($1, $2, $3)"
								   " ON CONFLICT (router, key) DO UPDATE SET at = excluded.at"
								   " WHERE k.at < $4", 4, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare the statement for idempotency keys");
	return plan;
}

/* Numbers of events. */
typedef struct Numbers
{
	int64	   *n;
	int64		count;
	int64		allocated;
} Numbers;

static void
AddNumber(Numbers *numbers, int64 n)
{
	if (numbers->count == numbers->allocated)
	{
		numbers->allocated *= 2;
		numbers->n = repalloc_huge(numbers->n, numbers->allocated * sizeof(int64));
	}
	numbers->n[numbers->count++] = n;
}

/*
 * Append numbers to the relation emitted_known.
 */
static void
SendKnown(EngineConn *conn, const Numbers *known)
{
	LakeType	type = {LAKE_LONG, 0, 0};
	WireChunk  *numbers = ChunkCreate(&type, 1);

	EngineAppendBegin(conn, "emitted_known");
	for (int64 i = 0; i < known->count; i++)
	{
		ChunkPutFixed(numbers, 0, &known->n[i]);
		numbers->nrows++;
		if (ChunkIsFull(numbers) || i == known->count - 1)
		{
			EngineAppend(conn, numbers);
			ChunkReset(numbers);
		}
	}
	(void) EngineAppendEnd(conn);
	ChunkFree(numbers);
}

/*
 * Take the keys of a chunk, and note the numbers of those that are known
 * already.
 */
static void
TakeKeys(SPIPlanPtr plan, const WireChunk *keys, Numbers *known)
{
	for (int row = 0; row < keys->nrows; row++)
	{
		int64		at = ChunkGetInt64(keys, 3, row) - UNIX_EPOCH_USECS;
		Datum		args[4];

		CHECK_FOR_INTERRUPTS();
		args[0] = TextAt(keys, 0, row);
		args[1] = TextAt(keys, 1, row);
		args[2] = TimestampTzGetDatum(at);
		args[3] = TimestampTzGetDatum(at - (int64) IdempotencyRetention * USECS_PER_SEC);
		if (SPI_execute_plan(plan, args, NULL, false, 0) < 0)
			elog(ERROR, "could not write an idempotency key");
		if (SPI_processed == 0)
			AddNumber(known, ChunkGetInt64(keys, 2, row));
	}
}

static void
ForgetOldKeys(void)
{
	Oid			types[1] = {FLOAT8OID};
	Datum		args[1];

	args[0] = Float8GetDatum(IdempotencyRetention);
	if (SPI_execute_with_args("DELETE FROM _shard.event_key WHERE at < pg_catalog.now()"
							  " - pg_catalog.make_interval(secs => $1)", 1, types, args, NULL,
							  false, 0) < 0)
		elog(ERROR, "could not remove old idempotency keys");
}

/*
 * Relation emitted_known: numbers of events that are left out.  Within a batch
 * the first event of a key counts.
 */
static void
FindRepeated(EngineConn *conn)
{
	Numbers		known = {palloc(64 * sizeof(int64)), 0, 64};
	EngineResult *result;
	WireChunk  *keys;
	SPIPlanPtr	plan;

	EngineRunF(conn, "CREATE OR REPLACE TEMP TABLE emitted_known AS SELECT n FROM ("
			   "SELECT n, row_number() OVER (PARTITION BY router, id ORDER BY n) AS nth"
			   " FROM emitted WHERE keyed) WHERE nth > 1");
	if (EngineInt(conn, "SELECT count(*) FROM emitted WHERE keyed") == 0)
		return;
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	ForgetOldKeys();
	plan = PrepareKeyInsert();
	result = EngineExecute(conn, "SELECT router, id, n, epoch_us(ts) FROM emitted WHERE keyed"
						   " AND n NOT IN (SELECT n FROM emitted_known) ORDER BY n", NULL, 0);
	while ((keys = EngineFetch(result)) != NULL)
		TakeKeys(plan, keys, &known);
	EngineFinish(result);
	PopActiveSnapshot();
	SPI_finish();
	SendKnown(conn, &known);
}

/* ---- writing ---- */

static List *
Routers(EngineConn *conn)
{
	List	   *routers = NIL;
	EngineResult *result = EngineExecute(conn, "SELECT DISTINCT router FROM emitted ORDER BY 1",
										 NULL, 0);
	WireChunk  *names;

	while ((names = EngineFetch(result)) != NULL)
		for (int row = 0; row < names->nrows; row++)
		{
			size_t		len;
			const char *name = ChunkGetBytes(names, 0, row, &len);

			routers = lappend(routers, pnstrdup(name, len));
		}
	EngineFinish(result);
	return routers;
}

/*
 * The router may have been made by a transaction that others do not see yet.
 */
static void
WaitForTransactions(EngineConn *conn, const char *router)
{
	EngineResult *result =
		EngineExecute(conn, psprintf("SELECT DISTINCT xid FROM emitted WHERE router = %s",
									 EngineQuoteLiteral(router)), NULL, 0);
	WireChunk  *xids;
	List	   *waited = NIL;
	ListCell   *lc;

	while ((xids = EngineFetch(result)) != NULL)
		for (int row = 0; row < xids->nrows; row++)
			waited = lappend_oid(waited, (Oid) ChunkGetInt64(xids, 0, row));
	EngineFinish(result);
	foreach(lc, waited)
		XactLockTableWait((TransactionId) lfirst_oid(lc), NULL, NULL, XLTW_None);
}

static char *
EventsQuery(const char *router)
{
	return psprintf("SELECT id AS f%d, verb AS f%d, ts AS f%d, lsn AS f%d, seq AS f%d, shard AS f%d,"
					" key AS f%d, store AS f%d, payload AS f%d FROM emitted WHERE router = %s"
					" AND n NOT IN (SELECT n FROM emitted_known) ORDER BY n",
					EVENT_ID, EVENT_VERB, EVENT_TS, EVENT_LSN, EVENT_SEQ, EVENT_SHARD, EVENT_KEY,
					EVENT_COLUMNS + 1, EVENT_COLUMNS + 2, EngineQuoteLiteral(router));
}

static bool
WriteLog(EngineConn *conn, const char *router, const Position *position, LakeGroup *group,
		 FlushResult *result)
{
	LakeChange	change = {.operation = "append",.group = group};
	char	   *name = pg_any_to_server(router, strlen(router), PG_UTF8);
	LakeTable  *table = EventLogOpen(conn, name, position);
	int64		rows;

	if (table == NULL)
	{
		WaitForTransactions(conn, router);
		table = EventLogOpen(conn, name, position);
	}
	if (table == NULL)
		return true;			/* the router was dropped, and its log with it */
	rows = EngineInt(conn, "SELECT count(*) FROM emitted WHERE router = %s"
					 " AND n NOT IN (SELECT n FROM emitted_known)", EngineQuoteLiteral(router));
	if (rows == 0)
		return true;
	change.added = FilesWriteData(conn, table, IcebergCurrentSchema(table->metadata),
								  EventsQuery(router), rows,
								  EngineInt(conn, "SELECT avg(strlen(payload))::BIGINT FROM emitted"), false);
	change.summary = PositionSummary(position, &change.nsummary);
	if (LakeCommit(table, &change) == NULL)
		return false;
	result->events += rows;
	result->emitted += rows;
	return true;
}

bool
EmittedFlush(EngineConn *conn, const Position *position, LakeGroup *group, FlushResult *result)
{
	ListCell   *lc;

	FindRepeated(conn);
	SHARD_POINT("pipeline-after-keys");
	result->repeated += EngineInt(conn, "SELECT count(*) FROM emitted_known");
	foreach(lc, Routers(conn))
		if (!WriteLog(conn, lfirst(lc), position, group, result))
			return false;
	EngineRunF(conn, "DROP TABLE emitted_known");
	return true;
}
