/*
 * session.c
 *		The request loop of a connection.
 *
 * A request runs to its end on the session's thread.  Its result is sent while
 * it is produced; a slow reader holds back the query, and after a second its
 * place in the line as well, so that an idle cursor does not block the others.
 */
#include "engine/session.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/admission.h"
#include "engine/fail.h"
#include "engine/functions.h"
#include "engine/output.h"
#include "engine/status.h"
#include "engine/watch.h"

#define SEND_AT_BYTES (64 * 1024)
#define SEND_AT_NS 2000000
#define KEEP_BYTES (4 * 1024 * 1024)

/* ---- socket ---- */

/*
 * Read exactly len bytes; false at the end of the connection.
 */
static bool
ReceiveBytes(Session *session, char *data, size_t len)
{
	while (len > 0)
	{
		ssize_t		n = recv(session->fd, data, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		data += n;
		len -= n;
	}
	return true;
}

/*
 * Read one frame.  Memory grows with what has arrived, not with what a header
 * announces.
 */
static bool
ReceiveFrame(Session *session, FrameType *type)
{
	char		header[FRAME_HEADER];
	size_t		len;

	if (!ReceiveBytes(session, header, FRAME_HEADER) || !FrameParseHeader(header, &len, type))
		return false;
	session->in.len = 0;
	while (session->in.len < len)
	{
		size_t		part = len - session->in.len;

		if (part > session->in.len + SEND_AT_BYTES)
			part = session->in.len + SEND_AT_BYTES;
		FrameBufferReserve(&session->in, part);
		if (!ReceiveBytes(session, session->in.data + session->in.len, part))
			return false;
		session->in.len += part;
	}
	return true;
}

/*
 * Let others run while our client does not read.
 */
static void
StepAside(Session *session, bool *stalled)
{
	if (session->admitted)
	{
		AdmissionLeave(session->pid);
		session->admitted = false;
		*stalled = true;
	}
}

static void
Admit(Session *session)
{
	if (!AdmissionEnter(session->pid, &session->gone))
	{
		session->broken = true;
		Fail("57014", "the client has gone");
	}
	session->admitted = true;
}

/*
 * Send what is in the buffer.  The socket has a send timeout.
 */
static void
SendBuffer(Session *session)
{
	size_t		sent = 0;
	bool		stalled = false;

	while (sent < session->out.len)
	{
		ssize_t		n = send(session->fd, session->out.data + sent, session->out.len - sent,
							 MSG_NOSIGNAL);

		if (n > 0)
			sent += n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			StepAside(session, &stalled);
		else if (errno != EINTR)
		{
			session->out.len = 0;
			session->broken = true;
			Fail("08006", "the client has gone");
		}
	}
	session->out.len = 0;
	if (stalled)
		Admit(session);
}

static void
SendFailure(Session *session, const Failure *f)
{
	size_t		start;

	session->out.len = 0;
	start = FrameBegin(&session->out, FRAME_FAILURE);
	FramePutString(&session->out, f->sqlstate, strlen(f->sqlstate));
	FramePutString(&session->out, f->message, strlen(f->message));
	FramePutString(&session->out, f->detail, strlen(f->detail));
	FrameEnd(&session->out, start);
	SendBuffer(session);
}

static void
SendComplete(Session *session, int64 rows)
{
	size_t		start = FrameBegin(&session->out, FRAME_COMPLETE);

	FramePutI64(&session->out, rows);
	FrameEnd(&session->out, start);
	SendBuffer(session);
}

/* ---- statements ---- */

static void
Disconnect(Session *session)
{
	if (session->con != NULL)
		duckdb_disconnect(&session->con);
	if (session->instance != NULL)
		InstanceRelease(session->instance);
	session->instance = NULL;
}

/*
 * Connect to the current instance, unless the session owns something in an
 * older one.
 */
static void
Connect(Session *session)
{
	if (session->con != NULL && (session->stateful || InstanceIsCurrent(session->instance)))
		return;
	Disconnect(session);
	session->instance = InstanceAcquire();
	if (duckdb_connect(session->instance->db, &session->con) == DuckDBError)
	{
		session->con = NULL;
		Fail("58000", "could not connect to the engine's database");
	}
}

static void
BeginRunning(Session *session)
{
	if (!WatchSetRunning(session, true))
	{
		session->broken = true;
		Fail("57014", "the client has gone");
	}
}

static int64
Nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * Send the rows of the running statement, small results in one piece.
 */
static void
SendRows(Session *session)
{
	Statement  *statement = &session->statement;
	Output	   *output = OutputCreate(&statement->result);
	int64		last = Nanoseconds();

	OutputDescribe(output, &statement->result, &session->out);
	while (StatementFetch(statement) != NULL)
	{
		uint64		row = 0;

		while (row < duckdb_data_chunk_get_size(statement->chunk))
		{
			OutputRows(output, statement->chunk, &row, &session->out);
			if (session->out.len >= SEND_AT_BYTES || Nanoseconds() - last > SEND_AT_NS)
			{
				RecordingAppend(&session->recording, session->out.data, session->out.len);
				SendBuffer(session);
				last = Nanoseconds();
			}
		}
	}
	RecordingAppend(&session->recording, session->out.data, session->out.len);
	RecordingKeep(&session->recording);
}

/* ---- statements whose results may be kept ---- */

static void
SendCached(Session *session)
{
	size_t		len;
	const char *frames = CachedResultFrames(session->cached, &len);

	for (size_t sent = 0; sent < len;)
	{
		size_t		part = len - sent < SEND_AT_BYTES ? len - sent : SEND_AT_BYTES;

		FrameBufferReserve(&session->out, part);
		memcpy(session->out.data, frames + sent, part);
		session->out.len = part;
		if (sent == 0)
			session->out.data[FRAME_HEADER - 1] = FRAME_CACHED_DESCRIBE;
		SendBuffer(session);
		sent += part;
	}
	SendComplete(session, -1);
}

/*
 * Send the result if it is there.  If not, have it recorded.
 */
static bool
FindInCache(Session *session, FrameReader *reader)
{
	CacheTerms	terms;

	terms.ttl_ms = FrameGetI64(reader);
	terms.max_results = FrameGetU32(reader);
	terms.max_bytes = FrameGetI64(reader);
	session->cached = ResultCacheGet(reader->p, reader->end - reader->p, &terms);
	if (session->cached == NULL)
	{
		RecordingBegin(&session->recording, reader->p, reader->end - reader->p, &terms);
		return false;
	}
	SendCached(session);
	return true;
}

static void
RunStatement(Session *session, FrameReader *reader, bool trusted)
{
	int			ndeletes;
	DeleteRequest *deletes = DeleteRequestsRead(reader, &ndeletes);
	char	   *sql = FrameGetString(reader);
	int64		rows;

	FrameExpectEnd(reader);
	if (!trusted)
		Admit(session);
	Connect(session);
	session->stateful |= trusted;
	BeginRunning(session);
	if (ndeletes > 0)
		session->deletes = DeleteSetLoad(session->con, deletes, ndeletes);
	request_deletes = session->deletes;
	StatementStart(&session->statement, session->con, sql, !trusted);
	rows = StatementRowsChanged(&session->statement);
	if (rows < 0)
		SendRows(session);
	WatchSetRunning(session, false);
	SendComplete(session, rows);
}

/* ---- appending ---- */

static void
BeginAppend(Session *session, FrameReader *reader)
{
	char	   *table = FrameGetString(reader);

	FrameExpectEnd(reader);
	session->appending = true;
	session->append_failed = false;
	session->appended = 0;
	Connect(session);
	session->stateful = true;
	InputBegin(&session->input, session->con, table);
}

static void
AppendChunk(Session *session)
{
	WireChunk  *chunk;

	if (session->append_failed)
		return;
	chunk = ChunkDecode(session->in.data, session->in.len);
	InputChunk(&session->input, chunk);
	session->appended += chunk->nrows;
	ChunkFree(chunk);
}

static void
EndAppend(Session *session)
{
	session->appending = false;
	if (session->append_failed)
	{
		SendFailure(session, &session->append_failure);
		return;
	}
	InputFinish(&session->input);
	SendComplete(session, session->appended);
}

/* ---- requests ---- */

static void
Welcome(Session *session, FrameReader *reader)
{
	size_t		start;
	uint32		protocol = FrameGetU32(reader);

	if (protocol != FRAME_PROTOCOL)
		Fail("08P01", "client and engine are of different versions");
	session->pid = FrameGetU32(reader);
	start = FrameBegin(&session->out, FRAME_WELCOME);
	FramePutU32(&session->out, FRAME_PROTOCOL);
	FramePutU32(&session->out, (uint32) getpid());
	FrameEnd(&session->out, start);
	SendBuffer(session);
}

/*
 * Is a frame of this type due?
 */
static bool
IsExpected(Session *session, FrameType type)
{
	if (session->pid == 0)
		return type == FRAME_HELLO;
	if (session->appending)
		return type == FRAME_CHUNK || type == FRAME_APPEND_END;
	return type == FRAME_QUERY || type == FRAME_CACHED_QUERY || type == FRAME_EXECUTE || type == FRAME_APPEND ||
		type == FRAME_STATUS;
}

static void
Dispatch(Session *session, FrameType type)
{
	FrameReader reader = {session->in.data, session->in.data + session->in.len};

	if (!IsExpected(session, type))
		Fail("08P01", "unexpected message of type %d", (int) type);
	switch (type)
	{
		case FRAME_HELLO:
			Welcome(session, &reader);
			break;
		case FRAME_CACHED_QUERY:
			if (!FindInCache(session, &reader))
				RunStatement(session, &reader, false);
			break;
		case FRAME_QUERY:
		case FRAME_EXECUTE:
			RunStatement(session, &reader, type == FRAME_EXECUTE);
			break;
		case FRAME_APPEND:
			BeginAppend(session, &reader);
			break;
		case FRAME_CHUNK:
			AppendChunk(session);
			break;
		case FRAME_APPEND_END:
			EndAppend(session);
			break;
		default:
			StatusWrite(&session->out);
			SendBuffer(session);
			break;
	}
}

/*
 * Give back all that a request holds, whichever way it ended.
 */
static void
EndRequest(Session *session)
{
	WatchSetRunning(session, false);
	StatementDestroy(&session->statement);
	request_deletes = NULL;
	if (session->deletes != NULL)
		DeleteSetRelease(session->deletes);
	session->deletes = NULL;
	RecordingDrop(&session->recording);
	if (session->cached != NULL)
		ResultCacheRelease(session->cached);
	session->cached = NULL;
	if (session->admitted)
		AdmissionLeave(session->pid);
	session->admitted = false;
	if (session->appending)
		return;
	InputDestroy(&session->input);
	RequestMemoryEnd();
}

/*
 * Report the error of a request; a client that does not keep to the protocol
 * is not listened to any further.
 */
static void
ReportFailure(Session *session)
{
	Failure		reported = failure;

	if (session->broken)
		return;
	if (strcmp(reported.sqlstate, "08P01") == 0)
		session->broken = true;
	else if (session->appending)
	{
		session->append_failed = true;
		session->append_failure = reported;
		return;
	}
	SendFailure(session, &reported);
}

static void
ServeRequest(Session *session, FrameType type)
{
	jmp_buf		target;

	fail_target = &target;
	if (setjmp(target) == 0)
	{
		RequestMemoryBegin();
		Dispatch(session, type);
		EndRequest(session);
		return;
	}
	EndRequest(session);
	if (setjmp(target) == 0)
		ReportFailure(session);
	if (session->broken && session->appending)
	{
		session->appending = false;
		EndRequest(session);
	}
}

/*
 * A buffer that was needed once need not be kept for ever.
 */
static void
TrimBuffer(FrameBuffer *buf)
{
	if (buf->allocated <= KEEP_BYTES)
		return;
	mem_free(buf->data);
	memset(buf, 0, sizeof(*buf));
}

static void
FreeBuffer(FrameBuffer *buf)
{
	if (buf->data != NULL)
		mem_free(buf->data);
}

/*
 * Both buffers outlive requests, so they get their first memory outside one;
 * between two chunks of an append its request is still open.
 */
static void
ServeRequests(Session *session)
{
	FrameType	type;
	jmp_buf		target;

	while (!session->broken)
	{
		fail_target = &target;
		if (setjmp(target) != 0)
			return;				/* no memory for the frame */
		RequestMemoryPause();
		TrimBuffer(&session->in);
		TrimBuffer(&session->out);
		FrameBufferReserve(&session->in, SEND_AT_BYTES);
		FrameBufferReserve(&session->out, 2 * SEND_AT_BYTES);
		if (!ReceiveFrame(session, &type))
			return;
		ServeRequest(session, type);
	}
}

static void *
SessionMain(void *arg)
{
	Session    *session = arg;

	ServeRequests(session);
	session->appending = false;
	EndRequest(session);
	WatchRemove(session);
	Disconnect(session);
	FreeBuffer(&session->in);
	FreeBuffer(&session->out);
	close(session->fd);
	free(session);
	return NULL;
}

void
SessionStart(int fd)
{
	struct timeval one_second = {1, 0};
	Session    *session = calloc(1, sizeof(Session));
	pthread_t	thread;

	if (session == NULL)
	{
		close(fd);
		return;
	}
	session->fd = fd;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &one_second, sizeof(one_second));
	if (!WatchAdd(session))
	{
		close(fd);
		free(session);
		return;
	}
	if (pthread_create(&thread, NULL, SessionMain, session) != 0)
	{
		LogLine("WARNING", "could not start a thread: %s", strerror(errno));
		WatchRemove(session);
		close(fd);
		free(session);
		return;
	}
	pthread_detach(thread);
}
