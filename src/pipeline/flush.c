/*
 * flush.c
 *		Writes a batch to the lake: state and event log of every table in it,
 *		and the position, in one transaction.
 *
 * Phases: the rest of the changes goes to the engine; the batch's tables are
 * looked up; per table the engine folds, finds positions and writes files,
 * which are synced; each table's pointer is swapped; the position is written;
 * commit.  Nothing is visible before the commit, and files of a transaction
 * that fails are removed.  (A REST catalog commits before the database does, all
 * tables at once or, where it cannot, event log before state; after a crash in
 * between, the first flush ends at the same place and leaves out what is there.)  If somebody else (compaction, another engine) has
 * committed to one of the tables in between, all is done again from the
 * changes in the engine.
 *
 * Locks: rows of _shard.lake_table, _shard.pipeline and iceberg_tables; none on
 * tables of the application.  Memory: a context per attempt.
 */
#include "postgres.h"

#include "access/xact.h"
#include "base/points.h"
#include "lake/lake.h"
#include "pipeline/emitted.h"
#include "pipeline/files.h"
#include "pipeline/flush.h"
#include "pipeline/fold.h"
#include "pipeline/letters.h"
#include "pipeline/register.h"
#include "pipeline/schema.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"

#define MAX_ATTEMPTS 20

typedef enum TableOutcome
{
	TABLE_WRITTEN,
	TABLE_SKIPPED,				/* not in the lake, or out of the pipeline */
	TABLE_RESYNC,				/* its changes cannot be used; compare it */
	TABLE_CONFLICT				/* somebody else's commit came first */
} TableOutcome;

typedef struct TableFlush
{
	EngineConn *conn;
	TableChanges *changes;
	const RegisteredTable *registered;
	const Position *position;
	LakeGroup  *group;
	TableLayout *layout;
	LakeTable  *state;
	LakeTable  *events;
	IcebergSchema *state_schema;	/* to write with, the layout's columns */
	IcebergSchema *events_schema;
	IcebergSchema *next_state;	/* evolved, or NULL */
	IcebergSchema *next_events;
	bool		compare;		/* a schema change has values that no change told */
	Fold		fold;
} TableFlush;

static RegisteredTable *
FindRegistered(List *tables, Oid relation)
{
	ListCell   *lc;

	foreach(lc, tables)
	{
		RegisteredTable *table = lfirst(lc);

		if (table->relation == relation)
			return table;
	}
	return NULL;
}

/*
 * A transaction can be in the WAL, and decoded, a moment before others see it
 * as committed.
 */
static void
WaitForTransactions(const TableChanges *changes)
{
	for (int i = 0; i < changes->nxids; i++)
		XactLockTableWait(changes->xids[i], NULL, NULL, XLTW_None);
}

/* ---- schemas ---- */

/*
 * Fit one lake table to all layouts of the batch, in their order.
 */
static void
FitSchema(TableFlush *flush, LakeTable *table, bool events, IcebergSchema **write,
		  IcebergSchema **next)
{
	const IcebergSchema *current = IcebergCurrentSchema(table->metadata);
	ListCell   *lc;

	*next = NULL;
	foreach(lc, flush->changes->segments)
	{
		ChangeSegment *segment = lfirst(lc);
		SchemaFit	fit = SchemaFitLayout(table->metadata, current, segment->layout, events);

		if (fit.next != NULL)
			current = *next = fit.next;
		flush->compare |= fit.compare;
	}
	*write = SchemaRestrict(current, flush->layout, events);
}

/*
 * Can the changes be applied by key to what the lake has?
 */
static bool
KeyIsKnown(const TableFlush *flush)
{
	const IcebergSchema *schema = IcebergCurrentSchema(flush->state->metadata);
	ListCell   *lc;

	for (int i = 0; i < flush->layout->nkeys && !flush->layout->whole_row; i++)
		if (!SchemaHolds(schema, &flush->layout->cols[flush->layout->keys[i]]))
			return false;
	foreach(lc, flush->changes->segments)
	{
		const TableLayout *layout = ((ChangeSegment *) lfirst(lc))->layout;

		if (layout->whole_row != flush->layout->whole_row)
			return false;
		if (layout->whole_row)
			continue;
		if (layout->nkeys != flush->layout->nkeys)
			return false;
		for (int i = 0; i < layout->nkeys; i++)
			if (layout->cols[layout->keys[i]].attnum !=
				flush->layout->cols[flush->layout->keys[i]].attnum)
				return false;
	}
	return true;
}

/* ---- one table ---- */

