/*
 * source.c
 *		What a foreign table reads, and how its columns correspond.
 *
 * Columns are matched by name.  A type fits if every value of the source's
 * type has exactly one value of the column's type: equal types, wider ones, and
 * for types that the lake has no counterpart of, their text form.  A column
 * that does not fit is an error only when a query reads it, so that one odd
 * column does not make the table useless.
 *
 * A source is opened anew by every planning and every execution, in the
 * caller's memory context.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "base/compat.h"
#include "catalog/pg_type.h"
#include "client/nested.h"
#include "client/values.h"
#include "fdw/parquet.h"
#include "fdw/source.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Decimal digits that hold every value of an integer type. */
#define INT_DIGITS 10
#define LONG_DIGITS 19

char *
PgTypeForLakeType(LakeType type)
{
	switch (type.kind)
	{
		case LAKE_BOOLEAN:
			return "boolean";
		case LAKE_INT:
			return "integer";
		case LAKE_LONG:
			return "bigint";
		case LAKE_FLOAT:
			return "real";
		case LAKE_DOUBLE:
			return "double precision";
		case LAKE_DECIMAL:
			return psprintf("numeric(%d,%d)", type.precision, type.scale);
		case LAKE_DATE:
			return "date";
		case LAKE_TIME:
			return "time";
		case LAKE_TIMESTAMP:
			return "timestamp";
		case LAKE_TIMESTAMPTZ:
			return "timestamptz";
		case LAKE_STRING:
			return "text";
		case LAKE_BINARY:
			return "bytea";
		case LAKE_UUID:
			return "uuid";
		case LAKE_JSON:
		case LAKE_NESTED:
			return "jsonb";
	}
	return "text";
}

/*
 * Does a decimal type hold every value of a stored type?
 */
static bool
DecimalHolds(LakeType wanted, LakeType stored)
{
	int			whole = wanted.precision - wanted.scale;

	switch (stored.kind)
	{
		case LAKE_INT:
			return whole >= INT_DIGITS;
		case LAKE_LONG:
			return whole >= LONG_DIGITS;
		case LAKE_DECIMAL:
			return stored.scale <= wanted.scale && stored.precision - stored.scale <= whole;
		default:
			return false;
	}
}

/*
 * A numeric column without precision takes on that of what is stored.
 */
static bool
UnboundedNumericFits(LakeType stored, LakeType *type)
{
	int			digits = stored.kind == LAKE_INT ? INT_DIGITS : LONG_DIGITS;

	*type = stored;
	if (stored.kind == LAKE_DECIMAL)
		return true;
	if (stored.kind != LAKE_INT && stored.kind != LAKE_LONG)
		return false;
	*type = (LakeType) {LAKE_DECIMAL, digits, 0};
	return true;
}

/*
 * Fill in how a column reads a stored type; false if it does not fit.
 */
static bool
FitColumn(SourceColumn *column)
{
	LakeType	stored = column->stored;
	Oid			base = getBaseType(column->typid);
	LakeType	wanted = LakeTypeFromPg(column->typid, column->typmod, &column->as_text);

	column->type = stored;
	if (stored.kind == LAKE_JSON)
	{
		column->as_text = true;
		return base == JSONOID || base == JSONBOID || base == TEXTOID ||
			NestedTypeOf(base, column->typmod) != NULL;
	}
	if (column->as_text)
	{
		if (stored.kind == LAKE_STRING)
			return true;
		column->as_text = false;
		return base == NUMERICOID && UnboundedNumericFits(stored, &column->type);
	}
	if (wanted.kind == stored.kind && wanted.kind != LAKE_DECIMAL)
		return true;
	column->type = wanted;
	switch (wanted.kind)
	{
		case LAKE_DECIMAL:
			return DecimalHolds(wanted, stored);
		case LAKE_LONG:
			return stored.kind == LAKE_INT;
		case LAKE_DOUBLE:
			return stored.kind == LAKE_FLOAT;
		default:
			return false;
	}
}

