/*
 * connection.h
 *		Sockets to the engine, and this process's pool of them.
 */
#ifndef SHARD_CLIENT_CONNECTION_H
#define SHARD_CLIENT_CONNECTION_H

#include "postgres.h"
#include "client/engine.h"
#include "lib/ilist.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "wire/frame.h"

struct EngineConn
{
	dlist_node	node;			/* in the list of acquired or of idle ones */
	MemoryContext mcxt;			/* holds all of this */
	pgsocket	fd;				/* PGINVALID_SOCKET when closed */
	WaitEventSet *wes;
	int			wes_socket;		/* position in wes */

	bool		kept;			/* over transaction ends */
	SubTransactionId subid;		/* that acquired it */
	bool		stateful;		/* may own temporary tables */
	bool		busy;			/* frames of a request are outstanding */
	bool		appending;		/* between the chunks of an append */
	bool		sending;		/* a frame may be out in part */
	TimestampTz deadline;		/* 0 = none */

	/* The frame being received; survives an error in the middle. */
	char		header[FRAME_HEADER];
	size_t		header_used;
	char	   *payload;
	size_t		payload_len;
	size_t		payload_used;
	size_t		payload_allocated;

	FrameBuffer out;
};

extern void ConnectionInit(void);

/* Open the socket if it is closed, waiting for the engine for a bounded time. */
extern void ConnectionOpen(EngineConn *conn);
extern void ConnectionClose(EngineConn *conn);

/* The same without an error; false if there is no answer within the time. */
extern bool ConnectionTry(EngineConn *conn, int timeout_ms);

extern EngineConn *ConnectionCreate(void);
extern void ConnectionDestroy(EngineConn *conn);

/* Send all that is in conn->out. */
extern void ConnectionFlush(EngineConn *conn);

/*
 * Receive one frame into conn->payload, which stays valid until the next call.
 * Raises what a FAILURE says, and 08006 if the connection breaks off.
 */
extern FrameType ConnectionReceive(EngineConn *conn);

#endif							/* SHARD_CLIENT_CONNECTION_H */
