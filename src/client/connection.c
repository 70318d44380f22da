/*
 * connection.c
 *		Sockets to the engine: opening, waiting, frames, pool, clean-up.
 *
 * Every wait also waits for this process's latch, so that a cancel is served at
 * once.  Closing the socket is what cancels a request in the engine, and is what
 * happens to every connection that an aborted transaction leaves behind with a
 * request under way.  A connection and its buffers live in a context of their
 * own below TopMemoryContext, since they outlive transactions in the pool.
 */
#include "postgres.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "access/xact.h"
#include "base/compat.h"
#include "base/shmem.h"
#include "client/connection.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#define MAX_IDLE 4
#define CONNECT_TIMEOUT_MS 10000	/* the engine needs less than one to restart */
#define KEEP_BYTES (4 * 1024 * 1024)
#define SEND_BUFFER (1024 * 1024)

static dlist_head acquired = DLIST_STATIC_INIT(acquired);
static dlist_head idle = DLIST_STATIC_INIT(idle);
static int	nidle = 0;

/* ---- opening and closing ---- */

EngineConn *
ConnectionCreate(void)
{
	MemoryContext mcxt = AllocSetContextCreate(TopMemoryContext, "engine connection",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	EngineConn *conn = palloc0(sizeof(EngineConn));

	conn->mcxt = mcxt;
	conn->fd = PGINVALID_SOCKET;
	FrameBufferReserve(&conn->out, 8192);
	MemoryContextSwitchTo(old);
	return conn;
}

void
ConnectionClose(EngineConn *conn)
{
	if (conn->wes != NULL)
	{
		FreeWaitEventSet(conn->wes);
		conn->wes = NULL;
		ReleaseExternalFD();
	}
	if (conn->fd != PGINVALID_SOCKET)
	{
		closesocket(conn->fd);
		conn->fd = PGINVALID_SOCKET;
		ReleaseExternalFD();
	}
	conn->header_used = conn->payload_used = conn->payload_len = 0;
	conn->out.len = 0;
	conn->busy = conn->appending = conn->sending = false;
}

void
ConnectionDestroy(EngineConn *conn)
{
	ConnectionClose(conn);
	MemoryContextDelete(conn->mcxt);
}

static void
TooManyFiles(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not connect to the engine: too many open files")));
}

/*
 * One attempt to connect; false if the engine does not listen.
 */
static bool
OpenSocket(EngineConn *conn)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX,.sun_path = ENGINE_SOCKET};
	int			buffer = SEND_BUFFER;

	if (!AcquireExternalFD())
		TooManyFiles();
	conn->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (conn->fd == PGINVALID_SOCKET)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode_for_socket_access(),
				 errmsg("could not create a socket for the engine: %m")));
	}
	/* As much as the system allows: we fill a chunk while the engine takes the last. */
	(void) setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	if (!pg_set_noblock(conn->fd) ||
		connect(conn->fd, (struct sockaddr *) &address, sizeof(address)) != 0)
	{
		ConnectionClose(conn);
		return false;
	}
	if (!AcquireExternalFD())
	{
		ConnectionClose(conn);
		TooManyFiles();
	}
	conn->wes = CompatCreateWaitEventSet(3);
	AddWaitEventToSet(conn->wes, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(conn->wes, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	conn->wes_socket = AddWaitEventToSet(conn->wes, WL_SOCKET_READABLE, conn->fd, NULL, NULL);
	return true;
}

/* ---- waiting ---- */

/*
 * Wait until the socket is ready, the latch is set, or the deadline is over.
 */
static void
WaitForSocket(EngineConn *conn, uint32 what)
{
	WaitEvent	event;
	long		timeout = -1;

	if (conn->deadline != 0)
	{
		timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), conn->deadline);
		if (timeout <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling lake query due to timeout"),
					 errhint("The setting shard.query_timeout limits the time of a lake query.")));
	}
	ModifyWaitEvent(conn->wes, conn->wes_socket, what, NULL);
	if (WaitEventSetWait(conn->wes, timeout, &event, 1, PG_WAIT_EXTENSION) == 1 &&
		(event.events & WL_LATCH_SET))
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * The engine has gone in the middle of something.
 */
static void
ConnectionLost(EngineConn *conn)
{
	ConnectionClose(conn);
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("the engine ended while it ran the query"),
			 errhint("The engine restarts by itself; run the statement again. "
					 "The server's log says why it ended.")));
}

/* ---- frames ---- */

/*
 * Send; false if the connection is lost.
 */