static void
MapColumn(LakeSource *source, SourceColumn *column, Form_pg_attribute att)
{
	const IcebergField *field;

	column->state = COLUMN_DROPPED;
	if (att->attisdropped)
		return;
	column->name = ColumnSourceName(source->relid, att->attnum, NameStr(att->attname));
	column->typid = att->atttypid;
	column->typmod = att->atttypmod;
	column->state = COLUMN_MISSING;
	field = IcebergFieldByName(source->schema, column->name);
	if (field == NULL)
		return;
	column->field_id = field->id;
	column->stored = field->type;
	column->stored_name = field->type_json;
	if (!field->primitive)		/* the engine's results have it as JSON */
		column->stored.kind = LAKE_JSON;
	column->state = FitColumn(column) ? COLUMN_OK : COLUMN_MISMATCH;
}

static void
MapColumns(LakeSource *source)
{
	Relation	rel = table_open(source->relid, NoLock);
	TupleDesc	desc = RelationGetDescr(rel);

	source->natts = desc->natts;
	source->columns = palloc0(Max(desc->natts, 1) * sizeof(SourceColumn));
	for (int i = 0; i < desc->natts; i++)
		MapColumn(source, &source->columns[i], TupleDescAttr(desc, i));
	table_close(rel, NoLock);
}

static void
SetSchema(LakeSource *source)
{
	LakeTravel(source->table, source->options->as_of);
	source->schema = source->table->schema != NULL ? source->table->schema :
		IcebergCurrentSchema(source->table->metadata);
}

static void
OpenTable(LakeSource *source)
{
	TableOptions *options = source->options;

	source->title = psprintf("%s.%s", options->namespace, options->name);
	source->table = LakeOpenFrom(options->server, options->namespace, options->name, true);
	if (source->table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("lake table \"%s\" does not exist", source->title),
				 errdetail("Foreign table \"%s\" reads it.", get_rel_name(source->relid)),
				 errhint("The table iceberg_tables lists the tables of the lake.")));
	SetSchema(source);
}

static void
OpenParquet(LakeSource *source)
{
	source->files = ExpandPattern(source->options->path);
	if (source->files == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FILE),
				 errmsg("no file matches \"%s\"", source->options->path)));
	source->schema = ParquetSchema(source->files);
}

LakeSource *
SourceOpen(Oid relid)
{
	LakeSource *source = palloc0(sizeof(LakeSource));

	source->relid = relid;
	source->options = TableOptionsOf(relid);
	source->title = source->options->path;
	switch (source->options->kind)
	{
		case SOURCE_TABLE:
			OpenTable(source);
			break;
		case SOURCE_METADATA:
			source->table = LakeOpenMoved(source->options->server, source->options->path,
										  source->options->location, source->options->path_map);
			SetSchema(source);
			break;
		case SOURCE_PARQUET:
			OpenParquet(source);
			break;
	}
	MapColumns(source);
	return source;
}

/*
 * A function plans its statements under the snapshot of its caller, but with the
 * latest definition of the foreign table, which an ALTER of the table that has
 * reached the lake since may have changed.  What the statement will run with is
 * a newer snapshot.
 */
LakeSource *
SourceOpenToPlan(Oid relid)
{
	LakeSource *source;

	if (IsolationUsesXactSnapshot() || IsInParallelMode())
		return SourceOpen(relid);
	PushActiveSnapshot(GetLatestSnapshot());
	source = SourceOpen(relid);
	PopActiveSnapshot();
	return source;
}

pg_noreturn static void
RaiseMissingColumn(LakeSource *source, SourceColumn *column)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < source->schema->nfields; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", source->schema->fields[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("column \"%s\" of foreign table \"%s\" does not exist in the lake",
					column->name, get_rel_name(source->relid)),
			 errhint("The columns there are: %s.", names.data)));
}

pg_noreturn static void
RaiseMismatch(LakeSource *source, SourceColumn *column)
{
	char		name[64];

	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_DATA_TYPE),
			 errmsg("column \"%s\" of foreign table \"%s\" cannot have type %s",
					column->name, get_rel_name(source->relid),
					format_type_with_typemod(column->typid, column->typmod)),
			 errdetail("Its type in the lake is %s.",
					   column->stored.kind == LAKE_JSON ? column->stored_name
					   : LakeTypeIcebergName(column->stored, name, sizeof(name))),
			 column->stored.kind == LAKE_JSON ? 0 : errhint("Declare it as %s.", PgTypeForLakeType(column->stored))));
}

