/*
 * range_split.c
 *		Changing the ranges of a router of strategy range: rows and leaves.
 *
 * Where a border of the new ranges lies inside a leaf, the smaller side leaves
 * it: from the end of the leaf's range inwards, as many keys as one step may
 * move go to a leaf of their own beside it, which grows with each step.  From
 * the default leaf, which holds what no range does, they go upwards from the
 * border.
 *
 * Rows are moved below the executor, and with our replication origin, so that
 * the move is no event.  The router's row gets a new version with each step:
 * queries with older snapshots must not look for rows in leaves where they do
 * not see them yet (snapshot_guard.c).
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "base/points.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "table/key.h"
#include "table/parts.h"
#include "table/range_key.h"
#include "table/range_layout.h"
#include "table/range_split.h"
#include "table/table.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define FETCH_ROWS 1000

/* Rows that have to leave a leaf, at one of its ends, or the default leaf. */
typedef struct Cut
{
	const RangeLeaf *leaf;		/* NULL: the default leaf */
	Range		rows;			/* all that go; the shard is that of now */
	bool		upwards;		/* in steps from the start, else from the end */
	int			wanted;			/* the shard to which they will belong */
} Cut;

RangeTarget *
RangeTargetCreate(const char *name, Jsonb *ranges, int default_shard)
{
	const Router *router = CatalogRouter(name, false);
	RangeTarget *target = palloc0(sizeof(RangeTarget));
	KeyOrder   *order = KeyOrderCreate(router->order->type);

	/* of our own, for the router's entry may be replaced */
	if (ranges == NULL)
		ranges = RangesWrite(order, router->ranges);
	target->router = pstrdup(name);
	target->ranges = RangesRead(order, ranges);
	target->default_shard = default_shard;
	target->all = CatalogAllRanges(router, target->ranges, default_shard, true);
	return target;
}

/* ---- queries over keys ---- */

/*
 * A partition key that is an expression calls functions that the table's owner
 * has chosen: they run as the owner, in a restricted operation.  With
 * row_security off a policy that would hide rows is an error.
 */
typedef struct OwnerScope
{
	bool		active;
	Oid			user;
	int			sec_context;
	int			nest;
} OwnerScope;

