/*
 * table.h
 *		Distributing tables, and the moves of rows that migrations need.
 */
#ifndef SHARD_TABLE_H
#define SHARD_TABLE_H

#include "postgres.h"
#include "catalog/catalog.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

extern void TableInit(void);

/*
 * Create shard's schema and, for every sharded table of the router, its leaf
 * there (indexes, triggers, grants and the like as on its siblings).  Raises
 * an error naming the setting if max_locks_per_transaction is too small.
 */
extern void TableCreateShard(const char *router, int shard_index);

/* Drop the leaves and the schema of a shard; its leaves must be empty. */
extern void TableDropShard(const char *router, int shard_index);

/* Drop the leaves of a shard with their rows, without reading them. */
extern void TableDiscardLeaves(const char *router, int shard_index);

/*
 * Flip: change a router's map.  Takes ACCESS EXCLUSIVE on every parent of the
 * router and on the leaves of the given shards (sources and targets), checks
 * CheckTableNotInUse, and invalidates parents and map.  With wait_ms = 0 the
 * locks are only tried; else it queues at most wait_ms.  False if they were
 * not to be had (none is then held); *blocker is the pid in the way, or 0.
 * The caller then changes the _shard tables in the same transaction.
 */
extern bool TableLockForFlip(const char *router, List *shard_indexes, int wait_ms, int *blocker);
extern void TableInvalidateRouter(const char *router);

/*
 * Change the ranges of a router of strategy range, step by step: each call is
 * one step in a transaction of its own, and takes its locks by the callback.
 * ranges is JSON text; members are the router's shards afterwards, NIL for as
 * they are.  Returns the rows that moved between leaves of a shard, or that
 * the locks were not to be had, or that the ranges are now these.
 */
#define RANGES_BLOCKED	(-1)
#define RANGES_CHANGED	(-2)
typedef struct RangesChange
{
	const char *router;
	const char *ranges;
	int			default_shard;
	List	   *members;		/* of int */
	bool		(*lock) (void *arg);
	void	   *arg;
} RangesChange;
extern int64 TableRangesStep(const RangesChange *change);

/* The router's ranges as JSON, those of one shard given to another. */
extern char *TableRangesWithout(const char *router, int shard_index, int other);

/*
 * Lock a router to the end of the transaction: against flips (ShareLock, or
 * RowShareLock, which lets tables be distributed), or against all else
 * (ExclusiveLock).
 */
extern void LockRouter(const char *router, LOCKMODE mode);

/*
 * ERROR 40001 if this transaction's snapshot is older than the last change of
 * the router's map, and cannot be replaced by a new one.
 */
extern void RequireSnapshotOfMap(const Router *router);

/*
 * Rows written below the executor: no trigger, no foreign-key action, no
 * check, explicit columns as they are; indexes are maintained and unique
 * violations raised.  rel is a leaf opened with RowExclusiveLock or stronger.
 * values and nulls are in the leaf's own attribute order.  Inserting returns
 * where the row went, so that a migration can read it back and compare.  A row
 * of this transaction can be deleted by a writer begun after a
 * CommandCounterIncrement().
 */
typedef struct RowWriter RowWriter;
extern RowWriter *RowWriterBegin(Relation leaf);
extern ItemPointerData RowWriterInsert(RowWriter *writer, Datum *values, bool *nulls);

/* The same for many rows: faster, since they are written by the page, later. */
extern void RowWriterAppend(RowWriter *writer, Datum *values, bool *nulls);
extern void RowWriterDelete(RowWriter *writer, ItemPointer tid);
extern void RowWriterEnd(RowWriter *writer);

/*
 * Rows written in between carry SHARD_MOVE_ORIGIN (base/origin.h) in the WAL
 * and make no event.  Ends by itself when the transaction does.
 */
extern void TableOriginBegin(void);
extern void TableOriginEnd(void);

#endif							/* SHARD_TABLE_H */
