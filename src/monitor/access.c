/*
 * access.c
 *		Counts what SQL does with shards, as it ends: reads and writes of each
 *		shard, and reads of keys.
 *
 * When a query is finished, its plan's nodes tell which leaves were read, and
 * its result relations how many rows of which leaf were written.  A read is a
 * statement that looked at a shard and wrote nothing there; a write is a row.
 * A scan that never began, since its partition was pruned, is none.  Under
 * parallel workers the leader cannot tell, and counts every leaf of the plan.
 *
 * Where a scan is for one partition key, given as a constant or a parameter, the
 * read is counted for the key, too.  Writes of keys are not counted here: the
 * pipeline finds them in the WAL.
 *
 * Rows written are taken from the statistics that the server itself keeps for
 * each table and (sub)transaction.  They add up over the statements of one, so
 * what has been counted is remembered by leaf and nesting level, and follows
 * the server's bookkeeping when subtransactions end.  COPY is no query: its
 * leaves are looked at when it is done.
 *
 * A query without partitions pays for a walk through its plan, no more.  Queries
 * of a security-restricted operation, as maintenance and this extension run
 * them, are not counted.  Nothing is when the library was not preloaded.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "base/counters.h"
#include "base/hot_keys.h"
#include "base/shmem.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "monitor/access.h"
#include "nodes/nodeFuncs.h"
#include "pgstat.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/* What is known of a partition. */
typedef struct LeafEntry
{
	Oid			relid;			/* hash key */
	bool		valid;
	Oid			parent;			/* InvalidOid: not a sharded table's */
	int			shard_index;
	AttrNumber	key;			/* its partition key, 0 = an expression */
	Oid			key_equal;		/* function of the key type's = */
	uint64		read_in;		/* number of the last query that read it */
	uint64		written_in;		/* and that wrote it */
} LeafEntry;

/* Rows of a leaf that were counted in this (sub)transaction. */
typedef struct CountedRows
{
	Oid			relid;
	int			nest_level;
	int64		rows;
} CountedRows;

/* A walk through one query's plan. */
typedef struct Walk
{
	QueryDesc  *query;
	List	   *reads;			/* of LeafEntry * */
	List	   *scans;			/* of ScanState *: where each was read first */
} Walk;

static ExecutorFinish_hook_type previous_finish = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

static HTAB *leaves = NULL;
static uint64 query_number = 0;
static CountedRows *counted = NULL;
static int	ncounted = 0;
static int	counted_size = 0;

/* ---- leaves ---- */

static void
ForgetLeaf(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	LeafEntry  *leaf;

	hash_seq_init(&status, leaves);
	while ((leaf = hash_seq_search(&status)) != NULL)
		if (relid == InvalidOid || leaf->relid == relid || leaf->parent == relid)
			leaf->valid = false;
}

static void
SetUpLeaves(void)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid), .entrysize = sizeof(LeafEntry), .hcxt = TopMemoryContext};

	leaves = hash_create("shard leaves", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(ForgetLeaf, (Datum) 0);
}

/*
 * The column by which a leaf's parent is partitioned, in the leaf; 0 for an
 * expression.
 */
static AttrNumber
KeyColumn(Oid leaf, Oid parent)
{
	HeapTuple	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(parent));
	AttrNumber	key = 0;

	if (!HeapTupleIsValid(tuple))
		return 0;
	if (((Form_pg_partitioned_table) GETSTRUCT(tuple))->partnatts == 1)
		key = ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partattrs.values[0];
	ReleaseSysCache(tuple);
	return key > 0 ? get_attnum(leaf, get_attname(parent, key, false)) : 0;
}

static void
DescribeLeaf(LeafEntry *leaf)
{
	/* first, so that an invalidation in the middle is not lost */
	leaf->valid = true;
	leaf->parent = InvalidOid;
	leaf->shard_index = CatalogExtensionExists() ? CatalogLeafShard(leaf->relid) : -1;
	if (leaf->shard_index < 0)
		return;
	leaf->parent = get_partition_parent(leaf->relid, true);
	leaf->key = KeyColumn(leaf->relid, leaf->parent);
	leaf->key_equal = InvalidOid;
	if (leaf->key > 0)
		leaf->key_equal = get_opcode(lookup_type_cache(get_atttype(leaf->relid, leaf->key),
													   TYPECACHE_EQ_OPR)->eq_opr);
}

/*
 * The entry of a relation if it is a leaf whose accesses are to be counted.
 */
