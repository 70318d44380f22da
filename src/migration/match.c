/*
 * match.c
 *		Making the target of a batch equal to its source.
 *
 * Rows are known by the hash of table, destination and content, so that no
 * primary key is needed and nothing depends on where a row of the target came
 * from (lake or source).  For each hash it is counted how often it stands on
 * either side: what the target has too often is deleted, what it lacks is
 * copied from the source.  Deletes come first, for the sake of unique indexes.
 *
 * What was written is read back from the target and hashed again; only those
 * hashes enter the target's checksum.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "executor/tuptable.h"
#include "migration/match.h"
#include "migration/progress.h"
#include "migration/rows.h"
#include "miscadmin.h"
#include "table/table.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define NO_ROW UINT32_MAX

typedef struct Balance
{
	uint64		hash;			/* hash key */
	char		status;			/* for simplehash */
	bool		touched;
	int32		source;			/* how often in the source */
	int32		target;
	uint32		head;			/* its rows in the target, a chain */
} Balance;

#define SH_PREFIX balances
#define SH_ELEMENT_TYPE Balance
#define SH_KEY_TYPE uint64
#define SH_KEY hash
#define SH_HASH_KEY(tb, key) ((uint32) ((key) ^ ((key) >> 32)))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct TargetRow
{
	uint64		hash;
	uint32		next;
	ItemPointerData tid;
	uint16		target;			/* index of the Target */
} TargetRow;

/* A leaf that rows are written to. */
typedef struct Target
{
	Oid			parent;
	Oid			leaf;
	int			shard_index;
	Relation	parent_rel;		/* NULL unless open */
	Relation	rel;
	RowMap	   *map;
	RowWriter  *writer;
	TupleTableSlot *slot;
} Target;

typedef struct Arrival
{
	Source	   *source;
	uint64		hash;
	BlockNumber block;
	OffsetNumber offset;
	uint16		owner;
} Arrival;

struct Match
{
	MemoryContext context;
	MemoryContext row_context;
	KeyMoves   *moves;
	balances_hash *balances;
	int64		source_rows;
	int64		assumed_rows;	/* of these: in no source */
	uint64		source_sum;
	int64		target_rows;
	uint64		target_sum;		/* of what was read back */
	TargetRow  *rows;			/* every row ever written; deleted ones are in no chain */
	uint32		nrows;
	uint32		nrows_allocated;
	uint32		nverified;
	uint32		mark;			/* of MatchMark() */
	uint64	   *touched;
	int64		ntouched;
	int64		ntouched_allocated;
	Arrival    *arrivals;
	int64		narrivals;
	int64		narrivals_allocated;
	List	   *targets;		/* of Target * */
	StringInfoData scratch;
};

Match *
MatchCreate(KeyMoves *moves)
{
	Match	   *match = palloc0(sizeof(Match));

	match->context = CurrentMemoryContext;
	match->row_context = AllocSetContextCreate(CurrentMemoryContext, "shard migration row",
											   ALLOCSET_DEFAULT_SIZES);
	match->moves = moves;
	match->balances = balances_create(CurrentMemoryContext, 1024, NULL);
	initStringInfo(&match->scratch);
	return match;
}

/*
 * Room for one more element in an array that may grow beyond 1 GB.
 */
static void *
Grow(Match *match, void *array, int64 used, int64 *allocated, Size element)
{
	if (used < *allocated)
		return array;
	*allocated = Max(1024, *allocated * 2);
	if (array == NULL)
		return MemoryContextAllocHuge(match->context, *allocated * element);
	return repalloc_huge(array, *allocated * element);
}

static Balance *
BalanceOf(Match *match, uint64 hash)
{
	bool		found;
	Balance    *balance = balances_insert(match->balances, hash, &found);

	if (!found)
	{
		balance->touched = false;
		balance->source = 0;
		balance->target = 0;
		balance->head = NO_ROW;
	}
	return balance;
}

