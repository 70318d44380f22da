/*
 * engine.c
 *		Requests to the engine and their results.
 *
 * A result is allocated in the caller's memory context, its chunks point into
 * the connection's receive buffer.
 */
#include "postgres.h"

#include "base/settings.h"
#include "client/connection.h"
#include "client/engine.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#define SEND_AT_BYTES (64 * 1024)

struct EngineResult
{
	EngineConn *conn;
	MemoryContext mcxt;
	int			ncols;
	LakeType   *types;
	char	  **names;
	WireChunk  *chunk;			/* the last one fetched */
	bool		cached;			/* the engine had it */
	bool		done;
	int64		rows;			/* once done */
};

/* ---- sending ---- */

/*
 * Only between requests may the next one start.
 */
static void
BeginRequest(EngineConn *conn)
{
	if (conn->busy)
		elog(ERROR, "the connection to the engine is busy with another request");
	ConnectionOpen(conn);
	conn->out.len = 0;
}

static void
PutText(FrameBuffer *buf, const char *text)
{
	char	   *utf8 = pg_server_to_any(text, strlen(text), PG_UTF8);

	FramePutString(buf, utf8, strlen(utf8));
	if (utf8 != text)
		pfree(utf8);
}

static void
PutDeletes(FrameBuffer *buf, const EngineDeletes *deletes, int ndeletes)
{
	FramePutU32(buf, ndeletes);
	for (int i = 0; i < ndeletes; i++)
	{
		const EngineDeletes *d = &deletes[i];

		PutText(buf, d->data_file);
		PutText(buf, d->data_path != NULL ? d->data_path : d->data_file);
		FramePutU8(buf, d->loose_paths);
		FramePutU32(buf, d->ndelete_files);
		for (int j = 0; j < d->ndelete_files; j++)
			PutText(buf, d->delete_files[j]);
	}
}

/* ---- results ---- */

static void
UnexpectedAnswer(EngineConn *conn, FrameType type)
{
	ConnectionClose(conn);
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION),
			 errmsg("unexpected answer of type %d from the engine", (int) type)));
}

static void
ReadDescription(EngineResult *result)
{
	EngineConn *conn = result->conn;
	FrameReader reader = {conn->payload, conn->payload + conn->payload_len};

	result->ncols = (int) FrameGetCount(&reader, 7);
	result->types = palloc0(sizeof(LakeType) * (result->ncols + 1));
	result->names = palloc0(sizeof(char *) * (result->ncols + 1));
	for (int i = 0; i < result->ncols; i++)
	{
		char	   *name;

		result->types[i].kind = FrameGetU8(&reader);
		result->types[i].precision = FrameGetU8(&reader);
		result->types[i].scale = FrameGetU8(&reader);
		name = FrameGetString(&reader);
		result->names[i] = pg_any_to_server(name, strlen(name), PG_UTF8);
	}
	FrameExpectEnd(&reader);
}

static void
ReadCompletion(EngineResult *result)
{
	EngineConn *conn = result->conn;
	FrameReader reader = {conn->payload, conn->payload + conn->payload_len};

	result->rows = FrameGetI64(&reader);
	FrameExpectEnd(&reader);
	result->done = true;
}

static EngineResult *
StartStatement(EngineConn *conn, FrameType type, const char *sql,
			   const EngineDeletes *deletes, int ndeletes)
{
	EngineResult *result = palloc0(sizeof(EngineResult));
	FrameType	answer;
	size_t		start;

	result->conn = conn;
	result->mcxt = CurrentMemoryContext;
	BeginRequest(conn);
	start = FrameBegin(&conn->out, type);
	if (type == FRAME_CACHED_QUERY)
	{
		FramePutI64(&conn->out, CacheTtl);
		FramePutU32(&conn->out, CacheMaxSize);
		FramePutI64(&conn->out, (int64) CacheMemory * 1024);
	}
	PutDeletes(&conn->out, deletes, ndeletes);
	PutText(&conn->out, sql);
	FrameEnd(&conn->out, start);
	conn->busy = true;
	ConnectionFlush(conn);
	answer = ConnectionReceive(conn);
	result->cached = (answer == FRAME_CACHED_DESCRIBE);
	if (answer == FRAME_DESCRIBE || result->cached)
		ReadDescription(result);
	else if (answer == FRAME_COMPLETE)
		ReadCompletion(result);
	else
		UnexpectedAnswer(conn, answer);
	return result;
}

EngineResult *
EngineQuery(EngineConn *conn, const char *sql, const EngineDeletes *deletes, int ndeletes)
{
	return StartStatement(conn, FRAME_QUERY, sql, deletes, ndeletes);
}