static LeafEntry *
FindLeaf(Relation rel, const Router **router)
{
	Oid			relid = RelationGetRelid(rel);
	LeafEntry  *leaf;
	bool		found;

	if (!rel->rd_rel->relispartition || rel->rd_rel->relkind != RELKIND_RELATION)
		return NULL;
	if (leaves == NULL)
		SetUpLeaves();
	leaf = hash_search(leaves, &relid, HASH_ENTER, &found);
	if (!found)
		memset((char *) leaf + sizeof(Oid), 0, sizeof(LeafEntry) - sizeof(Oid));
	if (!leaf->valid)
		DescribeLeaf(leaf);
	if (!OidIsValid(leaf->parent))
		return NULL;
	*router = CatalogRouterForParent(leaf->parent);
	return *router != NULL && (*router)->track_access ? leaf : NULL;
}

/* ---- writes ---- */

/*
 * What has been counted of a leaf at the present nesting level.
 */
static CountedRows *
CountedBefore(Oid relid)
{
	int			nest_level = GetCurrentTransactionNestLevel();

	for (int i = 0; i < ncounted; i++)
		if (counted[i].relid == relid && counted[i].nest_level == nest_level)
			return &counted[i];
	if (ncounted == counted_size)
	{
		counted_size = Max(counted_size * 2, 16);
		counted = counted == NULL ?
			MemoryContextAlloc(TopMemoryContext, sizeof(CountedRows) * counted_size) :
			repalloc(counted, sizeof(CountedRows) * counted_size);
	}
	counted[ncounted] = (CountedRows) {relid, nest_level, 0};
	return &counted[ncounted++];
}

/*
 * Rows that this (sub)transaction has written to a leaf, by the server's own
 * statistics; -1 if it keeps none.
 */
static int64
RowsWritten(Relation rel)
{
	PgStat_TableStatus *status = rel->pgstat_info;
	PgStat_TableXactStatus *trans = status != NULL ? status->trans : NULL;

	if (!pgstat_track_counts)
		return -1;
	if (trans == NULL || trans->nest_level != GetCurrentTransactionNestLevel())
		return 0;
	return trans->tuples_inserted + trans->tuples_updated + trans->tuples_deleted;
}

static void
CountWrites(Relation rel)
{
	const Router *router;
	LeafEntry  *leaf = FindLeaf(rel, &router);
	int64		rows;
	CountedRows *before;

	if (leaf == NULL)
		return;
	rows = RowsWritten(rel);
	if (rows == 0)
		return;
	if (rows < 0)
		rows = 1;
	else
	{
		before = CountedBefore(leaf->relid);
		rows -= before->rows;
		before->rows += rows;
	}
	if (rows <= 0)
		return;
	leaf->written_in = query_number;
	CountAccess(router->counters, leaf->shard_index, ACCESS_WRITE, (uint32) Min(rows, PG_UINT32_MAX));
}

static void
CountResultRelations(List *relations)
{
	ListCell   *lc;

	foreach(lc, relations)
		CountWrites(((ResultRelInfo *) lfirst(lc))->ri_RelationDesc);
}

/*
 * As the server adds a subtransaction's rows to its parent's, or drops them.
 */
static void
SubtransactionEnds(SubXactEvent event, SubTransactionId my_subid, SubTransactionId parent_subid,
				   void *arg)
{
	int			nest_level = GetCurrentTransactionNestLevel();
	int			kept = 0;

	if (ncounted == 0 || (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB))
		return;
	for (int i = 0; i < ncounted; i++)
	{
		int			to = -1;

		if (counted[i].nest_level >= nest_level)
		{
			if (event == SUBXACT_EVENT_ABORT_SUB)
				continue;
			counted[i].nest_level = nest_level - 1;
			for (int j = 0; j < kept && to < 0; j++)
				if (counted[j].relid == counted[i].relid && counted[j].nest_level == nest_level - 1)
					to = j;
		}
		if (to >= 0)
			counted[to].rows += counted[i].rows;
		else
			counted[kept++] = counted[i];
	}
	ncounted = kept;
}

static void
TransactionEnds(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		ncounted = 0;
}

/* ---- reads ---- */

/*
 * Has this scan begun?  Under parallel workers it may have begun there.
 */