static List *
WriteRows(TableFlush *flush, bool events, int64 nrows)
{
	LakeTable  *table = events ? flush->events : flush->state;
	IcebergSchema *schema = events ? flush->events_schema : flush->state_schema;
	int			portions = FoldPortions(&flush->fold, events);
	bool		at_once = FilesAtOnce(table, portions, flush->fold.row_bytes);
	List	   *files = NIL;

	if (nrows == 0)
		return NIL;
	for (int i = 0; i < (at_once ? 1 : portions); i++)
	{
		int			portion = at_once ? -1 : i;
		char	   *query = events ?
			FoldEventsQuery(&flush->fold, schema, flush->position->timeline, portion) :
			FoldStateQuery(&flush->fold, schema, portion);

		files = list_concat(files,
							FilesWriteData(flush->conn, table, schema, query,
										   at_once ? nrows :
										   EngineInt(flush->conn, "SELECT count(*) FROM (%s)", query),
										   flush->fold.row_bytes, !events));
	}
	return files;
}

static bool
CommitEvents(TableFlush *flush)
{
	LakeChange	change = {.operation = "append",.group = flush->group};

	change.added = WriteRows(flush, true, flush->fold.events);
	change.new_schema = flush->next_events;
	if (change.added == NIL)
		return change.new_schema == NULL || LakeCommit(flush->events, &change) != NULL;
	change.summary = PositionSummary(flush->position, &change.nsummary);
	return LakeCommit(flush->events, &change) != NULL;
}

static bool
CommitState(TableFlush *flush)
{
	LakeChange	change = {.group = flush->group};
	char	   *gone = FoldFindRemoved(&flush->fold, flush->state);
	List	   *deletes = gone != NULL ? FilesWriteDeletes(flush->conn, flush->state, gone, NIL) : NIL;

	change.added = WriteRows(flush, false, flush->fold.state_rows);
	change.remove_all = flush->changes->truncated_at > 0;
	change.operation = deletes == NIL && !change.remove_all ? "append" :
		change.added != NIL ? "overwrite" : "delete";
	change.added = list_concat(change.added, deletes);
	change.new_schema = flush->next_state;
	if (change.added == NIL && !change.remove_all)	/* nothing is left of the changes */
		return change.new_schema == NULL || LakeCommit(flush->state, &change) != NULL;
	change.summary = PositionSummary(flush->position, &change.nsummary);
	return LakeCommit(flush->state, &change) != NULL;
}

/*
 * Is this table's state one that these changes can be applied to?
 */
static bool
StateFollows(const RegisteredTable *registered, const Position *position)
{
	return registered->synced && registered->generation == position->generation;
}

static TableOutcome
FlushTable(TableFlush *flush)
{
	TableOutcome outcome = TABLE_WRITTEN;
	bool		by_key;

	SHARD_POINT("pipeline-table");
	flush->layout = ((ChangeSegment *) llast(flush->changes->segments))->layout;
	flush->state = LakeOpen(flush->registered->namespace, flush->registered->name, false);
	flush->events = LakeOpen(flush->registered->namespace, flush->registered->events_name, false);
	FitSchema(flush, flush->state, false, &flush->state_schema, &flush->next_state);
	FitSchema(flush, flush->events, true, &flush->events_schema, &flush->next_events);
	FoldBegin(&flush->fold, flush->conn, flush->changes);
	by_key = KeyIsKnown(flush);
	if (!by_key || !FoldComplete(&flush->fold, flush->state))
		flush->changes->lost = true;
	FoldRun(&flush->fold);
	if (!CommitEvents(flush))
		outcome = TABLE_CONFLICT;
	SHARD_POINT("pipeline-between-commits");
	if (outcome != TABLE_CONFLICT && by_key && !CommitState(flush))
		outcome = TABLE_CONFLICT;
	FoldEnd(&flush->fold);
	if (outcome == TABLE_CONFLICT)
		return outcome;

	LettersWrite(flush->registered->relation, flush->position);
	RegisteredSetPosition(flush->registered->relation, flush->position);
	if (flush->next_state != NULL)
		RegisterColumns(flush->registered, flush->layout,
						IcebergCurrentSchema(flush->state->metadata), flush->next_state, false);
	if (flush->next_events != NULL)
		RegisterColumns(flush->registered, flush->layout,
						IcebergCurrentSchema(flush->events->metadata), flush->next_events, true);

	/* Rows from before a new column may have its default, which no change told. */
	if (flush->changes->lost || flush->compare)
	{
		RegisteredSetSynced(flush->registered->relation, flush->position, NULL, InvalidXLogRecPtr);
		return TABLE_RESYNC;
	}
	return outcome;
}

/* ---- what is there already ---- */

static XLogRecPtr
TableReached(const char *namespace, const char *name, const Position *position)
{
	LakeTable  *table = LakeOpen(namespace, name, true);
	IcebergKeyValue *summary;
	char	   *text;
	int			n;

	if (table == NULL)
		return InvalidXLogRecPtr;
	summary = PositionSummary(position, &n);
	Assert(strcmp(summary[n - 1].key, POSITION_LSN) == 0);
	text = LakeReached(table->metadata, summary, n - 1);
	return text == NULL ? InvalidXLogRecPtr :
		DatumGetLSN(DirectFunctionCall1(pg_lsn_in, CStringGetDatum(text)));
}

