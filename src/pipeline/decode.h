/*
 * decode.h
 *		The replication slot of this database and reading the WAL through it.
 */
#ifndef SHARD_PIPELINE_DECODE_H
#define SHARD_PIPELINE_DECODE_H

#include "postgres.h"
#include "access/xlogdefs.h"

typedef enum SlotState
{
	SLOT_MISSING,
	SLOT_LOST,					/* its WAL is gone */
	SLOT_FOREIGN,				/* of that name, but not ours */
	SLOT_USABLE
} SlotState;

/* "shard_<oid>", in a buffer of NAMEDATALEN. */
extern void SlotName(Oid database, char *name);

/* Look at the slot of this database. */
extern SlotState SlotLook(XLogRecPtr *confirmed);

/*
 * Is this database's slot there to stay?  Then all that is written from now on
 * will be seen, whether the worker runs or not.  For any process.
 */
extern bool SlotIsKept(void);

extern void SlotAcquire(void);
extern void SlotDrop(void);		/* this database's, if it is there */

/*
 * Make the slot; it stays acquired and vanishes with this process until
 * SlotKeep().  Waits for running transactions.  Returns the position from
 * which on every commit will be decoded.
 */
extern XLogRecPtr SlotMake(void);
extern void SlotKeep(void);

/* Start decoding commits at or after a position, through the acquired slot. */
extern void DecodeBegin(XLogRecPtr start);

/* Decode one WAL record; false if there is none yet. */
extern bool DecodeNext(void);

/* Everything before this has been decoded. */
extern XLogRecPtr DecodePosition(void);

/* Tell the slot that everything before lsn is safe. */
extern void DecodeConfirm(XLogRecPtr lsn);

#endif							/* SHARD_PIPELINE_DECODE_H */
