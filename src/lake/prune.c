/*
 * prune.c
 *		Can a data file hold a row that meets the conditions?
 *
 * Only what the manifest is sure of counts.  A lower bound may be below the
 * least value and an upper bound above the greatest (long texts are cut), either
 * may be missing, and bounds never cover NaN, which PostgreSQL sorts above all
 * other numbers.
 *
 * Partition values prune, too: a condition on a column becomes one on what the
 * transform makes of it.  A transform that keeps the order keeps inequalities,
 * though not their strictness; a bucket keeps equality alone.
 */
#include "postgres.h"

#include "lake/iceberg/transform.h"
#include "lake/internal.h"

/* What is known about a column in a file. */
typedef struct ColumnRange
{
	LakeType	type;
	IcebergBytes lower;			/* data NULL = unknown */
	IcebergBytes upper;
	bool		may_have_nan;
	bool		only_nulls;
	bool		no_nulls;
} ColumnRange;

static void
GetRange(const IcebergFile *file, const IcebergField *field, ColumnRange *range)
{
	const IcebergColumnStats *stats = IcebergStatsOf(file, field->id);
	bool		is_float = field->type.kind == LAKE_FLOAT || field->type.kind == LAKE_DOUBLE;

	memset(range, 0, sizeof(*range));
	range->type = field->type;
	range->may_have_nan = is_float;
	if (stats == NULL)
		return;
	if (IcebergBytesValid(field->type, stats->lower) && !IcebergBytesNaN(field->type, stats->lower))
		range->lower = stats->lower;
	if (IcebergBytesValid(field->type, stats->upper) && !IcebergBytesNaN(field->type, stats->upper))
		range->upper = stats->upper;

	/* bounds in another order than ours (UUIDs as two signed numbers) tell nothing */
	if (range->lower.data != NULL && range->upper.data != NULL &&
		IcebergCompareBytes(field->type, range->lower, range->upper) > 0)
		range->lower.data = range->upper.data = NULL;
	if (is_float && stats->nan_count == 0)
		range->may_have_nan = false;
	range->no_nulls = stats->null_count == 0;
	range->only_nulls = stats->null_count > 0 && stats->value_count >= 0 &&
		stats->null_count >= stats->value_count;
}

static bool
BelowLower(const ColumnRange *range, IcebergBytes value, bool or_equal)
{
	int			order;

	if (range->lower.data == NULL)
		return false;
	order = IcebergCompareBytes(range->type, value, range->lower);
	return order < 0 || (or_equal && order == 0);
}

static bool
AboveUpper(const ColumnRange *range, IcebergBytes value, bool or_equal)
{
	int			order;

	if (range->upper.data == NULL)
		return false;
	order = IcebergCompareBytes(range->type, value, range->upper);
	return order > 0 || (or_equal && order == 0);
}

static bool
MayEqual(const ColumnRange *range, IcebergBytes value)
{
	if (IcebergBytesNaN(range->type, value))
		return range->may_have_nan;
	return !BelowLower(range, value, false) && !AboveUpper(range, value, false);
}

static bool
MayCompare(const ColumnRange *range, LakeOp op, IcebergBytes value)
{
	bool		is_nan = IcebergBytesNaN(range->type, value);

	switch (op)
	{
		case LAKE_EQ:
			return MayEqual(range, value);
		case LAKE_LT:
			return is_nan || !BelowLower(range, value, true);
		case LAKE_LE:
			return is_nan || !BelowLower(range, value, false);
		case LAKE_GT:
			return range->may_have_nan || (!is_nan && !AboveUpper(range, value, true));
		case LAKE_GE:
			return range->may_have_nan || (!is_nan && !AboveUpper(range, value, false));
		default:
			return true;
	}
}

static bool
MayMeet(const ColumnRange *range, const LakeCondition *condition)
{
	if (condition->op == LAKE_IS_NULL)
		return !range->no_nulls;
	if (range->only_nulls)
		return false;
	if (condition->op == LAKE_IS_NOT_NULL)
		return true;
	for (int i = 0; i < condition->nvalues; i++)
	{
		LakeOp		op = condition->op == LAKE_IN ? LAKE_EQ : condition->op;

		/* a value that we cannot read prunes nothing */
		if (!IcebergBytesValid(range->type, condition->values[i]) ||
			MayCompare(range, op, condition->values[i]))
			return true;
	}
	return false;
}

/* ---- partitions ---- */

typedef struct Projection
{
	int			spec_id;
	int			field_id;		/* of the partition field */
	LakeType	type;			/* of its values */
	LakeOp		op;
	int			nvalues;
	IcebergBytes *values;
	int			width;			/* of an order that breaks at the smallest integers; or 0 */
} Projection;

/* The inequality that a transformed value satisfies if the value satisfies one. */
static LakeOp
Loosened(LakeOp op)
{
	return op == LAKE_LT ? LAKE_LE : op == LAKE_GT ? LAKE_GE : op;
}

static bool
IsEquality(LakeOp op)
{
	return op == LAKE_EQ || op == LAKE_IN;
}

static bool
IsNullTest(LakeOp op)
{
	return op == LAKE_IS_NULL || op == LAKE_IS_NOT_NULL;
}