static bool
HasBegun(const QueryDesc *query, ScanState *scan)
{
	if (query->plannedstmt->parallelModeNeeded)
		return true;
	switch (nodeTag(scan))
	{
		case T_SeqScanState:
			return scan->ss_currentScanDesc != NULL;
		case T_IndexScanState:
			return ((IndexScanState *) scan)->iss_ScanDesc != NULL;
		case T_IndexOnlyScanState:
			return ((IndexOnlyScanState *) scan)->ioss_ScanDesc != NULL;
		case T_BitmapHeapScanState:
			return ((BitmapHeapScanState *) scan)->initialized;
		case T_TidScanState:
			return ((TidScanState *) scan)->tss_TidList != NULL;
		default:
			return true;
	}
}

static bool
CollectReads(PlanState *node, Walk *walk)
{
	switch (nodeTag(node))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
			{
				ScanState  *scan = (ScanState *) node;
				const Router *router;
				LeafEntry  *leaf;

				if (scan->ss_currentRelation == NULL || !HasBegun(walk->query, scan))
					break;
				leaf = FindLeaf(scan->ss_currentRelation, &router);
				if (leaf == NULL || leaf->read_in == query_number)
					break;
				leaf->read_in = query_number;
				walk->reads = lappend(walk->reads, leaf);
				walk->scans = lappend(walk->scans, scan);
				break;
			}
		default:
			break;
	}
	return planstate_tree_walker(node, CollectReads, walk);
}

/* ---- keys of reads ---- */

static Node *
WithoutRelabel(Node *node)
{
	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return node;
}

static bool
IsKey(Node *node, const ScanState *scan, const LeafEntry *leaf)
{
	Var		   *var = (Var *) node;

	if (!IsA(node, Var))
		return false;
	if (var->varno == INDEX_VAR && IsA(scan, IndexOnlyScanState))
	{
		Relation	index = ((const IndexOnlyScanState *) scan)->ioss_RelationDesc;

		return index != NULL && var->varattno > 0 &&
			var->varattno <= index->rd_index->indnatts &&
			index->rd_index->indkey.values[var->varattno - 1] == leaf->key;
	}
	return var->varattno == leaf->key && var->varno == ((Scan *) scan->ps.plan)->scanrelid;
}

/*
 * The value of a constant or a parameter of the query.
 */
static bool
ValueOf(Node *node, ParamListInfo params, Oid *type, Datum *value)
{
	if (IsA(node, Const))
	{
		*type = ((Const *) node)->consttype;
		*value = ((Const *) node)->constvalue;
		return !((Const *) node)->constisnull;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXTERN && params != NULL &&
		params->paramFetch == NULL && ((Param *) node)->paramid <= params->numParams)
	{
		ParamExternData *param = &params->params[((Param *) node)->paramid - 1];

		*type = param->ptype;
		*value = param->value;
		return !param->isnull;
	}
	return false;
}

static bool
IsKeyEquality(const OpExpr *op, const LeafEntry *leaf)
{
	switch (op->opfuncid)
	{
		case F_TEXTEQ:
		case F_INT2EQ:
		case F_INT4EQ:
		case F_INT8EQ:
		case F_INT24EQ:
		case F_INT28EQ:
		case F_INT42EQ:
		case F_INT48EQ:
		case F_INT82EQ:
		case F_INT84EQ:
		case F_UUID_EQ:
			return list_length(op->args) == 2;
		default:
			return op->opfuncid == leaf->key_equal && list_length(op->args) == 2;
	}
}

/*
 * Is there a condition key = value among these?
 */
static bool
KeyAmong(List *quals, const ScanState *scan, const LeafEntry *leaf, ParamListInfo params,
		 Oid *type, Datum *value)
{
	ListCell   *lc;

	foreach(lc, quals)
	{
		OpExpr	   *op = lfirst(lc);
		Node	   *left;
		Node	   *right;

		if (!IsA(op, OpExpr) || !IsKeyEquality(op, leaf))
			continue;
		left = WithoutRelabel(linitial(op->args));
		right = WithoutRelabel(lsecond(op->args));
		if ((IsKey(left, scan, leaf) && ValueOf(right, params, type, value)) ||
			(IsKey(right, scan, leaf) && ValueOf(left, params, type, value)))
			return true;
	}
	return false;
}

/*
 * The key that a scan was for, if it was for one.
 */
