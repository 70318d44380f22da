/*
 * flush.c
 *		Writes a batch to the lake: state and event log of every table in it,
 *		and the position, in one transaction.
 *
 * Phases: the rest of the changes goes to the engine; the batch's tables are
 * looked up; per table the engine folds, finds positions and writes files,
 * which are synced; each table's pointer is swapped; the position is written;
 * commit.  Nothing is visible before the commit, and files of a transaction
 * that fails are removed.  If somebody else (compaction, another engine) has
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
#include "pipeline/files.h"
#include "pipeline/flush.h"
#include "pipeline/fold.h"
#include "pipeline/register.h"
#include "pipeline/schema.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

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
	TableLayout *layout;
	LakeTable  *state;
	LakeTable  *events;
	IcebergSchema *state_schema;	/* to write with, the layout's columns */
	IcebergSchema *events_schema;
	IcebergSchema *next_state;	/* evolved, or NULL */
	IcebergSchema *next_events;
	bool		columns_added;
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
 * Fit one lake table to all layouts of the batch; false on a conflict.
 */
static bool
FitSchema(TableFlush *flush, LakeTable *table, IcebergSchema *(*wanted) (const TableLayout *),
		  IcebergSchema **write, IcebergSchema **next, char **conflict)
{
	const IcebergSchema *current = IcebergCurrentSchema(table->metadata);
	ListCell   *lc;

	*next = NULL;
	foreach(lc, flush->changes->segments)
	{
		ChangeSegment *segment = lfirst(lc);
		IcebergSchema *fitted;
		bool		added;

		switch (SchemaFitLayout(current, wanted(segment->layout), &fitted, &added, conflict))
		{
			case SCHEMA_SAME:
				break;
			case SCHEMA_EVOLVED:
				*next = fitted;
				current = fitted;
				flush->columns_added |= added;
				break;
			case SCHEMA_CONFLICT:
				return false;
		}
	}
	*write = SchemaRestrict(current, wanted(flush->layout));
	return true;
}

