/*
 * source.c
 *		Finding the rows of a leaf that are to move, and their changes.
 *
 * What is under the lock of a cut-over must be proportional to what changed,
 * not to the table.  Therefore a leaf is read in full without any lock that
 * hurts, and under the lock only pages are read again that were written in
 * between.  Why that finds every change:
 *
 * - Before a pass, the WAL insert position is noted, then a snapshot taken.
 *   Whatever changes a page later stamps it with a greater LSN.
 * - What changed a page earlier but was not committed for the snapshot is seen
 *   on the page itself, as a tuple in progress or one whose state now differs
 *   from its visibility; such a page is "unsettled" and read again.
 * - So the rows of a page that is neither stamped nor unsettled are the same
 *   for the next snapshot, and after each pass the whole is consistent.
 * - Under ACCESS EXCLUSIVE no writer is in progress: the last pass is final.
 *   Then, instead of looking at the LSN of every page, the caller can give the
 *   pages that the WAL says were written since (wal.c).
 *
 * A relation without WAL (unlogged) has no LSNs: each pass reads all of it.
 *
 * Memory: all that belongs to a Source lives in its own context; a page's work
 * in one that is reset page by page.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "base/compat.h"
#include "migration/rows.h"
#include "migration/source.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

typedef struct SourcePage
{
	BlockNumber block;			/* hash key */
	char		status;			/* for simplehash */
	bool		unsettled;
	uint16		nrows;
	XLogRecPtr	lsn;			/* newer than this is news; 0 = the source's */
	SourceRow  *rows;
} SourcePage;

#define SH_PREFIX pages
#define SH_ELEMENT_TYPE SourcePage
#define SH_KEY_TYPE BlockNumber
#define SH_KEY block
#define SH_HASH_KEY(tb, key) murmurhash32(key)
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "common/hashfn.h"
#include "lib/simplehash.h"

struct Source
{
	Oid			parent;
	Oid			leaf;
	int			shard_index;
	MemoryContext context;
	pages_hash *pages;
	int64		nrows;
	uint64		low,
				high;			/* window, both included */
	bool		complete;		/* read in full once, for this window */
	Oid			filenode;
	bool		has_wal;
	BlockNumber nblocks;		/* at the last pass */
	XLogRecPtr	lsn;			/* before the last pass */
	uint64		focus_low,
				focus_high;
	BlockNumber *focus;			/* pages with rows in focus, unsorted, maybe twice */
	int64		nfocus;
	int64		nfocus_allocated;
};

/* One pass over a leaf. */
typedef struct Pass
{
	MemoryContext context;
	Source	   *source;
	Relation	parent;
	Relation	rel;
	TupleDesc	parent_desc;
	RowMap	   *map;
	KeyReader  *reader;
	KeyMoves   *moves;
	Snapshot	snapshot;
	BufferAccessStrategy strategy;
	MemoryContext page_context;
	StringInfoData scratch;
	Datum	   *values;
	bool	   *nulls;
	uint64		low,
				high;			/* of what is told */
	SourceChange change;
	void	   *arg;
	SourceRow	rows[MaxHeapTuplesPerPage];
	OffsetNumber visible[MaxHeapTuplesPerPage];
} Pass;

uint64
SourceSeed(Oid parent, int owner)
{
	return ((uint64) owner << 32) | parent;
}

Source *
SourceCreate(Oid parent, Oid leaf, int shard_index)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "shard migration source",
												  ALLOCSET_DEFAULT_SIZES);
	Source	   *source = MemoryContextAllocZero(context, sizeof(Source));

	source->parent = parent;
	source->leaf = leaf;
	source->shard_index = shard_index;
	source->context = context;
	source->pages = pages_create(context, 1024, NULL);
	return source;
}

void
SourceFree(Source *source)
{
	MemoryContextDelete(source->context);
}

Oid
SourceLeaf(const Source *source)
{
	return source->leaf;
}

Oid
SourceParent(const Source *source)
{
	return source->parent;
}

int64
SourceRows(const Source *source)
{
	return source->nrows;
}

static void
FocusOn(Source *source, BlockNumber block)
{
	if (source->nfocus == source->nfocus_allocated)
	{
		source->nfocus_allocated = Max(256, source->nfocus_allocated * 2);
		source->focus = source->focus == NULL ?
			MemoryContextAllocHuge(source->context, sizeof(BlockNumber) * source->nfocus_allocated) :
			repalloc_huge(source->focus, sizeof(BlockNumber) * source->nfocus_allocated);
	}
	source->focus[source->nfocus++] = block;
}

static inline bool
IsInFocus(const Source *source, const SourceRow *row)
{
	return row->position >= source->focus_low && row->position <= source->focus_high;
}

