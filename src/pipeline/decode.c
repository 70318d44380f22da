/*
 * decode.c
 *		Logical decoding inside the worker.
 *
 * One decoding context lives as long as the process.  It is made inside a
 * transaction: outside of one the server would take this process for a
 * walsender and let vacuum ignore its snapshots.  Records are decoded outside
 * of transactions; each decoded transaction starts and ends one of its own.
 *
 * WAL is read from the local files up to the position that has been flushed.
 * At its end a read reports "would block" and is tried again later, so that
 * the worker can flush, confirm or stop in between; only while a new slot
 * looks for its starting point does a read wait.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "base/compat.h"
#include "base/worker.h"
#include "miscadmin.h"
#include "pipeline/decode.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/slot.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

static LogicalDecodingContext *decoding = NULL;
static bool waiting_reads = false;

void
SlotName(Oid database, char *name)
{
	snprintf(name, NAMEDATALEN, "shard_%u", database);
}

SlotState
SlotLook(XLogRecPtr *confirmed)
{
	char		name[NAMEDATALEN];
	ReplicationSlot *slot;
	SlotState	state = SLOT_USABLE;

	*confirmed = InvalidXLogRecPtr;
	SlotName(MyDatabaseId, name);
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	slot = SearchNamedReplicationSlot(name, false);
	if (slot == NULL)
		state = SLOT_MISSING;
	else
	{
		SpinLockAcquire(&slot->mutex);
		if (slot->data.database != MyDatabaseId ||
			strcmp(NameStr(slot->data.plugin), "shard") != 0)
			state = SLOT_FOREIGN;
		else if (SlotIsInvalidated(slot) || XLogRecPtrIsInvalid(slot->data.restart_lsn))
			state = SLOT_LOST;
		*confirmed = slot->data.confirmed_flush;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(ReplicationSlotControlLock);
	return state;
}

bool
SlotIsKept(void)
{
	char		name[NAMEDATALEN];
	ReplicationSlot *slot;
	XLogRecPtr	confirmed;
	bool		kept;

	if (SlotLook(&confirmed) != SLOT_USABLE)
		return false;
	SlotName(MyDatabaseId, name);
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	slot = SearchNamedReplicationSlot(name, false);
	kept = slot != NULL && slot->data.persistency == RS_PERSISTENT;
	LWLockRelease(ReplicationSlotControlLock);
	return kept;
}

void
SlotAcquire(void)
{
	char		name[NAMEDATALEN];

	SlotName(MyDatabaseId, name);
	AcquireSlot(name);
}

void
SlotDrop(void)
{
	char		name[NAMEDATALEN];
	XLogRecPtr	confirmed;
	SlotState	state = SlotLook(&confirmed);

	if (state == SLOT_MISSING || state == SLOT_FOREIGN)
		return;
	SlotName(MyDatabaseId, name);
	ReplicationSlotDrop(name, false);
}

/*
 * Read a page of WAL as far as it has been flushed.
 */
static int
ReadPage(XLogReaderState *reader, XLogRecPtr page, int needed, XLogRecPtr target, char *buffer)
{
	TimeLineID	timeline;
	XLogRecPtr	end;
	WALReadError error;
	int			count;

	for (;;)
	{
		end = GetFlushRecPtr(&timeline);
		if (page + needed <= end)
			break;
		if (!waiting_reads)
			return XLREAD_WOULDBLOCK;
		WorkerWait(20);
	}
	count = end - page >= XLOG_BLCKSZ ? XLOG_BLCKSZ : (int) (end - page);
	XLogReadDetermineTimeline(reader, page, needed, timeline);
	if (!WALRead(reader, buffer, page, XLOG_BLCKSZ, reader->currTLI, &error))
		WALReadRaiseError(&error);
	return count;
}

static void
PrepareWrite(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write)
{
	elog(ERROR, "the plugin writes no output");
}

#define READER XL_ROUTINE(.page_read = ReadPage, \
						  .segment_open = wal_segment_open, \
						  .segment_close = wal_segment_close)

XLogRecPtr
SlotMake(void)
{
	char		name[NAMEDATALEN];
	LogicalDecodingContext *ctx;

	SlotName(MyDatabaseId, name);
	StartTransactionCommand();
	CheckLogicalDecodingRequirements();
	CreateEphemeralSlot(name);
	ctx = CreateInitDecodingContext("shard", NIL, false, InvalidXLogRecPtr, READER,
									PrepareWrite, PrepareWrite, NULL);
	waiting_reads = true;
	DecodingContextFindStartpoint(ctx);
	waiting_reads = false;
	FreeDecodingContext(ctx);
	CommitTransactionCommand();
	return MyReplicationSlot->data.confirmed_flush;
}

void
SlotKeep(void)
{
	ReplicationSlotPersist();
}

void
DecodeBegin(XLogRecPtr start)
{
	MemoryContext old;

	if (XLogRecPtrIsInvalid(MyReplicationSlot->data.restart_lsn))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("replication slot \"%s\" has lost its WAL",
						NameStr(MyReplicationSlot->data.name))));
	StartTransactionCommand();
	old = MemoryContextSwitchTo(TopMemoryContext);
	decoding = CreateDecodingContext(start, NIL, false, READER, PrepareWrite, PrepareWrite, NULL);
	MemoryContextSwitchTo(old);
	CommitTransactionCommand();
	XLogBeginRead(decoding->reader, MyReplicationSlot->data.restart_lsn);
}

bool
DecodeNext(void)
{
	char	   *error = NULL;
	XLogRecord *record = XLogReadRecord(decoding->reader, &error);

	if (error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read WAL at %X/%X: %s",
						LSN_FORMAT_ARGS(decoding->reader->EndRecPtr), error)));
	if (record == NULL)
		return false;
	LogicalDecodingProcessRecord(decoding, decoding->reader);
	return true;
}

XLogRecPtr
DecodePosition(void)
{
	return decoding->reader->EndRecPtr;
}

void
DecodeConfirm(XLogRecPtr lsn)
{
	LogicalConfirmReceivedLocation(lsn);
}
