/*
 * partition.c
 *		Partitions of a lake table as its writers see them: partition values of
 *		rows in the engine, and data files by partition.
 *
 * The transforms are Iceberg's (see iceberg/transform.h); in the engine they are
 * computed by functions that share their code with the pruning of files.
 */
#include "postgres.h"

#include "lake/iceberg/transform.h"
#include "lake/internal.h"
#include "lib/stringinfo.h"

const IcebergSpec *
LakeDefaultSpec(const IcebergMetadata *metadata)
{
	const IcebergSpec *spec = IcebergSpecById(metadata, metadata->default_spec_id);

	if (spec == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("lake table has no partition spec %d", metadata->default_spec_id)));
	return spec;
}

/* ---- values of rows ---- */

char *
LakePartitionNames(const IcebergSpec *spec)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < spec->nfields; i++)
		appendStringInfo(&list, "%sp%d", i == 0 ? "" : ", ", spec->fields[i].field_id);
	return list.data;
}

/* A value of a column as what the engine's bucket function hashes. */
static char *
HashInput(const IcebergField *source, const char *column)
{
	switch (source->type.kind)
	{
		case LAKE_INT:
		case LAKE_LONG:
			return psprintf("CAST(%s AS BIGINT)", column);
		case LAKE_DECIMAL:
			return psprintf("CAST(replace(CAST(%s AS VARCHAR), '.', '') AS HUGEINT)", column);
		case LAKE_UUID:
			return psprintf("unhex(replace(CAST(%s AS VARCHAR), '-', ''))", column);
		default:
			return pstrdup(column);
	}
}

static char *
TruncateSql(const IcebergField *source, const char *column, int width)
{
	char	   *unscaled;

	switch (source->type.kind)
	{
		case LAKE_INT:
			return psprintf("shard_truncate_int(%s, %d)", column, width);
		case LAKE_LONG:
			return psprintf("shard_truncate_long(%s, %d)", column, width);
		case LAKE_DECIMAL:
			unscaled = HashInput(source, column);
			return psprintf("%s - (%s %% %d + %d) %% %d", unscaled, unscaled, width, width, width);
		case LAKE_BINARY:
			return psprintf("unhex(left(hex(%s), %d))", column, 2 * width);
		default:
			return psprintf("left(%s, %d)", column, width);
	}
}

static char *
TransformSql(const IcebergPartitionField *field, const IcebergField *source)
{
	char	   *column = psprintf("f%d", source->id);
	IcebergTransform transform;

	if (!IcebergParseTransform(field->transform, &transform))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to a lake table partitioned by %s", field->transform)));
	switch (transform.kind)
	{
		case TRANSFORM_IDENTITY:
			return column;
		case TRANSFORM_VOID:
			return pstrdup("NULL");
		case TRANSFORM_BUCKET:
			return psprintf("shard_bucket(%s, %d)", HashInput(source, column), transform.width);
		case TRANSFORM_TRUNCATE:
			return TruncateSql(source, column, transform.width);
		default:
			return psprintf("shard_time_part(%s, %d)", column, (int) transform.kind);
	}
}

char *
LakePartitionColumns(const IcebergMetadata *metadata, const IcebergSpec *spec,
					 const IcebergSchema *schema)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < spec->nfields; i++)
	{
		const IcebergPartitionField *field = &spec->fields[i];
		const IcebergField *source = IcebergFieldById(schema, field->source_id);
		LakeType	type = IcebergPartitionType(field, metadata);
		char		name[64];

		/* in another type of the same form where the engine's own does not have all values */
		if (strcmp(field->transform, "day") == 0)
			type.kind = LAKE_INT;
		else if (type.kind == LAKE_DECIMAL && strcmp(field->transform, "identity") != 0)
			type = (LakeType) {LAKE_DECIMAL, 38, 0};	/* the unscaled value */
		LakeTypeEngineName(type, name, sizeof(name));
		appendStringInfo(&list, "%sCAST(%s AS %s) AS p%d", i == 0 ? "" : ", ",
						 source == NULL ? "NULL" : TransformSql(field, source), name,
						 field->field_id);
	}
	return list.data;
}