EngineResult *
EngineQueryCached(EngineConn *conn, const char *sql, const EngineDeletes *deletes, int ndeletes)
{
	return StartStatement(conn, FRAME_CACHED_QUERY, sql, deletes, ndeletes);
}

bool
EngineResultCached(EngineResult *result)
{
	return result->cached;
}

EngineResult *
EngineExecute(EngineConn *conn, const char *sql, const EngineDeletes *deletes, int ndeletes)
{
	BeginRequest(conn);
	conn->stateful = true;
	return StartStatement(conn, FRAME_EXECUTE, sql, deletes, ndeletes);
}

int
EngineResultColumns(EngineResult *result)
{
	return result->ncols;
}

LakeType
EngineResultType(EngineResult *result, int col)
{
	Assert(col >= 0 && col < result->ncols);
	return result->types[col];
}

const char *
EngineResultName(EngineResult *result, int col)
{
	Assert(col >= 0 && col < result->ncols);
	return result->names[col];
}

int64
EngineResultRows(EngineResult *result)
{
	return result->done ? result->rows : -1;
}

/*
 * Is the chunk of the shape that the description promised?
 */
static void
CheckChunk(EngineResult *result, WireChunk *chunk)
{
	bool		fits = chunk->ncols == result->ncols;

	for (int i = 0; fits && i < chunk->ncols; i++)
		fits = chunk->cols[i].type.kind == result->types[i].kind &&
			chunk->cols[i].type.scale == result->types[i].scale;
	if (!fits)
		UnexpectedAnswer(result->conn, FRAME_CHUNK);
}

WireChunk *
EngineFetch(EngineResult *result)
{
	FrameType	type;
	MemoryContext old;

	if (result->chunk != NULL)
		ChunkFree(result->chunk);
	result->chunk = NULL;
	if (result->done)
		return NULL;
	type = ConnectionReceive(result->conn);
	if (type == FRAME_COMPLETE)
	{
		ReadCompletion(result);
		return NULL;
	}
	if (type != FRAME_CHUNK)
		UnexpectedAnswer(result->conn, type);
	old = MemoryContextSwitchTo(result->mcxt);
	result->chunk = ChunkDecode(result->conn->payload, result->conn->payload_len);
	MemoryContextSwitchTo(old);
	CheckChunk(result, result->chunk);
	return result->chunk;
}

/*
 * A connection with temporary tables must be kept: read on to the end.  Any
 * other is simply closed, and opened again when it is needed.
 */
void
EngineFinish(EngineResult *result)
{
	EngineConn *conn = result->conn;

	if (!result->done && conn->busy)
	{
		if (conn->stateful)
			while (EngineFetch(result) != NULL)
				;
		else
			ConnectionClose(conn);
	}
	if (result->chunk != NULL)
		ChunkFree(result->chunk);
	pfree(result);
}

int64
EngineRun(EngineConn *conn, const char *sql)
{
	EngineResult *result = EngineExecute(conn, sql, NULL, 0);
	int64		rows;

	while (EngineFetch(result) != NULL)
		;
	rows = result->rows;
	EngineFinish(result);
	return rows;
}

/* ---- appending ---- */

void
EngineAppendBegin(EngineConn *conn, const char *table)
{
	size_t		start;

	BeginRequest(conn);
	conn->stateful = true;
	start = FrameBegin(&conn->out, FRAME_APPEND);
	PutText(&conn->out, table);
	FrameEnd(&conn->out, start);
	conn->busy = conn->appending = true;
}

/* Raise that the connection was lost, if it was. */
static void
RequireOpen(EngineConn *conn)
{
	if (conn->fd == PGINVALID_SOCKET)
		ConnectionOpen(conn);
}

void
EngineAppend(EngineConn *conn, const WireChunk *chunk)
{
	size_t		len = ChunkEncodedSize(chunk);
	size_t		start;

	RequireOpen(conn);
	start = FrameBegin(&conn->out, FRAME_CHUNK);
	FrameBufferReserve(&conn->out, len);
	ChunkEncode(chunk, conn->out.data + conn->out.len);
	conn->out.len += len;
	FrameEnd(&conn->out, start);
	if (conn->out.len >= SEND_AT_BYTES)
		ConnectionFlush(conn);
}

int64
EngineAppendEnd(EngineConn *conn)
{
	FrameReader reader;
	FrameType	type;
	int64		rows;

	RequireOpen(conn);
	conn->appending = false;
	FrameEnd(&conn->out, FrameBegin(&conn->out, FRAME_APPEND_END));
	ConnectionFlush(conn);
	type = ConnectionReceive(conn);
	if (type != FRAME_COMPLETE)
		UnexpectedAnswer(conn, type);
	reader = (FrameReader) {conn->payload, conn->payload + conn->payload_len};
	rows = FrameGetI64(&reader);
	return rows;
}
