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
	BlockNumber nblocks;		/* at the last pass */
	XLogRecPtr	lsn;			/* before the last pass */
};

/* One pass over a leaf. */
typedef struct Pass
{
	Source	   *source;
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

static int64
ReadPages(Pass *pass)
{
	Source	   *source = pass->source;
	BlockNumber nblocks = RelationGetNumberOfBlocks(pass->rel);
	bool		all = !source->complete || !RelationNeedsWAL(pass->rel);
	int64		read = 0;

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer		buffer = ReadBufferExtended(pass->rel, MAIN_FORKNUM, block, RBM_NORMAL,
												pass->strategy);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
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

int64
SourceRefresh(Source *source, KeyMoves *moves, uint64 low, uint64 high,
			  SourceChange change, void *arg)
{
	Relation	rel = table_open(source->leaf, AccessShareLock);
	Relation	parent = table_open(source->parent, AccessShareLock);
	MemoryContext pass_context = AllocSetContextCreate(CurrentMemoryContext, "shard migration pass",
													   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(pass_context);
	Pass	   *pass = palloc0(sizeof(Pass));
	XLogRecPtr	lsn;
	int64		read;
	int			natts = RelationGetDescr(parent)->natts;

	CheckLeaf(rel);
	if (source->filenode != RelationGetFileNumber(rel) || RelationGetNumberOfBlocks(rel) < source->nblocks)
		Clear(source);
	source->filenode = RelationGetFileNumber(rel);

	pass->source = source;
	pass->rel = rel;
	pass->parent_desc = RelationGetDescr(parent);
	pass->map = RowMapCreate(RelationGetDescr(parent), RelationGetDescr(rel));
	pass->reader = KeyReaderCreate(parent, rel);
	pass->moves = moves;
	pass->strategy = GetAccessStrategy(BAS_BULKREAD);
	pass->page_context = AllocSetContextCreate(pass_context, "shard migration page",
											   ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&pass->scratch);
	pass->values = palloc(sizeof(Datum) * natts);
	pass->nulls = palloc(sizeof(bool) * natts);
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

	KeyReaderFree(pass->reader);
	FreeAccessStrategy(pass->strategy);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(pass_context);
	table_close(parent, NoLock);
	table_close(rel, NoLock);
	return read;
}

static int
ComparePages(const void *a, const void *b)
{
	BlockNumber x = (*(SourcePage *const *) a)->block;
	BlockNumber y = (*(SourcePage *const *) b)->block;

	return x < y ? -1 : x > y;
}

/*
 * The pages known, sorted; palloc'd.
 */
static SourcePage **
SortedPages(Source *source, int *n)
{
	SourcePage **sorted = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(SourcePage *) * Max(source->pages->members, 1));
	pages_iterator it;
	SourcePage *page;

	*n = 0;
	pages_start_iterate(source->pages, &it);
	while ((page = pages_iterate(source->pages, &it)) != NULL)
		sorted[(*n)++] = page;
	qsort(sorted, *n, sizeof(SourcePage *), ComparePages);
	return sorted;
}

void
SourceForEach(Source *source, uint64 low, uint64 high, SourceChange change, void *arg)
{
	int			n;
	SourcePage **sorted = SortedPages(source, &n);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < sorted[i]->nrows; j++)
			if (sorted[i]->rows[j].position >= low && sorted[i]->rows[j].position <= high)
				change(arg, source, sorted[i]->block, &sorted[i]->rows[j], 1);
	pfree(sorted);
}

/*
 * Drop the rows of an interval from a page; true if there were any.
 */
static bool
DropRows(Source *source, SourcePage *page, uint64 low, uint64 high)
{
	int			kept = 0;

	for (int i = 0; i < page->nrows; i++)
		if (page->rows[i].position < low || page->rows[i].position > high)
			page->rows[kept++] = page->rows[i];
	if (kept == page->nrows)
		return false;
	source->nrows -= page->nrows - kept;
	page->nrows = kept;
	return true;
}

void
SourceForget(Source *source, uint64 low, uint64 high)
{
	Relation	rel = table_open(source->leaf, NoLock);
	int			n;
	SourcePage **sorted = SortedPages(source, &n);

	for (int i = 0; i < n; i++)
	{
		Buffer		buffer;

		if (!DropRows(source, sorted[i], low, high))
			continue;
		buffer = ReadBuffer(rel, sorted[i]->block);
		sorted[i]->lsn = PageGetLSN(BufferGetPage(buffer));
		ReleaseBuffer(buffer);
	}
	pfree(sorted);
	table_close(rel, NoLock);
}
