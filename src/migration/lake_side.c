/*
 * lake_side.c
 *		Reading a table's lake: counts of its keys, and rows of chosen keys.
 *
 * Both run in a subtransaction of their own: an engine that is down or a lake
 * that lacks a column costs time, never the plan or the batch.  What is read
 * here need not be up to date, since the source has the last word on each row;
 * but a lake that was flushed for us is seen, by a snapshot of now.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/partition.h"
#include "client/engine.h"
#include "client/values.h"
#include "lake/lake.h"
#include "lib/stringinfo.h"
#include "migration/guard.h"
#include "migration/lake_side.h"
#include "migration/progress.h"
#include "migration/rows.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/partcache.h"
#include "utils/snapmgr.h"

/* With more keys than that in a batch the lake is no shorter way. */
#define MAX_KEYS 100000

/* ---- what both need ---- */

/*
 * The key's column in the parent; 0 if it is an expression.
 */
static AttrNumber
KeyColumn(Relation parent)
{
	return RelationGetPartitionKey(parent)->partattrs[0];
}

static bool
IsInLake(Relation parent)
{
	ShardedTable *table = CatalogShardedTable(RelationGetRelid(parent));

	return table != NULL && table->lake && KeyColumn(parent) != 0;
}

/*
 * Set up reading a column of the lake as the parent's attribute; returns the id
 * of its field.
 */
static int
PrepareCodec(ValueCodec *codec, Relation parent, AttrNumber attnum, const IcebergSchema *schema)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(parent), attnum - 1);
	const IcebergField *field = LakeColumnField(schema, 0, attnum);

	if (field == NULL || !field->primitive)
		elog(ERROR, "column \"%s\" is not in the lake", NameStr(att->attname));
	ValueCodecInitForRead(codec, att->atttypid, att->atttypmod, field->type);
	return field->id;
}

/* ---- counting ---- */

typedef struct Counting
{
	KeyCounts  *counts;
	Relation	parent;
} Counting;

static void
CountGuarded(void *arg)
{
	Counting   *counting = arg;
	Relation	parent = counting->parent;
	AttrNumber	key = KeyColumn(parent);
	Oid			type = TupleDescAttr(RelationGetDescr(parent), key - 1)->atttypid;
	bool		is_text = KeyTypeIsText(type);
	int			field_id;
	LakeTable  *table = LakeOpenRelation(RelationGetRelid(parent));
	LakeScan   *scan = LakeScanPlan(table, -1, NULL, 0);
	EngineConn *conn = EngineAcquire();
	EngineResult *result;
	WireChunk  *chunk;
	ValueCodec	codec;

	field_id = PrepareCodec(&codec, parent, key, scan->schema);
	result = EngineQuery(conn,
						 psprintf("SELECT f%d, count(*) FROM %s AS rows GROUP BY 1",
								  field_id, LakeScanSql(scan, &field_id, 1, false)),
						 scan->deletes, scan->ndeletes);
	while ((chunk = EngineFetch(result)) != NULL)
	{
		for (int row = 0; row < chunk->nrows; row++)
		{
			bool		isnull;
			Datum		value = ValueGet(&codec, chunk, 0, row, &isnull);
			size_t		len;
			const char *text;
			int64		rows;

			if (isnull)
				continue;
			text = KeyDatumText(type, is_text, value, &len);
			memcpy(&rows, ChunkGetFixed(chunk, 1, row), sizeof(rows));
			KeyCountsAdd(counting->counts, text, len, rows, 0);
		}
		CHECK_FOR_INTERRUPTS();
	}
	EngineFinish(result);
	EngineRelease(conn);
}

bool
CountInLake(KeyCounts *counts, Relation parent)
{
	Counting	counting = {KeyCountsCreate(), parent};
	char	   *error;

	if (!IsInLake(parent))
		return false;
	PushActiveSnapshot(GetLatestSnapshot());
	error = RunGuarded(CountGuarded, &counting);
	PopActiveSnapshot();
	if (error != NULL)
	{
		ereport(DEBUG1, (errmsg_internal("keys are not counted in the lake: %s", error)));
		return false;
	}
	KeyCountsMerge(counts, counting.counts);
	return true;
}

/* ---- filling ---- */

typedef struct Filling
{
	Match	   *match;
	KeyMoves   *moves;
	const BatchReport *report;
	Relation	parent;
	int			assume;			/* the lake has the last word on rows of this shard; -1 = none */
	List	   *keys;			/* of char * */
	int64		rows;
	StringInfoData scratch;
	MemoryContext row_context;
} Filling;

/*
 * The batch's keys as a list of engine literals, and as a condition by which
 * files are pruned.
 */
static char *
KeyConditions(Filling *filling, ValueCodec *codec, int field_id, LakeCondition *condition)
{
	WireChunk  *chunk = ChunkCreate(&codec->type, 1);
	StringInfoData list;
	Oid			input,
				ioparam;
	ListCell   *lc;

	getTypeInputInfo(codec->typid, &input, &ioparam);
	initStringInfo(&list);
	condition->field_id = field_id;
	condition->op = LAKE_IN;
	condition->nvalues = 0;
	condition->values = palloc(sizeof(IcebergBytes) * list_length(filling->keys));
	foreach(lc, filling->keys)
	{
		Datum		value = OidInputFunctionCall(input, lfirst(lc), ioparam, codec->typmod);
		size_t		len = LakeKindWidth(codec->type.kind);
		const void *bytes;
		IcebergBytes serialized;

		ChunkReset(chunk);
		ValuePut(codec, chunk, 0, value, false);
		chunk->nrows = 1;
		bytes = len > 0 ? ChunkGetFixed(chunk, 0, 0) : ChunkGetBytes(chunk, 0, 0, &len);
		serialized = IcebergSerializeValue(codec->type, bytes, len);
		serialized.data = memcpy(palloc(Max(serialized.len, 1)), serialized.data, serialized.len);
		condition->values[condition->nvalues++] = serialized;
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
						 ValueEngineLiteral(codec, value, false));
	}
	ChunkFree(chunk);
	return list.data;
}

