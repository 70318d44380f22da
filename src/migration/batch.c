/*
 * batch.c
 *		Moving the keys of one interval of hash space, in one transaction.
 *
 * Phases:
 *	 replaying	target leaves are filled, from the lake where there is one; the
 *				source leaves are read, and the target is made equal to them.
 *				Nobody sees these rows, and nobody waits.
 *	 cutover	ACCESS EXCLUSIVE on the parents and leaves; what changed since is
 *				applied, count and checksum of both sides compared, the rows
 *				deleted at the source, the frontier advanced.
 * The transaction commits all of it or nothing.
 *
 * Locks: the worker never waits in a lock queue for longer than
 * shard.migration_lock_timeout.  Up to the cut-over it holds ACCESS SHARE on
 * parents and leaves and ROW EXCLUSIVE on target leaves, which block nobody but
 * DDL.  Nothing under the lock waits for a row lock: the rows that the worker
 * updates are locked with SKIP LOCKED first.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "base/points.h"
#include "base/settings.h"
#include "base/worker.h"
#include "catalog/catalog.h"
#include "migration/batch.h"
#include "migration/lake_side.h"
#include "migration/match.h"
#include "migration/progress.h"
#include "migration/scope.h"
#include "migration/sql.h"
#include "migration/wal.h"
#include "miscadmin.h"
#include "table/router_ddl.h"
#include "table/table.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Attempts at the locks that only try; afterwards the worker queues. */
#define POLITE_ATTEMPTS 20
#define POLITE_PAUSE 5			/* ms */
#define MAX_PAUSE 5000			/* ms */

/* After so long without the locks, the batch is given up and done anew. */
#define LOCK_PATIENCE 30000		/* ms */

/* The cut-over begins when a look at the source brings fewer changes. */
#define FEW_CHANGES 200
#define MAX_CATCH_UPS 5
#define CATCH_UP_EVERY 500		/* ms, while waiting for the locks */

/* Reading so much WAL takes as long as looking at the LSN of one page. */
#define WAL_BYTES_PER_PAGE 512

/* Aim of the time under the lock, and the limits of a batch's size. */
#define LOCK_AIM 25				/* ms */
#define MIN_ROWS 1000
#define MAX_ROWS 1000000
#define MAX_KEYS 100000
#define FIRST_ROWS 5000

typedef struct Batch
{
	Run		   *run;
	const MigrationJob *job;
	char	   *router;
	List	   *shards;			/* of int: sources and targets */
	List	   *sources;		/* of int: that rows leave */
	TransactionId map_xid;		/* of the router's last change, at the beginning */
	List	   *parents;		/* of Oid */
	KeyMoves   *moves;
	Match	   *match;
	BatchReport *report;
	TimestampTz caught_up;		/* when the source was looked at last */
} Batch;

