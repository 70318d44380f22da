/*
 * analyze.c
 *		ANALYZE of foreign tables: a sample of the rows, drawn by the engine.
 *
 * One statement counts the live rows, another draws a reservoir sample of them.
 * Columns that the source lacks, or that do not fit, are NULL in the sample.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "client/engine.h"
#include "client/values.h"
#include "commands/vacuum.h"
#include "fdw/analyze.h"
#include "fdw/deparse.h"
#include "fdw/source.h"
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct Sample
{
	Relation	relation;
	LakeSource *source;
	SourceScan *scan;
	List	   *attnums;		/* that can be read */
	ValueCodec *codecs;			/* in the order of attnums */
	MemoryContext row_cxt;
} Sample;

static EngineResult *
SendQuery(EngineConn *conn, Sample *sample, const char *select, const char *rest)
{
	LakeScan   *lake = sample->scan->lake;

	return EngineQuery(conn,
					   psprintf("SELECT %s FROM %s AS t%s", select,
								SourceScanSql(sample->scan, sample->attnums), rest),
					   lake ? lake->deletes : NULL, lake ? lake->ndeletes : 0);
}

static double
CountRows(EngineConn *conn, Sample *sample)
{
	EngineResult *result = SendQuery(conn, sample, "count(*)", "");
	WireChunk  *chunk = EngineFetch(result);
	int64		count = 0;

	if (chunk != NULL && chunk->nrows > 0)
		memcpy(&count, ChunkGetFixed(chunk, 0, 0), sizeof(count));
	EngineFinish(result);
	return (double) count;
}

static char *
ColumnList(Sample *sample)
{
	DeparseContext *cx = DeparseBegin(list_make1(MakeDeparseTable(1, sample->source)));
	ListCell   *lc;

	foreach(lc, sample->attnums)
	{
		if (foreach_current_index(lc) > 0)
			DeparseText(cx, ", ");
		DeparseColumn(cx, linitial(cx->sources), lfirst_int(lc));
	}
	return sample->attnums == NIL ? "NULL" : cx->buf.data;
}

static void
InitCodecs(Sample *sample, EngineResult *result)
{
	ListCell   *lc;

	sample->codecs = palloc0(Max(list_length(sample->attnums), 1) * sizeof(ValueCodec));
	foreach(lc, sample->attnums)
	{
		SourceColumn *column = &sample->source->columns[lfirst_int(lc) - 1];
		int			i = foreach_current_index(lc);

		ValueCodecInitForRead(&sample->codecs[i], column->typid, column->typmod, EngineResultType(result, i));
	}
}

static HeapTuple
FormRow(Sample *sample, WireChunk *chunk, int row)
{
	TupleDesc	desc = RelationGetDescr(sample->relation);
	MemoryContext old = MemoryContextSwitchTo(sample->row_cxt);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	ListCell   *lc;
	HeapTuple	tuple;

	memset(nulls, true, desc->natts * sizeof(bool));
	foreach(lc, sample->attnums)
	{
		int			i = foreach_current_index(lc);
		int			att = lfirst_int(lc) - 1;

		values[att] = ValueGet(&sample->codecs[i], chunk, i, row, &nulls[att]);
	}
	MemoryContextSwitchTo(old);
	tuple = heap_form_tuple(desc, values, nulls);
	MemoryContextReset(sample->row_cxt);
	return tuple;
}

static int
DrawRows(EngineConn *conn, Sample *sample, HeapTuple *rows, int wanted)
{
	EngineResult *result = SendQuery(conn, sample, ColumnList(sample),
								 psprintf(" USING SAMPLE reservoir(%d ROWS)", wanted));
	WireChunk  *chunk;
	int			n = 0;

	InitCodecs(sample, result);
	while ((chunk = EngineFetch(result)) != NULL)
		for (int row = 0; row < chunk->nrows && n < wanted; row++)
			rows[n++] = FormRow(sample, chunk, row);
	EngineFinish(result);
	return n;
}

static int
AcquireRows(Relation relation, int elevel, HeapTuple *rows, int targrows, double *totalrows, double *totaldeadrows)
{
	Sample		sample = {relation};
	EngineConn *conn;
	int			n;

	sample.source = SourceOpen(RelationGetRelid(relation));
	sample.scan = SourcePlanScan(sample.source, NULL, 0);
	for (int i = 0; i < sample.source->natts; i++)
		if (sample.source->columns[i].state == COLUMN_OK)
			sample.attnums = lappend_int(sample.attnums, i + 1);
	sample.row_cxt = AllocSetContextCreate(CurrentMemoryContext, "lake sample", ALLOCSET_DEFAULT_SIZES);
	conn = EngineAcquire();
	*totalrows = CountRows(conn, &sample);
	*totaldeadrows = 0;
	n = DrawRows(conn, &sample, rows, targrows);
	EngineRelease(conn);
	MemoryContextDelete(sample.row_cxt);
	ereport(elevel,
			(errmsg("\"%s\": lake table \"%s\" has %.0f rows; %d rows in sample",
					RelationGetRelationName(relation), sample.source->title, *totalrows, n)));
	return n;
}

bool
LakeAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func, BlockNumber *totalpages)
{
	SourceScan *scan = SourcePlanScan(SourceOpen(RelationGetRelid(relation)), NULL, 0);

	*func = AcquireRows;
	*totalpages = (BlockNumber) Min(scan->bytes / BLCKSZ + 1, MaxBlockNumber);
	return true;
}
