/*
 * range_check.c
 *		The ranges of a router as they are given, before they are stored.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "router/map.h"
#include "table/range_check.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

/* Gaps that a warning names. */
#define GAPS_TOLD 10

/*
 * The comparator's signature as it is stored.  It becomes part of partition
 * keys, hence immutable.
 */
static char *
CheckComparator(Oid function, Oid key_type)
{
	Oid		   *args;
	int			nargs;
	Oid			result = get_func_signature(function, &args, &nargs);

	if (nargs != 1 || args[0] != TEXTOID || result != key_type || get_func_retset(function))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("function %s cannot be a comparator", format_procedure(function)),
				 errhint("A comparator takes text and returns the router's key_type, here %s.",
						 format_type_be(key_type))));
	if (func_volatile(function) != PROVOLATILE_IMMUTABLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("comparator %s is not immutable", format_procedure(function)),
				 errhint("It decides where rows live: declare it IMMUTABLE, and make it so.")));
	return format_procedure_qualified(function);
}

CheckedRanges *
RangesCheck(Oid key_type, Jsonb *json, Oid comparator)
{
	CheckedRanges *ranges = palloc0(sizeof(CheckedRanges));

	ranges->order = KeyOrderCreate(key_type);
	if (ranges->order == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("keys of type %s cannot be compared with ranges", format_type_be(key_type)),
				 errhint(KEY_TYPES_HINT)));
	if (json == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ranges is missing"),
				 errhint("Strategy range needs ranges, such as [{\"start\": null, \"end\": \"h\", \"shard\": 0}, {\"start\": \"h\", \"end\": null, \"shard\": 1}].")));
	ranges->set = RangesRead(ranges->order, json);
	if (OidIsValid(comparator))
		ranges->comparator = CheckComparator(comparator, ranges->order->type);
	return ranges;
}

int
RangesMaxShard(const CheckedRanges *ranges)
{
	int			max = 0;

	for (int i = 0; i < ranges->set->nranges; i++)
		max = Max(max, ranges->set->ranges[i].shard);
	return max;
}

void
RangesCheckShards(const CheckedRanges *ranges, int shard_count)
{
	for (int i = 0; i < ranges->set->nranges; i++)
		if (ranges->set->ranges[i].shard >= shard_count)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("range %s names shard %d, which does not exist",
							RangeText(ranges->order, &ranges->set->ranges[i]),
							ranges->set->ranges[i].shard),
					 errhint("The shards are numbered 0 to %d.", shard_count - 1)));
}

void
RangesWarnOfGaps(const CheckedRanges *ranges, int default_shard)
{
	StringInfoData gaps;
	int			ngaps = 0;

	initStringInfo(&gaps);
	for (int i = 0; i <= ranges->set->nranges; i++)
	{
		Range		gap;

		if (!RangeGap(ranges->set, i, &gap))
			continue;
		if (ngaps < GAPS_TOLD)
			appendStringInfo(&gaps, "%s%s", ngaps > 0 ? ", " : "", RangeText(ranges->order, &gap));
		ngaps++;
	}
	if (ngaps > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("the ranges do not hold every key"),
				 errdetail("There is no range for the keys in %s%s.", gaps.data,
						   ngaps > GAPS_TOLD ? ", ..." : ""),
				 errhint("They belong to the default shard, %d.", default_shard)));
}