static bool
TryFlush(EngineConn *conn)
{
	size_t		sent = 0;

	conn->sending = true;
	while (sent < conn->out.len)
	{
		ssize_t		n = send(conn->fd, conn->out.data + sent, conn->out.len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += n;
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
		{
			/* Should the wait raise an error, half a frame is out: see Cleanup(). */
			WaitForSocket(conn, WL_SOCKET_WRITEABLE);
		}
		else if (errno != EINTR)
			return false;
	}
	conn->out.len = 0;
	conn->sending = false;
	return true;
}

void
ConnectionFlush(EngineConn *conn)
{
	if (!TryFlush(conn))
		ConnectionLost(conn);
}

/*
 * Read up to len bytes; waits for at least one.  0 if the connection is lost.
 */
static size_t
ReceiveSome(EngineConn *conn, char *data, size_t len)
{
	for (;;)
	{
		ssize_t		n = recv(conn->fd, data, len, 0);

		if (n > 0)
			return n;
		if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
			return 0;
		if (errno != EINTR)
			WaitForSocket(conn, WL_SOCKET_READABLE);
	}
}

/*
 * Make room for a payload.  It grows with what has arrived.
 */
static void
ReservePayload(EngineConn *conn, size_t size)
{
	if (size <= conn->payload_allocated)
		return;
	size = Max(size, 2 * conn->payload_allocated);
	size = Max(size, 64 * 1024);
	if (conn->payload == NULL)
		conn->payload = MemoryContextAllocHuge(conn->mcxt, size);
	else
		conn->payload = repalloc_huge(conn->payload, size);
	conn->payload_allocated = size;
}

static void
RaiseFailure(EngineConn *conn)
{
	FrameReader reader = {conn->payload, conn->payload + conn->payload_len};
	char	   *sqlstate = FrameGetString(&reader);
	char	   *message = FrameGetString(&reader);
	char	   *detail = FrameGetString(&reader);
	int			code = ERRCODE_INTERNAL_ERROR;

	if (strlen(sqlstate) == 5 && strspn(sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
		strncmp(sqlstate, "00", 2) != 0)
		code = MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]);
	message = pg_any_to_server(message, strlen(message), PG_UTF8);
	detail = pg_any_to_server(detail, strlen(detail), PG_UTF8);
	ereport(ERROR,
			(errcode(code),
			 errmsg("%s", message),
			 detail[0] != '\0' ? errdetail_internal("%s", detail) : 0,
			 code == ERRCODE_OUT_OF_MEMORY ?
			 errhint("Raise shard.engine_memory_limit, which limits the engine's memory.") : 0));
}

/*
 * Receive one frame, going on where an error has interrupted us; false if the
 * connection is lost.
 */
static bool
TryReceive(EngineConn *conn, FrameType *type)
{
	size_t		n;

	/* The frame before has been read whole: start anew. */
	if (conn->header_used == FRAME_HEADER && conn->payload_used == conn->payload_len)
	{
		conn->header_used = 0;
		conn->payload_used = conn->payload_len = 0;
	}
	while (conn->header_used < FRAME_HEADER)
	{
		n = ReceiveSome(conn, conn->header + conn->header_used, FRAME_HEADER - conn->header_used);
		if (n == 0)
			return false;
		conn->header_used += n;
	}
	if (!FrameParseHeader(conn->header, &conn->payload_len, type))
	{
		ConnectionClose(conn);
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("message from the engine is too long")));
	}
	while (conn->payload_used < conn->payload_len)
	{
		size_t		part = Min(conn->payload_len - conn->payload_used,
							   Max(conn->payload_used, 1024 * 1024));

		ReservePayload(conn, conn->payload_used + part);
		n = ReceiveSome(conn, conn->payload + conn->payload_used, part);
		if (n == 0)
			return false;
		conn->payload_used += n;
	}
	return true;
}

FrameType
ConnectionReceive(EngineConn *conn)
{
	FrameType	type;

	if (!TryReceive(conn, &type))
		ConnectionLost(conn);
	if (type == FRAME_COMPLETE || type == FRAME_FAILURE)
		conn->busy = false;
	if (type == FRAME_FAILURE)
		RaiseFailure(conn);
	return type;
}

/* ---- connecting ---- */

/*
 * The pid that stands for our session: parallel workers share their leader's.
 */
static int
SessionPid(void)
{
	if (MyProc != NULL && MyProc->lockGroupLeader != NULL)
		return MyProc->lockGroupLeader->pid;
	return MyProcPid;
}

/*
 * Introduce ourselves.  False if the engine is ending: a process that was killed
 * still accepts connections for a moment.
 */
static bool
Handshake(EngineConn *conn)
{
	size_t		start = FrameBegin(&conn->out, FRAME_HELLO);
	FrameType	type;

	FramePutU32(&conn->out, FRAME_PROTOCOL);
	FramePutU32(&conn->out, (uint32) SessionPid());
	FrameEnd(&conn->out, start);
	conn->busy = true;
	if (!TryFlush(conn) || !TryReceive(conn, &type))
	{
		ConnectionClose(conn);
		return false;
	}
	conn->busy = false;
	if (type == FRAME_FAILURE)
		RaiseFailure(conn);
	if (type != FRAME_WELCOME)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("unexpected answer from the engine")));
	return true;
}

