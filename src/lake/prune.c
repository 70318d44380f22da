/*
 * prune.c
 *		Can a data file hold a row that meets the conditions?
 *
 * Only what the manifest is sure of counts.  A lower bound may be below the
 * least value and an upper bound above the greatest (long texts are cut), either
 * may be missing, and bounds never cover NaN, which PostgreSQL sorts above all
 * other numbers.
 */
#include "postgres.h"

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