static bool
FitSchemas(TableFlush *flush)
{
	char	   *conflict;

	if (FitSchema(flush, flush->state, StateSchema, &flush->state_schema,
				  &flush->next_state, &conflict) &&
		FitSchema(flush, flush->events, EventsSchema, &flush->events_schema,
				  &flush->next_events, &conflict))
		return true;
	RegisterProblem(flush->registered->relation,
					psprintf("the type of column \"%s\" changed in a way that the lake cannot follow",
							 conflict));
	ereport(WARNING,
			(errmsg("table \"%s.%s\" is left out of the pipeline",
					flush->registered->namespace, flush->registered->name),
			 errdetail("The type of column \"%s\" changed in a way that the lake cannot follow.",
					   conflict),
			 errhint("Distribute the table again, to begin its lake tables anew.")));
	return false;
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
		if (IcebergFieldById(schema, flush->layout->cols[flush->layout->keys[i]].attnum) == NULL)
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

static IcebergKeyValue *
PositionSummary(const Position *position, int *n)
{
	IcebergKeyValue *summary = palloc(4 * sizeof(IcebergKeyValue));

	summary[0] = (IcebergKeyValue) {"shard.system-identifier", psprintf(UINT64_FORMAT, position->system)};
	summary[1] = (IcebergKeyValue) {"shard.timeline", psprintf("%u", position->timeline)};
	summary[2] = (IcebergKeyValue) {"shard.slot-generation", psprintf(INT64_FORMAT, position->generation)};
	summary[3] = (IcebergKeyValue) {"shard.lsn", psprintf("%X/%X", LSN_FORMAT_ARGS(position->lsn))};
	*n = 4;
	return summary;
}

static bool
CommitEvents(TableFlush *flush)
{
	LakeChange	change = {.operation = "append"};

	change.added = FilesWriteData(flush->conn, flush->events, flush->events_schema,
								  FoldEventsQuery(&flush->fold, flush->events_schema,
												  flush->position->timeline),
								  flush->fold.events, false);
	change.new_schema = flush->next_events;
	change.summary = PositionSummary(flush->position, &change.nsummary);
	return LakeCommit(flush->events, &change) != NULL;
}

static bool
CommitState(TableFlush *flush)
{
	LakeChange	change = {0};
	char	   *gone = FoldFindRemoved(&flush->fold, flush->state);
	IcebergFile *deletes = gone != NULL ? FilesWriteDeletes(flush->conn, flush->state, gone) : NULL;

	change.added = FilesWriteData(flush->conn, flush->state, flush->state_schema,
								  FoldStateQuery(&flush->fold, flush->state_schema),
								  flush->fold.state_rows, true);
	change.remove_all = flush->changes->truncated_at > 0;
	change.operation = deletes == NULL && !change.remove_all ? "append" :
		change.added != NIL ? "overwrite" : "delete";
	if (deletes != NULL)
		change.added = lappend(change.added, deletes);
	change.new_schema = flush->next_state;
	if (change.added == NIL && !change.remove_all && change.new_schema == NULL)
		return true;			/* nothing is left of the changes */
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

	flush->layout = ((ChangeSegment *) llast(flush->changes->segments))->layout;
	flush->state = LakeOpen(flush->registered->namespace, flush->registered->name, false);
	flush->events = LakeOpen(flush->registered->namespace, flush->registered->events_name, false);
	if (!FitSchemas(flush))
		return TABLE_SKIPPED;
	FoldBegin(&flush->fold, flush->conn, flush->changes);
	by_key = KeyIsKnown(flush);
	if (!by_key || !FoldComplete(&flush->fold, flush->state))
		flush->changes->lost = true;
	FoldRun(&flush->fold);
	if (!CommitEvents(flush) || (by_key && !CommitState(flush)))
		outcome = TABLE_CONFLICT;
	FoldEnd(&flush->fold);
	if (outcome == TABLE_CONFLICT)
		return outcome;

	RegisteredSetPosition(flush->registered->relation, flush->position);
	if (flush->next_state != NULL)
		RegisterColumns(flush->registered, flush->layout,
						IcebergCurrentSchema(flush->state->metadata),
						IcebergCurrentSchema(flush->events->metadata));

	/* Rows from before a new column may have its default, which no change told. */
	if (flush->changes->lost || flush->columns_added)
	{
		RegisteredSetSynced(flush->registered->relation, flush->position, NULL, InvalidXLogRecPtr);
		return TABLE_RESYNC;
	}
	return outcome;
}

/* ---- the batch ---- */

static TableOutcome
FlushOne(ChangeBatch *batch, TableChanges *changes, List **registered, const Position *position,
		 FlushResult *result)
{
	TableFlush	flush = {.conn = batch->conn,.changes = changes,.position = position};
	TableOutcome outcome;

	flush.registered = FindRegistered(*registered, changes->parent);
	if (flush.registered == NULL)
	{
		WaitForTransactions(changes);
		*registered = RegisteredTables();
		flush.registered = FindRegistered(*registered, changes->parent);
	}
	if (flush.registered == NULL || flush.registered->problem != NULL)
		return TABLE_SKIPPED;
	if (!StateFollows(flush.registered, position))
	{
		/* The comparison that is due must see these transactions. */
		WaitForTransactions(changes);
		return TABLE_RESYNC;
	}
	if (changes->unfit != NULL)
	{
		RegisterUnfit(flush.registered, changes->unfit);
		return TABLE_SKIPPED;
	}
	outcome = FlushTable(&flush);
	if (outcome != TABLE_CONFLICT)
		result->events += flush.fold.events;
	return outcome;
}

/*
 * One attempt; false if somebody else's commit came first.
 */
static bool
TryFlush(ChangeBatch *batch, const Position *position, FlushResult *result)
{
	List	   *registered = RegisteredTables();
	bool		write_position = false;
	ListCell   *lc;

	memset(result, 0, sizeof(*result));
	foreach(lc, batch->tables)
	{
		TableChanges *changes = lfirst(lc);

		if (changes->segments == NIL)
			continue;
		switch (FlushOne(batch, changes, &registered, position, result))
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
	if (write_position)
		PositionWrite(position);
	result->committed = write_position;
	return true;
}

void
FlushBatch(ChangeBatch *batch, const Position *position, FlushResult *result)
{
	ChangesPush(batch);
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