static void
Touch(Match *match, Balance *balance)
{
	if (balance->touched)
		return;
	balance->touched = true;
	match->touched = Grow(match, match->touched, match->ntouched,
						  &match->ntouched_allocated, sizeof(uint64));
	match->touched[match->ntouched++] = balance->hash;
}

void
MatchSourceChange(void *arg, Source *source, BlockNumber block, const SourceRow *row, int sign)
{
	Match	   *match = arg;
	Balance    *balance = BalanceOf(match, row->hash);

	balance->source += sign;
	match->source_rows += sign;
	match->source_sum += sign > 0 ? row->hash : -row->hash;
	Touch(match, balance);
	if (sign < 0)
		return;
	match->arrivals = Grow(match, match->arrivals, match->narrivals,
						   &match->narrivals_allocated, sizeof(Arrival));
	match->arrivals[match->narrivals++] = (Arrival) {
		.source = source, .hash = row->hash, .block = block,
		.offset = row->offset, .owner = row->owner
	};
}

/*
 * The target for rows of a table that go to a shard, open for writing.
 */
static Target *
TargetFor(Match *match, Oid parent, int shard_index, int *index)
{
	Target	   *target = NULL;
	MemoryContext old;

	for (*index = 0; *index < list_length(match->targets); (*index)++)
	{
		target = list_nth(match->targets, *index);
		if (target->parent == parent && target->shard_index == shard_index)
			break;
		target = NULL;
	}
	old = MemoryContextSwitchTo(match->context);
	if (target == NULL)
	{
		target = palloc0(sizeof(Target));
		target->parent = parent;
		target->shard_index = shard_index;
		target->leaf = CatalogLeaf(parent, shard_index);
		if (!OidIsValid(target->leaf))
			elog(ERROR, "table with OID %u has no partition for shard %d", parent, shard_index);
		match->targets = lappend(match->targets, target);
	}
	if (target->rel == NULL)
	{
		target->parent_rel = table_open(target->parent, AccessShareLock);
		target->rel = table_open(target->leaf, RowExclusiveLock);
		target->map = RowMapCreate(RelationGetDescr(target->parent_rel),
								   RelationGetDescr(target->rel));
		target->slot = table_slot_create(target->rel, NULL);
	}
	MemoryContextSwitchTo(old);
	return target;
}

static RowWriter *
WriterOf(Match *match, Target *target)
{
	MemoryContext old;

	if (target->writer == NULL)
	{
		old = MemoryContextSwitchTo(match->context);
		target->writer = RowWriterBegin(target->rel);
		MemoryContextSwitchTo(old);
	}
	return target->writer;
}

void
MatchInsert(Match *match, Oid parent, int owner, const Datum *values, const bool *nulls,
			uint64 hash)
{
	int			index;
	Target	   *target = TargetFor(match, parent, owner, &index);
	RowWriter  *writer = WriterOf(match, target);
	Balance    *balance;
	TargetRow  *row;
	int64		allocated = match->nrows_allocated;

	if (match->nrows == NO_ROW)
		elog(ERROR, "too many rows in one batch");
	match->rows = Grow(match, match->rows, match->nrows, &allocated, sizeof(TargetRow));
	match->nrows_allocated = allocated;
	row = &match->rows[match->nrows];

	RowToLeaf(target->map, values, nulls);
	row->tid = RowWriterInsert(writer, target->map->leaf_values, target->map->leaf_nulls);

	balance = BalanceOf(match, hash);
	row->hash = hash;
	row->target = index;
	row->next = balance->head;
	balance->head = match->nrows++;
	balance->target++;
	match->target_rows++;
	Touch(match, balance);
}

void
MatchAssume(Match *match, uint64 hash)
{
	BalanceOf(match, hash)->source++;
	match->source_rows++;
	match->source_sum += hash;
	match->assumed_rows++;
}

int64
MatchAssumedRows(const Match *match)
{
	return match->assumed_rows;
}

int64
MatchSourceRows(const Match *match)
{
	return match->source_rows;
}

