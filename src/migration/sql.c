/*
 * sql.c
 *		A thin layer over SPI for the journal's statements.
 *
 * Everything that a caller keeps is copied out of SPI's memory, into the
 * context that was current when it called SqlBegin().
 */
#include "postgres.h"

#include "executor/spi.h"
#include "migration/sql.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static MemoryContext outer = NULL;

SqlArg
SqlTextArg(const char *s)
{
	if (s == NULL)
		return SQL_NULL(TEXTOID);
	return (SqlArg) {TEXTOID, CStringGetTextDatum(s), false};
}

SqlArg
SqlIntsArg(const int *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Int32GetDatum(values[i]);
	return (SqlArg) {INT4ARRAYOID,
		PointerGetDatum(construct_array(datums, n, INT4OID, 4, true, TYPALIGN_INT)), false};
}

SqlArg
SqlTextsArg(List *strings)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(list_length(strings), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, strings)
		datums[n++] = CStringGetTextDatum(lfirst(lc));
	return (SqlArg) {TEXTARRAYOID,
		PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT)), false};
}

void
SqlBegin(void)
{
	outer = CurrentMemoryContext;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
SqlEnd(void)
{
	SPI_finish();
	outer = NULL;
}

static uint64
Run(const char *command, int nargs, const SqlArg *args, bool read_only)
{
	Oid		   *types = palloc(sizeof(Oid) * Max(nargs, 1));
	Datum	   *values = palloc(sizeof(Datum) * Max(nargs, 1));
	char	   *nulls = palloc(Max(nargs, 1));
	int			rc;

	for (int i = 0; i < nargs; i++)
	{
		types[i] = args[i].type;
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	rc = SPI_execute_with_args(command, nargs, types, values, nulls, read_only, 0);
	if (rc < 0)
		elog(ERROR, "statement of the journal failed: %s", SPI_result_code_string(rc));
	return SPI_processed;
}

uint64
SqlRun(const char *command, int nargs, const SqlArg *args)
{
	return Run(command, nargs, args, false);
}

uint64
SqlRunFresh(const char *command, int nargs, const SqlArg *args)
{
	uint64		n;

	PushActiveSnapshot(GetLatestSnapshot());
	n = Run(command, nargs, args, true);
	PopActiveSnapshot();
	return n;
}

static Datum
Get(uint64 row, int col, bool *isnull)
{
	if (row >= SPI_processed)
		elog(ERROR, "no row " UINT64_FORMAT " in the result", row);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col, isnull);
}

bool
SqlIsNull(uint64 row, int col)
{
	bool		isnull;

	(void) Get(row, col, &isnull);
	return isnull;
}

int32
SqlInt4(uint64 row, int col)
{
	bool		isnull;
	Datum		d = Get(row, col, &isnull);

	return isnull ? 0 : DatumGetInt32(d);
}

int64
SqlInt8(uint64 row, int col)
{
	bool		isnull;
	Datum		d = Get(row, col, &isnull);

	return isnull ? 0 : DatumGetInt64(d);
}

bool
SqlBool(uint64 row, int col)
{
	bool		isnull;
	Datum		d = Get(row, col, &isnull);

	return isnull ? false : DatumGetBool(d);
}

TimestampTz
SqlTime(uint64 row, int col)
{
	bool		isnull;
	Datum		d = Get(row, col, &isnull);

	return isnull ? 0 : DatumGetTimestampTz(d);
}

char *
SqlText(uint64 row, int col)
{
	char	   *s;

	if (row >= SPI_processed)
		elog(ERROR, "no row " UINT64_FORMAT " in the result", row);
	s = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, col);
	return s == NULL ? NULL : MemoryContextStrdup(outer, s);
}

List *
SqlAppendText(List *list, uint64 row, int col)
{
	MemoryContext old = MemoryContextSwitchTo(outer);

	list = lappend(list, SqlText(row, col));
	MemoryContextSwitchTo(old);
	return list;
}

int *
SqlInts(uint64 row, int col, int *n)
{
	bool		isnull;
	Datum		d = Get(row, col, &isnull);
	Datum	   *elements;
	int		   *result;

	*n = 0;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(d), INT4OID, 4, true, TYPALIGN_INT,
					  &elements, NULL, n);
	result = MemoryContextAlloc(outer, sizeof(int) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		result[i] = DatumGetInt32(elements[i]);
	return result;
}

List *
SqlTexts(uint64 row, int col)
{
	bool		isnull;
	Datum		d = Get(row, col, &isnull);
	Datum	   *elements;
	int			n;
	List	   *result = NIL;
	MemoryContext old;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, NULL, &n);
	old = MemoryContextSwitchTo(outer);
	for (int i = 0; i < n; i++)
		result = lappend(result, TextDatumGetCString(elements[i]));
	MemoryContextSwitchTo(old);
	return result;
}