static void
OwnerBegin(OwnerScope *scope, Oid parent)
{
	Relation	rel = table_open(parent, NoLock);
	Oid			owner = rel->rd_rel->relowner;
	Bitmapset  *attnums;

	table_close(rel, NoLock);
	scope->active = KeyIsExpression(parent, &attnums);
	if (!scope->active)
		return;
	GetUserIdAndSecContext(&scope->user, &scope->sec_context);
	scope->nest = NewGUCNestLevel();
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SetUserIdAndSecContext(owner, scope->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
}

static void
OwnerEnd(OwnerScope *scope)
{
	if (!scope->active)
		return;
	SetUserIdAndSecContext(scope->user, scope->sec_context);
	AtEOXact_GUC(false, scope->nest);
}

static List *
KeyTexts(Oid parent, const char *query)
{
	OwnerScope	scope;
	List	   *texts;

	OwnerBegin(&scope, parent);
	texts = DdlTexts(query, InvalidOid, 0);
	OwnerEnd(&scope);
	return texts;
}

/* ---- what has to move ---- */

static int64
CountRows(const RangeLayout *layout, Oid leaf, const Range *range, int64 limit)
{
	RangeKeySql *sql = RangeKeyOperators(layout->parent);
	List	   *count = KeyTexts(layout->parent,
								 psprintf("SELECT count(*) FROM (SELECT FROM ONLY %s WHERE %s LIMIT "
										  INT64_FORMAT ") AS s",
										  QualifiedName(leaf),
										  RangeKeyCondition(sql, layout->order, range), limit));

	return strtoll(linitial(count), NULL, 10);
}

/* Beyond so many rows it does not matter which side of a border has fewer. */
#define COUNT_LIMIT 1000000

/*
 * A leaf in which borders of the target lie: the lowest and the highest.
 */
static Cut
CutLeaf(const RangeLayout *layout, const RangeTarget *target, const RangeLeaf *leaf,
		const RangeBound *lowest)
{
	Range		low = {leaf->range.start, *lowest, leaf->range.shard};
	Range		high = {*lowest, leaf->range.end, leaf->range.shard};
	RangeBound	border;
	int64		nhigh;

	while (RangeNextBorder(target->all, &high.start, &border) &&
		   RangeCompare(&target->all->order, &border, &high.end) < 0)
		high.start = border;
	nhigh = CountRows(layout, leaf->oid, &high, COUNT_LIMIT);
	if (nhigh > 0 && CountRows(layout, leaf->oid, &low, nhigh) < nhigh)
		return (Cut) {leaf, low, true, RangeShardAbove(target->all, &low.start)};
	return (Cut) {leaf, high, false, RangeShardAbove(target->all, &high.start)};
}

/*
 * The first cut at or above a bound, which goes up; false if there is none.
 */
static bool
NextCut(const RangeLayout *layout, const RangeTarget *target, RangeBound *after, Cut *cut)
{
	const RangeOrder *order = &target->all->order;

	while (after->infinity <= 0)
	{
		RangeBound	start = *after;
		RangeBound	end;
		RangeBound	border;
		const RangeLeaf *leaf = RangeLeafAbove(layout, &start, &end);
		int			wanted = RangeShardAbove(target->all, &start);
		bool		divided = RangeNextBorder(target->all, &start, &border) &&
			RangeCompare(order, &border, &end) < 0;

		*after = end;
		if (leaf != NULL && divided)
		{
			*cut = CutLeaf(layout, target, leaf, &border);
			return true;
		}
		if (leaf == NULL && divided)
			*after = end = border;
		if (leaf == NULL && wanted != target->default_shard)
		{
			*cut = (Cut) {NULL, {start, end, layout->default_shard}, true, wanted};
			return true;
		}
	}
	return false;
}

static Oid
CutFrom(const RangeLayout *layout, const Cut *cut)
{
	return cut->leaf != NULL ? cut->leaf->oid : layout->default_leaf;
}

int64
RangeRowsToMove(const RangeTarget *target, int64 limit)
{
	int64		rows = 0;
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(target->router))
	{
		RangeLayout *layout = RangeLayoutRead(lfirst_oid(lc));
		RangeBound	after = {-1, 0};
		Cut			cut;

		while (rows < limit && NextCut(layout, target, &after, &cut))
			rows += CountRows(layout, CutFrom(layout, &cut), &cut.rows, limit - rows);
	}
	return rows;
}

/* ---- one step ---- */

/*
 * Shorten what a cut takes to about max_rows rows, and to one key at least.
 */
static Range
FirstRows(const RangeLayout *layout, const Cut *cut, int64 max_rows)
{
	RangeKeySql *sql = RangeKeyOperators(layout->parent);
	char	   *leaf = QualifiedName(CutFrom(layout, cut));
	char	   *condition = RangeKeyCondition(sql, layout->order, &cut->rows);
	Range		rows = cut->rows;
	List	   *found;

	if (cut->upwards)
		found = KeyTexts(layout->parent,
						 psprintf("SELECT (%s)::%s::text FROM ONLY %s WHERE %s AND %s %s "
								  "(SELECT %s FROM ONLY %s WHERE %s ORDER BY %s USING %s LIMIT 1) "
								  "ORDER BY %s USING %s OFFSET " INT64_FORMAT " LIMIT 1",
								  sql->key, sql->type, leaf, condition, sql->key, sql->greater,
								  sql->key, leaf, condition, sql->key, sql->less,
								  sql->key, sql->less, max_rows));
	else
		found = KeyTexts(layout->parent,
						 psprintf("SELECT (%s)::%s::text FROM ONLY %s WHERE %s "
								  "ORDER BY %s USING %s OFFSET " INT64_FORMAT " LIMIT 1",
								  sql->key, sql->type, leaf, condition,
								  sql->key, sql->greater, max_rows - 1));
	if (found == NIL)
		return rows;
	*(cut->upwards ? &rows.end : &rows.start) =
		(RangeBound) {0, KeyOrderRead(layout->order, linitial(found))};
	return rows;
}

