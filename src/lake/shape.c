/*
 * shape.c
 *		Partition specs and sort orders of a table, which evolve: a new one is
 *		added and becomes the default, old ones stay for the files that have them.
 *
 * A partition field that is in several specs has one id in all of them.
 */
#include "postgres.h"

#include "lake/internal.h"
#include "lib/stringinfo.h"

/* ---- partition specs ---- */

static bool
SpecIs(const IcebergSpec *spec, const LakeShape *shape)
{
	if (spec->nfields != shape->nfields)
		return false;
	for (int i = 0; i < shape->nfields; i++)
		if (spec->fields[i].source_id != shape->fields[i].source_id ||
			strcmp(spec->fields[i].transform, shape->fields[i].transform) != 0)
			return false;
	return true;
}

/* The same partition field in a spec that is there; NULL if none has it. */
static const IcebergPartitionField *
KnownField(const IcebergMetadata *metadata, const IcebergPartitionField *field)
{
	for (int i = 0; i < metadata->nspecs; i++)
		for (int j = 0; j < metadata->specs[i].nfields; j++)
			if (metadata->specs[i].fields[j].source_id == field->source_id &&
				strcmp(metadata->specs[i].fields[j].transform, field->transform) == 0)
				return &metadata->specs[i].fields[j];
	return NULL;
}

static void
SetSpec(IcebergMetadata *metadata, const LakeShape *shape)
{
	IcebergSpec *specs;
	IcebergSpec *spec;

	for (int i = 0; i < metadata->nspecs; i++)
	{
		if (!SpecIs(&metadata->specs[i], shape))
			continue;
		metadata->default_spec_id = metadata->specs[i].spec_id;
		return;
	}
	specs = palloc0(sizeof(IcebergSpec) * (metadata->nspecs + 1));
	if (metadata->nspecs > 0)
		memcpy(specs, metadata->specs, sizeof(IcebergSpec) * metadata->nspecs);
	spec = &specs[metadata->nspecs];
	for (int i = 0; i < metadata->nspecs; i++)
		spec->spec_id = Max(spec->spec_id, specs[i].spec_id + 1);
	spec->nfields = shape->nfields;
	spec->fields = palloc0(sizeof(IcebergPartitionField) * (shape->nfields + 1));
	for (int i = 0; i < shape->nfields; i++)
	{
		const IcebergPartitionField *known = KnownField(metadata, &shape->fields[i]);

		spec->fields[i] = shape->fields[i];
		if (known != NULL)
		{
			spec->fields[i].field_id = known->field_id;
			spec->fields[i].name = known->name;
		}
		else
			spec->fields[i].field_id = ++metadata->last_partition_id;
	}
	metadata->specs = specs;
	metadata->nspecs++;
	metadata->default_spec_id = spec->spec_id;
}

/* ---- sort orders ---- */

static int
FlagsAt(const int *flags, int i)
{
	return flags == NULL ? 0 : flags[i];
}

static bool
OrderIs(const IcebergSortOrder *order, const LakeShape *shape)
{
	if (order->nfields != shape->nsort)
		return false;
	for (int i = 0; i < shape->nsort; i++)
		if (order->source_ids[i] != shape->sort[i] ||
			FlagsAt(order->flags, i) != FlagsAt(shape->sort_flags, i))
			return false;
	return true;
}

static void
SetSortOrder(IcebergMetadata *metadata, const LakeShape *shape)
{
	IcebergSortOrder *orders;
	IcebergSortOrder *order;

	for (int i = 0; i < metadata->nsort_orders; i++)
	{
		if (!OrderIs(&metadata->sort_orders[i], shape))
			continue;
		metadata->default_sort_order_id = metadata->sort_orders[i].order_id;
		return;
	}
	orders = palloc0(sizeof(IcebergSortOrder) * (metadata->nsort_orders + 1));
	if (metadata->nsort_orders > 0)
		memcpy(orders, metadata->sort_orders, sizeof(IcebergSortOrder) * metadata->nsort_orders);
	order = &orders[metadata->nsort_orders];
	for (int i = 0; i < metadata->nsort_orders; i++)
		order->order_id = Max(order->order_id, orders[i].order_id + 1);
	order->nfields = shape->nsort;
	order->source_ids = shape->sort;
	order->flags = shape->sort_flags;
	metadata->sort_orders = orders;
	metadata->nsort_orders++;
	metadata->default_sort_order_id = order->order_id;
}

void
LakeSetShape(IcebergMetadata *metadata, const LakeShape *shape)
{
	SetSpec(metadata, shape);
	SetSortOrder(metadata, shape);
}

char *
LakeSortColumns(const IcebergMetadata *metadata, const IcebergSchema *schema)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < metadata->nsort_orders; i++)
	{
		const IcebergSortOrder *order = &metadata->sort_orders[i];

		if (order->order_id != metadata->default_sort_order_id)
			continue;
		for (int j = 0; j < order->nfields; j++)
		{
			int			flags = FlagsAt(order->flags, j);

			if (IcebergFieldById(schema, order->source_ids[j]) != NULL)
				appendStringInfo(&list, "%sf%d%s NULLS %s", list.len == 0 ? "" : ", ",
								 order->source_ids[j], (flags & ICEBERG_SORT_DESC) ? " DESC" : "",
								 (flags & ICEBERG_SORT_NULLS_FIRST) ? "FIRST" : "LAST");
		}
	}
	return list.len == 0 ? NULL : list.data;
}