static int
CompareValues(const void *a, const void *b)
{
	return ((const IcebergPartitionValue *) a)->field_id - ((const IcebergPartitionValue *) b)->field_id;
}

IcebergPartitionValue *
LakePartitionOfRow(const IcebergMetadata *metadata, const IcebergSpec *spec, const WireChunk *chunk,
				   int first, int row)
{
	IcebergPartitionValue *values = palloc0(sizeof(IcebergPartitionValue) * (spec->nfields + 1));

	for (int i = 0; i < spec->nfields; i++)
	{
		LakeType	type = IcebergPartitionType(&spec->fields[i], metadata);
		size_t		len;
		const char *value;

		values[i].field_id = spec->fields[i].field_id;
		if (ChunkIsNull(chunk, first + i, row))
			continue;
		if (LakeKindWidth(type.kind) == 0)
			value = ChunkGetBytes(chunk, first + i, row, &len);
		else
		{
			len = LakeKindWidth(type.kind);
			value = (const char *) ChunkGetFixed(chunk, first + i, row);
		}
		values[i].value = IcebergSerializeValue(type, value, len);
	}
	qsort(values, spec->nfields, sizeof(IcebergPartitionValue), CompareValues);
	return values;
}

/* ---- files ---- */

void
LakeCopyPartition(IcebergFile *file, const IcebergFile *from)
{
	file->spec_id = from->spec_id;
	file->npartition = from->npartition;
	file->partition = from->partition;
}

bool
LakeSamePartition(const IcebergFile *a, const IcebergFile *b)
{
	if (a->spec_id != b->spec_id || a->npartition != b->npartition)
		return false;
	for (int i = 0; i < a->npartition; i++)
	{
		const IcebergPartitionValue *x = &a->partition[i];
		const IcebergPartitionValue *y = &b->partition[i];

		if (x->field_id != y->field_id || (x->value.data == NULL) != (y->value.data == NULL))
			return false;
		if (x->value.data != NULL &&
			(x->value.len != y->value.len || memcmp(x->value.data, y->value.data, x->value.len) != 0))
			return false;
	}
	return true;
}

/* An order in which files of one partition come together. */
static int
ComparePartitions(const ListCell *left, const ListCell *right)
{
	const IcebergFile *a = (const IcebergFile *) lfirst(left);
	const IcebergFile *b = (const IcebergFile *) lfirst(right);

	if (a->spec_id != b->spec_id)
		return a->spec_id < b->spec_id ? -1 : 1;
	for (int i = 0; i < a->npartition && i < b->npartition; i++)
	{
		IcebergBytes x = a->partition[i].value;
		IcebergBytes y = b->partition[i].value;
		int			order;

		if (x.data == NULL || y.data == NULL)
		{
			if ((x.data == NULL) != (y.data == NULL))
				return x.data == NULL ? -1 : 1;
			continue;
		}
		order = memcmp(x.data, y.data, Min(x.len, y.len));
		if (order == 0)
			order = x.len - y.len;
		if (order != 0)
			return order;
	}
	return a->npartition - b->npartition;
}

List *
LakeGroupByPartition(const List *files)
{
	List	   *sorted = list_copy(files);
	List	   *groups = NIL;
	List	   *group = NIL;
	ListCell   *lc;

	list_sort(sorted, ComparePartitions);
	foreach(lc, sorted)
	{
		if (group != NIL && !LakeSamePartition(linitial(group), lfirst(lc)))
		{
			groups = lappend(groups, group);
			group = NIL;
		}
		group = lappend(group, lfirst(lc));
	}
	return group == NIL ? groups : lappend(groups, group);
}

List *
LakeFilesByPartition(const LakeTable *table, const List *new_files)
{
	const IcebergMetadata *metadata = table->metadata;

	if (metadata->nspecs == 1 && metadata->specs[0].nfields == 0)
	{
		IcebergFile *any = palloc0(sizeof(IcebergFile));

		any->spec_id = metadata->specs[0].spec_id;
		return list_make1(list_make1(any));
	}
	return LakeGroupByPartition(list_concat(list_copy(LakeDataFiles(table)), new_files));
}