/* The condition on a partition field that a condition on its source implies; NULL if none. */
static Projection *
Project(const IcebergMetadata *metadata, const IcebergSpec *spec,
		const IcebergPartitionField *field, const IcebergField *source,
		const LakeCondition *condition)
{
	Projection *projection;
	IcebergTransform transform;

	if (!IcebergParseTransform(field->transform, &transform) || transform.kind == TRANSFORM_VOID ||
		!IcebergTransformFits(&transform, source->type) ||
		source->type.kind == LAKE_FLOAT || source->type.kind == LAKE_DOUBLE ||
		(transform.kind == TRANSFORM_BUCKET && !IsEquality(condition->op) && !IsNullTest(condition->op)))
		return NULL;
	projection = palloc0(sizeof(Projection));
	projection->spec_id = spec->spec_id;
	projection->field_id = field->field_id;
	projection->type = IcebergTransformType(&transform, source->type);
	projection->op = Loosened(condition->op);
	if (transform.kind == TRANSFORM_TRUNCATE && !IsEquality(condition->op) &&
		(source->type.kind == LAKE_INT || source->type.kind == LAKE_LONG))
		projection->width = transform.width;
	projection->values = palloc(sizeof(IcebergBytes) * (condition->nvalues + 1));
	for (int i = 0; i < condition->nvalues; i++)
	{
		if (!IcebergBytesValid(source->type, condition->values[i]))
			return NULL;
		projection->values[projection->nvalues] =
			IcebergApplyTransform(&transform, source->type, condition->values[i]);
		if (projection->width > 0 &&
			IcebergCompareBytes(source->type, projection->values[projection->nvalues],
								condition->values[i]) > 0)
			return NULL;
		projection->nvalues++;
	}
	return projection;
}

List *
LakeProjectConditions(const IcebergMetadata *metadata, const IcebergSchema *schema,
					  const LakeCondition *conditions, int nconditions)
{
	List	   *projections = NIL;

	for (int i = 0; i < metadata->nspecs; i++)
		for (int j = 0; j < metadata->specs[i].nfields; j++)
			for (int k = 0; k < nconditions; k++)
			{
				const IcebergPartitionField *field = &metadata->specs[i].fields[j];
				const IcebergField *source = IcebergFieldById(schema, conditions[k].field_id);
				Projection *projection;

				if (field->source_id != conditions[k].field_id || source == NULL || !source->primitive)
					continue;
				projection = Project(metadata, &metadata->specs[i], field, source, &conditions[k]);
				if (projection != NULL)
					projections = lappend(projections, projection);
			}
	return projections;
}

/* A partition value as the column's type has it now: an int may have become a long. */
static IcebergBytes
Widened(IcebergBytes value, LakeType type)
{
	char	   *wide;

	if (type.kind != LAKE_LONG || value.len != 4)
		return value;
	wide = palloc(8);
	memcpy(wide, value.data, 4);
	memset(wide + 4, (value.data[3] & 0x80) != 0 ? 0xff : 0, 4);
	return (IcebergBytes) {wide, 8};
}

/*
 * Truncated, the smallest integers would be smaller than any: as Iceberg has it,
 * they become large ones.  These are no multiples of the width.
 */
static bool
WentRound(const Projection *projection, IcebergBytes value)
{
	uint64		number = 0;

	if (projection->width == 0)
		return false;
	for (int i = value.len - 1; i >= 0; i--)
		number = number << 8 | (unsigned char) value.data[i];
	return (value.len == 4 ? (int64) (int32) number : (int64) number) % projection->width != 0;
}

static bool
ValueMeets(const Projection *projection, IcebergBytes value)
{
	value = Widened(value, projection->type);
	if (!IcebergBytesValid(projection->type, value) || WentRound(projection, value))
		return true;
	for (int i = 0; i < projection->nvalues; i++)
	{
		int			order = IcebergCompareBytes(projection->type, value, projection->values[i]);

		if (projection->op == LAKE_LE ? order <= 0 : projection->op == LAKE_GE ? order >= 0 : order == 0)
			return true;
	}
	return false;
}

bool
LakePartitionMayMatch(const IcebergFile *file, const List *projections)
{
	ListCell   *lc;

	foreach(lc, projections)
	{
		const Projection *projection = (const Projection *) lfirst(lc);

		if (projection->spec_id != file->spec_id)
			continue;
		for (int i = 0; i < file->npartition; i++)
		{
			IcebergBytes value = file->partition[i].value;

			if (file->partition[i].field_id != projection->field_id)
				continue;
			if (IsNullTest(projection->op) ?
				(value.data == NULL) != (projection->op == LAKE_IS_NULL) :
				value.data == NULL || !ValueMeets(projection, value))
				return false;
		}
	}
	return true;
}

bool
LakeFileMayMatch(const IcebergFile *file, const IcebergSchema *schema,
				 const LakeCondition *conditions, int nconditions)
{
	for (int i = 0; i < nconditions; i++)
	{
		const IcebergField *field = IcebergFieldById(schema, conditions[i].field_id);
		ColumnRange range;

		if (field == NULL || !field->primitive)
			continue;
		GetRange(file, field, &range);
		if (!MayMeet(&range, &conditions[i]))
			return false;
	}
	return true;
}