static bool
KeyOfScan(const ScanState *scan, const LeafEntry *leaf, ParamListInfo params, Oid *type, Datum *value)
{
	List	   *quals = NIL;

	if (leaf->key <= 0)
		return false;
	switch (nodeTag(scan->ps.plan))
	{
		case T_IndexScan:
			quals = ((IndexScan *) scan->ps.plan)->indexqualorig;
			break;
		case T_IndexOnlyScan:
			quals = ((IndexOnlyScan *) scan->ps.plan)->recheckqual;
			break;
		case T_BitmapHeapScan:
			quals = ((BitmapHeapScan *) scan->ps.plan)->bitmapqualorig;
			break;
		default:
			break;
	}
	return KeyAmong(quals, scan, leaf, params, type, value) ||
		KeyAmong(scan->ps.plan->qual, scan, leaf, params, type, value);
}

static void
CountKeyRead(const Router *router, const LeafEntry *leaf, Oid type, Datum value)
{
	if (type == TEXTOID || type == VARCHAROID)
	{
		text	   *key = DatumGetTextPP(value);

		HotKeysAdd(router->counters->id, leaf->shard_index, VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key), 1);
	}
	else
	{
		char	   *key = CatalogKeyText(type, value);

		HotKeysAdd(router->counters->id, leaf->shard_index, key, strlen(key), 1);
		pfree(key);
	}
}

/*
 * Count the leaves that were read and not written, and their keys.
 */
static void
CountReads(Walk *walk)
{
	ListCell   *lc,
			   *lc2;

	forboth(lc, walk->reads, lc2, walk->scans)
	{
		LeafEntry  *leaf = lfirst(lc);
		ScanState  *scan = lfirst(lc2);
		const Router *router;
		Oid			type;
		Datum		value;

		if (leaf->written_in == query_number || !OidIsValid(leaf->parent))
			continue;
		router = CatalogRouterForParent(leaf->parent);
		if (router == NULL || CountersAttach(router->counters) == NULL)
			continue;
		CountAccess(router->counters, leaf->shard_index, ACCESS_READ, 1);
		if (KeyOfScan(scan, leaf, walk->query->params, &type, &value))
			CountKeyRead(router, leaf, type, value);
	}
}

/* ---- hooks ---- */

static void
CountQuery(QueryDesc *query)
{
	Walk		walk = {query, NIL, NIL};

	query_number++;
	CountResultRelations(query->estate->es_opened_result_relations);
	CountResultRelations(query->estate->es_tuple_routing_result_relations);
	(void) CollectReads(query->planstate, &walk);
	if (walk.reads != NIL)
		CountReads(&walk);
}

static void
AccessFinish(QueryDesc *query)
{
	if (query->planstate != NULL && !IsParallelWorker() && !InSecurityRestrictedOperation())
	{
		MemoryContext old = MemoryContextSwitchTo(query->estate->es_query_cxt);

		CountQuery(query);
		MemoryContextSwitchTo(old);
	}
	if (previous_finish)
		previous_finish(query);
	else
		standard_ExecutorFinish(query);
}

/*
 * Count the rows of a table's leaves that a COPY has filled.
 */
static void
CountCopy(const RangeVar *table)
{
	Oid			relid = RangeVarGetRelid(table, NoLock, true);
	ListCell   *lc;
	List	   *relids;

	if (!OidIsValid(relid) ||
		(get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE && !get_rel_relispartition(relid)))
		return;
	query_number++;
	relids = get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE ?
		find_inheritance_children(relid, AccessShareLock) : list_make1_oid(relid);
	foreach(lc, relids)
	{
		Relation	rel = RelationIdGetRelation(lfirst_oid(lc));

		if (!RelationIsValid(rel))
			continue;
		CountWrites(rel);
		RelationClose(rel);
	}
}

static void
AccessUtility(PlannedStmt *statement, const char *text, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			  DestReceiver *dest, QueryCompletion *completion)
{
	if (previous_utility)
		previous_utility(statement, text, read_only_tree, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context, params, environment, dest,
								completion);
	if (IsA(statement->utilityStmt, CopyStmt) && ((CopyStmt *) statement->utilityStmt)->is_from &&
		((CopyStmt *) statement->utilityStmt)->relation != NULL && !InSecurityRestrictedOperation())
		CountCopy(((CopyStmt *) statement->utilityStmt)->relation);
}

void
AccessInit(void)
{
	if (!ShardPreloaded() && !process_shared_preload_libraries_in_progress)
		return;
	previous_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = AccessFinish;
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = AccessUtility;
	RegisterXactCallback(TransactionEnds, NULL);
	RegisterSubXactCallback(SubtransactionEnds, NULL);
}
