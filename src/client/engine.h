/*
 * engine.h
 *		A backend's or worker's way to the engine: connect, query, append.
 *
 * A connection serves one request at a time.  EngineAcquire() takes one from
 * this process's pool or opens one; on error or abort every connection whose
 * request was not read to its end is closed, which cancels it in the engine.
 * All waits are interruptible: a statement cancel raises the usual error.
 * Errors: 08006 engine not reachable or died in the middle of a request (with a
 * hint), 53000/53200 limits, 57014 cancelled; an engine message that begins with
 * "SQLSTATE:" (five characters and a colon) is raised with that SQLSTATE, every
 * other as XX000 or the class that fits.
 */
#ifndef SHARD_CLIENT_ENGINE_H
#define SHARD_CLIENT_ENGINE_H

#include "postgres.h"
#include "wire/chunk.h"

typedef struct EngineConn EngineConn;
typedef struct EngineResult EngineResult;

/*
 * The position-delete files and deletion vectors that apply to one data file.
 * data_file is what shard_live() gets as filename; delete_files are engine paths,
 * or deletion vectors as engine/deletes.h has them; the rows of the delete files
 * name the data file as data_path, or, if loose_paths, in another form of that
 * (wire/path_key.h).
 * A file may be listed twice (a self-join), but not with different deletes.
 */
typedef struct EngineDeletes
{
	const char *data_file;
	const char *data_path;		/* NULL = data_file */
	bool		loose_paths;
	int			ndelete_files;
	const char **delete_files;
} EngineDeletes;

extern void ClientInit(void);

/* Wait up to timeout_ms for the engine to answer; false if it does not. */
extern bool EngineAvailable(int timeout_ms);

/* Does the engine run no query of anybody just now?  Also true if it does not answer. */
extern bool EngineIsIdle(void);

/*
 * A connection acquired in a transaction is given back at its end at the
 * latest (with a WARNING at commit), one acquired in an aborted subtransaction
 * with that.  Acquired outside a transaction, it lives until it is released.
 */
extern EngineConn *EngineAcquire(void);
extern void EngineRelease(EngineConn *conn);

/* Like EngineAcquire(), but kept over transaction ends; for workers. */
extern EngineConn *EngineAcquireKept(void);

/*
 * False once the connection is lost (the engine ended, or the request before
 * was cut off) and with it its temporary tables.
 */
extern bool EngineIsConnected(EngineConn *conn);

/* From now on, waiting on this connection for longer raises 57014; 0 = no limit. */
extern void EngineSetTimeout(EngineConn *conn, int timeout_ms);

/*
 * Start exactly one SELECT (anything else is refused by the engine).  Inside
 * it shard_live(filename, file_row_number) is true for rows that no file in
 * deletes[] deletes.  Admission control may queue it.  Result in the current
 * memory context.
 */
extern EngineResult *EngineQuery(EngineConn *conn, const char *sql,
								 const EngineDeletes *deletes, int ndeletes);

/*
 * The same, but the result may be one that the engine has kept, within
 * shard.cache_ttl, and is kept if it is not.  The statement may read nothing but
 * files that never change.
 */
extern EngineResult *EngineQueryCached(EngineConn *conn, const char *sql,
									   const EngineDeletes *deletes, int ndeletes);
extern bool EngineResultCached(EngineResult *result);	/* was it kept? */

/*
 * Run any one statement in the trusted session of this connection (temporary
 * tables live as long as the connection).  For the pipeline, migrations and
 * maintenance only: never with text that a user wrote.
 */
extern EngineResult *EngineExecute(EngineConn *conn, const char *sql,
								   const EngineDeletes *deletes, int ndeletes);

/*
 * Columns of types that the wire lacks arrive as the next wider one: small
 * integers as LAKE_INT, UBIGINT as decimal(20,0), HUGEINT as decimal(38,0),
 * INTERVAL, ENUM, BIT and TIMETZ as LAKE_STRING, nested values as LAKE_JSON.
 *
 * Functions of the engine besides DuckDB's and shard_live:
 * shard_key_hash(hash function, key) and shard_key_position(hash function, key),
 * of type UBIGINT, as in router/hash.h.
 */
extern int	EngineResultColumns(EngineResult *result);
extern LakeType EngineResultType(EngineResult *result, int col);
extern const char *EngineResultName(EngineResult *result, int col);

/* Next chunk, valid until the next call; NULL at the end. */
extern WireChunk *EngineFetch(EngineResult *result);
extern void EngineFinish(EngineResult *result); /* reads or cancels the rest */

/* After the end: rows changed or copied; -1 where the statement returns rows. */
extern int64 EngineResultRows(EngineResult *result);

/* Run a statement and throw its rows away; returns rows changed if it says so. */
extern int64 EngineRun(EngineConn *conn, const char *sql);

/*
 * Append chunks to a temporary table of this connection, in column order.  Rows
 * of a table have no order in the engine: not even rowid is that of appending.  The
 * engine takes chunks in while the caller makes the next ones; an error is told
 * at the end.  An append on a kept connection goes on over transaction ends.
 */
extern void EngineAppendBegin(EngineConn *conn, const char *table);
extern void EngineAppend(EngineConn *conn, const WireChunk *chunk);
extern int64 EngineAppendEnd(EngineConn *conn);

/*
 * The name under which the engine may open a file: absolute, without "file:".
 * Below the data directory's shard/ folder and the warehouse everything may be
 * opened; for another directory a link is left in shard/grants, which tells the
 * engine.  A connection that has run EngineExecute() does not learn of it: call
 * this first.  The caller has checked the user's right to the directory.
 */
extern char *EnginePath(const char *path);

/* 'it''s' : a string literal for engine SQL; "a""b" : an identifier. */
extern char *EngineQuoteLiteral(const char *s);
extern char *EngineQuoteIdentifier(const char *s);

#endif							/* SHARD_CLIENT_ENGINE_H */