/*
 * The leaf beside these rows that is to have them: in the same shard now, and
 * later, too.  NULL if there is none yet.
 */
static const RangeLeaf *
Neighbour(const RangeLayout *layout, const RangeTarget *target, const Cut *cut)
{
	const RangeOrder *order = &target->all->order;

	for (int i = 0; i < layout->nleaves; i++)
	{
		const RangeLeaf *leaf = &layout->leaves[i];
		bool		beside = cut->upwards ?
			RangeCompare(order, &leaf->range.end, &cut->rows.start) == 0 :
			RangeCompare(order, &leaf->range.start, &cut->rows.end) == 0;
		RangeBound	border;

		if (beside && leaf->range.shard == cut->rows.shard &&
			RangeShardAbove(target->all, &leaf->range.start) == cut->wanted &&
			!(RangeNextBorder(target->all, &leaf->range.start, &border) &&
			  RangeCompare(order, &border, &leaf->range.end) < 0))
			return leaf;
	}
	return NULL;
}

/* Where moved rows come from and go to. */
typedef struct Move
{
	Relation	source;
	Relation	target;
	TupleConversionMap *map;
	TupleTableSlot *slot;
	TupleTableSlot *converted;	/* slot itself if the columns are alike */
	RowWriter  *writer;
	RowWriter  *eraser;
} Move;

static void
MoveBegin(Move *move, Oid from, Oid to)
{
	move->source = table_open(from, RowExclusiveLock);
	move->target = table_open(to, RowExclusiveLock);
	move->map = convert_tuples_by_name(RelationGetDescr(move->source),
									   RelationGetDescr(move->target));
	move->slot = table_slot_create(move->source, NULL);
	move->converted = move->map == NULL ? move->slot :
		MakeSingleTupleTableSlot(RelationGetDescr(move->target), &TTSOpsVirtual);
	move->writer = RowWriterBegin(move->target);
	move->eraser = RowWriterBegin(move->source);
}

static void
MoveRow(Move *move, ItemPointer tid, Snapshot snapshot)
{
	if (!table_tuple_fetch_row_version(move->source, tid, snapshot, move->slot))
		elog(ERROR, "a row of \"%s\" has gone", RelationGetRelationName(move->source));
	slot_getallattrs(move->slot);
	if (move->map != NULL)
		execute_attr_map_slot(move->map->attrMap, move->slot, move->converted);
	RowWriterAppend(move->writer, move->converted->tts_values, move->converted->tts_isnull);
	RowWriterDelete(move->eraser, tid);
}

static void
MoveEnd(Move *move)
{
	RowWriterEnd(move->writer);
	RowWriterEnd(move->eraser);
	if (move->map != NULL)
		ExecDropSingleTupleTableSlot(move->converted);
	ExecDropSingleTupleTableSlot(move->slot);
	table_close(move->source, NoLock);
	table_close(move->target, NoLock);
}

/*
 * Move the rows that a condition names.  Its cursor's snapshot does not see
 * what we delete meanwhile.
 */