XLogRecPtr
FlushReached(const Position *position)
{
	XLogRecPtr	reached = InvalidXLogRecPtr;
	ListCell   *lc;

	if (!LakeByRest())
		return InvalidXLogRecPtr;
	foreach(lc, RegisteredTables())
	{
		RegisteredTable *table = lfirst(lc);

		reached = Max(reached, TableReached(table->namespace, table->name, position));
		reached = Max(reached, TableReached(table->namespace, table->events_name, position));
	}
	foreach(lc, LakeTablesFrom(InvalidOid, EVENT_LOG_NAMESPACE))
		reached = Max(reached, TableReached(EVENT_LOG_NAMESPACE, lfirst(lc), position));
	return reached > position->lsn ? reached : InvalidXLogRecPtr;
}

/*
 * Did a flush that a crash cut short write the events of these changes, and not
 * the state?  Then they are to be applied, even if the table is to be compared:
 * the comparison would make events of them once more.
 */
static bool
IsHalfWritten(const RegisteredTable *registered, const TableChanges *changes, const Position *position)
{
	return LakeByRest() && changes->segments != NIL &&
		registered->generation == position->generation &&
		TableReached(registered->namespace, registered->events_name, position) >= position->lsn &&
		TableReached(registered->namespace, registered->name, position) < position->lsn;
}

/* ---- the batch ---- */

static TableOutcome
FlushOne(ChangeBatch *batch, TableChanges *changes, List **registered, const Position *position,
		 LakeGroup *group, FlushResult *result)
{
	TableFlush	flush = {.conn = batch->conn,.changes = changes,.position = position,.group = group};
	TableOutcome outcome;
	bool		follows;

	flush.registered = FindRegistered(*registered, changes->parent);
	if (flush.registered == NULL)
	{
		WaitForTransactions(changes);
		*registered = RegisteredTables();
		flush.registered = FindRegistered(*registered, changes->parent);
	}
	if (flush.registered == NULL || flush.registered->problem != NULL)
		return TABLE_SKIPPED;
	follows = StateFollows(flush.registered, position);
	if (!follows && !IsHalfWritten(flush.registered, changes, position))
	{
		/* The comparison that is due must see these transactions. */
		WaitForTransactions(changes);
		return TABLE_RESYNC;
	}
	if (changes->segments == NIL)
		return TABLE_SKIPPED;
	outcome = FlushTable(&flush);
	if (outcome != TABLE_CONFLICT)
		result->events += flush.fold.events;
	return outcome == TABLE_WRITTEN && !follows ? TABLE_RESYNC : outcome;
}

/*
 * One attempt; false if somebody else's commit came first.
 */
static bool
TryFlush(ChangeBatch *batch, const Position *position, FlushResult *result)
{
	List	   *registered = RegisteredTables();
	LakeGroup  *group = LakeGroupBegin();
	bool		write_position = false;
	ListCell   *lc;

	memset(result, 0, sizeof(*result));
	foreach(lc, batch->tables)
	{
		TableChanges *changes = lfirst(lc);

		LettersAtHand(changes->parent);
		switch (FlushOne(batch, changes, &registered, position, group, result))
		{
			case TABLE_WRITTEN:
				write_position = true;
				break;
			case TABLE_RESYNC:
				write_position = true;
				result->resync = true;
				break;
			case TABLE_SKIPPED:
				break;
			case TABLE_CONFLICT:
				return false;
		}
	}
	LettersAtHand(InvalidOid);
	if (EmittedRows() > 0)
	{
		if (!EmittedFlush(batch->conn, position, group, result))
			return false;
		write_position = true;
	}
	if (!LakeGroupCommit(group))
		return false;
	if (write_position)
		PositionWrite(position);
	result->committed = write_position;
	return true;
}

void
FlushBatch(ChangeBatch *batch, const Position *position, FlushResult *result)
{
	ChangesPush(batch);
	EmittedPush();
	for (int attempt = 1;; attempt++)
	{
		MemoryContext context = AllocSetContextCreate(TopMemoryContext, "shard pipeline flush",
													  ALLOCSET_DEFAULT_SIZES);
		bool		done;

		StartTransactionCommand();
		MemoryContextSwitchTo(context);
		done = TryFlush(batch, position, result);
		SHARD_POINT("pipeline-before-commit");
		if (done)
			CommitTransactionCommand();
		else
			AbortCurrentTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		MemoryContextDelete(context);
		if (done)
			break;
		if (attempt == MAX_ATTEMPTS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("lake tables changed %d times while a batch was written to them",
							attempt)));
	}
	SHARD_POINT("pipeline-after-commit");
}