void
MatchMark(Match *match)
{
	MatchRelease(match);
	match->mark = match->nrows;
}

void
MatchForgetSinceMark(Match *match)
{
	ListCell   *lc;

	foreach(lc, match->targets)
	{
		Target	   *target = lfirst(lc);

		/* the subtransaction's resource owner has closed the relations */
		target->writer = NULL;
		target->rel = target->parent_rel = NULL;
	}
	/* a chain begins with the row that came last */
	while (match->nrows > match->mark)
	{
		TargetRow  *row = &match->rows[--match->nrows];
		Balance    *balance = balances_lookup(match->balances, row->hash);

		balance->head = row->next;
		balance->target--;
		match->target_rows--;
	}
}

void
MatchRelease(Match *match)
{
	ListCell   *lc;

	foreach(lc, match->targets)
	{
		Target	   *target = lfirst(lc);

		if (target->writer != NULL)
			RowWriterEnd(target->writer);
		target->writer = NULL;
		if (target->rel != NULL)
		{
			ExecDropSingleTupleTableSlot(target->slot);
			table_close(target->rel, NoLock);
			table_close(target->parent_rel, NoLock);
		}
		target->rel = target->parent_rel = NULL;
	}
}

static int64
DeleteSurplus(Match *match)
{
	int64		n = 0;

	for (int64 i = 0; i < match->ntouched; i++)
	{
		Balance    *balance = balances_lookup(match->balances, match->touched[i]);

		balance->touched = false;
		while (balance->target > balance->source)
		{
			TargetRow  *row = &match->rows[balance->head];
			Target	   *target = list_nth(match->targets, row->target);
			int			index;

			(void) TargetFor(match, target->parent, target->shard_index, &index);
			RowWriterDelete(WriterOf(match, target), &row->tid);
			balance->head = row->next;
			balance->target--;
			match->target_rows--;
			match->target_sum -= row->hash;
			n++;
		}
	}
	match->ntouched = 0;
	return n;
}

/* The leaf that arrivals are being read from. */
typedef struct Reading
{
	Source	   *source;
	Relation	parent;
	Relation	rel;
	RowMap	   *map;
	TupleTableSlot *slot;
	Datum	   *values;
	bool	   *nulls;
} Reading;

static void
CloseReading(Reading *reading)
{
	if (reading->source == NULL)
		return;
	ExecDropSingleTupleTableSlot(reading->slot);
	table_close(reading->rel, NoLock);
	table_close(reading->parent, NoLock);
	reading->source = NULL;
}

static void
OpenReading(Reading *reading, Source *source)
{
	int			natts;

	if (reading->source == source)
		return;
	CloseReading(reading);
	reading->source = source;
	reading->parent = table_open(SourceParent(source), AccessShareLock);
	reading->rel = table_open(SourceLeaf(source), AccessShareLock);
	reading->map = RowMapCreate(RelationGetDescr(reading->parent), RelationGetDescr(reading->rel));
	reading->slot = MakeSingleTupleTableSlot(RelationGetDescr(reading->rel), &TTSOpsBufferHeapTuple);
	natts = RelationGetDescr(reading->parent)->natts;
	reading->values = palloc(sizeof(Datum) * Max(natts, 1));
	reading->nulls = palloc(sizeof(bool) * Max(natts, 1));
}

/*
 * Copy one row of the source.  It stands where it stood: this transaction's
 * snapshot keeps what the pass saw from being removed.
 */
static void
CopyArrival(Match *match, Reading *reading, const Arrival *arrival)
{
	ItemPointerData tid;
	HeapTuple	tuple;

	OpenReading(reading, arrival->source);
	ItemPointerSet(&tid, arrival->block, arrival->offset);
	if (!table_tuple_fetch_row_version(reading->rel, &tid, SnapshotAny, reading->slot))
		elog(ERROR, "row (%u,%u) of \"%s\" has disappeared", arrival->block, arrival->offset,
			 RelationGetRelationName(reading->rel));
	tuple = ExecFetchSlotHeapTuple(reading->slot, false, NULL);
	RowFromLeaf(reading->map, tuple, RelationGetDescr(reading->rel),
				reading->values, reading->nulls);
	MatchInsert(match, SourceParent(arrival->source), arrival->owner,
				reading->values, reading->nulls, arrival->hash);
	ExecClearTuple(reading->slot);
}