static bool
PageIsInFocus(const Source *source, const SourcePage *page)
{
	for (int i = 0; i < page->nrows; i++)
		if (IsInFocus(source, &page->rows[i]))
			return true;
	return false;
}

static void
Clear(Source *source)
{
	pages_iterator it;
	SourcePage *page;

	pages_start_iterate(source->pages, &it);
	while ((page = pages_iterate(source->pages, &it)) != NULL)
		if (page->rows != NULL)
			pfree(page->rows);
	pages_reset(source->pages);
	source->nrows = 0;
	source->nblocks = 0;
	source->nfocus = 0;
	source->complete = false;
}

void
SourceSetWindow(Source *source, uint64 low, uint64 high)
{
	if (source->complete && source->low == low && source->high == high)
		return;
	Clear(source);
	source->low = low;
	source->high = high;
}

/*
 * Offsets of the rows that the snapshot sees on a page, and whether anything
 * on it is in progress.  The caller holds the buffer's share lock.
 */
static int
VisibleRows(Pass *pass, Buffer buffer, BlockNumber block, bool *unsettled)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber last = PageGetMaxOffsetNumber(page);
	int			n = 0;

	*unsettled = false;
	if (PageIsAllVisible(page))
	{
		for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++)
			if (ItemIdIsNormal(PageGetItemId(page, offset)))
				pass->visible[n++] = offset;
		return n;
	}
	for (OffsetNumber offset = FirstOffsetNumber; offset <= last; offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		HeapTupleData tuple;
		bool		visible,
					live;
		TransactionId dead_after = InvalidTransactionId;
		HTSV_Result state;

		if (!ItemIdIsNormal(item))
			continue;
		tuple.t_tableOid = RelationGetRelid(pass->rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple.t_self, block, offset);
		state = HeapTupleSatisfiesVacuumHorizon(&tuple, buffer, &dead_after);
		visible = HeapTupleSatisfiesVisibility(&tuple, pass->snapshot, buffer);
		live = state == HEAPTUPLE_LIVE || state == HEAPTUPLE_DELETE_IN_PROGRESS;
		if (visible)
			pass->visible[n++] = offset;
		if (state == HEAPTUPLE_INSERT_IN_PROGRESS || state == HEAPTUPLE_DELETE_IN_PROGRESS)
		{
			/* what this transaction itself put here is no news to it */
			if (!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple.t_data)))
				*unsettled = true;
		}
		else if (visible != live)
			*unsettled = true;
	}
	return n;
}

/*
 * Does this row move?  If so, fill row.
 */
static bool
RowMoves(Pass *pass, HeapTuple tuple, SourceRow *row)
{
	size_t		len;
	const char *key = KeyReaderText(pass->reader, tuple, RelationGetDescr(pass->rel), &len);
	uint64		position;
	int			before,
				after;

	KeyMovesLookup(pass->moves, key, len, &position, &before, &after);
	if (position < pass->source->low || position > pass->source->high ||
		after == pass->source->shard_index)
		return false;
	RowFromLeaf(pass->map, tuple, RelationGetDescr(pass->rel), pass->values, pass->nulls);
	row->position = position;
	row->owner = after;
	row->offset = ItemPointerGetOffsetNumber(&tuple->t_self);
	row->hash = RowHash(pass->parent_desc, pass->values, pass->nulls,
						SourceSeed(pass->source->parent, after), &pass->scratch);
	return true;
}

static void
Tell(Pass *pass, const SourcePage *page, int sign)
{
	if (pass->change == NULL)
		return;
	for (int i = 0; i < page->nrows; i++)
		if (page->rows[i].position >= pass->low && page->rows[i].position <= pass->high)
			pass->change(pass->arg, pass->source, page->block, &page->rows[i], sign);
}

/*
 * Put what was found on a page in place of what was known of it.
 */
static void
ReplacePage(Pass *pass, BlockNumber block, int nrows, bool unsettled)
{
	Source	   *source = pass->source;
	SourcePage *page = pages_lookup(source->pages, block);
	bool		found;

	if (page != NULL)
	{
		Tell(pass, page, -1);
		source->nrows -= page->nrows;
		if (page->rows != NULL)
			pfree(page->rows);
		if (nrows == 0 && !unsettled)
		{
			pages_delete(source->pages, block);
			return;
		}
	}
	else if (nrows == 0 && !unsettled)
		return;
	else
		page = pages_insert(source->pages, block, &found);
	page->unsettled = unsettled;
	page->lsn = 0;
	page->nrows = nrows;
	page->rows = NULL;
	if (nrows > 0)
	{
		page->rows = MemoryContextAlloc(source->context, sizeof(SourceRow) * nrows);
		memcpy(page->rows, pass->rows, sizeof(SourceRow) * nrows);
	}
	source->nrows += nrows;
	if (PageIsInFocus(source, page))
		FocusOn(source, block);
	Tell(pass, page, 1);
}