/*
 * One row of the lake: insert it if its key moves in this batch.
 */
static void
FillRow(Filling *filling, const Datum *values, const bool *nulls, Oid key_type, bool key_is_text)
{
	AttrNumber	key = KeyColumn(filling->parent);
	size_t		len;
	const char *text;
	uint64		position;
	int			before,
				after;
	uint64		hash;
	Oid			parent = RelationGetRelid(filling->parent);

	if (nulls[key - 1])
		return;
	text = KeyDatumText(key_type, key_is_text, values[key - 1], &len);
	KeyMovesLookup(filling->moves, text, len, &position, &before, &after);
	if (before == after || position < filling->report->low || position > filling->report->high)
		return;
	hash = RowHash(RelationGetDescr(filling->parent), values, nulls,
				   SourceSeed(parent, after), &filling->scratch);
	MatchInsert(filling->match, parent, after, values, nulls, hash);
	if (before == filling->assume)
		MatchAssume(filling->match, hash);
	filling->rows++;
}

static void
FillChunk(Filling *filling, const WireChunk *chunk, ValueCodec *codecs, const int *attnums,
		  int ncols, Datum *values, bool *nulls)
{
	AttrNumber	key = KeyColumn(filling->parent);
	Oid			key_type = TupleDescAttr(RelationGetDescr(filling->parent), key - 1)->atttypid;
	bool		key_is_text = KeyTypeIsText(key_type);

	for (int row = 0; row < chunk->nrows; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(filling->row_context);

		for (int i = 0; i < ncols; i++)
			values[attnums[i] - 1] = ValueGet(&codecs[i], chunk, i, row, &nulls[attnums[i] - 1]);
		FillRow(filling, values, nulls, key_type, key_is_text);
		MemoryContextSwitchTo(old);
		MemoryContextReset(filling->row_context);
	}
	CHECK_FOR_INTERRUPTS();
	ProgressBatch(filling->rows, filling->rows);
}

static void
FillGuarded(void *arg)
{
	Filling    *filling = arg;
	Relation	parent = filling->parent;
	TupleDesc	desc = RelationGetDescr(parent);
	LakeTable  *table = LakeOpenRelation(RelationGetRelid(parent));
	int		   *attnums = palloc(sizeof(int) * desc->natts);
	ValueCodec *codecs = palloc0(sizeof(ValueCodec) * desc->natts);
	Datum	   *values = palloc0(sizeof(Datum) * desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * desc->natts);
	const IcebergSchema *schema = IcebergCurrentSchema(table->metadata);
	int		   *fields = palloc(sizeof(int) * desc->natts);
	int			ncols = 0;
	int			key_field;
	LakeCondition condition;
	char	   *list;
	LakeScan   *scan;
	ValueCodec	key_codec;
	EngineConn *conn;
	EngineResult *result;
	WireChunk  *chunk;

	memset(nulls, true, desc->natts);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		fields[ncols] = PrepareCodec(&codecs[ncols], parent, i + 1, schema);
		attnums[ncols++] = i + 1;
	}
	key_field = PrepareCodec(&key_codec, parent, KeyColumn(parent), schema);
	list = KeyConditions(filling, &key_codec, key_field, &condition);
	scan = LakeScanPlan(table, -1, &condition, 1);
	conn = EngineAcquire();
	result = EngineQuery(conn,
						 psprintf("SELECT * FROM %s AS rows WHERE f%d IN (%s)",
								  LakeScanSql(scan, fields, ncols, false),
								  key_field, list),
						 scan->deletes, scan->ndeletes);
	while ((chunk = EngineFetch(result)) != NULL)
		FillChunk(filling, chunk, codecs, attnums, ncols, values, nulls);
	EngineFinish(result);
	EngineRelease(conn);
	MatchRelease(filling->match);
}

int64
FillFromLake(Match *match, KeyMoves *moves, const MigrationJob *job, const BatchReport *report,
			 Oid parent)
{
	Filling		filling = {.match = match, .moves = moves, .report = report};
	bool		must = job->plan->evacuate && job->direction > 0;
	char	   *error = NULL;

	filling.assume = must ? job->plan->shard_index : -1;
	filling.parent = table_open(parent, AccessShareLock);
	if (IsInLake(filling.parent))
		filling.keys = IntervalKeys(job, report, must ? PG_INT32_MAX : MAX_KEYS);
	if (filling.keys != NIL)
	{
		initStringInfo(&filling.scratch);
		filling.row_context = AllocSetContextCreate(CurrentMemoryContext, "shard migration row",
													ALLOCSET_DEFAULT_SIZES);
		MatchMark(match);
		PushActiveSnapshot(GetLatestSnapshot());
		error = RunGuarded(FillGuarded, &filling);
		PopActiveSnapshot();
		MemoryContextDelete(filling.row_context);
	}
	table_close(filling.parent, NoLock);
	if (error == NULL)
		return filling.rows;
	if (must)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the lake cannot be read: %s", error)));
	MatchForgetSinceMark(match);
	JobLog(job->id, "replaying", "the lake cannot be read, rows come from the shards: %s", error);
	return 0;
}