bool
ConnectionTry(EngineConn *conn, int timeout_ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
	int			pause_ms = 5;

	while (!OpenSocket(conn) || !Handshake(conn))
	{
		if (GetCurrentTimestamp() >= until)
			return false;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause_ms,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		pause_ms = Min(pause_ms * 2, 100);
	}
	return true;
}

void
ConnectionOpen(EngineConn *conn)
{
	if (conn->fd != PGINVALID_SOCKET)
		return;
	if (conn->stateful)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("connection to the engine was lost"),
				 errhint("The engine restarts by itself; run the statement again.")));
	if (!ConnectionTry(conn, CONNECT_TIMEOUT_MS))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("the engine does not answer"),
				 errhint("The server's log says why shard_engine does not start.")));
}

/* ---- pool ---- */

/*
 * Is the engine still at the other end?
 */
static bool
IsAlive(EngineConn *conn)
{
	char		byte;

	return conn->fd != PGINVALID_SOCKET &&
		recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
		(errno == EAGAIN || errno == EWOULDBLOCK);
}

static EngineConn *
TakeIdle(void)
{
	while (!dlist_is_empty(&idle))
	{
		EngineConn *conn = dlist_container(EngineConn, node, dlist_pop_head_node(&idle));

		nidle--;
		if (IsAlive(conn))
			return conn;
		ConnectionDestroy(conn);
	}
	return NULL;
}

static EngineConn *
Acquire(bool kept)
{
	EngineConn *conn;

	RequirePreloaded();
	conn = TakeIdle();
	if (conn == NULL)
		conn = ConnectionCreate();
	conn->kept = kept || !IsTransactionState();
	conn->subid = conn->kept ? InvalidSubTransactionId : GetCurrentSubTransactionId();
	dlist_push_head(&acquired, &conn->node);
	ConnectionOpen(conn);
	return conn;
}

EngineConn *
EngineAcquire(void)
{
	return Acquire(false);
}

EngineConn *
EngineAcquireKept(void)
{
	return Acquire(true);
}

/*
 * Temporary tables die with the connection, so one that may have some is not
 * used again.
 */
void
EngineRelease(EngineConn *conn)
{
	dlist_delete(&conn->node);
	if (conn->busy || conn->stateful || conn->fd == PGINVALID_SOCKET || nidle >= MAX_IDLE)
	{
		ConnectionDestroy(conn);
		return;
	}
	conn->deadline = 0;
	if (conn->payload_allocated > KEEP_BYTES)
	{
		pfree(conn->payload);
		conn->payload = NULL;
		conn->payload_allocated = 0;
		conn->header_used = conn->payload_used = conn->payload_len = 0;
	}
	dlist_push_head(&idle, &conn->node);
	nidle++;
}

bool
EngineIsConnected(EngineConn *conn)
{
	return conn->fd != PGINVALID_SOCKET && (conn->busy || IsAlive(conn));
}

void
EngineSetTimeout(EngineConn *conn, int timeout_ms)
{
	conn->deadline = timeout_ms > 0 ?
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms) : 0;
}

bool
EngineAvailable(int timeout_ms)
{
	EngineConn *conn;
	bool		available;

	if (!ShardPreloaded())
		return false;
	conn = TakeIdle();
	if (conn == NULL)
		conn = ConnectionCreate();
	conn->kept = true;
	conn->subid = InvalidSubTransactionId;
	dlist_push_head(&acquired, &conn->node);
	available = conn->fd != PGINVALID_SOCKET || ConnectionTry(conn, timeout_ms);
	EngineRelease(conn);
	return available;
}

/* ---- ends of transactions ---- */

/*
 * Nobody else releases the connections of a transaction that aborts.
 */
static void
Cleanup(bool is_commit, SubTransactionId subid)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &acquired)
	{
		EngineConn *conn = dlist_container(EngineConn, node, iter.cur);

		if (conn->kept)
		{
			/*
			 * Its owner will find it closed; nothing sensible can follow,
			 * unless all that is out are whole chunks of an append.
			 */
			if (!is_commit && conn->busy && (!conn->appending || conn->sending))
				ConnectionClose(conn);
			continue;
		}
		if (subid != InvalidSubTransactionId && conn->subid != subid)
			continue;
		if (is_commit)
			elog(WARNING, "connection to the engine was not released");
		EngineRelease(conn);
	}
}

static void
AtXactEnd(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_PREPARE:
			Cleanup(true, InvalidSubTransactionId);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			Cleanup(false, InvalidSubTransactionId);
			break;
		default:
			break;
	}
}

static void
AtSubXactEnd(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	dlist_iter	iter;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		Cleanup(false, subid);
	if (event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	dlist_foreach(iter, &acquired)
	{
		EngineConn *conn = dlist_container(EngineConn, node, iter.cur);

		if (!conn->kept && conn->subid == subid)
			conn->subid = parent;
	}
}

void
ConnectionInit(void)
{
	RegisterXactCallback(AtXactEnd, NULL);
	RegisterSubXactCallback(AtSubXactEnd, NULL);
}