/*
 * Read one page whose buffer is pinned and share-locked; both are given up.
 * Tuples stay readable under the pin alone: visible ones cannot be pruned.
 */
static void
ReadPage(Pass *pass, Buffer buffer, BlockNumber block)
{
	bool		unsettled = false;
	int			nvisible = 0,
				nrows = 0;
	Page		page = BufferGetPage(buffer);
	MemoryContext old;

	if (!PageIsNew(page))
		nvisible = VisibleRows(pass, buffer, block, &unsettled);
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);

	old = MemoryContextSwitchTo(pass->page_context);
	for (int i = 0; i < nvisible; i++)
	{
		ItemId		item = PageGetItemId(page, pass->visible[i]);
		HeapTupleData tuple;

		tuple.t_tableOid = RelationGetRelid(pass->rel);
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		ItemPointerSet(&tuple.t_self, block, pass->visible[i]);
		if (RowMoves(pass, &tuple, &pass->rows[nrows]))
			nrows++;
	}
	MemoryContextSwitchTo(old);
	ReleaseBuffer(buffer);
	ReplacePage(pass, block, nrows, unsettled);
	MemoryContextReset(pass->page_context);
}

static bool
IsNews(const Source *source, BlockNumber block, XLogRecPtr lsn)
{
	SourcePage *page;

	if (block >= source->nblocks)
		return true;
	page = pages_lookup(source->pages, block);
	if (page != NULL && page->unsettled)
		return true;
	return lsn > (page != NULL && page->lsn != 0 ? Max(page->lsn, source->lsn) : source->lsn);
}

static Buffer
LockedPage(Pass *pass, BlockNumber block)
{
	Buffer		buffer = ReadBufferExtended(pass->rel, MAIN_FORKNUM, block, RBM_NORMAL,
											pass->strategy);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	return buffer;
}

/*
 * Read the given pages again, and those that were unsettled.
 */
static void
ReadGivenPages(Pass *pass, const BlockNumber *blocks, int nblocks)
{
	Source	   *source = pass->source;
	BlockNumber *unsettled = palloc(sizeof(BlockNumber) * Max(source->pages->members, 1));
	int			nunsettled = 0;
	pages_iterator it;
	SourcePage *page;

	source->nblocks = RelationGetNumberOfBlocks(pass->rel);
	pages_start_iterate(source->pages, &it);
	while ((page = pages_iterate(source->pages, &it)) != NULL)
		if (page->unsettled)
			unsettled[nunsettled++] = page->block;
	for (int i = 0; i < nunsettled; i++)
		ReadPage(pass, LockedPage(pass, unsettled[i]), unsettled[i]);
	for (int i = 0; i < nblocks; i++)
		if (blocks[i] < source->nblocks)
			ReadPage(pass, LockedPage(pass, blocks[i]), blocks[i]);
}

static int64
ReadPages(Pass *pass)
{
	Source	   *source = pass->source;
	BlockNumber nblocks = RelationGetNumberOfBlocks(pass->rel);
	bool		all = !source->complete || !RelationNeedsWAL(pass->rel);
	int64		read = 0;

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer		buffer = LockedPage(pass, block);

		if (all || IsNews(source, block, PageGetLSN(BufferGetPage(buffer))))
		{
			ReadPage(pass, buffer, block);
			read++;
		}
		else
			UnlockReleaseBuffer(buffer);
		if (block % 64 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	source->nblocks = nblocks;
	return read;
}

static void
CheckLeaf(Relation rel)
{
	if (rel->rd_tableam != GetHeapamTableAmRoutine())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rows of \"%s\" cannot be moved: its access method is not heap",
						RelationGetRelationName(rel))));
}

/*
 * Open the leaf and set up a pass over it, in a context of its own.
 */
static Pass *
BeginPass(Source *source, KeyMoves *moves)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "shard migration pass",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Pass	   *pass = palloc0(sizeof(Pass));
	int			natts;

	pass->context = context;
	pass->source = source;
	pass->moves = moves;
	/* in the order in which everybody else locks them */
	pass->parent = table_open(source->parent, AccessShareLock);
	pass->rel = table_open(source->leaf, AccessShareLock);
	CheckLeaf(pass->rel);
	pass->parent_desc = RelationGetDescr(pass->parent);
	pass->map = RowMapCreate(pass->parent_desc, RelationGetDescr(pass->rel));
	pass->reader = KeyReaderCreate(pass->parent, pass->rel);
	pass->strategy = GetAccessStrategy(BAS_BULKREAD);
	pass->page_context = AllocSetContextCreate(context, "shard migration page",
											   ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&pass->scratch);
	natts = pass->parent_desc->natts;
	pass->values = palloc(sizeof(Datum) * Max(natts, 1));
	pass->nulls = palloc(sizeof(bool) * Max(natts, 1));
	MemoryContextSwitchTo(old);
	return pass;
}

