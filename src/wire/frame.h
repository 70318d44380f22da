/*
 * frame.h
 *		What travels on the socket between a backend and the engine.
 *
 * A frame is uint32 length of the payload, uint8 type, payload.  The backend
 * opens with HELLO and then sends one request after the other; each is answered
 * by frames that end with COMPLETE or FAILURE.  Both sides check every length.
 */
#ifndef SHARD_WIRE_FRAME_H
#define SHARD_WIRE_FRAME_H

#include "base/portable.h"

#define FRAME_PROTOCOL	0x53480002	/* changes when the frames do */
#define FRAME_HEADER	5
#define FRAME_MAX		((size_t) INT32_MAX)

/* The socket, below the data directory, which is every process's directory. */
#define ENGINE_SOCKET	"shard/engine.sock"
#define ENGINE_PIDFILE	"shard/engine.pid"
#define ENGINE_TMP		"shard/tmp"
#define ENGINE_GRANTS	"shard/grants"

typedef enum FrameType
{
	/* requests */
	FRAME_HELLO = 'H',			/* uint32 protocol, uint32 pid of the session */
	FRAME_QUERY = 'Q',			/* deletes, string sql: exactly one SELECT, see ENGINE_FALSE */
	FRAME_CACHED_QUERY = 'K',	/* int64 ttl in ms, uint32 results, int64 bytes; then as QUERY */
	FRAME_EXECUTE = 'X',		/* the same, any one statement */
	FRAME_APPEND = 'A',			/* string table; then CHUNKs, then APPEND_END */
	FRAME_APPEND_END = 'E',		/* nothing */
	FRAME_STATUS = 'S',			/* nothing; answered by STATE */

	/* both ways */
	FRAME_CHUNK = 'C',			/* an encoded chunk */

	/* answers */
	FRAME_WELCOME = 'W',		/* uint32 protocol, uint32 pid of the engine */
	FRAME_DESCRIBE = 'D',		/* uint32 n; n * (uint8 kind, precision, scale, string name) */
	FRAME_CACHED_DESCRIBE = 'd', /* the same, of a result from the cache */
	FRAME_COMPLETE = 'Z',		/* int64 rows changed or appended, -1 = not counted */
	FRAME_FAILURE = 'F',		/* string sqlstate, message, detail */
	FRAME_STATE = 'T'			/* see EngineState */
} FrameType;

/*
 * The parameter that a SELECT may have, whose value is false.  DuckDB does not keep
 * plans that read files, and plans a statement once when it is prepared and again
 * when it starts.  A parameter among the options of read_parquet() ends the first
 * planning there and then.
 */
#define ENGINE_FALSE	"$1"

/*
 * Deletes in QUERY and EXECUTE: uint32 n; n * (string data file, string path in
 * delete files, uint32 m, m * string delete file).
 */

/* What STATE holds: int64 each, in this order, then string version. */
typedef struct EngineState
{
	int64		pid;
	int64		uptime_ms;
	int64		connections;
	int64		running;		/* queries, admitted */
	int64		queued;			/* queries, waiting for admission */
	int64		max_queries;
	int64		threads;
	int64		memory_used;	/* bytes */
	int64		memory_limit;
	int64		spilled;		/* bytes in temporary files */
	int64		caches;			/* bytes in the caches of deletes and of results */
	int64		generation;		/* of the database instance: limits, grants */
} EngineState;

#define ENGINE_STATE_FIELDS ((int) (sizeof(EngineState) / sizeof(int64)))

/* Frames to send, one after the other. */
typedef struct FrameBuffer
{
	char	   *data;
	size_t		len;
	size_t		allocated;
} FrameBuffer;

extern void FrameBufferReserve(FrameBuffer *buf, size_t more);
extern size_t FrameBegin(FrameBuffer *buf, FrameType type); /* returns its start */
extern void FrameEnd(FrameBuffer *buf, size_t start);
extern void FramePutU8(FrameBuffer *buf, uint8 value);
extern void FramePutU32(FrameBuffer *buf, uint32 value);
extern void FramePutI64(FrameBuffer *buf, int64 value);
extern void FramePutString(FrameBuffer *buf, const char *s, size_t len);

/* Payload of a received frame; reading past its end fails (FAIL_CORRUPT). */
typedef struct FrameReader
{
	const char *p;
	const char *end;
} FrameReader;

extern uint8 FrameGetU8(FrameReader *reader);
extern uint32 FrameGetU32(FrameReader *reader);
extern int64 FrameGetI64(FrameReader *reader);
extern char *FrameGetString(FrameReader *reader);	/* a copy; no NUL inside */
extern void FrameExpectEnd(FrameReader *reader);

/*
 * A count of items that take at least min_size bytes each: refuses one that the
 * payload cannot hold, before anything is allocated.
 */
extern uint32 FrameGetCount(FrameReader *reader, size_t min_size);

/* Length and type of a received header; false if the length is beyond reason. */
extern bool FrameParseHeader(const char *header, size_t *len, FrameType *type);

#endif							/* SHARD_WIRE_FRAME_H */
