/*
 * flip.c
 *		The locks under which a router's map may change.
 *
 * A flip needs ACCESS EXCLUSIVE on every parent of the router and on the leaves
 * that rows leave or enter: the map is read inside an "immutable" function, and
 * is right only while nobody else can plan, route or scan by the old one.  Since
 * a waiting ACCESS EXCLUSIVE stops every writer that comes after it, the locks
 * are taken in a subtransaction with a deadline for all of them together; when
 * it passes, the subtransaction's end gives all of them back.  The waiter looks
 * for deadlocks (and sends autovacuum away) after DEADLOCK_TIMEOUT already, so
 * that it, and not a session of the application, is the victim.
 *
 * A lock of its own on the router keeps flips apart from distributions and from
 * changes of the set of shards: a table that is just being distributed is not
 * visible to a flip, and would be filled by the map of before.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "table/parts.h"
#include "table/table.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define DEADLOCK_TIMEOUT "10ms"

typedef struct FlipLocks
{
	TimestampTz deadline;
	int			wait_ms;
	LOCKTAG		wanted;			/* the lock that we try or wait for */
} FlipLocks;

static void
RouterLockTag(LOCKTAG *tag, const char *router)
{
	Oid			id = hash_bytes((const unsigned char *) router, strlen(router));

	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, CatalogTableOid("router"), id, 0);
}

/*
 * Lock a router against flips (ShareLock: distributions), or against
 * distributions and other flips (ExclusiveLock), to the end of the transaction.
 */
void
LockRouter(const char *router, LOCKMODE mode)
{
	LOCKTAG		tag;

	RouterLockTag(&tag, router);
	(void) LockAcquire(&tag, mode, false, false);
	AcceptInvalidationMessages();
}

static void
SetForNow(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Let the next wait for a lock end at the deadline.
 */
static void
LimitWait(FlipLocks *locks)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), locks->deadline);
	char		text[32];

	snprintf(text, sizeof(text), "%ldms", Max(left, 1));
	SetForNow("lock_timeout", text);
}

/*
 * Take locks->wanted; false if it is not to be had without waiting and no time
 * is left to wait.
 */
static bool
LockWanted(FlipLocks *locks, LOCKMODE mode)
{
	if (LockAcquire(&locks->wanted, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		if (locks->wait_ms <= 0)
			return false;
		LimitWait(locks);
		(void) LockAcquire(&locks->wanted, mode, false, false);
	}
	AcceptInvalidationMessages();
	return true;
}

static bool
LockTable(FlipLocks *locks, Oid relid)
{
	Relation	rel;

	SET_LOCKTAG_RELATION(locks->wanted, MyDatabaseId, relid);
	if (!LockWanted(locks, AccessExclusiveLock))
		return false;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return true;			/* dropped while we waited */
	CheckTableNotInUse(rel, "change the shard map of");
	relation_close(rel, NoLock);
	return true;
}

static bool
LockParentAndLeaves(FlipLocks *locks, Oid parent, List *shard_indexes)
{
	ListCell   *lc;

	if (!LockTable(locks, parent))
		return false;
	foreach(lc, shard_indexes)
	{
		ListCell   *leaf;

		foreach(leaf, CatalogLeaves(parent, lfirst_int(lc)))
			if (!LockTable(locks, lfirst_oid(leaf)))
				return false;
	}
	return true;
}

static bool
LockAll(FlipLocks *locks, const char *router, List *shard_indexes)
{
	List	   *parents;
	ListCell   *lc;

	RouterLockTag(&locks->wanted, router);
	if (!LockWanted(locks, ExclusiveLock))
		return false;

	parents = CatalogRouterParents(router);
	list_sort(parents, list_oid_cmp);
	foreach(lc, parents)
	{
		if (!LockParentAndLeaves(locks, lfirst_oid(lc), shard_indexes))
			return false;
	}
	return true;
}

/*
 * LockAll() with our own timeouts; false also when an error ended it, which goes
 * to *error unless it was a timeout or a deadlock.  The caller's subtransaction
 * then has to be rolled back.
 */
static bool
LockAllInTime(FlipLocks *locks, const char *router, List *shard_indexes, ErrorData **error)
{
	MemoryContext context = CurrentMemoryContext;
	volatile bool locked = false;

	*error = NULL;
	PG_TRY();
	{
		int			nest = NewGUCNestLevel();

		SetForNow("deadlock_timeout", DEADLOCK_TIMEOUT);
		locked = LockAll(locks, router, shard_indexes);
		AtEOXact_GUC(false, nest);
	}
	PG_CATCH();
	{
		ErrorData  *caught;

		MemoryContextSwitchTo(context);
		caught = CopyErrorData();
		FlushErrorState();
		if (caught->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
			caught->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED)
			FreeErrorData(caught);
		else
			*error = caught;
		locked = false;
	}
	PG_END_TRY();
	return locked;
}

/*
 * A process that holds a lock in our way, or 0.
 */
static int
Blocker(const LOCKTAG *tag)
{
	LOCKMODE	mode = tag->locktag_type == LOCKTAG_RELATION ? AccessExclusiveLock : ExclusiveLock;
	VirtualTransactionId *holders = GetLockConflicts(tag, mode, NULL);

	for (; VirtualTransactionIdIsValid(*holders); holders++)
	{
		PGPROC	   *proc = VirtualTransactionProc(*holders);

		if (proc != NULL && proc->pid != 0)
			return proc->pid;
	}
	return 0;
}

bool
TableLockForFlip(const char *router, List *shard_indexes, int wait_ms, int *blocker)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	FlipLocks	locks;
	ErrorData  *error;
	bool		locked;

	locks.wait_ms = wait_ms;
	locks.deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait_ms);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	locked = LockAllInTime(&locks, router, shard_indexes, &error);
	if (locked)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (error != NULL)
		ReThrowError(error);

	if (blocker != NULL)
		*blocker = locked ? 0 : Blocker(&locks.wanted);
	if (locked)
		TableInvalidateRouter(router);
	return locked;
}

void
TableInvalidateRouter(const char *router)
{
	CatalogInvalidateRouter(router);
	CatalogForget();
}

static List *
IntegersOfArray(ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	List	   *result = NIL;

	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("shard indexes must not be null")));
		result = lappend_int(result, DatumGetInt32(elements[i]));
	}
	return result;
}

PG_FUNCTION_INFO_V1(shard_lock_for_flip);

/*
 * _shard.lock_for_flip(router text, shard_indexes int[], wait_ms int,
 *		OUT locked boolean, OUT blocker int)
 */
Datum
shard_lock_for_flip(PG_FUNCTION_ARGS)
{
	char	   *router = text_to_cstring(PG_GETARG_TEXT_PP(0));
	List	   *shards = IntegersOfArray(PG_GETARG_ARRAYTYPE_P(1));
	int			blocker;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	(void) CatalogRouter(router, false);
	values[0] = BoolGetDatum(TableLockForFlip(router, shards, PG_GETARG_INT32(2), &blocker));
	values[1] = Int32GetDatum(blocker);
	nulls[1] = blocker == 0;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