static void
EndPass(Pass *pass)
{
	KeyReaderFree(pass->reader);
	FreeAccessStrategy(pass->strategy);
	table_close(pass->parent, NoLock);
	table_close(pass->rel, NoLock);
	MemoryContextDelete(pass->context);
}

int64
SourceRefresh(Source *source, KeyMoves *moves, uint64 low, uint64 high,
			  SourceChange change, void *arg)
{
	Pass	   *pass = BeginPass(source, moves);
	XLogRecPtr	lsn;
	int64		read;

	if (source->filenode != RelationGetFileNumber(pass->rel) ||
		RelationGetNumberOfBlocks(pass->rel) < source->nblocks)
		Clear(source);
	source->filenode = RelationGetFileNumber(pass->rel);
	source->has_wal = RelationNeedsWAL(pass->rel);
	pass->low = low;
	pass->high = high;
	pass->change = change;
	pass->arg = arg;

	lsn = GetXLogInsertRecPtr();
	pass->snapshot = RegisterSnapshot(GetLatestSnapshot());
	read = ReadPages(pass);
	UnregisterSnapshot(pass->snapshot);
	source->lsn = lsn;
	source->complete = true;
	EndPass(pass);
	return read;
}

bool
SourceLastRefresh(const Source *source, Oid *filenumber, BlockNumber *nblocks, XLogRecPtr *lsn)
{
	*filenumber = source->filenode;
	*nblocks = source->nblocks;
	*lsn = source->lsn;
	return source->complete && source->has_wal;
}

void
SourceRefreshPages(Source *source, KeyMoves *moves, uint64 low, uint64 high,
				   SourceChange change, void *arg,
				   const BlockNumber *blocks, int nblocks, XLogRecPtr lsn)
{
	Pass	   *pass = BeginPass(source, moves);

	pass->low = low;
	pass->high = high;
	pass->change = change;
	pass->arg = arg;
	pass->snapshot = RegisterSnapshot(GetLatestSnapshot());
	ReadGivenPages(pass, blocks, nblocks);
	UnregisterSnapshot(pass->snapshot);
	source->lsn = lsn;
	EndPass(pass);
}

static int
CompareBlocks(const void *a, const void *b)
{
	BlockNumber x = *(const BlockNumber *) a;
	BlockNumber y = *(const BlockNumber *) b;

	return x < y ? -1 : x > y;
}

void
SourceFocus(Source *source, uint64 low, uint64 high)
{
	pages_iterator it;
	SourcePage *page;

	source->focus_low = low;
	source->focus_high = high;
	source->nfocus = 0;
	pages_start_iterate(source->pages, &it);
	while ((page = pages_iterate(source->pages, &it)) != NULL)
		if (PageIsInFocus(source, page))
			FocusOn(source, page->block);
}

/*
 * Put the pages in focus in order, each once.
 */
static void
SortFocus(Source *source)
{
	int64		kept = 0;

	if (source->nfocus == 0)
		return;
	qsort(source->focus, source->nfocus, sizeof(BlockNumber), CompareBlocks);
	for (int64 i = 1; i < source->nfocus; i++)
		if (source->focus[i] != source->focus[kept])
			source->focus[++kept] = source->focus[i];
	source->nfocus = kept + 1;
}

void
SourceForEach(Source *source, SourceChange change, void *arg)
{
	SortFocus(source);
	for (int64 i = 0; i < source->nfocus; i++)
	{
		SourcePage *page = pages_lookup(source->pages, source->focus[i]);

		for (int j = 0; page != NULL && j < page->nrows; j++)
			if (IsInFocus(source, &page->rows[j]))
				change(arg, source, page->block, &page->rows[j], 1);
	}
}

/*
 * Drop the rows in focus from a page; true if there were any.
 */
static bool
DropRows(Source *source, SourcePage *page)
{
	int			kept = 0;

	for (int i = 0; i < page->nrows; i++)
		if (!IsInFocus(source, &page->rows[i]))
			page->rows[kept++] = page->rows[i];
	if (kept == page->nrows)
		return false;
	source->nrows -= page->nrows - kept;
	page->nrows = kept;
	return true;
}

void
SourceForget(Source *source)
{
	Relation	rel = table_open(source->leaf, NoLock);

	SortFocus(source);
	for (int64 i = 0; i < source->nfocus; i++)
	{
		SourcePage *page = pages_lookup(source->pages, source->focus[i]);
		Buffer		buffer;

		if (page == NULL || !DropRows(source, page))
			continue;
		buffer = ReadBuffer(rel, page->block);
		page->lsn = PageGetLSN(BufferGetPage(buffer));
		ReleaseBuffer(buffer);
	}
	source->nfocus = 0;
	table_close(rel, NoLock);
}