SourceColumn *
SourceColumnOf(LakeSource *source, AttrNumber attnum)
{
	SourceColumn *column;

	if (attnum < 1 || attnum > source->natts)
		elog(ERROR, "foreign table %u has no column %d", source->relid, attnum);
	column = &source->columns[attnum - 1];
	if (column->state == COLUMN_MISSING)
		RaiseMissingColumn(source, column);
	if (column->state == COLUMN_MISMATCH)
		RaiseMismatch(source, column);
	return column;
}

/* ---- scanning ---- */

static bool
SomeFileMayMatch(LakeSource *source, SourceColumn *column, LakeOp op, const void *value)
{
	LakeCondition condition = {column->field_id, op, 1};
	IcebergBytes bytes = IcebergSerializeValue(column->stored, value, LakeKindWidth(column->stored.kind));

	condition.values = &bytes;
	return LakeScanPlan(source->table, -1, &condition, 1)->files != NIL;
}

/*
 * The bounds in the manifests tell; infinities are the ends of the integers.
 */
bool
SourceColumnFinite(LakeSource *source, AttrNumber attnum)
{
	SourceColumn *column = SourceColumnOf(source, attnum);
	int64		last = PG_INT64_MAX;
	int64		first = -PG_INT64_MAX;
	int32		last_day = PG_INT32_MAX;
	int32		first_day = -PG_INT32_MAX;

	if (source->table == NULL)
		return false;
	if (column->stored.kind == LAKE_DATE)
		return !SomeFileMayMatch(source, column, LAKE_GE, &last_day) &&
			!SomeFileMayMatch(source, column, LAKE_LE, &first_day);
	return column->stored.kind == LAKE_TIMESTAMP &&
		!SomeFileMayMatch(source, column, LAKE_GE, &last) &&
		!SomeFileMayMatch(source, column, LAKE_LE, &first);
}

SourceScan *
SourcePlanScan(LakeSource *source, const LakeCondition *conditions, int n)
{
	SourceScan *scan = palloc0(sizeof(SourceScan));

	scan->source = source;
	scan->snapshot_id = -1;
	if (source->table == NULL)
	{
		ParquetTotals(source->files, &scan->rows, &scan->bytes);
		scan->files = list_length(source->files);
		scan->partitions = 1;
		return scan;
	}
	scan->lake = LakeScanPlan(source->table, -1, conditions, n);
	scan->snapshot_id = scan->lake->snapshot_id;
	scan->files = list_length(scan->lake->files);
	scan->files_pruned = scan->lake->files_pruned;
	scan->bytes = scan->lake->bytes;
	scan->rows = scan->lake->rows;
	scan->partitions = scan->lake->partitions;
	scan->partitions_pruned = scan->lake->partitions_pruned;
	return scan;
}

double
SourceTotalRows(LakeSource *source)
{
	int64		rows;
	int64		bytes;

	if (source->rows > 0)
		return source->rows;
	if (source->table != NULL)
		rows = LakeTableRows(source->table);
	else
		ParquetTotals(source->files, &rows, &bytes);
	source->rows = Max((double) rows, 1);
	return source->rows;
}

char *
SourceScanSql(SourceScan *scan, List *attnums)
{
	LakeSource *source = scan->source;
	int		   *ids = palloc(Max(list_length(attnums), 1) * sizeof(int));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, attnums)
		ids[n++] = SourceColumnOf(source, lfirst_int(lc))->field_id;
	if (n == 0)
		ids[n++] = source->schema->fields[0].id;	/* rows are counted: any column will do */
	if (source->table == NULL)
		return ParquetScanSql(source->files, source->schema, ids, n);
	scan->lake->in_query = true;
	return LakeScanSql(scan->lake, ids, n, false);
}