void
RunReset(Run *run)
{
	if (run->context == NULL)
		run->context = AllocSetContextCreate(TopMemoryContext, "shard migration run",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContextReset(run->context);
	run->sources = NIL;
	run->has_window = false;
	if (run->rows_limit == 0)
		run->rows_limit = FIRST_ROWS;
}

/* ---- the locks ---- */

/*
 * How long attempt number n may queue, and how long to pause after it.
 */
static void
LockPolicy(int n, int *queue, long *pause)
{
	int			later = n - POLITE_ATTEMPTS;

	*queue = 0;
	*pause = POLITE_PAUSE;
	if (later < 0)
		return;
	*queue = Min(MigrationLockTimeout, 10 << Min(later, 20));
	*pause = Min(MAX_PAUSE, 100L << Min(later, 10));
}

/*
 * The tables are locked: whatever else has to be locked now (tables that foreign
 * keys refer to, say) must not make everybody wait for somebody.
 */
static void
LimitFurtherWaits(void)
{
	(void) set_config_option("lock_timeout", psprintf("%dms", MigrationLockTimeout),
							 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

bool
BatchLock(Run *run, const MigrationJob *job, List *shard_indexes,
		  void (*meanwhile) (void *), void *arg, int *attempts)
{
	TimestampTz began = GetCurrentTimestamp();
	bool		locked = false;

	run->blocker = 0;
	for (*attempts = 1;; (*attempts)++)
	{
		int			queue;
		long		pause;

		if (JobIsRequested(job))
			break;
		LockPolicy(run->lock_attempts, &queue, &pause);
		if (TableLockForFlip(job->router, shard_indexes, queue, &run->blocker))
		{
			locked = true;
			break;
		}
		run->lock_attempts++;
		ProgressWaiting("locks on the tables", run->blocker);
		SHARD_POINT("migration-lock-wait");
		if (TimestampDifferenceExceeds(began, GetCurrentTimestamp(), LOCK_PATIENCE) ||
			(run->deadline != 0 && run->deadline < GetCurrentTimestamp()))
			break;
		WorkerWait(pause);
		if (meanwhile != NULL)
			meanwhile(arg);
	}
	if (locked)
	{
		ProgressWaiting(NULL, 0);
		run->lock_attempts = 0;
		LimitFurtherWaits();
	}
	return locked;
}

/*
 * Lock the rows that are updated under the lock, if nobody else has them.
 */
static bool
LockJournalRows(Batch *batch)
{
	bool		locked;

	SqlBegin();
	locked = SQL_RUN("SELECT FROM _shard.router WHERE name OPERATOR(pg_catalog.=) $1"
					 " FOR NO KEY UPDATE SKIP LOCKED", SQL_TEXT(batch->router)) == 1 &&
		SQL_RUN("SELECT FROM _shard.migration WHERE migration_id OPERATOR(pg_catalog.=) $1"
				" FOR NO KEY UPDATE SKIP LOCKED", SQL_INT8(batch->job->id)) == 1;
	SqlEnd();
	return locked;
}

/*
 * With the locks held: is the router what it was when the batch began?  Whoever
 * changes its map or its pins changes its row.  A table that was distributed
 * meanwhile has rows that the batch does not know.
 */
static bool
IsUnchanged(Batch *batch, uint64 frontier)
{
	List	   *parents = CatalogRouterParents(batch->router);
	const Router *router = CatalogRouter(batch->router, false);

	return list_difference_oid(parents, batch->parents) == NIL &&
		router->migrating && router->frontier == frontier &&
		router->flip_xid == batch->map_xid;
}

/* ---- sources ---- */

static Source *
SourceOf(Run *run, Oid parent, Oid leaf, int shard_index)
{
	ListCell   *lc;
	MemoryContext old;
	Source	   *source;

	foreach(lc, run->sources)
	{
		source = lfirst(lc);
		if (SourceLeaf(source) == leaf && SourceParent(source) == parent)
			return source;
	}
	old = MemoryContextSwitchTo(run->context);
	source = SourceCreate(parent, leaf, shard_index);
	run->sources = lappend(run->sources, source);
	MemoryContextSwitchTo(old);
	return source;
}

/*
 * The window of hash space that is read at once: several batches share it,
 * unless we are on the way back.
 */
static void
ChooseWindow(Batch *batch)
{
	Run		   *run = batch->run;
	BatchReport *report = batch->report;

	if (run->has_window && batch->job->direction > 0 &&
		run->window_low <= report->low && run->window_high >= report->high)
		return;
	run->window_low = report->low;
	run->window_high = report->high;
	if (batch->job->direction > 0)
		run->window_high = Max(report->high, IntervalWindow(batch->job, report->low));
	run->has_window = true;
}

/*
 * Look at every source leaf; tell is NULL for the first look, which only
 * brings what earlier batches of the run remembered up to date.
 */
static void
LookAtSources(Batch *batch, SourceChange tell)
{
	ListCell   *lc,
			   *lc2;

	foreach(lc, batch->parents)
	{
		foreach(lc2, batch->sources)
		{
			Oid			leaf = CatalogLeaf(lfirst_oid(lc), lfirst_int(lc2));
			Source	   *source;

			if (!OidIsValid(leaf))
				continue;
			source = SourceOf(batch->run, lfirst_oid(lc), leaf, lfirst_int(lc2));
			SourceSetWindow(source, batch->run->window_low, batch->run->window_high);
			SourceRefresh(source, batch->moves, batch->report->low, batch->report->high,
						  tell, batch->match);
		}
	}
}

static bool
IsOfBatch(Batch *batch, Source *source)
{
	return list_member_oid(batch->parents, SourceParent(source));
}

static void
TellAll(Batch *batch)
{
	ListCell   *lc;

	foreach(lc, batch->run->sources)
	{
		if (!IsOfBatch(batch, lfirst(lc)))
			continue;
		SourceFocus(lfirst(lc), batch->report->low, batch->report->high);
		SourceForEach(lfirst(lc), MatchSourceChange, batch->match);
	}
}

/*
 * Under the lock: find the pages that were written since the last look in the
 * WAL, if that is the shorter way.  False if it is not.
 *
 * Our own last record is that of a lock, written when the lock was had: all
 * that others did to the leaves stands before it.
 */
static bool
LookIntoWal(Batch *batch)
{
	List	   *sources = NIL;
	XLogRecPtr	from = XactLastRecEnd,
				to = XactLastRecEnd;
	int64		total_blocks = 0;
	WalPages   *pages;
	ListCell   *lc;
	int			i = 0;

	if (!XLogStandbyInfoActive() || XLogRecPtrIsInvalid(to))
		return false;
	pages = palloc0(sizeof(WalPages) * Max(list_length(batch->run->sources), 1));
	foreach(lc, batch->run->sources)
	{
		BlockNumber nblocks;
		XLogRecPtr	lsn;

		if (!IsOfBatch(batch, lfirst(lc)))
			continue;
		if (!SourceLastRefresh(lfirst(lc), &pages[list_length(sources)].filenumber, &nblocks, &lsn))
			return false;
		from = Min(from, lsn);
		total_blocks += nblocks;
		sources = lappend(sources, lfirst(lc));
	}
	if (to - from > total_blocks * WAL_BYTES_PER_PAGE)
		return false;
	XLogFlush(to);
	if (!WalPagesRead(from, to, pages, list_length(sources)))
		return false;
	foreach(lc, sources)
	{
		SourceRefreshPages(lfirst(lc), batch->moves, batch->report->low, batch->report->high,
						   MatchSourceChange, batch->match, pages[i].blocks, pages[i].nblocks, to);
		i++;
	}
	return true;
}

/*
 * Apply what has changed since the last look.
 */
static int64
CatchUp(Batch *batch, bool locked)
{
	int64		changes;

	if (!locked || !LookIntoWal(batch))
		LookAtSources(batch, MatchSourceChange);
	changes = MatchApply(batch->match);
	MatchRelease(batch->match);
	CommandCounterIncrement();
	return changes;
}

/*
 * Between two attempts at the locks, now and then: what is not done yet has to
 * be done under the lock.
 */
static void
CatchUpMeanwhile(void *arg)
{
	Batch	   *batch = arg;

	if (!TimestampDifferenceExceeds(batch->caught_up, GetCurrentTimestamp(), CATCH_UP_EVERY))
		return;
	batch->report->from_source += CatchUp(batch, false);
	batch->caught_up = GetCurrentTimestamp();
}

/* ---- the phases ---- */

/*
 * Fill the target and follow the source until little is left to do.
 */
static void
Replay(Batch *batch)
{
	BatchReport *report = batch->report;
	ListCell   *lc;
	int64		changes;

	ProgressPhase("replaying");
	SHARD_POINT("migration-before-fill");
	foreach(lc, batch->parents)
		report->from_lake += FillFromLake(batch->match, batch->moves, batch->job, report,
										  lfirst_oid(lc));
	SHARD_POINT("migration-after-fill");

	ChooseWindow(batch);
	LookAtSources(batch, NULL);
	TellAll(batch);
	report->from_source = MatchApply(batch->match);
	MatchRelease(batch->match);
	CommandCounterIncrement();
	SHARD_POINT("migration-after-copy");

	for (int i = 0; i < MAX_CATCH_UPS; i++)
	{
		changes = CatchUp(batch, false);
		report->from_source += changes;
		if (changes < FEW_CHANGES)
			break;
	}
	batch->caught_up = GetCurrentTimestamp();

	/* what the commit need not wait for with the locks held */
	XLogFlush(XactLastRecEnd);
	SHARD_POINT("migration-after-catch-up");
}

typedef struct Deletion
{
	Source	   *source;			/* whose leaf is open */
	Relation	rel;
	RowWriter  *writer;
	int64		rows;
} Deletion;

static void
DeleteRow(void *arg, Source *source, BlockNumber block, const SourceRow *row, int sign)
{
	Deletion   *deletion = arg;
	ItemPointerData tid;

	ItemPointerSet(&tid, block, row->offset);
	RowWriterDelete(deletion->writer, &tid);
	deletion->rows++;
}

/*
 * Delete at the source: every row of the interval that belongs elsewhere.
 */
static void
DeleteMoved(Batch *batch)
{
	Deletion	deletion = {0};
	int64		to_delete;
	ListCell   *lc;

	foreach(lc, batch->run->sources)
	{
		Source	   *source = lfirst(lc);

		if (!IsOfBatch(batch, source))
			continue;
		deletion.rel = table_open(SourceLeaf(source), RowExclusiveLock);
		deletion.writer = RowWriterBegin(deletion.rel);
		SourceForEach(source, DeleteRow, &deletion);
		RowWriterEnd(deletion.writer);
		SourceForget(source);
		table_close(deletion.rel, NoLock);
	}
	to_delete = MatchSourceRows(batch->match) - MatchAssumedRows(batch->match);
	if (deletion.rows != to_delete)
		elog(ERROR, "deleted " INT64_FORMAT " rows of " INT64_FORMAT " that were moved",
			 deletion.rows, to_delete);
}

/*
 * Everything has moved: what the migration was to change of the pins is so.
 */
static void
ChangePins(const char *router)
{
	SQL_RUN("INSERT INTO _shard.pin (router, key, shard_index)"
			" SELECT router, key, shard_index FROM _shard.next_pin"
			" WHERE router OPERATOR(pg_catalog.=) $1 AND shard_index IS NOT NULL"
			" ON CONFLICT (router, key) DO UPDATE SET shard_index = excluded.shard_index",
			SQL_TEXT(router));
	SQL_RUN("DELETE FROM _shard.pin p USING _shard.next_pin n"
			" WHERE n.router OPERATOR(pg_catalog.=) $1 AND n.shard_index IS NULL"
			" AND p.router OPERATOR(pg_catalog.=) n.router AND p.key OPERATOR(pg_catalog.=) n.key",
			SQL_TEXT(router));
}

static void
ForgetNextPins(const char *router)
{
	SQL_RUN("DELETE FROM _shard.next_pin WHERE router OPERATOR(pg_catalog.=) $1", SQL_TEXT(router));
	RouterNotePins(router);
}

/*
 * The last batch leaves one map: the next one, or on the way back the old one.
 */
static void
EndTransition(Batch *batch, bool forward)
{
	if (batch->moves->has_next_pins)
	{
		if (forward)
			ChangePins(batch->router);
		ForgetNextPins(batch->router);
	}
	SQL_RUN("UPDATE _shard.router SET frontier = NULL, next_members = NULL,"
			"   members = CASE WHEN $2 THEN next_members ELSE members END"
			" WHERE name OPERATOR(pg_catalog.=) $1",
			SQL_TEXT(batch->router), SQL_BOOL(forward));
	SQL_RUN("UPDATE _shard.shard SET state = 'active'"
			" WHERE router OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) $2",
			SQL_TEXT(batch->router), SQL_TEXT(forward ? "joining" : "leaving"));
}

static void
Flip(Batch *batch)
{
	BatchReport *report = batch->report;
	bool		forward = batch->job->direction > 0;

	SqlBegin();
	if (report->last)
		EndTransition(batch, forward);
	else
		SQL_RUN("UPDATE _shard.router SET frontier = $2 WHERE name OPERATOR(pg_catalog.=) $1",
				SQL_TEXT(batch->router),
				SQL_INT8((int64) (forward ? report->high + 1 : report->low)));
	SqlEnd();
	TableInvalidateRouter(batch->router);
	batch->run->map_xid = GetTopTransactionId();
}

/*
 * With the locks held: make both sides equal, compare, delete, flip.
 */
static void
CutOver(Batch *batch)
{
	BatchReport *report = batch->report;

	ProgressPhase("cutover");
	report->locked = GetCurrentTimestamp();
	SHARD_POINT("migration-locked");
	report->under_lock = CatchUp(batch, true);
	report->checksum = MatchVerify(batch->match);
	report->rows = MatchSourceRows(batch->match);
	SHARD_POINT("migration-before-delete");
	DeleteMoved(batch);
	SHARD_POINT("migration-before-flip");
	Flip(batch);
	JobBatch(batch->job, report);
	SHARD_POINT("migration-before-commit");
}

/*
 * The next batch is larger or smaller, by how long this one held the locks.
 */
static void
AdaptSize(Run *run, const BatchReport *report)
{
	double		ms = (GetCurrentTimestamp() - report->locked) / 1000.0;
	double		factor = LOCK_AIM / Max(ms, 1.0);

	factor = Max(0.5, Min(2.0, factor));
	if (factor < 1 || report->rows * 2 >= run->rows_limit)
		run->rows_limit = Max(MIN_ROWS, Min(MAX_ROWS, Min(report->rows, run->rows_limit) * factor));
	if (factor > 1 && report->keys >= run->keys_limit)
		run->keys_limit = Min(MAX_KEYS, run->keys_limit * factor);
}

/*
 * What was read by another map than this one is of no use: pins may have been
 * changed by hand.
 */
static void
ForgetOtherMap(Run *run, const Router *router)
{
	if (run->sources != NIL && run->map_xid != router->flip_xid)
		RunReset(run);
	run->map_xid = router->flip_xid;
}

BatchResult
BatchRun(Run *run, const MigrationJob *job, const Router *router, BatchReport *report)
{
	Batch		batch = {.run = run, .job = job, .report = report};
	uint64		frontier = router->frontier;

	if (run->keys_limit == 0)
		run->keys_limit = job->batch_size;
	report->started = GetCurrentTimestamp();
	batch.router = pstrdup(router->name);
	batch.map_xid = router->flip_xid;
	ForgetOtherMap(run, router);
	batch.moves = KeyMovesCreate(router, router->next_members, router->nnext_members, -1,
								 job->direction < 0);
	batch.sources = ScopeSources(job->plan, router->strategy, job->direction > 0);
	batch.shards = ScopeShards(job->plan);
	batch.parents = CatalogRouterParents(batch.router);
	batch.match = MatchCreate(batch.moves);
	IntervalChoose(run, job, frontier, report);

	TableOriginBegin();
	Replay(&batch);
	SHARD_POINT("migration-before-lock");
	if (!BatchLock(run, job, batch.shards, CatchUpMeanwhile, &batch,
				   &report->lock_attempts) ||
		!LockJournalRows(&batch) || !IsUnchanged(&batch, frontier))
		return BATCH_BLOCKED;
	CutOver(&batch);
	TableOriginEnd();
	AdaptSize(run, report);
	return report->last ? BATCH_LAST : BATCH_DONE;
}
