/*
 * position.c
 *		Reads and writes the committed position; see position.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lake/lake.h"
#include "miscadmin.h"
#include "pipeline/position.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

static void
Run(const char *sql, int nargs, Oid *types, Datum *args, const char *nulls)
{
	if (SPI_execute_with_args(sql, nargs, types, args, nulls, false, 0) < 0)
		elog(ERROR, "could not run: %s", sql);
}

static void
Begin(void)
{
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
End(void)
{
	PopActiveSnapshot();
	SPI_finish();
}

void
PositionHere(Position *position)
{
	memset(position, 0, sizeof(*position));
	position->system = GetSystemIdentifier();
	position->database = MyDatabaseId;
	position->timeline = GetWALInsertionTimeLine();
}

bool
PositionRead(Position *position)
{
	bool		found;

	memset(position, 0, sizeof(*position));
	Begin();
	Run("SELECT database, system_identifier, timeline, slot_generation, lsn FROM _shard.pipeline",
		0, NULL, NULL, NULL);
	found = SPI_processed == 1;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		position->database = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		position->system = (uint64) DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		position->timeline = (TimeLineID) DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull));
		position->generation = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
		position->lsn = DatumGetLSN(SPI_getbinval(row, desc, 5, &isnull));
	}
	End();
	return found;
}

void
PositionWrite(const Position *position)
{
	Oid			types[5] = {OIDOID, INT8OID, INT4OID, INT8OID, PG_LSNOID};
	Datum		args[5];

	args[0] = ObjectIdGetDatum(position->database);
	args[1] = Int64GetDatum((int64) position->system);
	args[2] = Int32GetDatum((int32) position->timeline);
	args[3] = Int64GetDatum(position->generation);
	args[4] = LSNGetDatum(position->lsn);
	Begin();
	Run("INSERT INTO _shard.pipeline AS p"
		" (database, system_identifier, timeline, slot_generation, lsn, updated_at)"
		" VALUES ($1, $2, $3, $4, $5, pg_catalog.now())"
		" ON CONFLICT (one) DO UPDATE SET database = $1, system_identifier = $2, timeline = $3,"
		" slot_generation = $4, lsn = $5, updated_at = pg_catalog.now()",
		5, types, args, NULL);
	End();
}

/*
 * The slot is confirmed only after a position was committed, so it never is
 * ahead of the stored one, nor is that ahead of the WAL.
 */
bool
PositionFits(const Position *stored, XLogRecPtr confirmed)
{
	Position	here;

	PositionHere(&here);
	return stored->system == here.system && stored->database == here.database &&
		stored->timeline == here.timeline && stored->generation > 0 &&
		confirmed <= stored->lsn && stored->lsn <= GetXLogInsertRecPtr();
}

void
PositionNewGeneration(Position *position, XLogRecPtr lsn)
{
	Position	stored;

	(void) PositionRead(&stored);
	PositionHere(position);
	position->generation = stored.generation + 1;
	position->lsn = lsn;
	PositionWrite(position);
	Begin();
	Run("UPDATE _shard.lake_table SET synced = false, snapshot = NULL, snapshot_lsn = NULL",
		0, NULL, NULL, NULL);
	End();
}

static char *
TextOrNull(HeapTuple row, TupleDesc desc, int col)
{
	return SPI_getvalue(row, desc, col);
}

List *
RegisteredTables(void)
{
	MemoryContext caller = CurrentMemoryContext;
	List	   *tables = NIL;

	Begin();
	Run("SELECT relation, namespace, name, events_name, synced, coalesce(slot_generation, 0),"
		" snapshot, snapshot_lsn, problem FROM _shard.lake_table ORDER BY relation",
		0, NULL, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext spi = MemoryContextSwitchTo(caller);
		RegisteredTable *table = palloc0(sizeof(RegisteredTable));
		bool		isnull;
		Datum		lsn;

		table->relation = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		table->namespace = TextOrNull(row, desc, 2);
		table->name = TextOrNull(row, desc, 3);
		table->events_name = TextOrNull(row, desc, 4);
		table->synced = DatumGetBool(SPI_getbinval(row, desc, 5, &isnull));
		table->generation = DatumGetInt64(SPI_getbinval(row, desc, 6, &isnull));
		table->snapshot = TextOrNull(row, desc, 7);
		lsn = SPI_getbinval(row, desc, 8, &isnull);
		table->snapshot_lsn = isnull ? InvalidXLogRecPtr : DatumGetLSN(lsn);
		table->problem = TextOrNull(row, desc, 9);
		tables = lappend(tables, table);
		MemoryContextSwitchTo(spi);
	}
	End();
	return tables;
}

static void
SetTable(const char *sql, Oid relation, const Position *position,
		 const char *snapshot, XLogRecPtr snapshot_lsn)
{
	Oid			types[7] = {OIDOID, INT8OID, INT4OID, INT8OID, PG_LSNOID, TEXTOID, PG_LSNOID};
	Datum		args[7];
	char		nulls[8] = "       ";

	args[0] = ObjectIdGetDatum(relation);
	args[1] = Int64GetDatum((int64) position->system);
	args[2] = Int32GetDatum((int32) position->timeline);
	args[3] = Int64GetDatum(position->generation);
	args[4] = LSNGetDatum(position->lsn);
	args[5] = snapshot != NULL ? CStringGetTextDatum(snapshot) : (Datum) 0;
	args[6] = LSNGetDatum(snapshot_lsn);
	if (snapshot == NULL)
		nulls[5] = nulls[6] = 'n';
	Begin();
	Run(sql, 7, types, args, nulls);
	End();
}

void
RegisteredSetPosition(Oid relation, const Position *position)
{
	SetTable("UPDATE _shard.lake_table SET system_identifier = $2, timeline = $3,"
			 " slot_generation = $4, lsn = $5,"
			 " snapshot = CASE WHEN snapshot_lsn > $5 THEN snapshot END,"
			 " snapshot_lsn = CASE WHEN snapshot_lsn > $5 THEN snapshot_lsn END"
			 " WHERE relation = $1 AND ($6::text IS NULL OR $7 IS NULL)",
			 relation, position, NULL, InvalidXLogRecPtr);
}

void
RegisteredSetSynced(Oid relation, const Position *position,
					const char *snapshot, XLogRecPtr snapshot_lsn)
{
	SetTable("UPDATE _shard.lake_table SET synced = $6 IS NOT NULL, system_identifier = $2,"
			 " timeline = $3, slot_generation = $4, lsn = $5, snapshot = $6, snapshot_lsn = $7"
			 " WHERE relation = $1",
			 relation, position, snapshot, snapshot_lsn);
}

IcebergKeyValue *
PositionSummary(const Position *position, int *n)
{
	IcebergKeyValue *summary = palloc(4 * sizeof(IcebergKeyValue));

	summary[0] = (IcebergKeyValue) {"shard.system-identifier", psprintf(UINT64_FORMAT, position->system)};
	summary[1] = (IcebergKeyValue) {"shard.timeline", psprintf("%u", position->timeline)};
	summary[2] = (IcebergKeyValue) {"shard.slot-generation", psprintf(INT64_FORMAT, position->generation)};
	summary[3] = (IcebergKeyValue) {POSITION_LSN, psprintf("%X/%X", LSN_FORMAT_ARGS(position->lsn))};
	*n = 4;
	return summary;
}