static int64
MoveRows(Oid parent, Oid from, Oid to, const char *condition)
{
	char	   *query = psprintf("SELECT ctid FROM ONLY %s WHERE %s", QualifiedName(from), condition);
	Snapshot	snapshot;
	int64		rows = 0;
	SPIPlanPtr	plan;
	Portal		portal;
	Move		move;
	OwnerScope	scope;

	PushActiveSnapshot(GetLatestSnapshot());
	snapshot = GetActiveSnapshot();
	OwnerBegin(&scope, parent);
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "%s: %s", SPI_result_code_string(SPI_result), query);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	OwnerEnd(&scope);
	MoveBegin(&move, from, to);
	TableOriginBegin();
	for (;;)
	{
		OwnerBegin(&scope, parent);
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		OwnerEnd(&scope);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			Datum		tid = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

			CHECK_FOR_INTERRUPTS();
			MoveRow(&move, (ItemPointer) DatumGetPointer(tid), snapshot);
		}
		rows += SPI_processed;
		SPI_freetuptable(SPI_tuptable);
	}
	MoveEnd(&move);
	TableOriginEnd();
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
	PopActiveSnapshot();
	CommandCounterIncrement();
	return rows;
}

/*
 * What is left to a leaf when rows at one end of its range go.
 */
static Range
Rest(const Cut *cut, const Range *rows)
{
	Range		rest = cut->leaf->range;

	*(cut->upwards ? &rest.start : &rest.end) = cut->upwards ? rows->end : rows->start;
	return rest;
}

/*
 * Rows of a leaf go to its neighbour or to a new leaf.  The ranges change
 * first: what they promise is kept again before anybody can look.
 */
static int64
MoveFromLeaf(const RangeLayout *layout, const Cut *cut, const RangeLeaf *neighbour,
			 const Range *rows, const char *condition)
{
	Range		rest = Rest(cut, rows);
	Oid			to;

	RangeLeafSetRange(layout, cut->leaf->oid, &rest);
	if (neighbour != NULL)
	{
		Range		grown = neighbour->range;

		*(cut->upwards ? &grown.end : &grown.start) = cut->upwards ? rows->end : rows->start;
		to = neighbour->oid;
		RangeLeafSetRange(layout, to, &grown);
	}
	else
	{
		to = RangeLeafMake(layout, rows->shard, cut->leaf->oid);
		RangeLeafAttach(layout, to, rows);
	}
	return MoveRows(layout->parent, cut->leaf->oid, to, condition);
}

/*
 * The default leaf's range is what the others leave: a new leaf can be attached
 * only when the rows are out of it.
 */
static int64
MoveFromDefault(const RangeLayout *layout, const RangeLeaf *neighbour, const Range *rows,
				const char *condition)
{
	int64		moved;
	Oid			to;

	if (neighbour != NULL)
	{
		Range		grown = neighbour->range;

		grown.end = rows->end;
		RangeLeafSetRange(layout, neighbour->oid, &grown);
		return MoveRows(layout->parent, layout->default_leaf, neighbour->oid, condition);
	}
	to = RangeLeafMake(layout, rows->shard, layout->default_leaf);
	moved = MoveRows(layout->parent, layout->default_leaf, to, condition);
	RangeLeafAttach(layout, to, rows);
	return moved;
}

/*
 * Give the router's row a new version, whose xid tells snapshots apart.
 */
static void
TouchRouter(const char *router)
{
	DdlRunf("UPDATE _shard.router SET name = name WHERE name = %s", quote_literal_cstr(router));
	TableInvalidateRouter(router);
}

struct RangeStep
{
	RangeLayout *layout;
	Cut			cut;
	Range		rows;			/* of the cut, those of this step */
};

RangeStep *
RangeStepFind(const RangeTarget *target, int64 max_rows)
{
	RangeStep  *step = palloc0(sizeof(RangeStep));
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(target->router))
	{
		RangeBound	after = {-1, 0};

		step->layout = RangeLayoutRead(lfirst_oid(lc));
		if (!NextCut(step->layout, target, &after, &step->cut))
			continue;
		step->rows = FirstRows(step->layout, &step->cut, max_rows);
		return step;
	}
	return NULL;
}

