/*
 * wal.c
 *		Finding written pages by reading the WAL.
 *
 * Every record names the blocks that it changes.  Reading the records of a few
 * milliseconds costs far less than looking at each page of a large relation;
 * nothing of their content is decoded.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "base/compat.h"
#include "migration/wal.h"
#include "miscadmin.h"

static int
CompareBlocks(const void *a, const void *b)
{
	BlockNumber x = *(const BlockNumber *) a;
	BlockNumber y = *(const BlockNumber *) b;

	return x < y ? -1 : x > y;
}

static void
AddBlock(WalPages *pages, BlockNumber block)
{
	if (pages->nblocks > 0 && pages->blocks[pages->nblocks - 1] == block)
		return;
	if (pages->nblocks == pages->nallocated)
	{
		pages->nallocated = Max(64, pages->nallocated * 2);
		pages->blocks = pages->blocks == NULL ?
			palloc(sizeof(BlockNumber) * pages->nallocated) :
			repalloc(pages->blocks, sizeof(BlockNumber) * pages->nallocated);
	}
	pages->blocks[pages->nblocks++] = block;
}

static void
SortBlocks(WalPages *pages)
{
	int			kept = 0;

	if (pages->nblocks == 0)
		return;
	qsort(pages->blocks, pages->nblocks, sizeof(BlockNumber), CompareBlocks);
	for (int i = 1; i < pages->nblocks; i++)
		if (pages->blocks[i] != pages->blocks[kept])
			pages->blocks[++kept] = pages->blocks[i];
	pages->nblocks = kept + 1;
}

/*
 * Note the blocks of one record.
 */
static void
NoteRecord(XLogReaderState *reader, WalPages *relations, int nrelations)
{
	for (int id = 0; id <= XLogRecMaxBlockId(reader); id++)
	{
		CompatFileLocator file;
		ForkNumber	fork;
		BlockNumber block;

		if (!XLogRecGetBlockTagExtended(reader, id, &file, &fork, &block, NULL) ||
			fork != MAIN_FORKNUM || FileLocatorDatabase(file) != MyDatabaseId)
			continue;
		for (int i = 0; i < nrelations; i++)
			if (relations[i].filenumber == FileLocatorNumber(file))
				AddBlock(&relations[i], block);
	}
}

static bool
ReadRecords(XLogReaderState *reader, XLogRecPtr from, XLogRecPtr to,
			WalPages *relations, int nrelations)
{
	XLogRecPtr	first = XLogFindNextRecord(reader, from);

	if (XLogRecPtrIsInvalid(first))
		return from >= to;
	while (reader->EndRecPtr < to)
	{
		char	   *error;

		if (XLogReadRecord(reader, &error) == NULL)
			return false;
		NoteRecord(reader, relations, nrelations);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

bool
WalPagesRead(XLogRecPtr from, XLogRecPtr to, WalPages *relations, int nrelations)
{
	ReadLocalXLogPageNoWaitPrivate private = {0};
	XLogReaderState *reader;
	XLogSegNo	segment;
	bool		read;

	XLByteToSeg(from, segment, wal_segment_size);
	if (segment <= XLogGetLastRemovedSegno())
		return false;
	reader = XLogReaderAllocate(wal_segment_size, NULL,
								XL_ROUTINE(.page_read = &read_local_xlog_page_no_wait,
										   .segment_open = &wal_segment_open,
										   .segment_close = &wal_segment_close),
								&private);
	if (reader == NULL)
		return false;
	read = ReadRecords(reader, from, to, relations, nrelations);
	XLogReaderFree(reader);
	for (int i = 0; i < nrelations; i++)
		SortBlocks(&relations[i]);
	return read;
}