static int64
InsertMissing(Match *match)
{
	Reading		reading = {0};
	int64		n = 0;

	for (int64 i = 0; i < match->narrivals; i++)
	{
		Arrival    *arrival = &match->arrivals[i];
		Balance    *balance = balances_lookup(match->balances, arrival->hash);
		MemoryContext old;

		if (balance->source <= balance->target)
			continue;
		old = MemoryContextSwitchTo(match->row_context);
		if (reading.source != arrival->source)
		{
			MemoryContextSwitchTo(match->context);
			OpenReading(&reading, arrival->source);
			MemoryContextSwitchTo(match->row_context);
		}
		CopyArrival(match, &reading, arrival);
		MemoryContextSwitchTo(old);
		MemoryContextReset(match->row_context);
		if (++n % 4096 == 0)
		{
			CHECK_FOR_INTERRUPTS();
			ProgressBatch(match->source_rows, match->target_rows);
		}
	}
	CloseReading(&reading);
	match->narrivals = 0;
	return n;
}

/*
 * Read back one row that was written, and hash it anew.
 */
static uint64
ReadBack(Match *match, Target *target, ItemPointer tid, Datum *values, bool *nulls)
{
	HeapTuple	tuple;
	uint64		hash;

	if (!table_tuple_fetch_row_version(target->rel, tid, SnapshotSelf, target->slot))
		return 0;
	tuple = ExecFetchSlotHeapTuple(target->slot, false, NULL);
	RowFromLeaf(target->map, tuple, RelationGetDescr(target->rel), values, nulls);
	hash = RowHash(RelationGetDescr(target->parent_rel), values, nulls,
				   SourceSeed(target->parent, target->shard_index), &match->scratch);
	ExecClearTuple(target->slot);
	return hash;
}

static void
ReadBackNew(Match *match)
{
	for (; match->nverified < match->nrows; match->nverified++)
	{
		TargetRow  *row = &match->rows[match->nverified];
		Target	   *target = list_nth(match->targets, row->target);
		int			index;
		int			natts;
		MemoryContext old;

		(void) TargetFor(match, target->parent, target->shard_index, &index);
		natts = RelationGetDescr(target->parent_rel)->natts;
		old = MemoryContextSwitchTo(match->row_context);
		match->target_sum += ReadBack(match, target, &row->tid,
									  palloc(sizeof(Datum) * natts), palloc(sizeof(bool) * natts));
		MemoryContextSwitchTo(old);
		MemoryContextReset(match->row_context);
		if (match->nverified % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

int64
MatchApply(Match *match)
{
	int64		deleted,
				inserted;

	/* rows of an earlier command of this transaction can be deleted now */
	MatchRelease(match);
	CommandCounterIncrement();
	ReadBackNew(match);
	deleted = DeleteSurplus(match);
	inserted = InsertMissing(match);
	for (int64 i = 0; i < match->ntouched; i++)
		balances_lookup(match->balances, match->touched[i])->touched = false;
	match->ntouched = 0;
	ReadBackNew(match);
	ProgressBatch(match->source_rows, match->target_rows);
	return deleted + inserted;
}

uint64
MatchVerify(Match *match)
{
	if (match->source_rows != match->target_rows)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("source and target of a batch differ: " INT64_FORMAT " and " INT64_FORMAT " rows",
						match->source_rows, match->target_rows)));
	if (match->source_sum != match->target_sum)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("source and target of a batch of " INT64_FORMAT " rows differ in their checksum",
						match->source_rows)));
	return match->source_sum;
}