int64
RangeStepRun(const RangeTarget *target, const RangeStep *step)
{
	const RangeLayout *layout = step->layout;
	char	   *condition = RangeKeyCondition(RangeKeyOperators(layout->parent), layout->order,
											  &step->rows);
	const RangeLeaf *neighbour = Neighbour(layout, target, &step->cut);
	int64		rows;

	if (step->cut.leaf != NULL)
		rows = MoveFromLeaf(layout, &step->cut, neighbour, &step->rows, condition);
	else
		rows = MoveFromDefault(layout, neighbour, &step->rows, condition);
	SHARD_POINT("range-split-moved");
	TouchRouter(target->router);
	return rows;
}

/* ---- the flip ---- */

static bool
IsDeclared(const RangeTarget *target, const RangeBound *bound)
{
	for (int i = 0; i < target->ranges->nranges; i++)
		if (RangeCompare(&target->all->order, &target->ranges->ranges[i].start, bound) == 0 ||
			RangeCompare(&target->all->order, &target->ranges->ranges[i].end, bound) == 0)
			return true;
	return false;
}

static bool
IsEmpty(Oid leaf)
{
	return DdlTexts(psprintf("SELECT 'row' FROM ONLY %s LIMIT 1", QualifiedName(leaf)),
					InvalidOid, 0) == NIL;
}

static void
Drop(const RangeLayout *layout, Oid leaf)
{
	/* detached first: foreign keys to the parent refer to each of its leaves */
	DdlRunf("ALTER TABLE %s DETACH PARTITION %s", QualifiedName(layout->parent), QualifiedName(leaf));
	DdlRunf("DROP TABLE %s", QualifiedName(leaf));
	CommandCounterIncrement();
}

/*
 * Two leaves side by side in one shard, of which one is empty, become one where
 * the ranges do not divide them any more.
 */
static void
JoinEmpty(Oid parent, const RangeTarget *target)
{
	RangeLayout *layout = RangeLayoutRead(parent);

	for (int i = 0; i + 1 < layout->nleaves; i++)
	{
		RangeLeaf  *one = &layout->leaves[i];
		RangeLeaf  *next = &layout->leaves[i + 1];
		RangeLeaf  *empty;

		if (one->range.shard != next->range.shard ||
			RangeCompare(&target->all->order, &one->range.end, &next->range.start) != 0 ||
			IsDeclared(target, &next->range.start))
			continue;
		empty = IsEmpty(next->oid) ? next : IsEmpty(one->oid) ? one : NULL;
		if (empty == NULL)
			continue;
		Drop(layout, empty->oid);
		next->range.start = one->range.start;
		next->oid = empty == next ? one->oid : next->oid;
		RangeLeafSetRange(layout, next->oid, &next->range);
	}
}

static void
GiveLeaves(Oid parent, const RangeTarget *target)
{
	RangeLayout *layout = RangeLayoutRead(parent);
	RangeBound	after = {-1, 0};
	Range		piece;

	for (int i = 0; i < layout->nleaves; i++)
		RangeLeafGive(parent, layout->leaves[i].oid, target->router,
					  RangeShardAbove(target->all, &layout->leaves[i].range.start));
	RangeLeafGive(parent, layout->default_leaf, target->router, target->default_shard);
	layout = RangeLayoutRead(parent);
	if (RangeLayoutDiffers(layout, target->all, &after, &piece))
		elog(ERROR, "keys %s of table \"%s\" are not in shard %d",
			 RangeText(layout->order, &piece), get_rel_name(parent), piece.shard);
	JoinEmpty(parent, target);
}

void
RangeFlip(const RangeTarget *target)
{
	KeyOrder   *order = target->ranges->order.arg;
	Jsonb	   *json = RangesWrite(order, target->ranges);
	ListCell   *lc;

	foreach(lc, CatalogRouterParents(target->router))
		GiveLeaves(lfirst_oid(lc), target);
	DdlRunf("UPDATE _shard.router SET ranges = %s::jsonb, default_shard = %d WHERE name = %s",
			quote_literal_cstr(JsonbToCString(NULL, &json->root, 0)), target->default_shard,
			quote_literal_cstr(target->router));
	TableInvalidateRouter(target->router);
}
